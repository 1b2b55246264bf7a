"""Step 1, pseudo-pairs: people of real clips before backgrounds of other light, relit frame by frame.

    OUT/SPLIT/pair-000012.zip   a shard: V^S, the mask, the new background; its `source` is the shard of V^R
    OUT/sheets/SPLIT-000.jpg    some pairs: a row of the clip, a row of what became of it
    OUT/manifest.json           what made them: weights, sampler, backgrounds; nothing made otherwise is mixed in

V^S = HarmoIm(V_F^R, V_B^S, V^M), every frame with noise of its own: expressive, and flickering. It goes through the
straight path, light transfer and all, but without smoothing over time, so that it has the clip's own texture and the
image model's own flicker.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from harmovid import config
from harmovid.data import shards
from harmovid.data.backdrops import Backdrop, Backdrops
from harmovid.data.shards import OVERVIEW, OVERVIEW_EVERY, Shard, ShardInfo
from harmovid.errors import InputError, OptionError, OutputError
from harmovid.infer import pipeline
from harmovid.infer.framewise import FrameWise
from harmovid.infer.plan import Options, plan
from harmovid.infer.transfer import TransferConfig
from harmovid.video import encode, io

MANIFEST = "manifest.json"
OPTIONS = Options(sound=False, transfer=TransferConfig(temporal_sigma=0))
_RATE = 24.0  # frames a second, of light that moves
_SHEET, _SHOWN = 4, 8  # pairs on a sheet, frames of each


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

    model: its name. weights: digest of all that has a say, transformer, codec, tone. steps, eta: of the sampler.
    backdrops: what backgrounds are drawn from. frames, seed: of `Pairing`. clips: digest of the clips' names.
    """

    model: str
    weights: str
    steps: int
    eta: float
    backdrops: tuple[str, ...]
    frames: int
    seed: int
    clips: str


@dataclass(frozen=True)
class Paired:
    """What `make_pairs` did: pairs made now, pairs that were there."""

    made: int
    kept: int


