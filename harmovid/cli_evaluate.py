"""The commands that measure: `harmovid evaluate …`. What is slow to import is imported inside them."""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from harmovid.errors import InputError, OptionError
from harmovid.screen import bars, errors_as_sentences, note, say

evaluate = typer.Typer(no_args_is_help=True, help="Measure results.")


class Kind(StrEnum):
    """Words of harmovid evaluate testset."""

    lut = "lut"
    jitter = "jitter"
    step = "step"
    passing = "passing"
    masks = "masks"
    things = "things"
    free = "free"
    pathtraced = "pathtraced"


class Detail(StrEnum):
    """Words of --detail."""

    transfer = "transfer"
    network = "network"


def _cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@evaluate.command()
def score(
    results: Annotated[Path, typer.Argument(help="A folder of finished clips, from HarmoVid or anything else.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The report, one JSON line per clip; what is in it already "
                                      "is not scored again.")],
    truth: Annotated[Path | None, typer.Option(help="Folder of what the results should be; clips go by name.")] = None,
    masks: Annotated[Path | None, typer.Option(help="Folder of masks.")] = None,
    source: Annotated[Path | None, typer.Option(help="Folder of the foregrounds as filmed.")] = None,
    background: Annotated[Path | None, typer.Option(help="Folder of the backgrounds as placed.")] = None,
    testset: Annotated[Path | None, typer.Option(help="A test set, in place of --truth and the others: its truth, the "
                                                 "masks that score, and as many frames as it scores.")] = None,
    resize: Annotated[bool, typer.Option("--resize", help="Bring results of another size to that of their "
                                         "truth.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Only what needs no network and no optical flow.")] = False,
    clip: Annotated[str | None, typer.Option(help="Folder or hub name of a CLIP, for the likeness of consecutive "
                                             "frames and to the source; without it EfficientNet-Lite0 does, where it "
                                             "was fetched.")] = None,
    face: Annotated[Path | None, typer.Option(help="Folder of a face recognizer (YuNet and SFace), for the likeness "
                                              "to the source.")] = None,
    raft: Annotated[Path | None, typer.Option(help="RAFT's file of OpenCV's model zoo, for motion and warping; without "
                                              "it DIS finds the flow.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the means as JSON in place of the table.")] = False,
) -> None:
    """Score a folder of results: PSNR, SSIM, LPIPS, motion, jitter, texture, light, exactness of the background.

    Example: `harmovid evaluate score results/ --truth truth/ --masks masks/ -o report.jsonl`
    """
    with errors_as_sentences():
        from harmovid.evaluate.measures import Tools, load_tools
        from harmovid.evaluate.rows import summary, table
        from harmovid.evaluate.run import score_set
        from harmovid.evaluate.score import score_folder

        if testset is not None and (truth or masks or source or background or resize):
            raise OptionError("--testset says itself what results are held against; leave out --truth, --masks, "
                              "--source, --background and --resize")
        if quick and (clip or face or raft):
            raise OptionError("--quick leaves out what --clip, --face and --raft are for; give one or the other")
        tools, missing = (Tools(), []) if quick else load_tools(clip, face, raft)
        for remark in missing:
            note(f"left out: {remark}")
        with bars() as progress:
            def told(name: str, done: int, total: int) -> None:
                progress("score", done, total)

            if testset is not None:
                rows = score_set(testset, [results], _cores(), tools, reports=[out], progress=told)[0]
            else:
                rows = score_folder(results, out, truth=truth, masks=masks, source=source, background=background,
                                    resize=resize, tools=tools, workers=_cores(), on_clip=told)
        sys.stdout.write(json.dumps(summary(rows)) + "\n" if as_json else table(rows) + "\n")
        failed = [row for row in rows if "error" in row]
        if failed:
            raise InputError(f"{len(failed)} of {len(rows)} clips could not be scored; the first, {failed[0]['clip']}: "
                             f"{failed[0]['error']}")


