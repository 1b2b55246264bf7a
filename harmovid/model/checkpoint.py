"""Checkpoints: a model and the folder it is kept in.

The layout is diffusers' own, so that other programs can read the parts:

    config.json             the resolved preset; its presence marks a folder as ours
    model_index.json        which class each part is
    null_text.safetensors   what stands in the text's place
    palette_embedding.safetensors   what reads the palette, where the preset has one
    tone.safetensors        what tones the composite, where the preset has one
    scheduler/scheduler_config.json
    transformer/{config.json, diffusion_pytorch_model.safetensors}     already with the conditions' channels
    vae/{config.json, diffusion_pytorch_model.safetensors}

A published CogVideoX folder has no config.json of its own and is widened on loading. It may be given a
null_text.safetensors (one tensor, `null_text`, (1, 226, 4096)): the T5-XXL encoding of the empty prompt, made once
with the published text encoder. Without it zeros stand there, which the pretrained weights have never seen: the
network is still sound to train from, but its first steps are not quite the pretrained model's.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import diffusers
import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXTransformer3DModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from harmovid import config
from harmovid.errors import HarmoVidError, InputError, OptionError, OutputError
from harmovid.model.backbone import Backbone, TransformerConfig
from harmovid.model.codec import CausalCodec, CogVideoXCodec
from harmovid.model.names import SHIPPED, full_name
from harmovid.model.presets import PRESETS, Preset, cogvideox_1_5_5b, cogvideox_2b, cogvideox_5b
from harmovid.model.schedule import Schedule, ScheduleConfig
from harmovid.model.tone import Tone, ToneConfig

WEIGHTS = Path(__file__).parent / "weights"  # shipped with the package, a folder for each of `SHIPPED`
_WEIGHTS_FILE = "diffusion_pytorch_model.safetensors"
_NULL_TEXT = "null_text"
_PALETTE_FILE = "palette_embedding.safetensors"
_TONE_FILE = "tone.safetensors"


@dataclass(frozen=True)
class Model:
    """All that harmonizes: what `save` writes and `load` reads."""

    preset: Preset
    codec: CausalCodec | CogVideoXCodec
    backbone: Backbone
    schedule: Schedule
    tone: Tone | None = None

    def to(self, device: torch.device | str) -> Model:
        """Move it, in place, to `device`."""
        self.codec.to(device)
        self.backbone.to(device)
        self.schedule.to(device)
        if self.tone is not None:
            self.tone.to(device)
        return self


def create(preset: Preset) -> Model:
    """A fresh model of a preset of ours, with random weights.

    Raises:
        InputError: the preset begins from published weights.
    """
    if preset.codec is None:
        raise InputError(f"{preset.name} begins from published weights, not from nothing; give a folder that holds "
                         f"them, or load {preset.source} from the hub")
    codec, schedule = CausalCodec(**vars(preset.codec)), Schedule(preset.schedule)
    tone = None if preset.tone is None else Tone(preset.tone)
    return Model(preset, codec, Backbone.from_config(preset.transformer, schedule), schedule, tone)


def save(model: Model, folder: Path, dtype: torch.dtype | None = None) -> None:
    """Write `model` to `folder`, whole or not at all; a checkpoint that is there is replaced.

    Args:
        model: on any device; it stays as it is.
        folder: its parent must exist.
        dtype: what the weights are kept in, for instance torch.float16 at half the size; None is as they are.

    Raises:
        OutputError: `folder` holds something else, or cannot be written.
    """
    folder = Path(folder).resolve()
    if folder.exists() and not (folder / "config.json").is_file() and (folder.is_file() or any(folder.iterdir())):
        raise OutputError(f"{folder} exists and is not a checkpoint; name another folder, or remove it first")
    # Beside the target, so that moving it into place is one rename; what a killed run left is removed.
    partial, previous = (folder.with_name(f".{folder.name}.{kind}.part") for kind in ("new", "old"))
    try:
        for leftover in (partial, previous):
            shutil.rmtree(leftover, ignore_errors=True)
        partial.mkdir()
        _write(model, partial, dtype)
        if folder.exists():
            folder.rename(previous)
        partial.rename(folder)
        shutil.rmtree(previous, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise OutputError(f"the checkpoint {folder} cannot be written ({error})") from error


def load(path_or_name: str | Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Model:
    """Read a model, ready for inference (`eval` mode).

    Args:
        path_or_name: a preset's name, which is its weights in this package or on the hub (a folder so named is
            ./nano), or another name of weights in this package, nano-harmoim, for short harmoim, or nano-deflicker; a
            folder of ours; a published CogVideoX folder; or a hub name such as THUDM/CogVideoX-2b.
        device: where to.
        dtype: of the weights in memory, however they are kept.

    Raises:
        InputError: there is no such checkpoint, or it cannot be read.
    """
    folder, name = Path(path_or_name), full_name(str(path_or_name))
    if name in PRESETS and (preset := PRESETS[name]()).source is not None:
        return load_published(preset, preset.source, device, dtype)
    if name in (*PRESETS, *SHIPPED):
        if (inside := place(name)) != Path(name):
            return _load_ours(inside, dtype).to(device)
        raise InputError(f"this installation has no weights of {name}; train them with "
                         f"`{SHIPPED.get(name, 'harmovid train')}`, or give the folder of a checkpoint")
    if folder.is_dir():
        if (folder / "config.json").is_file():
            return _load_ours(folder, dtype).to(device)
        return load_published(None, folder, device, dtype)
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        return load_published(None, name, device, dtype)
    raise InputError(f"there is no checkpoint {name}: it is neither a folder, nor a name on the hub, nor one of "
                     f"{', '.join(dict.fromkeys((*PRESETS, *SHIPPED)))}")


def load_published(preset: Preset | None, path_or_name: str | Path, device: torch.device | str = "cpu",
                   dtype: torch.dtype = torch.float32) -> Model:
    """Read published CogVideoX weights, and widen the transformer by the conditions with zero weights.

    Args:
        preset: what to see of a clip; its transformer and schedule are replaced by those of the checkpoint. None
            is the preset of the same kind of transformer.
        path_or_name: a folder in diffusers' layout, or a hub name.

    Raises:
        InputError: as `load`, or a scheduler of an unknown kind.
    """
    try:
        values = CogVideoXDDIMScheduler.load_config(path_or_name, subfolder="scheduler")
        transformer = CogVideoXTransformer3DModel.from_pretrained(
            path_or_name, subfolder="transformer", torch_dtype=dtype)
        codec = CogVideoXCodec.from_pretrained(path_or_name, torch_dtype=dtype)
        text = _read_null_text(Path(path_or_name))
    except HarmoVidError:
        raise
    except Exception as error:  # diffusers, the hub and safetensors each have errors of their own
        raise _unreadable(path_or_name, error) from error
    settings = TransformerConfig.from_diffusers(transformer.config)
    preset = replace(preset or _kind(settings), transformer=settings, schedule=ScheduleConfig.from_diffusers(values))
    backbone = Backbone(transformer, null_text=text, positions=settings.positions)
    return Model(preset, codec.eval(), backbone.eval(), Schedule(preset.schedule)).to(device)


def _load_ours(folder: Path, dtype: torch.dtype) -> Model:
    preset = _read_preset(folder)
    try:
        codec = (CogVideoXCodec.from_pretrained(folder, torch_dtype=dtype) if preset.codec is None
                 else CausalCodec.from_pretrained(folder / "vae", torch_dtype=dtype))
        transformer = CogVideoXTransformer3DModel.from_pretrained(folder / "transformer", torch_dtype=dtype)
        text = _read_null_text(folder)
    except Exception as error:  # as in load_published
        raise _unreadable(folder, error) from error
    schedule = Schedule(preset.schedule)
    backbone = Backbone(transformer, null_text=text, positions=preset.transformer.positions, wide=True,
                        residual=schedule if preset.transformer.residual else None,
                        palette=preset.transformer.palette)
    if backbone.palette_embedding is not None:
        _read_part(backbone.palette_embedding, folder, _PALETTE_FILE)
        backbone.palette_embedding.to(dtype)
    model = Model(preset, codec.eval(), backbone.eval(), schedule, _read_tone(folder, preset))
    # A tensor that is a view of the file lies at an odd address, and sums there come out otherwise in the last bit.
    for weight in (*codec.parameters(), *backbone.parameters()):
        weight.data = weight.data.clone()
    return model


def place(path_or_name: str | Path) -> Path:
    """Where a checkpoint lies: weights in this package by their name (a folder so named is ./nano), else the folder."""
    inside = WEIGHTS / full_name(str(path_or_name))
    return inside if inside.parent == WEIGHTS and (inside / "config.json").is_file() else Path(path_or_name)


def read_tone(folder: Path, preset: Preset) -> Tone:
    """The tone of a checkpoint, as that says that it is, or of a run of `harmovid train tone`, as `preset` does.

    Raises:
        InputError: there is none in `folder`, or it is damaged or of other sizes than the preset's.
    """
    if (folder / "model_index.json").is_file():
        preset = _read_preset(folder)
    tone = Tone(preset.tone or ToneConfig())
    _read_part(tone, folder, _TONE_FILE)
    return tone.eval()


def write_tone(tone: Tone, folder: Path, dtype: torch.dtype | None = None) -> None:
    """Write what `read_tone` reads; `dtype` as in `save`."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_weights(tone, folder / _TONE_FILE, dtype)


