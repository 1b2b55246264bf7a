"""The command line: parses, calls, prints. What is slow to import is imported inside the commands.

The commands that make data stand in `cli_data.py`, those that train in `cli_train.py`, those that measure in
`cli_evaluate.py`; what the words of all of them stand for in `cli_models.py` and `cli_inputs.py`.
"""

from __future__ import annotations

import json
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harmovid import __version__, cli_data, cli_evaluate, cli_models, cli_train
from harmovid.cli_evaluate import Detail
from harmovid.cli_inputs import check_detail, fps_unused, frame_number, last_frame, opened, two_numbers
from harmovid.cli_models import Segmenter
from harmovid.errors import InputError, MissingExtra, OptionError
from harmovid.model.names import STEADY
from harmovid.screen import bars, errors_as_sentences, note, say

if TYPE_CHECKING:
    from harmovid.infer.pipeline import Summary

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown",
                  help="Relight a person in a video by the background they are put on.")
app.add_typer(cli_evaluate.evaluate, name="evaluate")
app.add_typer(cli_data.data, name="data")
app.add_typer(cli_train.train, name="train")

_STOPS = (signal.SIGINT, signal.SIGTERM)


class Fit(StrEnum):
    """Words of --fit."""

    trim = "trim"
    loop = "loop"
    pingpong = "pingpong"


class Canvas(StrEnum):
    """Words of --canvas."""

    foreground = "foreground"
    background = "background"


class Mode(StrEnum):
    """Words of --place."""

    cover = "cover"
    contain = "contain"
    stretch = "stretch"


class Output(StrEnum):
    """Words of --output."""

    comp = "comp"
    foreground = "foreground"
    gain = "gain"


_DEFAULT_MODEL = "nano"
_INPUT, _MASK, _LIGHT, _RANGE, _OUT = "Placing", "Mask", "Light", "Length", "Output"

Out = Annotated[Path, typer.Option("-o", "--out", help=".mp4 (H.264), .mov (ProRes 4444), .mkv (FFV1, lossless), a "
                                   "folder (PNG), or a pattern such as shot.%04d.exr.", rich_help_panel=_OUT)]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same file.", rich_help_panel=_LIGHT)]
Where = Annotated[str, typer.Option(help="cpu or cuda; what is not there is replaced by what is.",
                                    rich_help_panel=_LIGHT)]
Start = Annotated[str | None, typer.Option(help="First frame, from 0, or a time: 2.5s, 00:01:02.5.",
                                           rich_help_panel=_RANGE)]
Transfer = Annotated[str | None, typer.Option(help="Transfer function, whatever the file says: slog3, logc3, vlog, pq, "
                                              "hlg, linear, gamma24 …", rich_help_panel=_LIGHT)]
End = Annotated[str | None, typer.Option(help="Frame or time before which to stop.", rich_help_panel=_RANGE)]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.",
                                         rich_help_panel=_OUT)]
AsJson = Annotated[bool, typer.Option("--json", help="Print a summary as JSON: frames, seconds per stage, peak memory.",
                                      rich_help_panel=_OUT)]
Fps = Annotated[str | None, typer.Option(help="Frames per second of image sequences, e.g. 25 or 30000/1001.",
                                         rich_help_panel=_RANGE)]


