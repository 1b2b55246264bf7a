"""The clean plate: a clip's own background with the person gone.

Frames are (H, W, 3) float32, an alpha is (H, W) float32 in [0, 1]. Nothing is clipped from above.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from harmovid.composite.blend import push_pull, shrink
from harmovid.errors import InputError
from harmovid.video.color import luminance

_PERSON = 0.02  # alpha above this is person; below is a codec's noise
_LAYERS = 11  # frames that a clean plate is the median of, at most,
_LAYER_VALUES = 200_000_000  # and all together no more than this many values, as long as there are 3
_PATCH = 7  # side of a patch, pixels
_TRAITS = 24  # coefficients of a patch's cosine transform that patches are compared by
_COSINES = [np.cos(np.pi * k * (np.arange(_PATCH) + 0.5) / _PATCH) for k in range(_PATCH)]
_WAVES = [np.outer(v / np.linalg.norm(v), u / np.linalg.norm(u)) for v in _COSINES for u in _COSINES]
_ROUNDS = ((48, 8), (96, 4), (144, 2))  # longest side and number of searches, coarse to fine


def fill(frames: np.ndarray, masks: np.ndarray, dilation: float = 0.02) -> np.ndarray:
    """The clip without the person: what they hide, from other frames where it is seen, else made up.

    Within a shot all frames are laid over the middle one by a homography, from corner features tracked
    outside the masks; the median of up to 11 of them is the clean plate; what none of them saw is extended
    from around. As the plate is one for the whole shot, the fill is steady. Laid back under each frame, it
    is offset so that it meets that frame's own pixels at the hole's border.

    Args:
        frames: (T, H, W, 3) float32, finite, scene-linear or display.
        masks: (T, H, W) alpha in [0, 1]; the person is where it is above 0.02.
        dilation: the mask grows by this share of the height, at least one pixel, before anything is read.

    Returns:
        (T, H, W, 3) float32, new. Outside the grown mask it has the frames' very bits; no value in it
        depends on the frames' pixels under the grown mask.

    Raises:
        InputError: frames and masks differ in size or number, or the masks hide every pixel of all frames.
    """
    frames, masks = np.asarray(frames, np.float32), np.asarray(masks, np.float32)
    if frames.shape[:3] != masks.shape or frames.shape[3:] != (3,):
        raise InputError(
            f"the masks must have the frames' number and size; got frames {frames.shape}, masks {masks.shape}"
        )
    radius = max(1, math.ceil(dilation * frames.shape[1]))
    holes = np.stack([_dilate(mask > _PERSON, radius) for mask in masks]) if len(masks) else masks > 0
    out = frames.copy()
    if not holes.any():
        return out
    if holes.all():
        raise InputError(
            "the mask, grown to be safe, covers every pixel of every frame, so that no background is left to "
            "fill from; pass a tighter mask or a clip that shows some background"
        )
    for first, warps in _shots(frames, holes):
        shot = slice(first, first + len(warps))
        plate, warps = _plate(frames[shot], holes[shot], warps)
        for picture, hole, warp in zip(out[shot], holes[shot], warps, strict=True):
            box = _bounding_box(hole, 4 * radius)
            if box is None:
                continue
            under = _warp(plate, np.linalg.inv(warp), hole.shape)[box]
            hole = hole[box]
            picture[box][hole] = (under + _extend(picture[box] - under, hole))[hole]
    return out


def _dilate(mask: np.ndarray, radius: int) -> np.ndarray:
    if not mask.any():
        return mask
    distance = cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance <= radius)


def _bounding_box(mask: np.ndarray, margin: int) -> tuple[slice, slice] | None:
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    if not rows.size:
        return None
    top, left = max(0, rows[0] - margin), max(0, columns[0] - margin)
    return slice(top, rows[-1] + 1 + margin), slice(left, columns[-1] + 1 + margin)


def _extend(rgb: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """`rgb` (H, W, 3), its hole filled smoothly from around; 0 where all is hole."""
    return push_pull(np.where(hole[..., None], np.float32(0), rgb), (~hole).astype(np.float32))


def _complete(rgb: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """`rgb` (H, W, 3), its hole filled with texture and structure from elsewhere in the picture.

    Completion by patches, coarse to fine (Wexler et al. 2007, "Space-Time Completion of Video", in space
    alone), on small pictures; the last offsets found there carry full-size pixels. They carry low and high
    frequencies apart, so that two places that meet do so without an edge.
    """
    if not hole.any():
        return rgb
    smooth = _extend(rgb, hole)
    height, width = hole.shape
    small: np.ndarray | None = None
    offsets = None
    for longest, rounds in _ROUNDS:
        scale = min(1.0, longest / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        hidden = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        before = small
        # Square roots, bounded: else one lamp outweighs the rest of the picture.
        small = np.sqrt(np.clip(cv2.resize(smooth, size, interpolation=cv2.INTER_AREA), 0, 4))
        if before is not None:
            small[hidden] = cv2.resize(before, size)[hidden]
        small, offsets = _search(small, hidden, rounds)
    if offsets is None:
        return smooth
    offsets = _settle(offsets, hidden)

    def blur(x: np.ndarray) -> np.ndarray:
        kernel = round(0.05 * height) | 1
        return np.asarray(cv2.blur(cv2.blur(x, (kernel, kernel)), (kernel, kernel)))

    weight = (~hole).astype(np.float32)
    low = blur(smooth * weight[..., None]) / np.maximum(blur(weight), 1e-6)[..., None]
    # Each hidden pixel blends what the offsets near it bring (quadratic B-splines); failing all, the smooth fill.
    ratio = np.array([width, height], np.float32) / offsets.shape[1::-1]
    y, x = np.nonzero(hole)
    at = (np.column_stack([x, y]) + 0.5) / ratio - 0.5
    lows, highs, total = 1e-3 * smooth[hole], np.zeros((len(y), 3), np.float32), np.full((len(y), 1), 1e-3)
    for neighbour in np.ndindex(3, 3):
        cell = np.rint(at) + neighbour - 1
        d = np.abs(at - cell)
        share = np.where(d < 0.5, 0.75 - d * d, np.square(np.maximum(1.5 - d, 0)) / 2).prod(1)
        cx, cy = np.clip(cell, 0, np.array(offsets.shape[1::-1]) - 1).astype(int).T
        shift = np.rint(offsets[cy, cx] * ratio).astype(int)
        sx, sy = np.clip(x + shift[:, 0], 0, width - 1), np.clip(y + shift[:, 1], 0, height - 1)
        share = (share * weight[sy, sx])[:, None]
        lows += share * low[sy, sx]
        highs += share * (smooth[sy, sx] - low[sy, sx])
        total += share
    base = low.copy()
    base[hole] = lows / total
    base = blur(base)
    base = (base + _extend(low - base, hole))[hole]
    # What was dark beside something bright must not turn black on a darker base, nor the reverse.
    copied = (lows + highs) / total
    darkest, brightest = np.minimum(base, copied) / 2, np.maximum(base, copied) * 2
    smooth[hole] = np.clip(base + highs / total, darkest, brightest)
    return smooth


def _search(rgb: np.ndarray, hidden: np.ndarray, rounds: int) -> tuple[np.ndarray, np.ndarray | None]:
    """In each round, each patch that touches the hole finds its nearest known one, and all vote.

    Returns:
        `rgb` (H, W, 3) with its hidden pixels voted anew, and (H, W, 2) offsets x, y to what was found last;
        None where hardly a patch is known.
    """
    height, width = hidden.shape
    edge = _PATCH // 2
    square = np.ones((_PATCH, _PATCH), np.uint8)
    ty, tx = np.nonzero(cv2.dilate(hidden.view(np.uint8), square))
    sy, sx = np.nonzero(
        cv2.erode((~hidden).view(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    )
    if len(sy) < 16:
        return rgb, None
    padded = cv2.copyMakeBorder(rgb, edge, edge, edge, edge, cv2.BORDER_REFLECT_101)
    rgb = padded[edge : edge + height, edge : edge + width]
    # Near places are better, and near heights more so: ground lies low, a horizon is level.
    place = np.dstack(np.mgrid[:height, :width] * (_PATCH / max(height, width))) * (1, 0.5)
    waves = np.dstack([cv2.filter2D(rgb, -1, wave) for wave in _WAVES])
    chosen = np.argsort(waves[sy, sx].var(0))[-_TRAITS:]
    source = np.hstack([waves[sy, sx][:, chosen], place[sy, sx]]).astype(np.float32)
    across, half_square = np.ascontiguousarray(source.T), np.square(source).sum(1) / 2
    # A patch at the border knows more than one deep inside.
    trust = 1.3 ** -cv2.distanceTransform(hidden.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)[ty, tx]
    for _ in range(rounds):
        waves = np.dstack([cv2.filter2D(rgb, -1, wave) for wave in _WAVES])
        target = np.hstack([waves[ty, tx][:, chosen], place[ty, tx]]).astype(np.float32)
        parts = np.array_split(target, -(-len(ty) // 1024))
        # Not a matrix product: its threads wait for each other on a machine that is busy.
        best = np.concatenate([(half_square - np.einsum("ij,jk->ik", part, across)).argmin(1) for part in parts])
        error = np.square(target - source[best]).sum(1)
        vote = trust * np.exp(-error / (2 * np.quantile(error, 0.75) + 1e-6)) + 1e-12
        y, x = sy[best], sx[best]
        ballots = np.repeat(vote[:, None], 4, axis=1).astype(np.float32)
        sums = np.zeros((*padded.shape[:2], 4), np.float32)
        for j, i in np.ndindex(square.shape):
            ballots[:, :3] = ballots[:, 3:] * padded[y + j, x + i]
            sums[ty + j, tx + i] += ballots
        sums = sums[edge : edge + height, edge : edge + width][hidden]
        rgb[hidden] = sums[:, :3] / sums[:, 3:]
    offsets = np.zeros((height, width, 2), int)
    offsets[ty, tx] = np.column_stack([x - tx, y - ty])
    return rgb.copy(), offsets


def _settle(offsets: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """The offsets (H, W, 2) of hidden pixels, gathered into pieces that move as one.

    The nearest patch jitters from pixel to pixel; each pixel takes the offset that most of the 5 × 5 around
    it have, of those that lead it to a known pixel.
    """
    y, x = np.nonzero(hidden)
    own = offsets.astype(np.int16).view(np.int32)[..., 0]  # one number for a pair, to compare by
    for _ in range(4):
        around = np.lib.stride_tricks.sliding_window_view(np.pad(own, 2), (5, 5))[y, x].reshape(-1, 25)
        there = around[..., None].view(np.int16) + np.column_stack([x, y])[:, None]
        there = np.clip(there, 0, np.array(hidden.shape[::-1]) - 1)
        leads = ~hidden[there[..., 1], there[..., 0]] & (around != 0)
        votes = (around[:, :, None] == around[:, None]).sum(2) * leads
        own[y, x] = np.take_along_axis(around, votes.argmax(1)[:, None], 1)[:, 0]
    return np.asarray(own[..., None].view(np.int16))


def _shots(frames: np.ndarray, holes: np.ndarray) -> list[tuple[int, list[np.ndarray]]]:
    """Cuts the clip where one picture no longer fits the one before; aligns what is between the cuts.

    Returns:
        For each shot its first frame and, for each of its frames, the homography from that frame's pixels
        to the pixels of the shot's middle frame; exactly the identity where the camera stands still.
    """
    greys, seen = _greys(frames, holes)
    height, width = greys[0].shape
    across, down = frames.shape[2] / width, frames.shape[1] / height
    scale = np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])
    corners = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float64)
    shots = [[np.eye(3)]]
    for t in range(1, len(greys)):
        step = _step(greys[t], greys[t - 1], seen[t], seen[t - 1])
        warp = shots[-1][-1] @ step
        moved = np.abs(cv2.perspectiveTransform(corners, warp) - corners)[0]
        # Plates stay small: another shot begins, too, where the camera has gone half a picture.
        if (moved > (width / 2, height / 2)).any() or _is_cut(greys, seen, t, step):
            shots.append([np.eye(3)])
        else:
            shots[-1].append(warp)
    result, first = [], 0
    for chain in shots:
        middle = len(chain) // 2
        warps = []
        for t, link in enumerate(chain, first):
            warp = np.linalg.inv(chain[middle]) @ link
            # Steps add up their errors; one more, straight to the middle frame, takes them out.
            grey, ok = (cv2.warpPerspective(x[t], warp, (width, height)) for x in (greys, seen))
            warp = _step(grey, greys[first + middle], ok, seen[first + middle]) @ warp
            moved = np.abs(cv2.perspectiveTransform(corners, warp) - corners)
            warps.append(np.eye(3) if moved.max() < 0.2 else scale @ warp @ np.linalg.inv(scale))
        result.append((first, warps))
        first += len(chain)
    return result


def _greys(frames: np.ndarray, holes: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Small 8-bit pictures for tracking, their holes smoothed over, and 255 where they can be trusted."""
    step = max(1, round(max(holes.shape[1:]) / 720))
    greys, seen = [], []
    for frame, hole in zip(frames, holes, strict=True):
        weight = shrink((~hole).astype(np.float32), step)
        smooth = push_pull(shrink(np.where(hole[..., None], np.float32(0), frame), step), weight)
        greys.append(np.sqrt(np.maximum(luminance(smooth), 0)))
        # A tracking window must not reach into the hole, whose border goes with the person.
        seen.append(cv2.erode((weight > 0.999).view(np.uint8) * np.uint8(255), np.ones((21, 21), np.uint8)))
    white = max(1e-6, float(np.quantile(np.stack(greys)[:, ::4, ::4], 0.98)))
    return [np.clip(grey * (220 / white), 0, 255).astype(np.uint8) for grey in greys], seen


