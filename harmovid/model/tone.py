"""Tone: the part of a relighting that is one for the whole person, read from the palette.

Most of what can be known of a wrong light is how bright, how contrasty and of which cast the person should be, and
most of that is in the palette: a small perceptron on it, which learns from hundreds of thousands of draws in minutes,
finds it better than the transformer, which sees few people many times. So the composite is toned first, and the
transformer is given the toned one: where light falls, and what tone left over, is its work.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harmovid.model.palette import PALETTE, mean_of_person

CHANGE = 6  # shift of the person's mean R, G, B; logarithm of their contrast's factor

_FAR = 4.0  # standard deviations, beyond which a palette's numbers are taken to lie there
_STRETCH = 1.2  # bounds the logarithm of the contrast


@dataclass(frozen=True)
class ToneConfig:
    """The perceptron has two hidden layers of `width`.

    blocks: so many perceptrons side by side, each of its share of `width`, whose answers add up.
    rise: how much surer of itself it is taken to be where it answers much: with an answer of z units of `size`, root
        mean square, it counts 1 + rise · (z² / (z² + ¼) − ⅓). Trained, it answers too small where that is much, and
        where it is little that is mostly noise.
    """

    width: int = 256
    rise: float = 0.0
    blocks: int = 1


class _Beside(nn.Linear):
    """From `width` numbers to as many, by `blocks` linear layers, each of its own part of them."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__(width // blocks, width)
        self.blocks = blocks

    def forward(self, x: Tensor) -> Tensor:
        if self.blocks == 1:
            return super().forward(x)
        apart, weight = x.unflatten(-1, (self.blocks, -1)), self.weight.unflatten(0, (self.blocks, -1))
        return torch.einsum("...ki,koi->...ko", apart, weight).flatten(-2) + self.bias


class Tone(nn.Module):
    """From a palette to the change of the person's tone, per channel of display sRGB.

    Its buffers hold mean and standard deviation of palettes and changes; `standardize` sets them from training draws,
    and a fresh module, whose last layer is zero, changes nothing.
    """

    centre: Tensor
    spread: Tensor
    size: Tensor

    def __init__(self, config: ToneConfig = ToneConfig()) -> None:
        super().__init__()
        self.config = config
        last = nn.Linear(config.width, CHANGE)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.ModuleList([nn.Linear(PALETTE, config.width), _Beside(config.width, config.blocks), last])
        self.register_buffer("centre", torch.zeros(PALETTE))
        self.register_buffer("spread", torch.ones(PALETTE))
        self.register_buffer("size", torch.ones(CHANGE))

    def standardize(self, palettes: Tensor, changes: Tensor) -> None:
        """Take mean and standard deviation of palettes (N, 153), and the size of changes (N, 6)."""
        self.centre.copy_(palettes.mean(0))
        self.spread.copy_(palettes.std(0) + 1e-3)
        self.size.copy_(changes.square().mean(0).sqrt() + 1e-3)

    def forward(self, palette: Tensor, noise: float = 0.0, drop: float = 0.0,
                generator: torch.Generator | None = None) -> Tensor:
        """The change in units of `size`, (B, 6).

        Args:
            palette: (B, 153).
            noise: standard deviation of what is added to its standardized numbers, and
            drop: share of hidden numbers that are left out, both in training alone, against learning by heart.
            generator: of both, on the device of `palette`.
        """
        x = ((palette.to(self.centre) - self.centre) / self.spread).clamp(-_FAR, _FAR)  # (B, 153)
        if noise > 0:
            x = x + noise * torch.randn(x.shape, generator=generator, device=x.device).to(x)
        for layer in self.layers[:-1]:
            x = nn.functional.gelu(layer(x))  # (B, width)
            if drop > 0:
                kept = torch.rand(x.shape, generator=generator, device=x.device) >= drop  # (B, width)
                x = x * kept / (1 - drop)
        return self.layers[-1](x)  # (B, 6)

    def curves(self, palette: Tensor) -> tuple[Tensor, Tensor]:
        """Slope and offset per channel, each (B, 3): a toned value is slope · value + offset.

        Contrast is about the person's mean m: slope = exp(s), offset = m + d − slope · m.

        Args:
            palette: (B, 153), of the composite.
        """
        answer = self(palette)  # (B, 6)
        much = answer.square().mean(-1, keepdim=True)  # (B, 1)
        change = (answer * (1 + self.config.rise * (much / (much + 0.25) - 1 / 3)) * self.size).float()  # (B, 6)
        mean = mean_of_person(palette.float())  # (B, 3)
        slope = change[:, 3:].clamp(-_STRETCH, _STRETCH).exp()  # (B, 3)
        return slope, mean * (1 - slope) + change[:, :3]  # (B, 3)


def toned(composite: Tensor, mask: Tensor, slope: Tensor, offset: Tensor) -> Tensor:
    """The composite with its person in another tone.

    Args:
        composite: (B, 3, T, H, W), display sRGB in [0, 1]. mask: (B, 1, T, H, W), their alpha.
        slope, offset: (B, 3), or (B, 3, T) where they change in time.

    Returns:
        (B, 3, T, H, W) in [0, 1]; where the mask is 0 the composite, to the bit.
    """
    slope, offset = (part.reshape(*part.shape[:2], -1, 1, 1) for part in (slope, offset))  # (B, 3, T or 1, 1, 1)
    after = (composite * slope + offset).clamp(0, 1)  # (B, 3, T, H, W)
    return composite + mask * (after - composite)  # (B, 3, T, H, W)
