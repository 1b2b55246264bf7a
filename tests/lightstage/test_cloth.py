"""Cloth: colours in range, patterns that show, relief of unit length."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage import cloth


@pytest.mark.parametrize(
    "weave", ["plain", "heather", "stripes", "pinstripes", "checks", "knit", "rib", "twill", "dots"]
)
def test_a_weave_is_a_material(weave):
    made = cloth.material(weave, cloth.DYES["navy"], cloth.DYES["white"], np.random.default_rng(0), 256)
    assert made.albedo.shape == (256, 256, 3) and 0 < made.albedo.min() and made.albedo.max() <= 0.9
    assert made.relief is not None
    np.testing.assert_allclose(np.linalg.norm(made.relief, axis=-1), 1, atol=1e-5)
    # Two colours stand apart; heather is a speckle of both; the others have one.
    spread = {"stripes": (0.15, 0.4), "pinstripes": (0.15, 0.4), "checks": (0.15, 0.4), "dots": (0.15, 0.4),
              "heather": (0.03, 0.09)}
    low, high = spread.get(weave, (0.0, 0.01))
    assert low < made.albedo[..., 1].std() < high


def test_stripes_run_across():
    made = cloth.material("stripes", cloth.DYES["black"], cloth.DYES["white"], np.random.default_rng(2), 256)
    tone = made.albedo.mean(-1)
    assert tone.mean(1).std() > 10 * tone.mean(0).std()


def test_dyes_are_reflectances():
    assert all(0 < channel < 0.8 for dye in cloth.DYES.values() for channel in dye)
