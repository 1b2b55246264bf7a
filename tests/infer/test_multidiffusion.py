"""Fusing windows: exact where exactness is due, and far less drift with the overview than without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from harmovid.infer.multidiffusion import Fusion, MultiDiffusion
from harmovid.infer.sampler import draw, sample
from harmovid.model.schedule import Schedule, ScheduleConfig

WINDOW = Fusion(window=8, overlap=3)
PLAIN = replace(WINDOW, anchor=0.0)
T = 500


def clip(frames: int, seed: int = 0, channels: int = 4, size: int = 8) -> Tensor:
    return draw((1, channels, frames, size, size), torch.Generator().manual_seed(seed))


def is_overview(frames: Tensor) -> bool:
    return len(frames) > 1 and int(frames[-1] - frames[0]) >= len(frames)


def by_frame(noisy: Tensor, frames: Tensor, t: int) -> Tensor:
    """A prediction that is each frame's own: whatever the windows, they agree."""
    return torch.tanh(noisy) + 0.1 * frames[:, None, :, None, None]


class Wandering:
    """`by_frame` plus an offset of each window's own; the overview too has one, of the common level."""

    def __init__(self, spread: Callable[[torch.Generator], Tensor]) -> None:
        self.spread, self.generator = spread, torch.Generator().manual_seed(3)
        self.calls: list[Tensor] = []

    def __call__(self, noisy: Tensor, frames: Tensor, t: int) -> Tensor:
        self.calls.append(frames)
        offsets = torch.stack([self.spread(self.generator).expand(noisy.shape[1], *noisy.shape[3:])
                               for _ in frames])
        return by_frame(noisy, frames, t) + offsets[:, :, None]


def levels(wander: Tensor) -> Tensor:
    """(1, C, Tl, h, w) → (C, Tl), the mean of each frame, less that of the clip."""
    level = wander.mean((0, 3, 4))
    return level - level.mean(1, keepdim=True)


@pytest.mark.parametrize("frames", [1, 5, 8])
def test_one_window_is_plain_sampling_to_the_bit(frames: int) -> None:
    schedule = Schedule(ScheduleConfig())

    def network(noisy: Tensor, t: int, step: int) -> Tensor:
        return torch.sin(3 * noisy) + noisy.mean((2, 3, 4), keepdim=True)

    fused = MultiDiffusion(lambda noisy, frames, t: network(noisy, t, 0), WINDOW)
    steps = schedule.timesteps(7)
    assert torch.equal(sample(fused, clip(frames), steps, schedule), sample(network, clip(frames), steps, schedule))


@pytest.mark.parametrize("fusion", [WINDOW, PLAIN, replace(WINDOW, batch=1), replace(WINDOW, batch=5, overlap=0)])
@pytest.mark.parametrize("frames", [9, 20, 61])
@pytest.mark.parametrize("step", [0, 1, 4])
def test_where_windows_agree_the_fused_prediction_is_theirs(fusion: Fusion, frames: int, step: int) -> None:
    noisy = clip(frames)
    got = MultiDiffusion(by_frame, fusion)(noisy, T, step)
    torch.testing.assert_close(got, by_frame(noisy, torch.arange(frames)[None], T), atol=1e-5, rtol=1e-5)


def test_frames_of_one_window_alone_are_that_windows_to_the_bit() -> None:
    noisy = clip(9)
    got = MultiDiffusion(by_frame, PLAIN)(noisy, T, 0)
    exact = by_frame(noisy, torch.arange(9)[None], T)
    assert torch.equal(got[:, :, [0, 8]], exact[:, :, [0, 8]])  # windows 0–7 and 1–8


def test_two_constant_windows_meet_in_a_ramp() -> None:
    def by_window(noisy: Tensor, frames: Tensor, t: int) -> Tensor:
        return (frames[:, :1] > 0).float()[:, None, :, None, None].expand_as(noisy)

    got = MultiDiffusion(by_window, PLAIN)(clip(13), T, 0)[0, 0, :, 0, 0]  # windows 0–7 and 5–12
    torch.testing.assert_close(got, torch.tensor([0, 0, 0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 1]))


def test_windows_are_whole_and_cover_the_clip_and_move() -> None:
    seams = []
    for step in range(6):
        wandering = Wandering(lambda generator: torch.zeros(1))
        MultiDiffusion(wandering, WINDOW)(clip(40), T, step)
        assert all(frames.shape[1] == 8 and len(frames) <= WINDOW.batch for frames in wandering.calls)
        *local, overview = torch.cat(wandering.calls)
        assert is_overview(overview) and overview[0] == 0 and overview[-1] == 39
        assert all((frames.diff() == 1).all() for frames in local)
        assert sorted({int(frame) for frames in local for frame in frames}) == list(range(40))
        assert local[0][0] == 0 and local[-1][-1] == 39
        seams.append(tuple(int(frames[0]) for frames in local[1:-1]))
    assert len(set(seams)) >= 5, "of 5 possible places"


