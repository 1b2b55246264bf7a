"""A neural atlas: one picture for a whole clip, and where in it every pixel of every frame lies.

Two small networks of coordinates are fitted to one clip: the mapping M: (x, y, t) → (u, v), and the atlas
A: (u, v) → RGB. Frame t is rendered as A(M(x, y, t)). Only M knows the time, and M is smooth, so light that
trembles from frame to frame finds no place: the rendered clip is steady. It is also flawed: details are lost,
what moves against M's smoothness is torn or smeared.

Kasten, Ofri, Wang, Dekel, "Layered Neural Atlases for Consistent Video Editing", SIGGRAPH Asia 2021 (arXiv
2109.11418), without the layers, as step 1 of Lei, Ren, Zhang, Chen, "Blind Video Deflickering by Neural Filtering
with a Flawed Atlas", CVPR 2023 (arXiv 2303.08120). Over random pixels p, with p′ the same point in the next frame or
the one before as optical flow has it, J the Jacobian of M in pixels over the atlas's scale, ĉ = A(M(p)) and c the
clip's colour:

    L = 5000 |ĉ − c|² + 1000 |∇ĉ − ∇c|² + 500 |M(p′) − M(p)| + (‖JᵀJ‖ + ‖(JᵀJ)⁻¹‖) + 5 (the same, over a far step)

Theirs: the losses and these weights, the far step in the first half only, the networks' sizes, the scale 0.8, 10,000
steps of 10,000 points with Adam at 0.0001, a quarter of the clip's size: those are their published settings.

Decided here: M is the identity plus a network that begins at zero, where theirs is taught the identity first; the
flow is DIS, not RAFT, between frames whose channels are brought to one mean and deviation, because DIS takes a
change of brightness for motion; flow is believed where it agrees with the way back; each point follows it forward
or back, one of the two at random; the rate falls along a cosine in `cpu`; differences are taken forward.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from harmovid.baselines.points import Samples, check_clip, link
from harmovid.errors import OptionError

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class AtlasConfig:
    """How an atlas is fitted. The defaults are the paper's, as far as they are published.

    edge: the clip is made so small that its longer side has at most so many pixels.
    iterations, points: steps, and pixels in each. lr, final_lr: Adam's rate, and its share at the end of a cosine.
    mapping, atlas: (hidden layers, width) of the two networks. skips: hidden layers of the atlas that are given its
        input again. frequencies: of the atlas's positional encoding, sin and cos of 2^k π (u, v) for k below it.
    scale: of the atlas against the frame. far: the far step of rigidity, a share of the longer side.
    colour, gradient, motion, rigidity, far_rigidity: weights of the loss, in its order.
    """

    edge: int = 192
    iterations: int = 10_000
    points: int = 10_000
    lr: float = 1e-4
    final_lr: float = 1.0
    mapping: tuple[int, int] = (6, 256)
    atlas: tuple[int, int] = (8, 256)
    skips: tuple[int, ...] = (4, 7)
    frequencies: int = 10
    scale: float = 0.8
    far: float = 0.13
    colour: float = 5000.0
    gradient: float = 1000.0
    motion: float = 500.0
    rigidity: float = 1.0
    far_rigidity: float = 5.0

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        for name in ("edge", "iterations", "points", "frequencies"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} of the atlas is 1 or more, got {getattr(self, name)}")
        if not (self.lr > 0 and 0 < self.final_lr <= 1 and self.scale > 0 and self.far > 0):
            raise OptionError(f"lr, scale and far of the atlas are above 0 and final_lr in 0..1; got {self.lr:g}, "
                              f"{self.scale:g}, {self.far:g} and {self.final_lr:g}")


class Coordinates(nn.Module):
    """A network of coordinates: ReLU layers of one width, over the coordinates or their positional encoding.

    The encoding is sin and cos of 2^k π x for k < frequencies (Mildenhall et al., NeRF, ECCV 2020); with 0 the
    coordinates go in as they are.
    """

    def __init__(self, inputs: int, outputs: int, shape: tuple[int, int], frequencies: int = 0,
                 skips: tuple[int, ...] = ()) -> None:
        super().__init__()
        layers, width = shape
        self.skips = skips
        self.register_buffer("octaves", math.pi * 2.0 ** torch.arange(frequencies), persistent=False)
        encoded = 2 * frequencies * inputs if frequencies else inputs
        self.hidden = nn.ModuleList(
            nn.Linear((encoded if n == 0 else width) + (encoded if n in skips and n else 0), width)
            for n in range(layers))
        self.last = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs) → (N, outputs), unbounded."""
        octaves = self.get_buffer("octaves")
        if len(octaves):
            angles = (x[..., None] * octaves).flatten(-2)  # (N, inputs · frequencies)
            x = torch.cat([torch.sin(angles), torch.cos(angles)], -1)
        hidden = x
        for n, layer in enumerate(self.hidden):
            hidden = torch.relu(layer(torch.cat([hidden, x], -1) if n in self.skips and n else hidden))
        return self.last(hidden)


