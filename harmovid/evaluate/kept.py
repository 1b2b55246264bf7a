"""Clips that are read again for each look of a set, kept in memory while they are small."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from harmovid.video import io

_CLIPS = 4  # of one item: what it is made of
_PIXELS = 1 << 25  # of a clip that is kept, over all frames: 400 MB of colours

Read = Callable[[Path], Iterable[np.ndarray]]

_kept: OrderedDict[tuple[object, ...], list[np.ndarray]] = OrderedDict()


def frames(path: Path, read: Read) -> Iterable[np.ndarray]:
    """What `read` makes of a clip, frame by frame; not to be written into.

    The last few clips of up to 33 million pixels are read once, under whatever name they are linked.

    Raises:
        InputError: the clip cannot be read.
    """
    clip = io.open_clip(path)
    if clip.frames * clip.width * clip.height > _PIXELS:
        return read(path)
    found = path.stat()
    key = read, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
    if key not in _kept:
        while len(_kept) >= _CLIPS:
            _kept.popitem(last=False)
        whole = list(read(path))
        for frame in whole:
            frame.flags.writeable = False
        _kept[key] = whole
    _kept.move_to_end(key)
    return _kept[key]
