"""Whether light that really moves is kept: what smooths over time flattens it, and what steadies must not."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from harmovid.errors import InputError
from harmovid.evaluate.fidelity import check_frames
from harmovid.evaluate.temporal import DARK, LEAST_CHANGE
from harmovid.video.color import luminance, to_linear

_STILL = 1e-6  # natural log: light that deviates by less stays the same


class Movement(NamedTuple):
    """How the foreground's light moves, held against the truth's.

    correlation: in [−1, 1], 1 where it moves at the same times; flicker lowers it, and light that stays has 0.
    slope: 1 where it moves as far, 0 where it stays. Flicker alone leaves it as it is.
    """

    correlation: float
    slope: float


def movement(light: np.ndarray, wanted: np.ndarray) -> Movement:
    """Correlation and regression slope of a result's light on the truth's, over time; HarmoVid's own definition.

    With l and w the `foreground_light` of result and truth, less their means over t:

        correlation = Σ l w / √(Σ l² Σ w²),   slope = Σ l w / Σ w²

    Args:
        light: (T,) natural log of the result's light; NaN where it is unknown, such frames are left out.
        wanted: (T,) of the truth's.

    Returns:
        Both NaN where the truth's standard deviation is below 0.02, or nothing is known.

    Raises:
        InputError: the two are of different length, or not (T,).
    """
    if light.shape != wanted.shape or light.ndim != 1:
        raise InputError(f"light over time is {light.shape} and {wanted.shape}; expected (T,) twice: a number for each "
                         "frame of the same clip")
    known = np.isfinite(light) & np.isfinite(wanted)
    if not known.any():
        return Movement(math.nan, math.nan)
    own, true = (values[known] - values[known].mean(dtype=np.float64) for values in (light, wanted))
    both, spread, far = (float(np.mean(values)) for values in (own * true, own * own, true * true))
    if math.sqrt(far) < LEAST_CHANGE:
        return Movement(math.nan, math.nan)
    correlation = both / math.sqrt(spread * far) if math.sqrt(spread) >= _STILL else 0.0
    return Movement(min(1.0, max(-1.0, correlation)), both / far)


def foreground_light(picture: np.ndarray, alpha: np.ndarray) -> float:
    """The foreground's mean light in a frame, natural log: log(Σ α Y / Σ α), Y the linear luminance (BT.709).

    Means below 0.002, where an 8-bit code alone is a step in the log, count as that.

    Args:
        picture: (H, W, 3) float32, display sRGB in [0, 1].
        alpha: (H, W) in [0, 1].

    Returns:
        NaN where the alpha is 0 everywhere.

    Raises:
        InputError: shapes differ, not one frame, or not float.
    """
    check_frames(picture, picture, alpha)
    if picture.ndim != 3:
        raise InputError(f"a frame is (H, W, 3), got {picture.shape}; feed one frame at a time")
    x, y, width, height = cv2.boundingRect((alpha > 0).astype(np.uint8))
    part = np.s_[y:y + height, x:x + width]
    weight = float(alpha[part].sum(dtype=np.float64))
    if weight <= 0:
        return math.nan
    lit = float((luminance(to_linear(picture[part], "srgb")) * alpha[part]).sum(dtype=np.float64))
    return math.log(max(lit / weight, DARK))
