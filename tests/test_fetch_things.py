"""Parts of photographs as things: compact, neither small nor large, away from people; pictures carved out of files."""

import cv2
import numpy as np
import pytest

from benchmarks.fetch_photos import keep
from benchmarks.fetch_things import around_people, once, pictures, things
from harmovid.data import split


def areas() -> np.ndarray:
    """A square (1), a strip along the edge (2), a speck (3), a ring (4) on ground (0)."""
    numbered = np.zeros((100, 100), int)
    numbered[10:40, 10:40] = 1
    numbered[98:, :] = 2
    numbered[50:55, 10:15] = 3
    numbered[45:90, 45:95] = 4
    numbered[50:85, 50:90] = 0
    return numbered


def test_only_what_is_compact_and_of_a_size_is_a_thing():
    (found,) = things([areas()], np.zeros((100, 100), bool))
    assert (found == (areas() == 1)).all()


def test_no_thing_reaches_into_a_person():
    taken = np.zeros((100, 100), bool)
    taken[39, 39] = True
    assert things([areas()], taken) == []


def test_what_is_found_twice_counts_once():
    coarse = areas()
    coarse[10:40, 40:44] = 1
    assert len(things([areas(), coarse], np.zeros((100, 100), bool))) == 1


def picture(seed: int) -> np.ndarray:
    return cv2.resize(np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8), (64, 48))


def test_photographs_are_carved_out_of_a_file_and_cut_outs_are_not():
    clear = np.dstack([picture(2), np.full((48, 64), 90, np.uint8)])
    files = [cv2.imencode(".webp", picture(0), [cv2.IMWRITE_WEBP_QUALITY, 95])[1].tobytes(),
             cv2.imencode(".jpg", picture(1))[1].tobytes(), cv2.imencode(".webp", clear)[1].tobytes()]
    found = list(pictures(b"qres\0\1" + b"name".join(files) + b"end"))
    assert len(found) == 2
    for n, one in enumerate(found):
        assert np.abs(one.astype(float) - picture(n)).mean() < 12


def test_a_photograph_of_two_albums_is_taken_once():
    again = cv2.resize(picture(0), (96, 72))
    found = once([("one", picture(0)), ("other", picture(1)), ("again", again)])
    assert [name for name, _ in found] == ["one", "other"]


def test_what_surrounds_people_comes_with_their_place_and_split_and_none_of_the_test_part(tmp_path):
    chosen = {part: split.files(part, "portraits_photo")[0] for part in ("train", "validation", "test")}
    mask = np.zeros((48, 64), np.uint8)
    mask[20:30, 20:30] = 255
    for n, file in enumerate(chosen.values()):
        keep(picture(n), mask, tmp_path / file)
    found = {part: (name, taken) for name, part, _, taken in around_people(tmp_path)}
    assert set(found) == {"train", "validation"}
    for part, (name, taken) in found.items():
        assert f"portraits_photo/{name}.jpg" == chosen[part]
        assert taken[mask > 0].all() and taken[10, 10] and not taken[0].any()


def test_a_photo_whose_mask_is_gone_is_said(tmp_path):
    file = tmp_path / split.files("train", "portraits_photo")[0]
    keep(picture(0), np.full((48, 64), 255, np.uint8), file)
    file.with_name(file.stem + "_alpha.png").unlink()
    with pytest.raises(SystemExit, match="mask cannot be read"):
        list(around_people(tmp_path))
