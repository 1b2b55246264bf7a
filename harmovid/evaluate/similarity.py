"""Structural similarity (SSIM) of a result to the truth.

As in `fidelity`: an accumulator that is fed frame by frame in constant memory, and a function that feeds it a whole
array. Frames are float32, display sRGB in [0, 1].
"""

from __future__ import annotations

import cv2
import numpy as np

from harmovid.errors import InputError
from harmovid.evaluate.fidelity import WeightedMean, check_frames, differing

TAPS, SIGMA = 11, 1.5  # of the window
K1, K2 = 0.01, 0.03
_C1, _C2 = K1**2, K2**2  # for values in [0, 1]
_WINDOW = cv2.getGaussianKernel(TAPS, SIGMA, cv2.CV_64F)  # (11, 1), its sum is 1


def ssim_map(result: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The SSIM index of every window that lies in the picture whole.

    Of a channel, with μ, σ², σ_xy the mean, variance and covariance under a Gaussian window of 11 × 11 taps and
    σ = 1.5 px, C1 = (0.01 L)², C2 = (0.03 L)², L = 1 (Wang et al. 2004, eq. 13):

        SSIM = (2 μ_x μ_y + C1) (2 σ_xy + C2) / ((μ_x² + μ_y² + C1) (σ_x² + σ_y² + C2))

    It is defined on one channel; here it is the mean over R, G and B, each by itself, so that a change of hue at equal
    luma is seen. The picture isn't reduced first, and no window reaches over its edge, as in the authors' definition.
    Equal, to rounding, to scikit-image's structural_similarity with gaussian_weights, use_sample_covariance=False,
    data_range=1, whose mean is over the same windows.

    Args:
        result, truth: (H, W, 3) float, H and W at least 11.

    Returns:
        (H − 10, W − 10) float64 in [−1, 1], of the windows' centres.

    Raises:
        InputError: shapes differ, not float, or smaller than the window.
    """
    check_frames(result, truth, None)
    _check_size(result)
    # In float64: μ² is taken off sums of squares, and C2 is no larger than what float32 would lose.
    x, y = result.astype(np.float64), truth.astype(np.float64)
    mean_x, mean_y = _blur(x), _blur(y)
    product, squares = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    covariance = _blur(x * y) - product
    variances = _blur(x * x + y * y) - squares
    index = (2 * product + _C1) * (2 * covariance + _C2) / ((squares + _C1) * (variances + _C2))
    return np.asarray(index @ np.full(3, 1 / 3))


class SSIM:
    """The SSIM of a clip, over whole frames and over the foreground: means of `ssim_map` over all its frames.

    The foreground's is weighted by the alpha at the windows' centres, Σ α · SSIM / Σ α; a window at the person's edge
    looks 5 px into the background.
    """

    def __init__(self) -> None:
        self._frame, self._foreground = WeightedMean(), WeightedMean()

    def add(self, result: np.ndarray, truth: np.ndarray, alpha: np.ndarray | None = None) -> None:
        """Take in a frame: (H, W, 3) float in [0, 1] twice, and the alpha (H, W), or None for the frame alone.

        Raises:
            InputError: shapes differ, not float, smaller than 11 × 11, a negative alpha, or values not finite.
        """
        check_frames(result, truth, alpha)
        index = _map_where_they_differ(result, truth)
        self._frame.add(index)
        if alpha is not None:
            inside = slice(TAPS // 2, -(TAPS // 2))
            self._foreground.add(index, alpha[inside, inside])

    @property
    def value(self) -> float:
        """SSIM of the frames so far, in [−1, 1], 1 for equal pictures; NaN before the first."""
        return self._frame.value

    @property
    def foreground(self) -> float:
        """SSIM of the foreground so far; NaN where there was none."""
        return self._foreground.value


def ssim(result: np.ndarray, truth: np.ndarray, alpha: np.ndarray | None = None) -> float:
    """SSIM of a frame (H, W, 3) or a clip (T, H, W, 3); of its foreground where an alpha (…, H, W) is given.

    Errors as in `SSIM`.
    """
    check_frames(result, truth, alpha)
    pooled = SSIM()
    for index in np.ndindex(result.shape[:-3]):
        pooled.add(result[index], truth[index], None if alpha is None else alpha[index])
    return pooled.value if alpha is None else pooled.foreground


def _map_where_they_differ(result: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """`ssim_map`, worked out where some pixel of a window differs; elsewhere it is 1 exactly."""
    _check_size(result)
    index = np.ones([side - TAPS + 1 for side in result.shape[:2]])
    box = differing(result, truth)
    if box is not None:
        top, left = (max(0, start - TAPS + 1) for start in box[:2])
        bottom, right = (end + TAPS - 1 for end in box[2:])
        near = ssim_map(result[top:bottom, left:right], truth[top:bottom, left:right])
        index[top:top + near.shape[0], left:left + near.shape[1]] = near
    return index


def _check_size(frame: np.ndarray) -> None:
    if frame.ndim != 3 or min(frame.shape[:2]) < TAPS:
        raise InputError(f"frames for SSIM are {frame.shape}; expected one frame (H, W, 3) of at least {TAPS} × "
                         f"{TAPS} pixels: give frames one by one, or render larger")


def _blur(planes: np.ndarray) -> np.ndarray:
    half = TAPS // 2
    return cv2.sepFilter2D(planes, cv2.CV_64F, _WINDOW, _WINDOW)[half:-half, half:-half]
