"""Flicker: light that jumps from frame to frame and has to go, and light that really moves and has to stay.

Everything works on a whole batch on the generator's device, as `augment` does. What jumps has no mean over the clip in
log gain, so that the steady clip is the jumping one's own mean light.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from harmovid.light import grade as grading
from harmovid.light.grade import Grade
from harmovid.light.looks import draw_grade, draw_lights, draw_table
from harmovid.light.shading import log_gain
from harmovid.light.smooth import noise, path

_TABLE = 9  # nodes per axis of the baked grades; there is one for every frame
_GRADES = 3  # that a global jitter mixes anew in every frame
_COARSE, _FINE, _FIELDS = 5, 9, 3  # nodes along each side of fields of gains; fields of each
_GRADED = 0.45  # of the grades' strength at amount 1
_STOPS, _TINT = 0.6, 0.2  # deviation of a field of gains at amount 1, log2; of its difference between channels
_BAND = 0.5  # stops, of rolling bands at amount 1
_PASSING = 1.2  # stops, of a lamp that passes, at amount 1
_BRIGHTER = 0.7  # stops, about, that light changes by where it moves, at amount 1
_FARTHEST = 2.5  # natural logarithm; no gain is farther from none


@dataclass(frozen=True)
class FlickerConfig:
    """How often and how much light jumps.

    untouched: share of samples that stay bit for bit as they are.
    amounts: least and most; at 1 a field of gains deviates by 0.6 stops, a grade by as much.
    ways: shares of global jitter (a grade of its own for every frame), local (a field of gains of its own), and both.
    times: shares of how it goes in time: independently in every frame, as a sinus (mains through a shutter), pumping
        (a random walk that is drawn back), flashes of one to three frames.
    lamps: share of local jitter that is lamps which jump about the person, in the place of a field.
    banded: share of sinus that rolls down the picture in bands.
    table: share of grades with a random colour table.
    """

    untouched: float = 0.1
    amounts: tuple[float, float] = (0.1, 1.5)
    ways: tuple[float, float, float] = (0.35, 0.3, 0.35)
    times: tuple[float, float, float, float] = (0.45, 0.2, 0.2, 0.15)
    lamps: float = 0.35
    banded: float = 0.5
    table: float = 0.35


@dataclass(frozen=True)
class MovingConfig:
    """How often and how much light really moves.

    share: of samples in which it does. amounts: least and most.
    courses: shares of a slow drift, a step within three frames, a lamp that passes.
    alone: share of these in which it falls on the person alone, not on what is behind.
    """

    share: float = 0.4
    amounts: tuple[float, float] = (0.3, 1.2)
    courses: tuple[float, float, float] = (0.35, 0.35, 0.3)
    alone: float = 0.25


@torch.no_grad()
def flicker(video: Tensor, alpha: Tensor, config: FlickerConfig, generator: torch.Generator) -> Tensor:
    """The clip with light that jumps from frame to frame.

    The gain of exposure, white balance, fields, lamps and bands is applied in linear light and has no mean over the
    frames in log; then each frame's own tone curve, saturation and colours, whose parameters have none either.

    Args:
        video: (B, 3, T, H, W) float32, display sRGB in [0, 1].
        alpha: (B, 1, T, H, W) in [0, 1], what the lamps shine on; ones for the whole picture.
        generator: on the device of `video`.

    Returns:
        (B, 3, T, H, W) float32 in [0, 1]; untouched samples equal `video` bit for bit, and so does all of one frame.
    """
    count, frames = video.shape[0], video.shape[2]
    chance = torch.rand(6, count, generator=generator, device=generator.device)
    amount = _between(config.amounts, chance[0]) * (chance[1] >= config.untouched) * (frames > 1)
    time, way = _picked(config.times, chance[2]), _picked(config.ways, chance[3])
    overall, local = amount * (way != 1), amount * (way != 0)
    lamps = chance[4] < config.lamps
    jumps = jitter(time, _GRADES + 2 * _FIELDS + 1, frames, generator)  # (B, K, T)
    grade = _grades(overall * _GRADED, jumps[:, :_GRADES], generator)
    table = draw_table(overall, _TABLE, generator, config.table)  # (B, 3, n, n, n)
    with torch.autocast(video.device.type, enabled=False):
        small, cover = _halved(video), _halved(alpha)
        gain = _fields(local * ~lamps, jumps[:, _GRADES : -1], small, generator)
        lights = draw_lights(0.8 * local * lamps, torch.sigmoid(1.5 * jumps[:, -1]), generator)
        gain = gain + log_gain(lights, small, cover) + grading.light_gain(grade)
        gain = gain + _bands(overall * (time == 1) * (chance[5] < config.banded), small, generator)
        gain = (gain - gain.mean(2, keepdim=True)).clamp(-_FARTHEST, _FARTHEST)
        lit = _lit(video, gain)
        # Frames move into the batch, so that each has a table of its own.
        moved = table[:, None] * jumps[:, 0, :, None, None, None, None]  # (B, T, 3, n, n, n)
        single = Grade(**{name: value.flatten(0, 1)[:, None] for name, value in vars(grade).items()})
        tables = grading.bake(single, _TABLE, moved.flatten(0, 1))[:, 0].unflatten(0, (count, frames))
        lit = grading.apply_table(lit, tables)
    return torch.where((amount > 0)[:, None, None, None, None], lit.clamp(0, 1), video)


@torch.no_grad()
def move_light(pictures: Sequence[Tensor], alpha: Tensor, config: MovingConfig,
               generator: torch.Generator) -> list[Tensor]:
    """The same light that moves, on a person and on what is behind them.

    Args:
        pictures: the person in their scene, then others of the same shape (B, 3, T, H, W), display sRGB in [0, 1],
            such as the scene alone; in a share of samples these stay as they are.
        alpha: (B, 1, T, H, W) in [0, 1].
        generator: on their device.

    Returns:
        A list of the same shapes, in [0, 1]; samples whose light does not move are the same bit for bit.
    """
    count, frames = pictures[0].shape[0], pictures[0].shape[2]
    chance = torch.rand(4, count, generator=generator, device=generator.device)
    amount = _between(config.amounts, chance[0]) * (chance[1] < config.share) * (frames > 1)
    kind = _picked(config.courses, chance[2])
    way, since = _course(kind, frames, generator)
    with torch.autocast(alpha.device.type, enabled=False):
        small, cover = _halved(pictures[0]), _halved(alpha)
        gain = log_gain(draw_lights(1.3 * amount, way, generator), small, cover)
        gain = gain + grading.light_gain(draw_grade(amount, way, generator, look=0))
        gain = gain + _brighter(amount, generator) * way[:, None, :, None, None]
        gain = gain - gain.mean(2, keepdim=True)
        gain = (gain + _passing(amount * (kind == 2), since, small, generator)).clamp(-_FARTHEST, _FARTHEST)
        lit = [_lit(picture, gain).clamp(0, 1) for picture in pictures]
    moves = (amount > 0)[:, None, None, None, None]
    behind = moves & (chance[3] >= config.alone)[:, None, None, None, None]
    return [torch.where(behind if n else moves, after, before)
            for n, (after, before) in enumerate(zip(lit, pictures, strict=True))]


@torch.no_grad()
def between_lights(one: Tensor, other: Tensor, config: FlickerConfig, moving: MovingConfig,
                   generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A performance that was filmed in two lights, in a mixture of both: as light is mixed, linear.

    Args:
        one, other: (B, 3, T, H, W), display sRGB in [0, 1].
        generator: on their device.

    Returns:
        Twice (B, 3, T, H, W) in [0, 1]: the mixture as it is or moves, and one that jumps about it.
    """
    count, frames = one.shape[0], one.shape[2]
    chance = torch.rand(6, count, generator=generator, device=generator.device)
    amount = _between(config.amounts, chance[0]) * (chance[1] >= config.untouched)
    way, _ = _course(_picked(moving.courses, chance[2]), frames, generator)
    way = torch.where((chance[3] < moving.share)[:, None], way, chance[4][:, None])  # (B, T)
    jumps = jitter(_picked(config.times, chance[5]), 1, frames, generator)[:, 0]  # (B, T)
    first, second = grading.srgb_to_linear(one), grading.srgb_to_linear(other)

    def mixed(share: Tensor) -> Tensor:
        light = torch.lerp(first, second, share[:, None, :, None, None]).clamp(min=0)
        return grading.linear_to_srgb(light).clamp(0, 1)

    return mixed(way), mixed(way + 0.3 * amount[:, None] * jumps)


