"""Ribbons run along their strands, and keep both ends with fewer points."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage import hair, ribbons


def test_ribbons_run_along_their_strands():
    strands = np.zeros((3, 5, 3))
    strands[:, :, 1] = -np.linspace(0, 0.1, 5)
    strands[:, :, 0] = np.arange(3)[:, None]
    points, faces, uv = ribbons.ribbons(strands, np.array([0.1, 0.5, 0.9]), 0.001, np.random.default_rng(0))
    assert points.shape == (30, 3) and faces.shape == (24, 3) and uv.shape == (24, 3, 2)
    np.testing.assert_allclose((points[0::2] + points[1::2]) / 2, strands.reshape(-1, 3), atol=1e-12)
    brown = hair.material(hair.COLOURS["brown"], np.random.default_rng(0))
    made = ribbons.surface("hair", points[None], faces, uv, brown)
    np.testing.assert_allclose(made.strand[0], np.tile([0, -1, 0], (30, 1)), atol=0.01)
    assert made.material.fibre and not made.closed


def test_fewer_points_keep_both_ends():
    strands = np.random.default_rng(0).random((4, 20, 3))
    short = ribbons.fewer(strands, 7)
    assert short.shape == (4, 7, 3)
    np.testing.assert_allclose(short[:, [0, -1]], strands[:, [0, -1]])
    assert ribbons.fewer(strands, 30) is strands
