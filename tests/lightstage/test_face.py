"""Faces: likely looks, and things that ride on the skin."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage import body, face


def test_looks_fit_each_other():
    generator = np.random.default_rng(0)
    dark = [face.eye_colour(0.7, generator) for _ in range(50)]
    assert set(dark) <= {"dark", "brown"}
    assert len({face.eye_colour(0.05, generator) for _ in range(80)}) >= 4
    old = [face.hair_colour(0.1, 80, generator) for _ in range(60)]
    young = [face.hair_colour(0.1, 25, generator) for _ in range(60)]
    assert all(grey == 0 for _, grey in young) and np.mean([grey for _, grey in old]) > 0.2
    styles = [face.hair_style(True, 30, 0.1, generator) for _ in range(60)]
    assert all(recede == 0 for _, recede in styles)


def test_points_follow_the_skin_beneath():
    count = body.PARTS["body"][1]
    neutral = np.random.default_rng(0).normal(size=(count, 3))
    moved = np.stack([neutral, neutral + np.array([0, 0.1, 0])])
    near = neutral[:20] + 0.001
    carried = face.follow(near, neutral, moved)
    np.testing.assert_allclose(carried[0], near, atol=1e-12)
    np.testing.assert_allclose(carried[1], near + np.array([0, 0.1, 0]), atol=1e-12)


@pytest.mark.slow
def test_expressions_move_the_face_alone():
    pytest.importorskip("anny", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")
    shared = body.template()
    shut = face.express(shared.vertices, {"eyeBlinkLeft": np.array([0.0, 1.0])}, 2)
    np.testing.assert_array_equal(shut[0], shared.vertices)
    moved = np.abs(shut[1] - shared.vertices).max(1) > 1e-4
    assert (
        moved.any()
        and np.average(shared.vertices[:, 0], weights=np.abs(shut[1] - shared.vertices).max(1)) > 0.02
        and (shared.vertices[moved][:, 1] > 0.6).all()
    )
    teeth = face.teeth(shut)
    assert [surface.name for surface in teeth] == ["teeth", "teeth", "tongue"]
    lashes = face.lashes(shut, 0.5)
    assert lashes.material.fibre and np.abs(np.diff(lashes.vertices, axis=0)).max() > 0.005
    assert "nose-hump-incr" in body.sliders() and len(set(face.SLIDERS) & set(body.sliders())) > 40
    both = face.symmetric({"l-ear-scale-incr": 0.4}, np.random.default_rng(0))
    assert both["r-ear-scale-incr"] == pytest.approx(0.4, abs=0.2)