def jitter(time: Tensor, count: int, frames: int, generator: torch.Generator) -> Tensor:
    """Random numbers in time with no mean, and about unit variance before the mean is taken off.

    Args:
        time: (B,) long: 0 independent in every frame; 1 a sinus with a period of 2 to 10 frames; 2 a random walk that
            is drawn back, s_t = ρ s_(t−1) + √(1 − ρ²) n_t with ρ from 0.4 to 0.9; 3 rare flashes of 1 to 3 frames.
        count: K curves each, of the same kind; flashes are at the same frames.

    Returns:
        (B, K, T).
    """
    device, batch = time.device, len(time)
    draw = torch.rand(3, batch, 1, 1, generator=generator, device=device)
    fresh = torch.randn(batch, count, frames, generator=generator, device=device).clamp(-2, 2)  # (B, K, T)
    phase = torch.rand(batch, count, 1, generator=generator, device=device)
    along = torch.arange(frames, device=device)
    wave = math.sqrt(2) * torch.sin(2 * math.pi * ((0.1 + 0.4 * draw[0]) * along + phase))
    pull = 0.4 + 0.5 * draw[1]  # (B, 1, 1)
    lag = along[:, None] - along  # (T, T)
    memory = pull ** lag.clamp(min=0) * (lag >= 0)  # (B, T, T)
    weight = torch.where(along == 0, 1, (1 - pull.square()).sqrt())  # (B, 1, T)
    walk = torch.einsum("bkj,btj->bkt", fresh, memory * weight)
    begins = torch.rand(batch, 1, frames, generator=generator, device=device) < 0.06
    lasts = 1 + torch.floor(3 * draw[2])  # (B, 1, 1)
    shows = begins.clone()
    for late in (1, 2):
        shows[..., late:] |= begins[..., :-late] & (lasts > late)
    flash = 2 * shows * fresh[..., :1].sign()
    picked = torch.stack([fresh, wave, walk, flash])[time, torch.arange(batch, device=device)]  # (B, K, T)
    return picked - picked.mean(2, keepdim=True)


