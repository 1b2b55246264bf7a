"""Light's transfer from every direction to every pixel, by casting rays.

One-light-at-a-time (Debevec et al. 2000, "Acquiring the Reflectance Field of a Human Face"), made by ray casting: for
each pixel and each cell of `light.basis` the share of the cell's light that reaches the eye, with shadow, gloss and
one bounce. A shadow is as soft as a cell. What a pixel sees of each surface, a facet, is shaded as one; most facets ask
whether a cell's light reaches them only where their neighbours don't agree about it. Key lights of one environment
(`light.keys`) are cells of their own on top, for which every point of a pixel asks and is shaded by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harmovid.errors import MissingExtra
from harmovid.light.basis import Basis, basis
from harmovid.lightstage import shading
from harmovid.lightstage.buffers import Transfer
from harmovid.lightstage.points import Points, across, averaged, runs, sums
from harmovid.lightstage.rays import Scene
from harmovid.lightstage.scene import Performance

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
_SMOOTH = 0.5  # weight of a pixel's neighbour beside its own, in what light reaches it
_AGREED = 0.02  # share of rays by which neighbours may differ and still agree
_KNOWN = 0.1  # weight of the neighbours that asked, below which a pixel asks itself
_SMALL = 192  # height of a picture from which its pixels are small
_SOFT = 48  # components of bounced light
_CELLS = 32  # cells into which rays are cast at a time
_TILE = 8  # pixels; those of a tile ask one after another, for their rays meet the same things
_CHUNK = 1000  # pixels that are shaded at a time, so that they stay in the processor's cache


@dataclass(frozen=True)
class StageConfig:
    """How finely a performance is filmed.

    cells: directions of light. coverage: rays across a pixel for alpha and for what is seen, squared. points: of a
    pixel that cast rays into a cell of which their neighbours see some, not all. gloss, bounce, scatter: whether there
    is any. strands: whether hair is lit as hair, or as any surface. bounces: rays from each pixel for the bounce.
    surfels: of the whole scene from which light bounces.
    """

    cells: int = 512
    coverage: int = 4
    points: int = 2
    gloss: bool = True
    bounce: bool = True
    scatter: bool = True
    strands: bool = True
    bounces: int = 4
    surfels: int = 1000


def transfer(performance: Performance, frame: int, shape: tuple[int, int],
             config: StageConfig = StageConfig(), keys: Basis | None = None) -> Transfer:
    """Light's transfer to each pixel of one frame.

    Args:
        shape: (height, width) of the picture.
        keys: beams of key lights, further cells after the even ones.

    Raises:
        MissingExtra: embreex is not installed.
    """
    cells = basis(config.cells)
    scene = Scene(performance.surfaces, frame)
    stage = _Stage(scene, cells)
    pose, angle = performance.camera.pose[frame], performance.camera.height
    hits, alpha = scene.seen(pose, angle, shape, config.coverage)
    facets, members = averaged(hits)
    first, counts = runs(facets.pixel)
    place, row = facets.pixel[first], np.repeat(np.arange(len(first)), counts)
    share = members.counts / np.add.reduceat(members.counts, first)[row] if len(first) else np.zeros(0)
    albedo = sums(np.maximum(facets.albedo, 1e-4) * share[:, None], first)
    steady = _neighbours(facets, members.side, shape, (facets.position - pose[:3, 3]) @ -pose[:3, 2])
    lit = [hits[members.chosen((k + 0.5) / config.points)] for k in range(config.points)]
    hairs = np.flatnonzero(facets.fibre)
    deep = stage.deep(facets[hairs]) if config.strands and len(hairs) else None
    open_ = stage.open(facets, lit, steady, shape, config, deep)
    open_ *= cells.solid
    own = facets.albedo * (share[:, None] / albedo[row])

    diffuse = np.zeros((len(place), 3, config.cells), np.float32)
    white = np.zeros((len(place), config.cells), np.float32)
    rank = np.arange(len(row)) - first[row]
    for n in range(int(counts.max(initial=0))):
        # Each time a pixel is met at most once, so that plain addition is right.
        several = np.flatnonzero((rank == n) & ~facets.fibre)
        for some in np.array_split(several, len(several) // _CHUNK + 1):
            coloured, gloss = stage.answer(facets[some], open_[some], own[some], share[some], config)
            if n == 0:
                diffuse[row[some]], white[row[some]] = coloured, gloss
            else:
                diffuse[row[some]] += coloured
                white[row[some]] += gloss
    if len(hairs):
        coloured = np.empty((len(hairs), 3, config.cells), np.float32)
        gloss = np.empty((len(hairs), config.cells), np.float32)
        for part in (slice(n, n + _CHUNK) for n in range(0, len(hairs), _CHUNK)):
            some = hairs[part]
            given = open_[some], own[some], share[some], config
            coloured[part], gloss[part] = (stage.answer(facets[some], *given) if deep is None else
                                           stage.answer_of_strands(facets[some], *given, deep[part]))
        # One strand is a poor sample of those that cross a pixel: they share how they answer.
        among = csr_matrix((np.ones(len(hairs), np.float32), (row[hairs], np.arange(len(hairs)))),
                           (len(place), len(hairs))) @ steady[hairs][:, hairs]
        diffuse += (among @ coloured.reshape(len(hairs), -1)).reshape(diffuse.shape)
        white += among @ gloss
    towards, solid = cells.directions, cells.solid
    if keys is not None:
        coloured, gloss = _Stage(scene, keys).by_points(hits, albedo, shape, config)
        diffuse, white = np.concatenate([diffuse, coloured], 2), np.concatenate([white, gloss], 1)
        towards, solid = np.concatenate([towards, keys.directions]), np.concatenate([solid, keys.solid])
    if config.bounce:
        there, seen, answers = stage.bounced(lit[0], towards, config)
        answers *= solid
        pixels = csr_matrix((share.astype(np.float32), (row, np.arange(len(row)))), (len(place), len(row)))
        for c in range(3):
            weight = facets.albedo[:, c] / albedo[row, c]
            diffuse[:, c] += (pixels @ ((steady @ (seen[c] @ there)) * weight[:, None])) @ answers
    kind = facets.surface[first + _largest(members.counts, first, counts)]
    return Transfer(place, alpha, albedo, diffuse, white, kind)


class _Stage:
    """The surfaces of one frame, and the cells that light them."""

    def __init__(self, scene: Scene, cells: Basis) -> None:
        self.scene, self.cells = scene, cells

    def open(self, facets: Points, lit: list[Points], steady: csr_matrix, shape: tuple[int, int],
             config: StageConfig, deep: np.ndarray | None) -> np.ndarray:
        """The share of each cell's light that reaches each facet unhindered, (P, N) in [0, 1].

        First every other facet asks (where pixels are small every fourth, of hair every fifth), in each cell others;
        then of the others those whose neighbours (`steady`) don't agree, from several points of them to several of the
        cell. Strands ask once: all around them share what they find, and of hair a little noise is not seen.

        Args:
            lit: for each round a point of each of P facets. shape: of the picture. deep: of strands alone, `deep`.
        """
        count, cells = len(facets.pixel), self.cells
        free, asked = np.zeros((2, count, config.cells), np.float32)
        parts = [(slice(n, n + _CHUNK), steady[n : n + _CHUNK]) for n in range(0, count, _CHUNK)]
        hair = facets.fibre & config.strands
        low = _horizon(facets, config)
        dither, (y, x) = _dither(facets.pixel, shape[1]), np.divmod(facets.pixel, shape[1])
        if shape[0] < _SMALL:
            doubt = _every(2, config.cells)[(x + y) % 2]
        else:  # among any 3 × 3 pixels one at least asks
            doubt = np.concatenate([_every(4, config.cells), _every(5, config.cells)])[
                np.where(hair, 4 + (x + 2 * y) % 5, (x + y) % 4)]
        reached = True if deep is None else deep > 0
        order = _by_tiles(facets.pixel, shape[1])
        for k, points in enumerate(lit):
            sets = (dither * len(cells.samples) + k * len(cells.samples) / len(lit)).astype(int) % len(cells.samples)
            for some, _ in parts:
                doubt[some] &= facets.normal[some] @ cells.directions.T > low[some]
            doubt[hair] &= reached
            self._ask(points, order, sets, doubt, free, asked, config)
            if k == 0:
                for some, around in parts:
                    total = around @ asked
                    unsure, solid = total < _KNOWN, np.flatnonzero(~hair[some])
                    found, total = around[solid] @ free, total[solid]
                    unsure[solid] |= (found > _AGREED * total) & (found < (1 - _AGREED) * total)
                    doubt[some] = unsure & (asked[some] == 0)
        share = np.empty_like(free)
        for some, around in parts:
            np.divide(around @ free, np.maximum(around @ asked, 1e-6), out=share[some])
        return share

    def _ask(self, points: Points, order: np.ndarray, sets: np.ndarray, wanted: np.ndarray, free: np.ndarray,
             asked: np.ndarray, config: StageConfig) -> None:
        """Cast rays into the wanted cells, (P, N); count those that meet nothing in `free`, all in `asked`.

        order: (P,) in which points ask, neighbours after each other.
        """
        start = points.position + points.flat * (_OFFSET + 2e-3 * points.scatter)[:, None]
        count = wanted.shape[1]
        samples, found = self.cells.samples.reshape(-1, 3), free.reshape(-1)
        asked += wanted
        strands = points.fibre & config.strands
        for fibre in (False, True):
            among = order[strands[order] == fibre]
            for begin in range(0, count, _CELLS):
                # One cell after another: neighbouring rays take the same way.
                n, p = np.nonzero(wanted[among, begin : begin + _CELLS].T)
                n += begin
                p = among.take(p)
                rays = samples.take(sets.take(p) * count + n, 0)
                origins = start.take(p, 0)
                if fibre:
                    origins += np.float32(_HAIR_DEPTH) * rays
                else:
                    # Light from below the horizon, which scatters in, is asked for as it grazes the surface.
                    up = points.flat.take(p, 0)
                    up *= np.maximum(0.03 - np.einsum("rc,rc->r", rays, up), 0)[:, None]
                    rays += up
                found[p * count + n] += self.scene.clear(origins, rays)

    def by_points(self, hits: Points, albedo: np.ndarray, shape: tuple[int, int],
                  config: StageConfig) -> tuple[np.ndarray, np.ndarray]:
        """The answers of pixels to few cells, (P, 3, N) and (P, N), for which each of their points asks once.

        Args:
            hits: all points that are seen. albedo: (P, 3), by which what is coloured is divided. shape: of the picture.
        """
        first, counts = runs(hits.pixel)
        row = np.repeat(np.arange(len(first)), counts)
        hair = hits.fibre & config.strands
        wanted = hits.normal @ self.cells.directions.T > _horizon(hits, config)
        deep = np.empty(wanted.shape, np.float32)  # known of strands alone
        if hair.any():
            deep[hair] = self.deep(hits[hair])
            wanted[hair] &= deep[hair] > 0
        clear, asked = np.zeros((2, *wanted.shape), np.float32)
        sets = len(self.cells.samples)
        each = (_dither(hits.pixel, shape[1]) + (np.arange(len(row)) - first[row]) / counts[row]) * sets
        self._ask(hits, _by_tiles(hits.pixel, shape[1]), each.astype(int) % sets, wanted, clear, asked, config)
        clear *= self.cells.solid
        share = 1 / counts[row].astype(np.float32)
        own = np.maximum(hits.albedo, 1e-4) * (share[:, None] / albedo[row])
        diffuse = np.zeros((len(first), 3, wanted.shape[1]), np.float32)
        white = np.zeros((len(first), wanted.shape[1]), np.float32)
        for strands in (False, True):
            mine = np.flatnonzero(hair == strands)
            for some in np.array_split(mine, len(mine) // _CHUNK + 1):
                given = hits[some], clear[some], own[some], share[some], config
                coloured, gloss = self.answer_of_strands(*given, deep[some]) if strands else self.answer(*given)
                np.add.at(diffuse, row[some], coloured)
                np.add.at(white, row[some], gloss)
        return diffuse, white

    def answer(self, points: Points, clear: np.ndarray, albedo: np.ndarray, share: np.ndarray,
               config: StageConfig) -> tuple[np.ndarray, np.ndarray]:
        """What each point sends to the eye of light from each cell, (P, 3, N), and white gloss, (P, N).

        Args:
            clear: (P, N) how much of each cell reaches the point, steradians. albedo: (P, 3) by which the diffuse
                answer is multiplied, share: (P,) the white one.
        """
        towards = self.cells.directions
        cosine = points.normal @ towards.T
        coloured = np.empty((len(cosine), 3, len(towards)), np.float32)
        wrap = points.scatter[:, None] * config.scatter
        plain = None if wrap.any() else shading.diffuse(cosine) * clear
        for k, tint in enumerate(shading.SCATTER_TINT):
            shown = shading.diffuse(cosine, wrap * tint) * clear if plain is None else plain
            coloured[:, k] = shown * albedo[:, k, None]
        if not config.gloss:
            return coloured, np.zeros_like(cosine)
        facing = np.maximum((points.normal * points.eye).sum(1), 0.05)[:, None]
        white = shading.gloss(cosine, facing, points.eye @ towards.T, points.roughness[:, None],
                              points.reflectance[:, None], self.cells.radius)
        return coloured, white * clear * share[:, None]

    def answer_of_strands(self, points: Points, clear: np.ndarray, albedo: np.ndarray, share: np.ndarray,
                          config: StageConfig, deep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`answer` of hair; deep: (P, N), what all but hair lets through of each cell, in [0, 1]."""
        towards = self.cells.directions
        shown, white = shading.fibre(
            points.strand @ towards.T, (points.strand * points.eye).sum(1)[:, None], points.eye @ towards.T,
            points.normal @ towards.T, points.roughness[:, None], points.albedo.T[..., None])
        through = deep * self.cells.solid
        light = np.minimum(clear, through)
        glow = _GLOW * np.sqrt(points.albedo)
        part = albedo / np.maximum(points.albedo, 1e-4)
        coloured = np.empty((len(light), 3, len(towards)), np.float32)
        for k in range(3):
            coloured[:, k] = shown[k] * (light + (through - light) * glow[:, k, None]) * part[:, k, None]
        return coloured, white * light * share[:, None] if config.gloss else np.zeros_like(light)

    def bounced(self, points: Points, towards: np.ndarray,
                config: StageConfig) -> tuple[np.ndarray, list[csr_matrix], np.ndarray]:
        """Light that comes from N directions `towards`, (N, 3), to points by way of other surfaces, for albedo 1.

        Returns:
            (M, K) answers of M surfels in a few components; for each colour a (P, M) matrix of what points see of the
            surfels; and the components, (K, N).
        """
        random = np.random.default_rng(0)
        surfels = self.scene.meshes.spread(config.surfels, random)
        cosine = surfels.normal @ towards.T
        n, p = np.nonzero((cosine > 0).T)
        clear = self.scene.clear((surfels.position + _OFFSET * surfels.flat)[p], towards[n])
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
        found = self.scene.distance(start.astype(np.float32), rays.astype(np.float32), _REACH)
        hit = np.flatnonzero(found < _REACH * 0.999)
        _, near = cKDTree(surfels.position).query(start[hit] + rays[hit] * found[hit, None])
        seen = [csr_matrix((surfels.albedo[near, c] / config.bounces, (many[hit], near)),
                           (count, len(surfels.pixel)), dtype=np.float32) for c in range(3)]
        return answers @ axes, seen, axes.T

    def deep(self, points: Points) -> np.ndarray:
        """(P, N) light that all but hair lets through, known at some hairs and shared by those around them."""
        meshes = self.scene.meshes
        hair = tuple(n for n, s in enumerate(meshes.surfaces) if s.material.fibre)
        some = meshes.spread(_DEEP, np.random.default_rng(1), hair)
        start = np.tile(some.position + _OFFSET * some.flat, (len(self.cells.directions), 1))
        rays = np.repeat(self.cells.directions, len(some.position), 0)
        clear = self.scene.clear(start, rays, through_hair=True).astype(np.float32)
        distance, near = cKDTree(some.position).query(points.position, 3)
        weight = 1 / (distance + 1e-3)
        return np.asarray(_rows(near, weight / weight.sum(1, keepdims=True), len(some.position))
                          @ clear.reshape(-1, len(some.position)).T)


