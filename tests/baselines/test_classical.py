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
    Reading,
    Reinhard,
    _to_lab,
    _to_stops,
    by_name,
    undamped,
)
from harmovid.errors import OptionError
from harmovid.infer.views import Harmonizer, ViewClip, Views
from harmovid.video.color import from_linear

METHODS = ["reinhard", "classical", "histogram"]
EVERY_METHOD = pytest.mark.parametrize("name", METHODS)


class Clip:
    """Views in memory, which remembers what was asked of it."""

    def __init__(self, composite: np.ndarray, background: np.ndarray, mask: np.ndarray,
                 overview: np.ndarray | None = None) -> None:
        overview = background[:, :, ::4, ::4] if overview is None else overview
        self.views = Views(composite, background, mask, overview)
        self.asked: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return self.views.composite.shape[1]

    def window(self, start: int, stop: int) -> Views:
        self.asked.append((start, stop))
        v = self.views
        return Views(v.composite[:, start:stop], v.background[:, start:stop], v.mask[:, start:stop],
                     v.overview[:, start:stop])


def run(method: Harmonizer, clip: ViewClip) -> np.ndarray:
    chunks = list(method.harmonize(clip))
    return np.concatenate([c.result for c in chunks], 1) if chunks else np.zeros((3, 0, 1, 1), np.float32)


def cloud(seed: int, mean: tuple[float, float, float], spread: float, frames: int = 1,
          size: int = 32) -> np.ndarray:
    """(3, T, H, W): colours around `mean` stops, correlated between the channels, the same in all frames."""
    rng = np.random.default_rng(seed)
    mixing = np.eye(3) + 0.5 * rng.uniform(-1, 1, (3, 3))
    stops = np.array(mean) + spread * np.tanh(rng.normal(size=(size * size, 3))) @ mixing
    rgb = from_linear(np.exp2(stops).astype(np.float32), "srgb").T.reshape(3, 1, size, size)
    return np.ascontiguousarray(np.repeat(rgb, frames, 1))


def portrait(frames: int = 3, size: int = 32, scene: float = 0.5, seed: int = 0) -> Clip:
    """A skin-coloured, white-shirted disc that moves over a textured scene of that mean code value."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    background = np.clip(scene + 0.1 * rng.normal(size=(3, 1, size, size)), 0, 1).repeat(frames, 1)
    mask = np.stack([np.clip((0.3 - np.hypot(x - 0.5 - 0.1 * np.sin(t), y - 0.5)) * 10, 0, 1)
                     for t in range(frames)])[None]
    person = np.where(y > 0.6, 0.9, np.array([0.8, 0.6, 0.5])[:, None, None]) * (0.6 + 0.4 * x)
    composite = background + mask * (person[:, None] - background)
    return Clip(*(np.ascontiguousarray(v, np.float32) for v in (composite, background, mask)))


def pixels(video: np.ndarray) -> np.ndarray:
    return video.reshape(3, -1).T


def whole(person: np.ndarray, scene: np.ndarray) -> Clip:
    return Clip(person, scene, np.ones_like(person[:1]))


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


# --- steadiness

@EVERY_METHOD
def test_constant_clip_gives_constant_result_to_the_bit(name: str) -> None:
    clip = whole(cloud(7, (-2, -3, -3), 0.5, 70, 16), cloud(8, (-4, -3, -3), 0.5, 70, 16))
    got = run(by_name(name), clip)
    assert np.abs(got[:, 0] - clip.views.composite[:, 0]).max() > 0.01
    assert (got == got[:, :1]).all()


@EVERY_METHOD
@pytest.mark.parametrize("chunk", [1, 5, 16])
def test_chunk_size_does_not_alter_the_result(name: str, chunk: int) -> None:
    rng = np.random.default_rng(9)
    video = rng.uniform(0, 1, (2, 3, 17, 16, 16)).astype(np.float32)
    clip = Clip(video[0], video[1], rng.uniform(0, 1, (1, 17, 16, 16)).astype(np.float32))
    method = by_name(name)
    small = replace(method, reading=Reading(chunk=chunk))  # type: ignore[type-var]
    np.testing.assert_array_equal(run(small, clip), run(method, clip))


@EVERY_METHOD
def test_clip_is_read_twice_in_order_and_in_small_windows(name: str) -> None:
    clip = portrait(frames=70, size=16)
    assert run(by_name(name), clip).shape == clip.views.composite.shape
    assert clip.asked == [(0, 32), (32, 64), (64, 70)] * 2


def lit(levels: np.ndarray) -> tuple[Clip, np.ndarray]:
    """A still person while the scene's light goes by `levels`; the clip and the pixels of the person."""
    clip = portrait(frames=1, size=16)
    frames = len(levels)
    composite, background, mask = (v.repeat(frames, 1) for v in
                                   (clip.views.composite, clip.views.background, clip.views.mask))
    background = np.clip(background * levels[None, :, None, None], 0, 1).astype(np.float32)
    return Clip(composite, background, mask), mask[0, 0] >= 0.999


