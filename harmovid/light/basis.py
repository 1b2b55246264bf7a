"""A basis of directions: the sphere in cells, over which light and its transfer are known.

N directions lie evenly on the sphere (a spherical Fibonacci lattice). Each carries a tent: 1 at itself, falling to 0
at its neighbours, linear on the triangles between (barycentric weights). The tents sum to 1 everywhere, so a light
keeps its energy however it falls between cells, and a light that moves passes from one to the next without a step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial import ConvexHull, cKDTree

from harmovid.light.environment import Environment, directions, rotated, shrunk, solid_angles

CELLS = 512
"""Directions of the usual basis: 9° from one to the next."""

_MAP = 64  # height of the map that is projected: a cell is three of its pixels wide


@dataclass(frozen=True)
class Basis:
    """Cells of the sphere.

    directions: (N, 3), unit vectors. solid: (N,) steradians, sum 4π. samples: (J, N, 3), J sets of directions, each
    with one in every cell, spread as its tent.
    """

    directions: np.ndarray
    solid: np.ndarray
    samples: np.ndarray

    @property
    def radius(self) -> float:
        """About how far a cell reaches, radians."""
        return float(np.sqrt(4 / len(self.directions)))


@lru_cache(maxsize=4)
def basis(count: int = CELLS, sets: int = 64) -> Basis:
    """The basis of `count` directions, with `sets` sets of samples; always the same.

    Source of the lattice: González 2010, "Measurement of areas on a sphere using Fibonacci and latitude-longitude
    lattices", Math. Geosci. 42.
    """
    n = np.arange(count) + 0.5
    lattice = _spherical(1 - 2 * n / count, np.pi * (1 + 5**0.5) * n)
    random = np.random.default_rng(count)
    many = count * sets * 4
    # Even points over the sphere, each given to one of its cells by the weights there.
    dense = _spherical(1 - 2 * (np.arange(many) + 0.5) / many, np.pi * (1 + 5**0.5) * np.arange(many))
    cells, weights = _weights(lattice, dense)
    chosen = cells[np.arange(many), (weights.cumsum(1) < random.random(many)[:, None] * 0.999999).sum(1)]
    order = random.permutation(many)
    order = order[np.argsort(chosen[order], kind="stable")]
    counts = np.bincount(chosen, minlength=count)
    starts = np.concatenate([[0], counts.cumsum()[:-1]])
    samples = dense[order[starts + (np.arange(sets)[:, None] % counts)]]
    height = 128
    solid = _projection(count, height) @ np.broadcast_to(solid_angles(height), (height, 2 * height)).ravel()
    return Basis(lattice.astype(np.float32), solid.astype(np.float32), samples.astype(np.float32))


def project(pixels: np.ndarray, count: int = CELLS) -> np.ndarray:
    """A map's mean radiance in each cell, (N, 3): Lᵢ = ∫ wᵢ L dω / Ωᵢ, so that Σ Lᵢ Ωᵢ = ∫ L dω."""
    pixels = shrunk(pixels, _MAP) if len(pixels) > _MAP else pixels
    energy = (pixels * solid_angles(len(pixels))[..., None]).reshape(-1, 3)
    return np.asarray((_projection(count, len(pixels)) @ energy) / basis(count).solid[:, None], np.float32)


def project_over_time(environment: Environment, frames: int, count: int = CELLS) -> np.ndarray:
    """Radiance of each cell at each frame, (T, N, 3)."""
    light = np.zeros((frames, count, 3), np.float32)
    for layer in environment.layers:
        small = shrunk(layer.pixels, _MAP) if len(layer.pixels) > _MAP else layer.pixels
        yaws = np.broadcast_to(layer.yaw[:frames], frames) if len(layer.yaw) == 1 else layer.yaw[:frames]
        gains = layer.gain[:frames]
        yaws = np.pad(yaws, (0, frames - len(yaws)), mode="edge")
        known: dict[float, np.ndarray] = {}
        for yaw in yaws.tolist():
            if yaw not in known:
                known[yaw] = project(rotated(small, yaw), count)
        gains = np.pad(gains, ((0, frames - len(gains)), (0, 0)), mode="edge")
        light += np.stack([known[yaw] for yaw in yaws.tolist()]) * gains[:, None]
    return light


def point_light(towards: Iterable[float], colour: Iterable[float], count: int = CELLS) -> np.ndarray:
    """A light at one direction, as radiance of the cells, (N, 3). colour: radiance times steradians, (3,)."""
    where = np.asarray(list(towards), np.float64)
    cells, weights = _weights(basis(count).directions.astype(np.float64), where[None] / np.linalg.norm(where))
    light = np.zeros((count, 3), np.float32)
    light[cells[0]] = weights[0][:, None] * np.asarray(list(colour)) / basis(count).solid[cells[0], None]
    return light


@lru_cache(maxsize=4)
def _projection(count: int, height: int) -> csr_matrix:
    """(N, H · 2H): the weight of each pixel of a map in each cell."""
    n = np.arange(count) + 0.5
    lattice = _spherical(1 - 2 * n / count, np.pi * (1 + 5**0.5) * n)
    cells, weights = _weights(lattice, directions(height).reshape(-1, 3).astype(np.float64))
    pixels = np.repeat(np.arange(len(cells)), 3)
    return csr_matrix((weights.ravel().astype(np.float32), (cells.ravel(), pixels)), (count, len(cells)))


def _spherical(y: np.ndarray, phi: np.ndarray) -> np.ndarray:
    sin = np.sqrt(np.maximum(1 - y * y, 0))
    return np.stack([sin * np.sin(phi), y, -sin * np.cos(phi)], -1)


def _weights(lattice: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The three cells around each point, (P, 3), and their barycentric weights, (P, 3), sum 1."""
    triangles = ConvexHull(lattice).simplices
    corners = lattice[triangles]  # (F, 3, 3)
    inverse = np.linalg.inv(corners)  # a point is weights @ corners
    _, near = cKDTree(corners.mean(1) / np.linalg.norm(corners.mean(1), axis=1, keepdims=True)).query(points, 6)
    weights = np.einsum("pc,pkcn->pkn", points, inverse[near])
    best = weights.min(-1).argmax(1)
    rows = np.arange(len(points))
    weight = np.maximum(weights[rows, best], 0)
    return triangles[near[rows, best]], weight / weight.sum(1, keepdims=True)
