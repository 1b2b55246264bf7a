from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmovid.baselines.classical import (
    Damping,
    HistogramMatching,
    MongeKantorovich,
    Reinhard,
    _to_lab,
    _to_stops,
    by_name,
    undamped,
)
from harmovid.baselines.twopass import Reading
from harmovid.errors import OptionError
from tests.baselines.portraits import EVERY_METHOD, METHODS, Clip, cloud, pixels, portrait, run, whole

# --- what the papers promise

def test_monge_kantorovich_gives_mean_and_covariance_of_the_background() -> None:
    clip = whole(cloud(1, (-2.5, -3, -3.5), 0.5), cloud(2, (-3, -2.2, -2), 0.4))
    method = MongeKantorovich(damping=undamped(), reading=Reading(overview=0))
    got, wanted = _to_stops(pixels(run(method, clip))), _to_stops(pixels(clip.views.background))
    np.testing.assert_allclose(got.mean(0), wanted.mean(0), atol=1e-4)
    np.testing.assert_allclose(np.cov(got.T), np.cov(wanted.T), atol=1e-4)


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_monge_kantorovich_matrix_is_symmetric_and_carries_one_covariance_to_the_other(seed: int) -> None:
    a, b = np.random.default_rng(seed).normal(size=(2, 3, 3))
    person, scene = a @ a.T + 0.01 * np.eye(3), b @ b.T + 0.01 * np.eye(3)
    matrix = MongeKantorovich(damping=undamped())._contrast(person, scene)
    np.testing.assert_allclose(matrix @ person @ matrix, scene, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-9)
    assert np.linalg.eigvalsh(matrix).min() > 0


def test_reinhard_gives_mean_and_deviation_of_the_background_in_lab() -> None:
    clip = whole(cloud(3, (-2.5, -3, -3.5), 0.4), cloud(4, (-3, -2.2, -2), 0.5))
    got = _to_lab(pixels(run(Reinhard(reading=Reading(overview=0)), clip)))
    wanted = _to_lab(pixels(clip.views.background))
    np.testing.assert_allclose(got.mean(0), wanted.mean(0), atol=1e-4)
    np.testing.assert_allclose(got.std(0), wanted.std(0), atol=1e-4)


def test_lab_of_grey_has_hardly_any_chroma_and_comes_back() -> None:
    grey = _to_lab(np.repeat(np.linspace(0.2, 1, 5)[:, None], 3, 1))
    assert np.abs(grey[:, 1:]).max() < 0.01 and (np.diff(grey[:, 0]) > 0).all()


def test_histogram_matching_gives_the_quantiles_of_the_background() -> None:
    rng = np.random.default_rng(5)
    person = rng.uniform(0.2, 0.5, (3, 1, 48, 48)).astype(np.float32)
    scene = (0.4 + 0.5 * rng.uniform(0, 1, (3, 1, 48, 48)) ** 2).astype(np.float32)
    method = HistogramMatching(smoothing=0, slope_limit=100, reading=Reading(overview=0))
    got = run(method, whole(person, scene))
    np.testing.assert_allclose(np.sort(pixels(got), 0), np.sort(pixels(scene), 0), atol=2.5 / 256)


@EVERY_METHOD
def test_person_with_the_statistics_of_the_background_stays(name: str) -> None:
    image = cloud(6, (-2, -2.5, -3), 0.8, frames=2)
    method = replace(by_name(name), reading=Reading(overview=0))  # type: ignore[type-var]
    np.testing.assert_allclose(run(method, whole(image, image)), image, atol=1e-5)


# --- edges of the ordinary

@EVERY_METHOD
@pytest.mark.parametrize("colour", [(0, 0, 0), (0.4, 0.4, 0.4), (1, 1, 1), (0.1, 0.8, 0.1)])
def test_flat_background_does_not_flatten_the_person(name: str, colour: tuple[float, float, float]) -> None:
    clip = portrait()
    flat = np.ones_like(clip.views.background) * np.array(colour, np.float32)[:, None, None, None]
    inside = clip.views.mask[0] >= 0.999
    got = run(by_name(name), Clip(clip.views.composite, flat, clip.views.mask))
    assert np.isfinite(got).all()
    if name == "classical":
        assert got[:, inside].std(1).min() > 0.4 * clip.views.composite[:, inside].std(1).min()


@EVERY_METHOD
def test_grey_person_on_grey_background_stays_grey(name: str) -> None:
    clip = portrait(scene=0.3)
    grey = [np.repeat(v.mean(0, keepdims=True), 3, 0) for v in (clip.views.composite, clip.views.background)]
    got = run(by_name(name), Clip(grey[0], grey[1], clip.views.mask))
    assert np.ptp(got, axis=0).max() < 0.02


# --- damping

@pytest.mark.parametrize("scene", [(0.15, 0.4, 0.1), (0.1, 0.2, 0.6), (0.7, 0.1, 0.5), (0.02, 0.02, 0.02)])
def test_skin_stays_skin_before_strong_colours(scene: tuple[float, float, float]) -> None:
    clip = portrait(seed=3)
    tint = np.array(scene, np.float32)[:, None, None, None] * 2
    skin = clip.views.mask[0] >= 0.999
    skin[:, 18:] = False
    coloured = Clip(clip.views.composite, np.clip(clip.views.background * tint, 0, 1), clip.views.mask)
    red, green, blue = run(MongeKantorovich(), coloured)[:, skin].mean(1)
    assert red > 1.05 * green and red > blue > 0.05
    before = clip.views.composite[:, skin].mean(1)
    assert np.abs(np.log2([red, green, blue] / before)).max() < 0.9


