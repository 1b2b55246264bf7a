"""Test sets: what lies in their folders, the manifest, and what all kinds are made of.

A set has a folder for each role, foreground/, mask/, background/, truth/ and, where the mask that methods get is a
bad one, scoring_mask/; in each an item is NAME.mkv. What the set is made of stands in manifest.json. The kinds:

- lut: real clips in the look of a table, on their own background (`lutset`);
- jitter: real clips whose light jumps from frame to frame (`jitterset`);
- masks: as lut, with bad masks (`maskset`);
- step: real clips whose light truly steps (`stepset`);
- passing: real clips that a lamp passes, with flicker over it or without (`passingset`);
- things: as lut, of things and animals (`thingset`);
- free: people on backgrounds of other places, without a truth (`freeset`);
- pathtraced: made people in light that is known exactly (`pathset`), or such a set made elsewhere in this layout.

Nothing in a set is random but by a seed from the item's name.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np

from harmovid import config
from harmovid.composite import blend, matte, plate
from harmovid.errors import InputError, OutputError
from harmovid.evaluate.fidelity import SquaredError
from harmovid.infer.plan import Options
from harmovid.video import encode, io
from harmovid.video.clip import Clip
from harmovid.video.color import SRGB, convert, from_linear, to_linear
from harmovid.video.kept import keeping
from harmovid.video.target import open_target

Progress = Callable[[str, int, int], None]
"""Told of each step: name of the stage, things done, things in all."""

KINDS = ("lut", "jitter", "step", "passing", "masks", "things", "free", "pathtraced",
         "moving")
VERSION = 1  # of the sets' definitions: raise it, and sets of the old one are refused
MANIFEST = "manifest.json"
ROLES = ("foreground", "mask", "background", "truth")
WITHOUT_TRUTH = ("free",)


@dataclass(frozen=True)
class Item:
    """One composite of a set.

    name: its file in every folder, without suffix. clip: where the person is from, relative to the data folder.
    lut: stem of the table's file. strength: 0..1 of the way from the identity to the table. psnr: of the composite
    against the real clip where the scoring mask is at least 0.5, dB; None while it is not made, and without a truth.
    background: the other clip that is the background; empty where it is the clip's own. variant: what is done to it,
    one word for all items that it is done to. frames: as many are scored; None for all. settings: whatever else it
    takes to make the item again.
    """

    name: str
    clip: str
    lut: str = ""
    strength: float = 0.0
    psnr: float | None = None
    background: str = ""
    variant: str = ""
    frames: int | None = None
    settings: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """What a set is made of.

    split: of the split list. per_clip: items of each clip. mean: dB asked for, of the composites' foreground PSNR.
    clips: relative to the data folder. luts: "stem sha256" of every table that could be chosen. backgrounds:
    "file sha256" of every background. A manifest without a kind is that of a LUT set.
    """

    version: int
    split: str = ""
    per_clip: int = 1
    mean: float = 0.0
    clips: tuple[str, ...] = ()
    luts: tuple[str, ...] = ()
    items: tuple[Item, ...] = ()
    kind: str = "lut"
    backgrounds: tuple[str, ...] = ()
    settings: dict = field(default_factory=dict)


def read_set(folder: Path) -> Manifest:
    """The manifest of a set that is whole.

    Raises:
        InputError: there is none, or the set is of another version, of an unknown kind, or unfinished.
    """
    if not (folder / MANIFEST).is_file():
        raise InputError(f"{folder} is no test set: it holds no {MANIFEST}; make one with `harmovid evaluate "
                         "testset`")
    found = config.load(Manifest, folder / MANIFEST)
    if found.kind not in KINDS:
        raise InputError(f"the test set {folder} is of the kind {found.kind!r}; this version knows {', '.join(KINDS)}")
    again = "benchmarks/lut_set.py, or `harmovid evaluate testset`"
    if found.version != VERSION or not found.items or any(
            item.psnr is None and found.kind not in (*WITHOUT_TRUTH, "pathtraced", "moving") for item in found.items):
        raise InputError(f"the test set {folder} is unfinished, or of another version; make it again with {again}")
    for role in roles(found.kind):
        missing = [item.name for item in found.items if not (folder / role / f"{item.name}.mkv").exists()]
        if missing:
            raise InputError(f"the test set {folder} lacks {len(missing)} of {len(found.items)} files in {role}/, the "
                             f"first {missing[0]}.mkv; make it again with {again}")
    return found


def roles(kind: str) -> tuple[str, ...]:
    """The folders that every set of that kind has."""
    if kind == "masks":
        return (*ROLES, "scoring_mask")
    return ROLES[:-1] if kind in WITHOUT_TRUTH else ROLES


def scoring_masks(folder: Path) -> Path:
    """The folder of the masks that say where a result is scored."""
    own = folder / "scoring_mask"
    return own if own.is_dir() else folder / "mask"


def alphas(folder: Path, name: str) -> Iterator[np.ndarray]:
    """The alpha (H, W) that composites an item of a set, frame by frame: its mask, with the default soft edge."""
    return soft_edged(folder / "mask" / f"{name}.mkv")


def begin(out: Path, wanted: Manifest) -> Manifest | None:
    """Make the folders; the manifest in `out`, if there is one.

    Raises:
        InputError: `wanted` has no clips.
        OutputError: `out` holds another set than `wanted`, whatever items that has.
    """
    if not wanted.clips:
        raise InputError(f"the split list names no clip of {wanted.split} for this set; list some (docs/manual.md, "
                         "\"data shards\"), or take another split")
    found = None
    if (out / MANIFEST).exists():
        found = config.load(Manifest, out / MANIFEST)
        if replace(found, items=()) != replace(wanted, items=()):
            raise OutputError(f"{out} holds a test set of other clips, tables or options; give another folder, or "
                              "remove that one")
    try:
        for folder in (*roles(wanted.kind), "clips"):
            (out / folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out} cannot be written ({error.strerror}); give another folder") from error
    return found


def finish(out: Path, begun: Manifest, make: Callable[[Item], float | None], progress: Progress) -> Manifest:
    """Make the items that are missing; after each the manifest is written, so that a run can be stopped anywhere.

    make: writes the files of an item that are not there, foreground/NAME.mkv the last of them; returns its PSNR.
    """
    with keeping():  # items of one clip follow each other
        for number, item in enumerate(begun.items):
            unknown = item.psnr is None and begun.kind not in WITHOUT_TRUTH
            if unknown or not all((out / role / f"{item.name}.mkv").exists() for role in roles(begun.kind)):
                made = replace(item, psnr=make(item))
                begun = replace(begun, items=(*begun.items[:number], made, *begun.items[number + 1 :]))
                config.save(begun, out / MANIFEST)
            progress("composites", number + 1, len(begun.items))
    return begun


def seed(*words: object) -> int:
    """A seed that belongs to these words."""
    return int.from_bytes(hashlib.sha256(" ".join(map(str, words)).encode()).digest()[:7], "big")


def real(video: Path, folder: Path, plain: bool = False, pad: bool = False) -> int:
    """Write truth.mkv, mask.mkv and background.mkv of a clip into `folder`, where they are missing.

    Args:
        video: the clip; beside it lies NAME_mask.mp4.
        folder: made where it is not there.
        plain: without the background, which takes by far the longest.
        pad: repeat the last frame until there are 4k + 1.

    Returns:
        The clip's own number of frames.

    Raises:
        InputError: clip or mask cannot be read, or are of different size or length.
    """
    clip, mask = io.open_clip(video), io.open_clip(video.with_name(f"{video.stem}_mask.mp4"))
    names = ("mask", "truth") if plain else ROLES[1:]
    if all((folder / f"{role}.mkv").exists() for role in names):
        return clip.frames
    if (clip.frames, clip.width, clip.height) != (mask.frames, mask.width, mask.height):
        raise InputError(f"{mask.path} is {mask.frames} frames of {mask.width}×{mask.height}, its clip {clip.frames} "
                         f"of {clip.width}×{clip.height}; give the mask of this clip")
    folder.mkdir(exist_ok=True)
    frames = np.stack([np.clip(convert(frame.rgb, clip.tags, SRGB), 0, 1) for frame in io.read(clip)])
    masks = np.stack([np.clip(frame.rgb, 0, 1) for frame in io.read(mask, grey=True)])
    if not (masks >= 0.5).any():
        raise InputError(f"the mask of {video.stem} is empty; give the right one, white where the person is")
    pictures = {"mask": masks, "truth": frames}
    if not plain:
        pictures["background"] = from_linear(plate.fill(to_linear(frames, "srgb"), masks), "srgb")
    over = -(clip.frames - 1) % 4 if pad else 0
    with tempfile.TemporaryDirectory(prefix=".part-", dir=folder) as own:  # two sets may share `folder`
        for role in names:
            write(Path(own) / f"{role}.mkv", itertools.chain(pictures[role], [pictures[role][-1]] * over), clip)
        for role in names:
            (Path(own) / f"{role}.mkv").replace(folder / f"{role}.mkv")
    return clip.frames


def write(path: Path, pictures: Iterable[np.ndarray], like: Clip) -> None:
    """Write pictures, (H, W, 3) sRGB or (H, W), as FFV1 at the rate and depth of a clip."""
    iterator = iter(pictures)
    first = next(iterator)
    size = first.shape[1], first.shape[0]
    with encode.Writer(open_target(path, overwrite=True), size, like.rate, bits=like.bits,
                       grey=first.ndim == 2) as writer:
        writer.write(first)
        for picture in iterator:
            writer.write(picture)


def lit(path: Path, light: Callable[[int], float | np.ndarray]) -> Iterator[np.ndarray]:
    """A clip's frames (H, W, 3), display sRGB, under a gain of linear light: one in each frame, or (H, W, 1)."""
    for number, frame in enumerate(io.read(io.open_clip(path))):
        gain = np.float32(light(number))
        yield frame.rgb if np.all(gain == 1) else from_linear(to_linear(frame.rgb, "srgb") * gain, "srgb")


