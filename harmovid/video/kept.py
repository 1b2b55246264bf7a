"""Clips that are read again and again, kept decoded while they are small: inside `keeping`, and nowhere else."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from harmovid.video.clip import Clip, Frame

_CLIPS = 4  # that are kept: what a composite is made of
_PIXELS = 1 << 25  # of a clip that is kept, over all frames: 400 MB of colours

_lock = threading.Lock()
_kept: OrderedDict[tuple[object, ...], _Growing] = OrderedDict()
_depth = 0


@contextmanager
def keeping() -> Iterator[None]:
    """While the context lasts, `io.read` decodes a video of up to 33 million pixels once; the last four are kept.

    A file is known by all the names that it is linked under, until it is written anew.
    """
    global _depth
    with _lock:
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if not _depth:
                _kept.clear()


def frames(clip: Clip, grey: bool, decode: Callable[[], Iterator[Frame]]) -> Callable[[int], Frame] | None:
    """What gives any frame of a clip by number; None where it is not kept.

    Args:
        clip: from `io.open_clip`.
        grey: which of its two forms is read.
        decode: all its frames in order.
    """
    if not _depth or clip.files or clip.frames * clip.width * clip.height > _PIXELS:
        return None
    with suppress(OSError), _lock:
        found = clip.path.stat()
        key = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, grey
        if key not in _kept:
            while len(_kept) >= _CLIPS:
                _kept.popitem(last=False)
            _kept[key] = _Growing(decode())
        _kept.move_to_end(key)
        return _kept[key].frame
    return None


class _Growing:
    """A clip, decoded as far as it was asked for."""

    def __init__(self, source: Iterator[Frame]) -> None:
        self._source, self._frames, self._lock = source, list[Frame](), threading.Lock()
        self._failed: Exception | None = None

    def frame(self, number: int) -> Frame:
        """Decodes up to it, where it is not there yet."""
        with self._lock:
            while len(self._frames) <= number:
                if self._failed is not None:
                    raise self._failed
                try:
                    self._frames.append(next(self._source))
                except Exception as error:  # a generator that has raised is at its end
                    self._failed = error
        return self._frames[number]
