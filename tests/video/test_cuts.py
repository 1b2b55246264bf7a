"""Cuts: found where the picture changes, whatever its light does, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from harmovid.video.color import from_linear, to_linear
from harmovid.video.cuts import shots
from tests import figures

SIZE = 160, 96


def shot(seed: int, frames: int, pace: float = 1.5) -> np.ndarray:
    """(T, H, W, 3): a picture that moves sideways."""
    wide = np.clip(0.45 + 0.15 * figures.noise((SIZE[0] + 200, SIZE[1]), seed, 6), 0.02, 0.98)
    return np.stack([wide[:, int(pace * t) : int(pace * t) + SIZE[0]] for t in range(frames)])


def lit(pictures: np.ndarray, stops: np.ndarray) -> np.ndarray:
    return from_linear(np.clip(to_linear(pictures, "srgb") * np.exp2(stops).astype(np.float32), 0, 1), "srgb")


def test_cuts_are_found_to_the_frame() -> None:
    assert shots(np.concatenate([shot(1, 9), shot(2, 4), shot(3, 12)])) == [0, 9, 13]


def test_no_cut_is_found_in_one_shot_however_short() -> None:
    assert shots([]) == [] and shots(shot(1, 1)) == [0] and shots(shot(1, 7)) == [0]
    assert shots(shot(1, 40, pace=4)) == [0]


def test_what_jerks_by_a_tenth_of_the_picture_is_no_cut() -> None:
    wide = np.clip(0.45 + 0.15 * figures.noise((SIZE[0] + 200, SIZE[1]), 1, 3), 0.02, 0.98)
    jerking = np.stack([wide[:, x : x + SIZE[0]] for x in [0] * 8 + [13] * 8])
    assert shots(jerking) == [0]
    assert shots(np.concatenate([jerking, shot(2, 8)])) == [0, 16]


@pytest.mark.parametrize("kind", ["exposure", "colour", "local"])
def test_light_that_jumps_is_no_cut_and_hides_none(kind: str) -> None:
    random = np.random.default_rng(0)
    clip = np.concatenate([shot(1, 12), shot(2, 12)])
    if kind == "local":  # from one side in one frame, from the other in the next
        across = np.linspace(-1, 1, SIZE[0])[None, None, :, None]
        stops = across * random.uniform(-1.2, 1.2, (24, 1, 1, 1))
    else:
        stops = random.uniform(-1.5, 1, (24, 1, 1, 3 if kind == "colour" else 1))
    assert shots(lit(clip, stops)) == [0, 12]


@pytest.mark.parametrize("frames", [1, 3])
def test_a_flash_is_no_cut_though_nothing_is_seen_in_it(frames: int) -> None:
    clip = shot(1, 20)
    clip[8 : 8 + frames] = 1
    assert shots(clip) == [0]
    clip[8 : 8 + frames] = 0
    assert shots(clip) == [0]


@pytest.mark.parametrize("colour", [(0.5, 0.5, 0.5), (0.725, 0.482, 0.788), (0, 0, 0), (1, 1, 1)])
@pytest.mark.parametrize("noise", [0.0, 0.004])
def test_a_picture_of_one_colour_is_one_shot(colour: tuple[float, ...], noise: float) -> None:
    random = np.random.default_rng(0)
    flat = np.full((16, 270, 480, 3), colour, np.float32)
    flat = np.clip(flat + noise * random.standard_normal(flat.shape, np.float32), 0, 1)
    assert shots(flat) == [0]
    assert shots(np.concatenate([shot(1, 8), flat[:, :96, :160], shot(2, 8)])) == [0, 8, 24]


def test_what_flickers_in_the_dark_is_judged_by_more_than_noise() -> None:
    random = np.random.default_rng(0)
    clip = shot(1, 20) * np.float32(0.15)
    noisy = clip + random.normal(0, 0.01, clip.shape).astype(np.float32)
    assert shots(noisy) == [0]
