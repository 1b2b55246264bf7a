from __future__ import annotations

import pytest
import torch

from harmovid import config
from harmovid.model.backbone import Backbone
from harmovid.model.codec import SPACE, latent_frames
from harmovid.model.palette import PALETTE
from harmovid.model.presets import PRESETS, Preset
from harmovid.model.schedule import Schedule

# The published facts: layers, heads, positions, temporal patch, input channels, SNR shift.
FACTS = {
    "cogvideox-2b": (30, 30, False, None, 16, 3.0),
    "cogvideox-5b": (42, 48, True, None, 16, 1.0),
    "cogvideox-1.5-5b": (42, 48, True, 2, 32, 1.0),
}

# Parameters of the transformer, as published; ours are few.
PARAMETERS = {"cogvideox-2b": 1.69e9, "cogvideox-5b": 5.57e9, "cogvideox-1.5-5b": 5.57e9}


def backbone(preset: Preset) -> Backbone:
    with torch.device("meta"):
        return Backbone.from_config(preset.transformer, Schedule(preset.schedule))


def parameters(preset: Preset) -> int:
    return sum(p.numel() for p in backbone(preset).parameters())


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_goes_through_json_and_back(name, tmp_path):
    preset = PRESETS[name]()
    config.save(preset, tmp_path / "config.json")
    assert config.load(Preset, tmp_path / "config.json") == preset
    assert preset.name == name


@pytest.mark.parametrize("name", FACTS)
def test_the_published_facts_stand(name):
    preset = PRESETS[name]()
    t = preset.transformer
    assert (t.num_layers, t.num_attention_heads, t.use_rotary_positional_embeddings, t.patch_size_t, t.in_channels,
            preset.schedule.snr_shift) == FACTS[name]
    assert t.attention_head_dim == 64 and t.text_embed_dim == 4096 and t.max_text_seq_length == 226
    assert preset.schedule.zero_terminal and preset.schedule.prediction == "v_prediction"
    assert preset.codec is None and preset.source is not None


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_published_sizes_stand(name):
    assert parameters(PRESETS[name]()) == pytest.approx(PARAMETERS[name], rel=0.01)


def test_ours_are_as_small_as_they_say():
    assert 7e6 < parameters(PRESETS["nano"]()) < 8e6
    assert parameters(PRESETS["small"]()) < 0.2e9


@pytest.mark.parametrize("name", PRESETS)
def test_a_window_of_the_preset_passes_through_its_network(name):
    preset = PRESETS[name]()
    frames = latent_frames(preset.view.window)
    with torch.device("meta"):
        noisy, told = torch.empty(1, 16, frames, 4, 6), torch.empty(1, 304, frames, 4, 6)
        out = backbone(preset)(noisy, told, torch.zeros(1, dtype=torch.long), torch.empty(1, PALETTE))
    assert out.shape == noisy.shape


@pytest.mark.parametrize("name", PRESETS)
def test_the_view_fits_codec_and_transformer(name):
    preset = PRESETS[name]()
    assert preset.view.multiple % (SPACE * preset.transformer.patch_size) == 0
    assert all(side % SPACE == 0 for side in preset.view.overview)
    assert latent_frames(preset.view.window) % (preset.transformer.patch_size_t or 1) == 0
    assert preset.steps >= 1


def test_ours_need_nothing_from_outside():
    for name in ("nano", "small"):
        preset = PRESETS[name]()
        assert preset.source is None and preset.codec is not None
        assert preset.transformer.positions == "plain" and preset.transformer.use_rotary_positional_embeddings
