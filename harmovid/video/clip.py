"""What a clip is: its size, rate, length, colour, and how its frames map onto a steady timeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from harmovid.video.color import ColorTags


@dataclass(frozen=True)
class Clip:
    """Everything known of a video, an image sequence or a still before a pixel is decoded.

    Width and height are of the picture as it is shown (after rotation). `frames` counts the frames
    of the steady timeline; `source_index[i]` is the stored frame that is shown at steady frame i, so
    that a variable-rate clip reads like any other. `start_number` is the number in the name of the
    first file of an image sequence.
    """

    path: Path
    width: int
    height: int
    frames: int
    rate: Fraction
    source_index: np.ndarray = field(repr=False, compare=False)  # (frames,) int64
    bits: int = 8
    tags: ColorTags = ColorTags()
    alpha: bool = False
    premultiplied: bool = False
    sound: bool = False
    still: bool = False
    sequence: bool = False
    variable_rate: bool = False
    timecode: str | None = None
    start_number: int | None = None
    name_pattern: str | None = None  # of an image sequence, "shot.%04d.exr"
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Length in seconds on the steady timeline."""
        return float(self.frames / self.rate)


@dataclass(frozen=True)
class Frame:
    """One decoded picture.

    rgb: (H, W, 3) float32, straight code values of the clip's own colour tags: 0..1 for a display
        or log encoding, any finite value for scene-linear.
    alpha: (H, W) float32 in [0, 1], or None where the clip has none.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
