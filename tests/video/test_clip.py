"""What a clip says of itself."""

import dataclasses
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from harmovid.video.clip import Clip, Frame
from harmovid.video.color import SRGB


def clip(frames=48, rate=Fraction(24)):
    return Clip(Path("a.mov"), 64, 48, frames, rate, source_index=np.arange(frames))


def test_length_in_seconds():
    assert clip().seconds == 2.0
    assert clip(rate=Fraction(24000, 1001)).seconds == pytest.approx(2.002)


def test_a_clip_is_a_value():
    assert clip() == clip() and hash(clip()) == hash(clip())
    assert clip() != clip(frames=47)
    assert clip().tags == SRGB
    with pytest.raises(dataclasses.FrozenInstanceError):
        clip().frames = 3
    assert "source_index" not in repr(clip())


def test_a_frame_has_alpha_only_where_it_is_given():
    rgb = np.zeros((2, 3, 3), np.float32)
    assert Frame(rgb).alpha is None
    assert Frame(rgb, np.ones((2, 3), np.float32)).alpha.shape == (2, 3)
