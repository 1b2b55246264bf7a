"""Plots as SVG text, to stand inside a page whose style gives the colours (classes s0 to s7, axis, rule).

No names of pictures or files leave this module unescaped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

SERIES = 8  # styles there are; more series repeat them
_DASHES = ("", "6 3", "2 3", "8 3 2 3", "", "6 3", "2 3", "8 3 2 3")
_WIDTH = 420


class Dot(NamedTuple):
    """A mean and its interval; low and high NaN where there is none."""

    label: str
    mean: float
    low: float
    high: float


def dots(title: str, rows: Sequence[Dot], decimals: int, rule: float | None = None,
         signed: bool = False) -> str:
    """One line per label: a dot at the mean, a bar over the interval.

    Args:
        title: heading, with the unit.
        rows: top to bottom; at least one.
        decimals: of the figures that are written at the right.
        rule: where an upright line stands, the baseline's mean or 0.
        signed: write + before the figures above 0.
    """
    left, right, top, step = 118, _WIDTH - 66, 8, 20
    bottom = top + step * len(rows)
    sign = "+" if signed else ""
    ends = [end for row in rows for end in (row.mean, row.low, row.high) if not math.isnan(end)]
    low, high, ticks = _scale([*ends, *([rule] if rule is not None else [])])

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    parts = _ticks_below(ticks, x, top, bottom)
    if rule is not None:
        parts.append(f'<line class="rule" x1="{x(rule):.1f}" x2="{x(rule):.1f}" y1="{top}" y2="{bottom}"/>')
    for number, row in enumerate(rows):
        y = top + step * (number + 0.5)
        parts.append(f'<text class="label" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">'
                     f"{escape(_short(row.label, 17))}</text>")
        if not math.isnan(row.low):
            parts.append(f'<line class="s0" x1="{x(row.low):.1f}" x2="{x(row.high):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<circle class="s0 dot" cx="{x(row.mean):.1f}" cy="{y:.1f}" r="4"/>'
                     f'<text x="{_WIDTH - 4}" y="{y + 4:.1f}" text-anchor="end">'
                     f"{_minus(f'{row.mean:{sign}.{decimals}f}')}</text>")
    return _svg(title, bottom + 24, parts)


def curves(title: str, series: Sequence[tuple[str, Sequence[float]]], across: str, up: str) -> str:
    """Values over their number, one line per series; NaN breaks a line.

    Args:
        title: heading.
        series: (label, values from number 0 on); at least one value is finite.
        across, up: names of the axes.
    """
    points = [(label, [(float(number), value) for number, value in enumerate(values)]) for label, values in series]
    return _plane(title, points, across, up, joined=True)


def scatter(title: str, series: Sequence[tuple[str, Sequence[tuple[float, float]]]], across: str, up: str) -> str:
    """Points (x, y) of each series; both axes begin at 0.

    Args:
        title: heading.
        series: (label, points); at least one point.
        across, up: names of the axes.
    """
    return _plane(title, series, across, up, joined=False)


def _plane(title: str, series: Sequence[tuple[str, Sequence[tuple[float, float]]]], across: str, up: str,
           joined: bool) -> str:
    left, right, top, bottom = 48, _WIDTH - 10, 10, 170
    points = [point for _, found in series for point in found if not math.isnan(point[1])]
    first = 0.0 if not joined else points[0][1]
    low, high, ticks = _scale([first, *(y for _, y in points)])
    _, end, steps = _scale([0.0, *(x for x, _ in points)])
    end = max(x for x, _ in points) or end if joined else end
    steps = [step for step in steps if 0 <= step <= end]

    def x(value: float) -> float:
        return left + value / end * (right - left)

    def y(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - top)

    parts = _ticks_below(steps, x, top, bottom)
    for tick in ticks:
        parts.append(f'<line class="axis" x1="{left}" x2="{right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
                     f'<text x="{left - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{_minus(f"{tick:g}")}</text>')
    parts.append(f'<text x="{right}" y="{bottom + 32}" text-anchor="end">{escape(across)}</text>'
                 f'<text x="2" y="{bottom + 32}">↑ {escape(up)}</text>')
    for number, (label, found) in enumerate(series):
        style = f's{number % SERIES}'
        if joined:
            dash = _DASHES[number % SERIES]
            parts += [f'<polyline class="{style}" stroke-dasharray="{dash}" points="{run}"/>'
                      for run in _runs([(x(a), y(b)) for a, b in found])]
        else:
            parts += [_mark(number, x(a), y(b), style) for a, b in found if not math.isnan(b)]
        at = bottom + 50 + 18 * (number // 2), 4 + (number % 2) * _WIDTH // 2
        key = (f'<line class="{style}" stroke-dasharray="{_DASHES[number % SERIES]}" x1="{at[1]}" x2="{at[1] + 24}" '
               f'y1="{at[0] - 4}" y2="{at[0] - 4}"/>') if joined else _mark(number, at[1] + 12, at[0] - 4, style)
        parts.append(f'{key}<text class="label" x="{at[1] + 30}" y="{at[0]}">{escape(_short(label, 26))}</text>')
    return _svg(title, bottom + 42 + 18 * math.ceil(len(series) / 2), parts)


def _mark(number: int, x: float, y: float, style: str) -> str:
    """A shape per series, so that colour is not all that tells them apart."""
    if number % 4 == 0:
        return f'<circle class="{style} dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
    shapes = {1: "-4,-4 4,-4 4,4 -4,4", 2: "0,-5 5,4 -5,4", 3: "0,-5 5,0 0,5 -5,0"}
    return f'<polygon class="{style} dot" transform="translate({x:.1f} {y:.1f})" points="{shapes[number % 4]}"/>'


def _runs(points: Sequence[tuple[float, float]]) -> list[str]:
    """The points of a line, broken where there is none."""
    runs: list[list[str]] = [[]]
    for x, y in points:
        if math.isnan(y):
            runs.append([])
        else:
            runs[-1].append(f"{x:.1f},{y:.1f}")
    return [" ".join(run) for run in runs if run]


def _ticks_below(ticks: Sequence[float], x: Callable[[float], float], top: float, bottom: float) -> list[str]:
    return [f'<line class="axis" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top}" y2="{bottom}"/>'
            f'<text x="{x(tick):.1f}" y="{bottom + 16}" text-anchor="middle">{_minus(f"{tick:g}")}</text>'
            for tick in ticks]


def _scale(values: Sequence[float]) -> tuple[float, float, list[float]]:
    """Ends with room around the values, and about four round ticks between them."""
    low, high = min(values), max(values)
    if high - low < 1e-9 * max(abs(low), abs(high), 1e-3):
        pad = abs(low) * 0.1 or 1.0
        low, high = low - pad, high + pad
    span = high - low
    step = 10.0 ** math.floor(math.log10(span / 3))
    step *= max(factor for factor in (1, 2, 5) if factor * step <= span / 3)
    start = low if low == 0 else low - 0.05 * span
    end = high if high == 0 else high + 0.05 * span
    first, last = math.ceil(start / step - 1e-9), math.floor(end / step + 1e-9)
    return start, end, [round(number * step, 12) for number in range(first, last + 1)]


def _minus(text: str) -> str:
    return text.replace("-", "−")


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    return (f'<figure class="plot"><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {_WIDTH} {height:.0f}" '
            f'role="img" aria-label="{escape(title)}">{"".join(parts)}</svg></figure>')
