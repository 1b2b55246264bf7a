"""The network: diffusers' CogVideoX transformer, told more than noise.

The conditions join the noisy latents as further input channels of the patch embedding. Where the transformer is a
pretrained one, their weights begin at zero, so that the first step of training sees the pretrained model itself.
This is the only place that knows the transformer's axis order (B, Tl, C, h, w).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any, Literal

import torch
from diffusers import CogVideoXTransformer3DModel
from diffusers.models.embeddings import get_3d_rotary_pos_embed
from diffusers.pipelines.cogvideo.pipeline_cogvideox import get_resize_crop_region_for_grid
from torch import Tensor, nn

from harmovid.errors import InputError, OptionError
from harmovid.model.conditions import CONDITION_CHANNELS, MASK_CHANNELS
from harmovid.model.palette import PALETTE
from harmovid.model.schedule import Schedule

Positions = Literal["plain", "resized"]

_PICTURE_GAIN = 4.0  # of the fresh weights of latents, against those of the mask
_WIDE = 256  # of the hidden layers that read the palette
_OFS = 2.0  # the constant that CogVideoX 1.5's image-to-video pipeline passes as "ofs"


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of the transformer before it is told any conditions; names and defaults are diffusers'.

    in_channels: as published: 16, or 32 where 16 are latents of a first image, which are fed zeros here.
    sample_height, sample_width: of the latents it was trained on; sample_frames: in pictures, 4·(Tl − 1) + 1.
    positions: "plain": a token's position is its index, at every shape of the view. "resized": the grid is resized
        to fit the sample's and centred in it, as CogVideoX 1.0 with RoPE was trained.
    residual: the network says how the target differs from the composite; see `Backbone`. Not for published weights.
    palette: `harmovid.model.palette` is added to the embedding of time. Not for published weights.
    """

    num_attention_heads: int = 30
    attention_head_dim: int = 64
    num_layers: int = 30
    in_channels: int = 16
    out_channels: int = 16
    time_embed_dim: int = 512
    ofs_embed_dim: int | None = None
    text_embed_dim: int = 4096
    max_text_seq_length: int = 226
    attention_bias: bool = True
    patch_size: int = 2
    patch_size_t: int | None = None
    sample_width: int = 90
    sample_height: int = 60
    sample_frames: int = 49
    use_rotary_positional_embeddings: bool = False
    use_learned_positional_embeddings: bool = False
    positions: Positions = "plain"
    residual: bool = False
    palette: bool = False

    @classmethod
    def from_diffusers(cls, values: Mapping[str, Any]) -> TransformerConfig:
        """The settings of a published ``transformer/config.json``; what is absent has diffusers' default."""
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        # CogVideoX 1.5 takes the first rows of a large grid, which is what "plain" does without an upper limit.
        return cls(**known, positions="plain" if values.get("patch_size_t") else "resized")


