"""Grades against closed forms and invariants."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harmovid.light import grade as grading
from harmovid.light.grade import Grade
from harmovid.video import color

_SMALL = st.floats(-0.75, 0.75, width=32)


def _picture(count: int = 2, frames: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, frames, 6, 5, generator=torch.Generator().manual_seed(seed))


def _grey(count: int = 1) -> torch.Tensor:
    return torch.linspace(0, 1, 33).expand(count, 3, 1, 1, 33)


def _neutral(count: int = 2, frames: int = 1) -> Grade:
    return Grade.from_vector(torch.zeros(count, frames, sum(Grade.widths().values())))


def _some(count: int, frames: int, seed: int = 5, spread: float = 0.1) -> Grade:
    generator = torch.Generator().manual_seed(seed)
    grade = Grade.from_vector(spread * torch.randn(count, frames, sum(Grade.widths().values()), generator=generator))
    return Grade(**{**vars(grade), **{k: getattr(grade, k).abs() for k in ("shoulder", "black", "white")}})


def _close(a: torch.Tensor, b: torch.Tensor, atol: float = 1e-6) -> None:
    torch.testing.assert_close(a, b, atol=atol, rtol=0)


def test_the_transfer_function_is_that_of_the_video_room():
    codes = torch.linspace(0, 1.5, 400)
    linear = color.to_linear(codes.numpy()[:, None].repeat(3, 1), "srgb")[:, 0]
    np.testing.assert_allclose(grading.srgb_to_linear(codes).numpy(), linear, atol=2e-6, rtol=2e-6)
    _close(grading.linear_to_srgb(grading.srgb_to_linear(codes)), codes)


def test_neutral_parameters_change_nothing():
    x, zero, none = _picture(), torch.zeros(2), torch.zeros(2, 3)
    _close(grading.exposure(x, zero), x)
    _close(grading.balance(zero, zero), none)
    _close(grading.shoulder(x, zero), x)
    _close(grading.contrast(x, zero, zero + 0.4), x)
    _close(grading.tone_curve(x, torch.zeros(2, grading.CURVE)), x)
    _close(grading.lift_gamma_gain(x, none, none, none), x)
    _close(grading.saturation(x, zero), x)
    _close(grading.hue(x, zero), x)
    _close(grading.mix(x, grading.mixing(torch.zeros(2, 6))), x)
    _close(grading.split_tone(x, none, none), x)
    _close(grading.fade(x, zero, zero), x)
    _close(grading.develop(x, _neutral()), x, 2e-6)
    _close(grading.light_gain(_neutral()), torch.zeros(2, 3, 1, 1, 1))
    _close(grading.apply_table(x, grading.bake(_neutral())), x, 2e-6)


def test_exposures_compose():
    x, one, two = _picture(), torch.tensor([0.5, -1.0]), torch.tensor([[1.0, 0.0, 2.0], [0.3, 0.2, 0.1]])
    _close(grading.exposure(grading.exposure(x, one), two), grading.exposure(x, one[:, None] + two), 1e-5)
    _close(grading.exposure(x, torch.ones(2)), 2 * x)


@given(_SMALL, _SMALL)
def test_white_balance_keeps_the_luminance_of_grey(warmth, magenta):
    grey = torch.full((1, 3, 1, 1, 1), 0.3)
    gains = grading.balance(torch.tensor([warmth]), torch.tensor([magenta])).exp()
    balanced = grey * gains[..., None, None, None]
    _close(grading.luma(balanced), grading.luma(grey))
    red, green, blue = balanced.flatten().log2()
    assert red - blue == pytest.approx(warmth, abs=1e-4)
    assert (red + blue) / 2 - green == pytest.approx(magenta, abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(_SMALL, st.floats(0.25, 0.75, width=32))
def test_contrast_is_monotone_and_turns_about_its_pivot(amount, pivot):
    curve = grading.contrast(_grey(), torch.tensor([amount]), torch.tensor([pivot]))[0, 0, 0, 0]
    assert (curve.diff() > 0).all() and curve[0] == 0 and curve[-1] == pytest.approx(1)
    around = torch.tensor([pivot - 1e-3, pivot, pivot + 1e-3]).expand(1, 3, 1, 1, 3)
    low, middle, high = grading.contrast(around, torch.tensor([amount]), torch.tensor([pivot]))[0, 0, 0, 0]
    assert middle == pytest.approx(pivot, abs=1e-5)
    assert (high - low) / 2e-3 == pytest.approx(math.exp(amount), rel=0.02)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-3, 3, width=32), min_size=4, max_size=4))
def test_tone_curves_are_monotone_from_0_to_1(bends):
    curve = grading.tone_curve(_grey(), torch.tensor([bends]))[0, 0, 0, 0]
    assert (curve.diff() >= -1e-6).all()
    assert curve[0] == 0 and curve[-1] == pytest.approx(1, abs=1e-5)


@given(st.floats(0.125, 1, width=32))
def test_the_shoulder_is_monotone_smooth_and_below_1(amount):
    x = torch.linspace(0, 4, 801).expand(1, 3, 1, 1, 801)
    curve = grading.shoulder(x, torch.tensor([amount]))[0, 0, 0, 0]
    assert (curve.diff() >= 0).all() and curve[-1] <= 1
    assert curve.diff().max() <= 0.005 + 1e-6
    _close(curve[x[0, 0, 0, 0] < 0.3], x[0, 0, 0, 0][x[0, 0, 0, 0] < 0.3])


def test_no_shoulder_cuts_at_1():
    x = 3 * _picture()
    _close(grading.shoulder(x, torch.zeros(2)), x.clamp(max=1), 1e-5)


def test_grey_stays_grey():
    grey, number = _grey(), torch.tensor([0.4])
    for graded in (grading.saturation(grey, number), grading.hue(grey, number),
                   grading.mix(grey, grading.mixing(torch.tensor([[0.2, -0.1, 0.3, 0.1, -0.2, 0.1]])))):
        _close(graded, grey)
    curved = grading.tone_curve(grading.contrast(grey, number, number), torch.tensor([[0.1, 0.5, -0.3, 0.0]]))
    _close(curved[:, :1].expand_as(curved), curved)


def test_no_saturation_is_luma():
    x = _picture()
    _close(grading.saturation(x, torch.tensor([-1.0, -1.0])), grading.luma(x).expand_as(x))


def test_a_third_of_a_turn_moves_red_to_green():
    red = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1, 1)
    _close(grading.hue(red, torch.tensor([2 * math.pi / 3])).flatten(), torch.tensor([0.0, 1.0, 0.0]))


def test_wheels_act_where_they_say():
    grey = _grey()
    third = torch.tensor([[0.1, 0.0, 0.0]])
    lifted = grading.lift_gamma_gain(grey, third, 0 * third, 0 * third)
    assert lifted[0, 0, 0, 0, 0] == pytest.approx(0.1) and lifted[0, 0, 0, 0, -1] == pytest.approx(1)
    gained = grading.lift_gamma_gain(grey, 0 * third, 0 * third, third)
    assert gained[0, 0, 0, 0, 0] == 0 and gained[0, 0, 0, 0, -1] == pytest.approx(math.exp(0.1))
    powered = grading.lift_gamma_gain(grey, 0 * third, third, 0 * third)
    _close(powered[0, 0], grey[0, 0] ** math.exp(-0.1))
    for wheel in (lifted, gained, powered):
        _close(wheel[:, 1:], grey[:, 1:])


def test_split_tones_tint_their_own_end():
    blue, gold = torch.tensor([[0.0, 0.0, 0.1]]), torch.tensor([[0.1, 0.05, 0.0]])
    toned = grading.split_tone(_grey(), blue, gold)[0, :, 0, 0]
    _close(toned[:, 0], blue[0])
    _close(toned[:, -1], 1 + gold[0])


def test_fade_lifts_black_and_lowers_white():
    faded = grading.fade(_grey(), torch.tensor([0.1]), torch.tensor([0.2]))[0, 0, 0, 0]
    assert faded[0] == pytest.approx(0.1) and faded[-1] == pytest.approx(0.8)


def test_a_table_is_interpolated_between_its_nodes_in_the_right_order():
    x = _picture()
    matrix = torch.tensor([[0.7, 0.2, 0.1], [0.0, 0.9, 0.1], [0.3, 0.3, 0.4]]).expand(2, 3, 3)
    nodes = grading.neutral_table(5, x.device)[None].expand(2, -1, -1, -1, -1)
    _close(grading.apply_table(x, grading.mix(nodes, matrix)[:, None]), grading.mix(x, matrix), 2e-6)


def test_colours_outside_a_table_take_its_surface():
    x = 3 * _picture() - 1
    _close(grading.apply_table(x, grading.bake(_neutral())), x.clamp(0, 1), 2e-6)


def test_a_table_per_frame_serves_its_own_frame():
    x, grade = _picture(frames=3), _some(2, 3)
    whole = grading.apply_table(x, grading.bake(grade))
    for t in range(3):
        frame = Grade(**{name: value[:, t:t + 1] for name, value in vars(grade).items()})
        _close(whole[:, :, t:t + 1], grading.apply_table(x[:, :, t:t + 1], grading.bake(frame)), 1e-5)


def test_baking_agrees_with_developing():
    x, grade = _picture(), _some(2, 3)
    _close(grading.apply_table(x, grading.bake(grade, 33)), grading.develop(x, grade), 0.02)


def test_samples_do_not_know_of_each_other():
    x, grade = _picture(), _some(2, 1)
    second = Grade(**{name: value[1:] for name, value in vars(grade).items()})
    _close(grading.develop(x, grade)[1:], grading.develop(x[1:], second))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 3))
def test_development_stays_in_range(seed, spread):
    developed = grading.develop(_picture(), _some(2, 3, seed, spread))
    assert developed.isfinite().all() and developed.min() >= 0 and developed.max() <= 1


def test_constant_parameters_are_constant_in_time():
    x = _picture(frames=1).expand(-1, -1, 4, -1, -1)
    graded = grading.develop(x, _some(2, 1))
    _close(graded, graded[:, :, :1].expand_as(graded))
