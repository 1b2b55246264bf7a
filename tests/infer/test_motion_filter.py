"""Filtering along the motion: noise in detail goes, what goes evenly and what is painted on a surface stays."""

from __future__ import annotations

import numpy as np
import pytest

from harmovid.infer.motion_filter import REACH, filtered
from tests import figures

SIDE = 48
FRAMES = 20
ALL = np.ones((SIDE, SIDE), np.float32)
INSIDE = np.s_[8:-8, 8:-8]  # at the border what comes in has no neighbour


def passing(frames: int, step: int = 1) -> np.ndarray:
    """(T, H, W, 3), a texture that passes by so many pixels a frame."""
    wide = np.clip(0.5 + 0.15 * figures.noise((SIDE + step * frames, SIDE), 4, 3), 0, 1).astype(np.float32)
    return np.stack([wide[:, step * t : step * t + SIDE] for t in range(frames)])


def run(sources: np.ndarray, gains: np.ndarray, alpha: np.ndarray = ALL) -> np.ndarray:
    return np.stack(list(filtered((source, gain, alpha) for source, gain in zip(sources, gains, strict=True))))


@pytest.mark.parametrize("step", [0, 1], ids=["still", "moving"])
def test_noise_that_is_other_in_every_frame_goes(step: int) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (FRAMES, SIDE, SIDE, 3)).astype(np.float32)
    made = run(passing(FRAMES, step), noise)[REACH:-REACH, *INSIDE]
    weights = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / 4) ** 2)
    wanted = np.sqrt((weights**2).sum()) / weights.sum()  # 0.35: what a mean of independent frames leaves
    assert made.std() / noise.std() < 1.3 * wanted


def test_detail_that_goes_with_the_surface_stays_and_detail_that_does_not_goes() -> None:
    wide = np.random.default_rng(3).normal(0, 0.2, (SIDE, SIDE + FRAMES, 3)).astype(np.float32)
    painted = np.stack([wide[:, t : t + SIDE] for t in range(FRAMES)])  # moves as the source does
    made = run(passing(FRAMES), painted)
    assert np.abs(made - painted)[REACH:-REACH, *INSIDE].mean() < 0.35 * np.abs(painted).mean()
    fixed = np.repeat(painted[:1], FRAMES, 0)  # to the camera, as dirt on its glass
    left = run(passing(FRAMES), fixed)[REACH:-REACH, *INSIDE]
    assert left.std() < 0.5 * fixed[REACH:-REACH, *INSIDE].std()


def test_light_that_moves_evenly_is_not_filtered() -> None:
    level = np.random.default_rng(1).normal(0, 0.5, FRAMES)
    across = np.linspace(-0.5, 0.5, SIDE)
    gains = (level[:, None, None, None] * (1 + across)[:, None] * np.ones((SIDE, 1, 3))).astype(np.float32)
    made = run(passing(FRAMES), gains)
    assert np.abs(made - gains)[:, *INSIDE].max() < 0.03 * np.abs(gains).max()


def test_nothing_is_fetched_from_where_the_subject_is_not() -> None:
    alpha = np.zeros((SIDE, SIDE), np.float32)
    alpha[:, :24] = 1
    gains = np.zeros((FRAMES, SIDE, SIDE, 3), np.float32)
    gains[:, :, 24:] = np.random.default_rng(2).normal(0, 5, (FRAMES, SIDE, 24, 3))  # beyond it, anything
    made = run(passing(FRAMES, 0), gains, alpha)
    assert np.abs(made[:, :, :24]).max() < 1e-3


@pytest.mark.parametrize("frames", [1, 2, REACH + 1, 2 * REACH + 5])
def test_as_many_frames_as_came_and_in_order(frames: int) -> None:
    gains = np.broadcast_to(np.arange(frames, dtype=np.float32)[:, None, None, None], (frames, SIDE, SIDE, 3))
    made = run(passing(frames), gains)
    assert made.shape == gains.shape and made.dtype == np.float32
    assert made[:, 24, 24, 0] == pytest.approx(np.arange(frames), abs=0.02 * frames)
