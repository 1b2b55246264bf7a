"""Things to train on: parts of photographs, so that not only people teach how what is in a scene is lit.

    python -m benchmarks.fetch_things DATA [--out DIR]
    harmovid data shards DIR -o shards/ --split train --split validation

The photographs are those of some Debian packages (animals, monuments, instruments, flowers, landscapes; free licences,
which each package's `copyright` states), what surrounds the people of DATA's portraits_photo/, and views out of its
backgrounds_video/. Nothing of it lies in the repository. Each is cut into areas of one colour and texture (Felzenszwalb
and Huttenlocher 2004, "Efficient Graph-Based Image Segmentation"; needs `pip install scikit-image`); a few that are
compact and neither small nor large count as things.

DIR then holds portraits_photo/NAME.jpg, 768 pixels at most, beside NAME_alpha.png, and split.csv, in which all parts of
a photograph are in one split, of DATA's in that of its own list; none is in `test`.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.fetch_maps import fetch
from benchmarks.fetch_photos import SIDE, keep
from harmovid.data import split

REPOSITORY = Path(__file__).resolve().parent.parent
GCOMPRIS = "gcompris-qt-data"  # Qt's resource files, which hold pictures as they are
ALBUMS = ("explore_monuments", "explore_world_animals", "explore_farm_animals", "categorization", "explore_world_music")
WALLPAPERS = {  # by eye: what is no photograph, or no scene, is left out
    "lomiri-wallpapers-16.04": ("Bridge_by_Sander_Klootwijk", "Dragonfly_by_Bolly", "Picture_0B_by_freespace",
                                "Picture_1A_by_freespace", "Wine_by_Jakkub_Mede", "aitzgorri_by_Aitzol_Berasategi",
                                "free_by_Peter_Nerlich", "friends_by_Aitzol_Berasategi", "greentock_by_Peter_Nerlich",
                                "life_by_Aitzol_Berasategi", "picosdeeuropa_by_Aitzol_Berasategi",
                                "seeding_by_Clements_Engelhardt", "sunset_by_Aitzol_Berasategi"),
    "lomiri-wallpapers-20.04": ("Kleiber_by_Lukas_Baubkus",),
    "mate-backgrounds": ("Aqua", "Blinds", "Dune", "FreshFlower", "Garden", "GreenMeadow", "LadyBird", "RainDrops",
                         "Storm", "TwoWings", "Wood", "YellowFlower"),
}
LONG = 256  # pixels of the long side, in which pictures are cut into areas,
SCALES = (200, 600, 1500)  # finely and coarsely
LEAST, MOST, WIDEST = 0.025, 0.3, 0.55  # of the picture: a thing's area, and that of its box
COMPACT = 0.4  # of its box, that a thing fills at least
ALIKE = 14  # display values, root mean square over 16 × 16 cells: nearer ones are one photograph
HELD_OUT = 6  # every such photograph of a package is for validation
_PERSON = 5  # of 255, above which a mask is of a person; things keep away from them by a few pixels,
_ROOM = 25
_SMALL, _FLAT = 180, 12  # pixels and display values: photographs with less show nothing


def parts(picture: np.ndarray, taken: np.ndarray, most: int, random: np.random.Generator) -> list[np.ndarray]:
    """Masks (H, W) uint8 of some things in a photograph (H, W, 3) uint8; none where `taken` (H, W) is true."""
    from skimage.segmentation import felzenszwalb

    height, width = taken.shape
    scale = min(1.0, LONG / max(height, width))
    size = round(width * scale), round(height * scale)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    there = cv2.resize(taken.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    areas = [felzenszwalb(small[..., ::-1], scale=each, sigma=1.0, min_size=400) for each in SCALES]
    found = things(areas, there)
    chosen = [found[n] for n in random.permutation(len(found))[:most]]
    return [np.rint(255 * cv2.GaussianBlur(cv2.resize(thing.astype(np.float32), (width, height)), (0, 0), 0.6))
            .astype(np.uint8) for thing in chosen]


def things(areas: Sequence[np.ndarray], taken: np.ndarray) -> list[np.ndarray]:
    """What may be a thing, (H, W) bool, of pictures divided into numbered areas; none is mostly another's."""
    found: list[np.ndarray] = []
    for numbered in areas:
        for number in np.unique(numbered):
            area = numbered == number
            if not LEAST < area.mean() < MOST or (area & taken).any():
                continue
            opened = cv2.morphologyEx(area.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5)))
            count, pieces, boxes, _ = cv2.connectedComponentsWithStats(opened)
            if count < 2:
                continue
            largest = 1 + int(boxes[1:, cv2.CC_STAT_AREA].argmax())
            thing = pieces == largest
            box = int(boxes[largest, cv2.CC_STAT_WIDTH]) * int(boxes[largest, cv2.CC_STAT_HEIGHT])
            if (0.8 * LEAST <= thing.mean() and box <= WIDEST * thing.size and thing.sum() >= COMPACT * box
                    and all((thing & other).sum() <= 0.5 * min(thing.sum(), other.sum()) for other in found)):
                found.append(thing)
    return found


