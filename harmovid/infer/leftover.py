"""The gain that the grid of the light transfer leaves over: rim light, the edge of a shadow, as a map of view size.

All pictures are those of the view, (H, W, 3) float32 scene-linear.
"""

from __future__ import annotations

import cv2
import numpy as np

from harmovid.infer import apply
from harmovid.video.color import LUMA_BT709

_EPS = np.float32(0.004)  # scene-linear: about the noise of an 8-bit black
_MOST = 4 * np.log(np.float32(2))  # log gain, the most that is left over
_SHARP = 0.3  # view pixels: the least that a gain left over is smoothed


def left_over(reference: np.ndarray, result: np.ndarray, predicted: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """What one frame leaves over, in a form whose mean over time is weighted by what each frame knows.

    Args:
        reference, result: the view before and after the harmonizer.
        predicted: what the grid makes of the reference.
        covered: (H, W), the weight of each pixel; 0 where background is seen.

    Returns:
        (H, W, 4): log gain in R, G, B times its weight, and that weight.
    """
    gain = np.log((np.maximum(result, 0) + _EPS) / (np.maximum(predicted, 0) + _EPS))
    # Near black a gain is mostly noise: trust it by the light that is there.
    light = np.maximum(reference @ LUMA_BT709, result @ LUMA_BT709)
    trust = covered * (light / (light + 2 * _EPS))
    return np.dstack([trust[..., None] * np.clip(gain, -_MOST, _MOST), trust])


def residual(sums: np.ndarray, reference: np.ndarray, covered: np.ndarray, detail: float, grain: float) -> np.ndarray:
    """The gain left over as a map over the whole view, and how it goes along the guide.

    Args:
        sums: (H, W, 4), as `left_over` gives them, of one frame or a mean over time.
        reference, covered: as there.
        detail: Gaussian sigma, view pixels, by which the gain is smoothed where it does not stand out from the grain.
        grain: deviation of a harmonizer's noise as a log gain.

    Returns:
        (H, W, 5) float32: log gain in R, G, B; its slope along the guide; the guide itself.
    """
    least = min(_SHARP, detail)
    smooth, _ = _extended(sums[..., :3], sums[..., 3], detail)
    sharp, known = _extended(sums[..., :3], sums[..., 3], least)
    left = smooth + _standing_out(sharp - smooth, known, grain) * (sharp - smooth)
    # The guide too is the person's alone, carried outward: else a white wall turns the hair before it.
    seen = apply.guide(reference) * covered
    guide, known = _extended(seen[..., None], covered, least)
    slope = _slope(left @ LUMA_BT709, guide[..., 0], known)
    return np.dstack([left, slope, guide]).astype(np.float32)


def _standing_out(detail: np.ndarray, known: np.ndarray, grain: float) -> np.ndarray:
    """(H, W, 1): Wiener's factor, max(σ² − grain², 0) / σ², σ² the local variance of a log gain's detail (H, W, 3)."""
    there = (known > 0.02).astype(np.float32)
    square = np.square(detail @ LUMA_BT709) * there
    variance = cv2.GaussianBlur(square, (0, 0), 1) / np.maximum(cv2.GaussianBlur(there, (0, 0), 1), 1e-3)
    return (np.maximum(variance - grain**2, 0) / np.maximum(variance, 1e-12))[..., None]


def _extended(left: np.ndarray, known: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Σ wr and Σ w as r, smoothed by `sigma` and carried outward beyond where w > 0."""
    total, count = np.zeros_like(left), np.zeros_like(known)
    fade = np.float32(1.0)
    for reach in (sigma, 1.5, 4.0, 10.0):
        if reach <= 0:
            a, b = left, known
        else:
            a = cv2.GaussianBlur(left, (0, 0), reach, borderType=cv2.BORDER_CONSTANT).reshape(left.shape)
            b = cv2.GaussianBlur(known, (0, 0), reach, borderType=cv2.BORDER_CONSTANT)
        total += fade * a
        count += fade * b
        fade *= np.float32(1e-3)  # a wider reach speaks only where the nearer ones are silent
    # The last term draws to no gain where nothing is known, even far away.
    return total / (count + np.float32(1e-10))[..., None], count


def _slope(left: np.ndarray, guide: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Local regression slope of the gain left over on the guide (He & Sun, Fast Guided Filter, 2015)."""
    weight = (known > 0.02).astype(np.float32)

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values * weight, (3, 3)) / np.maximum(cv2.blur(weight, (3, 3)), 1e-3)

    m_g, m_r = mean(guide), mean(left)
    covariance = mean(guide * left) - m_g * m_r
    variance = mean(guide * guide) - m_g * m_g
    slope = covariance / (np.maximum(variance, 0) + 0.02**2)
    return np.clip(cv2.blur(slope * weight, (3, 3)), -4, 4)
