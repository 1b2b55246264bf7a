"""A method over a whole test set, by the straight path that users take, and what it gained."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harmovid.composite import blend
from harmovid.errors import InputError
from harmovid.evaluate.score import Row, score_folder
from harmovid.evaluate.testsets import alphas, read_set
from harmovid.infer import pipeline
from harmovid.infer.plan import Options, plan
from harmovid.infer.views import Harmonizer
from harmovid.video import encode, io
from harmovid.video.color import from_linear, to_linear

Progress = Callable[[str, int, int], None]
"""Told of each step: name of the item, items done, items in all."""

BANDS = ((-math.inf, 14.0), (14.0, 19.0), (19.0, math.inf))  # dB of the untouched composite: low <= psnr < high
WORSE = 0.5  # dB; an item that loses more counts as worse


def run_set(folder: Path, make: Callable[[], Harmonizer], out: Path, options: Options | None = None,
            progress: Progress = lambda name, done, total: None) -> list[Path]:
    """Harmonize every composite of a set; a result that is there already stays.

    Args:
        folder: of a test set, see `testsets.lut_set`.
        make: the method; called once, and not where nothing is left to do.
        out: results, NAME.mkv, FFV1; give each method, and each state of a model, a folder of its own.
        options: of the run; the command line's defaults where None.
        progress: told after every item.

    Returns:
        The results' files, in the order of the manifest.

    Raises:
        InputError: the set is not whole.
        HarmoVidError: as the path itself.
    """
    items = read_set(folder).items
    results, harmonizer = [], None
    for number, item in enumerate(items):
        path = out / f"{item.name}.mkv"
        if not path.exists():
            harmonizer = harmonizer or make()
            foreground, background, mask = (io.open_clip(folder / role / path.name)
                                            for role in ("foreground", "background", "mask"))
            pipeline.harmonize(plan(foreground, background, mask, path, options or Options()), harmonizer)
        results.append(path)
        progress(item.name, number + 1, len(items))
    return results


def copy_background(folder: Path, out: Path, progress: Progress = lambda name, done, total: None) -> list[Path]:
    """The floor: every person painted over with their background's mean colour; otherwise as `run_set`.

    A method that scores no better has learned to show the background where it was to relight a person.
    """
    items = read_set(folder).items
    results = []
    for number, item in enumerate(items):
        path = out / f"{item.name}.mkv"
        if not path.exists():
            behind = io.open_clip(folder / "background" / path.name)
            mean = np.mean([frame.rgb.mean((0, 1), dtype=np.float64) for frame in io.read(behind)], 0)
            flat = to_linear(np.full((behind.height, behind.width, 3), mean, np.float32), "srgb")
            with encode.Writer(encode.open_target(path), (behind.width, behind.height), behind.rate) as writer:
                for frame, alpha in zip(io.read(behind), alphas(folder, item.name), strict=True):
                    writer.write(from_linear(blend.over(flat, to_linear(frame.rgb, "srgb"), alpha), "srgb"))
        results.append(path)
        progress(item.name, number + 1, len(items))
    return results


def score_set(folder: Path, out: Path, workers: int = 1) -> list[Row]:
    """Score a method's results against the truth; rows as `score_folder`'s, kept in `out`/report.jsonl.

    Raises:
        InputError: a result is missing or cannot be scored.
    """
    rows = score_folder(out, out / "report.jsonl", truth=folder / "truth", masks=folder / "mask", workers=workers)
    failed = [row for row in rows if "error" in row]
    if failed:
        raise InputError(f"{len(failed)} of {len(rows)} results in {out} cannot be scored; the first: "
                         f"{failed[0]['error']}")
    return rows


@dataclass(frozen=True)
class Band:
    """Items whose untouched composite has low <= PSNR < high dB. gain: mean, dB; NaN where there is none."""

    low: float
    high: float
    count: int
    gain: float


@dataclass(frozen=True)
class Gains:
    """What a method gained over the untouched composites; all in dB of the foreground's PSNR, means of items.

    items: by name, after less before. worse: share of items, 0..1, that lost more than 0.5 dB.
    """

    items: dict[str, float]
    before: float
    after: float
    gain: float
    worse: float
    bands: tuple[Band, ...]


def gains(rows: list[Row], untouched: list[Row]) -> Gains:
    """Compare a method with doing nothing.

    Args:
        rows: of `score_set` for the method.
        untouched: the same for strength 0, `Options(strength=0)`, through the same path.

    Raises:
        InputError: the two are not of the same items.
    """
    after, before = ({row["clip"]: float(row["foreground_psnr"]) for row in of} for of in (rows, untouched))
    if after.keys() != before.keys() or not after:
        raise InputError(f"{len(after)} results and {len(before)} untouched composites are not of the same items; run "
                         "both over the whole set")
    items = {name: after[name] - before[name] for name in sorted(after)}
    bands = []
    for low, high in BANDS:
        inside = [items[name] for name in items if low <= before[name] < high]
        bands.append(Band(low, high, len(inside), _mean(inside)))
    return Gains(items, _mean(list(before.values())), _mean(list(after.values())), _mean(list(items.values())),
                 sum(gain < -WORSE for gain in items.values()) / len(items), tuple(bands))


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
