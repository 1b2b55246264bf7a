"""The recipes in runs/ keep to the command line: each is run with a program in its place that notes the words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from harmovid import cli
from harmovid.train.recipe import CodecRecipe, DeflickerRecipe, HarmonizeRecipe, ToneRecipe, resolve

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(ROOT.glob("runs/*.sh"))


def lines(script: Path, folder: Path) -> list[list[str]]:
    """What `script` calls harmovid with, in turn."""
    noted = folder / "noted"
    stand_in = folder / "harmovid"
    stand_in.write_text(f"#!{sys.executable}\nimport json, sys\n"
                        f"print(json.dumps(sys.argv[1:]), file=open({str(noted)!r}, 'a'))\n")
    stand_in.chmod(0o755)
    ran = subprocess.run(["bash", str(script)], capture_output=True, text=True, timeout=60, env={
        **os.environ, "HARMOVID": str(stand_in), "PYTHON": "true", "DATA": "my data", "OUT": str(folder / "out")})
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in noted.read_text().splitlines()]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_command_parses_and_every_setting_exists(script, tmp_path):
    called = lines(script, tmp_path)
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
                         "deflicker": DeflickerRecipe}[words[1]]
            resolve(kind, values["preset"], values["out"], values["set_"])


def test_there_are_recipes():
    assert [path.name for path in SCRIPTS] == ["bench.sh", "deflicker.sh", "nano.sh"]
    assert all(os.access(path, os.X_OK) for path in SCRIPTS)
