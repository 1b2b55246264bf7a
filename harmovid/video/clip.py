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
    first file of an image sequence, `number_step` from each to the next (2 of pictures on twos).
    `rate_known` is whether anything says what the rate is: of pictures only EXR headers do, and whoever
    opens them.
    """

    path: Path
    width: int
    height: int
    frames: int
    rate: Fraction
    source_index: np.ndarray = field(repr=False, compare=False)  # (frames,) int64, never decreasing
    bits: int = 8
    tags: ColorTags = ColorTags()
    alpha: bool = False
    sound: bool = False
    start_seconds: float = 0.0  # when the first frame is shown, on the clock that the sound shares
    timecode: str | None = None
    start_number: int | None = None
    number_step: int = 1
    rate_known: bool = True
    files: tuple[Path, ...] = field(default=(), repr=False)  # of an image sequence or a still, in order
    timestamps: np.ndarray | None = field(default=None, repr=False, compare=False)  # of stored frames, ticks
    keyframes: np.ndarray | None = field(default=None, repr=False, compare=False)  # stored frames that start one
    notes: tuple[str, ...] = ()  # what a user should know of how the clip was read

    @property
    def still(self) -> bool:
        """Whether the clip is one picture, which can be shown for any length of time."""
        return len(self.files) == 1

    @property
    def seconds(self) -> float:
        """Length in seconds on the steady timeline."""
        return float(self.frames / self.rate)


@dataclass(frozen=True)
class Frame:
    """One decoded picture.

    rgb: (H, W, 3) float32, straight code values of the clip's own colour tags: 0..1 for a display
        or log encoding, any finite value for scene-linear. (H, W), luma alone, where read as grey.
    alpha: (H, W) float32 in [0, 1], or None where the clip has none.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
