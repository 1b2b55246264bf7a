from __future__ import annotations

import numpy as np
import pytest

from harmovid.infer.leftover import left_over, residual
from tests import figures

SIDE = 64
ALL = np.ones((SIDE, SIDE), np.float32)


def lit(gain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A grey view and the same under a log gain (H, W)."""
    reference = np.full((SIDE, SIDE, 3), 0.3, np.float32)
    return reference, ((reference + 0.004) * np.exp(gain)[..., None] - 0.004).astype(np.float32)


def mapped(gain: np.ndarray, covered: np.ndarray = ALL, detail: float = 0.6, grain: float = 0.03) -> np.ndarray:
    reference, result = lit(gain)
    return residual(left_over(reference, result, reference, covered), reference, covered, detail, grain)


def test_what_is_left_over_is_the_log_gain_and_counts_by_its_light() -> None:
    reference, result = lit(np.full((SIDE, SIDE), 0.7))
    reference[:, 32:] = result[:, 32:] = 0
    sums = left_over(reference, result, reference, 0.5 * ALL)
    np.testing.assert_allclose(sums[:, :32, :3] / sums[:, :32, 3:], 0.7, rtol=1e-4)
    assert (sums[:, 32:] == 0).all() and 0.45 < sums[0, 0, 3] < 0.5


def test_an_even_gain_goes_on_beyond_the_outline() -> None:
    got = mapped(np.full((SIDE, SIDE), -1.2), figures.disc(SIDE, SIDE, 30, 30, 12, 1e-3))
    near = figures.disc(SIDE, SIDE, 30, 30, 17) > 0
    np.testing.assert_allclose(got[near][:, :3], -1.2, atol=0.01)
    np.testing.assert_allclose(got[near][:, 3], 0, atol=0.05)
    assert np.abs(got[-1, -1, :3]).max() < 0.1, "far away no gain is known"


def test_grain_is_smoothed_and_the_edge_of_a_shadow_is_not() -> None:
    grain = 0.02 * np.random.default_rng(1).normal(size=(SIDE, SIDE))
    shadow = np.where(np.arange(SIDE) < 32, 0.5, -0.5) + grain
    got = mapped(shadow)[..., 1]
    flat = (got - shadow + grain)[:, :24]
    assert flat.std() < 0.6 * grain.std()
    assert (got[:, 31] - got[:, 32]).mean() > 0.95
    soft = mapped(shadow, grain=10.0)[..., 1]
    assert (soft[:, 31] - soft[:, 32]).mean() < 0.8, "without standing out it would be smoothed too"


def test_what_is_not_covered_has_no_say() -> None:
    covered = figures.disc(SIDE, SIDE, 30, 30, 15, 1e-3)
    gain = np.full((SIDE, SIDE), 0.4)
    painted = np.where(covered > 0, gain, -2.0)
    np.testing.assert_array_equal(mapped(gain, covered)[..., :3], mapped(painted, covered)[..., :3])


@pytest.mark.parametrize("angle", [0.0, 1.0, 4.0])
def test_light_along_the_outline_is_carried_outward(angle: float) -> None:
    y, x = np.mgrid[:SIDE, :SIDE] - 31.5
    covered = (np.hypot(x, y) < 16).astype(np.float32)
    rim = (np.hypot(x, y) > 14) & (x * np.cos(angle) + y * np.sin(angle) > 0)
    got = mapped(np.where(rim, 1.5, 0.0), covered)[..., 1]
    j, i = (int(31.5 + 17.5 * part) for part in (np.cos(angle), np.sin(angle)))
    assert got[i, j] > 1.2
    j, i = (int(31.5 - 17.5 * part) for part in (np.cos(angle), np.sin(angle)))
    assert abs(got[i, j]) < 0.1
