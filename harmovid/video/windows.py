"""Windows over time, for whatever sees fewer frames at once than a clip has: overlapping ones, and one that slides.

A span is (start, stop): frames start <= t < stop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise
from typing import TypeVar

import numpy as np

from harmovid.errors import InputError, OptionError

T = TypeVar("T")
Span = tuple[int, int]


def windows(frames: int, length: int, overlap: int, offset: int = 0) -> list[Span]:
    """Cover a clip by windows of one length.

    They start at 0, offset, offset + stride, offset + 2·stride …, stride = length − overlap; the last one
    is moved back to end with the clip, so it may overlap more. A method that goes over a clip several
    times gives another offset each time, so that no seam stays in one place.

    Args:
        frames: frames in the clip, at least 1.
        length: frames in a window, at least 1.
        overlap: frames that neighbours share at least, 0 <= overlap < length.
        offset: how far the windows after the first are moved; any whole number, taken modulo the stride.

    Returns:
        Spans in order, no two with the same start. Each is `length` long; only a clip shorter than that
        gives a single shorter one, (0, frames).

    Raises:
        InputError: the clip has no frames.
        OptionError: `length` or `overlap` is out of range.
    """
    _check(frames, length)
    if not 0 <= overlap < length:
        raise OptionError(f"windows of {length} frames cannot overlap by {overlap}; "
                          f"give an overlap from 0 to {length - 1}")
    if frames <= length:
        return [(0, frames)]
    stride, last = length - overlap, frames - length
    starts = {0, *range(offset % stride, last, stride), last}
    return [(start, start + length) for start in sorted(starts)]


def weights(spans: Sequence[Span], frames: int) -> list[np.ndarray]:
    """How much each window counts in each of its frames, so that windows fade into one another.

    Over an overlap of n frames with the next window, the weight falls linearly: n/(n+1), …, 1/(n+1), and
    the next one's rises as it falls. Where more than two windows meet, each takes the lower of its two
    ramps, and the sum is brought to 1.

    Args:
        spans: what `windows` gives: starts and stops rise, and every frame is covered.
        frames: frames in the clip.

    Returns:
        One (stop − start,) float64 per span. They sum to 1 in each frame; a frame that one window alone
        covers has exactly 1.0 there, any other strictly between 0 and 1 everywhere.
    """
    assert spans and spans[0][0] == 0 and spans[-1][1] == frames, f"{spans} do not cover {frames} frames"
    around: list[Span | None] = [None, *spans, None]
    ramps = [_ramp(before, span, after)
             for before, span, after in zip(around, spans, around[2:], strict=False)]
    total = np.zeros(frames)
    for (start, stop), ramp in zip(spans, ramps, strict=True):
        total[start:stop] += ramp
    return [ramp / total[start:stop] for (start, stop), ramp in zip(spans, ramps, strict=True)]


def blend(chunks: Iterable[tuple[Span, np.ndarray]]) -> Iterator[np.ndarray]:
    """Fade windows into one another by `weights`, frame by frame.

    Works on a stream: it asks for one window ahead, and holds no more than the windows that overlap.

    Args:
        chunks: each span of `windows` in order, with its frames (stop − start, …), floating point.

    Yields:
        Finished frames (…), in order, of the chunks' own kind; where one window alone covers a frame,
        that window's frame, to the bit.
    """
    pending: deque[tuple[np.ndarray, float]] = deque()  # sum of weighted frames, sum of weights
    first = 0  # the frame that pending[0] is of
    before: Span | None = None
    ahead = pairwise(chain(chunks, [None]))
    for current, following in ahead:
        assert current is not None
        span, chunk = current
        after = following[0] if following is not None else None
        assert len(chunk) == span[1] - span[0], f"frames {span} came as {len(chunk)} frames"
        if before is None:
            first = span[0]
        for index, weight in enumerate(_ramp(before, span, after).tolist()):
            place = span[0] + index - first
            if place == len(pending):
                pending.append((chunk[index] * weight, weight))
            else:
                picture, total = pending[place]
                pending[place] = (picture + chunk[index] * weight, total + weight)
        finished = after[0] if after is not None else span[1]
        while first < finished:
            picture, total = pending.popleft()
            yield picture / total
            first += 1
        before = span


def overview(frames: int, length: int) -> list[int]:
    """Frames that stand for the whole clip: an anchor that windows far from each other share.

    Args:
        frames: frames in the clip, at least 1.
        length: how many to choose, at least 1.

    Returns:
        min(length, frames) rising frame numbers, the first and last frame among them (one alone: the
        middle); gaps differ by at most 1.

    Raises:
        InputError: the clip has no frames.
        OptionError: `length` is less than 1.
    """
    _check(frames, length)
    count = min(length, frames)
    if count == 1:
        return [(frames - 1) // 2]
    gaps = count - 1
    return [(i * (frames - 1) + gaps // 2) // gaps for i in range(count)]


def neighbourhoods(items: Iterable[T], reach: int) -> Iterator[tuple[Sequence[T], int]]:
    """Each item of a stream among its neighbours: a sequence, and the item's place in it.

    The sequence has `reach` items on each side of it, fewer at the ends of the stream. It is one object all the time:
    read it before the next comes.
    """
    near: deque[T] = deque()
    here = 0
    for item in items:
        near.append(item)
        if len(near) - here > reach:
            yield near, here
            here += 1
        if here > reach:
            near.popleft()
            here -= 1
    while here < len(near):
        yield near, here
        here += 1
        if here > reach:
            near.popleft()
            here -= 1


def _check(frames: int, length: int) -> None:
    if frames < 1:
        raise InputError(f"the clip has {frames} frames; give one with at least 1")
    if length < 1:
        raise OptionError(f"a window of {length} frames sees nothing; give a length of at least 1")


def _ramp(before: Span | None, span: Span, after: Span | None) -> np.ndarray:
    start, stop = span
    ramp = np.ones(stop - start)
    if before is not None:
        assert before[0] < start <= before[1] < stop, f"window {span} does not follow on {before}"
        rising = before[1] - start
        ramp[:rising] = np.arange(1, rising + 1) / (rising + 1)
    if after is not None:
        assert start < after[0] <= stop < after[1], f"window {after} does not follow on {span}"
        falling = stop - after[0]
        ramp[stop - start - falling:] = np.minimum(
            ramp[stop - start - falling:], np.arange(falling, 0, -1) / (falling + 1))
    return ramp
