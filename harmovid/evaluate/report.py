"""What the scores of several methods over several test sets say, gathered as a tree for tables and pages."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harmovid.errors import InputError, OptionError
from harmovid.evaluate.gains import Gains, gains
from harmovid.evaluate.measures import COLUMNS, NOTHING
from harmovid.evaluate.rows import Row, read_rows, summary
from harmovid.evaluate.statistics import Estimate, bootstrap, paired
from harmovid.evaluate.testsets import MANIFEST

RESULTS, REPORT, SECONDS = "results", "report.jsonl", "seconds.jsonl"
# Methods in the order of a table: what does nothing, what shows that nothing was learned, what needs no network.
KNOWN = {"untouched": "nothing", "background": "floor", "reinhard": "classical", "histogram": "classical",
         "classical": "classical", "codec": "classical", "gaussian": "classical", "bvd": "classical"}
_WAYS = {"network": "network detail", "quick": "quick"}  # marks of a method's name that tell how it was measured
# Figures whose change against the baseline is told with its interval; the first that is there orders the clips.
MAIN = ("foreground_psnr", "frame_psnr", "foreground_lpips", "foreground_motion", "luminance_jitter")


@dataclass(frozen=True)
class Item:
    """A composite of a set. psnr: of the composite as it is, dB, where the manifest has it. frames: as many are scored;
    None for all."""

    name: str
    clip: str
    psnr: float | None = None
    frames: int | None = None


@dataclass(frozen=True)
class Method:
    """A method's scores over a set.

    group: "nothing", "floor", "classical" or "network". rows: by item, those scored. failed: by item, the sentence.
    missing: items without a line. figures: by column, the mean and its interval. changes: the same for the difference
    from the baseline, item by item. gains: in PSNR, of the items that both have. seconds: by item, (seconds, frames).
    """

    name: str
    group: str
    rows: dict[str, Row]
    failed: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    figures: dict[str, Estimate] = field(default_factory=dict)
    changes: dict[str, Estimate] = field(default_factory=dict)
    gains: Gains | None = None
    seconds: dict[str, tuple[float, int]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The name without the marks of how it was measured, which the bench's name tells of all its methods."""
        return "__".join(part for part in self.name.split("__") if part not in _WAYS)

    def values(self, column: str) -> dict[str, float]:
        """By item, a figure of those that have it."""
        return {name: row[column] for name, row in self.rows.items() if row.get(column) is not None}


@dataclass(frozen=True)
class Bench:
    """A set and what all methods made of it.

    kind: as the manifest says, "" where it does not. full: the results are whole pictures, of all frames; those in
    network detail and those of --quick are measured otherwise, and make benches of their own. columns: figures that
    any row has. baseline: the method compared with, None where it has no scores here. nothing: by column, the mean of
    the source in the result's place. remarks: sentences on what is missing.
    """

    name: str
    folder: Path
    kind: str
    full: bool
    items: tuple[Item, ...]
    methods: tuple[Method, ...]
    columns: tuple[str, ...]
    baseline: Method | None
    nothing: dict[str, float]
    remarks: tuple[str, ...]

    @property
    def flickers(self) -> bool:
        """Whether the set's input flickers, so that it belongs in the table of deflickering."""
        return any(word in f"{self.kind} {self.name}".lower() for word in ("flicker", "jitter"))

    @property
    def main(self) -> tuple[str, ...]:
        """The main figures that are there; the frame's PSNR only where there is none of the person."""
        return tuple(column for column in MAIN if column in self.columns
                     and not (column == "frame_psnr" and "foreground_psnr" in self.columns))

    def worst(self, method: Method) -> list[tuple[Item, float]]:
        """Items by loss, worst first, in the first main figure: how much it gained on the baseline, below 0 lost.

        Without a baseline, the figure itself, larger for better. Items without it are left out.
        """
        if not self.main:
            return []
        column = self.main[0]
        after = method.values(column)
        before = self.baseline.values(column) if self.baseline else dict.fromkeys(after, 0.0)
        found = [(item, COLUMNS[column].better * (after[item.name] - before[item.name]))
                 for item in self.items if item.name in after and item.name in before]
        return sorted(found, key=lambda pair: (pair[1], pair[0].name))


