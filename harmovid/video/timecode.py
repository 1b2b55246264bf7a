"""SMPTE timecode: to and from frame counts, drop-frame included (SMPTE ST 12-1)."""

from __future__ import annotations

import re
from fractions import Fraction

_PATTERN = re.compile(r"^(\d\d):(\d\d):(\d\d)([:;.])(\d\d\d?)$")


def shift(timecode: str, frames: int, rate: Fraction) -> str:
    """The timecode `frames` frames later; drop-frame notation (``;`` before the frames) is kept.

    Args:
        timecode: "HH:MM:SS:FF", or "HH:MM:SS;FF" for drop-frame, which only 30 and 60 (and 1/1.001 of them) have:
            at other rates the notation becomes ``:``.
        frames: how many later, or earlier where negative; it counts round a day.
        rate: frames per second, e.g. 30000/1001.

    Raises:
        ValueError: `timecode` is not of that form.
    """
    match = _PATTERN.match(timecode)
    if not match:
        raise ValueError(f"a timecode looks like 01:00:00:00, got {timecode!r}")
    hours, minutes, seconds, separator, rest = match.groups()
    base = max(1, round(rate))  # counted frames per second
    if base % 30:
        separator = ":"
    # Drop-frame skips two numbers (four at 60) at each minute but the tenth.
    drop = base // 15 if separator in ";." else 0
    total_minutes = int(hours) * 60 + int(minutes)
    count = (total_minutes * 60 + int(seconds)) * base + int(rest) - drop * (total_minutes - total_minutes // 10)
    return _format(count + frames, base, drop, separator)


def _format(count: int, base: int, drop: int, separator: str) -> str:
    per_minute, per_ten = base * 60 - drop, base * 600 - 9 * drop
    count %= per_ten * 144  # a day
    tens, rest = divmod(count, per_ten)
    # The first minute of ten keeps all its numbers, the other nine each skip `drop`.
    skipped = drop * (9 * tens + max(0, (rest - drop) // per_minute)) if drop else 0
    seconds, frame = divmod(count + skipped, base)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{separator}{frame:02d}"