def _horizon(points: Points, config: StageConfig) -> np.ndarray:
    """(P, 1): the cosine below which no light is asked for. It may come from below the horizon where it scatters, and
    from anywhere to strands."""
    wrap = points.scatter * (config.scatter * shading.SCATTER_TINT[0])
    return -np.where(points.fibre & config.strands, 1.1, wrap)[:, None]


def _by_tiles(place: np.ndarray, width: int) -> np.ndarray:
    """The order of pixels by small tiles of the picture."""
    y, x = np.divmod(place, width)
    return np.lexsort((x, y, x // _TILE, y // _TILE))


def _rows(columns: np.ndarray, weights: np.ndarray, width: int) -> csr_matrix:
    """(P, width) of which each row holds a few weights, (P, K), at the columns, (P, K)."""
    ends = np.arange(0, columns.size + 1, columns.shape[1])
    return csr_matrix((weights.ravel().astype(np.float32), columns.ravel(), ends), (len(columns), width))


def _every(each: int, cells: int) -> np.ndarray:
    """(each, N): of every so many cells one, in each row others."""
    return np.add.outer(np.arange(each), np.arange(cells)) % each == 0


def _dither(place: np.ndarray, width: int) -> np.ndarray:
    """Even noise in [0, 1) over the picture (Jimenez 2014, interleaved gradient noise)."""
    y, x = np.divmod(place, width)
    return np.asarray(np.modf(52.9829189 * np.modf(0.06711056 * x + 0.00583715 * y)[0])[0])


def _neighbours(facets: Points, side: np.ndarray, shape: tuple[int, int], depth: np.ndarray) -> csr_matrix:
    """(F, F): the mean over what 3 × 3 pixels show of a facet's surface, of what faces where it faces.

    One ray into a cell says yes or no; neighbours share what they found (a joint bilateral filter of the light, never
    of the albedo). Strands face every way, and share with all strands around.
    """
    width = shape[1]
    surfaces = 2 * (int(facets.surface.max(initial=0)) + 1)
    y, x = np.divmod(facets.pixel, width)
    key = ((y + 1) * (width + 2) + x + 1) * surfaces + 2 * facets.surface + side
    flat = facets.flat * ~facets.fibre[:, None]
    smooth = np.where(facets.fibre, 1, np.float32(_SMOOTH))
    rows, columns, weights = [], [], []
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            wanted = key + (dy * (width + 2) + dx) * surfaces
            there = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
            here = np.flatnonzero(key[there] == wanted)
            there = there[here]
            turned = np.square(flat[here] - flat[there]).sum(1)
            step = np.square(depth[here] - depth[there])
            near = smooth[here] ** (abs(dy) + abs(dx)) * np.exp(-turned / (2 * 0.15**2) - step / (2 * 0.01**2))
            rows.append(here)
            columns.append(there)
            weights.append(near)
    matrix = csr_matrix((np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))),
                        (len(key), len(key)), dtype=np.float32)
    return csr_matrix(matrix.multiply(1 / np.asarray(matrix.sum(1))), dtype=np.float32)


def _largest(values: np.ndarray, first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """In each run the place of its largest value, counted from its first."""
    order = np.lexsort((values, np.repeat(np.arange(len(first)), counts)))
    return order[first + counts - 1] - first
