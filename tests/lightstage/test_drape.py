"""Draping: patterns keep their scale on chest and shoulders; the way into the cloth at its edge."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage import drape


def sheet(width, height, origin, u, v):
    """A grid of quads that spans `width` and `height` metres along u and v."""
    i, j = np.meshgrid(np.linspace(0, width, 9), np.linspace(0, height, 9), indexing="ij")
    points = origin + i.reshape(-1, 1) * np.array(u) + j.reshape(-1, 1) * np.array(v)
    a = (np.arange(8)[:, None] * 9 + np.arange(8)).reshape(-1)
    return points, np.stack([a, a + 9, a + 10, a + 1], 1)


@pytest.mark.parametrize(
    ("origin", "u", "v"),
    [
        pytest.param([-0.05, 0.36, 0.085], [1, 0, 0], [0, 1, 0], id="chest"),
        pytest.param([0.06, 0.46, 0.05], [1, 0, 0], [0, 0.6, -0.8], id="top of the shoulder"),
        pytest.param([0.03, 0.46, -0.06], [1, 0, 0], [0, 1, 0], id="upper back"),
    ],
)
def test_cloth_is_not_stretched(origin, u, v):
    points, quads = sheet(0.05, 0.05, np.array(origin), u, v)
    uv = drape.cloth_uv(points, quads)
    for corner in (1, 3):
        metres = np.linalg.norm(points[quads[:, corner]] - points[quads[:, 0]], axis=1)
        woven = np.linalg.norm(uv[:, corner] - uv[:, 0], axis=1)
        assert 0.55 < (woven / metres).min() and (woven / metres).max() < 1.7


def test_a_line_across_the_chest_is_level():
    points, quads = sheet(0.16, 0.02, np.array([-0.08, 0.45, 0.085]), [1, 0, 0], [0, 1, 0])
    uv = drape.cloth_uv(points, quads)
    assert np.ptp(uv[np.isclose(points[quads][..., 1], 0.45), 1]) < 1e-6


def test_inward_points_away_from_the_edge():
    points, quads = sheet(0.1, 0.1, np.zeros(3), [1, 0, 0], [0, 1, 0])
    loop = next(iter(drape.sweep.loops(quads)))
    shell = drape.Shell(points, points, quads, np.ones((len(points), 1)), np.tile([0.0, 0, 1], (len(points), 1)))
    way = drape.inward(shell, loop)
    assert ((points.mean(0) - points[loop]) * way).sum(1).min() > 0
