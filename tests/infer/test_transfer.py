from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from harmovid.evaluate.fidelity import psnr, texture
from harmovid.evaluate.lightdetail import rim_light
from harmovid.evaluate.temporal import luminance_jitter
from harmovid.infer.transfer import Light, TransferConfig, lights
from harmovid.video.color import from_linear, to_linear
from tests import figures

Triple = tuple[np.ndarray, np.ndarray, np.ndarray]
SMALL, HD = (320, 180), (1920, 1080)
UNSMOOTHED = TransferConfig(temporal_sigma=0)
EITHER = pytest.mark.parametrize("config", [UNSMOOTHED, TransferConfig()], ids=["unsmoothed", "default"])


def square(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The box of the view: all of the height, the middle of the width."""
    return (size[0] - size[1]) // 2, 0, (size[0] + size[1]) // 2, size[1]


def view(picture: np.ndarray, box: tuple[int, int, int, int], side: int = 128) -> np.ndarray:
    x0, y0, x1, y1 = box
    return cv2.resize(picture[y0:y1, x0:x1], (side, side), interpolation=cv2.INTER_AREA)


def shown(light: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Scene-linear at full size as the display sRGB of a view."""
    return from_linear(np.clip(view(light, box), 0, 1), "srgb")


def pairs(clip: figures.Filmed, gain: np.ndarray, box: tuple[int, int, int, int]) -> Iterator[Triple]:
    """What a harmonizer that multiplies the person's light by `gain` (T or 1, H or 1, W or 1, 3) sees and gives."""
    for t, (own, behind, alpha) in enumerate(zip(clip.own, clip.behind, clip.alpha, strict=True)):
        light, scene, a = to_linear(own, "srgb"), to_linear(behind, "srgb"), alpha[..., None]
        changed = light * gain[t % len(gain)].astype(np.float32)
        yield (shown(a * light + (1 - a) * scene, box), shown(a * changed + (1 - a) * scene, box), view(alpha, box))


def relit(clip: figures.Filmed, fitted: Iterator[Light], box: tuple[int, int, int, int]) -> np.ndarray:
    """(T, H, W, 3) display: the full-size clip in the fitted light."""
    return np.stack([from_linear(light.apply(to_linear(own, "srgb"), box), "srgb")
                     for own, light in zip(clip.own, fitted, strict=True)])


def ramp(size: tuple[int, int], low: float = 0.35, high: float = 1.0) -> np.ndarray:
    """(1, 1, W, 1): a gain that rises from left to right over the view."""
    x0, _, x1, _ = square(size)
    x = np.clip((np.arange(size[0]) + 0.5 - x0) / (x1 - x0), 0, 1)
    return (low + (high - low) * x).reshape(1, 1, -1, 1)


def uniform(*rgb: float) -> np.ndarray:
    return np.array(rgb, np.float32).reshape(1, 1, 1, -1) * np.ones(3, np.float32)


# --- what goes in comes out

@EITHER
def test_no_change_of_light_changes_nothing(config: TransferConfig) -> None:
    clip, box = figures.film(SMALL, 4, step=(3, 1)), square(SMALL)
    got = relit(clip, lights(pairs(clip, uniform(1), box), config), box)
    assert np.abs(got - clip.own).max() < 1e-5


@pytest.mark.parametrize("matrix", [
    np.diag([0.5, 0.7, 0.9]), np.diag([1.3, 1.1, 0.8]), 0.1 * np.eye(3),
    np.array([[0.7, 0.15, 0.05], [0.02, 0.6, 0.1], [0.05, 0.0, 0.8]]),
], ids=["cool", "warm", "night", "mixing"])
def test_a_global_affine_is_recovered_within_half_a_percent(matrix: np.ndarray) -> None:
    clip, box = figures.film(SMALL, 1), square(SMALL)
    # Shown through the codec of nobody: an affine of the view is one of the picture.
    reference, _, alpha = next(pairs(clip, uniform(1), box))
    result = from_linear((to_linear(reference, "srgb") @ matrix.T).astype(np.float32), "srgb")
    assert result.max() <= 1
    light = next(lights([(reference, result, alpha)]))
    own = to_linear(clip.own[0], "srgb")
    got, truth = light.apply(own, box), own @ matrix.T
    person = clip.alpha[0] > 0
    assert np.abs(got / truth - 1)[person].max() < 0.005


def test_an_offset_is_recovered_too() -> None:
    clip, box = figures.film(SMALL, 1), square(SMALL)
    reference, _, alpha = next(pairs(clip, uniform(1), box))
    result = from_linear(to_linear(reference, "srgb") * np.float32(0.6) + np.float32(0.05), "srgb")
    own = to_linear(clip.own[0], "srgb")
    got = next(lights([(reference, result, alpha)])).apply(own, box)
    person = clip.alpha[0] > 0
    assert np.abs(got / (own * 0.6 + 0.05) - 1)[person].max() < 0.005


def test_a_left_right_gain_comes_back_at_another_size() -> None:
    clip, box, gain = figures.film(SMALL, 1), square(SMALL), ramp(SMALL)
    got = relit(clip, lights(pairs(clip, gain, box)), box)
    assert psnr(np.clip(got, 0, 1), np.clip(clip.lit(gain), 0, 1), clip.alpha) > 55
    assert texture(np.clip(got, 0, 1), clip.own, clip.alpha) > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("tint", [(1.0, 1.0, 1.0), (0.95, 0.7, 0.45)], ids=["grey", "warm"])
def test_a_smooth_left_right_gain_of_a_small_view_comes_back_at_1080p(tint: tuple[float, float, float]) -> None:
    clip, box = figures.film(HD, 1), square(HD)
    gain = ramp(HD) * np.array(tint)
    got = np.clip(relit(clip, lights(pairs(clip, gain, box)), box), 0, 1)
    assert psnr(got, np.clip(clip.lit(gain), 0, 1), clip.alpha) > 38
    assert texture(got, clip.own, clip.alpha) >= 0.97


def test_the_edge_of_a_shadow_keeps_its_contrast() -> None:
    clip, box = figures.film(SMALL, 1), square(SMALL)
    x = np.arange(SMALL[0])
    gain = np.where(x < SMALL[0] // 2, 0.9, 0.3).reshape(1, 1, -1, 1)
    got = to_linear(relit(clip, lights(pairs(clip, gain, box)), box)[0], "srgb")
    own, person = to_linear(clip.own[0], "srgb"), clip.alpha[0] > 0.99
    ratio = np.where(person[..., None], got / own, np.nan)[90:165]  # on the chest
    lit, dark = (np.nanmedian(ratio[:, middle - 3 : middle + 4])
                 for middle in (SMALL[0] // 2 - 8, SMALL[0] // 2 + 8))
    assert np.log(lit / dark) > 0.9 * np.log(3)


def test_a_light_from_behind_keeps_its_rim() -> None:
    size = (640, 360)
    clip, box = figures.film(size, 1), square(size)
    inside = (clip.alpha[0] > 0.5).astype(np.uint8)
    near = cv2.distanceTransform(inside, cv2.DIST_L2, 5) < 0.015 * size[1]
    right = np.arange(size[0]) > size[0] / 2
    gain = np.where(near & right, 2.5, 0.5)[None, ..., None] * np.array([0.9, 1.0, 1.2])
    got = np.clip(relit(clip, lights(pairs(clip, gain, box)), box), 0, 1)
    truth = np.clip(clip.lit(gain), 0, 1)
    assert rim_light(got, clip.own, truth, clip.alpha) > 0.7
    assert psnr(got, truth, clip.alpha) > 31


@pytest.mark.parametrize("seed", [1, 2])
def test_shaded_clothes_do_not_teach_what_becomes_of_a_colour(seed: int) -> None:
    clip, box = figures.film(SMALL, 1), square(SMALL)
    x, y = np.linspace(0, 1, SMALL[0])[None, :, None], np.linspace(0, 1, SMALL[1])[:, None, None]
    # Olive cloth, with hardly any blue: a mixture of colours that explains some of the shading would turn it green.
    clip = figures.Filmed(clip.lit(np.where(y > 0.62, np.array([0.5, 0.6, 0.03]), 1)), clip.alpha, clip.behind)
    a, b, c, d = np.random.default_rng(seed).uniform(5, 15, 4)
    warm, cool = 0.5 + 0.5 * np.sin(a * x + b * y), 0.5 + 0.5 * np.sin(c * x - d * y)
    gain = (0.15 + warm * np.array([1.0, 0.72, 0.45]) + cool * np.array([0.1, 0.2, 0.6]))[None]
    got = np.clip(relit(clip, lights(pairs(clip, gain, box)), box), 0, 1)
    assert psnr(got, np.clip(clip.lit(gain), 0, 1), clip.alpha) > 46


def test_the_view_is_laid_where_its_box_is() -> None:
    clip, box = figures.film(SMALL, 1), square(SMALL)
    light = next(lights(pairs(clip, ramp(SMALL), box)))
    own = to_linear(clip.own[0], "srgb")
    whole = light.apply(own, box)
    x, y = 100, 40  # a part of the picture, as the pipeline cuts it out
    part = light.apply(own[y:150, x:220], (box[0] - x, box[1] - y, box[2] - x, box[3] - y))
    np.testing.assert_allclose(part, whole[y:150, x:220], rtol=1e-4, atol=1e-6)
    double = light.apply(own.repeat(2, 0).repeat(2, 1), tuple(2 * edge for edge in box))
    np.testing.assert_allclose(double[::2, ::2].mean(), whole.mean(), rtol=0.005)


def test_light_beyond_the_box_is_that_of_its_border() -> None:
    clip, box = figures.film(SMALL, 1), square(SMALL)
    light = next(lights(pairs(clip, uniform(0.5), box)))
    flat = np.full((180, 320, 3), 0.2, np.float32)
    np.testing.assert_allclose(light.apply(flat, box), 0.1, rtol=0.005)


# --- strength, light beyond white and below black

def test_strength_goes_in_log() -> None:
    clip, box = figures.film(SMALL, 1), square(SMALL)
    light = next(lights(pairs(clip, ramp(SMALL), box)))
    own = to_linear(clip.own[0], "srgb")
    person = (clip.alpha[0] > 0.5) & (own.min(axis=2) > 0.02)
    full, half, double = (np.log(light.apply(own, box, strength)[person] / own[person]) for strength in (1, 0.5, 2))
    np.testing.assert_allclose(half, full / 2, atol=0.08)
    np.testing.assert_allclose(double, full * 2, atol=0.35)
    assert abs(half.mean() / full.mean() - 0.5) < 0.01


def test_strength_zero_gives_the_very_picture_back() -> None:
    clip, box = figures.film(SMALL, 1), square(SMALL)
    light = next(lights(pairs(clip, uniform(0.4), box)))
    own = to_linear(clip.own[0], "srgb")
    assert (light.apply(own, box, 0) == own).all()


def test_light_above_white_goes_along_and_below_black_keeps_its_sign() -> None:
    clip, box = figures.film(SMALL, 1), square(SMALL)
    light = next(lights(pairs(clip, uniform(0.5), box)))
    own = to_linear(clip.own[0], "srgb")
    own[70:77, 156:163] = 4.0
    own[110:117, 156:163] = -0.01
    got = light.apply(own, box)
    np.testing.assert_allclose(got[70:77, 156:163], 2.0, rtol=0.01)
    assert np.isfinite(got).all() and (got[110:117, 156:163] < 0).all() and got[110:117, 156:163].min() > -0.02


def test_the_change_is_bounded() -> None:
    clip, box = figures.film(SMALL, 1), square(SMALL)
    reference, _, alpha = next(pairs(clip, uniform(1), box))
    for result, stops in ((np.zeros_like(reference), 2.0), (np.ones_like(reference), 2.0)):
        light = next(lights([(reference, result, alpha)], TransferConfig(stops=stops)))
        own = to_linear(clip.own[0], "srgb")
        gain = (light.apply(own, box) + 0.004) / (own + 0.004)
        assert np.isfinite(gain).all() and gain.min() > 2**-stops * 0.99 and gain.max() < 2**stops * 1.01


def test_dark_skin_is_not_posterised_by_a_strong_light() -> None:
    clip, box = figures.film(SMALL, 1), square(SMALL)
    dark = figures.Filmed(clip.lit(0.05), clip.alpha, clip.behind)
    codes = [(figures.codes(a), figures.codes(b), alpha) for a, b, alpha in pairs(dark, uniform(6, 5, 4), box)]
    got = relit(dark, lights(codes), box)
    assert texture(got, dark.own, dark.alpha, noise=0.0) > 0.97
    assert psnr(got, dark.lit(np.array([6, 5, 4])), dark.alpha) > 40


# --- the background has no say

@pytest.mark.parametrize("gain", [uniform(0.6), uniform(0.9, 0.6, 0.3), ramp(SMALL, 0.2), ramp(SMALL, 0.3) ** 2 * 1.5],
                         ids=["dim", "warm", "side", "hard side"])
def test_black_hair_is_the_same_before_black_and_before_white(gain: np.ndarray) -> None:
    clip, box = figures.film(SMALL, 1, hair=(0.01, 0.01, 0.012)), square(SMALL)
    before = [figures.Filmed(clip.own, clip.alpha, np.full_like(clip.own, tone)) for tone in (0.0, 1.0)]
    got = [relit(clip, lights(pairs(wall, gain, box)), box) for wall in before]
    person = clip.alpha > 0
    assert np.abs(got[0] - got[1])[person].max() < 1e-3 / 4
    assert psnr(np.clip(got[1], 0, 1), np.clip(clip.lit(gain), 0, 1), clip.alpha) > 45


def test_what_a_harmonizer_does_to_the_background_stays_there() -> None:
    clip, box = figures.film(SMALL, 1), square(SMALL)
    reference, result, alpha = next(pairs(clip, uniform(0.7), box))
    painted = np.where((alpha > 0)[..., None], result, np.float32([1, 0, 1]))
    got = relit(clip, lights([(reference, painted, alpha)]), box)
    assert psnr(np.clip(got, 0, 1), clip.lit(0.7), clip.alpha) > 60


# --- time

def jitters(gain: np.ndarray, config: TransferConfig, step: tuple[float, float]) -> tuple[float, float]:
    """Luminance jitter of the result and of the truth, both against the source."""
    size = (240, 136)
    clip, box = figures.film(size, len(gain), step=step, start=(-20, 0), scale=0.9), square(size)
    got = relit(clip, lights(pairs(clip, gain, box), config), box)
    return luminance_jitter(got, clip.own, clip.alpha), luminance_jitter(clip.lit(gain), clip.own, clip.alpha)


@EITHER
@pytest.mark.parametrize("step", [(0.0, 0.0), (3.0, 1.0)], ids=["still", "moving"])
def test_a_trembling_light_trembles_no_more_than_it_did(config: TransferConfig, step: tuple[float, float]) -> None:
    gain = 0.6 * np.exp(0.1 * np.random.default_rng(3).normal(size=(12, 1, 1, 3)))
    got, truth = jitters(gain, config, step)
    assert got <= 1.05 * truth
    if config.temporal_sigma:
        assert got < 0.6 * truth, "smoothing takes flicker away"


@EITHER
@pytest.mark.parametrize("step", [(0.0, 0.0), (3.0, 1.0)], ids=["still", "moving"])
def test_a_steady_light_stays_steady(config: TransferConfig, step: tuple[float, float]) -> None:
    got, truth = jitters(np.full((12, 1, 1, 3), 0.6), config, step)
    assert truth < 1e-4 and got < 1e-4


@EITHER
@pytest.mark.parametrize("bent", [False, True], ids=["even", "bent"])
def test_a_steady_light_from_the_side_does_not_begin_to_tremble(config: TransferConfig, bent: bool) -> None:
    across = (ramp((240, 136)) - 0.35) / 0.65
    gain = 0.35 + 0.65 * (across * across * (3 - 2 * across) if bent else across)
    got, truth = jitters(np.repeat(gain, 12, axis=0), config, (3.0, 1.0))
    assert got < 0.01
    assert got <= 1.05 * truth


def test_the_light_of_a_fast_change_is_followed() -> None:
    gain = np.where(np.arange(20) < 10, 0.9, 0.3).reshape(-1, 1, 1, 1) * np.ones(3)
    clip, box = figures.film((160, 90), 20), square((160, 90))
    got = relit(clip, lights(pairs(clip, gain, box)), box)
    person = clip.alpha[0] > 0.9
    light = np.array([to_linear(g, "srgb")[person].mean() / to_linear(own, "srgb")[person].mean()
                      for g, own in zip(got, clip.own, strict=True)])
    np.testing.assert_allclose(light[[0, 5, 14, 19]], [0.9, 0.9, 0.3, 0.3], rtol=0.02)
    assert np.abs(light[[8, 11]] - [0.9, 0.3]).max() < 0.12


@EITHER
@pytest.mark.parametrize("frames", [1, 2, 3, 9])
def test_one_light_for_each_frame_and_only_a_few_looked_at_ahead(config: TransferConfig, frames: int) -> None:
    clip, box = figures.film((64, 48), frames), square((64, 48))
    taken = 0

    def counted() -> Iterator[Triple]:
        nonlocal taken
        for triple in pairs(clip, uniform(0.8), box):
            taken += 1
            yield triple

    given = 0
    for light in lights(counted(), config):
        given += 1
        assert taken <= given + (0 if config.temporal_sigma == 0 else 7)
        assert light.grid.dtype == light.residual.dtype == np.float32 and light.residual.shape == (128, 128, 5)
    assert given == taken == frames


def test_no_frame_no_light() -> None:
    assert list(lights([])) == []


def test_nobody_in_the_frame_leaves_the_light_alone() -> None:
    clip, box = figures.film((64, 48), 3), square((64, 48))
    empty = [(a, b, np.zeros_like(alpha)) for a, b, alpha in pairs(clip, uniform(0.3), box)]
    for light in lights(empty):
        flat = np.full((8, 8, 3), 0.3, np.float32)
        np.testing.assert_allclose(light.apply(flat, (0, 0, 8, 8)), 0.3, rtol=1e-5)


def test_a_frame_without_the_person_takes_the_light_of_its_neighbours() -> None:
    clip, box = figures.film(SMALL, 5), square(SMALL)
    gone = [(a, b, alpha * (t != 2)) for t, (a, b, alpha) in enumerate(pairs(clip, uniform(0.5), box))]
    middle = list(lights(gone))[2]
    flat = np.full((8, 8, 3), 0.3, np.float32)
    np.testing.assert_allclose(middle.apply(flat, (0, 0, 8, 8)), 0.15, rtol=0.02)


def test_a_person_of_a_few_pixels_gets_their_light() -> None:
    clip, box = figures.film(SMALL, 1, scale=0.08), (152, 82, 168, 98)
    got = relit(clip, lights(pairs(clip, uniform(0.5), box)), box)
    person = clip.alpha[0] > 0.9
    ratio = to_linear(got[0], "srgb")[person].mean() / to_linear(clip.own[0], "srgb")[person].mean()
    assert abs(ratio - 0.5) < 0.05


def test_the_same_pairs_give_the_same_light_to_the_bit() -> None:
    clip, box = figures.film((64, 48), 4, step=(2, 0)), square((64, 48))
    once, again = (list(lights(pairs(clip, ramp((64, 48)), box))) for _ in range(2))
    for a, b in zip(once, again, strict=True):
        assert (a.grid == b.grid).all() and (a.residual == b.residual).all()
