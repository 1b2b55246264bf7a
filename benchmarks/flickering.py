"""A clip as a camera would have recorded it whose exposure pumps, and under mains light: before and after deflickering.

    python -m benchmarks.flickering CLIP --out OUT [--model nano-deflicker] [--frames 8]

OUT/sheet.jpg has rows of consecutive frames: the clip, pumped, steadied, banded, steadied. Printed of each: the mean
absolute second difference over time of the picture's mean log luminance, less the clip's own, its deviation, and its
first frame less its sixth; all 0 for the clip.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from harmovid.infer.deflicker import deflicker
from harmovid.infer.framewise import harmonizer
from harmovid.model import checkpoint
from harmovid.video import encode, io
from harmovid.video.clip import Clip
from harmovid.video.color import from_linear, luminance, to_linear
from harmovid.video.target import open_target

_SIDE = 160  # height of a picture on the sheet


def pumped(frames: int) -> Callable[[int, np.ndarray], np.ndarray]:
    """Exposure that hunts: a random walk of about ±0.7 stops that is drawn back, with no mean."""
    rng = np.random.default_rng(3)
    walk = np.zeros(frames)
    for t in range(1, frames):
        walk[t] = 0.55 * walk[t - 1] + 0.35 * rng.standard_normal()
    walk -= walk.mean()
    return lambda t, light: light * np.float32(2) ** np.float32(walk[t])


def banded(t: int, light: np.ndarray) -> np.ndarray:
    """Mains light through a rolling shutter: bands of 30% that roll down, blue in their dark parts."""
    down = np.linspace(0, 1, len(light), dtype=np.float32)[:, None, None]
    beat = np.sin(2 * np.pi * 0.37 * t)
    tint = np.array([1, 1 + 0.04 * beat, 1 - 0.08 * beat], np.float32)
    return light * (1 + 0.3 * np.sin(2 * np.pi * (1.4 * down - 0.37 * t))) * tint


def level(clip: Clip) -> np.ndarray:
    """(T,): natural log of each frame's mean luminance."""
    return np.array([np.log(luminance(to_linear(frame.rgb, "srgb")).mean() + 1e-4) for frame in io.read(clip)])


def strip(clip: Clip, frames: range) -> np.ndarray:
    """Some frames beside each other, (160, n·W, 3) BGR."""
    size = round(_SIDE * clip.width / clip.height), _SIDE
    shown = [cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA) for frame in io.read(clip, frames)]
    return np.rint(np.clip(np.concatenate(shown, 1), 0, 1) * 255).astype(np.uint8)[..., ::-1]


def main() -> None:
    """Make both, steady both, print a line of each, write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="nano-deflicker")
    parser.add_argument("--frames", type=int, default=8, help="frames on the sheet, from the middle")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    source, steadier = io.open_clip(given.clip), harmonizer(checkpoint.load(given.model))
    own = level(source)
    first = max(0, source.frames // 2 - given.frames // 2)
    shown = range(first, min(first + given.frames, source.frames))
    rows = [strip(source, shown)]
    for name, change in (("pumped", pumped(source.frames)), ("banded", banded)):
        made = given.out / f"{name}.mkv"
        with encode.Writer(open_target(made, overwrite=True), (source.width, source.height),
                           source.rate) as writer:
            for t, frame in enumerate(io.read(source)):
                light = np.clip(change(t, to_linear(frame.rgb, "srgb")), 0, 1).astype(np.float32)
                writer.write(from_linear(light, "srgb"))
        steady = given.out / f"{name}_steadied.mkv"
        deflicker(io.open_clip(made), None, steady, steadier, overwrite=True)
        for path in (made, steady):
            clip = io.open_clip(path)
            apart = level(clip) - own
            begins = apart[0] - apart[min(5, len(apart) - 1)]
            sys.stdout.write(f"{path.stem}: second difference {np.abs(np.diff(apart, 2)).mean():.4f}, deviation "
                             f"{apart.std():.4f}, first less sixth frame {begins:+.3f}\n")
            rows.append(strip(clip, shown))
    cv2.imwrite(str(given.out / "sheet.jpg"), np.concatenate(rows), [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
