"""Makers of small clips, whole, bad and odd, and a look at what came out that doesn't ask the program itself.

A maker is a frozen dataclass that is called with the path to make. As it compares by value, `Kitchen`
makes each thing once and serves copies.
"""

from __future__ import annotations

import hashlib
import math
import shutil
import struct
import wave
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

Maker = Callable[[Path], object]

SIZE = (64, 48)  # width, height
FRAMES = 6
RATE = 24


def draw(what: str, frame: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    """One picture, (H, W, 3) or (H, W, 4) uint8 RGB(A).

    "person": somebody who wanders to the right before a wall; "cutout": the same with alpha; "mask": their
    mask; "late": their mask, absent in the first half of FRAMES; "soft": their mask, well blurred;
    "bars": a scene that gets bluer by the frame; "noise": a scene that no codec makes small; "black", "white".
    """
    width, height = size
    if what in ("black", "white"):
        return np.full((height, width, 3), 255 * (what == "white"), np.uint8)
    if what == "noise":
        return np.random.default_rng(frame).integers(0, 256, (height, width, 3), np.uint8)
    if what == "bars":
        y, x = np.mgrid[:height, :width].astype(np.float32)
        red, green = 220 - 150 * x / width, 100 + 70 * np.sin(9 * x / width)
        return np.dstack([red, green, 40 + 100 * y / height + 10 * frame]).round().clip(0, 255).astype(np.uint8)
    picture = np.full((height, width, 3), (150, 170, 190), np.uint8)
    inside = np.zeros((height, width), np.uint8)
    _draw_person(picture, inside, 0.48 + 0.01 * frame)
    if what in ("mask", "late", "soft"):
        if what == "soft":
            inside = cv2.GaussianBlur(inside, (0, 0), height / 12)
        return np.dstack([inside * (what != "late" or frame >= FRAMES // 2)] * 3)
    return np.dstack([picture, inside]) if what == "cutout" else picture


def _draw_person(picture: np.ndarray, inside: np.ndarray, middle: float) -> None:
    """Shirt, neck, hair, face, eyes, mouth: enough of a person for a network that looks for one."""
    height, width = inside.shape
    for dx, y, rx, ry, colour in ((0, 1.05, 0.42, 0.42, (60, 70, 110)), (0, 0.6, 0.07, 0.12, (190, 140, 115)),
                                  (0, 0.34, 0.18, 0.22, (50, 35, 25)), (0, 0.4, 0.14, 0.19, (215, 165, 140)),
                                  (-0.055, 0.37, 0.025, 0.012, (40, 30, 30)),
                                  (0.055, 0.37, 0.025, 0.012, (40, 30, 30)), (0, 0.5, 0.05, 0.012, (160, 70, 70))):
        centre = round(middle * width + dx * height), round(y * height)
        axes = round(rx * height), round(ry * height)
        cv2.ellipse(picture, centre, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)
        cv2.ellipse(inside, centre, axes, 0, 0, 360, 255, -1)


@dataclass(frozen=True)
class Clip:
    """A video. `times` (seconds per frame) makes its rate vary; `turn` is the phone's, degrees."""

    what: str
    frames: int = FRAMES
    size: tuple[int, int] = SIZE
    rate: str = str(RATE)
    codec: str = "ffv1"
    pixels: str = ""
    times: tuple[float, ...] = ()
    turn: int = 0
    sound: str = ""
    seconds: float = 0.5  # of sound
    aspect: str = "1"
    transfer: int = 2
    timecode: str = ""
    options: tuple[tuple[str, str], ...] = ()  # of the container

    def __call__(self, path: Path) -> None:
        rate = Fraction(self.rate)
        alpha = self.what == "cutout"
        with av.open(str(path), "w", options=dict(self.options)) as container:
            if self.timecode:
                container.metadata["timecode"] = self.timecode
            stream = container.add_stream(self.codec, rate=rate)
            stream.width, stream.height = self.size
            stream.pix_fmt = self.pixels or ("bgra" if alpha else {"ffv1": "bgr0"}.get(self.codec, "yuv420p"))
            stream.codec_context.sample_aspect_ratio = Fraction(self.aspect)
            stream.codec_context.color_trc = self.transfer
            stream.codec_context.time_base = Fraction(1, 90000) if self.times else 1 / rate
            if self.turn:
                stream.set_display_rotation(self.turn)
            heard = container.add_stream(self.sound, rate=48000, layout="mono") if self.sound else None
            for i in range(self.frames):
                picture = draw(self.what, i, self.size)
                frame = av.VideoFrame.from_ndarray(picture, format="rgba" if alpha else "rgb24")
                frame.pts, frame.time_base = i, 1 / rate
                if self.times:
                    frame.pts, frame.time_base = round(self.times[i] * 90000), Fraction(1, 90000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
            if heard:
                for start in range(0, round(self.seconds * 48000), 1024):
                    tone = np.sin(np.arange(start, start + 1024) * (2 * math.pi * 440 / 48000))[None] * 0.3
                    kind = "s16" if self.sound.startswith("pcm") else "fltp"
                    tone = (tone * 32767).astype(np.int16) if kind == "s16" else tone.astype(np.float32)
                    frame = av.AudioFrame.from_ndarray(tone, format=kind, layout="mono")
                    frame.pts, frame.rate, frame.time_base = start, 48000, Fraction(1, 48000)
                    container.mux(heard.encode(frame))
                container.mux(heard.encode(None))


@dataclass(frozen=True)
class Still:
    """One picture; `bits` 16 for a PNG of two bytes, `grey` for a single channel, `exif` an orientation."""

    what: str
    frame: int = 0
    size: tuple[int, int] = SIZE
    bits: int = 8
    grey: bool = False
    exif: int = 0

    def __call__(self, path: Path) -> None:
        picture = draw(self.what, self.frame, self.size)
        if path.suffix == ".exr":
            _write_exr(path, picture)
            return
        picture = picture[..., [2, 1, 0, 3][: picture.shape[2]]]
        if self.grey:
            picture = picture[..., 1]
        if self.bits == 16:
            picture = picture.astype(np.uint16) * 257
        _, data = cv2.imencode(path.suffix, picture)
        data = data.tobytes()
        if self.exif:
            entry = struct.pack(">HHIHH", 0x0112, 3, 1, self.exif, 0)
            tiff = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)
            data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(tiff) + 2) + tiff + data[2:]
        path.write_bytes(data)


@dataclass(frozen=True)
class Pictures:
    """A folder of numbered pictures. `without`: numbers left out."""

    what: str
    frames: int = FRAMES
    size: tuple[int, int] = SIZE
    name: str = "{:04d}.png"
    first: int = 0
    bits: int = 8
    without: tuple[int, ...] = ()
    extra: tuple[tuple[str, Maker], ...] = ()  # more files by name, made last

    def __call__(self, path: Path) -> None:
        path.mkdir()
        for i in range(self.frames):
            if self.first + i not in self.without:
                Still(self.what, i, self.size, self.bits)(path / self.name.format(self.first + i))
        for name, maker in self.extra:
            maker(path / name)


@dataclass(frozen=True)
class Sound:
    """A sound file."""

    def __call__(self, path: Path) -> None:
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 48000, 0, "NONE", ""))
            file.writeframes(bytes(48000))


@dataclass(frozen=True)
class Bytes:
    """A file of these very bytes."""

    data: bytes = b""

    def __call__(self, path: Path) -> None:
        path.write_bytes(self.data)


@dataclass(frozen=True)
class Cut:
    """What another maker makes, cut short after this share of its bytes."""

    whole: Maker
    share: float

    def __call__(self, path: Path) -> None:
        self.whole(path)
        data = path.read_bytes()
        path.write_bytes(data[: round(len(data) * self.share)])


@dataclass(frozen=True)
class Folder:
    """An empty folder."""

    mode: int = 0o777

    def __call__(self, path: Path) -> None:
        path.mkdir(self.mode)


@dataclass(frozen=True)
class Link:
    """Another name of what lies beside it: a symbolic link, or a hard one."""

    to: str
    hard: bool = False

    def __call__(self, path: Path) -> None:
        if self.hard:
            path.hardlink_to(path.with_name(self.to))
        else:
            path.symlink_to(self.to)


def _write_exr(path: Path, picture: np.ndarray) -> None:
    import OpenEXR

    linear = (picture / np.float32(255)) ** np.float32(2.2) * 4  # brighter than white in places
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, {"RGBA"[: picture.shape[2]]: np.ascontiguousarray(linear.astype(np.float16))}) as file:
        file.write(str(path))


