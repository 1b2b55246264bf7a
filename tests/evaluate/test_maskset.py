"""Sets with bad masks: how bad, where they lie, and what scores."""

from pathlib import Path

import numpy as np
import pytest

from harmovid.data import split
from harmovid.evaluate import maskset
from harmovid.evaluate.maskset import HAIR, VARIANTS, spoil
from harmovid.evaluate.testsets import read_set, scoring_masks
from tests import figures
from tests.evaluate import recoloured


def disc(count=8):
    """(T, H, W): a disc of radius 60 that goes right, 200 lines high."""
    y, x = np.mgrid[:200, :240]
    return np.stack([(np.hypot(x - 100 - 2 * t, y - 100) < 60).astype(np.float32) for t in range(count)])


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name.startswith(("eroded", "dilated"))])
def test_the_edge_moves_by_a_share_of_the_height(variant):
    for before, after in zip(disc(), spoil(disc(), variant, 0), strict=True):
        radii = [np.sqrt((mask >= 0.5).sum() / np.pi) for mask in (before, after)]
        assert radii[0] - radii[1] == pytest.approx(200 * VARIANTS[variant], abs=0.8)


def test_holes_lie_inside_go_with_the_person_and_come_and_go():
    masks = disc(24)
    holed = np.stack(list(spoil(masks, "holes", 7)))
    lost = (masks - holed).sum((1, 2))
    assert (holed <= masks).all() and len(np.unique(lost.round())) > 2 and lost.max() > np.pi * 8**2 / 2
    # In the person's own box the holes stand still while their number does not change.
    steps = [t for t in range(23) if abs(lost[t + 1] - lost[t]) < 1]
    assert steps and all(np.abs(np.roll(holed[t], 2, 1) - holed[t + 1]).mean() < 0.002 for t in steps)


def test_a_wobbling_edge_goes_both_ways_and_turns():
    masks = disc(24)
    wobbling = np.stack(list(spoil(masks, "wobble", 3)))
    change = wobbling - masks
    assert change.max() == 1 and change.min() == -1
    assert np.abs(change).sum() / (24 * 2 * np.pi * 60) == pytest.approx(0.015 * 200 * 0.8, rel=0.5)
    assert np.abs(np.diff(change.sum((1, 2)))).mean() > 50


@pytest.mark.parametrize("variant", ["holes", "wobble"])
def test_the_same_seed_gives_the_same_mask(variant):
    one, same, other = (np.stack(list(spoil(disc(), variant, seed))) for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_frame_without_a_person_stays_empty(variant):
    masks = disc()
    masks[2] = 0
    assert not list(spoil(masks, variant, 0))[2].any()


def test_hair_is_of_the_test_split():
    there = {Path(file).stem for file in split.files("test", "portraits_video")}
    assert set(HAIR) <= there and len(set(HAIR)) == len(HAIR)


def test_methods_get_the_bad_mask_and_the_good_one_scores(tmp_path, monkeypatch):
    data = recoloured.footage(tmp_path / "data", monkeypatch)
    monkeypatch.setattr(maskset, "HAIR", ("bob",))
    out = tmp_path / "set"
    made = maskset.mask_set(data, out, recoloured.luts(tmp_path / "luts"), mean=15.0)
    assert read_set(out) == made and scoring_masks(out) == out / "scoring_mask"
    assert [item.variant for item in made.items] == list(VARIANTS) * 2
    assert {item.clip: item.settings["hair"] for item in made.items} == {
        "portraits_video/bob.mp4": True, "portraits_video/ann.mp4": False}
    for item in made.items:
        name = f"{item.name}.mkv"
        given, good = (figures.read(out / role / name)[0] for role in ("mask", "scoring_mask"))
        own = figures.read(data / item.clip.replace(".mp4", "_mask.mp4"))[0]
        assert figures.same(good, own).all()
        assert np.array_equal(given, good) == (item.variant == "good")
    assert len({(out / "foreground" / f"{item.name}.mkv").stat().st_ino for item in made.items}) == 2  # one a clip
    worse = {item.variant: item.psnr for item in made.items if "ann" in item.clip}
    assert worse["eroded 4%"] < worse["good"]
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.mkv")}
    assert maskset.mask_set(data, out, recoloured.luts(tmp_path / "luts"), mean=15.0) == made
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*.mkv")}
