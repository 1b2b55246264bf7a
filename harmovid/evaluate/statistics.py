"""How sure a mean is: the bootstrap over clips, and the exact sign test.

Composites of one clip share person, camera and background, and are not independent. So whole clips are drawn, each
with all its items.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

RESAMPLES = 10_000
SEED = 0
LEVEL = 0.95  # share of the resamples' means within the interval


@dataclass(frozen=True)
class Estimate:
    """A mean over items and its 95% interval.

    mean: of the items, not of the clips' means. low, high: NaN where fewer than two clips have the figure, for nothing
    can be said then. items, clips: how many the mean is of.
    """

    mean: float
    low: float
    high: float
    items: int
    clips: int


def bootstrap(values: Sequence[float], clips: Sequence[str], resamples: int = RESAMPLES, seed: int = SEED) -> Estimate:
    """The mean and its percentile interval, clips drawn with replacement (Efron 1979; cluster bootstrap).

    A resample's mean is Σ w_c S_c / Σ w_c n_c, with w_c how often clip c was drawn, S_c the sum of its n_c values.

    Args:
        values: one per item, finite; at least one.
        clips: of each item, the clip it was made of.
        resamples: how many.
        seed: the same gives the same interval.
    """
    assert values and len(values) == len(clips), (len(values), len(clips))
    mean = math.fsum(values) / len(values)
    _, place = np.unique(np.array(clips), return_inverse=True)
    number = int(place.max()) + 1
    if number < 2:
        return Estimate(mean, math.nan, math.nan, len(values), number)
    if min(values) == max(values):  # rounding would give a width
        return Estimate(mean, mean, mean, len(values), number)
    # Around the mean, so that small differences of large figures keep their digits.
    sums = np.bincount(place, np.array(values) - mean, number)
    drawn = _drawn(number, resamples, seed)
    means = mean + (drawn @ sums) / (drawn @ np.bincount(place, minlength=number))
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(mean, float(low), float(high), len(values), number)


def paired(after: Mapping[str, float], before: Mapping[str, float], clips: Mapping[str, str]) -> Estimate | None:
    """The mean difference, after less before, of the items that both have; None where there is none.

    Args:
        after, before: figures by item.
        clips: by item, the clip it was made of.
    """
    both = [name for name in sorted(after) if name in before]
    if not both:
        return None
    return bootstrap([after[name] - before[name] for name in both], [clips[name] for name in both])


def sign_test(gained: int, lost: int) -> float:
    """The chance, in [0, 1], of a split at least as uneven, were gain and loss equally likely (two-sided, exact).

    min(1, 2 Σ_{k ≤ min(gained, lost)} C(n, k) / 2ⁿ), n = gained + lost; ties are left out beforehand.
    """
    trials = gained + lost
    tail = sum(math.comb(trials, k) for k in range(min(gained, lost) + 1))
    return min(1.0, 2 * tail / 2**trials)


@lru_cache(maxsize=4)
def _drawn(clips: int, resamples: int, seed: int) -> np.ndarray:
    """(resamples, clips) float64: how often each clip was drawn."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(clips, np.full(clips, 1 / clips), size=resamples).astype(np.float64)
