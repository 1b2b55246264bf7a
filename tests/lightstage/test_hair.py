"""Hair on a ball instead of a head: strands keep off it, keep their length, and ribbons follow their strands."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage import hair, hairstyles
from tests.lightstage.stage import CENTRE, RADIUS, head


@pytest.mark.parametrize("style", hairstyles.STYLES, ids=lambda style: style.name)
def test_strands_stay_outside_and_keep_their_length(style):
    growth, obstacle = head()
    style = replace(style, strands=300)
    density = (growth.places[:, 1] > 0.72).astype(float)
    strands, lock = hair.grow(style, growth, density, obstacle, np.random.default_rng(0))
    again, _ = hair.grow(style, growth, density, obstacle, np.random.default_rng(0))
    np.testing.assert_array_equal(strands, again)
    assert len(strands) == len(lock) == 300 and np.isfinite(strands).all()
    depth = np.linalg.norm(strands - CENTRE, axis=2) - RADIUS
    assert np.quantile(depth[:, 1:], 0.01) > -0.002
    length = np.linalg.norm(np.diff(strands, axis=1), axis=2).sum(1)
    if style.comb not in ("bun", "tail"):  # those end at the knot
        assert np.median(length) > 0.5 * style.length
        assert np.median(length) < 1.6 * style.length * np.hypot(1, 2 * np.pi * style.curl / style.pitch)


def test_long_hair_hangs():
    growth, obstacle = head()
    style = replace(next(style for style in hairstyles.STYLES if style.name == "long straight"), strands=200)
    strands, _ = hair.grow(style, growth, (growth.places[:, 1] > 0.72) * 1.0, obstacle, np.random.default_rng(0))
    tips = strands[:, -1]
    assert np.quantile(tips[:, 1], 0.8) < 0.6
    assert np.quantile(np.hypot(tips[:, 0], tips[:, 2] - 0.04), 0.9) < 0.2  # it does not stand off like a mane


def test_grey_hair_is_lighter():
    dark, grey = (
        hair.material(hair.COLOURS["black"], np.random.default_rng(0), share).albedo.mean() for share in (0, 0.6)
    )
    assert grey > 4 * dark
