"""Pictures in files: stills and image sequences, PNG, JPEG, TIFF, WebP and EXR; the only home of OpenEXR."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from harmovid.errors import InputError
from harmovid.video.clip import Clip, Frame
from harmovid.video.color import SCENE_LINEAR, SRGB

SUFFIXES = (".png", ".jpg", ".jpeg", ".exr", ".tif", ".tiff", ".webp", ".bmp")
_PLACEHOLDER = re.compile(r"%0?(\d*)d|(#+)")
_NUMBER = re.compile(r"(\d+)$")
DEFAULT_RATE = Fraction(24)


def is_pattern(path: Path) -> bool:
    """Whether the name stands for numbered files: ``shot.%04d.exr`` or ``shot.####.exr``."""
    return bool(_PLACEHOLDER.search(path.name))


def numbered(path: Path, number: int) -> Path:
    """The file of a pattern for one frame number."""

    def digits(match: re.Match[str]) -> str:
        return str(number).zfill(int(match[1] or 0) if match[2] is None else len(match[2]))

    return path.with_name(_PLACEHOLDER.sub(digits, path.name, count=1))


def open_still_or_sequence(path: Path, rate: Fraction | None = None) -> Clip:
    """Probe one picture, a folder of pictures, or a pattern of numbered pictures.

    Args:
        path: a file with one of `SUFFIXES`, a folder, or a name with ``%04d`` or ``####``.
        rate: frames per second; without it, what an EXR header says, else 24.

    Raises:
        InputError: no pictures there, several kinds mixed, a number missing, or the first is damaged.
    """
    files = _files(path)
    numbers = _numbers(files)
    pixels, header = _load(files[0])
    rate = rate or _header_rate(header)
    linear = files[0].suffix.lower() == ".exr"
    return Clip(
        path=path,
        width=pixels.shape[1],
        height=pixels.shape[0],
        frames=len(files),
        rate=rate or DEFAULT_RATE,
        source_index=np.arange(len(files)),
        bits={np.dtype(np.uint8): 8, np.dtype(np.uint16): 16}.get(pixels.dtype, 32),
        tags=SCENE_LINEAR if linear else SRGB,
        alpha=pixels.ndim == 3 and pixels.shape[2] in (2, 4),
        start_number=numbers[0] if numbers else None,
        timecode=_header_timecode(header),
        files=tuple(files),
    )


def read_picture(path: Path, size: tuple[int, int] | None = None) -> Frame:
    """Decode one picture.

    Args:
        size: expected (width, height), so that a stray picture in a sequence is found.

    Raises:
        InputError: missing, damaged, or of another size.
    """
    pixels, _ = _load(path)
    if size is not None and (pixels.shape[1], pixels.shape[0]) != size:
        raise InputError(
            f"{path} is {pixels.shape[1]}×{pixels.shape[0]}, the pictures before it are {size[0]}×{size[1]}; "
            "make all pictures of the sequence the same size"
        )
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    channels = pixels.shape[2]
    alpha = None
    if pixels.dtype == np.uint8 or pixels.dtype == np.uint16:
        values = pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    else:
        values = np.nan_to_num(pixels.astype(np.float32), nan=0.0, posinf=65504.0, neginf=-65504.0)
    if channels in (2, 4):
        alpha = np.clip(values[..., -1], 0, 1)
    rgb = values[..., :3] if channels >= 3 else np.repeat(values[..., :1], 3, axis=2)
    if path.suffix.lower() == ".exr" and alpha is not None:
        # EXR is premultiplied; where alpha is 0 the colour is light added, and is kept as it is.
        rgb = np.where(alpha[..., None] > 0, rgb / np.maximum(alpha, 1e-6)[..., None], rgb)
    return Frame(np.ascontiguousarray(rgb), alpha)


def write_picture(path: Path, rgb: np.ndarray, alpha: np.ndarray | None, bits: int, rate: Fraction,
                  timecode: str | None = None) -> None:
    """Write one picture under a temporary name, then rename it.

    Args:
        rgb: (H, W, 3) float32 straight; scene-linear for ``.exr`` (half float, premultiplied), else
            display values in [0, 1], or (H, W) for a grey picture.
        alpha: (H, W) float32 or None.
        bits: 8 or 16, for the formats that have both.
    """
    partial = path.with_name(f".{path.stem}.part{path.suffix}")
    if path.suffix.lower() == ".exr":
        _write_exr(partial, rgb, alpha, rate, timecode)
    else:
        peak = 65535 if bits > 8 and path.suffix.lower() in (".png", ".tif", ".tiff") else 255
        planes = rgb if rgb.ndim == 2 else rgb[..., ::-1]
        if alpha is not None:
            planes = np.dstack([planes, alpha])
        codes = np.rint(np.clip(planes, 0, 1) * np.float32(peak)).astype(np.uint16 if peak > 255 else np.uint8)
        options = [cv2.IMWRITE_PNG_COMPRESSION, 2] if path.suffix.lower() == ".png" else []
        if path.suffix.lower() in (".jpg", ".jpeg"):
            options = [cv2.IMWRITE_JPEG_QUALITY, 95]
        done, data = cv2.imencode(path.suffix, codes, options)
        assert done, path
        partial.write_bytes(data.tobytes())
    os.replace(partial, path)


