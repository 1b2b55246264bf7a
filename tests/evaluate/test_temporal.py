import math
import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmovid.errors import InputError, OptionError
from harmovid.evaluate.temporal import (
    LuminanceJitter,
    StepResponse,
    cell_means,
    light_gain,
    luminance_jitter,
    step_change,
    step_response,
)
from harmovid.video.color import from_linear, to_linear
from tests import figures


def moving(frames=6, height=40, width=48, seed=0, low=0.05, high=0.3):
    """Linear light with texture that moves, changes and passes from dark to bright."""
    rng = np.random.default_rng(seed)
    base = cv2.GaussianBlur(rng.uniform(size=(height, width * 2, 3)).astype(np.float32), (0, 0), 1.5)
    base = low + (high - low) * (base - base.min()) / (base.max() - base.min())
    return np.stack([np.roll(base, 5 * t, 1)[:, :width] for t in range(frames)])


def shown(linear):
    return np.stack([from_linear(frame, "srgb") for frame in linear])


def gains(linear, values):
    return shown(linear * np.asarray(values, np.float32)[:, None, None, None])


FULL = np.ones((6, 40, 48), np.float32)


def test_identical_is_exactly_zero():
    clip = shown(moving())
    assert luminance_jitter(clip, clip.copy(), FULL) == 0.0


@settings(deadline=None, max_examples=25)
@given(st.floats(0.1, 3.0), st.integers(0, 1000))
def test_constant_gain_is_zero_whatever_moves(gain, seed):
    light = moving(seed=seed)
    assert luminance_jitter(gains(light, [gain] * 6), shown(light), FULL) < 2e-5


def test_gain_that_differs_over_the_picture_is_zero():
    light = moving(low=0.2, high=0.21)
    relit = light * np.linspace(0.3, 2, 48, dtype=np.float32)[None, None, :, None]
    assert luminance_jitter(shown(relit), shown(light), FULL) < 2e-3


def test_steady_growth_is_zero():
    light = moving()
    assert luminance_jitter(gains(light, 1.1 ** np.arange(6)), shown(light), FULL) < 1e-5


@settings(deadline=None, max_examples=25)
@given(st.floats(0.01, 1.0))
def test_alternating_gain_is_four_times_its_log(a):
    light = moving()
    result = gains(light, [math.exp(a * (-1) ** t) for t in range(6)])
    assert luminance_jitter(result, shown(light), FULL) == pytest.approx(4 * a, rel=1e-3)


def test_one_step_of_light():
    # A step of s is seen by two of the four triples, each with |s|.
    light = moving()
    result = gains(light, [1, 1, 1, 1.5, 1.5, 1.5])
    assert luminance_jitter(result, shown(light), FULL) == pytest.approx(math.log(1.5) / 2, rel=1e-3)


def test_colour_of_equal_luminance_is_zero():
    light = np.full((6, 16, 16, 3), 0.3, np.float32)
    tinted = light.copy()
    tinted[::2, ..., 0] += 0.1
    tinted[::2, ..., 1] -= 0.1 * 0.2126 / 0.7152
    assert luminance_jitter(shown(tinted), shown(light), FULL[:, :16, :16]) < 1e-5


def test_only_the_foreground_counts():
    light, alpha = moving(), FULL.copy()
    alpha[:, :, 24:] = 0
    result = light.copy()
    result[::2, :, 24:] *= 2
    assert luminance_jitter(shown(result), shown(light), alpha) < 1e-5
    # Nor does the background in a cell that is covered by more than half.
    alpha = FULL.copy()
    alpha[:, :, :3] = 0
    result = light.copy()
    result[::2, :, :3] *= 2
    assert luminance_jitter(shown(result), shown(light), alpha) < 1e-5


def test_cell_takes_part_only_when_covered_in_all_three_frames():
    light = np.full((5, 8, 8, 3), 0.2, np.float32)
    alpha = np.ones((5, 8, 8), np.float32)
    alpha[2, :, :4] = 0  # mean exactly 0.5: not covered
    result = gains(light, [1, 2, 1, 2, 1])
    assert math.isnan(luminance_jitter(result, shown(light), alpha))
    alpha[2, 0, 0] = 1
    assert luminance_jitter(result, shown(light), alpha) == pytest.approx(4 * math.log(2) / 2, rel=1e-4)


def test_black_reference_is_left_out_and_black_output_stays_finite():
    light = np.full((6, 16, 16, 3), 0.2, np.float32)
    light[:, :8] = 0
    result = light.copy()
    result[::2, :8] = 0.5  # on black there is no gain to speak of
    alpha = FULL[:, :16, :16]
    assert luminance_jitter(shown(result), shown(light), alpha) == 0
    gone = np.zeros_like(light)
    assert luminance_jitter(shown(gone), shown(light), alpha) == 0
    gone[::2] = light[::2]
    assert luminance_jitter(shown(gone), shown(light), alpha) == pytest.approx(2 * math.log(64), rel=1e-3)


