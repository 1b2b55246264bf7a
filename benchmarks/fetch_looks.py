"""Half a thousand creative colour tables to train on, as `.cube` files: what colourists do to pictures.

    python benchmarks/fetch_looks.py [--out DIR] [--apart DIR]

Nothing of it lies in the repository; all is fetched into a git-ignored folder. The tables are those that come with the
source of G'MIC (Debian's source package gmic), where they are stored as a few colours each; the program `gmic` fills in
the rest. It has to be installed (`apt-get install gmic`), and takes some minutes.

Left out are

- black and white, false colours, negatives: no light turns a person so;
- film makers' own stocks, such as `fetch_luts.py` computes, and every table that is near to one of --apart, the tables
  that results are tested with: nothing that is learned from may be met there again.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from harmovid.light import lut
from harmovid.light.lut import Lut

REPOSITORY = Path(__file__).resolve().parent.parent
CACHE = REPOSITORY / ".cache"
SIZE = 17
SOURCE = "gmic"
TABLES = "resources/gmic_cluts.gmz"
# The last is no maker, but was left out too when nano's tones were trained.
_MAKERS = re.compile("^(fuji|kodak|agfa|ilford|rollei|eterna)|kodachrome|ektachrome|portra|^mckinnon")
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


def fetch(folder: Path) -> Path:
    """The stored tables, out of the source package, with lists of packages of our own.

    Raises:
        SystemExit: this is no Debian whose sources are listed as .sources files, or its package has none.
    """
    sources = [path for path in sorted(Path("/etc/apt/sources.list.d").glob("*.sources"))
               if "debian" in path.read_text(encoding="utf-8")]
    if not sources:
        raise SystemExit("no Debian sources in /etc/apt/sources.list.d/*.sources; on another system, get Debian 12's "
                         "source package gmic by hand")
    for name in ("lists/partial", "cache/archives/partial", "parts"):
        (folder / name).mkdir(parents=True)
    for path in sources:
        text = re.sub(r"^Types:.*$", "Types: deb-src", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        (folder / "parts" / path.name).write_text(text, encoding="utf-8")
    apt = ["apt-get", "-qq", "-o", "Dir::Etc::sourcelist=/dev/null", "-o", f"Dir::Etc::sourceparts={folder / 'parts'}",
           "-o", f"Dir::State::lists={folder / 'lists'}", "-o", f"Dir::Cache={folder / 'cache'}"]
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "source", "--download-only", SOURCE], check=True, cwd=folder)
    for archive in folder.glob("*.orig.tar.*"):
        with tarfile.open(archive) as package:
            for member in package:
                if member.name.endswith(TABLES):
                    content = package.extractfile(member)
                    assert content is not None
                    (folder / "tables.gmz").write_bytes(content.read())
                    return folder / "tables.gmz"
    raise SystemExit(f"the source package {SOURCE} of this Debian has no {TABLES}; that of Debian 12 has")


def filled(stored: Path, folder: Path) -> dict[str, np.ndarray]:
    """Names and tables, as `gmic` fills them in."""
    told = subprocess.run(["gmic", str(stored), "-print"], check=True, capture_output=True, text=True)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", told.stderr)
    names = re.findall(r"^\[\d+\] = '(.*)'", plain, re.MULTILINE)
    subprocess.run(["gmic", str(stored), "-decompress_clut", f"{SIZE},{SIZE},{SIZE}", "-o", str(folder / "all.cimg")],
                   check=True, capture_output=True)
    return dict(zip(names, read_cimg((folder / "all.cimg").read_bytes()), strict=True))


def read_cimg(data: bytes) -> list[np.ndarray]:
    """The pictures of a `.cimg` file of floats in [0, 255] as tables (R, G, B, 3) in [0, 1]; grey ones too."""
    end = data.index(b"\n") + 1
    if data[:end].split()[1:] != [b"float", b"little_endian"]:
        raise SystemExit(f"gmic wrote {data[:end]!r}; expected floats, little endian")
    found = []
    while end < len(data):
        begin = data.index(b"\n", end) + 1
        width, height, depth, channels = map(int, data[end:begin].split())
        count = width * height * depth * channels
        values = np.frombuffer(data, "<f4", count, begin).reshape(channels, depth, height, width).T / 255
        found.append(np.ascontiguousarray(np.broadcast_to(values, (width, height, depth, 3))))
        end = begin + 4 * count
    return found


def is_of_use(table: np.ndarray) -> bool:
    """Whether it leaves colours their order: neither grey, nor a negative, nor false colours."""
    same = lut.identity(len(table)).table
    light, before = table @ _LUMA, same @ _LUMA
    colour, chroma = table - light[..., None], same - before[..., None]
    greys = np.arange(len(table))
    return bool(np.abs(colour).mean() >= 0.15 * np.abs(chroma).mean() and _alike(light, before) >= 0.85
                and (np.diff(light[greys, greys, greys]) >= -0.02).all() and _alike(colour, chroma) >= 0.5)


def is_near(table: np.ndarray, others: Iterable[np.ndarray]) -> bool:
    """Whether another does much the same, by what both change; all are of one size."""
    same = lut.identity(len(table)).table
    for other in others:
        error = float(np.sqrt(np.square(table - other).mean()))
        if error < 0.03 or (error < 0.06 and _alike(table - same, other - same) > 0.95):
            return True
    return False


def _alike(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def main() -> None:
    """Fetch them if they are not there yet, and say how many there are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=CACHE / "looks")
    parser.add_argument("--apart", type=Path, default=CACHE / "luts" / "cube", help="folder of .cube files")
    args = parser.parse_args()
    if not args.out.is_dir():
        tested = sorted(args.apart.glob("*.cube"))
        if not tested:
            raise SystemExit(f"{args.apart} holds no .cube files to keep apart from; fetch them with "
                             "benchmarks/fetch_luts.py")
        if shutil.which("gmic") is None or shutil.which("apt-get") is None:
            raise SystemExit("no gmic or no apt-get here; on Debian: apt-get install gmic")
        same = lut.identity(SIZE).table
        others = [np.clip(lut.apply(lut.read_cube(path), same), 0, 1) for path in tested]
        with tempfile.TemporaryDirectory() as folder:
            tables = filled(fetch(Path(folder)), Path(folder))
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=args.out.parent) as folder:
            made = Path(folder, "tables")
            made.mkdir()
            for name, table in tables.items():
                if not _MAKERS.search(name) and is_of_use(table) and not is_near(table, others):
                    lut.write_cube(Lut(table.astype(np.float32), title=name), made / f"{name}.cube")
            os.replace(made, args.out)
    print(f"{len(list(args.out.glob('*.cube')))} tables in {args.out}")


if __name__ == "__main__":
    main()
