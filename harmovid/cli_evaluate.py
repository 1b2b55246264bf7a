"""The commands that measure: `harmovid evaluate …`. What is slow to import is imported inside them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from harmovid.errors import InputError, OptionError
from harmovid.screen import bars, errors_as_sentences, note, say

evaluate = typer.Typer(no_args_is_help=True, help="Measure results.")


@evaluate.command()
def score(
    results: Annotated[Path, typer.Argument(help="A folder of finished clips, from HarmoVid or anything else.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The report, one JSON line per clip; what is in it already "
                                      "is not scored again.")],
    truth: Annotated[Path | None, typer.Option(help="Folder of what the results should be; clips go by name.")] = None,
    masks: Annotated[Path | None, typer.Option(help="Folder of masks.")] = None,
    source: Annotated[Path | None, typer.Option(help="Folder of the foregrounds as filmed.")] = None,
    background: Annotated[Path | None, typer.Option(help="Folder of the backgrounds as placed.")] = None,
    resize: Annotated[bool, typer.Option("--resize", help="Bring results of another size to that of their "
                                         "truth.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Only what needs no network and no optical flow.")] = False,
    clip: Annotated[str | None, typer.Option(help="Folder or hub name of a CLIP, for the likeness of consecutive "
                                             "frames and to the source; without it EfficientNet-Lite0 does, where it "
                                             "was fetched.")] = None,
    face: Annotated[Path | None, typer.Option(help="Folder of a face recognizer (YuNet and SFace), for the likeness "
                                              "to the source.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the means as JSON in place of the table.")] = False,
) -> None:
    """Score a folder of results: PSNR, SSIM, LPIPS, motion, jitter, texture, light, exactness of the background.

    Example: `harmovid evaluate score results/ --truth truth/ --masks masks/ -o report.jsonl`
    """
    with errors_as_sentences():
        from harmovid.evaluate.measures import Tools, load_tools
        from harmovid.evaluate.score import score_folder, summary, table

        if quick and (clip or face):
            raise OptionError("--quick leaves out what --clip and --face are for; give one or the other")
        tools, missing = (Tools(), []) if quick else load_tools(clip, face)
        for remark in missing:
            note(f"left out: {remark}")
        with bars() as progress:
            rows = score_folder(results, out, truth=truth, masks=masks, source=source, background=background,
                                resize=resize, tools=tools,
                                on_clip=lambda name, done, total: progress("score", done, total))
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

    Example: `harmovid evaluate report validation_2 -o report/`
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
