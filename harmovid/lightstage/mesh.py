"""Plain operations on meshes: triangles, normals, one step of Catmull–Clark, a chart of positions over uv."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.ndimage import distance_transform_edt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]


def triangles(quads: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Quads (F, 4, …) to triangles (2F, 3, …), cut along the same diagonal."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def normals(points: Floats, faces: Ints) -> Floats:
    """(…, V, 3) unit normals of vertices, weighted by area; (…, V, 3) points, (F, 3) or (F, 4) faces."""
    if faces.shape[1] == 4:
        faces = triangles(faces)
    a, b, c = (points[..., faces[:, corner], :] for corner in range(3))
    flat = np.cross(b - a, c - a)
    count = points.shape[-2]
    spread = sparse.csr_matrix(
        (np.ones(faces.size), (faces.T.ravel(), np.tile(np.arange(len(faces)), 3))), (count, len(faces))
    )
    summed = np.stack([spread @ frame for frame in flat.reshape(-1, len(faces), 3)]).reshape(points.shape)
    return summed / np.maximum(np.linalg.norm(summed, axis=-1, keepdims=True), 1e-20)


@dataclass(frozen=True)
class Refined:
    """A finer mesh and the matrix that makes its vertices from the coarse ones: fine = matrix @ coarse."""

    matrix: sparse.csr_matrix  # (V', V)
    quads: npt.NDArray[np.int32]  # (4F, 4)
    uv: Floats  # (4F, 4, 2)


def refine(quads: Ints, uv: Floats, count: int) -> Refined:
    """One step of Catmull–Clark (1978) on quads (F, 4) over `count` vertices; open edges become cubic B-splines."""
    face_count = len(quads)
    edges = np.sort(np.stack([quads, np.roll(quads, -1, 1)], -1).reshape(-1, 2), 1)
    edge, edge_of, uses = np.unique(edges, axis=0, return_inverse=True, return_counts=True)
    edge_of = edge_of.reshape(-1, 4)
    rows = np.arange(face_count)
    face_points = sparse.csr_matrix(
        (np.full(face_count * 4, 0.25), (np.repeat(rows, 4), quads.ravel())), (face_count, count)
    )
    middles = sparse.csr_matrix(
        (np.full(len(edge) * 2, 0.5), (np.repeat(np.arange(len(edge)), 2), edge.ravel())), (len(edge), count)
    )
    around = sparse.csr_matrix(
        (np.ones(face_count * 4), (edge_of.ravel(), np.repeat(rows, 4))), (len(edge), face_count)
    )
    inner = sparse.diags((uses == 2).astype(float))
    border = sparse.diags((uses != 2).astype(float))
    edge_points = inner @ (0.5 * middles + 0.25 * around @ face_points) + border @ middles
    # Old vertices: (Q + 2R + (n − 3)S) / n inside; (1, 6, 1) / 8 along an open edge.
    at = sparse.csr_matrix(
        (np.ones(len(edge) * 2), (edge.ravel(), np.repeat(np.arange(len(edge)), 2))), (count, len(edge))
    )
    valence = np.maximum(np.asarray(at.sum(1)).ravel(), 1)
    faces_at = sparse.csr_matrix((np.ones(face_count * 4), (quads.ravel(), np.repeat(rows, 4))), (count, face_count))
    touching = np.maximum(np.asarray(faces_at.sum(1)).ravel(), 1)
    same = sparse.identity(count)
    smooth = (
        sparse.diags(1 / (valence * touching)) @ faces_at @ face_points
        + sparse.diags(2 / valence**2) @ at @ middles
        + sparse.diags((valence - 3) / valence) @ same
    )
    open_ends = at @ border
    opened = np.asarray(open_ends.sum(1)).ravel()
    curve = sparse.diags(1 / np.maximum(2 * opened, 1)) @ open_ends @ middles + 0.5 * same
    on_border = opened > 0
    old_points = sparse.diags((~on_border).astype(float)) @ smooth + sparse.diags(on_border.astype(float)) @ curve
    matrix = sparse.vstack([old_points, edge_points, face_points]).tocsr()
    center = count + len(edge) + rows
    uv_middle, uv_center = (uv + np.roll(uv, -1, 1)) / 2, uv.mean(1)
    fine, fine_uv = [], []
    for corner in range(4):
        before = (corner - 1) % 4
        fine.append(np.stack([quads[:, corner], count + edge_of[:, corner], center, count + edge_of[:, before]], 1))
        fine_uv.append(np.stack([uv[:, corner], uv_middle[:, corner], uv_center, uv_middle[:, before]], 1))
    return Refined(matrix, np.concatenate(fine).astype(np.int32), np.concatenate(fine_uv))


def compact(faces: Ints) -> tuple[Ints, npt.NDArray[np.int32]]:
    """The vertices that faces use, sorted, and the faces renumbered to them."""
    used, inverse = np.unique(faces, return_inverse=True)
    return used, inverse.reshape(faces.shape).astype(np.int32)


@dataclass(frozen=True)
class Chart:
    """Where on the body each pixel of a texture lies."""

    window: tuple[float, float, float, float]  # left, bottom, right, top in uv
    positions: Floats  # (H, W, 3), filled past the seams
    covered: npt.NDArray[np.bool_]  # (H, W) pixels inside a face

    def local(self, uv: Floats) -> Floats:
        """uv of the whole atlas to uv of this chart."""
        left, bottom, right, top = self.window
        return (uv - [left, bottom]) / [right - left, top - bottom]


def chart(
    points: Floats, faces: Ints, uv: Floats, window: tuple[float, float, float, float], size: tuple[int, int]
) -> Chart:
    """Positions of triangles (F, 3) with uv (F, 3, 2) over a picture of `size` (height, width) that shows `window`."""
    height, width = size
    left, bottom, right, top = window
    xy = (uv - [left, bottom]) / [right - left, top - bottom]
    xy = np.stack([xy[..., 0] * width - 0.5, (1 - xy[..., 1]) * height - 0.5], -1)
    positions, covered = np.zeros((height, width, 3)), np.zeros((height, width), bool)
    low, high = np.floor(xy.min(1)).astype(int), np.ceil(xy.max(1)).astype(int)
    extent = (high - low).max(1) + 1
    a, b, c = xy[:, 0], xy[:, 1], xy[:, 2]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    for reach in (4, 8, 16, 32, 64, 128, 256):  # faces of like size together, each over a square of pixels
        chosen = np.flatnonzero((extent <= reach) & (extent > reach // 2 * (reach > 4)) & (np.abs(area) > 1e-9))
        for part in np.array_split(chosen, max(1, len(chosen) * reach**2 // 2_000_000)):
            grid = np.stack(np.meshgrid(np.arange(reach), np.arange(reach)), -1).reshape(-1, 2)
            pixel = low[part, None] + grid
            first = (
                (b[part, None, 0] - pixel[..., 0]) * (c[part, None, 1] - pixel[..., 1])
                - (b[part, None, 1] - pixel[..., 1]) * (c[part, None, 0] - pixel[..., 0])
            ) / area[part, None]
            second = (
                (c[part, None, 0] - pixel[..., 0]) * (a[part, None, 1] - pixel[..., 1])
                - (c[part, None, 1] - pixel[..., 1]) * (a[part, None, 0] - pixel[..., 0])
            ) / area[part, None]
            share = np.stack([first, second, 1 - first - second], -1)
            inside = (share > -1e-6).all(-1) & (pixel >= 0).all(-1) & (pixel < [width, height]).all(-1)
            face, square = np.nonzero(inside)
            where = pixel[face, square]
            positions[where[:, 1], where[:, 0]] = np.einsum(
                "nk,nkc->nc", share[face, square], points[faces[part[face]]]
            )
            covered[where[:, 1], where[:, 0]] = True
    nearest = distance_transform_edt(~covered, return_distances=False, return_indices=True)
    return Chart(window, positions[nearest[0], nearest[1]], covered)
