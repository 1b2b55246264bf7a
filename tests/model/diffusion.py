"""A tiny random folder in the layout of Stable Diffusion 1.5, with offsets as IC-Light publishes them."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from harmovid.model.stable import CHANNELS, OFFSETS

LETTERS = "abcdefghijklmnopqrstuvwxyz,;."
WIDTH = 16  # of the text


def folder(path: Path, strength: float = 0.0) -> Path:
    """The whole folder; `strength` is that of the offsets, standard deviation."""
    torch.manual_seed(3)
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=WIDTH,
        attention_head_dim=4, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"))
    vae = AutoencoderKL(block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, latent_channels=4,
                        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2)
    words = {letter: n for n, letter in enumerate([*LETTERS, *(f"{letter}</w>" for letter in LETTERS)])}
    words |= {"<|startoftext|>": len(words), "<|endoftext|>": len(words) + 1}
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=len(words), hidden_size=WIDTH, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=20, bos_token_id=len(words) - 2, eos_token_id=len(words) - 1))
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1,
                              clip_sample=False)
    for name, part in (("unet", unet), ("vae", vae), ("text_encoder", text), ("scheduler", scheduler)):
        part.save_pretrained(path / name)
    tokenizer = path / "tokenizer"
    tokenizer.mkdir()
    (tokenizer / "vocab.json").write_text(json.dumps(words))
    (tokenizer / "merges.txt").write_text("#version: 0.2\n")
    (tokenizer / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer"}))
    offsets = {name: strength * torch.randn_like(value) for name, value in unet.state_dict().items()}
    shape = list(offsets["conv_in.weight"].shape)
    offsets["conv_in.weight"] = strength * torch.randn(shape[0], CHANNELS, *shape[2:])
    save_file(offsets, path / OFFSETS)
    return path


def pipeline(path: Path) -> Path:
    """The same, as a pipeline of diffusers' own that makes pictures."""
    folder(path)
    parts = {"unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
             "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
             "scheduler": ["diffusers", "DDIMScheduler"], "safety_checker": [None, None],
             "feature_extractor": [None, None]}
    (path / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline", **parts}))
    return path
