"""The list that divides the real footage by person and scene.

`split.csv` names every picture, clip, background and map of the data folder once, and the photos and maps that
`benchmarks/fetch_photos.py` and `benchmarks/fetch_maps.py` add to it. Files that show one person, or come from one
shoot, one place or one drive, carry the same `person`, and all of a person's files that are used lie in one split: what
is measured on `test` was never seen in training.

Footage that brings a `split.csv` of its own, of the same columns, goes by that.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from harmovid.errors import InputError, OptionError

SPLITS = ("train", "validation", "test", "unused")
FOLDERS = ("portraits_video", "portraits_photo", "backgrounds_video", "hdri", "objects_video")
LIST = "split.csv"
_COLUMNS = ["file", "person", "split", "note"]


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


def read(data: Path | None = None) -> tuple[Entry, ...]:
    """All rows, in the order of the list.

    Args:
        data: a folder of footage; the list is its own split.csv where it has one, else the project's.

    Raises:
        InputError: the folder's own list has other columns, names an unknown split or folder or a file twice, has one
            person in two splits, or two portraits of one name in one split.
    """
    own = data / LIST if data is not None else None
    return _project() if own is None or not own.is_file() else _checked(own)


@cache
def _project() -> tuple[Entry, ...]:
    return tuple(_rows((resources.files("harmovid.data") / LIST).read_text(encoding="utf-8").splitlines()))


def _rows(lines: Iterable[str]) -> list[Entry]:
    return [Entry(**{name: row[name] or "" for name in _COLUMNS}) for row in csv.DictReader(lines)]


def _checked(path: Path) -> tuple[Entry, ...]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        header = next(csv.reader(lines), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table ({error}); save it as CSV in UTF-8") from error
    if header != _COLUMNS:
        raise InputError(f"{path} has the columns {', '.join(header) or 'none'}; expected {', '.join(_COLUMNS)}")
    rows = _rows(lines)
    place: dict[str, str] = {}
    seen = set()
    packed: dict[tuple[str, str], str] = {}
    for number, entry in enumerate(rows, 2):
        if entry.split not in SPLITS or entry.folder not in FOLDERS or not entry.person:
            raise InputError(f"{path}, line {number}: {entry.file!r} of person {entry.person!r} in split "
                             f"{entry.split!r}; expected a file of {', '.join(FOLDERS)}, a person, and one of "
                             f"{', '.join(SPLITS)}")
        if entry.file in seen:
            raise InputError(f"{path}, line {number}: {entry.file} is listed twice; keep one of the two")
        seen.add(entry.file)
        shard = entry.split, Path(entry.file).stem
        if entry.folder.startswith("portraits") and entry.split != "unused" and (
                other := packed.setdefault(shard, entry.file)) != entry.file:
            raise InputError(f"{path}, line {number}: {entry.file} and {other} are both called {shard[1]}, as would "
                             "be their shards; rename one of the two")
        if entry.split != "unused" and place.setdefault(entry.person, entry.split) != entry.split:
            raise InputError(f"{path}, line {number}: {entry.person} is in {place[entry.person]} and in "
                             f"{entry.split}; keep all files of a person, shoot or place in one split")
    return tuple(rows)


def files(split: str, folder: str, data: Path | None = None) -> list[str]:
    """The files of one split in one folder, relative to the data folder, in the order of the list.

    data: as in `read`.

    Raises:
        OptionError: unknown split or folder.
        InputError: as `read`.
    """
    for name, value, known in (("split", split, SPLITS), ("folder", folder, FOLDERS)):
        if value not in known:
            raise OptionError(f"There is no {name} {value!r}; choose one of {', '.join(known)}.")
    return [entry.file for entry in read(data) if entry.split == split and entry.folder == folder]


def maps(split: str, hdri: Path) -> list[Path]:
    """The HDR maps of one split that are in a folder.

    hdri: the folder itself; a list of their own lies in it, or in the folder of footage around it.

    Raises:
        OptionError, InputError: as `files`.
    """
    data = hdri if (hdri / LIST).is_file() else hdri.absolute().parent
    return [found for name in files(split, "hdri", data) if (found := hdri / Path(name).name).is_file()]
