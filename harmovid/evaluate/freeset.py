"""People on backgrounds of other places: what users do, of which nobody knows the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from harmovid import config
from harmovid.composite import place
from harmovid.data import split as split_list
from harmovid.errors import InputError, OptionError
from harmovid.evaluate import lutset, testsets
from harmovid.evaluate.testsets import MANIFEST, VERSION, Item, Manifest, Progress
from harmovid.video import io
from harmovid.video.color import SRGB, convert


def free_set(data: Path, out: Path, backgrounds: list[Path] | None = None, split: str = "test",
             per_clip: int | None = None, limit: int | None = None,
             progress: Progress = lambda stage, done, total: None) -> Manifest:
    """Make the set, or what is missing of it; folders as those of `lutset.lut_set`, without truth/.

    Of every portrait clip of the split `per_clip` items, each on another background; backgrounds are taken in turn.
    They are laid out as the straight path does by default (they cover the picture, a short one is played back and
    forth), so that in background/ they lie in the foreground's own frame.

    Args:
        data: folder with portraits_video/NAME.mp4 and NAME_mask.mp4, as the split list names them.
        out: the set's folder; a set begun there is completed.
        backgrounds: any clips or pictures, of different names; None for those of backgrounds_video/ in the split.
        split: of the split list.
        per_clip: items of each clip, at most as many as there are backgrounds; None for 2, or 1 before a single one.
        limit: so many clips, spread over the split; None for all.
        progress: told of every clip and item.

    Raises:
        OptionError: more backgrounds are asked for than there are.
        InputError: a clip cannot be read, or two backgrounds have one name.
        OutputError: another set is in `out`, or it cannot be written.
    """
    files = backgrounds if backgrounds is not None else [
        data / name for name in split_list.files(split, "backgrounds_video", data)]
    behind = {path.stem: path for path in files}
    if len(behind) < len(files):
        raise InputError(f"{len(files)} backgrounds have {len(behind)} names; rename those that have the same")
    if per_clip is None:
        per_clip = min(2, len(behind))
    if not 1 <= per_clip <= len(behind):
        raise OptionError(f"each person goes onto 1 to {len(behind)} of the backgrounds, got {per_clip}; change "
                          "--per-clip, or give more of them")
    clips = lutset.spread(split_list.files(split, "portraits_video", data), limit)
    wanted = Manifest(VERSION, split, per_clip, clips=clips, kind="free",
                      backgrounds=testsets.digests(files, lambda path: path.name))
    begun = testsets.begin(out, wanted)
    for number, clip in enumerate(clips):
        testsets.real(data / clip, lutset.clip_folder(out, clip), plain=True)
        progress("clips", number + 1, len(clips))
    if begun is None:
        names = list(behind)
        taken = [(clip, names[(i * per_clip + j) % len(names)]) for i, clip in enumerate(clips)
                 for j in range(per_clip)]
        begun = replace(wanted, items=tuple(
            Item(f"{Path(clip).stem}__{name}", clip, background=behind[name].name) for clip, name in taken))
        config.save(begun, out / MANIFEST)

    def make(item: Item) -> None:
        folder = lutset.clip_folder(out, item.clip)
        _lay_out(behind[Path(item.background).stem], folder / "truth.mkv", out / "background" / f"{item.name}.mkv")
        testsets.link(folder / "mask.mkv", out / "mask" / f"{item.name}.mkv")
        testsets.link(folder / "truth.mkv", out / "foreground" / f"{item.name}.mkv")

    return testsets.finish(out, begun, make, progress)


def _lay_out(background: Path, foreground: Path, target: Path) -> None:
    """Write a background in the foreground's frame, at its rate and of its length."""
    behind, front = io.open_clip(background), io.open_clip(foreground)
    index = place.match(front.frames, front.rate, behind.frames, behind.rate, "pingpong")
    placement = place.place((behind.width, behind.height), (front.width, front.height), "cover")

    def pictures() -> Iterator[np.ndarray]:
        for frame in io.read(behind, index):
            yield np.clip(convert(placement.place(frame.rgb), behind.tags, SRGB), 0, 1)

    testsets.write(target, pictures(), front)
