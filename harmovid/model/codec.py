"""Codecs: video to latents and back, with CogVideoX's geometry of 8 × 8 × 4.

A codec takes display sRGB in [0, 1]; [−1, 1] exists in this file only. Frame 0 has a latent of its own, each later
latent stands for four frames: T = 4 · (Tl − 1) + 1. Ours is causal: what comes later never changes a latent. So is
the published one, but for its norms, which see 8 frames (at the beginning up to 13) at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLCogVideoX
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

SPACE, TIME = 8, 4  # pixels and frames per latent


class Codec(Protocol):
    """What every codec does; latents are scaled to about unit variance.

    context_latents: after so many latents the beginning of a clip is forgotten, so that a long clip may be
        coded in chunks; None where that is not known.
    """

    latent_channels: int
    context_latents: int | None

    def encode(self, video: Tensor) -> Tensor:
        """(B, 3, T, H, W) display sRGB in [0, 1] → (B, C, Tl, H/8, W/8)."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """(B, C, Tl, h, w) → (B, 3, T, 8h, 8w), display sRGB, not clipped."""
        ...


def latent_frames(frames: int) -> int:
    """How many latents stand for `frames` = 4k + 1 frames."""
    assert frames % TIME == 1, f"{frames} frames are not 4k + 1"
    return (frames - 1) // TIME + 1


@dataclass(frozen=True)
class CausalCodecConfig:
    """Sizes of `CausalCodec`.

    latent_channels: of each latent.
    fine: channels at a quarter of the picture's sides, frame by frame.
    frame: channels at an eighth, frame by frame (decoder).
    coarse: channels at an eighth, four frames at a time; where most of the work is done.
    encoder_blocks, decoder_blocks: residual blocks at that size.
    fine_blocks: residual blocks at a quarter, on each side.
    """

    latent_channels: int = 16
    fine: int = 64
    frame: int = 128
    coarse: int = 192
    encoder_blocks: int = 2
    decoder_blocks: int = 3
    fine_blocks: int = 2


class CausalCodec(ModelMixin, ConfigMixin):
    """A small causal autoencoder that works at a quarter of the picture's sides and below.

    Pictures are folded into channels (pixel-unshuffle), so that no convolution runs at full size. Time enters by
    shifting: before each block a quarter of the channels is taken from the frame before (Lin et al. 2019, "TSM",
    the online, causal form), which costs nothing. No normalisation: the mean of a picture must pass unchanged.
    """

    @register_to_config
    def __init__(self, latent_channels: int = 16, fine: int = 64, frame: int = 128, coarse: int = 192,
                 encoder_blocks: int = 2, decoder_blocks: int = 3, fine_blocks: int = 2,
                 latents_mean: tuple[float, ...] | None = None, latents_std: tuple[float, ...] | None = None) -> None:
        super().__init__()
        self.latent_channels = latent_channels
        # The first latent of a chunk is another one (it stands for one frame); each block hands it one further.
        self.context_latents: int | None = max(encoder_blocks, decoder_blocks) + 1
        self.encoder = _Encoder(latent_channels, fine, coarse, encoder_blocks, fine_blocks)
        self.decoder = _Decoder(latent_channels, fine, frame, coarse, decoder_blocks, fine_blocks)
        self.register_buffer("mean", torch.tensor(latents_mean or [0.0] * latent_channels), persistent=False)
        self.register_buffer("std", torch.tensor(latents_std or [1.0] * latent_channels), persistent=False)

    def encode(self, video: Tensor) -> Tensor:
        """(B, 3, T, H, W) display sRGB in [0, 1] → (B, C, Tl, H/8, W/8), about unit variance."""
        return (self.encode_raw(video) - _planes(self.mean)) / _planes(self.std)  # (B, C, Tl, h, w)

    def decode(self, latents: Tensor) -> Tensor:
        """(B, C, Tl, h, w) → (B, 3, T, 8h, 8w), display sRGB, not clipped."""
        return self.decode_raw(latents * _planes(self.std) + _planes(self.mean))  # (B, 3, T, H, W)

    def encode_raw(self, video: Tensor) -> Tensor:
        """As `encode`, before scaling: what training sees."""
        _check(video)
        return self.encoder(2 * video - 1)  # (B, C, Tl, h, w)

    def decode_raw(self, latents: Tensor) -> Tensor:
        """As `decode`, from latents before scaling."""
        return (self.decoder(latents) + 1) / 2  # (B, 3, T, H, W)

    def scale_to(self, mean: Tensor, std: Tensor) -> None:
        """Set the statistics, (C,) each, that `encode` brings to 0 and 1; kept in the configuration."""
        means, stds = ([round(v, 6) for v in values.tolist()] for values in (mean, std))
        self.mean.copy_(torch.tensor(means))
        self.std.copy_(torch.tensor(stds))
        self.register_to_config(latents_mean=means, latents_std=stds)


class CogVideoXCodec(nn.Module):
    """The published `AutoencoderKLCogVideoX`, its scaling read from its own configuration."""

    context_latents: int | None = None

    def __init__(self, vae: AutoencoderKLCogVideoX) -> None:
        super().__init__()
        self.vae = vae
        self.latent_channels = int(vae.config.latent_channels)
        # CogVideoX 1.5's `invert_scale_latents` is about its image-to-video model's first image alone.
        self.factor = float(vae.config.scaling_factor)

    @classmethod
    def from_pretrained(cls, path: str | Path, subfolder: str = "vae", **options: object) -> CogVideoXCodec:
        """Read the codec of a published folder or hub name."""
        return cls(AutoencoderKLCogVideoX.from_pretrained(path, subfolder=subfolder, **options))

    def save_pretrained(self, folder: str | Path, **options: object) -> None:
        """Write it as diffusers does."""
        self.vae.save_pretrained(folder, **options)

    def encode(self, video: Tensor) -> Tensor:
        """(B, 3, T, H, W) display sRGB in [0, 1] → (B, C, Tl, H/8, W/8): the posterior's mode, scaled."""
        _check(video)
        signal = (2 * video - 1).to(self.vae.dtype)  # (B, 3, T, H, W)
        return self.vae.encode(signal).latent_dist.mode().to(video.dtype) * self.factor  # (B, C, Tl, h, w)

    def decode(self, latents: Tensor) -> Tensor:
        """(B, C, Tl, h, w) → (B, 3, T, 8h, 8w), display sRGB, not clipped."""
        count = latents.shape[2]
        if count % 2 == 0:  # an even number would be decoded as if none of them stood for a single frame
            latents = torch.cat([latents, latents[:, :, -1:]], 2)  # (B, C, Tl + 1, h, w)
        signal = self.vae.decode((latents / self.factor).to(self.vae.dtype)).sample  # (B, 3, T or T + 4, H, W)
        return (signal[:, :, : TIME * (count - 1) + 1].to(latents.dtype) + 1) / 2  # (B, 3, T, H, W)


