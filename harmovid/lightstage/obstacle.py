"""Obstacles: what hair and cloth are kept off, by the distance to the nearest of its points."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Obstacle:
    """What hair and cloth lie on: points (V, 3) with outward normals (V, 3)."""

    points: Floats
    normals: Floats
    quick: bool = False  # the nearest point alone: enough for hair

    @cached_property
    def tree(self) -> cKDTree:
        return cKDTree(self.points)

    def settle(self, points: Floats, distance: Floats) -> Floats:
        """Points (N, 3) moved in or out to `distance` (N,) from the surface."""
        depth, normal = self.nearest(points)
        return points + np.clip(distance - depth, -0.03, 0.02)[:, None] * normal

    def push(self, points: Floats, distance: Floats, pull: Floats | float = 0.0) -> Floats:
        """Points (N, 3) moved out to at least `distance` (N,) from the surface; those farther off come in by up
        to `pull`.
        """
        depth, normal = self.nearest(points)
        return points + np.clip(distance - depth, -np.asarray(pull), 0.02)[:, None] * normal

    def nearest(self, points: Floats) -> tuple[Floats, Floats]:
        """Signed distance (N,) along the normals (N, 3) of the nearest three points, weighted by nearness."""
        if self.quick:
            _, nearest = self.tree.query(points)
            return ((points - self.points[nearest]) * self.normals[nearest]).sum(1), self.normals[nearest]
        far, nearest = self.tree.query(points, k=3)
        share = 1 / np.maximum(far, 1e-4) ** 2
        share /= share.sum(1, keepdims=True)
        normal = (self.normals[nearest] * share[..., None]).sum(1)
        normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)
        surface = (self.points[nearest] * share[..., None]).sum(1)
        return ((points - surface) * normal).sum(1), normal
