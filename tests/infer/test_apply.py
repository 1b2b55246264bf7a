from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmovid.infer import apply

IDENTITY = np.concatenate([np.eye(3), np.zeros((3, 1))], axis=1).reshape(12).astype(np.float32)
NO_RESIDUAL = np.zeros((5, 7, 5), np.float32)


def linear(height: int = 24, width: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 1, (height, width, 3)).astype(np.float32)


def grid(matrix: np.ndarray, offset: np.ndarray | float = 0.0, shape: tuple[int, int, int] = (3, 4, 8)) -> np.ndarray:
    """The same affine in every cell."""
    affine = np.concatenate([matrix, np.broadcast_to(offset, (3,)).reshape(3, 1)], axis=1).astype(np.float32)
    return np.broadcast_to(affine.reshape(12), (*shape, 12)).copy()


def relit(x: np.ndarray, cells: np.ndarray, residual: np.ndarray = NO_RESIDUAL, stops: float = 10.0,
          strength: float = 1.0, box: tuple[float, float, float, float] | None = None) -> np.ndarray:
    return apply.relight(x, cells, residual, box or (0, 0, x.shape[1], x.shape[0]), stops, strength)


# --- the luminance axis

def test_the_guide_runs_from_black_to_white_and_no_further() -> None:
    grey = np.linspace(0, 1, 101, dtype=np.float32)
    guide = apply.guide(np.repeat(grey, 3).reshape(1, -1, 3))[0]
    assert guide[0] == pytest.approx(0, abs=2e-3) and guide[-1] == pytest.approx(1, abs=2e-3)
    assert (np.diff(guide) > 0).all()
    beyond = apply.guide(np.float32([[[4, 4, 4], [-1, -1, -1], [1e30, 0, 0]]]))[0]
    assert beyond[0] == 1 and beyond[1] == pytest.approx(0, abs=2e-3) and beyond[2] == 1


def test_the_guide_is_even_to_the_eye() -> None:
    grey = (np.arange(1, 11) / 10.0) ** 2.2
    guide = apply.guide(np.repeat(grey, 3).reshape(1, -1, 3).astype(np.float32))[0]
    assert np.abs(np.diff(guide) - 0.105).max() < 0.02


# --- gathering

def test_moments_are_those_of_numpy() -> None:
    x, y = linear(), linear(seed=1)
    weight = np.random.default_rng(2).uniform(0, 1, x.shape[:2]).astype(np.float32)
    weight[:4] = 0
    moments = apply.splat(x, y, weight, apply.guide(x), (3, 4, 8))
    assert moments.shape == (3, 4, 8, 13) and moments.dtype == np.float32 and (moments[..., 6] >= 0).all()
    total, w = moments.sum(axis=(0, 1, 2)), weight[..., None]
    expected = [(w * x * x).sum((0, 1)), (w * x * y).sum((0, 1)), [w.sum()], (w * x).sum((0, 1)), (w * y).sum((0, 1))]
    np.testing.assert_allclose(total, np.concatenate(expected), rtol=1e-3)


def test_what_has_no_weight_is_not_looked_at() -> None:
    x, y = linear(), linear(seed=1)
    weight = np.ones(x.shape[:2], np.float32)
    weight[5:9, 5:9] = 0
    clean = apply.splat(x, y, weight, apply.guide(x), (3, 4, 8))
    bad = x.copy()
    bad[5:9, 5:9] = np.nan
    assert (apply.splat(bad, bad * 0 + y, weight, apply.guide(x), (3, 4, 8)) == clean).all()


# --- carrying over

