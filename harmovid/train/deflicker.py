"""Stage `deflicker`: the steady clip from one whose light jumps, told the composite and the mask alone (step 2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from harmovid.data.dataset import CropConfig, Footage, ViewBatch
from harmovid.data.flicker import FlickerConfig, MovingConfig, between_lights, flicker, move_light
from harmovid.data.misfit import over
from harmovid.errors import InputError
from harmovid.light.grade import luma, srgb_to_linear
from harmovid.model.backbone import Backbone
from harmovid.model.codec import Codecs
from harmovid.model.presets import Preset
from harmovid.train.latents import LatentStage, OnLatents
from harmovid.train.loop import Batch
from harmovid.train.stages import Length, contact_sheet, light_cells, psnr

_AMOUNTS = (0.4, 0.8, 1.2)  # of jitter, for validation
_FRAMES, _SHOWN = 21, 8  # of a held-out clip; of these on a sheet


@dataclass(frozen=True)
class DeflickerStage(LatentStage):
    """Settings of stage `deflicker`, beside `LatentStage`'s.

    flicker: how light jumps, in what the network is given. moving: how it moves, in target and all.
    paired: share of batches that are pseudo-pairs, where there are any.
    performed: share of the others that are performances of the light stage, where there are any, whose light jumps
        between two that they were rendered in.
    whole: share of the rest in which the whole picture flickers, under a mask of ones.
    wide: (least, most) of room around the person in these, a share of their size.
    """

    lengths: tuple[Length, ...] = (Length(21, 24, 0.6), Length(49, 12, 0.4))
    crop: CropConfig = CropConfig(photos=0.0)
    flicker: FlickerConfig = FlickerConfig()
    moving: MovingConfig = MovingConfig()
    paired: float = 0.25
    performed: float = 0.15
    whole: float = 0.3
    wide: tuple[float, float] = (0.05, 1.0)


class Deflicker(OnLatents):
    """The steady clip from one whose light jumps from frame to frame; light that really moves is in both."""

    name = "deflicker"
    stage: DeflickerStage

    def __init__(self, preset: Preset, codec: Codecs, train: Footage, validation: Footage,
                 stage: DeflickerStage = DeflickerStage(), seed: int = 0, backbone: Backbone | None = None) -> None:
        # Where there is nothing else, performances count as clips; held out they are not looked at.
        if not train.videos or all(validation.takes[n].performance for n in validation.videos):
            raise InputError("there are no clips among the shards for training, or for validation, and photos do not "
                             "flicker; make shards of clips with `harmovid data shards`")
        super().__init__(preset, codec, train, validation, stage, seed, backbone)

    def drawn(self, random: np.random.Generator, generator: torch.Generator) -> Batch:
        """Pseudo-pairs, performances, people whose light jumps before their background, or whole pictures."""
        stage, shape = self.stage, self._shape(random)
        if self.train.pairs and random.random() < stage.paired:
            relit, views = self.train.draw_pairs(*shape, random, self.crop)
            return self._before(views.picture, relit.picture, views.plate, self.masks(views.mask, generator))
        if self.train.performances and random.random() < stage.performed:
            views, other = self.train.draw_relit(*shape, random, self.crop)
            steady, jumping = between_lights(views.picture, other.picture, stage.flicker, stage.moving, generator)
            target = over(steady, views.plate, views.mask)
            return self._before(target, jumping, views.plate, self.masks(views.mask, generator))
        whole = random.random() < stage.whole
        views = self.train.draw(*shape, random, replace(self.crop, margin=stage.wide) if whole else self.crop)
        target, jumping, plate, mask = _jumping(views, whole, stage.flicker, stage.moving, generator)
        return self._before(target, jumping, plate, mask if whole else self.masks(mask, generator))

    def validate(self, module: nn.Module) -> tuple[dict[str, float], np.ndarray]:
        """Held-out clips under three amounts of jitter, none, and jitter over light that moves; every third one whole.

        Foreground PSNR against the truth of input and answer, all through the codec, and of the answer where nothing
        jumps (still); luminance jitter of both, and what share of it is removed; of the person's mean luminance where
        light moves, correlation and slope over time with the truth's.
        """
        before, after, jumps, still, moved, rows = [], [], [], [], [], []
        for index, (kind, drawn) in enumerate(self._held_out_jumping()):
            _, jumping, plate, mask = drawn
            plain, ours, truth = self.decoded(module, self._before(*drawn), over(jumping, plate, mask), index)
            if kind == "still":
                still.append(psnr(ours, truth, mask))
            elif kind == "moving":
                moved.append([_level(shown, mask) for shown in (truth, ours)])
            else:
                before.append(psnr(plain, truth, mask))
                after.append(psnr(ours, truth, mask))
                jumps.append([_jitter(shown, truth, mask) for shown in (plain, ours)])
            if index % 7 == 1:
                rows.append(_strip(plain, ours, truth))
        gain, (jumped, left) = np.array(after) - np.array(before), np.nanmean(jumps, 0)
        wanted, got = (np.concatenate(part) for part in zip(*moved, strict=True))
        figures = {
            "psnr": float(np.mean(after)), "psnr_composite": float(np.mean(before)), "gain": float(gain.mean()),
            "worse": float((gain < -0.5).mean()), "still": float(np.mean(still)), "jitter_composite": float(jumped),
            "jitter": float(left), "removed": float(1 - left / jumped),
            "moving_correlation": float(np.corrcoef(wanted, got)[0, 1]),
            "moving_slope": float((wanted * got).sum() / (wanted * wanted).sum())}
        return figures, contact_sheet(rows)

    def _held_out_jumping(self) -> Iterator[tuple[str, tuple[Tensor, Tensor, Tensor, Tensor]]]:
        """What validation sees, by kind, the same every time: target, person that jumps, plate, mask."""
        clips = [(index, views) for index, views in self.held_out(_FRAMES) if views.picture.shape[2] > 1]
        for number, (index, views) in enumerate(clips):
            cases = [("jumping", amount, 0.0) for amount in _AMOUNTS] + [("still", 0.0, 0.0), ("moving", 0.6, 1.0)]
            for case, (kind, amount, moves) in enumerate(cases):
                generator = torch.Generator(views.picture.device)
                generator.manual_seed(1000 * index + case)
                # No flashes: in so few frames there may be none, and nothing to gain.
                jumps = FlickerConfig(float(amount == 0), (amount, amount), times=(0.5, 0.25, 0.25, 0))
                yield kind, _jumping(views, number % 3 == 2, jumps,
                                     MovingConfig(share=moves, amounts=(1, 1), alone=0), generator)

    def _before(self, target: Tensor, jumping: Tensor, plate: Tensor, mask: Tensor) -> Batch:
        """Latents of the person who jumps before their background, and of the target."""
        return self.encoded(target, over(jumping, plate, mask), plate, plate, mask)


def _jumping(views: ViewBatch, whole: bool, jumps: FlickerConfig, moving: MovingConfig,
             generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Target, person that jumps, plate, (B, 3, T, H, W) each, and mask; of whole pictures that is ones."""
    if whole:
        mask = torch.ones_like(views.mask)
        target, = move_light([views.picture], mask, moving, generator)
        return target, flicker(target, mask, jumps, generator), target, mask
    mask = views.mask
    person, scene, plate = move_light([views.picture, views.picture, views.plate], mask, moving, generator)
    return over(person, scene, mask), flicker(person, mask, jumps, generator), plate, mask


