"""Flicker: it has no mean, leaves alone what it should, and a network that smoothed everything would lose."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from harmovid.data.flicker import FlickerConfig, MovingConfig, between_lights, flicker, jitter, move_light
from harmovid.light.grade import luma, srgb_to_linear

pytestmark = pytest.mark.usefixtures("one_thread")

FRAMES = 33
ALWAYS = FlickerConfig(untouched=0, amounts=(0.5, 0.5))
MOVES = MovingConfig(share=1, amounts=(1, 1), alone=0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grey(count: int = 4, frames: int = FRAMES, level: float = 0.35) -> tuple[Tensor, Tensor]:
    """A grey picture, and a person in its middle half."""
    alpha = torch.zeros(count, 1, frames, 24, 32)
    alpha[..., 4:20, 8:24] = 1
    return torch.full((count, 3, frames, 24, 32), level), alpha


def level(video: Tensor) -> Tensor:
    """(B, T): log of each frame's mean luminance."""
    return luma(srgb_to_linear(video)).mean((1, 3, 4)).log()


@pytest.mark.parametrize("kind", range(4))
def test_jitter_has_no_mean_and_about_unit_variance(kind: int) -> None:
    drawn = jitter(torch.full((200,), kind), 2, 40, seeded())
    assert drawn.shape == (200, 2, 40)
    torch.testing.assert_close(drawn.mean(2), torch.zeros(200, 2), atol=1e-5, rtol=0)
    assert 0.3 < drawn.square().mean() < 1.3
    assert not drawn[0].equal(drawn[1])


