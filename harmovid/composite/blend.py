"""Blending: a person over a background, their own colour at soft edges, and their background without them.

Frames are (H, W, 3) float32, an alpha is (H, W) float32 in [0, 1]. Nothing is clipped from above, so that
scene-linear light passes; blending is physical in scene-linear light only, which is the caller's choice.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from harmovid.errors import InputError
from harmovid.video.color import luminance

_STRIP = 1 << 16  # pixels handled at once: temporaries stay in the processor's cache
_PERSON = 0.02  # alpha above this is person; below is a codec's noise
_SMOOTH = 3  # halvings that part the smooth from the detail
_PLATES = 11  # frames that the median is taken of
_FLOOR = 1e-3  # weight of unsure pixels beside sure ones: decides only where nothing is sure


def over(foreground: np.ndarray, background: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The foreground over the background, straight (not premultiplied) alpha: C = αF + (1 − α)B.

    Source: Porter and Duff 1984, "Compositing Digital Images", the operator *over* with an opaque ground.

    Args:
        foreground: (H, W, 3) float32, any values.
        background: (H, W, 3) float32, any values.
        alpha: (H, W) float32 in [0, 1].

    Returns:
        (H, W, 3) float32, new. Where alpha is 0 it has the background's very bits, where it is 1 the
        foreground's, also for −0, infinities and NaN.

    Raises:
        InputError: the three differ in size.
    """
    foreground, background, alpha = (np.asarray(x, np.float32) for x in (foreground, background, alpha))
    _check_sizes(foreground=foreground, background=background, alpha=alpha)
    height, width = alpha.shape
    out = np.empty_like(background, order="C")
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        part = slice(top, top + rows)
        a, f, b, o = alpha[part], foreground[part], background[part], out[part]
        low, high = a.min(), a.max()
        if high <= 0 or low >= 1:
            o[:] = b if high <= 0 else f
            continue
        weight = cv2.merge([a, a, a])  # numpy's own broadcast over a last axis of 3 is several times slower
        with np.errstate(invalid="ignore"):
            np.multiply(f, weight, out=o)
            np.subtract(1, weight, out=weight)
            weight *= b
            o += weight
        # 0·∞ and −0 + 0 are not what was asked for; and the sum must not be trusted with exactness.
        cv2.copyTo(b, (a <= 0).view(np.uint8), o)
        cv2.copyTo(f, (a >= 1).view(np.uint8), o)
    return out