def write_composite(out: Path, name: str, recolour: Callable[[int, np.ndarray], np.ndarray],
                    like: str | None = None) -> float:
    """Write an item's foreground: its truth, recoloured. The other roles lie in their folders.

    Args:
        out: the set's folder.
        name: of the item.
        recolour: number and picture (H, W, 3) of a frame, display sRGB, to the picture in its new colours.
        like: another item whose foreground is the same, where there is one: linked to, and not made again.

    Returns:
        PSNR, dB, of the composite with it against the truth, where the scoring mask is at least 0.5.
    """
    truth, behind, mask, score = (io.open_clip(folder / f"{name}.mkv") for folder in (
        out / "truth", out / "background", out / "mask", scoring_masks(out)))
    file = out / "foreground" / f"{name}.mkv"
    error = SquaredError()
    there = None if like is None else io.read(io.open_clip(file.with_name(f"{like}.mkv")))

    def pictures() -> Iterator[np.ndarray]:
        streams = io.read(truth), io.read(behind), io.read(score, grey=True), soft_edged(mask.path)
        for number, (own, ground, person, alpha) in enumerate(zip(*streams, strict=True)):
            recoloured = np.clip(recolour(number, own.rgb), 0, 1) if there is None else next(there).rgb
            scored = np.flatnonzero(person.rgb >= 0.5)
            if len(scored):  # what is not scored need not be mixed
                front, back, right = (picture.reshape(1, -1, 3).take(scored, 1)
                                      for picture in (recoloured, ground.rgb, own.rgb))
                mixed = blend.over(to_linear(front, "srgb"), to_linear(back, "srgb"), alpha.reshape(1, -1)[:, scored])
                error.add(from_linear(mixed, "srgb"), right)
            yield recoloured

    if like is None:
        write(file, pictures(), truth)
    else:
        deque(pictures(), maxlen=0)  # for the error alone
        link(file.with_name(f"{like}.mkv"), file)
    return min(100.0, round(error.psnr(), 3))  # where both are equal, infinity is no JSON


