from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from harmovid.errors import InputError
from harmovid.evaluate.lightdetail import EPSILON, RIM, RimLight, ShadowEdges, rim_light, shadow_edges
from harmovid.video.color import from_linear, luminance, to_linear
from tests import figures

SIDE = 200


def shown(light: np.ndarray) -> np.ndarray:
    """(H, W, 3) display sRGB of a luminance."""
    return from_linear(np.repeat(light[..., None], 3, axis=2).astype(np.float32), "srgb")


def person() -> tuple[np.ndarray, np.ndarray]:
    """A disc of some texture: its luminance and its alpha."""
    light = luminance(to_linear(figures.texture(SIDE, SIDE, 2), "srgb")) + np.float32(0.05)
    return light, figures.disc(SIDE, SIDE, 100, 100, 70)


# --- rim light

def rimmed() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Source, unlit, truth as luminances, and alpha: a bright line along the right half of the outline."""
    light, alpha = person()
    near = cv2.distanceTransform((alpha > 0).astype(np.uint8), cv2.DIST_L2, 5) < 3
    right = np.arange(SIDE) > 120
    truth = light * np.where(near & right, 5.0, 0.5)
    unlit = light * float((alpha * truth).sum() / (alpha * light).sum())
    return light, unlit, truth, alpha


@pytest.mark.parametrize("share", [0.0, 0.25, 0.7, 1.0])
def test_a_share_of_the_rim_is_that_share(share: float) -> None:
    light, unlit, truth, alpha = rimmed()
    result = unlit + share * (truth - unlit)
    rim = RimLight()
    rim.add(shown(result), shown(light), shown(truth), alpha)
    assert rim.value == pytest.approx(share, abs=1e-4) and rim.energy > 1


def test_too_much_rim_here_does_not_make_up_for_none_there() -> None:
    light, unlit, truth, alpha = rimmed()
    upper = (np.arange(SIDE) < 100)[:, None]
    rim = RimLight()
    rim.add(shown(np.where(upper, 2 * truth, unlit)), shown(light), shown(truth), alpha)
    band = (alpha > 0) & (truth > 2 * unlit + EPSILON)
    full = alpha * (truth - unlit) * band
    assert rim.value == pytest.approx(float((full * upper).sum() / full.sum()), abs=1e-3)
    assert 0.3 < rim.value < 0.7


def test_light_within_the_person_is_no_rim() -> None:
    light, alpha = person()
    truth = light * np.where(figures.disc(SIDE, SIDE, 100, 100, 70 - RIM * SIDE - 2) > 0, 2, 0.5)
    assert math.isnan(rim_light(*(shown(x)[None] for x in (truth, light, truth)), alpha[None]))


def test_the_frame_border_is_no_silhouette() -> None:
    light, _ = person()
    truth = light * np.where(np.arange(SIDE) > SIDE - 3, 5.0, 0.5)
    assert math.isnan(rim_light(*(shown(x)[None] for x in (truth, light, truth)), np.ones((1, SIDE, SIDE), np.float32)))


# --- shadow edges

def shadowed(angle: float = 0.0, soft: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Source, truth and alpha: a shadow whose edge crosses the disc, (Y + ε) times 0.9 or 0.3."""
    light, alpha = person()
    y, x = np.mgrid[:SIDE, :SIDE] - 100.0
    lit = 1 / (1 + np.exp(-(x * np.cos(angle) + y * np.sin(angle)) / soft))
    return light, (light + EPSILON) * np.exp(np.log(0.3) + lit * np.log(3)) - EPSILON, alpha


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0, 1.3])
@pytest.mark.parametrize("angle", [0.0, 0.5, 2.5])
def test_a_share_of_the_step_is_that_share(share: float, angle: float) -> None:
    light, truth, alpha = shadowed(angle)
    result = (light + EPSILON) * ((truth + EPSILON) / (light + EPSILON)) ** share - EPSILON
    edges = ShadowEdges()
    edges.add(shown(result), shown(light), shown(truth), alpha)
    assert edges.value == pytest.approx(share, abs=2e-3)
    assert 80 < edges.samples < 300, "a line across the disc, about as long as it is wide"


def test_another_exposure_is_no_other_contrast() -> None:
    light, truth, alpha = shadowed()
    result = (truth + EPSILON) * 0.5 - EPSILON
    assert shadow_edges(*(shown(x)[None] for x in (result, light, truth)), alpha[None]) == pytest.approx(1, abs=2e-3)


def test_a_blurred_edge_has_less_contrast() -> None:
    light, truth, alpha = shadowed()
    got = [shadow_edges(*(shown(x)[None] for x in (shadowed(soft=soft)[1], light, truth)), alpha[None])
           for soft in (1.0, 2.0, 4.0)]
    assert got[0] == pytest.approx(1) and 0.9 > got[1] > got[2] > 0.1


def test_soft_shading_and_the_outline_are_no_edges() -> None:
    light, alpha = person()
    shading = light * np.linspace(0.3, 0.9, SIDE)
    rim = light * np.where(figures.disc(SIDE, SIDE, 100, 100, 68) > 0.5, 0.3, 0.9)
    for truth in (shading, rim):
        edges = ShadowEdges()
        edges.add(shown(truth), shown(light), shown(truth), alpha)
        assert edges.samples == 0 and math.isnan(edges.value)


@pytest.mark.parametrize("measure", [rim_light, shadow_edges])
def test_frames_of_other_sizes_are_told(measure) -> None:
    frames = np.zeros((1, 8, 8, 3), np.float32)
    with pytest.raises(InputError):
        measure(frames, frames, frames[:, :4], np.ones((1, 8, 8), np.float32))
