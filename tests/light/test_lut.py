"""Tables of colour against their definitions: a trilinear and a tetrahedral reference in plain loops."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmovid.errors import InputError, OptionError, OutputError
from harmovid.light import lut
from harmovid.light.lut import Lut, read_cube, write_cube


def random_lut(size: int, seed: int = 0, **domain) -> Lut:
    rng = np.random.default_rng(seed)
    return Lut(rng.uniform(-0.2, 1.3, (size, size, size, 3)).astype(np.float32), **domain)


def random_pixels(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random((*shape, 3), np.float32)


def slow_tetrahedral(table: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Steps along the axes in the order of the fractions, one pixel, in double precision."""
    at = np.asarray(x, np.float64) * (len(table) - 1)
    corner = np.minimum(at.astype(int), len(table) - 2)
    fraction = at - corner
    out, before = np.zeros(3), 1.0
    for axis in np.argsort(-fraction, kind="stable"):
        out += (before - fraction[axis]) * table[tuple(corner)]
        before = fraction[axis]
        corner[axis] += 1
    return out + before * table[tuple(corner)]


def test_identity_is_the_picture_to_the_bit():
    picture = random_pixels(37, 21)
    for size in (2, 16, 17, 33):
        assert np.array_equal(lut.apply(lut.identity(size), picture), picture)


def test_tetrahedra_are_those_of_the_definition():
    table, pixels = random_lut(5), random_pixels(500)
    expected = [slow_tetrahedral(table.table, x) for x in pixels]
    assert np.allclose(lut.apply(table, pixels), expected, atol=1e-5)


def test_every_order_of_the_fractions_and_ties():
    table = random_lut(3)
    pixels = np.array(list(itertools.product((0, 0.1, 0.2, 0.5, 0.7, 1), repeat=3)), np.float32)
    expected = [slow_tetrahedral(table.table, x) for x in pixels]
    assert np.allclose(lut.apply(table, pixels), expected, atol=1e-5)


def test_entries_are_hit_exactly():
    table = random_lut(9)
    assert np.abs(lut.apply(table, table.grid()) - table.table).max() < 2e-7


