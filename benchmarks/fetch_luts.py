"""Some fifty creative colour tables as `.cube` files, for the test set of `benchmarks/lut_set.py`.

    python benchmarks/fetch_luts.py [--out DIR]

Nothing of it lies in the repository; all is fetched into a git-ignored folder:

- 42 films: negatives, each on a print stock and with a timing of its own (exposure, colour temperature), and slides,
  computed by the PyPI package spectral-film-lut from the makers' data sheets (MIT licence);
- 9 cinematic grades of the PyPI package color-fx (MIT licence);
- 4 looks of the Debian package kdenlive-data (GPL 2 or later), where `apt-get` and `dpkg-deb` are at hand.

Left out are films in black and white and false-colour infrared: no light turns a person so.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harmovid.light.lut import Lut, identity, write_cube

REPOSITORY = Path(__file__).resolve().parent.parent
CACHE = REPOSITORY / ".cache" / "luts"
SIZE = 33
FILMS, GRADES, LOOKS = 42, 9, 4
TABLES = ("spectral-film-lut==0.18.13", "color-fx==0.1.2")  # without the window system that they ask for
NEEDED = ("colour-science==0.4.7", "numba", "scipy", "matplotlib", "pydantic", "ffmpeg-python", "pillow",
          "opencv-python-headless")
# Of each film in turn: stops of exposure, and kelvin of the light that the film is balanced for.
TIMINGS = ((0.0, 6500), (-0.8, 5000), (0.5, 4300), (-0.4, 9000), (0.8, 7500), (-1.2, 6500), (0.2, 11000))


def films() -> Iterator[tuple[str, np.ndarray]]:
    """Names and (33, 33, 33, 3) tables of spectral-film-lut; display sRGB in and out."""
    import spectral_film_lut as stocks
    from spectral_film_lut.film_spectral import FilmSpectral
    from spectral_film_lut.utils import film_conversion

    def coloured(found: list) -> list:
        named = {film.name: film for film in found if film.density_measure != "bw" and "Infrared" not in film.name}
        return [FilmSpectral(film) for film in named.values()]

    prints = itertools.cycle(coloured(stocks.PRINT_FILM))
    timings = itertools.cycle(TIMINGS)
    pairs = [(film, next(prints)) for film in coloured(stocks.NEGATIVE_FILM)]
    pairs += [(film, None) for film in coloured(stocks.REVERSAL_FILM)]
    for film, on in pairs:
        stops, kelvin = next(timings)
        table = film_conversion(identity(SIZE).table, film, on, input_colorspace="sRGB", gamma_func="sRGB",
                                exp_comp=stops, exp_kelvin=kelvin)
        yield f"{film.name} on {on.name}" if on else film.name, table


def grades() -> Iterator[tuple[str, np.ndarray]]:
    """Names and (33, 33, 33, 3) tables of color-fx."""
    from color_fx.engines.grade_recipe import RECIPES, build_lut_from_params

    for name, recipe in RECIPES.items():
        if "monochrome" not in name:
            yield name, build_lut_from_params(recipe(1.0), SIZE)


def bake(out: Path) -> None:
    """Write what the two Python packages compute; runs in their own environment."""
    for family, tables in (("film", films()), ("grade", grades())):
        for name, table in tables:
            path = out / f"{family}_{re.sub(r'[^a-z0-9]+', '_', name.lower()).strip('_')}.cube"
            write_cube(Lut(np.clip(table, 0, 1).astype(np.float32), title=name), path)


def fetch_python(out: Path) -> None:
    """Install the two packages into an environment of their own and have it write the tables."""
    folder = CACHE / "environment"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    install = [str(python), "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, *NEEDED], check=True)
    subprocess.run([*install, "--no-deps", *TABLES], check=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as made:  # all of them, or none
        subprocess.run([str(python), "-W", "ignore", __file__, "--bake", "--out", made], check=True,
                       env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
        for path in Path(made).glob("*.cube"):
            path.replace(out / path.name)


def fetch_debian(out: Path) -> None:
    """The `.cube` files of kdenlive-data."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["apt-get", "download", "-qq", "kdenlive-data"], check=True, cwd=folder)
        subprocess.run(["dpkg-deb", "--extract", str(next(Path(folder).glob("*.deb"))), folder], check=True)
        for path in Path(folder, "usr/share/kdenlive/luts").glob("*.cube"):
            shutil.copyfile(path, out / f".{path.name}.part")
            (out / f".{path.name}.part").replace(out / f"look_{path.stem.lower()}.cube")


def main() -> None:
    """Fetch what is not there yet, and say how much there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=CACHE / "cube")
    parser.add_argument("--bake", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.bake:
        bake(args.out)
        return
    there = {family: len(list(args.out.glob(f"{family}_*.cube"))) for family in ("film", "grade", "look")}
    if (there["film"], there["grade"]) != (FILMS, GRADES):
        fetch_python(args.out)
    if there["look"] != LOOKS:
        if shutil.which("apt-get") and shutil.which("dpkg-deb"):
            fetch_debian(args.out)
        else:
            print("no apt-get and dpkg-deb here: the 4 looks of kdenlive-data are left out", file=sys.stderr)
    print(f"{len(list(args.out.glob('*.cube')))} tables in {args.out}")


if __name__ == "__main__":
    main()
