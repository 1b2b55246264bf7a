"""Views for training: crops of real footage as the straight path's framing would cut them, and more widely."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harmovid.data import shards
from harmovid.data.shards import Shard
from harmovid.data.takes import Take, pair_of, take_of
from harmovid.errors import InputError


@dataclass(frozen=True)
class ViewBatch:
    """Some views of real footage, float32 display sRGB in [0, 1], before anything is done to their light.

    picture: (B, 3, T, H, W), the clip. plate: (B, 3, T, H, W), the same without the person.
    mask: (B, 1, T, H, W), alpha. overview: (B, 3, T, S, S), the whole background without the person, S pixels
        wide.
    """

    picture: Tensor
    plate: Tensor
    mask: Tensor
    overview: Tensor


@dataclass(frozen=True)
class CropConfig:
    """How views are cut.

    margin: (least, most) of room around the person, a share of their size, on each side.
    shift: how far the box may be moved off centre, a share of its size.
    flip, reverse: probabilities of a mirrored view, of a clip played backwards.
    photos: share of draws, where there are clips and photos, that are photos.
    parts: share of draws of a part of the person alone, as of a thing: a shirt, hair, a hand; the rest is background.
    """

    margin: tuple[float, float] = (0.02, 0.3)
    shift: float = 0.06
    flip: float = 0.5
    reverse: float = 0.5
    photos: float = 0.5
    parts: float = 0.0


STEADY = CropConfig(margin=(0.12, 0.12), shift=0.0, flip=0.0, reverse=0.0)
"""The views that the straight path itself would cut: for validation."""


class Footage:
    """Real footage, from which views are drawn without end; pseudo-pairs of it, too, where there are any.

    Args:
        takes: clips, photos and people of the light stage: shards, which are held in memory, or the files of some,
            of which frames are read whenever they are drawn.
        device: where views are.
        pairs: pseudo-pairs of these clips, as `data.pairs` made them or refined.
        home: whose memory shards are held in; None: the device's.

    Raises:
        InputError: there is no footage; a file is damaged; a pair is of a clip that is not among it; or overviews
            differ in size.

    overview: side of all overviews, pixels.
    """

    def __init__(self, takes: Iterable[Shard | Path], device: torch.device | str = "cpu",
                 pairs: Iterable[Shard | Path] = (), home: torch.device | str | None = None) -> None:
        self.device = torch.device(device)
        place = torch.device(device if home is None else home)
        self.takes = [take_of(shard, place) for shard in takes]
        if not self.takes:
            raise InputError("there is no footage to train on; make shards with `harmovid data shards`")
        real = [n for n, take in enumerate(self.takes) if not take.performance] or list(range(len(self.takes)))
        self.videos = [n for n in real if self.takes[n].frames > 1]
        self._photos = [n for n in real if self.takes[n].frames == 1]
        same: dict[str, list[int]] = {}
        for n, take in enumerate(self.takes):
            if take.performance:
                same.setdefault(take.performance, []).append(n)
        self.performances = [takes for takes in same.values() if len(takes) > 1]
        named = {take.name: take for take in self.takes}
        self.pairs = [pair_of(shard, named, place) for shard in pairs]
        sides = sorted({take.overview for take in (*self.takes, *(made for made, _ in self.pairs))})
        if len(sides) > 1:
            raise InputError(f"shards have overviews of {' and '.join(map(str, sides))} pixels; make all of them with "
                             "one --overview of `harmovid data shards`, and their pairs after them")
        self.overview = sides[0]

    @classmethod
    def read(cls, folder: Path, device: torch.device | str = "cpu",
             progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
             pairs: Sequence[Path] = (), memory: float | None = None,
             home: torch.device | str | None = None) -> Footage:
        """All shards of a folder, by name.

        progress: told after every shard.
        pairs: folders of pseudo-pairs of these shards; one may be empty, or not be there.
        memory: bytes to hold shards in; of those that come after, frames are read whenever they are drawn. None: a
            third of what is there, a process.
        home: whose memory that is; None: the device's.

        Raises:
            InputError: there is none, one is damaged, or a pair is of another folder's.
        """
        paths = sorted(folder.glob("*.zip"))
        if not paths:
            raise InputError(f"there are no shards in {folder}; make them with `harmovid data shards`")

        room = _room(torch.device(device if home is None else home)) if memory is None else memory

        def each(paths: list[Path], name: str) -> Iterator[Shard | Path]:
            nonlocal room
            for n, path in enumerate(paths, 1):
                told = shards.info(path)
                room -= 7 * told.frames * told.size[0] * told.size[1]
                yield path if room < 0 else shards.read(path)
                progress(name, n, len(paths))

        paired = [path for more in pairs for path in sorted(more.glob("*.zip"))]
        return cls(each(paths, folder.name), device, each(paired, f"{folder.name} pairs"), home)

    def draw(self, batch: int, frames: int, view: tuple[int, int], random: np.random.Generator,
             config: CropConfig = CropConfig()) -> ViewBatch:
        """Random views of random takes; a photo stands still, or the crop moves over it slowly.

        Args:
            batch, frames: how many views, of how many consecutive frames; a clip that is shorter is played
                back and forth.
            view: (height, width).
            random: source of all choices.
        """
        return _stacked([self._one(self._choose(random, config), frames, view, random, config) for _ in range(batch)])

    def draw_relit(self, batch: int, frames: int, view: tuple[int, int], random: np.random.Generator,
                   config: CropConfig = CropConfig(), same: float = 0.0) -> tuple[ViewBatch, ViewBatch]:
        """Random views of random performances, each in two of its lights; arguments as in `draw`.

        There must be `performances`. Both batches have the same masks. `same` is the share in one light twice.
        """
        pairs = []
        for _ in range(batch):
            takes = self.performances[int(random.integers(len(self.performances)))]
            picked = random.choice(takes, 2, replace=False)
            if random.random() < same:
                picked[0] = picked[1]
            seed = int(random.integers(2**62))  # the same choices for both
            pairs.append([self._one(self.takes[n], frames, view, np.random.default_rng(seed), config) for n in picked])
        one, other = zip(*pairs, strict=True)
        return _stacked(one), _stacked(other)

    def draw_pairs(self, batch: int, frames: int, view: tuple[int, int], random: np.random.Generator,
                   config: CropConfig = CropConfig()) -> tuple[ViewBatch, ViewBatch]:
        """Random views of random pseudo-pairs: relit before another background, and the same frames as filmed.

        Arguments as in `draw`; there must be `pairs`. Both have the same crop and the same masks; each has the plate
        and overview of its own background.
        """
        drawn = []
        for _ in range(batch):
            pair = self.pairs[int(random.integers(len(self.pairs)))]
            seed = int(random.integers(2**62))  # the same choices for both
            drawn.append([self._one(take, frames, view, np.random.default_rng(seed), config) for take in pair])
        relit, filmed = zip(*drawn, strict=True)
        return _stacked(relit), _stacked(filmed)

    def steady_pair(self, index: int, frames: int, view: tuple[int, int]) -> tuple[ViewBatch, ViewBatch]:
        """Pseudo-pair `index` from its first frame as the straight path would cut it; each a batch of one."""
        relit, filmed = ([self._one(take, frames, view, np.random.default_rng(0), STEADY, 0)]
                         for take in self.pairs[index])
        return _stacked(relit), _stacked(filmed)

    def steady(self, index: int, frames: int, view: tuple[int, int], start: int = 0) -> ViewBatch:
        """The view of take `index` from frame `start` as the straight path would cut it; a batch of one."""
        random = np.random.default_rng(0)
        return _stacked([self._one(self.takes[index], frames, view, random, STEADY, start)])

    def _choose(self, random: np.random.Generator, config: CropConfig) -> Take:
        pick_photo = random.random() < config.photos if self.videos and self._photos else bool(self._photos)
        pool: Sequence[int] = self._photos if pick_photo else self.videos
        return self.takes[pool[int(random.integers(len(pool)))]]

    def _one(self, take: Take, frames: int, view: tuple[int, int], random: np.random.Generator,
             config: CropConfig, start: int | None = None) -> tuple[Tensor, Tensor]:
        """(7, T, H, W) and (3, T, S, S), float32 in [0, 1]."""
        order = play_order(take.frames, frames, random, start)
        if random.random() < config.reverse:
            order = order[::-1].copy()
        photo = take.frames == 1
        read = take.read(order[:1] if photo else order)
        size = take.size[1], take.size[0]
        known = read.boxes[~np.isnan(read.boxes[:, 0])]
        person = np.array([*known[:, :2].min(0), *known[:, 2:].max(0)]) if len(known) else np.array([0, 0, *size])
        flip = random.random() < config.flip
        layers = read.layers
        if config.parts > 0 and random.random() < config.parts:
            person = _part(person, random)
            layers = _alone(layers, person)
        box = crop_box(person, size, view, random, config)
        if photo and frames > 1 and config.shift > 0 and random.random() < 0.5:
            end = crop_box(person, size, view, random, config)
            ways = np.linspace(0, 1, frames)[:, None]
            pictures = torch.cat([cut(layers, np.rint(a).astype(int), view) for a in box + ways * (end - box)])
        else:
            pictures = cut(layers, box, view)  # (T or 1, 7, H, W)
            pictures = pictures.expand(frames, *pictures.shape[1:])  # (T, 7, H, W)
        whole = read.overview.expand(frames, *read.overview.shape[1:])  # (T, 3, S, S)
        if flip:
            pictures, whole = pictures.flip(-1), whole.flip(-1)
        pictures, whole = (part.transpose(0, 1).to(self.device).float() / 255 for part in (pictures, whole))
        return pictures, whole


def _part(person: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(4,), a box within the person's: a quarter to a half of each side, its middle in the middle half of theirs."""
    side = person[2:] - person[:2]
    half = side * random.uniform(1 / 8, 1 / 4, 2)
    centre = person[:2] + side * random.uniform(1 / 4, 3 / 4, 2)
    return np.concatenate([centre - half, centre + half])


