"""Pure functions on alpha pictures: make a hard mask soft, mend it, fit it to the picture, steady it.

An alpha picture is (H, W) float32 in [0, 1]: how much of a pixel the person covers. Where a function
needs a yes or no, a pixel belongs to the person from 0.5 on. The frame's border is no boundary: a
person cut off by the frame has a full edge there, in every function here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from harmovid.errors import InputError, OptionError

_PICTURE_NOISE = 3e-4  # ε of the guided filter, in squared display code values
_BELOW_HALF = np.nextafter(np.float32(0.5), np.float32(0.0))


def binary(alpha: np.ndarray) -> np.ndarray:
    """1 where alpha ≥ 0.5, else 0; (H, W) float32."""
    return (_checked(alpha) >= 0.5).astype(np.float32)


def bounding_box(alpha: np.ndarray, threshold: float = 0.5) -> tuple[int, int, int, int] | None:
    """The smallest box (x0, y0, x1, y1) around all alpha ≥ threshold; x1, y1 exclusive; None if empty."""
    inside = _checked(alpha) >= threshold
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if not rows.size:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def pseudo_alpha(mask: np.ndarray, width: float) -> np.ndarray:
    """A smooth edge for a hard mask, the same for every picture, so that it tells nothing of the light.

    With d the signed Euclidean distance in pixels to the boundary, positive inside,

        u = clip(d / width + 1/2, 0, 1),    alpha = u² (3 − 2u)

    (smoothstep), so that alpha falls from 1 to 0 over `width` pixels, half of them inside. Distances
    run between pixel centres, and the boundary lies half way between a pixel inside and its nearest
    one outside: d = +(distance to the nearest outside pixel − 1/2), or −(distance to the nearest
    inside pixel − 1/2). So the edge sits where the mask has it: `binary(pseudo_alpha(m, w))` is
    exactly `binary(m)`, whatever the width.

    mask: (H, W) in [0, 1], taken as binary at 0.5. width: pixels, ≥ 0; 0 gives `binary(mask)`.
    Returns (H, W) float32 in [0, 1]. An empty or full mask has no boundary and stays as it is.
    Raises OptionError for a negative width or one that is no number.
    """
    if not (np.isfinite(width) and width >= 0):
        raise OptionError(f"width of the pseudo-alpha is {width}; give a number of pixels of 0 or more")
    result = binary(mask)
    if width == 0:
        return result
    for tile, inside, distance in _near_boundary(result >= 0.5, min(width / 2, sum(mask.shape))):
        u = np.clip(distance / np.float32(np.clip(width, 1e-6, 1e30)) + np.float32(0.5), 0.0, 1.0)
        soft = u * u * (3.0 - 2.0 * u)
        # Rounding, or a width far beyond the picture, may bring a pixel onto 0.5: hold it on its own side.
        result[tile] = np.where(inside, np.maximum(soft, np.float32(0.5)), np.minimum(soft, _BELOW_HALF))
    return result


def is_soft(alpha: np.ndarray) -> bool:
    """Whether a mask carries a real soft edge, as a matte does, or is a hard cut with a blurred edge.

    The measure is the edge: the area where 0.05 < alpha < 0.95, no further than 3% of the height from the
    0.5 contour. Its mean width is that area over the contour's length. Compression and resizing leave hard
    segmentations at 2 to 4 pixels in 480 lines; a matte with hair comes to 5 and more. Soft is more than 1.2%
    of the height, and more than 4 pixels. Soft is a narrow edge, too, of which a quarter lies farther than 0.6% of
    the height, and 4 pixels, from the contour: that is hair, or motion blur, which hard segmentations lack (17% at
    most of theirs does). False where there is no contour.
    """
    inside = _checked(alpha) >= 0.5
    # Steps between neighbours along x and y: a slanted contour crosses more of them than it is long,
    # by 4/π on average over all directions.
    steps = int((inside[:, 1:] != inside[:, :-1]).sum()) + int((inside[1:] != inside[:-1]).sum())
    if steps == 0:
        return False
    reach = 0.03 * alpha.shape[0] + 2.0
    area = far = 0
    for tile, _, distance in _near_boundary(inside, reach):
        near, away = alpha[tile], np.abs(distance)
        edge = (near > 0.05) & (near < 0.95) & (away < reach)
        area += int(edge.sum())
        far += int((edge & (away > max(0.006 * alpha.shape[0], 4.0))).sum())
    return area / (steps * np.pi / 4) > max(0.012 * alpha.shape[0], 4.0) or far > 0.25 * area


@dataclass(frozen=True)
class Refine:
    """How to mend a mask; all zero leaves it alone.

    shrink: pixels that the edge moves inwards, fractions allowed; negative grows.
    soften: standard deviation in pixels of a Gaussian blur, ≥ 0.
    despeckle: islands outside and holes inside are removed where they are smaller than this share
        of the largest region's area, in [0, 1).
    """

    shrink: float = 0.0
    soften: float = 0.0
    despeckle: float = 0.0

    def __post_init__(self) -> None:
        if not np.isfinite(self.shrink):
            raise OptionError(f"shrink is {self.shrink}; give a number of pixels, negative to grow")
        if not (np.isfinite(self.soften) and self.soften >= 0):
            raise OptionError(f"soften is {self.soften}; give a number of pixels of 0 or more")
        if not 0 <= self.despeckle < 1:
            raise OptionError(f"despeckle is {self.despeckle}; give a share of the largest region in [0, 1)")


def refine(alpha: np.ndarray, options: Refine) -> np.ndarray:
    """Despeckle, then shrink or grow, then soften; (H, W) float32 in [0, 1], a new array.

    Shrinking is grey erosion by a disk (growing, dilation): every level line of alpha moves by the
    same distance, so a soft edge keeps its profile. A fraction of a pixel mixes the two whole radii
    beside it. Softening is normalised at the frame's border, where nothing dark lies beyond.
    """
    alpha = _checked(alpha)
    result = np.array(alpha, np.float32)
    if options.despeckle > 0:
        result = _despeckle(result, options.despeckle)
    if options.shrink != 0:
        result = _shrink(result, options.shrink)
    if options.soften > 0:
        box = _edge_box(result, int(np.ceil(4 * options.soften)) + 1)
        if box is not None:
            blurred = cv2.GaussianBlur(result[box], (0, 0), options.soften, borderType=cv2.BORDER_REPLICATE)
            result[box] = np.clip(blurred, 0.0, 1.0)
    return result


def follow_picture(rgb: np.ndarray, coarse: np.ndarray, radius: int) -> np.ndarray:
    """Lay the edge of a coarse alpha along the edges of the picture, hair included.

    A guided filter (He, Sun and Tang, "Guided Image Filtering", 2013, eqs. 19–20, guided by colour;
    solved at the coarse size as in He and Sun, "Fast Guided Filter", 2015): in each window alpha is
    an affine function of colour, alpha = a·I + b, fitted to the coarse alpha p with

        a = (Σ + ε)⁻¹ cov(I, p),    b = p̄ − a·Ī,    ε = 3·10⁻⁴ .

    rgb: (H, W, 3) float32, display sRGB in [0, 1]. coarse: (h, w) float32 in [0, 1], the same frame,
    no larger. radius: half the window's side in pixels of `coarse`, ≥ 1. Returns (H, W) float32 in [0, 1].
    """
    guide = cv2.resize(rgb, coarse.shape[::-1], interpolation=cv2.INTER_AREA)

    def mean(plane: np.ndarray) -> np.ndarray:
        return cv2.blur(plane, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REPLICATE)

    channels = [np.ascontiguousarray(guide[..., c]) for c in range(3)]
    means, mean_p = [mean(channel) for channel in channels], mean(coarse)

    def covariance(i: int, j: int) -> np.ndarray:
        return mean(channels[i] * channels[j]) - means[i] * means[j] + (_PICTURE_NOISE if i == j else 0.0)

    # Σ + ε = [[rr, rg, rb], [rg, gg, gb], [rb, gb, bb]], inverted by its cofactors.
    rr, rg, rb = covariance(0, 0), covariance(0, 1), covariance(0, 2)
    gg, gb, bb = covariance(1, 1), covariance(1, 2), covariance(2, 2)
    with_p = [mean(channel * coarse) - m * mean_p for channel, m in zip(channels, means, strict=True)]
    cofactors = (
        (gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb),
        (gb * rb - rg * bb, rr * bb - rb * rb, rg * rb - rr * gb),
        (rg * gb - gg * rb, rg * rb - rr * gb, rr * gg - rg * rg),
    )
    determinant = rr * cofactors[0][0] + rg * cofactors[0][1] + rb * cofactors[0][2]
    a = [sum(row[c] * with_p[c] for c in range(3)) / determinant for row in cofactors]
    b = mean_p - sum(a[c] * means[c] for c in range(3))
    # Where nearly the whole window is person, or nearly none of it, the picture has no say: dark
    # clothes before a dark wall would tear, and their like in the background would join.
    say = np.clip(np.minimum(mean_p, 1.0 - mean_p) / 0.15, 0.0, 1.0)
    planes = [mean(plane) * say for plane in (*a, b)]
    planes[3] += (1.0 - say) * (mean_p > 0.5)
    affine = cv2.resize(cv2.merge(planes), rgb.shape[1::-1])
    edge = np.einsum("hwc,hwc->hw", rgb, affine[..., :3]) + affine[..., 3]
    # The filter leaves a faint veil on either side: a smoothstep clears it, and lies a little inwards,
    # where the given masks of real clips have the edge and less of the old background shows.
    edge = np.clip((edge - 0.2) / 0.75, 0.0, 1.0)
    return edge * edge * (3.0 - 2.0 * edge)


def steady(alphas: Iterable[np.ndarray], radius: int = 1) -> Iterator[np.ndarray]:
    """The median over 2·radius + 1 frames, pixel by pixel; first and last frame stand in beyond the ends.

    What lasts no longer than `radius` frames goes; an edge that moves one way stays where it is, for
    the median of a monotone run is its middle. Yields as many frames as come in, in order, `radius`
    frames late, and holds 2·radius + 1 of them.

    Raises OptionError for a negative radius, InputError when the size changes on the way.
    """
    if radius < 0:
        raise OptionError(f"radius of the temporal median is {radius}; give a number of frames of 0 or more")
    return _medians(iter(alphas), radius)


def _medians(alphas: Iterator[np.ndarray], radius: int) -> Iterator[np.ndarray]:
    window: deque[np.ndarray] = deque(maxlen=2 * radius + 1)
    for alpha in _replicated(alphas, radius):
        window.append(alpha)
        if len(window) == window.maxlen:
            yield _median(list(window))


def _replicated(alphas: Iterator[np.ndarray], times: int) -> Iterator[np.ndarray]:
    """The frames with `times` copies of the first before them and of the last behind them."""
    last: np.ndarray | None = None
    for number, alpha in enumerate(alphas):
        if last is None:
            yield from [_checked(alpha)] * times
        elif alpha.shape != last.shape:
            raise InputError(
                f"mask frame {number} is {alpha.shape[1]} × {alpha.shape[0]}, those before it are "
                f"{last.shape[1]} × {last.shape[0]}; give a mask of one size"
            )
        yield alpha
        last = alpha
    if last is not None:
        yield from [last] * times


def _median(frames: list[np.ndarray]) -> np.ndarray:
    if len(frames) == 1:
        return np.array(frames[0], np.float32)
    if len(frames) == 3:  # many times faster than a sort
        a, b, c = frames
        return cv2.max(cv2.min(a, b), cv2.min(cv2.max(a, b), c)).astype(np.float32, copy=False)
    return np.median(np.stack(frames), axis=0).astype(np.float32)


def _checked(alpha: np.ndarray) -> np.ndarray:
    if alpha.ndim != 2 or 0 in alpha.shape:
        raise InputError(f"an alpha picture is (height, width) and not empty; got the shape {alpha.shape}")
    return alpha


def _near_boundary(inside: np.ndarray, reach: float) -> Iterator[tuple[tuple[slice, slice], np.ndarray, np.ndarray]]:
    """Tiles of the picture that come within `reach` pixels of the boundary, each pixel in one tile at most.

    Yields the tile, `inside` there, and the signed distance to the boundary there: (h, w) float32,
    positive inside, never 0, exact as far as `reach` and no less than that beyond. A person's outline
    is thin: looking along it only is several times faster than a distance transform of the frame.
    """
    pad = int(np.ceil(reach)) + 1
    side = max(96, 3 * pad)
    height, width = inside.shape
    ones = inside.astype(np.uint8)
    for y in range(0, height, side):
        for x in range(0, width, side):
            top, left = max(y - pad, 0), max(x - pad, 0)
            around = ones[top : y + side + pad, left : x + side + pad]
            if not 0 < cv2.countNonZero(around) < around.size:
                continue
            tile = (slice(y, min(y + side, height)), slice(x, min(x + side, width)))
            # To the nearest pixel centre of the other kind, less half a pixel: half way is the boundary.
            within = cv2.distanceTransform(around, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            distance = within + cv2.distanceTransform(1 - around, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            # One of the two is 0. OpenCV's last bit hangs on where the array lies in memory; the square
            # is a whole number, so the root of that is the same every time.
            distance = np.sqrt(np.rint(distance * distance)) - np.float32(0.5)
            signed = np.where(around, distance, -distance)
            yield tile, inside[tile], signed[y - top :, x - left :][:side, :side]


def _edge_box(alpha: np.ndarray, margin: int) -> tuple[slice, slice] | None:
    """The part of the picture within `margin` pixels of anything that is not flat; None if all is."""
    along, across = alpha[1:] != alpha[:-1], alpha[:, 1:] != alpha[:, :-1]
    rows = np.flatnonzero(np.append(along.any(1), False) | across.any(1))
    columns = np.flatnonzero(along.any(0) | np.append(across.any(0), False))
    if not rows.size or not columns.size:
        return None
    return (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + 2 + margin),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + 2 + margin),
    )


def _shrink(alpha: np.ndarray, pixels: float) -> np.ndarray:
    reach = int(np.ceil(abs(pixels)))
    box = _edge_box(alpha, reach + 1)
    if box is None:
        return alpha
    # Beyond the frame OpenCV takes nothing that could eat in or grow in: the border is no boundary.
    move = cv2.erode if pixels > 0 else cv2.dilate
    less = move(alpha[box], _disk(reach - 1)) if reach > 1 else alpha[box]
    more = move(alpha[box], _disk(reach))
    result = alpha.copy()
    result[box] = less + np.float32(abs(pixels) - (reach - 1)) * (more - less)
    return result


def _disk(radius: int) -> np.ndarray:
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return (x * x + y * y <= radius * radius).astype(np.uint8)


def _despeckle(alpha: np.ndarray, share: float) -> np.ndarray:
    inside = alpha >= 0.5
    areas = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=8)[2][1:, cv2.CC_STAT_AREA]
    if not areas.size:
        return alpha
    least = share * float(areas.max())
    alpha = np.where(_nearest_is_small(inside, least, border_too=True), np.float32(0.0), alpha)
    return np.where(_nearest_is_small(alpha < 0.5, least, border_too=False), np.float32(1.0), alpha)


def _nearest_is_small(region: np.ndarray, least: float, border_too: bool) -> np.ndarray:
    """Where the nearest component of `region` has an area below `least`: the speck and its soft skirt.

    border_too: whether components that touch the frame's border count as small too; a small piece
    of background in the frame's corner is no hole in the person.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)
    small = stats[:, cv2.CC_STAT_AREA] < least
    small[0] = False
    if not border_too:
        rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        small[np.unique(rim)] = False
    if not small.any():
        return np.zeros(region.shape, bool)
    # With DIST_LABEL_CCOMP every pixel gets the number of the nearest zero component, in OpenCV's own
    # order; read off which of ours that is at the components' own pixels.
    _, nearest = cv2.distanceTransformWithLabels(
        (~region).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP
    )
    table = np.zeros(int(nearest.max()) + 1, bool)
    table[nearest[region]] = small[labels[region]]
    return table[nearest]
