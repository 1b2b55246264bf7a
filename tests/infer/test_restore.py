"""Tests of `harmovid.infer.restore`."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harmovid.infer.restore import restored
from harmovid.video.color import from_linear, to_linear


def _picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 1, (24, 32, 3)).astype(np.float32)


@given(st.integers(0, 1000))
def test_without_a_codec_it_is_the_result(seed: int) -> None:
    composite, result = _picture(seed), _picture(seed + 1)
    np.testing.assert_allclose(restored(composite, composite, result), result, atol=1e-3)


@given(st.integers(0, 1000))
def test_where_nothing_changed_it_is_the_composite(seed: int) -> None:
    composite, coded = _picture(seed), _picture(seed + 1)
    np.testing.assert_allclose(restored(composite, coded, coded), composite, atol=1e-3)


def test_a_gain_behind_a_blur_is_a_gain() -> None:
    light = np.full((24, 32, 3), 0.3, np.float32) + 0.25 * (_picture(3) - 0.5)  # linear
    blurred = cv2.blur(light, (7, 7))
    made = restored(*(from_linear(part, "srgb") for part in (light, blurred, blurred * np.float32(0.6))))
    np.testing.assert_allclose(to_linear(made, "srgb"), 0.6 * light, atol=0.005)


def test_black_and_white_stay_in_range_and_finite() -> None:
    black, white = np.zeros((4, 4, 3), np.float32), np.ones((4, 4, 3), np.float32)
    for before in (black, white):
        for coded in (black, white):
            for after in (black, white):
                made = restored(before, coded, after)
                assert np.isfinite(made).all() and made.min() >= 0 and made.max() <= 1
