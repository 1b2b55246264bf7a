"""How sharp the person's edge is: on a band around the alpha's outline, against a real clip's own.

As in `fidelity`: an accumulator that is fed frame by frame in constant memory, and a function that feeds it a whole
array. Frames are float32, display sRGB in [0, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from harmovid.errors import InputError
from harmovid.evaluate.fidelity import check_frames
from harmovid.video.color import LUMA_BT709

BAND_SHARE = 0.01  # of the height: how far the band reaches to each side of the outline
_LEAST = 2  # px


@dataclass(frozen=True)
class Sharpness:
    """Two measures of focus over the band, in squared 8-bit codes, ≥ 0; NaN where there was no band."""

    laplacian_variance: float
    tenengrad: float


@dataclass(frozen=True)
class Boundary:
    """Sharpness of result and real clip, and of the first as a multiple of the second (NaN where that is 0)."""

    result: Sharpness
    real: Sharpness
    laplacian_ratio: float
    tenengrad_ratio: float


class BoundarySharpness:
    """Laplacian variance and Tenengrad of the person's boundary, in the result and in the real clip.

    With y = 255 · (0.2126 R + 0.7152 G + 0.0722 B) of the display values, over the pixels of the band in all frames:

        Laplacian variance = ⟨L²⟩ − ⟨L⟩²,   L = y ∗ [0 1 0; 1 −4 1; 0 1 0]
        Tenengrad = ⟨Gx² + Gy²⟩,            G = y ∗ Sobel 3 × 3, without a threshold

    Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000, whose Laplacian is a sixth of
    this one, OpenCV's; Krotkov, "Focusing", IJCV 1988, after Tenenbaum 1970. The band is the dilation less the
    erosion of alpha > 0.5 by a disc of 1% of the height, at least 2 px; where the frame cuts the person there is no
    edge.

    The ratio to the real clip is what compares: 1 is as sharp as filmed, below is blurred; above is harder than
    filmed, a cut-out's edge, ringing or noise, and no better. Both grow with the square of the contrast between
    person and background, so the real clip must have the result's background: the truth of a test set.
    """

    def __init__(self) -> None:
        self._pixels = 0
        self._sums = np.zeros((2, 3))  # of result and real: L, L², |G|²

    def add(self, result: np.ndarray, real: np.ndarray, alpha: np.ndarray) -> None:
        """Take in a frame: (H, W, 3) float in [0, 1] twice, and the alpha (H, W).

        Raises:
            InputError: shapes differ, not one frame, or not float.
        """
        check_frames(result, real, alpha)
        if result.ndim != 3:
            raise InputError(f"a frame is (H, W, 3), got {result.shape}; feed one frame at a time")
        x, y, width, height = cv2.boundingRect((alpha > 0.5).astype(np.uint8))
        if not width:
            return
        reach = band_reach(len(alpha)) + 2  # the band, and what the filters look at beyond it
        near = np.s_[max(0, y - reach):y + height + reach, max(0, x - reach):x + width + reach]
        band = _band(alpha[near], band_reach(len(alpha)))
        self._pixels += int(band.sum())
        for n, picture in enumerate((result, real)):
            luma = np.asarray(picture[near], np.float32) @ (LUMA_BT709 * np.float32(255))
            laplacian = cv2.Laplacian(luma, cv2.CV_32F)[band]
            across, down = (cv2.Sobel(luma, cv2.CV_32F, *order)[band] for order in ((1, 0), (0, 1)))
            self._sums[n] += [float(values.sum(dtype=np.float64)) for values in (
                laplacian, np.square(laplacian), np.square(across) + np.square(down))]

    @property
    def value(self) -> Boundary:
        """The sharpness so far."""
        result, real = (self._sharpness(sums) for sums in self._sums)
        return Boundary(result, real, _ratio(result.laplacian_variance, real.laplacian_variance),
                        _ratio(result.tenengrad, real.tenengrad))

    def _sharpness(self, sums: np.ndarray) -> Sharpness:
        if not self._pixels:
            return Sharpness(math.nan, math.nan)
        mean, square, gradient = (float(total) / self._pixels for total in sums)
        return Sharpness(max(square - mean * mean, 0.0), gradient)


def boundary_sharpness(result: np.ndarray, real: np.ndarray, alpha: np.ndarray) -> Boundary:
    """Boundary sharpness of a frame (H, W, 3), alpha (H, W), or a clip (T, H, W, 3); see `BoundarySharpness`."""
    sharpness = BoundarySharpness()
    if result.ndim == 3:
        result, real, alpha = result[None], real[None], alpha[None]
    check_frames(result, real, alpha)
    for frames in zip(result, real, alpha, strict=True):
        sharpness.add(*frames)
    return sharpness.value


def edge_band(alpha: np.ndarray) -> np.ndarray:
    """The band around the outline of an alpha (H, W): (H, W) bool; see `BoundarySharpness`."""
    return _band(alpha, band_reach(len(alpha)))


def band_reach(height: int) -> int:
    """How far the band reaches to each side, in pixels: 1% of the height, at least 2."""
    return max(_LEAST, round(height * BAND_SHARE))


def _band(alpha: np.ndarray, reach: int) -> np.ndarray:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    band = cv2.morphologyEx((alpha > 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, disc)  # dilation less erosion
    return np.asarray(band, bool)


def _ratio(result: float, real: float) -> float:
    return result / real if real > 0 else math.nan
