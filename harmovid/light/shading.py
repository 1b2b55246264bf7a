"""Shading by rough geometry: light from a side, rims, falloff and window patterns, for a whole batch at once.

There is no depth here, only a mask and a picture. The mask is inflated like a cushion, and what is bright
on a small scale is taken to stand out (shape from shading at its simplest): enough for a light from
the left to brighten a person's left, not enough to be true. The result is a smooth logarithmic gain of
linear light, centred on 0 over the person, so that exposure stays a matter of the grade.

Directions: x to the right, y down, z towards the camera.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from harmovid.light.grade import luma
from harmovid.light.smooth import blur

_SCALES = (0.015, 0.04, 0.1)
"""Standard deviations of the blurs that inflate the mask, as shares of the height."""

_DARK = 0.02  # added to luminance before a logarithm is taken: below it, a camera sees noise


@dataclass(frozen=True)
class Lights:
    """The lights of each sample: L lamps and what is around. T may be 1, which then holds for all frames.

    Zero `strength`, `slope`, `flatten` and `shade` mean no shading at all.
    """

    direction: Tensor
    """(B, T, L, 3), towards the lamps, of unit length; z < 0 is behind the person."""
    colour: Tensor
    """(B, T, L, 3), the lamps' power in R, G, B, ≥ 0."""
    ambient: Tensor
    """(B, T, 3), light from everywhere, > 0."""
    wrap: Tensor
    """(B, T, L) in [0, 1]: how far a lamp reaches around the body; 0 is a point, 1 a wide soft box."""
    rim: Tensor
    """(B, T, L), ≥ 0: how strongly a lamp lights the silhouette on its side."""
    strength: Tensor
    """(B, T): the logarithm of the lamps' light is multiplied by this."""
    depth: Tensor
    """(B, 1, 3): how high each scale of the mask's inflation rises, in its own standard deviations."""
    relief: Tensor
    """(B, 1): how high the picture's own detail stands out, as a share of the height per unit of luma."""
    slope: Tensor
    """(B, T, 2, 3): change of log gain from the middle to one height right, and down, for R, G, B."""
    flatten: Tensor
    """(B, T): share of the picture's own large light and shadow that is taken away; < 0 deepens it."""
    shade: Tensor
    """(B, T): log gain in the dark of the pattern, ≤ 0."""
    waves: Tensor
    """(B, 1, 2, 2): frequencies (x, y) of the pattern's two waves, in cycles per height."""
    phase: Tensor
    """(B, T, 2): the waves' phases, in cycles; they move the pattern."""
    edge: Tensor
    """(B, 1): the pattern's sharpness; 1 is a wave, 10 a pane with a soft edge."""


def log_gain(lights: Lights, picture: Tensor, alpha: Tensor) -> Tensor:
    """The natural logarithm of the gain of linear light.

    log gain = strength · log E + slope · (x, y) − flatten · (local mean of log Y) + shade · (1 − pattern),

    less its mean luminance part over the person in all frames.

    Args:
        picture: (B, 3, T, H, W), display sRGB in [0, 1].
        alpha: (B, 1, T, H, W) in [0, 1].

    Returns:
        (B, 3, T, H, W), finite, within [−4, 4].
    """
    height, width = picture.shape[-2:]
    grey = luma(picture)
    field = _spread(lights.strength) * _lamps(lights, grey, alpha).log()
    down = torch.linspace(-0.5, 0.5, height, device=alpha.device)
    across = torch.linspace(-0.5, 0.5, width, device=alpha.device) * (width / height)
    right, below = (_spread(lights.slope[:, :, k]) for k in (0, 1))
    field = field + right * across + below * down[:, None]
    field = field - _spread(lights.flatten) * large_light(grey, alpha)
    field = field + _spread(lights.shade) * (1 - pattern(lights, across, down))
    weight = alpha + 1e-4
    centre = (luma(field) * weight).sum((2, 3, 4), keepdim=True) / weight.sum((2, 3, 4), keepdim=True)
    return (field - centre).clamp(-4, 4)


