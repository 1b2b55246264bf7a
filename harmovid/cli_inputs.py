"""What the words that name inputs stand for: a clip, a frame of it, a place; and which words go together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harmovid.errors import OptionError

if TYPE_CHECKING:
    from harmovid.infer.plan import Options
    from harmovid.video.clip import Clip


def opened(path: Path, fps: str | None, transfer: str | None, damaged_ok: bool = False) -> Clip:
    """A clip that a command was given.

    Args:
        path: a video, pictures, a still.
        fps: of pictures, --fps.
        transfer: its transfer function, whatever its file says; None is what that says.
        damaged_ok: as of `io.open_clip`.

    Raises:
        OptionError: fps or transfer is none.
        InputError: the clip cannot be read.
    """
    from dataclasses import replace
    from fractions import Fraction

    from harmovid.video import io
    from harmovid.video.color import parse_transfer

    rate = None
    if fps is not None:
        try:
            rate = Fraction(fps)
        except (ValueError, ZeroDivisionError):
            rate = Fraction(0)
        if not Fraction(1, 100) <= rate <= 1000:
            raise OptionError(f"--fps takes frames per second such as 25 or 30000/1001, got {fps!r}")
    clip = io.open_clip(path, rate, damaged_ok)
    if transfer is not None:
        clip = replace(clip, tags=replace(clip.tags, transfer=parse_transfer(transfer)))
    return clip


def check_detail(options: Options) -> None:
    """Refuse what the network's own picture does not heed.

    Raises:
        OptionError: a strength, an edge, or the one that the network drew, together with --detail network.
    """
    from harmovid.infer.plan import Options

    given = {"--strength": options.strength != 1, "--set recover=true": options.recover,
             "--edge": options.edge not in (Options().edge, 0)}
    if options.detail == "network" and any(given.values()):
        told = next(name for name, there in given.items() if there)
        raise OptionError(f"{told} is for the picture at full size; leave it out, or --detail network")


def fps_unused(clip: Clip) -> str:
    """What is noted where --fps was given for a clip that has a rate."""
    return f"--fps is for image sequences: {clip.path.name} keeps its own {float(clip.rate):.6g} frames per second"


def frame_number(text: str | None, clip: Clip, option: str) -> int | None:
    """A frame number, or a time as the number of the frame shown then."""
    if text is None:
        return None
    try:
        if text.isdigit():
            return int(text)
        seconds = 0.0
        for part in text.removesuffix("s").split(":"):
            seconds = seconds * 60 + float(part)
        if not 0 <= seconds < 1e9 or not (text.endswith("s") or ":" in text) or text.count(":") > 2:
            raise ValueError
    except ValueError:
        raise OptionError(f"{option} takes a frame number such as 48, or a time such as 2.5s or 00:01:02.5, without "
                          f"frames behind it; got {text!r}") from None
    return int(seconds * clip.rate + 0.001)


def last_frame(text: str | None, clip: Clip) -> int | None:
    """--end of a command without --start."""
    number = frame_number(text, clip, "--end")
    if number == 0:
        raise OptionError(f"--end {text} leaves no frame; give a later one")
    return number


def two_numbers(text: str) -> tuple[float, float]:
    """Those of --position."""
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        raise OptionError(f"--position takes two numbers such as 0.5,1; got {text!r}") from None
    return x, y
