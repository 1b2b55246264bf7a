"""Objectives: what each stage minimises, as functions over tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from harmovid.model.codec import TIME, CausalCodec
from harmovid.model.schedule import Schedule

_STEEPEST = 3.0  # signal to noise, up to which all of an own mistake is asked to be taken back


@dataclass(frozen=True)
class CodecObjective:
    """Weights of the codec's loss.

    squares, edges, tone: of the squared error, the absolute one, and the squared error of 8 × 8 means (what is
        carried to the full size are tones). size: of the latents' mean square, which holds their scale.
    noise: standard deviation of noise on the latents, so that near ones decode alike.
    """

    squares: float = 10.0
    edges: float = 0.2
    tone: float = 20.0
    size: float = 1e-4
    noise: float = 0.05


def codec_loss(codec: CausalCodec, video: Tensor, noise: Tensor, config: CodecObjective) -> dict[str, Tensor]:
    """Reconstruction through noisy latents.

    Args:
        video: (B, 3, T, H, W) in [0, 1].
        noise: (B, C, Tl, h, w), standard normal.
    """
    latents = codec.encode_raw(video)  # (B, C, Tl, h, w)
    error = codec.decode_raw(latents + config.noise * noise).float() - video  # (B, 3, T, H, W)
    squares = error.square().mean()
    edges = error.abs().mean()
    tone = F.avg_pool3d(error, (1, 8, 8)).square().mean()
    size = latents.float().square().mean()
    loss = config.squares * squares + config.edges * edges + config.tone * tone + config.size * size
    return {"loss": loss, "psnr": -10 * squares.detach().log10(), "tone": tone.detach(), "size": size.detach()}


@dataclass(frozen=True)
class DiffusionObjective:
    """How the transformer is trained.

    foreground: a latent that shows the person counts 1 + this times one that does not.
    colour: weight of the squared error of the person's cell colours, in display sRGB.
    last: share of samples at the last step, where there is noise alone: what one-step sampling asks for.
    own_answers: share of samples that have the network's own answer beneath the noise, in the truth's place. Sampled in
        steps it sees its own mistakes, which it takes for the truth where it was never shown any (scheduled sampling:
        Bengio et al. 2015, arXiv 1506.03099).
    """

    foreground: float = 3.0
    colour: float = 20.0
    last: float = 0.5
    own_answers: float = 0.0


def draw_steps(count: int, schedule: Schedule, config: DiffusionObjective, generator: torch.Generator) -> Tensor:
    """(B,) long: `config.last` of them the last step, the others even over all."""
    device = generator.device
    even = torch.randint(schedule.last + 1, (count,), generator=generator, device=device)  # (B,)
    ends = torch.rand(count, generator=generator, device=device) < config.last  # (B,)
    return torch.where(ends, torch.full_like(even, schedule.last), even)


def diffusion_loss(backbone: torch.nn.Module, schedule: Schedule, target: Tensor, conditions: Tensor, cover: Tensor,
                   noise: Tensor, steps: Tensor, colours: Tensor, config: DiffusionObjective,
                   palette: Tensor | None = None, beneath: Tensor | None = None) -> dict[str, Tensor]:
    """Squared error of v (or noise, as the schedule says), weighted towards the person, and of their colours.

    L = E ‖v − v_θ(z^I, z^B, z^T_t, V^M, t)‖² (PAPER's L_harm with v in the place of ε).

    Args:
        target: (B, 16, Tl, h, w), clean latents. conditions: (B, 304, Tl, h, w).
        cover: (B, 1, Tl, h, w), mean alpha of each latent's pixels.
        noise: as target. steps: (B,) long.
        colours: (3, 16), of `colour_map`.
        palette: (B, D), for networks that are told it.
        beneath: as target, what lies beneath the noise, if not the target.
    """
    noisy = schedule.add_noise(target if beneath is None else beneath, noise, steps)  # (B, 16, Tl, h, w)
    if beneath is not None:
        # x_t = a·b + s·n = a·x0 + s·(n + a/s·(b − x0)). Near the clean end only a part of so large a step is asked for.
        a, s = schedule.levels(steps, target)  # (B, 1, 1, 1, 1)
        noise = noise + (a / s).clamp(max=_STEEPEST) * (beneath - target)  # (B, 16, Tl, h, w)
    predicted = backbone(noisy, conditions, steps, palette).float()  # (B, 16, Tl, h, w)
    weight = 1 + config.foreground * cover  # (B, 1, Tl, h, w)
    wanted = schedule.target(target, noise, steps)  # (B, 16, Tl, h, w)
    base = ((predicted - wanted).square() * weight).mean() / weight.mean()
    # What is wanted leads to the target, but for the part of a step that is not asked for.
    wrong = schedule.to_x0(predicted, noisy, steps) - schedule.to_x0(wanted, noisy, steps)  # (B, 16, Tl, h, w)
    tint = torch.einsum("kc,bcthw->bkthw", colours, wrong).square()  # (B, 3, Tl, h, w)
    colour = (tint * cover).sum() / (3 * cover.sum() + 1)
    return {"loss": base + config.colour * colour, "v": base.detach(), "colour": colour.detach()}


def own_answers(backbone: torch.nn.Module, schedule: Schedule, target: Tensor, conditions: Tensor,
                generator: torch.Generator, config: DiffusionObjective, palette: Tensor | None = None) -> Tensor | None:
    """`beneath` of `diffusion_loss`: the target, or what the network answers to noise alone.

    Arguments as there. The share of such answers is `config.own_answers`; None where that is 0.
    """
    if config.own_answers <= 0:
        return None
    picked = torch.rand(len(target), generator=generator, device=target.device) < config.own_answers  # (B,)
    noise = torch.randn(target.shape, generator=generator, device=target.device)
    asked = picked.clone()
    asked[0] |= not bool(picked.any())  # every process asks: of a network that is divided each needs the others' parts
    with torch.no_grad():
        answer = one_step(backbone, schedule, conditions[asked], noise[asked],
                          None if palette is None else palette[asked]).to(target)
    beneath = target.clone()  # (B, 16, Tl, h, w)
    beneath[asked] = answer
    return torch.where(picked[:, None, None, None, None], beneath, target)


def colour_map(latents: Tensor, video: Tensor) -> Tensor:
    """The linear map from latents to the mean colour of the cell that each stands for, by least squares.

    Args:
        latents: (B, C, Tl, h, w). video: (B, 3, T, 8h, 8w), what they were made of.

    Returns:
        (3, C). The constant is left out: what it is used for are differences.
    """
    padded = torch.cat([video[:, :, :1].expand(-1, -1, TIME - 1, -1, -1), video], 2)  # (B, 3, 4·Tl, H, W)
    means = F.avg_pool3d(padded, (TIME, 8, 8))  # (B, 3, Tl, h, w)
    x = latents.transpose(0, 1).flatten(1).T.double()  # (N, C)
    y = means.transpose(0, 1).flatten(1).T.double()  # (N, 3)
    x = torch.cat([x, torch.ones_like(x[:, :1])], 1)  # (N, C + 1)
    gram = x.T @ x
    gram += 1e-6 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    return torch.linalg.solve(gram, x.T @ y)[:-1].T.float()  # (3, C)


def one_step(backbone: torch.nn.Module, schedule: Schedule, conditions: Tensor, noise: Tensor,
             palette: Tensor | None = None) -> Tensor:
    """x0 as predicted from noise alone; (B, 16, Tl, h, w)."""
    steps = torch.full((len(noise),), schedule.last, device=noise.device)
    return schedule.to_x0(backbone(noise, conditions, steps, palette), noise, steps)  # (B, 16, Tl, h, w)