def test_without_anchor_there_is_no_overview() -> None:
    wandering = Wandering(lambda generator: torch.zeros(1))
    MultiDiffusion(wandering, PLAIN)(clip(40), T, 0)
    assert not any(is_overview(frames) for call in wandering.calls for frames in call)


@pytest.mark.parametrize("frames", [20, 100, 300])
def test_a_level_of_each_windows_own_is_taken_out(frames: int) -> None:
    def drift(fusion: Fusion) -> Tensor:
        noisy = clip(frames)
        got = MultiDiffusion(Wandering(lambda g: torch.randn((4, 1, 1), generator=g)), fusion)(noisy, T, 2)
        return levels(got - by_frame(noisy, torch.arange(frames)[None], T))

    assert drift(PLAIN).std() > 0.4
    assert drift(WINDOW).abs().max() < 1e-4


def test_neither_the_overviews_level_nor_its_texture_enters() -> None:
    texture = clip(8, 9)[0, :, 0] - clip(8, 9)[0, :, 0].mean((1, 2), keepdim=True)

    def odd(noisy: Tensor, frames: Tensor, t: int) -> Tensor:
        odd = torch.stack([torch.tensor(5.0 if is_overview(f) else 0.0) for f in frames])[:, None, None, None, None]
        return by_frame(noisy, frames, t) + odd * (1 + texture[:, None])

    noisy = clip(60)
    got = MultiDiffusion(odd, replace(WINDOW, cells=1))(noisy, T, 0)
    torch.testing.assert_close(got, by_frame(noisy, torch.arange(60)[None], T), atol=1e-4, rtol=1e-4)


def test_light_that_changes_stays() -> None:
    """A lamp that is switched on and a fade, seen alike by all windows, are no drift."""
    def lit(noisy: Tensor, frames: Tensor, t: int) -> Tensor:
        light = (frames > 33).float() + 0.02 * frames
        return light[:, None, :, None, None].expand_as(noisy)

    got = MultiDiffusion(lit, WINDOW)(clip(70), T, 1)[0, 0, :, 0, 0]
    torch.testing.assert_close(got, (torch.arange(70) > 33).float() + 0.02 * torch.arange(70), atol=1e-4, rtol=1e-4)


def test_the_side_that_light_comes_from_is_held_too() -> None:
    slope = torch.linspace(-1, 1, 16)[None, None]

    def drift(fusion: Fusion) -> float:
        noisy = clip(100, size=16)
        tilted = Wandering(lambda g: torch.randn((1, 1, 1), generator=g) * slope)
        error = MultiDiffusion(tilted, fusion)(noisy, T, 0) - by_frame(noisy, torch.arange(100)[None], T)
        tilt = (error * slope).mean((0, 1, 3, 4))
        return float((tilt - tilt.mean()).std())

    assert drift(WINDOW) < 0.15 * drift(replace(WINDOW, cells=1))


class Walker:
    """A network that carries a level on from what it sees, a little wrong in each window and at each step."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule, self.generator = schedule, torch.Generator().manual_seed(1)

    def __call__(self, noisy: Tensor, frames: Tensor, t: int) -> Tensor:
        at = float(self.schedule.alphas_cumprod[t])
        seen = at**0.5 * noisy.mean((2, 3, 4), keepdim=True)
        wrong = 0.3 * torch.randn(len(frames), noisy.shape[1], 1, 1, 1, generator=self.generator)
        x0 = (seen + wrong).expand_as(noisy)
        left = (noisy - at**0.5 * x0) / (1 - at) ** 0.5
        return self.schedule.target(x0, left, t)


def test_over_a_whole_sampling_the_drift_is_far_less() -> None:
    schedule = Schedule(ScheduleConfig())

    def drift(fusion: Fusion) -> tuple[float, float]:
        fused = MultiDiffusion(Walker(schedule), fusion)
        level = levels(sample(fused, 0.1 * clip(200), schedule.timesteps(8), schedule))
        return float(level.std()), float(level.diff(dim=1).abs().max())

    (free, step), (held, held_step) = drift(PLAIN), drift(WINDOW)
    assert free > 0.1 and held < 0.1 * free and held_step < step


def test_a_clip_and_its_beginning_begin_alike() -> None:
    """Noise is shared, and where the network is local so is the result, far from where the shorter one ends."""
    schedule = Schedule(ScheduleConfig())
    got = [sample(MultiDiffusion(by_frame, PLAIN), clip(frames), schedule.timesteps(4), schedule)
           for frames in (100, 40)]
    torch.testing.assert_close(got[0][:, :, :40], got[1], atol=1e-4, rtol=1e-4)


def test_one_clip_at_a_time() -> None:
    with pytest.raises(AssertionError, match="one clip at a time"):
        MultiDiffusion(by_frame, WINDOW)(torch.zeros(2, 4, 20, 8, 8), T, 0)
