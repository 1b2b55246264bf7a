"""Backgrounds out of text: each prompt once before any twice, resumed, never mixed, and drawn from afterwards."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from harmovid.data import generated
from harmovid.data.backdrops import Pictures
from harmovid.data.generated import Generated, Generating, make_backgrounds, prompts
from harmovid.errors import OptionError, OutputError
from harmovid.video import io

WANTED = Generating(3, 5, (17, 24), rate=8)


@dataclass
class Painter:
    """Every seed has a colour."""

    name: str = "painter"
    asked: list[tuple[str, int]] = field(default_factory=list)

    def make(self, prompt: str, unwanted: str, frames: int, size: tuple[int, int] | None, steps: int | None,
             seed: int) -> np.ndarray:
        assert size is not None and "people" in unwanted
        self.asked.append((prompt, seed))
        return np.tile(np.random.default_rng(seed).random(3).astype(np.float32), (frames, *size, 1))


def test_there_are_two_hundred_prompts_all_unlike() -> None:
    texts = prompts()
    assert len(texts) == 200 == len(set(texts))
    assert all(5 < len(text.split()) < 25 and text[-1].isalpha() for text in texts)
    assert len({text.split(",")[0] for text in texts}) == 200
    words = [set(text.lower().replace(",", "").split()) for text in texts]
    alike = [len(one & other) / len(one | other) for n, one in enumerate(words) for other in words[:n]]
    assert max(alike) < 0.6
    text = " ".join(texts).lower().split()
    assert not {"man", "woman", "person", "people", "girl", "boy", "crowd"} & set(text)
    for light in ("night", "noon", "dusk", "sunrise", "fog", "neon", "overcast", "snow", "rain", "candles", "passing"):
        assert light in " ".join(texts).lower()


def test_clips_are_made_once_and_drawn_from(tmp_path: Path) -> None:
    painter, out = Painter(), tmp_path / "out"
    assert make_backgrounds(out, painter, WANTED) == Generated(3, 0)
    assert len({prompt for prompt, _ in painter.asked}) == len({seed for _, seed in painter.asked}) == 3
    assert all("No people" in prompt for prompt, _ in painter.asked)
    rows = [json.loads(line) for line in (out / "clips.jsonl").read_text().splitlines()]
    assert [(row["file"], row["seed"]) for row in rows] == [
        (f"clip-00000{n}.mp4", seed) for n, (_, seed) in enumerate(painter.asked)]
    assert all(prompt.startswith(row["prompt"]) for row, (prompt, _) in zip(rows, painter.asked, strict=True))
    clip = io.open_clip(out / "clip-000001.mp4")
    assert (clip.frames, clip.width, clip.height, clip.rate) == (5, 24, 16, 8)
    source = Pictures(out)
    assert [name.split(",")[0] for name in source.told] == [f"clip-00000{n}.mp4" for n in range(3)]
    shown = source.draw(9, 24.0, (12, 12), np.random.default_rng(0))
    colours = [np.random.default_rng(seed).random(3) for _, seed in painter.asked]
    assert min(np.abs(shown.pictures.mean((0, 1, 2)) - colour).max() for colour in colours) < 0.03
    assert shown.kind == "clip"


def test_a_stopped_run_goes_on_and_parts_make_the_same(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    make_backgrounds(whole, Painter(), WANTED)
    for part in ((1, 2), (0, 2)):
        make_backgrounds(parts, Painter(), WANTED, part=part)
    for path in whole.iterdir():
        assert (parts / path.name).read_bytes() == path.read_bytes()
    (whole / "clip-000001.mp4").unlink()
    steps: list[tuple[str, int, int]] = []
    painter = Painter()
    again = make_backgrounds(whole, painter, replace(WANTED, count=4), progress=lambda *step: steps.append(step))
    assert again == Generated(2, 2) and steps == [("clips", 1, 2), ("clips", 2, 2)] and len(painter.asked) == 2
    assert len((whole / "clips.jsonl").read_text().splitlines()) == 4


def test_each_prompt_comes_once_before_any_twice() -> None:
    texts = prompts()
    rounds = [[generated._prompt(texts, n, 3) for n in range(200 * k, 200 * (k + 1))] for k in range(2)]
    assert all(sorted(found) == sorted(texts) for found in rounds) and rounds[0] != rounds[1]


def test_what_has_no_meaning_or_was_made_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--count is 1 or more, got 0"):
        make_backgrounds(tmp_path / "out", Painter(), replace(WANTED, count=0))
    with pytest.raises(OptionError, match="--part is i/n"):
        make_backgrounds(tmp_path / "out", Painter(), WANTED, part=(1, 1))
    assert not (tmp_path / "out").exists()
    make_backgrounds(tmp_path / "out", Painter(), replace(WANTED, count=1))
    with pytest.raises(OutputError, match="with other model, frames; name another"):
        make_backgrounds(tmp_path / "out", Painter("other"), replace(WANTED, frames=9))
