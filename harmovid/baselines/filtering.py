"""The two networks of blind deflickering: the neural filter, and the local refinement that follows it.

Step 2 of Lei, Ren, Zhang, Chen, "Blind Video Deflickering by Neural Filtering with a Flawed Atlas", CVPR 2023
(arXiv 2303.08120). Theirs, as published: the filter is a U-Net of five levels over a flickering frame and its atlas
frame, 3 × 3 convolutions without norms, maxima between levels going down, bilinear steps going up; the refinement
is the network of Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018: two encoders, one shown the
filter's frame and the last output, one the filter's frame and the one before; residual blocks, a ConvLSTM, a
residual of −1..1 as output; the first frame passes as it is.

Decided here: any number of levels; `start` of the filter; He's initialisation; outputs that begin at zero, so that
the refinement starts as the identity; the ConvLSTM's state lives through the clip, as in Lai et al.; a bias in every
convolution.

Pictures are (B, 3, H, W) float, display sRGB in [0, 1], of any size from 1 × 1 up; outputs are not clipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harmovid.errors import InputError, OptionError
from harmovid.light.smooth import blur

_TOE = 0.05  # of display sRGB, added before a ratio is taken: what is black has no ratio
_WIDE = 1 / 16  # of the longer side, deviation of the blur of `start = "light"`

State = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class FilterConfig:
    """Size of the neural filter; the defaults are the paper's.

    channels: of the first level; each further one has twice as many. levels: of the U-Net, 1 or more.
    start: what the network's output is added to. "nothing" is the paper's. "light" is the flickering frame
        times the ratio of the two frames, both widely blurred (`lit`): a network that has learnt nothing then
        already takes the atlas's light and keeps the frame's detail, and little training goes further. It is then
        shown that product, and four times the atlas's difference from it, in place of the two frames.
    """

    channels: int = 32
    levels: int = 5
    start: Literal["nothing", "light"] = "nothing"

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.channels < 1 or self.levels < 1:
            raise OptionError(f"channels and levels of the filter are 1 or more, got {self.channels}, {self.levels}")


@dataclass(frozen=True)
class LocalConfig:
    """Size of the local refinement; the defaults are the paper's.

    channels: of the first convolutions; inside there are four times as many. blocks: residual ones.
    """

    channels: int = 32
    blocks: int = 5

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.channels < 1 or self.blocks < 0:
            raise OptionError(f"channels of the refinement are 1 or more and blocks 0 or more, "
                              f"got {self.channels}, {self.blocks}")


class NeuralFilter(nn.Module):
    """The content of one frame in the colours of another that is steady but flawed."""

    def __init__(self, config: FilterConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.channels * 2**n for n in range(config.levels)]
        self.down = nn.ModuleList(_pair(before, width)
                                  for before, width in zip([6, *widths[:-1]], widths, strict=True))
        self.rise = nn.ModuleList(nn.Conv2d(2 * width, width, 3, padding=1) for width in widths[:-1])
        self.up = nn.ModuleList(_pair(2 * width, width) for width in widths[:-1])
        self.last = nn.Conv2d(widths[0], 3, 1)
        _begin(self, silent=self.last if config.start == "light" else None)

    def forward(self, content: Tensor, atlas: Tensor) -> Tensor:
        """The filtered frames.

        Args:
            content: (B, 3, H, W), flickering frames. atlas: (B, 3, H, W), the same frames of the atlas.

        Raises:
            InputError: the two differ in shape.
        """
        _check(content, atlas)
        height, width = content.shape[-2:]
        start = lit(content, atlas) if self.config.start == "light" else None
        shown = [content, atlas] if start is None else [start, 4 * (atlas - start)]
        x = _padded(torch.cat(shown, 1), 2 ** (self.config.levels - 1))
        kept: list[Tensor] = []
        for n, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if n else x)  # (B, channels · 2ⁿ, H / 2ⁿ, W / 2ⁿ)
            kept.append(x)
        for n in reversed(range(len(self.up))):
            x = self.rise[n](F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))
            x = self.up[n](torch.cat([x, kept[n]], 1))
        x = self.last(x)[..., :height, :width]
        return x if start is None else x + start


class LocalRefinement(nn.Module):
    """A recurrent network that takes out what still trembles in places, frame after frame."""

    def __init__(self, config: LocalConfig) -> None:
        super().__init__()
        self.config = config
        c = config.channels
        self.output_first, self.output_second = _conv(6, c, 7), _conv(c, 2 * c, 3, stride=2)
        self.input_first, self.input_second = _conv(6, c, 7), _conv(c, 2 * c, 3, stride=2)
        self.join = _conv(4 * c, 4 * c, 3, stride=2)
        self.blocks = nn.ModuleList(nn.Sequential(_conv(4 * c, 4 * c, 3), _RELU, _conv(4 * c, 4 * c, 3))
                                    for _ in range(config.blocks))
        self.rise_first, self.rise_second = _conv(4 * c, 2 * c, 3), _conv(4 * c, c, 3)
        self.last = _conv(2 * c, 3, 7)
        _begin(self, silent=self.last)
        self.gates = nn.Conv2d(8 * c, 16 * c, 3, padding=1)  # sigmoids want the smaller weights of torch's own

    def forward(self, now: Tensor, before: Tensor, output: Tensor, state: State | None) -> tuple[Tensor, State]:
        """One frame.

        Args:
            now, before: (B, 3, H, W), the filter's frame and its last one. output: (B, 3, H, W), the last output
                of this network.
            state: what the last call returned; None at first.

        Returns:
            The refined frame (B, 3, H, W), and the state.
        """
        height, width = now.shape[-2:]
        a = _RELU(self.output_first(_padded(torch.cat([now, output], 1), 4)))  # (B, c, H, W)
        b = _RELU(self.input_first(_padded(torch.cat([now, before], 1), 4)))
        a_half, b_half = _RELU(self.output_second(a)), _RELU(self.input_second(b))  # (B, 2c, H/2, W/2)
        x = _RELU(self.join(torch.cat([a_half, b_half], 1)))  # (B, 4c, H/4, W/4)
        for block in self.blocks:
            x = x + block(x)
        hidden, cell = state or (torch.zeros_like(x), torch.zeros_like(x))
        enter, keep, leave, new = self.gates(torch.cat([x, hidden], 1)).chunk(4, 1)
        cell = torch.sigmoid(keep) * cell + torch.sigmoid(enter) * torch.tanh(new)
        hidden = torch.sigmoid(leave) * torch.tanh(cell)
        x = _RELU(self.rise_first(F.interpolate(hidden, scale_factor=2)))
        x = _RELU(self.rise_second(F.interpolate(torch.cat([x, a_half], 1), scale_factor=2)))
        residual = torch.tanh(self.last(torch.cat([x, a], 1)))[..., :height, :width]
        return now + residual, (hidden, cell)

    def clip(self, filtered: Tensor) -> Tensor:
        """A whole clip, (B, T, 3, H, W), one frame after the other; the first is kept."""
        outputs, state = [filtered[:, 0]], None
        for t in range(1, filtered.shape[1]):
            output, state = self(filtered[:, t], filtered[:, t - 1], outputs[-1], state)
            outputs.append(output)
        return torch.stack(outputs, 1)


def lit(content: Tensor, atlas: Tensor) -> Tensor:
    """`content` times the ratio of both pictures, (B, 3, H, W), each blurred by 1/16 of the longer side."""
    sigma = max(0.5, _WIDE * max(content.shape[-2:]))
    ratio = (blur(atlas[:, :, None], sigma) + _TOE) / (blur(content[:, :, None], sigma) + _TOE)
    return (content + _TOE) * ratio[:, :, 0] - _TOE


_RELU = nn.LeakyReLU(0.2)


def _begin(network: nn.Module, silent: nn.Conv2d | None) -> None:
    """He's initialisation, which keeps the signal's size through ReLU layers without norms; `silent` gives 0."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            nn.init.zeros_(part.bias)  # type: ignore[arg-type]
    if silent is not None:
        nn.init.zeros_(silent.weight)


def _pair(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(),
                         nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU())


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, padding_mode="replicate")


def _padded(x: Tensor, multiple: int) -> Tensor:
    """(B, C, H, W) with its right and lower border repeated up to multiples."""
    height, width = x.shape[-2:]
    return F.pad(x, (0, -width % multiple, 0, -height % multiple), mode="replicate")


def _check(content: Tensor, atlas: Tensor) -> None:
    if content.shape != atlas.shape or content.ndim != 4 or content.shape[1] != 3:
        raise InputError(f"the frames have shape {tuple(content.shape)}, the atlas's {tuple(atlas.shape)}; expected "
                         "(B, 3, H, W) twice; render the atlas at the frames' size")
