"""Hanging hair: it parts before the face, goes to chest or back at the shoulders, and ends where it is cut."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage import hanging


def test_below_the_jaw_hair_spreads_no_further():
    place = np.array([[0.09, 0.57, 0.0], [0.09, 0.72, 0.0]])
    outward = np.tile([1.0, -1.0, 0.0], (2, 1))
    low, high = hanging.steered(outward, place, np.ones(2), np.full(2, hanging.BACK))
    assert low[0] < 0.1 and low[2] < 0
    np.testing.assert_array_equal(high, outward[1])
    mirrored = hanging.steered(outward * [-1, 1, 1], place * [-1, 1, 1], -np.ones(2), np.full(2, hanging.BACK))
    np.testing.assert_allclose(mirrored[0], low * [-1, 1, 1])
    chest = hanging.steered(outward, place, np.ones(2), np.full(2, hanging.CHEST))
    assert chest[0, 2] > 0


def test_nothing_crosses_the_face_but_a_fringe():
    offset = np.array([0.0, 0.02, 0.01])
    strands = np.zeros((2, 6, 3))
    strands[..., 0], strands[..., 1], strands[..., 2] = 0.01, np.linspace(0.74, 0.5, 6), 0.12
    held, generator = np.array([1.0, 0.0]), np.random.default_rng(0)
    moved = hanging.parted(strands + offset, offset, np.ones(2), held, generator) - offset
    assert moved[0, :, 0].min() > 0.044 and moved[0, 2, 2] < 0.09  # aside, and back from the cheek
    np.testing.assert_allclose(moved[1], strands[1])
    behind = strands - [0, 0, 0.15]
    again = hanging.parted(behind, 0 * offset, np.ones(2), np.ones(2), np.random.default_rng(0))
    np.testing.assert_array_equal(again, behind)


def test_a_cut_ends_at_its_height():
    strands = np.zeros((3, 11, 3))
    strands[..., 1] = np.linspace(1.0, 0.0, 11)
    short, left = hanging.cut(strands, np.array([0.45, 0.95, -1.0]))
    np.testing.assert_allclose(short[:, -1, 1], [0.4, 0.8, 0.0], atol=1e-9)  # no shorter than a fifth
    np.testing.assert_allclose(left, [0.6, 0.2, 1.0])
    np.testing.assert_allclose(short[:, 0], strands[:, 0])