class Backbone(nn.Module):
    """A CogVideoX transformer whose patch embedding takes the noisy latents and the conditions.

    Args:
        transformer: a published one, which is widened in place by `condition_channels` zero weights, or, with
            `wide`, one that has those channels already.
        condition_channels: how many channels the conditions have.
        null_text: (1, L, D), what stands in the text's place; None is zeros, a text embedding that no published
            model has seen.
        positions: see `TransformerConfig`.
        wide: the transformer is one of ours.
        residual: the schedule, where the transformer's output is the prediction of v for what the target adds to the
            composite c: v = a·noise − s·x0, and x0 = c + r, so −s·c is added to it. A fresh network then gives the
            composite back in one step, and where the evidence is weak a trained one stays near it.
        palette: whether the network is told the palette, by `palette_embedding`.
    """

    null_text: Tensor

    def __init__(self, transformer: CogVideoXTransformer3DModel, condition_channels: int = CONDITION_CHANNELS,
                 null_text: Tensor | None = None, positions: Positions = "plain", wide: bool = False,
                 residual: Schedule | None = None, palette: bool = False) -> None:
        super().__init__()
        assert residual is None or residual.config.prediction == "v_prediction", "a residual is one of v"
        if not wide:
            widen(transformer, condition_channels)
        config = transformer.config
        self.transformer = transformer
        self.condition_channels = condition_channels
        self.channels = int(config.out_channels)
        # Channels of an image-to-video model's first image: ours has none, and they are fed zeros.
        self.unused_channels = int(config.in_channels) - self.channels - condition_channels
        assert self.unused_channels >= 0, f"{config.in_channels} input channels hold no conditions: not wide?"
        self.positions = positions
        self.residual = residual
        self.palette_embedding = _palette_embedding(int(config.time_embed_dim)) if palette else None
        shape = (1, int(config.max_text_seq_length), int(config.text_embed_dim))
        if null_text is None:
            null_text = torch.zeros(shape)  # (1, L, D)
        if null_text.shape != shape:
            raise InputError(f"the null text is {tuple(null_text.shape)}, this transformer takes {shape}")
        self.register_buffer("null_text", null_text.to(transformer.proj_out.weight))

    @classmethod
    def from_config(cls, config: TransformerConfig, schedule: Schedule,
                    condition_channels: int = CONDITION_CHANNELS) -> Backbone:
        """A fresh network with random weights, those of the conditions too: there is nothing to preserve.

        The last layer begins at zero, so that the first prediction is 0, whose error is the target's own variance.
        """
        settings = asdict(config)
        positions, residual, palette = (settings.pop(name) for name in ("positions", "residual", "palette"))
        settings["in_channels"] += condition_channels
        transformer = CogVideoXTransformer3DModel(**settings)
        nn.init.zeros_(transformer.proj_out.weight)
        nn.init.zeros_(transformer.proj_out.bias)
        with torch.no_grad():  # the many channels of the mask, all 1 inside, would drown those of the pictures
            transformer.patch_embed.proj.weight[:, :-MASK_CHANNELS] *= _PICTURE_GAIN
        return cls(transformer, condition_channels, positions=positions, wide=True,
                   residual=schedule if residual else None, palette=palette)

    def enable_gradient_checkpointing(self) -> None:
        """Keep no activations inside the blocks: less memory, a third more time."""
        self.transformer.enable_gradient_checkpointing()

    def forward(self, noisy: Tensor, conditions: Tensor, timestep: Tensor, palette: Tensor | None = None) -> Tensor:
        """What the schedule asks for (v or noise).

        Args:
            noisy: (B, 16, Tl, h, w) latents with noise; h and w divide by the patch size, Tl by the temporal one.
            conditions: (B, 304, Tl, h, w), of `harmovid.model.conditions.conditions`.
            timestep: (B,) long, in 0 … 999.
            palette: (B, 153), mean over the frames of `harmovid.model.palette.palette`; networks that were not made
                for it leave it unread.

        Returns:
            (B, 16, Tl, h, w), of the dtype of `noisy`.

        Raises:
            OptionError: a size that this transformer cannot take.
        """
        batch, channels, frames, height, width = noisy.shape
        assert channels == self.channels, f"{channels} latent channels, expected {self.channels}"
        assert conditions.shape == (batch, self.condition_channels, frames, height, width), tuple(conditions.shape)
        self._check(frames, height, width)
        unused = noisy.new_zeros(batch, self.unused_channels, frames, height, width)
        x = torch.cat([noisy, unused, conditions.to(noisy.dtype)], 1)  # (B, C, Tl, h, w)
        x = x.transpose(1, 2).to(self.null_text.dtype)  # (B, Tl, C, h, w)
        with self._told(palette):
            out = self.transformer(
                hidden_states=x,
                encoder_hidden_states=self.null_text.expand(batch, -1, -1),  # (B, L, D)
                timestep=timestep,
                ofs=None if self.transformer.config.ofs_embed_dim is None else x.new_full((1,), _OFS),
                image_rotary_emb=self._rotary(frames, height, width, x.device),
                return_dict=False,
            )[0]  # (B, Tl, 16, h, w)
        out = out.transpose(1, 2).to(noisy.dtype)  # (B, 16, Tl, h, w)
        if self.residual is not None:
            _, s = self.residual.levels(timestep, noisy)  # (B, 1, …)
            out = out - s * conditions[:, :channels].to(out.dtype)  # (B, 16, Tl, h, w)
        return out

    @contextmanager
    def _told(self, palette: Tensor | None) -> Iterator[None]:
        """While it lasts, the embedding of time is one of time and palette, which modulates every block."""
        if self.palette_embedding is None:
            yield
            return
        assert palette is not None, "this network was made to be told the palette"
        said = self.palette_embedding(palette.to(self.null_text.dtype))  # (B, time_embed_dim)
        hook = self.transformer.time_embedding.register_forward_hook(lambda module, given, time: time + said.to(time))
        try:
            yield
        finally:
            hook.remove()

    def _check(self, frames: int, height: int, width: int) -> None:
        config = self.transformer.config
        space, time = config.patch_size, config.patch_size_t or 1
        if height % space or width % space:
            raise OptionError(f"the view is {8 * height} × {8 * width} pixels; its sides must divide by {8 * space}")
        if frames % time:
            raise OptionError(f"a window of {4 * frames - 3} frames makes {frames} latents, but this transformer "
                              f"takes {time} at a time; use 8k+5 frames, for instance 85")
        # diffusers would put other embeddings in the place of the learned ones where only the length differs.
        if config.use_learned_positional_embeddings:
            made_for = ((config.sample_frames - 1) // 4 + 1, config.sample_height, config.sample_width)
            if (frames, height, width) != made_for:
                raise OptionError(
                    f"this transformer has learned positions for {4 * made_for[0] - 3} frames of {8 * made_for[1]} × "
                    f"{8 * made_for[2]} pixels and cannot take {4 * frames - 3} frames of {8 * height} × {8 * width}; "
                    f"use that size, or a checkpoint without learned positions")

    def _rotary(self, frames: int, height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor] | None:
        config = self.transformer.config
        if not config.use_rotary_positional_embeddings:
            return None
        space, time = config.patch_size, config.patch_size_t or 1
        sample = (config.sample_height // space, config.sample_width // space)
        return _rotary(config.attention_head_dim, (frames // time, height // space, width // space),
                       sample if self.positions == "resized" else None, device)


def widen(transformer: CogVideoXTransformer3DModel, channels: int) -> None:
    """Give the patch embedding `channels` more input channels, last in order, with zero weights; in place.

    The configuration follows, so that `save_pretrained` and `from_pretrained` keep working.
    """
    wide = int(transformer.config.in_channels) + channels
    embed = transformer.patch_embed
    old = embed.proj
    new: nn.Conv2d | nn.Linear
    options = {"bias": old.bias is not None, "dtype": old.weight.dtype, "device": old.weight.device}
    if isinstance(old, nn.Conv2d):  # 1.0: (D, C, p, p)
        new = nn.Conv2d(wide, old.out_channels, embed.patch_size, embed.patch_size, **options)
    else:  # 1.5: (D, C·pt·p·p), channels slowest, so that new ones come last here too
        new = nn.Linear(wide * embed.patch_size_t * embed.patch_size**2, old.out_features, **options)
    with torch.no_grad():
        new.weight.zero_()
        new.weight[:, : old.weight.shape[1]] = old.weight
        if new.bias is not None and old.bias is not None:
            new.bias.copy_(old.bias)
    embed.proj = new
    transformer.register_to_config(in_channels=wide)


def _palette_embedding(dim: int) -> nn.Sequential:
    """From (B, 153) to what is added to the embedding of time, (B, dim)."""
    return nn.Sequential(nn.Linear(PALETTE, _WIDE), nn.GELU(), nn.Linear(_WIDE, _WIDE), nn.GELU(),
                         nn.Linear(_WIDE, dim))


@lru_cache(maxsize=8)
def _rotary(head_dim: int, grid: tuple[int, int, int], sample: tuple[int, int] | None,
            device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the rotary embedding (Su et al. 2021), each (tokens, head_dim) float32.

    grid: (time, height, width) in tokens. sample: (height, width) that the grid is resized into; None is plain.
    """
    frames, height, width = grid
    with torch.inference_mode(False):  # kept ones may be used in training later
        if sample is None:
            return get_3d_rotary_pos_embed(head_dim, None, (height, width), frames, grid_type="slice",
                                           max_size=(height, width), device=device)
        crop = get_resize_crop_region_for_grid((height, width), sample[1], sample[0])
        return get_3d_rotary_pos_embed(head_dim, crop, (height, width), frames, device=device)
