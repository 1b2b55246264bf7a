import numpy as np
import pytest

from harmovid.light import drawing
from harmovid.light import environment as env
from harmovid.video.color import luminance


def test_a_black_body_reddens_as_it_cools_at_one_luminance():
    colours = np.array([drawing.black_body(k) for k in (1800, 2500, 4000, 6500, 12000)])
    assert np.allclose(luminance(colours), 1, atol=2e-3)
    assert (np.diff(colours[:, 0]) < 0).all() and (np.diff(colours[:, 2]) > 0).all()
    assert np.ptp(drawing.black_body(6504)) < 0.08  # D65 is near


def test_a_lamp_gives_what_it_should_however_large():
    d = env.directions(128)
    facing = env.solid_angles(128)[..., None]
    for radius in (0.01, 0.3):
        disc = drawing.lamp(d, np.array([0, 0, -1.0]), radius, np.array([1.0, 2, 3]))
        assert np.allclose((disc * facing).sum((0, 1)), np.pi * np.array([1, 2, 3]), rtol=1e-5)


def test_flicker_is_about_one_and_faster_where_asked():
    time = np.arange(480) / 24
    slow, fast = (drawing.flicker(np.random.default_rng(0), time, rate, 0.2) for rate in (1, 12))
    assert 0.7 < slow.mean() < 1.4 and slow.min() > 0
    assert np.abs(np.diff(fast)).mean() > 2 * np.abs(np.diff(slow)).mean()


def test_a_panel_faces_where_it_hangs_and_has_its_size():
    d = env.directions(128)
    where = drawing.towards(0.5, 0.2)
    panel = drawing.panel(d, where, 0.3, 0.1)[..., 0]
    assert panel[np.unravel_index((d @ where).argmax(), panel.shape)] == 1
    # A flat rectangle a × b at distance 1 covers 4 · atan(ab / √(1 + a² + b²)) steradians.
    wanted = 4 * np.arctan(0.3 * 0.1 / np.sqrt(1 + 0.09 + 0.01))
    assert (panel * env.solid_angles(128)).sum() == pytest.approx(wanted, rel=0.05)


def test_a_room_has_walls_around_and_what_is_near_its_lamp_is_bright():
    d = env.directions(32)
    points, normals, colour = drawing.box(np.random.default_rng(0), d)
    assert np.allclose(np.cross(points, d), 0, atol=1e-5)  # each in its direction
    assert ((points * normals).sum(-1) < 0).all()  # walls face inwards
    assert 0 < colour.min() and colour.max() < 2.5
    given = drawing.falloff(points, normals, np.array([0, 1.0, 0]))
    assert given[0].mean() > 3 * given[-1].mean()


def test_noise_is_normal_enough_and_lights_of_houses_stand_above_the_ground():
    d = env.directions(64)
    field = drawing.noise(np.random.default_rng(0), d, 8.0)
    assert abs(field.mean()) < 0.3 and 0.7 < field.std() < 1.3
    lit = drawing.windows(np.random.default_rng(0), d, 0.3)
    assert lit[:31].any() and not lit[34:].any()
    land, edge = drawing.ground(np.random.default_rng(2), d, 0.5)
    assert edge[40:].min() == 1 and edge[:8].max() == 0 and land.min() >= 0
