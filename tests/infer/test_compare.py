from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from harmovid.errors import OutputError
from harmovid.infer.compare import Comparison
from harmovid.video import io
from tests import figures

COLOURS = np.float32([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])


def panels(t: int = 0, size: tuple[int, int] = (64, 48)) -> tuple[np.ndarray, ...]:
    """Three plain pictures, red, green and blue, that grow brighter with the frame."""
    return tuple(np.full((size[1], size[0], 3), colour * (0.5 + t / 20), np.float32) for colour in COLOURS)


def compared(path: Path, frames: int, size: tuple[int, int] = (64, 48), **options) -> Path:
    with Comparison(path, frames, figures.RATE, **options) as comparison:
        for t in range(frames):
            comparison.add(panels(t, size) if comparison.wants_next else None)
    return path


def is_row(row: np.ndarray, t: int, tolerance: float) -> None:
    for part, expected in zip(np.split(row, 3, axis=1), panels(t), strict=True):
        np.testing.assert_allclose(part[8:-8, 8:-8].mean(axis=(0, 1)), expected[0, 0], atol=tolerance)


@pytest.mark.parametrize(("name", "tolerance"), [("c.mp4", 0.02), ("c.mov", 0.01), ("c.mkv", 0.003)])
def test_a_video_shows_every_frame_in_three_panels(tmp_path: Path, name: str, tolerance: float) -> None:
    frames, _ = figures.read(compared(tmp_path / name, 7))
    assert frames.shape == (7, 48, 192, 3) and io.open_clip(tmp_path / name).rate == figures.RATE
    for t, row in enumerate(frames):
        is_row(row, t, tolerance)


@pytest.mark.parametrize(("frames", "shown"), [(9, [0, 3, 5, 8]), (4, [0, 1, 2, 3]), (2, [0, 1]), (1, [0])])
def test_a_sheet_shows_up_to_four_from_first_to_last(tmp_path: Path, frames: int, shown: list[int]) -> None:
    (sheet,), _ = figures.read(compared(tmp_path / "c.png", frames))
    assert sheet.shape == (48 * len(shown), 192, 3)
    for row, t in zip(np.split(sheet, len(shown)), shown, strict=True):
        is_row(row, t, 0.003)


def test_a_sheet_asks_for_those_frames_alone(tmp_path: Path) -> None:
    with Comparison(tmp_path / "c.jpg", 100, figures.RATE) as comparison:
        asked = []
        for _ in range(100):
            asked.append(comparison.wants_next)
            comparison.add(panels() if asked[-1] else None)
    assert sum(asked) == 4 and asked[0] and asked[99] and cv2.imread(str(tmp_path / "c.jpg")).shape == (192, 192, 3)


@pytest.mark.parametrize(("size", "shown"), [
    ((1280, 960), (640, 480)), ((270, 960), (135, 480)), ((2000, 20), (2000, 20)), ((17, 33), (17, 33)),
    ((1, 1000), (2, 480)),
])
def test_large_pictures_are_scaled_to_a_height_of_480(tmp_path: Path, size: tuple[int, int],
                                                      shown: tuple[int, int]) -> None:
    (sheet,), _ = figures.read(compared(tmp_path / "c.png", 1, size))
    assert sheet.shape == (shown[1], 3 * shown[0], 3)


def test_panels_of_an_odd_width_make_a_video(tmp_path: Path) -> None:
    frames, _ = figures.read(compared(tmp_path / "c.mp4", 2, (17, 33)))
    assert frames.shape[1:3] == (34, 52)


def test_light_beyond_the_display_is_cut_off_not_wrapped(tmp_path: Path) -> None:
    with Comparison(tmp_path / "c.png", 1, figures.RATE) as comparison:
        comparison.add(tuple(np.full((8, 8, 3), light, np.float32) for light in (7.0, -3.0, 0.5)))
    (sheet,), _ = figures.read(tmp_path / "c.png")
    assert sheet[:, :8].min() == 1 and sheet[:, 8:16].max() == 0


@pytest.mark.parametrize("name", ["c.gif", "c", "c.exr", "c.txt"])
def test_another_suffix_is_refused_before_any_work(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=name):
        Comparison(tmp_path / name, 5, figures.RATE)
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_over_unasked(tmp_path: Path) -> None:
    taken = compared(tmp_path / "c.png", 1)
    with pytest.raises(OutputError, match="--overwrite"):
        Comparison(taken, 1, figures.RATE)
    with pytest.raises(OutputError, match="input"):
        Comparison(taken, 1, figures.RATE, inputs=(taken,), overwrite=True)
    compared(taken, 2, overwrite=True)


@pytest.mark.parametrize("name", ["c.mp4", "c.png"])
def test_a_failure_leaves_no_file(tmp_path: Path, name: str) -> None:
    def run() -> None:
        with Comparison(tmp_path / name, 3, figures.RATE) as comparison:
            comparison.add(panels())
            raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError):
        run()
    assert not list(tmp_path.iterdir())