@dataclass(frozen=True)
class Report:
    """All sets. baseline: the name of the method that the others are compared with."""

    baseline: str
    benches: tuple[Bench, ...]


def gather(folders: list[Path], baseline: str = "untouched") -> Report:
    """Read the scores of all methods over all sets.

    Args:
        folders: of test sets: manifest.json, and results/METHOD/report.jsonl as `score_folder` writes it; where
            there is results/METHOD/seconds.jsonl, its lines {"name", "seconds", "frames"} are taken too.
        baseline: the method that the others are compared with.

    Raises:
        InputError: a folder is no test set or has no scores, or a file cannot be read.
        OptionError: no set was given or one twice, or none has scores of the baseline.
    """
    if not folders:
        raise OptionError("no test set was given; name at least one folder with manifest.json and results/")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise OptionError("a test set was given twice; name each once")
    ends = [folder.resolve().name for folder in folders]
    benches = tuple(bench for folder, end in zip(folders, ends, strict=True)
                    for bench in _benches(folder, end if ends.count(end) == 1 else str(folder), baseline))
    if not any(bench.baseline for bench in benches):
        there = sorted({method.name for bench in benches for method in bench.methods})
        raise OptionError(f"no test set has scores of the baseline {baseline}, only of {', '.join(there)}; score it "
                          "too, or name another by --baseline")
    return Report(baseline, benches)


def _benches(folder: Path, name: str, baseline: str) -> list[Bench]:
    """A bench for each way of measuring that is there: whole pictures, network detail, and the quick ones of both."""
    items, kind = _manifest(folder / MANIFEST)
    remarks: list[str] = []
    methods = _methods(folder, items, remarks)
    if not methods:
        raise InputError(f"{folder / RESULTS} holds no METHOD/{REPORT}; run `harmovid evaluate score` on the results "
                         "of at least one method")
    ways = sorted({_way(method.name) for method in methods}, key=lambda way: (len(way), way))
    benches: list[Bench] = []
    for way in ways:
        alike = [method for method in methods if _way(method.name) == way]
        title = ", ".join([name, *(_WAYS[mark] for mark in way)])
        # What is said of methods as they are read stands once, in the first.
        benches.append(_bench(folder, title, kind, items, alike, "__".join([baseline, *way]), not way,
                              [] if benches else remarks))
    return benches


def _way(name: str) -> tuple[str, ...]:
    """The marks of a method's name that tell how it was measured."""
    return tuple(part for part in name.split("__")[1:] if part in _WAYS)


def _bench(folder: Path, name: str, kind: str, items: tuple[Item, ...], methods: list[Method], baseline: str,
           full: bool, remarks: list[str]) -> Bench:
    clips = {item.name: item.clip for item in items}
    columns = tuple(column for column in COLUMNS if any(method.values(column) for method in methods))
    base = next((method for method in methods if method.name == baseline), None)
    if base is None:
        remarks.append(f"There are no scores of the baseline {baseline} here, so nothing is compared with it.")
    whole = tuple(_compared(method, base, clips, columns) for method in methods)
    tools = {method.name: sorted({f"{measure}: {tool}" for row in method.rows.values()
                                  for measure, tool in row.get("tools", {}).items()}) for method in methods}
    if len({tuple(used) for used in tools.values()}) > 1:
        told = "; ".join(f"{method}: {', '.join(used) or 'none'}" for method, used in tools.items())
        remarks.append(f"Not all methods were scored with the same tools, so what these measure does not compare: "
                       f"{told}.")
    elif any(tools.values()):
        remarks.append(f"Measured with: {', '.join(next(iter(tools.values())))}.")
    base = next((method for method in whole if method.name == baseline), None)
    return Bench(name, folder, kind, full, items, whole, columns, base, _nothing([*([base] if base else []), *whole]),
                 tuple(remarks))


def _manifest(path: Path) -> tuple[tuple[Item, ...], str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        items = tuple(Item(unicodedata.normalize("NFC", item["name"]), str(item.get("clip") or item["name"]),
                           item.get("psnr"), item.get("frames")) for item in found["items"])
        kind = str(found.get("kind") or "")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give the folder of a test set, with {MANIFEST} "
                         f"and {RESULTS}/") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is no manifest of a test set; expected JSON with items, each with a name and a "
                         "clip") from error
    if not items:
        raise InputError(f"the test set of {path} has no items; make it again")
    return items, kind


