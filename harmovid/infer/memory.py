"""What the process holds: a freed picture's memory goes back to the system at once, or stays to be used again."""

from __future__ import annotations

import ctypes
import sys

# glibc's malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

_PICTURE = 8_000_000  # bytes; in float32 an alpha of 1080p has 8.3 million, a picture of 720p 11 million
_SPARE = 32 << 20  # bytes of smaller blocks that a heap keeps: without, they are fetched and cleared over and over


def give_back_pictures() -> None:
    """Map pictures in memory one by one, so that a freed one is gone; from now on, for the whole process.

    glibc's malloc does so too at first, but its threshold follows the largest block freed, up to 32 MiB (mallopt(3),
    M_MMAP_THRESHOLD). From then on pictures lie in the heaps that threads have of their own, 64 MiB apiece: few fit
    without a gap, a small block keeps a heap for good, and the sum of all heaps' worst moments grows with the length
    of a clip. A threshold that is set stays. Under another C library nothing is done.
    """
    _set(_PICTURE, _SPARE)


def keep_memory() -> None:
    """Keep what was freed, for what does the same over and over in large arrays; from now on, for the whole process.

    Else each array is mapped anew, and the system clears it page by page: a sixth of the time that filming takes.
    """
    _set(2**31 - 1, -1)


def _set(mapped: int, spare: int) -> None:
    """Blocks from how many bytes on are mapped one by one; free bytes that the heap's end may have, −1 for any."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, mapped)
        mallopt(_M_TRIM_THRESHOLD, spare)
