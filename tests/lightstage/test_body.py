"""Bodies: rotations and skinning in closed form; anny's people upright, facing us, of human size."""

import numpy as np
import pytest

from harmovid.lightstage import body


def test_rodrigues():
    quarter = body.rotation(np.array([0, np.pi / 2, 0]))
    np.testing.assert_allclose(quarter @ [0, 0, 1], [1, 0, 0], atol=1e-12)
    turns = body.rotation(np.random.default_rng(0).normal(size=(5, 3)))
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.tile(np.eye(3), (5, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(body.rotation(np.zeros(3)), np.eye(3))


def test_skinning_blends_poses():
    poses = np.tile(np.eye(4), (2, 2, 1, 1))
    poses[1, 1, :3, 3] = [0, 2, 0]
    weights = np.array([[1, 0], [0, 1], [0.5, 0.5]])
    moved = body.skin(np.ones((3, 3)), weights, poses)
    np.testing.assert_allclose(moved[0], 1)
    np.testing.assert_allclose(moved[1], [[1, 1, 1], [1, 3, 1], [1, 2, 1]])


@pytest.mark.slow
def test_a_body_stands_and_faces_us():
    pytest.importorskip("anny", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")
    shared = body.template()
    np.testing.assert_allclose(shared.weights.sum(1), 1, atol=1e-5)
    made = body.body({"age": 0.667}, {})
    skin = made.vertices[:13380]
    assert 1.4 < np.ptp(skin[:, 1]) < 2.0
    nose = skin[(np.abs(shared.vertices[:13380, 0]) < 0.004) & (np.abs(shared.vertices[:13380, 1] - 0.668) < 0.004)]
    assert nose[:, 2].max() > made.joint("head")[2] + 0.05
    assert made.joint("eye.L")[0] > 0 > made.joint("eye.R")[0]  # the person's left is +x
    for side in ("L", "R"):  # arms hang
        arm = made.joint(f"lowerarm01.{side}") - made.joint(f"upperarm01.{side}")
        assert arm[1] < -0.9 * np.linalg.norm(arm)
    assert len(shared.actions) == 52


@pytest.mark.slow
def test_bones_turn_what_hangs_on_them():
    pytest.importorskip("anny", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")
    made = body.body({}, {})
    poses = body.chain(made.heads, {"head": np.array([[0.0, 0.3, 0]])}, 1)
    moved = body.skin(made.vertices, body.template().weights, poses)[0] - made.vertices
    crown = made.vertices[:, 1] > made.vertices[:13380, 1].max() - 0.03
    hips = np.abs(made.vertices[:, 1]) < 0.05
    assert np.abs(moved[hips]).max() < 1e-9 < np.abs(moved[crown]).max()
    np.testing.assert_allclose(body.chain(made.heads, {}, 2), np.tile(np.eye(4), (2, len(made.heads), 1, 1)))