def estimate_foreground(
    image: np.ndarray, alpha: np.ndarray, radius: float = 0.125, detail: float = 0.015
) -> np.ndarray:
    """The foreground's own colour F at soft edges, freed of the old background's light (spill).

    Blur fusion (Forte 2021, "Approximate Fast Foreground Colour Estimation", arXiv 2006.14970) solves
    I = αF + (1 − α)B from local means F̂, B̂ of foreground and background, first wide, then narrow:

        F = F̂ + α (I − αF̂ − (1 − α)B̂)

    Two things differ from the paper, for the sake of alphas made around a hard segmentation, whose outer
    half lies on pure old background. The wide means weigh sure pixels first, and F̂ is the least-squares
    colour Σ sα(I − (1 − α)B̂) / Σ sα², exact where F and B are constant. And of the residual, the part along
    B̂ − F̂ counts less the smaller alpha is: there, an error of alpha looks just like a change of colour.

    Args:
        image: (H, W, 3) float32, finite, scene-linear or display: the frame as it was filmed.
        alpha: (H, W) float32 in [0, 1].
        radius: width of the wide mean, as a share of the height.
        detail: width of the narrow mean, as a share of the height.

    Returns:
        (H, W, 3) float32, new. Where alpha is 1 it has the image's very bits; where alpha is 0 the nearest
        foreground's colour goes on smoothly; 0 everywhere where there is no foreground at all.

    Raises:
        InputError: image and alpha differ in size.
    """
    image, alpha = np.asarray(image, np.float32), np.asarray(alpha, np.float32)
    _check_sizes(image=image, alpha=alpha)
    height, width = alpha.shape
    if not alpha.any():
        return np.zeros_like(image)

    # Means need few pixels, and averaging cells keeps I = αF + (1 − α)B, which is linear in all it mixes.
    fine = max(1, round(detail * height / 5))
    coarse = max(fine, round(radius * height / 24))
    i, a = _shrink(image, coarse), _shrink(alpha, coarse)
    kernel = round(radius * height / coarse) | 1
    b_mean = _push_pull(*_blur(i, _sure_background(a), kernel))
    sure = (np.square(np.clip(2.5 * a - 1.5, 0, 1)) + _FLOOR * a) * a
    f_sum, weight = _blur(i, sure, kernel)
    shared = cv2.blur(sure * (1 - a), (kernel, kernel))
    f_mean = _push_pull(f_sum - shared[..., None] * b_mean, weight - shared)
    np.maximum(f_mean, min(0.0, float(i.min())), out=f_mean)

    i, a = _shrink(image, fine), _shrink(alpha, fine)
    kernel = round(detail * height / fine) | 1
    f_mean, b_mean = _grow(f_mean, a), _grow(b_mean, a)
    unmixed = i.copy()
    _unmix(i, a, f_mean, b_mean, unmixed)
    out = _grow(_mean(unmixed, a, kernel, f_mean), alpha)
    b_mean = _grow(_mean(i, _sure_background(a), kernel, b_mean), alpha)
    _unmix(image, alpha, out, b_mean, out)
    cv2.copyTo(image, (alpha >= 1).view(np.uint8), out)
    return out


