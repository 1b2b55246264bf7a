import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmovid.errors import InputError
from harmovid.evaluate.relight import (
    LightingVector,
    RelightAmplitude,
    light_direction,
    lighting_vector,
    relight_amplitude,
)
from harmovid.video.color import from_linear, to_linear
from tests import figures

FULL = np.ones((2, 48, 64), np.float32)


def bright(frames=2, height=48, width=64, seed=0):
    """Linear light far above ε, so that closed forms hold; some of it above reference white."""
    return np.stack([1 + 4 * figures.texture(height, width, seed + t) for t in range(frames)])


def lit(linear, log_gain):
    return from_linear(linear * np.exp(np.asarray(log_gain, np.float32)), "srgb")


def field(height=48, width=64, seed=5):
    """A smooth log gain, different in each colour."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width, :1].astype(np.float32)[:2] / width - 0.5
    return (rng.normal(0, 0.3, 3) + rng.normal(0, 1, 3) * x + rng.normal(0, 1, 3) * y).astype(np.float32)


class TestRelightAmplitude:
    @pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, 1.5, -1.0])
    def test_the_slope_is_the_strength_in_log(self, strength):
        light, gain = bright(), field()
        found = relight_amplitude(lit(light, strength * gain), lit(light, 0), lit(light, gain), FULL)
        assert found.slope == pytest.approx(strength, abs=0.01)
        assert found.correlation == pytest.approx(np.sign(strength), abs=0.01)
        assert found.samples == 2 * 6 * 8 * 3
        assert found.strength == pytest.approx(np.sqrt(np.square(gain).mean()), rel=0.02)

    def test_half_the_strength_on_ordinary_light_too(self):
        film = figures.film((96, 72), 2)
        gain = field(72, 96)
        truth, result = film.lit(np.exp(gain)), film.lit(np.exp(gain / 2))
        found = relight_amplitude(result, film.own, truth, film.alpha)
        assert found.slope == pytest.approx(0.5, abs=0.02) and found.correlation > 0.99

    def test_one_gain_for_all_has_the_level_but_not_the_distribution(self):
        light, gain = bright(), field()
        constant = relight_amplitude(lit(light, gain.mean()), lit(light, 0), lit(light, gain), FULL)
        flat = np.full_like(light, 2.0)
        even = relight_amplitude(lit(flat, 0.4), lit(flat, 0), lit(flat, gain), FULL)
        assert abs(constant.correlation) < 0.1 and even.correlation == 0
        level = relight_amplitude(lit(light, 0.3), lit(light, 0), lit(light, 0.6), FULL)
        assert level.slope == pytest.approx(0.5, abs=0.01) and math.isnan(level.correlation)

    def test_only_cells_that_the_person_fills_count(self):
        light, alpha = bright(1), np.zeros((1, 48, 64), np.float32)
        alpha[:, 9:40, 17:64] = 1  # cells from (16, 24) on are whole, those around it in part
        truth = lit(light, 0.5)
        result = np.where(alpha[..., None] > 0, truth, 0.3).astype(np.float32)
        result[:, 9:16], result[:, :, 17:24] = 0, 0
        found = relight_amplitude(result, lit(light, 0), truth, alpha)
        assert found.slope == pytest.approx(1, abs=1e-5) and found.samples == 3 * 5 * 3

    @pytest.mark.parametrize("person", [np.s_[0:16, 0:24], np.s_[30:48, 40:64], np.s_[13:39, 5:57]])
    def test_the_working_cut_around_the_person_does_not_show(self, person):
        light, gain = bright(1)[0], field()
        alpha = np.zeros((48, 64), np.float32)
        alpha[person] = 1
        result, composite, truth = lit(light, gain * gain), lit(light, 0), lit(light, gain)
        got, wanted = [], []
        for y in range(0, 48, 8):
            for x in range(0, 64, 8):
                cell = np.s_[y:y + 8, x:x + 8]
                if alpha[cell].mean() > 0.9:
                    means = [(to_linear(v[cell], "srgb").astype(np.float64) * alpha[cell][..., None]).sum((0, 1))
                             / alpha[cell].sum() + 0.01 for v in (result, composite, truth)]
                    got += [*np.log(means[0] / means[1])]
                    wanted += [*np.log(means[2] / means[1])]
        found = relight_amplitude(result[None], composite[None], truth[None], alpha[None])
        assert found.samples == len(got) > 0
        assert found.slope == pytest.approx(np.dot(got, wanted) / np.dot(wanted, wanted), rel=1e-5)
        assert found.correlation == pytest.approx(np.corrcoef(got, wanted)[0, 1], rel=1e-5)

    def test_truth_that_does_not_change_and_no_person_are_nan(self):
        light = bright()
        still = relight_amplitude(lit(light, 0.4), lit(light, 0), lit(light, 0), FULL)
        assert math.isnan(still.slope) and math.isnan(still.correlation) and still.strength < 1e-5
        none = relight_amplitude(lit(light, 0.4), lit(light, 0), lit(light, 1), 0 * FULL)
        assert math.isnan(none.slope) and none.samples == 0

    def test_a_channel_without_light_stays_finite(self):
        red = np.zeros((1, 16, 16, 3), np.float32)
        red[..., 0] = 0.8
        found = relight_amplitude(red, np.full_like(red, 0.5), red, np.ones((1, 16, 16), np.float32))
        assert found.slope == pytest.approx(1) and math.isfinite(found.strength)

    def test_errors_say_what_to_do(self):
        frame = np.zeros((8, 8, 3), np.float32)
        with pytest.raises(InputError, match="resize"):
            RelightAmplitude().add(frame, frame, np.zeros((8, 9, 3), np.float32), np.ones((8, 8), np.float32))
        with pytest.raises(InputError, match="one frame at a time"):
            RelightAmplitude().add(frame[None], frame[None], frame[None], np.ones((1, 8, 8), np.float32))

    def test_memory_stays_constant(self):
        light = lit(bright(), 0)

        def peak(frames):
            measures = RelightAmplitude(), LightingVector()
            tracemalloc.start()
            for t in range(frames):
                measures[0].add(light[0], light[t % 2], light[1], FULL[0])
                measures[1].add(light[0], light[t % 2], FULL[0])
            _, top = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            return top

        peak(3)
        assert peak(60) < peak(4) + 20_000


def slope_of_light(box, a, b, height=48, width=64, level=0.0):
    """Log gain of level + a x + b y over a box (left, top, width, height), (H, W, 1)."""
    left, top, wide, high = box
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return (level + a * ((x + 0.5 - left) / wide - 0.5) + b * ((y + 0.5 - top) / high - 0.5))[..., None]


class TestLightingVector:
    @settings(deadline=None, max_examples=20)
    @given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1))
    def test_a_slope_of_light_is_found(self, a, b, level):
        light = np.full((1, 48, 64, 3), 20.0, np.float32)  # far above ε
        found = lighting_vector(lit(light, slope_of_light((0, 0, 64, 48), a, b, level=level)), lit(light, 0), FULL[:1])
        assert found == pytest.approx((a, b), abs=0.01)

    def test_it_is_measured_over_the_person(self):
        light, box = bright(1), (16, 8, 32, 40)
        alpha = np.zeros((1, 48, 64), np.float32)
        alpha[:, 8:48, 16:48] = 1
        result = lit(light, slope_of_light(box, 0.6, -0.4))
        result[alpha == 0] = 0.1
        assert lighting_vector(result, lit(light, 0), alpha) == pytest.approx((0.6, -0.4), abs=0.02)

    def test_texture_motion_and_a_lamp_turned_down_tell_nothing(self):
        film = figures.film((96, 96), 5, step=(5, 0))
        dimmed = film.lit(np.linspace(1, 0.4, 5)[:, None, None, None])
        assert lighting_vector(dimmed, film.own, film.alpha) == pytest.approx((0, 0), abs=0.03)

    def test_too_few_cells_are_nan(self):
        light = lit(bright(1), 0)
        for part in (np.s_[:, :0], np.s_[:, 8:16, 8:16], np.s_[:, 8:16]):  # none, one, one row
            alpha = np.zeros((1, 48, 64), np.float32)
            alpha[part] = 1
            assert np.isnan(lighting_vector(light, light, alpha)).all()


def turned(count=8, tilt=0.2, phase=0.0):
    """The vectors of a lamp that goes round the person, (count, 2)."""
    angle = 2 * np.pi * np.arange(count) / count + phase
    return np.stack([np.sin(angle), tilt * np.cos(angle)], axis=1)


class TestLightDirection:
    def test_the_truth_itself_is_one(self):
        found = light_direction(turned(), turned())
        assert (found.correlation, found.slope) == (pytest.approx(1), pytest.approx(1))

    @pytest.mark.parametrize("strength", [0.3, 2.0, -1.0])
    def test_strength_is_the_slope_and_not_the_correlation(self, strength):
        found = light_direction(strength * turned() + (0.7, -0.2), turned())  # the mean is the performance's own
        assert found.slope == pytest.approx(strength) and found.correlation == pytest.approx(np.sign(strength))

    @pytest.mark.parametrize("answer", [(0.0, 0.0), (0.8, -0.3)])
    def test_a_constant_answer_scores_nothing(self, answer):
        found = light_direction(np.tile(answer, (9, 1)), turned(9))
        assert found.correlation == 0 and found.slope == pytest.approx(0, abs=1e-12)

    def test_a_quarter_turn_off_is_nothing_and_half_a_turn_is_the_opposite(self):
        truth = turned(tilt=1)
        assert light_direction(turned(tilt=1, phase=np.pi / 2), truth).correlation == pytest.approx(0, abs=1e-9)
        assert light_direction(turned(tilt=1, phase=np.pi), truth).correlation == pytest.approx(-1)

    def test_each_performance_has_a_mean_of_its_own(self):
        truth = np.stack([turned(), turned(tilt=0.5)])
        constant = np.stack([np.tile((1.0, 0.0), (8, 1)), np.tile((-1.0, 0.0), (8, 1))])
        assert light_direction(constant, truth).correlation == 0
        assert light_direction(truth + constant, truth).correlation == pytest.approx(1)

    def test_a_truth_that_does_not_turn_is_nan(self):
        found = light_direction(turned(), np.full((8, 2), 0.3))
        assert math.isnan(found.correlation) and math.isnan(found.slope)

    @pytest.mark.parametrize("found, truth, words", [
        (turned(8), turned(9), "one vector for each rotation"),
        (turned(8)[:, :1], turned(8)[:, :1], "one vector for each rotation"),
        (turned(7), turned(7), "at least 8"),
        (np.where(np.arange(8)[:, None] == 5, np.nan, turned()), turned(), "result of rotation 5"),
    ])
    def test_errors_say_what_to_do(self, found, truth, words):
        with pytest.raises(InputError, match=words):
            light_direction(found, truth)

    def test_from_pictures_round_a_drawn_person(self):
        film = figures.film((96, 96), 2)
        truths = turned(8)
        vectors = [np.array([lighting_vector(film.lit(np.exp(slope_of_light((14, 7, 68, 84), *(k * v), 96, 96))),
                                             film.own, film.alpha) for v in truths]) for k in (1, 0.5)]
        found = light_direction(vectors[1], vectors[0])
        assert found.correlation > 0.999 and found.slope == pytest.approx(0.5, abs=0.02)
        assert light_direction(vectors[0], truths).slope == pytest.approx(1, abs=0.1)
