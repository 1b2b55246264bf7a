"""Filming: takes of the light stage for training, people drawn by number, several at a time, stopped and gone on with.

    OUT/SPLIT/take-000012.safetensors   buffers of one performance: `lightstage.buffers`
    OUT/train/take-NAME.safetensors     the same, of a scanned head
    OUT/SPLIT/maps/NAME.hdr             the HDR maps that light this split
    OUT/SPLIT/light.hdr                 the one that the takes were filmed for, where there is one; or light.exr
    OUT/sheets/SPLIT-000.jpg            some takes under some lights, to look at
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np

from harmovid.data import split as listed
from harmovid.data import workers
from harmovid.data.lightstage import OWN, own_light
from harmovid.errors import InputError, OptionError, OutputError
from harmovid.infer.memory import keep_memory
from harmovid.light import environment, keys, procedural
from harmovid.lightstage import buffers, render
from harmovid.lightstage.film import film
from harmovid.lightstage.radiance import StageConfig
from harmovid.lightstage.scene import Performance

Perform = Callable[[int, int], Performance]
"""A performance from the person's number and how many frames."""

VALIDATION = 500_000
"""People from this number on are for validation; those of the truth set lie beyond `lightstage.people.HELD_OUT`."""

_SCANNED = 1_000_000_000  # numbers of scans: from here on, and below twice as much
_ASPECTS = (0.8, 1.0, 1.0, 1.25)
_LOWEST = 16  # of pictures, pixels
_SHEET = 8  # takes on a sheet
_LIGHTS = ("sun and sky", "overcast", "dusk", "room", "fire", "neon", "stage", "studio")


@dataclass(frozen=True)
class Filming:
    """What `film_takes` is to make.

    count: takes for training; a twentieth as many more, at least one, are for validation. frames: of each.
    height: of the picture, pixels. stage: how finely it is filmed. scans: heads as `lightstage.scan` reads them, a take
    for training each; upturned: all of them count v from the top. light: file of the HDR map that the takes are filmed
    for, its key lights each by itself.
    """

    count: int
    frames: int = 24
    height: int = 128
    stage: StageConfig = StageConfig()
    scans: tuple[Path, ...] = ()
    upturned: bool = False
    light: Path | None = None

    def __post_init__(self) -> None:
        """Refuse a picture that nobody is seen in."""
        if self.height < _LOWEST:
            raise OptionError(f"--height is {_LOWEST} pixels or more, got {self.height}")


@dataclass(frozen=True)
class Made:
    """What `film_takes` did: takes made now, takes that were there, bytes of all, maps copied."""

    made: int
    kept: int
    size: int
    maps: int