@given(st.integers(2, 40), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_a_linear_map_comes_back_at_any_size(size, seed):
    matrix = np.random.default_rng(seed).uniform(-1, 1, (3, 3)).astype(np.float32)
    table = Lut(lut.identity(size).table @ matrix)
    pixels = random_pixels(200, seed=seed)
    assert np.allclose(lut.apply(table, pixels), pixels @ matrix, atol=1e-5)


def test_strength_is_the_way_from_the_picture_to_the_table():
    table, pixels = random_lut(7), random_pixels(50, 40)
    full = lut.apply(table, pixels)
    assert np.array_equal(lut.apply(table, pixels, 0), pixels)
    for strength in (0.25, 0.6, 1.5):
        assert np.allclose(lut.apply(table, pixels, strength), pixels + strength * (full - pixels), atol=1e-6)


def test_beyond_the_domain_the_ends_hold():
    table = random_lut(5, low=(0.0, -1.0, 0.0), high=(1.0, 2.0, 4.0))
    outside = np.array([[-3, 5, 9], [2, -2, -1]], np.float32)
    assert np.allclose(lut.apply(table, outside), [table.table[0, -1, -1], table.table[-1, 0, 0]], atol=1e-6)


def test_curves_are_linear_between_entries():
    grid = np.linspace(0, 1, 11)
    table = Lut(np.stack([grid**2, np.sqrt(grid), 1 - grid], -1).astype(np.float32))
    pixels = random_pixels(300)
    expected = [np.interp(pixels[:, c], grid, table.table[:, c]) for c in range(3)]
    assert np.allclose(lut.apply(table, pixels), np.stack(expected, -1), atol=1e-6)


def test_the_shaper_goes_first():
    curve = Lut(np.linspace(0, 1, 5, dtype=np.float32)[:, None].repeat(3, 1) ** 2)
    cube = random_lut(4)
    both = Lut(cube.table, shaper=curve)
    pixels = random_pixels(60)
    full = lut.apply(cube, lut.apply(curve, pixels))
    assert np.array_equal(lut.apply(both, pixels), full)
    assert np.allclose(lut.apply(both, pixels, 0.5), (pixels + full) / 2, atol=1e-6)


def test_a_clip_in_one_call_and_in_reasonable_time():
    table, frames = random_lut(33), random_pixels(3, 480, 832)
    begin = time.process_time()
    out = lut.apply(table, frames)
    assert time.process_time() - begin < 3  # about 0.2 s on an idle core
    assert out.dtype == np.float32 and np.array_equal(out[1], lut.apply(table, frames[1]))


def test_written_and_read_again_is_the_same_to_the_bit(tmp_path):
    wide = random_lut(6, low=(-0.5, 0.0, 0.125), high=(1.0, 1.1, 3.0), title="Blue, later")
    curves = Lut(np.random.default_rng(2).normal(size=(17, 3)).astype(np.float32))
    for table in (wide, curves, lut.identity(17)):
        write_cube(table, tmp_path / "a.cube")
        again = read_cube(tmp_path / "a.cube")
        assert np.array_equal(again.table, table.table)
        assert (again.low, again.high, again.title) == (table.low, table.high, table.title)
    assert [path.name for path in tmp_path.iterdir()] == ["a.cube"]


def test_red_runs_fastest(tmp_path):
    path = tmp_path / "a.cube"
    path.write_text("\ufeff# made by hand\r\nTITLE \"a b\"\r\n\r\nLUT_3D_SIZE 2\r\nDOMAIN_MIN 0 0 0\r\n"
                    + "\r\n".join(f"{r} {g} {b}e-1" for b in (0, 1) for g in (0, 1) for r in (0, 1)) + "\r\n")
    table = read_cube(path)
    assert table.title == "a b"
    assert table.table[1, 0, 0].tolist() == [1, 0, 0] and table.table[0, 1, 1].tolist() == [0, 1, np.float32(0.1)]


def test_a_file_with_a_shaper_and_a_cube(tmp_path):
    path = tmp_path / "a.cube"
    path.write_text("LUT_1D_SIZE 2\nLUT_1D_INPUT_RANGE -1 3\nLUT_3D_SIZE 2\nLUT_3D_INPUT_RANGE 0 2\n"
                    "0 0 0\n2 2 2\n" + "\n".join(["0.5 0.25 1"] * 8))
    table = read_cube(path)
    assert table.high == (2, 2, 2) and table.shaper.low == (-1, -1, -1)
    assert np.allclose(lut.apply(table.shaper, np.ones((1, 3), np.float32)), 1)
    assert np.allclose(lut.apply(table, random_pixels(4)), (0.5, 0.25, 1))
    with pytest.raises(OptionError, match="shaper"):
        write_cube(table, tmp_path / "b.cube")


@pytest.mark.parametrize("text, words", [
    ("", "no LUT_1D_SIZE"),
    ("LUT_3D_SIZE 2\n0 0 0\n", "1 rows, its LUT_3D_SIZE 2 ask for 8"),
    ("LUT_3D_SIZE 1\n", "line 1: LUT_3D_SIZE is one whole number from 2 to 256"),
    ("LUT_3D_SIZE two\n", "line 1: LUT_3D_SIZE is one whole number"),
    ("# x\nLUT_1D_SIZE 2\n0 0 0\n0 0.5\n", "line 4: expected 3 numbers, got '0 0.5'"),
    ("LUT_1D_SIZE 2\n0 0 0\n1 1 1e999\n", "line 3: expected 3 numbers"),
    ("LUT_1D_SIZE 2\n0 0 0\nTITLE \"late\"\n", "line 3: TITLE stands after"),
    ("LUT_1D_SIZE 2\nGAMMA 2\n", "line 2: 'GAMMA' is no keyword"),
    ("LUT_1D_SIZE 2\nDOMAIN_MIN 0 0\n", "line 2: expected 3 numbers"),
    ("LUT_1D_SIZE 2\nDOMAIN_MAX 0 1 1\n0 0 0\n1 1 1\n", "its domain runs from"),
])
def test_a_bad_file_is_told_by_line(tmp_path, text, words):
    path = tmp_path / "bad.cube"
    path.write_text(text)
    with pytest.raises(InputError, match="bad") as error:
        read_cube(path)
    assert words in str(error.value)


def test_places_that_cannot_be_read_or_written(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_cube(tmp_path / "none.cube")
    with pytest.raises(OutputError, match="cannot be written"):
        write_cube(lut.identity(2), tmp_path / "no" / "folder.cube")
    with pytest.raises(InputError, match="RGB"):
        lut.apply(lut.identity(2), np.zeros((4, 4), np.float32))
