"""Eyes: a ball that bulges forward, looks where it is told, and has a dark pupil in a coloured iris."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage import body, eyes


def test_the_ball_is_round_but_for_its_cornea():
    points, faces, uv = eyes.ball()
    radius = np.linalg.norm(points, axis=1)
    front = points[:, 2] / radius > np.cos(eyes.BULGE)
    np.testing.assert_allclose(radius[~front], 1, atol=1e-9)
    assert 1.05 < radius.max() < 1.12 and radius.argmax() in range(48)  # at the pole
    a, b, c = (points[faces[:, k]] for k in range(3))
    flat = np.cross(b - a, c - a)
    outward = (flat * (a + b + c)).sum(1)
    assert (outward >= -1e-9).all()  # counter-clockwise from outside
    assert uv.min() >= 0 and uv.max() <= 1


@pytest.mark.parametrize("colour", list(eyes.COLOURS))
def test_pupil_iris_and_white(colour):
    made = eyes.picture(eyes.Iris(colour), np.random.default_rng(0), 256)
    centre = 128
    ring = round(0.7 * eyes.IRIS / eyes.REACH * 128)
    pupil, iris, white = (
        made.albedo[centre, centre],
        made.albedo[centre, centre + ring],
        made.albedo[centre, centre + 3 * ring],
    )
    assert pupil.max() < 0.02 and pupil.mean() < iris.mean() < 0.3 and white.min() > 0.25
    assert made.roughness[centre, centre] < 0.1  # a highlight


def test_gaze_turns_the_pupil():
    _, last = body.PARTS["right eye"]
    vertices = np.zeros((last, 3))
    for side, x in (("left eye", 0.03), ("right eye", -0.03)):
        start, stop = body.PARTS[side]
        sphere = np.random.default_rng(1).normal(size=(stop - start, 3))
        sphere[:6] = np.concatenate([np.eye(3), -np.eye(3)])
        vertices[start:stop] = [x, 0, 0] + 0.015 * sphere / np.linalg.norm(sphere, axis=1, keepdims=True)
    gaze = np.zeros((2, 2, 2))
    gaze[1] = [0.3, 0.2]  # to the person's left (+x) and up
    made = eyes.surface(
        vertices, gaze, np.tile(np.eye(4), (2, 1, 1)), eyes.picture(eyes.Iris(), np.random.default_rng(0), 64)
    )
    pole = made.vertices[:, 0] - [0.03, 0, 0]
    assert pole[0] @ [0, 0, 1] == pytest.approx(np.linalg.norm(pole[0]), rel=1e-3)
    assert pole[1, 0] > 0.003 and pole[1, 1] > 0.002
