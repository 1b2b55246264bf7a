"""Pictures in files: stills and image sequences, PNG, JPEG, TIFF, WebP and EXR; the only home of OpenEXR."""

from __future__ import annotations

import errno
import itertools
import os
import re
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from harmovid.errors import InputError
from harmovid.video.clip import Clip, Frame
from harmovid.video.color import CHROMATICITIES, SCENE_LINEAR, SRGB, Primaries
from harmovid.video.profile import picture_count, picture_orientation, picture_profile

SUFFIXES = (".png", ".jpg", ".jpeg", ".exr", ".tif", ".tiff", ".webp", ".bmp")
_PLACEHOLDER = re.compile(r"%0?(\d*)d|(#+)")
_NUMBER = re.compile(r"(\d+)$")
DEFAULT_RATE = Fraction(24)


def is_pattern(path: Path) -> bool:
    """Whether the name stands for numbered pictures: ``shot.%04d.exr`` or ``shot.####.exr``."""
    # "take #2.mp4" is no pattern: videos aren't numbered.
    return path.suffix.lower() in SUFFIXES and bool(_PLACEHOLDER.search(path.stem))


def is_one_picture(path: str | Path) -> bool:
    """Whether the name stands for a single picture, neither a folder nor a numbered pattern."""
    path = Path(path)
    return path.suffix.lower() in SUFFIXES and not is_pattern(path) and not path.is_dir()


def numbered(path: Path, number: int) -> Path:
    """The file of a pattern for one frame number."""

    def digits(match: re.Match[str]) -> str:
        return str(number).zfill(int(match[1] or 0) if match[2] is None else len(match[2]))

    return path.with_name(_PLACEHOLDER.sub(digits, path.name, count=1))


def matching(pattern: Path) -> dict[int, Path]:
    """The files that a pattern stands for, by number, in order; however many digits they have.

    Raises:
        InputError: one number twice, as in ``a.1.png`` and ``a.01.png``.
    """
    placeholder = _PLACEHOLDER.search(pattern.name)
    assert placeholder is not None, pattern
    before, after = re.escape(pattern.name[: placeholder.start()]), re.escape(pattern.name[placeholder.end() :])
    regex = re.compile(f"{before}([0-9]+){after}")
    found: dict[int, Path] = {}
    for file in sorted(pattern.parent.iterdir()) if pattern.parent.is_dir() else []:
        if match := regex.fullmatch(file.name):
            if int(match[1]) in found:
                raise InputError(f"{found[int(match[1])]} and {file.name} have the same number; remove one")
            found[int(match[1])] = file
    return dict(sorted(found.items()))


def open_still_or_sequence(path: Path, rate: Fraction | None = None) -> Clip:
    """Probe one picture, a folder of pictures, or a pattern of numbered pictures.

    Args:
        path: a file with one of `SUFFIXES`, a folder, or a name with ``%04d`` or ``####``.
        rate: frames per second; without it, what an EXR header says, else 24.

    Raises:
        InputError: no pictures there, several kinds mixed, a number missing, or the first is damaged.
    """
    files, numbers = _files(path)
    pixels, header = _load(files[0])
    # A second picture in a phone's JPEG, or a TIFF, is a smaller one that nobody misses.
    several = len(files) == 1 and files[0].suffix.lower() in (".png", ".webp")
    if several and (count := picture_count(files[0])) > 1:
        raise InputError(f"{path} holds {count} pictures, of which one would be shown; convert it to a video or a "
                         "folder of PNG")
    rate = rate or _header_rate(header)
    linear = pixels.dtype not in (np.uint8, np.uint16)  # EXR, and TIFF of floating point
    primaries, notes = _primaries(header), _notes(header)
    if not linear:
        primaries, profile = picture_profile(files[0])
        if profile and primaries is None:
            notes = (f"its colour profile, {profile}, is not known here and is read as sRGB's: convert it to sRGB "
                     "before",)
    return Clip(
        path=path,
        width=pixels.shape[1],
        height=pixels.shape[0],
        frames=len(files),
        rate=rate or DEFAULT_RATE,
        rate_known=rate is not None,
        source_index=np.arange(len(files)),
        bits={np.dtype(np.uint8): 8, np.dtype(np.uint16): 16}.get(pixels.dtype, 32),
        tags=replace(SCENE_LINEAR if linear else SRGB, primaries=primaries or "bt709"),
        alpha=pixels.ndim == 3 and pixels.shape[2] in (2, 4),
        start_number=numbers[0] if numbers else None,
        number_step=numbers[1] - numbers[0] if len(numbers) > 1 else 1,
        timecode=_header_timecode(header),
        files=tuple(files),
        notes=notes,
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
    try:
        if path.suffix.lower() == ".exr":
            _write_exr(partial, rgb, alpha, rate, timecode)
        else:
            partial.write_bytes(_encoded(path.suffix.lower(), rgb, alpha, bits))
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _encoded(suffix: str, rgb: np.ndarray, alpha: np.ndarray | None, bits: int) -> bytes:
    peak = 65535 if bits > 8 and suffix in (".png", ".tif", ".tiff") else 255
    planes = rgb if rgb.ndim == 2 else rgb[..., ::-1]
    if alpha is not None:
        planes = np.dstack([planes, alpha])
    codes = np.rint(np.clip(planes, 0, 1) * np.float32(peak)).astype(np.uint16 if peak > 255 else np.uint8)
    options = {".png": [cv2.IMWRITE_PNG_COMPRESSION, 2], ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 95],
               ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 95]}
    try:
        done, data = cv2.imencode(suffix, codes, options.get(suffix, []))
    except cv2.error as error:
        done, reason = False, str(error)
    else:
        reason = "no encoder for it"
    if not done:
        raise OSError(errno.EINVAL, f"{suffix} of {codes.shape[1]}×{codes.shape[0]}: {reason}")
    return data.tobytes()