def test_identity_is_the_identity_on_light_of_any_strength() -> None:
    x = linear() * 20 - 2
    np.testing.assert_allclose(relit(x, grid(np.eye(3))), x, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(apply.slice_affine(x, grid(np.eye(3))), x, rtol=1e-6, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.tuples(st.integers(1, 9), st.integers(1, 9)),
       st.tuples(st.integers(2, 4), st.integers(2, 4), st.integers(2, 8)))
def test_one_affine_everywhere_is_that_affine(seed: int, size: tuple[int, int], shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(seed)
    matrix, offset = np.eye(3) * 0.6 + rng.uniform(0, 0.2, (3, 3)), rng.uniform(0, 0.1, 3)
    x = linear(*size, seed=seed)
    truth = x @ matrix.T.astype(np.float32) + offset.astype(np.float32)
    np.testing.assert_allclose(relit(x, grid(matrix, offset, shape)), truth, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(apply.slice_affine(x, grid(matrix, offset, shape)), truth, rtol=1e-4, atol=1e-5)


def test_both_ways_of_reading_a_grid_agree() -> None:
    x = linear(31, 17)
    cells = grid(np.eye(3)) * np.random.default_rng(0).uniform(0.5, 1.5, (3, 4, 8, 1)).astype(np.float32)
    np.testing.assert_allclose(relit(x, cells), apply.slice_affine(x, cells), rtol=1e-4, atol=1e-6)


def test_between_cells_of_space_the_gain_is_linear() -> None:
    cells = grid(np.eye(3), shape=(2, 2, 2))
    cells[:, 0] *= 0.5
    x = np.full((1, 100, 3), 0.3, np.float32)
    got = relit(x, cells)[0, :, 0] / 0.3
    np.testing.assert_allclose(got, 0.5 + 0.5 * (np.arange(100) + 0.5) / 100, rtol=1e-4)


def test_beyond_the_box_the_border_goes_on() -> None:
    cells = grid(np.eye(3), shape=(2, 2, 2))
    cells[:, 0] *= 0.5
    x = np.full((4, 100, 3), 0.3, np.float32)
    got = relit(x, cells, box=(40, 0, 60, 4))
    np.testing.assert_allclose(got[:, :40], 0.15, rtol=1e-3)
    np.testing.assert_allclose(got[:, 60:], 0.3, rtol=1e-3)


def test_the_gain_left_over_multiplies_and_is_sampled_at_pixel_centres() -> None:
    residual = np.zeros((2, 4, 5), np.float32)
    residual[..., :3] = np.log([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1)
    x = np.full((2, 4, 3), 0.2, np.float32)
    np.testing.assert_allclose(relit(x, grid(np.eye(3)), residual)[0, :, 0], 0.204 * np.arange(1, 5) - 0.004, rtol=1e-4)


def test_the_gain_left_over_goes_along_the_guide() -> None:
    x = np.full((3, 3, 3), 0.2, np.float32)
    residual = np.zeros((3, 3, 5), np.float32)
    residual[..., 3], residual[..., 4] = 2.0, float(apply.guide(x)[0, 0])
    np.testing.assert_allclose(relit(x, grid(np.eye(3)), residual), x, rtol=1e-4)
    brighter = relit(2 * x, grid(np.eye(3)), residual)
    rise = float(apply.guide(2 * x)[0, 0] - apply.guide(x)[0, 0])
    np.testing.assert_allclose(brighter, (0.404 * np.exp(2.0 * rise)) - 0.004, rtol=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 8), st.floats(-3, 3), st.integers(0, 2**31))
def test_no_gain_beyond_the_bound(stops: float, offset: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = linear(9, 9, seed)
    got = relit(x, grid(rng.normal(0, 3, (3, 3)), offset), rng.normal(0, 3, (5, 5, 5)).astype(np.float32), stops)
    gain = np.log2((got + 0.004) / (x + 0.004))
    assert np.isfinite(got).all() and np.abs(gain).max() <= stops + 1e-3


def test_strength_is_a_power_of_the_gain() -> None:
    x = linear()
    for strength in (0.25, 0.5, 2.0):
        got = relit(x, grid(0.4 * np.eye(3)), strength=strength)
        np.testing.assert_allclose((got + 0.004) / (x + 0.004),
                                   ((0.4 * x + 0.004) / (x + 0.004)) ** strength, rtol=1e-4)


def test_below_black_a_value_keeps_its_sign() -> None:
    x = np.full((2, 2, 3), -0.05, np.float32)
    got = relit(x, grid(0.5 * np.eye(3)))
    assert np.isfinite(got).all() and (got <= 0).all() and (got >= -0.05).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 3)])
def test_pictures_of_any_size(size: tuple[int, int]) -> None:
    x = linear(*size)
    np.testing.assert_allclose(relit(x, grid(0.5 * np.eye(3))), 0.5 * x, rtol=1e-4, atol=1e-6)


def test_the_source_is_left_alone_and_views_of_arrays_will_do() -> None:
    big = linear(30, 60)
    before = big.copy()
    part = big[3:20:2, 5:50:3]
    got = relit(part, grid(0.5 * np.eye(3)))
    assert (big == before).all() and got.flags.c_contiguous
    assert (got == relit(part.copy(), grid(0.5 * np.eye(3)))).all()


def test_a_run_again_gives_the_same_bits() -> None:
    x, cells = linear(64, 64), grid(np.eye(3)) * 0.7
    assert (relit(x, cells) == relit(x, cells)).all()
