"""Where hair grows on a head, and where it roots."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage import scalp
from tests.lightstage.stage import head


def test_roots_are_drawn_by_density():
    growth, _ = head()
    upper = (growth.places[:, 1] > 0.75) * 1.0
    root, normal, place = scalp.roots(growth, upper, 500, np.random.default_rng(0))
    assert place[:, 1].min() > 0.74
    np.testing.assert_allclose(np.linalg.norm(normal, axis=1), 1)
    np.testing.assert_allclose(root, place)


def test_the_hairline_leaves_the_face_and_ears_bare():
    bare = np.array([[0, 0.745, 0.14], [0, 0.70, 0.14], [0.04, 0.66, 0.12], [0.079, 0.677, 0.046]])
    haired = np.array([[0, 0.80, 0.05], [0.07, 0.75, 0.03], [0, 0.66, -0.03]])
    assert scalp.hairline(bare).max() == 0 and scalp.hairline(haired).min() > 0.9
    temple = np.array([[0.045, 0.762, 0.115]])
    assert scalp.hairline(temple, 1.0) < scalp.hairline(temple)
    assert scalp.bald(haired)[0] == 0 and scalp.bald(haired)[2] == 1
