"""Where a clip goes: an output's name, what its format holds, whether the place is free; checked before any work."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harmovid.errors import OutputError
from harmovid.video import stills
from harmovid.video.color import SCENE_LINEAR, SRGB, ColorTags

Kind = Literal["mp4", "mov", "mkv", "png", "exr", "still"]

TRANSFERS = {"srgb": 1, "gamma22": 4, "pq": 16, "hlg": 18}
"""Transfer functions of streams that are written, and their tags: ITU-T H.273, table 3.

Linear is not among them: a video's code values are too coarse for it in the dark, and few programs show it right.
"""


@dataclass(frozen=True)
class Target:
    """Where and how to write; made by `open_target`, which checks what can be checked beforehand."""

    path: Path
    kind: Kind
    pattern: Path | None = None  # of a folder: the files' names, "shot.%04d.png"

    @property
    def display(self) -> bool:
        """Whether the format holds 0..1 display values alone (scene-linear light must be encoded)."""
        return self.kind != "exr" and not (self.kind == "still" and self.path.suffix.lower() == ".exr")

    @property
    def deep(self) -> bool:
        """Whether the format can hold more than 8 bits."""
        return self.kind != "mp4" and self.path.suffix.lower() not in (".jpg", ".jpeg", ".webp", ".bmp")

    @property
    def alpha(self) -> bool:
        """Whether the format can hold an alpha channel."""
        return self.kind != "mp4" and self.path.suffix.lower() not in (".jpg", ".jpeg", ".bmp")

    def tags(self, wanted: ColorTags) -> ColorTags:
        """The colour that the file will have: as wanted where it can, else sRGB or scene-linear."""
        if not self.display:
            return SCENE_LINEAR
        if self.kind in ("png", "still"):
            return SRGB
        if self.kind == "mp4" and wanted.hdr:
            return SRGB  # eight bits can't carry it
        return wanted if wanted.transfer in TRANSFERS else SRGB

    @property
    def partial(self) -> Path:
        """Where the work goes until it is whole: on the same disk, in a place that may be written to.

        Each process has one of its own, so that several may write stretches of one sequence.
        """
        folder, before, after = self._named
        return folder / f"{before}{platform.node()}-{os.getpid()}{after}"

    def leftovers(self) -> list[Path]:
        """What processes of this machine left there that are no more: they were killed."""
        folder, before, after = self._named
        before += f"{platform.node()}-"
        if not folder.is_dir():
            return []
        found = ((path, path.name.removeprefix(before).removesuffix(after)) for path in folder.iterdir()
                 if path.name.startswith(before) and path.name.endswith(after))
        return [path for path, number in found if number.isdecimal() and not _runs(int(number))]

    @property
    def _named(self) -> tuple[Path, str, str]:
        """Folder of `partial`, and what its name begins and ends with."""
        if self.pattern is not None and self.path.is_dir():
            return self.path, f".{self.pattern.name}.", ".part"
        if self.kind == "still":  # its suffix tells its kind
            return self.path.parent, f".{self.path.stem}.", f".part{self.path.suffix}"
        return self.path.parent, f".{self.path.name}.", ".part"


def open_target(path: str | Path, *, inputs: tuple[Path, ...] = (), overwrite: bool = False, frames: int = 2,
                alpha: bool = False) -> Target:
    """Check an output's name before any work, and say how it will be written. Creates nothing.

    Args:
        path: .mp4, .mov, .mkv, a folder, a numbered pattern, or one picture where frames is 1.
        inputs: files that must not be written over.
        overwrite: allow a finished output that stands there already to be replaced.
        frames: how many frames will come.
        alpha: whether the result carries alpha.

    Raises:
        OutputError: unknown suffix, the place is an input or is taken, or it can't be written to.
    """
    path = named = Path(path)
    suffix = path.suffix.lower()
    pattern = None
    if stills.is_pattern(path):
        kind: Kind = "exr" if suffix == ".exr" else "png"
        if suffix not in (".exr", ".png"):
            raise OutputError(f"{path}: numbered pictures are written as .png or .exr; change the suffix")
        pattern, path = path, path.parent
    elif suffix in (".mp4", ".mov", ".mkv"):
        kind = suffix[1:]  # type: ignore[assignment]
    elif suffix in stills.SUFFIXES:
        if frames > 1:
            raise OutputError(f"{path} is one picture and the result has {frames} frames; name a video, a "
                              f"folder, or a pattern such as {path.stem}.%04d{suffix if suffix == '.exr' else '.png'}")
        kind = "still"
    elif suffix == "" or path.is_dir():
        kind, pattern = "png", path / "%06d.png"
    else:
        raise OutputError(f"{path} has the suffix {suffix}; expected .mp4 (H.264), .mov (ProRes 4444), .mkv "
                          "(FFV1), a folder, or a pattern such as shot.%04d.exr")
    numbered = named if stills.is_pattern(named) else None
    for other in inputs:
        if _collides(path, pattern, numbered, other):
            raise OutputError(f"the output {named} is the place of the input {other}; choose another name")
    _check_place(path, pattern, numbered, overwrite)
    target = Target(path, kind, pattern)
    if alpha and not target.alpha:
        raise OutputError(f"{path} cannot hold alpha; write .mov (ProRes 4444), .mkv (FFV1), or PNG or EXR pictures")
    return target


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def _same(a: Path, b: Path) -> bool:
    return a.absolute() == b.absolute() or (a.exists() and b.exists() and os.path.samefile(a, b))


def _collides(path: Path, pattern: Path | None, numbered: Path | None, other: Path) -> bool:
    """Whether writing would touch an input: itself, or the folder or the sequence it is in."""
    if pattern is None:
        return _same(path, other)
    if other.is_dir():
        return _same(path, other)
    if not _same(path, other.parent):
        return False
    if numbered is None:
        return True
    theirs = set(stills.matching(other).values()) if stills.is_pattern(other) and not other.exists() else {other}
    return bool({file.name for file in theirs} & {file.name for file in stills.matching(numbered).values()}) or (
        stills.is_pattern(other) and other.name == numbered.name)


def _check_place(path: Path, pattern: Path | None, numbered: Path | None, overwrite: bool) -> None:
    parent = path.parent
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    if not parent.is_dir():
        raise OutputError(f"{path} cannot be written: {parent} is a file, not a folder; choose another place")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"{path} cannot be written: no right to write in {parent}; choose another folder")
    if pattern is None and path.is_dir():
        raise OutputError(f"{path} is a folder; name a file in it, or a folder without a suffix")
    if pattern is not None and path.exists() and not path.is_dir():
        raise OutputError(f"{path} is a file; name a folder, or add a suffix such as .mp4")
    if numbered is not None:
        taken, what = bool(stills.matching(numbered)), f"{numbered} has pictures already"
    elif pattern is not None:
        taken, what = path.is_dir() and any(path.iterdir()), f"{path} is not empty"
    else:
        taken, what = path.exists(), f"{path} exists already"
    if taken and not overwrite:
        raise OutputError(f"{what}; pass --overwrite to replace it, or choose another name")
