"""Collars on a round neck: bands and rolls stand as near the skin as cloth does, all the way round."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage import collars
from harmovid.lightstage.obstacle import Obstacle
from harmovid.lightstage.wardrobe import CUTS

RADIUS = 0.06


@pytest.fixture
def neck():
    angle, height = np.meshgrid(np.arange(120) / 120 * 2 * np.pi, np.linspace(-0.1, 0.2, 150), indexing="ij")
    normal = np.stack([np.sin(angle), 0 * angle, np.cos(angle)], -1).reshape(-1, 3)
    return Obstacle(RADIUS * normal + np.stack([0 * height, height, 0 * height], -1).reshape(-1, 3), normal)


def line():
    angle = np.arange(90) / 90 * 2 * np.pi
    return np.stack([(RADIUS + 0.004) * np.sin(angle), 0 * angle, (RADIUS + 0.004) * np.cos(angle)], 1)


def cloth():
    """Below the line, level with it: a yoke that slopes down and outward."""
    angle, far = np.meshgrid(np.arange(120) / 120 * 2 * np.pi, np.linspace(0.004, 0.1, 40), indexing="ij")
    points = np.stack([(RADIUS + far) * np.sin(angle), -0.5 * (far - 0.004), (RADIUS + far) * np.cos(angle)], -1)
    normal = np.stack([0.45 * np.sin(angle), 0.89 + 0 * angle, 0.45 * np.cos(angle)], -1)
    return Obstacle(points.reshape(-1, 3), normal.reshape(-1, 3))


@pytest.mark.parametrize(("kind", "farthest"), [("t-shirt", 0.012), ("sweater", 0.016), ("turtleneck", 0.02),
                                                ("shirt", 0.035)])
def test_a_collar_keeps_near_the_neck_and_off_it(kind, farthest, neck):
    sheets = collars.collar(CUTS[kind], line(), neck, cloth(), np.random.default_rng(0))
    for points, quads, uv in sheets:
        away = np.hypot(points[:, 0], points[:, 2]) - RADIUS
        assert away.min() > -1e-3 and away.max() < farthest
        assert quads.max() < len(points) and uv.min() >= 0 and uv.max() <= 1


def test_a_turtleneck_climbs_and_a_hood_lies_behind(neck):
    (roll, *_), = collars.collar(CUTS["turtleneck"], line(), neck, cloth(), np.random.default_rng(0))
    assert np.ptp(roll[:, 1]) > 0.045
    _, hood, *strings = collars.collar(CUTS["hoodie"], line(), neck, cloth(), np.random.default_rng(0))
    assert hood[0][:, 2].min() < -RADIUS - 0.03 and len(strings) == 2
