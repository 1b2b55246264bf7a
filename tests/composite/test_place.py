from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from harmovid.composite.place import Fit, Mode, Placement, match, place
from harmovid.errors import HarmoVidError, InputError, OptionError
from tests import figures

SIZES = st.tuples(st.integers(1, 150), st.integers(1, 150))
SHARES = st.floats(0, 1)
RATES = st.sampled_from([Fraction(n, d) for n, d in ((24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (60, 1))])
FITS: list[Fit] = ["trim", "loop", "pingpong"]

NTSC = Fraction(30000, 1001)


# --- where a picture lies

@given(SIZES, SIZES, SHARES, SHARES)
@example((4096, 2160), (1080, 1920), 0.5, 0.5)
def test_cover_leaves_nothing_bare_and_overhangs_on_one_axis_alone(source, canvas, u, v) -> None:
    x, y, width, height = place(source, canvas, "cover", 1.0, (u, v)).rect
    assert x <= 0 and y <= 0 and x + width >= canvas[0] and y + height >= canvas[1]
    assert width == canvas[0] or height == canvas[1]


@given(SIZES, SIZES, SHARES, SHARES)
@example((4096, 2160), (1080, 1920), 0.5, 0.5)
def test_contain_cuts_nothing_off_and_fills_one_axis(source, canvas, u, v) -> None:
    x, y, width, height = place(source, canvas, "contain", 1.0, (u, v)).rect
    assert x >= 0 and y >= 0 and x + width <= canvas[0] and y + height <= canvas[1]
    assert width == canvas[0] or height == canvas[1]


@given(SIZES, SIZES, SHARES, SHARES)
def test_stretch_is_the_canvas(source, canvas, u, v) -> None:
    assert place(source, canvas, "stretch", 1.0, (u, v)).rect == (0, 0, *canvas)


@given(SIZES, SIZES, st.sampled_from(["cover", "contain"]), st.floats(0.1, 3))
@example((4096, 2160), (1080, 1920), "cover", 1.0)
def test_proportions_are_kept_to_half_a_pixel(source, canvas, mode, scale) -> None:
    _, _, width, height = place(source, canvas, mode, scale).rect
    factor = (max if mode == "cover" else min)(canvas[0] / source[0], canvas[1] / source[1]) * scale
    for side, wanted in ((width, source[0] * factor), (height, source[1] * factor)):
        assert side == max(1, side) and abs(side - max(wanted, 1)) <= 0.5 + 1e-6


@given(SIZES, SIZES, st.sampled_from(["cover", "contain"]), st.floats(0.2, 2))
def test_position_names_the_edges(source, canvas, mode, scale) -> None:
    x, y, *_ = place(source, canvas, mode, scale, (0, 0)).rect
    assert (x, y) == (0, 0)
    x, y, width, height = place(source, canvas, mode, scale, (1, 1)).rect
    assert (x + width, y + height) == canvas
    x, y, width, height = place(source, canvas, mode, scale).rect
    assert abs(2 * x + width - canvas[0]) <= 1 and abs(2 * y + height - canvas[1]) <= 1


@given(SIZES, st.sampled_from(["cover", "contain", "stretch"]), SHARES, SHARES)
def test_a_picture_of_the_canvas_size_is_not_touched(size, mode, u, v) -> None:
    placement = place(size, size, mode, 1.0, (u, v))
    assert placement.trivial
    if size[0] * size[1] < 1e5:
        picture = np.zeros((size[1], size[0], 3), np.float32)
        assert placement.place(picture) is picture


@pytest.mark.parametrize(("source", "canvas", "mode", "position", "rect"), [
    ((1080, 1920), (1920, 1080), "contain", (0.5, 0.5), (656, 0, 608, 1080)),
    ((1080, 1920), (1920, 1080), "contain", (1, 1), (1312, 0, 608, 1080)),
    ((1080, 1920), (1920, 1080), "cover", (0.5, 0.5), (0, -1166, 1920, 3413)),
    ((1080, 1920), (1920, 1080), "cover", (0.5, 0), (0, 0, 1920, 3413)),
    ((3840, 2160), (1920, 1080), "cover", (0.3, 0.7), (0, 0, 1920, 1080)),
    ((720, 576), (1920, 1080), "stretch", (0.5, 0.5), (0, 0, 1920, 1080)),
])
def test_goldens(source, canvas, mode: Mode, position, rect) -> None:
    assert place(source, canvas, mode, 1.0, position).rect == rect


@pytest.mark.parametrize(("scale", "position"), [(0, (0.5, 0.5)), (-1, (0.5, 0.5)), (101, (0.5, 0.5)),
                                                 (float("nan"), (0.5, 0.5)), (1, (float("nan"), 0)), (1, (4, 0))])
def test_what_has_no_meaning_is_refused(scale, position) -> None:
    with pytest.raises(OptionError):
        place((64, 48), (64, 48), "cover", scale, position)


def test_a_scale_that_would_fill_the_memory_is_refused_in_a_sentence() -> None:
    with pytest.raises(OptionError, match="--scale"):
        place((1920, 1080), (1920, 1080), "cover", 50.0)
    assert place((19, 10), (1920, 1080), "cover").rect[2] >= 1920  # a small picture may grow as much


# --- what it looks like there

@settings(max_examples=40, deadline=None)
@given(st.tuples(st.integers(1, 40), st.integers(1, 40)), st.tuples(st.integers(1, 40), st.integers(1, 40)),
       st.sampled_from(["cover", "contain", "stretch"]), st.floats(0.1, 3), SHARES, SHARES,
       st.integers(0, 2**31))
def test_no_value_beyond_those_of_the_picture(source, canvas, mode, scale, u, v, seed) -> None:
    placement = place(source, canvas, mode, scale, (u, v))
    picture = np.random.default_rng(seed).uniform(-3, 5, (source[1], source[0], 3)).astype(np.float32)
    placed = placement.place(picture)
    assert placed.shape == (canvas[1], canvas[0], 3) and placed.dtype == np.float32
    x, y, width, height = placement.rect
    inside = np.zeros(canvas[::-1], bool)
    inside[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)] = True
    assert (placed[~inside] == 0).all()
    if inside.any():
        assert picture.min() - 1e-5 <= placed[inside].min() and placed[inside].max() <= picture.max() + 1e-5


