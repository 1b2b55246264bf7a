"""Clips out: H.264, ProRes 4444, FFV1, and folders of PNG or EXR, whole or not at all.

Everything is written under a temporary name beside the target and renamed when it is whole, so that
what has the real name is always finished.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, VideoReformatter

from harmovid.errors import OutputError
from harmovid.video import stills
from harmovid.video.color import SRGB, ColorTags
from harmovid.video.pixels import EXACT, rgb_to_ycbcr
from harmovid.video.sound import Sound, SoundCopy
from harmovid.video.target import TRANSFERS, Target
from harmovid.video.timecode import shift

_PRIMARIES = {"bt709": ColorPrimaries.BT709, "bt601-525": ColorPrimaries.SMPTE170M,
              "bt601-625": ColorPrimaries.BT470BG, "p3": ColorPrimaries.SMPTE432, "bt2020": ColorPrimaries.BT2020}
_MATRIX = {"bt709": Colorspace.ITU709, "bt601-525": Colorspace.ITU601, "bt601-625": Colorspace.ITU601,
           "p3": Colorspace.ITU709, "bt2020": Colorspace.BT2020}
# Values of ITU-T H.273 for the stream's tag; libswscale's enumeration has fewer.
_MATRIX_TAG = {"bt709": 1, "bt601-525": 6, "bt601-625": 5, "p3": 1, "bt2020": 9}


class Writer:
    """Writes one clip; a context manager. Leaving it by an exception removes what was written.

    Args:
        target: from `target.open_target`.
        size: (width, height) of the frames.
        rate: frames per second.
        tags: the colour of the frames given; must be `target.tags(...)` of it.
        bits: 8, or more for 16-bit files where the format has them.
        alpha: whether frames come with alpha.
        grey: whether frames are (H, W): a mask.
        sound: carried over where the format has sound.
        timecode: of the first frame; one that can't be read as such is left out.
        start_number, number_step: number of the first picture of a sequence, and from each to the next.
        crf: constant quality of H.264, 0..51, less is finer.

    Raises:
        OutputError: no space, or the encoder refuses; says which.
        InputError: the sound cannot be read.
    """

    def __init__(self, target: Target, size: tuple[int, int], rate: Fraction, tags: ColorTags = SRGB, *,
                 bits: int = 8, alpha: bool = False, grey: bool = False, sound: Sound | None = None,
                 timecode: str | None = None, start_number: int | None = None, number_step: int = 1,
                 crf: int = 16) -> None:
        self.crf = crf
        self.target, self.size, self.rate, self.tags = target, size, rate, tags
        self.bits = bits if target.deep else 8
        self.alpha, self.grey, self.timecode = alpha, grey, _readable(timecode, rate)
        self.count = 0
        self.number, self.number_step = start_number or 0, number_step
        self.partial = target.partial
        self.container: Any = None
        self.sound: SoundCopy | None = None
        self.made: list[Path] = []  # folders made for the output, to be removed if it fails
        try:
            self._make_parents(target.path.parent)
            for leftover in target.leftovers():
                _remove(leftover)
            if target.kind in ("png", "exr"):
                shutil.rmtree(self.partial, ignore_errors=True)
                self.partial.mkdir()
            elif target.kind != "still":
                self._open_video(sound)
        except BaseException as error:
            self.abandon()
            if isinstance(error, (OSError, FFmpegError)):
                raise self._failure(error) from error
            raise

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
                stills.write_picture(self.partial, rgb, alpha, self.bits, self.rate, self.timecode)
            elif self.target.kind in ("png", "exr"):
                assert self.target.pattern is not None
                name = stills.numbered(self.target.pattern, self.number + self.number_step * self.count).name
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
                self._close_sound()
                os.replace(self.partial, self.target.path)
            elif self.count:
                os.replace(self.partial, self.target.path)
        except BaseException as error:
            self.abandon()
            if isinstance(error, (OSError, FFmpegError)):
                raise self._failure(error) from error
            raise

    def abandon(self) -> None:
        """Remove everything written so far; nothing with the real name has been touched."""
        container, self.container = self.container, None
        if container is not None:
            with suppress(OSError, FFmpegError):  # the disk may be full: the file goes away in any case
                container.close()
        self._close_sound()
        _remove(self.partial)
        for folder in reversed(self.made):
            try:
                folder.rmdir()
            except OSError:
                break

    def _close_sound(self) -> None:
        if self.sound is not None:
            self.sound.source.close()
            self.sound = None

    def _make_parents(self, folder: Path) -> None:
        missing = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for folder in reversed(missing):
            with suppress(FileExistsError):  # another process made it just now
                folder.mkdir()
                self.made.append(folder)

    def _frame_timecode(self) -> str | None:
        return shift(self.timecode, self.count, self.rate) if self.timecode else None

    def _move_folder(self) -> None:
        target = self.target.path
        if not target.exists():
            try:
                self.partial.rename(target)
                return
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise  # else another process made it just now
        # Pictures of the same numbers are replaced; others stay, so that a stretch can be made again.
        for file in sorted(self.partial.iterdir()):
            os.replace(file, target / file.name)
        self.partial.rmdir()

    def _open_video(self, sound: Sound | None) -> None:
        kind = self.target.kind
        names = {"mp4": "mp4", "mov": "mov", "mkv": "matroska"}
        # Matroska's header would hold a random number, and two runs of one command differ by it.
        options = {"movflags": "+faststart"} if kind in ("mp4", "mov") else {"fflags": "+bitexact"}
        self.container = av.open(str(self.partial.absolute()), "w", format=names[kind], options=options)
        codec = {"mp4": "libx264", "mov": "prores_ks", "mkv": "ffv1"}[kind]
        stream = self.stream = self.container.add_stream(codec, rate=self.rate)
        deep = self.bits > 8
        if kind == "mp4":
            stream.pix_fmt = "yuv420p"
            # 4:2:0 wants even sides: one more column or row, a copy of the last, in place of a cut.
            stream.width, stream.height = (side + side % 2 for side in self.size)
            # A shorter lookahead than the preset's: at constant quality it only costs bytes, few of them.
            # Its macroblock tree gives another file now and then; without it crf 16 is finer than 14 with it.
            stream.options = {"crf": str(self.crf), "preset": "medium", "rc-lookahead": "12", "refs": "2",
                              "mbtree": "0"}
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
        context.color_trc = TRANSFERS[self.tags.transfer]
        rgb = kind == "mkv" and not self.grey
        context.colorspace = 0 if rgb else _MATRIX_TAG[self.tags.primaries]
        context.color_range = int(ColorRange.JPEG if kind == "mkv" else ColorRange.MPEG)
        context.time_base = 1 / self.rate
        if self.timecode:
            self.container.metadata["timecode"] = self.timecode
        self.sound = SoundCopy(self.container, kind, sound) if sound else None
        self.reformatter = VideoReformatter()
        self.matrix = rgb_to_ycbcr(_MATRIX[self.tags.primaries], 10 if kind == "mov" else 8, full=False)

    def _encode(self, rgb: np.ndarray, alpha: np.ndarray | None) -> None:
        limited = self.target.kind != "mkv"
        frame = self._limited(rgb, alpha) if limited and (self.grey or self.target.kind == "mov") else (
            self._reformatted(rgb, alpha, limited))
        # ProRes keeps the frame's own word on colour, not the stream's.
        context = self.stream.codec_context
        frame.color_primaries, frame.color_trc = context.color_primaries, context.color_trc
        frame.colorspace, frame.color_range = context.colorspace, context.color_range
        frame.pts, frame.time_base = self.count, 1 / self.rate
        for packet in self.stream.encode(frame):
            self.container.mux(packet)
        self._mux_sound(float((self.count + 1) / self.rate))

    def _limited(self, rgb: np.ndarray, alpha: np.ndarray | None) -> av.VideoFrame:
        """Y'CbCr by the definition: libswscale makes white 943 in ten bits, where it is 940."""
        frame = av.VideoFrame(self.stream.width, self.stream.height, self.stream.pix_fmt)
        shown = np.clip(self._padded(rgb), 0, 1)
        if self.grey:
            peak, black, middle = (self.matrix[0, :3].sum(), *self.matrix[:2, 3])
            planes = [shown * np.float32(peak) + np.float32(black), middle, middle]
        else:
            planes = list(cv2.split(cv2.transform(shown, self.matrix)))
        if alpha is not None:
            planes.append(np.clip(alpha, 0, 1) * np.float32(1023))
        for plane, values in zip(frame.planes, planes, strict=True):
            dtype = np.dtype(np.uint8 if self.target.kind == "mp4" else np.uint16)
            codes = np.frombuffer(plane, dtype).reshape(-1, plane.line_size // dtype.itemsize)
            codes[: plane.height, : plane.width] = values + np.float32(0.5)  # truncation then rounds
        return frame

    def _reformatted(self, rgb: np.ndarray, alpha: np.ndarray | None, limited: bool) -> av.VideoFrame:
        deep = self.bits > 8
        peak, dtype = (65535, np.uint16) if deep else (255, np.uint8)
        codes = np.clip(self._padded(rgb if alpha is None else np.dstack([rgb, alpha])), 0, 1)
        codes *= np.float32(peak)
        codes += np.float32(0.5)  # truncation then rounds
        kind = "gray" if self.grey else "rgb" if alpha is None else "rgba"
        suffix = {"gray": ("", "16le"), "rgb": ("24", "48le"), "rgba": ("", "64le")}[kind][deep]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(codes.astype(dtype)), format=kind + suffix)
        frame.color_range = ColorRange.JPEG
        return self.reformatter.reformat(
            frame, format=self.stream.pix_fmt, interpolation=EXACT,
            dst_colorspace=_MATRIX[self.tags.primaries] if limited else None,
            src_color_range=ColorRange.JPEG, dst_color_range=ColorRange.MPEG if limited else ColorRange.JPEG)

    def _padded(self, values: np.ndarray) -> np.ndarray:
        below, right = self.stream.height - values.shape[0], self.stream.width - values.shape[1]
        if not below and not right:
            return values
        return np.pad(values, ((0, below), (0, right)) + ((0, 0),) * (values.ndim - 2), mode="edge")

    def _mux_sound(self, until: float) -> None:
        if self.sound is not None:
            self.sound.mux(until if until != float("inf") else float(self.count / self.rate))

    def _failure(self, error: Exception) -> OutputError:
        place = self.target.pattern or self.target.path
        if getattr(error, "errno", None) == errno.ENOSPC:
            return OutputError(f"{place} cannot be written: the disk is full; nothing half-written was left behind: "
                               "free some space and run the same command again")
        reason = getattr(error, "strerror", None) or str(error)
        return OutputError(f"{place} cannot be written ({reason.lower()}); check the folder, or choose another place")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _readable(timecode: str | None, rate: Fraction) -> str | None:
    try:
        return shift(timecode, 0, rate) if timecode else None
    except ValueError:
        return None
