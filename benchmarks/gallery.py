"""nano's gallery: people whom no training saw, before places that none saw; `python -m benchmarks.gallery HDRI`.

    docs/gallery.jpg        rows of a made person: the plain composite, nano, the truth; of the demo's woman the first
                            two; before six places
    docs/gallery_time.jpg   made people in light that moves, every third frame of a second: the same three rows
    docs/gallery_harmoim.jpg  the woman by nano-harmoim, frame by frame: composite and result
    docs/gallery_worst.jpg  with --pathtraced SET: the six people of it on whom nano does worst, each where it loses
                            most: the same three rows

HDRI is a folder of Poly Haven's maps, of which some that are held out for tests are shown; the other places are drawn.
Made people are filmed by the light stage in a studio's light, and again before each place, so that what they look like
there is known. All goes the way of the command line, whole pictures by light transfer; four minutes of a core. SET is a
test set `pathtraced` that `harmovid evaluate run SET --detail network --model nano` has been through.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from benchmarks.lut_set import method
from demo.demo import fetch_clip
from harmovid.composite.segment import PersonSegmenter
from harmovid.data import split
from harmovid.evaluate import inview
from harmovid.evaluate.run import read_lines
from harmovid.evaluate.testsets import read_set
from harmovid.infer import pipeline
from harmovid.infer.plan import Options, plan
from harmovid.infer.views import Harmonizer, ViewSize
from harmovid.light import environment, procedural
from harmovid.light.environment import Environment
from harmovid.lightstage.film import film
from harmovid.lightstage.pathtrace import plan as held_out
from harmovid.lightstage.people import perform
from harmovid.lightstage.render import Look, develop, exposure, shoot
from harmovid.video import io

ROOT = Path(__file__).parents[1]
SIZE = 256  # pixels, of what is filmed
CELL = 160  # and shown
MAPS = {"venice_sunset": 2.6, "kiara_1_dawn": 0.4, "st_fagans_interior": 1.2}  # and how far they are turned, radians
DRAWN = ("night street", "neon", "fire")
PEOPLE = 4
MOVING = ("passing lamps", "stage")  # each lights the next person
FRAMES, EVERY = 24, 3
WORST = 6


def places(hdri: Path) -> list[Environment]:
    """Six lights that training never saw."""
    assert set(MAPS) <= {Path(file).stem for file in split.files("test", "hdri")}
    maps = [environment.still(environment.read(hdri / f"{name}.hdr"), name).turned(turn) for name, turn in MAPS.items()]
    random = np.random.default_rng(8)
    return maps + [procedural.draw(random, kind=kind) for kind in DRAWN]


def made(seed: int, lights: Iterable[Environment], harmonizer: Harmonizer, folder: Path) -> np.ndarray:
    """A made person, (3 · CELL, W, 3): composite, result, truth."""
    taken = film(perform(seed, 1), str(seed), (SIZE, SIZE), seed=seed)
    filmed = shoot(taken, procedural.draw(np.random.default_rng(seed), kind="studio"), Look())
    person, mask = _written(folder / "person.png", filmed.composite[0]), _written(folder / "mask.png", filmed.alpha[0])
    columns = []
    for light in lights:
        there = shoot(taken, light, Look())
        columns.append(_stacked([*_relit(person, mask, there.background[0], harmonizer, folder), there.composite[0]]))
    return np.concatenate(columns, 1)


def woman(lights: Iterable[Environment], harmonizer: Harmonizer, folder: Path) -> np.ndarray:
    """The demo's woman, (2 · CELL, W, 3): composite and result."""
    frame = next(iter(io.read(io.open_clip(fetch_clip())))).rgb
    left = (frame.shape[1] - frame.shape[0]) * 4 // 5  # she is at the right
    square = frame[:, left : left + frame.shape[0]]
    person = _written(folder / "woman.png", square)
    mask = _written(folder / "mask.png", PersonSegmenter()(square))
    nobody, look = np.zeros((1, *square.shape[:2]), np.float32), Look(metering=0.0)
    columns = []
    for light in lights:
        seen = environment.views(light, np.eye(4)[None], 0.8, square.shape[:2], look.blur)
        behind = develop(seen * exposure(np.zeros_like(seen), seen, nobody, look), look)[0]
        columns.append(_stacked(_relit(person, mask, behind, harmonizer, folder)))
    return np.concatenate(columns, 1)


