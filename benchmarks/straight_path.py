"""Where the time and the memory of the straight path go: `make bench`, or with clips and a model of your own.

Two figures, each within one run so that the machine cancels:

- 720p × 85 frames, three rounds: seconds in all over seconds to decode three clips and encode one.
- 1080p, 200 and 1,000 frames: peak memory and seconds per frame, each in a process of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from benchmarks.lut_set import method
from harmovid.infer import pipeline
from harmovid.infer.plan import Options, plan
from harmovid.video import encode, io
from harmovid.video.target import open_target

CACHE = Path(__file__).parent.parent / ".cache" / "bench"


def prepare(clips: dict[str, Path], size: tuple[int, int], frames: int) -> dict[str, Path]:
    """The clips at another size, played back and forth to another length."""
    made = {}
    for role, path in clips.items():
        about = path.stat()  # clips of one name are told apart
        told = hashlib.sha256(f"{path.resolve()} {about.st_size} {about.st_mtime_ns}".encode()).hexdigest()[:8]
        made[role] = CACHE / f"{role}_{path.stem}_{told}_{size[0]}x{size[1]}_{frames}.mp4"
        if made[role].exists():
            continue
        clip = io.open_clip(path)
        period = max(2 * clip.frames - 2, 1)
        order = [min(i % period, period - i % period) for i in range(frames)]
        with encode.Writer(open_target(made[role]), size, clip.rate) as writer:
            for frame in io.read(clip, order):
                writer.write(cv2.resize(frame.rgb, size, interpolation=cv2.INTER_CUBIC))
    return made


def alone(clips: dict[str, Path]) -> float:
    """Seconds to decode the three clips once and encode one."""
    begin = time.perf_counter()
    opened = {role: io.open_clip(path) for role, path in clips.items()}
    front = opened["foreground"]
    with encode.Writer(open_target(CACHE / "alone.mp4", overwrite=True), (front.width, front.height),
                       front.rate) as writer:
        streams = (io.read(front), io.read(opened["background"]), io.read(opened["mask"], grey=True))
        for frame, _, _ in zip(*streams, strict=True):
            writer.write(frame.rgb)
    return time.perf_counter() - begin


def run(clips: dict[str, Path], model: str) -> pipeline.Summary:
    """The whole path."""
    opened = {role: io.open_clip(path) for role, path in clips.items()}
    work = plan(opened["foreground"], opened["background"], opened["mask"], CACHE / "result.mp4", Options(),
                overwrite=True)
    return pipeline.harmonize(work, method(model))


def default_clips() -> dict[str, Path]:
    """The demo's clips, with a mask made once."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "demo"))
    import demo

    demo.CACHE.mkdir(parents=True, exist_ok=True)
    mask = CACHE / "mask.mkv"
    woman = demo.fetch_clip()
    if not mask.exists():
        program = Path(sys.executable).with_name("harmovid")
        subprocess.run([str(program), "matte", str(woman), "-o", str(mask)], check=True)
    return {"foreground": woman, "mask": mask, "background": demo.draw_background(demo.CACHE / "dusk.mp4")}


def main() -> None:
    """Print the figures, and one JSON line of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    for role in ("foreground", "mask", "background"):
        parser.add_argument(f"--{role}", type=Path)
    parser.add_argument("--model", default="classical")
    parser.add_argument("--frames", type=int, nargs="*", default=[200, 1000], help="lengths of the 1080p runs")
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)  # a run in a process of its own
    args = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    if args.one:
        summary = run({role: Path(path) for role, path in args.one.items()}, args.model)
        print(json.dumps({"peak": summary.peak_bytes, "seconds": summary.seconds, "frames": summary.frames}))
        return
    given = {role: getattr(args, role) for role in ("foreground", "mask", "background")}
    clips = given if all(given.values()) else default_clips()

    small = prepare(clips, (1280, 720), 85)
    run(prepare(clips, (320, 180), 8), args.model)  # compile what is compiled at first use
    rounds = []
    for _ in range(3):
        base, begin = alone(small), time.perf_counter()
        summary = run(small, args.model)
        rounds.append((time.perf_counter() - begin, base, summary.seconds))
    for total, base, _ in rounds:
        print(f"720p × 85 frames, {args.model}: {total:.1f} s; decode and encode alone {base:.1f} s; "
              f"ratio {total / base:.2f}")
    total, base, seconds = sorted(rounds)[1]  # the middle one of three; all are printed
    for stage, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        print(f"  {stage:<10} {spent:6.2f} s  {1000 * spent / 85:6.1f} ms a frame")
    figures: dict[str, object] = {"ratios_720p": [round(t / b, 3) for t, b, _ in rounds], "seconds_720p": seconds}

    for frames in args.frames:
        large = prepare(clips, (1920, 1080), frames)
        call = [sys.executable, "-m", "benchmarks.straight_path", "--model", args.model, "--one",
                json.dumps({role: str(path) for role, path in large.items()})]
        done = json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        spent = float(np.sum(list(done["seconds"].values())))
        print(f"1080p × {frames} frames: peak {done['peak'] / 1e6:.0f} MB, {1000 * spent / frames:.0f} ms a frame")
        figures[f"peak_mb_{frames}"] = round(done["peak"] / 1e6)
        figures[f"ms_per_frame_{frames}"] = round(1000 * spent / frames, 1)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
