"""Hanging hair: past the face, before or behind the shoulders, down to where it is cut.

All places are told on the template's head, metres: jaw 0.62 high, chin 0.585, tops of the shoulders near 0.50.
"""

import numpy as np
import numpy.typing as npt

from harmovid.lightstage.noise import ramp

Floats = npt.NDArray[np.floating]

CHEST, BACK = 0.095, -0.065
"""How far forward hair comes to lie that falls before the shoulders, or behind them."""

# Half the width of what no long hair crosses: forehead, cheeks, throat, chest, by height.
_HEIGHTS = [0.40, 0.50, 0.56, 0.59, 0.66, 0.72, 0.738, 0.757, 0.765, 0.775]
_HALF = [0.036, 0.046, 0.054, 0.058, 0.063, 0.063, 0.056, 0.045, 0.028, 0.0]


def steered(direction: Floats, place: Floats, side: Floats, rest: Floats) -> Floats:
    """Directions (N, 3) of strands that have come to `place` (N, 3).

    Below the jaw hair spreads no further, for the neck is narrower than the head; it turns to the chest or the back
    before the shoulders would bear it like a cape. `side` (N,): −1 or 1; `rest` (N,): where it lies, CHEST or BACK.
    """
    x, y, z = place.T
    low = ramp(y, 0.645, 0.58)
    spread = np.clip(direction[:, 0] * side, 0, None) * ramp(x * side, 0.055, 0.085) * low
    inward = 0.5 * low * ramp(x * side, 0.080, 0.115)
    forward = 0.55 * low * np.clip((rest - z) / 0.05, -1, 1)
    return direction + np.stack([-side * (spread + inward), 0 * x, forward], 1)


def parted(
    strands: Floats, offset: Floats, side: Floats, held: Floats, generator: np.random.Generator
) -> Floats:
    """Strands (N, K, 3) moved aside where they would cross the face, the throat or the chest.

    `offset` (3,): from the template to the body. `side` (N,): −1 or 1. `held` (N,) in [0, 1]: 0 for a fringe, which
    is meant to be there.
    """
    x, y, z = np.moveaxis(strands - offset, -1, 0)
    half = np.interp(y, _HEIGHTS, _HALF, left=_HALF[0])
    half = half + 0.004 * generator.random((len(strands), 1)) * ramp(y, 0.75, 0.71)  # no two hang in one line
    neck = 0.02 * ramp(y, 0.62, 0.58)
    before = ramp(z, 0.045 - neck, 0.075 - neck)
    # Not at the hairline: roots stay where they are, or the parting would be a bare wedge.
    aside = before * np.clip(half - x * side[:, None], 0, None) * held[:, None] * ramp(y, 0.762, 0.748)
    # Beside the face it keeps to the mass about the ears: single hairs before a cheek would be lines drawn on it.
    beside = ramp(y, 0.755, 0.72) * ramp(y, 0.57, 0.60) * held[:, None]
    back = 0.7 * beside * np.clip(z - 0.058, 0, None)
    return strands + np.stack([aside * side[:, None], 0 * aside, -back], -1)


def cut(strands: Floats, heights: Floats) -> tuple[Floats, Floats]:
    """Strands (N, K, 3) that end where they first sink below `heights` (N,), of as many points; and the share (N,) of
    each that is left, at least a fifth.
    """
    steps = strands.shape[1]
    below = strands[..., 1] < heights[:, None]
    first = np.where(below.any(1), below.argmax(1), steps - 1)
    left = np.maximum(first, (steps - 1) / 5) / (steps - 1)
    at = left[:, None] * np.arange(steps)
    low = np.minimum(at.astype(int), steps - 2)
    part = (at - low)[..., None]
    row = np.arange(len(strands))[:, None]
    return strands[row, low] * (1 - part) + strands[row, low + 1] * part, left
