"""Developing: shards of one take are the same performance in other lights, and train like footage."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from harmovid.data import develop, shards
from harmovid.data.dataset import Footage
from harmovid.data.shards import OVERVIEW
from harmovid.errors import InputError, OptionError
from harmovid.light import procedural
from harmovid.lightstage import buffers
from tests.lightstage.test_buffers import made_up, packed

LIGHTS = 3


@pytest.fixture(autouse=True)
def small_maps(monkeypatch):
    monkeypatch.setattr(procedural, "HEIGHT", 32)
    monkeypatch.setattr(procedural.draw, "__defaults__", (1, 24.0, None, 32))


@pytest.fixture
def stage(tmp_path):
    """Two takes of six frames for training, with a map, and one for validation."""
    out = tmp_path / "stage"
    for split, seeds in (("train", (0, 1)), ("validation", (2,))):
        (out / split / "maps").mkdir(parents=True)
        for seed in seeds:
            taken = packed(made_up(6, seed=seed, width=0.7), clusters=2, components=8)
            buffers.write(out / split / f"take-{seed:06d}.safetensors", taken)
    cv2.imwrite(str(out / "train" / "maps" / "a.hdr"), np.random.default_rng(0).random((16, 32, 3), np.float32))
    return out


def test_shards_of_a_take_are_one_performance_in_many_lights(stage, tmp_path):
    assert develop.is_stage(stage) and not develop.is_stage(tmp_path)
    made = develop.develop_takes(stage, tmp_path / "out", LIGHTS)
    assert (made.made, made.kept) == (3 * LIGHTS, 0)
    files = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").glob("*/*"))
    assert files[:LIGHTS] == [f"train/take-000000-{n:02d}.zip" for n in range(LIGHTS)]
    taken = buffers.read(stage / "train" / "take-000000.safetensors")
    found = [shards.read(tmp_path / "out" / name) for name in files[:LIGHTS]]
    for one in found:
        assert one.info.performance == one.info.person == "take-000000" and one.info.split == "train"
        assert np.array_equal(one.mask, taken.alpha) and one.overview.shape == (2, OVERVIEW, OVERVIEW, 3)
    person = taken.alpha > 250
    assert abs(found[0].picture[person].astype(int) - found[1].picture[person]).mean() > 5
    footage = Footage.read(tmp_path / "out" / "train")
    assert sorted(len(takes) for takes in footage.performances) == [LIGHTS, LIGHTS]


def test_the_overview_is_of_the_side_that_is_asked_for(stage, tmp_path):
    develop.develop_takes(stage, tmp_path / "out", 2, limit=1, overview=32)
    made = shards.read(min((tmp_path / "out" / "train").glob("*.zip")))
    assert made.overview.shape[1:3] == (32, 32) and made.info.overview == 32


def test_only_so_many_takes_of_each_split_are_filmed(stage, tmp_path):
    made = develop.develop_takes(stage, tmp_path / "out", 2, limit=1)
    assert made.made == 4
    for split in ("train", "validation"):
        first = min((stage / split).glob("take-*.safetensors")).stem
        assert {path.stem[:-3] for path in (tmp_path / "out" / split).glob("*")} == {first}


def test_what_is_there_is_left_and_a_shard_is_the_same_each_time(stage, tmp_path):
    develop.develop_takes(stage, tmp_path / "out", 2)
    (tmp_path / "out" / "train" / "take-000001-00.zip").unlink()
    kept = tmp_path / "out" / "train" / "take-000000-01.zip"
    before = kept.stat().st_mtime_ns, kept.read_bytes()
    again = develop.develop_takes(stage, tmp_path / "out", 2)
    assert (again.made, again.kept) == (1, 5)
    assert (kept.stat().st_mtime_ns, kept.read_bytes()) == before
    develop.develop_takes(stage, tmp_path / "more", LIGHTS)  # more lights leave the first ones as they are
    assert (tmp_path / "more" / "train" / "take-000000-01.zip").read_bytes() == before[1]


def test_what_makes_no_sense_is_refused(stage, tmp_path):
    with pytest.raises(OptionError, match="--lights is 2 or more, got 1"):
        develop.develop_takes(stage, tmp_path / "out", 1)
    with pytest.raises(OptionError, match="--processes is 1 or more"):
        develop.develop_takes(stage, tmp_path / "out", 2, processes=0)
    (stage / "train" / "take-000000.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(InputError, match="take-000000"):
        develop.develop_takes(stage, tmp_path / "out", 2)