def _read_preset(folder: Path) -> Preset:
    try:
        return config.load(Preset, folder / "config.json")
    except OptionError as error:  # a run's, or a codec's
        inner = folder / "model"
        mended = f"{inner}, for {folder} is that of a run" if (inner / "config.json").is_file() else "one that is"
        raise InputError(f"{folder} is not the folder of a checkpoint; give {mended}") from error


def _read_tone(folder: Path, preset: Preset) -> Tone | None:
    return None if preset.tone is None else read_tone(folder, preset)


def _read_part(part: nn.Module, folder: Path, name: str) -> None:
    try:
        part.load_state_dict(load_file(folder / name))
    except Exception as error:  # safetensors and torch each have errors of their own
        raise InputError(f"{folder / name} cannot be read ({_first_line(error)}); it is missing, damaged or of other "
                         "sizes than its preset's: get the folder anew, or train it again") from error


def _write(model: Model, folder: Path, dtype: torch.dtype | None) -> None:
    transformer = model.backbone.transformer
    vae = model.codec.vae if isinstance(model.codec, CogVideoXCodec) else model.codec
    for name, part in (("transformer", transformer), ("vae", vae)):
        part.save_config(folder / name)
        _forget_origin(folder / name / "config.json")
        _write_weights(part, folder / name / _WEIGHTS_FILE, dtype)
    scheduler = CogVideoXDDIMScheduler(**model.schedule.config.to_diffusers())
    scheduler.save_pretrained(folder / "scheduler")
    save_file({_NULL_TEXT: _kept(model.backbone.null_text, None)}, folder / f"{_NULL_TEXT}.safetensors")
    if model.backbone.palette_embedding is not None:
        _write_weights(model.backbone.palette_embedding, folder / _PALETTE_FILE, dtype)
    if model.tone is not None:
        write_tone(model.tone, folder, dtype)
    index = {"_class_name": "HarmoVid", "_diffusers_version": diffusers.__version__}
    for name, part in (("scheduler", scheduler), ("transformer", transformer), ("vae", vae)):
        index[name] = [type(part).__module__.split(".")[0], type(part).__name__]
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    config.save(model.preset, folder / "config.json")  # last: it makes the folder a checkpoint


