"""Presets: every size of model that there is, as functions that return frozen dataclasses.

`nano` and `small` are ours and begin from nothing; the others begin from published weights, and what those say of
themselves (scaling of the latents, schedule, sizes) overrides what stands here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from harmovid.model.backbone import TransformerConfig
from harmovid.model.codec import CausalCodecConfig
from harmovid.model.schedule import ScheduleConfig
from harmovid.model.tone import ToneConfig


@dataclass(frozen=True)
class ViewConfig:
    """What the network sees of a clip.

    area: pixels of the view, about; its shape follows the person's box.
    multiple: both sides of the view divide by this.
    overview: (height, width) in pixels of the overview of the whole background.
    window: frames at a time, 4k + 1; 8k + 5 where the transformer takes two latents at a time.
    """

    area: int
    multiple: int = 16
    overview: tuple[int, int] = (64, 64)
    window: int = 85


@dataclass(frozen=True)
class Preset:
    """A model, whole: enough to build it again.

    codec: None is the `AutoencoderKLCogVideoX` of the published folder, which knows its own sizes.
    steps: of sampling, where the user names none. eta: how random it is, 0 to 1, and temperature: see
        `infer.sampler.sample`.
    tone: of what tones the composite before the network sees it; None where nothing does.
    background: whether the network is told the background beside the composite; one that only steadies is not.
    source: the hub name of the published weights it begins from; None is from nothing.
    """

    name: str
    view: ViewConfig
    transformer: TransformerConfig
    schedule: ScheduleConfig
    codec: CausalCodecConfig | None = None
    steps: int = 50
    eta: float = 0.0
    temperature: float = 1.0
    tone: ToneConfig | None = None
    background: bool = True
    source: str | None = None


def nano() -> Preset:
    """Ours, 128 × 128 pixels: trained and run on two processor cores."""
    return Preset(
        name="nano",
        view=ViewConfig(area=128 * 128, window=49),
        transformer=TransformerConfig(
            num_attention_heads=4, attention_head_dim=48, num_layers=8, time_embed_dim=192, text_embed_dim=16,
            max_text_seq_length=1,
            sample_height=16, sample_width=16, use_rotary_positional_embeddings=True, residual=True,
            palette=True),
        schedule=ScheduleConfig(),
        codec=CausalCodecConfig(),
        steps=1,
        tone=ToneConfig(),
    )


def small() -> Preset:
    """Ours, 256 × 256 pixels: one GPU."""
    return Preset(
        name="small",
        view=ViewConfig(area=256 * 256),
        transformer=TransformerConfig(
            num_attention_heads=12, num_layers=16, time_embed_dim=256, text_embed_dim=16, max_text_seq_length=1,
            sample_height=32, sample_width=32, sample_frames=85, use_rotary_positional_embeddings=True, residual=True,
            palette=True),
        schedule=ScheduleConfig(),
        codec=CausalCodecConfig(),
        steps=8,
        tone=ToneConfig(),
    )


def cogvideox_2b() -> Preset:
    """CogVideoX-2b (Yang et al. 2024, arXiv 2408.06072): sin-cos positions; Apache-2.0."""
    return Preset(
        name="cogvideox-2b",
        view=ViewConfig(area=480 * 720, overview=(256, 256)),
        transformer=TransformerConfig(positions="resized"),
        schedule=ScheduleConfig(snr_shift=3.0),
        source="THUDM/CogVideoX-2b",
    )


def cogvideox_5b() -> Preset:
    """CogVideoX-5b: rotary positions; CogVideoX licence."""
    return Preset(
        name="cogvideox-5b",
        view=ViewConfig(area=480 * 720, overview=(256, 256)),
        transformer=TransformerConfig(num_attention_heads=48, num_layers=42,
                                      use_rotary_positional_embeddings=True, positions="resized"),
        schedule=ScheduleConfig(),
        source="THUDM/CogVideoX-5b",
    )


def cogvideox_1_5_5b() -> Preset:
    """CogVideoX1.5-5B-I2V: two latents to a token, rotary positions; CogVideoX licence."""
    return Preset(
        name="cogvideox-1.5-5b",
        view=ViewConfig(area=768 * 1360, overview=(256, 256)),
        transformer=TransformerConfig(num_attention_heads=48, num_layers=42, in_channels=32, ofs_embed_dim=512,
                                      patch_size_t=2, sample_height=300, sample_width=300, sample_frames=81,
                                      use_rotary_positional_embeddings=True),
        schedule=ScheduleConfig(),
        source="THUDM/CogVideoX1.5-5B-I2V",
    )


def frame_wise(preset: Preset) -> Preset:
    """The same model for single frames, HarmoIm: eight steps with noise of their own, for one step gives the average of
    what is plausible, the same in every frame. Their noise is a little less than the paper's: all of it, and a small
    network leaves some in its answer.
    """
    return replace(preset, name=f"{preset.name}-harmoim", view=replace(preset.view, window=1), steps=8, eta=1.0,
                   temperature=0.7)


def deflickering(preset: Preset) -> Preset:
    """The same model for step 2, which steadies light: told the composite and the mask, and neither background, palette
    nor tone; in one step, for there is one answer.
    """
    return replace(preset, name=f"{preset.name}-deflicker", transformer=replace(preset.transformer, palette=False),
                   steps=1, tone=None, background=False)


PRESETS: dict[str, Callable[[], Preset]] = {
    "nano": nano,
    "small": small,
    "cogvideox-2b": cogvideox_2b,
    "cogvideox-5b": cogvideox_5b,
    "cogvideox-1.5-5b": cogvideox_1_5_5b,
}
