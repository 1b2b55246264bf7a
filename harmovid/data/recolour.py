"""Other clothes, hair and skin in the same light, so that no palette of a training person is learned by heart.

Light multiplies what a surface reflects. So a surface is given another colour, and its light kept, where
scene-linear values are multiplied by one gain: of a cloth, of the hair, of the skin. Which pixels are one surface is
guessed from colour and height; what is near the face in place or colour counts as skin, and is changed as people
differ, not as clothes do. A few hundred people become as many as are asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from harmovid.light.grade import linear_to_srgb, luma, srgb_to_linear

_GROUPS = 4  # surfaces of a person
_STEPS = 3  # of k-means
_SOFT = 0.1  # of squared distance between features, at which a pixel is no longer sure of its surface
_REFLECT = math.log(0.015), math.log(0.85)  # of black velvet, of white linen
_BOUND = 2.5  # of a gain's logarithm
_SKIN, _BLUSH = 0.3, 0.06  # deviations of the log of skin's reflectance, and of each of its channels
_CHROMA, _LIGHTNESS = 0.06, 1.5  # squared distances in log at which a colour is no longer the face's
_KNEE = 0.7  # of scene-linear light, from which values are bent to stay below 1
_DARK = 1e-3


@dataclass(frozen=True)
class RecolourConfig:
    """How often and how far colours are changed.

    share: of people that are changed at all. tint: deviation of the logarithm of each channel of a cloth.
    """

    share: float = 0.8
    tint: float = 0.35


@torch.no_grad()
def recolour(picture: Tensor, mask: Tensor, config: RecolourConfig, generator: torch.Generator) -> Tensor:
    """The picture, its person in other colours but in the same light.

    Args:
        picture: (B, 3, T, H, W), display sRGB in [0, 1].
        mask: (B, 1, T, H, W), alpha of the person.
        generator: on the device of `picture`.

    Returns:
        (B, 3, T, H, W) in [0, 1]; where the mask is 0, and of people left as they are, to the bit `picture`.
    """
    if config.share <= 0:
        return picture
    count, device = len(picture), generator.device
    person = (mask >= 0.5).float()
    linear = srgb_to_linear(picture).clamp(min=_DARK)
    groups = _surfaces(picture, person, generator)  # (B, K, T, H, W)
    skin = _skin(linear, person)  # (B, 1, T, H, W)

    chosen = torch.rand(count, generator=generator, device=device) < config.share
    share = groups * person
    mean = torch.einsum("bkthw,bcthw->bkc", share, linear) / (share.sum((2, 3, 4)) + _DARK)[..., None]
    low, high = _REFLECT
    goal = low + (high - low) * torch.rand(count, _GROUPS, generator=generator, device=device)
    way = torch.rand(count, _GROUPS, generator=generator, device=device)
    lightness = way * (goal - luma(mean[..., None].flatten(0, 1)).reshape(count, _GROUPS).clamp(min=_DARK).log())
    hue = config.tint * torch.randn(count, _GROUPS, 3, generator=generator, device=device)
    cloth = lightness.clamp(-_BOUND, _BOUND)[..., None] + hue - hue.mean(-1, keepdim=True)  # (B, K, 3)
    own = (_SKIN * torch.randn(count, 1, generator=generator, device=device)
           + _BLUSH * torch.randn(count, 3, generator=generator, device=device))[..., None, None, None]

    gain = torch.lerp(torch.einsum("bkthw,bkc->bcthw", groups, cloth), own.expand_as(picture), skin)
    other = linear_to_srgb(_bent(linear * gain.exp())).clamp(0, 1)
    changed = picture + mask * (other - picture)
    return torch.where(chosen[:, None, None, None, None], changed, picture)


def _surfaces(picture: Tensor, person: Tensor, generator: torch.Generator) -> Tensor:
    """Soft shares of each pixel in each surface, (B, K, T, H, W), that sum to 1: k-means of the first frame."""
    grey = luma(picture)
    down = torch.linspace(0, 0.8, picture.shape[3], device=picture.device)[:, None].expand_as(grey)
    features = torch.cat([2 * picture, 4 * (picture - grey), down], 1)  # (B, 7, T, H, W)
    points, weight = features[:, :, 0].flatten(2), person[:, 0, 0].flatten(1) + 1e-6  # (B, 7, P), (B, P)

    def picked(chance: Tensor) -> Tensor:
        index = torch.multinomial(chance, 1, generator=generator)  # (B, 1)
        return points.gather(2, index[:, None].expand(-1, points.shape[1], 1)).transpose(1, 2)  # (B, 1, 7)

    def apart(points: Tensor, centres: Tensor) -> Tensor:
        """Squared distances (B, K, P)."""
        return torch.cdist(centres, points.transpose(1, 2)).square()

    centres = picked(weight)
    for _ in range(_GROUPS - 1):  # k-means++: the next is likely to be far from all there are
        centres = torch.cat([centres, picked(apart(points, centres).amin(1) * weight + 1e-9)], 1)
    for _ in range(_STEPS):
        share = torch.softmax(-apart(points, centres) / _SOFT, 1) * weight[:, None]  # (B, K, P)
        centres = torch.einsum("bkp,bcp->bkc", share, points) / share.sum(2, keepdim=True).clamp(min=1e-9)
    return torch.softmax(-apart(features.flatten(2), centres) / _SOFT, 1).unflatten(2, picture.shape[2:])


def _skin(linear: Tensor, person: Tensor) -> Tensor:
    """How surely a pixel is skin, (B, 1, T, H, W): by its place, or by a colour near the face's."""
    flat = person[:, 0].flatten(0, 1)  # (B · T, H, W)
    face = _face(flat).unflatten(0, (len(person), -1))[:, None]  # (B, 1, T, H, W)
    mean = ((linear * face).sum((2, 3, 4)) / face.sum((2, 3, 4)).clamp(min=1)).clamp(min=_DARK)[..., None, None, None]

    def chroma(colour: Tensor) -> Tensor:
        return colour.log() - colour.log().mean(1, keepdim=True)

    alike = torch.exp(-(chroma(linear) - chroma(mean)).square().sum(1, keepdim=True) / _CHROMA
                      - (luma(linear) / luma(mean)).log().square() / _LIGHTNESS)
    return torch.maximum(F.avg_pool3d(alike, (1, 3, 3), 1, (0, 1, 1)), face).clamp(0, 1)