@app.command()
def harmonize(
    foreground: Annotated[Path, typer.Argument(help="The person: a video, a folder or pattern of pictures, a still.")],
    background: Annotated[Path, typer.Argument(help="The new background: the same, or one picture.")],
    out: Out,
    mask: Annotated[Path | None, typer.Option(help="Where the person is: white on black, video or pictures. Without it "
                                              "the foreground's own alpha serves, else a mask is made.",
                                              rich_help_panel=_MASK)] = None,
    model: Annotated[str, typer.Option(help="nano: the network that comes with the program; harmoim: frame by frame; "
                                       "the folder of another checkpoint; or classical, reinhard, histogram: no "
                                       "network.",
                                       rich_help_panel=_LIGHT)] = _DEFAULT_MODEL,
    steps: Annotated[int | None, typer.Option(help="How often the network is asked. Default: as it was trained for.",
                                              rich_help_panel=_LIGHT)] = None,
    strength: Annotated[float, typer.Option(help="How much of the change of light: 0 none, 1 all, up to 2.",
                                            rich_help_panel=_LIGHT)] = 1.0,
    detail: Annotated[Detail, typer.Option(help="transfer: the source at full size in the new light; network: the "
                                           "harmonizer's own small picture.",
                                           rich_help_panel=_LIGHT)] = Detail.transfer,
    output: Annotated[Output, typer.Option(help="comp: the finished picture; foreground: the relit person with alpha; "
                                           "gain: the change of light alone.", rich_help_panel=_OUT)] = Output.comp,
    compare: Annotated[Path | None, typer.Option(help="Also write source, composite and result side by side: .mp4, or "
                                                 ".png for a sheet of four frames.", rich_help_panel=_OUT)] = None,
    fit: Annotated[Fit | None, typer.Option(help="Where the background is shorter: cut the result, start it again, or "
                                            "play it back and forth (the default). trim also cuts to a shorter mask.",
                                            rich_help_panel=_RANGE)] = None,
    start: Annotated[str | None, typer.Option(help="First frame of the foreground, from 0, or a time: 2.5s, "
                                              "00:01:02.5.",
                                              rich_help_panel=_RANGE)] = None,
    end: End = None,
    background_start: Annotated[str | None, typer.Option(help="Frame or time of the background that is shown at the "
                                                         "first frame of the result. Default: its first.",
                                                         rich_help_panel=_RANGE)] = None,
    preview: Annotated[int | None, typer.Option(help="Only so many frames, spread over the clip: a look in seconds.",
                                                rich_help_panel=_RANGE)] = None,
    fps: Fps = None,
    canvas: Annotated[Canvas, typer.Option(help="Whose frame the result has.",
                                           rich_help_panel=_INPUT)] = Canvas.foreground,
    place: Annotated[Mode | None, typer.Option(help="How the other picture is laid into that frame. Default: a "
                                               "background covers, a foreground is contained.",
                                               rich_help_panel=_INPUT)] = None,
    scale: Annotated[float, typer.Option(help="Times that size.", rich_help_panel=_INPUT)] = 1.0,
    position: Annotated[str, typer.Option(help="Where it goes: 0,0 left and top to 1,1 right and bottom.",
                                          rich_help_panel=_INPUT)] = "0.5,0.5",
    edge: Annotated[float, typer.Option(help="Soft edge given to a hard mask, as a share of the height; 0 for none.",
                                        rich_help_panel=_MASK)] = 0.004,
    shrink: Annotated[float, typer.Option(help="Shrink the mask by so many pixels; below 0 grow it.",
                                          rich_help_panel=_MASK)] = 0.0,
    soften: Annotated[float, typer.Option(help="Blur the mask's edge, sigma in pixels.", rich_help_panel=_MASK)] = 0.0,
    despeckle: Annotated[float, typer.Option(help="Drop islands and holes smaller than this share of the largest "
                                             "region.", rich_help_panel=_MASK)] = 0.0,
    steady: Annotated[int, typer.Option(help="Hold the mask steady over so many frames on each side.",
                                        rich_help_panel=_MASK)] = 0,
    foreground_transfer: Annotated[str | None, typer.Option(help="Transfer function of the foreground, whatever its "
                                                            "file says: slog3, logc3, vlog, pq, hlg, linear, "
                                                            "gamma24 …",
                                                            rich_help_panel=_LIGHT)] = None,
    background_transfer: Annotated[str | None, typer.Option(help="The same for the background.",
                                                            rich_help_panel=_LIGHT)] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A finer setting, e.g. transfer.temporal_sigma=0.",
                                                   rich_help_panel=_LIGHT)] = None,
    sound: Annotated[bool, typer.Option(help="Keep the foreground's sound.", rich_help_panel=_OUT)] = True,
    seed: Seed = 0,
    device: Where = "cpu",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Put a person on a new background, in the light of that background.

    Example: `harmovid harmonize person.mp4 street.mp4 -o result.mp4 --mask mask.mp4 --compare compare.mp4`
    """
    with errors_as_sentences():
        from dataclasses import replace
        from tempfile import TemporaryDirectory

        from harmovid import config
        from harmovid.composite.matte import Refine
        from harmovid.infer import pipeline
        from harmovid.infer.compare import Comparison
        from harmovid.infer.plan import Options, of_one_rate, plan
        from harmovid.video import io
        from harmovid.video.target import open_target

        if device not in ("cpu", "cuda"):
            raise OptionError(f"--device is cpu or cuda, got {device!r}")
        harmonizer, remarks = cli_models.harmonizer(model, steps, device)
        front = opened(foreground, fps, foreground_transfer, damaged_ok=end is not None)
        behind = opened(background, fps, background_transfer, damaged_ok=end is not None)
        matte_clip = opened(mask, fps, None, damaged_ok=end is not None) if mask else None
        front, behind = of_one_rate(front, behind)
        last = frame_number(end, front, "--end")
        if mask is None:
            front = io.drop_opaque_alpha(front, last)
        options = Options(
            fit=fit.value if fit else None, canvas=canvas.value, place=place.value if place else None, scale=scale,
            position=two_numbers(position), strength=strength, detail=detail.value, output=output.value, edge=edge,
            refine=Refine(shrink=shrink, soften=soften, despeckle=despeckle), steady=steady,
            start=frame_number(start, front, "--start"), end=last,
            background_start=frame_number(background_start, behind, "--background-start") or 0, preview=preview,
            sound=sound, seed=seed)
        options = config.override(options, set_ or [])
        check_detail(options)
        # What stands in the way is said before a mask is made, which takes long.
        makes_mask = matte_clip is None and not front.alpha
        if compare is not None and compare.absolute() == out.absolute():
            raise OptionError(f"--compare and -o name the same file, {out}; give the comparison another name")
        made: tuple[Path, ...] = (compare,) if compare else ()
        work = plan(replace(front, alpha=True) if makes_mask else front, behind, matte_clip, out, options,
                    overwrite=overwrite, also_inputs=made)
        comparison = None
        if compare is not None:
            if options.detail == "network":
                raise OptionError("--compare shows the light transfer's pictures; leave out --detail network")
            inputs = tuple(path for path in (foreground, background, mask) if path)
            comparison = Comparison(compare, len(work), work.rate, inputs=inputs, overwrite=overwrite)
        with TemporaryDirectory(prefix="harmovid-") as folder, bars() as progress:
            if makes_mask:
                from harmovid.infer.matting import write_matte

                try:
                    segmenter = cli_models.segmenter(Segmenter.selfie)
                except MissingExtra as error:
                    raise InputError("there is no mask: pass --mask, give a foreground with alpha, or let one be made. "
                                     f"{error}") from error
                own = open_target(Path(folder) / "mask.mkv")
                frames = [0] if front.still else work.foreground_index.tolist()
                if write_matte(front, own, segmenter, indices=frames, progress=progress) == 0:
                    raise InputError(f"no mask was given, and nobody was found in {foreground} to make one of; pass "
                                     "--mask, white where the person is")
                work = plan(front, behind, opened(own.path, None, None), out, options, overwrite=overwrite,
                            also_inputs=made, mask_frames=None if front.still else frames)
            summary = pipeline.harmonize(work, harmonizer(progress, options), compare=comparison, progress=progress)
        if makes_mask:
            summary.notes = ("no mask given: one was made", *summary.notes)
        if fps and not any(clip.files for clip in (front, behind, matte_clip) if clip):
            summary.notes = (*summary.notes, fps_unused(front))
        _report(summary, remarks, as_json)


@app.command()
def deflicker(
    video: Annotated[Path, typer.Argument(help="The clip: a video, a folder or pattern of pictures.")],
    out: Out,
    mask: Annotated[Path | None, typer.Option(help="What is steadied, white on black; the rest stays as it is. Without "
                                              "it the video's own alpha serves, else it is the whole picture.",
                                              rich_help_panel=_MASK)] = None,
    model: Annotated[str, typer.Option(help="nano-deflicker, or the folder of a checkpoint: model/ of a run of "
                                       "`harmovid train deflicker`.", rich_help_panel=_LIGHT)] = STEADY,
    strength: Annotated[float, typer.Option(help="How much of the correction: 0 none, 1 all, up to 2.",
                                            rich_help_panel=_LIGHT)] = 1.0,
    detail: Annotated[Detail, typer.Option(help="transfer: the clip at full size in steady light; network: the "
                                           "network's own small picture.", rich_help_panel=_LIGHT)] = Detail.transfer,
    end: End = None,
    fps: Fps = None,
    transfer: Transfer = None,
    sound: Annotated[bool, typer.Option(help="Keep the video's sound.", rich_help_panel=_OUT)] = True,
    seed: Seed = 0,
    device: Where = "cpu",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Take out light that jumps from frame to frame; light that really moves stays.

    Example: `harmovid deflicker timelapse.mp4 -o steady.mp4`
    """
    with errors_as_sentences():
        from dataclasses import replace

        from harmovid.infer.deflicker import OPTIONS
        from harmovid.infer.deflicker import deflicker as steadied
        from harmovid.model.names import SHIPPED, full_name

        if device not in ("cpu", "cuda"):
            raise OptionError(f"--device is cpu or cuda, got {device!r}")
        options = replace(OPTIONS, strength=strength, detail=detail.value, sound=sound, seed=seed)
        check_detail(options)
        clip = opened(video, fps, transfer, damaged_ok=end is not None)
        matte_clip = opened(mask, fps, None, damaged_ok=end is not None) if mask else None
        options = replace(options, end=last_frame(end, clip))
        if full_name(model) not in SHIPPED and not Path(model).is_dir():
            raise OptionError(f"there is no model {model!r}; give {STEADY}, or the folder of a checkpoint of "
                              "`harmovid train deflicker`")
        network, remarks = cli_models.network(model, None, device, relights=False)
        with bars() as progress:
            summary = steadied(clip, matte_clip, out, network(progress, options), options, overwrite=overwrite,
                               progress=progress)
        if fps and not any(each.files for each in (clip, matte_clip) if each):
            remarks.append(fps_unused(clip))
        _report(summary, remarks, as_json)


