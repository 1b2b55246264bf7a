"""Soup: means of weights and of answers, in closed form."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from harmovid.errors import OptionError
from harmovid.model import checkpoint
from harmovid.model.palette import PALETTE
from harmovid.model.tone import Tone, ToneConfig
from harmovid.train.soup import averaged, joined
from tests.model.test_checkpoint import tiny

pytestmark = pytest.mark.usefixtures("one_thread")


def tone(seed: int, width: int) -> Tone:
    generator = torch.Generator().manual_seed(seed)
    made = Tone(ToneConfig(width))
    with torch.no_grad():
        for part in [*made.parameters(), made.centre]:
            part.copy_(torch.randn(part.shape, generator=generator) * 0.2)
        made.spread.copy_(1 + torch.rand(PALETTE, generator=generator))
        made.size.copy_(0.05 + 0.1 * torch.rand(6, generator=generator))
    return made.eval()


def test_joined_tones_answer_the_mean_of_their_answers():
    a, b, c = tone(0, 8), tone(1, 8), tone(3, 8)
    both = joined([a, b], [0.3, 0.7])
    told = torch.randn(5, PALETTE, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        wanted = 0.3 * a(told) * a.size + 0.7 * b(told) * b.size
        torch.testing.assert_close(both(told) * both.size, wanted, atol=1e-5, rtol=1e-4)
    assert both.config == ToneConfig(16, blocks=2)
    assert sum(part.numel() for part in both.parameters()) < 2.01 * sum(part.numel() for part in a.parameters())
    three = joined([both, c], [0.4, 0.6])
    assert three.config == ToneConfig(24, blocks=3)
    with torch.no_grad():
        wanted = 0.4 * wanted + 0.6 * c(told) * c.size
        torch.testing.assert_close(three(told) * three.size, wanted, atol=1e-5, rtol=1e-4)
    alone = joined([a], [1.0], rise=0.5)
    torch.testing.assert_close(alone(told), a(told))
    assert alone.config == ToneConfig(8, 0.5)


def test_transformers_are_averaged_and_what_they_began_from_is_left_as_it_was():
    one, other = tiny(0), tiny(1)
    before = {name: value.clone() for name, value in one.backbone.state_dict().items()}
    mean = averaged([one, other], [0.25, 0.75])
    for name, value in mean.backbone.state_dict().items():
        wanted = 0.25 * before[name] + 0.75 * other.backbone.state_dict()[name]
        torch.testing.assert_close(value, wanted, atol=1e-6, rtol=1e-5)
        assert torch.equal(one.backbone.state_dict()[name], before[name])
    assert mean.codec is one.codec
    same = averaged([one, one], [0.5, 0.5])
    for name, value in same.backbone.state_dict().items():
        torch.testing.assert_close(value, before[name])


def test_what_is_sampled_otherwise_can_be_mixed_in():
    one, other = tiny(0), tiny(1)
    frame_wise = replace(other, preset=replace(other.preset, name="frame-wise", steps=8, eta=1.0))
    mean = averaged([one, frame_wise], [0.5, 0.5])
    assert mean.preset == one.preset
    for name, value in averaged([one, other], [0.5, 0.5]).backbone.state_dict().items():
        assert torch.equal(mean.backbone.state_dict()[name], value)


def test_a_checkpoint_lends_its_tone_as_wide_as_that_is(tmp_path):
    wide = joined([tone(0, 8), tone(1, 8)], [0.3, 0.7], rise=0.4)
    one = tiny(0)
    checkpoint.save(replace(one, tone=wide, preset=replace(one.preset, tone=wide.config)), tmp_path / "wide")
    lent = checkpoint.read_tone(tmp_path / "wide", replace(one.preset, tone=ToneConfig(8)))
    told = torch.randn(3, PALETTE, generator=torch.Generator().manual_seed(0))
    assert lent.config == ToneConfig(16, 0.4, 2)
    torch.testing.assert_close(lent(told), wide(told))
    checkpoint.save(replace(one, tone=wide, preset=replace(one.preset, tone=wide.config)), tmp_path / "half",
                    dtype=torch.float16)
    whole, half = (checkpoint.place(tmp_path / name) / "tone.safetensors" for name in ("wide", "half"))
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    kept = checkpoint.read_tone(tmp_path / "half", one.preset)(told)
    torch.testing.assert_close(kept, wide(told), atol=5e-3, rtol=5e-3)


def test_what_cannot_be_averaged_is_refused():
    one = tiny(0)
    with pytest.raises(OptionError, match=r"2 models need .* sum to 1, got 0\.5, 0\.6"):
        averaged([one, tiny(1)], [0.5, 0.6])
    with pytest.raises(OptionError, match="different presets"):
        averaged([one, replace(one, preset=replace(one.preset, background=False))], [0.5, 0.5])
    with pytest.raises(OptionError, match="some of the models have a tone"):
        toned = replace(one, tone=tone(0, 8), preset=replace(one.preset, tone=ToneConfig(8)))
        averaged([replace(one, tone=None, preset=replace(one.preset, tone=None)), toned], [0.5, 0.5])
    with pytest.raises(OptionError, match="tones of widths 8, 12 cannot"):
        joined([tone(0, 8), tone(1, 12)], [0.5, 0.5])
