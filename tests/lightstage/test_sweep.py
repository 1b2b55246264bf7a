"""Sweeps: loops of open edges, even curves, tubes of the right radius."""

import numpy as np

from harmovid.lightstage import sweep

CIRCLE = np.stack([np.cos(t := np.arange(200) / 200 * 2 * np.pi), 0 * t, np.sin(t)], 1)


def test_the_open_edges_of_a_band_are_two_loops():
    points, quads, uv = sweep.strip(np.stack([CIRCLE, CIRCLE + np.array([0, 1, 0])], 1), False, True)
    found = sweep.loops(quads)
    assert [len(loop) for loop in found] == [200, 200]
    assert {round(float(points[loop][:, 1].mean())) for loop in found} == {0, 1}
    assert uv.shape == (200, 4, 2) and uv.min() >= 0 and uv.max() <= 1
    np.testing.assert_array_equal(np.unique(quads), np.arange(400))


def test_a_closed_tube_has_no_open_edge():
    _, quads, _ = sweep.strip(sweep.tube(CIRCLE, 0.1, 8, True), True, True)
    assert sweep.loops(quads) == []


def test_points_run_evenly():
    curve = np.array([[0, 0, 0], [1, 0, 0], [1.1, 0, 0], [4, 0, 0]], float)
    even = sweep.evened(curve, 5, closed=False)
    np.testing.assert_allclose(even[:, 0], [0, 1, 2, 3, 4])
    gaps = np.linalg.norm(np.diff(sweep.evened(CIRCLE, 50), axis=0), axis=1)
    assert gaps.std() < 0.01 * gaps.mean()


def test_a_tube_keeps_its_radius():
    rings = sweep.tube(CIRCLE, 0.1, 12, True)
    np.testing.assert_allclose(np.linalg.norm(rings - CIRCLE[:, None], axis=2), 0.1)


def test_outward_is_away_from_the_middle():
    _, outward, up = sweep.frames(CIRCLE, np.array([0.0, 1, 0]))
    np.testing.assert_allclose(outward, CIRCLE, atol=1e-3)
    np.testing.assert_allclose(up, np.tile([0, 1, 0], (200, 1)), atol=1e-9)
    rings = sweep.swept(CIRCLE, np.array([[0.5, 0.2]]), np.array([0.0, 1, 0]))
    np.testing.assert_allclose(rings[:, 0], 1.5 * CIRCLE + [0, 0.2, 0], atol=1e-3)
