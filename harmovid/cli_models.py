"""What --model and --device name, made ready for the commands: networks, methods, segmenters."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harmovid.errors import InputError, OptionError
from harmovid.model.names import SHIPPED, STEADY, full_name
from harmovid.screen import Report, note

if TYPE_CHECKING:
    from harmovid.data.pairs import ImageModel
    from harmovid.infer.plan import Options
    from harmovid.infer.views import Harmonizer
    from harmovid.model.checkpoint import Model

    Telling = Callable[[Report, Options], Harmonizer]


class Segmenter(StrEnum):
    """Words of harmovid matte --model."""

    selfie = "selfie"
    rembg = "rembg"


class Device(StrEnum):
    """Words of --device."""

    cpu = "cpu"
    cuda = "cuda"


Where = Annotated[Device, typer.Option(help="What is not there is replaced by what is.")]


def harmonizer(model: str, steps: int | None, device: str) -> tuple[Telling, list[str]]:
    """The harmonizer, once it is told whom to tell of its progress, and the options; and what is to be noted.

    Args:
        model: a network by name or folder, or a classical method.
        steps: of sampling; None for the network's own.
        device: cpu or cuda; where that is not there, the processor serves.

    Raises:
        OptionError: there is no such model, or it takes no steps.
        InputError: the network steadies light; its weights cannot be read.
    """
    from harmovid.baselines import classical

    try:
        method = classical.by_name(model)
    except OptionError as error:
        if full_name(model) not in SHIPPED and not Path(model).is_dir():
            relighting = ", ".join(name for name in SHIPPED if name != STEADY)
            raise OptionError(f"{error}; a network is {relighting}, or the folder of a checkpoint") from error
        return network(model, steps, device, relights=True)
    if steps is not None:
        raise OptionError(f"--steps is a network's, and the {model} model is none; leave it out, or pass --model nano")
    remark = f"the {model} model runs on the processor; --device cuda has no effect"
    return lambda report, options: method, [remark] if device == "cuda" else []


def network(model: str, steps: int | None, device: str, *, relights: bool) -> tuple[Telling, list[str]]:
    """As `harmonizer`, of a network; `relights` is whether it is to relight, or to steady."""
    import torch

    from harmovid.infer import framewise
    from harmovid.model import checkpoint

    remarks = []
    if device == "cuda" and not torch.cuda.is_available():
        device = "cpu"
        remarks.append("there is no CUDA device here: the network ran on the processor")
    made = framewise.harmonizer(_for(checkpoint.load(model, device), model, relights), steps, device)

    def telling(report: Report, options: Options) -> Harmonizer:
        made.progress, made.overlap = report, options.overlap
        return made

    return telling, remarks


def _for(made: Model, name: str, relights: bool) -> Model:
    """The model, where it is one that relights, or one that steadies light, as it is wanted."""
    if made.preset.background != relights:
        raise InputError(f"the model {name} steadies light and relights nobody; run `harmovid deflicker` with "
                         "it, or give another --model" if relights else
                         f"the model {name} relights people and was not trained to steady light; give --model "
                         "nano-deflicker, or the folder of one that was, of `harmovid train deflicker`")
    return made


def segmenter(model: Segmenter) -> Any:
    """What makes masks.

    Raises:
        MissingExtra: the library that it needs is not installed.
    """
    from harmovid.composite.segment import PersonSegmenter, RembgSegmenter

    return PersonSegmenter(num_threads=2) if model is Segmenter.selfie else RembgSegmenter()


def image_model(model: str | None, stable: Path | None, prompt: str | None, steps: int | None,
                 device: str) -> ImageModel:
    """One of ours that relights, by name or folder, in 8 steps where nothing is said, or IC-Light of a folder."""
    if stable is not None:
        from harmovid.baselines import iclight

        return iclight.IcLight(stable, steps or iclight.STEPS, device, prompt or iclight.PROMPT)
    from harmovid.infer.framewise import FrameWise
    from harmovid.model import checkpoint

    return FrameWise(_for(checkpoint.load(str(model), device), str(model), True), steps or 8, 1.0, device)


def deflickerer(model: str, steps: int | None, device: str) -> Harmonizer:
    """A network that steadies light, by name or folder, or blind deflickering, which takes no steps."""
    if model == "bvd":
        from harmovid.baselines.bvd import BlindDeflickering

        if steps is not None:
            raise OptionError("--steps is a sampled network's, and bvd is none; leave it out")
        return BlindDeflickering(device=device)
    from harmovid.infer import framewise
    from harmovid.model import checkpoint

    return framewise.harmonizer(_for(checkpoint.load(model, device), model, False), steps, device)


def there(device: Device) -> str:
    """The device, or what is there in its place, which is then noted."""
    import torch

    if device is Device.cuda and not torch.cuda.is_available():
        note("there is no CUDA device here: the processor serves")
        return "cpu"
    if device is Device.cuda and (rank := os.environ.get("LOCAL_RANK")) is not None:  # one process of several
        return f"cuda:{int(rank) % torch.cuda.device_count()}"
    return device.value
