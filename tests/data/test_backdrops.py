"""Backgrounds for pseudo-pairs: of the shape asked for, moving, diverse, and the same for the same number."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from harmovid.data.backdrops import Environments, Pictures
from harmovid.errors import InputError
from tests import figures

SIZE = (24, 32)


def drawn(source: Environments | Pictures, seed: int, frames: int = 5, size: tuple[int, int] = SIZE) -> np.ndarray:
    return source.draw(frames, 24.0, size, np.random.default_rng(seed)).pictures


def write_map(path: Path, colour: tuple[float, float, float]) -> Path:
    cv2.imwrite(str(path), np.full((16, 32, 3), colour[::-1], np.float32))
    return path


def test_environments_are_pictures_that_belong_to_their_number() -> None:
    source = Environments()
    some = [drawn(source, seed) for seed in range(6)]
    assert all(one.shape == (5, *SIZE, 3) and one.dtype == np.float32 for one in some)
    assert all(0 <= one.min() and one.max() <= 1 for one in some)
    assert np.array_equal(drawn(source, 3), some[3])
    means = np.array([one.mean((0, 1, 2)) for one in some])
    assert np.ptp(means, axis=0).max() > 0.2  # diverse
    assert sum(np.abs(np.diff(one, axis=0)).max() > 0.01 for one in some) >= 3  # and mostly moving
    assert source.told == ("made environments",)


def test_maps_light_about_half_of_the_draws_and_an_even_one_is_even(tmp_path: Path) -> None:
    source = Environments([write_map(tmp_path / "red.hdr", (1.0, 0.1, 0.1))])
    assert source.told == ("made environments", f"red.hdr, {(tmp_path / 'red.hdr').stat().st_size} bytes")
    some = [source.draw(1, 24.0, (4, 4), np.random.default_rng(seed)) for seed in range(30)]
    names = [one.name for one in some]
    assert {one.kind for one in some if one.name == "red"} == {"HDR map"}
    assert all(one.kind == f"made: {one.name}" for one in some if one.name != "red")
    assert 5 < names.count("red") < 25
    red = drawn(source, next(seed for seed, name in enumerate(names) if name == "red"))
    assert red[..., 0].min() > 1.2 * red[..., 1].max() and red.std((1, 2)).max() < 0.02


def test_a_map_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "bad.hdr").write_bytes(b"no map")
    with pytest.raises(InputError, match=r"bad\.hdr"):
        Environments([tmp_path / "bad.hdr"])


def test_pictures_of_a_folder_cover_the_shape_and_short_clips_go_back_and_forth(tmp_path: Path) -> None:
    ramp = np.stack([np.full((20, 60, 3), 0.2 + 0.15 * t, np.float32) for t in range(4)])
    figures.write(tmp_path / "ramp.mkv", ramp)
    (tmp_path / "notes.txt").write_text("not a picture")
    source = Pictures(tmp_path)
    assert source.told == (f"ramp.mkv, {(tmp_path / 'ramp.mkv').stat().st_size} bytes",)
    levels = drawn(source, 0, frames=9).mean((1, 2, 3))
    assert drawn(source, 0).shape == (5, *SIZE, 3)
    steps = np.diff(levels)
    assert np.abs(np.abs(steps) - 0.15).max() < 0.02 and (steps > 0).any() and (steps < 0).any()
    still = np.zeros((64, 16, 3), np.uint8)
    still[..., 2] = np.linspace(0, 255, 64)[:, None]
    cv2.imwrite(str(tmp_path / "still.png"), still)
    (tmp_path / "ramp.mkv").unlink()
    shown = drawn(Pictures(tmp_path), 1, size=(8, 16))
    assert Pictures(tmp_path).draw(1, 24.0, (8, 16), np.random.default_rng(1)).kind == "picture"
    assert np.ptp(shown, axis=0).max() == 0 and 0.05 < np.ptp(shown[0, :, 0, 0]) < 0.2  # cut out, not squeezed


def test_folders_without_anything_and_files_that_are_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        Pictures(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no clip and no picture"):
        Pictures(tmp_path)
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"broken\.mp4 cannot be used"):
        drawn(Pictures(tmp_path), 0)
