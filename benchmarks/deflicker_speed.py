"""Seconds that a clip takes to be steadied: by nano-deflicker, by BVD as it ships, by BVD as it was published.

    python -m benchmarks.deflicker_speed CLIP MASK [--model nano-deflicker] [--few 5 25]

Processor seconds of the whole path, reading and writing included, one after the other in one process. Of the published
setting the atlas is fitted for a few steps only, twice, and its 10,000 follow from the difference; its networks have
fresh weights, which are as quick as trained ones.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from harmovid.baselines import bvd
from harmovid.infer.deflicker import deflicker
from harmovid.infer.framewise import harmonizer
from harmovid.infer.views import Harmonizer
from harmovid.model import checkpoint
from harmovid.video import io


def seconds(clip: Path, mask: Path, way: Harmonizer) -> float:
    """Processor seconds to steady the person of a clip."""
    with tempfile.TemporaryDirectory() as out:
        began = time.process_time()
        deflicker(io.open_clip(clip), io.open_clip(mask), Path(out) / "steady.mkv", way)
        return time.process_time() - began


def published(clip: Path, mask: Path, few: tuple[int, int]) -> float:
    """Processor seconds of BVD's published setting, by extrapolation over the steps of its atlas."""
    whole = bvd.paper()
    networks = bvd.Networks(whole).eval()
    spent = [seconds(clip, mask, bvd.BlindDeflickering(networks, replace(whole, atlas=replace(
        whole.atlas, iterations=steps)))) for steps in few]
    step = (spent[1] - spent[0]) / (few[1] - few[0])
    return spent[0] + step * (whole.atlas.iterations - few[0])


def main() -> None:
    """Time each, print a line of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("mask", type=Path)
    parser.add_argument("--model", default="nano-deflicker")
    parser.add_argument("--few", type=int, nargs=2, default=(5, 25), metavar="STEPS", help="of the published atlas")
    given = parser.parse_args()
    torch.set_num_threads(1)
    ours = harmonizer(checkpoint.load(given.model))
    seconds(given.clip, given.mask, ours)  # what is loaded once counts for nobody
    first = seconds(given.clip, given.mask, ours)
    theirs = {"bvd": seconds(given.clip, given.mask, bvd.BlindDeflickering()),
              "bvd as published": published(given.clip, given.mask, tuple(given.few))}
    sys.stdout.write(f"{given.model}: {first:.1f} s\n")
    for name, spent in theirs.items():
        sys.stdout.write(f"{name}: {spent:.1f} s, {spent / first:.1f} times as long\n")


if __name__ == "__main__":
    main()
