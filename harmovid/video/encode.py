"""Clips out: H.264, ProRes 4444, FFV1, and folders of PNG or EXR, whole or not at all.

Everything is written under a temporary name beside the target and renamed when it is whole, so that
what has the real name is always finished. With `video.io` the only home of PyAV.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter

from harmovid.errors import InputError, OptionError, OutputError
from harmovid.video import stills
from harmovid.video.color import SCENE_LINEAR, SRGB, ColorTags
from harmovid.video.io import EXACT

Kind = Literal["mp4", "mov", "mkv", "png", "exr", "still"]

_PRIMARIES = {"bt709": ColorPrimaries.BT709, "bt601-525": ColorPrimaries.SMPTE170M,
              "bt601-625": ColorPrimaries.BT470BG, "p3": ColorPrimaries.SMPTE432, "bt2020": ColorPrimaries.BT2020}
_MATRIX = {"bt709": Colorspace.ITU709, "bt601-525": Colorspace.ITU601, "bt601-625": Colorspace.ITU601,
           "p3": Colorspace.ITU709, "bt2020": Colorspace.BT2020}
# Values of ITU-T H.273 for the stream's tag; libswscale's enumeration has fewer.
_MATRIX_TAG = {"bt709": 1, "bt601-525": 6, "bt601-625": 5, "p3": 1, "bt2020": 9}
_TRANSFER = {"srgb": ColorTrc.BT709, "linear": ColorTrc.LINEAR, "gamma22": ColorTrc.GAMMA22, "pq": ColorTrc.SMPTE2084,
             "hlg": ColorTrc.ARIB_STD_B67}
_MP4_SOUND = {"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"}
_MOV_SOUND = {"aac", "mp3", "ac3", "eac3", "alac"}  # and PCM


@dataclass(frozen=True)
class Sound:
    """Sound to carry over: the file that has it, and the stretch of it in seconds."""

    path: Path
    start: float = 0.0
    end: float = float("inf")


@dataclass(frozen=True)
class Target:
    """Where and how to write; made by `open_target`, which checks what can be checked beforehand."""

    path: Path
    kind: Kind
    pattern: Path | None = None  # of a folder: the files' names, "shot.%04d.png"

    @property
    def display(self) -> bool:
        """Whether the format holds 0..1 display values alone (scene-linear light must be encoded)."""
        return self.kind != "exr" and not (self.kind == "still" and self.path.suffix.lower() == ".exr")

    @property
    def deep(self) -> bool:
        """Whether the format can hold more than 8 bits."""
        return self.kind != "mp4" and self.path.suffix.lower() not in (".jpg", ".jpeg", ".webp", ".bmp")

    @property
    def alpha(self) -> bool:
        """Whether the format can hold an alpha channel."""
        return self.kind != "mp4" and self.path.suffix.lower() not in (".jpg", ".jpeg", ".bmp")

    def tags(self, wanted: ColorTags) -> ColorTags:
        """The colour that the file will have: as wanted where it can, else sRGB or scene-linear."""
        if not self.display:
            return SCENE_LINEAR
        if self.kind in ("png", "still"):
            return SRGB
        if self.kind == "mp4" and wanted.hdr:
            return SRGB  # eight bits can't carry it
        return wanted if wanted.transfer in _TRANSFER else SRGB


def open_target(path: str | Path, *, inputs: tuple[Path, ...] = (), overwrite: bool = False, frames: int = 2,
                alpha: bool = False) -> Target:
    """Check an output's name before any work, and say how it will be written. Creates nothing.

    Args:
        path: .mp4, .mov, .mkv, a folder, a numbered pattern, or one picture where frames is 1.
        inputs: files that must not be written over.
        overwrite: allow a finished output that stands there already to be replaced.
        frames: how many frames will come.
        alpha: whether the result carries alpha.

    Raises:
        OutputError: unknown suffix, the place is an input or is taken, or it can't be written to.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    pattern = None
    if stills.is_pattern(path):
        kind: Kind = "exr" if suffix == ".exr" else "png"
        if suffix not in (".exr", ".png"):
            raise OutputError(f"{path}: numbered pictures are written as .png or .exr; change the suffix")
        pattern, path = path, path.parent
    elif suffix in (".mp4", ".mov", ".mkv"):
        kind = suffix[1:]  # type: ignore[assignment]
    elif suffix in stills.SUFFIXES:
        if frames > 1:
            raise OutputError(f"{path} is one picture and the result has {frames} frames; name a video, a "
                              f"folder, or a pattern such as {path.stem}.%04d{suffix}")
        kind = "still"
    elif suffix == "" or path.is_dir():
        kind, pattern = "png", path / "%06d.png"
    else:
        raise OutputError(f"{path} has the suffix {suffix}; expected .mp4 (H.264), .mov (ProRes 4444), .mkv "
                          "(FFV1), a folder, or a pattern such as shot.%04d.exr")
    for other in inputs:
        if _same(path, other) or (pattern is not None and _same(path, other.parent if stills.is_pattern(other)
                                                                 or other.is_file() else other)):
            raise OutputError(f"the output {path} is the place of the input {other}; choose another name")
    _check_place(path, pattern, overwrite)
    target = Target(path, kind, pattern)
    if alpha and not target.alpha:
        raise OutputError(f"{path} cannot hold alpha; write .mov (ProRes 4444), .mkv (FFV1), or PNG or EXR pictures")
    return target


