"""Light transfer: what a harmonizer did to a small view, as a change of light for the full-size picture.

A harmonizer works at a low size; what leaves the program is the source at full size. Between the view
before and the view after, three things are fitted, both in scene-linear light:

1. a gain per channel that goes evenly across the view, as light from one side does, or an affine colour transform
   that does, where that explains far more. It is solved from pixels, so that an even light comes back as it was,
   wherever the person stands in it.
2. the gain and the offset per channel that it leaves locally, on a bilateral grid (space × luminance), after Chen et
   al., "Bilateral Guided Upsampling", ACM TOG 2016. Every cell is a ridge regression whose prior is that of a coarser
   cell: where the picture says nothing, the transform is the one of its surroundings.
3. the gain that the grid leaves over (rim light, the edge of a shadow), as a small map, smoothed where it does not
   stand out from grain, and upsampled along the luminance of the full-size picture.

The weights are the eroded alpha over the noise of a code value in linear light, so that no background
sample enters and dark pixels count by what is known of them. Of the outermost pixels, where rim light lies, those
that are covered to the last take part in 3 alone. All three are smoothed over time before they are solved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np

from harmovid.infer import apply, leftover
from harmovid.video.color import to_linear
from harmovid.video.windows import neighbourhoods

T = TypeVar("T")

_OFFSET = 100.0  # how many times more pixels an offset needs than a gain
_WHOLE = 0.9999  # alpha from which no background is seen


@dataclass(frozen=True)
class TransferConfig:
    """How the light is fitted and smoothed."""

    cell: int = 16  # view pixels per grid cell
    bins: int = 8  # luminance bins, even in the square root of linear light
    mixing: float = 16.0  # colours are mixed where that leaves over so many times less than gains do
    prior: float = 6.0  # a coarser cell's transform weighs like this many view pixels
    detail: float = 0.6  # Gaussian sigma, view pixels, of the gain left over, where it does not stand out from
    grain: float = 0.03  # the network's grain, deviation of a log gain
    stops: float = 5.0  # bound of the change, in stops up and down
    temporal_sigma: float = 1.0  # frames; 0 for no smoothing


@dataclass(frozen=True)
class Light:
    """The change of light of one frame, ready to be applied to any size of it.

    grid: (GH, GW, L, 12) float32, row-major 3 × 4 affine transforms of linear RGB.
    residual: (H, W, 5) float32 at view size: natural log of the gain left over in R, G, B; its slope
        along the guide; the guide itself.
    stops: bound of the change.
    """

    grid: np.ndarray
    residual: np.ndarray
    stops: float

    def apply(self, linear: np.ndarray, box: tuple[float, float, float, float],
              strength: float = 1.0) -> np.ndarray:
        """Relight a picture.

        Args:
            linear: (H, W, 3) float32 scene-linear, not clipped.
            box: x0, y0, x1, y1 of the view in this picture's pixels; beyond it the light of its border
                is carried on.
            strength: interpolates the gain in log; 0 gives the picture back, 1 the full change.

        Returns:
            (H, W, 3) float32 scene-linear.
        """
        if strength == 0:
            return linear
        return apply.relight(linear, self.grid, self.residual, box, self.stops, strength)


@dataclass(frozen=True)
class _Frame:
    """One frame of the view in linear light, and the weight of each of its pixels."""

    reference: np.ndarray  # (H, W, 3)
    result: np.ndarray  # (H, W, 3)
    weight: np.ndarray  # (H, W), the eroded alpha
    covered: np.ndarray  # (H, W), the same, and 1 where nothing but the person is seen

    @property
    def precision(self) -> np.ndarray:
        """(H, W): the weight over the noise of a code value in linear light."""
        # d(linear)/d(code) of sRGB grows as linear^(1.4 / 2.4): what one code value of noise is worth.
        slope = np.maximum(self.reference.mean(axis=2), 0) ** np.float32(1.4 / 2.4)
        return self.weight / (4 * slope * slope + np.float32(0.01))


def lights(pairs: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
           config: TransferConfig = TransferConfig()) -> Iterator[Light]:
    """Fit the change of light of each frame of a clip, smoothed over time, as a stream.

    What is smoothed are sums, before anything is solved: the moments of the regressions, then the
    weighted gains left over.

    Args:
        pairs: per frame reference (H, W, 3), result (H, W, 3), both display sRGB in [0, 1], and alpha
            (H, W): the view before and after the harmonizer.

    Yields:
        One `Light` per frame, in order; a few frames are looked at ahead.
    """
    sigma = config.temporal_sigma
    moments = ((frame, _moments(frame, config)) for frame in map(_linear, pairs))
    solved = ((frame, _solve(sums, frame.weight.shape, config)) for frame, sums in _smoothed(moments, sigma))
    left = (((frame, grid), _left_over(frame, grid)) for frame, grid in solved)
    for (frame, grid), sums in _smoothed(left, sigma, _alike):
        residual = leftover.residual(sums, frame.reference, frame.covered, config.detail, config.grain)
        yield Light(grid, residual, config.stops)


def _smoothed(stream: Iterable[tuple[T, np.ndarray]], sigma: float,
              alike: Callable[[T, T], np.ndarray] | None = None) -> Iterator[tuple[T, np.ndarray]]:
    """Replace the array of each item by its Gaussian mean over time; at the ends over what is there.

    alike: how far each place of another item's array counts, given both items, 0 to 1; all the same where None.
    """
    radius = int(np.ceil(2.5 * sigma))
    taps = [float(np.exp(-0.5 * (shift / sigma) ** 2)) if sigma > 0 else 1.0 for shift in range(radius + 1)]
    for near, here in neighbourhoods(stream, radius):
        own = near[here][0]
        out = np.zeros_like(near[here][1])
        total = np.zeros((1,) * out.ndim, np.float32)
        for i, (other, values) in enumerate(near):
            share = np.float32(taps[abs(i - here)])
            weight = share if alike is None or i == here else share * alike(own, other)
            out += weight * values
            total = total + weight
        yield own, out / total


def _alike(here: tuple[_Frame, np.ndarray], other: tuple[_Frame, np.ndarray]) -> np.ndarray:
    """(H, W, 1): 1 where the source's view did not change between two frames, 0 where something moved."""
    change = cv2.blur(apply.guide(here[0].reference) - apply.guide(other[0].reference), (3, 3)) / np.float32(0.03)
    return np.exp(-change * change)[..., None]