def make_pairs(footage: Path, out: Path, harmonizer: FrameWise, backdrops: Backdrops, pairing: Pairing, *,
               part: tuple[int, int] = (0, 1),
               progress: Callable[[str, int, int], None] = lambda stage, done, total: None) -> Paired:
    """Make pseudo-pairs of clips; what is there already is left, so that a stopped run goes on where it was.

    Args:
        footage: shards of real clips, footage/SPLIT/NAME.zip. Photos are left out: what flickers is video.
        out: see the top of this module.
        harmonizer: relights single frames.
        backdrops: where backgrounds come from.
        part: (i, n): only pairs i, i + n, …, so that n machines share the work.
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
    if not 0 <= part[0] < part[1]:
        raise OptionError(f"--part is i/n with i from 0 to n − 1, got {part[0]}/{part[1]}")
    clips = [path for path in sorted((footage / pairing.split).glob("*.zip")) if shards.info(path).frames >= 5]
    if not clips:
        raise InputError(f"{footage} holds no shards of clips in {pairing.split}/; make them with `harmovid data "
                         "shards`")
    _freeze(out, Manifest(harmonizer.name, _digest(harmonizer), len(harmonizer.timesteps), harmonizer.eta,
                          backdrops.told, pairing.frames, pairing.seed,
                          _hash(*(path.name.encode() for path in clips))))
    folder = out / pairing.split
    folder.mkdir(parents=True, exist_ok=True)
    mine = range(part[0], pairing.count, part[1])
    todo = [n for n in mine if not _place(folder, n).is_file()]
    fresh = set(todo)
    for done, n in enumerate(todo, 1):
        random = np.random.default_rng([pairing.seed, n, 11])
        # Every clip once before any twice, each round in another order.
        round_, within = divmod(n, len(clips))
        order = np.random.default_rng([pairing.seed, round_, 13]).permutation(len(clips))
        clip, target = shards.read(clips[order[within]]), _place(folder, n)
        shards.write(target, pair(clip, harmonizer, backdrops, pairing.frames, random, target.stem))
        progress("pairs", done, len(todo))
    for first in range(0, pairing.count, _SHEET):
        shown = range(first, min(first + _SHEET, pairing.count))
        some = [_place(folder, n) for n in shown]
        sheet = out / "sheets" / f"{pairing.split}-{first // _SHEET:03d}.jpg"
        if all(path.is_file() for path in some) and (not sheet.is_file() or not fresh.isdisjoint(shown)):
            _write_sheet(some, footage / pairing.split, sheet)
    return Paired(len(todo), len(mine) - len(todo))


def pair(clip: Shard, harmonizer: FrameWise, backdrops: Backdrops, frames: int, random: np.random.Generator,
         name: str) -> Shard:
    """One pseudo-pair of a clip: 4k + 1 consecutive frames, `frames` at most, before a background drawn for them."""
    count = min(frames, clip.info.frames - (clip.info.frames - 1) % 4)
    start = int(random.integers(clip.info.frames - count + 1))
    picture, mask = (part[start : start + count] for part in (clip.picture, clip.mask))
    behind = backdrops.draw(count, _RATE, clip.info.size, random)
    relit = _relit(picture, mask, behind, harmonizer, int(random.integers(2**31)))
    overview = np.stack([cv2.resize(shown, (OVERVIEW, OVERVIEW), interpolation=cv2.INTER_AREA)
                         for shown in behind.pictures[::OVERVIEW_EVERY]])
    info = ShardInfo(name, clip.info.person, clip.info.split, count, clip.info.size, source=clip.info.name, start=start)
    return Shard(info, relit, mask, _bytes(behind.pictures), _bytes(overview))


def _relit(picture: np.ndarray, mask: np.ndarray, behind: Backdrop, harmonizer: FrameWise, seed: int) -> np.ndarray:
    """(T, H, W, 3) uint8, by the straight path that users take."""
    size = picture.shape[2], picture.shape[1]
    with TemporaryDirectory(prefix="harmovid-") as folder:
        files = {role: Path(folder) / f"{role}.mkv" for role in ("foreground", "background", "mask", "result")}
        for role, pictures in (("foreground", picture), ("background", _bytes(behind.pictures)), ("mask", mask)):
            with encode.Writer(encode.open_target(files[role]), size, Fraction(int(_RATE)),
                               grey=role == "mask") as writer:
                for shown in pictures:
                    writer.write(shown.astype(np.float32) / 255)
        front, back, matte = (io.open_clip(files[role]) for role in ("foreground", "background", "mask"))
        pipeline.harmonize(plan(front, back, matte, files["result"], replace(OPTIONS, seed=seed)), harmonizer)
        return _bytes(np.stack([frame.rgb for frame in io.read(io.open_clip(files["result"]))]))


def _freeze(out: Path, manifest: Manifest) -> None:
    """Write what pairs are made by, or hold it against what stands there."""
    path = out / MANIFEST
    if path.exists():
        before = config.load(Manifest, path)
        if before != manifest:
            other = ", ".join(name for name, value in asdict(manifest).items() if asdict(before)[name] != value)
            raise OutputError(f"{out} holds pairs that were made with other {other}; name another --out")
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        config.save(manifest, path)
    except OSError as error:
        raise OutputError(f"{out} cannot be written ({error.strerror}); name another --out") from error


def _write_sheet(paths: list[Path], clips: Path, sheet: Path) -> None:
    rows = []
    for path in paths:
        made = shards.read(path)
        source = shards.read(clips / f"{made.info.source}.zip")
        order = np.linspace(0, made.info.frames - 1, _SHOWN).round().astype(int)
        for pictures in (source.picture[order + made.info.start], made.picture[order]):
            rows.append(np.concatenate([_fitted(shown) for shown in pictures], 1))
    sheet.parent.mkdir(parents=True, exist_ok=True)
    partial = sheet.with_name(f".{sheet.name}.part.jpg")
    cv2.imwrite(str(partial), np.concatenate(rows)[..., ::-1])
    partial.replace(sheet)


def _fitted(picture: np.ndarray, side: int = 160) -> np.ndarray:
    """On a black square of `side` pixels."""
    scale = side / max(picture.shape[:2])
    height, width = (max(1, round(length * scale)) for length in picture.shape[:2])
    square = np.zeros((side, side, 3), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return square


def _place(folder: Path, number: int) -> Path:
    return folder / f"pair-{number:06d}.zip"


def _digest(harmonizer: FrameWise) -> str:
    """Of all weights that have a say: transformer, codec, tone."""
    model = harmonizer.model
    parts = [part for part in (model.backbone, model.codec, model.tone) if part is not None]
    return _hash(*(value.detach().cpu().contiguous().numpy().tobytes()
                   for part in parts for value in part.state_dict().values()))


def _hash(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]


def _bytes(pictures: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(pictures, 0, 1) * 255).astype(np.uint8)