def _same(a: Path, b: Path) -> bool:
    return a.absolute() == b.absolute() or (a.exists() and b.exists() and os.path.samefile(a, b))


def _check_place(path: Path, pattern: Path | None, overwrite: bool) -> None:
    parent = path.parent
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    if not parent.is_dir():
        raise OutputError(f"{path} cannot be written: {parent} is a file, not a folder; choose another place")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"{path} cannot be written: no right to write in {parent}; choose another folder")
    if pattern is None and path.is_dir():
        raise OutputError(f"{path} is a folder; name a file in it, or a folder without a suffix")
    if pattern is not None and path.exists() and not path.is_dir():
        raise OutputError(f"{path} is a file; name a folder, or add a suffix such as .mp4")
    taken = any(path.iterdir()) if pattern is not None and path.is_dir() else path.exists()
    if taken and not overwrite:
        what = "is not empty" if pattern is not None else "exists already"
        raise OutputError(f"{path} {what}; pass --overwrite to replace it, or choose another name")


class Writer:
    """Writes one clip; a context manager. Leaving it by an exception removes what was written.

    Args:
        target: from `open_target`.
        size: (width, height) of the frames.
        rate: frames per second.
        tags: the colour of the frames given; must be `target.tags(...)` of it.
        bits: 8, or more for 16-bit files where the format has them.
        alpha: whether frames come with alpha.
        grey: whether frames are (H, W): a mask.
        sound: carried over where the format has sound.
        timecode: of the first frame.
        start_number: number of the first picture of a sequence.

    Raises:
        OutputError: no space, or the encoder refuses; says which.
    """

    def __init__(self, target: Target, size: tuple[int, int], rate: Fraction, tags: ColorTags = SRGB, *,
                 bits: int = 8, alpha: bool = False, grey: bool = False, sound: Sound | None = None,
                 timecode: str | None = None, start_number: int | None = None) -> None:
        self.target, self.size, self.rate, self.tags = target, size, rate, tags
        self.bits = bits if target.deep else 8
        self.alpha, self.grey, self.timecode = alpha, grey, timecode
        self.count = 0
        self.number = 0 if start_number is None else start_number
        self.partial = target.path.with_name(f".{target.path.name}.part")
        self.container: Any = None
        self.made: list[Path] = []  # folders made for the output, to be removed if it fails
        try:
            self._make_parents(target.path.parent)
            if target.kind in ("png", "exr"):
                shutil.rmtree(self.partial, ignore_errors=True)
                self.partial.mkdir()
            elif target.kind != "still":
                self._open_video(sound)
        except (OSError, FFmpegError) as error:
            self.abandon()
            raise self._failure(error) from error

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.abandon()
        else:
            self.close()

    def write(self, rgb: np.ndarray, alpha: np.ndarray | None = None) -> None:
        """Add a frame.

        Args:
            rgb: (H, W, 3) float32 straight code values of the tags given, or (H, W) where grey.
            alpha: (H, W) float32 in [0, 1] where the writer was opened with alpha.
        """
        assert rgb.shape[:2] == (self.size[1], self.size[0]), (rgb.shape, self.size)
        assert (alpha is not None) == self.alpha and (rgb.ndim == 2) == self.grey
        try:
            if self.target.kind == "still":
                path = self.target.path
                stills.write_picture(path, rgb, alpha, self.bits, self.rate, self.timecode)
            elif self.target.kind in ("png", "exr"):
                assert self.target.pattern is not None
                name = stills.numbered(self.target.pattern, self.number + self.count).name
                stills.write_picture(self.partial / name, rgb, alpha, self.bits, self.rate, self._frame_timecode())
            else:
                self._encode(rgb, alpha)
        except (OSError, FFmpegError) as error:
            raise self._failure(error) from error
        self.count += 1

    def close(self) -> None:
        """Finish the clip and give it its real name."""
        try:
            if self.target.kind in ("png", "exr"):
                self._move_folder()
            elif self.container is not None:
                for packet in self.stream.encode(None):
                    self.container.mux(packet)
                self._mux_sound(float("inf"))
                self.container.close()
                self.container = None
                os.replace(self.partial, self.target.path)
        except (OSError, FFmpegError) as error:
            self.abandon()
            raise self._failure(error) from error

    def abandon(self) -> None:
        """Remove everything written so far; nothing with the real name has been touched."""
        container, self.container = self.container, None
        if container is not None:
            try:
                container.close()
            except (OSError, FFmpegError):
                pass  # the disk may be full: the file goes away in any case
        if self.partial.is_dir():
            shutil.rmtree(self.partial, ignore_errors=True)
        else:
            self.partial.unlink(missing_ok=True)
        for folder in reversed(self.made):
            try:
                folder.rmdir()
            except OSError:
                break

    def _make_parents(self, folder: Path) -> None:
        missing = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for folder in reversed(missing):
            folder.mkdir()
            self.made.append(folder)

    def _frame_timecode(self) -> str | None:
        from harmovid.video import timecode

        return timecode.shift(self.timecode, self.count, self.rate) if self.timecode else None

    def _move_folder(self) -> None:
        target = self.target.path
        if not target.exists():
            os.replace(self.partial, target)
            return
        for file in sorted(self.partial.iterdir()):  # replacing files that stood there, keeping others
            os.replace(file, target / file.name)
        self.partial.rmdir()

    def _open_video(self, sound: Sound | None) -> None:
        kind = self.target.kind
        names = {"mp4": "mp4", "mov": "mov", "mkv": "matroska"}
        options = {"movflags": "+faststart"} if kind in ("mp4", "mov") else {}
        self.container = av.open(str(self.partial), "w", format=names[kind], options=options)
        codec = {"mp4": "libx264", "mov": "prores_ks", "mkv": "ffv1"}[kind]
        stream = self.stream = self.container.add_stream(codec, rate=self.rate)
        deep = self.bits > 8
        if kind == "mp4":
            stream.pix_fmt = "yuv420p"
            # 4:2:0 wants even sides: one more column or row, a copy of the last, in place of a cut.
            stream.width, stream.height = (side + side % 2 for side in self.size)
            # A shorter lookahead than the preset's: at constant quality it only costs bytes, few of them.
            stream.options = {"crf": "14", "preset": "medium", "rc-lookahead": "12", "refs": "2"}
            stream.codec_context.thread_count = 2
        else:
            stream.width, stream.height = self.size
        if kind == "mov":
            stream.pix_fmt = "yuva444p10le" if self.alpha else "yuv444p10le"
            stream.options = {"profile": "4444", "vendor": "apl0", "alpha_bits": "16" if self.alpha else "0"}
        if kind == "mkv":
            if self.grey:
                stream.pix_fmt = "gray16le" if deep else "gray"
            else:
                stream.pix_fmt = {(False, False): "bgr0", (True, False): "bgra", (False, True): "gbrp16le",
                                  (True, True): "gbrap16le"}[self.alpha, deep]
            stream.options = {"level": "3", "slices": "4", "slicecrc": "1"}
        context = stream.codec_context
        context.color_primaries = int(_PRIMARIES[self.tags.primaries])
        context.color_trc = int(_TRANSFER[self.tags.transfer])
        rgb = kind == "mkv" and not self.grey
        context.colorspace = 0 if rgb else _MATRIX_TAG[self.tags.primaries]
        context.color_range = int(ColorRange.JPEG if kind == "mkv" else ColorRange.MPEG)
        context.time_base = 1 / self.rate
        if self.timecode:
            self.container.metadata["timecode"] = self.timecode
        self.sound = _SoundCopy(self.container, kind, sound) if sound else None
        self.reformatter = VideoReformatter()

    def _encode(self, rgb: np.ndarray, alpha: np.ndarray | None) -> None:
        deep = self.bits > 8 or self.target.kind == "mov"
        peak, dtype = (65535, np.uint16) if deep else (255, np.uint8)
        values = rgb if alpha is None else np.dstack([rgb, alpha])
        codes = np.clip(values, 0, 1)
        codes *= np.float32(peak)
        codes += np.float32(0.5)  # truncation then rounds
        codes = codes.astype(dtype)
        pad = (self.stream.height - codes.shape[0], self.stream.width - codes.shape[1])
        if any(pad):
            codes = np.pad(codes, ((0, pad[0]), (0, pad[1])) + ((0, 0),) * (codes.ndim - 2), mode="edge")
        kind = "gray" if self.grey else "rgb" if alpha is None else "rgba"
        suffix = {"gray": ("", "16le"), "rgb": ("24", "48le"), "rgba": ("", "64le")}[kind][deep]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(codes), format=kind + suffix)
        frame.color_range = ColorRange.JPEG
        full = self.target.kind == "mkv"
        frame = self.reformatter.reformat(
            frame, format=self.stream.pix_fmt, interpolation=EXACT,
            dst_colorspace=None if full else _MATRIX[self.tags.primaries],
            src_color_range=ColorRange.JPEG, dst_color_range=ColorRange.JPEG if full else ColorRange.MPEG)
        frame.pts, frame.time_base = self.count, 1 / self.rate
        for packet in self.stream.encode(frame):
            self.container.mux(packet)
        self._mux_sound(float((self.count + 1) / self.rate))

    def _mux_sound(self, until: float) -> None:
        if self.sound is not None:
            self.sound.mux(until if until != float("inf") else float(self.count / self.rate))

    def _failure(self, error: Exception) -> OutputError:
        if getattr(error, "errno", None) == errno.ENOSPC:
            return OutputError(f"{self.target.path} cannot be written: the disk is full; nothing half-written was "
                               "left behind: free some space and run the same command again")
        return OutputError(f"{self.target.path} cannot be written ({str(error).lower()}); check the folder, or "
                           "choose another place")


