"""Which way of relighting looks best, judged blind: sheets in an order that nobody knows, and the judgements counted.

    python -m benchmarks.blind_look show DIR HDRI OUT MODEL … [NAME=FOLDER …]
    python -m benchmarks.blind_look count OUT ANSWERS

`show` puts four people of the validation split before views of the four validation maps and of two validation videos.
OUT/person0.png … have a row for each place: the plain composite, then what each model made of it, lettered, in an order
drawn anew for each row; OUT/key.json is the order, for nobody to look into. Whoever judges writes ANSWERS, JSON by
"person/row" as the sheets number them: the letters from best to worst, and those that are better and worse than the
plain composite:

    {"0/1": {"order": "BAC", "better": "BA", "worse": "C"}, …}

`count` prints each model's mean rank, how often it was best, and how often better and worse than the composite.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from benchmarks.free_composites import WIDTH, pictures
from benchmarks.lut_set import method
from harmovid.data import split
from harmovid.light import environment
from harmovid.lightstage.render import Look, develop, exposure

PEOPLE = 4
YAWS = (0.0, 2.0, 1.0, 4.0)  # radians, of the maps: something to see in each view
ANGLE = 0.8  # radians, vertical
SIZE = 540, 960  # of a view
_BAR = 18  # pixels, of the letters


@dataclass(frozen=True)
class Standing:
    """What was thought of a model: mean rank, 1 the best, and how often it was first, and better or worse than the
    plain composite, of so many rows."""

    rank: float
    first: int
    better: int
    worse: int
    rows: int


def count(key: Mapping[str, Sequence[str]], answers: Mapping[str, Mapping[str, str]]) -> dict[str, Standing]:
    """Standings by model, the best mean rank first.

    Args:
        key: by row, the models in the order of their letters.
        answers: by row, see above; rows that were not judged are left out.

    Raises:
        SystemExit: a row that is not in the key, or letters that are not its letters.
    """
    ranks: dict[str, list[int]] = {}
    better, worse = ({name: 0 for names in key.values() for name in names} for _ in range(2))
    for row, said in answers.items():
        if row not in key:
            raise SystemExit(f"there is no row {row}; expected one of {', '.join(key)}")
        named = dict(zip(letters(len(key[row])), key[row], strict=True))
        if sorted(said["order"]) != sorted(named) or not set(said["better"] + said["worse"]) <= set(named):
            raise SystemExit(f"row {row} is judged {dict(said)}; expected an order of {''.join(named)}, and of these "
                             "letters those that are better and worse than the composite")
        for rank, letter in enumerate(said["order"], 1):
            ranks.setdefault(named[letter], []).append(rank)
        for letter in said["better"]:
            better[named[letter]] += 1
        for letter in said["worse"]:
            worse[named[letter]] += 1
    found = {name: Standing(float(np.mean(some)), some.count(1), better[name], worse[name], len(some))
             for name, some in ranks.items()}
    return dict(sorted(found.items(), key=lambda item: item[1].rank))


def letters(how_many: int) -> list[str]:
    """A, B, C, …"""
    return [chr(ord("A") + n) for n in range(how_many)]


def show(data: Path, hdri: Path, out: Path, models: Sequence[str]) -> None:
    """Draw the sheets, and write the key."""
    out.mkdir(parents=True, exist_ok=True)
    harmonizers = {name.split("=")[0]: method(name) for name in models}
    plain = method("classical")
    people = [Path(file).stem for file in split.files("validation", "portraits_video")][1::3][:PEOPLE]
    random, key = np.random.default_rng(), {}
    with TemporaryDirectory() as folder:
        places = views(hdri, Path(folder)) + [data / file for file in split.files("validation", "backgrounds_video")]
        for number, person in enumerate(people):
            rows = []
            for row, place in enumerate(places):
                names = [str(name) for name in random.permutation(list(harmonizers))]
                key[f"{number}/{row + 1}"] = names
                cells = [pictures(data, person, place, plain, 0.0, 1)[0],
                         *(pictures(data, person, place, harmonizers[name], 1.0, 1)[0] for name in names)]
                rows.append(_lettered(cells, row + 1))
            cv2.imwrite(str(out / f"person{number}.png"), cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR))
            (out / "key.json").write_text(json.dumps(key))
            sys.stderr.write(f"person {number}\n")


def views(hdri: Path, folder: Path) -> list[Path]:
    """Pictures of the validation maps, exposed for what they show, in `folder`."""
    found = []
    for file, yaw in zip(split.files("validation", "hdri"), YAWS, strict=True):
        light = environment.still(environment.rotated(environment.read(hdri / Path(file).name), yaw))
        seen = environment.views(light, np.eye(4)[None], ANGLE, SIZE)
        look = Look(metering=0.0)
        nobody = np.zeros(seen.shape[:3], np.float32)
        shown = develop(seen * exposure(np.zeros_like(seen), seen, nobody, look), look)[0]
        found.append(folder / f"{Path(file).stem}.png")
        cv2.imwrite(str(found[-1]), cv2.cvtColor(np.rint(shown * 255).astype(np.uint8), cv2.COLOR_RGB2BGR))
    return found


def _lettered(cells: Sequence[np.ndarray], row: int) -> np.ndarray:
    height = min(cell.shape[0] for cell in cells)
    shown = np.concatenate([cell[:height] for cell in cells], 1)
    bar = np.full((_BAR, shown.shape[1], 3), 30, np.uint8)
    for column, letter in enumerate(["composite", *letters(len(cells) - 1)]):
        cv2.putText(bar, f"{row} {letter}", (column * WIDTH + 5, _BAR - 4), 0, 0.45, (255, 255, 255), 1)
    return np.concatenate([bar, shown])


def main() -> None:
    """Show, or count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    for step, paths in (("show", ("data", "hdri", "out")), ("count", ("out", "answers"))):
        told = steps.add_parser(step)
        for path in paths:
            told.add_argument(path, type=Path)
        if step == "show":
            told.add_argument("models", nargs="+")
    given = parser.parse_args()
    if given.step == "show":
        show(given.data, given.hdri, given.out, given.models)
        return
    standings = count(json.loads((given.out / "key.json").read_text()), json.loads(given.answers.read_text()))
    print("| model | mean rank | first | better than the composite | worse | of |\n|---|---:|---:|---:|---:|---:|")
    for name, one in standings.items():
        print(f"| {name} | {one.rank:.1f} | {one.first} | {one.better} | {one.worse} | {one.rows} |")


if __name__ == "__main__":
    main()
