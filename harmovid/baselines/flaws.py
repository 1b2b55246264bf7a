"""What the networks of blind deflickering learn from: clean clips, made to flicker, beside atlases made flawed.

The training of Lei, Ren, Zhang, Chen, "Blind Video Deflickering by Neural Filtering with a Flawed Atlas", CVPR 2023
(arXiv 2303.08120). Theirs: no flickering footage is needed; of a clean frame G the colours are changed for the
flickering input, the geometry is distorted for the atlas, and the filter is to give G back; the refinement is
trained on clips, by a loss between its outputs warped along optical flow, as in Lai et al., "Learning Blind Video
Temporal Consistency", ECCV 2018:

    L_filter = |F(I, A) − G|
    L_local = |O − G| + short · Σ_t w_t |O_t − O_(t−1) warped| + long · Σ_t w_t |O_t − O_0 warped|
    w = exp(−50 |G_t − G_s warped|²) where flow can be trusted, else 0

Decided here, the published text being silent on most of it: the colours change by this package's own grades, one per
frame, and by a smooth gain over the picture in a share of the clips; the atlas is warped smoothly, doubled, blurred,
blotched, and in places shows another part of the picture; absolute errors; |O − G| in place of a perceptual loss,
since G is known. The refinement is fed with what the filter makes of such a clip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harmovid.baselines.filtering import LocalRefinement, NeuralFilter
from harmovid.errors import InputError
from harmovid.light import grade as grading
from harmovid.light.looks import draw_grade
from harmovid.light.smooth import blur, noise
from harmovid.video import flow as optical

_TABLE = 9  # nodes per axis of the baked grades
_SURE = 50.0  # α of Lai et al.


@dataclass(frozen=True)
class FlawConfig:
    """How strongly clips flicker and atlases are flawed. Lengths are shares of the longer side.

    strength: bounds of the strength of a clip's grades, as in `looks.draw_grade`; each frame has its own.
    local: share of clips whose light also changes by a smooth gain over the picture, of `local_spread` in log.
    warp: most that the atlas is displaced, standard deviation. blur: most that it is blurred. blotch: spread of its
        colours' error, in log.
    doubled, torn: shares of clips whose atlas shows everything twice, and other parts of the picture in places.
    """

    strength: tuple[float, float] = (0.05, 0.8)
    local: float = 0.4
    local_spread: float = 0.15
    warp: float = 0.015
    blur: float = 0.02
    blotch: float = 0.02
    doubled: float = 0.4
    torn: float = 0.2


@torch.no_grad()
def flicker(clean: Tensor, generator: torch.Generator, config: FlawConfig = FlawConfig()) -> Tensor:
    """The clip as if every frame had been graded by another hand.

    Args:
        clean: (B, 3, T, H, W) float32, display sRGB in [0, 1]. generator: on its device.

    Returns:
        The same shape, in [0, 1].
    """
    count, _, frames, height, width = clean.shape
    low, high = config.strength
    strength = low + (high - low) * _chance(generator, count, 1).expand(count, frames)
    one = clean.transpose(1, 2).reshape(-1, 3, 1, height, width)
    grade = draw_grade(strength.flatten(), one.new_zeros(len(one), 1), generator)
    gain = grading.light_gain(grade)
    used = (_chance(generator, count) < config.local) * config.local_spread
    uneven = noise((len(one), 1), (1, height, width), (4, 5, 5), generator)
    gain = gain + uneven * used.repeat_interleave(frames)[:, None, None, None, None]
    lit = grading.linear_to_srgb(grading.srgb_to_linear(one) * torch.exp(gain))
    lit = grading.apply_table(grading.shoulder(lit, grade.shoulder), grading.bake(grade, _TABLE))
    return lit.clamp(0, 1).reshape(count, frames, 3, height, width).transpose(1, 2)


@torch.no_grad()
def flawed(clean: Tensor, generator: torch.Generator, config: FlawConfig = FlawConfig()) -> Tensor:
    """The clip as a neural atlas would render it: steady in time, its light right, its pictures wrong.

    Args, returns: as `flicker`. The flaws change slowly within a clip.
    """
    count, _, frames, height, width = clean.shape
    size, side = (frames, height, width), max(height, width)

    def field(channels: int, nodes: int) -> Tensor:
        """(B, channels, T, H, W), smooth noise of variance 1."""
        return noise((count, channels), size, (4, nodes, nodes), generator)

    def share(often: float = 1.0) -> Tensor:
        """(B, 1, 1, 1, 1), uniform in [0, 1], or 0."""
        draw = _chance(generator, 2, count, 1, 1, 1, 1)
        return draw[0] * (draw[1] < often)

    reach = config.warp * side
    atlas = _displaced(clean, (field(2, 5) + 0.3 * field(2, 10)) * share() * reach)
    twice = _displaced(clean, (field(2, 5) + 0.3 * field(2, 10)) * share() * reach)
    atlas = torch.lerp(atlas, twice, share(config.doubled) * torch.sigmoid(2 * field(1, 6)))
    elsewhere = atlas.roll((height // 3, width // 3), (3, 4))
    atlas = torch.lerp(atlas, elsewhere, torch.sigmoid(6 * (field(1, 6) - 1.5)) * (share(config.torn) > 0))
    atlas = blur(atlas, (share().flatten() * config.blur * side).clamp(min=0.2))
    return (atlas * torch.exp(field(3, 6) * share() * config.blotch)).clamp(0, 1)


def filter_batch(clean: Tensor, generator: torch.Generator, config: FlawConfig = FlawConfig()) -> dict[str, Tensor]:
    """Flickering content, flawed atlas and the clean frames themselves, each (B, 3, T, H, W), of clean clips or
    stills (T = 1)."""
    return {"content": flicker(clean, generator, config), "atlas": flawed(clean, generator, config), "clean": clean}


def local_batch(clean: Tensor, generator: torch.Generator, config: FlawConfig = FlawConfig()) -> dict[str, Tensor]:
    """As `filter_batch`, and the ways between the clean frames for the temporal loss.

    Returns:
        Also "short" and "long", (B, T − 1, 3, H, W): flow from frame t ≥ 1 to the one before, and to the first, in
        pixels x, y, and the weight w.

    Raises:
        InputError: the clips have fewer than two frames.
    """
    if clean.shape[2] < 2:
        raise InputError(f"the clips have {clean.shape[2]} frame; expected at least 2: the loss is between frames")
    ways = {"short": [_ways(clip, False) for clip in clean], "long": [_ways(clip, True) for clip in clean]}
    return {**filter_batch(clean, generator, config),
            **{name: torch.stack(each).to(clean.device) for name, each in ways.items()}}


def filter_loss(network: NeuralFilter, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """L_filter as "loss", and how far the network's start is from the truth, "untouched"; scalars."""
    content, atlas, clean = (batch[name].transpose(1, 2).flatten(0, 1) for name in ("content", "atlas", "clean"))
    return {"loss": (network(content, atlas) - clean).abs().mean(), "untouched": (content - clean).abs().mean()}


