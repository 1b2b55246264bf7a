"""Real clips that a lamp passes: light that truly moves, alone and with flicker over it.

The scene is darker than it was filmed, and once, in the middle half of the clip, a smooth spot of light crosses the
picture, person and background alike; that is the truth. Two kinds of items:

- "steady": the foreground is the truth's. Nothing is wrong with it; whoever takes the lamp for flicker spoils it.
- "flickering": exposure and white balance jump on top, in every frame anew. They must go, and the lamp stay.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from harmovid import config
from harmovid.data import split as split_list
from harmovid.evaluate import lutset, testsets
from harmovid.evaluate.testsets import MANIFEST, VERSION, Item, Manifest, Progress
from harmovid.video import io
from harmovid.video.color import from_linear, to_linear

CLIPS = 12  # of a set, where no other number is asked for
VARIANTS = ("steady", "flickering")
SETTINGS = {"peak": 1.2, "width": 0.35, "stops": 0.25, "tint": 0.1}
"""peak: of the lamp, log2 of linear light; the scene without it is as much darker than filmed, so that nothing clips.
width: standard deviation of its spot, in widths and heights of the picture. stops: standard deviation of the jumps of
exposure, log2 of linear light. tint: of each channel's further jumps."""


def passing_set(data: Path, out: Path, split: str = "test", limit: int | None = None,
                progress: Progress = lambda stage, done, total: None) -> Manifest:
    """Make the set, or what is missing of it; folders and arguments as `lutset.lut_set`, without tables.

    Of each of its 12 clips (or `limit`) an item for each of VARIANTS, with one truth. The lamp's way, whose seed is
    the clip's name, is in the items' settings: "passing", the first frame in its light and the first after it,
    "angle", degrees from the right downwards, and "side", how far it passes the middle, in widths and heights of the
    picture. The seed of the jumps is the item's name; they have no mean over time in log.

    Raises:
        InputError: a clip cannot be read.
        OutputError: another set is in `out`, or it cannot be written.
    """
    clips = lutset.spread(split_list.files(split, "portraits_video", data), limit or CLIPS)
    wanted = Manifest(VERSION, split, len(VARIANTS), clips=clips, kind="passing", settings=dict(SETTINGS))
    begun = testsets.begin(out, wanted)
    counts = lutset.reals(data, out, clips, progress)
    if begun is None:
        begun = replace(wanted, items=tuple(_item(clip, variant, counts[clip])
                                            for clip in clips for variant in VARIANTS))
        config.save(begun, out / MANIFEST)

    def make(item: Item) -> float:
        folder, file = lutset.clip_folder(out, item.clip), f"{item.name}.mkv"
        testsets.link(folder / "mask.mkv", out / "mask" / file)
        for role in ("background", "truth"):
            lit = folder / f"passing_{role}.mkv"
            if not lit.exists():
                clip = io.open_clip(folder / f"{role}.mkv")
                testsets.write(lit, testsets.lit(clip.path, _lamp(item, clip.width, clip.height)), clip)
            testsets.link(lit, out / role / file)
        if item.variant == "steady":
            return testsets.write_composite(out, item.name, lambda number, rgb: rgb)
        gains = _jumps(item.name, counts[item.clip])
        return testsets.write_composite(
            out, item.name, lambda number, rgb: from_linear(to_linear(rgb, "srgb") * gains[number], "srgb"))

    return testsets.finish(out, begun, make, progress)


def _item(clip: str, variant: str, frames: int) -> Item:
    rng = np.random.default_rng(testsets.seed(clip))
    begin = round(frames / 4)
    angle, side = rng.uniform(0, 360), rng.uniform(0.1, 0.3) * rng.choice((-1, 1))
    return Item(f"{Path(clip).stem}__{variant}", clip, variant=variant, settings={
        "passing": [begin, frames - begin], "angle": round(float(angle), 1), "side": round(float(side), 3)})


def _lamp(item: Item, width: int, height: int) -> Callable[[int], np.ndarray]:
    """The gain of linear light, (H, W, 1) in (0, 1], in each frame.

    With s from 0 to 1 while the lamp passes, c(s) its place and x that of a pixel, from the picture's middle in widths
    and heights of it, log2 gain = peak (sin²(π s) exp(−|x − c(s)|² / 2 width²) − 1).
    """
    (begin, end), angle, side = item.settings["passing"], math.radians(item.settings["angle"]), item.settings["side"]
    across = ((np.arange(width) + 0.5) / width - 0.5)[None, :]
    down = ((np.arange(height) + 0.5) / height - 0.5)[:, None]
    along = across * math.cos(angle) + down * math.sin(angle)  # (H, W)
    beside = down * math.cos(angle) - across * math.sin(angle) - side  # (H, W)

    def gain(number: int) -> np.ndarray:
        passed = (number + 0.5 - begin) / (end - begin)
        bright = math.sin(math.pi * passed) ** 2 if begin <= number < end else 0.0
        spot = np.exp(-((along - (passed - 0.5)) ** 2 + beside ** 2) / (2 * SETTINGS["width"] ** 2))
        return np.exp2(SETTINGS["peak"] * (bright * spot - 1)).astype(np.float32)[..., None]

    return gain


def _jumps(name: str, frames: int) -> np.ndarray:
    """The gain of linear light in each frame and channel, (T, 3), whose log has no mean over time."""
    rng = np.random.default_rng(testsets.seed(name))
    stops = SETTINGS["stops"] * rng.standard_normal((frames, 1)) + SETTINGS["tint"] * rng.standard_normal((frames, 3))
    return np.exp2(stops - stops.mean(0)).astype(np.float32)