def soft_edged(path: Path) -> Iterator[np.ndarray]:
    """The alpha (H, W) of a mask's frames as the straight path makes it: a hard one gets the default soft edge."""
    clip = io.open_clip(path)
    showing = (frame.rgb for frame in io.read(clip, grey=True) if (frame.rgb >= 0.5).any())
    every_tenth = [matte.is_soft(alpha) for alpha in islice(showing, 0, None, 10)]
    soft = 2 * sum(every_tenth) > len(every_tenth)
    for frame in io.read(clip, grey=True):
        yield frame.rgb if soft else matte.pseudo_alpha(frame.rgb, Options().edge * clip.height)


def digests(files: Iterable[Path], name: Callable[[Path], str] = lambda path: path.stem) -> tuple[str, ...]:
    """"name sha256" of each file.

    Raises:
        InputError: one cannot be read.
    """
    try:
        return tuple(f"{name(path)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files)
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read ({error.strerror}); check the name") from error


def link(file: Path, name: Path) -> None:
    """One file under a second name, or a copy of it where the disk has no links."""
    if name.exists():
        return
    partial = name.with_name(f".{name.name}.part")
    partial.unlink(missing_ok=True)
    try:
        os.link(file, partial)
    except OSError:
        shutil.copyfile(file, partial)
    partial.replace(name)
