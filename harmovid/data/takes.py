"""Takes: the clips and photos that shards hold, whose frames lie in memory or are read whenever they are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harmovid.data import shards
from harmovid.data.shards import OVERVIEW_EVERY, Shard
from harmovid.errors import InputError


@dataclass(frozen=True)
class Frames:
    """Some frames of a take.

    layers: (N, 7, H, W) uint8, picture, plate, mask. overview: (N, 3, S, S) uint8. boxes: (N, 4) float64 of the
    person, x0, y0, x1, y1, NaN where nobody is.
    """

    layers: Tensor
    overview: Tensor
    boxes: np.ndarray


@dataclass(frozen=True)
class Take:
    """One clip or photo.

    size: (height, width). overview: side of the overview, pixels. read: the frames of these numbers, in memory or out
    of its file.
    """

    name: str
    performance: str
    frames: int
    size: tuple[int, int]
    overview: int
    read: Callable[[np.ndarray], Frames]


def take_of(shard: Shard | Path, device: torch.device) -> Take:
    """The take of a shard, whose frames are held on `device`; of the file of one, they are read whenever they are asked
    for.

    Raises:
        InputError: the file is no shard, or damaged.
    """
    told = shards.info(shard) if isinstance(shard, Path) else shard.info
    read = _Stored(shard) if isinstance(shard, Path) else _Held(shard, device)
    return Take(told.name, told.performance, told.frames, told.size, told.overview, read)


class _Held:
    """The frames of a shard in memory."""

    def __init__(self, shard: Shard, device: torch.device) -> None:
        self.frames = len(shard.picture)
        layers, self.boxes = _layers(shard)
        self.layers, self.overview = layers.to(device), _planes(shard.overview).to(device)

    def __call__(self, order: np.ndarray) -> Frames:
        one = self.frames == 1
        layers = self.layers if one else self.layers[torch.from_numpy(order).to(self.layers.device)]
        whole = torch.from_numpy(_overviews(order, len(self.overview))).to(self.layers.device)
        return Frames(layers, self.overview[whole], self.boxes if one else self.boxes[order])


@dataclass(frozen=True)
class _Stored:
    """The frames of a shard in its file."""

    path: Path

    def __call__(self, order: np.ndarray) -> Frames:
        wanted, back = np.unique(order, return_inverse=True)
        shard = shards.read(self.path, wanted.tolist())
        layers, boxes = _layers(shard)
        whole = shard.overview[_overviews(order, len(shard.overview))]
        return Frames(layers[torch.from_numpy(back)], _planes(whole), boxes[back])


def _layers(shard: Shard) -> tuple[Tensor, np.ndarray]:
    """Layers and boxes of `Frames`, of all that the shard holds."""
    boxes = np.full((len(shard.mask), 4), np.nan)
    for t, alpha in enumerate(shard.mask):
        rows, columns = (np.flatnonzero((alpha > 127).any(axis)) for axis in (1, 0))
        if rows.size:
            boxes[t] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return _planes(np.concatenate([shard.picture, shard.plate, shard.mask[..., None]], -1)), boxes


def _planes(pictures: np.ndarray) -> Tensor:
    """(T, H, W, C) → (T, C, H, W)."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()


def _overviews(order: np.ndarray, there: int) -> np.ndarray:
    """(N,), the overview that is nearest to each frame."""
    return np.minimum((order + OVERVIEW_EVERY // 2) // OVERVIEW_EVERY, there - 1)


def pair_of(shard: Shard | Path, named: dict[str, Take], device: torch.device) -> tuple[Take, Take]:
    """What a pseudo-pair shows, and the same frames of the clip that it was made of, which are not held twice.

    Args:
        shard, device: as of `take_of`. named: the clips, by name.

    Raises:
        InputError: its clip is not among them, or is of another size or length; or as `take_of`.
    """
    told = shards.info(shard) if isinstance(shard, Path) else shard.info
    source = named.get(told.source)
    if source is None:
        raise InputError(f"the pair {told.name} is of the clip {told.source or '(none)'}, which is not among the "
                         "shards; give pairs that `harmovid data pairs` made of these very shards")
    if source.frames < told.start + told.frames or source.size != told.size:
        raise InputError(f"the pair {told.name} is {told.frames} frames of {told.size} from frame {told.start} on, its "
                         f"clip {told.source} has {source.frames} of {source.size}; make the pairs "
                         "anew with `harmovid data pairs`, of these very shards")
    filmed = replace(source, performance="", frames=told.frames, read=_Stretch(source.read, told.start))
    made = take_of(shard, device)
    return replace(made, read=_Cut(made.read, filmed.read)), filmed


@dataclass(frozen=True)
class _Stretch:
    """Frames of a clip from `start` on."""

    read: Callable[[np.ndarray], Frames]
    start: int

    def __call__(self, order: np.ndarray) -> Frames:
        return self.read(self.start + order)


@dataclass(frozen=True)
class _Cut:
    """Frames of a pair with the boxes of what they were made of: bit for bit the same crop."""

    read: Callable[[np.ndarray], Frames]
    filmed: Callable[[np.ndarray], Frames]

    def __call__(self, order: np.ndarray) -> Frames:
        return replace(self.read(order), boxes=self.filmed(order).boxes)
