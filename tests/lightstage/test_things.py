"""Things: glasses before the eyes, hats on the crown, a scarf about the neck."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage import body, eyes, mesh, things
from harmovid.lightstage.obstacle import Obstacle


def test_a_hat_sits_above_the_brows():
    brow, crown = np.array([[0.03, 0.72, 0.13]]), np.array([[0, 0.80, 0.05]])
    for kind in ("beanie", "cap"):
        assert things.hat_line(kind, brow) < 0 < things.hat_line(kind, crown)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["round", "square", "thin", "sun"])
def test_glasses_lie_before_the_eyes(kind):
    pytest.importorskip("anny", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")
    shape = body.body({"age": 0.667}, {})
    made = things.glasses(kind, shape, np.random.default_rng(0))
    assert [thing.name for thing in made] == ["glasses", "lenses"][: 1 + (kind == "sun")]
    centers, radii = eyes.centres(shape.vertices)
    rims = made[0].points[made[0].points[:, 2] > centers[0, 2] + radii[0]]
    assert len(rims) > 500 and np.abs(rims[:, 0]).max() < 0.085
    assert abs(rims[:, 1].mean() - centers[0, 1]) < 0.02
    assert made[0].points[:, 2].min() < centers[0, 2] - 0.03  # the temples reach the ears


@pytest.mark.slow
def test_hats_and_scarves():
    pytest.importorskip("anny", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")
    shape = body.body({"age": 0.667}, {})
    for kind in ("beanie", "cap"):
        (hat,) = things.hat(kind, shape, (0.2, 0.2, 0.2), np.random.default_rng(0))
        assert hat.points[:, 1].max() > shape.vertices[:13380, 1].max()
        assert hat.uv.min() >= 0 and hat.uv.max() <= 1
    skin = Obstacle(shape.vertices[:13380], mesh.normals(shape.vertices, body.template().quads["body"])[:13380])
    rings = things.scarf(shape, skin, np.random.default_rng(0))
    assert [closed for _, closed in rings] == [True, True, False]
    neck = shape.joint("neck01")
    assert np.abs(rings[0][0].mean((0, 1)) - neck)[[0, 1]].max() < 0.06
