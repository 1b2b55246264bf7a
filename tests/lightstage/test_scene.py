"""The interface between people and renderers."""

from fractions import Fraction

import numpy as np
import pytest

from harmovid.lightstage.scene import Camera, Material, Performance, Surface


def test_a_performance_counts_its_frames_by_its_camera():
    material = Material(np.full((2, 2, 3), 0.5, np.float32), np.full((2, 2), 0.5, np.float32))
    surface = Surface(
        "skin",
        np.zeros((5, 3, 3), np.float32),
        np.array([[0, 1, 2]], np.int32),
        np.zeros((1, 3, 2), np.float32),
        material,
    )
    performance = Performance((surface,), Camera(np.tile(np.eye(4, dtype=np.float32), (5, 1, 1)), 0.4), Fraction(24))
    assert performance.frames == 5
    assert surface.closed and surface.strand is None and material.reflectance == pytest.approx(0.04)
    with pytest.raises(AttributeError):
        performance.rate = Fraction(25)  # type: ignore[misc]
