"""The list that divides the real footage by person and scene.

`split.csv` names every picture, clip, background and map of the data folder once, and the photos that
`benchmarks/fetch_photos.py` adds to it. Files that show one person, or come from one shoot, one place or one
drive, carry the same `person`, and all of a person's files that are used lie in one split: what is measured on
`test` was never seen in training.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

from harmovid.errors import OptionError

SPLITS = ("train", "validation", "test", "unused")


@dataclass(frozen=True)
class Entry:
    """One row of the list.

    file: path relative to the data folder, with forward slashes. person: id of the person, shoot or place.
    split: one of SPLITS; `unused` are files whose mask is bad or missing. note: what was seen by eye; empty
    for most.
    """

    file: str
    person: str
    split: str
    note: str

    @property
    def folder(self) -> str:
        """The folder of the file: portraits_video, portraits_photo, backgrounds_video, hdri, objects_video."""
        return self.file.partition("/")[0]

    @property
    def masked(self) -> bool:
        """Whether it is a portrait or an object with a mask beside it."""
        return self.folder.startswith(("portraits", "objects")) and not self.note.startswith("no mask")


@cache
def read() -> tuple[Entry, ...]:
    """All rows, in the order of the list."""
    text = (resources.files("harmovid.data") / "split.csv").read_text(encoding="utf-8")
    return tuple(Entry(**row) for row in csv.DictReader(text.splitlines()))


def files(split: str, folder: str) -> list[str]:
    """The files of one split in one folder, relative to the data folder, in the order of the list.

    Raises:
        OptionError: unknown split or folder.
    """
    folders = tuple(dict.fromkeys(entry.folder for entry in read()))
    for name, value, known in (("split", split, SPLITS), ("folder", folder, folders)):
        if value not in known:
            raise OptionError(f"There is no {name} {value!r}; choose one of {', '.join(known)}.")
    return [entry.file for entry in read() if entry.split == split and entry.folder == folder]
