"""What the stages share that train the transformer: latents of a frozen codec, the mask's kinds, loss and answer."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harmovid.data.augment import binary, disturb_mask, pseudo_alpha
from harmovid.data.dataset import CropConfig, Footage
from harmovid.errors import OptionError
from harmovid.model import checkpoint
from harmovid.model.backbone import Backbone
from harmovid.model.checkpoint import Model
from harmovid.model.codec import TIME, CausalCodec, Codecs, latent_frames
from harmovid.model.conditions import conditions, mask_channels
from harmovid.model.palette import palette
from harmovid.model.presets import Preset
from harmovid.model.schedule import Schedule
from harmovid.model.tone import Tone, toned
from harmovid.train import lora
from harmovid.train.loop import Batch
from harmovid.train.objective import DiffusionObjective, colour_map, diffusion_loss, draw_steps, one_step, own_answers
from harmovid.train.stages import Length, Look, OnFootage, write_record


@dataclass(frozen=True)
class LatentStage:
    """Settings of every stage that trains the transformer.

    begun: share of batches whose windows begin in the middle of a clip, where the first latent stands for
        four frames as all others do.
    strided: share of batches that leave latents out, evenly, as an overview of a long clip does.
    soft, own: shares of masks that are pseudo-alpha, and as they were given; the others are binary.
    lora: rank of what is trained beside the attention's weights, which then stay; 0 trains all of the network.
    checkpointing: keep no activations inside the blocks: far less memory, a third more time.
    """

    lengths: tuple[Length, ...] = (Length(1, 96, 0.25), Length(21, 24, 0.6), Length(49, 12, 0.15))
    crop: CropConfig = CropConfig()
    begun: float = 0.5
    strided: float = 0.15
    soft: float = 0.4
    own: float = 0.3
    lora: int = 0
    checkpointing: bool = False
    objective: DiffusionObjective = field(default_factory=DiffusionObjective)


class OnLatents(OnFootage):
    """A stage that trains the transformer on what `drawn` makes of footage.

    Args:
        backbone: where the transformer begins; a fresh one where None.
        tone: what tones composites, where the preset has one.
    """

    name: str
    stage: LatentStage

    def __init__(self, preset: Preset, codec: Codecs, train: Footage, validation: Footage, stage: LatentStage,
                 seed: int = 0, backbone: Backbone | None = None, tone: Tone | None = None) -> None:
        assert (tone is None) == (preset.tone is None), f"{preset.name} and what was given disagree about a tone"
        super().__init__(preset, train, validation, stage.lengths, stage.crop)
        torch.manual_seed(seed)
        self.stage = stage
        for length in stage.lengths:
            if latent_frames(length.frames) % self.together:
                raise OptionError(f"clips of {length.frames} frames make {latent_frames(length.frames)} latents, and "
                                  f"{preset.name} takes {self.together} at a time; set stage.lengths to 8k + 5 frames")
        self.codec = codec.to(train.device).eval().requires_grad_(False)
        self.tone = None if tone is None else tone.to(train.device).eval().requires_grad_(False)
        if train.device.type == "cuda" and isinstance(self.codec, CausalCodec):  # CogVideoX's has three dimensions
            self.codec.to(memory_format=torch.channels_last)
        self.schedule = Schedule(preset.schedule).to(train.device)
        made = backbone or Backbone.from_config(preset.transformer, self.schedule)
        if stage.lora:
            lora.adapt(made, stage.lora)
        if stage.checkpointing:
            made.enable_gradient_checkpointing()
        self.module: nn.Module = made
        with torch.no_grad():
            views = self.views(np.random.default_rng(0))
            self.colours = colour_map(self.codec.encode(views.picture), views.picture)

    @abstractmethod
    def drawn(self, random: np.random.Generator, generator: torch.Generator) -> Batch:
        """The latents of a batch, as `encoded` gives them."""

    def batch(self, index: int, seed: int) -> Batch:
        """Latents of target and conditions; windows may begin in the middle of a clip."""
        random, generator = self.generators(index, seed)
        batch = self.drawn(random, generator)
        if batch["target"].shape[2] > self.together and random.random() < self.stage.begun:
            batch = _times(batch, slice(1, None))
        if batch["target"].shape[2] > 4 and random.random() < self.stage.strided:
            stride = int(random.integers(2, 4))
            batch = _times(batch, slice(None, None, stride))
        count = batch["target"].shape[2]
        return _times(batch, slice(count - count % self.together)) if count % self.together else batch

    @torch.no_grad()
    def encoded(self, target: Tensor, composite: Tensor, plate: Tensor, overview: Tensor, mask: Tensor) -> Batch:
        """Pixels to latents, all (B, ·, Tl, h, w), and the palette, (B, 153); the composite is toned first.

        Where the preset says that the network is not told the background, plate and overview go unread, and there is
        no palette.
        """
        def told() -> Tensor:
            return palette(*(part[:, :, ::TIME] for part in (composite, plate, overview, mask))).mean(1)  # (B, 153)

        if self.tone is not None:
            composite = toned(composite, mask, *self.tone.curves(told()))
        aware = self.preset.background
        with torch.autocast(target.device.type, torch.bfloat16, enabled=target.device.type == "cuda"):
            pictures = [target, composite, plate] if aware else [target, composite]
            latents = self.codec.encode(torch.cat(pictures)).float().chunk(len(pictures))
            whole = self.codec.encode(overview).float() if aware else None
        batch = {"target": latents[0], "conditions": conditions(latents[1], latents[2] if aware else None, whole, mask),
                 "cover": mask_channels(mask).mean(1, keepdim=True)}
        return {**batch, "palette": told()} if aware else batch

    def loss(self, module: nn.Module, batch: Batch, seed: int) -> dict[str, Tensor]:
        """Of `objective.diffusion_loss`."""
        target = batch["target"]
        generator = torch.Generator(target.device)
        generator.manual_seed(seed)
        noise = torch.randn(target.shape, generator=generator, device=target.device)
        config, palettes = self.stage.objective, batch.get("palette")
        steps = draw_steps(len(target), self.schedule, config, generator)
        beneath = own_answers(module, self.schedule, target, batch["conditions"], generator, config, palettes)
        return diffusion_loss(module, self.schedule, target, batch["conditions"], batch["cover"], noise, steps,
                              self.colours.to(target.device), config, palettes, beneath)

    def answer(self, module: nn.Module, batch: Batch, noise: Tensor) -> Tensor:
        """What validation takes for the network's answer, (B, 16, Tl, h, w)."""
        return one_step(module, self.schedule, batch["conditions"], noise, batch.get("palette"))

    def decoded(self, module: nn.Module, batch: Batch, composite: Tensor, seed: int) -> Look:
        """Composite, answer and truth, all three through the codec.

        composite: (B, 3, T, H, W), untoned. seed: of the noise.
        """
        generator = torch.Generator(composite.device)
        generator.manual_seed(seed)
        noise = torch.randn(batch["target"].shape, generator=generator, device=composite.device)
        result = self.answer(module, batch, noise)
        return Look(*(self.codec.decode(x).clamp(0, 1) for x in (self.codec.encode(composite), result,
                                                                 batch["target"])))

    def save(self, module: nn.Module, folder: Path, record: dict[str, Any]) -> None:
        """The whole model."""
        assert isinstance(module, Backbone)
        network = lora.merged(module) if self.stage.lora else module
        checkpoint.save(Model(self.preset, self.codec, network, self.schedule, self.tone), folder, dtype=torch.float16)
        write_record(folder, self.stage, record)

    def masks(self, given: Tensor, generator: torch.Generator, shares: tuple[float, float] | None = None) -> Tensor:
        """(B, 1, T, H, W): given, binary or pseudo-alpha, now and then from a worse hand.

        shares: of masks that are pseudo-alpha, and as they were given; the stage's where None.
        """
        soft, own = shares or (self.stage.soft, self.stage.own)
        count = len(given)
        pick = torch.rand(count, generator=generator, device=generator.device)[:, None, None, None, None]
        disturbed = disturb_mask(given, generator)
        width = torch.rand(count, generator=generator, device=generator.device) * 3 + 0.5
        hard = binary(disturbed)
        alpha = pseudo_alpha(hard, width, widest=4.0)
        return torch.where(pick < own, given, torch.where(pick < own + soft, alpha, hard))


def _times(batch: Batch, kept: slice) -> Batch:
    """Some latents of every clip; the palette is of the whole clip."""
    return {name: part if name == "palette" else part[:, :, kept] for name, part in batch.items()}