def _jitter(result: Tensor, truth: Tensor, mask: Tensor) -> float:
    """Luminance jitter, as results are scored by: mean absolute second difference in time of log(result / truth)."""
    (shown, right), inside = light_cells(mask, result, truth)
    gain = (luma(shown) / luma(right)).log()  # (B, 1, T, H/8, W/8)
    bend = (gain[:, :, 2:] - 2 * gain[:, :, 1:-1] + gain[:, :, :-2]).abs()
    there = inside[:, :, 2:] * inside[:, :, 1:-1] * inside[:, :, :-2]
    return float((bend * there).sum() / there.sum())


def _level(picture: Tensor, mask: Tensor) -> np.ndarray:
    """(T,): log of the person's mean luminance, less its mean over time."""
    light = (luma(srgb_to_linear(picture)) * mask).sum((0, 1, 3, 4)) / mask.sum((0, 1, 3, 4)).clamp(min=1)
    level = (light + 1e-3).log()
    return (level - level.mean()).cpu().numpy()


def _strip(*clips: Tensor) -> np.ndarray:
    """(n·H, m·W, 3) uint8: some consecutive frames of each clip, a row each."""
    first = max(0, clips[0].shape[2] // 2 - _SHOWN // 2)
    rows = [torch.cat(list(clip[0, :, first : first + _SHOWN].permute(1, 2, 3, 0)), 1) for clip in clips]
    return (torch.cat(rows) * 255).round().byte().cpu().numpy()
