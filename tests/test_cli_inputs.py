"""Words that name inputs: what they come to, and what is none."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest

from harmovid.cli_inputs import fps_unused, frame_number, opened, two_numbers
from harmovid.errors import OptionError
from tests.odd import Clip, Pictures


@pytest.mark.parametrize(("text", "frame"), [
    ("0", 0), ("48", 48), ("2.5s", 60), ("2s", 48), ("0s", 0), (".5s", 12), ("00:00:01.5", 36), ("1:00", 1440),
    ("01:00:00", 86400), ("00:00:01.5s", 36), ("0.0416s", 0), ("0.0417s", 1)])
def test_frames_and_times(text, frame):
    assert frame_number(text, SimpleNamespace(rate=Fraction(24)), "--start") == frame


def test_times_at_a_rate_that_is_no_whole_number():
    clip = SimpleNamespace(rate=Fraction(30000, 1001))
    assert [frame_number(f"{n * 1001 / 30000:.6f}s", clip, "--start") for n in (0, 1, 29, 1799, 107892)] == [
        0, 1, 29, 1799, 107892]


@pytest.mark.parametrize("text", [
    "", "s", "x", "1.5", "-1", "-1s", "1:x", ":", "nans", "infs", "1e400s", "1s2", "²", "00:00:01:10"])
def test_times_that_are_none(text):
    with pytest.raises(OptionError, match=r"--end takes a frame number such as 48, or a time such as 2\.5s"):
        frame_number(text, SimpleNamespace(rate=Fraction(24)), "--end")


def test_a_clip_has_the_rate_and_the_transfer_function_that_are_told(tmp_path: Path) -> None:
    Pictures("person")(tmp_path / "pictures")
    Clip("person")(tmp_path / "clip.mkv")
    pictures, clip = opened(tmp_path / "pictures", "30000/1001", "slog3"), opened(tmp_path / "clip.mkv", "25", None)
    assert (pictures.rate, pictures.tags.transfer) == (Fraction(30000, 1001), "slog3")
    assert clip.rate == 24 and fps_unused(clip) == (
        "--fps is for image sequences: clip.mkv keeps its own 24 frames per second")
    for fps, transfer, said in (("pal", None, "--fps takes frames"), ("1/0", None, "--fps takes frames"),
                                ("2000", None, "--fps takes frames"), (None, "slog9", "known: srgb, linear")):
        with pytest.raises(OptionError, match=said):
            opened(tmp_path / "clip.mkv", fps, transfer)


def test_two_numbers() -> None:
    assert two_numbers("0.5,1") == (0.5, 1)
    for text in ("", "x", "1", "0,0,0"):
        with pytest.raises(OptionError, match="--position takes two numbers"):
            two_numbers(text)
