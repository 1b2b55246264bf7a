"""Recipes: all that a training run depends on beside its footage, and the run by one.

A run is a folder: config.json (its recipe, resolved), origin.json (what else it began with), log.jsonl, sheets/, state/
(to resume from), model/.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from harmovid import config
from harmovid.data.dataset import Footage
from harmovid.data.relighting import MANIFEST
from harmovid.errors import InputError, OptionError, OutputError
from harmovid.model import checkpoint
from harmovid.model.backbone import Backbone
from harmovid.model.codec import CausalCodec, Codecs, CogVideoXCodec
from harmovid.model.presets import PRESETS, Preset, deflickering, frame_wise
from harmovid.model.schedule import Schedule
from harmovid.model.tone import Tone
from harmovid.train.codec import Codec, CodecStage
from harmovid.train.deflicker import Deflicker, DeflickerStage
from harmovid.train.harmoim import Harmoim, HarmoimStage
from harmovid.train.harmonize import Harmonize, HarmonizeStage
from harmovid.train.loop import LoopConfig, Task, train
from harmovid.train.origin import Origin
from harmovid.train.stages import Length
from harmovid.train.tone import ToneStage, ToneTask

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class CodecRecipe:
    """How a codec is trained."""

    preset: Preset
    loop: LoopConfig = LoopConfig()
    stage: CodecStage = field(default_factory=CodecStage)


@dataclass(frozen=True)
class HarmonizeRecipe:
    """How a harmonizer is trained."""

    preset: Preset
    loop: LoopConfig = LoopConfig()
    stage: HarmonizeStage = field(default_factory=HarmonizeStage)


@dataclass(frozen=True)
class HarmoimRecipe:
    """How a harmonizer of single frames is trained."""

    preset: Preset
    loop: LoopConfig = LoopConfig()
    stage: HarmoimStage = field(default_factory=HarmoimStage)


@dataclass(frozen=True)
class DeflickerRecipe:
    """How a deflickering network is trained."""

    preset: Preset
    loop: LoopConfig = LoopConfig()
    stage: DeflickerStage = field(default_factory=DeflickerStage)


@dataclass(frozen=True)
class ToneRecipe:
    """How a tone is trained."""

    preset: Preset
    loop: LoopConfig = LoopConfig()
    stage: ToneStage = field(default_factory=ToneStage)


Recipe = TypeVar("Recipe", CodecRecipe, HarmonizeRecipe, HarmoimRecipe, DeflickerRecipe, ToneRecipe)
AnyRecipe = CodecRecipe | HarmonizeRecipe | HarmoimRecipe | DeflickerRecipe | ToneRecipe


_CHANGED: dict[type[Any], Callable[[Preset], Preset]] = {HarmoimRecipe: frame_wise, DeflickerRecipe: deflickering}


def resolve(kind: type[Recipe], preset: str | None, out: Path, assignments: Sequence[str] = (), *,
            seed: int | None = None, device: str = "cpu", resume: bool = False) -> Recipe:
    """The recipe of a run: its defaults, or what a run that is resumed began with, and what is changed of that.

    Args:
        preset: a name in `presets.PRESETS`; None is that of the run that is resumed, else nano.
        out: folder of the run.
        assignments: as "loop.steps=100", "stage.flat=0", "preset.transformer.num_layers=6".
        seed: of everything random; the recipe's own where None.
        device: a new run on cuda computes in bf16.
        resume: go on with the run in `out`, where there is one.

    Raises:
        OptionError: unknown preset or setting, settings that exclude each other, or another preset than the run's.
    """
    if preset is not None and preset not in PRESETS:
        raise OptionError(f"there is no preset {preset!r}; choose one of {', '.join(PRESETS)}")
    begun = _CHANGED.get(kind, lambda preset: preset)(PRESETS[preset or "nano"]())
    if resume and _record(out).is_file():
        recipe = config.load(kind, _record(out))
        if preset is not None and recipe.preset.name != begun.name:
            raise OptionError(f"the run in {out} is of the preset {recipe.preset.name}, not {begun.name}; leave out "
                              "--preset to go on with it, or --resume, and name another --out")
    else:
        recipe = kind(begun, LoopConfig(precision="bf16" if device.startswith("cuda") else "no"))
        if begun.codec is None:
            recipe = _tuned(recipe)
    if seed is not None:
        recipe = replace(recipe, loop=replace(recipe.loop, seed=seed))
    recipe = config.override(recipe, list(assignments))
    if recipe.preset.transformer.residual and recipe.preset.schedule.prediction != "v_prediction":
        raise OptionError("a network that predicts the noise cannot begin from the composite; pass --set "
                          "preset.transformer.residual=false with --set preset.schedule.prediction=epsilon")
    return recipe


def _tuned(recipe: Recipe) -> Recipe:
    """The defaults of a recipe that begins from published weights: whole windows, a clip at a time, small steps."""
    preset = recipe.preset
    if isinstance(recipe, CodecRecipe | ToneRecipe):
        raise OptionError(f"{preset.name} has a codec of its own, and no tone; choose one of "
                          f"{', '.join(name for name in PRESETS if PRESETS[name]().codec)}")
    if preset.transformer.patch_size_t is not None and preset.view.window == 1:
        raise OptionError(f"{preset.name} takes two latents at a time, and no single frames; choose cogvideox-2b or "
                          "cogvideox-5b")
    stage: Any = replace(recipe.stage, lengths=(Length(preset.view.window, 1, 1.0),), checkpointing=True)
    loop = replace(recipe.loop, lr=2e-5, warmup=100, weight_decay=1e-3, validate_every=500, save_every=500, divide=True)
    return replace(recipe, stage=stage, loop=loop)


def train_codec(recipe: CodecRecipe, data: Path, out: Path, *, device: str = "cpu", resume: bool = False,
                progress: Report = lambda stage, done, total: None) -> dict[str, float]:
    """Train a codec; out/model is then a folder that `train_harmonizer` takes.

    Args:
        data: folder of shards, train/ and validation/.
        out: folder of the run, new or empty unless it is resumed.
        device: cpu or cuda.

    Returns:
        The last validation figures.

    Raises:
        OutputError, InputError: as `loop.train` and `Footage.read`.
    """
    _check_new(out, resume)
    task = Codec(recipe.preset, *_footage(recipe.preset, data, device, progress), recipe.stage, recipe.loop.seed)
    return _run(task, recipe, out, device, progress)


def train_tone(recipe: ToneRecipe, data: Path, out: Path, *, device: str = "cpu", resume: bool = False,
               progress: Report = lambda stage, done, total: None) -> dict[str, float]:
    """Train a tone; out/model is then a folder that `train_harmonizer` takes.

    Args:
        data, out, device, resume, progress: as in `train_codec`.

    Returns:
        The last validation figures.

    Raises:
        OptionError: the preset has no tone.
        OutputError, InputError: as `train_codec`.
    """
    if recipe.preset.tone is None:
        raise OptionError(f"the preset {recipe.preset.name} tones nothing; go on with `harmovid train harmonize`")
    _check_new(out, resume)
    task = ToneTask(recipe.preset, *_footage(recipe.preset, data, device, progress), recipe.stage, recipe.loop.seed)
    return _run(task, recipe, out, device, progress)


def train_harmonizer(recipe: HarmonizeRecipe | HarmoimRecipe, data: Path, out: Path, *, codec: Path,
                     tone: Path | None = None, init: str | None = None, pairs: Sequence[Path] = (),
                     device: str = "cpu", resume: bool = False,
                     progress: Report = lambda stage, done, total: None) -> dict[str, float]:
    """Train a harmonizer, of clips or of single frames as the recipe is; out/model is then a checkpoint for `harmovid
    harmonize --model`.

    Args:
        data, out, device, resume, progress: as in `train_codec`.
        codec: folder of a trained codec; or a checkpoint, a folder or a name, whose codec serves.
        tone: so too of a trained tone; None where the preset has none.
        init: name or folder of a checkpoint whose transformer is where this one begins; from nothing where None.
        pairs: folders of pseudo-pairs of `data`'s clips, each with train/ or validation/ or both; refined or not.

    Returns:
        The last validation figures.

    Raises:
        OutputError: as `train_codec`.
        InputError: so too; or codec or checkpoint cannot be read, or are not of this preset; or there are no pairs,
            or they are of other clips.
    """
    _check_new(out, resume)
    coder = _read_codec(codec, recipe.preset)
    preset, begun = _beginning(init, recipe.preset, device)
    toning = _read_tone(tone, preset)
    preset = preset if toning is None else replace(preset, tone=toning.config)  # a checkpoint's own
    footage = _footage(preset, data, device, progress, pairs)
    kind = Harmoim if isinstance(recipe, HarmoimRecipe) else Harmonize
    origin = Origin.of(coder, toning, pairs)
    task = kind(_seen(preset, footage[0]), coder, *footage, recipe.stage, recipe.loop.seed, begun, toning)
    return _run(task, recipe, out, device, progress, origin)


def train_deflicker(recipe: DeflickerRecipe, data: Path, out: Path, *, codec: Path, init: str | None = None,
                    pairs: Sequence[Path] = (), device: str = "cpu", resume: bool = False,
                    progress: Report = lambda stage, done, total: None) -> dict[str, float]:
    """Train a deflickering network; out/model is then a checkpoint for `harmovid deflicker --model`.

    Args:
        data, out, codec, init, device, resume, progress: as in `train_harmonizer`.
        pairs: as there, to learn from beside made flicker; those of train/ alone.

    Returns:
        The last validation figures.

    Raises:
        OutputError, InputError: as `train_harmonizer`; or there are no clips.
    """
    _check_new(out, resume)
    coder = _read_codec(codec, recipe.preset)
    preset, begun = _beginning(init, recipe.preset, device)
    footage = _footage(preset, data, device, progress, pairs)
    origin = Origin.of(coder, None, pairs)
    task = Deflicker(_seen(preset, footage[0]), coder, *footage, recipe.stage, recipe.loop.seed, begun)
    return _run(task, recipe, out, device, progress, origin)


def _run(task: Task, recipe: AnyRecipe, out: Path, device: str, progress: Report,
         origin: Origin | None = None) -> dict[str, float]:
    if origin is not None:
        origin.check(out)

    def begun() -> None:  # not before: of a state that the recipe does not fit, the old one is right
        if _first():
            config.save(recipe, _record(out))
            if origin is not None:
                origin.keep(out)

    # Whether it is a new one was checked before.
    return train(task, recipe.loop, out, resume=True, device=device, progress=progress, begun=begun)


def _record(out: Path) -> Path:
    return out / "config.json"


def _first() -> bool:
    """Whether this is the first of the processes that train together, or the only one."""
    return int(os.environ.get("RANK", "0")) == 0


def _check_new(out: Path, resume: bool) -> None:
    """Before the footage is read, which takes a while; of several processes the first looks, and then writes."""
    if not resume and _first() and out.exists() and (out.is_file() or any(out.iterdir())):
        raise OutputError(f"{out} holds a run already; pass --resume to go on with it, or another --out")


def _footage(preset: Preset, data: Path, device: str, progress: Report,
             pairs: Sequence[Path] = ()) -> tuple[Footage, Footage]:
    for folder in pairs:
        some = any(path for split in ("train", "validation") for path in (folder / split).glob("*.zip"))
        if not some and not (folder / MANIFEST).is_file():  # of refined ones none may have been kept
            raise InputError(f"there are no pairs in {folder}; give a folder that `harmovid data pairs` or "
                             "`data refine` made")
    if pairs and not any(path for folder in pairs for path in (folder / "train").glob("*.zip")):
        raise InputError(f"there are no pairs in {' and '.join(str(folder / 'train') for folder in pairs)}; make them "
                         "with `harmovid data pairs`")
    home = "cpu" if preset.codec is None else None  # beside published weights a GPU has no room for footage
    train, validation = (Footage.read(data / split, device, progress, [folder / split for folder in pairs], home=home)
                         for split in ("train", "validation"))
    if train.overview != validation.overview:
        raise InputError(f"shards for training have overviews of {train.overview} pixels, those for validation of "
                         f"{validation.overview}; make all of them with one --overview of `harmovid data shards`")
    return train, validation


def _seen(preset: Preset, footage: Footage) -> Preset:
    """The preset with the overview that shards have."""
    return replace(preset, view=replace(preset.view, overview=(footage.overview, footage.overview)))


def _read_codec(folder: Path, preset: Preset) -> Codecs:
    folder = checkpoint.place(folder)
    if preset.codec is None:
        try:
            found = CogVideoXCodec.from_pretrained(folder)
            if any(weight.is_meta for weight in found.parameters()):  # of another kind, diffusers leaves them out
                raise ValueError("its weights are another codec's")
            return found
        except Exception as error:  # diffusers and safetensors each have errors of their own
            raise InputError(f"{folder} cannot be read as CogVideoX's codec; give the folder of the published weights, "
                             "the one with vae/") from error
    inner = folder / "vae"
    try:
        codec = CausalCodec.from_pretrained(inner if inner.is_dir() else folder)
    except Exception as error:  # diffusers and safetensors each have errors of their own
        raise InputError(f"{folder} cannot be read as a codec; give the model/ of a run of `harmovid train codec`, or "
                         "a checkpoint of such a one") from error
    wanted = config.to_dict(preset.codec)
    if {name: codec.config.get(name) for name in wanted} != wanted:
        raise InputError(f"the codec in {folder} is of other sizes than the preset {preset.name}'s; train one with "
                         f"`harmovid train codec --preset {preset.name}`")
    return codec


def _read_tone(folder: Path | None, preset: Preset) -> Tone | None:
    if (folder is None) != (preset.tone is None):
        raise OptionError(f"the preset {preset.name} tones composites before the network sees them; pass --tone, the "
                          "model/ of a run of `harmovid train tone`, or a checkpoint" if folder is None else
                          f"the preset {preset.name} tones nothing; leave out --tone")
    return None if folder is None else checkpoint.read_tone(checkpoint.place(folder), preset)


def _beginning(init: str | None, preset: Preset, device: str) -> tuple[Preset, Backbone | None]:
    """What a run begins from, and its preset: sizes and schedule of published weights are those of their folder."""
    if preset.codec is not None:
        return preset, None if init is None else _read_backbone(init, preset, device)
    if init is None:
        raise OptionError(f"{preset.name} begins from published weights; pass --init, their folder or hub name")
    model = checkpoint.load(init, device)
    if model.preset.source != preset.source:
        raise InputError(f"the transformer of {init} is of the kind of {model.preset.source or model.preset.name}, the "
                         f"preset {preset.name} of {preset.source}; name the preset that it is of")
    return replace(preset, transformer=model.preset.transformer, schedule=model.preset.schedule), model.backbone


def _read_backbone(init: str, preset: Preset, device: str) -> Backbone:
    model = checkpoint.load(init, device)
    found = model.preset.transformer
    if not preset.transformer.palette:  # what read it is left behind, the rest fits
        found, model.backbone.palette_embedding = replace(found, palette=False), None
    if found != preset.transformer:
        raise InputError(f"the transformer of {init} is of other sizes than the preset {preset.name}'s; leave out "
                         "--init, or name the preset that it is of")
    if model.preset.schedule.prediction != preset.schedule.prediction:
        raise InputError(f"the transformer of {init} predicts {model.preset.schedule.prediction}, this run is to "
                         f"predict {preset.schedule.prediction}; leave out --init, or begin from one that does")
    if preset.transformer.residual:  # by the noise that this run adds, as the checkpoint that it writes will have it
        model.backbone.residual = Schedule(preset.schedule).to(device)
    return model.backbone