def _step(grey: np.ndarray, other: np.ndarray, seen: np.ndarray, other_seen: np.ndarray) -> np.ndarray:
    """The homography from one small picture to another; the identity where none can be found."""
    still = np.eye(3)
    points = cv2.goodFeaturesToTrack(grey, 400, 0.01, 7, mask=seen)
    if points is None or len(points) < 12:
        return still
    moved, found, _ = cv2.calcOpticalFlowPyrLK(grey, other, points, None)
    again, found_again, _ = cv2.calcOpticalFlowPyrLK(other, grey, moved, None)
    x, y = np.clip(np.rint(moved[:, 0].T), 0, np.array(grey.shape[::-1])[:, None] - 1).astype(int)
    good = (found[:, 0] & found_again[:, 0] & (other_seen[y, x] > 0)).astype(bool)
    good &= np.abs(again - points).max(axis=(1, 2)) < 0.5
    points, moved = points[good], moved[good]
    if len(points) < 12:
        return still
    warp, inliers = cv2.findHomography(points, moved, cv2.RANSAC, 1.5)
    if warp is None or inliers.sum() < max(12, len(points) / 2):
        return still
    if inliers.sum() < 60:  # too few for eight unknowns: they would bend the part that no feature holds
        similarity, _ = cv2.estimateAffinePartial2D(points, moved, ransacReprojThreshold=1.5)
        if similarity is None:
            return still
        warp = np.vstack([similarity, [0, 0, 1]])
    return np.asarray(warp)


