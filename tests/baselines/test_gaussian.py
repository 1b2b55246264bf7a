from __future__ import annotations

import numpy as np
import pytest

from harmovid.baselines.gaussian import TemporalGaussian
from harmovid.errors import OptionError
from harmovid.evaluate.temporal import luminance_jitter
from harmovid.video.color import from_linear, to_linear
from tests.baselines import moving


def lit(levels: np.ndarray, size: int = 8) -> np.ndarray:
    """(T, H, W, 3): one texture under scene-linear gains (T,)."""
    light = 0.5 * to_linear(moving.clip(1, size), "srgb")
    return from_linear((light * levels[:, None, None, None]).astype(np.float32), "srgb")


def everywhere(frames: np.ndarray) -> np.ndarray:
    return np.ones(frames.shape[:3], np.float32)


def log_gain(result: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """(T, 3), of the means in scene-linear light."""
    return np.log(to_linear(result, "srgb").mean((1, 2)) / to_linear(frames, "srgb").mean((1, 2)))


def test_constant_light_stays_to_the_bit() -> None:
    frames = lit(np.ones(40))
    np.testing.assert_array_equal(moving.harmonized(TemporalGaussian(), frames, everywhere(frames)), frames)


def test_a_ramp_of_log_gain_stays_but_near_the_ends() -> None:
    frames = lit(np.exp(np.linspace(-1, 0.5, 120)))
    got = log_gain(moving.harmonized(TemporalGaussian(), frames, everywhere(frames)), frames)
    reach = 32  # 4 sigma
    assert np.abs(got[reach:-reach]).max() < 1e-4
    assert got[0].min() > 0.05 and got[-1].max() < -0.05  # there the mean is of one side


def test_one_bright_frame_loses_all_but_the_kernels_own_share() -> None:
    levels = np.ones(41)
    levels[20] = np.exp(0.5)
    frames = lit(levels)
    got = log_gain(moving.harmonized(TemporalGaussian(2), frames, everywhere(frames)), frames)
    kernel = np.exp(-0.5 * (np.arange(-8, 9) / 2) ** 2)
    kernel /= kernel.sum()
    wanted = np.zeros(41)
    wanted[12:29] = 0.5 * kernel
    wanted[20] -= 0.5
    np.testing.assert_allclose(got, np.repeat(wanted[:, None], 3, 1), atol=1e-4)


def test_jitter_of_the_whole_person_falls_by_nine_tenths_and_the_rest_keeps_its_bits() -> None:
    clean = moving.clip(48)
    jumps = to_linear(moving.gains(48, spread=0.2), "srgb")
    shown = from_linear(np.clip(0.6 * to_linear(clean, "srgb") * jumps, 0, 1).astype(np.float32), "srgb")
    truth = from_linear((0.6 * to_linear(clean, "srgb")).astype(np.float32), "srgb")
    masks = np.zeros(clean.shape[:3], np.float32)
    masks[:, 4:20, 4:20] = 1
    masks[:, 3] = 0.5
    result = moving.harmonized(TemporalGaussian(), shown, masks)
    np.testing.assert_array_equal(result[masks == 0], shown[masks == 0])
    inner = (masks == 1).astype(np.float32)
    assert luminance_jitter(result, truth, inner) < 0.1 * luminance_jitter(shown, truth, inner)


def test_frames_without_the_person_are_left_alone_and_bridged() -> None:
    frames = lit(np.where(np.arange(20) == 9, 1.6, 1.0))
    masks = everywhere(frames)
    masks[9] = 0
    np.testing.assert_array_equal(moving.harmonized(TemporalGaussian(), frames, masks), frames)
    np.testing.assert_array_equal(moving.harmonized(TemporalGaussian(), frames, 0 * masks), frames)


def test_black_frames_stay_finite() -> None:
    frames = lit(np.where(np.arange(9) == 4, 0.0, 1.0))
    result = moving.harmonized(TemporalGaussian(), frames, everywhere(frames))
    assert np.isfinite(result).all() and not result[4].any()


@pytest.mark.parametrize("sigma", [0, -1, float("nan"), float("inf")])
def test_a_width_without_meaning_is_refused(sigma: float) -> None:
    with pytest.raises(OptionError, match="a number of frames above 0"):
        TemporalGaussian(sigma)
