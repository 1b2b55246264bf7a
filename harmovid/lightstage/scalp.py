"""The scalp: where hair grows, and where single strands root."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harmovid.lightstage import noise

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Growth:
    """Where hair may root: the skin at the neutral pose, and the same places on the template."""

    points: Floats  # (V, 3) metres
    faces: npt.NDArray[np.integer]  # (F, 3)
    normals: Floats  # (V, 3)
    places: Floats  # (V, 3) on the template


def hairline(points: Floats, recede: float = 0.0) -> Floats:
    """How densely hair grows on the scalp, in [0, 1], at (…, 3) points of the template; `recede` in [0, 1] clears the
    temples.

    The line's height against the angle about the head's axis (0 before, π behind): forehead, temple, sideburn, over
    the ear, nape.
    """
    x, y, z = np.abs(points[..., 0]), points[..., 1], points[..., 2]
    angle = np.arctan2(x, z - 0.040)
    line = np.interp(
        angle,
        np.radians([0, 15, 26, 36, 46, 58, 70, 80, 88, 96, 112, 122, 140, 180]),
        [0.766, 0.767, 0.765, 0.757, 0.738, 0.713, 0.683, 0.672, 0.700, 0.708, 0.700, 0.664, 0.640, 0.634],
    )
    line = line + recede * np.interp(
        angle, np.radians([0, 14, 28, 45, 60, 75]), [0.012, 0.018, 0.034, 0.030, 0.012, 0.0]
    )
    ear = (np.hypot((y - 0.677) / 0.030, (z - 0.046) / 0.022) < 1) & (x > 0.0695)
    return noise.ramp(y, line - 0.004, line + 0.005) * ~ear


def bald(points: Floats) -> Floats:
    """What is left of the hair of a bald head: a wreath from ear to ear."""
    return hairline(points) * noise.ramp(points[..., 1], 0.740, 0.722) * noise.ramp(points[..., 2], 0.075, 0.06)


def roots(growth: Growth, density: Floats, count: int, generator: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """`count` places (N, 3) drawn by area and `density` (V,), with their normals and their places on the template."""
    corner = growth.faces
    a, b, c = (growth.points[corner[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) * density[corner].mean(1)
    face = generator.choice(len(area), count, p=area / area.sum())
    u, v = generator.random((2, count))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    share = np.stack([1 - u - v, u, v], 1)
    mix = [
        np.einsum("nk,nkc->nc", share, field[corner[face]]) for field in (growth.points, growth.normals, growth.places)
    ]
    return mix[0], mix[1] / np.maximum(np.linalg.norm(mix[1], axis=-1, keepdims=True), 1e-12), mix[2]
