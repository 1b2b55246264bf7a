"""Framing: the eyes lie where it says, and the camera's picture is as high as it says at the person."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage import framing


@pytest.mark.parametrize("kind", framing.FRAMINGS, ids=lambda kind: kind.name)
def test_the_camera_frames(kind):
    target = np.array([0.0, 0.69, 0.12])
    tops = []
    for seed in range(40):
        made = framing.camera(kind, target, 5, 24.0, np.random.default_rng(seed))
        assert made.pose.shape == (5, 4, 4) and made.pose.dtype == np.float32
        turn = made.pose[:, :3, :3]
        np.testing.assert_allclose(turn @ turn.transpose(0, 2, 1), np.tile(np.eye(3), (5, 1, 1)), atol=1e-5)
        seen = np.linalg.inv(made.pose[0]) @ np.append(target, 1)
        half = np.tan(made.height / 2)
        tops.append((1 + seen[1] / seen[2] / half) / 2)
        assert 2 * half * -seen[2] == pytest.approx(kind.height, rel=0.25)
    assert np.mean(tops) == pytest.approx(kind.eyes, abs=0.06)
