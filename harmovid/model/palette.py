"""The palette: the colours of person and scene in numbers, of which the network is told in every block.

How far a person's light is off shows in the distribution of their pixels: where black and white lie, how grey the
greys are, how the shadows are tinted. Latents hold that spread over many tokens; a network that has seen few people
learns the people by heart sooner than to count pixels. Here they are counted for it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harmovid.light.grade import luma

QUANTILES = (0.03, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97)
_SOURCE = 3 + 4 * len(QUANTILES) + 3 + 3 + 1  # mean, quantiles of R, G, B and luma, deviation, correlations, tint
PALETTE = 4 * _SOURCE + 1  # person, head, background, overview: 38 each; the person's share of the view: 153

_HEAD = 1 / 3  # of the person's height, from the top: in a portrait, head and hair
_FEW = 16.0  # pixels; statistics of fewer fade to those of a mid-grey card
_GREY = 0.4  # what is subtracted from values, and what they and deviations are divided by, to be about 1
_VALUE, _DEVIATION = 0.25, 0.1
_FLAT = 1e-3  # of display sRGB; channels that vary less are like no other


@torch.no_grad()
def palette(composite: Tensor, background: Tensor, overview: Tensor, mask: Tensor) -> Tensor:
    """The palette of every frame; a clip's is the mean over its latents' last frames, 0, 4, 8, …

    Per source: mean of R, G, B; quantiles of R, G, B and luma; standard deviation of R, G, B; the correlations of R
    and G, R and B, G and B; that of R − B and luma, that is, whether lights are warmer than shadows.

    Args:
        composite, background: (B, 3, T, H, W), display sRGB in [0, 1]. overview: (B, 3, T, h, w).
        mask: (B, 1, T, H, W); a pixel is the person's from 0.5 on.

    Returns:
        (B, T, 153) float32, each number about 1 in size.
    """
    parts = [part.float().transpose(1, 2).flatten(0, 1) for part in (composite, background, overview)]
    person = (mask[:, 0].flatten(0, 1) >= 0.5).float()  # (N, H, W)
    near, behind, whole = (_pixels(part) for part in parts)  # (N, 3, pixels)
    everywhere, far = (torch.ones_like(part[:, 0]) for part in (behind, whole))
    told = [_describe(near, _pixels(person[:, None])[:, 0]), _describe(near, _pixels(_head(person)[:, None])[:, 0]),
            _describe(behind, everywhere), _describe(whole, far), person.mean((1, 2))[:, None]]
    return torch.cat(told, 1).unflatten(0, (len(mask), -1))  # (B, T, 153)


def mean_of_person(palette: Tensor) -> Tensor:
    """The person's mean colour, display sRGB, as a palette tells it: (..., 153) to (..., 3)."""
    return palette[..., :3] * _VALUE + _GREY


def _pixels(picture: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C, pixels); of large pictures every other row and column."""
    picture = picture[..., ::2, ::2] if picture[0, 0].numel() > 64 * 64 else picture
    return picture.flatten(2)


def _head(person: Tensor) -> Tensor:
    """The upper part of the person in each frame, (N, H, W)."""
    rows = person.amax(2)  # (N, H)
    count = torch.arange(rows.shape[1], device=rows.device)
    top = torch.where(rows > 0, count, rows.shape[1]).amin(1)  # (N,)
    bottom = torch.where(rows > 0, count, -1).amax(1)
    end = top + ((bottom - top).clamp(min=0) * _HEAD).clamp(min=2)
    return person * (count < end[:, None])[:, :, None]


def _describe(colours: Tensor, weight: Tensor) -> Tensor:
    """(N, 38) of pixels (N, 3, P) with weights (N, P) of 0 and 1."""
    total = weight.sum(1)  # (N,)
    mean, spread, alike, tint = _moments(colours, weight, total)
    channels = torch.cat([colours, luma(colours)], 1)  # (N, 4, P)
    # Pixels of no weight go behind all others; then quantiles are places in a sorted list.
    ordered = torch.where(weight[:, None] > 0, channels, 2.0).sort(-1).values
    places = (torch.tensor(QUANTILES, device=weight.device) * (total[:, None] - 1).clamp(min=0)).round().long()
    found = ordered.gather(-1, places[:, None].expand(-1, 4, -1)).clamp(max=1)  # (N, 4, 7)
    there = (total / (total + _FEW))[:, None]
    values = (torch.cat([mean, found.flatten(1)], 1) - _GREY) / _VALUE
    return torch.cat([values, spread / _DEVIATION, alike, tint], 1) * there


def _moments(colours: Tensor, weight: Tensor, total: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean and standard deviation of R, G, B, correlations of RG, RB, GB, each (N, 3); of R − B and luma (N, 1)."""
    share = (weight / total.clamp(min=1)[:, None])[:, None]  # (N, 1, P)
    mean = (colours * share).sum(-1)
    apart = colours - mean[..., None]
    grey = luma(apart)  # (N, 1, P)
    warm = apart[:, :1] - apart[:, 2:]
    both, one, other = ((x * share).sum(-1) for x in (grey * warm, grey**2, warm**2))
    covariance = torch.einsum("nip,njp->nij", apart * share, apart)  # (N, 3, 3)
    spread = covariance.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt()
    first, second = [0, 0, 1], [1, 2, 2]
    alike = covariance[:, first, second] / ((spread[:, first] + _FLAT) * (spread[:, second] + _FLAT))
    return mean, spread, alike, both / (one * other + 1e-8).sqrt()
