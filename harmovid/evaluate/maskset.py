"""Composites of the LUT set with bad masks: what a method makes of them, judged where the good mask says.

The masks are eroded and dilated, have holes, and wobble. Half of the clips or more show long or loose hair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from harmovid import config
from harmovid.composite import matte
from harmovid.data import split as split_list
from harmovid.evaluate import lutset, testsets
from harmovid.evaluate.testsets import MANIFEST, VERSION, Item, Manifest, Progress
from harmovid.light import lut as tables
from harmovid.light.smooth import noise
from harmovid.video import io

# Chosen by eye, from the middle frame of each clip of the test split: hair that reaches the shoulders, or stands off
# the head in curls or strands, before a background that shows between them; the loosest first. (In the far clips hair
# is a few pixels; tied-back hair and scarves are left out.)
HAIR = ("lumen_single_2639840", "lumen_single_2704360", "lumen_multi_1021469", "lumen_single_1302822",
        "lumen_single_1843056", "lumen_single_1072789", "lumen_single_1217498", "lumen_single_2445920",
        "lumen_single_2163687", "lumen_multi_1225958", "lumen_single_2041041")

VARIANTS = {"good": 0.0, "eroded 1%": 0.01, "eroded 2%": 0.02, "eroded 4%": 0.04, "dilated 1%": -0.01,
            "dilated 2%": -0.02, "dilated 4%": -0.04, "holes": 0.04, "wobble": 0.015}
"""By name: how far the edge moves inwards, holes' mean radius, and the standard deviation of the wobbling edge's way;
all as shares of the height."""
CLIPS = 8  # of a set, where no other number is asked for
_HOLES = 6


def mask_set(data: Path, out: Path, luts: list[Path], split: str = "test", per_clip: int = 1, mean: float = 18.0,
             limit: int | None = None, progress: Progress = lambda stage, done, total: None) -> Manifest:
    """Make the set, or what is missing of it; folders and arguments as `lutset.lut_set`.

    Two thirds of its 8 clips (or `limit`) are from HAIR, as far as the split has them; their items' settings say
    hair. Of each clip `per_clip` tables, as in the LUT set, and of each of those an item for every one of VARIANTS:
    mask/ holds the bad mask, scoring_mask/ the good one.

    Raises:
        InputError: a clip or table cannot be read, or these tables can't give that mean.
        OutputError: another set is in `out`, or it cannot be written.
    """
    clips = _clips(split_list.files(split, "portraits_video", data), limit or CLIPS)
    names = lutset.by_name(luts, per_clip)
    wanted = Manifest(VERSION, split, per_clip, mean, clips, testsets.digests(names.values()), kind="masks",
                      settings={"variants": dict(VARIANTS), "holes": _HOLES})
    begun = testsets.begin(out, wanted)
    lutset.reals(data, out, clips, progress)
    looks = {name: lutset.shown(tables.read_cube(path)) for name, path in names.items()}
    if begun is None:
        pairs = lutset.chosen(out, clips, looks, per_clip, mean, progress)
        begun = replace(wanted, items=tuple(
            Item(f"{Path(clip).stem}__{look}__{variant.replace(' ', '').removesuffix('%')}", clip, look, strength,
                 variant=variant, settings={"hair": Path(clip).stem in HAIR})
            for clip, some in zip(clips, pairs, strict=True) for look, strength in some for variant in VARIANTS))
        config.save(begun, out / MANIFEST)

    def make(item: Item) -> float:
        folder, file = lutset.clip_folder(out, item.clip), f"{item.name}.mkv"
        for role in ("background", "truth"):
            testsets.link(folder / f"{role}.mkv", out / role / file)
        testsets.link(folder / "mask.mkv", out / "scoring_mask" / file)
        if item.variant == "good":
            testsets.link(folder / "mask.mkv", out / "mask" / file)
        elif not (out / "mask" / file).exists():
            good = io.open_clip(folder / "mask.mkv")
            masks = np.stack([frame.rgb for frame in io.read(good, grey=True)])
            # The same holes and the same wobble under every table of a clip.
            seed = testsets.seed(Path(item.clip).stem, item.variant)
            testsets.write(out / "mask" / file, spoil(masks, item.variant, seed), good)
        good_one = item.name.rpartition("__")[0] + "__good"
        return testsets.write_composite(
            out, item.name, lambda number, rgb: tables.apply(looks[item.lut], rgb, item.strength),
            like=None if item.variant == "good" else good_one)

    return testsets.finish(out, begun, make, progress)


def spoil(masks: np.ndarray, variant: str, seed: int) -> Iterator[np.ndarray]:
    """A clip's masks, (T, H, W) in [0, 1], made bad: one of VARIANTS, frame by frame (H, W)."""
    amount = VARIANTS[variant]
    height = masks.shape[1]
    if variant == "holes":
        return _holed(masks, amount * height, np.random.default_rng(seed))
    if variant == "wobble":
        return _wobbling(masks, amount * height, torch.Generator().manual_seed(seed))
    return (matte.refine(mask, matte.Refine(shrink=amount * height)) for mask in masks)


