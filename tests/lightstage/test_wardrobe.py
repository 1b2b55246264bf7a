"""The wardrobe: necklines where a cut says, likely outfits, cloth where a cut has it."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage import wardrobe


def test_necklines():
    pit, nape, chest = (np.array([place]) for place in ((0, 0.54, 0.07), (0, 0.58, -0.03), (0, 0.47, 0.10)))
    crew, vee = wardrobe.CUTS["t-shirt"], wardrobe.CUTS["v-neck"]
    assert wardrobe.neckline(crew, pit) > 0 and wardrobe.neckline(crew, nape) > 0 and wardrobe.neckline(crew, chest) < 0
    assert wardrobe.neckline(vee, chest) > wardrobe.neckline(crew, chest)


def test_outfits_are_likely():
    generator = np.random.default_rng(0)
    worn = [wardrobe.outfit(seed % 2 == 0, 40, generator) for seed in range(200)]
    assert {fit.inner for fit in worn} == {"t-shirt", "v-neck", "shirt", "sweater", "turtleneck", "hoodie"}
    assert all(fit.outer is None for fit in worn if fit.inner in ("hoodie", "sweater"))
    assert 0.02 < np.mean([fit.hat is not None for fit in worn]) < 0.2


def test_a_cut_ends_at_its_sleeve_its_hem_and_its_opening():
    chest, wrist, thigh = np.array([[0, 0.40, 0.10]]), np.array([[0.40, 0.17, 0.16]]), np.array([[0.1, -0.2, 0.0]])
    crew, jacket, coat = (wardrobe.CUTS[name] for name in ("t-shirt", "jacket", "coat"))
    assert wardrobe.kept(crew, chest) and not wardrobe.kept(crew, wrist) and not wardrobe.kept(crew, thigh)
    assert not wardrobe.kept(jacket, chest) and wardrobe.kept(jacket, chest + np.array([0.1, 0, 0]))
    assert wardrobe.kept(coat, thigh + np.array([0, 0.1, 0]))
