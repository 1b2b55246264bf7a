"""The stages: which pictures each one sees, what it is asked for, how it is judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harmovid import config
from harmovid.data.augment import DegradeConfig, binary, degrade_light, disturb_mask, grade_scene, pseudo_alpha
from harmovid.data.dataset import CropConfig, Footage, ViewBatch
from harmovid.infer.framing import view_shape
from harmovid.infer.views import ViewSize
from harmovid.light.grade import linear_to_srgb, srgb_to_linear
from harmovid.model import checkpoint
from harmovid.model.backbone import Backbone
from harmovid.model.checkpoint import Model
from harmovid.model.codec import SPACE, TIME, CausalCodec, latent_frames
from harmovid.model.conditions import conditions, mask_channels
from harmovid.model.palette import palette
from harmovid.model.presets import Preset
from harmovid.model.schedule import Schedule
from harmovid.train.loop import Batch
from harmovid.train.objective import (
    CodecObjective,
    DiffusionObjective,
    codec_loss,
    colour_map,
    diffusion_loss,
    draw_steps,
    one_step,
)

_ASPECTS = (0.5, 0.65, 0.8, 1.0, 1.0, 1.25, 1.6)  # of training views; a person's box is seldom wider


@dataclass(frozen=True)
class Length:
    """Clips of so many frames, so many at a time, in this share of the batches.

    area: pixels of their views, about; None is the preset's. Small ones are cheap, and show light and colour without
        the detail by which footage can be learned by heart.
    """

    frames: int
    batch: int
    share: float
    area: int | None = None


@dataclass(frozen=True)
class CodecStage:
    """Settings of stage `codec`. flat: share of clips that are one flat colour or a ramp, so that white stays white."""

    lengths: tuple[Length, ...] = (Length(1, 64, 0.25), Length(17, 16, 0.75))
    crop: CropConfig = CropConfig()
    degraded: float = 0.3
    flat: float = 0.06
    objective: CodecObjective = field(default_factory=CodecObjective)


@dataclass(frozen=True)
class HarmonizeStage:
    """Settings of stage `harmonize`.

    scene: strongest grade of the whole scene, so that no clip has colours that could be learned by heart.
    recast: strongest change of the person alone, target and all: as another person, otherwise lit, in the same scene.
        Without it the people of the training footage are learned by heart, and a network that is sure of what it
        cannot know spoils what was right; with it, it departs from its input where the evidence is strong.
    placed: share of batches whose person comes as they were filmed, while the scene is graded by up to `setting`: an
        ordinary clip put into a night, a sunset, a stage, which is what users do.
    begun: share of batches whose windows begin in the middle of a clip, where the first latent stands for
        four frames as all others do.
    strided: share of batches that leave latents out, evenly, as an overview of a long clip does.
    soft, own: shares of masks that are pseudo-alpha, and as they were given; the others are binary.
    uncertain: standard deviation of noise on the palette, whose numbers are about 1 in size: exact ones tell people
        apart, and would be learned by heart.
    """

    lengths: tuple[Length, ...] = (Length(1, 96, 0.25), Length(21, 24, 0.6), Length(49, 12, 0.15))
    crop: CropConfig = CropConfig()
    degrade: DegradeConfig = DegradeConfig()
    scene: float = 0.45
    recast: float = 0.5
    placed: float = 0.4
    setting: float = 1.0
    begun: float = 0.5
    strided: float = 0.15
    soft: float = 0.4
    own: float = 0.3
    uncertain: float = 0.0
    objective: DiffusionObjective = field(default_factory=DiffusionObjective)


class _OnFootage:
    """What the stages share: random views of real footage, the same for the same batch number."""

    def __init__(self, preset: Preset, train: Footage, validation: Footage, lengths: tuple[Length, ...],
                 crop: CropConfig) -> None:
        self.preset, self.train, self.validation, self.crop = preset, train, validation, crop
        self.size = ViewSize(preset.view.area, preset.view.multiple, preset.view.overview)
        shares = np.array([length.share for length in lengths])
        self.lengths, self.shares = lengths, shares / shares.sum()

    def views(self, random: np.random.Generator) -> ViewBatch:
        """A batch of one length and one shape."""
        length = self.lengths[int(random.choice(len(self.lengths), p=self.shares))]
        size = replace(self.size, area=length.area or self.size.area)
        view = view_shape(float(random.choice(_ASPECTS)), size)
        return self.train.draw(length.batch, length.frames, view, random, self.crop)

    def generators(self, index: int, seed: int) -> tuple[np.random.Generator, torch.Generator]:
        """Random numbers that belong to one batch."""
        random = np.random.default_rng([seed, index])
        generator = torch.Generator(self.train.device)
        generator.manual_seed(int(random.integers(2**62)))
        return random, generator

    def held_out(self, frames: int = 17) -> Iterator[tuple[int, ViewBatch]]:
        """The validation footage as the straight path would frame it."""
        for index, take in enumerate(self.validation.takes):
            known = take.boxes[~np.isnan(take.boxes[:, 0])]
            side = known[:, 2:].max(0) - known[:, :2].min(0) if len(known) else np.ones(2)
            yield index, self.validation.steady(index, 1 if len(take.layers) == 1 else frames,
                                                view_shape(side[0] / side[1], self.size))


class Codec(_OnFootage):
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
        wrong = _over(degrade_light(picture, views.mask, DegradeConfig(), generator), plate, views.mask)
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
            clips.append(_psnr(back, views.picture))
            if views.picture.shape[2] > 5:
                ratio = (back.mean((1, 3, 4)) / views.picture.mean((1, 3, 4)))[0]
                first.append(float(ratio[0] / ratio[5]) - 1)
            rows.append(_tiles(views.picture, back))
        view = view_shape(1.0, self.size)
        white = codec.decode_raw(codec.encode_raw(torch.ones(1, 3, 17, *view, device=self.validation.device)))
        return {"psnr": float(np.mean(clips)), "psnr_worst": float(np.min(clips)),
                "white_off": float((white - 1).abs().max()), "first_frame_off": float(np.abs(first).max(initial=0.0)),
                "first_frame_mean": float(np.mean(first or [0.0]))}, _sheet(rows)

    def save(self, module: nn.Module, folder: Path, record: dict[str, Any]) -> None:
        """The codec alone, its latents' statistics measured on training footage."""
        codec = _codec(module)
        with torch.inference_mode():
            latents = [codec.encode_raw(self.batch(n, 1_000_003)["video"]) for n in range(12)]
        values = torch.cat([part.transpose(0, 1).flatten(1) for part in latents], 1).float()
        codec.scale_to(values.mean(1), values.std(1))
        codec.save_pretrained(folder)
        _write_record(folder, self.stage, record)


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


