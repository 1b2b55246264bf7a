import numpy as np
import pytest

from harmovid.light.basis import point_light
from harmovid.lightstage.buffers import relight
from tests.lightstage.stage import ball, filmed, material

pytest.importorskip("embreex", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage.film import film
from harmovid.lightstage.radiance import StageConfig, transfer

FEW = StageConfig(cells=96, coverage=3, points=1, surfels=200)


def test_a_filmed_performance_is_what_each_frame_is():
    performance = filmed(ball(material((0.7, 0.4, 0.3), reflectance=0.04, scatter=0.2), frames=3, rings=20), frames=3)
    told = []
    taken = film(performance, "one", (40, 48), seed=4, config=FEW, progress=lambda n, of: told.append((n, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert taken.alpha.shape == (3, 40, 48) and taken.info.seed == 4 and taken.info.rate == (24, 1)
    light = point_light((-0.5, 0.5, 1), (3, 3, 3), 96)
    shown = relight(taken, light)
    for t in range(3):
        frame = transfer(performance, t, (40, 48), FEW)
        wanted = frame.relit(light)
        got = shown[t].reshape(-1, 3)[frame.place]
        assert np.square(got - wanted).mean() < 1e-3 * np.square(wanted).mean()
    # The ball goes to the right.
    columns = (taken.alpha.astype(float) * np.arange(48)).sum((1, 2)) / taken.alpha.sum((1, 2))
    assert (np.diff(columns) > 0.5).all()
