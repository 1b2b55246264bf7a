"""Rays: the surfaces of one frame in an accelerator, and what a camera sees of them; the only home of embreex."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from harmovid.errors import MissingExtra
from harmovid.light.environment import camera_rays
from harmovid.lightstage.points import Meshes, Points, unit
from harmovid.lightstage.scene import Surface


class Scene:
    """The surfaces of one frame, ready for rays.

    Raises:
        MissingExtra: embreex is not installed.
    """

    def __init__(self, surfaces: tuple[Surface, ...], frame: int) -> None:
        self.meshes = Meshes(surfaces, frame)
        solid = [n for n, s in enumerate(surfaces) if not s.material.fibre]
        self._all = _accelerator(self.meshes.vertices, self.meshes.faces)
        self._solid = self._all if len(solid) == len(surfaces) else _accelerator(
            [self.meshes.vertices[n] for n in solid], [self.meshes.faces[n] for n in solid])

    def clear(self, origins: np.ndarray, rays: np.ndarray, through_hair: bool = False) -> np.ndarray:
        """(R,) bool: which rays, (R, 3) float32 each, meet nothing; `through_hair`: nothing but hair."""
        return np.asarray((self._solid if through_hair else self._all).run(origins, rays, query="OCCLUDED") != 0)

    def distance(self, origins: np.ndarray, rays: np.ndarray, reach: float) -> np.ndarray:
        """(R,) metres to what each ray meets; `reach` or about that where it meets nothing so near."""
        return np.asarray(self._all.run(origins, rays, np.full(len(rays), reach, np.float32), query="DISTANCE"))

    def seen(self, pose: np.ndarray, angle: float, shape: tuple[int, int], across: int) -> tuple[Points, np.ndarray]:
        """What the camera sees through across² points of each pixel, in the order of pixels; and alpha, (H, W)."""
        height, width = shape
        rows, columns = _window(self.meshes.vertices, pose, angle, shape)
        pixels = np.arange(height * width).reshape(shape)[rows, columns]
        rays = camera_rays(pose, angle, (height * across, width * across))
        # Pixel by pixel, the points of each in an order that spreads any few of them.
        order = np.random.default_rng(across).permutation(across * across)
        rays = rays.reshape(height, across, width, across, 3)[rows, :, columns].transpose(0, 2, 1, 3, 4)
        rays = rays.reshape(-1, across**2, 3)[:, order].reshape(-1, 3)
        origin = np.broadcast_to(pose[:3, 3].astype(np.float32), rays.shape)
        found = self._all.run(np.ascontiguousarray(origin), np.ascontiguousarray(rays), output=True)
        hit = np.flatnonzero(found["primID"] >= 0)
        pixel = pixels.ravel()[hit // across**2]
        alpha = np.bincount(pixel, minlength=height * width).reshape(shape) / np.float32(across**2)
        eye = -unit(rays[hit])
        points = self.meshes.points(found["geomID"][hit], found["primID"][hit],
                                    np.stack([found["u"][hit], found["v"][hit]], 1), eye)
        return replace(points, pixel=pixel), alpha.astype(np.float32)


def _window(vertices: list[np.ndarray], pose: np.ndarray, angle: float, shape: tuple[int, int]) -> tuple[slice, slice]:
    """The rows and columns of a picture outside which no vertex is seen; all where one lies behind the camera."""
    height, width = shape
    seen = (np.concatenate(vertices) - pose[:3, 3]) @ pose[:3, :3]  # (V, 3), along x, y and against the axis of view
    if not len(seen) or seen[:, 2].max() > -1e-3:
        return slice(0, height), slice(0, width)
    scale = height / (2 * np.tan(angle / 2))
    x, y = (seen[:, :2] / -seen[:, 2:] * [scale, -scale] + [width / 2, height / 2]).T
    rows, columns = (slice(max(0, math.floor(at.min())), max(0, min(most, math.ceil(at.max()))))
                     for at, most in ((y, height), (x, width)))
    return rows, columns


def _accelerator(vertices: list[np.ndarray], faces: list[np.ndarray]) -> Any:
    """Meshes in an accelerator, numbered in their order."""
    try:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene
    except ImportError as error:
        raise MissingExtra("embreex", "lightstage", "filming on the light stage") from error
    scene = EmbreeScene()
    for v, f in zip(vertices, faces, strict=True):
        TriangleMesh(scene, v, f)
    return scene
