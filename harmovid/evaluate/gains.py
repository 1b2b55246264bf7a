"""What a method gained on a test set over doing nothing, by how far off the composites were."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harmovid.errors import InputError
from harmovid.evaluate.rows import Row

BANDS = ((-math.inf, 14.0), (14.0, 19.0), (19.0, math.inf))  # dB of the untouched composite: low <= psnr < high
WORSE = 0.5  # dB; an item that loses more counts as worse


@dataclass(frozen=True)
class Band:
    """Items whose untouched composite has low <= PSNR < high dB. gain: mean, dB; NaN where there is none."""

    low: float
    high: float
    count: int
    gain: float


@dataclass(frozen=True)
class Gains:
    """What a method gained over the untouched composites; all in dB of the foreground's PSNR, means of items.

    items: by name, after less before. worse: share of items, 0..1, that lost more than 0.5 dB.
    """

    items: dict[str, float]
    before: float
    after: float
    gain: float
    worse: float
    bands: tuple[Band, ...]


def gains(rows: list[Row], untouched: list[Row]) -> Gains:
    """Compare a method with doing nothing.

    Args:
        rows: of `score_set` for the method.
        untouched: the same for strength 0, `Options(strength=0)`, through the same path.

    Raises:
        InputError: the two are not of the same items.
    """
    after, before = ({row["clip"]: float(row["foreground_psnr"]) for row in of} for of in (rows, untouched))
    if after.keys() != before.keys() or not after:
        raise InputError(f"{len(after)} results and {len(before)} untouched composites are not of the same items; run "
                         "both over the whole set")
    items = {name: after[name] - before[name] for name in sorted(after)}
    bands = []
    for low, high in BANDS:
        inside = [items[name] for name in items if low <= before[name] < high]
        bands.append(Band(low, high, len(inside), _mean(inside)))
    return Gains(items, _mean(list(before.values())), _mean(list(after.values())), _mean(list(items.values())),
                 sum(gain < -WORSE for gain in items.values()) / len(items), tuple(bands))


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
