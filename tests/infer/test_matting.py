from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harmovid.infer.matting import write_matte
from harmovid.video import io
from harmovid.video.color import ColorTags, convert
from harmovid.video.target import open_target
from tests import figures

SIZE = (96, 64)


def bright(rgb: np.ndarray) -> np.ndarray:
    """A segmenter that takes what is light for the person, and remembers nothing."""
    assert rgb.dtype == np.float32 and rgb.min() >= 0 and rgb.max() <= 1
    return np.clip((rgb.mean(axis=2) - 0.4) * 5, 0, 1).astype(np.float32)


def blocks(frames: int = 6, flicker: int | None = None) -> np.ndarray:
    """A white block that stands still; in frame `flicker` it is gone."""
    clip = np.full((frames, SIZE[1], SIZE[0], 3), 0.1, np.float32)
    clip[:, 16:48, 24:72] = 0.9
    if flicker is not None:
        clip[flicker] = 0.1
    return clip


def matted(tmp_path: Path, clip: np.ndarray, out: str = "mask.mkv", **options) -> tuple[np.ndarray, int]:
    source = io.open_clip(figures.write(tmp_path / f"of {out}.mkv", clip))
    found = write_matte(source, open_target(tmp_path / out), bright, **options)
    return figures.read(tmp_path / out)[0][..., 1], found


def test_the_mask_has_the_clips_frames_size_and_rate(tmp_path: Path) -> None:
    mask, found = matted(tmp_path, blocks())
    assert mask.shape == (6, 64, 96) and found == 6
    clip = io.open_clip(tmp_path / "mask.mkv")
    assert clip.rate == figures.RATE and not clip.alpha and clip.bits == 8
    inside = np.zeros((64, 96), bool)
    inside[16:48, 24:72] = True
    assert (mask[:, inside] == 1).all() and (mask[:, ~inside] == 0).all()


def test_a_frame_that_drops_out_is_held_and_one_that_is_gone_for_good_is_not(tmp_path: Path) -> None:
    mask, found = matted(tmp_path, blocks(flicker=3))
    assert (mask[3] == mask[2]).all() and found == 6
    mask, found = matted(tmp_path, blocks(flicker=3), "raw.mkv", steady=0)
    assert found == 5 and mask[3].max() == 0 and mask[2].max() == 1


def test_nobody_gives_a_black_mask_and_no_error(tmp_path: Path) -> None:
    mask, found = matted(tmp_path, np.full((3, *SIZE[::-1], 3), 0.1, np.float32))
    assert found == 0 and not mask.any() and len(mask) == 3


def test_chosen_frames_are_not_held_against_each_other(tmp_path: Path) -> None:
    mask, found = matted(tmp_path, blocks(flicker=3), indices=np.array([0, 3, 5]))
    assert found == 2 and mask.shape[0] == 3 and not mask[1].any() and mask[0].any()


def test_a_stretch_of_neighbours_is_held(tmp_path: Path) -> None:
    mask, found = matted(tmp_path, blocks(flicker=3), indices=np.arange(1, 6))
    assert mask.shape[0] == 5 and found == 5


def test_progress_counts_the_frames(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    matted(tmp_path, blocks(4), progress=lambda *step: told.append(step))
    assert told == [("matte", i, 4) for i in (1, 2, 3, 4)]


def test_the_segmenter_sees_display_light_whatever_the_clip_is_coded_in(tmp_path: Path) -> None:
    seen: list[np.ndarray] = []

    def remember(rgb: np.ndarray) -> np.ndarray:
        seen.append(rgb)
        return rgb[..., 0]

    path = figures.write(tmp_path / "clip.mkv", blocks(1))
    log = replace(io.open_clip(path), tags=ColorTags("bt2020", "slog3"))
    write_matte(log, open_target(tmp_path / "mask.mkv"), remember, steady=0)
    coded = figures.codes(blocks(1)[0])
    np.testing.assert_allclose(seen[0], np.clip(convert(coded, log.tags, ColorTags()), 0, 1), atol=1e-5)
    assert seen[0].min() >= 0 and seen[0].max() <= 1


@pytest.mark.parametrize("out", ["mask.mp4", "mask.mov", "mask", "mask.%03d.png", "mask.%03d.exr"])
def test_masks_of_every_kind_come_back(tmp_path: Path, out: str) -> None:
    mask, found = matted(tmp_path, blocks(3), out)
    assert found == 3 and mask.shape == (3, 64, 96)
    assert (mask[:, 20:44, 28:68] > 0.97).all() and (mask[:, :12] < 0.03).all()


def test_a_failure_leaves_no_file(tmp_path: Path) -> None:
    def broken(rgb: np.ndarray) -> np.ndarray:
        raise RuntimeError("the network is gone")

    source = io.open_clip(figures.write(tmp_path / "clip.mkv", blocks(2)))
    with pytest.raises(RuntimeError):
        write_matte(source, open_target(tmp_path / "mask.mkv"), broken)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mkv"]
