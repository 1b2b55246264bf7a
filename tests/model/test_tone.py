"""Tone: closed forms of the curves, and what a fresh one does."""

from __future__ import annotations

import pytest
import torch

from harmovid.model.palette import PALETTE, palette
from harmovid.model.tone import Tone, ToneConfig, toned

pytestmark = pytest.mark.usefixtures("one_thread")


def views() -> tuple[torch.Tensor, torch.Tensor]:
    composite = torch.rand(1, 3, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.6 + 0.2
    mask = torch.zeros(1, 1, 1, 64, 64)
    mask[..., 10:60, 5:50] = 1
    return composite, mask


def test_a_fresh_tone_changes_nothing():
    composite, mask = views()
    slope, offset = Tone(ToneConfig(8)).curves(palette(composite, composite, composite, mask)[:, 0])
    assert torch.equal(slope, torch.ones(1, 3)) and torch.equal(offset, torch.zeros(1, 3))
    torch.testing.assert_close(toned(composite, mask, slope, offset), composite)


def test_shift_moves_the_mean_and_contrast_turns_about_it():
    composite, mask = views()
    tone = Tone(ToneConfig(8))
    with torch.no_grad():
        tone.layers[-1].bias.copy_(torch.tensor([0.1, -0.05, 0.0, 0.0, 0.2, -0.3]))
    result = toned(composite, mask, *tone.curves(palette(composite, composite, composite, mask)[:, 0]))
    inside = [part[0, :, 0, 10:60, 5:50].flatten(1) for part in (composite, result)]
    moved = inside[1].mean(1) - inside[0].mean(1)
    torch.testing.assert_close(moved, torch.tensor([0.1, -0.05, 0.0]), atol=3e-3, rtol=0)
    torch.testing.assert_close(inside[1].std(1) / inside[0].std(1), torch.tensor([0.0, 0.2, -0.3]).exp(),
                               atol=1e-3, rtol=0)
    outside = (mask == 0).expand_as(composite)
    assert torch.equal(result[outside], composite[outside])


def test_the_size_of_changes_and_palettes_is_taken_from_draws():
    tone, generator = Tone(ToneConfig(8)), torch.Generator().manual_seed(0)
    palettes = torch.randn(500, PALETTE, generator=generator) * 3 + 1
    tone.standardize(palettes, torch.randn(500, 6, generator=generator) * 0.2)
    assert tone.spread.mean() == pytest.approx(3, rel=0.03) and tone.size.mean() == pytest.approx(0.2, rel=0.05)
    with torch.no_grad():
        tone.layers[-1].bias.fill_(1)
    slope, _ = tone.curves(palettes[:1])
    torch.testing.assert_close(slope[0], tone.size[3:].exp())


def test_what_is_answered_much_counts_for_more():
    plain, rising = Tone(ToneConfig(8)), Tone(ToneConfig(8, rise=0.6))
    shown = []
    for size in (0.05, 0.9):
        for tone in (plain, rising):
            with torch.no_grad():
                tone.layers[-1].bias.fill_(size)
            shown.append(float(tone.curves(torch.zeros(1, PALETTE))[0].detach().log().mean()))
    assert shown[1] / shown[0] == pytest.approx(0.8, abs=0.01)  # 1 − 0.6 / 3
    assert shown[3] / shown[2] == pytest.approx(0.8 + 0.6 * 0.81 / 1.06, abs=1e-5)


def test_noise_and_drop_are_of_the_generator_alone():
    tone = Tone(ToneConfig(32))
    with torch.no_grad():
        tone.layers[-1].weight.fill_(0.1)
    told = torch.rand(4, PALETTE)
    first, again = (tone(told, 0.3, 0.5, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again) and not torch.equal(first, tone(told))


def test_curves_may_change_in_time():
    composite, mask = torch.full((1, 3, 2, 4, 4), 0.5), torch.ones(1, 1, 2, 4, 4)
    slope, offset = torch.ones(1, 3, 2), torch.tensor([0.0, 0.2]).expand(1, 3, 2)
    result = toned(composite, mask, slope, offset)
    torch.testing.assert_close(result[:, :, 0], composite[:, :, 0])
    torch.testing.assert_close(result[:, :, 1], composite[:, :, 1] + 0.2)
    # Out of range is clipped, by the alpha's share.
    half = toned(composite, mask * 0.5, slope, offset + 1)
    torch.testing.assert_close(half, torch.full_like(half, 0.75))
