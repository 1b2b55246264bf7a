"""What a video file says of itself: its `Clip`, before any picture but the first is decoded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition

from harmovid.errors import InputError
from harmovid.video.clip import Clip
from harmovid.video.color import ColorTags, Primaries, Transfer
from harmovid.video.pixels import orientation

_PRIMARIES: dict[int, Primaries] = {1: "bt709", 5: "bt601-625", 6: "bt601-525", 7: "bt601-525", 9: "bt2020",
                                    11: "p3", 12: "p3"}
_TRANSFER: dict[int, Transfer] = {4: "gamma22", 8: "linear", 16: "pq", 18: "hlg"}
# Kr, Kb. ITU-T H.273 table 4.
_STANDARD_RATES = [Fraction(n, d) for n, d in ((24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (48, 1),
                                               (50, 1), (60000, 1001), (60, 1), (100, 1), (120000, 1001), (120, 1),
                                               (240, 1), (15, 1), (12, 1))]


def open_file(path: Path) -> Any:
    """A file as FFmpeg opens it, a PyAV container; FFmpegError where it cannot."""
    # FFmpeg takes "take:2.mp4" for a protocol, but no absolute path; tags in strange letters are no damage.
    return av.open(str(path.absolute()), metadata_errors="replace")


def picture_stream(container: Any) -> Any:
    """The stream that is watched.

    Raises:
        InputError: there is none, or one of many tiles.
    """
    if any(stream.disposition & Disposition.dependent for stream in container.streams.video):
        raise InputError(f"{container.name} is a picture in tiles, as telephones store HEIC, and cannot be put "
                         "together here; convert it to JPEG or PNG")
    # A cover picture in a sound file is a video stream to FFmpeg, not to anybody else.
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        kind = "has sound but no picture" if container.streams.audio else "has no picture"
        raise InputError(f"{container.name} {kind}; expected a video, a picture or a folder of pictures")
    return streams[0]


def codec(stream: Any) -> Any:
    """What decodes a stream, with its alpha where it has some."""
    if stream.metadata.get("alpha_mode") == "1" and stream.codec_context.name in ("vp8", "vp9"):
        # FFmpeg's own VP8 and VP9 decoders drop the alpha that WebM carries beside; libvpx keeps it.
        context = av.CodecContext.create("libvpx-vp9" if stream.codec_context.name == "vp9" else "libvpx", "r")
        context.extradata = stream.codec_context.extradata
        return context
    return stream.codec_context


def probe(path: Path, container: Any, damaged_ok: bool) -> Clip:
    """The clip of an open file; its packets are counted, and its first frame is decoded.

    Raises:
        InputError: there is no picture or no frame, or the file is cut short and that is not `damaged_ok`.
    """
    stream = picture_stream(container)
    promised = stream.frames
    stamps, durations, keys, found, torn = [], [], [], 0, False
    for packet in container.demux(stream):
        if packet.size == 0:
            found += packet.dts is not None  # an empty sample, that is: the picture before stays
            continue
        found += 1
        torn = packet.is_corrupt and not packet.is_discard
        if not packet.is_discard:  # an edit list may leave stored frames out
            stamps.append(packet.pts if packet.pts is not None else packet.dts)
            durations.append(packet.duration or 0)
            keys.append(packet.is_keyframe)
    if torn and stamps:
        del stamps[-1], durations[-1], keys[-1]
        found -= 1
    if not stamps:
        raise InputError(f"{path} holds no frame; it is damaged or was never finished: export it again")
    known = all(stamp is not None for stamp in stamps)
    # AVI counts frames that were dropped, of which nothing is stored: the one before them stays on the screen.
    whole = known and stream.duration and max(stamps) + 1 >= (stream.start_time or 0) + stream.duration
    lost = f"{found} of {promised} frames" if promised > found + 1 and not whole else _lost_bytes(path, container)
    if torn and not lost:
        lost = f"{found} whole frames"
    fallback = stream.average_rate or stream.guessed_rate or Fraction(25)
    if known:
        order = np.argsort(np.array(stamps, np.int64), kind="stable")
        timestamps = np.array(stamps, np.int64)[order]
        # Decoding from the very start always works, whatever the first frame is.
        keyframes = np.union1d([0], np.flatnonzero(np.array(keys)[order]))
    else:
        timestamps, keyframes = np.arange(len(stamps)), None
    ticks = Fraction(stream.time_base) if known else 1 / Fraction(fallback)
    last_duration = durations[int(order[-1])] * ticks if known else ticks
    rate, source_index = steady(timestamps - timestamps[0], ticks, last_duration,
                                [stream.average_rate, stream.base_rate, stream.guessed_rate])
    notes = []
    if lost:
        if not damaged_ok:
            raise InputError(f"{path} is cut short: only {lost} are there; copy it again, or use what is there with "
                             f"--end {len(source_index)}")
        notes.append(f"cut short: only {lost} are there")
    if not np.array_equal(source_index, np.arange(len(timestamps))):
        notes.append(f"variable frame rate, read at a steady {float(rate):.6g} frames per second")

    first = _first_frame(path)
    if first.interlaced_frame:
        notes.append("interlaced: each frame keeps the lines of two moments; deinterlace it before")
    clip = Clip(
        path=path, width=first.width, height=first.height, frames=len(source_index), rate=rate,
        source_index=source_index, bits=max(c.bits for c in first.format.components),
        tags=_tags(first), alpha=any(c.is_alpha for c in first.format.components) or _is_palette(first),
        sound=bool(container.streams.audio),
        start_seconds=float(timestamps[0] * ticks) if known else 0.0,
        timecode=_timecode(container, stream),
        timestamps=timestamps, keyframes=keyframes, notes=tuple(notes),
    )
    aspect = stream.sample_aspect_ratio
    if aspect and aspect != 1:
        clip = replace(clip, width=max(1, round(clip.width * aspect)),
                       notes=(*clip.notes, f"pixels of {aspect.numerator}:{aspect.denominator} made square"))
    if orientation(first)[0]:
        clip = replace(clip, width=clip.height, height=clip.width)
    return clip


def _lost_bytes(path: Path, container: Any) -> str | None:
    """How much of a Matroska file is there, where its header promises more: it tells of no number of frames."""
    if "matroska" not in container.format.name:
        return None
    with path.open("rb") as file:
        head = file.read(4096)
        there = file.seek(0, 2)
    place = head.find(b"\x18\x53\x80\x67") + 4  # the segment, all of the file but its head
    if place < 4 or place >= len(head) or head[place] == 0:
        return None
    length = 9 - head[place].bit_length()
    size = int.from_bytes(head[place : place + length], "big") & (1 << 7 * length) - 1
    promised = place + length + size
    if size == (1 << 7 * length) - 1 or promised <= there:  # all ones: not known, a live stream
        return None
    return f"{there} of {promised} bytes"


def steady(timestamps: np.ndarray, tick: Fraction, last: Fraction,
           candidates: Iterable[Fraction | None]) -> tuple[Fraction, np.ndarray]:
    """The steady rate of a clip, and the stored frame to show at each steady frame.

    A clip whose frames all lie within 0.4 of a frame of ``i / rate`` for one of the candidate rates, or
    for its own median step, is steady already. Any other is sampled and held at the standard rate nearest
    to that step, one that the container names before others.

    Args:
        timestamps: (N,) int64, increasing from 0, in ticks.
        tick: seconds per tick.
        last: seconds that the last frame lasts.
        candidates: rates that the container names, any may be None or 0.

    Returns:
        rate: frames per second. source_index: (frames,) int64 into the stored frames.
    """
    count = len(timestamps)
    times = timestamps.astype(np.float64) * float(tick)
    named = [_standard(Fraction(rate)) for rate in candidates if rate]
    steps = np.diff(times)
    step = float(np.median(steps[steps > 0])) if (steps > 0).any() else float(last or 0)
    nearest = min(_STANDARD_RATES, key=lambda rate: abs(float(rate) * step - 1)) if step else Fraction(25)
    regular = [1 / Fraction(step).limit_denominator(90000)] if step else []
    for rate in [*(r for r in named if r in _STANDARD_RATES), *named, nearest, *regular]:
        if count == 1 or float(np.abs(times - np.arange(count) / float(rate)).max()) * float(rate) < 0.4:
            return rate, np.arange(count)
    rate = next((rate for rate in named if rate in _STANDARD_RATES and abs(float(rate) * step - 1) < 0.02), nearest)
    length = max(1, round((times[-1] + (float(last) or step)) * float(rate)))
    # A quarter of a frame early is the same frame with a coarse clock.
    shown = np.searchsorted(times, (np.arange(length) + 0.25) / float(rate), side="right") - 1
    shown[0] = 0  # however short
    return rate, np.clip(shown, 0, count - 1)


def _standard(rate: Fraction) -> Fraction:
    # Matroska's clock of a millisecond makes 19001/317 of 60000/1001; 23.98 that is meant so is farther off.
    near = min(_STANDARD_RATES, key=lambda standard: abs(standard / rate - 1))
    return near if abs(near / rate - 1) < Fraction(1, 20000) else rate


def _first_frame(path: Path) -> av.VideoFrame:
    with open_file(path) as container:
        stream = picture_stream(container)
        decoder = codec(stream)
        for packet in container.demux(stream):
            for frame in decoder.decode(packet if packet.size else None):
                return frame
    raise InputError(f"{path} holds no frame that can be decoded; it is damaged: copy or export it again")


def _tags(frame: av.VideoFrame) -> ColorTags:
    floats = frame.format.name.endswith(("f32le", "f32be", "f16le", "f16be"))  # Radiance's .hdr: light itself
    transfer = _TRANSFER.get(int(frame.color_trc), "linear" if floats else "srgb")
    primaries = _PRIMARIES.get(int(frame.color_primaries))
    if primaries is None:
        # Nothing said: the matrix hints at it, but for JPEG, which knows BT.601's only; else BT.709.
        hint: dict[int, Primaries] = {5: "bt601-625", 6: "bt601-525", 9: "bt2020"}
        primaries = "bt709" if frame.format.name.startswith("yuvj") else hint.get(int(frame.colorspace), "bt709")
    return ColorTags(primaries, transfer)


def _is_palette(frame: av.VideoFrame) -> bool:
    return frame.format.name == "pal8"


def _timecode(container: Any, stream: Any) -> str | None:
    found = container.metadata.get("timecode") or stream.metadata.get("timecode")
    for other in container.streams:
        found = found or other.metadata.get("timecode")
    return found or container.metadata.get("TIMECODE")


def reason(error: Exception) -> str:
    """What FFmpeg says is wrong, in small letters."""
    return str(getattr(error, "strerror", None) or error).lower()
