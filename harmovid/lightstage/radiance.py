"""Light's transfer from every direction to every pixel, by casting rays; the only home of embreex.

One-light-at-a-time (Debevec et al. 2000, "Acquiring the Reflectance Field of a Human Face"), made by ray casting: for
each pixel and each cell of `light.basis` the share of the cell's light that reaches the eye, with shadow, gloss and
one bounce. A shadow is as soft as a cell: each point of a pixel casts one ray into each cell, elsewhere in it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harmovid.errors import MissingExtra
from harmovid.light.basis import Basis, basis
from harmovid.light.environment import camera_rays
from harmovid.lightstage import shading
from harmovid.lightstage.buffers import Transfer
from harmovid.lightstage.points import Meshes, Points, across
from harmovid.lightstage.scene import Performance, Surface

try:
    from scipy.sparse import csr_matrix
    from scipy.spatial import cKDTree
except ImportError as error:  # the first of the light stage's modules that filming meets
    raise MissingExtra("scipy", "lightstage", "filming on the light stage") from error

_OFFSET = 3e-4  # metres: rays leave a surface from so far above it
_HAIR_DEPTH = 6e-3  # metres: locks nearer than this don't shade a hair, they are the lock it lies in
_DEEP = 2000  # hairs at which it is known what else shades hair
_GLOW = 0.30  # of the light that meets hair goes on through it to hair behind, before its colour is taken
_REACH = 0.5  # metres: light bounces no further
_SMOOTH = 0.8  # weight of a pixel's neighbour beside its own, where a pixel is lit at one point or two
_HAIRY = 0.1  # share of a pixel that strands cover, above which it counts as hair


@dataclass(frozen=True)
class StageConfig:
    """How finely a performance is filmed.

    cells: directions of light. coverage: rays across a pixel for alpha, squared. points: of a pixel that are lit.
    gloss, bounce, scatter: whether there is any. bounces: rays from each lit point for the bounce. surfels: of the
    whole scene from which light bounces.
    """

    cells: int = 512
    coverage: int = 4
    points: int = 2
    gloss: bool = True
    bounce: bool = True
    scatter: bool = True
    bounces: int = 10
    surfels: int = 1500


def transfer(performance: Performance, frame: int, shape: tuple[int, int],
             config: StageConfig = StageConfig()) -> Transfer:
    """Light's transfer to each pixel of one frame.

    Args:
        shape: (height, width) of the picture.

    Raises:
        MissingExtra: embreex is not installed.
    """
    cells = basis(config.cells)
    stage = _Stage(performance.surfaces, frame, cells)
    pose, angle = performance.camera.pose[frame], performance.camera.height
    hits, alpha = stage.seen(pose, angle, shape, config.coverage)
    place, first, counts = np.unique(hits.pixel, return_index=True, return_counts=True)
    # All that covers a pixel tells its albedo; some points of it, evenly chosen, how light reaches it.
    k = np.arange(config.points)
    lit = hits[(first[:, None] + (((k + 0.5) * counts[:, None]) // config.points).astype(int)).ravel()]
    row = np.repeat(np.arange(len(place)), config.points)
    sets = (_dither(place, shape[1])[:, None] * len(cells.samples) + k * len(cells.samples) // config.points)
    sets = sets.astype(int).ravel() % len(cells.samples)
    diffuse = np.zeros((len(place), 3, config.cells), np.float32)
    white = np.zeros((len(place), config.cells), np.float32)
    for j in range(len(cells.samples)):
        some = np.flatnonzero(sets == j)
        if len(some):
            coloured, gloss = stage.answer(lit[some], cells.samples[j], cells, config)
            # A set meets a pixel at most once, so that plain addition is right.
            diffuse[row[some]] += coloured
            white[row[some]] += gloss
    if config.bounce:
        sums = csr_matrix((np.ones(len(row), np.float32), (row, np.arange(len(row)))), (len(place), len(row)))
        weights, answers = stage.bounced(lit, config, cells)
        for c in range(3):
            diffuse[:, c] += (sums @ weights[c].multiply(lit.albedo[:, c, None])).tocsr() @ answers
    albedo = _mean(np.maximum(hits.albedo, 1e-4), hits.pixel, place)
    # What was lit is some of what covers: its own albedo is taken out, that of the whole pixel put in.
    own = np.maximum(lit.albedo, 1e-4).reshape(len(place), config.points, 3).mean(1)
    diffuse *= (cells.solid / config.points) / own[..., None]
    white *= cells.solid / config.points
    # Where strands and what lies under them share a pixel, a few points of it are a poor sample: such pixels share
    # their light with all such neighbours. Strands face every way, and take their light from all around.
    hairy = _mean(hits.fibre[:, None], hits.pixel, place)[:, 0] > _HAIRY
    kind = np.where(hairy, -1, hits.surface[first + counts // 2])
    normal = lit.normal.reshape(len(place), config.points, 3).mean(1) * ~hairy[:, None]
    depth = ((lit.position - pose[:3, 3]) @ -pose[:3, 2]).reshape(len(place), config.points).mean(1)
    share = np.where(hairy, 1, _SMOOTH / max(1, config.points / 2))
    steady = _neighbours(place, shape, normal, depth, kind, share)
    diffuse = (steady @ diffuse.reshape(len(place), -1)).reshape(diffuse.shape)
    return Transfer(place, alpha, albedo, diffuse, steady @ white, hits.surface[first + counts // 2])


class _Stage:
    """The surfaces of one frame, ready for rays."""

    def __init__(self, surfaces: tuple[Surface, ...], frame: int, cells: Basis) -> None:
        self.cells = cells
        self.deep: tuple[cKDTree, np.ndarray] | None = None
        self.meshes = Meshes(surfaces, frame)
        solid = [n for n, s in enumerate(surfaces) if not s.material.fibre]
        self.all = _scene(self.meshes.vertices, self.meshes.faces)
        self.solid = self.all if len(solid) == len(surfaces) else _scene(
            [self.meshes.vertices[n] for n in solid], [self.meshes.faces[n] for n in solid])

    def seen(self, pose: np.ndarray, angle: float, shape: tuple[int, int], across: int) -> tuple[Points, np.ndarray]:
        """What the camera sees through across² points of each pixel, in the order of pixels; and alpha, (H, W)."""
        height, width = shape
        rays = camera_rays(pose, angle, (height * across, width * across))
        # Pixel by pixel, the points of each in an order that spreads any few of them.
        order = np.random.default_rng(across).permutation(across * across)
        rays = rays.reshape(height, across, width, across, 3).transpose(0, 2, 1, 3, 4).reshape(-1, across**2, 3)
        rays = rays[:, order].reshape(-1, 3)
        origin = np.broadcast_to(pose[:3, 3].astype(np.float32), rays.shape)
        found = self.all.run(np.ascontiguousarray(origin), np.ascontiguousarray(rays), output=True)
        hit = np.flatnonzero(found["primID"] >= 0)
        pixel = hit // across**2
        alpha = np.bincount(pixel, minlength=height * width).reshape(shape) / np.float32(across**2)
        eye = -rays[hit] / np.linalg.norm(rays[hit], axis=1, keepdims=True)
        points = self.meshes.points(found["geomID"][hit], found["primID"][hit],
                              np.stack([found["u"][hit], found["v"][hit]], 1), eye)
        return replace(points, pixel=pixel), alpha.astype(np.float32)

    def answer(self, points: Points, towards: np.ndarray, cells: Basis,
               config: StageConfig) -> tuple[np.ndarray, np.ndarray]:
        """What each point sends to the eye of light from `towards` (N, 3), per steradian: (P, 3, N) and (P, N)."""
        cosine = points.normal @ towards.T
        between = points.eye @ towards.T
        facing = np.maximum((points.normal * points.eye).sum(1), 0.05)[:, None]
        coloured = np.empty((len(points.pixel), 3, len(towards)), np.float32)
        white = np.zeros((len(points.pixel), len(towards)), np.float32)
        hairs, solids = np.flatnonzero(points.fibre), np.flatnonzero(~points.fibre)
        if len(solids):
            some, c = points[solids], cosine[solids]
            wrap = some.scatter[:, None] if config.scatter else np.zeros((len(solids), 1), np.float32)
            clear = self._clear(some, towards, c, c > -wrap)
            plain = None if wrap.any() else shading.diffuse(c)
            for k, tint in enumerate(shading.SCATTER_TINT):
                lit = shading.diffuse(c, wrap * tint) if plain is None else plain
                coloured[solids, k] = lit * clear * some.albedo[:, k, None]
            if config.gloss:
                white[solids] = clear * shading.gloss(c, facing[solids], between[solids], some.roughness[:, None],
                                                      some.reflectance[:, None], cells.radius)
        if len(hairs):
            some = points[hairs]
            lit, first = shading.fibre(some.strand @ towards.T, (some.strand * some.eye).sum(1)[:, None],
                                       between[hairs], cosine[hairs], some.roughness[:, None], some.albedo[:, None])
            open_, deep = self._through_hair(some, towards)
            glow = _GLOW * np.sqrt(some.albedo)[:, None]
            coloured[hairs] = (lit * (open_[..., None] * (1 - glow) + deep[..., None] * glow)).transpose(0, 2, 1)
            if config.gloss:
                white[hairs] = first * open_
        return coloured, white

    def bounced(self, points: Points, config: StageConfig, cells: Basis) -> tuple[list[csr_matrix], np.ndarray]:
        """Light that comes to points by way of other surfaces.

        Returns:
            for each colour a (P, M) matrix of what points see of M surfels, and their answers (M, N) for albedo 1.
        """
        random = np.random.default_rng(0)
        surfels = self.meshes.spread(config.surfels, random)
        cosine = surfels.normal @ cells.directions.T
        answers = shading.diffuse(cosine) * self._clear(surfels, cells.directions, cosine, cosine > 0)
        count = len(points.pixel)
        # Rays by the cosine law, around the smooth normal.
        u, v = random.random((2, count * config.bounces), np.float32)
        u = (u + np.tile(np.arange(config.bounces, dtype=np.float32), count)) / config.bounces
        local = np.stack([np.sqrt(u) * np.cos(2 * np.pi * v), np.sqrt(u) * np.sin(2 * np.pi * v), np.sqrt(1 - u)], -1)
        many = np.repeat(np.arange(count), config.bounces)
        x, y = across(points.normal)
        rays = (local[:, :1] * x[many] + local[:, 1:2] * y[many] + local[:, 2:] * points.normal[many])
        start = points.position[many] + _OFFSET * points.flat[many]
        reach = np.full(len(rays), _REACH, np.float32)
        found = self.all.run(start.astype(np.float32), rays.astype(np.float32), reach, query="DISTANCE")
        hit = np.flatnonzero(found < _REACH * 0.999)
        _, near = cKDTree(surfels.position).query(start[hit] + rays[hit] * found[hit, None])
        weights = [csr_matrix((surfels.albedo[near, c] / config.bounces, (many[hit], near)),
                              (count, len(surfels.pixel))) for c in range(3)]
        return weights, answers

    def _clear(self, points: Points, towards: np.ndarray, cosine: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """(P, N), 1 where light from `towards` reaches a point, asked only where `wanted`.

        Light from below the horizon, which scatters in, is asked for as it grazes the surface.
        """
        n, p = np.nonzero(wanted.T)  # one direction after another: neighbouring rays take the same way
        lift = np.maximum(0.03 - (points.flat @ towards.T)[p, n], 0)[:, None]
        rays = towards[n] + points.flat[p] * lift
        start = points.position + points.flat * (_OFFSET + 2e-3 * points.scatter)[:, None]
        clear = np.zeros(wanted.shape, np.float32)
        clear[p, n] = self.all.run(start[p], rays, query="OCCLUDED") != 0
        return clear

    def _through_hair(self, points: Points, towards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(P, N) twice: whether light reaches a hair unhindered; and how much would if no hair were in the way."""
        deep = self._deep(towards, points)
        n, p = np.nonzero(deep.T > 0)
        rays = towards[n]
        start = points.position + _OFFSET * points.flat
        free = np.zeros(deep.shape, np.float32)
        free[p, n] = self.all.run(start[p] + np.float32(_HAIR_DEPTH) * rays, rays, query="OCCLUDED") != 0
        return free * deep, deep

    def _deep(self, towards: np.ndarray, points: Points) -> np.ndarray:
        """(P, N) light that all but hair lets through, known at some hairs and shared by those around them."""
        if self.deep is None:
            hair = tuple(n for n, s in enumerate(self.meshes.surfaces) if s.material.fibre)
            some = self.meshes.spread(_DEEP, np.random.default_rng(1), hair)
            start = np.tile(some.position + _OFFSET * some.flat, (len(self.cells.directions), 1))
            rays = np.repeat(self.cells.directions, len(some.position), 0)
            clear = self.solid.run(start, rays, query="OCCLUDED") != 0
            self.deep = cKDTree(some.position), clear.reshape(-1, len(some.position)).T.astype(np.float32)
        tree, clear = self.deep
        distance, near = tree.query(points.position, 3)
        weight = 1 / (distance + 1e-3)
        weight = (weight / weight.sum(1, keepdims=True)).astype(np.float32)
        return np.asarray((clear[near] * weight[..., None]).sum(1))


