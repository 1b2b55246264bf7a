"""How near a result is to the truth, and what it keeps of the source's texture and of the background.

Every measure is a small accumulator, fed frame by frame in constant memory, and a function that feeds
it a whole array. Frames are float32, display sRGB in [0, 1]. Sums are kept in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from harmovid.errors import InputError
from harmovid.video.color import LUMA_BT709

WINDOW_SHARE = 0.01  # of the height: the window of `Texture`, as in HarmoVid's design
NOISE = 1.5 / 255  # display noise of ordinary 8-bit footage, as a standard deviation


class WeightedMean:
    """Σ w x / Σ w over all values that were added, summed in float64."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._weight = 0.0

    def add(self, values: np.ndarray, weight: np.ndarray | None = None) -> None:
        """Take in values, and a weight ≥ 0 of the same shape; 1 everywhere where None.

        Raises:
            InputError: a negative weight, or values that are not finite.
        """
        if weight is None:
            total, count = float(values.sum(dtype=np.float64)), float(values.size)
        else:
            if weight.size and weight.min() < 0:
                raise InputError(f"a weight is never negative, got {float(weight.min()):.4g}; "
                                 "clip the alpha to 0..1")
            total = float((values * weight).sum(dtype=np.float64))
            count = float(weight.sum(dtype=np.float64))
        if not math.isfinite(total + count):
            raise InputError("a frame holds NaN or infinite values; expected display sRGB in 0..1: "
                             "mend or clip it")
        self._sum += total
        self._weight += count

    @property
    def value(self) -> float:
        """The mean so far; NaN while no weight was seen."""
        return self._sum / self._weight if self._weight > 0 else math.nan


class SquaredError:
    """The squared error of a clip, pooled over all its frames: mean squared error, RMSE and PSNR.

    MSE = Σ w · mean over RGB (result − truth)² / Σ w, both sums over all pixels of all frames, and
    PSNR = 10 log10(peak² / MSE). With the alpha as w, it is the error of the foreground alone. The
    MSE is pooled before the logarithm, so that one perfect frame can't make a clip's PSNR infinite.
    """

    def __init__(self) -> None:
        self._mean = WeightedMean()

    def add(self, result: np.ndarray, truth: np.ndarray, weight: np.ndarray | None = None) -> None:
        """Take in a frame, or several.

        Args:
            result, truth: (..., H, W, 3) float, same shape.
            weight: (..., H, W) ≥ 0, for instance the alpha; 1 everywhere where None.

        Raises:
            InputError: shapes differ, not float, a negative weight, or values that are not finite.
        """
        check_frames(result, truth, weight)
        self._mean.add(squared_difference(result, truth), weight)

    @property
    def mse(self) -> float:
        """Mean squared error, ≥ 0; NaN while no weight was seen."""
        return self._mean.value

    @property
    def rmse(self) -> float:
        """Root mean squared error, ≥ 0, in units of the frames; NaN while no weight was seen."""
        return math.sqrt(self.mse)

    def psnr(self, peak: float = 1.0) -> float:
        """Peak signal-to-noise ratio in dB; infinite for equal frames, NaN while no weight was seen."""
        if self.mse == 0:
            return math.inf
        return 10 * math.log10(peak * peak / self.mse)


def psnr(result: np.ndarray, truth: np.ndarray, weight: np.ndarray | None = None, peak: float = 1.0) -> float:
    """PSNR in dB of a frame or of a whole clip; arguments and errors as in `SquaredError`.

    Returns:
        10 log10(peak² / MSE); infinite for equal frames, NaN where the weight is 0 everywhere.
    """
    pooled = SquaredError()
    pooled.add(result, truth, weight)
    return pooled.psnr(peak)


def rmse(result: np.ndarray, truth: np.ndarray, weight: np.ndarray | None = None) -> float:
    """RMSE of a frame or of a whole clip, ≥ 0; arguments and errors as in `SquaredError`."""
    pooled = SquaredError()
    pooled.add(result, truth, weight)
    return pooled.rmse


