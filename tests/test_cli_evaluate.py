"""`harmovid evaluate`: what it prints and keeps, and what goes wrong."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from harmovid import cli
from tests.evaluate import scored
from tests.odd import Clip, tree


def invoke(arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(cli.app, shlex.split(arguments), env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.stderr
    return result


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
