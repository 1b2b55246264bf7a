"""Stage `tone`: from the palette of a composite to the tone that its person should have."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harmovid.data.dataset import CropConfig, Footage
from harmovid.data.misfit import MisfitConfig, over
from harmovid.model import checkpoint
from harmovid.model.palette import palette
from harmovid.model.presets import Preset
from harmovid.model.tone import Tone, toned
from harmovid.train.loop import Batch
from harmovid.train.stages import Length, OnFootage, Sources, contact_sheet, gain_figures, psnr, tiles, write_record

_MEASURED, _MEASURED_SEED = 8, 1_000_003  # batches from which the sizes of numbers are taken
_VALIDATED = 12  # batches of misfits of the validation footage
_FEW = 60  # pixels of a person; views with fewer tell nothing
_RIGHT = 45.0  # dB; a composite this near is of a person whose light was left as it was
_FLAT = 0.02  # of display sRGB; contrast counts beside it, so that flat people have a bounded one


@dataclass(frozen=True)
class ToneStage:
    """Settings of stage `tone`.

    batch, area: views at a time, single frames, and their pixels. sources: what they are of. crop: how they are cut.
    misfit: how their light is made wrong.
    noise, drop: see `Tone.forward`.
    """

    batch: int = 96
    area: int = 64 * 64
    sources: Sources = Sources(real_to_synthetic=0, synthetic_to_real=0, misfit=0.85, relit=0.15)
    crop: CropConfig = CropConfig()
    misfit: MisfitConfig = field(default_factory=MisfitConfig)
    noise: float = 0.3
    drop: float = 0.4


class ToneTask(OnFootage):
    """Single frames whose person is in a wrong light, as palettes, and the change that brings them nearest to right."""

    name = "tone"

    def __init__(self, preset: Preset, train: Footage, validation: Footage, stage: ToneStage = ToneStage(),
                 seed: int = 0) -> None:
        super().__init__(preset, train, validation, (Length(1, stage.batch, 1.0, stage.area),), stage.crop)
        assert preset.tone is not None, f"{preset.name} has no tone to be trained"
        self.stage = stage
        torch.manual_seed(seed)
        tone = Tone(preset.tone)
        drawn = [self.batch(index, _MEASURED_SEED) for index in range(_MEASURED)]
        tone.standardize(*(torch.cat([batch[name] for batch in drawn]).cpu() for name in ("palette", "change")))
        self.module: nn.Module = tone
        self.units = tone.size

    def batch(self, index: int, seed: int) -> Batch:
        """Palettes of composites (B, 153), and by what their person's tone is off (B, 6)."""
        drawn = self._drawn(self.train, index, seed, self.stage.sources, self.crop)
        return {"palette": drawn.palette, "change": tone_change(drawn.composite, drawn.target, drawn.mask)}

    def loss(self, module: nn.Module, batch: Batch, seed: int) -> dict[str, Tensor]:
        """Squared error of the change, each of its numbers in units of its own size."""
        told = batch["palette"]
        generator = torch.Generator(told.device)
        generator.manual_seed(seed)
        predicted = module(told, self.stage.noise, self.stage.drop, generator)  # (B, 6)
        error = (predicted - batch["change"] / self.units.to(told)).square()  # (B, 6)
        return {"loss": error.mean(), "shift": error[:, :3].mean().detach(), "contrast": error[:, 3:].mean().detach()}

    def validate(self, module: nn.Module) -> tuple[dict[str, float], np.ndarray]:
        """Foreground PSNR of composite and toned composite against the truth, on misfits of held-out footage.

        `left` is the PSNR of people whose light was right, against themselves: how well the tone leaves alone. Parts
        of people have figures of their own, and so have people of the light stage.
        """
        assert isinstance(module, Tone)
        whole, part = (replace(self.crop, parts=share) for share in (0.0, 1.0))
        figures, rows = self._figures(module, Sources(0, 0, 1, 0), whole)
        others = {"part": (Sources(0, 0, 1, 0), part)}
        if self.validation.performances:
            others["relit"] = Sources(0, 0, 0, 1), whole
        for other, drawn in others.items():
            found, more = self._figures(module, *drawn)
            figures |= {f"{other}_{name}": found[name] for name in ("gain", "worse", "amplitude")}
            rows += more
        return figures, contact_sheet(rows)

    def _figures(self, module: Tone, sources: Sources,
                 crop: CropConfig) -> tuple[dict[str, float], list[np.ndarray]]:
        """On misfits of these sources, cut so."""
        before, after, left, slopes, rows = [], [], [], [], []
        for index in range(_VALIDATED):
            drawn = self._drawn(self.validation, index, 0, sources, crop)
            home = next(module.parameters()).device
            result = toned(drawn.composite, drawn.mask, *(c.to(drawn.mask) for c in
                                                          module.curves(drawn.palette.to(home))))
            wanted, got = (tone_change(drawn.composite, to, drawn.mask)[:, :3] for to in (drawn.target, result))
            for n in range(len(result)):
                pair = drawn.target[n:n + 1], drawn.mask[n:n + 1]
                was = psnr(drawn.composite[n:n + 1], *pair)
                now = psnr(result[n:n + 1], *pair)
                if was > _RIGHT:
                    left.append(now)
                    continue
                before.append(was)
                after.append(now)
                slopes.append((float(wanted[n] @ got[n]), float(wanted[n] @ wanted[n])))
            rows.append(tiles(drawn.composite, result, drawn.target))
        figures = gain_figures(before, after, slopes)
        if left:
            figures["left"] = float(np.mean(left))
        return figures, rows

    def save(self, module: nn.Module, folder: Path, record: dict[str, Any]) -> None:
        """What `harmovid train harmonize --tone` takes."""
        assert isinstance(module, Tone)
        checkpoint.write_tone(module, folder)
        write_record(folder, self.stage, record)

    @torch.no_grad()
    def _drawn(self, footage: Footage, index: int, seed: int, sources: Sources, crop: CropConfig) -> _Drawn:
        _, drawn = self.misfits(sources, self.stage.misfit, *self.generators(index, seed), footage, crop)
        composite = over(drawn.wrong, drawn.plate, drawn.mask)
        told = palette(composite, drawn.plate, drawn.overview, drawn.mask)[:, 0]  # (B, 153)
        seen = (drawn.mask >= 0.5).flatten(1).sum(1) >= _FEW  # (B,): a crop may miss the person
        return _Drawn(composite[seen], drawn.target[seen], drawn.mask[seen], told[seen])


@dataclass(frozen=True)
class _Drawn:
    """(B, 3, 1, H, W) twice, (B, 1, 1, H, W), (B, 153)."""

    composite: Tensor
    target: Tensor
    mask: Tensor
    palette: Tensor


def tone_change(composite: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """By what a person's tone is off: (B, 6).

    Shift of mean R, G, B, and log((σ_target + ε) / (σ_composite + ε)) of each, over the pixels of the person.

    Args:
        composite, target: (B, 3, T, H, W), display sRGB. mask: (B, 1, T, H, W).
    """
    share = (mask >= 0.5).to(composite).flatten(2)  # (B, 1, P)
    share = share / share.sum(2, keepdim=True).clamp(min=1)
    means, spreads = [], []
    for picture in (composite.flatten(2), target.flatten(2)):
        mean = (picture * share).sum(2, keepdim=True)  # (B, 3, 1)
        means.append(mean[..., 0])
        spreads.append(((picture - mean).square() * share).sum(2).sqrt() + _FLAT)
    return torch.cat([means[1] - means[0], (spreads[1] / spreads[0]).log()], 1)  # (B, 6)
