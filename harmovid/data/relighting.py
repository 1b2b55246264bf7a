"""Relighting shards: what making pairs (step 1) and refining them (step 2) have in common.

The straight path that users take, over pictures in memory; what freezes how a folder was made; and sheets to look at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from torch import nn

from harmovid import config
from harmovid.baselines.bvd import BlindDeflickering
from harmovid.baselines.iclight import IcLight
from harmovid.errors import OptionError, OutputError
from harmovid.infer import pipeline
from harmovid.infer.plan import Options, Plan, plan
from harmovid.infer.transfer import TransferConfig
from harmovid.infer.views import Harmonizer
from harmovid.model.checkpoint import Model
from harmovid.video import encode, io
from harmovid.video.target import open_target

MANIFEST = "manifest.json"
OPTIONS = Options(sound=False, transfer=TransferConfig(temporal_sigma=0))
RATE = 24.0  # frames a second, of light that moves
_SIDE = 160  # of a picture on a sheet, pixels


def relit(picture: np.ndarray, mask: np.ndarray, behind: np.ndarray, harmonizer: Harmonizer, seed: int) -> np.ndarray:
    """A person before a background, by the straight path; its light transfer smooths nothing over time.

    Args:
        picture: (T, H, W, 3) uint8, the person as filmed. mask: (T, H, W) uint8, their alpha.
        behind: (T, H, W, 3) uint8, the background; where alpha is 0 it comes back to the bit.
        seed: of the harmonizer's noise.

    Returns:
        (T, H, W, 3) uint8.

    Raises:
        InputError: the mask is empty, or the harmonizer fails.
    """
    with planned(picture, mask, behind, seed) as work:
        pipeline.harmonize(work, harmonizer)
        return to_bytes(np.stack([frame.rgb for frame in io.read(io.open_clip(work.target.path))]))


@contextmanager
def planned(picture: np.ndarray, mask: np.ndarray, behind: np.ndarray, seed: int) -> Iterator[Plan]:
    """The plan of `relit`, whose arguments these are; its files last as long as the context."""
    size = picture.shape[2], picture.shape[1]
    with TemporaryDirectory(prefix="harmovid-") as folder:
        files = {role: Path(folder) / f"{role}.mkv" for role in ("foreground", "background", "mask", "result")}
        for role, pictures in (("foreground", picture), ("background", behind), ("mask", mask)):
            with encode.Writer(open_target(files[role]), size, Fraction(int(RATE)),
                               grey=role == "mask") as writer:
                for shown in pictures:
                    writer.write(shown.astype(np.float32) / 255)
        front, back, matte = (io.open_clip(files[role]) for role in ("foreground", "background", "mask"))
        yield plan(front, back, matte, files["result"], replace(OPTIONS, seed=seed))


def freeze(out: Path, manifest: Any) -> None:
    """Write what a folder of pairs is made by, a dataclass, or hold it against what stands there.

    Raises:
        OutputError: `out` holds pairs that were made otherwise, or cannot be written.
    """
    path = out / MANIFEST
    if path.exists():
        try:
            before = config.load(type(manifest), path)
        except OptionError as error:
            raise OutputError(f"{out} holds pairs of another kind ({error}); name another --out") from error
        if before != manifest:
            other = ", ".join(name for name, value in asdict(manifest).items() if asdict(before)[name] != value)
            raise OutputError(f"{out} holds pairs that were made with other {other}; name another --out")
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        config.save(manifest, path)
    except OSError as error:
        raise OutputError(f"{out} cannot be written ({error.strerror}); name another --out") from error


def check_part(part: tuple[int, int]) -> None:
    """Raises OptionError: there is no such part."""
    if not 0 <= part[0] < part[1]:
        raise OptionError(f"--part is i/n with i from 0 to n − 1, got {part[0]}/{part[1]}")


def weights(harmonizer: Harmonizer) -> str:
    """Digest of all weights that have a say, such as transformer, codec, tone; empty of a method that has none."""
    model = getattr(harmonizer, "model", None)
    parts: list[nn.Module | None] = []
    if isinstance(model, Model):
        parts = [model.backbone, model.codec, model.tone]
    elif isinstance(harmonizer, IcLight):
        parts = [harmonizer.parts.unet, harmonizer.parts.vae]
    elif isinstance(harmonizer, BlindDeflickering):
        parts = [harmonizer.networks]
    values = (value for part in parts if part is not None for value in part.state_dict().values())
    return digest(value.detach().cpu().contiguous().numpy().tobytes() for value in values) if parts else ""


def digest(parts: Iterable[bytes]) -> str:
    """Sixteen hexadecimal digits of SHA-256."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()[:16]


def write_sheet(rows: Sequence[Iterable[np.ndarray]], sheet: Path) -> None:
    """Rows of pictures, (H, W, 3) uint8 of any size, as many in each, as one JPEG, whole or not at all."""
    sheet.parent.mkdir(parents=True, exist_ok=True)
    partial = sheet.with_name(f".{sheet.name}.part.jpg")
    drawn = np.concatenate([np.concatenate([_fitted(shown) for shown in row], 1) for row in rows])
    cv2.imwrite(str(partial), drawn[..., ::-1])
    partial.replace(sheet)


def to_bytes(pictures: np.ndarray) -> np.ndarray:
    """[0, 1] to uint8; what lies beyond is clipped."""
    return np.rint(np.clip(pictures, 0, 1) * 255).astype(np.uint8)


def _fitted(picture: np.ndarray) -> np.ndarray:
    """On a black square."""
    scale = _SIDE / max(picture.shape[:2])
    height, width = (max(1, round(length * scale)) for length in picture.shape[:2])
    square = np.zeros((_SIDE, _SIDE, 3), np.uint8)
    top, left = (_SIDE - height) // 2, (_SIDE - width) // 2
    square[top : top + height, left : left + width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return square
