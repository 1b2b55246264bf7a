"""Real clips, recoloured by tables that creative people use: the right answer is the clip itself.

A clip of the test split in a look that its own background does not have is a composite of which the truth is known.
The looks are tables of colour (`.cube` files), one for the whole clip, so that the error is one of light and colour
alone and does not flicker.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from harmovid import config
from harmovid.data import split as split_list
from harmovid.errors import InputError
from harmovid.evaluate import testsets
from harmovid.evaluate.testsets import MANIFEST, ROLES, VERSION, Item, Manifest, Progress
from harmovid.light import lut as tables
from harmovid.light.lut import Lut
from harmovid.video import io

LOWEST, HIGHEST = 12.0, 28.0  # dB, what the composites' foregrounds have against the truth
_SAMPLED = 6  # frames of a clip that tables are tried on
_GOLDEN = 0.6180339887498949  # its multiples, modulo 1, are spread evenly however many there are


def lut_set(data: Path, out: Path, luts: list[Path], split: str = "test", per_clip: int = 4, mean: float = 18.0,
            limit: int | None = None, progress: Progress = lambda stage, done, total: None) -> Manifest:
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
        limit: so many clips, spread over the split; None for all.
        progress: told of every clip and composite.

    Raises:
        InputError: a clip or table cannot be read, or these tables can't give that mean.
        OutputError: another set is in `out`, or it cannot be written.
    """
    clips = spread(split_list.files(split, "portraits_video", data), limit)
    return recoloured(data, out, luts, Manifest(VERSION, split, per_clip, mean, clips), progress)


def recoloured(data: Path, out: Path, luts: list[Path], wanted: Manifest, progress: Progress,
               pad: bool = False) -> Manifest:
    """As `lut_set`, of the clips that `wanted` names; `pad` repeats the last frame until there are 4k + 1.

    What was added is not scored.
    """
    names = by_name(luts, wanted.per_clip)
    wanted = replace(wanted, luts=testsets.digests(names.values()))
    begun = testsets.begin(out, wanted)
    counts = reals(data, out, wanted.clips, progress, pad)
    looks = {name: shown(tables.read_cube(path)) for name, path in names.items()}
    if begun is None:
        pairs = chosen(out, wanted.clips, looks, wanted.per_clip, wanted.mean, progress)
        items = tuple(replace(item, frames=counts[item.clip] if pad else None) for item in _items(wanted.clips, pairs))
        begun = replace(wanted, items=items)
        config.save(begun, out / MANIFEST)

    def make(item: Item) -> float:
        for role in ROLES[1:]:
            testsets.link(clip_folder(out, item.clip) / f"{role}.mkv", out / role / f"{item.name}.mkv")
        return testsets.write_composite(
            out, item.name, lambda number, rgb: tables.apply(looks[item.lut], rgb, item.strength))

    return testsets.finish(out, begun, make, progress)


def spread(clips: list[str], limit: int | None) -> tuple[str, ...]:
    """`limit` of the clips, evenly spread over the list; all where there are no more."""
    if limit is None or limit >= len(clips):
        return tuple(clips)
    return tuple(clips[i] for i in np.linspace(0, len(clips) - 1, limit).round().astype(int))


def by_name(luts: list[Path], least: int) -> dict[str, Path]:
    """The tables by the stems of their files, in order.

    Raises:
        InputError: two have one name, or there are fewer than `least`.
    """
    names = {path.stem: path for path in sorted(luts, key=lambda path: path.stem)}
    if len(names) < len(luts) or len(names) < least:
        raise InputError(f"{len(luts)} tables (.cube) of {len(names)} names were given; expected {least} or more, each "
                         "of another name (benchmarks/fetch_luts.py fetches some fifty)")
    return names


def clip_folder(out: Path, clip: str) -> Path:
    """Where a set keeps the roles that are the same for all items of a clip."""
    return out / "clips" / Path(clip).stem


def reals(data: Path, out: Path, clips: tuple[str, ...], progress: Progress, pad: bool = False) -> dict[str, int]:
    """Write truth, mask and background of every clip; frames of each, without those that `pad` adds."""
    counts = {}
    for number, clip in enumerate(clips):
        counts[clip] = testsets.real(data / clip, clip_folder(out, clip), pad=pad)
        progress("clips", number + 1, len(clips))
    return counts


def shown(look: Lut) -> Lut:
    """A table held in what a screen shows, so that its error at part strength is that part of its error."""
    return replace(look, table=np.clip(look.table, 0, 1))


def chosen(out: Path, clips: tuple[str, ...], looks: dict[str, Lut], per_clip: int, mean: float,
           progress: Progress) -> list[list[tuple[str, float]]]:
    """Names of tables and their strengths, for each clip, by `choose`; the clips are in `out` already."""
    names = list(looks)
    return [[(names[number], strength) for number, strength in pairs]
            for pairs in choose(alone(out, clips, looks, progress), per_clip, mean)]


def alone(out: Path, clips: tuple[str, ...], looks: dict[str, Lut], progress: Progress) -> np.ndarray:
    """(clips, tables) PSNR in dB that each table alone, at full strength, gives on the person of each clip."""
    errors = []
    for number, clip in enumerate(clips):
        errors.append(_alone(clip_folder(out, clip), list(looks.values())))
        progress("looks", number + 1, len(clips))
    return np.array(errors)


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


def _items(clips: tuple[str, ...], pairs: list[list[tuple[str, float]]]) -> Iterator[Item]:
    for clip, looks in zip(clips, pairs, strict=True):
        for look, strength in looks:
            yield Item(f"{Path(clip).stem}__{look}", clip, look, strength)


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
