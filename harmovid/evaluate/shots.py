"""Clips that are compared, side by side: checked to belong together, and read one time step after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from harmovid.errors import InputError
from harmovid.video.clip import Clip, Frame
from harmovid.video.color import LUMA_BT709, SRGB, convert
from harmovid.video.io import open_clip, read

T = TypeVar("T")


@dataclass(frozen=True)
class Shot:
    """One time step of a clip and of all that it is compared with.

    light: by role, (H, W, 3) float32 display sRGB, not clipped. shown: the same, clipped to [0, 1].
    alpha: (H, W) float32 in [0, 1], all 0 where no mask was given (no measure looks at it then).
    """

    light: Mapping[str, np.ndarray]
    shown: Mapping[str, np.ndarray]
    alpha: np.ndarray
    _known: dict[str, Any] = field(default_factory=dict)

    def of(self, result: np.ndarray) -> Shot:
        """The same time step, with a result beside its references."""
        return Shot({**self.light, "result": result}, {**self.shown, "result": clipped(result)}, self.alpha,
                    self._known)

    def once(self, what: str, find: Callable[[], T]) -> T:
        """What is found in the references alone: looked for once, and known to all results of this time step."""
        if what not in self._known:
            self._known[what] = find()
        return self._known[what]


def open_one(name: str, role: str, places: list[Path], folder: Path) -> Clip:
    """The clip of that name and role, of those found in a folder.

    Raises:
        InputError: there is none, or more than one, or it cannot be read.
    """
    if not places:
        there = [path.name for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
        some = ", ".join(there[:4]) + (", …" if len(there) > 4 else "")
        raise InputError(f"clip {name} has no {role}: {folder} holds {some}; name its {role} {name} with any "
                         "suffix, or take the clip out of the results")
    if len(places) > 1:
        raise InputError(f"{folder} holds {len(places)} clips named {name}: "
                         f"{', '.join(path.name for path in places)}; keep one, or rename")
    return open_clip(places[0])


def agree(name: str, clips: Mapping[str, Clip], resize: bool, length: int | None) -> tuple[int, int]:
    """Check lengths and sizes of a result and its references.

    Args:
        name: of the item.
        clips: by role, the result among them.
        resize: whether the result may have another size.
        length: so many frames are looked at; None for all.

    Returns:
        The (width, height) that all is compared at.

    Raises:
        InputError: they do not belong together.
    """
    sizes = {role: (clip.width, clip.height) for role, clip in clips.items()}
    texts = {role: f"{width}×{height}" for role, (width, height) in sizes.items()}
    result = clips["result"]
    first, *others = (role for role in clips if role != "result")
    for role in others:
        if sizes[role] != sizes[first]:
            raise InputError(f"the {role} of clip {name} is {texts[role]}, its {first} {texts[first]}; make "
                             "both one size, only results can be resized here")
    if sizes["result"] != sizes[first] and not resize:
        raise InputError(f"clip {name} is {texts['result']}, its {first} {texts[first]}; render it at that "
                         "size, or pass --resize to bring the result to it")
    for role, clip in clips.items():
        if clip.frames == result.frames or _is_still(role, clip):
            continue
        if length is not None and min(clip.frames, result.frames) >= length:
            continue  # only so many are looked at
        if role == "background" and clip.frames > result.frames:
            continue  # however a shorter foreground was fitted, the background began at its start
        apart = abs(clip.frames - result.frames)
        both = min(clip.frames, result.frames)
        why = ("they are one frame apart, one of the two has lost or doubled a frame, mostly the last"
               if apart == 1 else f"they are {apart} frames apart")
        raise InputError(f"clip {name} has {result.frames} frames, its {role} {clip.frames}: {why}; render "
                         f"it again, or cut both to {both} frames where their starts agree")
    return sizes[first]


def scenes(name: str, references: Mapping[str, Clip], size: tuple[int, int], length: int) -> Iterator[Shot]:
    """The references of an item, one time step after the other.

    Args:
        name: of the item.
        references: by role: truth, source, mask, background.
        size: (width, height) of them all.
        length: time steps.

    Raises:
        InputError: a file is damaged, a truth partly transparent, or light not finite.
    """
    streams = {role: _stream(role, clip, length) for role, clip in references.items()}
    for number in range(length):
        light: dict[str, np.ndarray] = {}
        alpha = np.zeros(size[::-1], np.float32)
        for role, stream in streams.items():
            frame = _next(stream, name, role, number, length)
            if role == "mask":
                # A matte's code values are the alpha itself, whatever transfer its file claims.
                alpha = frame.rgb if frame.rgb.ndim == 2 else frame.rgb @ LUMA_BT709
                alpha = np.clip(alpha, 0, 1)
            else:
                light[role] = _light(frame, name, role, number, references[role])
        yield Shot(light, {role: clipped(rgb) for role, rgb in light.items()}, alpha)


def pictures(name: str, result: Clip, size: tuple[int, int], length: int) -> Iterator[np.ndarray]:
    """A result's light at the size (width, height), frame by frame; errors as of `scenes`."""
    stream = _stream("result", result, length)
    for number in range(length):
        yield _to_size(_light(_next(stream, name, "result", number, length), name, "result", number, result), size)


def clipped(rgb: np.ndarray) -> np.ndarray:
    """Values brought to [0, 1]; the same array where all lie in it."""
    return rgb if rgb.min() >= 0 and rgb.max() <= 1 else np.clip(rgb, 0, 1)


def _stream(role: str, clip: Clip, length: int) -> Iterator[Frame]:
    if _is_still(role, clip):
        return repeat(next(iter(read(clip))))
    return iter(read(clip, range(length)))


def _next(stream: Iterator[Frame], name: str, role: str, number: int, length: int) -> Frame:
    frame = next(stream, None)
    if frame is None:
        raise InputError(f"the {role} of clip {name} ends at frame {number} of {length}; it is damaged: copy or "
                         "export it again")
    return frame


def _light(frame: Frame, name: str, role: str, number: int, clip: Clip) -> np.ndarray:
    if role in ("result", "truth") and frame.alpha is not None and frame.alpha.min() < 0.99:
        raise InputError(f"the {role} of clip {name} is partly transparent at frame {number}; score takes finished "
                         "pictures: render it with --output comp, or put it over its background")
    rgb = convert(frame.rgb, clip.tags, SRGB)
    if not np.isfinite(rgb).all():
        raise InputError(f"the {role} of clip {name} holds NaN or infinite values at frame {number}; render that "
                         "frame again")
    return rgb


def _is_still(role: str, clip: Clip) -> bool:
    return role in ("mask", "background") and clip.frames == 1


def _to_size(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    height, width = rgb.shape[:2]
    if (width, height) == size:
        return rgb
    smaller = size[0] * size[1] < width * height
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