def _grades(strength: Tensor, jumps: Tensor, generator: torch.Generator) -> Grade:
    """A grade for each frame, (B, T, …): some grades, each of them more or less of itself by `jumps`, (B, K, T)."""
    count, some = jumps.shape[:2]
    drawn = draw_grade(strength.repeat_interleave(some), jumps.new_zeros(count * some, 1), generator, look=0.2)
    mixed = {name: torch.einsum("bk...,bkt->bt...", value[:, 0].unflatten(0, (count, some)), jumps) / math.sqrt(some)
             for name, value in vars(drawn).items()}
    return Grade(**{**mixed, "shoulder": 0 * mixed["shoulder"]})


def _fields(amount: Tensor, jumps: Tensor, small: Tensor, generator: torch.Generator) -> Tensor:
    """Log gain of smooth fields that `jumps`, (B, K, T), mix anew in every frame, (B, 3, T, h, w)."""
    count, (height, width) = len(amount), small.shape[-2:]
    shape = torch.cat([noise((count, 4 * _FIELDS), (1, height, width), (4, nodes, nodes), generator)
                       for nodes in (_COARSE, _FINE)], 1)[:, :, 0].unflatten(1, (-1, 4))  # (B, K, 4, h, w)
    moved = torch.einsum("bkt,bkchw->bcthw", jumps, shape) / math.sqrt(jumps.shape[1])  # (B, 4, T, h, w)
    return math.log(2) * amount[:, None, None, None, None] * (_STOPS * moved[:, :1] + _TINT * moved[:, 1:])