def moving(seed: int, kind: str, harmonizer: Harmonizer, folder: Path) -> np.ndarray:
    """A made person in light that moves, (3 · CELL, W, 3): composite, result, truth; a column for a frame."""
    taken = film(perform(seed, FRAMES), str(seed), (SIZE, SIZE), seed=seed)
    filmed = shoot(taken, procedural.draw(np.random.default_rng(seed), kind="studio"), Look())
    there = shoot(taken, procedural.draw(np.random.default_rng(seed), FRAMES, kind=kind), Look())
    paths = []
    for name, pictures in (("persons", filmed.composite), ("places", there.background), ("masks", filmed.alpha)):
        paths.append(folder / f"{name}{seed}")
        paths[-1].mkdir()
        for t, picture in enumerate(pictures):
            _written(paths[-1] / f"{t:04d}.png", picture)
    rows = [*(_shown(*paths, strength, harmonizer, folder / f"{seed}-{strength:g}.mkv") for strength in (0.0, 1.0)),
            list(there.composite)]
    return np.concatenate([_stacked(row[t] for row in rows) for t in range(0, FRAMES, EVERY)], 1)


def worst(folder: Path) -> np.ndarray:
    """Where nano loses most, a person of a test set in each column, (3 · CELL, W, 3): composite, nano, truth."""
    results = folder / "results"
    before, after = ({row["clip"]: row["foreground_psnr"] for row in read_lines(results / name / "report.jsonl")}
                     for name in ("untouched__network", "nano__network"))
    least: dict[str, tuple[float, str]] = {}
    for item in read_set(folder).items:
        if item.name in before and item.name in after:
            gained = after[item.name] - before[item.name], item.name
            least[item.clip] = min(least.get(item.clip, gained), gained)
    columns = []
    for gain, worst_item in sorted(least.values())[:WORST]:
        print(f"{worst_item}: {gain:+.1f} dB")
        files = [*(results / name / f"{worst_item}.mkv" for name in ("untouched__network", "nano__network")),
                 inview.place(folder, ViewSize()) / "truth" / f"{worst_item}.mkv"]
        columns.append(_stacked(next(iter(io.read(io.open_clip(file)))).rgb for file in files))
    return np.concatenate(columns, 1)


def _relit(person: Path, mask: Path, behind: np.ndarray, harmonizer: Harmonizer, folder: Path) -> list[np.ndarray]:
    """Composite and result before a background, (H, W, 3) display sRGB each."""
    place = _written(folder / "place.png", behind)
    return [_shown(person, place, mask, strength, harmonizer, folder / "out.png")[0] for strength in (0.0, 1.0)]


def _shown(person: Path, place: Path, mask: Path, strength: float, harmonizer: Harmonizer,
           out: Path) -> list[np.ndarray]:
    """The frames, (H, W, 3) display sRGB, of a person before a place."""
    clips = (io.open_clip(path) for path in (person, place, mask))
    pipeline.harmonize(plan(*clips, out, Options(strength=strength), overwrite=True), harmonizer)
    return [frame.rgb for frame in io.read(io.open_clip(out))]


def _stacked(pictures: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate([cv2.resize(picture, (CELL, CELL), interpolation=cv2.INTER_AREA) for picture in pictures])


def _written(path: Path, picture: np.ndarray) -> Path:
    codes = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    cv2.imwrite(str(path), codes[..., ::-1] if codes.ndim == 3 else codes)
    return path


def _sheet(blocks: list[np.ndarray], name: str) -> None:
    codes = np.rint(np.clip(np.concatenate(blocks), 0, 1)[..., ::-1] * 255).astype(np.uint8)
    cv2.imwrite(str(ROOT / "docs" / name), codes, [cv2.IMWRITE_JPEG_QUALITY, 85])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hdri", type=Path)
    parser.add_argument("--pathtraced", type=Path, metavar="SET")
    args = parser.parse_args()
    if args.pathtraced:
        _sheet([worst(args.pathtraced)], "gallery_worst.jpg")
    lights, harmonizer = places(args.hdri), method("nano")
    seeds = [clip.seed for clip in held_out(["any"], PEOPLE, 1)]
    with TemporaryDirectory() as name:
        folder = Path(name)
        _sheet([moving(*given, harmonizer, folder) for given in zip(seeds, MOVING, strict=False)], "gallery_time.jpg")
        _sheet([woman(lights, method("harmoim"), folder)], "gallery_harmoim.jpg")
        _sheet([woman(lights, harmonizer, folder), *(made(seed, lights, harmonizer, folder) for seed in seeds)],
               "gallery.jpg")


if __name__ == "__main__":
    main()
