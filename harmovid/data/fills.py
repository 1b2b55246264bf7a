"""Person-shaped fills in backgrounds that nobody was taken out of, so that a fill says nothing of what is asked for.

Where a background is the clip's own, the person was filled in; where it is another, nobody was. A network could learn
to tell the two from the fill alone.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from harmovid.light.grade import linear_to_srgb, srgb_to_linear

_PERSON = 0.02  # of alpha, as `composite.plate` has it
_GROWN = 0.02, 0.04  # of the height, as plates and shards grow the mask
_STAYS = 1 / 3  # share of fills that are under the person, where those of real footage are
_FAR = 0.5  # of the view: as far as the others are moved


@torch.no_grad()
def add_fills(target: Tensor, plate: Tensor, mask: Tensor, share: float,
              generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Fill plates where somebody might have stood, and the same under the person of the target.

    The shape is the person's own where they stand, or another sample's, mirrored or not, anywhere.

    Args:
        target, plate: (B, 3, T, H, W), display sRGB in [0, 1]; target is somebody over plate.
        mask: (B, 1, T, H, W), alpha of that somebody.
        share: of the samples that are filled.
        generator: on their device.

    Returns:
        Target and plate, of the same shapes and range; outside the fills, and in samples without, the same bits.
        Nothing in a fill depends on what it hides.
    """
    if share <= 0:
        return target, plate
    count, height = len(mask), mask.shape[3]
    chance = torch.rand(3, count, 1, 1, 1, 1, generator=generator, device=generator.device)
    moved = _FAR * (2 * torch.rand(2, count, generator=generator, device=generator.device) - 1)
    low, high = (math.ceil(part * height) for part in _GROWN)
    radius = int(torch.randint(max(low, 1), max(high, 1) + 1, (1,), generator=generator, device=generator.device))
    others = mask.roll(1, 0)
    elsewhere = _shifted(torch.where(chance[0] < 0.5, others.flip(-1), others), moved)
    hole = torch.where(chance[1] < _STAYS, mask, elsewhere) > _PERSON  # (B, 1, T, H, W)
    hole = F.max_pool3d(hole.float(), (1, 2 * radius + 1, 2 * radius + 1), 1, (0, radius, radius)) > 0
    hole = hole & (chance[2] < share) & ~hole.flatten(3).all(-1)[..., None, None]  # nothing to fill it from
    filled = torch.where(hole, extended(plate, ~hole), plate)
    light = srgb_to_linear(target) + (1 - mask) * (srgb_to_linear(filled) - srgb_to_linear(plate))
    return torch.where(hole, linear_to_srgb(light.clamp(0, 1)), target), filled


def extended(picture: Tensor, known: Tensor) -> Tensor:
    """What is known of each frame, carried smoothly into what is not: `composite.blend.push_pull` for a batch.

    Args:
        picture: (B, 3, T, H, W). known: (B, 1, T, H, W) bool; of each frame something is.

    Returns:
        (B, 3, T, H, W): `picture` where it is known; what it holds elsewhere has no say.
    """
    frames = picture.transpose(1, 2).flatten(0, 1)  # (B·T, 3, H, W)
    weight = known.transpose(1, 2).flatten(0, 1).to(picture)  # (B·T, 1, H, W)
    levels = [(torch.where(weight > 0, frames, 0), weight)]
    while max(levels[-1][0].shape[2:]) > 1:
        levels.append((F.avg_pool2d(levels[-1][0], 2, ceil_mode=True), F.avg_pool2d(levels[-1][1], 2, ceil_mode=True)))
    coarse = levels[-1][0] / levels[-1][1].clamp(min=1e-6)  # (B·T, 3, 1, 1)
    for told, weight in reversed(levels[:-1]):
        height, width = told.shape[2:]
        wide = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)  # (B·T, 3, h or h + 1, …)
        wide = wide[..., :height, :width]  # (B·T, 3, h, w)
        coarse = told + (1 - weight) * wide  # (B·T, 3, h, w)
    return coarse.unflatten(0, (len(picture), -1)).transpose(1, 2)


def _shifted(mask: Tensor, moved: Tensor) -> Tensor:
    """Each sample moved by (2, B) shares of height and width; what comes in from outside is empty."""
    for axis, share in zip((3, 4), moved, strict=True):
        size = mask.shape[axis]
        source = torch.arange(size, device=mask.device) - (share[:, None] * size).round().long()  # (B, size)
        shape = [len(mask), 1, 1, 1, 1]
        shape[axis] = size
        inside = ((source >= 0) & (source < size)).reshape(shape)
        mask = mask.gather(axis, source.clamp(0, size - 1).reshape(shape).expand_as(mask)) * inside
    return mask
