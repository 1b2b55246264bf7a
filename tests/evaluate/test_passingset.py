"""Clips that a lamp passes: what the truth shows, what jumps on top, and who keeps the one without the other."""

import numpy as np
import pytest

from harmovid.data import split
from harmovid.errors import OutputError
from harmovid.evaluate import bench, passingset
from harmovid.evaluate.measures import Tools
from harmovid.evaluate.methods import method
from harmovid.evaluate.testsets import Item, read_set
from harmovid.video.color import to_linear
from tests import figures
from tests.evaluate import recoloured

FRAMES = 24


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("passing")
    with pytest.MonkeyPatch.context() as patch:
        data = recoloured.footage(folder / "data", patch, FRAMES)
        return data, folder / "set", passingset.passing_set(data, folder / "set")


def stops(frames: np.ndarray, others: np.ndarray, bright: np.ndarray) -> np.ndarray:
    """log2 of the mean gain of light in each frame and channel, (T, 3), where `bright` (T, H, W) is."""
    lit, plain = ((to_linear(clip, "srgb") * bright[..., None]).sum((1, 2)) for clip in (frames, others))
    return np.log2(lit / plain)


def test_the_truth_is_darker_and_once_a_lamp_crosses_person_and_background(made):
    data, out, manifest = made
    assert read_set(out) == manifest and [item.variant for item in manifest.items] == ["steady", "flickering"] * 2
    assert manifest.items[0].settings != manifest.items[2].settings
    for item in manifest.items:
        assert item.settings["passing"] == [FRAMES // 4, FRAMES - FRAMES // 4]
        alone = list(range(FRAMES // 4)) + list(range(FRAMES - FRAMES // 4, FRAMES))
        filmed = {"truth": figures.read(data / item.clip)[0],
                  "background": figures.read(out / "clips" / item.clip.split("/")[1][:3] / "background.mkv")[0]}
        for role, own in filmed.items():
            lit = figures.read(out / role / f"{item.name}.mkv")[0]
            gain = stops(lit, own, (own.mean(-1) > 0.3).astype(np.float32)).mean(1)
            assert np.allclose(gain[alone], -1.2, atol=0.05)
            peak = int(np.argmax(gain))
            assert gain.max() > -0.8 and abs(peak - FRAMES / 2) < FRAMES / 6
            assert np.all(np.diff(gain[:peak + 1]) > -0.02) and np.all(np.diff(gain[peak:]) < 0.02)  # it passes once
            assert lit.max() <= own.max()  # nothing clips


def test_the_spot_is_where_the_settings_say():
    item = Item("ann__steady", "ann.mp4", settings={"passing": [6, 18], "angle": 0.0, "side": 0.25})
    lamp = passingset._lamp(item, 60, 40)
    assert np.allclose(lamp(5), 2 ** -1.2) and np.allclose(lamp(18), 2 ** -1.2)
    seen = [np.unravel_index(np.argmax(lamp(number)), (40, 60)) for number in (7, 11, 16)]
    assert [int(row) for row, _ in seen] == [29, 29, 29]  # 0.25 below the middle, and from left to right
    assert [int(column) for _, column in seen] == [7, 27, 52]
    assert 0.95 < lamp(11).max() <= 1


def test_the_foreground_is_the_truth_or_jumps_about_it(made):
    _, out, manifest = made
    for item in manifest.items:
        truth, foreground = (figures.read(out / role / f"{item.name}.mkv")[0] for role in ("truth", "foreground"))
        if item.variant == "steady":
            assert np.array_equal(foreground, truth) and item.psnr > 30
            continue
        seen = ((truth.mean(-1) > 0.2) & (truth.max(-1) < 0.6)).astype(np.float32)
        jumps = stops(foreground, truth, seen)
        assert np.allclose(jumps.mean(0), 0, atol=0.02) and 0.15 < jumps.mean(1).std() < 0.35
        assert 0.04 < (jumps - jumps.mean(1, keepdims=True)).std() < 0.15
        assert abs(np.corrcoef(jumps[1:, 1], jumps[:-1, 1])[0, 1]) < 0.5  # each frame's is its own
        assert 15 < item.psnr < 35


def test_a_smoother_flattens_the_lamp_and_doing_nothing_leaves_the_flicker(made):
    _, out, manifest = made
    outcomes = bench.compare(out, [method(name, "network") for name in ("untouched", "gaussian")], Tools())
    for item in manifest.items:
        nothing, smooth = (next(row for row in of.rows if row["clip"] == item.name) for of in outcomes)
        for figure in ("movement_correlation", "movement_slope"):
            assert nothing[figure] == pytest.approx(nothing[f"nothing_{figure}"], abs=0.02)
        assert smooth["movement_slope"] < 0.8 and nothing["step_response"] is None
        if item.variant == "steady":
            assert nothing["movement_correlation"] > 0.999
            assert nothing["movement_slope"] == pytest.approx(1, abs=0.02)
        else:
            assert nothing["movement_correlation"] < 0.98
    told = bench.table(out, outcomes)
    assert "| movement correlation ↑ | steady | flickering |" in told and "| movement slope → 1 | steady |" in told


def test_what_is_there_stays_is_made_again_alike_and_another_set_is_refused(made, monkeypatch):
    data, out, manifest = made
    monkeypatch.setattr(split, "files", lambda part, kind, data: list(recoloured.CLIPS))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.mkv")}
    assert passingset.passing_set(data, out) == manifest
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*.mkv")}
    lost = out / "foreground" / f"{manifest.items[1].name}.mkv"
    bits = lost.read_bytes()
    lost.unlink()
    assert passingset.passing_set(data, out) == manifest and lost.read_bytes() == bits
    with pytest.raises(OutputError, match="a test set of other clips"):
        passingset.passing_set(data, out, limit=1)
