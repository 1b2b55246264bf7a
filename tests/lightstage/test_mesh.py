"""Meshes: normals of a sphere, Catmull–Clark on cube and grid, charts that hold positions."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage import mesh

CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
SIDES = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])


def test_normals_of_a_cube_point_along_its_diagonals():
    normals = mesh.normals(CUBE, SIDES)
    # Quads are cut along one diagonal, so that corners lean a little: the direction must still be outward.
    assert ((normals * CUBE).sum(1) / np.sqrt(3) > 0.9).all()
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)


def test_catmull_clark_of_a_cube():
    fine = mesh.refine(SIDES, np.zeros((6, 4, 2)), 8)
    points = fine.matrix @ CUBE
    assert points.shape == (26, 3) and fine.quads.shape == (24, 4)
    # Face points at distance 1, edge points (0, ±0.75, ±0.75), corners (±5/9 …): the textbook's figures.
    np.testing.assert_allclose(np.abs(points[20:]).max(1), 1)
    np.testing.assert_allclose(np.sort(np.abs(points[8:20]), 1), np.tile([0, 0.75, 0.75], (12, 1)), atol=1e-12)
    np.testing.assert_allclose(np.abs(points[:8]), 5 / 9)
    np.testing.assert_allclose(fine.matrix @ np.ones(8), 1)  # affine: moves with what it refines


def test_an_open_edge_stays_on_its_line():
    grid = np.array([[x, y, 0.0] for y in range(3) for x in range(3)])
    quads = np.array([[0, 1, 4, 3], [1, 2, 5, 4], [3, 4, 7, 6], [4, 5, 8, 7]])
    fine = mesh.refine(quads, grid[quads][..., :2] / 2, 9)
    points = fine.matrix @ grid
    assert points[1, 1] == 0 and points[7, 1] == 2 and (points[:, 2] == 0).all()
    assert fine.uv.shape == (16, 4, 2) and fine.uv.min() == 0 and fine.uv.max() == 1


def test_compact_renumbers():
    used, faces = mesh.compact(np.array([[7, 3, 9], [9, 3, 4]]))
    assert used.tolist() == [3, 4, 7, 9] and faces.tolist() == [[2, 0, 3], [3, 0, 1]]


@pytest.mark.parametrize("size", [(16, 16), (40, 24)])
def test_a_chart_holds_the_position_of_each_pixel(size):
    points = np.array([[0, 0, 5.0], [2, 0, 5], [2, 2, 5], [0, 2, 5]])
    quad = np.array([[0, 1, 2, 3]])
    uv = points[quad][..., :2] / 2
    made = mesh.chart(points, mesh.triangles(quad), mesh.triangles(uv), (0, 0, 1, 1), size)
    assert made.covered.all()
    rows = (np.arange(size[0]) + 0.5) / size[0]
    np.testing.assert_allclose(made.positions[:, 0, 1], 2 * (1 - rows), atol=1e-9)  # row 0 is the top
    np.testing.assert_allclose(made.positions[..., 2], 5)
    np.testing.assert_allclose(made.local(np.array([0.25, 0.5])), [0.25, 0.5])
