"""Colour: every curve against its published points, every round trip, every shape, no warning."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harmovid.errors import OptionError
from harmovid.video.color import (
    LUMA_BT709,
    SCENE_LINEAR,
    SRGB,
    ColorTags,
    Primaries,
    Transfer,
    convert,
    from_linear,
    linear_between,
    luminance,
    parse_transfer,
    primaries_matrix,
    to_linear,
)

TRANSFERS = get_args(Transfer)
PRIMARIES = get_args(Primaries)
DISPLAY = ("srgb", "gamma22", "gamma24")
# The most light that a transfer function can hold, in units of reference white.
MOST = {"pq": 10000 / 203, "hlg": 1000 / 203}

pytestmark = pytest.mark.filterwarnings("error")

# transfer, code value, scene-linear light
GOLDENS = [
    ("srgb", 0.5, 0.21404),  # IEC 61966-2-1
    ("srgb", 0.04045, 0.0031308),  # the joint of its two pieces
    ("srgb", 1.0, 1.0),
    ("gamma22", 0.5, 0.217638),
    ("gamma24", 0.5, 0.189465),
    ("pq", 0.5807, 1.0),  # 203 cd/m², ITU-R BT.2408
    ("pq", 0.508078, 100 / 203),  # SMPTE ST 2084
    ("pq", 1.0, 10000 / 203),
    ("hlg", 0.75, 1.0),  # 203 cd/m² on a 1000 cd/m² display, ITU-R BT.2408
    ("hlg", 1.0, 1000 / 203),
    ("hlg", 0.5, (1 / 12) ** 1.2 * 1000 / 203),  # ITU-R BT.2100, the joint
    ("slog3", 420 / 1023, 0.18),  # Sony's white paper: 18% and 90% gray, and black
    ("slog3", 598 / 1023, 0.90),
    ("slog3", 95 / 1023, 0.0),
    ("logc3", 0.391007, 0.18),  # ARRI, EI 800
    ("logc3", 0.092809, 0.0),
    ("vlog", 0.423311, 0.18),  # Panasonic: 433 of 1023
    ("vlog", 0.125, 0.0),
]


@pytest.mark.parametrize(("transfer", "code", "light"), GOLDENS)
def test_published_points(transfer, code, light):
    assert to_linear(np.float32([code]), transfer)[0] == pytest.approx(light, rel=4e-3, abs=2e-6)
    assert from_linear(np.float32([light]), transfer)[0] == pytest.approx(code, abs=5e-4)


@pytest.mark.parametrize("transfer", TRANSFERS)
@settings(max_examples=50)
@given(data=st.data())
def test_light_survives_a_round_trip(transfer, data):
    least, most = (0, {"pq": 49, "hlg": 4.875}[transfer]) if transfer in MOST else (-0.5, 100)
    light = data.draw(arrays(np.float32, 9, elements=st.floats(least, most, width=32)))
    back = to_linear(from_linear(light, transfer), transfer)
    np.testing.assert_allclose(back, light, rtol=2e-4, atol=5e-6)


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_codes_survive_a_round_trip(transfer):
    codes = np.linspace(0, 1, 65536, dtype=np.float32)
    light = to_linear(codes, transfer)
    assert light.dtype == np.float32
    assert np.abs(from_linear(light, transfer) - codes).max() < 1e-5  # below half a step of 16 bits
    assert (np.diff(light) >= 0).all()


@pytest.mark.parametrize("transfer", [t for t in TRANSFERS if t not in ("pq", "hlg")])
def test_light_beyond_white_and_below_black_survives(transfer):
    light = np.float32([-0.2, 1.5, 4, 16, 60])
    np.testing.assert_allclose(to_linear(from_linear(light, transfer), transfer), light, rtol=1e-5)


def test_hdr_video_holds_what_its_encoding_holds():
    light = np.float32([-1, 0, 1, 4.9, 1e6])
    for transfer, most in MOST.items():
        np.testing.assert_allclose(to_linear(from_linear(light, transfer), transfer),
                                   np.clip(light, 0, most), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(to_linear(np.float32([-0.5, 1.5]), transfer), [0, most], rtol=1e-5)


@pytest.mark.parametrize("transfer", DISPLAY)
@settings(max_examples=50)
@given(x=arrays(np.float32, 5, elements=st.floats(0, 8, width=32)))
def test_display_curves_are_odd(transfer, x):
    for curve in (to_linear, from_linear):
        np.testing.assert_array_equal(curve(-x, transfer), -curve(x, transfer))


@pytest.mark.parametrize("transfer", TRANSFERS)
@pytest.mark.parametrize("shape", [(), (3,), (0,), (0, 3), (4, 0, 3), (2, 3), (2, 3, 4, 3), (1, 2, 1, 2, 3)])
def test_any_shape_is_kept(transfer, shape):
    x = np.random.default_rng(0).random(shape).astype(np.float32)
    for curve in (to_linear, from_linear):
        out = curve(x, transfer)
        assert out.shape == shape and out.dtype == np.float32
        one_by_one = [curve(np.float32([value]), transfer)[0] for value in x.flat]
        np.testing.assert_array_equal(out, np.reshape(one_by_one, shape))


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_wild_values_raise_no_warning(transfer):
    wild = np.float32([-1e30, -100, -1, -1e-30, 0, 1e-30, 2, 100, 1e30, np.inf, -np.inf, np.nan])
    for curve in (to_linear, from_linear):
        out = curve(wild, transfer)
        assert np.isfinite(out[2:7]).all()
        assert np.isnan(out[-1])


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_other_kinds_and_layouts_of_array(transfer):
    x = np.random.default_rng(0).random((6, 5, 3)).astype(np.float32)
    for curve in (to_linear, from_linear):
        expected = curve(x, transfer)
        np.testing.assert_array_equal(curve(np.asfortranarray(x), transfer), expected)
        np.testing.assert_array_equal(curve(x[::-1, ::2], transfer), expected[::-1, ::2])
        assert curve(x.astype(np.float64), transfer).dtype == np.float32
        assert curve(np.array([0, 1], np.uint8), transfer).dtype == np.float32


def test_input_is_left_alone():
    for transfer in TRANSFERS:
        x = np.linspace(-1, 2, 12, dtype=np.float32)
        kept = x.copy()
        to_linear(x, transfer)
        from_linear(x, transfer)
        np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("source", PRIMARIES)
@pytest.mark.parametrize("target", PRIMARIES)
def test_white_stays_white(source, target):
    matrix = primaries_matrix(source, target)
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(matrix @ primaries_matrix(target, source), np.eye(3), atol=1e-5)


def test_published_matrices():
    # ITU-R BT.2087 (to BT.2020) and its inverse in BT.2407.
    np.testing.assert_allclose(primaries_matrix("bt709", "bt2020"), [
        [0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]], atol=6e-5)
    np.testing.assert_allclose(primaries_matrix("bt2020", "bt709"), [
        [1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], atol=6e-5)


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_equal_tags_change_no_bit(transfer):
    for primaries in PRIMARIES:
        tags = ColorTags(primaries, transfer)
        rgb = np.random.default_rng(0).normal(0, 2, (5, 4, 3)).astype(np.float32)
        np.testing.assert_array_equal(convert(rgb, tags, ColorTags(primaries, transfer)).view(np.uint32),
                                      rgb.view(np.uint32))


@pytest.mark.parametrize("shape", [(3,), (0, 3), (4, 5, 3)])
def test_conversion_there_and_back(shape):
    rgb = np.random.default_rng(1).uniform(0.05, 0.9, shape).astype(np.float32)
    for transfer in TRANSFERS:
        for primaries in PRIMARIES:
            tags = ColorTags(primaries, transfer)
            there = convert(rgb, SRGB, tags)
            assert there.dtype == np.float32 and there.shape == shape
            # A pure colour of a wide gamut may lie below 0 of a narrower one, which PQ and HLG clip.
            if transfer not in MOST or primaries in ("p3", "bt2020", "bt709"):
                np.testing.assert_allclose(convert(there, tags, SRGB), rgb, atol=2e-4)


def test_conversion_keeps_light_above_one():
    bright = np.full((2, 3), 3.0, np.float32)
    for tags in (SRGB, ColorTags("bt2020", "pq"), ColorTags("p3", "logc3")):
        back = convert(convert(bright, SCENE_LINEAR, tags), tags, SCENE_LINEAR)
        np.testing.assert_allclose(back, bright, rtol=2e-4)


def test_saturated_colour_of_a_wide_gamut_lies_outside_a_narrow_one():
    green = convert(np.float32([0, 1, 0]), ColorTags("bt2020", "linear"), SCENE_LINEAR)
    assert green[0] < 0 and green[1] > 1
    light = np.float32([0.1, 0.2, 0.3])
    assert linear_between(light, SRGB, SCENE_LINEAR) is light


def test_luminance():
    assert LUMA_BT709.sum() == pytest.approx(1)
    np.testing.assert_allclose(luminance(np.float32([[1, 1, 1], [0, 1, 0], [-1, 0, 2]])),
                               [1, 0.7152, -0.0682], atol=1e-6)


def test_tags_tell_hdr():
    assert {t for t in TRANSFERS if not ColorTags(transfer=t).hdr} == set(DISPLAY)


def test_transfer_names():
    assert parse_transfer("slog3") == "slog3"
    with pytest.raises(OptionError, match=r"rec709.*known: srgb, linear"):
        parse_transfer("rec709")