class Texture:
    """How much of the source's fine texture is kept, whatever the light does; HarmoVid's own definition.

    With y = 0.2126 R + 0.7152 G + 0.0722 B of the display values (where noise is about as strong in
    shadow as in light), and ⟨·⟩ the mean over a square window of 1% of the height (odd, at least 5 px):

        d = y − ⟨y⟩,   σ² = ⟨d²⟩,   n = d / (σ + ε),   ε = 1e-5
        w = max(σ_source² − ν², 0) / σ_source²   where the foreground is whole, else 0
        texture = Σ w n_result n_source / max(Σ w n_result², Σ w n_source²)

    in [−1, 1]: 1 for an identical picture, about 0 for unrelated or absent texture. Both n have about
    unit variance, so this is their correlation, but with a denominator that texture wiped out of a part
    of the picture can't shrink (n_result = 0 there): the part counts as 0. Light that varies little
    within a window is a gain and an offset there, which n doesn't see. w is the share of the
    source's local variance above its noise ν (the Wiener filter's own factor): flat areas hold noise
    alone and count nothing, while skin counts as much as a strong edge, which σ² itself would let win.
    The foreground is whole where alpha > 0.9 over every pixel that d and σ look at, so that no
    background takes part. The sums run over all frames of a clip.
    """

    def __init__(self, noise: float = NOISE) -> None:
        """`noise` is ν, the standard deviation of the source's noise in display units."""
        self._noise = noise
        self._sums = np.zeros(3)

    def add(self, result: np.ndarray, source: np.ndarray, alpha: np.ndarray) -> None:
        """Take in a frame: (H, W, 3) float in [0, 1] twice, and the alpha (H, W).

        Raises:
            InputError: shapes differ, or not float.
        """
        check_frames(result, source, alpha)
        side = texture_window(result.shape[0])
        # d looks half a window around, σ another half around that.
        reach = np.ones((2 * side - 1, 2 * side - 1), np.uint8)
        whole = cv2.erode((alpha > 0.9).astype(np.uint8), reach)
        if not whole.any():
            return
        n_result, _ = _normalised(result, side)
        n_source, variance = _normalised(source, side)
        weight = whole * np.maximum(variance - self._noise**2, 0) / np.maximum(variance, 1e-12)
        self._sums += [
            float((weight * product).sum(dtype=np.float64))
            for product in (n_result * n_source, n_result * n_result, n_source * n_source)
        ]

    @property
    def value(self) -> float:
        """The correlation so far; 0 for a result without texture, NaN while the source shows none."""
        both, of_result, of_source = (float(total) for total in self._sums)
        if not of_source:
            return math.nan
        return both / max(of_result, of_source)


def texture(result: np.ndarray, source: np.ndarray, alpha: np.ndarray, noise: float = NOISE) -> float:
    """Texture of a frame (H, W, 3), alpha (H, W), or a clip (T, H, W, 3), alpha (T, H, W); see `Texture`.

    Returns:
        Correlation in [−1, 1], 1 for an identical picture; NaN where the foreground has no texture.
    """
    pooled = Texture(noise)
    if result.ndim == 3:
        result, source, alpha = result[None], source[None], alpha[None]
    check_frames(result, source, alpha)
    for frames in zip(result, source, alpha, strict=True):
        pooled.add(*frames)
    return pooled.value


def texture_window(height: int) -> int:
    """Side in pixels of `Texture`'s window: the odd number nearest to 1% of the height, at least 5."""
    return max(5, 2 * math.floor(height * WINDOW_SHARE / 2) + 1)


@dataclass(frozen=True)
class Exactness:
    """Whether the background is the one that was given.

    fraction: of the pixels outside the foreground, those whose three codes are equal, in [0, 1]; NaN
        where there is no such pixel.
    max_difference: the largest difference of a code there, in display units (1 code of 8 bits = 1/255).
    pixels: how many pixels lie outside the foreground.
    """

    fraction: float
    max_difference: float
    pixels: int


