"""What the stages share: views of real footage, the same for the same batch number; how results are shown and kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harmovid import config
from harmovid.data.dataset import CropConfig, Footage, ViewBatch
from harmovid.data.misfit import Misfit, MisfitConfig, misfit, relit, to_real, to_synthetic
from harmovid.data.takes import Take
from harmovid.errors import OptionError
from harmovid.infer.framing import view_shape
from harmovid.infer.views import ViewSize
from harmovid.light.grade import srgb_to_linear
from harmovid.model.codec import TIME, latent_frames
from harmovid.model.presets import Preset

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
class Sources:
    """What batches are of, by shares: those that there is nothing of are left out, and the others' sum counts as one.

    The paper's own recipe is the two paths alone.

    real_to_synthetic: pseudo-pairs as they were made: people as filmed, to be lit by another background.
    synthetic_to_real: pseudo-pairs back: people as relit, to be as they were filmed.
    misfit: real footage, its person's light changed. relit: people of the light stage in another light.
    """

    real_to_synthetic: float = 0.3
    synthetic_to_real: float = 0.3
    misfit: float = 0.34
    relit: float = 0.06


class OnFootage:
    """What the stages share: random views of real footage, the same for the same batch number."""

    def __init__(self, preset: Preset, train: Footage, validation: Footage, lengths: tuple[Length, ...],
                 crop: CropConfig) -> None:
        self.preset, self.train, self.validation, self.crop = preset, train, validation, crop
        self.together = preset.transformer.patch_size_t or 1  # latents that the transformer takes at a time
        self.size = ViewSize(preset.view.area, preset.view.multiple, preset.view.overview)
        shares = np.array([length.share for length in lengths])
        self.lengths, self.shares = lengths, shares / shares.sum()

    def views(self, random: np.random.Generator, footage: Footage | None = None) -> ViewBatch:
        """A batch of one length and one shape, of the training footage where nothing else is given."""
        return (footage or self.train).draw(*self._shape(random), random, self.crop)

    def misfits(self, sources: Sources, config: MisfitConfig, random: np.random.Generator, generator: torch.Generator,
                footage: Footage | None = None, crop: CropConfig | None = None) -> tuple[str, Misfit]:
        """A batch of people in a wrong light, and the source that it is of, a field of `Sources`.

        footage, crop: of training, where nothing else is given.
        """
        footage, crop = footage or self.train, crop or self.crop
        shape, source = self._shape(random), _source(sources, footage, random)
        if source == "relit":
            return source, relit(*footage.draw_relit(*shape, random, crop, config.same), config, generator)
        if source == "misfit":
            return source, misfit(footage.draw(*shape, random, crop), config, random, generator)
        way = to_synthetic if source == "real_to_synthetic" else to_real
        return source, way(*footage.draw_pairs(*shape, random, crop), config, generator)

    def _shape(self, random: np.random.Generator) -> tuple[int, int, tuple[int, int]]:
        """Of a batch: how many, of how many frames, (height, width)."""
        length = self.lengths[int(random.choice(len(self.lengths), p=self.shares))]
        size = replace(self.size, area=length.area or self.size.area)
        return length.batch, length.frames, view_shape(float(random.choice(_ASPECTS)), size)

    def generators(self, index: int, seed: int) -> tuple[np.random.Generator, torch.Generator]:
        """Random numbers that belong to one batch."""
        random = np.random.default_rng([seed, index])
        generator = torch.Generator(self.train.device)
        generator.manual_seed(int(random.integers(2**62)))
        return random, generator

    def held_out(self, frames: int = 17) -> Iterator[tuple[int, ViewBatch]]:
        """The real footage for validation as the straight path would frame it."""
        for index, take in enumerate(self.validation.takes):
            if not take.performance:
                yield index, self._framed(index, frames)

    def held_out_pairs(self, frames: int = 17) -> Iterator[tuple[ViewBatch, ViewBatch]]:
        """The pseudo-pairs for validation so too, each with what it was made of."""
        for index, (made, _) in enumerate(self.validation.pairs):
            yield self.validation.steady_pair(index, self._whole(frames), self._view(made))

    def held_out_relit(self, frames: int = 17) -> Iterator[tuple[ViewBatch, ViewBatch]]:
        """The light stage's people for validation so too, each in two lights."""
        for one, other, *_ in self.validation.performances:
            yield self._framed(one, frames), self._framed(other, frames)

    def _framed(self, index: int, frames: int) -> ViewBatch:
        take = self.validation.takes[index]
        return self.validation.steady(index, self._whole(1 if take.frames == 1 else frames), self._view(take))

    def _whole(self, frames: int) -> int:
        """As many frames, 4k + 1, or the few more that a transformer needs which takes several latents at a time; one
        where it is only ever shown single frames.
        """
        if self.preset.view.window == 1:
            return 1
        return TIME * (-(-latent_frames(frames) // self.together) * self.together - 1) + 1

    def _view(self, take: Take) -> tuple[int, int]:
        """(height, width) of the view of the person of a take, all of it."""
        boxes = take.read(np.arange(take.frames)).boxes
        known = boxes[~np.isnan(boxes[:, 0])]
        side = known[:, 2:].max(0) - known[:, :2].min(0) if len(known) else np.ones(2)
        return view_shape(side[0] / side[1], self.size)


def _source(sources: Sources, footage: Footage, random: np.random.Generator) -> str:
    there = {"real_to_synthetic": footage.pairs, "synthetic_to_real": footage.pairs, "misfit": footage.takes,
             "relit": footage.performances}
    shares = {name: float(getattr(sources, name)) for name, some in there.items() if some}
    whole = sum(shares.values())
    if whole <= 0 or min(shares.values()) < 0:
        raise OptionError(f"--set stage.sources gives {', '.join(f'{n} {s:g}' for n, s in shares.items())}, of which "
                          "there is something; give at least one of these a share above 0, and none a lower one")
    if len(shares) == 1:
        return next(iter(shares))
    return str(random.choice(list(shares), p=[share / whole for share in shares.values()]))


class Look(NamedTuple):
    """What validation compares, (B, 3, T, H, W) each, display sRGB in [0, 1], all three through the codec.

    plain: the composite. ours: what it became. truth: what it should become.
    """

    plain: Tensor
    ours: Tensor
    truth: Tensor


def psnr(result: Tensor, truth: Tensor, mask: Tensor | None = None) -> float:
    weight = torch.ones_like(truth[:, :1]) if mask is None else (mask >= 0.5).float()
    error = ((result - truth).square() * weight).sum() / (3 * weight.sum()).clamp(min=1)
    return float(-10 * error.clamp(min=1e-10).log10())


def light_cells(mask: Tensor, *pictures: Tensor) -> tuple[list[Tensor], Tensor]:
    """Mean linear light of the person in 8 × 8 cells, and 1 where they fill one.

    Args:
        mask: (B, 1, T, H, W). pictures: (B, 3, T, H, W), display sRGB in [0, 1].

    Returns:
        For each picture (B, 3, T, H/8, W/8), a little above 0; and (B, 1, T, H/8, W/8).
    """
    weight = F.avg_pool3d(mask, (1, 8, 8))
    cells = [F.avg_pool3d(srgb_to_linear(p) * mask, (1, 8, 8)) / weight.clamp(min=0.5) + 0.01 for p in pictures]
    return cells, (weight > 0.9).float()


def gain_figures(before: list[float], after: list[float], slopes: list[tuple[float, float]]) -> dict[str, float]:
    """Means of PSNR before and after, by how far off it was too; share of those made worse; relight amplitude.

    Args:
        before, after: dB, one for each result.
        slopes: Σ wanted · got and Σ wanted² of each, whose sums' ratio is the amplitude.
    """
    gain = np.array(after) - np.array(before)
    bands = np.digitize(before, [14, 19])
    moments = np.sum(slopes, 0)
    figures = {"psnr": float(np.mean(after)), "psnr_composite": float(np.mean(before)), "gain": float(gain.mean()),
               "worse": float((gain < -0.5).mean()), "amplitude": float(moments[0] / moments[1])}
    for n, name in enumerate(("below_14", "14_to_19", "above_19")):
        if (bands == n).any():
            figures[f"gain_{name}"] = float(gain[bands == n].mean())
    return figures


def gain_moments(seen: Look, mask: Tensor) -> tuple[float, float]:
    """Moments of the log gains of 8 × 8 cells, ours on truth's: Σ truth·ours and Σ truth²; their ratio is the slope.

    mask: (B, 1, T, H, W).
    """
    cells, inside = light_cells(mask, *seen)
    got, wanted = ((c / cells[0]).log() * inside for c in cells[1:])
    return float((wanted * got).sum()), float(wanted.square().sum()) + 1e-9


def tiles(*clips: Tensor) -> np.ndarray:
    """(H, n·W, 3) uint8: the middle frame of each clip, side by side."""
    frames = [clip[0, :, clip.shape[2] // 2].permute(1, 2, 0).clamp(0, 1) for clip in clips]
    return (torch.cat(frames, 1) * 255).round().byte().cpu().numpy()


def contact_sheet(rows: list[np.ndarray]) -> np.ndarray:
    """Rows of different sizes, two side by side, on grey."""
    height, width = max(r.shape[0] for r in rows), max(r.shape[1] for r in rows)
    sheet = np.full(((len(rows) + 1) // 2 * height, 2 * width, 3), 96, np.uint8)
    for n, row in enumerate(rows):
        y, x = n // 2 * height, n % 2 * width
        sheet[y : y + row.shape[0], x : x + row.shape[1]] = row
    return sheet


def write_record(folder: Path, stage: Any, record: dict[str, Any]) -> None:
    config.save(_Record(**record, settings=config.to_dict(stage)), folder / "training.json")


@dataclass(frozen=True)
class _Record:
    stage: str
    steps: int
    figures: dict[str, float]
    settings: dict[str, Any]
