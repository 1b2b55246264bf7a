"""A preset too small for anything but tests of training, and footage for it."""

from __future__ import annotations

from dataclasses import replace

import torch

from harmovid.data.dataset import Footage
from harmovid.model.backbone import TransformerConfig
from harmovid.model.codec import CausalCodec, CausalCodecConfig
from harmovid.model.presets import Preset, ViewConfig
from harmovid.model.schedule import ScheduleConfig
from harmovid.model.tone import ToneConfig
from harmovid.train.loop import Batch, LoopConfig
from harmovid.train.stages import Length
from tests.data.footage import pair, shard

CLIPS = (Length(13, 2, 1.0),)
LOOP = LoopConfig(steps=2, validate_every=2, save_every=2, log_every=1, warmup=0)


def preset(prediction: str = "v_prediction", residual: bool = True, tone: bool = False) -> Preset:
    """32 × 32 pixels."""
    return Preset(
        name="tiny", view=ViewConfig(area=32 * 32, window=13), schedule=ScheduleConfig(prediction=prediction),
        transformer=TransformerConfig(num_attention_heads=2, attention_head_dim=16, num_layers=1, time_embed_dim=8,
                                      text_embed_dim=8, max_text_seq_length=1, sample_height=4, sample_width=4,
                                      use_rotary_positional_embeddings=True, residual=residual, palette=True),
        codec=CausalCodecConfig(fine=8, frame=8, coarse=16, encoder_blocks=1, decoder_blocks=1, fine_blocks=1),
        steps=1, tone=ToneConfig(width=16) if tone else None)


def footage(colour: tuple[float, float, float] | None = None) -> Footage:
    """Two clips and a photo."""
    return Footage([shard("a", 21, seed=0, colour=colour), shard("b", 9, seed=1, colour=colour),
                    shard("photo", 1, seed=2, colour=colour)])


def staged(count: int = 2) -> Footage:
    """A clip, and performances of the light stage in three lights each."""
    lit = []
    for n in range(count):
        for k, colour in enumerate(((0.9, 0.3, 0.3), (0.4, 0.4, 0.4), (0.2, 0.3, 0.8))):
            made = shard(f"p{n}-{k}", 17, seed=5 + n, colour=colour)
            lit.append(replace(made, info=replace(made.info, performance=f"p{n}")))
    return Footage([shard("a", 21, seed=0), *lit])


TRAIN, HELD_OUT = footage(), Footage([shard("c", 17, seed=3), shard("d", 1, seed=4)])


def paired() -> Footage:
    """A clip and a photo, and two pseudo-pairs of the clip."""
    clip = shard("a", 21, seed=0)
    return Footage([clip, shard("photo", 1, seed=2)],
                   pairs=[pair(clip, 4, 13), pair(clip, 8, 9, name="pair-000001")])


PAIRED = paired()


def codec() -> CausalCodec:
    """Random weights, the same each time."""
    torch.manual_seed(1)
    return CausalCodec(**vars(preset().codec))


def equal(first: Batch, second: Batch) -> bool:
    """Bit for bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
