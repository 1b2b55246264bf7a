"""How steady a result is in time.

As in `fidelity`: accumulators that are fed frame by frame in constant memory, and functions that feed
them a whole array. Frames are float32, display sRGB in [0, 1].
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from harmovid.errors import InputError
from harmovid.evaluate.fidelity import check_frames
from harmovid.video.color import luminance, to_linear

CELL = 8
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
        covered = self._mean(alpha)
        if self._last and self._last[-1][1].shape != covered.shape:
            raise InputError(f"the frame is {result.shape[:2]}, of another size than the frame before; "
                             "expected one size for the whole clip")
        of_result = self._mean(luminance(to_linear(result, "srgb")) * alpha)
        of_reference = self._mean(luminance(to_linear(reference, "srgb")) * alpha)
        usable = (covered > 0.5) & (of_reference > DARK * covered)
        ratio = np.ones(covered.shape)
        np.divide(of_result, of_reference, out=ratio, where=usable)
        gain = np.clip(np.log(np.maximum(ratio, 1e-9)), -_STOPS, _STOPS)
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

    def _mean(self, plane: np.ndarray) -> np.ndarray:
        cell, (rows, columns) = self._cell, (side // self._cell for side in plane.shape)
        cells = plane[: rows * cell, : columns * cell].reshape(rows, cell, columns, cell)
        return cells.mean(axis=(1, 3), dtype=np.float64)


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
