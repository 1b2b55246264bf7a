"""Step 1, pseudo-pairs: people of real clips before backgrounds of other light, relit frame by frame.

    OUT/SPLIT/pair-000012.zip   a shard: V^S, the mask, the new background; its `source` is the shard of V^R
    OUT/sheets/SPLIT-000.jpg    some pairs: a row of the clip, a row of what became of it
    OUT/manifest.json           what made them: weights, sampler, backgrounds; nothing made otherwise is mixed in
    OUT/README.md               the data card, out of OUT/records (see `card`)

V^S = HarmoIm(V_F^R, V_B^S, V^M), every frame with noise of its own: expressive, and flickering. It goes through the
straight path, light transfer and all, but without smoothing over time, so that it has the clip's own texture and the
image model's own flicker. Pairs of a model of ours also keep the latents of its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from harmovid.data import card, gates, shards
from harmovid.data.backdrops import Backdrops
from harmovid.data.card import Made, Section
from harmovid.data.relighting import RATE, check_part, digest, freeze, relit, to_bytes, weights, write_sheet
from harmovid.data.shards import OVERVIEW_EVERY, Latents, Shard, ShardInfo
from harmovid.errors import InputError, OptionError
from harmovid.infer import framing
from harmovid.infer.framewise import FrameWise
from harmovid.infer.views import Harmonizer

_SHEET, _SHOWN = 4, 8  # pairs on a sheet, frames of each
_LIMITS = """\
- V^S is an image model's answer, frame by frame: no truth, and it flickers. Video is trained on it only after \
refining (`harmovid data refine`), or as the input.
- Light lies as the image model would have it; of hard shadows and shine it knows what its training had.
- Backgrounds show nobody, and nothing that the person touches.
- The image model saw the person's box as about {side} × {side} pixels; what is finer is the clip's own."""


class ImageModel(Harmonizer, Protocol):
    """A harmonizer that is sampled, each frame for itself. told: what else it goes by, such as a prompt."""

    timesteps: Tensor
    eta: float
    temperature: float
    told: str


@dataclass(frozen=True)
class Pairing:
    """What `make_pairs` is to make.

    count: pairs in all. frames: of each, at most; 4k + 1. split: of the shards. seed: of everything random.
    """

    count: int
    frames: int = 49
    split: str = "train"
    seed: int = 0


@dataclass(frozen=True)
class Manifest:
    """What pairs are made by; pairs of another are not put beside them.

    model: its name. weights: digest of all that has a say, transformer, codec, tone. steps, eta,
    temperature: of the sampler.
    backdrops: what backgrounds are drawn from. frames, seed: of `Pairing`. clips: digest of the clips' names and sizes.
    told: what else the model goes by, such as a prompt.
    """

    model: str
    weights: str
    steps: int
    eta: float
    backdrops: tuple[str, ...]
    frames: int
    seed: int
    clips: str
    told: str = ""
    temperature: float = 1.0


@dataclass(frozen=True)
class Paired:
    """What `make_pairs` did: pairs made now, pairs that were there."""

    made: int
    kept: int


def make_pairs(footage: Path, out: Path, harmonizer: ImageModel, backdrops: Backdrops, pairing: Pairing, *,
               part: tuple[int, int] = (0, 1), latents: bool = True,
               progress: Callable[[str, int, int], None] = lambda stage, done, total: None) -> Paired:
    """Make pseudo-pairs of clips; what is there already is left, so that a stopped run goes on where it was.

    Args:
        footage: shards of real clips, footage/SPLIT/NAME.zip. Photos are left out, for what flickers is video, and so
            are people of the light stage.
        out: see the top of this module.
        harmonizer: relights single frames.
        backdrops: where backgrounds come from.
        part: (i, n): only pairs i, i + n, …, so that n machines share the work.
        latents: keep those of the answer, where the harmonizer is a `FrameWise`.
        progress: told after every pair.

    Raises:
        OptionError: fewer than one pair, frames that are not 4k + 1, or a part that there is not.
        InputError: there are no clips, a shard is damaged, or a background cannot be read.
        OutputError: `out` holds pairs that were made otherwise, or cannot be written.
    """
    if pairing.count < 1:
        raise OptionError(f"--count is 1 or more, got {pairing.count}")
    if pairing.frames < 5 or pairing.frames % 4 != 1:
        raise OptionError(f"--frames is 5, 9, 13 and so on, as latents hold four, got {pairing.frames}")
    check_part(part)
    clips = [path for path in sorted((footage / pairing.split).glob("*.zip")) if _is_real(shards.info(path))]
    if not clips:
        raise InputError(f"{footage} holds no shards of clips in {pairing.split}/; make them with `harmovid data "
                         "shards`")
    whose = card.licences(footage)
    seen = digest(f"{path.name} {path.stat().st_size}".encode() for path in clips)
    manifest = Manifest(harmonizer.name, weights(harmonizer), len(harmonizer.timesteps), harmonizer.eta,
                        backdrops.told, pairing.frames, pairing.seed, seen, harmonizer.told, harmonizer.temperature)
    freeze(out, manifest)
    folder = out / pairing.split
    folder.mkdir(parents=True, exist_ok=True)
    mine = range(part[0], pairing.count, part[1])
    todo = [n for n in mine if not (_place(folder, n).is_file()
                                    and card.place(out, pairing.split, _place(folder, n).stem).is_file())]
    fresh = set(todo)
    for done, n in enumerate(todo, 1):
        random = np.random.default_rng([pairing.seed, n, 11])
        # Every clip once before any twice, each round in another order.
        round_, within = divmod(n, len(clips))
        order = np.random.default_rng([pairing.seed, round_, 13]).permutation(len(clips))
        clip, target = shards.read(clips[order[within]]), _place(folder, n)
        shard, kept, told = pair(clip, harmonizer, backdrops, pairing.frames, random, target.stem)
        shards.write(target, shard, kept if latents else None)
        card.keep(out, pairing.split, target.stem, replace(told, licence=whose.get(told.source, card.UNKNOWN)))
        progress("pairs", done, len(todo))
    for first in range(0, pairing.count, _SHEET):
        shown = range(first, min(first + _SHEET, pairing.count))
        some = [_place(folder, n) for n in shown]
        sheet = out / "sheets" / f"{pairing.split}-{first // _SHEET:03d}.jpg"
        if all(path.is_file() for path in some) and (not sheet.is_file() or not fresh.isdisjoint(shown)):
            _write_sheet(some, footage / pairing.split, sheet)
    _write_card(out, manifest, round(harmonizer.view.area**0.5))
    return Paired(len(todo), len(mine) - len(todo))


def pair(clip: Shard, harmonizer: ImageModel, backdrops: Backdrops, frames: int, random: np.random.Generator,
         name: str) -> tuple[Shard, Latents | None, Made]:
    """One pseudo-pair of a clip: 4k + 1 consecutive frames, `frames` at most, before a background drawn for them.

    Returns:
        The pair, its latents where the harmonizer is a `FrameWise`, and what is told of it.
    """
    count = min(frames, clip.info.frames - (clip.info.frames - 1) % 4)
    start = int(random.integers(clip.info.frames - count + 1))
    picture, mask = (part[start : start + count] for part in (clip.picture, clip.mask))
    behind = backdrops.draw(count, RATE, clip.info.size, random)
    answers: list[Tensor] = []
    if isinstance(harmonizer, FrameWise):
        harmonizer.on_latents = lambda answer: answers.append(answer.half().cpu())  # (16, N, h, w)
    shown = relit(picture, mask, to_bytes(behind.pictures), harmonizer, int(random.integers(2**31)))
    latents = None
    if isinstance(harmonizer, FrameWise):
        harmonizer.on_latents = lambda answer: None
        boxes = framing.frame([framing.find(alpha.astype(np.float32) / 255) for alpha in mask],
                              (mask.shape[2], mask.shape[1]), harmonizer.view).boxes
        latents = Latents(torch.cat(answers, 1).numpy(), boxes)
    side = clip.info.overview
    overview = np.stack([cv2.resize(whole, (side, side), interpolation=cv2.INTER_AREA)
                         for whole in behind.pictures[::OVERVIEW_EVERY]])
    info = ShardInfo(name, clip.info.person, clip.info.split, count, clip.info.size, source=clip.info.name, start=start,
                     overview=side)
    told = Made(name, info.split, info.source, info.person, count, behind.name, behind.kind,
                jitter=gates.jitter(shown, picture, mask), texture=gates.texture(shown, picture, mask))
    return Shard(info, shown, mask, to_bytes(behind.pictures), to_bytes(overview)), latents, told


def _write_card(out: Path, manifest: Manifest, side: int) -> None:
    made = card.records(Made, out)
    flicker = ("Luminance jitter of the relit person against the clip, 0 for a gain that is steady, in natural log of "
               "light per frame²; and how much of the clip's texture is left, of 1.\n\n" + card.spread({
                   "luminance jitter": [pair.jitter for pair in made], "texture": [pair.texture for pair in made]}))
    sections = [
        Section("What this is", "Pseudo-pairs, step 1 of HarmoVid: people of real clips before other backgrounds, "
                "relit frame by frame by an image model. Each zip is a shard (`harmovid/data/shards.py`); `source` "
                "and `start` in its shard.json name the clip's shard, and its first frame."),
        card.counted(made), card.tallied("Backgrounds", "kind", made, lambda pair: pair.kind),
        Section("Flicker", flicker), card.settings(asdict(manifest)),
        card.tallied("Licences of the clips", "licence", made, lambda pair: pair.licence),
        Section("Limits", _LIMITS.format(side=side))]
    card.write(out, "Pseudo-pairs", sections)


def _write_sheet(paths: Sequence[Path], clips: Path, sheet: Path) -> None:
    rows = []
    for path in paths:
        made = shards.read(path)
        source = shards.read(clips / f"{made.info.source}.zip")
        order = np.linspace(0, made.info.frames - 1, _SHOWN).round().astype(int)
        rows += [source.picture[order + made.info.start], made.picture[order]]
    write_sheet(rows, sheet)


def _is_real(told: ShardInfo) -> bool:
    """Whether it is a clip of somebody filmed: no photo, no take of the light stage, no pair."""
    return told.frames >= 5 and not told.performance and not told.source


def _place(folder: Path, number: int) -> Path:
    return folder / f"pair-{number:06d}.zip"

