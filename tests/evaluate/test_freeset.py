"""Sets of people in other places, without truth."""

import numpy as np
import pytest

from harmovid.errors import InputError, OptionError
from harmovid.evaluate import freeset, run
from harmovid.evaluate.methods import method
from harmovid.evaluate.testsets import read_set
from tests import figures
from tests.evaluate import recoloured


def test_people_go_onto_backgrounds_in_their_own_frame(tmp_path, monkeypatch):
    data = recoloured.footage(tmp_path / "data", monkeypatch)
    out = tmp_path / "set"
    made = freeset.free_set(data, out)
    assert read_set(out) == made and not (out / "truth").exists()
    assert [item.name for item in made.items] == ["ann__street", "ann__wood", "bob__street", "bob__wood"]
    assert all(item.psnr is None for item in made.items)
    for item in made.items:
        name = f"{item.name}.mkv"
        assert figures.same(figures.read(out / "foreground" / name)[0], figures.read(data / item.clip)[0]).all()
        behind = figures.read(out / "background" / name)[0]
        assert behind.shape == (6, 48, 64, 3)
        source = figures.read(data / "backgrounds_video" / item.background)[0]
        assert np.abs(behind[0] - source[0][:, 32:96]).max() < 0.01  # it covers: the middle is seen
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.mkv")}
    assert freeset.free_set(data, out) == made
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*.mkv")}


def test_such_a_set_is_run_and_scored_by_what_needs_no_truth(tmp_path, monkeypatch):
    data = recoloured.footage(tmp_path / "data", monkeypatch)
    freeset.free_set(data, tmp_path / "set", per_clip=1)
    out = tmp_path / "set" / "results" / "untouched"
    assert run.run_methods(tmp_path / "set", [method("untouched")]) == {"untouched": {}}
    rows = run.score_set(tmp_path / "set", [out])[0]
    assert all(row["frame_psnr"] is None and row["background_exact"] > 0.99 for row in rows)
    (out / "ann__street.mkv").unlink()
    missing = [row["error"] for row in run.score_set(tmp_path / "set", [out])[0] if "error" in row]
    assert len(missing) == 1 and "no result ann__street" in missing[0]


def test_given_backgrounds_and_bad_ones(tmp_path, monkeypatch):
    data = recoloured.footage(tmp_path / "data", monkeypatch)
    street = data / "backgrounds_video" / "street.mp4"
    made = freeset.free_set(data, tmp_path / "one", [street], per_clip=1, limit=1)
    assert [item.name for item in made.items] == ["ann__street"]
    assert freeset.free_set(data, tmp_path / "one", [street], limit=1) == made
    with pytest.raises(OptionError, match="1 to 1 of the backgrounds, got 2"):
        freeset.free_set(data, tmp_path / "two", [street], per_clip=2)
    with pytest.raises(InputError, match="2 backgrounds have 1 names"):
        freeset.free_set(data, tmp_path / "two", [street, tmp_path / "street.mp4"])
    with pytest.raises(InputError, match=r"gone.mp4 cannot be read"):
        freeset.free_set(data, tmp_path / "two", [tmp_path / "gone.mp4"], per_clip=1)
    assert not (tmp_path / "two").exists()