def _methods(folder: Path, items: tuple[Item, ...], remarks: list[str]) -> list[Method]:
    names = {item.name for item in items}
    methods, unscored = [], []
    partly: dict[str, list[str]] = {}
    results = folder / RESULTS
    for place in sorted(results.iterdir()) if results.is_dir() else []:
        if not place.is_dir() or place.name.startswith("."):
            continue
        if not (place / REPORT).exists():
            unscored.append(place.name)
            continue
        rows = {row["clip"]: row for row in read_rows(place / REPORT)}
        strange = len(rows.keys() - names)
        if strange:
            remarks.append(f"{place.name} has {strange} rows of clips that are not in the set; they are left out.")
        beyond = [item.name for item in items
                  if item.frames and rows.get(item.name, {}).get("frames", 0) > item.frames]
        if beyond:
            remarks.append(f"{place.name} has {len(beyond)} rows over more frames than the set scores; they are left "
                           f"out: score them anew with `harmovid evaluate score --testset {folder}`.")
            rows = {name: row for name, row in rows.items() if name not in beyond}
        method = Method(place.name, KNOWN.get(_first(place.name), "network"),
                        {name: row for name, row in rows.items() if name in names and "error" not in row},
                        {name: str(row["error"]) for name, row in rows.items() if name in names and "error" in row},
                        tuple(item.name for item in items if item.name not in rows),
                        seconds=_seconds(place / SECONDS))
        if len(method.rows) < len(items):
            first = "".join(f" The first failure, {name}: {error}" for name, error in [*method.failed.items()][:1])
            partly.setdefault(f"scores of {len(method.rows)} of {len(items)} items ({len(method.failed)} failed, "
                              f"{len(method.missing)} without a row); means are of those alone.{first}",
                              []).append(method.name)
        methods.append(method)
    for said, some in partly.items():
        remarks.append(f"{some[0]} has {said}" if len(some) == 1 else
                       f"{', '.join(some[:-1])} and {some[-1]} have {said}")
    if unscored:
        remarks.append(f"Not scored yet, so not shown: {', '.join(unscored)}. Run `harmovid evaluate score` on "
                       "their results.")
    order = list(KNOWN)
    return sorted(methods, key=lambda found: (order.index(_first(found.name)) if _first(found.name) in KNOWN
                                              else len(order), found.name))


def _first(name: str) -> str:
    """The model of a method's name: nano of nano__network."""
    return name.partition("__")[0]


def _compared(method: Method, base: Method | None, clips: dict[str, str], columns: tuple[str, ...]) -> Method:
    """The method with its means, and with its differences from the baseline."""
    figures, changes = {}, {}
    for column in columns:
        values = method.values(column)
        if values:
            figures[column] = bootstrap(list(values.values()), [clips[name] for name in values])
        found = paired(values, base.values(column), clips) if base else None
        if found:
            changes[column] = found
    both = method.values(MAIN[0]).keys() & base.values(MAIN[0]).keys() if base else set()
    gained = gains(*([of.rows[name] for name in sorted(both)] for of in (method, base))) if base and both else None
    return Method(method.name, method.group, method.rows, method.failed, method.missing, figures, changes, gained,
                  method.seconds)


def _nothing(methods: list[Method]) -> dict[str, float]:
    """The do-nothing row: the source's own figures, of the first method that was scored with a source."""
    for method in methods:
        mean = summary(list(method.rows.values()))["mean"]
        found = {column: mean[key] for key, column in NOTHING.items() if mean[key] is not None}
        if found:
            return found
    return {}


def _seconds(path: Path) -> dict[str, tuple[float, int]]:
    if not path.exists():
        return {}
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            told: dict[str, Any] = json.loads(line)
        except ValueError:  # torn by a crash
            continue
        try:
            found[str(told["name"])] = float(told["seconds"]), int(told["frames"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f'line {number} of {path} is no timing; expected {{"name": …, "seconds": …, "frames": '
                             "…}; delete that line") from error
    return found
