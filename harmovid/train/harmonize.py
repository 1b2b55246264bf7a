"""Stage `harmonize`, step 3 of the method: people in the light of their scene, from people in another.

It learns from pseudo-pairs by two paths, from the clip to the pair (Real→Synthetic: expressive light) and from the
pair to the clip (Synthetic→Real: steadiness, true boundaries), each told another kind of mask; and, where asked to,
from real footage degraded in light and from the light stage. The paths' own figures stand in `train/paths.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from harmovid.data.augment import DegradeConfig, degrade_light
from harmovid.data.dataset import Footage, ViewBatch
from harmovid.data.misfit import MisfitConfig, over
from harmovid.model.backbone import Backbone
from harmovid.model.codec import Codecs
from harmovid.model.conditions import LATENT_CHANNELS
from harmovid.model.presets import Preset
from harmovid.model.tone import Tone
from harmovid.train.latents import LatentStage, OnLatents
from harmovid.train.loop import Batch
from harmovid.train.paths import path_figures
from harmovid.train.stages import Look, Sources, contact_sheet, gain_figures, gain_moments, psnr, tiles


@dataclass(frozen=True)
class HarmonizeStage(LatentStage):
    """Settings of stage `harmonize`, beside `LatentStage`'s, whose soft and own are of sources that are no pairs.

    sources: what batches are of. misfit: how the person's light is made wrong.
    masks: of pseudo-pairs: binary towards the synthetic and pseudo-alpha towards the real (asymmetric), or one kind
        both ways.
    dropout: share of samples whose background's latents and palette are zeros; the composite still shows what lies
        around the person, whose tone has been told all.
    """

    sources: Sources = Sources()
    misfit: MisfitConfig = field(default_factory=MisfitConfig)
    masks: Literal["asymmetric", "binary", "alpha"] = "asymmetric"
    dropout: float = 0.0


class Harmonize(OnLatents):
    """People in the light of their scene, from people in another."""

    name = "harmonize"
    stage: HarmonizeStage

    def __init__(self, preset: Preset, codec: Codecs, train: Footage, validation: Footage,
                 stage: HarmonizeStage = HarmonizeStage(), seed: int = 0, backbone: Backbone | None = None,
                 tone: Tone | None = None) -> None:
        super().__init__(preset, codec, train, validation, stage, seed, backbone, tone)

    def drawn(self, random: np.random.Generator, generator: torch.Generator) -> Batch:
        """People in a wrong light before their background; the palette, (B, 153), too."""
        source, drawn = self.misfits(self.stage.sources, self.stage.misfit, random, generator)
        mask = self.masks(drawn.mask, generator, self._shares(source))
        batch = self.encoded(drawn.target, over(drawn.wrong, drawn.plate, mask), drawn.plate, drawn.overview, mask)
        if self.stage.dropout > 0:
            lost = torch.rand(len(mask), generator=generator, device=generator.device) < self.stage.dropout
            batch = _without_background(batch, lost)
        return batch

    def _shares(self, source: str) -> tuple[float, float] | None:
        """Of masks, as `masks` takes them."""
        if source not in ("real_to_synthetic", "synthetic_to_real"):
            return None
        kinds = {"binary": False, "alpha": True, "asymmetric": source == "synthetic_to_real"}
        return float(kinds[self.stage.masks]), 0.0

    def validate(self, module: nn.Module) -> tuple[dict[str, float], np.ndarray]:
        """Foreground PSNR of composite and result against the truth, all through the codec, and relight amplitude.

        Each held-out clip is degraded mildly, medium and strongly, the same way every time. People of the light stage
        have figures of their own, and so has each path of held-out pseudo-pairs.
        """
        figures, rows = self._figures(module, self._degraded())
        if self.validation.performances:
            lit = ((one.picture, other) for one, other in self.held_out_relit())
            relit, more = self._figures(module, lit)
            figures |= {f"relit_{name}": relit[name] for name in ("gain", "worse", "amplitude")}
            rows += more
        if self.validation.pairs:
            paired, more = path_figures(self.held_out_pairs(), partial(self.look, module))
            figures |= paired
            rows += more
        return figures, contact_sheet(rows)

    def _degraded(self) -> Iterator[tuple[Tensor, ViewBatch]]:
        """Held-out clips in a wrong light, and as they are."""
        for index, views in self.held_out():
            for strength in (0.3, 0.7, 1.1):
                generator = torch.Generator(views.picture.device)
                generator.manual_seed(1000 * index + int(100 * strength))
                degrade = DegradeConfig(untouched=0, shares=(1, 0, 0), strengths=(strength, strength, 1, 1))
                yield degrade_light(views.picture, views.mask, degrade, generator), views

    def _figures(self, module: nn.Module,
                 trials: Iterator[tuple[Tensor, ViewBatch]]) -> tuple[dict[str, float], list[np.ndarray]]:
        """Of people in a wrong light, each with what they are in their scene's."""
        before, after, slopes, rows = [], [], [], []
        for index, (wrong, right) in enumerate(trials):
            seen = self.look(module, wrong, right, right.mask, index)
            before.append(psnr(seen.plain, seen.truth, right.mask))
            after.append(psnr(seen.ours, seen.truth, right.mask))
            slopes.append(gain_moments(seen, right.mask))
            if index % 11 == 0:
                rows.append(tiles(*seen))
        return gain_figures(before, after, slopes), rows

    def look(self, module: nn.Module, wrong: Tensor, right: ViewBatch, mask: Tensor, seed: int) -> Look:
        """What the network makes of people in a wrong light.

        Args:
            wrong: (B, 3, T, H, W), the people. right: what they are to be, in its scene.
            mask: (B, 1, T, H, W), composites and conditions.
            seed: of the noise.
        """
        composite = over(wrong, right.plate, mask)
        batch = self.encoded(right.picture, composite, right.plate, right.overview, mask)
        return self.decoded(module, batch, composite, seed)


def _without_background(batch: Batch, lost: Tensor) -> Batch:
    """Nothing in the place of what (B,) `lost` samples were told of the background."""
    kept = ~lost
    told = batch["conditions"].clone()  # (B, 304, Tl, h, w)
    told[:, LATENT_CHANNELS : 3 * LATENT_CHANNELS] *= kept[:, None, None, None, None]
    return {**batch, "conditions": told, "palette": batch["palette"] * kept[:, None]}
