"""Cloth: what garments are made of. A picture shows one metre by one metre of it."""

import cv2
import numpy as np
import numpy.typing as npt

from harmovid.lightstage import noise
from harmovid.lightstage.scene import Material

Floats = npt.NDArray[np.floating]
Colour = tuple[float, float, float]

# Scene-linear reflectance of dyed cloth; white cotton is about 0.75, black 0.02.
DYES: dict[str, Colour] = {
    "white": (0.72, 0.71, 0.69),
    "cream": (0.62, 0.55, 0.43),
    "light grey": (0.38, 0.38, 0.385),
    "grey": (0.17, 0.17, 0.175),
    "charcoal": (0.045, 0.046, 0.05),
    "black": (0.020, 0.020, 0.021),
    "navy": (0.022, 0.030, 0.072),
    "blue": (0.05, 0.11, 0.30),
    "sky": (0.30, 0.44, 0.62),
    "teal": (0.03, 0.17, 0.19),
    "green": (0.05, 0.15, 0.065),
    "olive": (0.11, 0.105, 0.045),
    "mustard": (0.45, 0.27, 0.05),
    "orange": (0.50, 0.16, 0.04),
    "red": (0.34, 0.035, 0.035),
    "burgundy": (0.11, 0.018, 0.028),
    "pink": (0.56, 0.26, 0.30),
    "lilac": (0.34, 0.26, 0.46),
    "beige": (0.42, 0.33, 0.22),
    "brown": (0.12, 0.065, 0.035),
    "denim": (0.055, 0.085, 0.16),
}


def _height_to_normals(height: Floats, metre: int) -> npt.NDArray[np.float32]:
    """Tangent-space normals of a height field in metres, `metre` pixels to the metre; rows run down, v up."""
    slope_u = (np.roll(height, -1, 1) - np.roll(height, 1, 1)) / 2 * metre
    slope_v = -(np.roll(height, -1, 0) - np.roll(height, 1, 0)) / 2 * metre
    normal = np.stack([np.clip(-slope_u, -0.8, 0.8), np.clip(-slope_v, -0.8, 0.8), np.ones_like(height)], -1)
    return (normal / np.linalg.norm(normal, axis=-1, keepdims=True)).astype(np.float32)


def _wide(points: Floats, size: float, generator: np.random.Generator, octaves: int) -> Floats:
    """Noise of large cells, worked out on every fourth pixel: the rest follows smoothly."""
    coarse = noise.value(points[::4, ::4], size, generator, octaves)
    return cv2.resize(coarse, points.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def material(weave: str, first: Colour, second: Colour, generator: np.random.Generator, size: int = 768) -> Material:
    """A cloth. `weave`: plain, heather, stripes, pinstripes, checks, knit, rib, twill or dots; `second` is the
    pattern's colour.
    """
    y, x = np.meshgrid((np.arange(size) + 0.5) / size, (np.arange(size) + 0.5) / size, indexing="ij")
    flat = np.stack([x, y, 0 * x], -1)
    mix, height = np.zeros((size, size)), np.zeros((size, size))
    roughness = 0.82
    if weave == "stripes":
        pitch = generator.choice([0.022, 0.035, 0.06])
        mix = (np.mod(y, pitch) / pitch < generator.choice([0.35, 0.5])).astype(float)
    elif weave == "pinstripes":
        pitch = generator.choice([0.008, 0.014])
        mix = 0.8 * (np.mod(x, pitch) / pitch < 0.16)
    elif weave == "checks":
        pitch = generator.choice([0.035, 0.06, 0.085])
        bars = [
            (np.mod(axis + 0.01, pitch) / pitch < 0.42) * 0.5
            + (np.abs(np.mod(axis, pitch) / pitch - 0.71) < 0.035) * 0.35
            for axis in (x, y)
        ]
        mix = np.clip(bars[0] + bars[1], 0, 1)
    elif weave == "dots":
        pitch = generator.choice([0.02, 0.03])
        row = np.floor(y / pitch)
        mix = (
            np.hypot(np.mod(x + 0.5 * pitch * (row % 2), pitch) - pitch / 2, np.mod(y, pitch) - pitch / 2)
            < 0.24 * pitch
        )
    elif weave == "heather":
        mix = np.clip(0.5 + 0.5 * noise.value(flat * [1, 0.3, 1], 0.0016, generator), 0, 1) * 0.17
    if weave in ("knit", "rib"):
        pitch = 0.0085 if weave == "knit" else 0.0105
        column = np.mod(x, pitch) / pitch
        stitch = np.mod(y + 0.3 * pitch * np.abs(column - 0.5), 0.7 * pitch) / (0.7 * pitch)
        height = 0.0011 * np.abs(np.sin(np.pi * column)) * (0.75 + 0.25 * np.sin(2 * np.pi * stitch))
        roughness = 0.95
        shade = 0.72 + 0.28 * np.abs(np.sin(np.pi * column))
    elif weave == "twill":
        height = 0.00035 * np.sin(2 * np.pi * (x + y) / 0.0042)
        shade = 0.93 + 0.07 * np.sin(2 * np.pi * (x + y) / 0.0042)
    else:
        height = 0.00012 * np.sin(2 * np.pi * x / 0.0025) * np.sin(2 * np.pi * y / 0.0025)
        shade = np.ones_like(x)
    height = height + 0.0012 * _wide(flat * [1, 0.6, 1], 0.035, generator, 3)
    albedo = np.array(first) + (np.array(second) - np.array(first)) * np.asarray(mix, float)[..., None]
    grain = 1 + 0.05 * generator.standard_normal((size, size)).clip(-2, 2) + 0.05 * _wide(flat, 0.08, generator, 2)
    albedo = albedo * (shade * grain)[..., None]
    return Material(
        np.clip(albedo, 0.01, 0.9).astype(np.float32),
        np.full((size, size), roughness, np.float32),
        0.04,
        0.0,
        False,
        _height_to_normals(height, size),
    )


def smooth(albedo: Colour, roughness: float, reflectance: float = 0.04) -> Material:
    """One colour, one gloss: plastic, horn, metal's dull cousin."""
    return Material(np.full((2, 2, 3), albedo, np.float32), np.full((2, 2), roughness, np.float32), reflectance)
