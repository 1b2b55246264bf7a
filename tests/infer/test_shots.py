"""Shots: where a clip is cut, and that each is a clip of its own."""

from __future__ import annotations

import numpy as np
import pytest

from harmovid.infer.shots import Shot, each_frame, shots
from harmovid.infer.views import Views
from tests import figures
from tests.infer.test_network import Clip


def scenes(composites: list[int], overviews: list[int]) -> Clip:
    """A clip whose pictures are drawn by seeds, frame by frame."""
    def drawn(seeds: list[int], size: int) -> np.ndarray:
        rgb = np.stack([np.clip(0.5 + 0.15 * figures.noise((size, size), seed, 2), 0, 1) for seed in seeds])
        return np.ascontiguousarray(rgb.transpose(3, 0, 1, 2))

    composite = drawn(composites, 32)
    return Clip(Views(composite, np.full_like(composite, np.nan), np.ones((1, *composite.shape[1:]), np.float32),
                      drawn(overviews, 24)))


def spans(found: list[Shot]) -> list[tuple[int, int]]:
    return [(shot.start, shot.stop) for shot in found]


@pytest.mark.parametrize(("composites", "overviews", "expected"), [
    ([1] * 40, [2] * 40, [(0, 40)]),
    ([1], [2], [(0, 1)]),
    ([1] * 10 + [3] * 30, [2] * 40, [(0, 10), (10, 40)]),  # the person's clip is cut
    ([1] * 40, [2] * 33 + [4] * 7, [(0, 33), (33, 40)]),  # the background is, behind a person who fills the view
    ([1] * 10 + [3] * 30, [2] * 24 + [4] * 16, [(0, 10), (10, 24), (24, 40)]),
    ([1] * 10 + [3] * 30, [2] * 12 + [4] * 28, [(0, 10), (10, 40)]),  # one after the other
    ([1] * 10 + [3] * 3 + [1] * 27, [2] * 40, [(0, 40)]),  # a flash
])
def test_a_clip_is_cut_where_the_composite_or_the_background_is(composites, overviews, expected):
    assert spans(shots(scenes(composites, overviews))) == expected


def test_a_shot_is_a_clip_of_its_frames():
    clip = scenes([*range(12)], [*range(12)])
    shot = Shot(clip, 4, 9)
    assert len(shot) == 5
    for part in ("composite", "mask", "overview"):
        np.testing.assert_array_equal(getattr(shot.window(1, 3), part), getattr(clip.window(5, 7), part))
    with pytest.raises(AssertionError):
        shot.window(4, 6)


def test_every_frame_of_a_preview_is_a_shot():
    assert spans(each_frame(scenes([1, 1, 1], [2, 2, 2]))) == [(0, 1), (1, 2), (2, 3)]
