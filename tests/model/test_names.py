"""Names: short words stand for long ones, and nothing else is touched."""

from __future__ import annotations

import pytest
from typer.main import get_command

from harmovid.cli import app
from harmovid.model.names import SHIPPED, full_name


@pytest.mark.parametrize(("word", "name"), [("harmoim", "nano-harmoim"), ("nano", "nano"), ("./harmoim", "./harmoim"),
                                            ("nano-harmoim", "nano-harmoim"), ("THUDM/CogVideoX-2b",) * 2])
def test_a_short_word_stands_for_a_name(word: str, name: str) -> None:
    assert full_name(word) == name


def test_each_is_trained_by_a_command_that_there_is() -> None:
    for command in SHIPPED.values():
        found = get_command(app)
        for word in command.split()[1:]:
            found = found.commands[word]
