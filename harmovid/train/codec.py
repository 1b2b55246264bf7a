"""Stage `codec`: video through latents and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harmovid import config
from harmovid.data.augment import DegradeConfig, degrade_light, grade_scene
from harmovid.data.dataset import CropConfig, Footage
from harmovid.data.misfit import over
from harmovid.infer.framing import view_shape
from harmovid.model.codec import SPACE, CausalCodec, latent_frames
from harmovid.model.presets import Preset
from harmovid.train.loop import Batch
from harmovid.train.objective import CodecObjective, codec_loss
from harmovid.train.stages import Length, OnFootage, contact_sheet, psnr, tiles, write_record


@dataclass(frozen=True)
class CodecStage:
    """Settings of stage `codec`. flat: share of clips that are one flat colour or a ramp, so that white stays white."""

    lengths: tuple[Length, ...] = (Length(1, 64, 0.25), Length(17, 16, 0.75))
    crop: CropConfig = CropConfig()
    degraded: float = 0.3
    flat: float = 0.06
    objective: CodecObjective = field(default_factory=CodecObjective)


class Codec(OnFootage):
    """Stage `codec`: video through latents and back."""

    name = "codec"

    def __init__(self, preset: Preset, train: Footage, validation: Footage,
                 stage: CodecStage = CodecStage(), seed: int = 0) -> None:
        super().__init__(preset, train, validation, stage.lengths, stage.crop)
        assert preset.codec is not None, f"{preset.name} has a published codec, which is not trained here"
        torch.manual_seed(seed)
        self.stage, self.channels = stage, preset.codec.latent_channels
        self.module: nn.Module = _CodecLoss(CausalCodec(**config.to_dict(preset.codec)), stage.objective)

    def batch(self, index: int, seed: int) -> Batch:
        """Pictures of all kinds that the codec will meet: real ones, degraded ones on plates, flat colours."""
        random, generator = self.generators(index, seed)
        views = self.views(random)
        picture, plate, _ = grade_scene([views.picture, views.plate, views.overview], generator)
        count = len(picture)
        wrong = over(degrade_light(picture, views.mask, DegradeConfig(), generator), plate, views.mask)
        pick = torch.rand(count, generator=generator, device=generator.device)[:, None, None, None, None]
        video = torch.where(pick < self.stage.degraded, wrong, picture)
        ends = torch.rand(2, count, 3, 1, 1, 1, generator=generator, device=generator.device) * 1.4 - 0.2
        ramp = torch.linspace(0, 1, picture.shape[-1], device=picture.device)
        flat = torch.where(pick > 1 - self.stage.flat / 2, ends[0], torch.lerp(ends[0], ends[1], ramp)).clamp(0, 1)
        video = torch.where(pick > 1 - self.stage.flat, flat.expand_as(video), video)
        return {"video": video}

    def loss(self, module: nn.Module, batch: Batch, seed: int) -> dict[str, Tensor]:
        """Of `objective.codec_loss`."""
        video = batch["video"]
        count, _, frames, height, width = video.shape
        shape = count, self.channels, latent_frames(frames), height // SPACE, width // SPACE
        return module(video, _noise(shape, video.device, seed))

    def validate(self, module: nn.Module) -> tuple[dict[str, float], np.ndarray]:
        """PSNR on held-out clips, white, and the first frame's brightness against the sixth's."""
        codec = _codec(module)
        clips, first, rows = [], [], []
        for _, views in self.held_out():
            back = codec.decode_raw(codec.encode_raw(views.picture)).clamp(0, 1)
            clips.append(psnr(back, views.picture))
            if views.picture.shape[2] > 5:
                ratio = (back.mean((1, 3, 4)) / views.picture.mean((1, 3, 4)))[0]
                first.append(float(ratio[0] / ratio[5]) - 1)
            rows.append(tiles(views.picture, back))
        view = view_shape(1.0, self.size)
        white = codec.decode_raw(codec.encode_raw(torch.ones(1, 3, 17, *view, device=self.validation.device)))
        return {"psnr": float(np.mean(clips)), "psnr_worst": float(np.min(clips)),
                "white_off": float((white - 1).abs().max()), "first_frame_off": float(np.abs(first).max(initial=0.0)),
                "first_frame_mean": float(np.mean(first or [0.0]))}, contact_sheet(rows)

    def save(self, module: nn.Module, folder: Path, record: dict[str, Any]) -> None:
        """The codec alone, its latents' statistics measured on training footage."""
        codec = _codec(module)
        with torch.inference_mode():
            latents = [codec.encode_raw(self.batch(n, 1_000_003)["video"]) for n in range(12)]
        values = torch.cat([part.transpose(0, 1).flatten(1) for part in latents], 1).float()
        codec.scale_to(values.mean(1), values.std(1))
        codec.save_pretrained(folder)
        write_record(folder, self.stage, record)


class _CodecLoss(nn.Module):
    """The codec with its loss as forward, which is what the loop wraps."""

    def __init__(self, codec: CausalCodec, objective: CodecObjective) -> None:
        super().__init__()
        self.codec, self.objective = codec, objective

    def forward(self, video: Tensor, noise: Tensor) -> dict[str, Tensor]:
        return codec_loss(self.codec, video, noise, self.objective)


def _codec(module: nn.Module) -> CausalCodec:
    assert isinstance(module, _CodecLoss)
    return module.codec


def _noise(shape: tuple[int, ...], device: torch.device, seed: int) -> Tensor:
    generator = torch.Generator(device)
    generator.manual_seed(seed)
    return torch.randn(shape, generator=generator, device=device)