class Kitchen:
    """Makes each thing once in a session's folder and serves copies."""

    def __init__(self, shelf: Path) -> None:
        self.shelf = shelf
        self.made: dict[tuple[Maker, str], Path] = {}

    def serve(self, maker: Maker, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(maker, Link | Folder):
            maker(path)
            return
        key = maker, path.suffix
        if key not in self.made:
            kept = self.shelf / f"{len(self.made)}{path.suffix}"
            maker(kept)
            self.made[key] = kept
        if self.made[key].is_dir():
            shutil.copytree(self.made[key], path)
        else:
            shutil.copyfile(self.made[key], path)


def tree(folder: Path) -> dict[str, str]:
    """Everything under a folder: names, with the hash of each file's bytes."""
    return {str(path.relative_to(folder)): "folder" if path.is_dir() and not path.is_symlink()
            else "link" if not path.exists() else hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))}


@dataclass(frozen=True)
class Seen:
    """What a finished clip is. `pixels`: FFmpeg's name of their kind, of a folder the pictures' dtype and channels."""

    frames: int
    size: tuple[int, int]
    rate: str
    pixels: str
    pictures: np.ndarray  # (T, H, W, 3) uint8
    sound: float = 0  # seconds of it
    timecode: str = ""


def look(path: Path) -> Seen:
    """A clip, a picture, or a folder of pictures as PyAV and OpenCV see it."""
    if path.is_dir() or path.suffix in (".png", ".jpg"):
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        if files[0].suffix == ".exr":
            return _look_at_exr(files)
        raw = [cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in files]
        height, width, channels = raw[0].shape if raw[0].ndim == 3 else (*raw[0].shape, 1)
        shown = np.stack([cv2.imread(str(file))[..., ::-1] for file in files])
        return Seen(len(files), (width, height), "", f"{raw[0].dtype}×{channels}", shown)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        rate = str(stream.average_rate)
        codes = [entry.metadata.get("timecode", "") for entry in (container, *container.streams)]
        codes.append(container.metadata.get("TIMECODE", ""))
        frames = list(container.decode(stream))
    pictures = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
    return Seen(len(frames), (frames[0].width, frames[0].height), rate, frames[0].format.name, pictures,
                _seconds_of_sound(path), max(codes))


def _seconds_of_sound(path: Path) -> float:
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return 0
        return sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))


def _look_at_exr(files: list[Path]) -> Seen:
    import OpenEXR

    pictures = []
    for file in files:
        with OpenEXR.File(str(file)) as opened:
            name, channel = next(iter(opened.channels().items()))
            pictures.append(np.array(channel.pixels, np.float32))
    height, width = pictures[0].shape[:2]
    return Seen(len(files), (width, height), "", f"float16×{len(name)}",
                np.clip(np.stack(pictures)[..., :3] * 255, 0, 255).astype(np.uint8))
