"""What the network is told beside the noisy target: latents of the pictures, and the mask whole.

A mask averaged down to the size of the latents is soft even where it was binary, and the network could no longer
tell a binary mask from a pseudo-alpha. So its pixels move into channels (space-to-depth) and none is lost.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from harmovid.model.codec import SPACE, TIME

LATENT_CHANNELS = 16
MASK_CHANNELS = SPACE * SPACE * TIME
CONDITION_CHANNELS = 3 * LATENT_CHANNELS + MASK_CHANNELS  # composite, background, overview, mask: 304


def mask_channels(mask: Tensor) -> Tensor:
    """The mask's pixels as channels of the latents, bit for bit.

    Channel (t·8 + y)·8 + x of latent (k, i, j) is the pixel (8i + y, 8j + x) of frame 4k + t − 3. The first frame,
    which has a latent of its own, stands in all four of its places, as it does in a causal codec.

    Args:
        mask: (B, 1, T, H, W), in [0, 1]; T = 4·(Tl − 1) + 1, H = 8h, W = 8w.

    Returns:
        (B, 256, Tl, h, w), the same values.
    """
    assert mask.ndim == 5 and mask.shape[1] == 1, f"a mask is (B, 1, T, H, W), got {tuple(mask.shape)}"
    frames, height, width = mask.shape[2:]
    assert frames % TIME == 1 and height % SPACE == 0 and width % SPACE == 0, (
        f"frames are 4k + 1 and sides multiples of {SPACE}, got {frames}, {height} × {width}")
    first = mask[:, :, :1].expand(-1, -1, TIME - 1, -1, -1)  # (B, 1, 3, H, W)
    x = torch.cat([first, mask], 2)[:, 0]  # (B, 4·Tl, H, W)
    x = x.unflatten(3, (-1, SPACE)).unflatten(2, (-1, SPACE)).unflatten(1, (-1, TIME))  # (B, Tl, 4, h, 8, w, 8)
    return x.permute(0, 2, 4, 6, 1, 3, 5).flatten(1, 3)  # (B, 256, Tl, h, w)


def conditions(composite: Tensor, background: Tensor | None, overview: Tensor | None, mask: Tensor) -> Tensor:
    """All that the network is told, in the order of its input channels.

    Args:
        composite: (B, 16, Tl, h, w), latents of the composite.
        background: as composite, of the background without the person; None is zeros.
        overview: (B, 16, Tl, h', w'), latents of the whole new background at a size of its own, brought to (h, w)
            by nearest neighbour; None is zeros.
        mask: (B, 1, T, 8h, 8w), in [0, 1], the alpha that made the composite.

    Returns:
        (B, 304, Tl, h, w): composite 16, background 16, overview 16, mask 256.
    """
    assert composite.ndim == 5 and composite.shape[1] == LATENT_CHANNELS, tuple(composite.shape)
    nothing = torch.zeros_like(composite)  # (B, 16, Tl, h, w)
    background = nothing if background is None else background  # (B, 16, Tl, h, w)
    overview = nothing if overview is None else _resized(overview, composite)  # (B, 16, Tl, h, w)
    channels = mask_channels(mask).to(composite.dtype)  # (B, 256, Tl, h, w)
    for name, other in (("background", background), ("overview", overview), ("mask", channels)):
        assert other.shape[2:] == composite.shape[2:], (
            f"latents of the composite are {tuple(composite.shape[2:])}, of the {name} {tuple(other.shape[2:])}")
    return torch.cat([composite, background, overview, channels], 1)  # (B, 304, Tl, h, w)


def _resized(overview: Tensor, like: Tensor) -> Tensor:
    if overview.shape[3:] == like.shape[3:]:
        return overview  # (B, 16, Tl, h, w)
    size = (overview.shape[2], *like.shape[3:])  # time is never resized
    return F.interpolate(overview, size=size, mode="nearest-exact")  # (B, 16, Tl, h, w)
