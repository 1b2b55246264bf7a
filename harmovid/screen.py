"""What all commands share: messages, progress bars, and errors told as sentences.

Progress and messages go to standard error, so that standard output holds --json and tables alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from harmovid.errors import HarmoVidError

Report = Callable[[str, int, int], None]
"""Told of each step: name of the stage, steps done, steps in all."""

_console = Console(stderr=True)


def say(text: str) -> None:
    """One plain line."""
    _console.print(escape(text), soft_wrap=True)


def note(text: str) -> None:
    """A line that the user should see, marked so."""
    _console.print(f"[yellow]note[/] {escape(text)}", soft_wrap=True)


@contextmanager
def errors_as_sentences(stopped: str = "nothing half-written was left behind") -> Iterator[None]:
    """Leave with status 2 on what the user can mend, with 130 when stopped; bugs pass through.

    stopped: what is said then.
    """
    try:
        yield
    except HarmoVidError as error:
        _console.print(f"[bold red]error[/] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(2) from error
    except OSError as error:  # what the rooms' own sentences don't cover: a name too long, no place for temporary files
        what = f"{error.filename}: " if error.filename else ""
        reason = (error.strerror or str(error)).lower()
        _console.print(f"[bold red]error[/] {escape(what + reason)}; check the name, the rights, and the space, there "
                       "and in the folder for temporary files (TMPDIR)", soft_wrap=True)
        raise typer.Exit(2) from error
    except KeyboardInterrupt:
        _console.print(f"[yellow]stopped[/] {escape(stopped)}", soft_wrap=True)
        raise typer.Exit(130) from None


@contextmanager
def bars() -> Iterator[Report]:
    """Progress bars with the time that is left, one per stage."""
    columns = (TextColumn("{task.description:>8}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_console, transient=True) as shown:
        tasks: dict[str, TaskID] = {}

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = shown.add_task(stage, total=total)
            shown.update(tasks[stage], completed=done)

        yield progress
