"""Stage `harmonize`: the real clip from its own person in another light, on its own background."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from harmovid.data.augment import DegradeConfig, degrade_light
from harmovid.data.dataset import Footage, ViewBatch
from harmovid.data.misfit import MisfitConfig, over
from harmovid.model.backbone import Backbone
from harmovid.model.codec import CausalCodec
from harmovid.model.conditions import LATENT_CHANNELS
from harmovid.model.presets import Preset
from harmovid.model.tone import Tone
from harmovid.train.latents import LatentStage, OnLatents
from harmovid.train.loop import Batch
from harmovid.train.stages import contact_sheet, gain_figures, light_cells, psnr, tiles


@dataclass(frozen=True)
class HarmonizeStage(LatentStage):
    """Settings of stage `harmonize`, beside `LatentStage`'s.

    misfit: how the person's light is made wrong.
    dropout: share of samples that are told nothing of the background, neither latents nor palette.
    """

    misfit: MisfitConfig = field(default_factory=MisfitConfig)
    dropout: float = 0.0


class Harmonize(OnLatents):
    """The real clip from its own person in another light, on its own background."""

    name = "harmonize"
    stage: HarmonizeStage

    def __init__(self, preset: Preset, codec: CausalCodec, train: Footage, validation: Footage,
                 stage: HarmonizeStage = HarmonizeStage(), seed: int = 0, backbone: Backbone | None = None,
                 tone: Tone | None = None) -> None:
        super().__init__(preset, codec, train, validation, stage, seed, backbone, tone)

    def drawn(self, random: np.random.Generator, generator: torch.Generator) -> Batch:
        """People in a wrong light before their background; the palette, (B, 153), too."""
        drawn = self.misfits(self.stage.misfit, random, generator)
        mask = self.masks(drawn.mask, generator)
        batch = self.encoded(drawn.target, over(drawn.wrong, drawn.plate, mask), drawn.plate, drawn.overview, mask)
        if self.stage.dropout > 0:
            lost = torch.rand(len(mask), generator=generator, device=generator.device) < self.stage.dropout
            batch = _without_background(batch, lost)
        return batch

    def validate(self, module: nn.Module) -> tuple[dict[str, float], np.ndarray]:
        """Foreground PSNR of composite and result against the truth, all through the codec, and relight amplitude.

        Each held-out clip is degraded mildly, medium and strongly, the same way every time. People of the light stage
        have figures of their own.
        """
        figures, rows = self._figures(module, self._degraded())
        if self.validation.performances:
            relit, more = self._figures(module, self.held_out_relit())
            figures |= {f"relit_{name}": relit[name] for name in ("gain", "worse", "amplitude")}
            rows += more
        return figures, contact_sheet(rows)

    def _degraded(self) -> Iterator[tuple[ViewBatch, ViewBatch]]:
        """Held-out clips in a wrong light, and as they are."""
        for index, views in self.held_out():
            for strength in (0.3, 0.7, 1.1):
                generator = torch.Generator(views.picture.device)
                generator.manual_seed(1000 * index + int(100 * strength))
                degrade = DegradeConfig(untouched=0, shares=(1, 0, 0), strengths=(strength, strength, 1, 1))
                yield replace(views, picture=degrade_light(views.picture, views.mask, degrade, generator)), views

    def _figures(self, module: nn.Module,
                 pairs: Iterator[tuple[ViewBatch, ViewBatch]]) -> tuple[dict[str, float], list[np.ndarray]]:
        """Of people in a wrong light, each with what they are in their scene's."""
        before, after, slopes, rows = [], [], [], []
        for index, (wrong, right) in enumerate(pairs):
            composite = over(wrong.picture, right.plate, right.mask)
            batch = self.encoded(right.picture, composite, right.plate, right.overview, right.mask)
            plain, ours, truth = self.decoded(module, batch, composite, index)
            before.append(psnr(plain, truth, right.mask))
            after.append(psnr(ours, truth, right.mask))
            slopes.append(_gains(plain, truth, ours, right.mask))
            if index % 11 == 0:
                rows.append(tiles(plain, ours, truth))
        return gain_figures(before, after, slopes), rows


def _gains(plain: Tensor, truth: Tensor, ours: Tensor, mask: Tensor) -> tuple[float, float]:
    """Moments of the log gains of 8 × 8 cells, ours on truth's: Σ truth·ours and Σ truth²; their ratio is the slope."""
    cells, inside = light_cells(mask, plain, truth, ours)
    wanted, got = ((c / cells[0]).log() * inside for c in cells[1:])
    return float((wanted * got).sum()), float(wanted.square().sum()) + 1e-9


def _without_background(batch: Batch, lost: Tensor) -> Batch:
    """Nothing in the place of what (B,) `lost` samples were told of the background."""
    kept = ~lost
    told = batch["conditions"].clone()  # (B, 304, Tl, h, w)
    told[:, LATENT_CHANNELS : 3 * LATENT_CHANNELS] *= kept[:, None, None, None, None]
    return {**batch, "conditions": told, "palette": batch["palette"] * kept[:, None]}
