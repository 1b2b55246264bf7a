"""Step 2, refined pairs: pseudo-pairs without their flicker, of which those are kept that lost nothing else by it.

    OUT/SPLIT/pair-000012.zip   a shard, as the pair that it was: refined V^S, the mask, the new background, `source`
    OUT/report.jsonl            of every pair, dropped ones too: its figures, and why it was dropped (see `gates`)
    OUT/sheets/SPLIT/NAME.jpg   consecutive frames: a row of the clip, one of V^S, one of the refined V^S
    OUT/manifest.json           what refined them, the gates, and the manifest of the pairs
    OUT/README.md               the data card, out of OUT/records (see `card`)

The person as filmed goes through the straight path once more, before the pair's own background: the harmonizer is the
pair, then a deflickering network that is told both, and light transfer carries what they change over to the picture.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from harmovid import config
from harmovid.data import card, gates, pairs, shards
from harmovid.data.card import Made, Section
from harmovid.data.gates import Figures, Gates
from harmovid.data.relighting import MANIFEST, check_part, freeze, planned, relit, weights, write_sheet
from harmovid.data.shards import Shard, ShardInfo
from harmovid.errors import InputError
from harmovid.infer import pipeline
from harmovid.infer.chain import Chain
from harmovid.infer.shots import Shot
from harmovid.infer.views import Harmonized, Harmonizer, ViewClip, ViewSize

REPORT = "report.jsonl"
GATES = Gates()
_SHOWN = 8  # frames on a sheet
_VERSION = 2  # of `Manifest`
_LIMITS = """\
- What the image model got wrong but steadily so is still there; the gates ask for its light, not for the truth's.
- Light that moves fast may have been taken for flicker; it is then weaker than it was. Its fine detail, as the edge of
  a shadow that passes, is averaged over some frames.
- Texture is the clip's as far as light transfer carries it, and JPEG."""


@dataclass(frozen=True)
class Manifest:
    """What pairs are refined by; those of another are not put beside them.

    model: the harmonizer's name. weights: digest of all that has a say. steps: of its sampling, 0 where it samples
    nothing. seed: of everything random. gates: what is kept. pairs: how the pairs were made. version: 1 for those whose
    picture is V^S steadied, 2 for those whose picture is the clip's, under a steadied light.
    """

    model: str
    weights: str
    steps: int
    seed: int
    gates: Gates
    pairs: pairs.Manifest
    version: int = 1


@dataclass(frozen=True)
class Refined:
    """What is told of a pair: `Made`'s of the pair that it was, why it was dropped ("" where it was not), figures."""

    pair: Made
    reason: str
    figures: Figures | None = None


@dataclass(frozen=True)
class Refining:
    """What `refine_pairs` did: pairs refined now, pairs that were done before, what is told of all in the folder."""

    done: int
    before: int
    told: tuple[Refined, ...]

    @property
    def kept(self) -> list[Refined]:
        """Those that passed."""
        return [one for one in self.told if not one.reason]

    @property
    def dropped(self) -> dict[str, int]:
        """How many were dropped, by reason; the most frequent first."""
        return dict(Counter(one.reason for one in self.told if one.reason).most_common())

    def mean(self, name: str) -> float:
        """Of a field of `Figures`, over all pairs that have figures, dropped ones too; NaN where none has."""
        values = [getattr(one.figures, name) for one in self.told if one.figures is not None]
        return float(np.mean(values)) if values else float("nan")