def _alone(layers: Tensor, box: np.ndarray) -> Tensor:
    """(T, 7, H, W) uint8, the person within the box alone; where the rest of them was there is background."""
    x0, y0, x1, y1 = np.rint(box).astype(int)
    inside = torch.zeros_like(layers[:1, :1], dtype=torch.bool)  # (1, 1, H, W)
    inside[..., y0:y1, x0:x1] = True
    background = torch.cat([layers[:, 3:6], layers[:, 3:6], torch.zeros_like(layers[:, 6:])], 1)
    return torch.where(inside, layers, background)


def _room(device: torch.device) -> float:
    """A third of the device's memory, or of the machine's for each process on it."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] / 3
    try:
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # a system that does not tell
        return math.inf
    return there / 3 / int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def play_order(there: int, wanted: int, random: np.random.Generator, start: int | None) -> np.ndarray:
    """(wanted,) frame numbers, consecutive; back and forth where there are fewer."""
    if start is None:
        start = int(random.integers(max(there - wanted, 0) + 1))
    if there == 1:
        return np.zeros(wanted, np.int64)
    ramp = np.concatenate([np.arange(there), np.arange(there - 2, 0, -1)])
    return ramp[(start + np.arange(wanted)) % len(ramp)]


def crop_box(person: np.ndarray, size: tuple[int, int], view: tuple[int, int], random: np.random.Generator,
          config: CropConfig) -> np.ndarray:
    """(4,) int, x0, y0, x1, y1: the person with room, in the view's proportions where the picture allows it."""
    side = np.maximum(person[2:] - person[:2], 8) * (1 + 2 * random.uniform(*config.margin))
    aspect = view[1] / view[0]
    side = np.maximum(side, [side[1] * aspect, side[0] / aspect])
    # A picture too small for it is taken as far as it goes, and squeezed a little less than the straight path does.
    side = np.minimum(side, size)
    side = np.minimum(side, 1.3 * np.array([side[1] * aspect, side[0] / aspect]))
    centre = (person[:2] + person[2:]) / 2 + config.shift * side * random.uniform(-1, 1, 2)
    corner = np.clip(centre - side / 2, 0, np.array(size) - side)
    box = np.rint(np.concatenate([corner, corner + side])).astype(int)
    return np.clip(box, 0, [*size, *size])


def cut(layers: Tensor, box: np.ndarray, view: tuple[int, int]) -> Tensor:
    """(T, C, H, W) uint8 → (T, C, h, w) float32 in [0, 255]."""
    x0, y0, x1, y1 = (int(v) for v in box)
    part = layers[..., y0:y1, x0:x1].float()
    return F.interpolate(part, size=view, mode="bilinear", antialias=True, align_corners=False).clamp(0, 255)


def _stacked(views: Sequence[tuple[Tensor, Tensor]]) -> ViewBatch:
    layers, whole = (torch.stack(list(part)) for part in zip(*views, strict=True))
    return ViewBatch(layers[:, :3], layers[:, 3:6], layers[:, 6:], whole)
