"""What the commands share: who is told what, where, and with which status."""

from __future__ import annotations

import pytest
import typer

from harmovid import screen
from harmovid.errors import InputError


def test_messages_go_to_standard_error_without_markup(capsys):
    screen.say("wrote [red]x[/red]")
    screen.note("[blue] " + "long " * 60)
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("wrote [red]x[/red]\nnote [blue] long ")
    assert told.err.count("\n") == 2  # nothing is broken to the terminal's width


@pytest.mark.parametrize(("error", "status", "sentence"), [
    (InputError("the mask [x] is empty"), 2, "error the mask [x] is empty"),
    (OSError(28, "No space left on device", "out.mkv"), 2, "error out.mkv: no space left on device; check"),
    (OSError("odd"), 2, "error odd; check"),
    (KeyboardInterrupt(), 130, "stopped nothing half-written")])
def test_errors_become_sentences(capsys, error, status, sentence):
    with pytest.raises(typer.Exit) as left, screen.errors_as_sentences():
        raise error
    assert left.value.exit_code == status and capsys.readouterr().err.startswith(sentence)


def test_a_command_says_how_to_go_on(capsys):
    with pytest.raises(typer.Exit), screen.errors_as_sentences("go on with [--resume]"):
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "stopped go on with [--resume]\n"


def test_bugs_pass_through():
    with pytest.raises(ValueError, match="ours"), screen.errors_as_sentences():
        raise ValueError("ours")


def test_bars_leave_nothing_behind_on_standard_output(capsys):
    with screen.bars() as progress:
        for step in range(3):
            progress("read", step + 1, 3)
            progress("pack", step + 1, 5)
    assert capsys.readouterr().out == ""
