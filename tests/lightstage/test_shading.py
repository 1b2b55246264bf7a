import numpy as np
import pytest

from harmovid.light.environment import directions, solid_angles
from harmovid.lightstage import shading

D = directions(128).reshape(-1, 3).astype(np.float64)
SOLID = np.repeat(solid_angles(128), 256, 1).ravel()


@pytest.mark.parametrize("wrap", [0.0, 0.3, 1.0])
def test_diffuse_light_keeps_its_energy_however_far_it_wraps(wrap):
    assert (shading.diffuse(D[:, 1], wrap) * SOLID).sum() == pytest.approx(1, abs=2e-3)
    assert shading.diffuse(np.array([1.0]))[0] == pytest.approx(1 / np.pi)
    assert (shading.diffuse(D[:, 1], wrap)[D[:, 1] < -wrap] == 0).all()


def reflected(view: np.ndarray, roughness: float, reflectance: float, spread: float = 0.0) -> np.ndarray:
    view = view / np.linalg.norm(view)
    return shading.gloss(D[:, 1], np.full(len(D), view[1]), D @ view, np.full(len(D), roughness),
                         np.full(len(D), reflectance), spread)


@pytest.mark.parametrize("view", [(0, 1, 0), (1, 1, 0), (1, 0.3, 0)])
def test_gloss_gives_back_no_more_than_comes_and_mirrors(view):
    lobe = reflected(np.array(view, float), 0.35, 1.0)
    assert 0.9 < (lobe * SOLID).sum() < 1.02  # all is reflected: single scattering loses a little
    lobe = lobe / np.maximum(D[:, 1], 1e-3)
    peak = D[lobe.argmax()]
    mirror = np.array([-view[0], view[1], -view[2]]) / np.linalg.norm(view)
    assert peak @ mirror > 0.9


def test_gloss_is_stronger_at_grazing_angles_and_none_without_reflectance():
    straight, grazing = ((reflected(np.array(v, float), 0.4, 0.04) * SOLID).sum() for v in ((0, 1, 0), (1, 0.15, 0)))
    assert straight == pytest.approx(0.04, rel=0.1)
    assert grazing > 3 * straight
    assert (reflected(np.array([1, 0.5, 0]), 0.4, 0.0) == 0).all()


def test_a_sample_that_stands_for_a_cone_widens_the_lobe_and_keeps_its_energy():
    narrow, wide = (reflected(np.array([0.3, 1, 0]), 0.25, 1.0, spread) for spread in (0.0, 0.2))
    assert wide.max() < narrow.max()
    assert (wide * SOLID).sum() == pytest.approx((narrow * SOLID).sum(), rel=0.1)


def test_a_hair_lights_up_around_its_mirror_cone_and_lets_light_through():
    strand, view = np.array([0.0, 1, 0]), np.array([0.0, 0, 1])
    albedo = np.full((3, len(D)), 0.3)
    coloured, white = shading.fibre(D @ strand, np.zeros(len(D)), D @ view, np.zeros(len(D)), np.full(len(D), 0.3),
                                    albedo)
    front, across = np.argmax(D @ view), np.argmax(D @ np.array([0, 0.95, 0.3]))
    assert white[front] > 10 * white[across]
    behind, side = np.argmax(D @ -view), np.argmax(D @ np.array([1, 0, 0]))
    assert coloured[:, behind].mean() > 3 * coloured[:, side].mean()
    assert 0 < ((coloured.mean(0) + white) * SOLID).sum() < 1
