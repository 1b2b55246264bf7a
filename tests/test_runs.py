"""The recipes in runs/ keep to the command line: each is run with a program in its place that notes the words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
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
METHOD = ("shards", "pairs", "pairs-held", "refined", "refined-held", "harmoim/model", "deflicker/model", "sets/lut",
          "sets/masks")


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
    for name in METHOD:  # as a run of method.sh leaves it
        (folder / "method" / name).mkdir(parents=True, exist_ok=True)
    given = {"HARMOVID": str(stand_in), "PYTHON": "true", "DATA": "my data", "OUT": str(folder / "out"),
             "METHOD": str(folder / "method"), **more}
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
    # Kinds of mask are held against each other where masks are bad, in views, in full pictures and with the drawn edge.
    bad = [words for words in called if words[:2] == ["evaluate", "run"] and words[2].endswith("sets/masks")]
    assert [("network" in words, "recover=true" in words) for words in bad] == [
        (True, False), (False, False), (False, True)]
    kinds = {Path(word).parent.name for words in bad for flag, word in pairwise(words) if flag == "--model"}
    assert kinds == {f"{name}-{seed}" for name in ("both", "binary", "alpha") for seed in (0, 1)}


def test_the_image_model_is_trained_in_other_presets_from_a_start_of_theirs(tmp_path):
    called = lines(ROOT / "runs/harmoim.sh", tmp_path, PRESET="small", DEVICE="cuda", START="their/model")
    trained = [words for words in called if words[0] == "train"]
    assert len(trained) == 2 and all(words[words.index("--preset") + 1] == "small" for words in trained)
    assert all(words[words.index("--device") + 1] == "cuda" for words in trained)
    assert "stage.lengths=[[1, 32, 1.0, 65536]]" in trained[1]
    (tmp_path / "noted").unlink()
    ran = run(ROOT / "runs/harmoim.sh", tmp_path, PRESET="small")
    assert ran.returncode == 2 and "START is a checkpoint of the preset small" in ran.stderr
    assert not (tmp_path / "noted").exists()


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("kind", ["lut", "things"])
def test_the_bench_does_not_go_on_without_a_set(kind, jobs, tmp_path):
    assert run(ROOT / "runs/bench.sh", tmp_path, fails=kind, JOBS=jobs).returncode == 1
    assert '"evaluate", "run"' not in (tmp_path / "noted").read_text()


@pytest.mark.parametrize("missing", METHOD)
def test_the_ablations_do_not_begin_without_what_they_need_last(missing, tmp_path):
    for name in METHOD:
        if name != missing:
            (tmp_path / "half" / name).mkdir(parents=True)
    ran = run(ROOT / "runs/ablations.sh", tmp_path, METHOD=str(tmp_path / "half"))
    assert ran.returncode == 2 and f"half/{missing}" in ran.stderr and not (tmp_path / "noted").exists()


def test_ablations_of_two_studies_have_results_of_other_names(tmp_path):
    names = []
    for out in ("one", "other"):
        called = lines(ROOT / "runs/ablations.sh", tmp_path, OUT=str(tmp_path / out), SMALL="1")
        names.append({word.split("=")[0] for words in called for flag, word in pairwise(words) if flag == "--model"})
        (tmp_path / "noted").unlink()
    assert names[0] and not names[0] & names[1]


@pytest.mark.parametrize("way", ["a job fails", "the script is killed"])
@pytest.mark.parametrize("script", ["ablations", "bench"])
def test_no_job_outlives_its_script(script, way, tmp_path):
    stand_in = tmp_path / "slow"  # the first job is over soon, where it is to fail; the second one's program waits
    stand_in.write_text(f"#!{sys.executable}\nimport os, pathlib, sys, time\nfolder = pathlib.Path({str(tmp_path)!r})\n"
                        "for number in range(9):\n"  # both begin at once
                        "    try: (folder / f'pid{number}').open('x').write(str(os.getpid()))\n"
                        "    except FileExistsError: continue\n"
                        "    break\n"
                        f"if number == 0 and {way == 'a job fails'}:\n"
                        "    while not list(folder.glob('pid1')): time.sleep(0.01)\n"
                        "    sys.exit(1)\n"
                        "time.sleep(60)\n")
    stand_in.chmod(0o755)
    for name in METHOD:
        (tmp_path / "method" / name).mkdir(parents=True)
    given = {"HARMOVID": str(stand_in), "PYTHON": "true", "OUT": str(tmp_path / "out"), "JOBS": "2", "LUTS": "tables",
             "METHOD": str(tmp_path / "method")}
    process = subprocess.Popen(["bash", str(ROOT / f"runs/{script}.sh")], env=os.environ | given)
    _until(lambda: all((tmp_path / f"pid{n}").exists() and (tmp_path / f"pid{n}").read_text() for n in (0, 1)))
    if way == "the script is killed":
        process.terminate()
    assert process.wait(30) != 0
    _until(lambda: not any(_runs(int((tmp_path / f"pid{n}").read_text())) for n in (0, 1)))


def _until(so: Callable[[], bool]) -> None:
    for _ in range(2000):
        if so():
            return
        time.sleep(0.01)
    raise AssertionError("not within twenty seconds")


def _runs(number: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(number, 0)
        return True
    return False


def test_there_are_recipes():
    assert [path.stem for path in SCRIPTS] == [
        "ablations", "bench", "cogvideox", "deflicker", "harmoim", "method", "nano"]
    assert all(os.access(path, os.X_OK) for path in SCRIPTS)