class _SoundCopy:
    """The sound of a clip, copied packet by packet, or encoded as AAC where the container needs it."""

    def __init__(self, container: Any, kind: str, sound: Sound) -> None:
        self.container, self.sound = container, sound
        self.source = av.open(str(sound.path))
        stream = self.source.streams.audio[0]
        name = stream.codec_context.name
        fits = kind == "mkv" or name in (_MP4_SOUND if kind == "mp4" else _MOV_SOUND) or (
            kind == "mov" and name.startswith("pcm"))
        if fits:
            self.stream = container.add_stream_from_template(stream)
            self.packets = self._copied(stream)
        else:
            self.stream = container.add_stream("aac", rate=stream.rate, layout=stream.layout.name)
            self.packets = self._encoded(stream)
        self.next = next(self.packets, None)

    def mux(self, until: float) -> None:
        """Write the sound up to `until` seconds of the output."""
        while self.next is not None and self.next[0] <= until:
            self.container.mux(self.next[1])
            self.next = next(self.packets, None)

    def _copied(self, stream: Any) -> Iterator[tuple[float, Any]]:
        first = round(self.sound.start / stream.time_base)
        for packet in self.source.demux(stream):
            if packet.size == 0 or packet.pts is None or packet.pts < first:
                continue
            seconds = float((packet.pts - first) * stream.time_base)
            if seconds + self.sound.start >= self.sound.end:
                return
            packet.pts, packet.dts = packet.pts - first, (packet.dts or packet.pts) - first
            packet.stream = self.stream
            yield seconds, packet

    def _encoded(self, stream: Any) -> Iterator[tuple[float, Any]]:
        resampler = av.AudioResampler(format="fltp", layout=stream.layout.name, rate=stream.rate)
        written = 0
        for frame in self.source.decode(stream):
            if frame.time is None or frame.time < self.sound.start:
                continue
            if frame.time >= self.sound.end:
                break
            for piece in resampler.resample(frame):
                piece.pts, piece.time_base = written, Fraction(1, stream.rate)
                written += piece.samples
                for packet in self.stream.encode(piece):
                    yield written / stream.rate, packet
        for packet in self.stream.encode(None):
            yield written / stream.rate, packet


def check_sound(path: Path) -> None:
    """Raise InputError where the sound of a file can't be read, before any long work."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise OptionError(f"{path} has no sound")
            next(container.demux(container.streams.audio[0]))
    except (FFmpegError, StopIteration) as error:
        raise InputError(f"the sound of {path} cannot be read; pass --no-sound to leave it out") from error
