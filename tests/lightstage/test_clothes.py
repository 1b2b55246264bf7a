"""Clothes: garments off the body, with weights that move them."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage import body, clothes, mesh, wardrobe
from harmovid.lightstage.obstacle import Obstacle


@pytest.mark.slow
@pytest.mark.parametrize(
    "outfit",
    [wardrobe.Outfit("shirt", "jacket"), wardrobe.Outfit("hoodie"), wardrobe.Outfit("turtleneck", scarf=True)],
    ids=lambda outfit: outfit.inner,
)
def test_garments_keep_off_the_skin(outfit):
    pytest.importorskip("anny", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")
    shape = body.body({"age": 0.667}, {})
    dressed = clothes.dress(outfit, shape, np.random.default_rng(0))
    first, last = body.PARTS["body"]
    skin = Obstacle(
        shape.vertices[:last], mesh.normals(shape.vertices, body.template().quads["body"])[first:last]
    )
    names = [garment.name for garment in dressed.garments]
    assert (
        outfit.inner in names and (outfit.outer is None or outfit.outer in names) and outfit.scarf == ("scarf" in names)
    )
    for garment in dressed.garments:
        np.testing.assert_allclose(garment.weights.sum(1), 1, atol=1e-4)
        assert garment.uv.min() >= 0 and garment.uv.max() <= 1
        depth, _ = skin.nearest(garment.points)
        # A scarf is a thick roll: its inner side sinks into the neck, where nobody sees it.
        lowest = -0.02 if garment.name == "scarf" else -0.004
        assert np.quantile(depth, 0.02) > lowest, garment.name
    chest, hand = np.array([[0.0, 0.30, 0.10]]), np.array([[0.45, 0.10, 0.2]])
    assert dressed.covered(chest).all() and not dressed.covered(hand).any()
