"""The command line: its words, its help, what it prints and where, its exit codes, and each option's effect."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numba
import numpy as np
import pytest
import torch
from typer.main import get_command

import harmovid
from harmovid import cli, cli_models
from harmovid.baselines.classical import MongeKantorovich
from harmovid.infer import pipeline
from harmovid.infer.views import ViewSize
from harmovid.model.checkpoint import save
from harmovid.model.presets import deflickering
from tests.commands import invoke
from tests.infer.tiny import tiny
from tests.odd import FRAMES, SIZE, Clip, Maker, Pictures, Still, draw, look, tree

# The model that is quickest; a --model after it counts.
RUN = "harmonize fg.mkv bg.mkv --mask mask.mkv -o out.mkv --model classical"

# DESIGN's fixed words: arguments and options that scripts may rely on.
FIXED = {
    "harmonize": "foreground background -o --out --mask --model --steps --strength --detail --output --fit --seed "
                 "--device",
    "matte": "video -o --out",
    "evaluate score": "results -o --out",
    "data shards": "footage -o --out",
    "train codec": "--preset --data --out --resume",
    "train tone": "--preset --data --out --resume",
    "train harmonize": "--preset --data --out --resume",
}


def command(words: str) -> Any:
    found: Any = get_command(cli.app)
    for word in words.split():
        found = found.commands[word]
    return found


def commands() -> list[str]:
    """Every command, as it is typed after `harmovid`."""
    def below(group: Any, path: str) -> Iterator[str]:
        for name, one in getattr(group, "commands", {}).items():
            yield f"{path}{name}"
            yield from below(one, f"{path}{name} ")

    return list(below(get_command(cli.app), ""))


@pytest.fixture(scope="session")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with fg.mkv, mask.mkv, bg.mkv."""
    folder = tmp_path_factory.mktemp("usual")
    makers: dict[str, Maker] = {"fg.mkv": Clip("person"), "mask.mkv": Clip("mask"), "bg.mkv": Clip("bars")}
    for name, maker in makers.items():
        maker(folder / name)
    return folder


@pytest.fixture
def work(usual, tmp_path, monkeypatch) -> Iterator[Path]:
    """A folder with the usual clips, to work in; and a smaller view and one thread, as small as what is shown."""
    for path in usual.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(MongeKantorovich, "view", ViewSize(area=48 * 48, overview=(16, 24)))
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    yield tmp_path
    numba.set_num_threads(threads)


