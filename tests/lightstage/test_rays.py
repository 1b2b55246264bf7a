import numpy as np
import pytest

from tests.lightstage.stage import ball, filmed, material, plane

pytest.importorskip("embreex", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage import rays
from harmovid.lightstage.radiance import StageConfig, transfer

BARE = StageConfig(gloss=False, bounce=False, scatter=False)


@pytest.mark.parametrize(("centre", "seen"), [((0.06, -0.03, 0), True), ((0.13, 0.1, 0), True), ((0.5, 0, 0), False)],
                         ids=["within", "cut off", "beside"])
def test_looking_where_a_surface_can_be_alone_loses_none_of_it(monkeypatch, centre, seen):
    scene = filmed(ball(material(), centre=centre, radius=0.04))
    near = transfer(scene, 0, (32, 40), BARE)
    monkeypatch.setattr(rays, "_window", lambda *_: (slice(0, 32), slice(0, 40)))
    everywhere = transfer(scene, 0, (32, 40), BARE)
    assert bool(near.alpha.any()) is seen and near.alpha.shape == (32, 40)
    for one, other in ((near.place, everywhere.place), (near.alpha, everywhere.alpha), (near.white, everywhere.white)):
        assert np.array_equal(one, other)


def test_what_reaches_behind_the_camera_is_looked_for_everywhere():
    behind = plane(material(), -0.1)
    points = [behind.vertices[0]]
    pose = np.eye(4)
    assert rays._window(points, pose, 0.3, (32, 40)) == (slice(0, 32), slice(0, 40))
