"""The rows of a report: kept one JSON line per clip, read back, summed up, and shown as a table."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from harmovid.errors import InputError, OutputError
from harmovid.evaluate.measures import COLUMNS, NOTHING, PSNR_CEILING

Row = dict[str, Any]


def read_rows(report: Path) -> list[Row]:
    """The rows of a report, by name; of a clip's several lines, the last.

    Raises:
        InputError: there is no such file, or it is no report.
    """
    if not report.is_file():
        raise InputError(f"there is no report {report}; run `harmovid evaluate score RESULTS -o {report}`")
    return [row for _, row in sorted(_parse(report)[0].items())]


def summary(rows: list[Row]) -> dict[str, Any]:
    """Means over clips.

    Returns:
        "clips": how many were scored, "failed": how many have an error, "mean": per figure of `COLUMNS`
        and `NOTHING` its mean over the clips that have it, or None, "count": per figure, how many have
        it. The mean of PSNR is the mean of decibels; where the source is the truth itself, what doing nothing
        would score has no finite one, and is left out of it.
    """
    good = [row for row in rows if "error" not in row]
    mean: dict[str, float | None] = {}
    count: dict[str, int] = {}
    for name in (*COLUMNS, *NOTHING):
        values = [row[name] for row in good if row.get(name) is not None
                  and not (name == "nothing_foreground_psnr" and row[name] >= PSNR_CEILING)]
        # fsum rounds once, so the order of the rows can't show.
        mean[name], count[name] = math.fsum(values) / len(values) if values else None, len(values)
    return {"clips": len(good), "failed": len(rows) - len(good), "mean": mean, "count": count}


def table(rows: list[Row]) -> str:
    """The rows in Markdown: worst clip first, then the mean, the do-nothing row, the tools, and the failures.

    The worst is by the first figure of `COLUMNS` that any clip has; figures that no clip has are left
    out. The do-nothing row is the mean of the source in the result's place.
    """
    good = [row for row in rows if "error" not in row]
    failed = sorted((row["clip"], row["error"]) for row in rows if "error" in row)
    totals = summary(rows)
    names = [name for name in COLUMNS if totals["count"][name]]
    nothing = {name: totals["mean"][key] for key, name in NOTHING.items()}

    def goodness(row: Row) -> tuple[float, str]:
        value = row.get(names[0]) if names else None
        if value is None:
            return math.inf, row["clip"]
        better = COLUMNS[names[0]].better
        return (value * better if better else -abs(value - 1)), row["clip"]

    def line(clip: str, frames: int, row: Row) -> str:
        values = [(row.get(name), COLUMNS[name].decimals) for name in names]
        cells = ["–" if value is None else f"{value:.{decimals}f}" for value, decimals in values]
        return f"| {' | '.join([clip.replace('|', '¦'), str(frames), *cells])} |"

    lines = []
    if good:
        frames = sum(row["frames"] for row in good)
        lines += [f"| {' | '.join(['clip', 'frames', *(COLUMNS[name].heading for name in names)])} |",
                  "|---|" + "---:|" * (len(names) + 1),
                  *(line(row["clip"], row["frames"], row) for row in sorted(good, key=goodness)),
                  line(f"**mean of {len(good)}**", frames, totals["mean"])]
        if any(value is not None for value in nothing.values()):
            lines.append(line("do nothing (source)", frames, nothing))
        tools = sorted({f"{measure}: {tool}" for row in good for measure, tool in row.get("tools", {}).items()})
        lines += ["", "; ".join(tools)] if tools else []
    if failed:
        lines += [*([""] if lines else []), f"{len(failed)} of {len(rows)} clips not scored:", "",
                  *(f"- {clip}: {error}" for clip, error in failed)]
    return "".join(f"{text}\n" for text in lines)


def resume(out: Path) -> dict[str, Row]:
    """The rows that are in `out` already, by clip; mends its end, so that lines can be appended.

    Raises:
        InputError: it is some other file.
        OutputError: it cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if not out.exists():
            out.touch()
        rows, whole = _parse(out)
        if out.stat().st_size != len(whole):
            partial = out.with_name(out.name + ".part")
            partial.write_bytes(whole)
            os.replace(partial, out)
        return rows
    except OSError as error:
        raise OutputError(f"{out} cannot be written ({error.strerror}); name another file") from error


def append(out: Path, row: Row) -> None:
    """Add a row.

    Raises:
        OutputError: the report cannot be written.
    """
    try:
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
    except OSError as error:
        raise OutputError(f"{out} cannot be written ({error.strerror}); mend that and run the same command "
                          "again, what is scored is kept") from error


def _parse(report: Path) -> tuple[dict[str, Row], bytes]:
    """The rows of a report by clip, and its whole lines; a last line torn by a crash is left out."""
    rows: dict[str, Row] = {}
    whole = b""
    lines = report.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            rows[row["clip"]] = row
        except (ValueError, KeyError, TypeError):
            start = b'{"clip"'
            if number == len(lines) and not line.endswith(b"\n") and line[: len(start)] == start[: len(line)]:
                break
            raise InputError(f"line {number} of {report} is no row of a score; name another file, or delete "
                             "that line") from None
        whole += line if line.endswith(b"\n") else line + b"\n"
    return rows, whole
