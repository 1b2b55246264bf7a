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
from harmovid.lightstage.points import Meshes, Points, across, averaged, runs, sums, unit
from harmovid.lightstage.scene import Performance, Surface

try:
    from scipy.sparse import csr_matrix
    from scipy.spatial import cKDTree
except ImportError as error:  # the first of the light stage's modules that filming meets
    raise MissingExtra("scipy", "lightstage", "filming on the light stage") from error

_OFFSET = 3e-4  # metres: rays leave a surface from so far above it
_HAIR_DEPTH = 6e-3  # metres: locks nearer than this don't shade a hair, they are the lock it lies in
_DEEP = 1000  # hairs at which it is known what else shades hair
_GLOW = 0.30  # of the light that meets hair goes on through it to hair behind, before its colour is taken
_REACH = 0.5  # metres: light bounces no further
_SMOOTH = 0.8  # weight of a pixel's neighbour beside its own, in what light reaches it
_AGREED = 0.02  # share of rays by which neighbours may differ and still agree
_KNOWN = 0.1  # weight of the neighbours that asked, below which a pixel asks itself
_SOFT = 48  # components of bounced light
_CHUNK = 2000  # pixels that are shaded at a time, so that they stay in the processor's cache
_HAIRY = 0.1  # share of a pixel that strands cover, above which it counts as hair


