"""Clips that match their background already: how much a model changes what it should leave alone.

    python -m benchmarks.left_alone --set DIR [--model nano]

DIR is a set of `benchmarks/lut_set.py`. Each of its clips, as filmed, goes onto its own background (the person filled
in) with the change of light and without it; what is printed is the foreground's PSNR of one against the other.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.lut_set import method
from harmovid.evaluate.testsets import read_set
from harmovid.infer import pipeline
from harmovid.infer.plan import Options, plan
from harmovid.infer.views import Harmonizer
from harmovid.video import io


def kept(folder: Path, name: str, harmonizer: Harmonizer) -> float:
    """PSNR, dB, over the person."""
    truth, background, mask = (io.open_clip(folder / role / f"{name}.mkv") for role in ("truth", "background", "mask"))
    with tempfile.TemporaryDirectory() as out:
        results = []
        for strength in (0.0, 1.0):
            path = Path(out) / f"{strength}.mkv"
            pipeline.harmonize(plan(truth, background, mask, path, Options(strength=strength)), harmonizer)
            results.append(io.read(io.open_clip(path)))
        squares, count = 0.0, 0
        for plain, relit, alpha in zip(*results, io.read(mask, grey=True), strict=True):
            inside = alpha.rgb >= 0.5
            squares += float(np.square(plain.rgb[inside] - relit.rgb[inside], dtype=np.float64).sum())
            count += 3 * int(inside.sum())
    return float(-10 * np.log10(max(squares / max(count, 1), 1e-10)))


def main() -> None:
    """Print a line per clip, then mean and least."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument("--model", default="nano")
    given = parser.parse_args()
    harmonizer = method(given.model)
    names = {item.clip: item.name for item in read_set(given.set).items}
    found = []
    for clip, name in sorted(names.items()):
        found.append(kept(given.set, name, harmonizer))
        sys.stdout.write(f"{clip} {found[-1]:.1f} dB\n")
        sys.stdout.flush()
    sys.stdout.write(f"mean {np.mean(found):.1f}, least {min(found):.1f}, "
                     f"{sum(psnr >= 30 for psnr in found)} of {len(found)} at 30 or more\n")


if __name__ == "__main__":
    main()
