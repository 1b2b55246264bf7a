"""The command line as tests call it."""

from __future__ import annotations

import shlex

from typer.testing import CliRunner, Result

from harmovid import cli

WIDE = {"COLUMNS": "200", "TERMINAL_WIDTH": "200"}  # so that no sentence is broken in two


def invoke(arguments: str | list[str], status: int | None = 0) -> Result:
    """Run a command, given as it is typed or word by word; a bug in it is raised, another exit status a failure."""
    words = shlex.split(arguments) if isinstance(arguments, str) else arguments
    result = CliRunner().invoke(cli.app, words, env=WIDE)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert status is None or result.exit_code == status, result.stderr
    return result