@EVERY_METHOD
def test_slow_change_of_light_is_followed_smoothly(name: str) -> None:
    clip, inside = lit(np.linspace(0.4, 1.6, 200))
    level = run(by_name(name), clip)[:, :, inside].mean((0, 2))
    assert (np.diff(level) > 0).all()
    assert level[-1] > 1.2 * level[0]
    assert np.abs(np.diff(level, 2)).max() < 1e-3


@EVERY_METHOD
def test_flickering_background_makes_no_flicker(name: str) -> None:
    levels = 1 + 0.3 * np.random.default_rng(10).uniform(-1, 1, 200)
    clip, inside = lit(levels)
    level = run(by_name(name), clip)[:, :, inside].mean((0, 2))
    assert np.abs(np.diff(level)).mean() < 0.01 * np.abs(np.diff(levels * 0.5)).mean()


# --- edges of the ordinary

@EVERY_METHOD
def test_frames_without_a_person_are_untouched_and_of_no_influence(name: str) -> None:
    clip = portrait(frames=6)
    v = clip.views
    gone = np.array([0, 0, 0, 1, 1, 0], bool)
    mask = np.where(gone[None, :, None, None], 0, v.mask).astype(np.float32)
    composite = np.where(gone[None, :, None, None], v.background, v.composite)
    got = run(by_name(name), Clip(composite, v.background, mask))
    np.testing.assert_array_equal(got[:, gone], v.background[:, gone])
    stays = Clip(v.composite[:, ~gone], v.background[:, ~gone], v.mask[:, ~gone])
    np.testing.assert_array_equal(got[:, ~gone], run(by_name(name), stays))


@EVERY_METHOD
def test_clip_without_any_person_comes_back(name: str) -> None:
    clip = portrait()
    empty = Clip(clip.views.background, clip.views.background, np.zeros_like(clip.views.mask))
    np.testing.assert_array_equal(run(by_name(name), empty), clip.views.background)


@EVERY_METHOD
def test_one_frame_and_none(name: str) -> None:
    clip = portrait(frames=1)
    assert run(by_name(name), clip).shape == clip.views.composite.shape
    none = Clip(*(v[:, :0] for v in (clip.views.composite, clip.views.background, clip.views.mask)))
    assert list(by_name(name).harmonize(none)) == []


@EVERY_METHOD
def test_person_too_thin_to_erode_is_still_mapped(name: str) -> None:
    clip = portrait(scene=0.15)
    mask = np.zeros_like(clip.views.mask)
    mask[..., 16] = 1
    got = run(by_name(name), Clip(clip.views.composite, clip.views.background, mask))
    assert np.isfinite(got).all() and (got != clip.views.composite).any()


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
    lambda: Damping(exposure_limit=0), lambda: Reading(sigma=0),
    lambda: Reading(chunk=0),
])
def test_settings_out_of_range_are_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(OptionError, match="must lie in"):
        make()
