"""Pairs from the light stage: one performance under two lights, drawn without end.

Each draw takes a person, films them in one environment (the source, before its own background) and in another (the
target, before that one's), each with a camera of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from harmovid.data.augment import binary
from harmovid.data.dataset import CropConfig, crop_box, cut, play_order
from harmovid.data.shards import OVERVIEW
from harmovid.errors import InputError
from harmovid.light import environment, procedural
from harmovid.light.environment import Environment
from harmovid.lightstage import buffers, render
from harmovid.lightstage.buffers import Buffers
from harmovid.lightstage.render import Shot
from harmovid.video.color import luminance, to_linear

OWN = "light"
"""Beside takes that were filmed for one environment: its map, without suffix."""

_STANDING_OUT, _LOST = 1.5, -3.0  # stops over the background, by mean log luminance
_TRIES = 8  # at a light that is kept
_DARK = 0.002  # linear light, code 7 of 255: what is darker is as dark


@dataclass(frozen=True)
class StageBatch:
    """Some pairs, float32 display sRGB in [0, 1].

    source: (B, 3, T, H, W), the person in another light, before the background of that light.
    target: (B, 3, T, H, W), the same performance in the light of `background`, before it.
    background: (B, 3, T, H, W). overview: (B, 3, T, 64, 64), the whole background, squeezed.
    alpha: (B, 1, T, H, W) coverage. mask: (B, 1, T, H, W), binary.
    """

    source: Tensor
    target: Tensor
    background: Tensor
    overview: Tensor
    alpha: Tensor
    mask: Tensor


@dataclass(frozen=True)
class PairConfig:
    """How pairs are drawn.

    crop: how views are cut. maps: share of environments that are HDR maps, where there are any.
    own: share of environments that are the one that the takes were filmed for, as it stands, where there is one.
    same: share of pairs whose light does not change, only the camera: nothing to do but tone.
    spotlit, silhouette: shares that are kept of the lights that set the person off against a dark ground, and that
        leave them dark before a bright one; the others are drawn anew. Of all lights each are one in
        six, of the real portraits at hand one in seventeen and one in eight.
    """

    crop: CropConfig = CropConfig()
    maps: float = 0.45
    own: float = 0.5
    same: float = 0.05
    spotlit: float = 0.25
    silhouette: float = 0.4


class LightStage:
    """The takes of a folder, and the maps beside them; takes are read from disk as they are drawn."""

    def __init__(self, folder: Path, config: PairConfig = PairConfig()) -> None:
        """Raises InputError: there are no takes."""
        self.takes = sorted(folder.glob("take-*.safetensors"))
        if not self.takes:
            raise InputError(f"there are no takes of the light stage in {folder}; make them with "
                             "`harmovid data lightstage`")
        self.config = config
        self.maps = [environment.still(environment.read(path), path.stem)
                     for path in sorted((folder / "maps").glob("*.hdr"))]
        own = own_light(folder)
        self.own = None if own is None else environment.still(environment.read(own), own.stem)

    def draw(self, batch: int, frames: int, view: tuple[int, int], random: np.random.Generator) -> StageBatch:
        """Random pairs.

        Args:
            batch, frames: how many, of how many consecutive frames; a take that is shorter is played back and forth.
            view: (height, width).
            random: source of all choices.
        """
        drawn = [self._one(frames, view, random) for _ in range(batch)]
        return StageBatch(*(torch.stack([getattr(one, field.name) for one in drawn]) for field in fields(StageBatch)))

    def light(self, frames: int, rate: float, random: np.random.Generator, own: float = 0.0) -> Environment:
        """A random environment, turned at random; or, by a share `own`, the one that the takes were filmed for."""
        if self.own is not None and random.random() < own:
            return self.own
        return draw_light(self.maps, self.config.maps, frames, rate, random)

    def film(self, take: Buffers, frames: slice, random: np.random.Generator,
             own: float = 0.0) -> tuple[Shot, Environment]:
        """Frames of a take in a random light, as `light` draws it, by a random camera; and the light."""
        rate = take.info.rate[0] / take.info.rate[1]
        for _ in range(_TRIES):
            light = self.light(frames.stop - frames.start, rate, random, own)
            shot = render.shoot(take, light, render.draw_look(random), frames)
            over = _standing_out(shot)
            if light is self.own:
                break
            kept = self.config.spotlit if over > _STANDING_OUT else self.config.silhouette if over < _LOST else 1.0
            if random.random() < kept:
                break
        return shot, light

    def _one(self, frames: int, view: tuple[int, int], random: np.random.Generator) -> StageBatch:
        """One pair, without the axis of the batch."""
        take = buffers.read(self.takes[int(random.integers(len(self.takes)))])
        order = play_order(take.frames, frames, random, None)
        if random.random() < self.config.crop.reverse:
            order = order[::-1]
        first, last = int(order.min()), int(order.max()) + 1
        within = torch.from_numpy(order - first)
        target, light = self.film(take, slice(first, last), random, self.config.own)
        if random.random() < self.config.same:
            source = render.shoot(take, light, render.draw_look(random), slice(first, last))
        else:
            source, _ = self.film(take, slice(first, last), random, 0 if light is self.own else self.config.own)
        alpha = target.alpha[..., None]
        shown = np.concatenate([source.composite, target.composite, target.background, alpha], -1)
        layers = torch.from_numpy(np.ascontiguousarray(shown.transpose(0, 3, 1, 2)))[within]  # (T, 10, H, W)
        box = crop_box(_person(take, first, last), (layers.shape[3], layers.shape[2]), view, random, self.config.crop)
        pictures = (cut(layers * 255, box, view) / 255).transpose(0, 1)
        whole = F.interpolate(layers[:, 6:9], (OVERVIEW, OVERVIEW), mode="area").transpose(0, 1)
        if random.random() < self.config.crop.flip:
            pictures, whole = pictures.flip(-1), whole.flip(-1)
        cover = pictures[9:]
        return StageBatch(pictures[:3], pictures[3:6], pictures[6:9], whole, cover, binary(cover))


class StagePairs(IterableDataset[StageBatch]):
    """Batches without end for a `DataLoader(…, batch_size=None)`: the n-th is the same for the same seed, however many
    workers there are."""

    def __init__(self, stage: LightStage, batch: int, frames: int, view: tuple[int, int], seed: int = 0) -> None:
        self.stage, self.batch, self.frames, self.view, self.seed = stage, batch, frames, view, seed

    def __iter__(self) -> Iterator[StageBatch]:
        worker = get_worker_info()
        n, step = (worker.id, worker.num_workers) if worker else (0, 1)
        while True:
            yield self.stage.draw(self.batch, self.frames, self.view, np.random.default_rng([self.seed, n]))
            n += step


def own_light(folder: Path) -> Path | None:
    """The map that the takes of a folder were filmed for, if they were for one."""
    return next(iter(sorted(folder.glob(f"{OWN}.*"))), None)


def draw_light(maps: Sequence[Environment], share: float, frames: int, rate: float,
               random: np.random.Generator) -> Environment:
    """A random environment, turned at random: one of the maps in a share of draws, where there are any, else made."""
    if maps and random.random() < share:
        found = maps[int(random.integers(len(maps)))]
    else:
        found = procedural.draw(random, frames, rate)
    return found.turned(random.uniform(-np.pi, np.pi))


def _standing_out(shot: Shot) -> float:
    """By how many stops the person is brighter than the background, by mean log luminance."""
    logs = [np.log2(luminance(to_linear(picture, "srgb")) + _DARK) for picture in (shot.foreground, shot.background)]
    person = float((logs[0] * shot.alpha).sum()) / max(float(shot.alpha.sum()), 1e-6)
    return person - float(logs[1].mean())


def _person(take: Buffers, first: int, last: int) -> np.ndarray:
    """x0, y0, x1, y1 of the person over some frames."""
    there = take.alpha[first:last].max(0) > 127
    rows, columns = np.flatnonzero(there.any(1)), np.flatnonzero(there.any(0))
    if not len(rows):
        return np.array([0, 0, there.shape[1], there.shape[0]])
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
