"""A test set in a harmonizer's own frame: what results in network detail are compared with.

In network detail a result is the harmonizer's small picture of the person's box; here truth, scoring mask and
foreground are cut and shrunk to that very box.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from harmovid.evaluate.testsets import Item, link, scoring_masks, write
from harmovid.infer import framing
from harmovid.infer.views import ViewSize
from harmovid.video import io
from harmovid.video.clip import Clip


def references(folder: Path, items: list[Item], view: ViewSize, end: int | None = None,
               progress: Callable[[str, int, int], None] = lambda name, done, total: None) -> Path:
    """Write what is missing of the set in the frame of a view.

    Args:
        folder: of the set.
        items: those that are needed.
        view: of the methods that are compared.
        end: only so many frames, from the first; None for all. The box depends on it.
        progress: told after every item.

    Returns:
        The folder, inside the set's, with foreground/, mask/ (those that score) and truth/ where the set has them.
    """
    made = References(folder, view, end)
    for number, item in enumerate(items):
        made.make(item)
        progress(item.name, number + 1, len(items))
    return made.out


class References:
    """A set in the frame of a view, item by item: folders as of `references`, whose arguments these are."""

    def __init__(self, folder: Path, view: ViewSize, end: int | None = None) -> None:
        self.folder, self.view, self.end = folder, view, end
        self.out = place(folder, view, end)
        places = {"foreground": folder / "foreground", "mask": scoring_masks(folder), "truth": folder / "truth"}
        self._places = {role: place for role, place in places.items() if place.is_dir()}
        for role in self._places:
            (self.out / role).mkdir(parents=True, exist_ok=True)
        # Items of one clip have links to one truth and one mask.
        self._framings: dict[tuple[int, int], framing.Framing] = {}
        self._cut: dict[tuple, Path] = {}

    def make(self, item: Item) -> None:
        """Write what is missing of an item."""
        file = f"{item.name}.mkv"
        missing = [role for role in self._places if not (self.out / role / file).exists()]
        if not missing:
            return
        mask = self.folder / "mask" / file
        if _identity(mask) not in self._framings:
            self._framings[_identity(mask)] = _framing(io.open_clip(mask), self.view, self.end)
        frames = self._framings[_identity(mask)]
        for role in missing:
            source, wanted = self._places[role] / file, self.out / role / file
            known = role, _identity(source), frames.view, tuple(map(tuple, frames.boxes))
            if known in self._cut:
                link(self._cut[known], wanted)
            else:
                clip = io.open_clip(source)
                write(wanted, _cut(clip, frames, role == "mask"), clip)
                self._cut[known] = wanted


def place(folder: Path, view: ViewSize, end: int | None = None) -> Path:
    """Where `references` writes them."""
    return folder / "views" / (f"{view.area}x{view.multiple}" + (f"x{end}" if end else ""))


def _identity(file: Path) -> tuple[int, int]:
    """The same for all names of one file."""
    found = file.stat()
    return found.st_dev, found.st_ino


def _framing(mask: Clip, view: ViewSize, end: int | None) -> framing.Framing:
    """As the straight path finds it: from the mask that the method was given."""
    wanted = range(min(mask.frames, end or mask.frames))
    found = [framing.find(np.clip(frame.rgb, 0, 1)) for frame in io.read(mask, wanted, grey=True)]
    return framing.frame(found, (mask.width, mask.height), view)


def _cut(clip: Clip, frames: framing.Framing, grey: bool) -> Iterator[np.ndarray]:
    for frame, (x0, y0, x1, y1) in zip(io.read(clip, range(len(frames.boxes)), grey=grey), frames.boxes, strict=True):
        yield cv2.resize(frame.rgb[y0:y1, x0:x1], frames.view[::-1], interpolation=cv2.INTER_AREA)
