"""The compiled loops against whole-array arithmetic of another kind; `test_lut` holds them against the definition."""

import numpy as np
import pytest

from harmovid.light import lookup

ENDS = np.array((-0.5, 0, 0.25), np.float32), np.array((1, 2, 1.25), np.float32)


def looked_up(look, pixels: np.ndarray, table: np.ndarray) -> np.ndarray:
    low, high = ENDS
    out = np.full_like(pixels, np.nan)
    look(pixels, table, low, high, np.float32(len(table) - 1) / (high - low), out)
    return out


def pixels(count: int = 400) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 3, (count, 3)).astype(np.float32)


def test_curves_add_what_numpy_interpolates():
    table, x = np.random.default_rng(1).normal(size=(7, 3)).astype(np.float32), pixels()
    low, high = ENDS
    held = np.clip(x, low, high)
    expected = [held[:, c] + np.interp(held[:, c], np.linspace(low[c], high[c], 7), table[:, c]) for c in range(3)]
    assert np.allclose(looked_up(lookup.curves, x, table), np.stack(expected, 1), atol=1e-5)


def test_a_cube_that_is_linear_in_the_place_adds_that():
    matrix, x = np.random.default_rng(2).normal(size=(3, 3)).astype(np.float32), pixels()
    low, high = ENDS
    axes = [np.linspace(a, b, 6, dtype=np.float32) for a, b in zip(low, high, strict=True)]
    table = np.stack(np.meshgrid(*axes, indexing="ij"), -1) @ matrix
    held = np.clip(x, low, high)
    assert np.allclose(looked_up(lookup.cube, x, table), held + held @ matrix, atol=1e-5)


@pytest.mark.parametrize("look, shape", [(lookup.curves, (5, 3)), (lookup.cube, (5, 5, 5, 3))])
def test_what_is_no_number_counts_as_the_low_end(look, shape):
    table = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    x = np.array([[np.nan, 1, np.inf], [-np.inf, np.nan, np.nan]], np.float32)
    low, high = ENDS
    same = np.array([[low[0], 1, high[2]], low], np.float32)
    assert np.array_equal(looked_up(look, x, table), looked_up(look, same, table))