@evaluate.command()
def report(
    sets: Annotated[list[Path], typer.Argument(help="Folders of test sets: manifest.json, and the scores of each "
                                               "method in results/METHOD/report.jsonl.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for report.md and report.html.")],
    baseline: Annotated[str, typer.Option(help="The method that the others are compared with.")] = "untouched",
    worst: Annotated[int, typer.Option(min=0, help="So many of each method's worst items get a player; 0 for "
                                       "none.")] = 4,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a report that is there.")] = False,
) -> None:
    """Tables, plots and players of all methods over test sets, with intervals, as Markdown and one HTML file.

    Example: `harmovid evaluate report sets/lut -o report/`
    """
    with errors_as_sentences():
        from harmovid.evaluate import excerpts, page
        from harmovid.evaluate.report import gather

        page.check(out, overwrite)
        found = gather(sets, baseline)
        for bench in found.benches:
            for remark in bench.remarks:
                note(f"{bench.name}: {remark}")
        with bars() as progress:
            shown = excerpts.show(found, worst, progress=progress)
        for remark in shown.remarks:
            note(remark)
        if shown.left_out:
            note(f"{shown.left_out} players were left out, for the page would have grown beyond 20 MB; ask for fewer "
                 "by --worst")
        for path in page.write(found, shown, out, overwrite):
            say(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


@evaluate.command()
def testset(
    kind: Annotated[Kind, typer.Argument(help="lut: wrong colours; jitter: light that jumps; step: light that "
                                         "truly steps; passing: a lamp that passes; masks: bad masks; things: no "
                                         "people; free: other places, no truth; pathtraced: made people in exactly "
                                         "known light.")],
    data: Annotated[Path, typer.Argument(help="Folder of footage, as harmovid/data/split.csv lists it; of pathtraced "
                                         "the folder of HDR maps.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The set's folder; what is in it already is not made "
                                      "again.")],
    luts: Annotated[Path | None, typer.Option(help="Folder of .cube tables; all kinds but step, passing, free "
                                             "and pathtraced need it.")] = None,
    split: Annotated[str, typer.Option(help="Of the list: train, validation or test.")] = "test",
    per_clip: Annotated[int | None, typer.Option(help="Items of each clip. Default: 4; of free 2; of masks 1 for each "
                                                 "bad mask; of step and passing always 2, of pathtraced 8 for each "
                                                 "map.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only so many clips, spread over the split, or people of "
                                              "pathtraced. Default: all; of jitter, step, passing and pathtraced 12, "
                                              "of masks 8.")] = None,
    backgrounds: Annotated[list[Path] | None, typer.Option("--background", help="Of free: a clip or picture in "
                                                           "place of the split's; may be given again.")] = None,
    moving: Annotated[bool, typer.Option("--moving", help="Of pathtraced: each place turns by half a circle around the "
                                         "person within its clips, 16 frames, two of each person and map.")] = False,
) -> None:
    """Make a test set: clips of which the right answer is known, or that only eyes can judge.

    Example: `harmovid evaluate testset lut footage/ -o sets/lut --luts luts/`
    """
    with errors_as_sentences("what is finished is kept; the same command goes on from there"):
        if limit is not None and limit < 1:
            raise OptionError(f"--limit is a number of clips of 1 or more, got {limit}")
        if per_clip is not None and per_clip < 1:
            raise OptionError(f"--per-clip is 1 or more, got {per_clip}")
        if not data.is_dir():
            raise InputError(f"there is no folder {data}; give the one that holds "
                             + ("HDR maps" if kind is Kind.pathtraced else "portraits_video/"))
        if (luts is None) != (kind in (Kind.free, Kind.step, Kind.passing, Kind.pathtraced)):
            raise OptionError(f"a {kind.value} set takes no tables; leave out --luts" if luts is not None else
                              f"a set of the kind {kind.value} is made with tables of colour: pass --luts DIR, a "
                              "folder of .cube files (benchmarks/fetch_luts.py makes one)")
        if backgrounds and kind is not Kind.free:
            raise OptionError("--background is for free sets; in the others every clip keeps its own")
        if moving and kind is not Kind.pathtraced:
            raise OptionError("--moving is for pathtraced sets; of real clips, step and passing have light that moves")
        if per_clip is not None and kind in (Kind.step, Kind.passing):
            raise OptionError(f"a {kind.value} set has two items of each clip; leave out --per-clip")
        if kind is Kind.pathtraced and per_clip is not None:
            raise OptionError("a path-traced set has eight items of each person and map, of moving light two; leave "
                              "out --per-clip")
        from harmovid.evaluate import freeset, jitterset, lutset, maskset, passingset, pathset, stepset, thingset
        from harmovid.lightstage import pathtrace

        with bars() as progress:
            more: dict[str, Any] = {"split": split, "limit": limit, "progress": progress}
            if per_clip is not None:
                more["per_clip"] = per_clip
            if kind is Kind.step:
                made = stepset.step_set(data, out, **more)
            elif kind is Kind.passing:
                made = passingset.passing_set(data, out, **more)
            elif kind is Kind.pathtraced:
                if not pathtrace.compiled():
                    note("there is no libLLVM newer than 16 here (Debian: libllvm19): path tracing takes several "
                         "times as long without its compiler")
                made = pathset.path_set(data, out, moving=moving, **more)
            elif luts is None:
                made = freeset.free_set(data, out, backgrounds or None, **more)
            else:
                makers: dict[Kind, Any] = {Kind.lut: lutset.lut_set, Kind.jitter: jitterset.jitter_set,
                                           Kind.masks: maskset.mask_set, Kind.things: thingset.thing_set}
                made = makers[kind](data, out, sorted(luts.glob("*.cube")), **more)
        found = [item.psnr for item in made.items if item.psnr is not None]
        range_ = f", {min(found):.1f} to {max(found):.1f} dB, mean {sum(found) / len(found):.1f} dB" if found else ""
        say(f"wrote {out}: {len(made.items)} items of {len(made.clips)} clips{range_}")


@evaluate.command()
def run(
    folder: Annotated[Path, typer.Argument(metavar="SET", help="A test set.")],
    models: Annotated[list[str], typer.Option("--model", help="background, reinhard, classical, histogram, "
                                              "gaussian, bvd, codec, nano, harmoim, nano-deflicker, the folder of a "
                                              "checkpoint, NAME=FOLDER, or NAME=A+B, one after another; may be "
                                              "given again.")],
    detail: Annotated[Detail, typer.Option(help="transfer: full pictures; network: the methods' own small ones, "
                                           "compared at one size.")] = Detail.transfer,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A finer setting, e.g. transfer.temporal_sigma=0; it "
                                                   "is added to the results' name.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Six items, 17 frames of each, and only what needs no network "
                                        "and no optical flow.")] = False,
    items: Annotated[int | None, typer.Option(help="Only so many items, spread over the set.")] = None,
    clip: Annotated[str | None, typer.Option(help="Folder or hub name of a CLIP, as of score.")] = None,
    face: Annotated[Path | None, typer.Option(help="Folder of a face recognizer, as of score.")] = None,
    raft: Annotated[Path | None, typer.Option(help="RAFT's file, as of score.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda, where networks run.")] = "cpu",
) -> None:
    """Put a test set through methods and doing nothing, score them, and print their means.

    Example: `harmovid evaluate run sets/lut --model classical --model nano`
    """
    with errors_as_sentences("what is finished is kept; the same command goes on from there"):
        from harmovid.evaluate import bench, methods
        from harmovid.evaluate.measures import Tools, load_tools

        if quick and (clip or face or raft):
            raise OptionError("--quick leaves out what --clip, --face and --raft are for; give one or the other")
        if device not in ("cpu", "cuda"):
            raise OptionError(f"--device is cpu or cuda, got {device!r}")
        if device == "cuda":
            import torch

            if not torch.cuda.is_available():
                device = "cpu"
                note("there is no CUDA device here: networks run on the processor")
        wanted = dict.fromkeys(("untouched", *models))
        chosen = [methods.method(text, detail.value, tuple(set_ or ()), quick) for text in wanted]
        count = items if items is not None or not quick else bench.QUICK_ITEMS
        names = None if count is None else bench.spread(folder, count)
        tools, missing = (Tools(), []) if quick else load_tools(clip, face, raft)
        for remark in missing:
            note(f"left out: {remark}")
        with bars() as progress:
            outcomes = bench.compare(folder, chosen, tools, names, device, _cores(), progress)
        sys.stdout.write(bench.table(folder, outcomes))
        gained = bench.gain_table(folder, outcomes)
        turned = bench.turn_table(folder, outcomes)
        sys.stdout.write("".join(f"\n{table}" for table in (gained, turned) if table))
        failed = [(outcome.name, name, said) for outcome in outcomes for name, said in outcome.failed.items()]
        if failed:
            raise InputError(f"{len(failed)} results are missing; the first, {failed[0][1]} by {failed[0][0]}: "
                             f"{failed[0][2]}. The rest is kept; run the same command again to try these again")
