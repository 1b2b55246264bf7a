"""A scored test set by hand: six items of three clips, four methods, with or without films."""

import json
from pathlib import Path

import numpy as np

from tests import figures

CLIPS = ("ann", "bob", "cleo")
ITEMS = tuple((f"{clip}__{look}", f"portraits_video/{clip}.mp4") for clip in CLIPS for look in ("dusk", "neon"))
BEFORE = (13.0, 20.0, 15.0, 25.0, 17.0, 18.0)  # dB of the untouched composites
GAIN = {"untouched": (0, 0, 0, 0, 0, 0), "reinhard": (4, -3, 2, -6, 1, 0.5), "nano": (2, 1, 1.5, 0.25, 1, -0.75)}
SIZE = (64, 48)


def row(name: str, psnr: float, **more) -> dict:
    return {"clip": name, "frames": 3, "width": 64, "height": 48, "foreground_psnr": psnr,
            "luminance_jitter": 1 / (10 * psnr), "tools": {}, **more}


def write_rows(folder: Path, rows: list[dict]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def manifest(folder: Path, kind: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    items = [{"name": name, "clip": clip, "psnr": psnr, "look": "any"} for (name, clip), psnr in
             zip(ITEMS, BEFORE, strict=True)]
    told = {"version": 7, "items": items, **({"kind": kind} if kind else {})}
    (folder / "manifest.json").write_text(json.dumps(told))


def make(folder: Path, methods: dict[str, tuple[float, ...]] | None = None, kind: str = "") -> Path:
    """The set's folder: manifest and scores."""
    manifest(folder, kind)
    for method, gain in (methods or GAIN).items():
        write_rows(folder / "results" / method,
                   [row(name, before + more) for (name, _), before, more in zip(ITEMS, BEFORE, gain, strict=True)])
    return folder


def films(folder: Path, frames: int = 3, methods: tuple[str, ...] = ("untouched", "nano", "reinhard")) -> None:
    """Truth, masks and results of all items."""
    for seed, (name, _) in enumerate(ITEMS):
        film = figures.film(SIZE, frames, seed=seed % 3, step=(2, 0))
        for role in ("truth", "mask", *(f"results/{method}" for method in methods)):
            (folder / role).mkdir(parents=True, exist_ok=True)
        figures.write(folder / "truth" / f"{name}.mkv", film.frames)
        figures.write(folder / "mask" / f"{name}.mkv", (film.alpha >= 0.5).astype(np.float32))
        for number, method in enumerate(methods):
            figures.write(folder / "results" / method / f"{name}.mkv", film.frames * np.float32(1 - 0.2 * number))
