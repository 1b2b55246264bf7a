"""`harmovid evaluate`: what it prints and keeps, and what goes wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harmovid.infer import pipeline
from tests.commands import invoke
from tests.evaluate import recoloured, scored
from tests.odd import Clip, tree


class TestScore:
    @pytest.fixture
    def bench(self, tmp_path, monkeypatch) -> Path:
        """Results, truth, masks, sources and backgrounds of two clips; of the second the result is its truth."""
        kinds = {"results": "person", "truth": "person", "masks": "mask", "source": "person", "background": "bars"}
        for folder, kind in kinds.items():
            (tmp_path / folder).mkdir()
            for name in ("one", "two"):
                Clip("bars" if (folder, name) == ("results", "one") else kind)(tmp_path / folder / f"{name}.mkv")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HARMOVID_CACHE", str(tmp_path / "cache"))  # no weights there
        return tmp_path

    def test_end_to_end(self, bench):
        result = invoke("evaluate score results --truth truth --masks masks --source source --background background "
                        "-o r.jsonl")
        header, _, one, two, *_ = result.stdout.splitlines()
        assert "PSNR" in header and one.startswith("| one |") and two.startswith("| two |")
        assert len((bench / "r.jsonl").read_text().splitlines()) == 2

    def test_what_is_missing_is_said_and_quick_leaves_it_out(self, bench):
        said = "evaluate score results --truth truth --masks masks -o"
        whole, quick = invoke(f"{said} r.jsonl"), invoke(f"{said} q.jsonl --quick")
        assert "left out" in whole.stderr and "fetch_lpips.py" in whole.stderr and "left out" not in quick.stderr
        assert "motion and warping: DIS medium" in whole.stdout and "motion" not in quick.stdout

    def test_json(self, bench):
        result = invoke("evaluate score results --truth truth -o r.jsonl --json")
        assert result.stdout.count("\n") == 1
        said = json.loads(result.stdout)
        assert (said["clips"], said["failed"], said["count"]["frame_psnr"]) == (2, 0, 2)
        assert json.loads(invoke("evaluate score results --truth truth -o r.jsonl --json").stdout) == said
        assert len((bench / "r.jsonl").read_text().splitlines()) == 2  # nothing was scored again

    def test_a_clip_that_cannot_be_scored(self, bench):
        (bench / "results" / "two.mkv").write_bytes(b"no film")
        result = invoke("evaluate score results --truth truth -o r.jsonl", 2)
        assert "| one |" in result.stdout and "1 of 2 clips could not be scored; the first, two" in result.stderr

    @pytest.mark.parametrize(("arguments", "sentence"), [
        ("results -o r.jsonl", "nothing to compare the results with; give --truth"),
        ("gone --truth truth -o r.jsonl", "there is no folder gone"),
        ("results --truth truth/one.mkv -o r.jsonl", "there is no folder truth/one.mkv"),
        ("results --truth truth -o truth/one.mkv", "no row of a score"),
        ("results --truth truth -o r.jsonl --quick --clip openai/clip-vit-base-patch32", "one or the other"),
        ("results --truth truth -o r.jsonl --clip nowhere", "there is no CLIP nowhere"),
    ])
    def test_errors(self, bench, arguments, sentence):
        before = tree(bench)
        assert sentence in invoke(f"evaluate score {arguments}", 2).stderr
        assert tree(bench) == before


class TestReport:
    @pytest.fixture
    def bench(self, tmp_path, monkeypatch) -> Path:
        scored.films(scored.make(tmp_path / "set"))
        monkeypatch.chdir(tmp_path)
        return tmp_path

    def test_end_to_end(self, bench):
        before = tree(bench / "set")
        result = invoke("evaluate report set -o out --worst 1")
        assert "out/report.md" in result.stderr and "out/report.html" in result.stderr
        assert "| nano | 6 | **18.83** |" in (bench / "out" / "report.md").read_text()
        assert (bench / "out" / "report.html").read_text().count("<video") == 4
        assert tree(bench / "set") == before
        written = tree(bench / "out")
        assert "pass --overwrite" in invoke("evaluate report set -o out", 2).stderr and tree(bench / "out") == written
        invoke("evaluate report set -o out --worst 0 --overwrite --baseline reinhard")
        assert "Baseline: reinhard." in (bench / "out" / "report.md").read_text()

    def test_what_is_missing_is_said(self, bench):
        (bench / "set" / "results" / "nano" / "report.jsonl").unlink()
        (bench / "set" / "results" / "reinhard" / "bob__neon.mkv").unlink()
        result = invoke("evaluate report set -o out --worst 1")
        assert "Not scored yet, so not shown: nano" in result.stderr and "bob__neon is not shown" in result.stderr

    @pytest.mark.parametrize(("arguments", "sentence"), [
        ("gone -o out", "give the folder of a test set"),
        ("set set -o out", "given twice"),
        ("set -o out --baseline gone", "scores of the baseline gone, only of nano, reinhard, untouched"),
        ("set -o set/manifest.json", "is a file; name a folder"),
    ])
    def test_errors(self, bench, arguments, sentence):
        before = tree(bench)
        assert sentence in invoke(f"evaluate report {arguments}", 2).stderr
        assert tree(bench) == before


class TestTestset:
    @pytest.fixture
    def footage(self, tmp_path, monkeypatch) -> Path:
        recoloured.footage(tmp_path / "footage", monkeypatch)
        recoloured.luts(tmp_path / "luts")
        (tmp_path / "empty").mkdir()
        monkeypatch.chdir(tmp_path)
        return tmp_path

    @pytest.mark.parametrize(("kind", "more", "items"), [
        ("jitter", "--luts luts --per-clip 2", 4),
        ("step", "--limit 1", 2),
        ("passing", "--limit 1", 2),
        ("free", "", 4),
        ("free", "--background footage/portraits_video/bob.mp4 --per-clip 1 --limit 1", 1),
    ])
    def test_end_to_end(self, footage, kind, more, items):
        command = f"evaluate testset {kind} footage -o set {more}"
        assert f"wrote set: {items} items" in invoke(command).stderr
        manifest = json.loads((footage / "set" / "manifest.json").read_text())
        assert (manifest["kind"], len(manifest["items"])) == (kind, items)
        before = tree(footage)
        invoke(command)
        assert tree(footage) == before

    def test_lut_and_things_say_their_decibels(self, footage):
        # (The drawn tables are few: the mean asked for is not to be had of so few clips.)
        result = invoke("evaluate testset things footage -o set --luts luts --per-clip 3")
        assert "wrote set: 3 items of 1 clips, 1" in result.stderr and " dB, mean 1" in result.stderr

    @pytest.mark.parametrize(("arguments", "sentence"), [
        ("lut footage -o set", "made with tables of colour: pass --luts DIR"),
        ("free footage -o set --luts luts", "takes no tables"),
        ("step footage -o set --luts luts", "takes no tables"),
        ("step footage -o set --per-clip 1", "two items of each clip"),
        ("passing footage -o set --luts luts", "takes no tables"),
        ("passing footage -o set --per-clip 1", "a passing set has two items of each clip"),
        ("lut footage -o set --luts empty", "0 tables (.cube) of 0 names"),
        ("lut gone -o set --luts luts", "there is no folder gone"),
        ("jitter footage -o set --luts luts --limit 0", "--limit is a number of clips of 1 or more"),
        ("jitter footage -o set --luts luts --per-clip 0", "--per-clip is 1 or more"),
        ("jitter footage -o set --luts luts --background footage", "--background is for free sets"),
        ("free footage -o set --per-clip 9", "1 to 2 of the backgrounds, got 9"),
        ("pathtraced footage -o set --luts luts", "takes no tables"),
        ("pathtraced footage -o set --per-clip 2", "eight items of each person and map"),
        ("lut footage -o set --luts luts --moving", "--moving is for pathtraced sets"),
        ("pathtraced footage -o set --split train", "test or validation, got 'train'"),
        ("pathtraced footage -o set --split validation", "footage lacks hilly_terrain_01.hdr"),
        ("pathtraced footage -o set", "footage lacks studio_small_03.hdr"),
        ("dreams footage -o set", "'dreams' is not one of"),
    ])
    def test_errors(self, footage, arguments, sentence):
        before = tree(footage)
        assert sentence in invoke(f"evaluate testset {arguments}", 2).stderr
        assert tree(footage) == before


class TestRun:
    @pytest.fixture
    def made(self, tmp_path, monkeypatch) -> Path:
        recoloured.make(tmp_path, monkeypatch)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HARMOVID_CACHE", str(tmp_path / "cache"))  # no weights there
        return tmp_path

    def test_end_to_end(self, made):
        result = invoke("evaluate run set --model reinhard --model background")
        lines = result.stdout.splitlines()
        assert [line.split(" | ")[0][2:] for line in lines[2:5]] == ["untouched (do nothing)", "reinhard", "background"]
        assert "motion and warping: DIS medium" in result.stdout and "left out" in result.stderr
        for name in ("untouched", "reinhard", "background"):
            assert len(list((made / "set" / "results" / name).glob("*.mkv"))) == 4
        before = tree(made)
        assert invoke("evaluate run set --model reinhard --model background").stdout == result.stdout
        assert tree(made) == before

    def test_a_peer_s_results_are_scored_as_the_set_scores(self, made):
        invoke("evaluate run set --model reinhard")
        shutil.copytree(made / "set" / "results" / "reinhard", made / "peer", ignore=shutil.ignore_patterns("*.json*"))
        invoke("evaluate score peer --testset set -o peer.jsonl")
        ours, theirs = ({row["clip"]: row for row in map(json.loads, file.read_text().splitlines())}
                        for file in (made / "set/results/reinhard/report.jsonl", made / "peer.jsonl"))
        assert ours.keys() == theirs.keys() and len(ours) == 4
        for name, row in ours.items():
            for figure, value in row.items():
                assert figure == "key" or theirs[name][figure] == (  # the key goes by the time of the files
                    pytest.approx(value, rel=1e-9) if isinstance(value, float) else value)
        said = invoke("evaluate score peer --testset set --truth set/truth -o other.jsonl", 2).stderr
        assert "--testset says itself" in said

    def test_quick_and_settings_have_folders_of_their_own(self, made):
        result = invoke("evaluate run set --model reinhard --quick --set transfer.temporal_sigma=0")
        assert "motion" not in result.stdout and "left out" not in result.stderr
        assert {path.name for path in (made / "set" / "results").iterdir()} == {
            "untouched__quick", "reinhard__temporal_sigma=0__quick"}

    def test_a_failure_shows_at_the_end_and_in_the_status(self, made, monkeypatch):
        real, calls = pipeline.harmonize, []

        def broken(plan, harmonizer, **more):
            calls.append(plan)
            if len(calls) == 6:
                raise RuntimeError("the lamp went out")
            return real(plan, harmonizer, **more)

        monkeypatch.setattr(pipeline, "harmonize", broken)
        result = invoke("evaluate run set --model reinhard --quick", 2)
        assert "| reinhard__quick |" in result.stdout and "means of 3 items" in result.stdout
        assert "1 results are missing" in result.stderr and "the lamp went out" in result.stderr
        assert "means of 4 items" in invoke("evaluate run set --model reinhard --quick").stdout

    @pytest.mark.parametrize(("arguments", "sentence"), [
        ("set --model nobody", "there is no method 'nobody'"),
        ("set --model classical --set what=1", "there is no setting 'what'"),
        ("set --model classical --quick --clip openai/clip-vit-base-patch32", "one or the other"),
        ("set --model classical --device abacus", "--device is cpu or cuda"),
        ("luts --model classical", "luts is no test set"),
        ("set --model a=nano --model a=classical", "two methods are named a"),
    ])
    def test_errors(self, made, arguments, sentence):
        before = tree(made)
        assert sentence in invoke(f"evaluate run {arguments}", 2).stderr
        assert tree(made) == before
