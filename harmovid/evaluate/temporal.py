"""How steady a result is in time.

As in `fidelity`: accumulators that are fed frame by frame in constant memory, and functions that feed
them a whole array. Frames are float32, display sRGB in [0, 1].
"""

from __future__ import annotations

import math
from collections import deque

import cv2
import numpy as np

from harmovid.errors import InputError, OptionError
from harmovid.evaluate.fidelity import check_frames
from harmovid.video.color import luminance, to_linear

CELL = 8
LEAST_CHANGE = 0.02  # natural log of light: a smaller one is no step
ARRIVED = 0.9  # of the way
ANSWER = 0.1  # of the wanted change: less is none
# Linear luminance of 8-bit code 6.6: below it, rounding to a code alone moves the log by up to 8%.
DARK = 0.002
_STOPS = math.log(64)  # six stops, the most that a light may differ from the reference's


class LuminanceJitter:
    """How much the light trembles beyond what the reference does; HarmoVid's own definition.

    Per 8 × 8 cell, with Y the linear luminance (ITU-R BT.709 weights) and α the alpha:

        g_t = log(Σ α Y_output / Σ α Y_reference)
        jitter = mean over cells and times of |g_{t+1} − 2 g_t + g_{t−1}|

    over cells whose mean alpha exceeds 0.5, and whose reference is brighter than 0.002, in all three
    frames. Motion and texture are in both sums and cancel: a constant gain of light gives 0, and so does
    one that grows by a steady factor; one that alternates between e^{+a} and e^{−a} gives 4a. A reference
    near black is left out, where an ε in the sums would let motion pass for a change of light; g is
    bounded by ±6 stops, so that an output gone black stays finite. Cells are counted from the top left,
    a remainder of less than a cell at the right and bottom is left out.

    The cell has a fixed number of pixels, so figures compare only between clips of one size.
    """

    def __init__(self, cell: int = CELL) -> None:
        """`cell` is the side of a cell in pixels."""
        self._cell = cell
        self._last: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=3)
        self._total = 0.0
        self.count = 0  # cells × times that took part

    def add(self, result: np.ndarray, reference: np.ndarray, alpha: np.ndarray) -> None:
        """Take in the next frame.

        Args:
            result: (H, W, 3) float32, the output.
            reference: (H, W, 3) float32, the truth, or else the source.
            alpha: (H, W) float32 in [0, 1], of the foreground.

        Raises:
            InputError: shapes differ, from each other or from the frame before.
        """
        check_frames(result, reference, alpha)
        shape = tuple(side // self._cell for side in alpha.shape)
        if self._last and self._last[-1][1].shape != shape:
            raise InputError(f"the frame is {result.shape[:2]}, of another size than the frame before; "
                             "expected one size for the whole clip")
        near, cells = person_cells(alpha, self._cell)
        covered = cell_means(alpha[near], self._cell)
        of_result, of_reference = (cell_means(luminance(to_linear(picture[near], "srgb")) * alpha[near], self._cell)
                                   for picture in (result, reference))
        gain, usable = np.zeros(shape), np.zeros(shape, bool)
        usable[cells] = (covered > 0.5) & (of_reference > DARK * covered)
        ratio = np.divide(of_result, of_reference, out=np.ones(covered.shape), where=usable[cells])
        gain[cells] = np.clip(np.log(np.maximum(ratio, 1e-9)), -_STOPS, _STOPS)
        self._last.append((gain, usable))
        if len(self._last) == 3:
            (before, in_before), (now, in_now), (after, in_after) = self._last
            used = in_before & in_now & in_after
            self._total += float(np.abs(after - 2 * now + before)[used].sum())
            self.count += int(used.sum())

    @property
    def value(self) -> float:
        """The mean so far, ≥ 0, in natural log of light per frame²; NaN while no cell had three frames."""
        return self._total / self.count if self.count else math.nan


def luminance_jitter(result: np.ndarray, reference: np.ndarray, alpha: np.ndarray, cell: int = CELL) -> float:
    """Luminance jitter of a clip: (T, H, W, 3) float32 twice and the alpha (T, H, W); see `LuminanceJitter`.

    Returns:
        Mean absolute second difference of the log gain, ≥ 0; NaN for fewer than three frames, or where
        the foreground fills no cell.
    """
    jitter = LuminanceJitter(cell)
    check_frames(result, reference, alpha)
    for frames in zip(result, reference, alpha, strict=True):
        jitter.add(*frames)
    return jitter.value


class StepResponse:
    """How long the person's light takes to follow a step of the background's; HarmoVid's own definition.

    With Y the linear luminance (ITU-R BT.709 weights), α the alpha, and frame k the first in the new light:

        g_t = log(Σ α Y_output / Σ α Y_source)
        before = median of g over t < k,   after = median of g over the last quarter of t ≥ k, at least 3 frames
        response = the smallest n such that (g_t − before) / (after − before) ≥ 0.9 for all t ≥ k + n

    in frames: 0 for light that steps with the background. A mean over the last n frames takes 0.9 n. What looks ahead
    moves before the step, and has that much less to wait. It tells how promptly light follows, not how far: 90% of
    little are soon there. How far tells its step size, (after − before) over the truth's.
    """

    def __init__(self, step: int, wanted: float | None = None) -> None:
        """`step` and `wanted` as in `step_response`."""
        self._step, self._wanted = step, wanted
        self._gains: list[float] = []

    def add(self, result: np.ndarray, source: np.ndarray, alpha: np.ndarray) -> None:
        """Take in the next frame: (H, W, 3) float32 twice and the alpha (H, W). One number of it is kept.

        Raises:
            InputError: shapes differ, or not float.
        """
        self._gains.append(light_gain(result, source, alpha))

    @property
    def gains(self) -> np.ndarray:
        """(T,) float64, the gain of each frame so far, natural log; NaN where it is unknown."""
        return np.array(self._gains, np.float64)

    @property
    def change(self) -> float:
        """after − before, natural log of light; NaN where one of the two is unknown."""
        return step_change(self.gains, self._step)

    @property
    def value(self) -> float:
        """Frames, as `step_response` gives them.

        Raises:
            OptionError: the step is not within the frames seen.
        """
        return step_response(self.gains, self._step, self._wanted)


def step_response(gains: np.ndarray, step: int, wanted: float | None = None) -> float:
    """Frames until light has gone 90% of the way and stays there; see `StepResponse`.

    Args:
        gains: (T,) natural log of a gain in each frame, as `light_gain` gives it; NaN where it is unknown.
        step: number of the first frame in the new light, 1..T − 1.
        wanted: by how much the gain should change, natural log: the truth's `step_change`. Where that is at least
            0.02, an answer that changes by less than a tenth of it, or the other way, has never arrived: what of the
            new background shines through the person's edge is no answer.

    Returns:
        Frames, ≥ 0. The number of frames from the step to the end, T − step, where it never stays there. NaN where
        the gain changes by less than 0.02 (and was not wanted to), or is unknown before or after the step.

    Raises:
        OptionError: the step is not within the clip.
    """
    before, after = _levels(gains, step)
    change, never = after - before, float(len(gains) - step)
    if math.isnan(change):
        return math.nan
    if wanted is not None and abs(wanted) >= LEAST_CHANGE and (
            change * math.copysign(1, wanted) < max(LEAST_CHANGE, ANSWER * abs(wanted))):
        return never
    if abs(change) < LEAST_CHANGE:
        return math.nan
    short = np.flatnonzero((gains[step:] - before) / change < ARRIVED - 1e-9)  # NaN is not short
    return float(short[-1] + 1) if len(short) else 0.0


def step_change(gains: np.ndarray, step: int) -> float:
    """By how much the gain changes over a step, natural log of light; arguments and errors as in `step_response`."""
    before, after = _levels(gains, step)
    return after - before


def light_gain(result: np.ndarray, source: np.ndarray, alpha: np.ndarray) -> float:
    """The foreground's mean gain of light in a frame, natural log: log(Σ α Y_result / Σ α Y_source).

    Motion and texture are in both sums and cancel, as in `LuminanceJitter`; bounded by ±6 stops.

    Args:
        result, source: (H, W, 3) float32, display sRGB in [0, 1].
        alpha: (H, W) in [0, 1].

    Returns:
        NaN where the alpha is 0 everywhere, or the source's foreground darker than 0.002.

    Raises:
        InputError: shapes differ, not one frame, or not float.
    """
    check_frames(result, source, alpha)
    if result.ndim != 3:
        raise InputError(f"a frame is (H, W, 3), got {result.shape}; feed one frame at a time")
    x, y, width, height = cv2.boundingRect((alpha > 0).astype(np.uint8))
    part = np.s_[y:y + height, x:x + width]
    weight = alpha[part]
    lit, plain = (float((luminance(to_linear(picture[part], "srgb")) * weight).sum(dtype=np.float64))
                  for picture in (result, source))
    if plain <= DARK * float(weight.sum(dtype=np.float64)):
        return math.nan
    return float(np.clip(math.log(max(lit / plain, 1e-9)), -_STOPS, _STOPS))


def person_cells(alpha: np.ndarray, cell: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of a frame whose cells the alpha (H, W) touches: as pixels, whole cells alone, and as cells."""
    x, y, width, height = cv2.boundingRect((alpha > 0).astype(np.uint8))
    rows, columns = (slice(min(start // cell, side // cell), min(-(-(start + length) // cell), side // cell))
                     for start, length, side in ((y, height, alpha.shape[0]), (x, width, alpha.shape[1])))
    return (slice(rows.start * cell, rows.stop * cell), slice(columns.start * cell, columns.stop * cell)), (
        rows, columns)


def cell_means(plane: np.ndarray, cell: int) -> np.ndarray:
    """Means over square cells from the top left: (H, W, ...) → (H // cell, W // cell, ...) float64."""
    rows, columns = (side // cell for side in plane.shape[:2])
    whole = plane[: rows * cell, : columns * cell]
    # Down first and then across: along whole rows numpy adds many at once.
    down = whole.reshape(rows, cell, *whole.shape[1:]).mean(axis=1, dtype=np.float64)
    return np.asarray(down.reshape(rows, columns, cell, *plane.shape[2:]).mean(axis=2))


def _levels(gains: np.ndarray, step: int) -> tuple[float, float]:
    """Median gains before the step, and at the end."""
    if not 0 < step < len(gains):
        raise OptionError(f"the step is at frame {step} of {len(gains)}; expected one of 1 to {len(gains) - 1}, so "
                          "that there are frames before and after: count from 0 to the first in the new light")
    following = len(gains) - step
    last = gains[len(gains) - min(following, max(3, following // 4)):]
    before, after = (float(np.median(part[np.isfinite(part)])) if np.isfinite(part).any() else math.nan
                     for part in (gains[:step], last))
    return before, after
