"""Real clips in wrong colours, put right: what each method gains on a test set whose truth is known.

    python benchmarks/fetch_luts.py
    python benchmarks/lut_set.py --data DIR [--split validation] [--per-clip 2] [--items N] [--each]
                                  [--models untouched classical nano PATH]

DIR holds `portraits_video/NAME.mp4` with `NAME_mask.mp4`. The set is made once (`harmovid.evaluate.lutset`), every
method runs over it by the path of `harmovid harmonize`, and a table is printed. All of it can be stopped and resumed.
Methods: untouched (strength 0), background (the person painted in the background's mean colour), reinhard, classical,
histogram, and any model that `harmovid harmonize --model` takes. Results of a folder of weights are kept under the
folder's name; --again makes those of the methods named anew.
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
from pathlib import Path
from typing import Any

from harmovid.evaluate import lutset, methods, run
from harmovid.evaluate.bench import spread
from harmovid.evaluate.fidelity import SquaredError
from harmovid.evaluate.gains import Gains, gains
from harmovid.evaluate.testsets import scoring_masks
from harmovid.infer.views import Harmonizer
from harmovid.video import io

CACHE = Path(__file__).resolve().parent.parent / ".cache"
CLASSICAL = ("reinhard", "classical", "histogram")


def method(name: str) -> Harmonizer:
    """The harmonizer of that name: classical, or a model's."""
    return methods.load(methods.method(name))


def tell(stage: str, done: int, total: int) -> None:
    """One line that counts up, on the screen alone."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{done}/{total} {stage}" + ("\n" if done == total else ""))


def scored(folder: Path, out: Path, name: str) -> dict[str, Any]:
    """The one figure that the table is made of; `harmovid evaluate run` measures all the others too, and takes long."""
    error = SquaredError()
    clips = [io.open_clip(place / f"{name}.mkv") for place in (out, folder / "truth", scoring_masks(folder))]
    reads = [io.read(clip, grey=n == 2) for n, clip in enumerate(clips)]
    for result, truth, mask in zip(*reads, strict=True):
        error.add(result.rgb, truth.rgb, mask.rgb)
    return {"clip": name, "foreground_psnr": error.psnr()}


def line(name: str, found: Gains) -> str:
    """A method's row of the table."""
    bands = ["–" if math.isnan(band.gain) else f"{band.gain:+.2f} ({band.count})" for band in found.bands]
    return f"| {' | '.join([name, f'{found.after:.2f}', f'{found.gain:+.2f}', *bands, f'{100 * found.worse:.0f}%'])} |"


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
    names = None if args.items is None else spread(folder, args.items)
    items = [item for item in made.items if names is None or item.name in names]
    found = [item.psnr for item in items if item.psnr is not None]
    print(f"{len(items)} composites of {len(made.clips)} clips, {min(found):.1f} to {max(found):.1f} dB, mean "
          f"{sum(found) / len(found):.2f} dB\n")
    print("| method | PSNR fg (dB) | gain | below 14 dB | 14 to 19 dB | above 19 dB | worse by > 0.5 dB |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    untouched = None
    for name in ("untouched", *(model for model in args.models if model != "untouched")):
        chosen = methods.method(name)
        out = folder / "results" / chosen.name
        if args.again and name in args.models:
            shutil.rmtree(out, ignore_errors=True)
        failed = run.run_method(folder, chosen, names, progress=tell)
        if failed:
            raise SystemExit(f"{len(failed)} results of {chosen.name} are missing; the first, {min(failed.items())}")
        rows = [scored(folder, out, item.name) for item in items]
        untouched = untouched or rows
        gained = gains(rows, untouched)
        print(line(chosen.name, gained), flush=True)
        if args.each:
            for item, gain in sorted(gained.items.items(), key=lambda pair: pair[1]):
                print(f"  {gain:+.2f} {item}")


if __name__ == "__main__":
    main()