def test_exposure_and_white_balance_move_visibly_towards_the_background() -> None:
    dark, bright = (run(MongeKantorovich(), portrait(scene=s))[:, 0, 16, 16] for s in (0.15, 0.85))
    assert bright.mean() > 1.25 * dark.mean()
    clip = portrait()
    warm = np.array([1.3, 1, 0.6], np.float32)[:, None, None, None]
    ratios = [rgb[0] / rgb[2] for rgb in (
        run(MongeKantorovich(), Clip(clip.views.composite, np.clip(clip.views.background * tint, 0, 1),
                                     clip.views.mask))[:, 0, 16, 16] for tint in (warm, warm[::-1]))]
    assert ratios[0] > 1.2 * ratios[1]


@given(st.lists(st.floats(-8, 8), min_size=3, max_size=3), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_gain_is_limited_and_in_proportion_to_strength(change: list[float], strength: float) -> None:
    full = MongeKantorovich()._gain(np.array(change))
    luminance = np.log2(np.exp2(full) @ (0.2126, 0.7152, 0.0722))
    assert abs(luminance) <= Damping().exposure_limit + 1e-6
    assert abs(full[0] - full[2]) <= np.sqrt(2) * Damping().warm_limit + 1e-9
    assert abs(full[1] - full.mean()) <= np.sqrt(2 / 3) * Damping().tint_limit + 1e-9
    part = MongeKantorovich(strength=strength)._gain(np.array(change))
    np.testing.assert_allclose(part, strength * full, atol=1e-9)


@given(st.integers(0, 10**6), st.floats(0.01, 1))
@settings(max_examples=30, deadline=None)
def test_contrast_is_limited_and_lies_on_the_geodesic(seed: int, strength: float) -> None:
    a, b = np.random.default_rng(seed).normal(size=(2, 3, 3)) * 3
    full = np.linalg.eigvalsh(MongeKantorovich()._contrast(a @ a.T, b @ b.T))
    part = np.linalg.eigvalsh(MongeKantorovich(strength=strength)._contrast(a @ a.T, b @ b.T))
    assert np.abs(np.log2(full)).max() <= Damping().contrast_limit + 1e-9
    np.testing.assert_allclose(np.log2(part), strength * np.log2(full), atol=1e-9)


@EVERY_METHOD
def test_strength_goes_from_identity_to_the_full_mapping(name: str) -> None:
    clip = portrait(scene=0.15)
    before = clip.views.composite
    results = [run(replace(by_name(name), strength=s), clip) for s in (0, 1e-4, 0.5, 1)]  # type: ignore[type-var]
    moved = [float(np.abs(r - before).mean()) for r in results]
    np.testing.assert_array_equal(results[0], before)
    assert moved[1] < 1e-4 < moved[2] < moved[3]


def test_brightened_highlights_keep_their_gradation() -> None:
    ramp = np.linspace(0.5, 1, 32, dtype=np.float32)
    person = np.ascontiguousarray(np.broadcast_to(ramp, (3, 1, 32, 32))) * 1
    person[:, :, 16:] = 0.05  # a dark half, so that the exposure rises
    got = run(MongeKantorovich(), whole(person, np.full_like(person, 0.95)))[:, 0, 0]
    assert (np.diff(got, axis=1) > 0).all()
    assert got[:, 0].min() > 0.52 and got.max() <= 1


# --- any input

@given(st.integers(0, 10**6), st.integers(1, 5), st.sampled_from(METHODS), st.booleans())
@settings(max_examples=40, deadline=None)
def test_any_clip_gives_finite_pixels_and_leaves_the_background_alone(
        seed: int, frames: int, name: str, extreme: bool) -> None:
    rng = np.random.default_rng(seed)
    video = rng.uniform(0, 1, (2, 3, frames, 16, 24))
    mask = np.clip(rng.normal(0, 1, (1, frames, 16, 24)), 0, 1).astype(np.float32)
    video = (video > rng.uniform(0, 1) if extreme else video ** rng.uniform(0.2, 8)).astype(np.float32)
    clip = Clip(video[0], video[1], mask, rng.uniform(0, 1, (3, frames, 4, 6)).astype(np.float32))
    (chunk,) = by_name(name).harmonize(clip)
    assert chunk.result.dtype == np.float32 and chunk.result.shape == video[0].shape
    assert np.isfinite(chunk.result).all() and chunk.result.min() >= 0 and chunk.result.max() <= 1
    outside = np.broadcast_to(mask == 0, video[0].shape)
    np.testing.assert_array_equal(chunk.result[outside], video[0][outside])
    np.testing.assert_array_equal(chunk.reference, video[0])


# --- settings

@EVERY_METHOD
def test_by_name_gives_the_method_of_that_name(name: str) -> None:
    method = by_name(name)
    assert method.name == name and method.view.area == 128 * 128


def test_by_name_lists_the_alternatives() -> None:
    with pytest.raises(OptionError, match=r"'lut'; there are reinhard, classical, histogram"):
        by_name("lut")


@pytest.mark.parametrize("make", [
    lambda: Reinhard(strength=1.5), lambda: Reinhard(scale_limit=0.5),
    lambda: MongeKantorovich(strength=-0.1), lambda: HistogramMatching(smoothing=1),
    lambda: HistogramMatching(slope_limit=float("nan")), lambda: Damping(tint_share=2),
    lambda: Damping(exposure_limit=0),
])
def test_settings_out_of_range_are_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(OptionError, match="must lie in"):
        make()
