"""Skin: the range of human tones, regions where they belong, relief of unit length."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage import skin
from harmovid.lightstage.mesh import Chart


def test_tones_span_people():
    light, dark = skin.tone(np.array(0.0), np.array(0.2)), skin.tone(np.array(1.0), np.array(0.2))
    assert 0.35 < light.mean() < 0.65 and 0.01 < dark.mean() < 0.08
    for tone in (light, dark):
        assert tone[0] > tone[1] > tone[2]  # skin is never blue
    pale, flushed = skin.tone(np.array(0.1), np.array(0.0)), skin.tone(np.array(0.1), np.array(0.6))
    assert flushed[0] / pale[0] > 0.9 and flushed[1] / pale[1] < 0.7


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ((0.0, 0.60, 0.145), True),
        ((0.05, 0.62, 0.10), True),
        ((0.0, 0.643, 0.15), True),  # chin, jaw, upper lip
        ((0.0, 0.74, 0.14), False),
        ((0.03, 0.70, 0.13), False),
        ((0.0, 0.67, 0.157), False),  # forehead, eye, nose
        ((0.0, 0.6285, 0.15), False),
        ((0.018, 0.630, 0.14), False),  # lips
    ],
)
def test_where_a_beard_grows(place, expected):
    assert (skin.beard_region(np.array([place]))[0] > 0.5) == expected


def test_brows_are_lines_over_the_eyes():
    peak = skin.BROW[3]
    on = skin.brow_distance(np.array([[peak[0], peak[1], 0.13], [-peak[0], peak[1], 0.13]]))
    assert on.max() < 1e-6
    assert skin.brow_distance(np.array([[0.03, 0.70, 0.13]]))[0] > 0.015
    assert skin.brow_distance(np.array([[0.036, 0.722, -0.05]]))[0] > 0.5


def test_relief_of_a_slope():
    # A chart of a flat square of 10 cm, v up; a height that rises along u by one in ten.
    y, x = np.meshgrid(np.linspace(0.1, 0, 50), np.linspace(0, 0.1, 50), indexing="ij")
    chart = Chart((0, 0, 1, 1), np.stack([x, y, 0 * x], -1), np.ones((50, 50), bool))
    normal = skin.relief(chart, 0.1 * x)[10:40, 10:40]
    np.testing.assert_allclose(normal, np.broadcast_to(np.array([-0.1, 0, 1]) / np.sqrt(1.01), normal.shape), atol=1e-5)
    normal = skin.relief(chart, 0.1 * y)[10:40, 10:40]
    assert (normal[..., 1] < -0.09).all()