def local_loss(network: LocalRefinement, filtered: Tensor, batch: dict[str, Tensor], short: float = 2.0,
               long: float = 2.0) -> dict[str, Tensor]:
    """L_local as "loss", and its three parts before they are weighed.

    Args:
        filtered: (B, T, 3, H, W), the filter's frames. batch: of `local_batch`.
        short, long: weights.
    """
    clean = batch["clean"].transpose(1, 2)  # (B, T, 3, H, W)
    outputs = network.clip(filtered)
    parts = {"content": (outputs - clean).abs().mean(),
             "short": _apart(outputs[:, 1:], outputs[:, :-1], batch["short"]),
             "long": _apart(outputs[:, 1:], outputs[:, :1].expand_as(outputs[:, 1:]), batch["long"])}
    return {"loss": parts["content"] + short * parts["short"] + long * parts["long"], **parts}


def _chance(generator: torch.Generator, *size: int) -> Tensor:
    return torch.rand(*size, generator=generator, device=generator.device)


def _apart(now: Tensor, then: Tensor, way: Tensor) -> Tensor:
    """Mean weighted distance of frames (B, T, 3, H, W) from others, fetched along their ways."""
    moved = _fetched(then.flatten(0, 1), way[:, :, :2].flatten(0, 1)).unflatten(0, way.shape[:2])
    return (way[:, :, 2:] * (now - moved).abs()).mean()


def _ways(clip: Tensor, to_first: bool) -> Tensor:
    """(3, T, H, W) clean → (T − 1, 3, H, W): flow back from each frame, and its weight."""
    frames = np.ascontiguousarray(clip.permute(1, 2, 3, 0).cpu().numpy())
    ways = []
    for t in range(1, len(frames)):
        now, then = frames[t], frames[0 if to_first else t - 1]
        back, forth = optical.flow(now, then, "fast"), optical.flow(then, now, "fast")
        error = np.square(now - optical.warp(then, back)).sum(-1)
        weight = optical.consistency(back, forth) * np.exp(-_SURE * error)
        ways.append(np.concatenate([back, weight[..., None]], -1).astype(np.float32))
    return torch.from_numpy(np.stack(ways)).movedim(-1, 1)


def _displaced(video: Tensor, offset: Tensor) -> Tensor:
    """(B, C, T, H, W) fetched from where `offset`, (B, 2, T, H, W) pixels, says."""
    frames = video.transpose(1, 2).flatten(0, 1)
    moved = _fetched(frames, offset.transpose(1, 2).flatten(0, 1))
    return moved.unflatten(0, (len(video), -1)).transpose(1, 2)


def _fetched(frames: Tensor, flow: Tensor) -> Tensor:
    """out(x) = frame(x + flow(x)), (N, C, H, W) and (N, 2, H, W) pixels; bilinear, the border repeated."""
    height, width = frames.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height, device=flow.device), torch.arange(width, device=flow.device),
                          indexing="ij")
    where = torch.stack([(x + flow[:, 0] + 0.5) * (2 / width) - 1, (y + flow[:, 1] + 0.5) * (2 / height) - 1], -1)
    return F.grid_sample(frames, where, mode="bilinear", padding_mode="border", align_corners=False)
