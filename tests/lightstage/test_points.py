from dataclasses import replace

import numpy as np

from harmovid.lightstage.points import Meshes, across, averaged, runs, sums, texel, vertex_normals
from tests.lightstage.stage import ball, material, plane


def test_a_texture_is_read_with_its_top_at_v_1_and_linear_between_pixels():
    picture = np.array([[[0.0], [1.0]], [[2.0], [3.0]]], np.float32)
    uv = np.array([[0.25, 0.75], [0.75, 0.75], [0.25, 0.25], [0.5, 0.5], [0, 1]])
    assert np.allclose(texel(picture, uv)[:, 0], [0, 1, 2, 1.5, 0])
    assert texel(np.ones((1, 1, 3), np.float32), uv).shape == (5, 3)


def test_normals_of_a_ball_point_outwards():
    surface = ball(material())
    normals = vertex_normals(surface.vertices[0], surface.faces)
    assert ((normals * surface.vertices[0]).sum(1) > 0.0995).all()


def test_points_lie_on_their_faces_with_smooth_normals_and_their_own_material():
    meshes = Meshes((ball(material((0.1, 0.2, 0.3), 0.6)), plane(material((0.9, 0.9, 0.9)), -1)), 0)
    points = meshes.spread(400, np.random.default_rng(0), among=(0,))
    assert np.allclose(points.albedo, [0.1, 0.2, 0.3]) and np.allclose(points.roughness, 0.6)
    assert np.allclose(np.linalg.norm(points.position, axis=1), 0.1, atol=1e-3)
    assert ((points.normal * points.position).sum(1) > 0.0999).all()
    assert np.abs(points.position.mean(0)).max() < 0.01  # spread evenly
    both = meshes.spread(400, np.random.default_rng(0))
    assert (both.surface == 1).mean() > 0.9  # by area


def test_relief_bends_normals_along_u_and_v():
    made = material(relief=np.tile(np.array([0.6, 0, 0.8], np.float32), (2, 2, 1)))
    sheet = plane(made, 0)
    sheet.uv[:] = (sheet.vertices[0][sheet.faces][..., [0, 2]] * [0.1, -0.1] + 0.5)  # u along x
    point = Meshes((sheet,), 0).points(np.zeros(1, int), np.zeros(1, int), np.array([[0.3, 0.3]]),
                                       np.array([[0, 1.0, 0]]))
    assert np.allclose(point.normal, [[0.6, 0.8, 0]], atol=1e-5)


def test_a_sheet_seen_from_behind_turns_to_the_eye():
    meshes = Meshes((plane(material(), 0),), 0)
    for side in (1.0, -1.0):
        point = meshes.points(np.zeros(1, int), np.zeros(1, int), np.array([[0.2, 0.2]]), np.array([[0, side, 0]]))
        assert point.normal[0] @ [0, side, 0] > 0.99


def test_across_is_square_to_a_normal():
    n = np.array([[0, 0, 1], [1, 0, 0], [0.6, 0.8, 0]], np.float32)
    x, y = across(n)
    for a, b in ((x, y), (x, n), (y, n)):
        assert np.allclose((a * b).sum(1), 0, atol=1e-6)
    assert np.allclose(np.linalg.norm(x, axis=1), 1)


def test_runs_and_their_sums():
    begins, counts = runs(np.array([0, 0, 3, 5, 5, 5]))
    assert begins.tolist() == [0, 2, 3] and counts.tolist() == [2, 1, 3]
    assert sums(np.arange(6.0)[:, None], begins)[:, 0].tolist() == [1, 2, 12]
    assert [len(x) for x in runs(np.zeros(0, int))] == [0, 0]
    assert sums(np.zeros((0, 3)), np.zeros(0, int)).shape == (0, 3)


def test_a_facet_is_the_mean_of_what_a_pixel_sees_of_a_surface():
    meshes = Meshes((ball(material((0.1, 0.2, 0.3), 0.6)), plane(material((0.9, 0.9, 0.9)), -1, half=0.2)), 0)
    points = meshes.spread(300, np.random.default_rng(0))
    pixel = np.sort(np.random.default_rng(1).integers(0, 20, 300))
    level = np.tile(np.float32([0, 0, 1]), (300, 1))  # nothing of it folds
    points = replace(points, pixel=pixel, flat=level, surface=points.surface[np.random.default_rng(2).permutation(300)])
    facets, members = averaged(points)
    pairs = sorted(set(zip(pixel.tolist(), points.surface.tolist(), strict=True)))
    assert list(zip(facets.pixel.tolist(), facets.surface.tolist(), strict=True)) == pairs
    assert members.counts.sum() == 300
    for n, (pixel_, surface) in enumerate(pairs):
        mine = (points.pixel == pixel_) & (points.surface == surface)
        assert mine.sum() == members.counts[n]
        assert np.allclose(facets.position[n], points.position[mine].mean(0), atol=1e-6)
        assert np.allclose(facets.albedo[n], points.albedo[mine].mean(0), atol=1e-6)
        assert all(mine[members.chosen(share)[n]] for share in (0.0, 0.5, 0.999))
    assert np.allclose(np.linalg.norm(facets.normal, axis=1), 1, atol=1e-5)


def test_where_a_pixel_sees_a_fold_each_side_of_it_is_a_facet():
    points = Meshes((ball(material((0.1, 0.2, 0.3), 0.6)),), 0).spread(60, np.random.default_rng(0))
    up, down = np.float32([0.1, 0.9, 0.42]), np.float32([0.1, -0.9, 0.42])
    slight = np.float32([0.3, 0.2, 0.93])
    flat = np.where((np.arange(60) % 3 == 0)[:, None], up, down)  # pixel 0: two lips; pixel 1: a gentle curve
    flat[30:] = np.where((np.arange(30) % 2 == 0)[:, None], [0, 0, 1], slight)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    points = replace(points, pixel=np.repeat([0, 1], 30), flat=flat.astype(np.float32), normal=flat.astype(np.float32))
    facets, members = averaged(points)
    assert facets.pixel.tolist() == [0, 0, 1] and members.side.tolist() == [0, 1, 0]
    assert members.counts.tolist() == [10, 20, 30]
    assert np.allclose(facets.normal[:2], [up / np.linalg.norm(up), down / np.linalg.norm(down)], atol=1e-5)
    strands, _ = averaged(replace(points, fibre=np.ones(60, bool)))  # strands face every way
    assert len(strands.pixel) == 2
