"""The commands that make training data: `harmovid data`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harmovid import cli_models
from harmovid.cli_models import Device, Where
from harmovid.errors import InputError, OptionError
from harmovid.screen import bars, errors_as_sentences, note, say

data = typer.Typer(no_args_is_help=True, help="Make training data.")


class Split(StrEnum):
    """Words of --split."""

    train = "train"
    validation = "validation"
    test = "test"


Part = Annotated[str, typer.Option(help="i/n: only every n-th from i on, for n machines that share the work.")]
Seed = Annotated[int, typer.Option(min=0, help="Of everything random.")]
Processes = Annotated[int, typer.Option(help="At work at the same time, each of one thread.")]


@data.command()
def shards(
    footage: Annotated[Path, typer.Argument(help="Folder with portraits_video/ and portraits_photo/, or of takes of "
                                            "the light stage: what `harmovid data lightstage` made.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Where shards go: OUT/SPLIT/NAME.zip. What is there already "
                                      "is left.")],
    split: Annotated[list[Split] | None, typer.Option(help="Which part of the split list; may be given more than once. "
                                                      "Default: all three.")] = None,
    photos: Annotated[bool, typer.Option(help="Photos as well as clips.")] = True,
    limit: Annotated[int | None, typer.Option(help="Only the first so many files of each part.")] = None,
    lights: Annotated[int, typer.Option(help="Of each take of the light stage.")] = 8,
    area: Annotated[int, typer.Option(help="Pixels that the person takes of real footage, at most: somewhat more than "
                                      "the views of what is trained on it.")] = 136 * 136,
    overview: Annotated[int, typer.Option(help="Side of the overview of each background, pixels: 64 for nano and "
                                          "small, 256 for CogVideoX's weights.")] = 64,
    processes: Processes = 1,
) -> None:
    """Make shards of real footage, small pictures of person, mask and filled background, to train on; or of takes of
    the light stage, each in some lights.

    Example: `harmovid data shards footage/ -o shards/ --processes 4`
    """
    with errors_as_sentences("run it again to go on; shards that are whole are left"):
        from harmovid.data.develop import develop_takes, is_stage
        from harmovid.data.pack import pack_footage

        with bars() as progress:
            if is_stage(footage):
                packed = develop_takes(footage, out, lights, limit=limit, overview=overview, processes=processes,
                                       progress=progress)
            else:
                packed = pack_footage(footage, out, split or list(Split), photos=photos, limit=limit,
                                      area=area, overview=overview, processes=processes, progress=progress)
        if packed.absent:
            note(f"{packed.absent} files of the split list are not in {footage}")
        say(f"wrote {packed.made} shards to {out}; {packed.kept} were there")
        for file, wrong in packed.failed.items():
            note(f"{file}: {wrong}")
        if packed.failed:
            tried = packed.made + len(packed.failed)
            raise InputError(f"{len(packed.failed)} of {tried} files gave no shard, see above; mend or remove them, "
                             "and run it again")


@data.command()
def lightstage(
    out: Annotated[Path, typer.Option("-o", "--out", help="Where takes go: OUT/train, OUT/validation, OUT/sheets. What "
                                      "is there already is left.")],
    count: Annotated[int, typer.Option(help="Takes for training; a twentieth as many more are for validation.")],
    frames: Annotated[int, typer.Option(help="Frames of each take, 24 a second.")] = 24,
    height: Annotated[int, typer.Option(help="Height of the picture, pixels.")] = 128,
    hdri: Annotated[Path | None, typer.Option(help="Folder of HDR maps; those that the split list names are copied to "
                                              "the takes, to light them.")] = None,
    light: Annotated[Path | None, typer.Option(help="An HDR map, whose lamps or sun are filmed each by itself: sharp "
                                               "shadows under this map, as it stands.")] = None,
    scan: Annotated[list[Path] | None, typer.Option(help="A scanned head, NAME.obj with NAME_color.jpg beside it, for "
                                                    "training too; may be given again.")] = None,
    upturned: Annotated[bool, typer.Option("--upturned", help="The scans count v from the top of the picture, as "
                                           "glTF does.")] = False,
    processes: Processes = 1,
) -> None:
    """Film people of the light stage, who can be relit exactly under any light, to train on.

    Example: `harmovid data lightstage --count 300 --out stage/ --hdri hdri/ --processes 2`
    """
    with errors_as_sentences("run it again to go on; takes that are whole are left"):
        from harmovid.data.filming import Filming, film_takes

        with bars() as progress:
            wanted = Filming(count, frames, height, scans=tuple(scan or ()), upturned=upturned, light=light)
            made = film_takes(out, wanted, hdri=hdri, processes=processes, progress=progress)
        say(f"wrote {made.made} takes to {out}; {made.kept} were there; {made.size / 1e6:.0f} MB in all, "
            f"{made.size / 1e6 / (made.made + made.kept):.1f} MB a take")
        if hdri is None:
            note("no HDR maps were given (--hdri): all light will be drawn")


@data.command()
def pairs(
    footage: Annotated[Path, typer.Argument(help="Folder of shards of real clips: what `harmovid data shards` made.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Where pairs go: OUT/SPLIT, OUT/sheets, OUT/manifest.json. "
                                      "What is there already is left.")],
    count: Annotated[int, typer.Option(help="Pairs in all.")],
    model: Annotated[str | None, typer.Option(help="What relights single frames: harmoim, or the folder of a "
                                              "checkpoint: model/ of a run of `harmovid train harmoim`.")] = None,
    harmonizer: Annotated[Path | None, typer.Option(help="In its place IC-Light: a folder of Stable Diffusion 1.5 with "
                                                    "iclight_sd15_fbc.safetensors in it.")] = None,
    prompt: Annotated[str | None, typer.Option(help="What IC-Light is told; it has a prompt of its own.")] = None,
    frames: Annotated[int, typer.Option(help="Frames of each, at most; 4k + 1.")] = 49,
    backgrounds: Annotated[Path | None, typer.Option(help="Folder of clips and pictures to put people before, such as "
                                                     "a text-to-video model made. Default: made environments.")] = None,
    hdri: Annotated[Path | None, typer.Option(help="Folder of HDR maps; those that the split list names for the split "
                                              "are filmed beside made environments.")] = None,
    split: Annotated[Split, typer.Option(help="Which part of the shards.")] = Split.train,
    steps: Annotated[int | None, typer.Option(min=8, help="Of sampling; every step has noise of its own. Default: 8, "
                                              "of IC-Light 20.")] = None,
    part: Part = "0/1",
    latents: Annotated[bool, typer.Option(help="Keep the latents of the model's answer beside each pair: 8 kB a frame "
                                          "of 128 × 128 pixels.")] = True,
    device: Where = Device.cpu,
    seed: Seed = 0,
) -> None:
    """Make pseudo-pairs: people of real clips before backgrounds of other light, relit frame by frame.

    Example: `harmovid data pairs shards/ --out pairs/ --model harmoim --count 400 --hdri hdri/`
    """
    with errors_as_sentences("run it again to go on; pairs that are whole are left"):
        from harmovid.data import split as listed
        from harmovid.data.backdrops import Environments, Pictures
        from harmovid.data.pairs import Pairing, make_pairs

        if (model is None) == (harmonizer is None):
            raise OptionError("--model and --harmonizer are two kinds of image model; give one of them")
        if prompt is not None and harmonizer is None:
            raise OptionError("--prompt is what IC-Light is told; give it with --harmonizer")
        share = _share(part)
        if backgrounds is not None and hdri is not None:
            raise OptionError("--backgrounds and --hdri are two sources of backgrounds; give one")
        maps = []
        if hdri is not None:
            maps = listed.maps(split.value, hdri)
            if not maps:
                raise InputError(f"{hdri} has none of the maps that the split list names for {split.value}; name the "
                                 f"folder that holds them, or list maps of your own in {hdri / listed.LIST} "
                                 "(docs/manual.md, \"data shards\")")
        there = cli_models.there(device)
        drawn = Environments(maps) if backgrounds is None else Pictures(backgrounds)
        image_model = cli_models.image_model(model, harmonizer, prompt, steps, there)
        with bars() as progress:
            made = make_pairs(footage, out, image_model, drawn, Pairing(count, frames, split.value, seed),
                              part=share, latents=latents, progress=progress)
        say(f"wrote {made.made} pairs to {out}; {made.kept} were there")


@data.command()
def backgrounds(
    out: Annotated[Path, typer.Option("-o", "--out", help="Where clips go; then `harmovid data pairs --backgrounds "
                                      "OUT`. What is there already is left.")],
    model: Annotated[str, typer.Option(help="A text-to-video model in diffusers' layout: a folder, or a hub name such "
                                       "as THUDM/CogVideoX-5b.")],
    count: Annotated[int, typer.Option(help="Clips in all; each of 200 prompts once before any twice.")],
    frames: Annotated[int, typer.Option(help="Of each clip.")] = 49,
    height: Annotated[int | None, typer.Option(help="Of the picture, with --width. Default: the model's own.")] = None,
    width: Annotated[int | None, typer.Option(help="Of the picture.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Of sampling. Default: the model's own.")] = None,
    fps: Annotated[int, typer.Option(min=1, help="Frames a second that the model's clips have: 8 of CogVideoX, 16 of "
                                     "1.5.")] = 8,
    part: Part = "0/1",
    device: Where = Device.cpu,
    seed: Seed = 0,
) -> None:
    """Make backgrounds of diverse light with a text-to-video model.

    Example: `harmovid data backgrounds --model THUDM/CogVideoX-5b --out backgrounds/ --count 200 --device cuda`
    """
    with errors_as_sentences("run it again to go on; clips that are whole are left"):
        from harmovid.data.generated import Generating, make_backgrounds
        from harmovid.model.textvideo import TextToVideo

        if (height is None) != (width is None):
            raise OptionError("--height and --width go together; give both, or none for the model's own")
        share, size = _share(part), None if height is None or width is None else (height, width)
        maker = TextToVideo(model, cli_models.there(device))
        with bars() as progress:
            made = make_backgrounds(out, maker, Generating(count, frames, size, steps, fps, seed), part=share,
                                    progress=progress)
        say(f"wrote {made.made} clips to {out}; {made.kept} were there")


@data.command()
def refine(
    made: Annotated[Path, typer.Argument(metavar="PAIRS", help="Folder of pseudo-pairs: what `harmovid data pairs` "
                                         "made.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Where refined pairs go: OUT/SPLIT, OUT/report.jsonl, "
                                      "OUT/sheets, OUT/README.md. What is done already is left.")],
    model: Annotated[str, typer.Option(help="What steadies light: the folder of a deflickering checkpoint; or bvd, "
                                       "blind deflickering, for comparison.")],
    footage: Annotated[Path | None, typer.Option(help="Folder of shards that the pairs were made of. Default: beside "
                                                 "the pairs.")] = None,
    steps: Annotated[int | None, typer.Option(help="Of sampling. Default: as it was trained for.")] = None,
    part: Part = "0/1",
    device: Where = Device.cpu,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A gate, e.g. texture=0.8 or amplitude=[0.7,1.3]; "
                                                   "all of them stand in OUT/manifest.json.")] = None,
    seed: Seed = 0,
) -> None:
    """Refine pseudo-pairs: take out their flicker, and keep those that lost nothing else by it.

    Example: `harmovid data refine pairs/ --out refined/ --model nano-deflicker --footage shards/`
    """
    with errors_as_sentences("run it again to go on; pairs that are done are left"):
        from harmovid import config
        from harmovid.data.refine import GATES, refine_pairs

        share, gates = _share(part), config.override(GATES, set_ or [])
        harmonizer = cli_models.deflickerer(model, steps, cli_models.there(device))
        with bars() as progress:
            told = refine_pairs(made, out, harmonizer, footage=footage, keep=gates, seed=seed, part=share,
                                progress=progress)
        say(f"refined {told.done} pairs; {told.before} were done. {out} holds {len(told.kept)} of {len(told.told)}")
        for reason, count in told.dropped.items():
            say(f"dropped {count}: {reason}")
        say(", ".join(f"{name} {told.mean(field):.4f}" for name, field in (
            ("jitter before", "jitter_before"), ("after", "jitter"), ("gain field's correlation", "correlation"),
            ("amplitude", "amplitude"), ("texture", "texture"))) + " (means of all)")


def _share(part: str) -> tuple[int, int]:
    number, _, of = part.partition("/")
    if not (number.isdecimal() and of.isdecimal()):
        raise OptionError(f"--part is i/n, such as 0/4, got {part!r}")
    return int(number), int(of)
