"""Few-step sampling of a diffusion model: functions over tensors that know no network.

DDIM (Song, Meng, Ermon, "Denoising Diffusion Implicit Models", ICLR 2021), between pairs of steps that are named
outright: diffusers' scheduler goes back by a fixed stride 1000 // n, which is wrong wherever n does not divide 1000.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise, zip_longest

import numpy as np
import torch
from torch import Tensor

from harmovid.model.schedule import Schedule

Predict = Callable[[Tensor, int, int], Tensor]
"""(noisy (B, C, Tl, h, w), timestep, number of the step) → the network's prediction, of the same shape."""


def draw(shape: Sequence[int], generator: torch.Generator, device: torch.device | str = "cpu") -> Tensor:
    """Gaussian noise (B, C, Tl, h, w), float32, drawn one latent frame after the other.

    So the noise of a frame does not depend on how many follow: a clip and its beginning share theirs. It is drawn on
    the generator's device, the processor as a rule, so that the same seed gives the same noise on every machine.
    """
    batch, channels, frames, height, width = shape
    planes = [torch.randn((batch, channels, height, width), generator=generator, device=generator.device)
              for _ in range(frames)]
    return torch.stack(planes, 2).to(device)  # (B, C, Tl, h, w)


def generators(seed: int, start: int) -> tuple[torch.Generator, torch.Generator]:
    """Of the noise to begin from and of the steps' own, for the frames of a clip that are sampled from `start` on.

    They are two, for the steps' noise must not depend on for how many frames was drawn before.
    """
    first, later = (torch.Generator().manual_seed(int(state) >> 1)
                    for state in np.random.SeedSequence([seed, start]).generate_state(2, np.uint64))
    return first, later


@torch.no_grad()
def sample(predict: Predict, noise: Tensor, timesteps: Tensor | Sequence[int], schedule: Schedule, eta: float = 0.0,
           generator: torch.Generator | None = None, progress: Callable[[int, int], None] | None = None,
           temperature: float = 1.0) -> Tensor:
    """From noise to latents.

    A step from t to s, with x0 and ε as the prediction at t has them (equations 12 and 16 of the paper):

        x_s = √ᾱ_s x0 + √(1 − ᾱ_s − σ²) ε + τ σ z,    σ = η √((1 − ᾱ_s) / (1 − ᾱ_t)) √(1 − ᾱ_t / ᾱ_s)

    Written as noise, √(1 − ᾱ_s) (√(1 − r²) ε + τ r z) with r = σ / √(1 − ᾱ_s). The last step gives x0 itself. With one
    step and zero terminal SNR that is −v, whatever lies between in the schedule.

    Args:
        predict: the network, or a `multidiffusion.MultiDiffusion` around it.
        noise: (B, C, Tl, h, w), from `draw`.
        timesteps: falling, the first as noisy as `noise`: `schedule.timesteps(n)`.
        eta: 0 for the deterministic sampler, 1 for one as random as ancestral sampling.
        generator: where eta > 0, gives each step noise z of its own; see `draw`.
        progress: told after each step: steps done, steps in all.
        temperature: τ, 1 in the paper; below it answers differ less, and a small network leaves less noise in them.

    Returns:
        (B, C, Tl, h, w), x0.
    """
    assert 0 <= eta <= 1 and (eta == 0 or generator is not None), "eta is 0 to 1, and above 0 needs a generator"
    steps = [int(t) for t in timesteps]
    assert steps and all(t > s >= 0 for t, s in pairwise(steps)), f"steps must fall: {steps}"
    # A seed for each step: the noise of a step must not depend on how many frames the steps before drew for.
    seeds = []
    if eta > 0 and generator is not None:
        seeds = torch.randint(2**62, (len(steps),), generator=generator, device=generator.device).tolist()
    noisy = noise  # (B, C, Tl, h, w)
    for step, (t, s) in enumerate(zip_longest(steps, steps[1:])):
        prediction = predict(noisy, t, step)  # (B, C, Tl, h, w)
        x0 = schedule.to_x0(prediction, noisy, t)  # (B, C, Tl, h, w)
        if s is None:
            noisy = x0
        else:
            left = schedule.to_noise(prediction, noisy, t)  # (B, C, Tl, h, w)
            if eta > 0:
                fresh = draw(noise.shape, torch.Generator().manual_seed(seeds[step]), noise.device)
                share = eta * _renewed(schedule, t, s)
                left = (1 - share**2) ** 0.5 * left + temperature * share * fresh  # (B, C, Tl, h, w)
            noisy = schedule.add_noise(x0, left, s)  # (B, C, Tl, h, w)
        if progress is not None:
            progress(step + 1, len(steps))
    return noisy


def _renewed(schedule: Schedule, t: int, s: int) -> float:
    """r of `sample` at η = 1: √((1 − ᾱ_t / ᾱ_s) / (1 − ᾱ_t)), 1 from pure noise."""
    at, earlier = float(schedule.alphas_cumprod[t]), float(schedule.alphas_cumprod[s])
    return min(1.0, ((1 - at / earlier) / (1 - at)) ** 0.5)