class TestHelp:
    def test_version(self):
        assert invoke("--version").stdout == f"harmovid {harmovid.__version__}\n"

    def test_without_a_command_there_is_help(self):
        shown = invoke("", 2).output
        assert all(name in shown for name in ("harmonize", "matte", "evaluate", "data", "train"))

    @pytest.mark.parametrize("words", commands())
    def test_help_shows_and_explains_everything(self, words):
        shown = " ".join(invoke(f"{words} --help").stdout.split())
        for parameter in command(words).params:
            names = [*parameter.opts, *parameter.secondary_opts]
            assert all(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", shown) for name in names), names
            explained = getattr(parameter, "help", "") or ""
            assert len(explained.split()) >= 2 and explained.strip()[-1] in ".…", f"{names[0]}: {explained!r}"

    @pytest.mark.parametrize("words", commands())
    def test_each_command_says_what_it_does_with_an_example_that_holds(self, words):
        one = command(words)
        assert one.help and one.help.split(".")[0][0].isupper()
        if getattr(one, "commands", None):
            return
        example, = re.findall(r"Example: `harmovid ([^`]*)`", one.help)
        arguments = shlex.split(example)
        assert arguments[: len(words.split())] == words.split()
        one.make_context(words, arguments[len(words.split()):])  # parses, or raises

    @pytest.mark.parametrize("words", FIXED)
    def test_fixed_words(self, words):
        known = {name for parameter in command(words).params for name in (*parameter.opts, parameter.name)}
        assert set(FIXED[words].split()) <= known

    @pytest.mark.parametrize(("option", "words"), [
        ("detail", ["transfer", "network"]), ("output", ["comp", "foreground", "gain"]),
        ("fit", ["trim", "loop", "pingpong"])])
    def test_fixed_choices(self, option, words):
        said = invoke(f"harmonize a b -o c --{option} nonsense", 2).stderr
        assert "is not one of " + ", ".join(map(repr, words)) in said

    def test_help_loads_nothing_heavy(self):
        code = ("import sys; from harmovid.cli import main\n"
                "sys.argv = ['harmovid', 'harmonize', '--help']\n"
                "try: main()\n"
                "except SystemExit: pass\n"
                "print([name for name in ('av', 'cv2', 'numba', 'torch', 'OpenEXR') if name in sys.modules], "
                "file=sys.stderr)")
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert "--strength" in ran.stdout and ran.stderr.strip() == "[]"


class TestWhatIsPrinted:
    def test_json_is_one_line_alone_on_standard_output(self, work):
        """In a process of its own, for libraries in C print past Python."""
        code = "from harmovid.cli import main; main()"
        arguments = shlex.split(f"{RUN} --json --compare c.png")
        ran = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60,
                             env={**os.environ, "NUMBA_NUM_THREADS": "1"})
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.count("\n") == 1 and ran.stdout.endswith("\n")
        said = json.loads(ran.stdout)
        assert (said["output"], said["frames"], said["size"], said["rate"]) == ("out.mkv", FRAMES, list(SIZE), "24/1")
        assert {"read", "harmonize", "fit", "write"} <= said["seconds"].keys()
        assert all(seconds >= 0 for seconds in said["seconds"].values()) and sum(said["seconds"].values()) > 0.01
        assert 10_000_000 < said["peak_bytes"] < 10**11 and said["notes"] == []
        assert said["harmonizer"] == "classical"

    def test_without_json_standard_output_stays_empty(self, work):
        result = invoke(f"{RUN} --end 99")
        assert result.stdout == ""
        assert "wrote out.mkv: 6 frames, 64×48" in result.stderr and "note --end 99 lies beyond" in result.stderr

    def test_notes_are_in_the_json_too(self, work):
        result = invoke(f"{RUN} --end 99 --json")
        assert [note for note in json.loads(result.stdout)["notes"] if "--end 99 lies beyond" in note]
        assert "note --end 99" in result.stderr

    def test_brackets_in_a_name_are_no_markup(self, work):
        assert "there is no file [red]x[/red].mkv" in invoke("matte [red]x[/red].mkv -o m.mkv", 2).stderr

    @pytest.mark.parametrize("arguments", [
        "harmonize", "harmonize fg.mkv bg.mkv", f"{RUN} --nonsense", f"{RUN} --fit nonsense", f"{RUN} --strength much",
        "nonsense", "evaluate nonsense", "matte fg.mkv -o m.mkv --model nonsense"])
    def test_what_cannot_be_parsed_ends_with_2(self, work, arguments):
        result = invoke(arguments, 2)
        assert result.stdout == "" and "Usage:" in result.stderr

    def test_stopped_ends_with_130(self, work, monkeypatch):
        def stop(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(pipeline, "harmonize", stop)
        result = invoke(RUN, 130)
        assert "stopped" in result.stderr and "Traceback" not in result.stderr

    def test_a_bug_is_not_dressed_up(self, work, monkeypatch):
        def fail(*_: object, **__: object) -> None:
            raise ValueError("ours")

        monkeypatch.setattr(pipeline, "harmonize", fail)
        with pytest.raises(ValueError, match="ours"):
            invoke(RUN)

    def test_trouble_with_temporary_files_says_where(self, work, monkeypatch):
        monkeypatch.setattr(tempfile, "tempdir", str(work / "gone"))
        result = invoke(RUN, 2)
        assert "no such file or directory" in result.stderr and "TMPDIR" in result.stderr
        assert not (work / "out.mkv").exists()

    @pytest.mark.parametrize("out", ["a.mp4", "a.mov", "a", "a.mkv"])
    def test_the_same_command_makes_the_same_file(self, work, out):
        made = []
        for _ in range(2):
            invoke(f"{RUN.replace('out.mkv', out)} --overwrite")
            made.append({name: value for name, value in tree(work).items() if name.startswith("a")})
        assert made[0] == made[1]


class TestSettings:
    def test_a_time_is_a_frame(self, work):
        invoke(f"{RUN} --start 2 --end 5")
        invoke(f"{RUN.replace('out', 'other')} --start 0.0834s --end 00:00:00.2084")
        assert np.array_equal(look(work / "out.mkv").pictures, look(work / "other.mkv").pictures)
        assert np.array_equal(look(work / "out.mkv").pictures[:, :8, :8], [draw("bars", i)[:8, :8] for i in range(3)])

    @pytest.mark.parametrize(("options", "sentence"), [
        ("--strength 3", "--strength is between 0"), ("--strength nan", "--strength is between 0"),
        ("--strength 0.5 --detail network", "--strength is for the picture at full size; leave it out"),
        ("--edge 0.01 --detail network", "--edge is for the picture at full size"),
        ("--set recover=true --detail network", "--set recover=true is for the picture at full size; leave it out"),
        ("--position x", "--position takes two numbers such as 0.5,1"),
        ("--position 1", "--position takes two numbers"),
        ("--position 0,0,0", "--position takes two numbers"), ("--position nan,0", "--position takes two numbers"),
        ("--position 9,9", "0,0 for left and top to 1,1"), ("--scale 0", "--scale is a factor between 0.01 and 100"),
        ("--scale nan", "--scale is a factor"), ("--preview 0", "--preview takes a number of frames of 1 or more"),
        ("--edge 1", "--edge is a share of the height between 0 and 0.1"), ("--despeckle 2", "despeckle is 2.0"),
        ("--shrink nan", "shrink is nan"), ("--soften -1", "soften is -1.0"), ("--steady -1", "--steady is 0 or more"),
        ("--fps 0", "--fps takes frames per second such as 25"), ("--fps pal", "--fps takes frames per second"),
        ("--fps 1/0", "--fps takes frames per second"), ("--device tpu", "--device is cpu or cuda, got 'tpu'"),
        ("--model nonsense", "classical, histogram; a network is nano, nano-harmoim, or the folder of a checkpoint"),
        ("--model fg.mkv", "a network is nano, nano-harmoim, or the folder"),
        ("--model classical --steps 4", "--steps is a network's, and the classical model is none"),
        ("--foreground-transfer slog9", "known: srgb, linear"),
        ("--set nonsense", "--set takes name=value"), ("--set nonsense=1", "there is no setting 'nonsense'"),
        ("--set transfer.nonsense=1", "settings here: cell, bins"), ("--set a.b=1", "there is no group 'a'"),
        ("--set transfer.cell=much", "cell takes int"),
        ("--set transfer.cell=0", "transfer.cell is between 2 and 1024"),
        ("--set transfer.bins=1", "transfer.bins is between 2 and 64"), ("--set transfer.prior=-5", "transfer.prior"),
        ("--set transfer.temporal_sigma=NaN", "transfer.temporal_sigma is between 0 and 100, got nan"),
        ("--set strength=3", "--strength is between 0"), ("--set position=[1]", "position takes"),
        ("--set fit=nonsense", "fit is one of trim, loop, pingpong"),
    ])
    def test_settings_without_meaning(self, work, options, sentence):
        result = invoke(f"{RUN} {options}", 2)
        assert sentence in result.stderr and result.stderr.startswith("error ")
        assert sorted(tree(work)) == ["bg.mkv", "fg.mkv", "mask.mkv"]

    def planned(self, monkeypatch, options: str):
        """The plan that a command comes to."""
        seen = []

        def keep(plan, *_: object, **__: object):
            seen.append(plan)
            return pipeline.Summary("", 0, (0, 0), "", "")

        monkeypatch.setattr(pipeline, "harmonize", keep)
        invoke(f"{RUN} {options}")
        return seen[0]

    def test_options_reach_the_plan(self, work, monkeypatch):
        plan = self.planned(monkeypatch, "--set transfer.temporal_sigma=0 --set transfer.cell=8 --set seed=7 "
                            "--strength 0.5 --steady 2 --shrink 1.5 --soften 2 --despeckle 0.1 --edge 0.01")
        options = plan.options
        assert (options.transfer.temporal_sigma, options.transfer.cell, options.seed) == (0, 8, 7)
        assert (options.strength, options.steady, options.edge) == (0.5, 2, 0.01)
        assert (options.refine.shrink, options.refine.soften, options.refine.despeckle) == (1.5, 2, 0.1)

    def test_transfer_functions_reach_the_clips(self, work, monkeypatch):
        plan = self.planned(monkeypatch, "--foreground-transfer slog3 --background-transfer hlg")
        assert (plan.foreground.tags.transfer, plan.background.tags.transfer) == ("slog3", "hlg")

    def test_rate_of_pictures_reaches_all_of_them(self, work, monkeypatch):
        Pictures("person")(work / "pictures")
        monkeypatch.setattr(sys.modules[__name__], "RUN", RUN.replace("fg.mkv", "pictures"))
        assert self.planned(monkeypatch, "--fps 30000/1001").rate == Fraction(30000, 1001)


class TestHarmonize:
    def changed(self, options: str) -> tuple[np.ndarray, tuple[slice, slice]]:
        """The first frame of a run, and the box in which it isn't the background."""
        invoke(f"{RUN} --overwrite {options}")
        picture = look(Path("out.mkv")).pictures[0].astype(int)
        rows, columns = np.nonzero((picture != draw("bars", 0, (picture.shape[1], picture.shape[0]))).any(axis=2))
        return picture, (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))

    def test_position_and_scale(self, work):
        # Half-size, the person's own frame ends at the bottom, so they stand on the line where it ends.
        _, (rows, columns) = self.changed("--canvas background --scale 0.5 --position 0,0")
        assert rows.stop in (24, 25) and columns.stop <= 33
        _, (rows, columns) = self.changed("--canvas background --scale 0.5 --position 1,1")
        assert rows.stop == 48 and rows.start >= 24 and columns.start >= 31
        _, (rows, columns) = self.changed("--canvas background --scale 0.5 --position 0,1")
        assert rows.stop == 48 and columns.stop <= 33

    def test_the_light_changes_with_strength(self, work):
        pictures = [self.changed(f"--strength {s}")[0] for s in (0, 0.5, 1)]
        moved = [np.abs(picture - pictures[0])[30:, 26:36].mean() for picture in pictures]
        assert moved[0] < moved[1] < moved[2] and moved[2] > 2

    @pytest.mark.parametrize("model", ["classical", "reinhard", "histogram"])
    def test_models(self, work, model):
        said = json.loads(invoke(f"{RUN} --end 2 --json --model {model}").stdout)
        assert said["harmonizer"] == model and look(work / "out.mkv").frames == 2

    def test_the_model_is_nano_where_none_is_named(self, work):
        said = json.loads(invoke("harmonize fg.mkv bg.mkv --mask mask.mkv -o out.mkv --end 2 --json").stdout)
        assert said["harmonizer"] == "nano" and look(work / "out.mkv").frames == 2

    def test_preview_is_spread_over_the_clip(self, work):
        invoke(f"{RUN} --preview 3")
        corners = look(work / "out.mkv").pictures[:, :8, :8]
        assert np.array_equal(corners, [draw("bars", i)[:8, :8] for i in (0, 2, 5)])

    def test_preview_of_more_than_there_is(self, work):
        invoke(f"{RUN} --preview 99")
        assert look(work / "out.mkv").frames == FRAMES

    def test_compare_as_a_sheet_and_as_a_clip(self, work):
        invoke(f"{RUN} --compare sheet.png")
        invoke(f"{RUN} --compare clip.mkv --overwrite")
        sheet, clip = look(work / "sheet.png"), look(work / "clip.mkv")
        assert sheet.size == (3 * 64, 4 * 48)
        assert (clip.size, clip.frames, clip.rate) == ((3 * 64, 48), FRAMES, "24")
        source, plain, result = np.split(clip.pictures[0], 3, axis=1)
        assert np.abs(source.astype(int) - draw("person")).max() <= 1
        assert np.abs(result.astype(int) - look(work / "out.mkv").pictures[0]).max() <= 1
        assert np.abs(plain[:8, :8].astype(int) - draw("bars")[:8, :8]).max() <= 1
        assert np.abs(plain.astype(int) - result)[20:].mean() > 0.5
        assert np.array_equal(sheet.pictures[0][:48], clip.pictures[0])

    def test_an_existing_comparison_is_kept(self, work):
        (work / "c.png").write_bytes(b"mine")
        assert "c.png exists already" in invoke(f"{RUN} --compare c.png", 2).stderr
        assert (work / "c.png").read_bytes() == b"mine" and not (work / "out.mkv").exists()

    def test_the_other_outputs(self, work):
        invoke(f"{RUN.replace('out.mkv', 'cut')} --output foreground --end 1")
        invoke(f"{RUN.replace('out.mkv', 'gain')} --output gain --end 1 --strength 0")
        invoke(f"{RUN} --detail network --end 1")
        assert look(work / "cut").pixels == "uint8×4"
        assert np.array_equal(np.unique(look(work / "gain").pictures), [128])  # no change of light is mid grey
        assert look(work / "out.mkv").size == (48, 48)

    def test_cuda_is_said_to_have_no_effect(self, work):
        assert "--device cuda has no effect" in invoke(f"{RUN} --end 1 --device cuda").stderr

    def test_without_a_mask_one_is_made(self, work, monkeypatch):
        pytest.importorskip("ai_edge_litert")
        (work / "temporary").mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(work / "temporary"))
        result = invoke(RUN.replace("--mask mask.mkv", "") + " --json")
        assert json.loads(result.stdout)["notes"] == ["no mask given: one was made"]
        made = look(work / "out.mkv").pictures.astype(int)
        invoke(f"{RUN} --overwrite")
        assert np.abs(made - look(work / "out.mkv").pictures).mean() < 6
        assert list((work / "temporary").iterdir()) == []

    def test_a_mask_is_made_of_the_stretch_alone(self, work):
        pytest.importorskip("ai_edge_litert")
        for options, frames in (("--start 2 --end 5", 3), ("--preview 2", 2)):
            invoke(RUN.replace("--mask mask.mkv", options) + " --overwrite")
            assert look(work / "out.mkv").frames == frames

    def test_a_mask_is_made_where_a_short_background_trims(self, work):
        pytest.importorskip("ai_edge_litert")
        invoke(RUN.replace("--mask mask.mkv", "--start 1"))
        whole = look(work / "out.mkv").pictures
        Clip("bars", 3)(work / "short.mkv")
        invoke(RUN.replace("--mask mask.mkv", "--start 1 --fit trim").replace("bg.mkv", "short.mkv") + " --overwrite")
        assert np.abs(look(work / "out.mkv").pictures.astype(int) - whole[:3]).max() < 12

    def test_what_a_background_that_is_cut_short_still_has(self, work):
        whole = Path("bg.mkv").read_bytes()
        Path("cut.mkv").write_bytes(whole[: len(whole) * 3 // 4])
        run = RUN.replace("bg.mkv", "cut.mkv")
        assert "cut.mkv is cut short" in invoke(run, 2).stderr
        assert "background: cut short" in invoke(f"{run} --end 2").stderr and look(work / "out.mkv").frames == 2

    def test_a_stretch_is_made_again_in_place(self, work):
        run = RUN.replace("out.mkv", "f.%04d.png").replace("bg.mkv", "bg.mkv --set transfer.temporal_sigma=0")
        invoke(run)
        before = {path.name: path.read_bytes() for path in work.glob("f.*.png")}
        for n in (3, 4):
            (work / f"f.{n:04d}.png").write_bytes(b"")
        invoke(f"{run} --overwrite --start 3 --end 5 --background-start 3")
        assert sorted(path.name for path in work.glob("f.*.png")) == sorted(before)
        assert all((work / f"f.{n:04d}.png").read_bytes() == before[f"f.{n:04d}.png"] for n in (0, 1, 2, 5))
        for n in (3, 4):  # the background outside of the person is the same to the bit
            again, first = (cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :4]
                            for data in ((work / f"f.{n:04d}.png").read_bytes(), before[f"f.{n:04d}.png"]))
            assert np.array_equal(again, first)

    def test_nothing_left_of_a_mask_is_told(self, work):
        assert "nothing is left of the mask once --shrink" in invoke(f"{RUN} --shrink 40", 2).stderr
        assert not (work / "out.mkv").exists()

    def test_a_photo_before_a_video(self, work):
        pytest.importorskip("ai_edge_litert")
        Still("person")(work / "photo.png")
        run = RUN.replace("fg.mkv", "photo.png").replace("--mask mask.mkv", "")
        result = invoke(f"{run} --json")
        assert json.loads(result.stdout)["frames"] == FRAMES
        Clip("bars", 2 * FRAMES, rate="120")(work / "fast.mkv")
        invoke(f"{run} --end 0.05s --overwrite".replace("bg.mkv", "fast.mkv"))
        assert look(work / "out.mkv").frames == 6

    def test_without_the_segmenter_the_way_out_is_told(self, work, monkeypatch):
        monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
        monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
        said = invoke(RUN.replace("--mask mask.mkv", ""), 2).stderr
        assert "pass --mask" in said and "pip install 'harmovid[matte]'" in said

    def test_what_stands_in_the_way_is_told_before_a_mask_is_made(self, work, monkeypatch):
        monkeypatch.setattr(cli_models, "segmenter", lambda model: pytest.fail("a mask is made"))
        (work / "out.mkv").touch()
        assert "out.mkv exists already" in invoke(RUN.replace("--mask mask.mkv", ""), 2).stderr
        (work / "out.mkv").unlink()
        (work / "c.png").touch()
        assert "c.png exists already" in invoke(RUN.replace("--mask mask.mkv", "--compare c.png"), 2).stderr


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a network with random weights."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save(tiny(), folder)
    return folder


@pytest.mark.usefixtures("one_thread")
class TestNetwork:
    def made(self, options: str) -> np.ndarray:
        invoke(f"{RUN} --overwrite {options}")
        return look(Path("out.mkv")).pictures.astype(int)

    def test_end_to_end(self, work, checkpoint):
        plain, picture = self.made("--strength 0"), self.made(f"--model {checkpoint}")
        assert picture.shape == plain.shape == (FRAMES, *SIZE[::-1], 3)
        assert np.array_equal(picture[:, :8, :8], plain[:, :8, :8])
        assert np.abs(picture - plain)[:, 30:, 26:36].mean() > 2
        said = json.loads(invoke(f"{RUN} --overwrite --json --model {checkpoint}").stdout)
        assert said["harmonizer"] == "tiny" and said["notes"] == [] and said["seconds"]["harmonize"] > 0
        assert np.array_equal(look(Path("out.mkv")).pictures, picture)

    def test_the_networks_own_picture(self, work, checkpoint):
        pictures = self.made(f"--model {checkpoint} --detail network")
        assert pictures.shape == (FRAMES, 32, 32, 3)
        assert np.abs(pictures - self.made(f"--model {checkpoint} --detail network --seed 1")).max() > 2

    def test_one_frame_and_a_preview(self, work, checkpoint):
        assert len(self.made(f"--model {checkpoint} --end 1")) == 1
        assert len(self.made(f"--model {checkpoint} --preview 3")) == 3

    def test_steps(self, work, checkpoint, monkeypatch):
        told = []
        monkeypatch.setattr(cli, "bars", lambda: nullcontext(lambda *step: told.append(step)))
        pictures = [self.made(f"--model {checkpoint} --detail network {steps}") for steps in ("", "--steps 3")]
        assert [step for step in told if step[0] == "sample"] == [
            ("sample", 1, 2), ("sample", 2, 2), ("sample", 1, 3), ("sample", 2, 3), ("sample", 3, 3)]
        assert np.abs(pictures[0] - pictures[1]).max() > 2

    def test_steps_without_meaning(self, work, checkpoint):
        before = tree(work)
        for steps in (0, 1001):
            assert "1 to 1000 steps, got" in invoke(f"{RUN} --model {checkpoint} --steps {steps}", 2).stderr
        assert tree(work) == before

    def test_without_cuda_the_processor_serves_and_it_is_said(self, work, checkpoint, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        result = invoke(f"{RUN} --end 1 --json --model {checkpoint} --device cuda")
        note, = json.loads(result.stdout)["notes"]
        assert "no CUDA device here" in note and note in result.stderr

    def test_a_folder_that_is_no_checkpoint(self, work):
        (work / "empty").mkdir()
        assert "empty cannot be read as a checkpoint" in invoke(f"{RUN} --model empty", 2).stderr


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a network that steadies, with random weights."""
    folder = tmp_path_factory.mktemp("models") / "steady"
    model = tiny()
    save(replace(model, preset=deflickering(model.preset)), folder)
    return folder


@pytest.mark.usefixtures("one_thread")
def test_a_seed_below_zero_is_refused_before_any_work(work):
    before = tree(work)
    assert "Invalid value for '--seed'" in invoke(f"{RUN} --seed -1", 2).stderr
    assert tree(work) == before


class TestDeflicker:
    def test_end_to_end(self, work, steady):
        said = json.loads(invoke(f"deflicker fg.mkv -o out.mkv --json --model {steady}").stdout)
        assert (said["frames"], said["size"], said["harmonizer"], said["notes"]) == (
            FRAMES, list(SIZE), "tiny-deflicker", [])
        whole = look(Path("out.mkv")).pictures.astype(int)
        invoke(f"deflicker fg.mkv -o out.mkv --overwrite --mask mask.mkv --model {steady}")
        masked = look(Path("out.mkv")).pictures.astype(int)
        own, mask = look(Path("fg.mkv")).pictures.astype(int), look(Path("mask.mkv")).pictures[..., 0]
        rest = mask == 0
        assert np.array_equal(masked[rest], own[rest]) and not np.array_equal(masked, own)
        assert not np.array_equal(whole[rest], own[rest])

    def test_alpha_beside_a_mask_sound_and_masks_that_do_not_fit(self, work, steady):
        Clip("cutout")(work / "cutout.mkv")
        invoke(f"deflicker cutout.mkv -o own.mkv --end 2 --model {steady}")
        assert look(work / "own.mkv").pixels == "bgra"
        said = invoke(f"deflicker cutout.mkv -o masked.mkv --mask mask.mkv --end 2 --model {steady}").stderr
        assert "the clip's own alpha is left out where a mask is given" in said
        Clip("mask", 4)(work / "short.mkv")
        said = invoke(f"deflicker fg.mkv -o no.mkv --mask short.mkv --model {steady}", 2).stderr
        assert f"the mask has 4 frames, the clip has {FRAMES}; give a mask of this clip" in said
        Clip("person", codec="libx264", sound="pcm_s16le")(work / "loud.mov")
        (work / "loud.mov").write_bytes((work / "loud.mov").read_bytes().replace(b"sowt", b"apac"))
        assert "--no-sound" in invoke(f"deflicker loud.mov -o no.mov --end 2 --model {steady}", 2).stderr
        assert not (work / "no.mov").exists()
        invoke(f"deflicker loud.mov -o no.mov --end 2 --no-sound --transfer gamma24 --model {steady}")

    def test_the_networks_own_picture(self, work, steady):
        invoke(f"deflicker fg.mkv -o out.mkv --detail network --model {steady}")
        assert "--strength is for the picture at full size" in invoke(
            f"deflicker fg.mkv -o out2.mkv --strength 0.5 --detail network --model {steady}", 2).stderr
        height, width = look(Path("out.mkv")).pictures.shape[1:3]
        assert height % 16 == width % 16 == 0 and height * width < 40 * 40

    def test_what_a_cut_file_still_has(self, work, steady):
        whole = Path("fg.mkv").read_bytes()
        Path("cut.mkv").write_bytes(whole[: len(whole) * 3 // 4])
        assert "cut short" in invoke(f"deflicker cut.mkv -o out.mkv --model {steady}", 2).stderr
        said = json.loads(invoke(f"deflicker cut.mkv -o out.mkv --end 2 --json --model {steady}").stdout)
        assert said["frames"] == 2 and any("cut short" in note for note in said["notes"])
        assert "--end 0s leaves no frame" in invoke(f"deflicker cut.mkv -o no.mkv --end 0s --model {steady}", 2).stderr

    def test_models_that_cannot(self, work, checkpoint, steady, monkeypatch):
        before = tree(work)
        said = invoke(f"deflicker fg.mkv -o out.mkv --model {checkpoint}", 2).stderr
        assert f"the model {checkpoint} relights people" in said
        assert f"the model {steady} steadies light and relights nobody" in invoke(f"{RUN} --model {steady}", 2).stderr
        assert "there is no model 'gone'; give nano-deflicker" in invoke("deflicker fg.mkv -o out.mkv --model gone",
                                                                         2).stderr
        monkeypatch.setattr("harmovid.model.checkpoint.WEIGHTS", work / "none")
        assert "train them with `harmovid train deflicker`" in invoke("deflicker fg.mkv -o out.mkv", 2).stderr
        assert "--device is cpu or cuda" in invoke("deflicker fg.mkv -o out.mkv --device tpu", 2).stderr
        assert tree(work) == before


class TestMatte:
    @pytest.fixture(autouse=True)
    def network(self, work):
        pytest.importorskip("ai_edge_litert")

    def test_end_to_end(self, work):
        said = json.loads(invoke("matte fg.mkv -o m.mkv --json").stdout)
        assert (said["output"], said["frames"], said["frames_with_person"]) == ("m.mkv", FRAMES, FRAMES)
        assert said["seconds"]["matte"] > 0 and said["peak_bytes"] > 10_000_000
        seen = look(work / "m.mkv")
        assert (seen.frames, seen.size, seen.rate, seen.pixels) == (FRAMES, SIZE, "24", "gray")
        found = seen.pictures[..., 0] > 127
        drawn = np.stack([draw("mask", i) for i in range(FRAMES)])[..., 0] > 127
        assert (found & drawn).sum() / (found | drawn).sum() > 0.8
        invoke(RUN.replace("mask.mkv", "m.mkv"))  # and it serves as a mask

    def test_what_a_cut_file_still_has(self, work):
        whole = Path("fg.mkv").read_bytes()
        Path("cut.mkv").write_bytes(whole[: len(whole) * 3 // 4])
        assert "cut short" in invoke("matte cut.mkv -o m.mkv", 2).stderr
        result = invoke("matte cut.mkv -o m.mkv --end 2")
        assert "wrote m.mkv: 2 frames, a person in 2" in result.stderr and "note cut short" in result.stderr
        assert look(work / "m.mkv").frames == 2

    def test_of_a_stretch_and_of_another_curve(self, work):
        invoke("matte fg.mkv -o whole.mkv --steady 0")
        invoke("matte fg.mkv -o m/m.%04d.png --steady 0 --start 2 --end 5")
        assert sorted(path.name for path in (work / "m").iterdir()) == [f"m.{n:04d}.png" for n in (2, 3, 4)]
        part, whole = look(work / "m").pictures[..., 0] > 127, look(work / "whole.mkv").pictures[2:5, ..., 0] > 127
        assert (part & whole).sum() / (part | whole).sum() > 0.9
        assert "--start 4 leaves no frame" in invoke("matte fg.mkv -o no.mkv --start 4 --end 4", 2).stderr
        invoke("matte fg.mkv -o linear.mkv --transfer linear --end 1")
        assert "slog3" in invoke("matte fg.mkv -o no.mkv --transfer logical", 2).stderr

    def test_as_pictures(self, work):
        assert "wrote m: 6 frames, a person in 6" in invoke("matte fg.mkv -o m").stderr
        assert look(work / "m").frames == FRAMES

    def test_nobody_there(self, work):
        result = invoke("matte bg.mkv -o m.mkv")
        assert "no person was found in any frame: the mask is black" in result.stderr
        assert not look(work / "m.mkv").pictures.any()

    @pytest.mark.parametrize(("arguments", "sentence"), [
        ("matte gone.mkv -o m.mkv", "there is no file gone.mkv"),
        ("matte fg.mkv -o fg.mkv --overwrite", "is the place of the input fg.mkv"),
        ("matte fg.mkv -o mask.mkv", "mask.mkv exists already; pass --overwrite"),
        ("matte fg.mkv -o m.txt", "has the suffix .txt"),
        ("matte fg.mkv -o m.png", "is one picture and the result has 6 frames"),
        ("matte fg.mkv -o m.mkv --steady -1", "--steady is 0 or more frames"),
        ("matte fg.mkv -o m.mkv --end 0", "--end 0 leaves no frame"),
        ("matte fg.mkv -o m.mkv --fps x", "--fps takes frames per second"),
    ])
    def test_errors(self, work, arguments, sentence):
        before = tree(work)
        assert sentence in invoke(arguments, 2).stderr
        assert tree(work) == before

    def test_the_segmenter_that_is_missing_is_named(self, work, monkeypatch):
        monkeypatch.setitem(sys.modules, "rembg", None)
        said = invoke("matte fg.mkv -o m.mkv --model rembg", 2).stderr
        assert "pip install 'harmovid[rembg]'" in said and "--mask" not in said


def test_the_package_is_run_as_the_command_is():
    said = subprocess.run([sys.executable, "-m", "harmovid", "matte", "--help"], capture_output=True, text=True)
    assert said.returncode == 0 and "harmovid matte" in said.stdout
