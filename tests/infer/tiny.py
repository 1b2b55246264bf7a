"""A whole model, too small for anything but tests: random weights, the same each time."""

from __future__ import annotations

import torch
from torch import nn

from harmovid.model import checkpoint
from harmovid.model.backbone import TransformerConfig
from harmovid.model.checkpoint import Model
from harmovid.model.codec import CausalCodecConfig
from harmovid.model.presets import Preset, ViewConfig
from harmovid.model.schedule import ScheduleConfig


def tiny() -> Model:
    """32 × 32 pixels, windows of 13 frames, 2 steps; every layer has a say, also those that training begins at 0."""
    preset = Preset(
        name="tiny", view=ViewConfig(area=32 * 32, overview=(16, 16), window=13),
        transformer=TransformerConfig(num_attention_heads=2, attention_head_dim=16, num_layers=1, time_embed_dim=8,
                                      text_embed_dim=8, max_text_seq_length=1, sample_height=4, sample_width=4,
                                      use_rotary_positional_embeddings=True),
        schedule=ScheduleConfig(), steps=2,
        codec=CausalCodecConfig(fine=8, frame=8, coarse=8, encoder_blocks=2, decoder_blocks=2, fine_blocks=1))
    state = torch.get_rng_state()
    torch.manual_seed(7)
    model = checkpoint.create(preset)
    for part in (model.codec, model.backbone):
        for layer in part.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear) and not layer.weight.any():
                nn.init.normal_(layer.weight, std=0.5)
    torch.set_rng_state(state)
    return model
