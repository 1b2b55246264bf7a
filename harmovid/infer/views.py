"""The seam that a harmonizer fills: what it sees of a clip, and what it gives back.

A harmonizer works on a *view*: the person's box, steadied over the clip, at its own low size, beside
an overview of the whole background. Every method, learned or not, has this one protocol, so that the
straight path around it (reading, light transfer, compositing, writing) is the same for all.

Arrays are (C, T, H, W) float32, display sRGB in [0, 1]: the batch axis of the network's (B, C, T, H, W)
is added by the network itself, so that this room needs no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class ViewSize:
    """The size that a harmonizer works at.

    area: pixels of the view, about; its shape follows the person's box.
    multiple: both sides of the view divide by this.
    overview: (height, width) of the overview of the whole background.
    """

    area: int = 128 * 128
    multiple: int = 16
    overview: tuple[int, int] = (32, 48)


@dataclass(frozen=True)
class Views:
    """Some consecutive frames as a harmonizer sees them; all display sRGB in [0, 1], float32.

    composite: (3, T, H, W), the person over the new background, in the light they were filmed in.
    background: (3, T, H, W), the new background in the same box.
    mask: (1, T, H, W), the alpha that made the composite.
    overview: (3, T, h, w), the whole new background.
    """

    composite: np.ndarray
    background: np.ndarray
    mask: np.ndarray
    overview: np.ndarray


@dataclass(frozen=True)
class Harmonized:
    """What a harmonizer makes of some consecutive frames.

    reference: (3, T, H, W), the composite as the method itself would give it back unchanged (through
        its codec, where it has one, so that codec error cancels between the two).
    result: (3, T, H, W), the harmonized composite.
    """

    reference: np.ndarray
    result: np.ndarray


class ViewClip(Protocol):
    """A whole clip of views, read in windows; it may lie on disk, so ask for few frames at a time."""

    def __len__(self) -> int:
        """Frames in the clip."""
        ...

    def window(self, start: int, stop: int) -> Views:
        """Frames start <= t < stop."""
        ...


@dataclass(frozen=True)
class Answered:
    """A clip whose composites are what a harmonizer answered to another clip's, for one that comes after it.

    clip: that clip. reference, answer: (3, T, H, W), its frames as they would have come back unchanged, and as they
    did.
    """

    clip: ViewClip
    reference: np.ndarray
    answer: np.ndarray

    def __len__(self) -> int:
        return len(self.clip)

    def window(self, start: int, stop: int) -> Views:
        """Frames start <= t < stop."""
        return replace(self.clip.window(start, stop), composite=self.answer[:, start:stop].astype(np.float32))


class Harmonizer(Protocol):
    """A method: takes a clip of views, gives back the relit clip, in order and in chunks."""

    name: str
    view: ViewSize

    def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
        """Yield consecutive chunks that cover the clip exactly once, first frame first."""
        ...


def as_picture(planes: np.ndarray) -> np.ndarray:
    """One frame of a view, (C, 1, H, W), as a picture, (H, W, C)."""
    return np.ascontiguousarray(planes[:, 0].transpose(1, 2, 0))