def _scene(vertices: list[np.ndarray], faces: list[np.ndarray]) -> Any:
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


def _dither(place: np.ndarray, width: int) -> np.ndarray:
    """Even noise in [0, 1) over the picture (Jimenez 2014, interleaved gradient noise)."""
    y, x = np.divmod(place, width)
    return np.asarray(np.modf(52.9829189 * np.modf(0.06711056 * x + 0.00583715 * y)[0])[0])


def _neighbours(place: np.ndarray, shape: tuple[int, int], normal: np.ndarray, depth: np.ndarray, kind: np.ndarray,
                weight: np.ndarray) -> csr_matrix:
    """(P, P): the mean over 3 × 3 pixels that lie on one surface with a pixel and face where it faces.

    One ray into a cell says yes or no; neighbours share what they found (a joint bilateral filter of the light, never
    of the albedo).
    """
    height, width = shape
    at = np.full((height + 2) * (width + 2), -1)
    padded = (place // width + 1) * (width + 2) + place % width + 1
    at[padded] = np.arange(len(place))
    rows, columns, weights = [], [], []
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            there = at[padded + dy * (width + 2) + dx]
            here = np.flatnonzero(there >= 0)
            there = there[here]
            turned = np.square(normal[here] - normal[there]).sum(1)
            step = np.square(depth[here] - depth[there])
            near = weight[here] ** (abs(dy) + abs(dx)) * np.exp(-turned / (2 * 0.15**2) - step / (2 * 0.01**2))
            rows.append(here)
            columns.append(there)
            weights.append(near * (kind[here] == kind[there]))
    matrix = csr_matrix((np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))),
                        (len(place), len(place)), dtype=np.float32)
    return csr_matrix(matrix.multiply(1 / np.asarray(matrix.sum(1))), dtype=np.float32)


def _mean(values: np.ndarray, pixel: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Means of values (P, C) over each pixel of `place`."""
    row = np.searchsorted(place, pixel)
    count = np.bincount(row, minlength=len(place))
    return np.stack([np.bincount(row, v, len(place)) / count for v in values.T], 1).astype(np.float32)
