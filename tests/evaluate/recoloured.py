"""A tiny test set: two drawn clips, three tables, two composites each."""

from pathlib import Path

import numpy as np

from harmovid.data import split
from harmovid.evaluate import lutset
from harmovid.evaluate.testsets import Manifest
from harmovid.light.lut import Lut, identity, write_cube
from tests import figures

SIZE, FRAMES = (64, 48), 2
CLIPS = ("portraits_video/ann.mp4", "portraits_video/bob.mp4")


def data(folder: Path) -> Path:
    """A data folder with the two clips and their hard masks."""
    (folder / "portraits_video").mkdir(parents=True)
    for seed, clip in enumerate(CLIPS):
        film = figures.film(SIZE, FRAMES, seed=seed, step=(2, 0), level=0.4 + 0.2 * seed)
        path = folder / clip
        figures.write(path, film.frames)
        figures.write(path.with_name(f"{path.stem}_mask.mp4"), (film.alpha >= 0.5).astype(np.float32))
    return folder


def footage(folder: Path, monkeypatch, frames: int = 6) -> Path:
    """A data folder with two people, a thing and two backgrounds, and the list that splits it."""
    there = {"portraits_video": list(CLIPS), "objects_video": ["objects_video/cat.mp4"],
             "backgrounds_video": ["backgrounds_video/street.mp4", "backgrounds_video/wood.mp4"]}
    monkeypatch.setattr(split, "files", lambda part, kind, data: there[kind])
    for kind, names in there.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for seed, name in enumerate(names):
            film = figures.film(SIZE, frames, seed=seed, step=(1, 0), level=0.4 + 0.2 * seed)
            path = folder / name
            if kind == "backgrounds_video":  # of other size and length
                figures.write(path, [np.repeat(frame, 2, 1) for frame in film.behind[:3]])
                continue
            figures.write(path, film.frames)
            figures.write(path.with_name(f"{path.stem}_mask.mp4"), (film.alpha >= 0.5).astype(np.float32))
    return folder


def luts(folder: Path) -> list[Path]:
    """Three strong tables: dark and blue, bright and warm, negative."""
    folder.mkdir(parents=True, exist_ok=True)
    grid = identity(5).table
    tables = {"night": grid * (0.2, 0.3, 0.6), "fire": 1 - (1 - grid) * (0.2, 0.45, 0.8), "negative": 1 - grid}
    for name, table in tables.items():
        write_cube(Lut(table.astype(np.float32)), folder / f"{name}.cube")
    return sorted(folder.glob("*.cube"))


def make(folder: Path, monkeypatch, mean: float = 16.0) -> Manifest:
    """The set in folder/set, of the clips in folder/data and the tables in folder/luts."""
    monkeypatch.setattr(split, "files", lambda part, kind, data: list(CLIPS))
    if not (folder / "data").exists():
        data(folder / "data")
    return lutset.lut_set(folder / "data", folder / "set", luts(folder / "luts"), "test", 2, mean)
