"""A method over a whole test set, by the straight path that users take, and its scores.

Results lie in SET/results/METHOD/NAME.mkv. What fails does not stop the rest: it is noted in errors.jsonl there and
tried again next time. seconds.jsonl tells how long each took.
"""

from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harmovid.composite import blend
from harmovid.errors import HarmoVidError, OutputError
from harmovid.evaluate import inview, methods
from harmovid.evaluate.measures import Light, Passing, Step, Tools
from harmovid.evaluate.methods import Method
from harmovid.evaluate.rows import Row
from harmovid.evaluate.score import score_folders
from harmovid.evaluate.testsets import Item, alphas, read_set, scoring_masks
from harmovid.infer import pipeline
from harmovid.infer.plan import Options, plan
from harmovid.infer.transfer import TransferConfig
from harmovid.infer.views import Harmonizer, ViewSize
from harmovid.video import encode, io
from harmovid.video.color import from_linear, to_linear
from harmovid.video.kept import keeping
from harmovid.video.target import open_target

Progress = Callable[[str, int, int], None]
"""Told of each step: name of the item, items done, items in all."""


def run_methods(folder: Path, chosen: Sequence[Method], names: Collection[str] | None = None, device: str = "cpu",
                views: Mapping[str, ViewSize] | None = None,
                progress: Progress = lambda name, done, total: None) -> dict[str, dict[str, str]]:
    """Put a set through methods; results that are there stay, and an item that fails stops no other.

    Of each item what methods see is made once for all of one size of view, and, for network detail, what they will be
    scored against: both need the same clips, which take longest to read.

    Args:
        folder: of a test set.
        chosen: see `methods.method`; results go to `folder`/results/NAME of each.
        names: the items; None for all.
        device: where a network runs.
        views: by method's name, as the last of `methods.load`; of those that are not named, their own.
        progress: told after every item.

    Returns:
        By method, what failed: by item, what it said. It stands in errors.jsonl too, until it succeeds.

    Raises:
        InputError: the set is not whole, or a method's weights cannot be read.
        OutputError: a folder of results holds those of another method, or cannot be written.
    """
    items = _items(folder, names)
    runs = [_Run(folder, method, device, (views or {}).get(method.name)) for method in chosen]
    references: dict[tuple[ViewSize, int | None], inview.References] = {}
    with keeping():  # items of one clip follow each other
        for number, item in enumerate(items):
            with ExitStack() as stack:
                looks: dict[tuple[Options, ViewSize], _Look] = {}
                for run in runs:
                    run.make(item, looks, stack)
            for view in filter(None, (run.small for run in runs)):
                if view not in references:
                    references[view] = inview.References(folder, *view)
                with suppress(HarmoVidError):  # scoring will need it, and tell
                    references[view].make(item)
            progress(item.name, number + 1, len(items))
    return {run.method.name: run.failed for run in runs}


@dataclass(frozen=True)
class _Look:
    """The first pass over an item, and how long it took."""

    shown: pipeline.Look
    seconds: float


class _Run:
    """A method at work on a set."""

    def __init__(self, folder: Path, method: Method, device: str, view: ViewSize | None) -> None:
        self.folder, self.method, self.device, self.view = folder, method, device, view
        self.out = folder / "results" / method.name
        methods.record(method, self.out, view)
        self.errors = {row["name"]: row["error"] for row in read_lines(self.out / "errors.jsonl")}
        self.failed: dict[str, str] = {}
        self.harmonizer: Harmonizer | None = None

    @property
    def small(self) -> tuple[ViewSize, int | None] | None:
        """View and end of results in network detail, once one was made."""
        options = self.method.options
        return (self.harmonizer.view, options.end) if self.harmonizer and options.detail == "network" else None

    def make(self, item: Item, looks: dict[tuple[Options, ViewSize], _Look], stack: ExitStack) -> None:
        """The result of an item, where it is not there; looks are shared, and last as long as `stack`."""
        path = self.out / f"{item.name}.mkv"
        if not path.exists():
            self.harmonizer = self.harmonizer or methods.load(self.method, self.device, self.view)
            began = time.perf_counter()
            try:
                if self.method.model == "background" and self.method.options.detail == "transfer":
                    frames, shared = _paint_over(self.folder, item, path, self.method.options.end), 0.0
                else:
                    frames, shared = self._harmonize(item, path, self.harmonizer, looks, stack)
                spent = round(time.perf_counter() - began + shared, 3)
                _append(self.out / "seconds.jsonl", {"name": item.name, "seconds": spent, "frames": frames})
            except HarmoVidError as error:
                self.failed[item.name] = str(error)
            except Exception as error:  # whatever one item does, the others are run
                self.failed[item.name] = f"{type(error).__name__}: {error}"
        now = {name: said for name, said in self.errors.items() if name != item.name}
        if item.name in self.failed:
            now[item.name] = self.failed[item.name]
        if now != self.errors:
            self.errors = now
            _write_lines(self.out / "errors.jsonl", [{"name": name, "error": said} for name, said in now.items()])

    def _harmonize(self, item: Item, path: Path, harmonizer: Harmonizer,
                   looks: dict[tuple[Options, ViewSize], _Look], stack: ExitStack) -> tuple[int, float]:
        """Frames of the result, and the seconds that another method's run had already spent for this one."""
        foreground, background, mask = (io.open_clip(self.folder / role / path.name)
                                        for role in ("foreground", "background", "mask"))
        work = plan(foreground, background, mask, path, self.method.options)
        # Whatever is done to the light, it is done to the same views.
        same = replace(work.options, strength=1.0, detail="transfer", restore=True, transfer=TransferConfig(), seed=0)
        known = (same, harmonizer.view)
        shared = looks[known].seconds if known in looks else 0.0
        if known not in looks:
            began = time.perf_counter()
            shown = stack.enter_context(pipeline.look(work, harmonizer.view))
            looks[known] = _Look(shown, time.perf_counter() - began)
        return pipeline.harmonize(work, harmonizer, shown=looks[known].shown).frames, shared


