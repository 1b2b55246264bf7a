"""Clips in, as streams: `open_clip` probes, `read` decodes.

Reading never holds more than a few frames in memory, whatever the length of the clip.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from harmovid.errors import InputError
from harmovid.video import kept, stills
from harmovid.video.clip import Clip, Frame
from harmovid.video.pixels import Converter
from harmovid.video.probe import codec, open_file, picture_stream, probe, reason

_KEPT_BACKWARDS = 24  # decoded frames remembered when playing backwards, so that few are decoded twice


def open_clip(path: str | Path, rate: Fraction | None = None, damaged_ok: bool = False) -> Clip:
    """Probe a clip: a video that FFmpeg reads, a still, a folder or a numbered pattern of pictures.

    Packets are counted, so the length is known, but only the first frame is decoded.

    Args:
        path: the clip.
        rate: frames per second of an image sequence; a video keeps its own.
        damaged_ok: take what can be read of a truncated file, with a note, instead of raising.

    Raises:
        InputError: missing, not a picture, sound only, damaged, or cut short.
    """
    path = Path(path)
    if path.is_dir() or path.suffix.lower() in stills.SUFFIXES or (stills.is_pattern(path) and not path.exists()):
        return stills.open_still_or_sequence(path, rate)
    if not path.exists():
        raise InputError(f"there is no file {path}; check the name")
    try:
        with open_file(path) as container:
            return probe(path, container, damaged_ok)
    except FFmpegError as error:
        raise InputError(f"{path} cannot be read as a video ({reason(error)}); it is damaged, cut short, or of "
                         "another kind: copy or export it again") from error


def read(clip: Clip, indices: Iterable[int] | None = None, grey: bool = False) -> Iterator[Frame]:
    """Decode frames of the steady timeline, in the order asked for.

    Going forward is one pass; far jumps seek; going backwards decodes each group of pictures again, with
    a bounded memory.

    Args:
        clip: from `open_clip`.
        indices: frames in 0 <= i < clip.frames, in any order, repeats welcome; all where None.
        grey: yield luma alone, (H, W), in place of (H, W, 3): what a mask needs, at a third of the cost.

    Yields:
        Frames of clip.width × clip.height, upright, square pixels. Treat them as read-only: a frame
        asked for twice in a row is the same object.

    Raises:
        InputError: the file is damaged at a frame that is needed.
    """
    wanted = range(clip.frames) if indices is None else indices
    if clip.files:
        yield from _read_pictures(clip, wanted, grey)
    elif (frame := kept.frames(clip, grey, lambda: _read_video(clip, range(clip.frames), grey))) is not None:
        yield from map(frame, wanted)
    else:
        yield from _read_video(clip, wanted, grey)


def _read_video(clip: Clip, wanted: Iterable[int], grey: bool) -> Iterator[Frame]:
    convert = Converter(clip, grey)
    with _Decoder(clip) as decoder:
        last: tuple[int, Frame] | None = None
        for index in wanted:
            stored = int(clip.source_index[index])
            if last is None or last[0] != stored:
                last = stored, convert(decoder.frame(stored))
            yield last[1]


def drop_opaque_alpha(clip: Clip, end: int | None = None) -> Clip:
    """The clip without its alpha channel where that is 1 everywhere before frame `end`, and so cuts out nothing.

    Reads up to the first frame that shows otherwise.
    """
    wanted = range(clip.frames if end is None else min(end, clip.frames))
    if not clip.alpha or any(frame.alpha is not None and (frame.alpha < 1).any()
                             for frame in read(clip, wanted, grey=True)):
        return clip
    return replace(clip, alpha=False, notes=(*clip.notes, "its alpha is opaque everywhere, and was not used"))


def _read_pictures(clip: Clip, wanted: Iterable[int], grey: bool) -> Iterator[Frame]:
    last: tuple[int, Frame] | None = None
    for index in wanted:
        stored = int(clip.source_index[index])
        if last is None or last[0] != stored:
            frame = stills.read_picture(clip.files[stored], (clip.width, clip.height))
            # A grey picture has three equal channels; of a coloured mask the green one is as good as luma.
            last = stored, Frame(np.ascontiguousarray(frame.rgb[..., 1]), frame.alpha) if grey else frame
        yield last[1]


class _Decoder:
    """Random access to stored frames by number, cheap when asked in order."""

    def __init__(self, clip: Clip) -> None:
        self.clip = clip
        assert clip.timestamps is not None
        self.number = {int(pts): i for i, pts in enumerate(clip.timestamps)}
        self.seekable = len(self.number) == len(clip.timestamps) and clip.keyframes is not None
        self.kept: OrderedDict[int, av.VideoFrame] = OrderedDict()
        self.keep = 1
        self.hole: tuple[range, av.VideoFrame | None] = range(0), None
        self.container: Any = None
        self.frames = self._start(0)

    def __enter__(self) -> _Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.container is not None:
            self.container.close()

    def frame(self, stored: int) -> av.VideoFrame:
        if stored in self.kept:
            return self.kept[stored]
        if stored in self.hole[0]:
            return self.hole[1]
        newest = next(reversed(self.kept)) if self.kept else -1
        if stored < newest or (self.seekable and self._keyframe_before(stored) > newest + 48):
            self.keep = _KEPT_BACKWARDS if stored < newest else 1
            self._jump(stored)
        held = self.kept.get(newest)
        for number, frame in self.frames:
            self.kept[number] = frame
            while len(self.kept) > self.keep:
                self.kept.popitem(last=False)
            if number == stored:
                return frame
            if number > stored:
                # Packets that hold no picture: the one before them stays on the screen.
                self.hole = range(stored, number), frame if held is None else held
                return self.hole[1]
            held = frame
        shown = self._shown(stored)
        raise InputError(f"{self.clip.path} ends early: frame {shown} cannot be decoded; copy or export the "
                         f"file again, or stop before it with --end {shown}")

    def _shown(self, stored: int) -> int:
        return int(np.searchsorted(self.clip.source_index, stored))

    def _keyframe_before(self, stored: int) -> int:
        keys = self.clip.keyframes
        assert keys is not None
        place = int(np.searchsorted(keys, stored, side="right")) - 1
        return int(keys[max(place, 0)])

    def _jump(self, stored: int) -> None:
        self.kept.clear()
        key = self._keyframe_before(stored) if self.seekable else 0
        frames = self._start(key)
        first = next(frames, None)
        while key > 0 and (first is None or first[0] > key):
            # Without an index FFmpeg seeks by the time of decoding, and may land after the frame asked for.
            key = self._keyframe_before(key - 1)
            frames = self._start(key)
            first = next(frames, None)
        self.frames = frames if first is None else itertools.chain([first], frames)

    def _start(self, key: int) -> Iterator[tuple[int, av.VideoFrame]]:
        self.close()
        self.container = open_file(self.clip.path)
        self.stream = picture_stream(self.container)
        self.codec = codec(self.stream)
        # Two threads are enough for real time, and each one more holds frames back in memory.
        self.codec.thread_type, self.codec.thread_count = "AUTO", 2
        if key > 0:
            assert self.clip.timestamps is not None
            self.container.seek(int(self.clip.timestamps[key]), stream=self.stream, backward=True)
        return self._decode(key)

    def _decode(self, first: int) -> Iterator[tuple[int, av.VideoFrame]]:
        number = first
        try:
            for packet in self.container.demux(self.stream):
                if packet.size == 0 and packet.dts is not None:
                    continue  # an empty sample is not the end
                if packet.is_corrupt and packet.pts not in self.number:
                    continue  # the torn last packet of a file cut short, which the clip leaves out
                for frame in self.codec.decode(packet if packet.size else None):
                    # After a seek the count starts anywhere; the timestamp tells.
                    if self.seekable and frame.pts is not None:
                        number = self.number.get(frame.pts, number)
                    # What is shown before the key frame needs pictures from before it, which weren't decoded.
                    if number >= first:
                        yield number, frame
                    number += 1
        except FFmpegError as error:
            shown = self._shown(number)
            raise InputError(f"{self.clip.path} is damaged after frame {shown} ({reason(error)}); copy or "
                             f"export it again, or stop before it with --end {shown}") from error