class Harmonize(_OnFootage):
    """Stage `harmonize`: the real clip from its own person in another light, on its own background."""

    name = "harmonize"

    def __init__(self, preset: Preset, codec: CausalCodec, train: Footage, validation: Footage,
                 stage: HarmonizeStage = HarmonizeStage(), seed: int = 0, backbone: Backbone | None = None) -> None:
        super().__init__(preset, train, validation, stage.lengths, stage.crop)
        torch.manual_seed(seed)
        self.stage = stage
        self.codec = codec.to(train.device).eval().requires_grad_(False)
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
        views = self.views(random)
        picture = views.picture
        if self.stage.recast:
            most = self.stage.recast
            other = DegradeConfig(untouched=0.15, shares=(0.85, 0, 0), strengths=(0, most, most, most), moving=0)
            picture = _over(degrade_light(picture, views.mask, other, generator), picture, views.mask)
        placed = random.random() < self.stage.placed
        target, plate, overview = grade_scene([picture, views.plate, views.overview], generator,
                                              self.stage.setting if placed else self.stage.scene)
        mask = self._mask(views.mask, random, generator)
        wrong = degrade_light(picture if placed else target, views.mask, self.stage.degrade, generator)
        batch = self.encoded(target, _over(wrong, plate, mask), plate, overview, mask)
        if batch["target"].shape[2] > 1 and random.random() < self.stage.begun:
            batch = _times(batch, slice(1, None))
        if batch["target"].shape[2] > 4 and random.random() < self.stage.strided:
            stride = int(random.integers(2, 4))
            batch = _times(batch, slice(None, None, stride))
        return batch

    @torch.no_grad()
    def encoded(self, target: Tensor, composite: Tensor, plate: Tensor, overview: Tensor, mask: Tensor) -> Batch:
        """Pixels to latents, all (B, ·, Tl, h, w), and the palette, (B, 141)."""
        cuda = target.device.type == "cuda"
        with torch.autocast(target.device.type, torch.bfloat16, enabled=cuda):
            latents = self.codec.encode(torch.cat([target, composite, plate])).float().chunk(3)
            whole = self.codec.encode(overview).float()
        return {"target": latents[0], "conditions": conditions(latents[1], latents[2], whole, mask),
                "cover": mask_channels(mask).mean(1, keepdim=True),
                "palette": palette(*(part[:, :, ::TIME] for part in (composite, plate, overview, mask))).mean(1)}

    def loss(self, module: nn.Module, batch: Batch, seed: int) -> dict[str, Tensor]:
        """Of `objective.diffusion_loss`."""
        target = batch["target"]
        generator = torch.Generator(target.device)
        generator.manual_seed(seed)
        noise = torch.randn(target.shape, generator=generator, device=target.device)
        steps = draw_steps(len(target), self.schedule, self.stage.objective, generator)
        told = batch["palette"]
        told = told + self.stage.uncertain * torch.randn(told.shape, generator=generator, device=told.device)
        return diffusion_loss(module, self.schedule, target, batch["conditions"], batch["cover"], noise, steps,
                              self.colours.to(target.device), self.stage.objective, told)

    def validate(self, module: nn.Module) -> tuple[dict[str, float], np.ndarray]:
        """Foreground PSNR of composite and result against the truth, all through the codec, and relight amplitude.

        Each held-out clip is degraded mildly, medium and strongly, the same way every time.
        """
        before, after, slopes, rows = [], [], [], []
        for index, views in self.held_out():
            for strength in (0.3, 0.7, 1.1):
                generator = torch.Generator(views.picture.device)
                generator.manual_seed(1000 * index + int(100 * strength))
                degrade = DegradeConfig(untouched=0, shares=(1, 0, 0), strengths=(strength, strength, 1, 1))
                wrong = degrade_light(views.picture, views.mask, degrade, generator)
                composite = _over(wrong, views.plate, views.mask)
                batch = self.encoded(views.picture, composite, views.plate, views.overview, views.mask)
                noise = torch.randn(batch["target"].shape, generator=generator, device=composite.device)
                result = one_step(module, self.schedule, batch["conditions"], noise, batch["palette"])
                # In [0, 1], all three through the codec: target, composite, ours.
                truth, plain, ours = (self.codec.decode(x).clamp(0, 1) for x in (
                    batch["target"], batch["conditions"][:, :16], result))
                before.append(_psnr(plain, truth, views.mask))
                after.append(_psnr(ours, truth, views.mask))
                slopes.append(_gains(plain, truth, ours, views.mask))
            if index % 4 == 0:
                rows.append(_tiles(plain, ours, truth))
        gain = np.array(after) - np.array(before)
        bands = np.digitize(before, [14, 19])
        moments = np.sum(slopes, 0)
        figures = {"psnr": float(np.mean(after)), "psnr_composite": float(np.mean(before)), "gain": float(gain.mean()),
                   "worse": float((gain < -0.5).mean()), "amplitude": float(moments[0] / moments[1])}
        for n, name in enumerate(("below_14", "14_to_19", "above_19")):
            if (bands == n).any():
                figures[f"gain_{name}"] = float(gain[bands == n].mean())
        return figures, _sheet(rows)

    def save(self, module: nn.Module, folder: Path, record: dict[str, Any]) -> None:
        """The whole model."""
        assert isinstance(module, Backbone)
        checkpoint.save(Model(self.preset, self.codec, module, self.schedule), folder, dtype=torch.float16)
        _write_record(folder, self.stage, record)

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


