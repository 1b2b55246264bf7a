"""Tests of `harmovid.infer.correction`."""

from __future__ import annotations

import numpy as np
import pytest

from harmovid.infer.correction import corrected
from harmovid.video.color import from_linear, to_linear
from tests import figures

SIZE = 64


def _clip() -> tuple[np.ndarray, np.ndarray]:
    """(3, T, H, W) display values of a textured subject, and its mask, the left three quarters."""
    pictures = np.stack([np.clip(0.45 + 0.1 * figures.noise((SIZE, SIZE), seed, 2), 0.1, 0.8) for seed in (1, 2)])
    mask = np.zeros((1, 2, SIZE, SIZE), np.float32)
    mask[..., : 3 * SIZE // 4] = 1
    return pictures.transpose(3, 0, 1, 2).astype(np.float32), mask


def _lit(pictures: np.ndarray, gain: np.ndarray | float) -> np.ndarray:
    return from_linear(to_linear(pictures, "srgb") * np.float32(1) * gain, "srgb").astype(np.float32)


def _off(found: np.ndarray, wanted: np.ndarray, mask: np.ndarray) -> float:
    inside = np.broadcast_to(mask, found.shape) == 1
    return float(np.sqrt(np.square(found - wanted)[inside].mean()))


@pytest.mark.parametrize("gain", [0.6, 1.0, 1.5])
def test_an_even_gain_comes_back(gain: float) -> None:
    pictures, mask = _clip()
    assert _off(corrected(pictures, _lit(pictures, gain), mask), _lit(pictures, gain), mask) < 0.004


def test_a_smooth_gain_comes_back() -> None:
    pictures, mask = _clip()
    across = np.exp(0.5 * np.sin(np.linspace(0, 4, SIZE, dtype=np.float32)))
    assert _off(corrected(pictures, _lit(pictures, across), mask), _lit(pictures, across), mask) < 0.01


def test_what_the_mask_does_not_cover_is_left() -> None:
    pictures, mask = _clip()
    found = corrected(pictures, _lit(pictures, 1.5), mask)
    outside = np.broadcast_to(mask, found.shape) == 0
    np.testing.assert_allclose(found[outside], pictures[outside], atol=1e-6)


def test_a_ghost_has_no_say() -> None:
    pictures, mask = _clip()
    wanted = _lit(pictures, 1.3)
    seen = wanted.copy()
    seen[:, :, 20:40, 14:26] = 0.05  # something dark that is elsewhere by now
    seen[:, :, 20:40, 26:30] = 0.9
    found = corrected(pictures, seen, mask)
    assert _off(seen, wanted, mask) > 0.1 and _off(found, wanted, mask) < 0.01


def test_nobody_and_black_are_left() -> None:
    pictures, mask = _clip()
    np.testing.assert_allclose(corrected(pictures, _lit(pictures, 2.0), 0 * mask), pictures, atol=1e-6)
    black = np.zeros_like(pictures)
    assert np.isfinite(corrected(black, pictures, mask)).all()