@app.command()
def matte(
    video: Annotated[Path, typer.Argument(help="The filmed clip.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The mask: .mkv (lossless grey), .mp4, .mov, or a folder of "
                                      "PNG.")],
    model: Annotated[Segmenter, typer.Option(help="selfie: built in; rembg: fetches its model at first "
                                             "use.")] = Segmenter.selfie,
    steady: Annotated[int, typer.Option(help="Hold the mask steady over so many frames on each side.")] = 1,
    start: Start = None,
    end: End = None,
    fps: Fps = None,
    transfer: Transfer = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Make a mask of the person in a clip, steady over time.

    Example: `harmovid matte person.mp4 -o mask.mkv`
    """
    with errors_as_sentences():
        from time import perf_counter

        from harmovid.infer.matting import write_matte
        from harmovid.infer.pipeline import peak_memory
        from harmovid.video.target import open_target

        began = perf_counter()
        clip = opened(video, fps, transfer, damaged_ok=end is not None)
        if steady < 0:
            raise OptionError(f"--steady is 0 or more frames, got {steady}")
        first, last = frame_number(start, clip, "--start") or 0, last_frame(end, clip) or clip.frames
        wanted = range(first, min(last, clip.frames))
        if not wanted:
            raise OptionError(f"--start {start} leaves no frame of {clip.frames} before {end or 'the end'}; give an "
                              "earlier one")
        target = open_target(out, inputs=(video,), overwrite=overwrite, frames=len(wanted))
        segmenter = cli_models.segmenter(model)
        with bars() as progress:
            found = write_matte(clip, target, segmenter, indices=wanted, steady=steady, progress=progress)
        for remark in (*clip.notes, *([fps_unused(clip)] if fps and not clip.files else [])):
            note(remark)
        if found == 0:
            note("no person was found in any frame: the mask is black")
        if as_json:
            sys.stdout.write(json.dumps({
                "output": str(target.pattern or target.path), "frames": len(wanted), "frames_with_person": found,
                "seconds": {"matte": round(perf_counter() - began, 3)}, "peak_bytes": peak_memory()}) + "\n")
        else:
            say(f"wrote {out}: {len(wanted)} frames, a person in {found}")


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        sys.stdout.write(f"harmovid {__version__}\n")
        raise typer.Exit


def main() -> None:
    """Entry point; Ctrl-C and a polite kill both leave no half-written file."""
    for number in _STOPS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as a shell leaves Ctrl-C for what runs in the background
            signal.signal(number, _interrupt)
    app()


def _interrupt(number: int, frame: object) -> None:
    for again in _STOPS:  # a second Ctrl-C would stop the clearing up
        signal.signal(again, signal.SIG_IGN)
    raise KeyboardInterrupt


def _report(summary: Summary, remarks: list[str], as_json: bool) -> None:
    """Say what a run did, and what is to be noted."""
    from harmovid import config

    summary.notes = (*summary.notes, *remarks)
    for remark in summary.notes:
        note(remark)
    if as_json:
        sys.stdout.write(json.dumps(config.to_dict(summary)) + "\n")
    else:
        spent = sum(summary.seconds.values())
        say(f"wrote {summary.output}: {summary.frames} frames, {summary.size[0]}×{summary.size[1]}, {spent:.1f} s")
