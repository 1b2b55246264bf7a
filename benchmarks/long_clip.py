"""Whether light stays level over a long clip: at the seams between the network's windows, and from end to end.

    python -m benchmarks.long_clip --foreground A.mp4 --mask M.mp4 --background B.mp4 [--model nano] [--frames 400]

The clips are played back and forth to the length. A frame's gain is its mean log luminance over the person with the
change of light, less that without it. A seam is where neighbouring windows overlap: its mean gain is compared with that
of as many frames before and after. The last hundred frames are also run on their own: their mean gain should be the
same.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.lut_set import method
from benchmarks.straight_path import CACHE, prepare
from harmovid.infer import pipeline
from harmovid.infer.plan import Options, plan
from harmovid.infer.views import Harmonizer
from harmovid.video import io, windows
from harmovid.video.color import luminance, to_linear

TAIL = 100
WINDOW, OVERLAP = 13, 4  # latents, as `infer.network` has them for a window of 49 frames


def levels(clips: dict[str, Path], harmonizer: Harmonizer, options: Options) -> np.ndarray:
    """(T,): mean log luminance of the person in each frame of the result."""
    opened = [io.open_clip(clips[role]) for role in ("foreground", "background", "mask")]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.mkv"
        pipeline.harmonize(plan(*opened, out, options), harmonizer)
        wanted = range(options.start or 0, options.end or opened[0].frames)
        found = []
        for frame, alpha in zip(io.read(io.open_clip(out)), io.read(opened[2], wanted, grey=True), strict=True):
            light = luminance(to_linear(frame.rgb, "srgb"))[alpha.rgb > 0.9]
            found.append(float(np.log(light + 0.004).mean()))
    return np.array(found)


def main() -> None:
    """Print the largest change at a seam, the largest elsewhere, and how far the tail is from its own run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for role in ("foreground", "mask", "background"):
        parser.add_argument(f"--{role}", type=Path, required=True)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--frames", type=int, default=400)
    given = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    clips = prepare({role: getattr(given, role) for role in ("foreground", "mask", "background")}, (832, 480),
                    given.frames)
    harmonizer = method(given.model)
    plain = levels(clips, harmonizer, Options(strength=0))
    gain = levels(clips, harmonizer, Options()) - plain
    last = given.frames - TAIL
    tail = levels(clips, harmonizer, Options(start=last, end=given.frames)) - plain[last:]

    # Latent k holds the frames 4k − 3 to 4k.
    spans = windows.windows((given.frames - 2) // 4 + 2, WINDOW, OVERLAP)
    seams = [(4 * b - 3, 4 * a) for (_, a), (b, _) in itertools.pairwise(spans)]
    apart = [step(gain, start, stop) for start, stop in seams]
    other = [step(gain, at, at + 16) for at in range(16, given.frames - 32) if all(abs(at - s) > 8 for s, _ in seams)]
    off = gain[last:].mean() - tail.mean()
    sys.stdout.write(f"gain {gain.mean():+.3f} in the mean, {gain.min():+.3f} to {gain.max():+.3f} (natural log)\n"
                     f"seams: {len(seams)}, largest step {100 * np.abs(apart).max():.2f}%, mean "
                     f"{100 * np.abs(apart).mean():.2f}%; elsewhere largest {100 * np.abs(other).max():.2f}%, mean "
                     f"{100 * np.abs(other).mean():.2f}%\n"
                     f"last {TAIL} frames against a run on them alone: {100 * off:+.2f}%\n")


def step(gain: np.ndarray, start: int, stop: int) -> float:
    """Mean of a stretch less that of its neighbours, as many frames on each side."""
    count = stop - start
    beside = np.concatenate([gain[max(start - count, 0) : start], gain[stop : stop + count]])
    return float(gain[start:stop].mean() - beside.mean())


if __name__ == "__main__":
    main()
