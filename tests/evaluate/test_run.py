"""Methods over a test set, against gains known by hand."""

import json
import shutil
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from harmovid.evaluate import methods, run
from harmovid.evaluate.gains import gains
from harmovid.evaluate.measures import Tools
from harmovid.evaluate.methods import method
from harmovid.infer import pipeline
from harmovid.infer.views import Harmonized, ViewSize
from tests import figures
from tests.evaluate import recoloured


@dataclass
class Nothing:
    """Gives everything back as it was."""

    name = "nothing"
    view = ViewSize(area=32 * 32)

    def harmonize(self, clip, seed=0):
        for t in range(len(clip)):
            views = clip.window(t, t + 1)
            yield Harmonized(views.composite, views.composite)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "set"
    with pytest.MonkeyPatch.context() as patch:
        manifest = recoloured.make(folder.parent, patch)
    assert run.run_methods(folder, [method("untouched")]) == {"untouched": {}}
    return folder, manifest, run.score_set(folder, [folder / "results" / "untouched"])[0]


def test_untouched_has_the_psnr_of_the_manifest(made):
    _, manifest, untouched = made
    found = {row["clip"]: row["foreground_psnr"] for row in untouched}
    # (The path frees the edge of the old background's colour, the manifest's composite does not.)
    assert all(found[item.name] == pytest.approx(item.psnr, abs=0.5) for item in manifest.items)
    nothing = gains(untouched, untouched)
    assert nothing.gain == 0 and nothing.worse == 0 and nothing.before == nothing.after
    assert sum(band.count for band in nothing.bands) == len(manifest.items)


def test_a_method_that_returns_its_input_gains_nothing_by_the_default_path(made, monkeypatch):
    folder, manifest, untouched = made
    monkeypatch.setattr(methods, "load", lambda *_: Nothing())
    told = []
    failed = run.run_methods(folder, [method("histogram")], progress=lambda *step: told.append(step))
    assert failed == {"histogram": {}}
    assert told[-1] == (manifest.items[-1].name, 4, 4)
    found = gains(run.score_set(folder, [folder / "results" / "histogram"])[0], untouched)
    assert abs(found.gain) < 0.05 and found.worse == 0


def test_what_is_there_stays_and_the_method_is_not_even_made(made, monkeypatch):
    folder, manifest, _ = made
    monkeypatch.setattr(methods, "load", None)
    before = {path: path.stat().st_mtime_ns for path in (folder / "results" / "untouched").glob("*.mkv")}
    run.run_methods(folder, [method("untouched")])
    assert before == {path: path.stat().st_mtime_ns for path in before} and len(before) == len(manifest.items)


def test_painting_over_shows_no_person(made):
    folder, manifest, _ = made
    assert run.run_methods(folder, [method("background")]) == {"background": {}}
    for item in manifest.items:
        result, behind, mask = (figures.read(folder / place / f"{item.name}.mkv")[0]
                                for place in ("results/background", "background", "mask"))
        inside = np.stack([cv2.erode(m[..., 0], np.ones((3, 3))) for m in mask]) == 1
        assert np.abs(result[inside] - behind.mean((0, 1, 2))).max() <= 1 / 255
        assert figures.same(result, behind)[:, :2].all()


def test_methods_of_one_view_share_what_they_see_and_their_results_are_as_alone(made, monkeypatch):
    folder, manifest, _ = made
    chosen = [method("reinhard"), method("classical"), method("classical", "network")]
    for one in chosen:
        run.run_methods(folder, [one])
    alone = {one.name: [figures.read(folder / "results" / one.name / f"{item.name}.mkv")[0]
                        for item in manifest.items] for one in chosen}
    for one in chosen:
        shutil.rmtree(folder / "results" / one.name)
    real, looks = pipeline.look, []
    monkeypatch.setattr(pipeline, "look", lambda *given: looks.append(given) or real(*given))
    assert run.run_methods(folder, chosen) == {one.name: {} for one in chosen}
    assert len(looks) == len(manifest.items)
    for one in chosen:
        for item, before in zip(manifest.items, alone[one.name], strict=True):
            np.testing.assert_array_equal(figures.read(folder / "results" / one.name / f"{item.name}.mkv")[0], before)
    for one in chosen:
        shutil.rmtree(folder / "results" / one.name)


def test_a_name_in_decomposed_letters_is_scored_too(made, tmp_path):
    folder, manifest, untouched = made
    shutil.copytree(folder, tmp_path / "set", symlinks=True)
    old, new = manifest.items[0].name, "e\u0301mile"
    for file in (tmp_path / "set").rglob(f"{old}.mkv"):
        file.rename(file.with_stem(new))
    told = json.loads((tmp_path / "set" / "manifest.json").read_text())
    told["items"][0]["name"] = new
    (tmp_path / "set" / "manifest.json").write_text(json.dumps(told))
    rows = run.score_set(tmp_path / "set", [tmp_path / "set" / "results" / "untouched"])[0]
    assert not [row for row in rows if "error" in row] and len(rows) == len(untouched)
    assert next(row for row in rows if row["clip"] == "\u00e9mile")["foreground_psnr"] == pytest.approx(
        next(row for row in untouched if row["clip"] == old)["foreground_psnr"])


def test_a_real_baseline_runs_through_and_a_missing_result_is_told(made):
    folder, manifest, untouched = made
    out = folder / "results" / "classical"
    assert run.run_methods(folder, [method("classical")]) == {"classical": {}}
    assert len(gains(run.score_set(folder, [out])[0], untouched).items) == 4
    (out / f"{manifest.items[0].name}.mkv").unlink()
    rows = run.score_set(folder, [out])[0]
    assert [row["clip"] for row in rows if "error" in row] == [manifest.items[0].name] and len(rows) == 4


def test_errors_alone_have_a_report_of_their_own(made):
    folder, _, untouched = made
    out = folder / "results" / "untouched"
    full = (out / "report.jsonl").read_bytes()
    rows = run.score_set(folder, [out], tools=Tools(errors_only=True))[0]
    assert [row["foreground_psnr"] for row in rows] == [row["foreground_psnr"] for row in untouched]
    assert all(row["frame_ssim"] is row["luminance_jitter"] is row["texture"] is None for row in rows)
    assert (out / "psnr.jsonl").exists() and (out / "report.jsonl").read_bytes() == full