def _face(person: Tensor) -> Tensor:
    """A guess at the face from the silhouette alone, (N, H, W): an ellipse in the head, with a soft edge."""
    height, width = person.shape[1:]
    rows = person.amax(2)  # (N, H)
    y, x = torch.arange(height, device=person.device), torch.arange(width, device=person.device)
    top = torch.where(rows > 0, y, height).amin(1).float()  # (N,)
    tall = (torch.where(rows > 0, y, -1).amax(1) - top).clamp(min=2)
    crown = person * (y < (top + tall / 4)[:, None])[:, :, None]
    area = crown.sum((1, 2)).clamp(min=1)
    centre = (crown * x).sum((1, 2)) / area
    half = ((crown * (x - centre[:, None, None]).square()).sum((1, 2)) / area).sqrt().clamp(min=1.5)  # a deviation
    across = (x - centre[:, None]) / (1.2 * half)[:, None]  # (N, W)
    down = (y - (top + 2.8 * half)[:, None]) / (2.2 * half)[:, None]  # (N, H)
    far = (across.square()[:, None] + down.square()[:, :, None]).sqrt()
    return person * ((1.3 - far) / 0.3).clamp(0, 1)


def _bent(linear: Tensor) -> Tensor:
    """A shoulder: the value up to the knee, then towards 1."""
    room = 1 - _KNEE
    return torch.where(linear > _KNEE, 1 - room * torch.exp((_KNEE - linear) / room), linear)
