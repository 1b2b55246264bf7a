"""Small clips of the items that a method did worst on, for the players of a page, and the light on the person in them.

A composite or truth that several players show is read and kept once.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from harmovid.errors import HarmoVidError, InputError
from harmovid.evaluate.report import RESULTS, Bench, Item, Method, Report
from harmovid.evaluate.score import find_clips
from harmovid.evaluate.testsets import scoring_masks
from harmovid.video import encode, io
from harmovid.video.color import LUMA_BT709, SRGB, convert
from harmovid.video.target import open_target

Progress = Callable[[str, int, int], None]
"""Told of each step: name of the stage, things done, things in all."""

SIDE = 320  # pixels, the longer side at most
FRAMES = 96  # at most
BUDGET = 13_500_000  # bytes of all clips and posters; as base64 a third more, under 20 MB with the rest of a page
_CRF = 20
_ORDER = ("network", "classical", "floor", "nothing")  # whose players come first where there is no room for all


@dataclass(frozen=True)
class Excerpt:
    """The beginning of a clip, made small.

    clip: H.264 in MP4. poster: its first frame, JPEG. luminance: (frames,) mean BT.709 luma of display sRGB on the
    person, in [0, 1]; NaN where the mask is empty, and no values where there is none. whole: frames of the clip itself.
    """

    clip: bytes
    poster: bytes
    width: int
    height: int
    frames: int
    whole: int
    luminance: tuple[float, ...]


@dataclass(frozen=True)
class Player:
    """One item of a method. gain: on the baseline, as `Bench.worst`. shown: by what it is, number of an excerpt; result
    first, then those that it is compared with, the untouched composite, the truth, as far as they are there."""

    bench: str
    method: str
    item: Item
    gain: float
    shown: dict[str, int]


@dataclass(frozen=True)
class Shown:
    """What a page shows. left_out: players that had no room. remarks: sentences on what could not be shown."""

    excerpts: tuple[Excerpt, ...] = ()
    players: tuple[Player, ...] = ()
    left_out: int = 0
    remarks: tuple[str, ...] = ()


@dataclass
class _Reel:
    """Excerpts so far, by file: a truth that several items are linked to is one file."""

    budget: int
    excerpts: list[Excerpt] = field(default_factory=list)
    places: dict[tuple[int, int], int] = field(default_factory=dict)
    size: int = 0

    def take(self, made: dict[tuple[int, int], Excerpt]) -> bool:
        """Keep all of these, or none where there is no room for them."""
        more = sum(len(excerpt.clip) + len(excerpt.poster) for excerpt in made.values())
        if self.size + more > self.budget:
            return False
        self.size += more
        for key, excerpt in made.items():
            self.places[key] = len(self.excerpts)
            self.excerpts.append(excerpt)
        return True


def show(report: Report, worst: int = 4, budget: int = BUDGET,
         progress: Progress = lambda stage, done, total: None) -> Shown:
    """Excerpts of the worst items of every method but the baseline.

    Args:
        report: from `gather`; results are looked for beside the scores, the truth and masks in the set.
        worst: items of each method.
        budget: bytes of all clips; what finds no room is counted, the worst item of each method comes first.
        progress: told after each player.
    """
    wanted = sorted(((rank, _ORDER.index(method.group), bench, method, item, gain)
                     for bench in report.benches if bench.full
                     for method in bench.methods if method is not bench.baseline
                     for rank, (item, gain) in enumerate(bench.worst(method)[:worst])),
                    key=lambda entry: (entry[0], entry[1], entry[2].name, entry[3].name))
    reel, players, remarks, left = _Reel(budget), [], [], 0
    folders: dict[Path, dict[str, list[Path]]] = {}
    for number, (_, _, bench, method, item, gain) in enumerate(wanted):
        try:
            files = _files(bench, method, item, folders)
            mask = _file(scoring_masks(bench.folder), item.name, folders, stills=True)
            keys = {what: _key(path) for what, path in files.items()}
            new = {keys[what]: excerpt(path, mask) for what, path in files.items() if keys[what] not in reel.places}
            if reel.take(new):
                players.append(Player(bench.name, method.name, item, gain,
                                      {what: reel.places[key] for what, key in keys.items()}))
            else:
                left += 1
        except HarmoVidError as error:
            remarks.append(f"{bench.name}, {method.name}, {item.name} is not shown: {error}")
        progress("clips", number + 1, len(wanted))
        if left:  # the next would hardly fit, and reading it takes time
            left += len(wanted) - number - 1
            break
    return Shown(tuple(reel.excerpts), tuple(players), left, tuple(remarks))


def excerpt(path: Path, mask: Path | None) -> Excerpt:
    """A clip's beginning, small.

    Args:
        path: any clip.
        mask: of the person, of the same framing; a still serves all frames.

    Raises:
        InputError: one cannot be read.
    """
    clip = io.open_clip(path)
    frames = min(clip.frames, FRAMES)
    scale = min(1.0, SIDE / max(clip.width, clip.height))
    size = max(2, round(clip.width * scale / 2) * 2), max(2, round(clip.height * scale / 2) * 2)
    small, luminance = [], []
    alphas = _masks(mask, frames) if mask else None
    for frame in io.read(clip, range(frames)):
        rgb = np.clip(convert(frame.rgb, clip.tags, SRGB), 0, 1).astype(np.float32)
        if alphas:
            alpha = next(alphas)
            if alpha.shape != rgb.shape[:2]:
                alpha = cv2.resize(alpha, rgb.shape[1::-1], interpolation=cv2.INTER_AREA)
            weight = float(alpha.sum(dtype=np.float64))
            luminance.append(float((rgb @ LUMA_BT709 * alpha).sum(dtype=np.float64)) / weight if weight else math.nan)
        small.append(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
    if not small:
        raise InputError(f"{path} has no frame that can be read; render it again")
    with tempfile.TemporaryDirectory() as folder:
        target = open_target(Path(folder) / "clip.mp4")
        with encode.Writer(target, size, clip.rate, crf=_CRF) as writer:
            for rgb in small:
                writer.write(rgb)
        film = target.path.read_bytes()
    _, poster = cv2.imencode(".jpg", np.rint(small[0][..., ::-1] * 255).astype(np.uint8),
                             [cv2.IMWRITE_JPEG_QUALITY, 70])
    return Excerpt(film, poster.tobytes(), *size, len(small), clip.frames, tuple(luminance))


def _masks(path: Path, frames: int) -> Iterator[np.ndarray]:
    """(H, W) float32 in [0, 1]; the last one goes on for ever."""
    clip = io.open_clip(path)
    frame = None
    for frame in io.read(clip, range(min(frames, clip.frames)), grey=True):
        yield np.clip(frame.rgb, 0, 1)
    if frame is None:
        raise InputError(f"the mask {path} has no frame that can be read; make it again")
    while True:
        yield np.clip(frame.rgb, 0, 1)


def _files(bench: Bench, method: Method, item: Item, folders: dict[Path, dict[str, list[Path]]]) -> dict[str, Path]:
    """By what it is, the clips of a player: the result, and what there is to compare it with."""
    result = _file(bench.folder / RESULTS / method.name, item.name, folders)
    if result is None:
        raise InputError(f"there is no clip {item.name} in {bench.folder / RESULTS / method.name}")
    others = {}
    if bench.baseline:
        others[bench.baseline.name] = _file(bench.folder / RESULTS / bench.baseline.name, item.name, folders)
    others["truth"] = _file(bench.folder / "truth", item.name, folders)
    found = {what: path for what, path in others.items() if path is not None}
    if not found:
        raise InputError(f"neither {bench.baseline.name + ' nor ' if bench.baseline else ''}truth of it is there to "
                         "compare it with")
    return {"result": result, **found}


def _key(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _file(folder: Path, name: str, folders: dict[Path, dict[str, list[Path]]], stills: bool = False) -> Path | None:
    if folder not in folders:
        try:
            folders[folder] = find_clips(folder, stills)
        except InputError:  # scores alone may be there
            folders[folder] = {}
    return next(iter(folders[folder].get(name, [])), None)
