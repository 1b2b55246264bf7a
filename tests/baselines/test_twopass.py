"""What any transfer in two passes keeps to, shown of all that there are: steadiness, and the edges of the ordinary."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harmovid.baselines.classical import by_name
from harmovid.baselines.twopass import Reading, inside, smooth
from harmovid.errors import OptionError
from tests.baselines.portraits import EVERY_METHOD, Clip, cloud, portrait, run, whole

# --- steadiness

@EVERY_METHOD
def test_constant_clip_gives_constant_result_to_the_bit(name: str) -> None:
    clip = whole(cloud(7, (-2, -3, -3), 0.5, 70, 16), cloud(8, (-4, -3, -3), 0.5, 70, 16))
    got = run(by_name(name), clip)
    assert np.abs(got[:, 0] - clip.views.composite[:, 0]).max() > 0.01
    assert (got == got[:, :1]).all()


@EVERY_METHOD
@pytest.mark.parametrize("chunk", [1, 5, 16])
def test_chunk_size_does_not_alter_the_result(name: str, chunk: int) -> None:
    rng = np.random.default_rng(9)
    video = rng.uniform(0, 1, (2, 3, 17, 16, 16)).astype(np.float32)
    clip = Clip(video[0], video[1], rng.uniform(0, 1, (1, 17, 16, 16)).astype(np.float32))
    method = by_name(name)
    small = replace(method, reading=Reading(chunk=chunk))  # type: ignore[type-var]
    np.testing.assert_array_equal(run(small, clip), run(method, clip))


@EVERY_METHOD
def test_clip_is_read_twice_in_order_and_in_small_windows(name: str) -> None:
    clip = portrait(frames=70, size=16)
    assert run(by_name(name), clip).shape == clip.views.composite.shape
    assert clip.asked == [(0, 32), (32, 64), (64, 70)] * 2


def lit(levels: np.ndarray) -> tuple[Clip, np.ndarray]:
    """A still person while the scene's light goes by `levels`; the clip and the pixels of the person."""
    clip = portrait(frames=1, size=16)
    frames = len(levels)
    composite, background, mask = (v.repeat(frames, 1) for v in
                                   (clip.views.composite, clip.views.background, clip.views.mask))
    background = np.clip(background * levels[None, :, None, None], 0, 1).astype(np.float32)
    return Clip(composite, background, mask), mask[0, 0] >= 0.999


@EVERY_METHOD
def test_slow_change_of_light_is_followed_smoothly(name: str) -> None:
    clip, inside = lit(np.linspace(0.4, 1.6, 200))
    level = run(by_name(name), clip)[:, :, inside].mean((0, 2))
    assert (np.diff(level) > 0).all()
    assert level[-1] > 1.2 * level[0]
    assert np.abs(np.diff(level, 2)).max() < 1e-3


@EVERY_METHOD
def test_flickering_background_makes_no_flicker(name: str) -> None:
    levels = 1 + 0.3 * np.random.default_rng(10).uniform(-1, 1, 200)
    clip, inside = lit(levels)
    level = run(by_name(name), clip)[:, :, inside].mean((0, 2))
    assert np.abs(np.diff(level)).mean() < 0.01 * np.abs(np.diff(levels * 0.5)).mean()


# --- edges of the ordinary

@EVERY_METHOD
def test_frames_without_a_person_are_untouched_and_of_no_influence(name: str) -> None:
    clip = portrait(frames=6)
    v = clip.views
    gone = np.array([0, 0, 0, 1, 1, 0], bool)
    mask = np.where(gone[None, :, None, None], 0, v.mask).astype(np.float32)
    composite = np.where(gone[None, :, None, None], v.background, v.composite)
    got = run(by_name(name), Clip(composite, v.background, mask))
    np.testing.assert_array_equal(got[:, gone], v.background[:, gone])
    stays = Clip(v.composite[:, ~gone], v.background[:, ~gone], v.mask[:, ~gone])
    np.testing.assert_array_equal(got[:, ~gone], run(by_name(name), stays))


@EVERY_METHOD
def test_clip_without_any_person_comes_back(name: str) -> None:
    clip = portrait()
    empty = Clip(clip.views.background, clip.views.background, np.zeros_like(clip.views.mask))
    np.testing.assert_array_equal(run(by_name(name), empty), clip.views.background)


@EVERY_METHOD
def test_one_frame_and_none(name: str) -> None:
    clip = portrait(frames=1)
    assert run(by_name(name), clip).shape == clip.views.composite.shape
    none = Clip(*(v[:, :0] for v in (clip.views.composite, clip.views.background, clip.views.mask)))
    assert list(by_name(name).harmonize(none)) == []


@EVERY_METHOD
def test_person_too_thin_to_erode_is_still_mapped(name: str) -> None:
    clip = portrait(scene=0.15)
    mask = np.zeros_like(clip.views.mask)
    mask[..., 16] = 1
    got = run(by_name(name), Clip(clip.views.composite, clip.views.background, mask))
    assert np.isfinite(got).all() and (got != clip.views.composite).any()


# --- statistics

def test_a_gaussian_over_time_keeps_what_is_constant_or_even_and_the_sum_of_the_rest() -> None:
    ramp = np.linspace(-1, 1, 101)[:, None] * np.array([1.0, 2.0])
    np.testing.assert_allclose(smooth(ramp, 3)[12:-12], ramp[12:-12], atol=1e-12)
    assert (smooth(np.full((9, 2), 0.1), 3) == 0.1).all()
    spike = np.zeros(101)
    spike[50] = 1
    slow = smooth(spike, 3)
    assert slow.sum() == pytest.approx(1) and slow[53] / slow[50] == pytest.approx(np.exp(-0.5))


def test_the_mask_is_eroded_and_a_thin_person_keeps_a_little() -> None:
    alpha = np.zeros((100, 100), np.float32)
    alpha[20:60, 20:60] = 1
    weight = inside(alpha, 0.05)
    assert (weight[25:55, 25:55] > 1).all() and weight[24, 40] == pytest.approx(1e-4) and weight[10, 40] == 0


@pytest.mark.parametrize("setting", [{"sigma": 0}, {"chunk": 0}, {"erode": 0.2}, {"overview": float("nan")}])
def test_settings_out_of_range_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(OptionError, match="must lie in"):
        Reading(**setting)  # type: ignore[arg-type]
