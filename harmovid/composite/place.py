"""Placing one picture on another of a different size, and matching clips of different length and rate."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import cv2
import numpy as np

from harmovid.errors import InputError, OptionError

Fit = Literal["trim", "loop", "pingpong"]
Mode = Literal["cover", "contain", "stretch"]

_MOST_PIXELS = 1 << 27  # of a scaled picture, before what overhangs is cut: 1.6 GB


@dataclass(frozen=True)
class Placement:
    """Where a picture of `source` size lies on a canvas; all (width, height) or x, y in pixels.

    The rectangle may reach beyond the canvas (what is outside is cut) or leave some of it bare.
    """

    source: tuple[int, int]
    canvas: tuple[int, int]
    rect: tuple[int, int, int, int]  # x, y, width, height

    @property
    def trivial(self) -> bool:
        """Whether the picture is the canvas, pixel for pixel."""
        return self.source == self.canvas and self.rect == (0, 0, *self.canvas)

    @property
    def seen(self) -> bool:
        """Whether any of the picture lies on the canvas."""
        x, y, width, height = self.rect
        return -width < x < self.canvas[0] and -height < y < self.canvas[1]

    def place(self, picture: np.ndarray) -> np.ndarray:
        """The picture on its canvas; bare canvas is 0.

        Args:
            picture: (H, W) or (H, W, C) float32 of the source size.

        Returns:
            The same kind at the canvas's size; the very same array where the placement is trivial.
        """
        assert picture.shape[:2] == self.source[::-1], (picture.shape, self.source)
        if self.trivial:
            return picture
        x, y, width, height = self.rect
        shrinks = width < self.source[0] or height < self.source[1]
        scaled = picture
        if (width, height) != self.source:
            how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
            scaled = cv2.resize(picture, (width, height), interpolation=how)
            if not shrinks:  # the cubic kernel overshoots; never beyond what the picture holds
                scaled = np.clip(scaled, picture.min(), picture.max())
        canvas = np.zeros((self.canvas[1], self.canvas[0], *picture.shape[2:]), np.float32)
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + width, self.canvas[0]), min(y + height, self.canvas[1])
        if left < right and top < bottom:
            canvas[top:bottom, left:right] = scaled[top - y : bottom - y, left - x : right - x]
        return canvas


def place(source: tuple[int, int], canvas: tuple[int, int], mode: Mode = "cover", scale: float = 1.0,
          position: tuple[float, float] = (0.5, 0.5)) -> Placement:
    """Lay out a picture on a canvas.

    Args:
        source, canvas: (width, height).
        mode: cover the canvas, be contained in it, or stretch to it; all about `position`.
        scale: times the size that the mode gives.
        position: where it goes in the room that is over, or which part of it is kept where it is
            larger: 0, 0 is left and top, 1, 1 right and bottom.

    Raises:
        OptionError: scale or position out of range, or together too large to be worked on.
    """
    if not 0.01 <= scale <= 100:
        raise OptionError(f"--scale is a factor between 0.01 and 100, got {scale}")
    if not all(-2 <= p <= 3 for p in position):
        raise OptionError(f"--position takes two numbers, 0,0 for left and top to 1,1 for right and bottom; "
                          f"got {position[0]},{position[1]}")
    across, down = canvas[0] / source[0], canvas[1] / source[1]
    if mode == "stretch":
        factors = across, down
    else:
        both = max(across, down) if mode == "cover" else min(across, down)
        factors = both, both
    size = [max(1, round(side * factor * scale)) for side, factor in zip(source, factors, strict=True)]
    if size[0] * size[1] > _MOST_PIXELS:
        raise OptionError(f"a picture of {source[0]}×{source[1]} would be scaled to {size[0]}×{size[1]}, which is more "
                          "than memory holds; lower --scale, cut the picture first, or use --place contain or stretch")
    corner = [round((room - side) * p) for room, side, p in zip(canvas, size, position, strict=True)]
    return Placement(source, canvas, (corner[0], corner[1], size[0], size[1]))


def same_framing(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes, (width, height), may be of one picture, large and small.

    Rounding a small one's sides to whole or even pixels bends its proportions a little.
    """
    ratio = (one[0] / one[1]) / (other[0] / other[1])
    return one == other or bool(abs(np.log(ratio)) <= 0.02 + 2 / min(one))


def match(frames: int, rate: Fraction, other_frames: int, other_rate: Fraction, fit: Fit,
          first: int = 0) -> np.ndarray:
    """Which frame of another clip is shown at each frame of ours: sampled by time, nearest before.

    Args:
        frames, rate: of our clip. other_frames, other_rate: of the other; 1 frame lasts for ever.
        fit: what happens where the other clip is over: `trim` ends ours there too, `loop` starts the
            other again, `pingpong` plays it back and forth.
        first: frame of the other clip that is shown at our first.

    Returns:
        (N,) int64 frame numbers of the other clip; N = frames, less where trimmed.

    Raises:
        InputError: nothing is left after trimming.
    """
    if other_frames == 1:
        return np.zeros(frames, np.int64)
    # A thousandth of a frame: exact rational steps may fall just below a whole number.
    shown = first + np.floor(np.arange(frames) * float(other_rate / rate) + 1e-3).astype(np.int64)
    if fit == "trim":
        shown = shown[shown < other_frames]
        if len(shown) == 0:
            raise InputError("nothing is left after --fit trim")
        return shown
    if fit == "loop":
        return shown % other_frames
    period = 2 * other_frames - 2
    phase = shown % period
    return np.minimum(phase, period - phase)
