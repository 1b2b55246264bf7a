"""Real clips whose light truly steps: what smooths over time loses here, and what always does nothing, too.

At a known frame k the scene becomes darker, or brighter, by one gain of scene-linear light, and the truth shows it on
the person and on the background. Two kinds of items:

- "lamp": the foreground has the step as well. Nothing is wrong with it; whoever takes the step for flicker spoils it.
- "background": the person is as filmed and only the background steps. The person must follow, at that very frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from harmovid import config
from harmovid.data import split as split_list
from harmovid.errors import InputError
from harmovid.evaluate import lutset, testsets
from harmovid.evaluate.testsets import MANIFEST, VERSION, Item, Manifest, Progress
from harmovid.video import io

CLIPS = 12  # of a set, where no other number is asked for
VARIANTS = ("lamp", "background")
STOPS = 1.25
"""How much darker the darker part of a clip is, log2 of linear light."""


def step_set(data: Path, out: Path, split: str = "test", limit: int | None = None,
             progress: Progress = lambda stage, done, total: None) -> Manifest:
    """Make the set, or what is missing of it; folders and arguments as `lutset.lut_set`, without tables.

    Of each of its 12 clips (or `limit`) an item for each of VARIANTS. Clips become darker and brighter in turn, at a
    frame between 0.4 and 0.6 of their length; both are in the items' settings: "step", the first frame in the new
    light, and "change", the natural log of the gain there. Nothing in it is random but that frame, whose seed is the
    clip's name.

    Raises:
        InputError: a clip cannot be read.
        OutputError: another set is in `out`, or it cannot be written.
    """
    clips = lutset.spread(split_list.files(split, "portraits_video", data), limit or CLIPS)
    wanted = Manifest(VERSION, split, len(VARIANTS), clips=clips, kind="step", settings={"stops": STOPS})
    begun = testsets.begin(out, wanted)
    counts = lutset.reals(data, out, clips, progress)
    if begun is None:
        begun = replace(wanted, items=tuple(_item(clip, number, variant, counts[clip])
                                            for number, clip in enumerate(clips) for variant in VARIANTS))
        config.save(begun, out / MANIFEST)

    def make(item: Item) -> float:
        folder, file, light = lutset.clip_folder(out, item.clip), f"{item.name}.mkv", _light(item)
        testsets.link(folder / "mask.mkv", out / "mask" / file)
        for role in ("background", "truth"):
            if not (out / role / file).exists():
                clip = io.open_clip(folder / f"{role}.mkv")
                testsets.write(out / role / file, testsets.lit(clip.path, light), clip)
        if item.variant == "lamp":
            return testsets.write_composite(out, item.name, lambda number, rgb: rgb)
        filmed = testsets.lit(folder / "truth.mkv", lambda number: 1.0)
        return testsets.write_composite(out, item.name, lambda number, rgb: next(filmed))

    return testsets.finish(out, begun, make, progress)


def _item(clip: str, number: int, variant: str, frames: int) -> Item:
    if frames < 2:
        raise InputError(f"{clip} is one frame, within which no light can step; leave it out of the split's list")
    rng = np.random.default_rng(testsets.seed(clip))
    first = min(math.ceil(0.4 * frames), frames - 1)
    step = int(rng.integers(first, max(first, math.floor(0.6 * frames)) + 1))
    change = math.log(2) * STOPS * (1 if number % 2 else -1)
    return Item(f"{Path(clip).stem}__{variant}", clip, variant=variant,
                settings={"step": step, "change": round(change, 6)})


def _light(item: Item) -> Callable[[int], float]:
    """The gain of linear light in each frame; the brighter part of the clip is as filmed, so that nothing clips."""
    step, change = item.settings["step"], item.settings["change"]
    before, after = (1.0, math.exp(change)) if change < 0 else (math.exp(-change), 1.0)
    return lambda number: before if number < step else after
