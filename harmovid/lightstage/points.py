"""Points on surfaces, with all that light needs to know of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from harmovid.lightstage.scene import Surface

_PART = 8000  # points that are looked at at a time, so that they stay in the processor's cache
_FOLDED = 0.85  # length of the mean of unit normals, below which they are of two sides of a fold


@dataclass(frozen=True)
class Points:
    """Some points. All (P, ...); fields as in `scene.Material`."""

    pixel: np.ndarray
    position: np.ndarray
    flat: np.ndarray  # unit normal of the face, towards the eye
    normal: np.ndarray  # unit, smooth and with relief
    eye: np.ndarray  # unit vector to the camera
    albedo: np.ndarray
    roughness: np.ndarray
    reflectance: np.ndarray
    scatter: np.ndarray
    strand: np.ndarray
    fibre: np.ndarray
    surface: np.ndarray

    def __getitem__(self, chosen: Any) -> Points:
        return Points(**{name: value[chosen] for name, value in vars(self).items()})


class Meshes:
    """The surfaces of one frame."""

    def __init__(self, surfaces: tuple[Surface, ...], frame: int) -> None:
        self.surfaces = surfaces
        self.vertices = [np.ascontiguousarray(s.vertices[frame], np.float32) for s in surfaces]
        self.faces = [np.ascontiguousarray(s.faces, np.int32) for s in surfaces]
        self.strands = [None if s.strand is None else s.strand[frame] for s in surfaces]
        self.normals = [vertex_normals(v, f) for v, f in zip(self.vertices, self.faces, strict=True)]

    def points(self, surface: np.ndarray, face: np.ndarray, uv: np.ndarray, eye: np.ndarray | None) -> Points:
        """All that is known of points on faces; `uv` are the weights of each face's second and third corner."""
        count = len(face)
        fields = {name: np.zeros((count, size) if size > 1 else count, np.float32) for name, size in (
            ("position", 3), ("flat", 3), ("normal", 3), ("albedo", 3), ("roughness", 1), ("reflectance", 1),
            ("scatter", 1), ("strand", 3))}
        fibre = np.zeros(count, bool)
        mine = [np.flatnonzero(surface == n) for n in range(len(self.surfaces))]
        for n, some in ((n, m[k : k + _PART]) for n, m in enumerate(mine) for k in range(0, len(m), _PART)):
            made, material = self.surfaces[n], self.surfaces[n].material
            u, v = uv[some].astype(np.float32).T[..., None]
            weights = 1 - u - v, u, v  # (p, 1) each
            corners = self.faces[n][face[some]]
            triangles = self.vertices[n][corners]  # (p, 3, 3)
            position = _mixed(triangles, weights)
            flat = unit(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]))
            bent = self.normals[n][corners]
            normal = unit(_mixed(bent, weights))
            seen = eye[some] if eye is not None else flat
            away = _dot(flat, seen) < 0
            flat, normal, bent = np.where(away, -flat, flat), np.where(away, -normal, normal), np.where(
                away[..., None], -bent, bent)
            texture = made.uv[face[some]]  # (p, 3, 2)
            where = _mixed(texture, weights)
            if material.relief is not None:
                normal = _embossed(normal, texel(material.relief, where), triangles, texture)
            fields["normal"][some] = _towards(normal, seen)
            # A coarse mesh would shade itself in facets near the terminator: rays start from the smooth surface that
            # it stands for (Hanika 2021, "Hacking the Shadow Terminator").
            below = np.minimum(np.einsum("pkc,pkc->pk", position[:, None] - triangles, bent), 0)
            lift = _mixed(-below[..., None] * bent, weights)
            fields["position"][some] = position + lift * (1.0 if made.closed else 0.0)
            fields["flat"][some] = flat
            fields["albedo"][some] = texel(material.albedo, where)
            fields["roughness"][some] = texel(material.roughness[..., None], where)[:, 0]
            fields["reflectance"][some] = material.reflectance
            fields["scatter"][some] = material.scatter
            fibre[some] = material.fibre
            strands = self.strands[n]
            if material.fibre and strands is not None:
                fields["strand"][some] = unit(_mixed(strands[corners], weights))
        eyes = fields["flat"] if eye is None else eye
        return Points(pixel=np.arange(count), eye=eyes, fibre=fibre, surface=surface.astype(np.int16), **fields)

    def spread(self, count: int, random: np.random.Generator, among: tuple[int, ...] | None = None) -> Points:
        """Points spread evenly over all surfaces, or some `among` them by number, seen from straight above."""
        areas = [np.linalg.norm(_cross(v, f), axis=1) * (among is None or n in among)
                 for n, (v, f) in enumerate(zip(self.vertices, self.faces, strict=True))]
        surface = np.repeat(np.arange(len(areas)), [len(a) for a in areas])
        face = np.concatenate([np.arange(len(a)) for a in areas])
        area = np.concatenate(areas)
        chosen = np.searchsorted(area.cumsum(), (np.arange(count) + random.random(count)) / count * area.sum())
        chosen = np.minimum(chosen, len(area) - 1)
        u, v = random.random((2, count), np.float32)
        u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
        return self.points(surface[chosen], face[chosen], np.stack([u, v], 1), None)


def runs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each run of equal values begins, and how long it is."""
    begins = np.flatnonzero(np.diff(values, prepend=values[0] - 1)) if len(values) else np.zeros(0, int)
    return begins, np.diff(begins, append=len(values))


def sums(values: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Sums over runs of (R, C) values, (P, C) float32."""
    if not len(begins):
        return np.zeros((0, values.shape[1]), np.float32)
    return np.add.reduceat(values, begins, 0, dtype=np.float32)