Codecs = CausalCodec | CogVideoXCodec


class _Encoder(nn.Module):
    def __init__(self, latent: int, fine: int, coarse: int, blocks: int, fine_blocks: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3 * 16, fine, 3, padding=1)
        self.fine = nn.ModuleList(_Block(fine) for _ in range(fine_blocks))
        self.merge = nn.Conv2d(4 * TIME * fine, coarse, 1)
        self.coarse = nn.ModuleList(_Block(coarse) for _ in range(blocks))
        self.out = nn.Conv2d(coarse, latent, 1)

    def forward(self, signal: Tensor) -> Tensor:
        batch = len(signal)
        x = _fold(signal)  # (B·T, 3, H, W)
        x = self.stem(F.pixel_unshuffle(x, 4))  # (B·T, F, H/4, W/4)
        for block in self.fine:
            x = block(x)  # (B·T, F, H/4, W/4)
        x = F.pixel_unshuffle(x, 2)  # (B·T, 4F, h, w)
        x = x.unflatten(0, (batch, -1))  # (B, T, 4F, h, w)
        x = torch.cat([x[:, :1].expand(-1, TIME - 1, -1, -1, -1), x], 1)  # (B, 4·Tl, 4F, h, w)
        x = x.unflatten(1, (-1, TIME)).flatten(2, 3).flatten(0, 1)  # (B·Tl, 16F, h, w)
        x = self.merge(x)  # (B·Tl, K, h, w)
        for block in self.coarse:
            x = block(x, batch)  # (B·Tl, K, h, w)
        return _unfold(self.out(F.silu(x)), batch)  # (B, C, Tl, h, w)


