"""Light that moves, against closed forms."""

import math

import numpy as np
import pytest

from harmovid.errors import InputError
from harmovid.evaluate.movement import foreground_light, movement
from harmovid.video.color import from_linear

WAVE = np.sin(np.arange(48) * math.pi / 12)  # four whole periods


def test_the_truth_itself_scores_one_whatever_its_mean():
    assert movement(WAVE - 3, WAVE) == pytest.approx((1, 1))


@pytest.mark.parametrize("share", [0.5, 1.5, -0.5])
def test_the_slope_is_the_share_of_the_movement(share):
    assert movement(share * WAVE, WAVE) == pytest.approx((math.copysign(1, share), share))


def test_light_that_stays_scores_nothing():
    assert movement(np.full(48, -1.3), WAVE) == (0, 0)


def test_smoothing_over_time_lowers_the_slope_by_its_closed_form():
    n, step = 9, math.pi / 12  # a mean over n frames damps a wave by sin(n φ / 2) / (n sin(φ / 2))
    smooth = np.convolve(np.tile(WAVE, 3), np.ones(n) / n, mode="same")[48:96]
    assert movement(smooth, WAVE) == pytest.approx((1, math.sin(n * step / 2) / (n * math.sin(step / 2))))


def test_flicker_lowers_the_correlation_and_leaves_the_slope():
    # Alternating signs are at right angles to the wave; at its variance the correlation is 1 / √2.
    flicker = math.sqrt(0.5) * (-1.0) ** np.arange(48)
    assert movement(WAVE + flicker, WAVE) == pytest.approx((math.sqrt(0.5), 1))


def test_what_comes_late_no_longer_agrees():
    assert movement(np.roll(WAVE, 6), WAVE) == pytest.approx((0, 0), abs=1e-9)


def test_unknown_frames_are_left_out_and_a_truth_that_stays_is_undefined():
    light, wanted = WAVE.copy(), WAVE.copy()
    light[3], wanted[30] = np.nan, np.nan
    assert movement(light, wanted) == pytest.approx((1, 1))
    for still in (0.01 * WAVE, np.full(48, np.nan), np.zeros(0)):
        assert all(map(math.isnan, movement(still, still)))
    with pytest.raises(InputError, match="a number for each"):
        movement(WAVE, WAVE[1:])


def test_light_is_the_linear_mean_under_the_alpha():
    alpha = np.zeros((4, 6), np.float32)
    alpha[1, 2], alpha[2, 3] = 1, 0.5
    linear = np.full((4, 6, 3), 0.9, np.float32)
    linear[1, 2], linear[2, 3] = 0.2, 0.5
    shown = from_linear(linear, "srgb")
    assert foreground_light(shown, alpha) == pytest.approx(math.log(0.45 / 1.5), abs=1e-5)
    assert foreground_light(0 * shown, alpha) == pytest.approx(math.log(0.002))
    assert math.isnan(foreground_light(shown, 0 * alpha))
    with pytest.raises(InputError, match="one frame at a time"):
        foreground_light(shown[None], alpha[None])
