"""Packing: real footage into shards, person boxed, background filled, small."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from harmovid.composite import plate
from harmovid.data.shards import OVERVIEW, OVERVIEW_EVERY, Shard, ShardInfo
from harmovid.errors import InputError
from harmovid.infer import framing
from harmovid.infer.views import ViewSize
from harmovid.video import io
from harmovid.video.color import SRGB, convert

_ROOM = 0.35  # around the person's box, a share of its side: what crops may move and grow into


def pack(video: Path, mask: Path, *, name: str, person: str, split: str, area: int = 136 * 136,
         frames: int = 10_000) -> Shard:
    """Make the shard of a clip or photo.

    Args:
        video, mask: the clip and its mask, of one length.
        name: of the shard. person, split: from the split list.
        frames: at most so many, from the beginning.
        area: pixels that the person's box is to have, at most; pictures are never enlarged.

    Raises:
        InputError: mask and clip differ in length, or the mask is empty.
    """
    clip, matte = io.open_clip(video), io.open_clip(mask)
    count = min(clip.frames, frames)
    if min(matte.frames, frames) != count:
        raise InputError(f"{mask} has {matte.frames} frames, {video} has {clip.frames}; give the mask of this clip")
    alphas = [np.clip(frame.rgb, 0, 1) for frame in io.read(matte, range(count), grey=True)]
    size = clip.width, clip.height
    if alphas[0].shape[::-1] != size:
        alphas = [cv2.resize(alpha, size, interpolation=cv2.INTER_AREA) for alpha in alphas]
    boxes = _boxes(alphas, size, mask)
    region, scale = _region(boxes, size, area)
    width, height = (max(16, round(side * scale)) for side in size)
    small = [_shrunk(np.clip(convert(frame.rgb, clip.tags, SRGB), 0, 1), (width, height))
             for frame in io.read(clip, range(count))]
    soft = [_shrunk(alpha, (width, height)) for alpha in alphas]
    empty = plate.fill(np.stack(small), np.stack(soft))
    x0, y0, x1, y1 = (round(v * scale) for v in region)
    inside = slice(y0, y1), slice(x0, x1)
    every = slice(None, None, OVERVIEW_EVERY)
    overview = [_shrunk(picture, (OVERVIEW, OVERVIEW)) for picture in empty[every]]
    info = ShardInfo(name, person, split, count, (y1 - y0, x1 - x0))
    return Shard(info, *(_bytes([picture[inside] for picture in pictures]) for pictures in (small, soft, empty)),
                 _bytes(overview))


def _boxes(alphas: list[np.ndarray], size: tuple[int, int], mask: Path) -> np.ndarray:
    found = [framing.find(alpha) for alpha in alphas]
    if not any(box is not None for box in found):
        raise InputError(f"the mask {mask} is empty: no person in any of {len(found)} frames")
    return framing.frame(found, size, ViewSize()).boxes


def _region(boxes: np.ndarray, size: tuple[int, int], area: int) -> tuple[tuple[int, int, int, int], float]:
    """The part of the picture to keep, x0, y0, x1, y1, and the scale to keep it at."""
    side = boxes[0, 2:] - boxes[0, :2]
    room = _ROOM * side
    x0, y0 = np.maximum(boxes[:, :2].min(0) - room, 0)
    x1, y1 = np.minimum(boxes[:, 2:].max(0) + room, size)
    return (int(x0), int(y0), int(x1), int(y1)), min(1.0, float((area / side.prod()) ** 0.5))


def _shrunk(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _bytes(pictures: list[np.ndarray]) -> np.ndarray:
    return np.rint(np.clip(np.stack(pictures), 0, 1) * 255).astype(np.uint8)
