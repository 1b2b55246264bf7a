"""The same people before different backgrounds: a sheet to look at, as there is no truth to measure against.

    python -m benchmarks.free_composites --data DIR --people NAME … --backgrounds FILE … [--models nano] [--out SHEET]

A block of rows for each person, a column for each background: the plain composite, and the result of each model, in the
first frame (--frames 3: in three, spread over the clip, one below the other). NAME is a clip of DIR/portraits_video.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from benchmarks.lut_set import method
from harmovid.infer import pipeline
from harmovid.infer.plan import Options, plan
from harmovid.infer.views import Harmonizer
from harmovid.video import io

WIDTH = 320  # of a picture on the sheet


def pictures(data: Path, person: str, background: Path, harmonizer: Harmonizer, strength: float,
             frames: int) -> list[np.ndarray]:
    """(h, WIDTH, 3) uint8 RGB each, spread over the clip."""
    folder = data / "portraits_video"
    clips = [io.open_clip(path) for path in (folder / f"{person}.mp4", background, folder / f"{person}_mask.mp4")]
    with tempfile.TemporaryDirectory() as out:
        work = plan(*clips, Path(out) / "frames", Options(strength=strength, preview=frames))
        pipeline.harmonize(work, harmonizer)
        found = [np.clip(frame.rgb, 0, 1) for frame in io.read(io.open_clip(Path(out) / "frames"))]
    size = WIDTH, round(WIDTH * found[0].shape[0] / found[0].shape[1])
    return [(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) * 255).round().astype(np.uint8) for rgb in found]


def main() -> None:
    """Make the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--people", nargs="+", required=True)
    parser.add_argument("--backgrounds", nargs="+", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=["nano"])
    parser.add_argument("--frames", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("free_composites.png"))
    given = parser.parse_args()
    methods = [(method("classical"), 0.0), *((method(name), 1.0) for name in given.models)]
    rows = []
    for person in given.people:
        for harmonizer, strength in methods:
            columns = [np.concatenate(pictures(given.data, person, background, harmonizer, strength, given.frames))
                       for background in given.backgrounds]
            rows.append(np.concatenate(columns, 1))
        sys.stderr.write(f"{person}\n")
    cv2.imwrite(str(given.out), cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