def test_kinds_of_jitter_differ_as_they_are_named() -> None:
    fresh, wave, walk, flash = (jitter(torch.full((200,), kind), 1, 40, seeded())[:, 0] for kind in range(4))

    def alike(curve: Tensor, lag: int) -> float:
        return float((curve[:, lag:] * curve[:, :-lag]).mean() / curve.square().mean())

    assert abs(alike(fresh, 1)) < 0.1 and alike(walk, 1) > 0.4 > alike(walk, 8)
    spectrum = torch.fft.rfft(wave).abs().square()
    assert (spectrum.amax(1) / spectrum.sum(1)).median() > 0.5  # one frequency has most of it
    rests = flash - flash.median(1, keepdim=True).values
    runs = [len(run) for row in (rests.abs() > 0.5).int().tolist()
            for run in "".join(map(str, row)).strip("0").split("0") if run]
    assert runs and sorted(runs)[len(runs) // 2] <= 3 and (rests.abs() < 1e-5).float().mean() > 0.7


@pytest.mark.parametrize("ways", [(1, 0, 0), (0, 1, 0)], ids=["global", "local"])
def test_flicker_has_about_the_mean_light_of_the_clip(ways: tuple[float, float, float]) -> None:
    video, alpha = grey(24)
    jumping = flicker(video, alpha, replace(ALWAYS, ways=ways), seeded())
    assert jumping.isfinite().all() and 0 <= jumping.min() and jumping.max() <= 1
    off = level(jumping) - level(video)
    if ways[0]:
        assert off.std(1).median() > 0.05
    mean = srgb_to_linear(jumping).clamp(min=1e-4).log().mean(2) - srgb_to_linear(video).log().mean(2)
    assert mean.mean((1, 2, 3)).abs().median() < 0.05  # tone curves bend about the middle, so not to the last bit
    assert float(jumping.diff(dim=2).abs().mean()) > 0.01


@pytest.mark.parametrize("lamps", [0, 1])
def test_local_flicker_has_the_mean_light_of_the_clip_in_every_pixel(lamps: int) -> None:
    video, alpha = grey(12)
    jumping = flicker(video, alpha, replace(ALWAYS, ways=(0, 1, 0), lamps=lamps, amounts=(0.3, 0.3)), seeded())
    gain = (srgb_to_linear(jumping) / srgb_to_linear(video)).log()
    assert gain.std(2).amax((1, 2, 3)).median() > 0.02 and gain.mean(2).abs().amax() < 1e-4


def test_light_that_moves_but_for_a_lamp_that_passes_has_the_mean_light_of_the_clip_in_every_pixel() -> None:
    video, alpha = grey(12, level=0.2)
    moved = move_light([video], alpha, replace(MOVES, amounts=(0.3, 0.3), courses=(1, 1, 0)), seeded())[0]
    gain = (srgb_to_linear(moved) / srgb_to_linear(video)).log()
    assert gain.std(2).amax((1, 2, 3)).min() > 0.02 and gain.mean(2).abs().amax() < 1e-4


def test_local_jitter_differs_over_the_picture_and_bands_over_the_rows() -> None:
    video, alpha = grey(8)
    local = flicker(video, alpha, replace(ALWAYS, ways=(0, 1, 0), lamps=0), seeded())
    assert (local - local.mean((3, 4), keepdim=True)).abs().mean() > 0.01
    only = replace(ALWAYS, ways=(1, 0, 0), times=(0, 1, 0, 0), table=0)
    plain, banded = (flicker(video, alpha, replace(only, banded=share), seeded(3)) for share in (0.0, 1.0))
    assert plain.std(3).max() < 1e-5 < 0.005 < banded.std(3).mean() and banded.std(4).max() < 1e-5


def test_untouched_samples_and_single_frames_are_the_same_bit_for_bit() -> None:
    video, alpha = grey(12)
    some = flicker(video, alpha, replace(ALWAYS, untouched=0.5), seeded(1))
    same = torch.tensor([one.equal(other) for one, other in zip(some, video, strict=True)])
    assert 0 < same.sum() < 12
    assert flicker(video, alpha, replace(ALWAYS, untouched=1), seeded()).equal(video)
    photo, cover = grey(frames=1)
    assert flicker(photo, cover, ALWAYS, seeded()).equal(photo)
    assert move_light([photo], cover, MOVES, seeded())[0].equal(photo)


def test_the_same_generator_gives_the_same_flicker() -> None:
    video, alpha = grey()
    first, again, other = (flicker(video, alpha, ALWAYS, seeded(seed)) for seed in (5, 5, 6))
    assert first.equal(again) and not first.equal(other)


def test_light_that_moves_is_the_same_on_person_and_scene_unless_it_falls_on_the_person_alone() -> None:
    video, alpha = grey(6)
    person, scene = move_light([video, video], alpha, MOVES, seeded())
    assert person.equal(scene) and (level(person).amax(1) - level(person).amin(1) > 0.02).all()
    person, scene = move_light([video, video], alpha, replace(MOVES, alone=1), seeded())
    assert scene.equal(video) and not person.equal(video)
    assert move_light([video], alpha, replace(MOVES, share=0), seeded())[0].equal(video)


def test_a_step_takes_no_longer_than_three_frames_and_a_drift_does() -> None:
    video, alpha = grey(16)
    stepped, drifted = (level(move_light([video], alpha, replace(MOVES, courses=courses), seeded(2))[0])
                        for courses in ((0, 1, 0), (1, 0, 0)))
    assert ((stepped.diff().abs() > 1e-3).sum(1) <= 4).all()
    assert ((drifted.diff().abs() > 1e-3).sum(1) > 6).float().mean() > 0.5


def test_who_smooths_everything_loses_what_moves_and_who_does_nothing_keeps_what_jumps() -> None:
    video, alpha = grey(16)
    target = move_light([video], alpha, replace(MOVES, courses=(0, 0.5, 0.5)), seeded(4))[0]
    jumping = flicker(target, alpha, replace(ALWAYS, amounts=(0.15, 0.15), ways=(1, 0, 0), times=(1, 0, 0, 0)),
                      seeded(5))
    nothing = (jumping - target).square().mean()
    smoothed = (jumping.mean(2, keepdim=True) - target).square().mean()
    assert smoothed > nothing > 0


def test_performances_jump_between_their_lights_and_no_further_on_the_mean() -> None:
    one, other = torch.full((8, 3, FRAMES, 8, 8), 0.3), torch.full((8, 3, FRAMES, 8, 8), 0.6)
    steady, jumping = between_lights(one, other, ALWAYS, MovingConfig(share=0), seeded())
    assert steady.std(2).max() < 1e-6 and 0.3 - 1e-6 <= steady.min() and steady.max() <= 0.6 + 1e-6
    assert jumping.std(2).mean() > 0.01
    torch.testing.assert_close(srgb_to_linear(jumping).mean(2), srgb_to_linear(steady).mean(2), atol=5e-3, rtol=0)
    moved, _ = between_lights(one, other, ALWAYS, MovingConfig(share=1), seeded())
    assert moved.std(2).mean() > 0.005
