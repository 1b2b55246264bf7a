"""Environments: the light that comes from every direction, and what a camera sees of it.

An environment map is (H, 2H, 3) float32, scene-linear, equirectangular. Row 0 is up (+y), the centre column is −z:
what a camera that looks along −z sees behind the person. For a pixel (u, v) in [0, 1]², with θ = πv, φ = 2π(u − ½):

    d = (sin θ sin φ, cos θ, −sin θ cos φ)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from harmovid.errors import InputError
from harmovid.video import stills

_BRIGHTEST = 65504.0  # what a half float holds, and a map says of what it has no number for


@dataclass(frozen=True)
class Layer:
    """A part of the light that moves and flickers as one.

    pixels: (H, 2H, 3), an environment map. gain: (T, 3), its colour at each frame. yaw: (T,) radians, how far it
    is turned to the right, seen from the person towards −z, at each frame. Either may have T = 1: it stands still.
    """

    pixels: np.ndarray
    gain: np.ndarray
    yaw: np.ndarray


@dataclass(frozen=True)
class Environment:
    """Light over T frames: the sum of its layers. Light adds up, so each layer is looked at and projected once."""

    layers: tuple[Layer, ...]
    name: str = ""

    @property
    def frames(self) -> int:
        """1 where nothing moves."""
        return max(max(len(layer.gain), len(layer.yaw)) for layer in self.layers)

    def at(self, frame: int) -> np.ndarray:
        """The map at one frame, (H, 2H, 3); beyond the last frame the last one's."""
        return np.asarray(sum(rotated(layer.pixels, float(_held(layer.yaw, frame))) * _held(layer.gain, frame)
                              for layer in self.layers), np.float32)

    def scaled(self, gain: float | np.ndarray) -> Environment:
        """All light times `gain`, a number or a colour, (3,)."""
        return Environment(tuple(Layer(x.pixels, (x.gain * gain).astype(np.float32), x.yaw) for x in self.layers),
                           self.name)

    def turned(self, yaw: float) -> Environment:
        """All of it turned to the right by `yaw` radians."""
        return Environment(tuple(Layer(x.pixels, x.gain, x.yaw + yaw) for x in self.layers), self.name)


def still(pixels: np.ndarray, name: str = "") -> Environment:
    """A map that neither moves nor flickers."""
    return Environment((Layer(np.asarray(pixels, np.float32), np.ones((1, 3), np.float32), np.zeros(1)),), name)


def read(path: Path) -> np.ndarray:
    """An HDR map from a file, clipped below zero.

    Raises:
        InputError: missing, damaged, or not twice as wide as high.
    """
    pixels = np.nan_to_num(np.maximum(stills.read_picture(path).rgb, 0), posinf=_BRIGHTEST)
    height, width = pixels.shape[:2]
    if width != 2 * height:
        raise InputError(f"{path} is {width}×{height}; an equirectangular map is twice as wide as high")
    return pixels


@lru_cache(maxsize=8)
def directions(height: int) -> np.ndarray:
    """Directions of the pixels' centres of a map, (H, 2H, 3), unit vectors."""
    theta = np.pi * (np.arange(height) + 0.5) / height
    phi = 2 * np.pi * ((np.arange(2 * height) + 0.5) / (2 * height) - 0.5)
    sin = np.sin(theta)[:, None]
    d = np.stack(np.broadcast_arrays(sin * np.sin(phi), np.cos(theta)[:, None], -sin * np.cos(phi)), -1)
    return d.astype(np.float32)


@lru_cache(maxsize=8)
def solid_angles(height: int) -> np.ndarray:
    """Steradians of the pixels of each row of a map, (H, 1); over the whole map they sum to 4π."""
    edges = np.cos(np.pi * np.arange(height + 1) / height)
    return ((edges[:-1] - edges[1:]) * 2 * np.pi / (2 * height)).astype(np.float32)[:, None]


def rotated(pixels: np.ndarray, yaw: float) -> np.ndarray:
    """The map turned about +y: what stood at −z stands to the right of it by `yaw` radians.

    Whole pixels are moved exactly; between them it is linear, which keeps the energy.
    """
    shift = yaw / (2 * np.pi) * pixels.shape[1]
    whole = int(np.floor(shift))
    part = np.float32(shift - whole)
    moved = np.roll(pixels, whole, axis=1)
    return moved if part == 0 else moved * (1 - part) + np.roll(moved, 1, axis=1) * part


