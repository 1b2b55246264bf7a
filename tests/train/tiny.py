"""A preset too small for anything but tests of training."""

from __future__ import annotations

from harmovid.model.backbone import TransformerConfig
from harmovid.model.codec import CausalCodecConfig
from harmovid.model.presets import Preset, ViewConfig
from harmovid.model.schedule import ScheduleConfig


def preset(prediction: str = "v_prediction", residual: bool = True) -> Preset:
    """32 × 32 pixels."""
    return Preset(
        name="tiny", view=ViewConfig(area=32 * 32, window=13), schedule=ScheduleConfig(prediction=prediction),
        transformer=TransformerConfig(num_attention_heads=2, attention_head_dim=16, num_layers=1, time_embed_dim=8,
                                      text_embed_dim=8, max_text_seq_length=1, sample_height=4, sample_width=4,
                                      use_rotary_positional_embeddings=True, residual=residual, palette=True),
        codec=CausalCodecConfig(fine=8, frame=8, coarse=16, encoder_blocks=1, decoder_blocks=1, fine_blocks=1),
        steps=1)
