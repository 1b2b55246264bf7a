"""Packing: the person boxed with room, at the right scale, and nowhere in the plate."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from harmovid.data import shards
from harmovid.data.pack import check_overview, pack
from harmovid.data.shards import OVERVIEW, Shard
from harmovid.errors import InputError, OptionError
from tests.makers import natural, write_clip

WIDTH, HEIGHT, RADIUS = 192, 128, 18
NAMES = {"name": "disc", "person": "nobody", "split": "train"}


def centre(t: int) -> tuple[float, float]:
    return 60 + 4 * t, 70


def disc(t: int) -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    cx, cy = centre(t)
    return np.hypot(x - cx, y - cy) < RADIUS


def clip(path: Path, frames: int, colour: tuple[int, int, int] = (255, 0, 255)) -> Path:
    """A disc that moves over a still background, without loss."""
    behind = np.rint(natural(WIDTH, HEIGHT) * 255).astype(np.uint8)
    pictures = [np.where(disc(t)[..., None], np.uint8(colour), behind) for t in range(frames)]
    return write_clip(path, pictures, codec="ffv1", pix_fmt="bgr0")


def matte(path: Path, frames: int, size: tuple[int, int] = (WIDTH, HEIGHT), empty: bool = False) -> Path:
    masks = [cv2.resize(np.uint8(255) * (disc(t) & (not empty)), size, interpolation=cv2.INTER_AREA)
             for t in range(frames)]
    return write_clip(path, [av.VideoFrame.from_ndarray(mask, format="gray") for mask in masks], codec="ffv1",
                      pix_fmt="gray", full=True)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("disc")
    return clip(folder / "disc.mkv", 13), matte(folder / "mask.mkv", 13)


@pytest.fixture(scope="module")
def packed(both: tuple[Path, Path]) -> Shard:
    return pack(*both, **NAMES)


def test_the_region_holds_the_person_with_room_and_the_picture_is_not_enlarged(packed):
    info = packed.info
    assert (info.name, info.person, info.split, info.frames) == ("disc", "nobody", "train", 13)
    assert packed.picture.shape == packed.plate.shape == (13, *info.size, 3) and packed.mask.shape == (13, *info.size)
    assert packed.overview.shape == (4, OVERVIEW, OVERVIEW, 3)
    for t, mask in enumerate(packed.mask):
        rows, columns = (np.flatnonzero((mask > 127).any(axis)) for axis in (1, 0))
        # Whole, at full size, with at least a third of its size around it or as far as the picture goes.
        assert len(columns) == len(rows) == 2 * RADIUS - 1
        cx, cy = centre(t)
        x0, y0 = cx - columns.mean(), cy - rows.mean()  # of the region in the picture
        assert columns[0] >= min(0.35 * 2 * RADIUS, columns[0] + x0) - 1
        assert rows[0] >= min(0.35 * 2 * RADIUS, rows[0] + y0) - 1
        assert info.size[1] - columns[-1] >= min(0.35 * 2 * RADIUS, WIDTH - (columns[-1] + x0)) - 1
        assert info.size[0] - rows[-1] >= min(0.35 * 2 * RADIUS, HEIGHT - (rows[-1] + y0)) - 1
    assert info.size[0] <= HEIGHT and info.size[1] <= WIDTH


def test_a_mask_of_another_framing_is_refused(both, tmp_path):
    tall = [np.full((HEIGHT, WIDTH // 4), 255, np.uint8) for _ in range(13)]
    other = write_clip(tmp_path / "tall.mkv", [av.VideoFrame.from_ndarray(mask, format="gray") for mask in tall],
                       codec="ffv1", pix_fmt="gray", full=True)
    with pytest.raises(InputError, match=f"tall.mkv is {WIDTH // 4}×{HEIGHT}, .*disc.mkv {WIDTH}×{HEIGHT}; give"):
        pack(both[0], other, **NAMES)
    small = [cv2.resize(np.uint8(255) * disc(t), (WIDTH // 2, HEIGHT // 2)) for t in range(13)]
    half = write_clip(tmp_path / "half.mkv", [av.VideoFrame.from_ndarray(mask, format="gray") for mask in small],
                      codec="ffv1", pix_fmt="gray", full=True)
    assert pack(both[0], half, **NAMES).info.frames == 13


def test_an_overview_is_of_the_side_that_is_asked_for(both, packed):
    wide = pack(*both, **NAMES, overview=128)
    assert wide.overview.shape == (4, 128, 128, 3) and (wide.info.overview, packed.info.overview) == (128, OVERVIEW)
    small = np.stack([cv2.resize(whole, (OVERVIEW, OVERVIEW), interpolation=cv2.INTER_AREA) for whole in wide.overview])
    assert np.abs(small.astype(int) - packed.overview).max() <= 2
    with pytest.raises(OptionError, match="--overview is a number of pixels that divides by 16, got 100"):
        check_overview(100)


def test_the_picture_is_the_clips_own_and_the_mask_too(packed):
    full = natural(WIDTH, HEIGHT) * 255
    inside = packed.mask[0] > 127
    assert np.array_equal(np.unique(packed.mask), [0, 255])
    assert (abs(packed.picture[0][inside].astype(int) - [255, 0, 255]) <= 1).all()
    cx, cy = centre(0)
    rows, columns = np.nonzero(inside)
    x0, y0 = round(cx - columns.mean()), round(cy - rows.mean())
    there = full[y0 : y0 + packed.info.size[0], x0 : x0 + packed.info.size[1]]
    assert abs(packed.picture[0][~inside] - there[~inside]).max() <= 1


def test_the_person_is_not_in_plate_and_overview(packed, both, tmp_path):
    # Magenta is far from every colour of the background.
    full = natural(WIDTH, HEIGHT) * 255
    low, high = full.min((0, 1)) - 12, full.max((0, 1)) + 12
    for picture in (packed.plate, packed.overview):
        assert (picture >= low).all() and (picture <= high).all()
    # And not a bit of them depends on what the person looks like.
    other = pack(clip(tmp_path / "green.mkv", 13, (0, 255, 0)), both[1], **NAMES)
    assert not np.array_equal(other.picture, packed.picture)
    assert np.array_equal(other.plate, packed.plate) and np.array_equal(other.overview, packed.overview)


def test_what_the_disc_uncovers_is_found(packed):
    full = natural(WIDTH, HEIGHT) * 255
    small = cv2.resize(full, (OVERVIEW, OVERVIEW), interpolation=cv2.INTER_AREA)
    assert abs(packed.overview[0] - small).mean() < 2


@pytest.mark.parametrize("area", [16 * 16, 30 * 30])
def test_area_is_what_the_persons_box_has_at_most(both, area):
    made, whole = pack(*both, **NAMES, area=area), pack(*both, **NAMES, area=10**6)
    assert whole.info.size == pack(*both, **NAMES).info.size
    scale = made.info.size[0] / whole.info.size[0]
    assert scale < 1
    # The box follows the disc with 12% of margin on each side, and is a little larger where that makes it steadier.
    wide = max(np.count_nonzero((mask > 127).any(0)) for mask in made.mask)
    assert 0.4 * area < (1.24 * wide) ** 2 < 1.1 * area
    assert made.info.size[1] == pytest.approx(whole.info.size[1] * scale, abs=2)


def test_frames_are_at_most_so_many(both):
    made = pack(*both, **NAMES, frames=5)
    assert made.info.frames == len(made.picture) == len(made.mask) == len(made.plate) == 5
    assert len(made.overview) == 2


def test_a_photo_is_one_frame(tmp_path):
    picture = np.where(disc(0)[..., None], np.uint8([255, 0, 255]), np.rint(natural(WIDTH, HEIGHT) * 255))
    cv2.imwrite(str(tmp_path / "photo.png"), picture[..., ::-1])
    cv2.imwrite(str(tmp_path / "mask.png"), np.uint8(255) * disc(0))
    made = pack(tmp_path / "photo.png", tmp_path / "mask.png", **NAMES)
    assert made.info.frames == 1 and made.overview.shape[0] == 1
    assert (made.mask > 127).sum() == disc(0).sum()
    assert not (made.plate == [255, 0, 255]).all(-1).any()


def test_a_mask_of_another_size_is_brought_to_the_clips(both, packed, tmp_path):
    made = pack(both[0], matte(tmp_path / "half.mkv", 13, (WIDTH // 2, HEIGHT // 2)), **NAMES)
    assert abs(np.array(made.info.size) - packed.info.size).max() <= 4
    assert (made.mask > 127).sum() == pytest.approx((packed.mask > 127).sum(), rel=0.05)


def test_a_mask_of_another_length_is_refused(both, tmp_path):
    with pytest.raises(InputError, match=r"short\.mkv has 12 frames, .*disc\.mkv has 13; give the mask of this clip"):
        pack(both[0], matte(tmp_path / "short.mkv", 12), **NAMES)
    with pytest.raises(InputError, match="has 14 frames"):
        pack(both[0], matte(tmp_path / "long.mkv", 14), **NAMES)


def test_an_empty_mask_is_refused(both, tmp_path):
    with pytest.raises(InputError, match=r"the mask .*none\.mkv is empty: no person in any of 13 frames"):
        pack(both[0], matte(tmp_path / "none.mkv", 13, empty=True), **NAMES)


def test_a_shard_of_it_goes_to_disk_and_back(packed, tmp_path):
    shards.write(tmp_path / "disc.zip", packed)
    back = shards.read(tmp_path / "disc.zip")
    assert back.info == packed.info and np.array_equal(back.mask, packed.mask)
    person = packed.mask > 5
    assert (back.plate[person][:, 1] > 40).all()  # magenta has no green
