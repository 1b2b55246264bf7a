"""The data card of a folder of pairs: what they are, of whom, before what, how they flicker, whose they are.

    OUT/records/SPLIT/NAME.json     what is told of each pair; it also says that the pair is done
    OUT/README.md                   the card, written anew from all records whenever pairs are added
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from harmovid import config
from harmovid.errors import InputError

T = TypeVar("T")

CARD, RECORDS, SOURCES = "README.md", "records", "SOURCES.csv"
UNKNOWN = "not known"


@dataclass(frozen=True)
class Made:
    """What is told of a pair.

    name, split, source, person, frames: of its shard. background: what stands behind. kind: of that background.
    licence: of the clip. jitter: luminance jitter of V^S against the clip, natural log of light per frame²; None where
    no cell lies within the person. texture: of the clip's, what is left.
    """

    name: str
    split: str
    source: str
    person: str
    frames: int
    background: str = UNKNOWN
    kind: str = UNKNOWN
    licence: str = UNKNOWN
    jitter: float | None = None
    texture: float = 1.0


@dataclass(frozen=True)
class Section:
    """A part of a card: a heading, and its text."""

    heading: str
    text: str


def place(out: Path, split: str, name: str) -> Path:
    """Where the record of a pair lies."""
    return out / RECORDS / split / f"{name}.json"


def keep(out: Path, split: str, name: str, record: object) -> None:
    """Write the record of a pair, a dataclass, whole or not at all."""
    path = place(out, split, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    config.save(record, path)


def records(kind: type[T], out: Path) -> list[T]:
    """All records of a folder, by split and name."""
    return [config.load(kind, path) for path in sorted((out / RECORDS).glob("*/*.json"))]


def licences(folder: Path) -> dict[str, str]:
    """By name of a shard the licence of its clip, from SOURCES.csv beside the shards; empty where there is none.

    Raises:
        InputError: it is no table in UTF-8, or lacks one of the columns file and licence.
    """
    path = folder / SOURCES
    if not path.is_file():
        return {}
    try:
        rows = csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines())
        if not {"file", "licence"} <= set(rows.fieldnames or ()):
            raise InputError(f"{path} has the columns {', '.join(rows.fieldnames or ())}; expected file and licence "
                             "among them")
        return {Path(row["file"]).stem: row["licence"] or UNKNOWN for row in rows if row["file"]}
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table ({error}); save it as CSV in UTF-8") from error


def carry(footage: Path, shards: Path, names: Collection[str]) -> None:
    """Put the licences of clips, as a SOURCES.csv of the footage tells them, into that beside their shards.

    Raises:
        InputError: as `licences`, of either.
    """
    told = {name: licence for name, licence in licences(footage).items() if name in names}
    if not told:
        return
    partial = shards / f".{SOURCES}.part"
    with partial.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("file", "licence"))
        rows.writerows((f"{name}.zip", licence) for name, licence in sorted({**licences(shards), **told}.items()))
    partial.replace(shards / SOURCES)


def write(out: Path, title: str, sections: Sequence[Section]) -> None:
    """Write the card, whole or not at all."""
    parts = [f"# {title}", *(f"## {section.heading}\n\n{section.text}" for section in sections)]
    config.write_whole(out / CARD, "\n\n".join(parts) + "\n")


def counted(pairs: Sequence[Made]) -> Section:
    """How many, by split."""
    rows = []
    for split in sorted({pair.split for pair in pairs}):
        some = [pair for pair in pairs if pair.split == split]
        rows.append((split, len(some), sum(pair.frames for pair in some), len({pair.source for pair in some}),
                     len({pair.person for pair in some})))
    return Section("How many", table(("split", "pairs", "frames", "clips", "people"), rows))


def tallied(heading: str, column: str, pairs: Sequence[Made], of: Callable[[Made], str]) -> Section:
    """How many pairs there are of each kind."""
    found = sorted(Counter(of(pair) for pair in pairs).items(), key=lambda item: (-item[1], item[0]))
    return Section(heading, table((column, "pairs"), found))


def spread(figures: Mapping[str, Iterable[float | None]]) -> str:
    """Mean, median, and the tenths at both ends of figures, each under its name; what is None is left out."""
    rows = []
    for name, values in figures.items():
        known = sorted(value for value in values if value is not None)
        if known:
            ends = [known[min(len(known) - 1, int(share * len(known)))] for share in (0.1, 0.5, 0.9)]
            rows.append((name, *(f"{value:.4f}" for value in (math.fsum(known) / len(known), *ends)), len(known)))
    return table(("figure", "mean", "a tenth is below", "median", "a tenth is above", "pairs"), rows)


def settings(values: Mapping[str, object]) -> Section:
    """Those of a manifest."""
    return Section("Made by", table(("setting", "value"), [(name, _short(value)) for name, value in values.items()]))


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """As Markdown."""
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(str(value).replace("|", "\\|") for value in row) + " |"
                                for row in rows)])


def _short(value: object, most: int = 8) -> str:
    """In one line; of a long list the first few, and how many more."""
    if isinstance(value, list | tuple) and len(value) > most:
        return f"{', '.join(map(str, value[:most]))} and {len(value) - most} more"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