def _bands(amount: Tensor, small: Tensor, generator: torch.Generator) -> Tensor:
    """Log gain of bands that roll down the picture, as a shutter that reads rows in turn sees the mains."""
    draw = torch.rand(3, len(amount), 1, 1, generator=generator, device=amount.device)
    frames, height = small.shape[2:4]
    along = torch.arange(frames, device=amount.device)[:, None]
    down = torch.linspace(0, 1, height, device=amount.device)
    cycles = (0.02 + 0.48 * draw[0]) * along - (0.3 + 2.7 * draw[1]) * down + draw[2]  # (B, T, h)
    band = math.log(2) * _BAND * amount[:, None, None] * torch.sin(2 * math.pi * cycles)
    return band[:, None, :, :, None]


def _course(kind: Tensor, frames: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """How light moves, (B, T) in [0, 1]; and time since the middle of it, (B, T), in its own length.

    kind: (B,) long: 0 a slow drift, 1 a step, 2 a lamp that passes.
    """
    draw = torch.rand(3, len(kind), 1, generator=generator, device=kind.device)
    drift = torch.sigmoid(1.5 * path(len(kind), frames, generator, pace=20))
    since = torch.arange(frames, device=kind.device) - (0.15 + 0.7 * draw[0]) * frames
    step = (since / (0.5 + 2.5 * draw[1]) + 0.5).clamp(0, 1)
    since = since / (2.5 + 6 * draw[2])
    passing = torch.exp(-0.5 * since.square())
    return torch.stack([drift, step, passing])[kind, torch.arange(len(kind), device=kind.device)], since


def _brighter(amount: Tensor, generator: torch.Generator) -> Tensor:
    """Log gain of what moving light adds or takes, (B, 1, 1, 1, 1); never next to nothing, or it could be smoothed."""
    draw = torch.randn(len(amount), generator=generator, device=amount.device).clamp(-2, 2)
    return (math.log(2) * _BRIGHTER * amount * (draw + 0.5 * draw.sign()))[:, None, None, None, None]


def _passing(amount: Tensor, since: Tensor, small: Tensor, generator: torch.Generator) -> Tensor:
    """Log gain of a lamp that crosses the picture while it passes, (B, 1, T, h, w)."""
    draw = torch.rand(3, len(amount), 1, generator=generator, device=amount.device)
    height, width = small.shape[-2:]
    across = torch.linspace(-0.5, 0.5, width, device=amount.device)
    down = torch.linspace(-0.5, 0.5, height, device=amount.device)
    turn, wide = 2 * math.pi * draw[0], 0.2 + 0.4 * draw[1]  # (B, 1) each
    way = (turn.cos() * across)[:, None, :] + (turn.sin() * down)[:, :, None]  # (B, h, w)
    off = (way[:, None] - (since * 0.4)[:, :, None, None]) / wide[:, :, None, None]  # (B, T, h, w)
    bright = math.log(2) * _PASSING * (0.4 + 0.6 * draw[2]) * amount[:, None] * torch.exp(-0.5 * since.square())
    return (bright[:, :, None, None] * torch.exp(-0.5 * off.square()))[:, None]


def _lit(video: Tensor, gain: Tensor) -> Tensor:
    """Under a log gain of linear light that is smooth, and may be smaller; display sRGB, not clipped."""
    gain = F.interpolate(torch.exp(gain), video.shape[2:], mode="trilinear", align_corners=False)
    return grading.linear_to_srgb(grading.srgb_to_linear(video) * gain)


def _halved(video: Tensor) -> Tensor:
    """Gains are smooth: half the size is enough for them, and costs a quarter."""
    return F.avg_pool3d(video, (1, 2, 2), ceil_mode=True) if min(video.shape[-2:]) >= 64 else video


def _between(bounds: tuple[float, float], place: Tensor) -> Tensor:
    return bounds[0] + (bounds[1] - bounds[0]) * place


def _picked(shares: Sequence[float], place: Tensor) -> Tensor:
    """(B,) long: which of the shares each place in [0, 1) falls into."""
    ends = torch.tensor(shares, device=place.device).cumsum(0)
    return (place[:, None] * ends[-1] >= ends[:-1]).sum(1)
