"""Backgrounds out of a text-to-video model, of diverse light: what `Pictures` of `backdrops` then draws from.

    OUT/clip-000012.mp4     a clip
    OUT/clips.jsonl         of each clip: its file, prompt and seed
    OUT/manifest.json       what made them; nothing made otherwise is mixed in

`lighting.txt` has 200 prompts: places, times of day, weather, lamps, light that moves; nobody is in view.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Protocol

import numpy as np

from harmovid import config
from harmovid.data.relighting import check_part, digest, freeze
from harmovid.errors import OptionError
from harmovid.video import encode
from harmovid.video.target import open_target

CLIPS = "clips.jsonl"
MANNER = "No people. Locked camera at eye level, natural footage, sharp focus on the far ground."
UNWANTED = "people, person, face, crowd, text, watermark, cartoon"


class VideoModel(Protocol):
    """Makes clips out of text: `harmovid.model.textvideo.TextToVideo`."""

    name: str

    def make(self, prompt: str, unwanted: str, frames: int, size: tuple[int, int] | None, steps: int | None,
             seed: int) -> np.ndarray:
        """(T, H, W, 3) float32, display sRGB in [0, 1]."""
        ...


@dataclass(frozen=True)
class Generating:
    """What `make_backgrounds` is to make.

    count: clips in all. frames: of each. size: (height, width), None for the model's own. steps: of sampling, None for
    the model's own. rate: frames a second that the model's clips have. seed: of everything random.
    """

    count: int
    frames: int = 49
    size: tuple[int, int] | None = None
    steps: int | None = None
    rate: int = 8
    seed: int = 0


@dataclass(frozen=True)
class Manifest:
    """What clips are made by. prompts: digest of the prompts, and of what is said with each."""

    model: str
    frames: int
    size: tuple[int, int] | None
    steps: int | None
    rate: int
    seed: int
    prompts: str


@dataclass(frozen=True)
class Generated:
    """What `make_backgrounds` did: clips made now, clips that were there."""

    made: int
    kept: int


def prompts() -> tuple[str, ...]:
    """Those of lighting.txt."""
    text = (resources.files("harmovid.data") / "lighting.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line)


def make_backgrounds(out: Path, model: VideoModel, wanted: Generating, *, part: tuple[int, int] = (0, 1),
                     progress: Callable[[str, int, int], None] = lambda stage, done, total: None) -> Generated:
    """Make backgrounds; what is there already is left, so that a stopped run goes on where it was.

    Args:
        out: see the top of this module.
        model: makes clips out of text.
        part: (i, n): only clips i, i + n, …, so that n machines share the work.
        progress: told after every clip.

    Raises:
        OptionError: fewer than one clip, or a part that there is not.
        InputError: the model cannot make such clips.
        OutputError: `out` holds clips that were made otherwise, or cannot be written.
    """
    if wanted.count < 1:
        raise OptionError(f"--count is 1 or more, got {wanted.count}")
    check_part(part)
    texts = prompts()
    freeze(out, Manifest(model.name, wanted.frames, wanted.size, wanted.steps, wanted.rate, wanted.seed,
                         digest(text.encode() for text in (*texts, MANNER, UNWANTED))))
    mine = range(part[0], wanted.count, part[1])
    todo = [n for n in mine if not _place(out, n).is_file()]
    for done, n in enumerate(todo, 1):
        clip = model.make(f"{_prompt(texts, n, wanted.seed)}. {MANNER}", UNWANTED, wanted.frames, wanted.size,
                          wanted.steps, _seed(n, wanted.seed))
        # H.264 takes even sides.
        height, width = (side - side % 2 for side in clip.shape[1:3])
        with encode.Writer(open_target(_place(out, n)), (width, height), Fraction(wanted.rate)) as writer:
            for picture in clip:
                writer.write(np.ascontiguousarray(picture[:height, :width]))
        progress("clips", done, len(todo))
    _write_list(out, texts, wanted.seed)
    return Generated(len(todo), len(mine) - len(todo))


def _prompt(texts: tuple[str, ...], number: int, seed: int) -> str:
    # Every prompt once before any twice, each round in another order.
    round_, within = divmod(number, len(texts))
    return texts[np.random.default_rng([seed, round_, 19]).permutation(len(texts))[within]]


def _seed(number: int, seed: int) -> int:
    return int(np.random.default_rng([seed, number, 23]).integers(2**31))


def _write_list(out: Path, texts: tuple[str, ...], seed: int) -> None:
    numbers = {path.name: int(path.stem.removeprefix("clip-")) for path in sorted(out.glob("clip-*.mp4"))}
    rows = [{"file": name, "prompt": _prompt(texts, number, seed), "seed": _seed(number, seed)}
            for name, number in numbers.items()]
    config.write_whole(out / CLIPS, "".join(json.dumps(row) + "\n" for row in rows))


def _place(out: Path, number: int) -> Path:
    return out / f"clip-{number:06d}.mp4"
