"""A basis of directions: the sphere in cells, over which light and its transfer are known.

N directions lie evenly on the sphere (a spherical Fibonacci lattice). Each carries a smooth hill that falls to 0 beyond
its neighbours; the hills are scaled to sum to 1 everywhere (Shepard 1968), so a light keeps its energy however it falls
between cells, and a light that moves passes from one to the next without a step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from harmovid.light.environment import Environment, directions, rotated, shrunk, solid_angles

CELLS = 512
"""Directions of the usual basis: 9° from one to the next."""

HEIGHT = 128
"""Of the map that is projected: half a pixel's 0.7° is how far a small lamp may be moved."""

BEAM = 4 * np.pi / 128
"""Steradians that the cell of a key light counts as: how much it weighs beside even cells where both are coded."""

_REACH = 1.15  # how far a hill reaches, in sides of a square as large as a cell: no point is left out
_SHARED = 7  # cells at most whose hills meet in one point
_NARROW = 0.5  # how far samples reach, in hills: light put on the cells is blurred by the hills once already


@dataclass(frozen=True)
class Basis:
    """Cells of the sphere.

    directions: (N, 3), unit vectors. solid: (N,) steradians; of even cells their sum is 4π, each beam counts as BEAM.
    samples: (J, N, 3), J sets of directions, each with one in every cell: of an even one spread as its hill but half as
    far, of a beam as its light. radius: (N,) about how far a cell reaches, radians.
    """

    directions: np.ndarray
    solid: np.ndarray
    samples: np.ndarray
    radius: np.ndarray