class Atlas(nn.Module):
    """M and A for clips of one shape.

    Pixels are counted from 0, x first; u and v are in [−scale, scale] for the first guess, the identity.
    """

    def __init__(self, shape: tuple[int, int, int], config: AtlasConfig) -> None:
        """`shape` is (T, H, W) of the clip at the size it is fitted at."""
        super().__init__()
        self.shape, self.scale = shape, config.scale
        self.side = max(shape[1:])
        self.mapping = Coordinates(3, 2, config.mapping)
        self.colours = Coordinates(2, 3, config.atlas, config.frequencies, config.skips)
        nn.init.zeros_(self.mapping.last.weight)
        nn.init.zeros_(self.mapping.last.bias)

    def place(self, points: Tensor) -> Tensor:
        """M: (N, 3) of x, y in pixels and t in frames → (N, 2) of u, v."""
        where = torch.stack([points[:, 0] * (2 / self.side) - 1, points[:, 1] * (2 / self.side) - 1,
                             points[:, 2] * (2 / self.shape[0]) - 1], -1)
        return self.scale * where[:, :2] + self.mapping(where)

    def colour(self, uv: Tensor) -> Tensor:
        """A: (N, 2) → (N, 3) display sRGB in [0, 1]."""
        return 0.5 + 0.5 * torch.tanh(self.colours(uv * 0.5 + 0.5))

    def pixels(self, uv: Tensor) -> Tensor:
        """Distances in the atlas, (..., 2) of u, v, in pixels of the frame."""
        return uv * (self.side / (2 * self.scale))

    @torch.no_grad()
    def render(self) -> np.ndarray:
        """The steady, flawed clip, (T, H, W, 3) float32, display sRGB in [0, 1]."""
        frames, height, width = self.shape
        device = next(self.parameters()).device
        y, x = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
        grid = torch.stack([x, y], -1).reshape(-1, 2).float()
        out = [self.colour(self.place(torch.cat([grid, torch.full_like(grid[:, :1], t)], -1))) for t in range(frames)]
        return torch.stack(out).reshape(frames, height, width, 3).cpu().numpy()