def _is_cut(greys: list[np.ndarray], seen: list[np.ndarray], t: int, step: np.ndarray) -> bool:
    """Whether picture t laid over the one before shows another place, or cannot be laid over it."""
    size = greys[t].shape[::-1]
    both = (cv2.warpPerspective(seen[t], step, size) > 250) & (seen[t - 1] > 0)
    if not both.any():
        return False
    laid = cv2.warpPerspective(greys[t], step, size)[both].astype(np.float32)
    before = greys[t - 1][both].astype(np.float32)
    laid -= laid.mean()  # light that changes is no cut
    before -= before.mean()
    return float(np.abs(laid - before).mean()) > max(8.0, 0.7 * float(np.abs(before).mean()))


def _plate(
    frames: np.ndarray, holes: np.ndarray, warps: list[np.ndarray]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The clean plate of a shot, (H', W', 3), and the homographies from the frames to it."""
    height, width = holes.shape[1:]
    corners = np.array([[[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]], np.float64)
    reached = np.concatenate([cv2.perspectiveTransform(corners, warp)[0] for warp in warps])
    left, top = np.floor(reached.min(0) + 1e-3)
    right, bottom = np.ceil(reached.max(0) - 1e-3)
    shift = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]])
    warps = [shift @ warp for warp in warps]
    size = int(bottom - top) + 1, int(right - left) + 1

    useful = np.flatnonzero(~holes.all((1, 2)))
    count = min(len(useful), _LAYERS, max(3, _LAYER_VALUES // (3 * size[0] * size[1])))
    chosen = useful[np.linspace(0, len(useful) - 1, count).round().astype(int)]
    stack = np.full((count, *size, 3), np.inf, np.float32)
    seen = np.zeros(size, int)
    for layer, t in zip(stack, chosen, strict=True):
        visible, clean = ~holes[t], frames[t]
        if visible.shape != size or (warps[t] != np.eye(3)).any():
            # Cubic interpolation reads two pixels to each side; none of them may be hidden.
            visible = cv2.erode(visible.view(np.uint8), np.ones((5, 5), np.uint8), borderValue=0)
            visible = _warp(visible, warps[t], size, cv2.INTER_NEAREST) > 0
            clean = _warp(np.where(holes[t][..., None], np.float32(0), clean), warps[t], size)
        layer[visible] = clean[visible]
        seen += visible
    stack.sort(axis=0)  # what a frame did not see comes last
    ranks = np.maximum([(seen - 1) // 2, seen // 2], 0)[..., None]
    plate = np.take_along_axis(stack, ranks, axis=0).mean(0)
    unseen = seen == 0
    for hole, warp in zip(holes, warps, strict=True):
        if (unseen & (_warp(hole.view(np.uint8), warp, size, cv2.INTER_NEAREST) > 0)).any():
            return _complete(plate, unseen), warps
    return _extend(plate, unseen), warps


def _warp(
    picture: np.ndarray, warp: np.ndarray, size: tuple[int, int], interpolation: int = cv2.INTER_CUBIC
) -> np.ndarray:
    if picture.shape[:2] == size and (warp == np.eye(3)).all():
        return picture
    return np.asarray(cv2.warpPerspective(picture, warp, size[::-1], flags=interpolation))
