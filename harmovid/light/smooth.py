"""Smooth things in space and time, for a whole batch at once: Gaussian blur, and splines of random numbers.

Both are products with small dense matrices, so that every sample may have its own width, no width is too
large, and an accelerator is asked for nothing but matrix products.
"""

from __future__ import annotations

import torch
from torch import Tensor


def blur(picture: Tensor, sigma: Tensor | float) -> Tensor:
    """Gaussian blur of each frame.

    At the frame's border the weights inside it are normalised to sum to 1: nothing dark lies beyond.

    Args:
        picture: (B, C, T, H, W).
        sigma: standard deviation in pixels, > 0: one, or one per sample, (B,).

    Returns:
        (B, C, T, H, W).
    """
    # A number is filled in on the device: a copy from here would make the host wait.
    widths = sigma.reshape(-1, 1, 1) if isinstance(sigma, Tensor) else picture.new_full((1, 1, 1), sigma)
    down, across = (_gaussian(size, widths) for size in picture.shape[-2:])
    return torch.einsum("bcthw,bgh,bvw->bctgv", picture, *(m.expand(len(picture), -1, -1) for m in (down, across)))


def spline_basis(size: int, nodes: int, device: torch.device) -> Tensor:
    """Uniform cubic B-splines, (size, nodes), each row scaled to unit length.

    The first and last of `size` points lie on the ends of the curve; a single point lies in its middle.
    With rows of unit length, a spline of independent unit normal numbers has variance 1 at every point.
    Source: de Boor 1978, "A Practical Guide to Splines"; the cardinal spline is 2/3 − x² + |x|³/2 for
    |x| < 1 and (2 − |x|)³/6 for 1 ≤ |x| < 2. `nodes` is at least 4.
    """
    assert size >= 1 and nodes >= 4
    along = torch.linspace(0, 1, size, device=device) if size > 1 else torch.full((1,), 0.5, device=device)
    x = (along[:, None] * (nodes - 3) + 1 - torch.arange(nodes, device=device)).abs()
    basis = torch.where(x < 1, 2 / 3 - x**2 + x**3 / 2, (2 - x).clamp(min=0) ** 3 / 6)
    return basis / basis.norm(dim=1, keepdim=True)


def noise(count: tuple[int, int], size: tuple[int, int, int], nodes: tuple[int, int, int],
          generator: torch.Generator) -> Tensor:
    """Smooth normal noise of mean 0 and variance 1 at every point.

    Args:
        count: (B, C), how many fields.
        size: (T, H, W), or any three axes.
        nodes: spline nodes along each axis, at least 4 each; more nodes, finer noise.
        generator: where the noise comes from, and on which device.

    Returns:
        (B, C, T, H, W) float32.
    """
    field = torch.randn(*count, *nodes, generator=generator, device=generator.device)
    bases = [spline_basis(s, n, generator.device) for s, n in zip(size, nodes, strict=True)]
    return torch.einsum("bcijk,ti,hj,wk->bcthw", field, *bases)


def path(count: int, frames: int, generator: torch.Generator, pace: int = 12) -> Tensor:
    """Smooth random curves in time, (count, frames), mean 0 and variance 1 at every frame.

    One that turns about once every `pace` frames.
    """
    nodes = 4 + frames // pace
    curve = torch.randn(count, nodes, generator=generator, device=generator.device)
    return curve @ spline_basis(frames, nodes, generator.device).T


def _gaussian(size: int, sigma: Tensor) -> Tensor:
    """(B, size, size): row i holds the weights of the blurred pixel i. sigma: (B, 1, 1)."""
    place = torch.arange(size, device=sigma.device, dtype=sigma.dtype)
    return torch.softmax(-0.5 * ((place[:, None] - place) / sigma) ** 2, dim=-1)
