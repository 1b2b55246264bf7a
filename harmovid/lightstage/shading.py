"""How surfaces answer light: diffuse with scatter, gloss, and hair. Pure functions of angles, arrays of any one shape.

Each gives the share of a direction's radiance that is sent to the eye, per steradian, cosine included: f(l, v) · |n·l|.
A diffuse answer is for albedo 1.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray

SCATTER_TINT = (0.4, 0.17, 0.11)
"""How far past the terminator red, green and blue light wrap, of a material's `scatter`: to each other as the mean free
paths in skin of Jensen et al. 2001, "A Practical Model for Subsurface Light Transport", skin1, about 3.7, 1.4 and
0.7 mm, drawn together a little. Skin's 0.3 then is 0.12 for red: 3.7 mm on a curve of 3 cm, between cheek and nose."""

# Tilts of a hair's scales, and widths of its highlights: Marschner et al. 2003, table 1.
_TILT = 0.10
_FORWARD = 5.0  # concentration of the light that goes through, about the forward direction


def diffuse(cosine: Array, wrap: float | Array = 0.0) -> Array:
    """Lambert's law that reaches past the terminator by `wrap`, with its energy kept: ((n·l + w) / (1 + w)²)₊ / π.

    At w = 0 it is (n·l)₊ / π. Over the sphere it integrates to 1 for every w in [0, 1].
    """
    return np.maximum(cosine + wrap, 0) * (1 / (np.pi * (1 + wrap) ** 2))


def gloss(cosine: Array, facing: Array, between: Array, roughness: Array, reflectance: Array,
          spread: float | Array = 0.0) -> Array:
    """Microfacet reflection, GGX with height-correlated Smith masking and Schlick's Fresnel.

    D · G · F / (4 n·v) (Walter et al. 2007; Heitz 2014), α = roughness².

    Args:
        cosine, facing, between: n·l, n·v, l·v.
        roughness, reflectance: perceptual roughness, and F₀.
        spread: half angle, in radians, of the cone that a sample of light stands for. The lobe is widened by what
            half vectors move in it, so that a lobe narrower than the cell is not missed between samples.
    """
    lit = cosine > 0
    cosine = np.maximum(cosine, 1e-4)
    a2 = np.square(roughness) ** 2 + (spread / 2) ** 2
    length = np.sqrt(np.maximum(2 + 2 * between, 1e-8))  # |l + v|
    half = np.minimum((cosine + facing) / length, 1)  # n·h
    d = a2 / (np.pi * np.square(half * half * (a2 - 1) + 1))
    masking = facing * np.sqrt(a2 + (1 - a2) * cosine * cosine) + cosine * np.sqrt(a2 + (1 - a2) * facing * facing)
    grazing = 1 - length / 2
    fresnel = reflectance + np.square(np.square(grazing)) * grazing * ((1 - reflectance) * (reflectance > 0))
    return np.where(lit, d * fresnel * cosine / (2 * masking), 0).astype(np.float32)


def fibre(along_light: Array, along_eye: Array, between: Array, cosine: Array, roughness: Array,
          albedo: Array) -> tuple[Array, Array]:
    """A hair: white highlight, tinted second highlight, light through it, and what scatters many times.

    Marschner et al. 2003, "Light Scattering from Human Hair Fibers", with Gaussians along the fibre (M) and simple
    lobes around it (N); the many times scattered part is Kajiya and Kay's (1989), shaped by the lock's own normal.

    Args:
        along_light, along_eye: t·l, t·v, t the fibre's direction. between: l·v. cosine: n·l of the lock.
        roughness: perceptual roughness, 0.3 is sleek. albedo: (3, ...) colour of a lock seen in even light.

    Returns:
        coloured: (3, ...), of all but the first highlight. white: the first highlight.
    """
    sin_l, sin_v = np.clip(along_light, -1, 1), np.clip(along_eye, -1, 1)
    cos_l, cos_v = np.sqrt(1 - sin_l * sin_l), np.sqrt(1 - sin_v * sin_v)
    half = (np.arcsin(sin_l) + np.arcsin(sin_v)) / 2
    both = sin_l * sin_v
    around = np.clip((between - both) / np.maximum(cos_l * cos_v, 1e-3), -1, 1)  # cos φ
    width = 0.11 + 0.30 * np.square(roughness)
    bowed = cos_l / np.maximum((1 + cos_l * cos_v + both) / 2, 0.1)  # cos θi / cos² θd
    towards = np.sqrt((1 + around) / 2)  # cos φ/2
    white = 0.02 * _bell(half + _TILT, width) * towards * (0.25 * bowed)
    second = _bell(half - 1.5 * _TILT, 2 * width) * (0.25 * towards * bowed)
    through = _bell(half - _TILT / 2, width) * np.exp(-_FORWARD * (1 + around)) * (0.9 * bowed)
    many = diffuse(cosine, 0.35) * (0.25 + 0.4 * cos_l)
    coloured = (many + 0.25 * through) * albedo + 0.05 * second * np.sqrt(albedo)
    return coloured.astype(np.float32), white.astype(np.float32)


def _bell(x: Array, width: Array) -> Array:
    """A Gaussian of area 1."""
    return np.exp(-0.5 * np.square(x / width)) / (width * np.sqrt(2 * np.pi))
