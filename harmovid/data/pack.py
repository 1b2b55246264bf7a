"""Packing: real footage into shards, person boxed, background filled, small."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from harmovid.composite import place, plate
from harmovid.composite.segment import PersonSegmenter
from harmovid.data import card, shards, workers
from harmovid.data import split as listed
from harmovid.data.shards import OVERVIEW, OVERVIEW_EVERY, Shard, ShardInfo
from harmovid.errors import HarmoVidError, InputError, OptionError
from harmovid.infer import framing
from harmovid.infer.matting import write_matte
from harmovid.infer.views import ViewSize
from harmovid.video import io
from harmovid.video.clip import Clip
from harmovid.video.color import SRGB, convert
from harmovid.video.target import open_target

AREA = 136 * 136  # pixels that the person takes, at most
_ROOM = 0.35  # around the person's box, a share of its side: what crops may move and grow into
_UNMASKED = 33  # frames of a clip without a mask; those are talking heads, which hardly move


@dataclass(frozen=True)
class Packed:
    """What `pack_footage` did.

    made, kept: shards made now, and those that were there. absent: files of the list that the footage lacks.
    failed: what was wrong, by file.
    """

    made: int
    kept: int
    absent: int
    failed: dict[str, str]


def pack_footage(footage: Path, out: Path, splits: Sequence[str] = ("train", "validation", "test"), *,
                 photos: bool = True, limit: int | None = None, area: int = AREA, overview: int = OVERVIEW,
                 processes: int = 1,
                 progress: Callable[[str, int, int], None] = lambda stage, done, total: None) -> Packed:
    """Make shards of the portraits that the split list names; what is there already is left.

    Args:
        footage: a folder with portraits_video/NAME.mp4 beside NAME_mask.mp4, and portraits_photo/NAME.jpg beside
            NAME_alpha.png. Where the list says that there is no mask, one is made.
        out: shards go to out/SPLIT/NAME.zip, and what a SOURCES.csv of the footage says of licences to out/SOURCES.csv.
        photos: make them of photos, too.
        limit: only the first so many files of each split; None for all.
        area, overview: as of `pack`.
        processes: at work at the same time, of one thread each.
        progress: told after every file.

    Raises:
        InputError: nothing of the list is there; there are shards of what the list now has in another split; or a
            SOURCES.csv is no such one.
        OptionError: an unknown split; fewer than one process or file, or 64 pixels; or more processes than there is
            memory for.
        MissingExtra: a mask is to be made, and the segmenter is not installed.
    """
    if processes < 1:
        raise OptionError(f"--processes is 1 or more, got {processes}")
    if limit is not None and limit < 1:
        raise OptionError(f"--limit is 1 or more, got {limit}")
    if area < 64:
        raise OptionError(f"--area is a number of pixels of 64 or more, got {area}")
    check_overview(overview)
    folders = ("portraits_video", "portraits_photo") if photos else ("portraits_video",)
    wanted = {file for folder in folders for name in splits for file in listed.files(name, folder, footage)}
    entries = [entry for entry in listed.read(footage) if entry.file in wanted]
    found = [entry for entry in entries if (footage / entry.file).is_file()]
    absent = len(entries) - len(found)
    there = [entry for name in splits for entry in [e for e in found if e.split == name][:limit]]
    if not there:
        such = f", such as {entries[0].file}" if entries else ""
        raise InputError(f"{footage} has none of the {len(entries)} files of the split list{such}; name the folder "
                         f"that holds {' and '.join(folders)}, or, of footage of your own, list it in "
                         f"{footage / listed.LIST} (docs/manual.md, \"data shards\")")
    _check_moved(listed.read(footage), out)
    todo = [entry for entry in there if not _place(entry, out).is_file()]
    if not all(entry.masked for entry in todo):
        _segmenter()  # is it installed?
    for name in splits:
        (out / name).mkdir(parents=True, exist_ok=True)
    card.carry(footage, out, {Path(entry.file).stem for entry in there})
    failed = {}
    work = partial(_pack_entry, footage=footage, out=out, area=area, overview=overview)
    for n, (entry, wrong) in enumerate(workers.each(work, todo, processes), 1):
        if wrong is not None:
            failed[entry.file] = wrong
        progress("pack", n, len(todo))
    return Packed(len(todo) - len(failed), len(there) - len(todo), absent, failed)


def _check_moved(entries: Sequence[listed.Entry], out: Path) -> None:
    """Nobody may be in training whom the list has moved to test since."""
    people = [entry for entry in entries if entry.folder.startswith("portraits")]
    right = {(entry.split, Path(entry.file).stem) for entry in people}
    moved = [(entry, path) for entry in people for split in listed.SPLITS
             if (split, stem := Path(entry.file).stem) not in right
             and (path := out / split / f"{stem}.zip").is_file() and _is_of(path, entry.person)]
    if moved:
        entry, path = moved[0]
        more = f", and {len(moved) - 1} more" if len(moved) > 1 else ""
        raise InputError(f"the list has {entry.file} in {entry.split}, but there is {path}{more}; delete what lies in "
                         "another split than the list says, and run it again")


def _is_of(path: Path, person: str) -> bool:
    try:
        return shards.info(path).person == person
    except InputError:  # a damaged one is told where it is read
        return False


def check_overview(side: int) -> None:
    """Refuse a side of the overview that a codec cannot take."""
    if side < 16 or side % 16:
        raise OptionError(f"--overview is a number of pixels that divides by 16, got {side}")


def _pack_entry(entry: listed.Entry, footage: Path, out: Path, area: int, overview: int) -> str | None:
    """Make one shard; what is wrong where that fails."""
    video, target = footage / entry.file, _place(entry, out)
    made = partial(pack, video, name=target.stem, person=entry.person, split=entry.split, area=area,
                   overview=overview)
    try:
        if entry.masked:
            ending = "_mask.mp4" if entry.folder == "portraits_video" else "_alpha.png"
            shard = made(video.with_name(video.stem + ending))
        else:
            with TemporaryDirectory(prefix="harmovid-") as folder:
                mask = open_target(Path(folder) / "mask.mkv")
                clip = io.open_clip(video)
                write_matte(clip, mask, _segmenter(), indices=range(min(clip.frames, _UNMASKED)))
                shard = made(mask.path, frames=_UNMASKED)
        shards.write(target, shard)
    except HarmoVidError as error:
        return str(error)
    return None


def _place(entry: listed.Entry, out: Path) -> Path:
    return out / entry.split / f"{Path(entry.file).stem}.zip"


@cache
def _segmenter() -> PersonSegmenter:
    return PersonSegmenter(num_threads=1)


def pack(video: Path, mask: Path, *, name: str, person: str, split: str, area: int = AREA, overview: int = OVERVIEW,
         frames: int = 10_000) -> Shard:
    """Make the shard of a clip or photo.

    Args:
        video, mask: the clip and its mask, of one length.
        name: of the shard. person, split: from the split list.
        frames: at most so many, from the beginning.
        area: pixels that the person's box is to have, at most; pictures are never enlarged.
        overview: side of the overview of the background, pixels.

    Raises:
        InputError: mask and clip differ in length or proportions, or the mask is empty.
    """
    clip, matte = io.open_clip(video), io.open_clip(mask)
    count = min(clip.frames, frames)
    if min(matte.frames, frames) != count:
        raise InputError(f"{mask} has {matte.frames} frames, {video} has {clip.frames}; give the mask of this clip")
    size = clip.width, clip.height
    if not place.same_framing((matte.width, matte.height), size):
        raise InputError(f"{mask} is {matte.width}×{matte.height}, {video} {size[0]}×{size[1]}; give a mask of the "
                         "same framing")
    # The mask is read twice: a long clip's would not fit in memory at full size, and its scale comes from its boxes.
    boxes = _boxes((_shrunk(alpha, size) for alpha in _alphas(matte, count)), size, mask)
    region, scale = _region(boxes, size, area)
    width, height = (max(16, round(side * scale)) for side in size)
    small = [_shrunk(np.clip(convert(frame.rgb, clip.tags, SRGB), 0, 1), (width, height))
             for frame in io.read(clip, range(count))]
    soft = [_shrunk(alpha, (width, height)) for alpha in _alphas(matte, count)]
    empty = plate.fill(np.stack(small), np.stack(soft))
    x0, y0, x1, y1 = (round(v * scale) for v in region)
    inside = slice(y0, y1), slice(x0, x1)
    every = slice(None, None, OVERVIEW_EVERY)
    whole = [_shrunk(picture, (overview, overview)) for picture in empty[every]]
    info = ShardInfo(name, person, split, count, (y1 - y0, x1 - x0), overview=overview)
    kept, alpha, behind = (_bytes([picture[inside] for picture in pictures]) for pictures in (small, soft, empty))
    return Shard(info, kept, alpha, behind, _bytes(whole))


def _alphas(matte: Clip, count: int) -> Iterator[np.ndarray]:
    return (np.clip(frame.rgb, 0, 1) for frame in io.read(matte, range(count), grey=True))


def _boxes(alphas: Iterable[np.ndarray], size: tuple[int, int], mask: Path) -> np.ndarray:
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
