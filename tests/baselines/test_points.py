from __future__ import annotations

import numpy as np
import pytest
import torch

from harmovid.baselines import points
from harmovid.errors import InputError
from tests.baselines import moving


def test_flow_is_found_in_spite_of_flicker() -> None:
    links = points.link(np.clip(moving.clip(4, 48) * moving.gains(4), 0, 1))
    assert not links.trusted[0, -1].any() and not links.trusted[1, 0].any()
    forward, inner = links.flow[0, :-1, 8:-8, 8:-8], links.trusted[0, :-1, 8:-8, 8:-8]
    assert inner.mean() > 0.7
    assert np.abs(forward[inner] - moving.STEP).mean() < 0.3
    back = links.flow[1, 1:, 8:-8, 8:-8]
    assert np.abs(back[links.trusted[1, 1:, 8:-8, 8:-8]] + moving.STEP).mean() < 0.3


def test_only_what_is_under_the_mask_is_fitted() -> None:
    frames = np.stack([moving.clip(1, 16)[0]] * 3)
    masks = np.zeros(frames.shape[:3], np.float32)
    masks[:, :, :8] = 1
    other = frames.copy()
    other[:, :, 9:] = 1 - other[:, :, 9:]  # a pixel further on: differences reach there
    links = points.Links(np.zeros((2, *masks.shape, 2), np.float32), np.ones((2, *masks.shape), bool))
    drawn = [points.Samples(clip, links, masks, torch.Generator().manual_seed(0)).draw(200)
             for clip in (frames, other)]
    assert (drawn[0][0][:, 0] < 8).all()
    for a, b in zip(*drawn, strict=True):
        assert torch.equal(a, b)


def test_masks_and_values_that_do_not_fit_are_refused() -> None:
    frames = np.zeros((2, 4, 4, 3), np.float32)
    with pytest.raises(InputError, match="one mask per frame"):
        points.check_clip(frames, np.zeros((3, 4, 4), np.float32))
    frames[0, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match="no numbers"):
        points.check_clip(frames)


def test_samples_tell_the_truth_of_their_pixels() -> None:
    frames = np.random.default_rng(0).random((3, 4, 5, 3), np.float32)
    links = points.link(frames)
    place, shift, trusted, colour, change, inner = points.Samples(
        frames, links, None, torch.Generator().manual_seed(0)).draw(300)
    for n, (x, y, t) in enumerate(place.long().tolist()):
        way = 0 if shift[n, 2] > 0 else 1
        np.testing.assert_array_equal(colour[n], frames[t, y, x])
        np.testing.assert_array_equal(shift[n, :2], links.flow[way, t, y, x])
        assert bool(trusted[n]) == links.trusted[way, t, y, x]
        assert inner[n].tolist() == [x < 4, y < 3]
        if x < 4:
            np.testing.assert_allclose(change[n, 0], frames[t, y, x + 1] - frames[t, y, x])
        if y < 3:
            np.testing.assert_allclose(change[n, 1], frames[t, y + 1, x] - frames[t, y, x])
    assert len({tuple(p) for p in place.tolist()}) > 55  # of 60
    assert 100 < (shift[:, 2] > 0).sum() < 200


def test_a_mask_of_nothing_is_no_mask() -> None:
    frames = np.zeros((2, 3, 3, 3), np.float32)
    samples = points.Samples(frames, points.link(frames), frames[..., 0], torch.Generator().manual_seed(0))
    assert len({tuple(p) for p in samples.draw(200)[0].tolist()}) == 18
