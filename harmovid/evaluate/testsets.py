"""Test sets whose truth is known: real clips, recoloured by tables that creative people use.

A clip of the test split in a look that its own background does not have is a composite of which the right answer
is known: the clip itself. The looks are tables of colour (`.cube` files), one for the whole clip, so that the error
is one of light and colour alone and does not flicker.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harmovid import config
from harmovid.composite import blend, matte, plate
from harmovid.data import split as split_list
from harmovid.errors import InputError, OutputError
from harmovid.evaluate.fidelity import SquaredError
from harmovid.infer.plan import Options
from harmovid.light import lut as tables
from harmovid.light.lut import Lut
from harmovid.video import encode, io
from harmovid.video.color import SRGB, convert, from_linear, to_linear

Progress = Callable[[str, int, int], None]
"""Told of each step: name of the stage, things done, things in all."""

VERSION = 1  # of the set's definition: raise it, and sets of the old one are refused
LOWEST, HIGHEST = 12.0, 28.0  # dB, what the composites' foregrounds have against the truth
MANIFEST = "manifest.json"
ROLES = ("foreground", "mask", "background", "truth")
_SAMPLED = 6  # frames of a clip that tables are tried on
_GOLDEN = 0.6180339887498949  # its multiples, modulo 1, are spread evenly however many there are


@dataclass(frozen=True)
class Item:
    """One composite of a set.

    name: its file in every folder, without suffix. clip: the real clip, relative to the data folder. lut: stem of
    the table's file. strength: 0..1 of the way from the identity to the table. psnr: of the composite against the
    real clip where the mask is at least 0.5, dB; None while it is not made.
    """

    name: str
    clip: str
    lut: str
    strength: float
    psnr: float | None = None


@dataclass(frozen=True)
class LutSet:
    """A manifest. clips: relative to the data folder. luts: "stem sha256" of every table that could be chosen."""

    version: int
    split: str
    per_clip: int
    mean: float
    clips: tuple[str, ...]
    luts: tuple[str, ...]
    items: tuple[Item, ...] = ()


def lut_set(data: Path, out: Path, luts: list[Path], split: str = "test", per_clip: int = 4, mean: float = 18.0,
            progress: Progress = lambda stage, done, total: None) -> LutSet:
    """Make the set, or what is missing of it.

    For every portrait clip of the split, `per_clip` composites: the foreground is the clip under one table, the
    background the clip's own, the person filled in, and the truth the clip. All are FFV1 of 8 bits or more, and
    have one name in the folders foreground/, mask/, background/ and truth/ of `out` (the last three are links to
    one file per clip), so that `score_folder` compares results with them by name. What the set is made of stands
    in manifest.json.

    Tables and strengths are chosen by `choose`, so that composites lie between 12 and 28 dB and the set's mean is
    that asked for; nothing in it is random.

    Args:
        data: folder with portraits_video/NAME.mp4 and NAME_mask.mp4, as the split list names them.
        out: the set's folder; a set begun there, of the same clips, tables and options, is completed.
        luts: `.cube` files, each of another name; at least `per_clip`.
        split: of the split list.
        per_clip: composites of each clip.
        mean: dB, of the composites' foreground PSNR over the set, ± 1.
        progress: told of every clip and composite.

    Raises:
        InputError: a clip or table cannot be read, or these tables can't give that mean.
        OutputError: another set is in `out`, or it cannot be written.
    """
    names = {path.stem: path for path in sorted(luts, key=lambda path: path.stem)}
    if len(names) < len(luts) or len(names) < per_clip:
        raise InputError(f"{len(luts)} tables of {len(names)} names were given; expected at least {per_clip}, each of "
                         "another name")
    digests = tuple(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for name, path in names.items())
    clips = tuple(split_list.files(split, "portraits_video"))
    wanted = LutSet(VERSION, split, per_clip, mean, clips, digests)
    begun = _begun(out, wanted)
    for folder in (*ROLES, "clips"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for number, clip in enumerate(clips):
        _real(data / clip, out / "clips" / Path(clip).stem)
        progress("clips", number + 1, len(clips))
    looks = {name: _shown(tables.read_cube(path)) for name, path in names.items()}
    if begun is None:
        errors = []
        for number, clip in enumerate(clips):
            errors.append(_alone(out / "clips" / Path(clip).stem, list(looks.values())))
            progress("looks", number + 1, len(clips))
        begun = replace(wanted, items=tuple(_items(clips, list(looks), np.array(errors), per_clip, mean)))
        config.save(begun, out / MANIFEST)
    for number, item in enumerate(begun.items):
        real = out / "clips" / Path(item.clip).stem
        for role in ROLES[1:]:
            _link(real / f"{role}.mkv", out / role / f"{item.name}.mkv")
        target = out / "foreground" / f"{item.name}.mkv"
        if item.psnr is None or not target.exists():
            made = replace(item, psnr=_recolour(real, target, looks[item.lut], item.strength))
            begun = replace(begun, items=(*begun.items[:number], made, *begun.items[number + 1 :]))
            config.save(begun, out / MANIFEST)
        progress("composites", number + 1, len(begun.items))
    return begun


def read_set(folder: Path) -> LutSet:
    """The manifest of a set that is whole.

    Raises:
        InputError: there is none, or the set is of another version or unfinished.
    """
    found = config.load(LutSet, folder / MANIFEST)
    if found.version != VERSION or not found.items or any(item.psnr is None for item in found.items):
        raise InputError(f"the test set {folder} is unfinished, or of another version; make it again with "
                         "benchmarks/lut_set.py")
    return found


def choose(alone: np.ndarray, per_clip: int, mean: float) -> list[list[tuple[int, float]]]:
    """Tables and strengths for every clip.

    Composite j of clip i is to have the PSNR t = 12.5 + 15 qᵖ dB, with q = (j + frac(iφ)) / per_clip evenly spread
    over 0..1 in the whole set, and p such that the set's mean is that asked for. A table that gives d dB at full
    strength gives t at the strength 10^((d − t) / 20), for its error grows in proportion: it must be at least as
    strong as asked for, and by no more than 8 dB where there is such a one. Of those, one that was taken least often
    so far, and of these the one whose strength is nearest to 1. Where none is strong enough, the strongest.

    Args:
        alone: (clips, tables) PSNR in dB that each table alone, at full strength, gives on each clip's person.
        per_clip: tables of each clip, all different.
        mean: dB.

    Returns:
        For each clip, `per_clip` pairs of a table's number and its strength in (0, 1].

    Raises:
        InputError: the mean cannot be reached within 1 dB, or a clip's composites not within 12 to 28 dB.
    """
    low, high = 0.05, 20.0
    for _ in range(40):
        power = float(np.sqrt(low * high))
        chosen, reached = _greedy(alone, per_clip, power)
        if reached.mean() > mean:  # a higher power moves all targets down
            low = power
        else:
            high = power
        if abs(reached.mean() - mean) < 0.05:
            break
    if abs(reached.mean() - mean) > 1 or reached.min() < LOWEST or reached.max() > HIGHEST:
        raise InputError(f"with these tables the composites lie between {reached.min():.1f} and {reached.max():.1f} "
                         f"dB, {reached.mean():.1f} dB in the mean; expected {LOWEST:g} to {HIGHEST:g} dB and a mean "
                         f"of {mean:g} dB: give more tables, or stronger ones")
    return chosen


def alphas(folder: Path, name: str) -> Iterator[np.ndarray]:
    """The alpha (H, W) that composites an item of a set, frame by frame: its mask, with the default soft edge."""
    return _alphas(folder / "mask" / f"{name}.mkv")


def _greedy(alone: np.ndarray, per_clip: int, power: float) -> tuple[list[list[tuple[int, float]]], np.ndarray]:
    taken = np.zeros(alone.shape[1], int)
    chosen, reached = [], []
    for i, given in enumerate(alone):
        q = (np.arange(per_clip) + i * _GOLDEN % 1) / per_clip
        pairs: list[tuple[int, float]] = []
        for target in 12.5 + 15 * q**power:  # the strongest first: they are the rarest
            free = ~np.isin(np.arange(len(given)), [number for number, _ in pairs])
            fit = free & (given <= target)
            if fit.any():
                # One that is much too strong costs more than one taken again, and that more than any decibels.
                cost = 1e6 * (given < target - 8) + 1e3 * taken - given
                number = int(np.where(fit, cost, np.inf).argmin())
            else:
                number = int(np.where(free, given, np.inf).argmin())
            strength = min(1.0, float(10 ** ((given[number] - target) / 20)))
            taken[number] += 1
            pairs.append((number, round(strength, 4)))
            reached.append(float(given[number] - 20 * np.log10(strength)))
        chosen.append(pairs)
    return chosen, np.array(reached)


def _items(clips: tuple[str, ...], names: list[str], alone: np.ndarray, per_clip: int, mean: float) -> Iterator[Item]:
    for clip, pairs in zip(clips, choose(alone, per_clip, mean), strict=True):
        for number, strength in pairs:
            yield Item(f"{Path(clip).stem}__{names[number]}", clip, names[number], strength)


def _begun(out: Path, wanted: LutSet) -> LutSet | None:
    """The manifest in `out`, if there is one."""
    if not (out / MANIFEST).exists():
        return None
    found = config.load(LutSet, out / MANIFEST)
    if replace(found, items=()) != wanted:
        raise OutputError(f"{out} holds a test set of other clips, tables or options; give another folder, or remove "
                          "that one")
    return found


def _real(video: Path, folder: Path) -> None:
    """Truth, mask and background of a clip."""
    files = [folder / f"{role}.mkv" for role in ROLES[1:]]
    if all(path.exists() for path in files):
        return
    clip, mask = io.open_clip(video), io.open_clip(video.with_name(f"{video.stem}_mask.mp4"))
    if (clip.frames, clip.width, clip.height) != (mask.frames, mask.width, mask.height):
        raise InputError(f"{mask.path} is {mask.frames} frames of {mask.width}×{mask.height}, its clip {clip.frames} "
                         f"of {clip.width}×{clip.height}; give the mask of this clip")
    folder.mkdir(exist_ok=True)
    frames = np.stack([np.clip(convert(frame.rgb, clip.tags, SRGB), 0, 1) for frame in io.read(clip)])
    masks = np.stack([np.clip(frame.rgb, 0, 1) for frame in io.read(mask, grey=True)])
    empty = from_linear(plate.fill(to_linear(frames, "srgb"), masks), "srgb")
    for path, pictures in zip(files, (masks, empty, frames), strict=True):
        grey = pictures.ndim == 3
        target = encode.open_target(path, overwrite=True)
        with encode.Writer(target, (clip.width, clip.height), clip.rate, bits=clip.bits, grey=grey) as writer:
            for picture in pictures:
                writer.write(picture)


def _shown(look: Lut) -> Lut:
    """A table held in what a screen shows, so that its error at part strength is that part of its error."""
    return replace(look, table=np.clip(look.table, 0, 1))


def _alone(real: Path, looks: list[Lut]) -> list[float]:
    """PSNR in dB that each table alone, at full strength, gives on the person of a clip."""
    truth = io.open_clip(real / "truth.mkv")
    indices = np.unique(np.linspace(0, truth.frames - 1, _SAMPLED).round().astype(int))
    masks = io.read(io.open_clip(real / "mask.mkv"), indices, grey=True)
    person = np.concatenate([frame.rgb[mask.rgb >= 0.5][::3] for frame, mask in
                             zip(io.read(truth, indices), masks, strict=True)])
    if not person.size:
        raise InputError(f"the mask of {real.name} is empty; give the right one, white where the person is")
    # A table that changes nothing has no finite PSNR, and is as far from any target as one can be.
    return [-10 * float(np.log10(np.square(tables.apply(look, person) - person).mean() + 1e-10)) for look in looks]


def _recolour(real: Path, target: Path, look: Lut, strength: float) -> float:
    """Write a foreground; the foreground PSNR of the composite with it against the truth."""
    truth = io.open_clip(real / "truth.mkv")
    error = SquaredError()
    streams = (io.read(truth), io.read(io.open_clip(real / "background.mkv")),
               io.read(io.open_clip(real / "mask.mkv"), grey=True), _alphas(real / "mask.mkv"))
    with encode.Writer(encode.open_target(target, overwrite=True), (truth.width, truth.height), truth.rate,
                       bits=truth.bits) as writer:
        for own, behind, mask, alpha in zip(*streams, strict=True):
            recoloured = np.clip(tables.apply(look, own.rgb, strength), 0, 1)
            writer.write(recoloured)
            mixed = blend.over(to_linear(recoloured, "srgb"), to_linear(behind.rgb, "srgb"), alpha)
            error.add(from_linear(mixed, "srgb"), own.rgb, (mask.rgb >= 0.5).astype(np.float32))
    return round(error.psnr(), 3)


def _alphas(path: Path) -> Iterator[np.ndarray]:
    clip = io.open_clip(path)
    every_tenth = [matte.is_soft(frame.rgb) for frame in io.read(clip, range(0, clip.frames, 10), grey=True)
                   if (frame.rgb >= 0.5).any()]
    soft = 2 * sum(every_tenth) > len(every_tenth)
    for frame in io.read(clip, grey=True):
        yield frame.rgb if soft else matte.pseudo_alpha(frame.rgb, Options().edge * clip.height)


def _link(file: Path, name: Path) -> None:
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
