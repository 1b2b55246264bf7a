"""Cuts: where one shot of a clip ends and the next begins, told by what is seen, not by how bright it is.

Of each frame a small picture of log luminance is kept, less its local mean and over its local contrast: light that
jumps, all over or in places, leaves that as it was. Frames of one shot correlate, frames of two don't. A flash that
drowns some frames is no cut, for what comes after it is what was before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import cv2
import numpy as np

from harmovid.video.color import luminance, to_linear

_SIDE = 32  # pixels of the small picture
_LOCAL = 4.0  # pixels, deviation of the blur that is the local mean
_DARK = 0.02  # added to linear luminance; below it, a camera sees noise
_FLAT = 0.03  # of log luminance: contrast below it is noise,
_NOTHING = 0.006  # and where the whole picture has less, nothing is seen
_REACH = 4  # frames on each side that are compared: one more than a flash lasts
# Frames that correlate more are of one shot. Neighbours in real clips did by 0.41 and more, and by 0.66 where one may
# be shifted against the other as far as a head jerks; strangers by up to 0.36, and 0.46.
_ALIKE, _ALIKE_SHIFTED = 0.5, 0.55
_SHIFT = 3  # pixels of the small picture


def shots(pictures: Iterable[np.ndarray]) -> list[int]:
    """The first frame of each shot; 0 is the first of these.

    Frame t begins one where no frame of t … t + 3 correlates by more than 0.5 with any of t − 4 … t − 1, nor by more
    than 0.55 where it is shifted by up to a tenth of the picture. Two frames of one colour each, in which nothing is
    seen, are alike. Shots of less than four frames are taken for flashes.

    Args:
        pictures: (H, W, 3), display sRGB in [0, 1], in order; one at a time is held.

    Returns:
        Numbers of frames, rising; of no pictures none.
    """
    starts: list[int] = []
    seen: deque[np.ndarray] = deque(maxlen=2 * _REACH)
    for count, picture in enumerate(pictures, 1):
        if count == 1:
            starts.append(0)
        seen.append(_structure(picture))
        if len(seen) == 2 * _REACH:
            before, after = np.stack(list(seen)[:_REACH]), np.stack(list(seen)[_REACH:])
            nothing = not before.any(1).all() and not after.any(1).all()
            if not nothing and (after @ before.T).max() <= _ALIKE and not _shifted(before, after):
                starts.append(count - _REACH)
    return starts


def _shifted(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether one of some frames, (N, 1024), shows one of others, (M, 1024), as shifted."""
    first, second = (part.reshape(-1, _SIDE, _SIDE) for part in (before, after))
    for dy in range(-_SHIFT, _SHIFT + 1):
        for dx in range(-_SHIFT, _SHIFT + 1):
            pairs = []
            for part, y, x in ((first, dy, dx), (second, -dy, -dx)):
                both = part[:, max(0, y) : _SIDE + min(0, y), max(0, x) : _SIDE + min(0, x)].reshape(len(part), -1)
                both = both - both.mean(1, keepdims=True)
                pairs.append(both / np.maximum(np.linalg.norm(both, axis=1, keepdims=True), 1e-6))
            if (pairs[0] @ pairs[1].T).max() > _ALIKE_SHIFTED:
                return True
    return False


def _structure(picture: np.ndarray) -> np.ndarray:
    """(1024,) of unit length, or zeros where nothing is seen."""
    small = cv2.resize(np.ascontiguousarray(picture, np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    level = np.log(luminance(to_linear(np.clip(small, 0, 1), "srgb")) + np.float32(_DARK))
    fine = level - cv2.GaussianBlur(level, (0, 0), _LOCAL)
    if float(np.sqrt((fine * fine).mean())) < _NOTHING:
        return np.zeros(fine.size, np.float32)
    contrast = np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), _LOCAL) + np.float32(_FLAT) ** 2)
    flat = (fine / contrast).ravel()
    flat -= flat.mean()
    return flat / np.maximum(np.linalg.norm(flat), np.float32(1e-6))
