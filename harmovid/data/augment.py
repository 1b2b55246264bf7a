"""Augmentation: another light on the person, another camera for the scene, another hand at the mask.

Everything works on a whole batch on the generator's device and never waits for the device: random
parameters are tensors with one row per sample, and a choice is a `torch.where`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from harmovid.light import grade as grading
from harmovid.light.looks import draw_grade, draw_lights, draw_table, draw_worn
from harmovid.light.shading import log_gain
from harmovid.light.smooth import blur, noise, path

_TABLE = 13  # nodes per axis of the baked grades
_FAR = 1e6  # a squared distance beyond all others


@dataclass(frozen=True)
class DegradeConfig:
    """How often and how much `degrade_light` changes the light."""

    untouched: float = 0.12
    """Share of samples that stay bit for bit as they are."""
    shares: tuple[float, float, float] = (0.28, 0.35, 0.25)
    """Shares of mild, medium and strong samples; the four shares sum to 1."""
    strengths: tuple[float, float, float, float] = (0.1, 0.5, 1.0, 1.4)
    """Bounds of the strength: mild lies between the first two, and so on."""
    moving: float = 0.4
    """Share of samples whose light changes slowly in time."""
    graded: float = 0.85
    """Share of the others with a grade."""
    shaded: float = 0.8
    """Share of the others with shading; those without a grade always have it."""
    look: float = 0.5
    """Share of grades that carry a well-known look."""
    table: float = 0.35
    """Share of grades with a random smooth colour table."""
    tables: str = ""
    """A folder of colourists' tables, `.cube` files (`benchmarks/fetch_looks.py`); none by default."""
    worn: float = 0.5
    """Share of grades that are such a table and little else, where there is a folder of them."""
    darkest: float = 0.05
    """Mean luminance of the person that exposure does not go below, unless it starts there."""
    brightest: float = 0.6
    """Mean luminance of the person that exposure does not go above, unless it starts there."""


@torch.no_grad()
def degrade_light(video: Tensor, alpha: Tensor, config: DegradeConfig, generator: torch.Generator) -> Tensor:
    """The picture as if filmed under another light and graded by another hand.

    Per sample a random subset of: lamps from a side, rims, falloff, window patterns, exposure, white balance, tone
    curves, saturation, colour mixing, split toning, random colour tables; at one random strength. The gain
    of light is applied in linear light, then the grade in display values. Of `config.tables` some wear a
    colourist's table in the place of most of that.

    Args:
        video: (B, 3, T, H, W) float32, display sRGB in [0, 1].
        alpha: (B, 1, T, H, W) in [0, 1], the person.
        generator: on the device of `video`.

    Returns:
        (B, 3, T, H, W) float32 in [0, 1]; untouched samples equal `video` bit for bit.
    """
    count, frames = video.shape[0], video.shape[2]
    strength = _strengths(count, config, generator)
    chance = torch.rand(3, count, generator=generator, device=generator.device)
    wander = torch.sigmoid(1.5 * path(count, frames, generator)) * (chance[0] < config.moving)[:, None]
    graded = chance[1] < config.graded
    shaded = (chance[2] < config.shaded) | ~graded
    lights = draw_lights(strength * shaded, wander, generator)
    drawn, worn = strength * graded, None
    if config.tables:
        worn, drawn = draw_worn(drawn, _TABLE, generator, config.tables, config.worn)
    grade = draw_grade(drawn, wander, generator, config.look)
    displacement = draw_table(drawn, _TABLE, generator, config.table)
    displacement = displacement if worn is None else displacement + worn
    with torch.autocast(video.device.type, enabled=False):
        # The gain is smooth: half the size is enough for it, and costs a quarter.
        half = (1, 2, 2) if min(video.shape[-2:]) >= 64 else 1
        small, cover = F.avg_pool3d(video, half, ceil_mode=True), F.avg_pool3d(alpha, half, ceil_mode=True)
        light = grading.light_gain(grade)
        light = light + _held(light, small, cover, config)
        gain = torch.exp(log_gain(lights, small, cover) + light)
        gain = F.interpolate(gain, video.shape[2:], mode="trilinear", align_corners=False)
        lit = grading.linear_to_srgb(grading.srgb_to_linear(video) * gain)
        lit = grading.shoulder(lit, grade.shoulder)
        lit = grading.apply_table(lit, grading.bake(grade, _TABLE, displacement))
    return torch.where((strength > 0)[:, None, None, None, None], lit.clamp(0, 1), video)