def _clips(files: list[str], count: int) -> tuple[str, ...]:
    there = {Path(file).stem: file for file in files}
    hairy = [there[name] for name in HAIR if name in there][: -(-2 * count // 3)]
    others = [file for file in files if Path(file).stem not in HAIR]
    return (*hairy, *lutset.spread(others, count - len(hairy)))


def _holed(masks: np.ndarray, radius: float, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Round holes that go with the person's box, each there for a while."""
    count, height, width = masks.shape
    middle = masks[count // 2]
    x0, y0, x1, y1 = matte.bounding_box(middle) or (0, 0, width, height)
    places = rng.uniform(0, 1, (64, 2))  # of which those that lie on the person count
    on = middle[(y0 + places[:, 1] * (y1 - y0)).astype(int), (x0 + places[:, 0] * (x1 - x0)).astype(int)] >= 0.5
    places = np.concatenate([places[on], places[~on]])[:_HOLES]
    radii = radius * rng.uniform(0.5, 1.5, _HOLES)
    begins = rng.uniform(-0.5, 0.5, _HOLES) * count
    lasts = rng.uniform(0.5, 1.0, _HOLES) * count
    y, x = np.mgrid[:height, :width].astype(np.float32)
    for number, mask in enumerate(masks):
        x0, y0, x1, y1 = matte.bounding_box(mask) or (0, 0, width, height)
        result = mask.copy()
        for (across, down), size, begin, last in zip(places, radii, begins, lasts, strict=True):
            if begin <= number < begin + last:
                far = np.hypot(x - (x0 + across * (x1 - x0)), y - (y0 + down * (y1 - y0)))
                result *= np.clip(far - np.float32(size) + np.float32(0.5), 0, 1)
        yield result


def _wobbling(masks: np.ndarray, sigma: float, generator: torch.Generator) -> Iterator[np.ndarray]:
    """An edge that goes in and out, another way from place to place, and back within some frames."""
    count, height, width = masks.shape
    small = max(4, height // 16), max(4, width // 16)
    nodes = 4 + count // 3, 8, 4 + round(4 * width / height)
    field = noise((1, 1), (count, *small), nodes, generator)[0, 0].numpy()
    for mask, way in zip(masks, field, strict=True):
        inside = (mask >= 0.5).astype(np.uint8)
        if not inside.any() or inside.all():
            yield mask
            continue
        distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) - cv2.distanceTransform(
            1 - inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        way = np.float32(sigma) * cv2.resize(way, (width, height), interpolation=cv2.INTER_CUBIC)
        yield np.clip(distance - np.sign(distance) * 0.5 + way + 0.5, 0, 1).astype(np.float32)
