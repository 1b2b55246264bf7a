"""The recipes in runs/ keep to the command line: each is run with a program in its place that notes the words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from harmovid import cli, config
from harmovid.data.gates import Gates
from harmovid.infer.plan import Options
from harmovid.train.recipe import (
    CodecRecipe,
    DeflickerRecipe,
    HarmoimRecipe,
    HarmonizeRecipe,
    ToneRecipe,
    resolve,
)

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(ROOT.glob("runs/*.sh"))


def lines(script: Path, folder: Path, **more: str) -> list[list[str]]:
    """What `script` calls harmovid with, in turn."""
    ran = run(script, folder, **more)
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in (folder / "noted").read_text().splitlines()]


def run(script: Path, folder: Path, fails: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """`script` with a harmovid that notes its words in `folder`/noted, and that fails where `fails` is among them."""
    stand_in = folder / "harmovid"
    stand_in.write_text(f"#!{sys.executable}\nimport json, sys\n"
                        f"print(json.dumps(sys.argv[1:]), file=open({str(folder / 'noted')!r}, 'a'))\n"
                        f"sys.exit({fails!r} in sys.argv)\n")
    stand_in.chmod(0o755)
    given = {"HARMOVID": str(stand_in), "PYTHON": "true", "DATA": "my data", "OUT": str(folder / "out"), **more}
    return subprocess.run(["bash", str(script)], capture_output=True, text=True, timeout=60, env=os.environ | given)


@pytest.mark.parametrize("small", ["", "1"])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_command_parses_and_every_setting_exists(script, small, tmp_path):
    called = lines(script, tmp_path, SMALL=small, HDRI="my maps")
    assert called
    for words in called:
        command: Any = get_command(cli.app)
        rest = words
        while hasattr(command, "commands"):
            command, rest = command.commands[rest[0]], rest[1:]
        values = command.make_context("harmovid", rest).params  # parses, or raises
        if words[0] == "train":
            assert values["resume"], "a recipe can be stopped and resumed"
            kind: Any = {"codec": CodecRecipe, "tone": ToneRecipe, "harmonize": HarmonizeRecipe,
                         "harmoim": HarmoimRecipe, "deflicker": DeflickerRecipe}[words[1]]
            resolve(kind, values["preset"], values["out"], values["set_"])
        elif words[:2] == ["data", "refine"]:
            config.override(Gates(), list(values["set_"] or []))
        elif words[:2] == ["evaluate", "run"]:
            assert all(model.count("=") <= 1 for model in values["models"])
            config.override(Options(), list(values["set_"] or []))


def test_the_method_is_whole_and_each_step_is_given_what_the_one_before_made(tmp_path):
    called = lines(ROOT / "runs/method.sh", tmp_path, SMALL="1")
    out = str(tmp_path / "out")
    made = {words[words.index("--out") + 1] for words in called if "--out" in words}
    wanted = {word for words in called for flag, word in pairwise(words)
              if flag in ("--pairs", "--model", "--data") and word.startswith(out)}
    assert {Path(word.split("+")[0]).parent if word.endswith("model") else Path(word) for word in wanted} <= {
        Path(place) for place in made}
    names = [" ".join(words[:2]) for words in called]
    order = ["data shards", "train harmoim", "data pairs", "train deflicker", "data refine", "train harmonize",
             "evaluate testset", "evaluate run", "evaluate report"]
    assert [name for name in dict.fromkeys(names) if name in order] == order
    last = next(words for words in called if words[:2] == ["train", "harmonize"])
    assert [word for flag, word in pairwise(last) if flag == "--pairs"] == [f"{out}/refined", f"{out}/refined-held"]


def test_arms_of_the_ablations_differ_in_what_they_are_named_for(tmp_path):
    called = lines(ROOT / "runs/ablations.sh", tmp_path, SEEDS="0 1")
    arms = {}
    for words in (words for words in called if words[0] == "train"):
        name, _, seed = Path(words[words.index("--out") + 1]).name.rpartition("-")
        assert words[words.index("--seed") + 1] == seed
        rest = [word for word in words if word not in (f"{tmp_path}/out/{name}-{seed}", seed)]
        assert arms.setdefault(name, rest) == rest  # seeds differ in nothing else
    assert arms.keys() == {"both", "unrefined", "binary", "alpha", "staged", "epsilon", "v_prediction"}
    budgets = {tuple(word for word in words if word.startswith(("loop.", "stage.lengths"))) for words in arms.values()}
    assert len(budgets) == 1
    changed = {name: set(words) ^ set(arms["both"]) for name, words in arms.items()}
    assert changed["binary"] == {"stage.masks=binary"} and changed["alpha"] == {"stage.masks=alpha"}
    assert changed["staged"] == {"stage.sources.relit=0", "stage.sources.relit=0.3"}
    assert {Path(word).name for word in changed["unrefined"]} == {"pairs", "pairs-held", "refined", "refined-held"}
    assert set(arms["epsilon"]) ^ set(arms["v_prediction"]) == {
        "preset.schedule.prediction=epsilon", "preset.schedule.prediction=v_prediction"}
    overlaps = [word for words in called for word in words if word.startswith("overlap=")]
    assert overlaps == ["overlap=0", "overlap=0.25", "overlap=0.5", "overlap=0.75"]


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("kind", ["lut", "things"])
def test_the_bench_does_not_go_on_without_a_set(kind, jobs, tmp_path):
    assert run(ROOT / "runs/bench.sh", tmp_path, fails=kind, JOBS=jobs).returncode == 1
    assert '"evaluate", "run"' not in (tmp_path / "noted").read_text()


def test_there_are_recipes():
    assert [path.stem for path in SCRIPTS] == [
        "ablations", "bench", "cogvideox", "deflicker", "harmoim", "method", "nano"]
    assert all(os.access(path, os.X_OK) for path in SCRIPTS)
