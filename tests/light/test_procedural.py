import numpy as np
import pytest

from harmovid.light import procedural
from harmovid.video.color import luminance
from tests.light.sphere import mean_radiance


@pytest.mark.parametrize("kind", procedural.KINDS)
def test_every_kind_gives_light_and_the_same_for_the_same_seed(kind):
    made = procedural.draw(np.random.default_rng(3), 4, 24, kind, height=48)
    again = procedural.draw(np.random.default_rng(3), 4, 24, kind, height=48)
    other = procedural.draw(np.random.default_rng(4), 4, 24, kind, height=48)
    for t in (0, 3):
        pixels = made.at(t)
        assert pixels.shape == (48, 96, 3) and pixels.dtype == np.float32
        assert np.isfinite(pixels).all() and pixels.min() >= 0 and luminance(mean_radiance(pixels)) > 1e-3
        assert (pixels == again.at(t)).all()
    assert not np.allclose(made.at(0), other.at(0))
    assert made.name == kind


@pytest.mark.parametrize("kind", ["fire", "passing lamps"])
def test_what_flickers_and_moves_does(kind):
    made = procedural.draw(np.random.default_rng(0), 24, 24, kind, height=32)
    levels = [float(luminance(mean_radiance(made.at(t)))) for t in range(24)]
    assert np.std(levels) > 0.03 * np.mean(levels)


def test_fire_is_warm_overcast_is_grey_and_a_clear_sun_outshines_its_sky():
    fire = mean_radiance(procedural.draw(np.random.default_rng(1), kind="fire", height=64).at(0))
    assert fire[0] > 2 * fire[1] > 4 * fire[2]
    dull = procedural.draw(np.random.default_rng(1), kind="overcast", height=64).at(0)[:16]
    assert np.ptp(dull.mean((0, 1))) < 0.4 * dull.mean()
    sunny = procedural.draw(np.random.default_rng(1), kind="sun and sky", height=64).at(0)
    assert luminance(sunny).max() > 50 * np.median(luminance(sunny))
