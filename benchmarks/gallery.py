"""nano's gallery: people whom no training saw, each before six places; `python -m benchmarks.gallery HDRI`.

    docs/gallery.jpg   rows of a made person: the plain composite, nano, the truth; of the demo's woman the first two

HDRI is a folder of Poly Haven's maps, of which some that are held out for tests are shown; the other places are drawn.
Made people are filmed by the light stage in a studio's light, and again before each place, so that what they look like
there is known. All goes the way of the command line, whole pictures by light transfer; two minutes of a core.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from benchmarks.lut_set import method
from demo.demo import fetch_clip
from harmovid.composite.segment import PersonSegmenter
from harmovid.data import split
from harmovid.infer import pipeline
from harmovid.infer.plan import Options, plan
from harmovid.infer.views import Harmonizer
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


def _relit(person: Path, mask: Path, behind: np.ndarray, harmonizer: Harmonizer, folder: Path) -> list[np.ndarray]:
    """Composite and result before a background, (H, W, 3) display sRGB each."""
    place, shown = _written(folder / "place.png", behind), []
    for strength in (0.0, 1.0):
        clips = (io.open_clip(path) for path in (person, place, mask))
        pipeline.harmonize(plan(*clips, folder / "out.png", Options(strength=strength), overwrite=True), harmonizer)
        shown.append(next(iter(io.read(io.open_clip(folder / "out.png")))).rgb)
    return shown


def _stacked(pictures: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate([cv2.resize(picture, (CELL, CELL), interpolation=cv2.INTER_AREA) for picture in pictures])


def _written(path: Path, picture: np.ndarray) -> Path:
    codes = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    cv2.imwrite(str(path), codes[..., ::-1] if codes.ndim == 3 else codes)
    return path


def main() -> None:
    lights, harmonizer = places(Path(sys.argv[1])), method("nano")
    with TemporaryDirectory() as folder:
        seeds = [clip.seed for clip in held_out(["any"], PEOPLE, 1)]
        blocks = [woman(lights, harmonizer, Path(folder)),
                  *(made(seed, lights, harmonizer, Path(folder)) for seed in seeds)]
    sheet = np.rint(np.clip(np.concatenate(blocks), 0, 1)[..., ::-1] * 255).astype(np.uint8)
    cv2.imwrite(str(ROOT / "docs" / "gallery.jpg"), sheet, [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
