"""The palette: closed forms on pictures of few colours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from harmovid.model.palette import PALETTE, QUANTILES, mean_of_person, palette

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE = 64
FULL = SIZE * SIZE
LUMA = torch.tensor([0.2126, 0.7152, 0.0722])


def flat(colour: tuple[float, float, float], frames: int = 1, size: int = SIZE) -> Tensor:
    return torch.tensor(colour).reshape(1, 3, 1, 1, 1).expand(1, 3, frames, size, size).clone()


def told(composite: Tensor, mask: Tensor, background: Tensor | None = None, overview: Tensor | None = None) -> Tensor:
    """(4, 38) of the first frame: person, head, background, overview."""
    background = composite if background is None else background
    found = palette(composite, background, background if overview is None else overview, mask)
    assert found.dtype == torch.float32 and found.isfinite().all()
    return found[0, 0, :-1].unflatten(0, (4, 38))


def value(row: Tensor, pixels: int = FULL) -> Tensor:
    """Means and quantiles, (3 + 28,), in [0, 1]."""
    return row[:31] * (pixels + 16) / pixels * 0.25 + 0.4


def test_one_colour_has_itself_for_mean_and_quantiles():
    rows = told(flat((0.2, 0.5, 0.9)), torch.ones(1, 1, 1, SIZE, SIZE), flat((0.1, 0.1, 0.1)), flat((1, 0, 0), size=16))
    person = torch.cat([torch.tensor([0.2, 0.5, 0.9]), torch.tensor([0.2, 0.5, 0.9]).repeat_interleave(7),
                        (torch.tensor([0.2, 0.5, 0.9]) @ LUMA).expand(7)])
    torch.testing.assert_close(value(rows[0]), person, atol=1e-4, rtol=0)
    torch.testing.assert_close(value(rows[2]), torch.full((31,), 0.1), atol=1e-4, rtol=0)
    torch.testing.assert_close(value(rows[3], 256)[:3], torch.tensor([1.0, 0, 0]), atol=1e-4, rtol=0)
    assert rows[:, 31:34].abs().max() < 0.01  # no spread


def test_only_the_persons_pixels_count_for_the_person():
    picture, mask = flat((0.9, 0.9, 0.9)), torch.zeros(1, 1, 1, SIZE, SIZE)
    mask[..., 20:40, 10:30] = 1
    picture[..., 20:40, 10:30] = 0.3
    rows = told(picture, mask)
    torch.testing.assert_close(value(rows[0], 400), torch.full((31,), 0.3), atol=1e-4, rtol=0)
    found = palette(picture, picture, picture, mask)
    assert found[0, 0, -1] == pytest.approx(400 / FULL)


def test_the_head_is_the_upper_third():
    picture, mask = flat((0.2, 0.2, 0.2)), torch.zeros(1, 1, 1, SIZE, SIZE)
    mask[..., 4:64, :] = 1
    picture[..., 4:24, :] = 0.8
    rows = told(picture, mask)
    pixels = 20 * SIZE
    assert value(rows[1], pixels)[0] == pytest.approx(0.8, abs=0.02)
    assert value(rows[0], 60 * SIZE)[0] == pytest.approx((0.8 * 20 + 0.2 * 40) / 60, abs=1e-3)


def test_quantiles_spread_and_tint_of_a_ramp():
    ramp = torch.linspace(0, 1, FULL).reshape(1, 1, 1, SIZE, SIZE)
    warm = torch.cat([ramp, 0.5 * ramp, 0 * ramp], 1)
    row = told(warm, torch.ones(1, 1, 1, SIZE, SIZE))[0]
    torch.testing.assert_close(value(row)[3:10], torch.tensor(QUANTILES), atol=2e-3, rtol=0)
    torch.testing.assert_close(value(row)[10:17], torch.tensor(QUANTILES) / 2, atol=2e-3, rtol=0)
    share = FULL / (FULL + 16)
    torch.testing.assert_close(row[31:34] * 0.1 / share, torch.tensor([1, 0.5, 0]) / np.sqrt(12), atol=2e-3, rtol=0)
    assert row[37] == pytest.approx(share, abs=1e-3)  # lights are warmer
    cool = told(warm.flip(1), torch.ones(1, 1, 1, SIZE, SIZE))[0]
    assert cool[37] == pytest.approx(-share, abs=1e-3)


def test_every_frame_has_its_own():
    video = torch.rand(2, 3, 9, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(2, 1, 9, SIZE, SIZE)
    found = palette(video, video, video, mask)
    assert found.shape == (2, 9, PALETTE)
    for k in range(9):
        alone = palette(*(part[1:, :, k : k + 1] for part in (video, video, video, mask)))
        torch.testing.assert_close(found[1:, k : k + 1], alone)


def test_no_person_gives_zeros():
    rows = told(flat((0.7, 0.7, 0.7)), torch.zeros(1, 1, 1, SIZE, SIZE))
    assert (rows[:2] == 0).all() and (rows[2:].abs().amax(1) > 1).all()


def test_a_large_view_is_told_as_its_small_copy():
    big = torch.rand(1, 3, 1, 16, 16, generator=torch.Generator().manual_seed(1)).repeat_interleave(8, 3)
    big = big.repeat_interleave(8, 4)
    mask = torch.ones(1, 1, 1, 128, 128)
    torch.testing.assert_close(told(big, mask)[0], told(big[..., ::2, ::2], mask[..., ::2, ::2])[0])


def test_correlations_are_those_of_numpy():
    generator = torch.Generator().manual_seed(1)
    base = torch.rand(1, 1, 1, SIZE, SIZE, generator=generator)
    other = torch.rand(1, 2, 1, SIZE, SIZE, generator=generator)
    picture = torch.cat([base, 0.6 * base + 0.4 * other[:, :1], other[:, 1:]], 1)
    row = told(picture, torch.ones(1, 1, 1, SIZE, SIZE))[0]
    found = np.corrcoef(picture[0, :, 0].flatten(1).numpy())
    expected = torch.tensor([found[0, 1], found[0, 2], found[1, 2]], dtype=torch.float32) * FULL / (FULL + 16)
    torch.testing.assert_close(row[34:37], expected, atol=0.01, rtol=0)


def test_the_mean_of_the_person_is_read_back():
    picture = flat((0.2, 0.5, 0.9))
    found = mean_of_person(palette(picture, picture, picture, torch.ones(1, 1, 1, SIZE, SIZE)))
    torch.testing.assert_close(found[0, 0], torch.tensor([0.2, 0.5, 0.9]), atol=2e-3, rtol=0)
