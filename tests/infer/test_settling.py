"""Settling: what trembles goes, along the motion; what is steady, or a change of light that lasts, stays."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from harmovid.infer.correction import relit
from harmovid.infer.settling import REACH, settle
from harmovid.video.color import from_linear, to_linear
from tests import figures

SIDE = 48
ALL = np.ones((SIDE, SIDE), np.float32)
MEAN = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / 2) ** 2)


def still(frames: int) -> np.ndarray:
    """(T, H, W, 3), one picture again and again."""
    return np.repeat(np.clip(0.5 + 0.15 * figures.noise((SIDE, SIDE), 3, 2), 0, 1)[None], frames, 0).astype(np.float32)


def moving(frames: int) -> np.ndarray:
    """(T, H, W, 3), a texture that passes by a pixel and a half a frame."""
    wide = np.clip(0.5 + 0.15 * figures.noise((SIDE + 2 * frames, SIDE), 4, 3), 0, 1).astype(np.float32)
    wide = np.repeat(wide, 2, 1)  # half pixels
    return np.stack([wide[:, 3 * t : 3 * t + 2 * SIDE].reshape(SIDE, SIDE, 2, 3).mean(2) for t in range(frames)])


def lit(clip: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Each frame brighter by so many stops."""
    return from_linear(to_linear(clip, "srgb") * np.exp2(stops)[:, None, None, None].astype(np.float32), "srgb")


def settled(clip: np.ndarray) -> np.ndarray:
    """(T, H, W, 3) gains."""
    return np.stack(list(settle((frame, ALL) for frame in clip)))


def trembling(clip: np.ndarray) -> float:
    level = np.log(to_linear(clip, "srgb").mean((1, 2, 3)))
    return float(np.abs(np.diff(level, 2)).mean())


@pytest.mark.parametrize("clip", [still(7), moving(12)], ids=["still", "moving"])
def test_what_is_steady_stays(clip: np.ndarray) -> None:
    inside = np.abs(settled(clip)[:, 8:-8, 8:-8])  # at the border what comes in has no neighbour
    assert inside.mean() < 0.01 and inside.max() < 0.06  # between pixels, flow blurs a little, and the last fit sees it


def test_levels_go_to_their_gaussian_mean() -> None:
    stops = np.random.default_rng(1).normal(0, 0.1, 14)
    gains = settled(lit(still(14), stops))
    within = range(REACH, 14 - REACH)
    wanted = [np.log(2) * (MEAN @ stops[t - REACH : t + REACH + 1] / MEAN.sum() - stops[t]) for t in within]
    # Less than all: what is dim is known less, and ε is no light.
    assert np.median(gains[REACH:-REACH], (1, 2, 3)) == pytest.approx(wanted, abs=0.012)


@pytest.mark.parametrize("clip", [still(12), moving(12)], ids=["still", "moving"])
def test_flicker_is_settled(clip: np.ndarray) -> None:
    flickering = lit(clip, 0.15 * np.random.default_rng(2).normal(size=12))
    made = np.stack([relit(frame, gain, ALL) for frame, gain in zip(flickering, settled(flickering), strict=True)])
    assert trembling(made) < 0.25 * trembling(flickering)


def test_tones_that_tremble_against_each_other_are_settled() -> None:
    clip = still(12)
    powers = 1 + 0.1 * np.random.default_rng(5).normal(size=12)  # dark and bright go opposite ways about 0.5
    flickering = np.stack([0.5 * (2 * frame) ** power for frame, power in zip(clip, powers, strict=True)]).clip(0, 1)
    made = np.stack([relit(frame, gain, ALL) for frame, gain in zip(flickering, settled(flickering), strict=True)])
    dark = clip[0].mean(-1) < np.quantile(clip[0].mean(-1), 0.2)
    before, after = (np.abs(np.diff(np.log(part[:, dark].mean((1, 2))), 2, 0)).mean() for part in (flickering, made))
    assert after < 0.4 * before


def test_a_step_of_light_is_kept() -> None:
    gains = settled(lit(still(20), np.where(np.arange(20) < 10, 0.0, 0.5)))
    assert np.abs(gains[: 10 - REACH]).max() < 0.01 and np.abs(gains[10 + REACH :]).max() < 0.01


def test_a_large_step_is_not_smeared() -> None:
    stops = np.where(np.arange(12) < 6, 0.0, 1.25)
    gains = settled(lit(0.5 * still(12), stops))
    smeared = np.log(2) * 1.25 * MEAN[:REACH].sum() / MEAN.sum()  # by the Gaussian alone, beside the step
    assert np.abs(np.median(gains[5:7], (1, 2, 3))).max() < 0.25 * smeared


def test_it_reads_no_further_than_it_reaches() -> None:
    taken = 0

    def frames() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        nonlocal taken
        for frame in still(12):
            taken += 1
            yield frame, ALL

    for number, _ in enumerate(settle(frames())):
        assert taken == min(number + REACH + 1, 12)
    assert number == 11


@pytest.mark.parametrize("count", [0, 1, 2])
def test_short_clips(count: int) -> None:
    assert len(list(settle((frame, ALL) for frame in still(count)))) == count


def test_without_a_subject_nothing_is_known() -> None:
    flickering = lit(still(6), np.array([0, 0.3, 0, 0.3, 0, 0.3]))
    for gain in settle((frame, np.zeros_like(ALL)) for frame in flickering):
        assert np.isfinite(gain).all() and np.abs(gain).max() < 0.01


def test_what_is_black_stays_black() -> None:
    for gain in settle((frame, ALL) for frame in np.zeros((4, SIDE, SIDE, 3), np.float32)):
        assert np.abs(gain).max() < 1e-6