def test_motion_into_the_dark_does_not_pass_for_light():
    # Where an additive epsilon would fail: content goes from 0.003 to 0.3 under one gain.
    light = moving(low=0.003, high=0.3)
    assert luminance_jitter(gains(light, [2.0] * 6), shown(light), FULL) < 1e-4


def test_clip_equals_the_equation_written_out():
    rng = np.random.default_rng(5)
    result, reference = (rng.uniform(0.2, 0.9, (5, 19, 27, 3)).astype(np.float32) for _ in range(2))
    alpha = rng.uniform(0.2, 0.9, (5, 19, 27)).astype(np.float32)
    weights = np.array([0.2126, 0.7152, 0.0722])
    terms = []
    for y in range(0, 16, 8):
        for x in range(0, 24, 8):
            cell = np.s_[:, y:y + 8, x:x + 8]
            a = alpha[cell].astype(np.float64)
            out, ref = ((a * (to_linear(v[cell], "srgb").astype(np.float64) @ weights)).sum(axis=(1, 2))
                        for v in (result, reference))
            g = np.log(out / ref)
            for t in range(1, 4):
                if (a[t - 1:t + 2].mean(axis=(1, 2)) > 0.5).all():
                    terms.append(abs(g[t + 1] - 2 * g[t] + g[t - 1]))
    jitter = LuminanceJitter()
    for frames in zip(result, reference, alpha, strict=True):
        jitter.add(*frames)
    assert 0 < len(terms) < 18 and jitter.count == len(terms)
    assert jitter.value == pytest.approx(np.mean(terms), rel=1e-5)
    assert luminance_jitter(result, reference, alpha) == jitter.value


def test_backwards_is_the_same():
    light = moving()
    result = gains(light, np.random.default_rng(0).uniform(0.5, 1.5, 6))
    forward = luminance_jitter(result, shown(light), FULL)
    assert luminance_jitter(result[::-1], shown(light)[::-1], FULL) == pytest.approx(forward, rel=1e-12)


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_fewer_than_three_frames_is_nan(frames):
    clip = shown(moving())[:frames] if frames else np.zeros((0, 40, 48, 3), np.float32)
    assert math.isnan(luminance_jitter(clip, clip, FULL[:frames]))


def test_picture_smaller_than_a_cell_is_nan():
    clip = np.full((4, 5, 5, 3), 0.5, np.float32)
    assert math.isnan(luminance_jitter(clip, clip, np.ones((4, 5, 5), np.float32)))


def test_size_that_changes_is_an_error():
    jitter = LuminanceJitter()
    jitter.add(*(np.zeros((16, 16, 3), np.float32),) * 2, np.ones((16, 16), np.float32))
    with pytest.raises(InputError, match="one size"):
        jitter.add(*(np.zeros((24, 16, 3), np.float32),) * 2, np.ones((24, 16), np.float32))
    with pytest.raises(InputError, match="resize"):
        jitter.add(np.zeros((16, 16, 3)), np.zeros((16, 8, 3)), np.ones((16, 16)))


def test_memory_stays_constant():
    clip = shown(moving(height=64, width=64))
    alpha = np.ones((64, 64), np.float32)

    def peak(frames):
        jitter = LuminanceJitter()
        tracemalloc.start()
        for t in range(frames):
            jitter.add(clip[t % 6], clip[(t + 1) % 6], alpha)
        _, top = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return top

    peak(4)
    assert peak(100) < peak(5) + 20_000


def stepped(before=10, after=20, low=-0.2, high=0.4):
    return np.concatenate([np.full(before, low), np.full(after, high)])


