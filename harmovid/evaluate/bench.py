"""Several methods over one test set, side by side with doing nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harmovid.errors import OptionError
from harmovid.evaluate import methods
from harmovid.evaluate.measures import COLUMNS, Tools
from harmovid.evaluate.methods import Method
from harmovid.evaluate.run import Progress, read_lines, run_method, try_score
from harmovid.evaluate.score import Row, summary
from harmovid.evaluate.testsets import read_set
from harmovid.infer.views import ViewSize

QUICK_ITEMS = 6


@dataclass(frozen=True)
class Outcome:
    """What became of a method.

    rows: of the items that were scored. failed: by item, what the run or the score said. seconds: per frame, the mean
    over the items whose time is known; NaN where none is.
    """

    name: str
    rows: tuple[Row, ...]
    failed: dict[str, str]
    seconds: float


def compare(folder: Path, chosen: list[Method], tools: Tools, names: list[str] | None = None, device: str = "cpu",
            progress: Progress = lambda stage, done, total: None) -> list[Outcome]:
    """Run methods over a set, and score them; what is there already is not made again.

    In network detail those that are built in work at the size of the first network's view, so that all are compared
    at one size.

    Args:
        folder: of a test set.
        chosen: the methods, each of another name.
        tools: for the measures that need some.
        names: the items; None for all.
        device: where networks run.
        progress: told of every item, run or scored; the stage is the method's name.

    Raises:
        OptionError: two methods have one name.
        InputError: the set is not whole, or weights cannot be read.
        OutputError: a folder of results holds those of another method, or cannot be written.
    """
    known = [method.name for method in chosen]
    twice = sorted({name for name in known if known.count(name) > 1})
    if twice:
        raise OptionError(f"two methods are named {twice[0]}, and would share a folder of results; name them apart: "
                          "--model NAME=FOLDER")
    names = names or [item.name for item in read_set(folder).items]
    small = [method for method in chosen if method.options.detail == "network"]
    view = next((methods.load(method, device).view for method in small if method.is_network), ViewSize())
    outcomes = []
    for method in chosen:
        own = view if method in small else None
        failed = run_method(folder, method, names, device, own, _named(progress, method.name))
        if own is not None and method.is_network:
            own = methods.load(method, device).view
        out = folder / "results" / method.name
        there = [name for name in names if name not in failed and (out / f"{name}.mkv").exists()]
        rows = try_score(folder, out, 1, tools, there, method.options.end, own,
                         _named(progress, f"score {method.name}")) if there else []
        failed |= {row["clip"]: row["error"] for row in rows if "error" in row}
        times = {row["name"]: row["seconds"] / row["frames"] for row in read_lines(out / "seconds.jsonl")}
        spent = [times[name] for name in there if name in times]
        outcomes.append(Outcome(method.name, tuple(row for row in rows if "error" not in row), failed,
                                math.fsum(spent) / len(spent) if spent else math.nan))
    return outcomes


def spread(folder: Path, count: int = QUICK_ITEMS) -> list[str]:
    """Names of `count` items, or of all where there are no more, evenly spread over a set.

    Raises:
        OptionError: `count` is below 1.
    """
    if count < 1:
        raise OptionError(f"--items is 1 or more, got {count}")
    names = [item.name for item in read_set(folder).items]
    return [names[i] for i in np.unique(np.linspace(0, len(names) - 1, count).round().astype(int))]


def table(folder: Path, outcomes: list[Outcome]) -> str:
    """The means in Markdown, a row for each method; with variants, the first figure for each of them too.

    Means are of the items that every method has a score of, so that they compare.
    """
    scored = [outcome for outcome in outcomes if outcome.rows]
    if not scored:
        return "no item was scored by any method\n"
    both = set.intersection(*({row["clip"] for row in outcome.rows} for outcome in scored))
    means = {outcome.name: summary([row for row in outcome.rows if row["clip"] in both])["mean"] for outcome in scored}
    figures = [name for name in COLUMNS if any(mean[name] is not None for mean in means.values())]
    lines = [_line(["method", *(COLUMNS[name].heading for name in figures), "s per frame"]),
             "|---|" + "---:|" * (len(figures) + 1)]
    for outcome in scored:
        values = [_cell(means[outcome.name][name], COLUMNS[name].decimals) for name in figures]
        lines.append(_line([_title(outcome), *values, _cell(outcome.seconds, 3)]))
    used = sorted({f"{measure}: {tool}" for outcome in scored for row in outcome.rows
                   for measure, tool in row.get("tools", {}).items()})
    lines += ["", "; ".join([f"means of {len(both)} items", *used])]
    variant = {item.name: item.variant for item in read_set(folder).items if item.name in both}
    variants = list(dict.fromkeys(variant.values()))
    if len(variants) > 1 and figures:
        first = figures[0]
        lines += ["", _line([COLUMNS[first].heading, *variants]), "|---|" + "---:|" * len(variants)]
        for outcome in scored:
            cells = [summary([row for row in outcome.rows if variant.get(row["clip"]) == one])["mean"][first]
                     for one in variants]
            lines.append(_line([_title(outcome), *(_cell(value, COLUMNS[first].decimals) for value in cells)]))
    return "".join(f"{line}\n" for line in lines)


def _named(progress: Progress, stage: str) -> Progress:
    """Tells of a stage by one name, whatever item it is at."""
    return lambda _, done, total: progress(stage, done, total)


def _title(outcome: Outcome) -> str:
    return f"{outcome.name} (do nothing)" if outcome.name.partition("__")[0] == "untouched" else outcome.name


def _cell(value: float | None, decimals: int) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.{decimals}f}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '¦') for cell in cells)} |"