@torch.no_grad()
def grade_scene(pictures: Sequence[Tensor], generator: torch.Generator, strength: float = 0.3,
                untouched: float = 0.2, drifting: float = 0.1) -> list[Tensor]:
    """One random grade per sample for all its pictures: another camera, another day.

    The grade is constant in time, but for a rare slow drift of exposure, which every picture of the
    sample shares: its first frames together, and its last.

    Args:
        pictures: tensors (B, 3, T_i, H_i, W_i), display sRGB in [0, 1], such as target, plate and overview.
        generator: on their device.
        strength: the strongest grade, as in `draw_grade`.
        untouched: share of samples that stay bit for bit as they are.
        drifting: share of samples with a drift, of up to about half a stop.

    Returns:
        A list of the same shapes, in [0, 1].
    """
    count, device = len(pictures[0]), generator.device
    chance = torch.rand(3, count, generator=generator, device=device)
    dose = strength * chance[0] * (chance[1] >= untouched)
    still = torch.zeros(count, 1, device=device)
    grade = draw_grade(dose, still, generator, look=0.1)
    table = grading.bake(grade, _TABLE, draw_table(dose, _TABLE, generator, often=0.5))
    drift = 0.2 * (chance[2] < drifting) * (dose > 0) * torch.randn(count, generator=generator, device=device)
    graded = []
    for picture in pictures:
        along = torch.linspace(-1, 1, picture.shape[2], device=device) if picture.shape[2] > 1 else still[0]
        light = grading.light_gain(grade) + (drift[:, None] * along)[:, None, :, None, None]
        lit = grading.linear_to_srgb(grading.srgb_to_linear(picture) * torch.exp(light))
        lit = grading.apply_table(grading.shoulder(lit, grade.shoulder), table)
        graded.append(torch.where((dose > 0)[:, None, None, None, None], lit.clamp(0, 1), picture))
    return graded


def binary(mask: Tensor) -> Tensor:
    """1 where the mask is at least 0.5, else 0; same shape and type."""
    return (mask >= 0.5).to(mask.dtype)


def pseudo_alpha(mask: Tensor, width: Tensor | float, widest: float = 8.0) -> Tensor:
    """A smooth edge for a hard mask: `composite.matte.pseudo_alpha` for a whole batch.

    With d the signed distance in pixels to the mask's boundary, alpha = smoothstep(d / width + 1/2). The
    frame's border is no boundary.

    Args:
        mask: (B, 1, T, H, W) in [0, 1], taken as binary at 0.5.
        width: of the edge in pixels, ≥ 0: one, or one per sample, (B,); 0 gives `binary(mask)`.
        widest: a tensor of widths is held to this; the work grows with it.

    Returns:
        (B, 1, T, H, W) in [0, 1].
    """
    inside = mask >= 0.5
    if not isinstance(width, Tensor):
        widest, width = width, mask.new_full((1,), width)
    wide = width.clamp(max=widest).clamp(min=1e-6).reshape(-1, 1, 1, 1, 1)
    reach = math.ceil(widest / 2 + 0.5)
    # Squared distances to the nearest pixel outside, and to the nearest inside: along rows, then along columns.
    seeds = torch.cat([inside, ~inside], 1).to(mask.dtype) * _FAR
    squared = _nearest(_nearest(seeds, reach, 4), reach, 3)
    distance = torch.where(inside, 1, -1) * (squared.amax(1, keepdim=True).sqrt() - 0.5)
    u = (distance / wide + 0.5).clamp(0, 1)
    return u * u * (3 - 2 * u)


