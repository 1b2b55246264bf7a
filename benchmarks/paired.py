"""One method against another, item by item: `python -m benchmarks.paired SET A B`, names of folders in SET/results.

    python -m benchmarks.paired SET nano__network nano-harmoim__network
    python -m benchmarks.paired SET both-0__network,both-1__network unrefined-0__network,unrefined-1__network

Of networks from several seeds, names with commas between, the mean is taken item by item first. For each measure: the
mean of A, of B, their ratio and their difference with a 95% interval of a bootstrap that draws whole clips (in a
path-traced set, people); last on how many items, and clips by their means, A is worse. What only one of the two has is
left out. `--variant` and `--hair` choose among the items of a set of masks.
"""

from __future__ import annotations

import argparse
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from harmovid.errors import HarmoVidError, InputError
from harmovid.evaluate.gains import WORSE
from harmovid.evaluate.measures import COLUMNS
from harmovid.evaluate.rows import read_rows
from harmovid.evaluate.statistics import paired
from harmovid.evaluate.testsets import Item, read_set


def figures(results: Path, names: Sequence[str], items: Sequence[Item], column: str) -> dict[str, float]:
    """By item, the mean of a measure over methods, of the items for which all have it."""
    rows = [{row["clip"]: row for row in read_rows(results / name / "report.jsonl")} for name in names]
    scored = {item.name: unicodedata.normalize("NFC", item.name) for item in items}  # names as reports have them
    return {item: float(np.mean([of[name][column] for of in rows])) for item, name in scored.items()
            if all(of.get(name, {}).get(column) is not None for of in rows)}


def compare(folder: Path, first: Sequence[str], second: Sequence[str], items: Sequence[Item]) -> Iterator[str]:
    """Rows of a Markdown table, its head first."""
    yield "| measure | items, clips | A | B | A ÷ B | A − B |"
    yield "|---|---:|---:|---:|---:|---:|"
    clips = {item.name: item.clip for item in items}
    for name, column in COLUMNS.items():
        of = [figures(folder / "results", names, items, name) for names in (first, second)]
        found = paired(*of, clips)
        if found is None:
            continue
        both = of[0].keys() & of[1].keys()
        a, b = (float(np.mean([values[item] for item in both])) for values in of)
        ratio = f"{a / b:.2f}" if b else "–"
        digits = column.decimals + 1
        yield (f"| {column.heading} | {found.items}, {found.clips} | {a:.{digits}f} | {b:.{digits}f} | {ratio} | "
               f"{found.mean:+.{digits}f} [{found.low:+.{digits}f}, {found.high:+.{digits}f}] |")


def losses(folder: Path, first: Sequence[str], second: Sequence[str], items: Sequence[Item]) -> str:
    """How often A is worse in PSNR, by items and by clips."""
    a, b = (figures(folder / "results", names, items, "foreground_psnr") for names in (first, second))
    changes: dict[str, list[float]] = {}
    for item in items:
        if item.name in a and item.name in b:
            changes.setdefault(item.clip, []).append(a[item.name] - b[item.name])
    every = [change for some in changes.values() for change in some]
    means = [float(np.mean(some)) for some in changes.values()]
    lost, sunk = (sum(change < -WORSE for change in some) for some in (every, means))
    return f"A worse by more than {WORSE:g} dB: {lost} of {len(every)} items, {sunk} of {len(means)} clips"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="SET")
    parser.add_argument("first", metavar="A", help="a method, or its seeds with commas between")
    parser.add_argument("second", metavar="B")
    parser.add_argument("--variant", action="append", help="only items of this variant; may be given again")
    parser.add_argument("--hair", action="store_true", help="only clips of long or loose hair")
    args = parser.parse_args()
    try:
        items = [item for item in read_set(args.folder).items
                 if (not args.variant or item.variant in args.variant)
                 and (not args.hair or item.settings.get("hair"))]
        if not items:
            raise InputError(f"{args.folder} has no items of that kind; leave out --variant and --hair to see all")
        told = args.folder, args.first.split(","), args.second.split(","), items
        for line in compare(*told):
            print(line)
        print(f"\n{losses(*told)}")
    except HarmoVidError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
