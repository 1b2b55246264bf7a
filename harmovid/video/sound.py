"""The sound of a clip, carried over to another file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError, InvalidDataError

from harmovid.errors import InputError, OptionError

_MP4_SOUND = {"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"}
_MOV_SOUND = {"aac", "mp3", "ac3", "eac3", "alac"}
_MOV_PCM = ("pcm_s", "pcm_f", "pcm_u8", "pcm_alaw", "pcm_mulaw")
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)


@dataclass(frozen=True)
class Sound:
    """Sound to carry over: the file that has it, and the stretch of it in seconds."""

    path: Path
    start: float = 0.0
    end: float = float("inf")


class SoundCopy:
    """The sound of a clip, copied packet by packet, or encoded as AAC where the container needs it."""

    def __init__(self, container: Any, kind: str, sound: Sound) -> None:
        self.sound = sound
        self.container = container
        try:
            self.source = av.open(str(sound.path.absolute()), metadata_errors="replace")
        except FFmpegError as error:
            raise self._unreadable() from error
        stream = _heard(self.source)
        if stream is None:
            raise self._unreadable()
        name = stream.codec_context.codec.canonical_name
        fits = kind == "mkv" or name in (_MP4_SOUND if kind == "mp4" else _MOV_SOUND) or (
            kind == "mov" and name.startswith(_MOV_PCM))
        self.stream: Any = None
        if fits:
            with suppress(ValueError):  # the container has no place for it after all
                self.stream = container.add_stream_from_template(stream)
        if self.stream is not None:
            # An edit list, which Matroska lacks, hides the part of a packet that comes before the start, and
            # one more whole packet, which AAC and its like need to begin with.
            lead = 0 if kind == "mkv" else 1 if name.startswith("pcm") else 2
            self.packets = self._copied(stream, lead)
        else:
            channels = stream.codec_context.channels
            self.stream = container.add_stream(
                "aac", rate=stream.rate if stream.rate in _AAC_RATES else 48000,
                layout={1: "mono", 6: "5.1"}.get(channels, "stereo"))
            self.packets = self._encoded(stream)
        self.next = next(self.packets, None)

    def mux(self, until: float) -> None:
        """Write the sound up to `until` seconds of the output."""
        while self.next is not None and self.next[0] <= until:
            self.container.mux(self.next[1])
            self.next = next(self.packets, None)

    def _read(self, stream: Any) -> Iterator[Any]:
        try:
            yield from self.source.demux(stream)
        except FFmpegError as error:
            raise self._unreadable() from error

    def _unreadable(self) -> InputError:
        return InputError(f"the sound of {self.sound.path} cannot be read; pass --no-sound to leave it out")

    def _frames(self, stream: Any) -> Iterator[Any]:
        for packet in self._read(stream):
            with suppress(InvalidDataError):  # a torn packet becomes silence, as in any player
                yield from stream.decode(packet)

    def _copied(self, stream: Any, lead: int) -> Iterator[tuple[float, Any]]:
        first = round(self.sound.start / stream.time_base)
        for packet in self._read(stream):
            if packet.size == 0 or packet.pts is None:
                continue
            early = first - packet.pts
            if early > 0 and early >= lead * (packet.duration or 0):
                continue
            seconds = float((packet.pts - first) * stream.time_base)
            if seconds + self.sound.start >= self.sound.end:
                return
            packet.pts, packet.dts = packet.pts - first, (packet.pts if packet.dts is None else packet.dts) - first
            packet.stream = self.stream
            yield seconds, packet

    def _encoded(self, stream: Any) -> Iterator[tuple[float, Any]]:
        rate = self.stream.rate
        written = 0
        for samples in self._samples(stream):
            piece = av.AudioFrame.from_ndarray(samples, format="fltp", layout=self.stream.layout.name)
            piece.sample_rate, piece.pts, piece.time_base = rate, written, Fraction(1, rate)
            written += piece.samples
            for packet in self.stream.encode(piece):
                yield written / rate, packet
        for packet in self.stream.encode(None):
            yield written / rate, packet

    def _samples(self, stream: Any) -> Iterator[np.ndarray]:
        """The stretch as (channels, n) float32, n ≤ a second, without a gap: silence where the source has nothing."""
        rate, layout = self.stream.rate, self.stream.layout
        length = (self.sound.end - self.sound.start) * rate
        length = round(length) if length < float("inf") else sys.maxsize
        place = 0
        for piece in self._resampled(stream):
            samples = piece.to_ndarray()
            at = place if piece.time is None else round((piece.time - self.sound.start) * rate)
            if place and abs(at - place) < 0.02 * rate:
                at = place  # a coarse clock is no gap
            while place < min(at, length):
                silence = np.zeros((layout.nb_channels, min(at - place, length - place, rate)), np.float32)
                place += silence.shape[1]
                yield silence
            samples = samples[:, max(place - at, 0) : max(length - at, 0)]
            if samples.shape[1]:
                place += samples.shape[1]
                yield np.ascontiguousarray(samples)
            if place >= length:
                return

    def _resampled(self, stream: Any) -> Iterator[Any]:
        def resampler() -> Any:
            return av.AudioResampler(format="fltp", layout=self.stream.layout.name, rate=self.stream.rate)

        current = resampler()
        for frame in self._frames(stream):
            try:
                pieces = current.resample(frame)
            except ValueError:  # another rate or number of channels from here on
                yield from current.resample(None)
                current = resampler()
                pieces = current.resample(frame)
            yield from pieces
        yield from current.resample(None)


def check_sound(path: Path) -> None:
    """Raise InputError where the sound of a file can't be read, before any long work."""
    try:
        with av.open(str(path.absolute()), metadata_errors="replace") as container:
            if not container.streams.audio:
                raise OptionError(f"{path} has no sound")
            stream = _heard(container)
            if stream is None:
                raise InvalidDataError(0, "a codec that is not known", str(path))
            next(container.demux(stream))
    except (FFmpegError, StopIteration) as error:
        raise InputError(f"the sound of {path} cannot be read; pass --no-sound to leave it out") from error


def _heard(container: Any) -> Any:
    """The first stream of sound that can be decoded, or None: of a codec that is not known there is no context."""
    return next((stream for stream in container.streams.audio if stream.codec_context is not None), None)
