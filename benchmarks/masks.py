"""Masks made by `harmovid matte` against given ones.

    python benchmarks/masks.py --data DIR

DIR holds `portraits_video/NAME.mp4` with `NAME_mask.mp4`. Printed are the intersection over union of three single
frames of every clip with one person, and, for every third of these clips steadied over time, that of all frames and how
much a mask changes from frame to frame (mean absolute difference), beside the same of the given masks.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np

from harmovid.composite.segment import PersonSegmenter, segment_clip
from harmovid.video import io

# Its given mask holds the desk.
LEFT_OUT = {"lumen_single_1973501"}


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two masks at 0.5."""
    a, b = a > 0.5, b > 0.5
    return float((a & b).sum() / max((a | b).sum(), 1))


def change(masks: list[np.ndarray]) -> float:
    """Mean absolute difference of consecutive masks."""
    return float(np.mean([np.abs(b - a).mean() for a, b in itertools.pairwise(masks)]))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    folder = parser.parse_args().data / "portraits_video"
    paths = [p for p in sorted(folder.glob("lumen_single_*.mp4")) if "_mask" not in p.stem and p.stem not in LEFT_OUT]
    segmenter = PersonSegmenter(num_threads=2)
    stills, steadied, ours, given = [], [], [], []
    worst = []
    for number, path in enumerate(paths):
        clip, mask = io.open_clip(path), io.open_clip(path.with_name(f"{path.stem}_mask.mp4"))
        wanted = [0, clip.frames // 2, clip.frames - 1]
        stills += [overlap(segmenter(frame.rgb), truth.rgb)
                   for frame, truth in zip(io.read(clip, wanted), io.read(mask, wanted, grey=True), strict=True)]
        worst.append((float(np.mean(stills[-3:])), path.stem))
        if number % 3 == 0:
            truths = [frame.rgb for frame in io.read(mask, grey=True)]
            made = list(segment_clip((frame.rgb for frame in io.read(clip)), segmenter))
            steadied += [overlap(a, b) for a, b in zip(made, truths, strict=True)]
            ours.append(change(made))
            given.append(change(truths))
    print(f"single frames of {len(paths)} clips: IoU {np.mean(stills):.3f} mean, {np.median(stills):.3f} median")
    print("worst: " + ", ".join(f"{name} {value:.2f}" for value, name in sorted(worst)[:8]))
    print(f"{len(ours)} clips steadied: IoU {np.mean(steadied):.3f} mean, {np.median(steadied):.3f} median; "
          f"change {np.mean(ours):.4f} a frame, given masks {np.mean(given):.4f}")


if __name__ == "__main__":
    main()
