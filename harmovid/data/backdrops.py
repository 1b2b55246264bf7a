"""Backdrops: backgrounds of diverse and moving light for pseudo-pairs, each drawn by number.

Either made environments and HDR maps, filmed by the light stage's camera, or any folder of clips and pictures, as a
text-to-video model leaves them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from harmovid.data.lightstage import PairConfig, draw_light
from harmovid.errors import HarmoVidError, InputError
from harmovid.light import environment
from harmovid.lightstage import render
from harmovid.video import io
from harmovid.video.color import SRGB, convert
from harmovid.video.stills import SUFFIXES as PICTURES

_VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")


@dataclass(frozen=True)
class Backdrop:
    """A background. name: what it is. pictures: (T, H, W, 3) float32, display sRGB in [0, 1]. kind: of what kind."""

    name: str
    pictures: np.ndarray
    kind: str = "other"


class Backdrops(Protocol):
    """A source of backgrounds."""

    @property
    def told(self) -> tuple[str, ...]:
        """What it draws from, for a manifest."""
        ...

    def draw(self, frames: int, rate: float, size: tuple[int, int], random: np.random.Generator) -> Backdrop:
        """So many frames of (height, width); all choices by `random`."""
        ...


class Environments:
    """Made environments, and HDR maps where there are any, filmed by a camera that pans a little.

    Args:
        maps: HDR files; the light of about half of the draws.

    Raises:
        InputError: one cannot be read.
    """

    def __init__(self, maps: list[Path] | None = None) -> None:
        self.maps = [environment.still(environment.read(path), path.stem) for path in sorted(maps or [])]
        self._files = tuple(_named(path) for path in sorted(maps or []))

    @property
    def told(self) -> tuple[str, ...]:
        """See `Backdrops`."""
        return "made environments", *self._files

    def draw(self, frames: int, rate: float, size: tuple[int, int], random: np.random.Generator) -> Backdrop:
        """See `Backdrops`."""
        found = draw_light(self.maps, PairConfig().maps, frames, rate, random)
        look = replace(render.draw_look(random), metering=0.0)  # nobody stands there to meter
        angle = float(random.uniform(0.45, 1.1))
        pan, tilt = random.normal(0, 0.05) * frames / rate, random.normal(0, 0.06)
        poses = np.stack([_pose(pan * (t / max(frames - 1, 1) - 0.5), tilt) for t in range(frames)])
        light = environment.views(found, poses, angle, size, look.blur)
        nobody = np.zeros(light.shape[:3], np.float32)
        exposed = light * render.exposure(np.zeros_like(light), light, nobody, look)
        filmed = {one.name for one in self.maps}
        return Backdrop(found.name, render.develop(exposed, look),
                        "HDR map" if found.name in filmed else f"made: {found.name}")


class Pictures:
    """Clips and pictures of a folder: cut to shape, a clip from anywhere, back and forth where it is short.

    Raises:
        InputError: there is nothing in the folder that can be read.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}; give one that holds clips or pictures")
        self.files = sorted(path for path in folder.iterdir() if path.suffix.lower() in (*_VIDEOS, *PICTURES))
        if not self.files:
            raise InputError(f"{folder} holds no clip and no picture; expected files such as street.mp4 or hall.png")

    @property
    def told(self) -> tuple[str, ...]:
        """See `Backdrops`."""
        return tuple(_named(path) for path in self.files)

    def draw(self, frames: int, rate: float, size: tuple[int, int], random: np.random.Generator) -> Backdrop:
        """See `Backdrops`; frames are taken one by one, whatever the rate."""
        path = self.files[int(random.integers(len(self.files)))]
        try:
            clip = io.open_clip(path)
            turn = max(1, 2 * clip.frames - 2)
            index = (int(random.integers(turn)) + np.arange(frames)) % turn
            order = np.minimum(index, turn - index) if clip.frames > 1 else np.zeros(frames, int)
            first = int(order.min())
            read = [np.clip(convert(frame.rgb, clip.tags, SRGB), 0, 1)
                    for frame in io.read(clip, range(first, int(order.max()) + 1))]
        except HarmoVidError as error:
            raise InputError(f"the background {path} cannot be used ({error}); remove it, or mend it") from error
        where = random.random(2)
        return Backdrop(path.stem, np.stack([_covering(read[n - first], size, where) for n in order]),
                        "clip" if clip.frames > 1 else "picture")


def _named(path: Path) -> str:
    """A file as a manifest tells of it: another one under its name seldom has its size."""
    return f"{path.name}, {path.stat().st_size} bytes"


def _pose(yaw: float, pitch: float) -> np.ndarray:
    """Camera to world, (4, 4): turned to the left by `yaw` and up by `pitch`, radians."""
    a, b, c, d = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    pose = np.eye(4, dtype=np.float32)
    pose[:3, :3] = np.array([[a, 0, b], [0, 1, 0], [-b, 0, a]]) @ np.array([[1, 0, 0], [0, c, -d], [0, d, c]])
    return pose


def _covering(picture: np.ndarray, size: tuple[int, int], where: np.ndarray) -> np.ndarray:
    """Scaled until it covers (height, width), and cut out of the rest at a share (2,) of it."""
    scale = max(size[0] / picture.shape[0], size[1] / picture.shape[1])
    height, width = (max(side, round(there * scale)) for side, there in zip(size, picture.shape[:2], strict=True))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = np.asarray(cv2.resize(picture, (width, height), interpolation=way))
    top, left = round(where[0] * (height - size[0])), round(where[1] * (width - size[1]))
    return scaled[top : top + size[0], left : left + size[1]]