def fit(frames: np.ndarray, config: AtlasConfig = AtlasConfig(), seed: int = 0,
        progress: Progress = lambda stage, done, total: None, masks: np.ndarray | None = None,
        device: str = "cpu") -> Atlas:
    """Fit an atlas to one clip, at the size the clip has.

    Args:
        frames: (T, H, W, 3) float32, display sRGB in [0, 1].
        config: its `edge` is of no influence here.
        seed: of the networks and of the choice of points.
        progress: told after every step, under the name "atlas".
        masks: (T, H, W) in [0, 1]; where given, only pixels above 0 are fitted, and what the atlas shows
            elsewhere means nothing.
        device: of torch.

    Returns:
        The atlas, on `device`.

    Raises:
        InputError: the frames are not (T, H, W, 3) with at least one pixel, or the masks do not fit them.
    """
    check_clip(frames, masks)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        atlas = Atlas(frames.shape[:3], config).to(device)
    sampled = Samples(frames, link(frames), masks, generator, device)
    optimizer = torch.optim.Adam(atlas.parameters(), lr=config.lr)
    for step in range(config.iterations):
        fall = config.final_lr + (1 - config.final_lr) * 0.5 * (1 + math.cos(math.pi * step / config.iterations))
        for group in optimizer.param_groups:
            group["lr"] = config.lr * fall
        far = config.far_rigidity if step < config.iterations / 2 else 0.0
        parts = losses(atlas, *sampled.draw(config.points), config.far, far > 0)
        weights = {"colour": config.colour, "gradient": config.gradient, "motion": config.motion,
                   "rigidity": config.rigidity, "far_rigidity": far}
        optimizer.zero_grad(set_to_none=True)
        torch.stack([weights[name] * part for name, part in parts.items()]).sum().backward()
        optimizer.step()
        progress("atlas", step + 1, config.iterations)
    return atlas


def losses(atlas: Atlas, points: Tensor, shift: Tensor, trusted: Tensor, colour: Tensor, change: Tensor,
           inner: Tensor, far: float = 0.13, with_far: bool = True) -> dict[str, Tensor]:
    """The parts of L, each without its weight.

    Args:
        atlas: the networks.
        points: (N, 3), x, y in pixels, t in frames. shift: (N, 3), from there to the same point in a frame beside
            it. trusted: (N,), 1 where that is known, else 0.
        colour: (N, 3) display sRGB. change: (N, 2, 3), to the pixel on the right and the one below. inner:
            (N, 2), 1 where there is such a pixel, else 0.
        far: the far step, a share of the longer side. with_far: whether it is taken.

    Returns:
        colour, gradient, motion (pixels), rigidity, and where it is taken far_rigidity; scalars.
    """
    count, reach = len(points), max(1.0, round(far * atlas.side))
    right, down = points.new_tensor([1, 0, 0]), points.new_tensor([0, 1, 0])
    around = [points, points + right, points + down, points + shift]
    if with_far:
        around += [points + reach * right, points + reach * down]
    uv = atlas.place(torch.cat(around)).unflatten(0, (len(around), count))  # (4 or 6, N, 2)
    shown = atlas.colour(uv[:3].flatten(0, 1)).unflatten(0, (3, count))  # (3, N, 3)
    slope = (shown[1:] - shown[:1]).transpose(0, 1)  # (N, 2, 3)
    missed = atlas.pixels(uv[3] - uv[0]).square().sum(-1).add(1e-8).sqrt()
    parts = {
        "colour": (shown[0] - colour).square().sum(-1).mean(),
        "gradient": ((slope - change).square().sum(-1) * inner).sum(-1).mean(),
        "motion": (missed * trusted).sum() / trusted.sum().clamp(min=1),
        "rigidity": _stretch(atlas.pixels(uv[1:3] - uv[0])),
    }
    if with_far:
        parts["far_rigidity"] = _stretch(atlas.pixels(uv[4:6] - uv[0]) / reach)
    return parts


def shrunk(frames: np.ndarray, edge: int) -> np.ndarray:
    """(T, H, W, ...) made so small that the longer side has at most `edge` pixels; itself if it is no longer."""
    height, width = frames.shape[1:3]
    share = edge / max(height, width)
    if share >= 1:
        return frames
    size = max(1, round(width * share)), max(1, round(height * share))
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])


def _stretch(columns: Tensor) -> Tensor:
    """‖JᵀJ‖ + ‖(JᵀJ)⁻¹‖ of Jacobians in columns, (2, N, 2): least, 2√2, where M is a motion without stretching."""
    x, y = columns
    a, b, d = (x * x).sum(-1) + 1e-3, (x * y).sum(-1), (y * y).sum(-1) + 1e-3
    size = (a * a + 2 * b * b + d * d).sqrt()
    return (size + size / (a * d - b * b)).mean()  # of a symmetric 2 × 2 matrix, the inverse is its adjugate over det
