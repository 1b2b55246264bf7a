"""Shards: real footage made small once, so that training reads it without decoding video.

A shard is a plain zip of pictures of one clip or photo, at the size that training crops its views from:

    picture/0000.jpg   the person with room around them (JPEG, full chroma)
    mask/0000.png      their alpha, 8 bits
    plate/0000.jpg     the same place without the person, half its sides: a fill is smooth
    overview/0000.jpg  the whole background without the person, squeezed to a square, every fourth frame
    shard.json         `ShardInfo`
    latents.safetensors    of a pseudo-pair, where they were kept: `Latents`

All pictures are display sRGB. About 10 kB a frame; latents of 128 × 128 pixels are 8 kB more.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from harmovid.errors import InputError

_QUALITY = {"picture": 89, "plate": 85, "overview": 89}
_SEEN = 5  # of 255: the person is where alpha is above it
_GROWN = 0.03  # of the height: a little more than what was filled around the person
OVERVIEW = 64  # side of the overview, pixels, where nothing else is said
OVERVIEW_EVERY = 4  # frames
_LATENTS = "latents.safetensors"


@dataclass(frozen=True)
class ShardInfo:
    """What a shard is of.

    name: its file's stem. person: group of the split list. frames: pictures in it. size: (height, width).
    performance: shards of one performance show it pixel by pixel, each in another light; empty of real footage, which
        has only the light that it was filmed in.
    source, start: of a pseudo-pair, the shard whose frames from `start` on it shows relit before another background.
    overview: side of the overview, pixels.
    """

    name: str
    person: str
    split: str
    frames: int
    size: tuple[int, int]
    performance: str = ""
    source: str = ""
    start: int = 0
    overview: int = OVERVIEW


@dataclass(frozen=True)
class Shard:
    """A shard in memory, uint8.

    picture: (T, H, W, 3). mask: (T, H, W). plate: (T, H, W, 3). overview: (ceil(T / 4), S, S, 3), S `info.overview`.
    """

    info: ShardInfo
    picture: np.ndarray
    mask: np.ndarray
    plate: np.ndarray
    overview: np.ndarray


@dataclass(frozen=True)
class Latents:
    """What the image model itself answered, before its light was carried over to the shard's picture.

    values: (16, T, h, w) float16, the relit composite of the view, each frame coded on its own. boxes: (T, 4) int64,
    the view's box in the shard's picture, x0, y0, x1, y1; it is scaled to 8 h × 8 w.
    """

    values: np.ndarray
    boxes: np.ndarray


def write(path: Path, shard: Shard, latents: Latents | None = None) -> None:
    """Write a shard, whole or not at all."""
    partial = path.with_name(path.name + ".part")
    try:
        with zipfile.ZipFile(partial, "w") as file:
            for t in range(shard.info.frames):
                _write(file, "picture", t, shard.picture[t])
                _put(file, f"mask/{t:04d}.png", cv2.imencode(".png", shard.mask[t])[1].tobytes())
                height, width = shard.mask[t].shape
                half = (width + 1) // 2, (height + 1) // 2
                _write(file, "plate", t, cv2.resize(shard.plate[t], half, interpolation=cv2.INTER_AREA))
            for n, whole in enumerate(shard.overview):
                _write(file, "overview", n, whole)
            if latents is not None:
                _put(file, _LATENTS, safetensors.save({"values": latents.values, "boxes": latents.boxes}))
            _put(file, "shard.json", json.dumps(asdict(shard.info)).encode())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def info(path: Path) -> ShardInfo:
    """What a shard is of, without its pictures.

    Raises:
        InputError: the file is no shard, or damaged.
    """
    try:
        with zipfile.ZipFile(path) as file:
            return _info(file)
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a whole shard ({error}); delete it and pack it again") from error


def read(path: Path, frames: Sequence[int] | None = None) -> Shard:
    """A shard, decoded.

    Args:
        path: its file.
        frames: pictures, masks and plates of these alone, in this order; None: all. Overviews are all there.

    Raises:
        InputError: the file is no shard, or damaged.
    """
    try:
        with zipfile.ZipFile(path) as file:
            told = _info(file)
            picture, mask, small = (np.stack(list(_pictures(file, kind, frames)))
                                    for kind in ("picture", "mask", "plate"))
            overview = np.stack(list(_pictures(file, "overview")))
            return Shard(told, picture, mask, _plates(picture, mask, small), overview)
    except (zipfile.BadZipFile, KeyError, IndexError, TypeError, ValueError, cv2.error) as error:
        raise InputError(f"{path} is not a whole shard ({error}); delete it and pack it again") from error


def read_latents(path: Path) -> Latents | None:
    """The latents kept in a shard; None where there are none.

    Raises:
        InputError: the file is no shard, or damaged.
    """
    try:
        with zipfile.ZipFile(path) as file:
            return Latents(**safetensors.load(file.read(_LATENTS))) if _LATENTS in file.namelist() else None
    except (zipfile.BadZipFile, TypeError, ValueError, SafetensorError) as error:
        raise InputError(f"{path} is not a whole shard ({error}); delete it and pack it again") from error


def _plates(picture: np.ndarray, mask: np.ndarray, small: np.ndarray) -> np.ndarray:
    """The plates at full size: under and around the person the small ones, elsewhere the picture's own pixels."""
    height, width = mask.shape[1:]
    side = 2 * max(2, round(_GROWN * height)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    plates = picture.copy()
    for plate, alpha, half in zip(plates, mask, small, strict=True):
        hidden = cv2.dilate((alpha > _SEEN).view(np.uint8), kernel)
        cv2.copyTo(cv2.resize(half, (width, height), interpolation=cv2.INTER_CUBIC), hidden, plate)
    return plates


def _info(file: zipfile.ZipFile) -> ShardInfo:
    values = json.loads(file.read("shard.json"))
    return ShardInfo(**{**values, "size": tuple(values["size"])})


def _pictures(file: zipfile.ZipFile, kind: str, frames: Sequence[int] | None = None) -> Iterator[np.ndarray]:
    how = cv2.IMREAD_GRAYSCALE if kind == "mask" else cv2.IMREAD_COLOR_RGB
    names = sorted(name for name in file.namelist() if name.startswith(kind + "/"))
    for name in names if frames is None else [names[t] for t in frames]:
        picture = cv2.imdecode(np.frombuffer(file.read(name), np.uint8), how)
        if picture is None:
            raise ValueError(f"{name} is no picture")
        yield np.asarray(picture)


def _write(file: zipfile.ZipFile, kind: str, index: int, picture: np.ndarray) -> None:
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY[kind], cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
               cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    coded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)[1]
    _put(file, f"{kind}/{index:04d}.jpg", coded.tobytes())


def _put(file: zipfile.ZipFile, name: str, data: bytes) -> None:
    file.writestr(zipfile.ZipInfo(name), data)  # without the time, so that the same shard is the same file
