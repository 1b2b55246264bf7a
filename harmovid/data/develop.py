"""Developing: takes of the light stage filmed in some lights each, as shards, which train like real footage.

Shards of one take show the same performance pixel by pixel: how the person looks in one light, and how in another, is
known exactly. `lightstage.LightStage` draws new lights for ever; shards have few, but cost a hundredth to read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np

from harmovid.data import shards, workers
from harmovid.data.lightstage import LightStage
from harmovid.data.pack import Packed, check_overview
from harmovid.data.shards import OVERVIEW, OVERVIEW_EVERY, Shard, ShardInfo
from harmovid.errors import OptionError
from harmovid.lightstage import buffers

_SPLITS = ("train", "validation")


def is_stage(folder: Path) -> bool:
    """Whether a folder holds takes of the light stage."""
    return any(any((folder / split).glob("take-*.safetensors")) for split in _SPLITS)


def develop_takes(stage: Path, out: Path, lights: int = 8, *, limit: int | None = None, overview: int = OVERVIEW,
                  processes: int = 1,
                  progress: Callable[[str, int, int], None] = lambda stage, done, total: None) -> Packed:
    """Make shards of every take in so many lights; what is there already is left.

    Args:
        stage: a folder of takes, train/ and validation/.
        out: shards go to out/SPLIT/TAKE-NN.zip.
        lights: of each take, 2 or more, drawn by the take's own seed.
        limit: only the first so many takes of each split.
        overview: side of the overview of the background, pixels.
        processes: at work at the same time, of one thread each.
        progress: told after every take.

    Raises:
        OptionError: fewer than two lights or one process, or a process was killed.
        InputError: a take is damaged.
    """
    if lights < 2:
        raise OptionError(f"--lights is 2 or more, got {lights}: one light has no other to be learned from")
    check_overview(overview)
    if processes < 1:
        raise OptionError(f"--processes is 1 or more, got {processes}")
    todo, kept = [], 0
    for split in _SPLITS:
        (out / split).mkdir(parents=True, exist_ok=True)
        for take in sorted((stage / split).glob("take-*.safetensors"))[:limit]:
            missing = [n for n in range(lights) if not _place(take, out, n).is_file()]
            kept += lights - len(missing)
            if missing:
                todo.append((take, missing))
    for n, _ in enumerate(workers.each(partial(_develop, out=out, overview=overview), todo, processes), 1):
        progress("develop", n, len(todo))
    return Packed(sum(len(missing) for _, missing in todo), kept, 0, {})


def develop(take: buffers.Buffers, stage: LightStage, name: str, split: str, light: int,
            side: int = OVERVIEW) -> Shard:
    """A take in its light number `light`, which goes by the take's seed; the first is the one that the take was filmed
    for, if it was for one. `name` is that of the performance, `side` the overview's in pixels.
    """
    random = np.random.default_rng([take.info.seed, light, 41])
    shot, _ = stage.film(take, slice(0, take.frames), random, float(light == 0))
    overview = [cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
                for picture in shot.background[::OVERVIEW_EVERY]]
    info = ShardInfo(f"{name}-{light:02d}", name, split, take.frames, take.info.size, performance=name, overview=side)
    picture, mask, plate, whole = (np.rint(part * 255).astype(np.uint8) for part in (
        shot.composite, shot.alpha, shot.background, np.stack(overview)))
    return Shard(info, picture, mask, plate, whole)


def _develop(job: tuple[Path, list[int]], out: Path, overview: int) -> None:
    path, lights = job
    take = buffers.read(path)
    for light in lights:
        made = develop(take, _stage(path.parent), path.stem, path.parent.name, light, overview)
        shards.write(_place(path, out, light), made)


def _place(take: Path, out: Path, light: int) -> Path:
    return out / take.parent.name / f"{take.stem}-{light:02d}.zip"


@cache
def _stage(folder: Path) -> LightStage:
    return LightStage(folder)