def _over(person: Tensor, plate: Tensor, mask: Tensor) -> Tensor:
    """(B, 3, T, H, W), display sRGB; light is mixed linear, as the straight path does."""
    return linear_to_srgb(torch.lerp(srgb_to_linear(plate), srgb_to_linear(person), mask))


def _noise(shape: tuple[int, ...], device: torch.device, seed: int) -> Tensor:
    generator = torch.Generator(device)
    generator.manual_seed(seed)
    return torch.randn(shape, generator=generator, device=device)


def _psnr(result: Tensor, truth: Tensor, mask: Tensor | None = None) -> float:
    weight = torch.ones_like(truth[:, :1]) if mask is None else (mask >= 0.5).float()
    error = ((result - truth).square() * weight).sum() / (3 * weight.sum()).clamp(min=1)
    return float(-10 * error.clamp(min=1e-10).log10())


def _gains(plain: Tensor, truth: Tensor, ours: Tensor, mask: Tensor) -> tuple[float, float]:
    """Moments of the log gains of 8 × 8 cells, ours on truth's: Σ truth·ours and Σ truth²; their ratio is the slope."""
    weight = torch.nn.functional.avg_pool3d(mask, (1, 8, 8))
    cells = [torch.nn.functional.avg_pool3d(srgb_to_linear(p) * mask, (1, 8, 8)) / weight.clamp(min=0.5) + 0.01
             for p in (plain, truth, ours)]
    inside = (weight > 0.9).float()
    wanted, got = ((c / cells[0]).log() * inside for c in cells[1:])
    return float((wanted * got).sum()), float(wanted.square().sum()) + 1e-9


def _times(batch: Batch, kept: slice) -> Batch:
    """Some latents of every clip; the palette is of the whole clip."""
    return {name: part if name == "palette" else part[:, :, kept] for name, part in batch.items()}


def _tiles(*clips: Tensor) -> np.ndarray:
    """(H, n·W, 3) uint8: the middle frame of each clip, side by side."""
    frames = [clip[0, :, clip.shape[2] // 2].permute(1, 2, 0).clamp(0, 1) for clip in clips]
    return (torch.cat(frames, 1) * 255).round().byte().cpu().numpy()


def _sheet(rows: list[np.ndarray]) -> np.ndarray:
    """Rows of different sizes, two side by side, on grey."""
    height, width = max(r.shape[0] for r in rows), max(r.shape[1] for r in rows)
    sheet = np.full(((len(rows) + 1) // 2 * height, 2 * width, 3), 96, np.uint8)
    for n, row in enumerate(rows):
        y, x = n // 2 * height, n % 2 * width
        sheet[y : y + row.shape[0], x : x + row.shape[1]] = row
    return sheet


def _write_record(folder: Path, stage: Any, record: dict[str, Any]) -> None:
    config.save(_Record(**record, settings=config.to_dict(stage)), folder / "training.json")


@dataclass(frozen=True)
class _Record:
    stage: str
    steps: int
    figures: dict[str, float]
    settings: dict[str, Any]
