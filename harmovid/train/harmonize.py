"""Stage `harmonize`: the real clip from its own person in another light, on its own background."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harmovid.data.augment import DegradeConfig, binary, degrade_light, disturb_mask, pseudo_alpha
from harmovid.data.dataset import CropConfig, Footage, ViewBatch
from harmovid.data.misfit import MisfitConfig, over
from harmovid.light.grade import srgb_to_linear
from harmovid.model import checkpoint
from harmovid.model.backbone import Backbone
from harmovid.model.checkpoint import Model
from harmovid.model.codec import TIME, CausalCodec
from harmovid.model.conditions import LATENT_CHANNELS, conditions, mask_channels
from harmovid.model.palette import palette
from harmovid.model.presets import Preset
from harmovid.model.schedule import Schedule
from harmovid.model.tone import Tone, toned
from harmovid.train.loop import Batch
from harmovid.train.objective import DiffusionObjective, colour_map, diffusion_loss, draw_steps, one_step
from harmovid.train.stages import Length, OnFootage, contact_sheet, gain_figures, psnr, tiles, write_record


@dataclass(frozen=True)
class HarmonizeStage:
    """Settings of stage `harmonize`.

    misfit: how the person's light is made wrong.
    begun: share of batches whose windows begin in the middle of a clip, where the first latent stands for
        four frames as all others do.
    strided: share of batches that leave latents out, evenly, as an overview of a long clip does.
    soft, own: shares of masks that are pseudo-alpha, and as they were given; the others are binary.
    dropout: share of samples that are told nothing of the background, neither latents nor palette.
    """

    lengths: tuple[Length, ...] = (Length(1, 96, 0.25), Length(21, 24, 0.6), Length(49, 12, 0.15))
    crop: CropConfig = CropConfig()
    misfit: MisfitConfig = field(default_factory=MisfitConfig)
    begun: float = 0.5
    strided: float = 0.15
    soft: float = 0.4
    own: float = 0.3
    dropout: float = 0.0
    objective: DiffusionObjective = field(default_factory=DiffusionObjective)


class Harmonize(OnFootage):
    """The real clip from its own person in another light, on its own background."""

    name = "harmonize"

    def __init__(self, preset: Preset, codec: CausalCodec, train: Footage, validation: Footage,
                 stage: HarmonizeStage = HarmonizeStage(), seed: int = 0, backbone: Backbone | None = None,
                 tone: Tone | None = None) -> None:
        assert (tone is None) == (preset.tone is None), f"{preset.name} and what was given disagree about a tone"
        super().__init__(preset, train, validation, stage.lengths, stage.crop)
        torch.manual_seed(seed)
        self.stage = stage
        self.codec = codec.to(train.device).eval().requires_grad_(False)
        self.tone = None if tone is None else tone.to(train.device).eval().requires_grad_(False)
        if train.device.type == "cuda":
            self.codec.to(memory_format=torch.channels_last)
        self.schedule = Schedule(preset.schedule).to(train.device)
        self.module: nn.Module = backbone or Backbone.from_config(preset.transformer, self.schedule)
        with torch.no_grad():
            views = self.views(np.random.default_rng(0))
            self.colours = colour_map(self.codec.encode(views.picture), views.picture)

    def batch(self, index: int, seed: int) -> Batch:
        """Latents of target and conditions; windows may begin in the middle of a clip."""
        random, generator = self.generators(index, seed)
        drawn = self.misfits(self.stage.misfit, random, generator)
        mask = self._mask(drawn.mask, random, generator)
        batch = self.encoded(drawn.target, over(drawn.wrong, drawn.plate, mask), drawn.plate, drawn.overview, mask)
        if self.stage.dropout > 0:
            lost = torch.rand(len(mask), generator=generator, device=generator.device) < self.stage.dropout
            batch = _without_background(batch, lost)
        if batch["target"].shape[2] > 1 and random.random() < self.stage.begun:
            batch = _times(batch, slice(1, None))
        if batch["target"].shape[2] > 4 and random.random() < self.stage.strided:
            stride = int(random.integers(2, 4))
            batch = _times(batch, slice(None, None, stride))
        return batch

    @torch.no_grad()
    def encoded(self, target: Tensor, composite: Tensor, plate: Tensor, overview: Tensor, mask: Tensor) -> Batch:
        """Pixels to latents, all (B, ·, Tl, h, w), and the palette, (B, 153); the composite is toned first."""
        def told() -> Tensor:
            return palette(*(part[:, :, ::TIME] for part in (composite, plate, overview, mask))).mean(1)  # (B, 153)

        if self.tone is not None:
            composite = toned(composite, mask, *self.tone.curves(told()))
        cuda = target.device.type == "cuda"
        with torch.autocast(target.device.type, torch.bfloat16, enabled=cuda):
            latents = self.codec.encode(torch.cat([target, composite, plate])).float().chunk(3)
            whole = self.codec.encode(overview).float()
        return {"target": latents[0], "conditions": conditions(latents[1], latents[2], whole, mask),
                "cover": mask_channels(mask).mean(1, keepdim=True),
                "palette": told()}

    def loss(self, module: nn.Module, batch: Batch, seed: int) -> dict[str, Tensor]:
        """Of `objective.diffusion_loss`."""
        target = batch["target"]
        generator = torch.Generator(target.device)
        generator.manual_seed(seed)
        noise = torch.randn(target.shape, generator=generator, device=target.device)
        steps = draw_steps(len(target), self.schedule, self.stage.objective, generator)
        return diffusion_loss(module, self.schedule, target, batch["conditions"], batch["cover"], noise, steps,
                              self.colours.to(target.device), self.stage.objective, batch["palette"])

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
            generator = torch.Generator(composite.device)
            generator.manual_seed(index)
            noise = torch.randn(batch["target"].shape, generator=generator, device=composite.device)
            result = self.answer(module, batch, noise)
            # In [0, 1], all three through the codec: target, composite, ours.
            truth, plain, ours = (self.codec.decode(x).clamp(0, 1) for x in (
                batch["target"], self.codec.encode(composite), result))
            before.append(psnr(plain, truth, right.mask))
            after.append(psnr(ours, truth, right.mask))
            slopes.append(_gains(plain, truth, ours, right.mask))
            if index % 11 == 0:
                rows.append(tiles(plain, ours, truth))
        return gain_figures(before, after, slopes), rows

    def answer(self, module: nn.Module, batch: Batch, noise: Tensor) -> Tensor:
        """What validation takes for the network's answer, (B, 16, Tl, h, w)."""
        return one_step(module, self.schedule, batch["conditions"], noise, batch["palette"])

    def save(self, module: nn.Module, folder: Path, record: dict[str, Any]) -> None:
        """The whole model."""
        assert isinstance(module, Backbone)
        checkpoint.save(Model(self.preset, self.codec, module, self.schedule, self.tone), folder, dtype=torch.float16)
        write_record(folder, self.stage, record)

    def _mask(self, given: Tensor, random: np.random.Generator, generator: torch.Generator) -> Tensor:
        """(B, 1, T, H, W): given, binary or pseudo-alpha, now and then from a worse hand."""
        count = len(given)
        pick = torch.rand(count, generator=generator, device=generator.device)[:, None, None, None, None]
        disturbed = disturb_mask(given, generator)
        width = torch.rand(count, generator=generator, device=generator.device) * 3 + 0.5
        hard = binary(disturbed)
        soft = pseudo_alpha(hard, width, widest=4.0)
        return torch.where(pick < self.stage.own, given,
                           torch.where(pick < self.stage.own + self.stage.soft, soft, hard))


