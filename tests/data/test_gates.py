"""Gates: figures that can be told beforehand, the same as the bench's, and a reason for each way to fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harmovid.data import gates
from harmovid.data.gates import Figures, Gates
from harmovid.evaluate.fidelity import texture
from harmovid.evaluate.temporal import luminance_jitter
from harmovid.video.color import from_linear, to_linear
from tests.data.footage import bits
from tests.makers import natural

SIZE, FRAMES = (64, 72), 7
GOOD = Figures(0.95, 1.0, 0.9, 0.9, 0.02, 0.2)


def clip(gain: np.ndarray | float = 1.0) -> np.ndarray:
    """A picture that stands still, uint8, in a gain of linear light that broadcasts to (T, H, W, 3)."""
    still = 0.1 + 0.35 * natural(SIZE[1], SIZE[0], seed=2)
    still = np.clip(still + np.random.default_rng(3).normal(0, 0.03, (*SIZE, 1)), 0, 1)  # texture
    light = to_linear(np.broadcast_to(still, (FRAMES, *SIZE, 3)).astype(np.float32), "srgb")
    return bits(from_linear((light * gain).astype(np.float32), "srgb"))


def field(strength: float) -> np.ndarray:
    """A gain that grows from e^−strength at the left to e^strength at the right."""
    return np.exp(strength * np.linspace(-1, 1, SIZE[1]))[None, None, :, None]


WHOLE = np.full((FRAMES, *SIZE), 255, np.uint8)
FLICKER = np.exp(np.where(np.arange(FRAMES) % 2, 0.1, -0.1))[:, None, None, None]


def test_figures_are_the_benchs_own() -> None:
    random = np.random.default_rng(1)
    mask = WHOLE.copy()
    mask[:, :, :20] = 0
    noisy = np.clip(clip(FLICKER) + random.normal(0, 6, clip().shape), 0, 255).astype(np.uint8)
    as_float = [part.astype(np.float32) / 255 for part in (noisy, clip(), mask)]
    assert gates.jitter(noisy, clip(), mask) == pytest.approx(luminance_jitter(*as_float), rel=1e-5)
    assert gates.texture(noisy, clip(), mask) == pytest.approx(texture(*as_float), rel=1e-5)


def test_light_that_alternates_by_a_factor_has_four_times_its_log_as_jitter() -> None:
    assert gates.jitter(clip(FLICKER), clip(), WHOLE) == pytest.approx(0.4, rel=0.02)
    found = gates.figures(clip(), clip(FLICKER), clip(), WHOLE)
    assert found is not None and found.jitter == 0 and found.texture == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("got", "correlation", "amplitude"), [
    (field(0.6), 1.0, 1.0), (field(0.3), 1.0, 0.5), (field(-0.6), -1.0, -1.0), (1.0, 0.0, 0.0),
    (field(0.6) * 1.2, 1.0, 1.0)])
def test_a_gain_field_is_kept_weakened_turned_round_or_gone(got, correlation, amplitude) -> None:
    found = gates.figures(clip(got), clip(field(0.6) * FLICKER), clip(), WHOLE)
    assert found is not None
    assert (found.correlation, found.amplitude) == pytest.approx((correlation, amplitude), abs=0.08)


def test_two_even_fields_agree_and_their_strength_is_told() -> None:
    for strength, amplitude in ((1.4, 1.0), (1.0, 0.0), (1.18, 0.5)):
        found = gates.figures(clip(strength), clip(1.4 * FLICKER), clip(), WHOLE)
        assert found is not None
        assert found.correlation > 0.8 and found.amplitude == pytest.approx(amplitude, abs=0.08)


def test_a_cast_of_colour_counts_as_light() -> None:
    warm = np.array([1.4, 1.0, 0.7])
    found = gates.figures(clip(warm.mean()), clip(warm * FLICKER), clip(), WHOLE)
    assert found is not None and found.correlation < 0.5


def test_where_no_cell_is_the_persons_there_are_no_figures() -> None:
    assert gates.figures(clip(), clip(), clip(), 0 * WHOLE) is None
    assert gates.figures(clip()[:2], clip()[:2], clip()[:2], WHOLE[:2]) is None
    assert Gates().reason(None) == "no cell lies within the person"


@pytest.mark.parametrize(("change", "reason"), [
    ({}, ""), ({"correlation": 0.89}, "light lies elsewhere"), ({"amplitude": 0.79}, "light is weaker"),
    ({"amplitude": 1.21}, "light is stronger"), ({"texture": 0.84}, "texture is lost"),
    ({"jitter": 0.11}, "flicker is left"), ({"jitter": 0.1}, ""), ({"jitter": 0.01, "jitter_before": 0.01}, ""),
    ({"jitter": 0.011, "jitter_before": 0.012}, "flicker is left")])
def test_each_way_to_fail_has_its_reason(change, reason) -> None:
    assert Gates().reason(replace(GOOD, **change)) == reason
