"""Each frame's own correction, as a smooth gain in which what moved too fast for the codec has no say.

A deflickering network answers in a codec that holds four frames in one latent: where a hand passes quickly, its picture
shows the hand and what lies behind it at once. Held against the frame itself that looks like a change of light, and is
none. Light is smooth, and ghosts are not: so the gain between the two is fitted from coarse to fine, and a pixel that
departs from the gain of its surroundings is left out of the next fit (iteratively reweighted least squares; Holland
and Welsch, "Robust regression using iteratively reweighted least-squares", 1977, with their exponential weight).
"""

from __future__ import annotations

import cv2
import numpy as np

from harmovid.video.color import from_linear, to_linear

_FITS = ((16.0, 0.5), (8.0, 0.3), (4.0, 0.2), (2.0, 0.15))
"""From coarse to fine: sigma of the Gaussian, pixels of the view; a departure, natural log, that counts little."""
EPSILON = np.float32(0.01)
"""Scene-linear, added to light before its logarithm: nearer to black a quotient is the codec's noise."""

_DIM = np.float32(0.02)  # scene-linear: light of which half is known
_PRIOR = np.float32(0.05)  # pixels' weight of the coarser gain: where all depart from it, it holds
_COLOUR = np.float32(8)  # how much more a departure of colour counts than one of brightness
_NOWHERE = np.float32(1e-6)  # weight of what the mask does not cover


def corrected(reference: np.ndarray, result: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The reference under the smooth gain that best leads to the result, frame by frame.

    With r = log((result + ε) / (reference + ε)) in scene-linear light, and a weight w per pixel, each fit is

        g = (blur(w r) + p g₀) / (blur(w) + p),    w = α · light · exp(−½ mean_rgb (r − g₀)² / τ²)

    of g₀, the one before it; the first is the median over the subject. Beside the mean over R, G, B stands 8 times the
    variance between them: light changes its colour less than a hand that is gone.

    Args:
        reference, result: (3, T, H, W), display sRGB in [0, 1]. mask: (1, T, H, W), α, the subject.

    Returns:
        (3, T, H, W), display sRGB in [0, 1], as `relit`.
    """
    frames = zip(reference.transpose(1, 2, 3, 0), result.transpose(1, 2, 3, 0), mask[0], strict=True)
    made = [relit(before, _gain(to_linear(before, "srgb"), to_linear(after, "srgb"), alpha[..., None]), alpha)
            for before, after, alpha in frames]  # (H, W, 3) each
    return np.stack(made).transpose(3, 0, 1, 2)


def relit(picture: np.ndarray, gain: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """A picture under a gain: light + α (e^g − 1) (light + ε), in scene-linear light.

    Args:
        picture: (H, W, 3), display sRGB in [0, 1]. gain: (H, W, 3), natural log. alpha: (H, W).

    Returns:
        (H, W, 3), display sRGB in [0, 1]; where α is 0, `picture` but for rounding.
    """
    light = to_linear(picture, "srgb")
    made = light + alpha[..., None] * (np.exp(gain) - 1) * (light + EPSILON)
    return from_linear(np.maximum(made, 0), "srgb").clip(0, 1)


def _gain(before: np.ndarray, after: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Natural log, (H, W, 3), of two pictures (H, W, 3) in linear light."""
    change = np.log((after + EPSILON) / (before + EPSILON))
    subject = change[alpha[..., 0] > 0.5]
    if not len(subject):
        return np.zeros_like(change)
    light = before.mean(axis=2, keepdims=True)
    known = alpha * light / (light + _DIM) + _NOWHERE
    gain = np.broadcast_to(np.median(subject, axis=0), change.shape)
    for sigma, least in _FITS:
        weight = known * np.exp(-0.5 * departure(change - gain) / least**2)
        gain = (blurred(weight * change, sigma) + _PRIOR * gain) / (blurred(weight, sigma) + _PRIOR)
    return gain


def departure(change: np.ndarray) -> np.ndarray:
    """The square of how far log gains, (…, 3), are from none, (…, 1); a change of colour counts for more."""
    return np.square(change).mean(axis=-1, keepdims=True) + _COLOUR * change.var(axis=-1, keepdims=True)


def blurred(plane: np.ndarray, sigma: float) -> np.ndarray:
    """Blurred by a Gaussian, (H, W, C) to the same; `sigma` in pixels."""
    soft = cv2.GaussianBlur(np.ascontiguousarray(plane, np.float32), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return soft.reshape(plane.shape)