def _gains(plain: Tensor, truth: Tensor, ours: Tensor, mask: Tensor) -> tuple[float, float]:
    """Moments of the log gains of 8 × 8 cells, ours on truth's: Σ truth·ours and Σ truth²; their ratio is the slope."""
    weight = torch.nn.functional.avg_pool3d(mask, (1, 8, 8))
    cells = [torch.nn.functional.avg_pool3d(srgb_to_linear(p) * mask, (1, 8, 8)) / weight.clamp(min=0.5) + 0.01
             for p in (plain, truth, ours)]
    inside = (weight > 0.9).float()
    wanted, got = ((c / cells[0]).log() * inside for c in cells[1:])
    return float((wanted * got).sum()), float(wanted.square().sum()) + 1e-9


def _without_background(batch: Batch, lost: Tensor) -> Batch:
    """Nothing in the place of what (B,) `lost` samples were told of the background."""
    kept = ~lost
    told = batch["conditions"].clone()  # (B, 304, Tl, h, w)
    told[:, LATENT_CHANNELS : 3 * LATENT_CHANNELS] *= kept[:, None, None, None, None]
    return {**batch, "conditions": told, "palette": batch["palette"] * kept[:, None]}


def _times(batch: Batch, kept: slice) -> Batch:
    """Some latents of every clip; the palette is of the whole clip."""
    return {name: part if name == "palette" else part[:, :, kept] for name, part in batch.items()}
