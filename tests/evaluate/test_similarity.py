import math

import cv2
import numpy as np
import pytest

from harmovid.errors import InputError
from harmovid.evaluate.similarity import SSIM, ssim, ssim_map


def noise(*shape, seed=0, low=0.0, high=1.0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def flat(value, height=20, width=24):
    return np.full((height, width, 3), value, np.float32)


def naive(result, truth):
    """The equation in loops, window by window."""
    taps = [math.exp(-((i - 5) ** 2) / (2 * 1.5**2)) for i in range(11)]
    window = np.outer(taps, taps) / sum(taps) ** 2
    height, width = result.shape[:2]
    index = np.zeros((height - 10, width - 10))
    for row in range(height - 10):
        for column in range(width - 10):
            for channel in range(3):
                x, y = (v[row:row + 11, column:column + 11, channel].astype(np.float64) for v in (result, truth))
                mu_x, mu_y = (window * x).sum(), (window * y).sum()
                var_x, var_y = (window * (x - mu_x) ** 2).sum(), (window * (y - mu_y) ** 2).sum()
                both = (window * (x - mu_x) * (y - mu_y)).sum()
                index[row, column] += ((2 * mu_x * mu_y + 0.01**2) * (2 * both + 0.03**2)
                                       / (mu_x**2 + mu_y**2 + 0.01**2) / (var_x + var_y + 0.03**2)) / 3
    return index


def test_identical_is_one():
    picture = noise(30, 40, 3)
    assert ssim(picture, picture) == pytest.approx(1, abs=1e-12)
    assert ssim_map(picture, picture).shape == (20, 30)


@pytest.mark.parametrize("a, b", [(0.5, 0.6), (0.0, 1.0), (0.2, 0.0), (1.0, 0.9)])
def test_a_constant_shift_of_a_constant_gives_the_luminance_term(a, b):
    expected = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
    assert ssim(flat(a), flat(b)) == pytest.approx(expected, rel=1e-6)


def test_a_gain_of_contrast_about_one_mean_gives_the_contrast_term():
    # Both have the mean 0.5 under every window, so what is left is (2 g s + C2) / ((1 + g²) s + C2), s the variance.
    stripes = np.where(np.indices((24, 30)).sum(axis=0) % 2, 0.25, -0.25).astype(np.float32)[..., None].repeat(3, 2)
    taps = np.exp(-((np.arange(11) - 5.0) ** 2) / 4.5)
    mean = 0.25 * ((taps * (-1.0) ** np.arange(11)).sum() / taps.sum()) ** 2  # what the window leaves of the stripes
    for gain in (0.5, 0.1):
        s = 0.25**2 - mean**2
        expected = (2 * gain * s + 9e-4) / ((1 + gain**2) * s + 9e-4)
        assert ssim(0.5 + np.float32(gain) * stripes, 0.5 + stripes) == pytest.approx(expected, abs=1e-5)


def test_equals_the_equation_in_loops():
    truth = cv2.GaussianBlur(noise(17, 15, 3), (0, 0), 1)
    result = np.clip(truth * 0.8 + noise(17, 15, 3, seed=1, high=0.2), 0, 1)
    assert np.allclose(ssim_map(result, truth), naive(result, truth), rtol=0, atol=1e-10)


def test_foreground_is_weighted_by_the_alpha_at_the_centre():
    result, truth, alpha = noise(16, 19, 3), noise(16, 19, 3, seed=1), noise(16, 19, seed=2)
    weight = alpha[5:-5, 5:-5].astype(np.float64)
    expected = (weight * naive(result, truth)).sum() / weight.sum()
    assert ssim(result, truth, alpha) == pytest.approx(expected, abs=1e-9)


def test_background_beyond_the_window_has_no_say():
    truth, alpha = noise(60, 60, 3), np.zeros((60, 60), np.float32)
    alpha[25:35, 25:35] = 1
    result = np.clip(truth + 0.05, 0, 1).astype(np.float32)
    spoilt = noise(60, 60, 3, seed=3)
    spoilt[20:40, 20:40] = result[20:40, 20:40]
    assert ssim(spoilt, truth, alpha) == pytest.approx(ssim(result, truth, alpha), abs=1e-12)
    assert ssim(spoilt, truth) < ssim(result, truth) - 0.1


def test_sees_a_change_of_hue_at_equal_luma():
    grey = flat(0.5)
    tinted = grey + np.array([0.2, -0.2 * 0.2126 / 0.7152, 0], np.float32)
    assert ssim(tinted, grey) < 0.99


def test_falls_with_blur_and_noise():
    truth = noise(64, 64, 3)
    blurred = [ssim(cv2.GaussianBlur(truth, (0, 0), s), truth) for s in (0.4, 0.7, 1.5)]
    noisy = [ssim(truth + noise(64, 64, 3, seed=4, low=-a, high=a), truth) for a in (0.05, 0.2, 0.5)]
    assert 1 > blurred[0] > blurred[1] > blurred[2] > 0
    assert 1 > noisy[0] > noisy[1] > noisy[2]


def test_streamed_in_any_order_equals_the_clip_and_both_come_of_one_pass():
    result, truth, alpha = noise(3, 20, 20, 3), noise(3, 20, 20, 3, seed=1), noise(3, 20, 20, seed=2)
    pooled = SSIM()
    assert math.isnan(pooled.value) and math.isnan(pooled.foreground)
    for t in (2, 0, 1):
        pooled.add(result[t], truth[t], alpha[t])
    assert pooled.value == pytest.approx(ssim(result, truth), abs=1e-12)
    assert pooled.foreground == pytest.approx(ssim(result, truth, alpha), abs=1e-12)
    assert pooled.value == pytest.approx(np.mean([ssim(result[t], truth[t]) for t in range(3)]), abs=1e-12)


def test_no_foreground_is_nan():
    assert math.isnan(ssim(flat(0.5), flat(0.5), np.zeros((20, 24), np.float32)))
    assert ssim(flat(0.5), flat(0.5)) == pytest.approx(1)


@pytest.mark.parametrize("result, truth, alpha, words", [
    (flat(0.0), flat(0.0, 20, 25), None, "resize"),
    (flat(0.0, 10), flat(0.0, 10), None, "at least 11"),
    (flat(0.0), flat(0.0), np.zeros((20, 25), np.float32), "resize the mask"),
    (flat(0.0), flat(0.0), np.full((20, 24), -1, np.float32), "never negative"),
    (flat(0.0).astype(np.uint8), flat(0.0).astype(np.uint8), None, "divide"),
    (flat(np.nan), flat(0.0), None, "NaN"),
])
def test_errors_say_what_to_do(result, truth, alpha, words):
    with pytest.raises(InputError, match=words):
        ssim(result, truth, alpha)
