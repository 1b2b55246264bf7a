"""Small shards, made on the spot: a person (an ellipse of one colour) before a smooth background."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harmovid.data.shards import OVERVIEW, OVERVIEW_EVERY, Shard, ShardInfo
from tests.makers import natural

COLOURS = ((0.9, 0.2, 0.2), (0.2, 0.7, 0.3), (0.3, 0.3, 0.9))


def shard(name: str = "one", frames: int = 21, size: tuple[int, int] = (72, 64), seed: int = 0,
          colour: tuple[float, float, float] | None = None) -> Shard:
    """The person wanders to the right by a third of a pixel a frame; a photo has one frame.

    colour: of the person, by `seed` where None; the background is the same for every colour.
    """
    height, width = size
    y, x = np.mgrid[:height, :width]
    masks = []
    for t in range(frames):
        reach = ((x - 0.45 * width - t / 3) / (0.17 * width)) ** 2 + ((y - 0.55 * height) / (0.3 * height)) ** 2
        masks.append(np.clip((1 - reach) * 4 + 0.5, 0, 1))
    mask = np.array(masks)
    behind = np.broadcast_to(natural(width, height, seed=seed), (frames, height, width, 3))
    tone = np.array(colour or COLOURS[seed % len(COLOURS)]) * (0.8 + 0.2 * np.sin(x / 5))[..., None]
    picture = behind + mask[..., None] * (tone - behind)
    whole = np.array([np.full((OVERVIEW, OVERVIEW, 3), 40 + 8 * n) for n in range(-(-frames // OVERVIEW_EVERY))])
    return Shard(ShardInfo(name, f"person-{seed}", "train", frames, size), bits(picture), bits(mask), bits(behind),
                 whole.astype(np.uint8))


def pair(of: Shard, start: int = 0, frames: int = 9, name: str = "pair-000000") -> Shard:
    """A pseudo-pair of a clip: the person half as bright, before a flat, bright background that no clip has."""
    part = slice(start, start + frames)
    mask = of.mask[part, ..., None] / 255
    behind = np.broadcast_to(np.array([220, 200, 90], np.uint8), of.picture[part].shape)
    relit = np.rint(behind + mask * (of.picture[part] / 2 - behind)).astype(np.uint8)
    info = replace(of.info, name=name, frames=frames, source=of.info.name, start=start)
    whole = np.full((-(-frames // OVERVIEW_EVERY), OVERVIEW, OVERVIEW, 3), 60, np.uint8)
    return Shard(info, relit, of.mask[part], behind.copy(), whole)


def bits(values: np.ndarray) -> np.ndarray:
    """uint8."""
    return np.rint(values * 255).astype(np.uint8)
