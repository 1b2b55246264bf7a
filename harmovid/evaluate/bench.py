"""Several methods over one test set, side by side with doing nothing."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harmovid.errors import OptionError
from harmovid.evaluate import inview, methods, turning
from harmovid.evaluate.gains import WORSE, Gains, gains
from harmovid.evaluate.measures import COLUMNS, Tools
from harmovid.evaluate.methods import Method
from harmovid.evaluate.rows import Row, summary
from harmovid.evaluate.run import Progress, read_lines, run_methods, score_set
from harmovid.evaluate.statistics import bootstrap
from harmovid.evaluate.testsets import Item, read_set
from harmovid.infer.views import ViewSize

QUICK_ITEMS = 6
# What a mean over variants would hide.
_BY_VARIANT = ("step_response", "step_size", "movement_correlation", "movement_slope")


@dataclass(frozen=True)
class Outcome:
    """What became of a method.

    rows: of the items that were scored. failed: by item, what the run or the score said. seconds: per frame, the mean
    over the items whose time is known; NaN where none is. references: the folder whose foreground/, mask/ and truth/
    are in the frame of the results.
    """

    name: str
    rows: tuple[Row, ...]
    failed: dict[str, str]
    seconds: float
    references: Path


def compare(folder: Path, chosen: list[Method], tools: Tools, names: list[str] | None = None, device: str = "cpu",
            workers: int = 1, progress: Progress = lambda stage, done, total: None) -> list[Outcome]:
    """Run methods over a set, and score them; what is there already is not made again.

    In network detail those that are built in work at the size of the first network's view, so that all are compared
    at one size.

    Args:
        folder: of a test set.
        chosen: the methods, each of another name.
        tools: for the measures that need some.
        names: the items; None for all.
        device: where networks run.
        workers: items scored at the same time.
        progress: told of every item: put through all methods, the stage is "run", or scored, it is "score".

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
    failed = run_methods(folder, chosen, names, device, {method.name: view for method in small},
                         _named(progress, "run"))
    alike: dict[tuple[int | None, ViewSize | None], list[Method]] = {}  # compared with the same pictures
    for method in chosen:
        own = view if method in small else None
        if own is not None and method.is_network:
            own = methods.load(method, device).view
        if len(failed[method.name]) < len(names):
            alike.setdefault((method.options.end, own), []).append(method)
    rows: dict[str, list[Row]] = {name: [] for name in failed}
    places = dict.fromkeys(failed, folder)
    for (end, own), group in alike.items():
        scored = score_set(folder, [folder / "results" / method.name for method in group], workers, tools, names, end,
                           own, progress=_named(progress, "score"))
        rows |= {method.name: found for method, found in zip(group, scored, strict=True)}
        if own is not None:
            places |= dict.fromkeys((method.name for method in group), inview.place(folder, own, end))
    return [_outcome(name, folder / "results" / name, rows[name], failed[name], places[name]) for name in failed]


