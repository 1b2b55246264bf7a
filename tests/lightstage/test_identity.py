"""The cast: varied by seed, the same for the same seed."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")
pytest.importorskip("anny", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage import identity
from harmovid.lightstage.hairstyles import STYLES

pytestmark = pytest.mark.slow  # anny loads for some seconds, for minutes the first time


@pytest.fixture(scope="module")
def cast():
    return [identity.identity(seed) for seed in range(150)]


def test_people_differ(cast):
    assert identity.identity(3) == identity.identity(3) != identity.identity(4)
    melanin = np.array([who.complexion.melanin for who in cast])
    assert (melanin < 0.15).mean() > 0.15 and (melanin > 0.6).mean() > 0.15
    ages = [who.complexion.age for who in cast]
    assert min(ages) < 22 and max(ages) > 65
    assert len({who.style.name for who in cast if who.style}) >= len(STYLES) - 2
    assert len({who.outfit.inner for who in cast}) == 6 and {who.outfit.outer for who in cast} == {
        None,
        "jacket",
        "coat",
    }
    assert any(who.outfit.glasses for who in cast) and any(who.outfit.hat for who in cast)
    assert any(who.beard for who in cast) and any(who.complexion.lipstick for who in cast)
    assert all(who.phenotype["gender"] < 0.5 for who in cast if who.beard)
