"""The light stage's people, to look at: `python -m benchmarks.lightstage_sheets HDRI`, a folder of Poly Haven's maps.

    docs/lightstage_people.jpg   48 people under one map of the train split
    docs/lightstage_lights.jpg   one performance, three of its frames below each other, under eight lights
    docs/lightstage_time.jpg     three performances of a second, every third frame, under one still map

All by the renderer that makes training data, each filmed for the light that it is shown in. What is filmed is kept in
.cache/sheets; delete it where people or renderer have changed.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from harmovid.data import split
from harmovid.light import environment, procedural
from harmovid.light.environment import Environment
from harmovid.lightstage import buffers
from harmovid.lightstage.film import film
from harmovid.lightstage.people import perform
from harmovid.lightstage.render import Look, shoot

ROOT = Path(__file__).parents[1]
SIZE = (128, 128)
PEOPLE = 48
SECOND = (13, 2, 7)  # long hair, an afro, a bare face
FRAMES = 24
MAP = "adams_place_bridge"
MAPS = ("adams_place_bridge", "st_peters_square_night", "dancing_hall", "chinese_garden")
DRAWN = ("sun and sky", "neon", "fire", "studio")


def filmed(seed: int, frames: int, chosen: list[int], light: Environment,
           framing: str | None = None) -> buffers.Buffers:
    """Some frames of a performance of a person, filmed once for each light."""
    turn = float(light.layers[0].yaw[0])
    path = ROOT / ".cache" / "sheets" / f"{seed}-{frames}-{len(chosen)}-{light.name}-{turn:g}.safetensors"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = perform(seed, frames, framing=framing)
        surfaces = tuple(replace(s, vertices=s.vertices[chosen],
                                 strand=None if s.strand is None else s.strand[chosen]) for s in whole.surfaces)
        some = replace(whole, surfaces=surfaces, camera=replace(whole.camera, pose=whole.camera.pose[chosen]))
        buffers.write(path, film(some, path.stem, SIZE, seed=seed, light=light))
    return buffers.read(path)


def lit(hdri: Path, name: str) -> Environment:
    """A map that training may see."""
    assert f"hdri/{name}.hdr" in split.files("train", "hdri")
    return environment.still(environment.shrunk(environment.read(hdri / f"{name}.hdr"), 256), name)


def people(hdri: Path, turn: float = 0.6) -> np.ndarray:
    """(H, W, 3) display sRGB."""
    light = lit(hdri, MAP).turned(turn)
    tiles = [shoot(filmed(seed, 1, [0], light), light, Look()).composite[0] for seed in range(PEOPLE)]
    return np.vstack([np.hstack(tiles[n : n + 8]) for n in range(0, PEOPLE, 8)])


def lights(hdri: Path, seed: int = 5) -> np.ndarray:
    """(H, W, 3) display sRGB."""
    random = np.random.default_rng(3)
    chosen = [lit(hdri, name) for name in MAPS] + [procedural.draw(random, kind=kind) for kind in DRAWN]
    look = replace(Look(), wide=1.5)
    return np.hstack([np.vstack(list(shoot(filmed(seed, FRAMES, [2, 12, 22], light, "head and shoulders"), light,
                                           look).composite)) for light in chosen])


def time(hdri: Path) -> np.ndarray:
    """(H, W, 3) display sRGB."""
    light = lit(hdri, MAP).turned(-1.2)
    chosen = list(range(0, FRAMES, 3))
    return np.vstack([np.hstack(list(shoot(filmed(seed, FRAMES, chosen, light, "close-up"), light,
                                           Look()).composite))
                      for seed in SECOND])


def main() -> None:
    hdri = Path(sys.argv[1])
    for name, sheet in (("people", people), ("lights", lights), ("time", time)):
        picture = np.rint(sheet(hdri)[..., ::-1] * 255).astype(np.uint8)
        cv2.imwrite(str(ROOT / "docs" / f"lightstage_{name}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