def spread(folder: Path, count: int = QUICK_ITEMS) -> list[str]:
    """Names of `count` items, or of all where there are no more, evenly spread over a set; of one whose environments
    turn, of as many whole turns, at least one.

    Raises:
        OptionError: `count` is below 1.
    """
    if count < 1:
        raise OptionError(f"--items is 1 or more, got {count}")
    items = read_set(folder).items
    whole = turning.turns(items, [item.name for item in items]) or [(item.name,) for item in items]
    count = max(1, count // len(whole[0]))
    return [name for i in np.unique(np.linspace(0, len(whole) - 1, count).round().astype(int)) for name in whole[i]]


def table(folder: Path, outcomes: list[Outcome]) -> str:
    """The means in Markdown, a row for each method; with variants, each has the first figure and moving light too.

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
    variant = {name: item.variant for item in read_set(folder).items
               if (name := unicodedata.normalize("NFC", item.name)) in both}
    variants = list(dict.fromkeys(variant.values()))
    for figure in dict.fromkeys([*figures[:1], *_BY_VARIANT]) if len(variants) > 1 else ():
        if figure not in figures:
            continue
        lines += ["", _line([COLUMNS[figure].heading, *variants]), "|---|" + "---:|" * len(variants)]
        for outcome in scored:
            cells = [summary([row for row in outcome.rows if variant.get(row["clip"]) == one])["mean"][figure]
                     for one in variants]
            lines.append(_line([_title(outcome), *(_cell(value, COLUMNS[figure].decimals) for value in cells)]))
    return "".join(f"{line}\n" for line in lines)


def gain_table(folder: Path, outcomes: list[Outcome], each: bool = False) -> str:
    """What each method gained in PSNR of the person over the first, by how far off the first was, in Markdown.

    Means are of the items that every method has that figure of; in brackets the 95% interval of a bootstrap over the
    clips of the set in `folder`. Clips are worse by the means of their items. With `each`, every item's gain follows
    its method's row, the worst first. Empty where there is nothing to compare.
    """
    found = {outcome.name: {row["clip"]: row for row in outcome.rows if row["foreground_psnr"] is not None}
             for outcome in outcomes}
    found = {name: rows for name, rows in found.items() if rows}
    if len(found) < 2 or outcomes[0].name not in found:
        return ""
    both = set.intersection(*map(set, found.values()))
    if not both:
        return ""
    untouched, *others = ([rows[name] for name in sorted(both)] for rows in found.values())
    bands = gains(untouched, untouched).bands
    titles = [f"below {bands[0].high:g} dB ({bands[0].count})",
              *(f"{band.low:g} to {band.high:g} dB ({band.count})" for band in bands[1:-1]),
              f"above {bands[-1].low:g} dB ({bands[-1].count})"]
    clip = _clips(read_set(folder).items)
    number = len({clip[name] for name in both})
    lines = [_line(["method", COLUMNS["foreground_psnr"].heading, "gain", *titles, f"worse by > {WORSE:g} dB",
                    f"clips worse (of {number})"]), "|---|" + "---:|" * (len(titles) + 4)]
    for name, rows in zip(found, (untouched, *others), strict=True):
        gained = gains(rows, untouched)
        if rows is untouched:
            lines.append(_line([name, _cell(gained.after, 2), *[""] * (len(titles) + 3)]))
            continue
        shares = ["–" if math.isnan(band.gain) else f"{band.gain:+.2f}" for band in gained.bands]
        by_clip = [[gain for item, gain in gained.items.items() if clip[item] == one] for one in set(clip.values())]
        lost = sum(math.fsum(some) / len(some) < -WORSE for some in by_clip if some)
        lines.append(_line([name, _cell(gained.after, 2), _sure(gained, clip), *shares, f"{gained.worse:.0%}",
                            str(lost)]))
        if each:
            lines += [f"  {gain:+.2f} {item}" for item, gain in sorted(gained.items.items(), key=lambda pair: pair[1])]
    return "".join(f"{line}\n" for line in lines)


def turn_table(folder: Path, outcomes: list[Outcome]) -> str:
    """Of a set whose environments turn, in Markdown: does each method's light follow, and what is gained over the first
    where the light is in view, with the 95% interval of a bootstrap over people, and where it is not. Empty of another
    set, and where no turn is whole.

    Means are of the items that every method has a score of.
    """
    scored = [outcome for outcome in outcomes if outcome.rows]
    items = read_set(folder).items
    both = set.intersection(*({row["clip"] for row in outcome.rows} for outcome in scored)) if scored else set()
    found = turning.turns(items, both)
    if not found:
        return ""
    seen = turning.in_view(items) & both
    untouched = list(scored[0].rows)
    clip = _clips(items)
    lines = [_line(["method", "direction: correlation → 1", "slope → 1", f"gain, light in view ({len(seen)})",
                    f"gain, elsewhere ({len(both - seen)})", "amplitude → 1, light in view"]), "|---|" + "---:|" * 5]
    truths = {place: [turning.vectors(place / "truth", place, turn) for turn in found]
              for place in {outcome.references for outcome in scored}}
    for outcome in scored:
        place = outcome.references
        vectors = [turning.vectors(folder / "results" / outcome.name, place, turn) for turn in found]
        followed = turning.direction(vectors, truths[place])
        gained = [gains([row for row in outcome.rows if row["clip"] in some],
                        [row for row in untouched if row["clip"] in some]) if some else None
                  for some in (seen, both - seen)]
        amplitude = summary([row for row in outcome.rows if row["clip"] in seen])["mean"]["amplitude"]
        lines.append(_line([
            _title(outcome), _cell(followed.correlation, 2), _cell(followed.slope, 2),
            "–" if gained[0] is None else _sure(gained[0], clip),
            "–" if gained[1] is None else f"{gained[1].gain:+.2f}", _cell(amplitude, 2)]))
    return "".join(f"{line}\n" for line in lines)


def _clips(items: Sequence[Item]) -> dict[str, str]:
    """By the name of an item, the clip that it was made of."""
    return {unicodedata.normalize("NFC", item.name): item.clip for item in items}


def _sure(gained: Gains, clip: dict[str, str]) -> str:
    """A gain and, of more clips than one, the interval of a bootstrap over them."""
    found = bootstrap(list(gained.items.values()), [clip[item] for item in gained.items])
    return f"{gained.gain:+.2f}" + ("" if math.isnan(found.low) else f" [{found.low:+.2f}, {found.high:+.2f}]")


def _outcome(name: str, out: Path, rows: list[Row], failed: dict[str, str], references: Path) -> Outcome:
    good = tuple(row for row in rows if "error" not in row)
    # What a run said tells more than a score that found no result.
    failed = {row["clip"]: row["error"] for row in rows if "error" in row} | failed
    times = {row["name"]: row["seconds"] / row["frames"] for row in read_lines(out / "seconds.jsonl")}
    spent = [times[row["clip"]] for row in good if row["clip"] in times]
    return Outcome(name, good, failed, math.fsum(spent) / len(spent) if spent else math.nan, references)


def _named(progress: Progress, stage: str) -> Progress:
    """Tells of a stage by one name, whatever item it is at."""
    return lambda _, done, total: progress(stage, done, total)


def _title(outcome: Outcome) -> str:
    return f"{outcome.name} (do nothing)" if outcome.name.partition("__")[0] == "untouched" else outcome.name


def _cell(value: float | None, decimals: int) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.{decimals}f}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '¦') for cell in cells)} |"
