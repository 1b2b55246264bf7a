"""Ten more HDR maps to train under, CC0, out of an npm package and Debian's package of Blender's data.

    python benchmarks/fetch_maps.py [--out DIR]
    harmovid data lightstage … --hdri DIR

Nothing of it lies in the repository; `npm` and `apt-get` fetch the two packages, and each map is checked against its
SHA-256. DIR then holds NAME.hdr, 512 × 256 pixels. `harmovid/data/split.csv` has all of them in `train`: the other
maps of these packages are of places that it lists already, some of them in `test`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from harmovid.light import environment

REPOSITORY = Path(__file__).resolve().parent.parent
NPM, DEBIAN = "@pmndrs/assets@1.7.0", "blender-data"
HEIGHT = 256  # pixels; the width is twice that


@dataclass(frozen=True)
class Map:
    """One map. name: of the file, less its ending. package: NPM or DEBIAN. path: in it. sha256: of what is there."""

    name: str
    package: str
    path: str
    sha256: str


MAPS = (
    *(Map(f"pmndrs_{name}", NPM, f"package/hdri/{name}.exr.js", sha256) for name, sha256 in (
        ("esplanade", "1c7a9a7da193deafd6494a55c21a0a198b72e9024a5faae6e2d3db66a87154dc"),
        ("lab", "3adb2d8b79177fe47c8d9fc50e52b8d5329ff6ba8409bd38d519fbce1e09d7d3"),
        ("sky", "62744ec42116f896c2d5959365c9be75589ca09d81ecdd99052c3307ec44ce62"),
        ("workshop", "32b92ffdb6aca9d5f73f13bbf9bd2d7b47169522de69f7fc4b18cf1da6beb048"))),
    *(Map(f"blender_{name}", DEBIAN, f"./usr/share/blender/datafiles/studiolights/world/{name}.exr", sha256)
      for name, sha256 in (
        ("city", "70940108df90c0721799d29f758ca79e67e509d9a2636487e639db7779561524"),
        ("courtyard", "1518fa37da6a8a389810a7a70262c410553018a51f0be9e248155b9bb363ff3d"),
        ("forest", "63ad3243d0f9c29bd1f51b9a3bbf5c0ad25ea39299698dba6cfc29d1660d6008"),
        ("interior", "4f6810b182ade346eac6964bf02405adf430c321b8853a644316af4e05d0fdb5"),
        ("night", "a46488f5cb744f325abc9f5af3c3eeb5d9393df69b5178fbe727538522120045"),
        ("sunrise", "b97206217e29763d62d9a65ad2d7058460acfb4824659e7a59f5bde374f21937"))),
)


def fetch(package: str, folder: Path) -> tarfile.TarFile:
    """A package, fetched into a folder."""
    if package == NPM:
        subprocess.run(["npm", "pack", "--silent", "--pack-destination", folder, package], check=True,
                       stdout=sys.stderr)
        return tarfile.open(next(folder.glob("*.tgz")))
    subprocess.run(["apt-get", "-qq", "download", package], check=True, cwd=folder)
    unpacked = subprocess.run(["dpkg-deb", "--fsys-tarfile", next(folder.glob("*.deb"))], check=True,
                              capture_output=True)
    return tarfile.open(fileobj=io.BytesIO(unpacked.stdout))


def unpack(archive: tarfile.TarFile, wanted: Map) -> bytes:
    """A map's EXR file out of its package, checked.

    Raises:
        SystemExit: it is missing, or another than the one that was looked at.
    """
    try:
        file = archive.extractfile(wanted.path)
    except KeyError:
        file = None
    content = file.read() if file else b""
    if hashlib.sha256(content).hexdigest() != wanted.sha256:
        raise SystemExit(f"{wanted.path} of {wanted.package} is not the map that was looked at; it is left where it "
                         "was")
    if wanted.path.endswith(".js"):  # export default 'data:application/exr;base64,…'
        found = re.search(rb"base64,([A-Za-z0-9+/=]+)", content)
        assert found is not None
        return base64.b64decode(found[1])
    return content


def write(content: bytes, path: Path) -> None:
    """Write an EXR file as a Radiance map, `path`; what is below zero or no number becomes zero."""
    with tempfile.NamedTemporaryFile(suffix=".exr") as file:
        file.write(content)
        file.flush()
        light = np.nan_to_num(environment.read(Path(file.name)))
    light = cv2.resize(light, (2 * HEIGHT, HEIGHT), interpolation=cv2.INTER_AREA)
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(cv2.imencode(".hdr", light[..., ::-1])[1].tobytes())
    os.replace(partial, path)


def main() -> None:
    """Fetch what is not there yet, and say how much there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=REPOSITORY / ".cache" / "maps")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for package in (NPM, DEBIAN):
        todo = [wanted for wanted in MAPS if wanted.package == package
                and not (args.out / f"{wanted.name}.hdr").is_file()]
        if todo:
            with tempfile.TemporaryDirectory() as folder, fetch(package, Path(folder)) as archive:
                for wanted in todo:
                    write(unpack(archive, wanted), args.out / f"{wanted.name}.hdr")
    print(f"{len(MAPS)} maps in {args.out}")


if __name__ == "__main__":
    main()