def _shrink(x: np.ndarray, step: int) -> np.ndarray:
    size = -(-x.shape[1] // step), -(-x.shape[0] // step)
    return x if step == 1 else np.asarray(cv2.resize(x, size, interpolation=cv2.INTER_AREA))


def _grow(x: np.ndarray, like: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(x, like.shape[1::-1], interpolation=cv2.INTER_LINEAR))


def _sure_background(alpha: np.ndarray) -> np.ndarray:
    return np.clip(1 - 4 * alpha, 0, 1) + _FLOOR * (1 - alpha)


def _unmix(
    image: np.ndarray, alpha: np.ndarray, f_mean: np.ndarray, b_mean: np.ndarray, out: np.ndarray
) -> None:
    """One step of blur fusion, written into those pixels of `out` whose alpha is neither 0 nor 1."""
    band = np.flatnonzero((alpha > 0) & (alpha < 1))
    a = alpha.reshape(-1).take(band)
    i, f, b = (np.ascontiguousarray(x.reshape(-1, 3).take(band, axis=0).T) for x in (image, f_mean, b_mean))
    lowest = min(0.0, float(i.min(initial=0)))
    b -= f
    i -= f + (1 - a) * b  # the residual I − αF̂ − (1 − α)B̂
    share = (i * b).sum(0) / ((b * b).sum(0) + 1e-6)
    kept = np.where(share > 0, np.square(a * a) * share, np.minimum(share + 1 - a, 0))
    i += (kept - share) * b
    out.reshape(-1, 3)[band] = np.maximum(f + a * i, lowest).T


def _blur(rgb: np.ndarray, weight: np.ndarray, kernel: int) -> tuple[np.ndarray, np.ndarray]:
    """Local means of weight × rgb, (H, W, 3), and of the weight, (H, W)."""
    sums = cv2.multiply(rgb, cv2.merge([weight] * 3))
    return cv2.blur(sums, (kernel, kernel)), cv2.blur(weight, (kernel, kernel))


def _mean(rgb: np.ndarray, weight: np.ndarray, kernel: int, otherwise: np.ndarray) -> np.ndarray:
    """The local weighted mean of `rgb`, (H, W, 3), and `otherwise` where there is no weight to speak of."""
    sums, weight = _blur(rgb, weight, kernel)
    sums += _FLOOR * otherwise
    return np.asarray(cv2.divide(sums, cv2.merge([weight + _FLOOR] * 3)))


def _push_pull(sums: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A smooth picture, known everywhere, from pixels of unequal weight.

    `sums` holds weight × RGB, (H, W, 3), `weight` is in [0, 1]. What a pixel's weight lacks comes from the
    next coarser level of a Gaussian pyramid (push and pull, Gortler et al. 1996, "The Lumigraph").
    """
    height, width = weight.shape
    if max(height, width) == 1:
        return sums / max(float(weight[0, 0]), 1e-30)
    coarse = _push_pull(np.atleast_3d(cv2.pyrDown(sums)), cv2.pyrDown(weight))
    rest = cv2.multiply(cv2.pyrUp(coarse, dstsize=(width, height)), cv2.merge([1 - weight] * 3))
    return np.asarray(cv2.add(sums, rest))


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
            under += _extend(picture[box] - under, hole, radius)
            picture[box][hole] = under[hole]
    return out


def _dilate(mask: np.ndarray, radius: int) -> np.ndarray:
    if not mask.any():
        return mask
    return np.asarray(cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= radius)


def _bounding_box(mask: np.ndarray, margin: int) -> tuple[slice, slice] | None:
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    if not rows.size:
        return None
    return tuple(slice(max(0, x[0] - margin), x[-1] + 1 + margin) for x in (rows, columns))


def _extend(rgb: np.ndarray, hole: np.ndarray, reach: float) -> np.ndarray:
    """`rgb` (H, W, 3) with its hole filled from around, continuous at the hole's border.

    The smooth part goes on by push and pull; the detail, which is the rest, is mirrored at the border and
    fades out within `reach` pixels.
    """
    sums = np.where(hole[..., None], np.float32(0), rgb)
    if hole.all():
        return sums
    out = sums.copy()
    weight = (~hole).astype(np.float32)
    sizes = []
    for _ in range(_SMOOTH):
        sizes.append(weight.shape[::-1])
        sums, weight = np.atleast_3d(cv2.pyrDown(sums)), cv2.pyrDown(weight)
    low = _push_pull(sums, weight)
    for size in reversed(sizes):
        low = cv2.pyrUp(low, dstsize=size)

    distance, label = cv2.distanceTransformWithLabels(
        hole.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    seen = np.flatnonzero(~hole)
    nearest = np.zeros(label.max() + 1, np.int64)
    nearest[label.reshape(-1)[seen]] = seen
    inside = np.flatnonzero(hole)
    edge_y, edge_x = np.divmod(nearest[label.reshape(-1)[inside]], hole.shape[1])
    y, x = np.divmod(inside, hole.shape[1])
    y, x = (np.clip(2 * e - p, 0, n - 1) for e, p, n in ((edge_y, y, hole.shape[0]), (edge_x, x, hole.shape[1])))
    fade = np.exp(-distance.reshape(-1)[inside] / reach) * ~hole[y, x]
    out[hole] = low[hole] + fade[:, None] * (out[y, x] - low[y, x])
    return out


def _shots(frames: np.ndarray, holes: np.ndarray) -> list[tuple[int, list[np.ndarray]]]:
    """Cuts the clip where one picture no longer fits the one before; aligns what is between the cuts.

    Returns:
        For each shot its first frame and, for each of its frames, the homography from that frame's pixels
        to the pixels of the shot's middle frame; exactly the identity where the camera stands still.
    """
    greys, seen = _greys(frames, holes)
    height, width = greys[0].shape
    scale = np.diag([frames.shape[2] / width, frames.shape[1] / height, 1.0])
    corners = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float64)
    shots: list[list[np.ndarray]] = [[np.eye(3)]]
    for t in range(1, len(greys)):
        step = _step(greys[t], greys[t - 1], seen[t], seen[t - 1])
        warp = shots[-1][-1] @ step
        moved = cv2.perspectiveTransform(corners, warp)[0]
        far = np.ptp(moved, axis=0).max() > 3 * width or np.abs(moved - corners[0]).max() > width
        if far or _is_cut(greys[t], greys[t - 1], seen[t], seen[t - 1], step):
            shots.append([np.eye(3)])
        else:
            shots[-1].append(warp)
    result, first = [], 0
    for chain in shots:
        middle = len(chain) // 2
        warps = []
        for t, link in enumerate(chain):
            warp = np.linalg.inv(chain[middle]) @ link
            if t != middle:
                # Steps add up their errors; one more, straight to the middle frame, takes them out.
                grey, ok = (cv2.warpPerspective(x[first + t], warp, (width, height)) for x in (greys, seen))
                warp = _step(grey, greys[first + middle], ok, seen[first + middle]) @ warp
                moved = cv2.perspectiveTransform(corners, warp)
                if np.abs(moved - corners).max() < 0.3:
                    warp = np.eye(3)
            warps.append(scale @ warp @ np.linalg.inv(scale))
        result.append((first, warps))
        first += len(chain)
    return result


def _greys(frames: np.ndarray, holes: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Small 8-bit pictures for tracking, their holes smoothed over, and 255 where they can be trusted."""
    step = max(1, round(max(holes.shape[1:]) / 720))
    greys, seen = [], []
    for frame, hole in zip(frames, holes, strict=True):
        weight = _shrink((~hole).astype(np.float32), step)
        smooth = _push_pull(_shrink(np.where(hole[..., None], np.float32(0), frame), step), weight)
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


def _is_cut(
    grey: np.ndarray, other: np.ndarray, seen: np.ndarray, other_seen: np.ndarray, step: np.ndarray
) -> bool:
    """Whether a picture laid over the one before shows another place, or cannot be laid over it."""
    size = grey.shape[::-1]
    both = (cv2.warpPerspective(seen, step, size) > 250) & (other_seen > 0)
    if not both.any():
        return False
    laid = cv2.warpPerspective(grey, step, size)[both].astype(np.float32)
    other = other[both].astype(np.float32)
    return float(np.abs(laid - other).mean()) > max(8.0, 0.7 * float(np.abs(other - other.mean()).mean()))


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
    chosen = useful[np.unique(np.linspace(0, len(useful) - 1, min(len(useful), _PLATES)).round().astype(int))]
    stack = np.full((len(chosen), *size, 3), np.inf, np.float32)
    seen = np.zeros(size, np.int32)
    for layer, t in zip(stack, chosen, strict=True):
        visible = ~holes[t]
        clean = np.where(visible[..., None], frames[t], np.float32(0))
        if (warps[t] != np.eye(3)).any():
            # Cubic interpolation reads two pixels to each side; none of them may be hidden.
            visible = cv2.erode(visible.view(np.uint8), np.ones((5, 5), np.uint8), borderValue=0)
            visible = _warp(visible, warps[t], size, cv2.INTER_NEAREST) > 0
            clean = _warp(clean, warps[t], size)
        layer[visible] = clean[visible]
        seen += visible
    stack.sort(axis=0)
    low, high = (
        np.take_along_axis(stack, np.maximum(x, 0)[None, ..., None], 0)[0] for x in ((seen - 1) // 2, seen // 2 )
    )
    plate = (low + high) / 2
    return _extend(plate, seen == 0, 0.1 * height), warps


def _warp(
    picture: np.ndarray, warp: np.ndarray, size: tuple[int, int], interpolation: int = cv2.INTER_CUBIC
) -> np.ndarray:
    if picture.shape[:2] == size and (warp == np.eye(3)).all():
        return picture
    return np.asarray(cv2.warpPerspective(picture, warp, size[::-1], flags=interpolation))


def _check_sizes(**arrays: np.ndarray) -> None:
    if len({x.shape[:2] for x in arrays.values()}) != 1:
        sizes = ", ".join(f"{name} {x.shape[1]}×{x.shape[0]}" for name, x in arrays.items())
        raise InputError(f"pictures that are blended must have one size; got {sizes}; scale them first")
