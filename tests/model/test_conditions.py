from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harmovid.model.conditions import CONDITION_CHANNELS, conditions, mask_channels


def pixels(channels: torch.Tensor) -> torch.Tensor:
    """The inverse of mask_channels: (B, 256, Tl, h, w) → (B, 1, T, H, W)."""
    batch, _, latents, h, w = channels.shape
    x = channels.reshape(batch, 4, 8, 8, latents, h, w)
    x = x.permute(0, 4, 1, 5, 2, 6, 3).reshape(batch, 1, 4 * latents, 8 * h, 8 * w)
    return x[:, :, 3:]


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 2), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(0, 99))
def test_no_pixel_of_the_mask_is_lost(batch, latents, h, w, seed):
    mask = torch.rand(batch, 1, 4 * latents - 3, 8 * h, 8 * w, generator=torch.Generator().manual_seed(seed))
    channels = mask_channels(mask)
    assert channels.shape == (batch, 256, latents, h, w)
    assert torch.equal(pixels(channels), mask)


def test_each_pixel_goes_where_the_docstring_says():
    mask = torch.arange(9 * 16 * 24, dtype=torch.float32).reshape(1, 1, 9, 16, 24)
    channels = mask_channels(mask)
    for k, t, i, y, j, x in ((0, 3, 1, 2, 0, 5), (1, 0, 0, 0, 0, 0), (1, 2, 1, 7, 2, 6), (2, 3, 0, 4, 1, 1)):
        assert channels[0, (t * 8 + y) * 8 + x, k, i, j] == mask[0, 0, 4 * k + t - 3, 8 * i + y, 8 * j + x]


def test_the_first_frame_stands_four_times_and_a_single_frame_is_whole():
    mask = torch.rand(1, 1, 5, 8, 8)
    channels = mask_channels(mask)
    for t in range(4):
        assert torch.equal(channels[0, 64 * t : 64 * t + 64, 0, 0, 0], mask[0, 0, 0].flatten())
    assert torch.equal(mask_channels(mask[:, :, :1])[:, :, 0], channels[:, :, 0])


def test_a_binary_mask_stays_binary():
    mask = (torch.rand(1, 1, 5, 32, 32) > 0.5).float()
    assert set(mask_channels(mask).unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("shape", [(1, 1, 4, 8, 8), (1, 1, 5, 12, 8), (1, 1, 5, 8, 12), (1, 3, 5, 8, 8)])
def test_a_mask_of_another_shape_is_refused(shape):
    with pytest.raises(AssertionError):
        mask_channels(torch.zeros(shape))


def test_the_order_is_composite_background_overview_mask():
    composite, background, overview = (torch.full((2, 16, 2, 4, 6), float(v)) for v in (1, 2, 3))
    mask = torch.rand(2, 1, 5, 32, 48)
    c = conditions(composite, background, overview, mask)
    assert c.shape == (2, CONDITION_CHANNELS, 2, 4, 6)
    for part, value in zip(c[:, :48].split(16, 1), (1, 2, 3), strict=True):
        assert (part == value).all()
    assert torch.equal(c[:, 48:], mask_channels(mask))


def test_what_is_not_given_is_zero():
    c = conditions(torch.ones(1, 16, 1, 2, 2), None, None, torch.ones(1, 1, 1, 16, 16))
    assert (c[:, :16] == 1).all() and (c[:, 16:48] == 0).all() and (c[:, 48:] == 1).all()


def test_the_overview_is_resized_in_space_alone_and_by_nearest():
    overview = torch.rand(1, 16, 3, 2, 2)
    c = conditions(torch.zeros(1, 16, 3, 4, 8), None, overview, torch.zeros(1, 1, 9, 32, 64))[:, 32:48]
    assert torch.equal(c, overview.repeat_interleave(2, 3).repeat_interleave(4, 4))


def test_latents_that_do_not_belong_together_are_refused():
    composite, mask = torch.zeros(1, 16, 2, 2, 2), torch.zeros(1, 1, 5, 16, 16)
    for background, overview, wrong in ((composite[:, :, :1], None, mask), (None, composite[:, :, :1], mask),
                                        (None, None, mask[:, :, :1])):
        with pytest.raises(AssertionError):
            conditions(composite, background, overview, wrong)


def test_the_conditions_have_the_dtype_of_the_latents():
    latents = torch.zeros(1, 16, 1, 1, 1, dtype=torch.bfloat16)
    assert conditions(latents, None, None, torch.ones(1, 1, 1, 8, 8)).dtype == torch.bfloat16
