"""The commands that train: `harmovid train`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from harmovid import cli_models
from harmovid.cli_models import Device, Where
from harmovid.screen import bars, errors_as_sentences, say

train = typer.Typer(no_args_is_help=True, help="Train the networks.")

_STOPPED = "go on with --resume; what was done since the last state is done again"

Preset = Annotated[str | None, typer.Option(help="Size of the model: nano (the default), small, cogvideox-2b … A run "
                                                 "that is resumed has its own.")]
Shards = Annotated[Path, typer.Option("--data", help="Folder of shards: what `harmovid data shards` made.")]
Out = Annotated[Path, typer.Option("-o", "--out", help="Folder of the run: config.json, log.jsonl, sheets/, state/, "
                                   "and in the end model/.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where the run was stopped, with its own settings; begin "
                                      "where there is none.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="A setting, e.g. loop.steps=2000 or stage.flat=0; "
                                                    "all of them stand in the run's config.json.")]
Codec = Annotated[Path, typer.Option(help="The codec: model/ of a run of `harmovid train codec`, or a checkpoint, "
                                          "such as nano.")]
Tone = Annotated[Path | None, typer.Option(help="The tone: model/ of a run of `harmovid train tone`, or a checkpoint, "
                                                 "such as nano; for presets that have one.")]
Init = Annotated[str | None, typer.Option(help="A checkpoint to begin from in place of nothing: a folder, or nano.")]
Pairs = Annotated[list[Path] | None, typer.Option(help="Pseudo-pairs of these shards, refined or not, to learn from "
                                                  "too: what `harmovid data pairs` made. May be given more than once.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Of everything random. Default: 0.")]


@train.command()
def codec(
    data: Shards,
    out: Out,
    preset: Preset = None,
    resume: Resume = False,
    device: Where = Device.cpu,
    set_: Settings = None,
    seed: Seed = None,
) -> None:
    """Train the codec, which turns video into latents and back.

    Example: `harmovid train codec --preset nano --data shards/ --out out/codec --set loop.steps=4000`
    """
    from harmovid.train import recipe

    _train(recipe.CodecRecipe, recipe.train_codec, preset, data, out, resume, device, set_, seed)


@train.command()
def tone(
    data: Shards,
    out: Out,
    preset: Preset = None,
    resume: Resume = False,
    device: Where = Device.cpu,
    set_: Settings = None,
    seed: Seed = None,
) -> None:
    """Train the tone, which corrects what is one for the whole person before the harmonizer sees them.

    Example: `harmovid train tone --data shards/ --out out/tone --set loop.minutes=15`
    """
    from harmovid.train import recipe

    _train(recipe.ToneRecipe, recipe.train_tone, preset, data, out, resume, device, set_, seed)


@train.command()
def harmonize(
    data: Shards,
    out: Out,
    codec: Codec,
    tone: Tone = None,
    init: Init = None,
    pairs: Pairs = None,
    preset: Preset = None,
    resume: Resume = False,
    device: Where = Device.cpu,
    set_: Settings = None,
    seed: Seed = None,
) -> None:
    """Train the harmonizer on latents of a trained codec; with pseudo-pairs, step 3 of the method.

    Example: `harmovid train harmonize --data shards/ --pairs pairs/ --out out/both --codec nano --tone nano`
    """
    from harmovid.train import recipe

    _train(recipe.HarmonizeRecipe, recipe.train_harmonizer, preset, data, out, resume, device, set_, seed,
           codec=codec, tone=tone, init=init, pairs=pairs or [])


@train.command()
def harmoim(
    data: Shards,
    out: Out,
    codec: Codec,
    tone: Tone = None,
    init: Init = None,
    preset: Preset = None,
    resume: Resume = False,
    device: Where = Device.cpu,
    set_: Settings = None,
    seed: Seed = None,
) -> None:
    """Train the harmonizer of single frames, which is sampled in steps with noise of its own for each frame.

    Example: `harmovid train harmoim --data shards/ --out out/harmoim --codec nano --tone nano --init nano`
    """
    from harmovid.train import recipe

    _train(recipe.HarmoimRecipe, recipe.train_harmonizer, preset, data, out, resume, device, set_, seed,
           codec=codec, tone=tone, init=init)


@train.command()
def deflicker(
    data: Shards,
    out: Out,
    codec: Codec,
    init: Init = None,
    pairs: Pairs = None,
    preset: Preset = None,
    resume: Resume = False,
    device: Where = Device.cpu,
    set_: Settings = None,
    seed: Seed = None,
) -> None:
    """Train the network that steadies light, on clips whose light is made to jump, and to move.

    Example: `harmovid train deflicker --data shards/ --out out/deflicker --codec nano --init nano`
    """
    from harmovid.train import recipe

    _train(recipe.DeflickerRecipe, recipe.train_deflicker, preset, data, out, resume, device, set_, seed,
           codec=codec, init=init, pairs=pairs or [])


def _train(kind: type[Any], run: Callable[..., dict[str, float]], preset: str | None, data: Path, out: Path,
           resume: bool, device: Device, settings: list[str] | None, seed: int | None, **more: Any) -> None:
    """What the stages' commands share; `more` is for `run` alone."""
    with errors_as_sentences(_STOPPED):
        from harmovid.train.recipe import resolve

        there = cli_models.there(device)
        chosen = resolve(kind, preset, out, settings or [], seed=seed, device=there, resume=resume)
        with bars() as progress:
            figures = run(chosen, data, out, device=there, resume=resume, progress=progress, **more)
        if figures:  # of several processes the first alone has them
            say(f"wrote {out / 'model'}: " + ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))