@torch.no_grad()
def disturb_mask(mask: Tensor, generator: torch.Generator, untouched: float = 0.5) -> Tensor:
    """The mask as a worse segmenter would have made it.

    Per sample a random subset of: grown or shrunk by up to 3% of the height, an edge that wobbles in place and
    time, an edge that jumps from frame to frame, blocks, holes.

    Args:
        mask: (B, 1, T, H, W) in [0, 1].
        generator: on its device.
        untouched: share of samples that stay bit for bit as they are.

    Returns:
        (B, 1, T, H, W); disturbed samples hold 0 and 1 only.
    """
    count, _, frames, height, width = mask.shape
    device = generator.device

    def share(often: float, least: float, most: float) -> Tensor:
        """(B, 1, 1, 1, 1): between `least` and `most`, or 0."""
        draw = torch.rand(2, count, 1, 1, 1, 1, generator=generator, device=device)
        return (draw[0] < often) * (least + (most - least) * draw[1])

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, device=device).clamp(-2, 2)

    # Offset of the edge outwards, in heights.
    grown = share(0.7, 0.0, 0.012) * normal(count, 1, 1, 1, 1)
    grown = grown + share(0.5, 0.0, 0.006) * noise((count, 1), (frames, height, width), (4 + frames // 4, 12, 12),
                                                   generator)
    grown = grown + share(0.15, 0.0, 0.004) * normal(count, 1, frames, 1, 1)
    grown = grown.clamp(-0.03, 0.03)
    # A straight edge blurred with deviation σ has the value Φ(−d/σ) at the distance d outside it.
    sigma = 0.003 + grown.abs().amax((1, 2, 3, 4)) / 2
    level = torch.special.ndtr(-grown / sigma[:, None, None, None, None])
    worse = blur(binary(mask), sigma * height) > level
    hollow = noise((count, 1), (frames, height, width), (4 + frames // 8, 10, 10), generator)
    worse = worse & ((hollow < 1.9) | (share(0.12, 1, 1) == 0))
    worse = _blocks(worse, (share(0.15, 0.012, 0.035) * height).clamp(min=1).flatten())
    kept = torch.rand(count, generator=generator, device=device) < untouched
    return torch.where(kept[:, None, None, None, None], mask, worse.to(mask.dtype))


def _strengths(count: int, config: DegradeConfig, generator: torch.Generator) -> Tensor:
    """(B,): 0 for untouched samples, else drawn evenly within mild, medium or strong."""
    kind, place = torch.rand(2, count, generator=generator, device=generator.device)
    strength, start = torch.zeros_like(kind), config.untouched
    for k, part in enumerate(config.shares):
        low, high = config.strengths[k:k + 2]
        strength = torch.where(kind >= start, low + (high - low) * place, strength)
        start += part
    return strength


def _held(light: Tensor, video: Tensor, alpha: Tensor, config: DegradeConfig) -> Tensor:
    """What brings log exposure back where it would drown the person in black or white, (B, 1, 1, 1, 1)."""
    weight = alpha + 1e-4
    bright = grading.luma(grading.srgb_to_linear(video))
    level = ((bright + 1e-3) * weight).sum((1, 2, 3, 4), keepdim=True).div(weight.sum((1, 2, 3, 4), keepdim=True)).log()
    goal = level + grading.luma(light).mean(2, keepdim=True)
    low, high = (torch.full_like(level, math.log(bound)) for bound in (config.darkest, config.brightest))
    return goal.clamp(torch.minimum(low, level), torch.maximum(high, level)) - goal


def _nearest(squared: Tensor, reach: int, axis: int) -> Tensor:
    """min over k of squared[i + k] + k², |k| ≤ reach: one axis of a squared distance transform."""
    size = squared.shape[axis]
    sides = (reach, reach) if axis == 4 else (0, 0, reach, reach)
    padded = F.pad(squared, sides, value=_FAR)
    result = squared
    for k in range(-reach, reach + 1):
        result = torch.minimum(result, padded.narrow(axis, reach + k, size) + k * k)
    return result


def _blocks(inside: Tensor, side: Tensor) -> Tensor:
    """Each pixel takes the value in the middle of its block; side: (B,) pixels, ≥ 1."""
    for axis in (3, 4):
        place = torch.arange(inside.shape[axis], device=inside.device)
        middle = (torch.floor((place + 0.5) / side[:, None]) + 0.5) * side[:, None]
        source = middle.floor().long().clamp(max=inside.shape[axis] - 1)  # (B, size)
        shape = [len(side), 1, 1, 1, 1]
        shape[axis] = inside.shape[axis]
        inside = inside.gather(axis, source.reshape(shape).expand_as(inside))
    return inside
