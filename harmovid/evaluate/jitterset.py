"""Real clips whose light jumps from frame to frame, on their own background: the right answer is the clip itself.

Two kinds of jumps, as those that frame-wise methods make: global, where every frame has another table of colours at
another strength, and local, where a smooth field of gains over the person is another one in every frame. Local ones
have no mean over time, so that the truth is nearly what a method reaches that only steadies: what is bright is cut off
at white, and comes to 40 dB of it at display values of 0.8, 30 at 0.9. Of global ones the doses have none; but tables
differ in how much of each is worn, and what steadies perfectly comes to 34 to 45 dB of the truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from harmovid import config
from harmovid.composite import matte
from harmovid.data import split as split_list
from harmovid.errors import OptionError
from harmovid.evaluate import lutset, testsets
from harmovid.evaluate.testsets import MANIFEST, ROLES, VERSION, Item, Manifest, Progress
from harmovid.light import lut as tables
from harmovid.light.lut import Lut
from harmovid.light.smooth import noise
from harmovid.video import io
from harmovid.video.color import from_linear, to_linear

CLIPS = 12  # of a set, where no other number is asked for: what differs here is the jump, not the person
SETTINGS = {"tables": 3, "peak": 15.0, "weakest": 18.0, "stops": 0.6, "tint": 0.2, "nodes": 6}
"""Of the jumps at amount 1. tables: of an item. peak: PSNR, dB, that the largest strength of a table gives on the
person. weakest: dB of a table at full strength; weaker ones are not taken where there are enough. stops: standard
deviation of the field of gains, log2 of linear light. tint: of its further difference between the channels. nodes:
of the field's splines, along each side of the person's box."""


def jitter_set(data: Path, out: Path, luts: list[Path], split: str = "test", per_clip: int = 4,
               limit: int | None = None, progress: Progress = lambda stage, done, total: None) -> Manifest:
    """Make the set, or what is missing of it; folders and arguments as `lutset.lut_set`.

    Of each of its 12 clips (or `limit`) `per_clip` items: global and local in turn, of growing amounts, the last two of
    amount 1. The variants are named so: "global 0.5". Each frame's table and strength stand in the item's settings,
    those of all items in the manifest's. The seed is the item's name.

    Raises:
        OptionError: `per_clip` is less than 1.
        InputError: a clip or table cannot be read, or there are fewer than three tables.
        OutputError: another set is in `out`, or it cannot be written.
    """
    if per_clip < 1:
        raise OptionError(f"each clip gets 1 item or more, got {per_clip}")
    clips = lutset.spread(split_list.files(split, "portraits_video", data), limit or CLIPS)
    names = lutset.by_name(luts, int(SETTINGS["tables"]))
    wanted = Manifest(VERSION, split, per_clip, clips=clips, luts=testsets.digests(names.values()), kind="jitter",
                      settings=dict(SETTINGS))
    begun = testsets.begin(out, wanted)
    counts = lutset.reals(data, out, clips, progress)
    looks = {name: lutset.shown(tables.read_cube(path)) for name, path in names.items()}
    if begun is None:
        strong = lutset.alone(out, clips, looks, progress)
        begun = replace(wanted, items=tuple(
            _item(clip, number, per_clip, counts[clip], dict(zip(looks, row, strict=True)))
            for clip, row in zip(clips, strong.tolist(), strict=True) for number in range(per_clip)))
        config.save(begun, out / MANIFEST)

    def make(item: Item) -> float:
        for role in ROLES[1:]:
            testsets.link(lutset.clip_folder(out, item.clip) / f"{role}.mkv", out / role / f"{item.name}.mkv")
        jumps = _global(item, looks) if item.variant.startswith("global") else _local(item, out, counts[item.clip])
        return testsets.write_composite(out, item.name, jumps)

    return testsets.finish(out, begun, make, progress)


def _item(clip: str, number: int, per_clip: int, frames: int, strong: dict[str, float]) -> Item:
    """strong: PSNR, dB, of each table at full strength on the clip's person."""
    how = ("global", "local")[number % 2]
    amount = round((number // 2 + 1) / math.ceil(per_clip / 2), 3)
    name = f"{Path(clip).stem}__{how}{number // 2 + 1}"
    variant = f"{how} {amount:g}"
    if how == "local":
        return Item(name, clip, strength=amount, variant=variant)
    rng = np.random.default_rng(testsets.seed(name))
    order = sorted(strong, key=lambda table: (strong[table], table))
    count = int(SETTINGS["tables"])
    enough = max(count, sum(strong[table] <= SETTINGS["weakest"] for table in order))
    some = sorted(rng.choice(order[:enough], count, replace=False).tolist())
    # Evenly spread doses in a random order: their mean is 0 in every item, not only in the long run.
    dose = rng.permutation(np.linspace(-1, 1, frames)) if frames > 1 else np.ones(1)
    tables_worn = [some[i] for i in rng.integers(count, size=frames)]
    most = {table: min(1.0, 10 ** ((strong[table] - SETTINGS["peak"]) / 20)) for table in some}
    return Item(name, clip, strength=amount, variant=variant, settings={
        "tables": tables_worn, "strengths": [round(float(amount * most[table] * part), 4)
                                             for table, part in zip(tables_worn, dose, strict=True)]})


def _global(item: Item, looks: dict[str, Lut]) -> Callable[[int, np.ndarray], np.ndarray]:
    worn, strengths = item.settings["tables"], item.settings["strengths"]
    return lambda number, rgb: tables.apply(looks[worn[number]], rgb, strengths[number])


def _local(item: Item, out: Path, frames: int) -> Callable[[int, np.ndarray], np.ndarray]:
    """Gains over the box that holds the person in all frames, and beyond it those of its border."""
    mask = io.open_clip(out / "mask" / f"{item.name}.mkv")
    ever = np.zeros((mask.height, mask.width), np.float32)
    for frame in io.read(mask, grey=True):
        np.maximum(ever, frame.rgb, out=ever)
    x0, y0, x1, y1 = matte.bounding_box(ever) or (0, 0, mask.width, mask.height)
    generator = torch.Generator().manual_seed(testsets.seed(item.name))
    nodes = int(SETTINGS["nodes"])
    ratio = item.strength * np.float32(SETTINGS["stops"])
    tint = item.strength * np.float32(SETTINGS["tint"])
    light = noise((frames, 1), (1, 32, 32), (4, nodes, nodes), generator)[:, :, 0].numpy()
    colour = noise((frames, 3), (1, 32, 32), (4, nodes, nodes), generator)[:, :, 0].numpy()
    stops = ratio * (light - light.mean(0)) + tint * (colour - colour.mean(0))  # (T, 3, 32, 32)

    def recolour(number: int, rgb: np.ndarray) -> np.ndarray:
        field = cv2.resize(stops[number].transpose(1, 2, 0), (x1 - x0, y1 - y0), interpolation=cv2.INTER_CUBIC)
        height, width = rgb.shape[:2]
        field = cv2.copyMakeBorder(field, y0, height - y1, x0, width - x1, cv2.BORDER_REPLICATE)
        return from_linear(to_linear(rgb, "srgb") * np.exp2(field), "srgb")

    return recolour
