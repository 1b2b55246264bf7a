"""The tables of a report, each made once and written as Markdown here or as HTML by `page`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from harmovid.evaluate.gains import WORSE
from harmovid.evaluate.measures import COLUMNS
from harmovid.evaluate.published import ABLATED, ABLATION, DEFLICKERING, DIFFER, HARMONIZATION, SOURCE, Published
from harmovid.evaluate.report import Bench, Method, Report
from harmovid.evaluate.rows import summary
from harmovid.evaluate.statistics import RESAMPLES, Estimate, sign_test

ABSENT = "–"
NOTHING = "do nothing (the source itself)"
HOW = (f"Square brackets hold 95% intervals of a bootstrap with {RESAMPLES:,} resamples that draws whole clips, each "
       "with all its items, for composites of one clip are not independent.")


@dataclass(frozen=True)
class Table:
    """Text in rows, not escaped. rows: as wide as head. names: how many columns are names, the others are figures.

    best: (row, column) of the best figure of each column. notes: sentences under it.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1
    best: frozenset[tuple[int, int]] = frozenset()
    notes: tuple[str, ...] = ()


def overview(bench: Bench) -> Table:
    """Rows are methods, columns the measures that any has, means over items."""
    there = [item for item in bench.items if any(item.name in method.rows for method in bench.methods)]
    of = f" of {len(bench.items)}" if len(there) < len(bench.items) else ""
    return _means(f"{bench.name}: means over {len(there)}{of} items, {len({item.clip for item in there})} clips",
                  bench, bench.columns, [(method.title, method) for method in bench.methods])


def changes(bench: Bench) -> Table | None:
    """What each method gained on the baseline; None without one."""
    base = bench.baseline
    others = [method for method in bench.methods if base and method is not base]
    if base is None or not others:
        return None
    before = base.gains
    bands = [f"PSNR fg, {base.title} {_band(band.low, band.high)} ({band.count})" for band in before.bands] if before \
        else []
    head = ("method", "items", *(f"change of {COLUMNS[column].heading}" for column in bench.main),
            *((f"worse by > {WORSE:g} dB", *bands) if before else ()), "clips better : worse", "sign test p")
    rows = []
    for method in others:
        cells = [method.title, str(len(bench.worst(method)))]
        cells += [interval(method.changes.get(column), COLUMNS[column].decimals) for column in bench.main]
        if before:
            gained = method.gains
            cells += [f"{100 * gained.worse:.0f}%", *(
                _signed(band.gain, 2) + (f" ({band.count})" if band.count != whole.count else "")
                for band, whole in zip(gained.bands, before.bands, strict=True))] if gained else (
                    [ABSENT] * (len(bands) + 1))
        better, worse = _clips(bench, method)
        cells += [f"{better} : {worse}", f"{sign_test(better, worse):.3g}"] if better + worse else [ABSENT] * 2
        rows.append(tuple(cells))
    return Table(f"{bench.name}: change against {base.title}, item by item", head, tuple(rows), notes=(
                 f"Bands are of the PSNR that {base.title} has on the person; clips and the sign test go by "
                 f"{COLUMNS[bench.main[0]].heading[:-2] if bench.main else 'nothing'}, by each clip's mean.",))


def per_clip(bench: Bench, method: Method) -> Table | None:
    """Items of a method, worst first by loss against the baseline; None where there is none or it is the baseline."""
    ordered = bench.worst(method)
    if not ordered or method is bench.baseline:
        return None
    column, *others = bench.main
    shown = COLUMNS[column]
    before = bench.baseline.values(column) if bench.baseline else {}
    after = method.values(column)
    rows = []
    for item, gain in ordered:
        cells = [item.name, _number(item.psnr, 2)]
        if bench.baseline:
            cells += [_number(before[item.name], shown.decimals), _number(after[item.name], shown.decimals),
                      _signed(gain * shown.better, shown.decimals)]
        else:
            cells += [_number(after[item.name], shown.decimals)]
        cells += [_number(method.rows[item.name].get(name), COLUMNS[name].decimals) for name in others]
        rows.append(tuple(cells))
    own = (f"{shown.heading}, {bench.baseline.title}", shown.heading, "change") if bench.baseline else (shown.heading,)
    head = ("item", "composite (dB)", *own, *(COLUMNS[name].heading for name in others))
    failed = tuple(f"Not scored: {name}: {error}" for name, error in sorted(method.failed.items()))
    lost = (f"Without a row: {', '.join(method.missing)}.",) if method.missing else ()
    return Table(f"{bench.name}, {method.title}: items, worst first", head, tuple(rows), notes=(*failed, *lost))