@settings(max_examples=25, deadline=None)
@given(st.tuples(st.integers(1, 60), st.integers(1, 60)), st.tuples(st.integers(1, 60), st.integers(1, 60)),
       st.sampled_from(["cover", "stretch"]), st.floats(-4, 9, width=32))
def test_a_flat_picture_stays_flat(source, canvas, mode, value) -> None:
    placed = place(source, canvas, mode).place(np.full((source[1], source[0]), value, np.float32))
    assert placed.shape == canvas[::-1]
    np.testing.assert_allclose(placed, value, rtol=1e-5, atol=1e-30)  # below it halves round to nothing


def test_a_half_is_the_mean_of_four_pixels() -> None:
    picture = figures.scenery((64, 32))
    placed = place((64, 32), (32, 16), "cover").place(picture)
    np.testing.assert_allclose(placed, picture.reshape(16, 2, 32, 2, 3).mean((1, 3)), atol=1e-6)


def test_the_part_that_overhangs_is_cut_off_and_the_rest_keeps_its_bits() -> None:
    picture = figures.scenery((60, 30))
    placed = place((60, 30), (20, 30), "cover", position=(1, 0)).place(picture)
    assert (placed == picture[:, 40:]).all()
    moved = Placement((60, 30), (60, 30), (7, -4, 60, 30)).place(picture)
    assert (moved[:26, 7:] == picture[4:, :53]).all() and (moved[26:] == 0).all() and (moved[:, :7] == 0).all()


def test_what_lies_wholly_outside_leaves_the_canvas_bare() -> None:
    placed = Placement((8, 8), (8, 8), (8, 0, 8, 8)).place(np.ones((8, 8), np.float32))
    assert not placed.any()


# --- which frame is shown when

@pytest.mark.parametrize(("frames", "rate", "others", "other_rate", "fit", "shown"), [
    (8, 24, 8, 24, "trim", [0, 1, 2, 3, 4, 5, 6, 7]),
    # 24 frames a second before 29.97: each fourth of five is passed over.
    (9, 24, 12, NTSC, "trim", [0, 1, 2, 3, 4, 6, 7, 8, 9]),
    # and the other way round one is held.
    (11, NTSC, 24, 24, "trim", [0, 0, 1, 2, 3, 4, 4, 5, 6, 7, 8]),
    (6, 25, 12, 50, "trim", [0, 2, 4, 6, 8, 10]),
    (6, 50, 12, 25, "trim", [0, 0, 1, 1, 2, 2]),
    (8, 25, 3, 25, "trim", [0, 1, 2]),
    (8, 25, 3, 25, "loop", [0, 1, 2, 0, 1, 2, 0, 1]),
    (8, 25, 3, 25, "pingpong", [0, 1, 2, 1, 0, 1, 2, 1]),
    (5, 25, 2, 25, "pingpong", [0, 1, 0, 1, 0]),
    (4, 25, 1, 30, "trim", [0, 0, 0, 0]),
    (1, 25, 9, 30, "loop", [0]),
])
def test_match_goldens(frames, rate, others, other_rate, fit: Fit, shown) -> None:
    found = match(frames, Fraction(rate), others, Fraction(other_rate), fit)
    assert found.dtype == np.int64 and found.tolist() == shown


def test_an_hour_of_two_rates_stays_together() -> None:
    shown = match(24 * 3600, Fraction(24000, 1001), 30 * 3600, NTSC, "trim")
    assert shown[4 * 20000] == 5 * 20000 and len(shown) == 24 * 3600
    assert (shown == np.arange(24 * 3600) * 5 // 4).all()


@given(st.integers(1, 400), RATES, st.integers(1, 400), RATES, st.sampled_from(FITS))
@example(1, Fraction(24), 1, Fraction(60), "trim")
def test_match_shows_what_is_there(frames, rate, others, other_rate, fit) -> None:
    shown = match(frames, rate, others, other_rate, fit)
    assert 0 <= shown.min() and shown.max() < others and shown[0] == 0
    assert len(shown) == frames or fit == "trim"
    exact = np.arange(len(shown)) * float(other_rate / rate)
    if others > 1 and exact.max() < others - 1:  # the nearest before, a thousandth of a frame off at most
        assert (shown <= exact + 1e-3).all() and (exact < shown + 1).all()
    if fit == "trim":
        assert (np.diff(shown) >= 0).all()
        if len(shown) < frames:
            assert int(len(shown) * other_rate / rate + Fraction(1, 1000)) >= others


@given(st.integers(2, 100), RATES, st.integers(2, 50))
def test_back_and_forth_never_jumps_at_equal_rates(frames, rate, others) -> None:
    assume(frames > 1)
    assert (np.abs(np.diff(match(frames, rate, others, rate, "pingpong"))) == 1).all()


def test_errors_are_of_a_kind_that_the_user_sees() -> None:
    assert issubclass(OptionError, HarmoVidError) and issubclass(InputError, HarmoVidError)