def film_takes(out: Path, filming: Filming, *, hdri: Path | None = None, processes: int = 1,
               perform: Perform | None = None,
               progress: Callable[[str, int, int], None] = lambda stage, done, total: None) -> Made:
    """Film people; takes that are whole are left, so that a stopped run goes on where it was.

    Args:
        out: see the top of this module.
        hdri: folder of HDR maps, of which those that the split list names are copied beside the takes.
        processes: at work at the same time, of one thread each.
        perform: who performs; None: `lightstage.people`. What is given must be importable where processes > 1.
        progress: told after every take.

    Raises:
        OptionError: fewer than one take, frame or process, or a process was killed.
        InputError: `hdri` has no map of the list; a scan is missing or damaged, or two have one name; in the map of
            `filming.light` no light stands out.
        OutputError: takes of other length or height, or filmed for another light, are there.
        MissingExtra: what the light stage needs is not installed.
    """
    for name, value in (("--count", filming.count), ("--frames", filming.frames), ("--processes", processes)):
        if value < 1:
            raise OptionError(f"{name} is 1 or more, got {value}")
    names = {path.stem for path in filming.scans}
    if len(names) < len(filming.scans):
        raise InputError(f"{len(filming.scans)} scans have {len(names)} names; rename those that have the same")
    if missing := [path for path in filming.scans if not path.is_file()]:
        raise InputError(f"there is no scan at {missing[0]}; give the path of a Wavefront mesh (.obj)")
    found = keys.find(_light(filming)) if filming.light else None
    if filming.light and found is None:
        raise InputError(f"{filming.light} has no light that stands out, such as a lamp or a sun: leave --light out")
    for split in ("train", "validation"):
        (out / split).mkdir(parents=True, exist_ok=True)
    wanted: list[tuple[str, int | Path]] = [("train", n) for n in range(filming.count)]
    wanted += [("train", path) for path in filming.scans]
    wanted += [("validation", VALIDATION + n) for n in range(max(1, filming.count // 20))]
    places = {place(out, split, who): who for split, who in wanted}
    todo = [(path, who) for path, who in places.items() if not path.is_file()]
    if there := [path for path in places if path.is_file()]:
        take = buffers.read(there[0])
        if (take.frames, take.info.size[0]) != (filming.frames, filming.height):
            raise OutputError(f"{there[0]} is of {take.frames} frames, {take.info.size[0]} pixels high, and --frames "
                              f"{filming.frames} --height {filming.height} would be beside it; give what it was made "
                              "with, or another --out")
        none = np.zeros(0, np.uint8)
        if not np.array_equal(none if take.keys is None else take.keys, found.labels if found else none):
            raise OutputError(f"{there[0]} is filmed for another light than --light says; give what it was made "
                              "with, or another --out")
    maps = _copy_maps(hdri, out) if hdri is not None else 0
    for split in ("train", "validation"):
        if stale := own_light(out / split):
            stale.unlink()  # of a run that filmed nothing, or this one
        if filming.light:
            _copy(filming.light, out / split / f"{OWN}{filming.light.suffix}")
    for n, _ in enumerate(workers.each(partial(_film, filming=filming, perform=perform), todo, processes), 1):
        progress("film", n, len(todo))
    made = {path for path, _ in todo}
    for split in ("train", "validation"):
        mine = sorted(path for path in places if path.parent.name == split)
        for n in range(0, len(mine), _SHEET):
            sheet = out / "sheets" / f"{split}-{n // _SHEET:03d}.jpg"
            if not sheet.is_file() or not made.isdisjoint(mine[n : n + _SHEET]):
                write_sheet(mine[n : n + _SHEET], sheet)
    return Made(len(todo), len(places) - len(todo), sum(path.stat().st_size for path in places), maps)


def place(out: Path, split: str, who: int | Path) -> Path:
    """Where the take of a person goes, by their number or the file of their scan."""
    return out / split / (f"take-{who:06d}.safetensors" if isinstance(who, int) else f"take-{who.stem}.safetensors")


def film_take(who: int | Path, path: Path, filming: Filming, perform: Perform | None = None) -> None:
    """Film one person, by their number or the file of their scan, and write the take.

    Nobody is framed alike: the picture's width goes by the number, of a scan by its name.
    """
    if isinstance(who, Path):
        from harmovid.lightstage.scan import scan

        seed = _SCANNED + crc32(who.stem.encode()) % _SCANNED
        performance = scan(who, filming.frames, seed=seed, upturned=filming.upturned)
    else:
        if perform is None:
            from harmovid.lightstage.people import perform as made_people

            perform = made_people
        seed, performance = who, perform(who, filming.frames)
    aspect = float(np.random.default_rng([seed, 77]).choice(_ASPECTS))
    size = filming.height, round(filming.height * aspect / 8) * 8
    buffers.write(path, film(performance, path.stem, size, seed=seed, config=filming.stage,
                             light=_light(filming) if filming.light else None))


def _light(filming: Filming) -> environment.Environment:
    assert filming.light is not None
    return environment.still(environment.read(filming.light))


def _film(job: tuple[Path, int | Path], filming: Filming, perform: Perform | None) -> None:
    path, who = job
    keep_memory()
    film_take(who, path, filming, perform)


def write_sheet(takes: list[Path], path: Path) -> None:
    """A picture of takes, one a row, under some lights, each with its middle frame; the first, where there is one, is
    that which they were filmed for.
    """
    own = own_light(takes[0].parent)
    rows = []
    for take in takes:
        filmed = buffers.read(take)
        middle = slice(filmed.frames // 2, filmed.frames // 2 + 1)
        row = []
        for n, kind in enumerate(_LIGHTS):
            random = np.random.default_rng([filmed.info.seed, n])
            light = procedural.draw(random, kind=kind).turned(random.uniform(-np.pi, np.pi))
            if n == 0 and own is not None:
                light = environment.still(environment.read(own))
            look = replace(render.draw_look(random), grain=0.0)
            shot = render.shoot(filmed, light, look, middle).composite[0]
            side = min(shot.shape[:2])
            top, left = (shot.shape[0] - side) // 2, (shot.shape[1] - side) // 2
            row.append(cv2.resize(shot[top : top + side, left : left + side], (160, 160), interpolation=cv2.INTER_AREA))
        rows.append(np.hstack(row))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet = np.rint(np.vstack(rows)[..., ::-1] * 255).astype(np.uint8)
    path.write_bytes(cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())


def _copy(source: Path, target: Path) -> None:
    """A file, whole or not at all."""
    partial = target.with_name(f".{target.name}.part")
    shutil.copyfile(source, partial)
    partial.replace(target)


def _copy_maps(hdri: Path, out: Path) -> int:
    """Copy the maps of each split; how many."""
    count = 0
    for split in ("train", "validation"):
        for source in listed.maps(split, hdri):
            target = out / split / "maps" / source.name
            target.parent.mkdir(exist_ok=True)
            if not target.is_file():
                environment.read(source)  # is it one?
                _copy(source, target)
            count += 1
    if not count:
        raise InputError(f"{hdri} has none of the maps of the split list; name the folder that holds them, or list "
                         f"maps of your own in {hdri / listed.LIST} (docs/manual.md, \"data shards\")")
    return count