def _files(path: Path) -> tuple[list[Path], list[int]]:
    """The pictures in order, and their numbers, or none where they aren't a sequence."""
    if path.is_file() or not (path.is_dir() or is_pattern(path)):
        match = _NUMBER.search(path.stem)
        return [path], [int(match[1])] if match else []
    if is_pattern(path):
        found = matching(path)
        if not found:
            raise InputError(f"no file matches {path}; check the folder and the number of digits")
        return list(found.values()), _without_hole(path, list(found))
    files = [f for f in path.iterdir() if f.suffix.lower() in SUFFIXES and not f.name.startswith(".")]
    if not files:
        raise InputError(f"the folder {path} holds no picture that can be read ({' '.join(SUFFIXES)})")
    kinds = Counter({".jpeg": ".jpg", ".tiff": ".tif"}.get(f.suffix.lower(), f.suffix.lower()) for f in files)
    if len(kinds) > 1:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        raise InputError(f"the folder {path} mixes kinds of picture ({counts}); keep one kind, or name it "
                         f"by a pattern such as {path.name}/name.%04d.png")
    files.sort(key=lambda f: [int(t) if t.isdecimal() else t for t in re.split(r"(\d+)", f.name)])
    heads = [f.stem[: match.start()] if (match := _NUMBER.search(f.stem)) else None for f in files]
    head, count = Counter(heads).most_common(1)[0]
    if head is None or count < min(2, len(files)):
        return files, []  # pictures with names of their own, in the order of their names
    first = files[heads.index(head)]
    if count < len(files):
        other = next(f for f, h in zip(files, heads, strict=True) if h != head)
        digits = len(first.stem) - len(head)
        raise InputError(f"the folder {path} holds {first.name} and those that follow it, but also {other.name}; name "
                         f"the sequence by a pattern: {path.name}/{head}%0{digits}d{first.suffix}")
    numbers = [int(f.stem[len(head) :]) for f in files]
    for (a, one), (b, two) in itertools.pairwise(zip(numbers, files, strict=True)):
        if a == b:
            raise InputError(f"{one} and {two.name} have the same number; remove one")
    return files, _without_hole(first, numbers)


def _without_hole(name: Path, numbers: list[int]) -> list[int]:
    steps = [b - a for a, b in itertools.pairwise(numbers)]
    if len(set(steps)) > 1:
        hole = next(a + min(steps) for a, step in zip(numbers, steps, strict=False) if step != min(steps))
        raise InputError(f"the sequence {name}, {numbers[0]} to {numbers[-1]}, has no frame {hole}; render the missing "
                         "frame, or renumber the files")
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
    try:
        pixels = cv2.imdecode(data, mode) if data.size else None
    except cv2.error:  # sizes beyond all measure
        pixels = None
    if pixels is None:
        raise InputError(f"{path} is damaged or no picture: it cannot be decoded; export it again")
    if pixels.ndim == 3 and pixels.shape[2] >= 3:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    # A PNG's note is named eXIf, a WebP's EXIF; to look for it is quicker than to have it read.
    if path.suffix.lower() in (".png", ".webp") and (b"eXIf" in (said := data.tobytes()) or b"EXIF" in said):
        pixels = _turned(pixels, picture_orientation(path))
    return pixels, {}


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Upright, by EXIF's orientation (tag 0x0112): 1 to 8, as its first row and column lie."""
    turned = pixels.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else pixels
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    return np.ascontiguousarray(turned)


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


def _primaries(header: dict[str, Any]) -> Primaries | None:
    """What the header says of its primaries; None where it says nothing, or what we don't know."""
    said = header.get("chromaticities")
    for name, known in CHROMATICITIES.items():
        if said is not None and np.allclose(said[:6], np.ravel(known), atol=2e-3):
            return name  # type: ignore[return-value]
    return None


def _notes(header: dict[str, Any]) -> tuple[str, ...]:
    notes = []
    if "chromaticities" in header and _primaries(header) is None:
        notes.append("its primaries are not known here and are read as BT.709's: convert it to linear BT.709 before")
    if abs(header.get("pixelAspectRatio", 1.0) - 1) > 1e-3:
        notes.append(f"pixels of {header['pixelAspectRatio']:.4g}:1 are taken as square")
    return tuple(notes)


def _header_timecode(header: dict[str, Any]) -> str | None:
    if "harmovid:timecode" in header:
        return str(header["harmovid:timecode"])
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
        hours, minutes, seconds, frame = map(int, re.split("[:;.]", timecode))
        # From 48 frames per second on SMPTE ST 12-1 counts pairs of frames, and a flag tells the second.
        pairs = rate > 30
        # colour frame; field phase; three flags and eight words of the user's
        rest = (0, frame % 2 if pairs else 0, *(0,) * 11)
        drop = int(timecode[8] in ";.")
        if rate <= 60:  # it has no room for more
            header["timeCode"] = OpenEXR.TimeCode(hours, minutes, seconds, frame // 2 if pairs else frame, drop, *rest)
        header["harmovid:timecode"] = timecode
    half = np.clip(planes, -65504, 65504).astype(np.float16)
    try:
        with OpenEXR.File(header, {name: np.ascontiguousarray(half)}) as file:
            file.write(str(path))
    except RuntimeError as error:  # all that the library knows to raise
        raise OSError(errno.ENOSPC if "space" in str(error) else errno.EIO, str(error)) from error