def refine_pairs(made: Path, out: Path, harmonizer: Harmonizer, *, footage: Path | None = None, keep: Gates = GATES,
                 seed: int = 0, part: tuple[int, int] = (0, 1),
                 progress: Callable[[str, int, int], None] = lambda stage, done, total: None) -> Refining:
    """Refine pseudo-pairs; what is done already is left, so that a stopped run goes on where it was.

    Args:
        made: what `pairs.make_pairs` wrote, all its splits.
        out: see the top of this module.
        harmonizer: steadies light: it sees the relit person before the pair's background, and is told the
            person as filmed.
        footage: shards of the clips that the pairs are of; None where they lie beside the pairs.
        keep: bounds.
        seed: of the harmonizer's noise.
        part: (i, n): only pairs i, i + n, … of all, so that n machines share the work.
        progress: told after every pair.

    Raises:
        OptionError: there is no such part.
        InputError: there are no pairs, the clip of one is missing, or a shard is damaged.
        OutputError: `out` is the folder of the pairs, holds pairs that were refined otherwise, or cannot be written.
    """
    check_part(part)
    found = {path: told for path in sorted(made.glob("*/*.zip")) if (told := shards.info(path)).source}
    if not found or not (made / MANIFEST).is_file():
        raise InputError(f"{made} holds no pseudo-pairs; give the folder that `harmovid data pairs` wrote, with its "
                         f"{MANIFEST}")
    clips = {path: _clip(footage or made, told) for path, told in found.items()}
    freeze(out, Manifest(harmonizer.name, weights(harmonizer), len(getattr(harmonizer, "timesteps", ())), seed, keep,
                         config.load(pairs.Manifest, made / MANIFEST), _VERSION))
    mine = list(found)[part[0] :: part[1]]
    todo = [path for path in mine if not _is_done(out, found[path])]
    for n, path in enumerate(todo, 1):
        pair, source = shards.read(path), _cut(shards.read(clips[path]), found[path])
        shard = refine(pair, source, harmonizer, zlib.crc32(f"{seed} {pair.info.split} {pair.info.name}".encode()))
        measured = gates.figures(shard.picture, pair.picture, source, pair.mask)
        reason = keep.reason(measured)
        if not reason:
            target = _place(out, pair.info)
            target.parent.mkdir(parents=True, exist_ok=True)
            shards.write(target, shard)
        first = max(0, (pair.info.frames - _SHOWN) // 2)
        write_sheet([pictures[first : first + _SHOWN] for pictures in (source, pair.picture, shard.picture)],
                    out / "sheets" / pair.info.split / f"{pair.info.name}.jpg")
        card.keep(out, pair.info.split, pair.info.name, Refined(_told(made, pair.info), reason, measured))
        progress("refine", n, len(todo))
    refined = Refining(len(todo), len(mine) - len(todo), tuple(card.records(Refined, out)))
    _write_report(out, refined.told)
    _write_card(out, refined)
    return refined


def refine(pair: Shard, source: np.ndarray, harmonizer: Harmonizer, seed: int) -> Shard:
    """One pair with its light steadied: its mask and background stay, and every pixel where alpha is 0.

    Args:
        pair: the pair.
        source: (T, H, W, 3) uint8, its frames as they were filmed.
        harmonizer, seed: as `refine_pairs`.
    """
    # Behind the person the plate is a fill, and near them half as sharp; where nobody stands the pair's own pixels are
    # the background.
    behind = np.where(pair.mask[..., None] == 0, pair.picture, pair.plate)
    with planned(pair.picture, pair.mask, behind, seed) as work, pipeline.look(work, harmonizer.view) as shown:
        steadied = Chain(_Made(shown.views, harmonizer.view), harmonizer, harmonizer.view)
        return Shard(pair.info, relit(source, pair.mask, behind, steadied, seed), pair.mask, pair.plate, pair.overview)


@dataclass
class _Made:
    """A harmonizer whose answer was given before: the pair, as a clip of views."""

    answer: ViewClip
    view: ViewSize
    name: str = "pair"

    def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
        """The shot of the pair that is the clip."""
        first = clip.start if isinstance(clip, Shot) else 0
        yield Harmonized(clip.window(0, len(clip)).composite,
                         self.answer.window(first, first + len(clip)).composite)


def _clip(footage: Path, told: ShardInfo) -> Path:
    path = footage / told.split / f"{told.source}.zip"
    if not path.is_file():
        raise InputError(f"{path}, the clip that {told.name} is of, is not there; pass --footage, the folder of shards "
                         "that the pairs were made of")
    return path


def _cut(clip: Shard, told: ShardInfo) -> np.ndarray:
    """The pair's frames of the clip, (T, H, W, 3) uint8."""
    picture = clip.picture[told.start : told.start + told.frames]
    if picture.shape[:3] != (told.frames, *told.size):
        raise InputError(f"{told.source} has {clip.info.frames} frames of {clip.info.size}, and {told.name} is said to "
                         f"be of {told.frames} from {told.start} on, of {told.size}; give the shards that it was "
                         "made of with --footage")
    return picture


def _told(made: Path, told: ShardInfo) -> Made:
    path = card.place(made, told.split, told.name)
    if path.is_file():
        return config.load(Made, path)
    return Made(told.name, told.split, told.source, told.person, told.frames)


def _is_done(out: Path, told: ShardInfo) -> bool:
    record = card.place(out, told.split, told.name)
    return record.is_file() and (bool(config.load(Refined, record).reason) or _place(out, told).is_file())


def _place(out: Path, told: ShardInfo) -> Path:
    return out / told.split / f"{told.name}.zip"


def _write_report(out: Path, told: Sequence[Refined]) -> None:
    rows = [{"name": one.pair.name, "split": one.pair.split, "source": one.pair.source, "kept": not one.reason,
             "reason": one.reason, **(asdict(one.figures) if one.figures else {})} for one in told]
    config.write_whole(out / REPORT, "".join(json.dumps(row) + "\n" for row in rows))


def _write_card(out: Path, refined: Refining) -> None:
    kept = [one.pair for one in refined.kept]
    of = [one.figures for one in refined.kept if one.figures is not None]
    dropped = card.table(("why", "pairs"), refined.dropped.items())
    manifest = config.load(Manifest, out / MANIFEST)
    card.write(out, "Refined pairs", [
        Section("What this is", "Refined pairs, step 2 of HarmoVid: pseudo-pairs whose flicker a deflickering network "
                "took out, of which those are kept that still have their light and the clip's texture. Each zip is a "
                "shard (`harmovid/data/shards.py`); `source` and `start` in its shard.json name the clip's shard, and "
                "its first frame. report.jsonl tells of every pair."),
        card.counted(kept), Section("Dropped", f"{len(refined.told) - len(kept)} of {len(refined.told)}.\n\n{dropped}"),
        card.tallied("Backgrounds", "kind", kept, lambda pair: pair.kind),
        Section("Flicker, and what is kept", "Of the pairs kept. Luminance jitter against the clip, 0 for a gain that "
                "is steady, in natural log of light per frame²; the share of the clip's texture; and of the gain field "
                "with the pair's, in the mean over time.\n\n" + card.spread({
                    "luminance jitter before": [one.jitter_before for one in of],
                    "luminance jitter": [one.jitter for one in of],
                    "texture before": [one.texture_before for one in of], "texture": [one.texture for one in of],
                    "gain field, correlation": [one.correlation for one in of],
                    "gain field, amplitude": [one.amplitude for one in of]})),
        card.settings({**asdict(manifest), "pairs": manifest.pairs.model, "pairs' weights": manifest.pairs.weights,
                       "gates": [f"{name} {bound}" for name, bound in asdict(manifest.gates).items()]}),
        card.tallied("Licences of the clips", "licence", kept, lambda pair: pair.licence), Section("Limits", _LIMITS)])
