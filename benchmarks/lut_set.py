"""Real clips in wrong colours, put right: what each method gains on a test set whose truth is known.

    python benchmarks/fetch_luts.py
    python benchmarks/lut_set.py --data DIR [--split validation] [--per-clip 2] [--items N] [--each]
                                  [--models untouched classical nano PATH]

DIR holds `portraits_video/NAME.mp4` with `NAME_mask.mp4`. It is `harmovid evaluate testset lut` and `evaluate run` in
one, with PSNR for the only measure, which takes little longer than reading the files. All of it can be stopped and
resumed. Methods are those of `evaluate run --model`; --again makes those that are named anew.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from harmovid.evaluate import bench, lutset, methods
from harmovid.evaluate.measures import Tools
from harmovid.infer.views import Harmonizer

CACHE = Path(__file__).resolve().parent.parent / ".cache"
CLASSICAL = ("reinhard", "classical", "histogram")


def method(name: str) -> Harmonizer:
    """The harmonizer of that name: classical, or a model's."""
    return methods.load(methods.method(name))


def tell(stage: str, done: int, total: int) -> None:
    """One line that counts up, on the screen alone."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{done}/{total} {stage}" + ("\n" if done == total else ""))


def main() -> None:
    """Make the set, run the methods, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--luts", type=Path, default=CACHE / "luts" / "cube", help="folder of .cube files")
    parser.add_argument("--split", default="test")
    parser.add_argument("--per-clip", type=int, default=4)
    parser.add_argument("--out", type=Path, help="the set's folder; its results go to results/ in it")
    parser.add_argument("--models", nargs="*", default=["background", *CLASSICAL])
    parser.add_argument("--items", type=int, help="only so many, spread over the set")
    parser.add_argument("--each", action="store_true", help="after each method, what every composite gained")
    parser.add_argument("--again", action="store_true", help="discard earlier results of the methods named")
    args = parser.parse_args()
    folder = args.out or CACHE / "testsets" / f"{args.split}_{args.per_clip}"
    made = lutset.lut_set(args.data, folder, sorted(args.luts.glob("*.cube")), args.split, args.per_clip,
                          progress=tell)
    names = bench.spread(folder, args.items or len(made.items))
    found = [item.psnr for item in made.items if item.name in names and item.psnr is not None]
    print(f"{len(found)} composites of {len(made.clips)} clips, {min(found):.1f} to {max(found):.1f} dB, mean "
          f"{sum(found) / len(found):.2f} dB\n")
    chosen = [methods.method(name) for name in dict.fromkeys(("untouched", *args.models))]
    asked = {methods.method(name).name for name in args.models}
    for one in chosen:
        if args.again and one.name in asked:
            shutil.rmtree(folder / "results" / one.name, ignore_errors=True)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    outcomes = bench.compare(folder, chosen, Tools(errors_only=True), names, workers=cores, progress=tell)
    failed = [(outcome.name, item, said) for outcome in outcomes for item, said in outcome.failed.items()]
    if failed:
        raise SystemExit(f"{len(failed)} results are missing; the first, {failed[0][1]} by {failed[0][0]}: "
                         f"{failed[0][2]}")
    print(bench.gain_table(folder, outcomes, args.each), end="")


if __name__ == "__main__":
    main()