class TestStepResponse:
    def test_light_that_steps_with_the_background_takes_no_time(self):
        assert step_response(stepped(), 10) == 0
        assert step_response(-stepped(), 10) == 0
        assert step_change(stepped(), 10) == pytest.approx(0.6)

    @pytest.mark.parametrize("late", [1, 3, 7])
    def test_a_delay_is_its_frames(self, late):
        assert step_response(stepped(10 + late, 20 - late), 10) == late

    @pytest.mark.parametrize("window", [5, 10, 15])
    def test_a_mean_of_the_last_frames_takes_nine_tenths_of_them(self, window):
        gains = np.convolve(stepped(40, 40), np.ones(window) / window)[:80]
        assert step_response(gains[window:], 40 - window) == math.ceil(0.9 * window) - 1

    def test_exponential_smoothing_by_its_closed_form(self):
        # 1 − k^(n + 1) ≥ 0.9
        k, gains = 0.8, [0.0] * 10
        for _ in range(90):
            gains.append(0.8 * gains[-1] + 0.2)
        assert step_response(np.array(gains), 10) == math.ceil(math.log(0.1) / math.log(k)) - 1

    def test_looking_ahead_still_takes_time(self):
        centred = np.convolve(np.pad(stepped(40, 40), 10, mode="edge"), np.ones(21) / 21, mode="valid")
        assert step_response(centred, 40) == 8

    def test_overshoot_is_beyond_and_falling_back_is_not_staying(self):
        gains = stepped()
        gains[12:16] = 0.9
        assert step_response(gains, 10) == 0
        gains[17] = 0.2
        assert step_response(gains, 10) == 8

    def test_never_staying_is_all_that_follows(self):
        gains = stepped(10, 20)
        gains[-1] = -0.2
        assert step_response(gains, 10) == 20

    @pytest.mark.parametrize("change", [0.0, 0.019, -0.019])
    def test_no_change_is_undefined_unless_one_was_wanted(self, change):
        gains = stepped(high=-0.2 + change)
        assert math.isnan(step_response(gains, 10))
        assert math.isnan(step_response(gains, 10, wanted=0.01))
        assert step_response(gains, 10, wanted=0.5) == step_response(gains, 10, wanted=-0.5) == 20

    def test_the_wrong_way_never_arrives(self):
        assert step_response(stepped(), 10, wanted=-0.6) == 20
        assert step_response(stepped(), 10, wanted=0.6) == 0

    def test_what_shines_through_the_edge_is_no_answer(self):
        small = stepped() / stepped()[-1] * 0.05
        assert step_response(small, 10) == step_response(small, 10, wanted=0.7) == 0
        assert step_response(small, 10, wanted=0.8) == 20

    def test_unknown_gains_are_left_out(self):
        gains = stepped(10, 20)
        gains[[2, 10, 13, 29]] = np.nan
        assert step_response(gains, 10) == 0
        assert math.isnan(step_response(np.where(np.arange(30) < 10, np.nan, gains), 10))

    @pytest.mark.parametrize("step", [0, 30, -1])
    def test_a_step_outside_the_clip_is_an_error(self, step):
        with pytest.raises(OptionError, match="1 to 29"):
            step_response(stepped(), step)

    def test_accumulator_on_a_person_who_moves(self):
        film = figures.film((64, 64), 12, step=(2, 0))
        gains = np.where(np.arange(12) < 5, 0.8, 1.3)
        result = film.lit(gains[:, None, None, None])
        response = StepResponse(5, wanted=math.log(1.3 / 0.8))
        for frames in zip(result, film.own, film.alpha, strict=True):
            response.add(*frames)
        assert response.gains == pytest.approx(np.log(gains), abs=1e-4)
        assert response.value == 0 and response.change == pytest.approx(math.log(1.3 / 0.8), abs=1e-4)


class TestLightGain:
    def test_is_of_the_foreground_by_alpha(self):
        source = np.full((16, 16, 3), 0.5, np.float32)
        linear = to_linear(source, "srgb")
        linear[:, 8:] *= 3
        linear[:, :4] *= 100
        alpha = np.ones((16, 16), np.float32)
        alpha[:, :4] = 0
        alpha[:, 8:] = 0.25  # 4 columns of gain 1 and 8 of gain 3 at a quarter: (4 + 6) / 6
        assert light_gain(from_linear(linear, "srgb"), source, alpha) == pytest.approx(math.log(10 / 6), abs=1e-5)

    def test_black_output_stays_finite_and_black_source_is_unknown(self):
        black, grey = np.zeros((16, 16, 3), np.float32), np.full((16, 16, 3), 0.5, np.float32)
        alpha = np.ones((16, 16), np.float32)
        assert light_gain(black, grey, alpha) == pytest.approx(-math.log(64))
        assert math.isnan(light_gain(grey, black, alpha))
        assert math.isnan(light_gain(grey, grey, 0 * alpha))

    def test_one_frame_at_a_time(self):
        with pytest.raises(InputError, match="one frame"):
            light_gain(*(np.zeros((2, 4, 4, 3), np.float32),) * 2, np.ones((2, 4, 4), np.float32))


def test_cell_means_are_of_whole_cells_from_the_top_left():
    plane = np.arange(5 * 7 * 2, dtype=np.float32).reshape(5, 7, 2)
    found = cell_means(plane, 2)
    assert found.shape == (2, 3, 2) and found.dtype == np.float64
    assert found[1, 2, 1] == plane[2:4, 4:6, 1].mean()
    assert cell_means(plane[..., 0], 8).shape == (0, 0)