@dataclass(frozen=True)
class StageConfig:
    """How finely a performance is filmed.

    cells: directions of light. coverage: rays across a pixel for alpha and for what is seen, squared. points: of a
    pixel that cast rays into a cell of which their neighbours see some, not all. gloss, bounce, scatter: whether there
    is any. bounces: rays from each pixel for the bounce. surfels: of the whole scene from which light bounces.
    """

    cells: int = 512
    coverage: int = 4
    points: int = 4
    gloss: bool = True
    bounce: bool = True
    scatter: bool = True
    bounces: int = 12
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
    first, counts = runs(hits.pixel)
    place = hits.pixel[first]
    facets, row, share = averaged(hits)
    kind = hits.surface[first + counts // 2]
    # Where strands and what lies under them share a pixel, a few points of it are a poor sample: such pixels share
    # their light with all such neighbours. Strands face every way, and take their light from all around.
    hairy = sums(hits.fibre[:, None], first)[:, 0] > _HAIRY * counts
    flat = unit(sums(hits.flat, first)) * ~hairy[:, None]
    depth = sums((hits.position - pose[:3, 3]) @ -pose[:3, 2:3], first)[:, 0] / counts
    steady = _neighbours(place, shape, flat, depth, np.where(hairy, -1, kind), np.where(hairy, 1, _SMOOTH))

    lit = [hits[first + ((k + 0.5) * counts / config.points).astype(int)] for k in range(config.points)]
    open_ = stage.open(lit, _dither(place, shape[1]), np.add(*np.divmod(place, shape[1])), steady, config)
    open_ *= cells.solid
    albedo = sums(np.maximum(hits.albedo, 1e-4), first) / counts[:, None]
    own = facets.albedo * (share[:, None] / albedo[row])
    diffuse = np.empty((len(place), 3, config.cells), np.float32)
    white = np.empty((len(place), config.cells), np.float32)
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    for n in range(int(rank.max(initial=-1)) + 1):
        # Each time a pixel is met at most once, so that plain addition is right.
        several = np.flatnonzero(rank == n)
        for some in np.array_split(several, len(several) // _CHUNK + 1):
            coloured, gloss = stage.answer(facets[some], open_[row[some]], own[some], share[some], config)
            if n:
                coloured += diffuse[row[some]]
                gloss += white[row[some]]
            diffuse[row[some]], white[row[some]] = coloured, gloss
    if config.bounce:
        there, seen, answers = stage.bounced(lit[0], config)
        answers *= cells.solid
        for c in range(3):
            diffuse[:, c] += (steady @ (seen[c] @ there)) @ answers
    own = steady[hairy][:, hairy]
    diffuse[hairy] = (own @ diffuse[hairy].reshape(own.shape[0], -1)).reshape(-1, 3, config.cells)
    white[hairy] = own @ white[hairy]
    return Transfer(place, alpha, albedo, diffuse, white, kind)


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
        eye = -unit(rays[hit])
        points = self.meshes.points(found["geomID"][hit], found["primID"][hit],
                                    np.stack([found["u"][hit], found["v"][hit]], 1), eye)
        return replace(points, pixel=pixel), alpha.astype(np.float32)

    def open(self, lit: list[Points], dither: np.ndarray, diagonal: np.ndarray, steady: csr_matrix,
             config: StageConfig) -> np.ndarray:
        """The share of each cell's light that reaches each pixel unhindered, (P, N) in [0, 1].

        First every other pixel asks, every other cell on every other; then all whose neighbours (`steady`) don't
        agree, several times, from other points of the pixel to other points of the cell.

        Args:
            lit: for each round a point of each of P pixels. dither: (P,) in [0, 1), the choice among the cells'
                samples. diagonal: (P,) number of the diagonal of pixels that a pixel lies on.
        """
        count, cells = len(dither), self.cells
        free, asked = np.zeros((2, count, config.cells), np.float32)
        doubt = (diagonal[:, None] + np.arange(config.cells)) % 2 == 0
        for k, points in enumerate(lit):
            sets = (dither * len(cells.samples) + k * len(cells.samples) / len(lit)).astype(int) % len(cells.samples)
            wrap = points.scatter[:, None] * config.scatter
            self._ask(points, sets, doubt & (points.normal @ cells.directions.T > -wrap), free, asked)
            if k == 0:
                total, found = steady @ asked, steady @ free
                doubt = (total < _KNOWN) | ((found > _AGREED * total) & (found < (1 - _AGREED) * total))
        return np.asarray((steady @ free) / np.maximum(steady @ asked, 1e-6))

    def _ask(self, points: Points, sets: np.ndarray, wanted: np.ndarray, free: np.ndarray, asked: np.ndarray) -> None:
        """Cast rays into the wanted cells, (P, N); count those that meet nothing in `free`, all in `asked`."""
        start = points.position + points.flat * (_OFFSET + 2e-3 * points.scatter)[:, None]
        reach = (_HAIR_DEPTH * points.fibre).astype(np.float32)[:, None]
        for part in np.array_split(np.arange(wanted.shape[1]), 16):
            n, p = np.nonzero(wanted[:, part].T)  # one cell after another: neighbouring rays take the same way
            n += part[0]
            rays = self.cells.samples[sets[p], n]
            # Light from below the horizon, which scatters in, is asked for as it grazes the surface.
            flat = points.flat[p]
            lift = np.maximum(0.03 - np.einsum("rc,rc->r", rays, flat), 0) * ~points.fibre[p]
            rays += flat * lift[:, None]
            free[p, n] += self.all.run(start[p] + reach[p] * rays, rays, query="OCCLUDED") != 0
            asked[p, n] += 1

    def answer(self, points: Points, clear: np.ndarray, albedo: np.ndarray, share: np.ndarray,
               config: StageConfig) -> tuple[np.ndarray, np.ndarray]:
        """What each point sends to the eye of light from each cell, (P, 3, N), and white gloss, (P, N).

        Args:
            clear: (P, N) how much of each cell reaches the point, steradians. albedo: (P, 3) by which the diffuse
                answer is multiplied, share: (P,) the white one.
        """
        towards = self.cells.directions
        cosine = points.normal @ towards.T
        between = points.eye @ towards.T
        facing = np.maximum((points.normal * points.eye).sum(1), 0.05)[:, None]
        coloured = np.empty((len(points.pixel), 3, len(towards)), np.float32)
        white = np.zeros((len(points.pixel), len(towards)), np.float32)
        hairs, solids = np.flatnonzero(points.fibre), np.flatnonzero(~points.fibre)
        if len(solids):
            some, c, light = points[solids], cosine[solids], clear[solids]
            wrap = some.scatter[:, None] * config.scatter
            plain = None if wrap.any() else shading.diffuse(c) * light
            for k, tint in enumerate(shading.SCATTER_TINT):
                shown = shading.diffuse(c, wrap * tint) * light if plain is None else plain
                coloured[solids, k] = shown * albedo[solids, k, None]
            if config.gloss:
                light *= share[solids, None]
                white[solids] = light * shading.gloss(c, facing[solids], between[solids], some.roughness[:, None],
                                                      some.reflectance[:, None], self.cells.radius)
        if len(hairs):
            some = points[hairs]
            shown, first = shading.fibre(some.strand @ towards.T, (some.strand * some.eye).sum(1)[:, None],
                                         between[hairs], cosine[hairs], some.roughness[:, None], some.albedo[:, None])
            deep = self._deep(some) * self.cells.solid
            light = np.minimum(clear[hairs], deep)
            glow = _GLOW * np.sqrt(some.albedo)
            part = albedo[hairs] / np.maximum(some.albedo, 1e-4)
            for k in range(3):
                coloured[hairs, k] = shown[..., k] * (light + (deep - light) * glow[:, k, None]) * part[:, k, None]
            if config.gloss:
                white[hairs] = first * light * share[hairs, None]
        return coloured, white

    def bounced(self, points: Points, config: StageConfig) -> tuple[np.ndarray, list[csr_matrix], np.ndarray]:
        """Light that comes to points by way of other surfaces, for albedo 1.

        Returns:
            (M, K) answers of M surfels in a few components; for each colour a (P, M) matrix of what points see of the
            surfels; and the components, (K, N).
        """
        random = np.random.default_rng(0)
        surfels = self.meshes.spread(config.surfels, random)
        towards = self.cells.directions
        cosine = surfels.normal @ towards.T
        n, p = np.nonzero((cosine > 0).T)
        clear = self.all.run((surfels.position + _OFFSET * surfels.flat)[p], towards[n], query="OCCLUDED") != 0
        answers = shading.diffuse(cosine)
        answers[p, n] *= clear
        # What bounces is soft: few components hold it.
        _, axes = np.linalg.eigh(answers.T @ answers)
        axes = np.ascontiguousarray(axes[:, -_SOFT:])
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
        seen = [csr_matrix((surfels.albedo[near, c] / config.bounces, (many[hit], near)),
                           (count, len(surfels.pixel)), dtype=np.float32) for c in range(3)]
        return answers @ axes, seen, axes.T

    def _deep(self, points: Points) -> np.ndarray:
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
        return np.asarray(sum(clear[near[:, k]] * weight[:, k, None] for k in range(3)))


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