def normals(grey: Tensor, alpha: Tensor, depth: Tensor, relief: Tensor) -> Tensor:
    """Rough unit normals from the inflated mask and the picture's detail.

    The height is Σ_k depth_k σ_k blur(alpha, σ_k) + relief · (blur(Y, 1%) − blur(Y, 5%)) within alpha; the
    normal is (−∂h/∂x, −∂h/∂y, 1), scaled to length 1.

    Args:
        grey: (B, 1, T, H, W), the picture's luma.
        alpha: (B, 1, T, H, W).
        depth, relief: as in `Lights`.

    Returns:
        (B, 3, T, H, W).
    """
    size = alpha.shape[-2]
    inflated = [_spread(depth[..., k]) * (s * size) * blur(alpha, max(s * size, 0.5)) for k, s in enumerate(_SCALES)]
    detail = blur(grey, max(0.01 * size, 0.5)) - blur(grey, 0.05 * size + 0.5)
    surface = sum(inflated, _spread(relief) * size * detail * alpha)
    across, down = _differences(surface)
    normal = torch.cat([-across, -down, torch.ones_like(across)], 1)
    return normal / normal.norm(dim=1, keepdim=True)


def large_light(grey: Tensor, alpha: Tensor) -> Tensor:
    """The person's large light and shadow: the local mean over 6% of the height of log luminance.

    The mean is weighted by alpha; away from the person it fades to the person's own mean.
    Returns (B, 1, T, H, W).
    """
    weight = alpha + 1e-4
    level = (grey.clamp(min=0) ** 2.2 + _DARK).log()
    whole = (weight * level).sum((2, 3, 4), keepdim=True) / weight.sum((2, 3, 4), keepdim=True)
    sigma = 0.06 * alpha.shape[-2]
    near = blur(torch.cat([alpha * (level - whole), alpha], 1), sigma)
    return near[:, :1] / (near[:, 1:] + 0.02) + whole


def pattern(lights: Lights, across: Tensor, down: Tensor) -> Tensor:
    """Light falling through something: two crossed waves with softened edges, in [0, 1], (B, 1, T, H, W).

    across: (W,), down: (H,), places in heights.
    """
    waves = lights.waves[..., None, None] * 2 * math.pi  # (B, 1, 2, 2, 1, 1)
    angle = waves[:, :, :, 0] * across + waves[:, :, :, 1] * down[:, None]
    wave = torch.sin(angle + lights.phase[..., None, None] * 2 * math.pi)  # (B, T, 2, H, W)
    return torch.sigmoid(lights.edge[..., None, None] * (wave[:, :, 0] + 0.6 * wave[:, :, 1]))[:, None]


def _lamps(lights: Lights, grey: Tensor, alpha: Tensor) -> Tensor:
    """Irradiance E of the rough surface, (B, 3, T, H, W), > 0.

    E = ambient + Σ colour · (max(0, (n·l + w)/(1 + w)) + rim · (1 − n_z)² · max(0, m·l)), where m is the
    direction in which the normal leans within the picture.
    """
    normal = normals(grey, alpha, lights.depth, lights.relief)
    lean = normal[:, :2] / (normal[:, :2].norm(dim=1, keepdim=True) + 0.05)
    grazing = (1 - normal[:, 2:]) ** 2
    light: Tensor = _spread(lights.ambient)
    for k in range(lights.direction.shape[2]):
        towards = _spread(lights.direction[:, :, k])
        wrap = _spread(lights.wrap[:, :, k])
        facing = (((normal * towards).sum(1, keepdim=True) + wrap) / (1 + wrap)).clamp(min=0)
        side = grazing * (lean * towards[:, :2]).sum(1, keepdim=True).clamp(min=0)
        power = facing + _spread(lights.rim[:, :, k]) * side
        light = light + _spread(lights.colour[:, :, k]) * power
    return light + _DARK


def _differences(surface: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences in x and y per pixel; one-sided, by half, at the border."""
    wide = F.pad(surface, (1, 1, 1, 1, 0, 0), mode="replicate")
    return ((wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]) / 2, (wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]) / 2)


def _spread(parameter: Tensor) -> Tensor:
    """(B, T) or (B, T, C) to (B, C, T, 1, 1)."""
    return (parameter[:, None] if parameter.dim() == 2 else parameter.movedim(-1, 1))[..., None, None]
