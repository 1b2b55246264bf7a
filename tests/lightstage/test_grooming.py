"""Grooming: which people have which hair, and what moves it."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")
pytest.importorskip("anny", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage import body, grooming, hairstyles, identity
from harmovid.lightstage.obstacle import Obstacle
from tests.lightstage.stage import head

pytestmark = pytest.mark.slow  # anny loads for some seconds, for minutes the first time

BOB = next(style for style in hairstyles.STYLES if style.name == "bob")


def test_hair_goes_with_the_head_above_and_with_the_chest_below():
    shape = body.body({"age": 0.667}, {})
    heights = np.array([[0, shape.joint("head")[1], 0], [0, shape.joint("neck01")[1] - 0.1, 0]])
    weights = grooming._loose(heights, shape)
    np.testing.assert_allclose(weights.sum(1), 1)
    assert weights[0, shape.joints["head"]] == 1 and weights[1, shape.joints["spine01"]] == 1


def test_all_have_brows_and_the_bald_and_shaven_nothing_else():
    shape = body.body({"age": 0.667}, {})
    growth, obstacle = head()
    below = Obstacle(obstacle.points - [0, 0.4, 0], obstacle.normals)
    who = replace(identity.identity(0), style=None, beard=0.0)
    made = grooming.hairs(who, growth, below, shape, np.random.default_rng(0))
    assert [piece.name for piece in made] == ["brows"]
    haired = replace(who, style=replace(BOB, strands=300), outfit=replace(who.outfit, hat=None))
    pieces = grooming.hairs(haired, growth, below, shape, np.random.default_rng(0))
    assert [piece.name for piece in pieces] == ["hair", "brows"] and pieces[0].strands