def score_set(folder: Path, outs: Sequence[Path], workers: int = 1, tools: Tools | None = None,
              names: Collection[str] | None = None, end: int | None = None, view: ViewSize | None = None,
              reports: Sequence[Path] | None = None, progress: Progress | None = None) -> list[list[Row]]:
    """Score the results of methods against all that the set has of them; the report of each is OUT/report.jsonl.

    That is the truth, the masks that score, the foreground (where it lies in the same frame) and the background.
    Of an item that says how many frames are its own, only those are scored. Where the tools measure errors alone, the
    reports are OUT/psnr.jsonl, and only truth and masks are read.

    Args:
        folder: of the set.
        outs: the results of each method.
        workers, tools: as `score_folder`.
        names: the items; None for all.
        end: frames that the methods were run on, where that is not all.
        view: of the methods, where their results are in network detail; None where they are full pictures.
        reports: where else each method's report goes.
        progress: told after every item of every method.

    Returns:
        The rows of each method as `score_folder`'s, with "error" in those of what is missing or cannot be scored.
    """
    items = _items(folder, names)
    place = folder if view is None else inview.references(folder, items, view, end)
    truth, background, errors_only = place / "truth", folder / "background", tools is not None and tools.errors_only
    same = not errors_only and all(_in_frame(place, item.name) for item in items)
    known = {item.name: unicodedata.normalize("NFC", item.name) for item in items}  # as scores name clips
    lights = {known[item.name]: light for item in items if (light := _light(item)) is not None}
    lengths = {}
    for item in items:
        if end is not None or item.frames is not None:
            there = io.open_clip(folder / "foreground" / f"{item.name}.mkv").frames
            lengths[known[item.name]] = min(there, end or there, item.frames or there)
    reports = reports or [out / ("psnr.jsonl" if errors_only else "report.jsonl") for out in outs]
    found = score_folders(list(zip(outs, reports, strict=True)),
                          truth=truth if truth.is_dir() else None, masks=scoring_masks(place),
                          source=place / "foreground" if same else None,
                          background=background if view is None and not errors_only else None, workers=workers,
                          tools=tools, names=list(known.values()), frames=lengths, lights=lights,
                          on_clip=progress)
    # Where there is a truth, the scores have said already what is missing.
    return [rows + [{"clip": item.name, "error": f"{out} holds no result {item.name}; run the method again"}
                    for item in items if known[item.name] not in {row["clip"] for row in rows}]
            for out, rows in zip(outs, found, strict=True)]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines; none where there is no file. A line torn by a crash is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def _items(folder: Path, names: Collection[str] | None) -> list[Item]:
    return [item for item in read_set(folder).items if names is None or item.name in names]


def _light(item: Item) -> Light | None:
    if "step" in item.settings:
        return Step(item.settings["step"], item.settings["change"])
    return Passing(*item.settings["passing"]) if "passing" in item.settings else None


def _in_frame(folder: Path, name: str) -> bool:
    front, mask = (io.open_clip(place / f"{name}.mkv") for place in (folder / "foreground", scoring_masks(folder)))
    return (front.width, front.height) == (mask.width, mask.height)


def _paint_over(folder: Path, item: Item, path: Path, end: int | None = None) -> int:
    """Frames of the result."""
    behind = io.open_clip(folder / "background" / path.name)
    mean = np.mean([frame.rgb.mean((0, 1), dtype=np.float64) for frame in io.read(behind)], 0)
    flat = to_linear(np.full((behind.height, behind.width, 3), mean, np.float32), "srgb")
    count = min(behind.frames, end or behind.frames)
    with encode.Writer(open_target(path), (behind.width, behind.height), behind.rate) as writer:
        for frame, alpha in zip(io.read(behind, range(count)), alphas(folder, item.name), strict=False):
            writer.write(from_linear(blend.over(flat, to_linear(frame.rgb, "srgb"), alpha), "srgb"))
    return count


def _append(path: Path, row: dict[str, Any]) -> None:
    torn = path.exists() and not path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" * torn + json.dumps(row, ensure_ascii=False) + "\n")


def _write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a file of JSON lines, whole or not at all; without rows, none."""
    try:
        if not rows:
            path.unlink(missing_ok=True)
            return
        partial = path.with_name(f"{path.name}.part")
        partial.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}); mend that and run the same command "
                          "again, what is finished is kept") from error