def pictures(resource: bytes) -> Iterator[np.ndarray]:
    """The opaque colour photographs (H, W, 3) uint8 BGR, WebP and JPEG, in a file that holds them as they are."""
    for found in re.finditer(rb"RIFF....WEBPVP8|\xff\xd8\xff[\xe0\xe1]", resource, re.DOTALL):
        begin = found.start()
        riff = resource[begin:begin + 4] == b"RIFF"
        length = 8 + int.from_bytes(resource[begin + 4:begin + 8], "little") if riff else len(resource)
        picture = cv2.imdecode(np.frombuffer(resource, np.uint8, min(length, len(resource) - begin), begin),
                               cv2.IMREAD_UNCHANGED)
        if picture is not None and picture.ndim == 3 and (picture.shape[2] == 3 or picture[..., 3].min() >= 250):
            yield np.ascontiguousarray(picture[..., :3])


def out_of_packages() -> Iterator[tuple[str, str, np.ndarray]]:
    """Names, splits and photographs of the packages."""
    for package in (GCOMPRIS, *WALLPAPERS):
        with tempfile.TemporaryDirectory() as folder, fetch(package, Path(folder)) as archive:
            for number, (name, picture) in enumerate(once(_in_package(package, archive))):
                yield name, "validation" if number % HELD_OUT == HELD_OUT - 1 else "train", picture


def once(named: Iterable[tuple[str, np.ndarray]]) -> Iterator[tuple[str, np.ndarray]]:
    """Each photograph once: albums share some, which would lie in both splits."""
    known: list[np.ndarray] = []
    for name, picture in named:
        small = cv2.resize(picture, (16, 16), interpolation=cv2.INTER_AREA).astype(np.float32)
        if all(np.square(small - other).mean() > ALIKE**2 for other in known):
            known.append(small)
            yield name, picture


def _in_package(package: str, archive: tarfile.TarFile) -> Iterator[tuple[str, np.ndarray]]:
    for member in sorted(archive.getmembers(), key=lambda one: one.name):
        path = Path(member.name)
        wanted = (path.stem in ALBUMS and path.suffix == ".rcc") or path.stem in WALLPAPERS.get(package, ())
        file = archive.extractfile(member) if wanted else None
        if file is not None:
            for number, picture in enumerate(pictures(file.read())):
                yield f"{path.stem}_{number}", picture


def around_people(data: Path) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """Names, splits, photographs of people, and where those are; views of backgrounds, where nobody is."""
    for entry in split.read(data):
        path = data / entry.file
        if entry.split not in ("train", "validation") or not path.is_file():
            continue
        if entry.folder == "portraits_photo" and entry.masked:
            mask = cv2.imread(str(path.with_name(path.stem + "_alpha.png")), cv2.IMREAD_GRAYSCALE)
            picture = cv2.imread(str(path))
            if mask is None or picture is None:
                raise SystemExit(f"{path} or its mask cannot be read; lay the data anew")
            there = cv2.dilate((mask > _PERSON).astype(np.uint8), np.ones((_ROOM, _ROOM))) > 0
            yield path.stem, entry.split, picture, there
        elif entry.folder == "backgrounds_video":
            clip = cv2.VideoCapture(str(path))
            for number, share in enumerate((0.1, 0.5, 0.9)):
                clip.set(cv2.CAP_PROP_POS_FRAMES, int(share * clip.get(cv2.CAP_PROP_FRAME_COUNT)))
                read, picture = clip.read()
                if read:
                    yield f"{path.stem}_{number}", entry.split, picture, np.zeros(picture.shape[:2], bool)


def main() -> None:
    """Fetch, cut, write, and say how much there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a data folder, with portraits_photo/ and backgrounds_video/")
    parser.add_argument("--out", type=Path, default=REPOSITORY / ".cache" / "things")
    args = parser.parse_args()
    random = np.random.default_rng(0)
    rows = []
    nowhere = ((name, part, picture, np.zeros(picture.shape[:2], bool)) for name, part, picture in out_of_packages())
    for most, photographs in ((3, nowhere), (2, around_people(args.data))):
        for name, part, picture, taken in photographs:
            scale = min(1.0, SIDE / max(taken.shape))
            size = round(taken.shape[1] * scale), round(taken.shape[0] * scale)
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            taken = cv2.resize(taken.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
            if min(size) < _SMALL or picture.std() < _FLAT:
                continue
            for number, mask in enumerate(parts(picture, taken, most, random)):
                file = f"portraits_photo/thing_{name}_{number}.jpg"
                keep(picture, mask, args.out / file)
                rows.append({"file": file, "person": f"thing_{name}", "split": part, "note": ""})
    listed = args.out / split.LIST
    with listed.with_name(listed.name + ".part").open("w", encoding="utf-8", newline="") as table:
        writer = csv.DictWriter(table, ["file", "person", "split", "note"])
        writer.writeheader()
        writer.writerows(rows)
    os.replace(table.name, listed)
    print(f"{len(rows)} things in {args.out}")


if __name__ == "__main__":
    main()
