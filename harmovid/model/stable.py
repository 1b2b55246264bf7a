"""IC-Light's background-conditioned model on Stable Diffusion 1.5, read from a folder.

    unet/ vae/ text_encoder/ tokenizer/ scheduler/     Stable Diffusion 1.5 in diffusers' layout
    iclight_sd15_fbc.safetensors                       what IC-Light adds to its UNet's weights

IC-Light (Zhang, Rao, Agrawala, "Scaling In-the-Wild Training for Diffusion-based Illumination Harmonization and
Editing by Imposing Consistent Light Transport", ICLR 2025) widens the UNet's first convolution from 4 channels to 12:
the noisy latents, those of the person on grey, those of the background. Its published file holds offsets.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file
from torch import Tensor, nn

from harmovid.errors import HarmoVidError, InputError
from harmovid.model.quiet import quiet_loading
from harmovid.model.schedule import Schedule, ScheduleConfig

OFFSETS = "iclight_sd15_fbc.safetensors"
CHANNELS = 12  # of the UNet's input: noisy, person, background


@dataclass(frozen=True)
class StableRelighter:
    """The parts, ready for use. prompts: (2, L, D), the encoded prompt and the encoded negative one."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    prompts: Tensor
    schedule: Schedule

    @property
    def multiple(self) -> int:
        """Both sides of a picture divide by this: 64 of the published model."""
        vae, unet = (len(part.config.block_out_channels) - 1 for part in (self.vae, self.unet))
        return int(2 ** (vae + unet))

    def encode(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) in [−1, 1] to latents (N, 4, H / 8, W / 8); the mode, not a sample."""
        coded = self.vae.encode(pictures.to(self.vae.dtype)).latent_dist.mode()  # (N, 4, h, w)
        return (coded * self.vae.config.scaling_factor).float()  # (N, 4, h, w)

    def decode(self, latents: Tensor) -> Tensor:
        """(N, 4, h, w) to (N, 3, H, W), about [−1, 1]."""
        scaled = (latents / self.vae.config.scaling_factor).to(self.vae.dtype)  # (N, 4, h, w)
        return self.vae.decode(scaled).sample.float()  # (N, 3, H, W)

    def predict(self, noisy: Tensor, person: Tensor, background: Tensor, t: int, guidance: float) -> Tensor:
        """The predicted noise with classifier-free guidance; all (N, 4, h, w), latents.

        ε = ε(negative) + guidance · (ε(prompt) − ε(negative)) (Ho and Salimans 2022, arXiv 2207.12598).
        """
        seen = torch.cat([noisy, person, background], 1).repeat(2, 1, 1, 1)  # (2 N, 12, h, w)
        told = self.prompts.repeat_interleave(len(noisy), 0)  # (2 N, L, D)
        steps = torch.full((len(seen),), t, device=seen.device)  # (2 N,)
        both = self.unet(seen.to(self.unet.dtype), steps, encoder_hidden_states=told).sample.float()  # (2 N, 4, h, w)
        wanted, unwanted = both.chunk(2)
        return unwanted + guidance * (wanted - unwanted)  # (N, 4, h, w)


def is_stable(folder: Path) -> bool:
    """Whether a folder has this layout."""
    return (folder / "unet" / "config.json").is_file()


def load_stable(folder: Path, prompt: str, negative: str, device: torch.device | str = "cpu",
                dtype: torch.dtype = torch.float32) -> StableRelighter:
    """Read the model; the text encoder is asked once and let go.

    Args:
        folder: see the top of this module. Where the UNet has 12 channels already, no offsets are needed.
        prompt, negative: what the picture is to be, and not to be.

    Raises:
        InputError: a part is missing, damaged, or of other sizes.
    """
    if not is_stable(folder):
        raise InputError(f"{folder} is no Stable Diffusion folder: it lacks unet/config.json; expected unet/, vae/, "
                         f"text_encoder/, tokenizer/, scheduler/, and {OFFSETS} of IC-Light")
    try:
        with quiet_loading():
            unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet", torch_dtype=dtype)
            vae = AutoencoderKL.from_pretrained(folder, subfolder="vae", torch_dtype=dtype)
            prompts = _encode(folder, [prompt, negative])
        schedule = _schedule(json.loads((folder / "scheduler" / "scheduler_config.json").read_text()))
    except HarmoVidError:
        raise
    except Exception as error:  # diffusers, transformers and safetensors each have errors of their own
        raise InputError(f"{folder} cannot be read ({_first_line(error)}); it needs unet/, vae/, text_encoder/, "
                         "tokenizer/ and scheduler/ of Stable Diffusion 1.5, whole") from error
    if unet.config.in_channels != CHANNELS:
        widen(unet)
        _add(unet, folder / OFFSETS)
    return StableRelighter(unet.eval().to(device), vae.eval().to(device), prompts.to(device, dtype),
                           schedule.to(device))


def widen(unet: UNet2DConditionModel) -> None:
    """Give the first convolution 12 channels, in place; what the new eight hold has no say yet."""
    old = unet.conv_in
    wide = nn.Conv2d(CHANNELS, old.out_channels, old.kernel_size, old.stride, old.padding).to(old.weight)
    with torch.no_grad():
        wide.weight.zero_()
        wide.weight[:, : old.in_channels] = old.weight
        wide.bias = old.bias
    unet.conv_in = wide
    unet.register_to_config(in_channels=CHANNELS)


def _add(unet: UNet2DConditionModel, path: Path) -> None:
    try:
        offsets = load_file(path)
    except Exception as error:  # as in load_stable
        raise InputError(f"{path} cannot be read ({_first_line(error)}); put the published file there: it is added to "
                         "the UNet's weights") from error
    weights = unet.state_dict()
    sizes = {name: tuple(value.shape) for name, value in weights.items()}
    if {name: tuple(value.shape) for name, value in offsets.items()} != sizes:
        found = tuple(offsets["conv_in.weight"].shape) if "conv_in.weight" in offsets else "absent"
        raise InputError(f"{path} is not of this UNet: it has {len(offsets)} weights, the UNet {len(weights)}, and its "
                         f"conv_in.weight is {found}, expected {sizes['conv_in.weight']}; give the "
                         "background-conditioned model's file (fbc) and the UNet that it was made for")
    unet.load_state_dict({name: value + offsets[name].to(value) for name, value in weights.items()})


@torch.inference_mode()
def _encode(folder: Path, prompts: list[str]) -> Tensor:
    """(N, L, D) float32."""
    from transformers import CLIPTextModel, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", torch_dtype=torch.float32).eval()
    length = encoder.config.max_position_embeddings
    tokens = tokenizer(prompts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    hidden: Tensor = encoder(tokens.input_ids).last_hidden_state  # (N, L, D)
    return hidden


def _schedule(values: dict[str, object]) -> Schedule:
    """Stable Diffusion's own: the last step is not quite noise, and the first not quite clean."""
    kind = values.get("beta_schedule", "scaled_linear"), values.get("prediction_type", "epsilon")
    if kind != ("scaled_linear", "epsilon"):
        raise InputError(f"the scheduler has betas {kind[0]!r} and predicts {kind[1]!r}; expected scaled_linear and "
                         "epsilon, those of Stable Diffusion 1.5")
    return Schedule(ScheduleConfig("epsilon", 1.0, False, int(str(values.get("num_train_timesteps", 1000))),
                                   float(str(values.get("beta_start", 0.00085))),
                                   float(str(values.get("beta_end", 0.012)))))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