def speed(bench: Bench) -> Table | None:
    """Seconds per frame where they are known, else None."""
    rows = []
    for method in bench.methods:
        if method.seconds:
            seconds = math.fsum(taken for taken, _ in method.seconds.values())
            frames = sum(count for _, count in method.seconds.values())
            rows.append((method.title, str(len(method.seconds)), str(frames), f"{seconds:.1f}",
                         _number(seconds / frames if frames else None, 3)))
    return Table(f"{bench.name}: time taken", ("method", "items", "frames", "seconds", "seconds a frame"),
                 tuple(rows)) if rows else None


def papers(report: Report) -> list[tuple[Table, list[Table]]]:
    """The paper's three tables: as published, and ours in their shape."""
    lit = [bench for bench in report.benches if not bench.flickers and bench.kind not in ("step", "passing", "moving")]
    flickering = [bench for bench in report.benches if bench.flickers]
    ours: dict[Published, list[Table]] = {HARMONIZATION: [], DEFLICKERING: [], ABLATION: []}
    for shape, benches, what in ((HARMONIZATION, lit, "harmonization"), (DEFLICKERING, flickering, "deflickering")):
        for bench in benches:
            ours[shape].append(_means(f"Ours: {what}, {bench.name}", bench, shape.columns,
                                      [(method.title, method) for method in bench.methods]))
    for bench in report.benches:
        there = {method.name: method for method in bench.methods}
        found = [(row, there.get(name)) for row, name in ABLATED.items()]
        if any(method for _, method in found):
            first = [(bench.baseline.title, bench.baseline)] if bench.baseline else []
            ours[ABLATION].append(_means(f"Ours: ablation, {bench.name}", bench, ABLATION.columns, [*first, *found]))
    return [(Table(shape.caption, shape.head, shape.rows, names=2 if shape is DEFLICKERING else 1,
                   notes=(f"Source: {SOURCE}.", DIFFER, *(() if tables else (_absent(shape),)))), tables)
            for shape, tables in ours.items()]


def markdown(report: Report) -> str:
    """The whole report as Markdown: every table, no picture."""
    parts = ["# Report\n", f"Baseline: {_text(report.baseline)}. {HOW}\n"]
    for bench in report.benches:
        kind = f" ({bench.kind})" if bench.kind else ""
        parts.append(f"## {_text(bench.name + kind)}\n")
        parts += [f"- {_text(remark)}" for remark in bench.remarks]
        parts += [""] if bench.remarks else []
        found = [overview(bench), changes(bench), speed(bench), *(per_clip(bench, method) for method in bench.methods)]
        parts += [_written(table) for table in found if table]
    parts.append("## The paper's tables\n")
    for published, tables in papers(report):
        parts += [_written(table) for table in (published, *tables)]
    return "\n".join(parts)


def interval(found: Estimate | None, decimals: int, signed: bool = True) -> str:
    """A mean and its interval as text: "+1.23 [+0.80, +1.61]"."""
    if found is None:
        return ABSENT
    show = _signed if signed else _number
    ends = "" if math.isnan(found.low) else f" [{show(found.low, decimals)}, {show(found.high, decimals)}]"
    return f"{show(found.mean, decimals)}{ends}"


