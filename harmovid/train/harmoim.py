"""Stage `harmoim`: the harmonizer of single frames, which makes the pseudo-pairs that video is learned from."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from harmovid.data.misfit import MisfitConfig
from harmovid.infer.sampler import sample
from harmovid.train.harmonize import Harmonize, HarmonizeStage
from harmovid.train.loop import Batch
from harmovid.train.objective import DiffusionObjective
from harmovid.train.stages import Length, Sources


@dataclass(frozen=True)
class HarmoimStage(HarmonizeStage):
    """Settings of stage `harmoim`: as `HarmonizeStage`'s, with others to begin with.

    It is to be expressive: half of its batches are people of the light stage in another light, few of them in the
    right one; and as it is sampled in steps, all steps are trained alike.
    """

    lengths: tuple[Length, ...] = (Length(1, 96, 1.0),)
    sources: Sources = Sources(real_to_synthetic=0, synthetic_to_real=0, misfit=0.5, relit=0.5)
    misfit: MisfitConfig = field(default_factory=lambda: MisfitConfig(same=0.1))
    dropout: float = 0.1
    objective: DiffusionObjective = field(default_factory=lambda: DiffusionObjective(last=0.1))


class Harmoim(Harmonize):
    """One frame of a clip or photo, or of a performance of the light stage, from its own person in another light."""

    name = "harmoim"

    @torch.no_grad()
    def answer(self, module: nn.Module, batch: Batch, noise: Tensor) -> Tensor:
        """Sampled as it will be: in the preset's steps, as random as the preset says. (B, 16, 1, h, w)."""
        def predict(noisy: Tensor, t: int, step: int) -> Tensor:
            steps = torch.full((len(noisy),), t, device=noisy.device)
            return module(noisy, batch["conditions"], steps, batch["palette"])  # (B, 16, 1, h, w)

        steps = self.schedule.timesteps(self.preset.steps)
        return sample(predict, noise, steps, self.schedule, self.preset.eta, torch.Generator().manual_seed(0),
                      temperature=self.preset.temperature)
