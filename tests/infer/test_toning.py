"""A toned clip: even over time, and of the right tone in every frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harmovid.infer.toning import TonedClip, smoothed, tone_clip
from harmovid.infer.views import Views
from harmovid.model.palette import PALETTE
from harmovid.model.tone import Tone, ToneConfig

pytestmark = pytest.mark.usefixtures("one_thread")


class Clip:
    """Grey frames that count up, the left half of them the person."""

    def __len__(self) -> int:
        return 10

    def window(self, start: int, stop: int) -> Views:
        grey = np.arange(start, stop, dtype=np.float32)[None, :, None, None] / 50 + 0.2
        frames = np.broadcast_to(grey, (3, stop - start, 8, 8)).copy()
        mask = np.zeros((1, stop - start, 8, 8), np.float32)
        mask[..., :4] = 1
        return Views(frames, frames, mask, frames)


def test_a_constant_palette_stays_so_to_the_bit():
    row = torch.randn(1, PALETTE, generator=torch.Generator().manual_seed(0))
    assert torch.equal(smoothed(row.expand(40, -1)), row.expand(40, -1))
    assert torch.equal(smoothed(row), row)


def test_smoothing_keeps_a_slope_and_takes_away_a_tremble():
    slope = torch.arange(120.0)[:, None]
    torch.testing.assert_close(smoothed(slope)[20:100], slope[20:100], atol=1e-3, rtol=0)
    tremble = (torch.arange(120.0) % 2 - 0.5)[:, None]
    assert smoothed(tremble)[2:-2].abs().max() < 0.025


def test_each_frame_has_the_tone_between_those_of_its_latents():
    tone = Tone(ToneConfig(8))  # one whose shift is the first number of the palette
    toned = tone_clip(Clip(), torch.zeros(4, PALETTE), tone)
    np.testing.assert_allclose(toned.window(0, 10).composite, Clip().window(0, 10).composite, atol=1e-6)
    offset = np.linspace(0, 0.09, 10, dtype=np.float32)[None].repeat(3, 0)
    clip = TonedClip(Clip(), np.ones((3, 10), np.float32), offset)
    assert len(clip) == 10
    plain, got = Clip().window(3, 7), clip.window(3, 7)
    expected = plain.composite + offset[:, 3:7, None, None] * plain.mask
    np.testing.assert_allclose(got.composite, expected, atol=1e-6)
    assert np.array_equal(got.background, plain.background) and np.array_equal(got.mask, plain.mask)


def test_palettes_that_tremble_give_no_tone_that_does(monkeypatch):
    tone = Tone(ToneConfig(8))
    monkeypatch.setattr(tone, "curves", lambda told: (told[:, :3], told[:, 3:6]))
    palettes = (torch.arange(4.0) % 2)[:, None].expand(-1, PALETTE)
    clip = tone_clip(Clip(), palettes, tone)
    for curve in (clip.slope, clip.offset):
        assert np.ptp(curve) < 0.15 and abs(curve.mean() - 0.5) < 0.1


def test_curves_are_interpolated_over_frames(monkeypatch):
    tone = Tone(ToneConfig(8))
    slopes = torch.tensor([[1.0], [2.0], [2.0], [2.0]]).expand(4, 3)
    monkeypatch.setattr(tone, "curves", lambda told: (slopes, torch.zeros(4, 3)))
    clip = tone_clip(Clip(), torch.zeros(4, PALETTE), tone)
    np.testing.assert_allclose(clip.slope[0], [1, 1.25, 1.5, 1.75, 2, 2, 2, 2, 2, 2])
