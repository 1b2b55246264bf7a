"""Noise in space: smooth random fields that know no seam of any texture."""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import map_coordinates

Floats = npt.NDArray[np.floating]


def value(points: Floats, size: float, generator: np.random.Generator, octaves: int = 1, gain: float = 0.5) -> Floats:
    """Noise in about [−1, 1] at (…, 3) points, its first cells `size` wide (in the points' unit), each octave half.

    Value noise on a lattice of 32³ that repeats (Perlin's lattice noise without gradients), summed as fractal noise.
    """
    shape = points.shape[:-1]
    flat = points.reshape(-1, 3).T.astype(np.float32) / size
    total, weight, power = np.zeros(flat.shape[1], np.float32), 1.0, 0.0
    for _ in range(octaves):
        lattice = generator.uniform(-1, 1, (32, 32, 32)).astype(np.float32)
        shift = generator.uniform(0, 32, (3, 1)).astype(np.float32)
        cell = np.floor(flat + shift)
        part = flat + shift - cell
        part = part * part * (3 - 2 * part)
        total += weight * map_coordinates(lattice, cell + part, order=1, mode="grid-wrap")
        power += weight**2
        flat, weight = flat * 2.03, weight * gain
    return (total / np.sqrt(power) * 1.6).reshape(shape)


def bump(
    points: Floats,
    center: tuple[float, float, float],
    width: float | tuple[float, float, float],
    mirrored: bool = False,
) -> Floats:
    """exp(−½ |(p − c) / w|²) at (…, 3) points; mirrored: about x = 0 too, by |x|."""
    offset = points - np.asarray(center)
    if mirrored:
        offset = np.concatenate([np.abs(points[..., :1]) - center[0], offset[..., 1:]], -1)
    return np.exp(-0.5 * ((offset / width) ** 2).sum(-1))


def ramp(x: Floats, start: float | Floats, end: float | Floats) -> Floats:
    """Smoothstep: 0 at `start`, 1 at `end` (start may be the larger)."""
    t = np.clip((x - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)