def _files(path: Path) -> list[Path]:
    if is_pattern(path):
        regex = re.compile("".join(
            r"\d+" if _PLACEHOLDER.fullmatch(part) else re.escape(part)
            for part in re.split(r"(%0?\d*d|#+)", path.name)
        ))
        found = [f for f in path.parent.iterdir() if regex.fullmatch(f.name)] if path.parent.is_dir() else []
        if not found:
            raise InputError(f"no file matches {path}; check the folder and the number of digits")
    elif path.is_dir():
        found = [f for f in path.iterdir() if f.suffix.lower() in SUFFIXES and not f.name.startswith(".")]
        if not found:
            raise InputError(f"the folder {path} holds no picture that can be read ({' '.join(SUFFIXES)})")
        kinds = Counter(f.suffix.lower() for f in found)
        if len(kinds) > 1:
            counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
            raise InputError(f"the folder {path} mixes kinds of picture ({counts}); keep one kind, or name it "
                             f"by a pattern such as {path.name}/name.%04d.png")
    else:
        return [path]
    return sorted(found, key=lambda f: [int(t) if t.isdigit() else t for t in re.split(r"(\d+)", f.name)])


def _numbers(files: list[Path]) -> list[int]:
    """Frame numbers at the end of the names; all or none. A hole in them is an error."""
    matches = [_NUMBER.search(f.stem) for f in files]
    numbers = [int(m[1]) for m in matches if m]
    if len(numbers) < len(files):
        return []
    steps = {b - a for a, b in itertools.pairwise(numbers)}
    if len(steps) > 1:
        step = min(steps)
        hole = next(a + step for a, b in itertools.pairwise(numbers) if b - a != step)
        raise InputError(f"the sequence {files[0].parent}/{files[0].name} … has no frame {hole}; "
                         "render the missing frame, or renumber the files")
    return numbers


def _load(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    if not path.is_file():
        raise InputError(f"there is no file {path}; check the name")
    if path.suffix.lower() == ".exr":
        return _load_exr(path)
    # Colour mode turns a JPEG by its EXIF note; unchanged mode keeps alpha and 16 bits, but doesn't.
    upright = path.suffix.lower() in (".jpg", ".jpeg")
    mode = cv2.IMREAD_COLOR if upright else cv2.IMREAD_UNCHANGED
    data = np.frombuffer(path.read_bytes(), np.uint8)
    pixels = cv2.imdecode(data, mode) if data.size else None
    if pixels is None:
        raise InputError(f"{path} is damaged or no picture: it cannot be decoded; export it again")
    if pixels.ndim == 3 and pixels.shape[2] >= 3:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    return pixels, {}


def _load_exr(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    import OpenEXR

    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            header = dict(file.header())
            planes = {name: np.array(channel.pixels) for name, channel in file.channels().items()}
    except Exception as error:  # the library raises bare RuntimeError and others for damaged files
        raise InputError(f"{path} is damaged or no EXR: {error}; render it again") from error
    if {"R", "G", "B"} <= planes.keys():
        names = ["R", "G", "B"]
    elif "Y" in planes:
        names = ["Y", "Y", "Y"]
    else:
        raise InputError(f"{path} has the channels {', '.join(planes)}; expected R, G, B (and A), or Y")
    if "A" in planes:
        names.append("A")
    pixels = np.stack([planes[name].astype(np.float32) for name in names], axis=-1)
    (x0, y0), (x1, y1) = header["displayWindow"]
    (dx, dy), (ex, ey) = header["dataWindow"]
    if (x0, y0, x1, y1) != (dx, dy, ex, ey):  # the data may be smaller or larger than what is shown
        shown = np.zeros((y1 - y0 + 1, x1 - x0 + 1, pixels.shape[2]), np.float32)
        left, top, right, bottom = max(x0, dx), max(y0, dy), min(x1, ex), min(y1, ey)
        if left <= right and top <= bottom:
            shown[top - y0 : bottom - y0 + 1, left - x0 : right - x0 + 1] = (
                pixels[top - dy : bottom - dy + 1, left - dx : right - dx + 1])
        pixels = shown
    return pixels, header


def _header_rate(header: dict[str, Any]) -> Fraction | None:
    if "framesPerSecond" in header:
        return Fraction(int(header["framesPerSecond"].n), int(header["framesPerSecond"].d))
    return Fraction(header["harmovid:rate"]) if "harmovid:rate" in header else None


def _header_timecode(header: dict[str, Any]) -> str | None:
    code = header.get("timeCode")
    if code is None:
        return None
    drop = ";" if code.dropFrame else ":"
    return f"{code.hours:02d}:{code.minutes:02d}:{code.seconds:02d}{drop}{code.frame:02d}"


def _write_exr(path: Path, rgb: np.ndarray, alpha: np.ndarray | None, rate: Fraction,
               timecode: str | None) -> None:
    import OpenEXR

    planes = np.dstack([rgb] * 3) if rgb.ndim == 2 else rgb
    name = "RGB"
    if alpha is not None:
        planes, name = np.dstack([planes * alpha[..., None], alpha]), "RGBA"
    header: dict[str, Any] = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        # OpenEXR 3.5's Python module reads the standard framesPerSecond, a rational, but can't write it.
        "harmovid:rate": f"{rate.numerator}/{rate.denominator}",
    }
    if timecode:
        drop = int(timecode[8] in ";.")
        header["timeCode"] = OpenEXR.TimeCode(*map(int, re.split("[:;.]", timecode)), drop, *[0] * 13)
    half = np.clip(planes, -65504, 65504).astype(np.float16)
    with OpenEXR.File(header, {name: np.ascontiguousarray(half)}) as file:
        file.write(str(path))
