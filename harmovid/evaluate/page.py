"""A report as one HTML file that needs nothing else: tables, plots, and players of the worst items.

Every text from outside (names of sets, methods and items, messages) is escaped. The page asks for no address.
"""

from __future__ import annotations

import base64
import json
import math
from contextlib import suppress
from html import escape
from pathlib import Path

from harmovid.errors import OutputError
from harmovid.evaluate import plots, tables
from harmovid.evaluate.excerpts import Excerpt, Player, Shown
from harmovid.evaluate.measures import COLUMNS
from harmovid.evaluate.page_parts import SCRIPT, STYLE
from harmovid.evaluate.report import Bench, Report
from harmovid.evaluate.tables import Table

MARKDOWN, PAGE = "report.md", "report.html"
# No address but what is in the file: what the page shows can be looked at anywhere and tells nobody.
_POLICY = ("default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:; "
           "media-src data: blob:")


def check(out: Path, overwrite: bool = False) -> None:
    """See before any work that a report can be written to a folder.

    Raises:
        OutputError: it is a file, or holds a report and `overwrite` is not set.
    """
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; name a folder, report.md and report.html go into it")
    taken = [name for name in (MARKDOWN, PAGE) if (out / name).exists()]
    if taken and not overwrite:
        raise OutputError(f"{out / taken[0]} exists already; pass --overwrite to replace it, or name another folder")


def write(report: Report, shown: Shown, out: Path, overwrite: bool = False) -> list[Path]:
    """Write report.md and report.html, each whole or not at all.

    Raises:
        OutputError: as `check`, or the folder cannot be written.
    """
    check(out, overwrite)
    files = {out / MARKDOWN: tables.markdown(report), out / PAGE: page(report, shown)}
    partial = None
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            partial = path.with_name(f".{path.name}.part")
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
    except OSError as error:
        if partial is not None:
            with suppress(OSError):
                partial.unlink()
        raise OutputError(f"{out} cannot be written ({error.strerror}); make room there, or name another folder") \
            from error
    return list(files)


def page(report: Report, shown: Shown | None = None) -> str:
    """The HTML text of a report; without `shown`, without players."""
    shown = shown or Shown()
    links = "".join(f'<li><a href="#set{number}">{escape(bench.name)}</a></li>'
                    for number, bench in enumerate(report.benches))
    body = "".join(_bench(number, bench, shown) for number, bench in enumerate(report.benches))
    left = f"<p>{shown.left_out} of the worst items have no player: the page would have grown beyond 20 MB.</p>" \
        if shown.left_out else ""
    missing = _list([*shown.remarks])
    clips = json.dumps([[_encoded(found.clip), _encoded(found.poster)] for found in shown.excerpts])
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>Report: {escape(', '.join(bench.name for bench in report.benches))}</title>"
        f"<style>{STYLE}</style></head>"
        '<body><a class="skip" href="#main">To the tables</a><header><h1>Report</h1>'
        f"<p>All methods are compared with <strong>{escape(report.baseline)}</strong>. {escape(tables.HOW)} Bold is "
        "the best of a column.</p>"
        f'<nav aria-label="Sections"><ul>{links}<li><a href="#paper">The paper’s tables</a></li></ul></nav>'
        f"{left}{missing}"
        f'</header><main id="main">{body}{_papers(report)}</main>'
        f'<script type="application/json" id="clips">{clips}</script><script>{SCRIPT}</script></body></html>\n')