def _forget_origin(path: Path) -> None:
    """Take out the folder that the part was once loaded from: nobody else's business, and wrong from now on."""
    values = json.loads(path.read_text())
    values.pop("_name_or_path", None)
    path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n")


def _write_weights(part: nn.Module, path: Path, dtype: torch.dtype | None) -> None:
    save_file({name: _kept(value, dtype) for name, value in part.state_dict().items()}, path,
              metadata={"format": "pt"})


def _kept(value: Tensor, dtype: torch.dtype | None) -> Tensor:
    return value.detach().to("cpu", dtype if value.is_floating_point() else None).contiguous()


def _read_null_text(folder: Path) -> Tensor | None:
    path = folder / f"{_NULL_TEXT}.safetensors"
    return load_file(path)[_NULL_TEXT] if path.is_file() else None  # (1, L, D)


def _kind(settings: TransformerConfig) -> Preset:
    if settings.patch_size_t is not None:
        return cogvideox_1_5_5b()
    return cogvideox_5b() if settings.use_rotary_positional_embeddings else cogvideox_2b()


def _unreadable(path_or_name: str | Path, error: Exception) -> InputError:
    if Path(path_or_name).is_dir():
        return InputError(f"{path_or_name} cannot be read as a checkpoint ({_first_line(error)}); it needs scheduler/, "
                          f"transformer/ and vae/ in diffusers' layout, whole")
    return InputError(f"{path_or_name} is no folder here and could not be read from the hub ({_first_line(error)}); "
                      f"download it where there is a network, and give the folder")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
