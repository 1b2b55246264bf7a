"""The manual, the README and the help say the same as the program."""

import re
from pathlib import Path

import pytest
import typer

from harmovid.cli import app

ROOT = Path(__file__).parent.parent
MANUAL = (ROOT / "docs" / "manual.md").read_text()
README = (ROOT / "README.md").read_text()


def commands() -> dict[str, set[str]]:
    """Options of every command, "evaluate score" → {"--truth", …}."""
    found: dict[str, set[str]] = {}

    def walk(name: str, command: typer.core.TyperCommand) -> None:
        for sub, child in getattr(command, "commands", {}).items():
            walk(f"{name} {sub}".strip(), child)
        if not hasattr(command, "commands"):
            flags = [flag for param in command.params for flag in (*param.opts, *param.secondary_opts)]
            found[name] = {flag for flag in flags if flag.startswith("--") and flag != "--help"}

    walk("", typer.main.get_command(app))
    return found


@pytest.mark.parametrize("name", sorted(commands()))
def test_the_manual_names_every_option_of_a_command_and_no_other(name: str) -> None:
    section = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", MANUAL, re.M | re.S)
    assert section, f"the manual has no section ## {name}"
    written = set(re.findall(r"--[a-z]+(?:-[a-z]+)*", section[1]))
    options = commands()[name]
    # -o stands for --out in most places; other commands' options may be referred to.
    assert options - {"--out"} <= written | {"--out"}
    everything = set().union(*commands().values())
    assert written <= everything, written - everything


def test_the_commands_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, re.M):
        assert re.search(rf"^{target}:", makefile, re.M), target
    for line in re.findall(r"^\.venv/bin/harmovid (.+)$", README, re.M):
        words = line.split("#")[0].split()
        name = next(name for name in commands() if words[: len(name.split())] == name.split())
        used = {word for word in words if word.startswith("--")}
        assert used <= commands()[name], line


def test_the_tree_of_the_readme_is_the_tree_there_is() -> None:
    tree = re.search(r"^harmovid/\n(.*?)^tests/", README, re.M | re.S)
    assert tree
    written: set[str] = set()
    for line in tree[1].splitlines():
        name, rest = line.split(maxsplit=1)
        if name.endswith(".py"):
            written.add(name)
        else:
            modules = (re.match(r"\w+", part.strip()) for part in re.sub(r"\([^)]*\)", "", rest).split("·"))
            written |= {f"{name}{module[0]}.py" for module in modules if module}
    package = ROOT / "harmovid"
    there = {str(path.relative_to(package)) for path in package.rglob("*.py") if path.name != "__init__.py"}
    assert written == there


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