def shrunk(pixels: np.ndarray, height: int) -> np.ndarray:
    """The map at a smaller height, its energy kept row by row."""
    if height == len(pixels):
        return pixels
    weight = solid_angles(len(pixels))[..., None]
    small = cv2.resize(pixels * weight, (2 * height, height), interpolation=cv2.INTER_AREA)
    total = cv2.resize(np.broadcast_to(weight, (*pixels.shape[:2], 1)).copy(), (2 * height, height),
                       interpolation=cv2.INTER_AREA)
    return np.asarray(small / total[..., None], np.float32)


def look_up(pixels: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """Radiance from given directions, linear between pixels.

    Args:
        pixels: (H, 2H, 3).
        towards: (h, w, 3), need not be unit vectors.

    Returns:
        (h, w, 3) float32.
    """
    height, width = pixels.shape[:2]
    x, y, z = np.moveaxis(towards, -1, 0)
    u = np.arctan2(x, -z) / (2 * np.pi) + 0.5
    v = np.arctan2(np.hypot(x, z), y) / np.pi
    # One column more on each side, and no row beyond the poles.
    wide = np.concatenate([pixels[:, -1:], pixels, pixels[:, :1]], 1)
    return np.asarray(cv2.remap(wide, (u * width + 0.5).astype(np.float32),
                                np.clip(v * height - 0.5, 0, height - 1).astype(np.float32), cv2.INTER_LINEAR))


def camera_rays(pose: np.ndarray, angle: float, shape: tuple[int, int]) -> np.ndarray:
    """Directions in the world through the pixels' centres of a pinhole that looks along its −z.

    Args:
        pose: (4, 4) camera to world. angle: vertical angle of view, radians. shape: (height, width).

    Returns:
        (h, w, 3) float32; the component along the axis of view has length 1.
    """
    height, width = shape
    scale = 2 * np.tan(angle / 2) / height
    x = (np.arange(width) + 0.5 - width / 2) * scale
    y = (height / 2 - np.arange(height) - 0.5) * scale
    rays = np.stack([np.broadcast_to(x, shape), np.broadcast_to(y[:, None], shape), -np.ones(shape)], -1)
    return (rays @ pose[:3, :3].T).astype(np.float32)


def views(environment: Environment, poses: np.ndarray, angle: float, shape: tuple[int, int],
          blur: float = 0.0) -> np.ndarray:
    """What a camera sees of an environment: the background, out of focus by `blur`.

    Args:
        environment: as far away as the stars, so that where the camera stands does not matter.
        poses: (T, 4, 4) camera to world. angle: vertical angle of view, radians. shape: (height, width).
        blur: diameter of the circle of confusion, a share of the height.

    Returns:
        (T, h, w, 3) scene-linear.
    """
    frames = len(poses)
    margin = int(np.ceil(blur * shape[0] / 2)) + 1
    wide = shape[0] + 2 * margin, shape[1] + 2 * margin
    # A little more than the picture is looked at, so that the blur knows what comes in from outside.
    reach = 2 * np.arctan(np.tan(angle / 2) * wide[0] / shape[0])
    disc = _disc(blur * shape[0])
    seen = np.zeros((frames, *shape, 3), np.float32)
    for layer in environment.layers:
        fixed = len(layer.yaw) == 1 and bool((poses[:, :3, :3] == poses[0, :3, :3]).all())
        for t in range(frames):
            if t == 0 or not fixed:
                towards = camera_rays(poses[t], reach, wide) @ _turn(-float(_held(layer.yaw, t))).T
                picture = look_up(layer.pixels, towards)
                if disc is not None:
                    picture = cv2.filter2D(picture, -1, disc)
                picture = picture[margin:-margin, margin:-margin]
            seen[t] += picture * _held(layer.gain, t)
    return seen


def _held(values: np.ndarray, frame: int) -> np.ndarray:
    return values[min(frame, len(values) - 1)]


def _turn(yaw: float) -> np.ndarray:
    """The rotation about +y that carries −z to the right, towards +x, by `yaw`."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]], np.float32)


def _disc(diameter: float) -> np.ndarray | None:
    """A round kernel with a soft edge, sum 1; None where it would be a single pixel."""
    if diameter < 1:
        return None
    half = int(np.ceil(diameter / 2))
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    kernel = np.clip(diameter / 2 + 0.5 - np.hypot(x, y), 0, 1)
    return np.asarray(kernel / kernel.sum(), np.float32)


def concatenated(environments: Sequence[Environment]) -> Environment:
    """All of them at once: their light adds up."""
    return Environment(tuple(layer for part in environments for layer in part.layers),
                       " + ".join(part.name for part in environments))