@dataclass(frozen=True)
class Members:
    """Which points each facet stands for: order[begins : begins + counts].

    side: (F,) 0 or 1; where a pixel sees a fold of a surface, each side of it is a facet.
    """

    order: np.ndarray
    begins: np.ndarray
    counts: np.ndarray
    side: np.ndarray

    def chosen(self, share: float) -> np.ndarray:
        """Of each facet the point that lies at `share` in [0, 1) of its points."""
        return self.order[self.begins + (share * self.counts).astype(int)]


def averaged(points: Points) -> tuple[Points, Members]:
    """Facets: what each pixel sees of each surface, as one point, the mean of all its points there; in a fold, two.

    Args:
        points: in the order of pixels.

    Returns:
        facets (F, ...), in the order of pixels, then of surfaces, then of sides, and what they stand for.
    """
    surfaces = int(points.surface.max(initial=0)) + 1
    key = points.pixel * surfaces + points.surface
    key = 2 * key + _beyond_fold(points, key)
    order = np.argsort(key, kind="stable")
    begins, counts = runs(key[order])
    means = {name: value[order[begins]] for name, value in vars(points).items()}
    for name in ("position", "flat", "normal", "eye", "albedo", "strand"):
        means[name] = sums(getattr(points, name)[order], begins) / counts[:, None].astype(np.float32)
    means["roughness"] = sums(points.roughness[order, None], begins)[:, 0] / counts.astype(np.float32)
    for name in ("flat", "normal", "eye", "strand"):
        means[name] = unit(means[name])
    return Points(**means), Members(order, begins, counts, key[order[begins]] % 2)


def _beyond_fold(points: Points, key: np.ndarray) -> np.ndarray:
    """(P,): the other side of a fold, as between lips, seen from the first point of the same key.

    The mean of both sides would face where neither does, to light that neither sees.
    """
    order = np.argsort(key, kind="stable")
    begins, counts = runs(key[order])
    which = np.empty(len(key), int)
    which[order] = np.repeat(np.arange(len(begins)), counts)
    mean = sums(points.flat[order], begins) / counts[:, None]
    axis = points.flat[order[begins]] - mean
    folded = np.square(mean).sum(1) < _FOLDED**2
    return folded[which] & ~points.fibre & (((points.flat - mean[which]) * axis[which]).sum(1) < 0)


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3), means of the faces' normals by their areas."""
    cross = _cross(vertices, faces)
    total = np.stack([np.bincount(faces.ravel(), np.repeat(cross[:, k], 3), len(vertices)) for k in range(3)], 1)
    return unit(total.astype(np.float32))


def _cross(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return np.cross(b - a, c - a)


def unit(vectors: np.ndarray) -> np.ndarray:
    length = np.sqrt(np.einsum("...c,...c->...", vectors, vectors))  # numpy's own sums over so short an axis are slow
    return np.asarray(vectors / np.maximum(length, 1e-12)[..., None], np.float32)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(P, 1) of (P, 3) vectors."""
    return np.asarray(np.einsum("pc,pc->p", a, b)[:, None])


def _mixed(corners: np.ndarray, weights: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """What lies between three corners: (P, 3, C) by weights, (P, 1) each, to (P, C)."""
    return np.asarray(corners[:, 0] * weights[0] + corners[:, 1] * weights[1] + corners[:, 2] * weights[2])


def _towards(normal: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """Normals that turn away from the eye are bent back to its horizon: a visible point is never seen from behind."""
    short = np.maximum(0.02 - _dot(normal, eye), 0)
    return unit(normal + short * eye)


def across(normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors across each normal."""
    other = np.where(np.abs(normal[:, :1]) > 0.7, np.array([[0, 1, 0]], np.float32), np.array([[1, 0, 0]], np.float32))
    x = unit(np.cross(other, normal))
    return x, np.cross(normal, x)


def texel(picture: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """(P, C) float32, linear between pixels, held at the borders; row 0 is v = 1."""
    height, width = picture.shape[:2]
    x = np.clip(uv[:, 0] * width - 0.5, 0, width - 1)
    y = np.clip((1 - uv[:, 1]) * height - 0.5, 0, height - 1)
    x0, y0 = np.minimum(x.astype(int), max(width - 2, 0)), np.minimum(y.astype(int), max(height - 2, 0))
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    a, b = (x - x0)[:, None].astype(np.float32), (y - y0)[:, None].astype(np.float32)
    return ((picture[y0, x0] * (1 - a) + picture[y0, x1] * a) * (1 - b)
            + (picture[y1, x0] * (1 - a) + picture[y1, x1] * a) * b)


def _embossed(normal: np.ndarray, relief: np.ndarray, triangles: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """Normals bent by a tangent-space relief (x along u, y along v, z along the normal)."""
    e1, e2 = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    (u1, v1), (u2, v2) = (texture[:, 1] - texture[:, 0]).T, (texture[:, 2] - texture[:, 0]).T
    turned = np.sign(u1 * v2 - u2 * v1)[:, None]
    tangent = (e1 * v2[:, None] - e2 * v1[:, None]) * turned
    tangent = unit(tangent - normal * _dot(tangent, normal))
    across = np.cross(normal, tangent) * np.where(turned == 0, 1, turned)
    return unit(relief[:, :1] * tangent + relief[:, 1:2] * across + np.maximum(relief[:, 2:], 0.1) * normal)
