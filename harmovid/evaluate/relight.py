"""Whether the person's light changes as much as it should, and to the right side.

As in `fidelity`: accumulators that are fed frame by frame in constant memory, and functions that feed them a whole
array. Frames are float32, display sRGB in [0, 1]; light is compared linear, as the logarithm of a gain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from harmovid.errors import InputError
from harmovid.evaluate.fidelity import check_frames
from harmovid.evaluate.temporal import CELL, cell_means, person_cells
from harmovid.video.color import luminance, to_linear

EPSILON = 0.01
"""Linear light added before a gain is taken: code 25 of 255. What is darker hardly counts."""

LEAST_ROTATIONS = 8
_COVERED = 0.9  # mean alpha of a cell from which it is the person's
_LEAST = 0.01  # log gain: a truth that changes less than this has no amplitude and no direction
_STILL = 1e-4  # log gain: an answer that varies less than this is constant


@dataclass(frozen=True)
class Amplitude:
    """How the result's change of light compares with the truth's.

    slope: of the result's log gain on the truth's, through the origin: 1 is the right strength, 0 no change, below 0
        the wrong way. NaN where the truth hardly changes (its strength is below 0.01).
    correlation: of the two, their means removed, in [−1, 1]; 0 for a gain that is one constant, NaN where the
        truth's is one.
    strength: root mean square of the truth's log gain.
    samples: cells × channels × frames that took part.
    """

    slope: float
    correlation: float
    strength: float
    samples: int


class RelightAmplitude:
    """How strongly the person is relit, against the truth; HarmoVid's own definition.

    Per 8 × 8 cell c whose mean alpha exceeds 0.9, and per channel of linear RGB, with α the alpha:

        light(V) = Σ α V / Σ α + ε,   ε = 0.01
        got = log(light(result) / light(composite)),   wanted = log(light(truth) / light(composite))
        slope = Σ got · wanted / Σ wanted²

    over all cells, channels and frames of a clip. It is what training reports of its validation clips
    (`harmovid.train.stages`), so that the two agree. ε is the light below which a change is not seen on a screen;
    without it the channel that a coloured lamp leaves black would outweigh the rest. Dark cells so hear less of a
    gain, in the result as in the truth.

    The composite is the do-nothing row: the slope is 0. More is not better: a black result may have any slope, mostly
    far above 1 where the truth is darker. Cells are counted from the top left, a remainder of less than a cell at
    the right and bottom is left out.
    """

    def __init__(self, cell: int = CELL) -> None:
        """`cell` is the side of a cell in pixels."""
        self._cell = cell
        self._samples = 0
        self._sums = np.zeros(5)  # of got, wanted, got², wanted², got · wanted

    def add(self, result: np.ndarray, composite: np.ndarray, truth: np.ndarray, alpha: np.ndarray) -> None:
        """Take in a frame.

        Args:
            result: (H, W, 3) float32, the output.
            composite: (H, W, 3) float32, the person in the old light on the new background.
            truth: (H, W, 3) float32, what the output should be.
            alpha: (H, W) float32 in [0, 1], of the foreground.

        Raises:
            InputError: shapes differ, not one frame, or not float.
        """
        check_frames(composite, truth, alpha)
        cells = _Cells(result, composite, alpha, self._cell)
        before = cells.light(composite)
        got, wanted = (np.log(cells.light(picture) / before) for picture in (result, truth))
        self._samples += got.size
        self._sums += [float(values.sum()) for values in (got, wanted, got * got, wanted * wanted, got * wanted)]

    @property
    def value(self) -> Amplitude:
        """The figures so far; NaN while no cell was covered."""
        n = self._samples
        if not n:
            return Amplitude(math.nan, math.nan, math.nan, 0)
        got, wanted, got_square, wanted_square, both = (float(total) / n for total in self._sums)
        strength = math.sqrt(wanted_square)
        slope = both / wanted_square if strength >= _LEAST else math.nan
        spreads = (math.sqrt(max(square - mean * mean, 0.0))
                   for square, mean in ((got_square, got), (wanted_square, wanted)))
        return Amplitude(slope, _correlation(both - got * wanted, *spreads), strength, n)


def relight_amplitude(result: np.ndarray, composite: np.ndarray, truth: np.ndarray, alpha: np.ndarray,
                      cell: int = CELL) -> Amplitude:
    """Relight amplitude of a clip: (T, H, W, 3) float32 three times and the alpha (T, H, W); see `RelightAmplitude`."""
    amplitude = RelightAmplitude(cell)
    check_frames(result, composite, alpha)
    check_frames(composite, truth, alpha)
    for frames in zip(result, composite, truth, alpha, strict=True):
        amplitude.add(*frames)
    return amplitude.value


class LightingVector:
    """From which side the person is lit, against the source; HarmoVid's own definition.

    Per 8 × 8 cell whose mean alpha exceeds 0.9, with Y the linear luminance, light(Y) and ε as in
    `RelightAmplitude`, and the cell's centre (x, y) running from −1/2 to 1/2 over the person's box (alpha > 0.5):

        g = log(light(Y_result) / light(Y_source)) = g_t + a x + b y + rest

    fitted by least squares over all frames with the mean alpha as weight, and a free level g_t in each frame, so that
    a lamp that is turned down tells nothing of its side. (a, b) is the vector: by how much, in natural log of light,
    the gain grows from the left edge of the person to the right, and from the top to the bottom.
    """

    def __init__(self, cell: int = CELL) -> None:
        """`cell` is the side of a cell in pixels."""
        self._cell = cell
        self._moments = np.zeros((2, 2))
        self._with_gain = np.zeros(2)

    def add(self, result: np.ndarray, source: np.ndarray, alpha: np.ndarray) -> None:
        """Take in a frame: (H, W, 3) float32 twice and the alpha (H, W); errors as in `RelightAmplitude.add`."""
        cells = _Cells(result, source, alpha, self._cell)
        if not len(cells.weight):
            return
        gain = np.log(cells.luminance(result) / cells.luminance(source))
        left, top, width, height = cv2.boundingRect((alpha > 0.5).astype(np.uint8))
        place = (cells.centres - (left + width / 2, top + height / 2)) / (width, height)
        place = place - np.average(place, axis=0, weights=cells.weight)
        gain = gain - np.average(gain, weights=cells.weight)
        weighted = place * cells.weight[:, None]
        self._moments += weighted.T @ place
        self._with_gain += weighted.T @ gain

    @property
    def value(self) -> np.ndarray:
        """(2,) float64, log gain across the person to the right and down; NaN where too few cells were covered."""
        if np.linalg.det(self._moments) <= 1e-6 * np.trace(self._moments) ** 2:
            return np.full(2, np.nan)
        return np.linalg.solve(self._moments, self._with_gain)


def lighting_vector(result: np.ndarray, source: np.ndarray, alpha: np.ndarray, cell: int = CELL) -> np.ndarray:
    """Lighting vector of a clip: (T, H, W, 3) float32 twice and the alpha (T, H, W); see `LightingVector`."""
    vector = LightingVector(cell)
    check_frames(result, source, alpha)
    for frames in zip(result, source, alpha, strict=True):
        vector.add(*frames)
    return vector.value


@dataclass(frozen=True)
class Direction:
    """How the light's side follows a turning environment.

    correlation: in [−1, 1], 1 where it follows in the right direction; 0 for an answer that stays the same.
    slope: 1 where it follows as strongly as the truth; 0 for an answer that stays the same.
    """

    correlation: float
    slope: float


def light_direction(found: np.ndarray, truth: np.ndarray) -> Direction:
    """Whether a person's light follows the environment round; HarmoVid's own definition.

    One performance is put before N ≥ 8 rotations of one environment map, and each clip's `lighting_vector` taken, in
    the results and in their truths. With each performance's mean over the rotations subtracted from both, and the
    sums over rotations, both components and performances:

        correlation = Σ f · t / √(Σ f² Σ t²),   slope = Σ f · t / Σ t²

    The mean is what the person's own shape and old light do to every answer; what always lights from the front has
    nothing else, and scores 0.

    Args:
        found: (N, 2), or (P, N, 2) for P performances, of the results.
        truth: of the same shape, of the truths, in the same order of rotations.

    Returns:
        Both NaN where the truth's vectors hardly turn (by less than 0.01 in log).

    Raises:
        InputError: shapes differ, fewer than 8 rotations, or a vector is not finite.
    """
    if found.shape != truth.shape or found.ndim not in (2, 3) or found.shape[-1] != 2:
        raise InputError(f"lighting vectors are {found.shape} and {truth.shape}; expected the same (N, 2), or "
                         "(performances, N, 2), twice: one vector for each rotation")
    if found.shape[-2] < LEAST_ROTATIONS:
        raise InputError(f"light direction was given {found.shape[-2]} rotations; expected at least "
                         f"{LEAST_ROTATIONS}, spread over the whole turn: render more")
    for name, vectors in (("result", found), ("truth", truth)):
        lost = np.argwhere(~np.isfinite(vectors).all(axis=-1))
        if len(lost):
            raise InputError(f"the lighting vector of the {name} of rotation {lost[0][-1]} is not finite; expected a "
                             "person of several cells in every clip: check its mask, or leave the performance out")
    f, t = (np.asarray(v, np.float64) - np.mean(v, axis=-2, keepdims=True, dtype=np.float64) for v in (found, truth))
    both, spread, wanted = (float(np.mean(values)) for values in (f * t, f * f, t * t))
    if math.sqrt(wanted) < _LEAST:
        return Direction(math.nan, math.nan)
    return Direction(_correlation(both, math.sqrt(spread), math.sqrt(wanted)), both / wanted)


class _Cells:
    """The cells of a frame that the person fills; what lies far from the person is never converted."""

    def __init__(self, result: np.ndarray, other: np.ndarray, alpha: np.ndarray, cell: int) -> None:
        check_frames(result, other, alpha)
        if result.ndim != 3:
            raise InputError(f"a frame is (H, W, 3), got {result.shape}; feed one frame at a time")
        self._cell = cell
        self._part, (rows, columns) = person_cells(alpha, cell)
        self._alpha = alpha[self._part]
        covered = cell_means(self._alpha, cell)
        self._inside = covered > _COVERED
        self.weight = covered[self._inside]
        """(n,), mean alpha."""
        self.centres = (np.argwhere(self._inside)[:, ::-1] + (columns.start + 0.5, rows.start + 0.5)) * cell
        """(n, 2), x and y in pixels, from the frame's top left corner."""

    def light(self, picture: np.ndarray) -> np.ndarray:
        """(n, 3): mean linear light of the person in each cell, and ε."""
        light = to_linear(picture[self._part], "srgb") * self._alpha[..., None]
        return np.asarray(cell_means(light, self._cell)[self._inside] / self.weight[:, None] + EPSILON)

    def luminance(self, picture: np.ndarray) -> np.ndarray:
        """(n,): of the mean light, and ε."""
        return luminance(self.light(picture))  # the weights' sum is 1, so ε stays ε


def _correlation(both: float, found: float, wanted: float) -> float:
    """From a covariance and two standard deviations of log gains."""
    if wanted < _LEAST:
        return math.nan
    return float(np.clip(both / (found * wanted), -1, 1)) if found >= _STILL else 0.0
