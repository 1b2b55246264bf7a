"""Whether a person's light follows an environment that turns: results of a test set that shows each performance in
several rotations of a map, held against their truths.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from harmovid.evaluate.relight import LEAST_ROTATIONS, Direction, LightingVector, light_direction
from harmovid.evaluate.testsets import Item
from harmovid.video import io

IN_VIEW = 75.0  # degrees between the dominant light and the axis of view, up to which a background tells of it


Turn = tuple[str, ...]
"""One performance under one map: names of its items, in the order of their rotations."""


def turns(items: Sequence[Item], names: Collection[str]) -> list[Turn]:
    """The performances of a set that are there in all rotations of one map, at least 8.

    Args:
        items: of the set; those of a turn have a `rotation` in their settings, and clip and variant in common.
        names: the items that count.
    """
    found: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        if item.name in names and "rotation" in item.settings:
            found.setdefault((item.clip, item.variant), []).append(item)
    most = max(map(len, found.values()), default=0)
    return [tuple(item.name for item in sorted(some, key=lambda item: float(item.settings["rotation"])))
            for some in found.values() if len(some) == most >= LEAST_ROTATIONS]


def in_view(items: Sequence[Item]) -> set[str]:
    """Names of the items whose dominant light lies within 75° of the axis of view (`off_axis` in their settings)."""
    return {item.name for item in items if float(item.settings.get("off_axis", np.inf)) <= IN_VIEW}


def vectors(pictures: Path, references: Path, turn: Turn) -> np.ndarray:
    """The lighting vectors (N, 2) of a turn's clips in `pictures`, against foreground/ and mask/ of `references`."""
    return np.stack([_vector(pictures, references, f"{name}.mkv") for name in turn])


def direction(found: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> Direction:
    """`light_direction` over turns, NaN where there are none. One of too few cells, a far figure's, is left out.

    Args:
        found: of each turn the vectors (N, 2) of the results.
        truth: of each turn those of the truths.
    """
    pairs = [pair for pair in zip(found, truth, strict=True) if all(np.isfinite(part).all() for part in pair)]
    if not pairs:
        return Direction(math.nan, math.nan)
    return light_direction(*(np.stack(side) for side in zip(*pairs, strict=True)))


def _vector(pictures: Path, references: Path, file: str) -> np.ndarray:
    vector = LightingVector()
    streams = (io.read(io.open_clip(pictures / file)), io.read(io.open_clip(references / "foreground" / file)),
               io.read(io.open_clip(references / "mask" / file), grey=True))
    for result, source, mask in zip(*streams, strict=False):  # a quick run's results are shorter
        vector.add(*(np.clip(frame.rgb, 0, 1).astype(np.float32) for frame in (result, source, mask)))
    return vector.value