class BackgroundExactness:
    """Counts pixels of the background that kept their code values; HarmoVid's own definition.

    A pixel is background where its alpha's 8-bit code is 0. It is exact where round(v · (2^bits − 1))
    is the same in result and background for R, G and B.
    """

    def __init__(self, bits: int = 8) -> None:
        """`bits` per channel of the codes, 1 to 16: those of the shallower of the two clips."""
        assert 1 <= bits <= 16, bits
        self._peak = np.float32(2**bits - 1)
        self._changed = self._pixels = 0
        self._largest = 0.0

    def add(self, result: np.ndarray, background: np.ndarray, alpha: np.ndarray) -> None:
        """Take in a frame, or several: (..., H, W, 3) float twice, and the alpha (..., H, W).

        Raises:
            InputError: shapes differ, or not float.
        """
        check_frames(result, background, alpha)
        outside = np.rint(alpha * np.float32(255)) <= 0
        self._pixels += int(outside.sum())
        # Rounded is only what is not equal as it is, mostly next to nothing.
        outside &= _unlike(result, background)
        codes = np.rint(result[outside] * self._peak) - np.rint(background[outside] * self._peak)
        worst = np.abs(codes).max(axis=-1, initial=0)
        self._changed += int((worst > 0).sum())
        self._largest = max(self._largest, float(worst.max(initial=0)) / float(self._peak))

    @property
    def value(self) -> Exactness:
        """The count so far."""
        fraction = 1 - self._changed / self._pixels if self._pixels else math.nan
        return Exactness(fraction, self._largest, self._pixels)


def background_exactness(result: np.ndarray, background: np.ndarray, alpha: np.ndarray,
                         bits: int = 8) -> Exactness:
    """Exactness of a frame or of a whole clip; arguments and errors as in `BackgroundExactness`."""
    pooled = BackgroundExactness(bits)
    pooled.add(result, background, alpha)
    return pooled.value


def squared_difference(result: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The square of what two pictures (..., H, W, 3) differ by, (..., H, W), averaged over R, G and B."""
    difference = result - other
    # One pass in place of numpy's mean over an axis of three, which takes most of the time of a PSNR.
    return np.asarray(np.einsum("...c,...c->...", difference, difference) / difference.dtype.type(3))


def differing(result: np.ndarray, other: np.ndarray) -> tuple[int, int, int, int] | None:
    """The box, (top, left, bottom, right), that holds all pixels in which two pictures (H, W, 3) differ, or None."""
    where = cv2.boundingRect(_unlike(result, other).view(np.uint8))
    left, top, width, height = where
    return (top, left, top + height, left + width) if width else None


def check_frames(result: np.ndarray, other: np.ndarray, weight: np.ndarray | None) -> None:
    """Check that two frames (..., H, W, 3), and a weight (..., H, W), belong together.

    Raises:
        InputError: shapes differ, or values are integers.
    """
    if result.shape != other.shape or result.ndim < 3 or result.shape[-1] != 3:
        raise InputError(f"frames to compare are {result.shape} and {other.shape}; expected the same "
                         "(..., H, W, 3) twice: resize one to the other")
    if weight is not None and weight.shape != result.shape[:-1]:
        raise InputError(f"the mask is {weight.shape}, the frames {result.shape}; expected "
                         f"{result.shape[:-1]}: resize the mask")
    for values in (result, other) if weight is None else (result, other, weight):
        if not np.issubdtype(values.dtype, np.floating):
            raise InputError(f"frames and masks are float in 0..1, got {values.dtype}; "
                             "divide by the largest code")


def _normalised(rgb: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    # The mean is removed before squaring, so float32 keeps small variances on bright ground.
    luma = np.asarray(rgb, np.float32) @ LUMA_BT709
    detail = luma - cv2.blur(luma, (side, side), borderType=cv2.BORDER_REFLECT_101)
    # A running sum of squares may end a rounding below zero.
    variance = np.maximum(cv2.blur(detail * detail, (side, side), borderType=cv2.BORDER_REFLECT_101), 0)
    return detail / (np.sqrt(variance) + np.float32(1e-5)), variance


def _unlike(result: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where any channel of (..., 3) differs; ten times quicker than numpy's `any` over an axis of three."""
    red, green, blue = np.moveaxis(result != other, -1, 0)
    return np.asarray(red | green | blue)