class _Decoder(nn.Module):
    def __init__(self, latent: int, fine: int, frame: int, coarse: int, blocks: int, fine_blocks: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(latent, coarse, 3, padding=1)
        self.coarse = nn.ModuleList(_Block(coarse) for _ in range(blocks))
        self.split = nn.Conv2d(coarse, TIME * frame, 1)
        self.frame = _Block(frame)
        self.grow = nn.Conv2d(frame, 4 * fine, 1)
        self.fine = nn.ModuleList(_Block(fine) for _ in range(fine_blocks))
        self.out = nn.Conv2d(fine, 3 * 16, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        batch = len(latents)
        x = self.stem(_fold(latents))  # (B·Tl, K, h, w)
        for block in self.coarse:
            x = block(x, batch)  # (B·Tl, K, h, w)
        x = self.split(x)  # (B·Tl, 4R, h, w)
        x = x.unflatten(1, (TIME, -1)).flatten(0, 1).unflatten(0, (batch, -1))  # (B, 4·Tl, R, h, w)
        x = x[:, TIME - 1 :].flatten(0, 1)  # (B·T, R, h, w): latent 0 stands for one frame
        x = self.frame(x, batch)  # (B·T, R, h, w)
        x = F.pixel_shuffle(self.grow(x), 2)  # (B·T, F, H/4, W/4)
        for block in self.fine:
            x = block(x)  # (B·T, F, H/4, W/4)
        x = F.pixel_shuffle(self.out(F.silu(x)), 4)  # (B·T, 3, H, W)
        return _unfold(x, batch)  # (B, 3, T, H, W)


class _Block(nn.Module):
    """A residual block; it begins as the identity. Given the batch it also looks one frame back."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        for parameter in self.second.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, batch: int | None = None) -> Tensor:
        y = x if batch is None else _shifted(x, batch)  # (N, C, h, w)
        return x + self.second(F.silu(self.first(F.silu(y))))  # (N, C, h, w)


def _shifted(x: Tensor, batch: int) -> Tensor:
    """(B·T, C, h, w), its first quarter of channels taken from the frame before; the first frame repeats itself."""
    part = x.shape[1] // 4
    clip = x.unflatten(0, (batch, -1))  # (B, T, C, h, w)
    before = torch.cat([clip[:, :1, :part], clip[:, :-1, :part]], 1)  # (B, T, C/4, h, w)
    return torch.cat([before, clip[:, :, part:]], 2).flatten(0, 1)  # (B·T, C, h, w)


def _fold(video: Tensor) -> Tensor:
    """(B, C, T, H, W) → (B·T, C, H, W)."""
    return video.transpose(1, 2).flatten(0, 1)


def _unfold(frames: Tensor, batch: int) -> Tensor:
    """(B·T, C, H, W) → (B, C, T, H, W)."""
    return frames.unflatten(0, (batch, -1)).transpose(1, 2)


def _planes(values: Tensor) -> Tensor:
    return values[:, None, None, None]  # (C, 1, 1, 1)


def _check(video: Tensor) -> None:
    assert video.ndim == 5 and video.shape[1] == 3, f"a clip is (B, 3, T, H, W), got {tuple(video.shape)}"
    frames, height, width = video.shape[2:]
    assert frames % TIME == 1 and height % SPACE == 0 and width % SPACE == 0, (
        f"frames are 4k + 1 and sides multiples of {SPACE}, got {frames}, {height} × {width}")