def table(found: Table) -> str:
    """A table as HTML, with caption and scope, that scrolls by itself where it is wide."""
    head = "".join(f'<th scope="col">{_whole(cell)}</th>' for cell in found.head)
    rows = []
    for number, row in enumerate(found.rows):
        cells = [f'<th scope="row">{escape(cell)}</th>' for cell in row[: found.names]]
        for place, cell in enumerate(row[found.names :], found.names):
            text = escape(cell).replace(" [", '<span class="interval"> [').replace("]", "]</span>") \
                if " [" in cell else escape(cell)
            cells.append(f"<td><strong>{text}</strong></td>" if (number, place) in found.best else f"<td>{text}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in found.notes)
    return (f'<div class="table" tabindex="0" role="region" aria-label="{escape(found.caption)}"><table><caption>'
            f"<span>{escape(found.caption)}</span></caption><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
            f"{notes}")


def _bench(number: int, bench: Bench, shown: Shown) -> str:
    kind = f" <small>{escape(bench.kind)}</small>" if bench.kind and bench.kind not in bench.name else ""
    changed, timed = tables.changes(bench), tables.speed(bench)
    parts = [f'<section id="set{number}"><h2>{escape(bench.name)}{kind}</h2>', _list(bench.remarks),
             table(tables.overview(bench)), table(changed) if changed else "",
             _plots(bench), table(timed) if timed else ""]
    for method in bench.methods:
        players = [player for player in shown.players if (player.bench, player.method) == (bench.name, method.name)]
        items = tables.per_clip(bench, method)
        if not items and not players:
            continue
        parts.append(f"<h3>{escape(method.title)}: worst first</h3>")
        if players:
            parts.append(f'<div class="players">{"".join(_player(bench, player, shown.excerpts) for player in players)}'
                         "</div>")
        if items:
            parts.append(f"<details><summary>All {len(items.rows)} items of {escape(method.title)}</summary>"
                         f"{table(items)}</details>")
    return "".join([*parts, "</section>"])


def _plots(bench: Bench) -> str:
    """Changes of the main figures and their means, time taken, and, folded, every other figure by method."""
    made: list[str] = []
    more: list[str] = []
    base = bench.baseline
    for column in bench.main:
        heading, decimals, _ = COLUMNS[column]
        rows = [plots.Dot(method.title, method.changes[column].mean, method.changes[column].low,
                          method.changes[column].high)
                for method in bench.methods if method is not base and column in method.changes]
        if rows and base:
            made.append(plots.dots(f"{heading}: change against {base.title}", rows, decimals, 0.0, signed=True))
    for column in bench.columns:
        heading, decimals, _ = COLUMNS[column]
        known = [(method, method.figures[column]) for method in bench.methods if column in method.figures]
        rule = base.figures[column].mean if base and column in base.figures else None
        (made if column in bench.main else more).append(plots.dots(
            heading, [plots.Dot(method.title, found.mean, found.low, found.high) for method, found in known], decimals,
            rule))
    timed = [(method.title, [(float(frames), seconds) for seconds, frames in method.seconds.values()])
             for method in bench.methods if method.seconds]
    if timed:
        made.append(plots.scatter("Seconds against frames, by item", timed, "frames", "seconds"))
    folded = (f'<details><summary>All other figures by method, {len(more)} plots</summary><div class="plots">'
              f'{"".join(more)}</div></details>') if more else ""
    return ('<p class="note">Dots are means, bars their 95% intervals. The dashed line is the baseline: whether a '
            "method differs from it is told by the changes, whose intervals are of differences item by item, not by "
            f'the overlap of the bars of means.</p><div class="plots">{"".join(made)}</div>{folded}')


def _player(bench: Bench, player: Player, excerpts: tuple[Excerpt, ...]) -> str:
    result = excerpts[player.shown["result"]]
    unit = COLUMNS[bench.main[0]]
    change = f"{player.gain * unit.better:+.{unit.decimals}f}".replace("-", "−")
    against = f"change of {unit.heading} against {bench.baseline.title}" if bench.baseline else unit.heading
    others = [(what, place) for what, place in player.shown.items() if what != "result"]
    options = "".join(f'<option value="{place}">{escape(what)}</option>' for what, place in others)
    part = f" The first {result.frames} of {result.whole} frames." if result.frames < result.whole else ""
    lines = [(what, excerpts[place].luminance) for what, place in player.shown.items()]
    lit = [(what, values) for what, values in lines if any(not math.isnan(value) for value in values)]
    plot = plots.curves("Luminance of the person over time", lit, "frame", "luma") if lit else \
        '<p class="note">No mask, so no luminance of the person.</p>'
    name = escape(player.item.name)
    return (
        f'<figure class="player" data-result="{player.shown["result"]}"><figcaption><span class="item">{name}</span> '
        f'<strong>{change}</strong> {escape(against)}.{part}</figcaption>'
        f'<div class="stage" style="aspect-ratio:{result.width}/{result.height}">'
        f'<video class="under" muted loop playsinline aria-label="result, {name}"></video>'
        f'<video class="over" muted loop playsinline aria-label="what it is compared with, {name}"></video>'
        '<div class="line"></div></div><noscript><p>The players need JavaScript.</p></noscript>'
        '<div class="controls"><button type="button" aria-pressed="false">Play</button>'
        f'<label>left: <select>{options}</select></label><span>right: result</span><label class="wipe">wipe <input '
        'type="range" min="0" max="100" value="50" aria-valuetext="50% of the width"></label></div>'
        f"{plot}</figure>")


def _papers(report: Report) -> str:
    parts = ['<section id="paper"><h2>The paper’s tables</h2>']
    for published, ours in tables.papers(report):
        parts += [f"<h3>{escape(published.caption.split(',')[0].split('(')[0])}</h3>", table(published),
                  *(table(found) for found in ours)]
    return "".join([*parts, "</section>"])


def _whole(heading: str) -> str:
    """A heading whose arrow never stands alone on a line."""
    for arrow in (" ↑", " ↓", " → 1"):
        heading = heading.replace(arrow, arrow.replace(" ", "\u00a0"))
    return escape(heading)


def _list(remarks: tuple[str, ...] | list[str]) -> str:
    return f'<ul class="remarks">{"".join(f"<li>{escape(remark)}</li>" for remark in remarks)}</ul>' if remarks else ""


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
