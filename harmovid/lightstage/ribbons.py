"""Ribbons: strands as flat strips that are seen, and the direction that each has at its points."""

import numpy as np
import numpy.typing as npt

from harmovid.lightstage.scene import Material, Surface

Floats = npt.NDArray[np.floating]


def fewer(strands: Floats, points: int) -> Floats:
    """Strands (N, K, 3) with at most `points` points each, closer at the root: a long chord would cut the skull."""
    if strands.shape[1] <= points:
        return strands
    at = np.linspace(0, 1, points) ** 1.6 * (strands.shape[1] - 1)
    low = np.minimum(at.astype(int), strands.shape[1] - 2)
    part = (at - low)[None, :, None]
    return strands[:, low] * (1 - part) + strands[:, low + 1] * part


def ribbons(
    strands: Floats, lock: Floats, width: float, generator: np.random.Generator
) -> tuple[Floats, npt.NDArray[np.int32], Floats]:
    """Strands (N, K, 3) as ribbons: points (N·K·2, 3), faces (F, 3), uv (F, 3, 2).

    Point 2k and 2k + 1 of a strand are its left and right; u is the strand's shade, v runs from tip (0) to root (1).
    Ribbons face the camera, give or take half a radian, and taper.
    """
    count, steps = strands.shape[:2]
    tangent = _unit(np.gradient(strands, axis=1))
    across = _unit(np.cross(tangent, [0.0, 0.0, 1.0]) + 1e-4)
    other = np.cross(tangent, across)
    twist = generator.normal(0, 0.5, (count, 1, 1))
    across = np.cos(twist) * across + np.sin(twist) * other
    taper = np.concatenate([[0.8], np.linspace(1.0, 0.5, steps - 1)]) * width / 2
    across = across * (taper[None, :, None] * generator.uniform(0.7, 1.35, (count, 1, 1)))
    points = np.stack([strands - across, strands + across], 2).reshape(-1, 3)
    base = (np.arange(count)[:, None] * steps + np.arange(steps - 1)) * 2
    base = base.reshape(-1)
    faces = np.concatenate([np.stack([base, base + 1, base + 3], 1), np.stack([base, base + 3, base + 2], 1)])
    shade = np.clip(0.7 * lock + 0.3 * generator.random(count), 0.001, 0.999)
    u = np.repeat(shade, steps * 2)
    v = np.tile(np.repeat(1 - np.linspace(0.001, 0.999, steps), 2), count)
    uv = np.stack([u, v], 1)[faces]
    return points, faces.astype(np.int32), uv


def surface(name: str, points: Floats, faces: npt.NDArray[np.int32], uv: Floats, material: Material) -> Surface:
    """Ribbons that have been moved, (T, N·K·2, 3), as a surface with the direction of its strands.

    The direction at a point is the face's edge from its ring of two to the next, so that it moves with the ribbon.
    """
    points = points.astype(np.float32)
    before, after = neighbours(faces, points.shape[1])
    strand = _unit(points[:, after] - points[:, before])
    return Surface(name, points, faces, uv.astype(np.float32), material, strand, False)


def neighbours(faces: npt.NDArray[np.int32], count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each ribbon point the points before and after it on the same side of its strand."""
    index = np.arange(count)
    half = len(faces) // 2
    ahead = np.zeros(count, bool)
    ahead[faces[:half, 0]] = True  # points that another ring follows
    ahead[faces[:half, 1]] = True
    behind = np.zeros(count, bool)
    behind[faces[:half, 2]] = True
    behind[faces[half:, 2]] = True
    return np.where(behind, index - 2, index), np.where(ahead, index + 2, index)


def _unit(v: Floats) -> Floats:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12)