def _linear(pair: tuple[np.ndarray, np.ndarray, np.ndarray]) -> _Frame:
    reference, result, alpha = pair
    weight = _inside(alpha)
    return _Frame(to_linear(reference, "srgb"), to_linear(result, "srgb"), weight,
                  np.maximum(weight, alpha >= _WHOLE, dtype=np.float32))


def _across(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(H, W, 3): what the slanted transform is made of at each place: 1, x and y, from −½ to ½ over the view."""
    y, x = np.meshgrid(rows, columns, indexing="ij")
    return np.stack([np.ones_like(x), x, y], axis=2)


def _pixels_across(height: int, width: int) -> np.ndarray:
    return _across(*((np.arange(side, dtype=np.float32) + np.float32(0.5)) / side - np.float32(0.5)
                     for side in (height, width)))


def _moments(frame: _Frame, config: TransferConfig) -> np.ndarray:
    """All moments of one frame in a row: the whole view's, and the cells' of what the frame's own slant leaves."""
    whole = _slant_moments(frame)
    return np.concatenate([whole.reshape(-1), _cell_moments(frame, _solve_slant(whole, config), config).reshape(-1)])


def _solve(moments: np.ndarray, view: tuple[int, ...], config: TransferConfig) -> np.ndarray:
    """The grid, (GH, GW, L, 12), from all moments."""
    whole, cells = moments[: 12 * 16].reshape(12, 16), moments[12 * 16 :].reshape(*_grid_shape(view, config), 13)
    return _solve_grid(cells, _solve_slant(whole, config), config)


def _grid_shape(view: tuple[int, ...], config: TransferConfig) -> tuple[int, int, int]:
    return max(2, round(view[0] / config.cell) + 1), max(2, round(view[1] / config.cell) + 1), config.bins


def _slant_moments(frame: _Frame) -> np.ndarray:
    """Moments of the regression y ≈ (A + x B + y C) x̃ over the whole view: (12, 16), Σ w ffᵀ, Σ w f yᵀ and, of R, G
    and B, Σ w y²."""
    there = frame.weight > 0
    colours = np.pad(frame.reference[there], ((0, 0), (0, 1)), constant_values=1)  # (N, 4)
    features = (_pixels_across(*there.shape)[there][:, :, None] * colours[:, None]).reshape(-1, 12)
    wanted, weight = frame.result[there], frame.precision[there][:, None]
    both = (features * weight).T.astype(np.float64) @ np.concatenate([features, wanted], axis=1).astype(np.float64)
    energy = np.zeros((12, 1))
    energy[:3, 0] = (weight * wanted * wanted).sum(axis=0, dtype=np.float64)
    return np.concatenate([both, energy], axis=1)


def _solve_slant(sums: np.ndarray, config: TransferConfig) -> np.ndarray:
    """(3, 3, 4): the transform in the middle of the view, and how it grows with x and with y.

    Two are solved: a gain per channel, and an affine transform. Colours are mixed as far as that explains what a gain
    leaves unexplained; else a coat that happens to be lit from behind would teach what becomes of all that is blue.
    """
    left, right, energy = sums[:, :12], sums[:, 12:15].T, sums[:3, 15]
    weight = left[3, 3]
    if weight <= 1e-6:
        return np.stack([np.eye(3, 4), np.zeros((3, 4)), np.zeros((3, 4))])
    spread = left[:4, :4] / weight + np.diag([1e-5, 1e-5, 1e-5, 0])  # the mean second moment of x̃
    middle = 3e-4 * weight * spread.diagonal()[:3]
    gain = np.zeros((3, 12))
    for c in range(3):
        own = np.array([c, 4 + c, 8 + c])
        firm = np.diag([middle[c], *(config.prior * spread[c, c] * np.ones(2))])
        gain[c, own] = np.linalg.solve(left[np.ix_(own, own)] + firm, right[c, own] + firm[0] * np.eye(3)[0])
    # A slope needs pixels to be believed; the transform in the middle hardly any.
    firmness = np.kron(np.diag([3e-5 * weight, config.prior, config.prior]), spread)
    affine = np.linalg.solve(left + firmness, (right + gain @ firmness).T).T  # (3, 12)
    by_gain, by_affine = (float((energy - 2 * (t * right).sum(1) + ((t @ left) * t).sum(1)).sum())
                          for t in (gain, affine))
    nothing = 1e-7 * float(energy.sum()) + 1e-12
    share = np.clip(1 - (config.mixing * (by_affine + nothing) / (by_gain + nothing)) ** 2, 0, 1)
    return np.asarray((gain + share * (affine - gain)).reshape(3, 3, 4).swapaxes(0, 1))


def _cell_moments(frame: _Frame, slant: np.ndarray, config: TransferConfig) -> np.ndarray:
    """Moments of the regressions of what the slanted transform leaves in one frame, (GH, GW, L, 13)."""
    shape = _grid_shape(frame.weight.shape, config)
    told = np.zeros_like(frame.reference)
    for where, part in zip(np.moveaxis(_pixels_across(*told.shape[:2]), 2, 0), slant.astype(np.float32), strict=True):
        told += where[..., None] * (frame.reference @ part[:, :3].T + part[:, 3])
    return apply.splat(frame.reference, frame.result - told, frame.precision, apply.guide(frame.reference), shape)


def _inside(alpha: np.ndarray) -> np.ndarray:
    """Weights that leave the boundary out; a subject too thin for that keeps its most covered pixels."""
    solid = np.clip((alpha - 0.9) / 0.1, 0, 1).astype(np.float32)
    eroded = cv2.erode(solid, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    for candidate in (eroded, solid, np.clip(alpha, 0, 1).astype(np.float32)):
        if candidate.sum() > 12:
            return candidate
    return np.zeros_like(solid)


def _solve_grid(moments: np.ndarray, slant: np.ndarray, config: TransferConfig) -> np.ndarray:
    """The slanted transform and, from coarse to fine, what it leaves: (GH, GW, L, 13) → (GH, GW, L, 12)."""
    rows, columns, bins, _ = moments.shape
    slanted = np.tensordot(_across(np.linspace(-0.5, 0.5, rows), np.linspace(-0.5, 0.5, columns)), slant, 1)
    cells = np.repeat(slanted[:, :, None], bins, axis=2)  # (GH, GW, L, 3, 4)
    total = moments.sum(axis=(0, 1, 2), dtype=np.float64)
    weight = total[6]
    if weight > 1e-6:
        # Weights are scaled so that an average pixel that counts weighs 1.
        scaled = moments.astype(np.float64) * (_pixels(moments, config.cell) / weight)
        # The prior is that of `config.prior` average pixels; an offset needs many more to be believed.
        average = np.concatenate([total[:3] + 1e-5 * weight, total[7:10]]) * (config.prior / weight)
        gains, offsets = np.zeros((2, rows, columns, bins, 3))
        everywhere = scaled.sum(axis=(0, 1), keepdims=True)  # one curve over luminance for the whole view comes first
        for sums, sigma_space, sigma_luma in ((everywhere, 0.0, 0.6), (scaled, 2.0, 1.5), (scaled, 0.6, 0.6)):
            gains, offsets = _ridge(_blur(sums, sigma_space, sigma_luma), gains, offsets, average,
                                    _OFFSET * config.prior)
        cells[..., :3] += gains[..., None] * np.eye(3)
        cells[..., 3] += offsets
        cells = _bounded(cells, slant[0])
    return np.ascontiguousarray(cells, np.float32).reshape(rows, columns, bins, 12)


def _ridge(moments: np.ndarray, gains: np.ndarray, offsets: np.ndarray, average: np.ndarray,
           pixels: float) -> tuple[np.ndarray, np.ndarray]:
    """argmin Σ w (g x + o − y)², (…, 3) each, drawn to `gains` and `offsets` as if `average` moments told them."""
    square, mean = average[:3], average[3:]
    xx, x1, one = moments[..., :3] + square, moments[..., 7:10] + mean, moments[..., 6:7] + pixels
    xy = moments[..., 3:6] + square * gains + mean * offsets
    y1 = moments[..., 10:] + mean * gains + pixels * offsets
    determinant = xx * one - x1 * x1
    return (one * xy - x1 * y1) / determinant, (xx * y1 - x1 * xy) / determinant


def _pixels(moments: np.ndarray, cell: int) -> float:
    # Σw² is not kept; the count of pixels enters only through the size of the prior, so the number of
    # pixels of the occupied cells is near enough: each full cell stands for cell² pixels over its bins.
    occupied = moments[..., 6].sum(axis=2)
    return float((occupied > 0.02 * occupied.max()).sum()) * cell**2


def _bounded(cells: np.ndarray, centre: np.ndarray, limit: float = 2.0) -> np.ndarray:
    """Keep each cell within `limit` stops of the whole clip's transform where it runs away."""
    grey = np.array([0.5, 0.5, 0.5, 1.0])
    there, mean = cells @ grey, centre @ grey
    ratio = np.abs(np.log2(np.maximum(there, 1e-4) / np.maximum(mean, 1e-4))).max(axis=-1)
    keep = np.clip(limit / np.maximum(ratio, 1e-6), 0, 1)[..., None, None]
    return centre + keep * (cells - centre)


def _blur(moments: np.ndarray, sigma_space: float, sigma_luma: float) -> np.ndarray:
    out = moments
    for axis, sigma in ((0, sigma_space), (1, sigma_space), (2, sigma_luma)):
        if sigma == 0:
            continue
        radius = int(np.ceil(2.5 * sigma))
        taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
        # Peak 1, not sum 1: a wider cell gathers more pixels and so leans less on its prior.
        padded = np.moveaxis(out, axis, 0)
        length = len(padded)
        acc = np.zeros_like(padded)
        for shift, tap in zip(range(-radius, radius + 1), taps, strict=True):
            a, b = max(0, shift), min(length, length + shift)
            if a < b:
                acc[a - shift : b - shift] += tap * padded[a:b]
        out = np.moveaxis(acc, 0, axis)
    return out


def _left_over(frame: _Frame, grid: np.ndarray) -> np.ndarray:
    predicted = apply.slice_affine(frame.reference, grid)
    return leftover.left_over(frame.reference, frame.result, predicted, frame.covered)
