"""People: one person made whole, before the camera; the same for the same seed."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")
pytest.importorskip("anny", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.errors import OptionError
from harmovid.lightstage import people

pytestmark = pytest.mark.slow  # anny loads for some seconds, for minutes the first time


@pytest.fixture(scope="module")
def performed():
    return people.perform(7, 3, framing="head and shoulders")


def test_a_performance_is_whole(performed):
    names = {surface.name for surface in performed.surfaces}
    assert {"skin", "eyes", "teeth", "lashes", "brows", "hair"} <= names and performed.frames == 3
    for surface in performed.surfaces:
        assert surface.vertices.dtype == np.float32 and len(surface.vertices) == 3
        assert np.isfinite(surface.vertices).all() and np.abs(surface.vertices).max() < 2
        assert surface.faces.min() >= 0 and surface.faces.max() < surface.vertices.shape[1]
        assert surface.uv.shape == (len(surface.faces), 3, 2) and surface.uv.min() >= 0 and surface.uv.max() <= 1
        assert 0 <= surface.material.albedo.min() and surface.material.albedo.max() <= 1
        assert 0 < surface.material.roughness.min() and surface.material.roughness.max() <= 1
        assert (surface.strand is not None) == surface.material.fibre


def test_the_camera_sees_the_eyes_where_the_framing_says(performed):
    eyes = next(surface for surface in performed.surfaces if surface.name == "eyes").vertices.mean(1)
    for frame, pose in enumerate(performed.camera.pose):
        seen = np.linalg.inv(pose) @ np.append(eyes[frame], 1)
        assert seen[2] < 0
        half = np.tan(performed.camera.height / 2)
        across, down = seen[0] / -seen[2] / half, -seen[1] / -seen[2] / half
        assert abs(across) < 0.6 and abs((down + 1) / 2 - 0.40) < 0.15


def test_the_same_seed_gives_the_same_arrays(performed):
    people.person.cache_clear()
    again = people.perform(7, 3, framing="head and shoulders")
    for first, second in zip(performed.surfaces, again.surfaces, strict=True):
        np.testing.assert_array_equal(first.vertices, second.vertices)
        np.testing.assert_array_equal(first.material.albedo, second.material.albedo)
    other = people.perform(7, 3, take=1, framing="head and shoulders")
    assert np.abs(other.surfaces[0].vertices - performed.surfaces[0].vertices).max() > 1e-3


@pytest.mark.parametrize("arguments", [{"seed": -1}, {"seed": 0, "frames": 0}, {"seed": 0, "framing": "worm's eye"}])
def test_nonsense_is_refused(arguments):
    with pytest.raises(OptionError):
        people.perform(**arguments)
