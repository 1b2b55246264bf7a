"""Clips whose light steps: what the truth shows, and that neither smoothing nor doing nothing wins on them."""

import math

import numpy as np
import pytest

from harmovid.data import split
from harmovid.errors import InputError, OutputError
from harmovid.evaluate import bench, run, stepset
from harmovid.evaluate.measures import Tools
from harmovid.evaluate.methods import method
from harmovid.evaluate.testsets import read_set
from harmovid.video.color import to_linear
from tests import figures
from tests.evaluate import recoloured

FRAMES = 20


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("step")
    with pytest.MonkeyPatch.context() as patch:
        data = recoloured.footage(folder / "data", patch, FRAMES)
        return data, folder / "set", stepset.step_set(data, folder / "set")


@pytest.mark.parametrize("frames", range(2, 40))
def test_the_step_lies_within_the_clip_however_short(frames):
    for clip in ("a.mp4", "b.mp4", "c.mp4"):
        assert 1 <= stepset._item(clip, 0, "lamp", frames).settings["step"] < frames


def test_one_frame_cannot_step():
    with pytest.raises(InputError, match=r"a\.mp4 is one frame"):
        stepset._item("a.mp4", 0, "lamp", 1)


def test_the_truth_steps_and_the_foreground_where_it_should(made):
    data, out, manifest = made
    assert read_set(out) == manifest and [item.variant for item in manifest.items] == ["lamp", "background"] * 2
    for item in manifest.items:
        step, change = item.settings["step"], item.settings["change"]
        assert 0.4 * FRAMES <= step <= 0.6 * FRAMES and abs(change) == pytest.approx(1.25 * math.log(2), abs=1e-5)
        filmed = figures.read(data / item.clip)[0]
        roles = {role: figures.read(out / role / f"{item.name}.mkv")[0] for role in ("truth", "foreground")}
        lit = np.where(filmed.mean(-1) > 0.3, 1.0, 0.0)[..., None]  # where a code is a small part of the light
        gain = {role: [math.log((to_linear(frame, "srgb") * on).sum() / (to_linear(own, "srgb") * on).sum())
                       for frame, own, on in zip(frames, filmed, lit, strict=True)] for role, frames in roles.items()}
        wanted = np.where(np.arange(FRAMES) < step, -change if change > 0 else 0.0, change if change < 0 else 0.0)
        assert np.allclose(gain["truth"], wanted, atol=0.02)
        assert np.allclose(gain["foreground"], wanted if item.variant == "lamp" else 0, atol=0.02)
    assert all(item.psnr > 30 for item in manifest.items if item.variant == "lamp")
    assert all(item.psnr < 25 for item in manifest.items if item.variant == "background")


def test_a_smoother_loses_where_the_lamp_steps_and_doing_nothing_where_the_background_does(made):
    _, out, manifest = made
    untouched, gaussian = bench.compare(out, [method(name, "network") for name in ("untouched", "gaussian")], Tools())
    for item in manifest.items:
        nothing, smooth = (next(row for row in of.rows if row["clip"] == item.name) for of in (untouched, gaussian))
        if item.variant == "lamp":
            assert nothing["step_response"] == nothing["nothing_step_response"] == 0 and smooth["step_response"] >= 4
            assert smooth["foreground_psnr"] < nothing["foreground_psnr"] - 5
        else:
            never = FRAMES - item.settings["step"]
            assert nothing["step_response"] == smooth["step_response"] == nothing["nothing_step_response"] == never


def test_who_follows_at_once_is_told_from_who_does_so_late(made, tmp_path):
    _, out, manifest = made
    (item,) = (item for item in manifest.items if item.name == "ann__background")
    truth, source = (figures.read(out / role / f"{item.name}.mkv")[0] for role in ("truth", "foreground"))
    late = item.settings["step"] + 3
    for name, frames in (("at_once", truth), ("late", np.concatenate([source[:late], truth[late:]]))):
        (tmp_path / name).mkdir()
        figures.write(tmp_path / name / f"{item.name}.mkv", frames)
    rows = run.score_set(out, [tmp_path / "at_once", tmp_path / "late"], names=[item.name])
    assert [found[0]["step_response"] for found in rows] == [0, 3]
    assert [found[0]["step_size"] for found in rows] == pytest.approx([1, 1], abs=0.02)
    half = [np.clip(0.5 * (a + b), 0, 1) for a, b in zip(truth, source, strict=True)]
    (tmp_path / "half").mkdir()
    figures.write(tmp_path / "half" / f"{item.name}.mkv", half)
    ((little,),) = run.score_set(out, [tmp_path / "half"], names=[item.name])
    assert little["step_response"] == 0 and 0.3 < little["step_size"] < 0.7  # prompt, and not far
    assert run.score_set(out, [tmp_path / "late"], names=[item.name], end=5)[0][0]["step_response"] is None


def test_what_is_there_stays_and_another_set_is_refused(made, monkeypatch):
    data, out, manifest = made
    monkeypatch.setattr(split, "files", lambda part, kind, data: list(recoloured.CLIPS))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.mkv")}
    assert stepset.step_set(data, out) == manifest
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*.mkv")}
    with pytest.raises(OutputError, match="a test set of other clips"):
        stepset.step_set(data, out, limit=1)
