from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("embreex", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.data import filming
from harmovid.data.filming import Filming, film_takes, place
from harmovid.data.lightstage import LightStage
from harmovid.errors import InputError, OptionError, OutputError
from harmovid.light import keys
from harmovid.lightstage import buffers
from harmovid.lightstage.radiance import StageConfig
from harmovid.video import stills
from tests.lightstage.stage import performer
from tests.lightstage.test_scan import bust

SMALL = StageConfig(cells=512, coverage=2, points=1, surfels=50, bounces=1)


@pytest.fixture(autouse=True)
def no_sheets(monkeypatch):
    """Sheets have a test of their own."""
    monkeypatch.setattr(filming, "write_sheet", lambda takes, path: None)


def small(count: int) -> Filming:
    return Filming(count, frames=2, height=16, stage=SMALL)


def names(out) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def test_takes_are_of_people_in_one_split_only(tmp_path):
    told = []
    made = film_takes(tmp_path, small(2), perform=performer, progress=lambda *step: told.append(step))
    assert names(tmp_path) == ["train/take-000000.safetensors", "train/take-000001.safetensors",
                               "validation/take-500000.safetensors"]
    assert told == [("film", 1, 3), ("film", 2, 3), ("film", 3, 3)]
    assert (made.made, made.kept) == (3, 0) and made.size == sum(p.stat().st_size for p in tmp_path.rglob("*.saf*"))
    take = buffers.read(tmp_path / "train" / "take-000001.safetensors")
    assert take.info.seed == 1 and take.alpha.shape[:2] == (2, 16) and take.alpha.max() == 255


def test_a_stopped_run_goes_on_and_ends_as_one_that_was_not(tmp_path):
    film_takes(tmp_path / "whole", small(3), perform=performer)

    def stop(stage: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        film_takes(tmp_path / "cut", small(3), perform=performer, progress=stop)
    assert len(names(tmp_path / "cut")) == 2
    (tmp_path / "cut" / "train" / "take-000002.safetensors.part").write_bytes(b"half")  # killed while writing
    first = place(tmp_path / "cut", "train", 0).stat().st_mtime_ns
    made = film_takes(tmp_path / "cut", small(3), perform=performer)
    assert (made.made, made.kept) == (2, 2)
    assert place(tmp_path / "cut", "train", 0).stat().st_mtime_ns == first
    assert names(tmp_path / "cut") == names(tmp_path / "whole")
    for name in names(tmp_path / "whole"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.slow
def test_several_processes_make_the_same(tmp_path):
    film_takes(tmp_path / "one", small(2), perform=performer)
    film_takes(tmp_path / "two", small(2), perform=performer, processes=2)
    for name in names(tmp_path / "one"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


def lamp(path: Path, row: int) -> Path:
    pixels = np.full((64, 128, 3), 0.01, np.float32)
    pixels[row : row + 2, 90:93] = 300
    cv2.imwrite(str(path), pixels)
    return path


def test_takes_are_filmed_for_a_light_and_not_mixed_with_others(tmp_path):
    high, low = lamp(tmp_path / "high.hdr", 16), lamp(tmp_path / "low.hdr", 30)
    film_takes(tmp_path / "out", replace(small(1), light=high), perform=performer)
    take = buffers.read(tmp_path / "out" / "train" / "take-000000.safetensors")
    assert take.cells == 512 and take.keys is not None and take.keys[32, 182] > 0 and take.keys[60, 182] == 0
    for split in ("train", "validation"):
        assert (tmp_path / "out" / split / "light.hdr").read_bytes() == high.read_bytes()
    drawn = LightStage(tmp_path / "out" / "train").own
    assert drawn is not None and keys.are_of(take.keys, drawn)
    assert film_takes(tmp_path / "out", replace(small(1), light=high), perform=performer).kept == 2
    for other in (low, None):
        with pytest.raises(OutputError, match="filmed for another light than --light says"):
            film_takes(tmp_path / "out", replace(small(1), light=other), perform=performer)


def test_a_light_of_another_format_is_copied_as_it_is_and_one_that_filmed_nothing_goes(tmp_path):
    pixels = np.full((32, 64, 3), 0.01, np.float32)
    pixels[8, 45] = 3000
    stills.write_picture(tmp_path / "lamp.exr", pixels, None, 16, Fraction(24))
    film_takes(tmp_path / "out", replace(small(1), light=tmp_path / "lamp.exr"), perform=performer)
    stage = LightStage(tmp_path / "out" / "train")
    assert keys.are_of(buffers.read(stage.takes[0]).keys, stage.own)
    for take in (tmp_path / "out").glob("*/take-*"):
        take.unlink()
    film_takes(tmp_path / "out", small(1), perform=performer)
    assert LightStage(tmp_path / "out" / "train").own is None


def test_a_light_without_lamps_is_refused_before_anything_is_filmed(tmp_path):
    cv2.imwrite(str(tmp_path / "even.hdr"), np.ones((16, 32, 3), np.float32))
    with pytest.raises(InputError, match=r"even\.hdr has no light that stands out.*leave --light out"):
        film_takes(tmp_path / "out", replace(small(1), light=tmp_path / "even.hdr"), perform=performer)
    assert not (tmp_path / "out").exists()


def test_maps_of_the_split_list_go_to_their_split(tmp_path):
    hdri = tmp_path / "hdri"
    hdri.mkdir()
    held = [Path(file).stem for split in ("validation", "test") for file in filming.listed.files(split, "hdri")]
    for name in ("autoshop_01", "kiara_1_dawn", "of_my_own", *held):
        cv2.imwrite(str(hdri / f"{name}.hdr"), np.ones((4, 8, 3), np.float32))
    made = film_takes(tmp_path / "out", small(1), hdri=hdri, perform=performer)
    got = {split: {p.stem for p in (tmp_path / "out" / split / "maps").iterdir()} for split in ("train", "validation")}
    for split, found in got.items():
        assert found <= {Path(file).stem for file in filming.listed.files(split, "hdri")}
    assert "autoshop_01" in got["train"] and len(got["validation"]) == 4
    assert made.maps == len(got["train"]) + len(got["validation"])


def test_scans_are_filmed_beside_people(tmp_path):
    file = bust(tmp_path)
    wanted = replace(small(1), scans=(file,), upturned=True)
    assert film_takes(tmp_path / "out", wanted, perform=performer).made == 3
    assert names(tmp_path / "out")[:2] == ["train/take-000000.safetensors", "train/take-head.safetensors"]
    take = buffers.read(tmp_path / "out" / "train" / "take-head.safetensors")
    assert take.alpha.shape[:2] == (2, 16) and take.alpha.max() == 255 and take.info.seed > filming.VALIDATION
    assert film_takes(tmp_path / "out", wanted, perform=performer).made == 0
    with pytest.raises(InputError, match="no scan at gone"):
        film_takes(tmp_path / "other", replace(small(1), scans=(Path("gone.obj"),)), perform=performer)
    with pytest.raises(InputError, match="2 scans have 1 names"):
        film_takes(tmp_path / "other", replace(small(1), scans=(file, Path("else/head.obj"))), perform=performer)
    assert not (tmp_path / "other").exists()


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(OptionError, match="--height is 16 pixels or more, got 3"):
        Filming(1, height=3)
    with pytest.raises(OptionError, match="--count is 1 or more, got 0"):
        film_takes(tmp_path, small(0), perform=performer)
    film_takes(tmp_path / "there", small(1), perform=performer)
    with pytest.raises(OutputError, match=r"is of 2 frames, 16 pixels high, and --frames 2 --height 24 would be"):
        film_takes(tmp_path / "there", replace(small(2), height=24), perform=performer)
    assert len(names(tmp_path / "there")) == 2
    (tmp_path / "hdri").mkdir()
    with pytest.raises(InputError, match="has none of the maps of the split list"):
        film_takes(tmp_path / "out", small(1), hdri=tmp_path / "hdri", perform=performer)


def test_a_sheet_shows_takes_under_many_lights(tmp_path, monkeypatch):
    monkeypatch.undo()
    film_takes(tmp_path, small(2), perform=performer)
    sheet = cv2.imread(str(tmp_path / "sheets" / "train-000.jpg"))
    assert sheet.shape == (2 * 160, 8 * 160, 3)
    tiles = sheet.reshape(2, 160, 8, 160, 3).mean((1, 3))
    assert np.ptp(tiles, axis=1).max() > 30


def test_a_sheet_of_takes_that_were_filmed_for_a_light_shows_it_first(tmp_path, monkeypatch):
    monkeypatch.undo()
    light = lamp(tmp_path / "light.hdr", 20)
    film_takes(tmp_path / "own", replace(small(1), light=light), perform=performer)
    film_takes(tmp_path / "any", small(1), perform=performer)
    own, any_ = (cv2.imread(str(tmp_path / name / "sheets" / "train-000.jpg")).astype(float) for name in ("own", "any"))
    differs = np.abs(own - any_).reshape(160, 8, 160, 3).mean((0, 2, 3))
    assert differs[0] > 10 and (differs[1:] < 3).all()