@lru_cache(maxsize=4)
def basis(count: int = CELLS, sets: int = 64) -> Basis:
    """The basis of `count` directions, with `sets` sets of samples; always the same.

    Source of the lattice: González 2010, "Measurement of areas on a sphere using Fibonacci and latitude-longitude
    lattices", Math. Geosci. 42.
    """
    lattice = _lattice(count)
    random = np.random.default_rng(count)
    many = count * sets * 4
    # Even points over the sphere, each given to one of its cells by the weights there.
    dense = _lattice(many)
    chosen = np.concatenate([(_weights(lattice, part).cumsum(1) < random.random((len(part), 1)) * 0.999999).sum(1)
                             for part in np.array_split(dense, max(1, many // 8192))])
    order = random.permutation(many)
    order = order[np.argsort(chosen[order], kind="stable")]
    counts = np.bincount(chosen, minlength=count)
    starts = np.concatenate([[0], counts.cumsum()[:-1]])
    samples = dense[order[starts + (np.arange(sets)[:, None] % counts)]]
    samples = lattice + _NARROW * (samples - lattice)
    samples /= np.linalg.norm(samples, axis=-1, keepdims=True)
    solid = _gathered(np.broadcast_to(solid_angles(HEIGHT)[..., None], (HEIGHT, 2 * HEIGHT, 1)), count)[:, 0]
    return Basis(lattice.astype(np.float32), solid.astype(np.float32), samples.astype(np.float32),
                 np.full(count, np.sqrt(4 / count), np.float32))


def project(pixels: np.ndarray, count: int = CELLS, keys: np.ndarray | None = None) -> np.ndarray:
    """A map's mean radiance in each cell, (N, 3): Lᵢ = ∫ wᵢ L dω / Ωᵢ, so that Σ Lᵢ Ωᵢ = ∫ L dω.

    Args:
        keys: (HEIGHT, 2 · HEIGHT) labels of `light.keys`; what falls on n + 1 goes to a cell of its own, N + n, of
            BEAM steradians, and to no other.

    Returns:
        (N + K, 3) float32, K the highest label.
    """
    pixels = brought(pixels)
    energy = pixels * solid_angles(HEIGHT)[..., None]
    if keys is None:
        return np.asarray(_gathered(energy, count) / basis(count).solid[:, None], np.float32)
    even = _gathered(energy * (keys == 0)[..., None], count) / basis(count).solid[:, None]
    beams = [np.bincount(keys.ravel(), channel.ravel())[1:] for channel in np.moveaxis(energy, -1, 0)]
    return np.concatenate([even, np.stack(beams, -1) / BEAM]).astype(np.float32)


def project_over_time(environment: Environment, frames: int, count: int = CELLS,
                      keys: np.ndarray | None = None) -> np.ndarray:
    """Radiance of each cell at each frame, (T, N + K, 3); `keys` as for `project`, though layers that turn pass them
    by.
    """
    more = 0 if keys is None else int(keys.max())
    light = np.zeros((frames, count + more, 3), np.float32)
    for layer in environment.layers:
        turns = np.ptp(layer.yaw) > 0
        small = shrunk(layer.pixels, HEIGHT) if len(layer.pixels) > HEIGHT else layer.pixels
        yaws = np.broadcast_to(layer.yaw[:frames], frames) if len(layer.yaw) == 1 else layer.yaw[:frames]
        gains = layer.gain[:frames]
        yaws = np.pad(yaws, (0, frames - len(yaws)), mode="edge")
        known: dict[float, np.ndarray] = {}
        for yaw in yaws.tolist():
            if yaw not in known:
                known[yaw] = np.pad(project(rotated(small, yaw), count), ((0, more), (0, 0))) if turns else (
                    project(rotated(small, yaw), count, keys))
        gains = np.pad(gains, ((0, frames - len(gains)), (0, 0)), mode="edge")
        light += np.stack([known[yaw] for yaw in yaws.tolist()]) * gains[:, None]
    return light


def brought(pixels: np.ndarray) -> np.ndarray:
    """A map at HEIGHT: shrunk, or in smaller pixels, so that cells see as much of each as they are large."""
    if len(pixels) >= HEIGHT:
        return shrunk(pixels, HEIGHT)
    polar, around = (np.linspace(0, np.pi, size + 1) for size in (len(pixels), HEIGHT))
    rows = _shares(-np.cos(around), -np.cos(polar))
    columns = _shares(np.arange(2 * HEIGHT + 1) / HEIGHT, np.arange(2 * len(pixels) + 1) / len(pixels))
    return np.asarray(np.einsum("yr,rsc,xs->yxc", rows, pixels, columns, optimize=True), np.float32)


def _shares(edges: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N, M): how much of each interval between N + 1 rising edges lies in each between M + 1 others; rows sum to 1."""
    overlap = np.minimum(edges[1:, None], others[1:]) - np.maximum(edges[:-1, None], others[:-1])
    return np.asarray(np.maximum(overlap, 0) / np.diff(edges)[:, None])


def point_light(towards: Iterable[float], colour: Iterable[float], count: int = CELLS) -> np.ndarray:
    """A light at one direction, as radiance of the cells, (N, 3). colour: radiance times steradians, (3,)."""
    where = np.asarray(list(towards), np.float32)
    weights = _weights(_lattice(count), where[None] / np.linalg.norm(where))[0]
    return np.asarray(weights[:, None] * np.asarray(list(colour)) / basis(count).solid[:, None], np.float32)


def _gathered(energy: np.ndarray, count: int) -> np.ndarray:
    """(N, C): what each cell gets of a map's energy, (HEIGHT, 2 · HEIGHT, C)."""
    cells, weights = _projection(count, len(energy))
    parts = [np.bincount(cells.ravel(), (weights * channel.reshape(-1, 1)).ravel(), count)
             for channel in np.moveaxis(energy, -1, 0)]
    return np.stack(parts, -1)


@lru_cache(maxsize=4)
def _projection(count: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """(H · 2H, K) twice: the cells that each pixel of a map falls into, and its weights there."""
    lattice, towards = _lattice(count), directions(height).reshape(-1, 3)
    cells, weights = [], []
    for part in np.array_split(towards, max(1, len(towards) // 4096)):
        all_ = _weights(lattice, part)
        nearest = np.argpartition(all_, -_SHARED, 1)[:, -_SHARED:]
        cells.append(nearest)
        weights.append(np.take_along_axis(all_, nearest, 1))
    return np.concatenate(cells), np.concatenate(weights)


def _lattice(count: int) -> np.ndarray:
    """(count, 3) even directions."""
    y = 1 - (2 * np.arange(count) + 1) / count
    phi = np.pi * (1 + 5**0.5) * (np.arange(count) + 0.5)
    sin = np.sqrt(np.maximum(1 - y * y, 0))
    return np.stack([sin * np.sin(phi), y, -sin * np.cos(phi)], -1).astype(np.float32)


def _weights(lattice: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(P, N): the weights of cells at points, sum 1."""
    square = np.maximum(2 - 2 * points @ lattice.T, 0)  # squared distances
    hills = np.square(np.maximum(1 - square * np.float32(len(lattice) / (_REACH**2 * 4 * np.pi)), 0))
    return np.asarray(hills / hills.sum(1, keepdims=True), np.float32)
