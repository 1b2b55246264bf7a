"""Obstacles: signed distances to a plane and a ball, and points put where they are wanted."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage.obstacle import Obstacle
from tests.lightstage.stage import CENTRE, RADIUS, head


@pytest.mark.parametrize("quick", [False, True])
def test_depths_and_pushes_off_a_plane(quick):
    x, z = (axis.ravel() for axis in np.meshgrid(np.linspace(-1, 1, 41), np.linspace(-1, 1, 41)))
    plane = Obstacle(np.stack([x, 0 * x, z], 1), np.tile([0.0, 1, 0], (len(x), 1)), quick)
    points = np.array([[0.1, 0.004, 0.2], [-0.3, -0.006, 0.0], [0.5, 0.5, 0.5]])
    depth, normal = plane.nearest(points)
    np.testing.assert_allclose(depth, points[:, 1], atol=1e-9)
    np.testing.assert_allclose(normal, np.tile([0.0, 1, 0], (3, 1)), atol=1e-9)
    np.testing.assert_allclose(plane.push(points, np.full(3, 0.01))[:, 1], [0.01, 0.01, 0.5])
    np.testing.assert_allclose(plane.settle(points, np.full(3, 0.01))[:, 1], [0.01, 0.01, 0.47])  # 3 cm in at most
    np.testing.assert_allclose(plane.push(points, np.full(3, 0.0), 0.002)[:, 1], [0.002, 0.0, 0.498])


def test_a_ball_keeps_points_out():
    _, ball = head()
    inside = CENTRE + np.random.default_rng(0).normal(0, 0.5, (50, 3)) * 0.002 + [0.09, 0, 0]
    out = ball.push(inside, np.full(50, 0.003))
    assert np.linalg.norm(out - CENTRE, axis=1).min() > RADIUS + 0.002
