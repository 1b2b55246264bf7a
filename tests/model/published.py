"""Tiny random models in the formats that CogVideoX is published in, made by diffusers itself."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    CogVideoXDDIMScheduler,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
)
from transformers import T5Config, T5EncoderModel, T5Tokenizer

_TINY = {"num_attention_heads": 2, "attention_head_dim": 16, "num_layers": 2, "time_embed_dim": 16,
         "text_embed_dim": 8, "max_text_seq_length": 3, "sample_height": 8, "sample_width": 12, "sample_frames": 9}

# What sets the published transformers apart.
KINDS = {
    "2b": {},
    "5b": {"use_rotary_positional_embeddings": True},
    "5b-i2v": {"use_rotary_positional_embeddings": True, "use_learned_positional_embeddings": True,
               "in_channels": 32},
    "1.5-5b": {"use_rotary_positional_embeddings": True, "patch_size_t": 2, "patch_bias": False},
    "1.5-5b-i2v": {"use_rotary_positional_embeddings": True, "patch_size_t": 2, "patch_bias": False,
                   "in_channels": 32, "ofs_embed_dim": 16},
}


def transformer(kind: str) -> CogVideoXTransformer3DModel:
    """A transformer of this kind, every weight random (biases and norms too)."""
    torch.manual_seed(0)
    made = CogVideoXTransformer3DModel(**_TINY, **KINDS[kind]).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return made


def folder(kind: str, path: Path) -> Path:
    """A whole checkpoint, as far as it concerns us: no text encoder."""
    torch.manual_seed(1)
    widths = {"block_out_channels": (8, 8, 8, 8), "layers_per_block": 1, "norm_num_groups": 4,
              "latent_channels": 16, "sample_height": 64, "sample_width": 96}
    newer = kind.startswith("1.5")
    vae = AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4, up_block_types=("CogVideoXUpBlock3D",) * 4,
        scaling_factor=1.15258426 if kind == "2b" else 0.7, invert_scale_latents=newer, **widths)
    scheduler = CogVideoXDDIMScheduler(
        prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing",
        snr_shift_scale=3.0 if kind == "2b" else 1.0, clip_sample=False)
    for name, part in (("transformer", transformer(kind)), ("vae", vae), ("scheduler", scheduler)):
        part.save_pretrained(path / name)
    index = '{"_class_name": "CogVideoXPipeline", "transformer": ["diffusers", "CogVideoXTransformer3DModel"]}'
    (path / "model_index.json").write_text(index)
    return path


def text_to_video(path: Path) -> Path:
    """A whole text-to-video pipeline, with a text encoder that knows letters."""
    torch.manual_seed(2)
    letters = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0),
               *((letter, -3.0) for letter in "abcdefghijklmnopqrstuvwxyz,.")]
    widths = {"block_out_channels": (8, 8, 8, 8), "layers_per_block": 1, "norm_num_groups": 2, "latent_channels": 4}
    CogVideoXPipeline(
        T5Tokenizer(vocab=letters, extra_ids=0),
        T5EncoderModel(T5Config(vocab_size=len(letters), d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2)),
        AutoencoderKLCogVideoX(**widths),
        CogVideoXTransformer3DModel(num_attention_heads=2, attention_head_dim=16, in_channels=4, out_channels=4,
                                    time_embed_dim=8, text_embed_dim=32, num_layers=1, sample_height=2, sample_width=3,
                                    sample_frames=9, max_text_seq_length=226),
        CogVideoXDDIMScheduler()).save_pretrained(path)
    return path
