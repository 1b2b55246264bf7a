"""Things and animals in wrong colours: as the LUT set, of foregrounds that are no people."""

from __future__ import annotations

from pathlib import Path

from harmovid.data import split as split_list
from harmovid.evaluate import lutset
from harmovid.evaluate.testsets import VERSION, Manifest, Progress


def thing_set(data: Path, out: Path, luts: list[Path], split: str = "test", per_clip: int = 4, mean: float = 18.0,
              limit: int | None = None, progress: Progress = lambda stage, done, total: None) -> Manifest:
    """Make the set, or what is missing of it; all as `lutset.lut_set`, of objects_video/NAME.mp4.

    Networks take 4k + 1 frames: the last is repeated until there are so many, and the items' `frames` tell how many
    are the clip's own; only those are scored.
    """
    clips = lutset.spread(split_list.files(split, "objects_video", data), limit)
    wanted = Manifest(VERSION, split, per_clip, mean, clips, kind="things")
    return lutset.recoloured(data, out, luts, wanted, progress, pad=True)