def _means(caption: str, bench: Bench, wanted: Iterable[str], methods: list[tuple[str, Method | None]]) -> Table:
    columns = list(wanted)
    rows, means = [], []
    for name, method in methods:
        mean = summary(list(method.rows.values()))["mean"] if method else dict.fromkeys(COLUMNS)
        means.append(mean)
        rows.append((name, str(len(method.rows)) if method else "not measured",
                     *(_number(mean[column], COLUMNS[column].decimals) for column in columns)))
    best = set()
    for place, column in enumerate(columns):
        most = max((len(of.values(column)) for _, of in methods if of), default=0)
        # Of fewer items than others have a mean says something else.
        goodness = {number: _goodness(column, value, of) for number, (mean, (_, of)) in enumerate(
                        zip(means, methods, strict=True))
                    if (value := mean[column]) is not None and of is not None and len(of.values(column)) == most}
        best |= {(number, place + 2) for number, value in goodness.items() if value == max(goodness.values())
                 and min(goodness.values()) < value}
    if bench.nothing:
        rows.append((NOTHING, "", *(_number(bench.nothing.get(column), COLUMNS[column].decimals)
                                    for column in columns)))
    notes: tuple[str, ...] = ()
    if bench.nothing and bench.baseline:
        notes = (f"{bench.baseline.title} is the composite as a method gets it, through the same path; {NOTHING}, the "
                 "foreground as filmed in the result's place.",)
    elif not bench.nothing and not bench.baseline:
        notes = ("There is no row of doing nothing: score the untouched composites, or with --source.",)
    return Table(caption, ("method", "items", *(COLUMNS[column].heading for column in columns)), tuple(rows),
                 best=frozenset(best), notes=notes)


def _absent(shape: Published) -> str:
    if shape is ABLATION:
        return f"Ours: not measured here; results in folders {', '.join(ABLATED.values())} would be shown."
    if shape is DEFLICKERING:
        return "Ours: not measured here; a set whose manifest has a kind of flicker or jitter would be shown."
    return "Ours: not measured here."


def _clips(bench: Bench, method: Method) -> tuple[int, int]:
    """How many clips gained and how many lost, in the mean of their items."""
    gained: dict[str, list[float]] = {}
    for item, gain in bench.worst(method):
        gained.setdefault(item.clip, []).append(gain)
    sums = [math.fsum(values) for values in gained.values()]
    return sum(value > 0 for value in sums), sum(value < 0 for value in sums)


def _goodness(column: str, mean: float, method: Method) -> float:
    better = COLUMNS[column].better
    if better:
        return mean * better
    values = method.values(column).values()  # a mean of 1 may be one of 0.3 and 1.7
    return -math.fsum(abs(value - 1) for value in values) / len(values)


def _band(low: float, high: float) -> str:
    return f"< {high:g} dB" if math.isinf(low) else f"≥ {low:g} dB" if math.isinf(high) else f"{low:g} to {high:g} dB"


def _number(value: float | None, decimals: int) -> str:
    return ABSENT if value is None or math.isnan(value) else f"{value:.{decimals}f}"


def _signed(value: float, decimals: int) -> str:
    return ABSENT if math.isnan(value) else f"{value:+.{decimals}f}".replace("-", "−")


def _written(table: Table) -> str:
    rule = "|" + "---|" * table.names + "---:|" * (len(table.head) - table.names)
    lines = [f"**{_text(table.caption)}**", "", _line(table.head), rule]
    for number, row in enumerate(table.rows):
        lines.append(_line([f"**{_text(cell)}**" if (number, place) in table.best else _text(cell)
                            for place, cell in enumerate(row)], escaped=True))
    return "\n".join([*lines, *(f"\n{_text(note)}" for note in table.notes), ""])


def _line(cells: Iterable[str], escaped: bool = False) -> str:
    return f"| {' | '.join(cell if escaped else _text(cell) for cell in cells)} |"


def _text(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    for sign, shown in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|"), ("*", "\\*"), ("`", "\\`")):
        text = text.replace(sign, shown)
    return " ".join(text.split())
