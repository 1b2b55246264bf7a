"""Fields of noise: bounded, smooth, the same for the same seed."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage import noise


def test_noise_is_smooth_and_seeded():
    points = np.stack([np.linspace(0, 1, 400), np.zeros(400), np.zeros(400)], 1)
    first = noise.value(points, 0.1, np.random.default_rng(3))
    again = noise.value(points, 0.1, np.random.default_rng(3))
    np.testing.assert_array_equal(first, again)
    assert first.std() > 0.2 and np.abs(first).max() <= 1.6
    assert np.abs(np.diff(first)).max() < 0.15  # 40 samples a cell


def test_octaves_add_detail():
    points = np.random.default_rng(0).random((500, 3))
    step = points + np.array([0.005, 0, 0])

    def change(octaves):
        return np.abs(
            noise.value(points, 0.2, np.random.default_rng(1), octaves)
            - noise.value(step, 0.2, np.random.default_rng(1), octaves)
        ).mean()

    assert change(4) > 1.5 * change(1)


@pytest.mark.parametrize(("x", "expected"), [(-1.0, 0.0), (0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (2.0, 1.0)])
def test_ramp_is_smoothstep(x, expected):
    assert noise.ramp(np.array(x), 0, 1) == expected
    assert noise.ramp(np.array(x), 1, 0) == pytest.approx(1 - expected)


def test_a_mirrored_bump_has_two_peaks():
    points = np.array([[0.3, 0, 0], [-0.3, 0, 0], [0.0, 0, 0]])
    np.testing.assert_allclose(noise.bump(points, (0.3, 0, 0), 0.1, True), [1, 1, np.exp(-4.5)])
