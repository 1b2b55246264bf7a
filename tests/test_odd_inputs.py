"""Bad and odd inputs: each with its right result, or its sentence of error and exit status 2.

Every row is one run of the command line in a folder that holds fg.mkv (a person), mask.mkv and bg.mkv (a
scene), all 64×48, 6 frames, 24 per second, and what the row adds to them or puts in their place. Beside what the
row expects, nothing may have changed in that folder, and nothing may be left in the folder for temporary
files.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
import pytest
from typer.testing import Result

from harmovid.baselines.classical import MongeKantorovich
from harmovid.infer.views import ViewSize
from harmovid.video.target import Target
from tests import commands
from tests.odd import (
    FRAMES,
    SIZE,
    Bytes,
    Clip,
    Cut,
    Folder,
    Kitchen,
    Link,
    Maker,
    Pictures,
    Sound,
    Still,
    draw,
    look,
    tree,
)

STANDARD: dict[str, Maker] = {"fg.mkv": Clip("person"), "mask.mkv": Clip("mask"), "bg.mkv": Clip("bars")}


@dataclass(frozen=True)
class Made:
    """What a run must make: the outputs by name, and how the first of them looks."""

    frames: int = FRAMES
    size: tuple[int, int] = SIZE
    rate: str = "24"
    pixels: str = ""  # FFmpeg's name of their kind; of pictures, type×channels; unsaid: any
    sound: float = 0  # seconds
    timecode: str = ""
    names: tuple[str, ...] = ("out.mkv",)
    note: str | None = ""  # a part of what it says; empty: it must say nothing; None: whatever it says
    looks: Callable[[np.ndarray], bool] = lambda pictures: True


def run(*more: str, fg: str = "fg.mkv", bg: str = "bg.mkv", mask: str = "mask.mkv", out: str = "out.mkv") -> list[str]:
    """The usual command, with what the row changes; an empty mask leaves it out."""
    return ["harmonize", fg, bg, "-o", out, *(["--mask", mask] if mask else []), "--model", "classical", *more]


def behind(what: str, *frames: int) -> Callable[[np.ndarray], bool]:
    """Whether the corner, where nobody is, shows these frames of a drawing, bit for bit."""
    def compare(pictures: np.ndarray) -> bool:
        size = pictures.shape[2], pictures.shape[1]
        expected = np.stack([draw(what, i, size) for i in frames])
        return np.array_equal(pictures[:, :8, :8], expected[:, :8, :8])

    return compare


def near(what: str, turned: int = 0, size: tuple[int, int] = SIZE) -> Callable[[np.ndarray], bool]:
    """Whether the pictures show a drawing, give or take a codec, turned so many times 90° anticlockwise."""
    def compare(pictures: np.ndarray) -> bool:
        expected = np.stack([np.rot90(draw(what, i, size), turned) for i in range(len(pictures))])
        return float(np.abs(pictures.astype(int) - expected).mean()) < 4

    return compare


H264 = "libx264"
UNEVEN = (0, 0.04, 0.12, 0.16, 0.30, 0.34)  # seconds at which the frames of a clip of variable rate are shown
FASTSTART = (("movflags", "+faststart"),)
LONG = Clip("noise", 20, codec=H264, options=FASTSTART)
PCM = Clip("person", sound="pcm_s16le")
PQ = Clip("bars", codec=H264, pixels="yuv420p10le", transfer=16)
BROKEN = (("0005.png", Bytes(b"\x89PNG, or so it says")),)

row = pytest.param

# What lies in the folder beside the usual, the command, and what must come of it: a result, or for text the
# sentence of an error, with exit status 2 and nothing made.
TABLE = [
    # The usual, and lengths.
    row({}, run(), Made(pixels="bgr0", looks=behind("bars", *range(6))), id="nothing odd"),
    row({"fg.mkv": Clip("person", 1), "mask.mkv": Clip("mask", 1)}, run(), Made(1), id="one frame"),
    row({"fg.png": Still("cutout"), "bg.png": Still("bars")}, run(fg="fg.png", bg="bg.png", mask="", out="out.png"),
        Made(1, rate="", names=("out.png",), looks=behind("bars", 0)), id="one picture on one picture"),
    row({"bg.mkv": Clip("bars", 3)}, run(), Made(looks=behind("bars", 0, 1, 2, 1, 0, 1), note="played back and forth"),
        id="short background"),
    row({"bg.mkv": Clip("bars", 3)}, run("--fit", "loop"),
        Made(looks=behind("bars", 0, 1, 2, 0, 1, 2), note="it starts again"), id="short background, loop"),
    row({"bg.mkv": Clip("bars", 3)}, run("--fit", "trim"),
        Made(3, looks=behind("bars", 0, 1, 2), note="the result is cut to it"), id="short background, trim"),
    row({"bg.png": Still("bars")}, run(bg="bg.png"), Made(looks=behind("bars", *[0] * 6)), id="still background"),
    row({"mask.png": Still("mask", grey=True)}, run(mask="mask.png"),
        Made(note="one picture, used for every frame"), id="still grey mask"),
    row({"mask.mkv": Clip("mask", 8)}, run("--fit", "trim"), Made(note=None), id="mask longer, trim"),
    row({"mask.mkv": Clip("mask", 4)}, run("--fit", "trim"), Made(4, note="cut to the shorter"),
        id="mask shorter, trim"),
    row({"mask.mkv": Clip("mask", 3)}, run("--start", "2", "--end", "5"), Made(3), id="mask of the stretch alone"),
    row({}, run("--end", "99"), Made(note="beyond the foreground's 6 frames"), id="end beyond the clip"),
    # Rates.
    row({"bg.mkv": Clip("bars", 8, rate="30000/1001")}, run(), Made(looks=behind("bars", 0, 1, 2, 3, 4, 6)),
        id="24 on 29.97 frames per second"),
    row({"fg.mkv": Clip("person", rate="30000/1001"), "bg.mkv": Clip("bars")}, run(),
        Made(rate="30000/1001", looks=behind("bars", 0, 0, 1, 2, 3, 4)), id="29.97 on 24 frames per second"),
    row({"fg.mp4": Clip("person", codec=H264, times=UNEVEN), "mask.mp4": Clip("mask", codec=H264, times=UNEVEN),
         "bg.mkv": Clip("bars", 10)}, run(fg="fg.mp4", mask="mask.mp4"),
        Made(10, rate="25", note="variable frame rate"), id="variable rate"),
    row({"fg.mp4": Clip("person", codec=H264, times=UNEVEN), "bg.mkv": Clip("bars", 10)}, run(fg="fg.mp4"),
        Made(10, rate="25", note="for each of the 6 frames"), id="variable rate, mask of the stored frames"),
    row({"fg.h264": Clip("person", codec=H264)}, run(fg="fg.h264"), Made(rate="25"), id="bare stream without times"),
    row({"fg": Pictures("person")}, run("--fps", "30000/1001", fg="fg"), Made(rate="30000/1001"),
        id="rate of pictures"),
    row({}, run("--fps", "25"), Made(note="--fps is for image sequences"), id="rate of pictures, without pictures"),
    # Sizes and shapes.
    row({"fg.mkv": Clip("person", size=(17, 48)), "mask.mkv": Clip("mask", size=(17, 48))}, run(), Made(size=(17, 48)),
        id="17 pixels wide"),
    row({"fg.mkv": Clip("person", size=(2, 2)), "mask.mkv": Clip("white", size=(2, 2))}, run(), Made(size=(2, 2)),
        id="two pixels wide"),
    row({"fg.mkv": Clip("person", size=(63, 47)), "mask.mkv": Clip("mask", size=(63, 47))}, run(out="out.mp4"),
        Made(size=(64, 48), names=("out.mp4",), note="even sides"), id="odd sides as H.264"),
    row({"fg.mkv": Clip("person", size=(63, 47)), "mask.mkv": Clip("mask", size=(63, 47))}, run(), Made(size=(63, 47)),
        id="odd sides, lossless"),
    row({"bg.png": Still("bars", size=(1, 1))}, run(bg="bg.png"), Made(), id="background of one pixel"),
    row({"fg.mkv": Clip("person", size=(48, 64)), "mask.mkv": Clip("mask", size=(48, 64))}, run(),
        Made(size=(48, 64)), id="portrait on landscape"),
    row({"fg.mkv": Clip("person", size=(48, 64)), "mask.mkv": Clip("mask", size=(48, 64))},
        run("--canvas", "background"), Made(looks=behind("bars", *range(6))), id="portrait on landscape's canvas"),
    row({"mask.mkv": Clip("mask", size=(32, 24))}, run(), Made(looks=behind("bars", *range(6))), id="half-size mask"),
    row({"fg.mp4": Clip("person", codec=H264, turn=90), "mask.mkv": Clip("white", size=(48, 64))},
        run("--strength", "0", fg="fg.mp4"), Made(size=(48, 64), looks=near("person", 1)), id="rotated phone clip"),
    row({"fg.mp4": Clip("person", codec=H264, turn=180), "mask.mkv": Clip("white")},
        run("--strength", "0", fg="fg.mp4"), Made(looks=near("person", 2)), id="phone clip upside down"),
    row({"fg.mp4": Clip("person", codec=H264, aspect="2"), "mask.mkv": Clip("mask", size=(128, 48))}, run(fg="fg.mp4"),
        Made(size=(128, 48), note="pixels of 2:1 made square"), id="pixels that are not square"),
    row({"bg.jpg": Still("bars", exif=6)}, run("--canvas", "background", bg="bg.jpg"), Made(size=(48, 64)),
        id="photograph turned by its EXIF note"),
    # Kinds of picture.
    row({"fg.mp4": Clip("person", codec=H264, pixels="yuv420p10le")}, run(fg="fg.mp4"), Made(pixels="gbrp16le"),
        id="10 bits"),
    row({"fg.mp4": Clip("person", codec=H264, pixels="yuv422p10le")}, run(fg="fg.mp4", out="out.mp4"),
        Made(pixels="yuv420p", names=("out.mp4",)), id="10 bits as 8"),
    row({"fg.mkv": Clip("person", pixels="gray")}, run(), Made(looks=behind("bars", *range(6))), id="greyscale"),
    row({"fg.mkv": Clip("cutout")}, run(mask=""), Made(looks=behind("bars", *range(6))), id="alpha is the mask"),
    row({"fg.mkv": Clip("cutout")}, run(), Made(looks=behind("bars", *range(6))), id="alpha and a mask"),
    row({"fg.mov": Clip("cutout", codec="prores_ks", pixels="yuva444p10le")}, run(mask="", fg="fg.mov", out="out.mov"),
        Made(pixels="yuv444p12le", names=("out.mov",)), id="alpha in ProRes"),
    row({"fg.webm": Clip("cutout", codec="libvpx-vp9", pixels="yuva420p")}, run(mask="", fg="fg.webm"),
        Made(looks=behind("bars", *range(6))), id="alpha in WebM"),
    row({"fg.gif": Clip("person", codec="gif", pixels="rgb8", rate="25")}, run(fg="fg.gif"), Made(rate="25"),
        id="GIF"),
    row({"fg": Pictures("cutout", bits=16, first=7)}, run(mask="", fg="fg", out="out"),
        Made(rate="", pixels="uint16×3", names=("out", "out/000007.png"), looks=behind("bars", *range(6))),
        id="16-bit pictures with alpha"),
    row({"fg": Pictures("cutout", name="a.{:04d}.exr", first=1001)},
        run(mask="", fg="fg/a.####.exr", out="o/b.%04d.exr"),
        Made(rate="", pixels="float16×3", names=("o", "o/b.1001.exr", "o/b.1006.exr")), id="EXR from frame 1001"),
    row({"bg": Pictures("bars", name="{:04d}.exr")}, run(bg="bg"), Made(pixels="gbrp16le", note="light above white"),
        id="scene-linear background as video"),
    row({"bg.mp4": PQ}, run(bg="bg.mp4", out="out.mp4"), Made(names=("out.mp4",), note="light above white"),
        id="HDR background as 8 bits"),
    row({"bg.mp4": PQ}, run(bg="bg.mp4"), Made(pixels="gbrp16le"), id="HDR background, kept"),
    # Masks.
    row({"mask.mkv": Clip("white")}, run("--strength", "0"), Made(note=None, looks=near("person")), id="full mask"),
    row({"mask.mkv": Clip("late")}, run(),
        Made(looks=lambda p: np.array_equal(p[:3], [draw("bars", i) for i in range(3)])),
        id="somebody who comes in late"),
    row({"mask.mkv": Clip("soft")}, run(), Made(looks=behind("bars", *range(6))), id="soft mask"),
    row({"mask": Pictures("mask")}, run(mask="mask"), Made(looks=behind("bars", *range(6))), id="folder of masks"),
    # Sound and time.
    row({"fg.mkv": PCM}, run(), Made(sound=0.25), id="sound longer than the picture"),
    row({"fg.mkv": PCM}, run("--start", "2", "--end", "5"), Made(3, sound=0.125), id="sound of a stretch"),
    row({"fg.mkv": PCM}, run("--no-sound"), Made(), id="sound left out"),
    row({"fg.mkv": PCM}, run(out="out"), Made(rate="", names=("out",), note="carry no sound"), id="sound to pictures"),
    row({"fg.mp4": Clip("person", codec=H264, sound="aac")}, run(fg="fg.mp4", out="out.mp4"),
        Made(sound=0.25, names=("out.mp4",)), id="sound kept in MP4"),
    row({"fg.mkv": PCM}, run(out="out.mp4"), Made(sound=0.25, names=("out.mp4",)), id="uncompressed sound to MP4"),
    row({"fg.mov": Clip("person", codec=H264, timecode="01:00:00:10")}, run("--start", "2", fg="fg.mov", out="out.mov"),
        Made(4, timecode="01:00:00:12", names=("out.mov",)), id="timecode"),
    # Names and places.
    row({"a [b] ü'&.mkv": Clip("person")}, run(fg="a [b] ü'&.mkv", out="[bold]o ü.mkv"), Made(names=("[bold]o ü.mkv",)),
        id="brackets, spaces and accents in names"),
    row({"take#1.mkv": Clip("person")}, run(fg="take#1.mkv"), Made(), id="a name like a pattern"),
    row({}, run(out="out#1.mkv"), Made(names=("out#1.mkv",)), id="an output like a pattern"),
    row({"link.mkv": Link("fg.mkv")}, run(fg="link.mkv"), Made(), id="symbolic link"),
    row({}, run(out="a/b/out.mkv"), Made(names=("a/b/out.mkv",)), id="folders to be made"),
    row({"out.mkv": Bytes(b"old")}, run("--overwrite"), Made(), id="output to be replaced"),
    row({}, run("--compare", "c.png"), Made(names=("out.mkv", "c.png")), id="comparison"),
    row({"fg.mp4": Cut(LONG, 0.75), "mask.mkv": Clip("mask", 20)}, run("--end", "2", "--fit", "trim", fg="fg.mp4"),
        Made(2, note="cut short"), id="truncated, as far as it goes"),
    # Inputs that aren't there, or aren't what they should be.
    row({"fg.mkv": None}, run(), "there is no file fg.mkv", id="no foreground"),
    row({"bg.mkv": None}, run(), "there is no file bg.mkv", id="no background"),
    row({"mask.mkv": None}, run(), "there is no file mask.mkv", id="no mask file"),
    row({"fg.mkv": Clip("bars")}, run(mask=""), "nobody was found in fg.mkv", id="no mask and nobody there"),
    row({"fg.mkv": Bytes()}, run(), "fg.mkv cannot be read as a video", id="empty file"),
    row({"fg.mp4": Bytes(b"<!doctype html><p>404</p>")}, run(fg="fg.mp4"), "fg.mp4 cannot be read as a video",
        id="a web page"),
    row({"fg.wav": Sound()}, run(fg="fg.wav"), "fg.wav has sound but no picture", id="sound only"),
    row({"bg.wav": Sound()}, run(bg="bg.wav"), "bg.wav has sound but no picture", id="sound only behind"),
    row({"bg.srt": Bytes(b"1\n00:00:00,000 --> 00:00:01,000\nhello\n\n")}, run(bg="bg.srt"), "bg.srt has no picture",
        id="subtitles"),
    row({"fg.mp4": Cut(Clip("person", 20, codec=H264), 0.3)}, run(fg="fg.mp4"), "damaged, cut short",
        id="truncated, index lost"),
    row({"fg.mp4": Cut(LONG, 0.75)}, run(fg="fg.mp4"), "is cut short: only 14 of 20 frames are there", id="truncated"),
    row({"fg.mkv": Cut(Clip("person", 20), 0.7), "mask.mkv": Clip("mask", 20)}, run(), "cut short",
        id="truncated Matroska"),
    row({"bg.jpg": Cut(Still("noise"), 0.5)}, run(bg="bg.jpg"), "bg.jpg is damaged", id="truncated photograph"),
    row({"fg": Folder()}, run(fg="fg"), "the folder fg holds no picture", id="empty folder"),
    row({"fg": Pictures("person", without=(3,))}, run(fg="fg"), "has no frame 3", id="a hole in a sequence"),
    row({"fg": Pictures("person", extra=(("9.jpg", Still("person")),))}, run(fg="fg"),
        "mixes kinds of picture (1 .jpg, 6 .png)", id="two kinds of picture"),
    row({"fg": Pictures("person", 5, extra=(("0005.png", Still("person", size=(32, 48))),))}, run(fg="fg"),
        "0005.png is 32×48, the pictures before it are 64×48", id="a picture of another size"),
    row({"fg": Pictures("person", 5, extra=BROKEN)}, run("--compare", "c.mp4", fg="fg"), "0005.png is damaged",
        id="a damaged picture in the middle"),
    row({"fg": Pictures("person")}, run(fg="fg/x.%04d.png"), "no file matches fg/x.%04d.png",
        id="a pattern without files"),
    # Masks that don't fit.
    row({"mask.mkv": Clip("mask", 5)}, run(), "the mask has 5 frames, the foreground has 6; pass --fit trim",
        id="short mask"),
    row({"mask.mkv": Clip("mask", 7)}, run(), "the mask has 7 frames, the foreground has 6; pass --fit trim",
        id="long mask"),
    row({"mask.mkv": Clip("mask", size=(64, 64))}, run(), "the proportions differ", id="mask of other proportions"),
    row({"mask.mkv": Clip("mask", size=(48, 64))}, run(), "lies on its side", id="mask on its side"),
    row({"fg.mp4": Clip("person", codec=H264, aspect="2")}, run(fg="fg.mp4"), "(pixels of 2:1 made square)",
        id="mask of pixels that are not square"),
    row({"mask.mkv": Clip("black")}, run(), "the mask mask.mkv is empty", id="empty mask"),
    row({}, run("--shrink", "100"), "nothing is left of the mask once --shrink", id="mask shrunk to nothing"),
    row({"mask.mkv": Clip("late")}, run("--end", "3"), "is empty", id="mask empty where it is wanted"),
    row({"mask.mkv": Clip("mask", 3)}, run("--start", "4", "--fit", "trim"), "ends before --start 4",
        id="mask over too soon"),
    # Outputs that can't be.
    row({}, run(out="out.webm"), "has the suffix .webm; expected .mp4", id="unknown suffix"),
    row({}, run(out="out.png"), "is one picture and the result has 6 frames", id="a picture for many frames"),
    row({}, run("--output", "foreground", out="out.mp4"), "out.mp4 cannot hold alpha", id="alpha as H.264"),
    row({"out.mkv": Bytes(b"old")}, run(), "out.mkv exists already; pass --overwrite", id="output exists"),
    row({"out": Pictures("bars")}, run(out="out"), "out is not empty; pass --overwrite", id="output folder not empty"),
    row({"out": Bytes(b"old")}, run(out="out"), "out is a file", id="output folder is a file"),
    row({"f": Bytes(b"old")}, run(out="f/out.mkv"), "f is a file, not a folder", id="output inside a file"),
    row({}, run(out="/proc/out.mkv"), "/proc/out.mkv cannot be written", id="output where nothing can be written"),
    row({"shut": Folder(0o555)}, run(out="shut/out.mkv"), "no right to write in shut", id="read-only folder",
        marks=pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")),
    row({}, run(out="o" * 300 + ".mkv"), "file name too long", id="output's name too long"),
    row({}, run(fg="f" * 300 + ".mkv"), "file name too long", id="input's name too long"),
    # The same place twice.
    row({}, run("--overwrite", out="fg.mkv"), "fg.mkv is the place of the input fg.mkv", id="output is the foreground"),
    row({}, run("--overwrite", out="bg.mkv"), "is the place of the input bg.mkv", id="output is the background"),
    row({}, run("--overwrite", out="./mask.mkv"), "is the place of the input mask.mkv", id="output is the mask"),
    row({"l.mkv": Link("fg.mkv")}, run("--overwrite", out="l.mkv"), "is the place of the input fg.mkv",
        id="output is a link to the foreground"),
    row({"l.mkv": Link("fg.mkv", hard=True)}, run("--overwrite", out="l.mkv"), "is the place of the input fg.mkv",
        id="output is the foreground's other name"),
    row({"fg": Pictures("person")}, run("--overwrite", fg="fg/%04d.png", out="fg"), "is the place of the input",
        id="output folder is the foreground's"),
    row({}, run("--overwrite", "--compare", "fg.mkv"), "is the place of the input fg.mkv",
        id="comparison over the foreground"),
    row({}, run("--compare", "out.mkv"), "name the same file", id="comparison over the output"),
    row({}, run("--compare", "c.txt"), "--compare writes a video (.mp4) or a picture", id="comparison of unknown kind"),
    # Options that mean nothing here.
    row({}, run("--compare", "c.png", "--detail", "network"), "leave out --detail network",
        id="comparison without transfer"),
    row({}, run("--output", "gain", "--detail", "network"), "leave out --detail network", id="gain without transfer"),
    row({}, run("--place", "contain", "--scale", "0.5"), "leaves a part of the picture bare",
        id="background too small"),
    row({"bg.png": Still("bars", size=(20000, 2))}, run("--canvas", "background", bg="bg.png"),
        "the longest side that can be written is 16384", id="canvas too large"),
    row({}, run("--start", "6"), "--start 6 lies outside the foreground, which has 6 frames",
        id="start beyond the clip"),
    row({}, run("--start", "3", "--end", "3"), "--end 3 is not after --start 3", id="end before start"),
]


@pytest.fixture(scope="session")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Kitchen:
    return Kitchen(tmp_path_factory.mktemp("odd"))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in, and beside it one for temporary files; and a smaller view, as what is looked at here."""
    for name in ("work", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(MongeKantorovich, "view", ViewSize(area=48 * 48, overview=(16, 24)))
    threads = numba.get_num_threads()
    numba.set_num_threads(1)  # pictures this small are not worth the threads' waiting for each other
    yield tmp_path
    numba.set_num_threads(threads)


def invoke(arguments: list[str]) -> Result:
    return commands.invoke(arguments, status=None)


def prepare(place: Path, kitchen: Kitchen, files: dict[str, Maker | None]) -> dict[str, str]:
    for name, maker in {**STANDARD, **files}.items():
        if maker is not None:
            kitchen.serve(maker, place / "work" / name)
    return tree(place / "work")


@pytest.mark.parametrize(("files", "arguments", "expected"), TABLE)
def test_row(place, kitchen, files, arguments, expected):
    before = prepare(place, kitchen, files)
    result = invoke(arguments)
    assert result.stdout == "" and "Traceback" not in result.stderr
    assert tree(place / "temporary") == {}
    if isinstance(expected, Made):
        check_made(place / "work", before, result, expected)
    else:
        check_error(place / "work", before, result, expected)


def check_made(work: Path, before: dict[str, str], result: Result, made: Made) -> None:
    assert result.exit_code == 0, result.stderr
    if made.note is not None:
        assert made.note in result.stderr and ("note " in result.stderr) == bool(made.note), result.stderr

    after = tree(work)
    changed = {name for name in after.keys() | before.keys() if after.get(name) != before.get(name)}
    assert changed >= set(made.names)
    outputs = [Path(name) for name in made.names]
    strange = [name for name in changed if not any(
        Path(name) == output or Path(name) in output.parents or output in Path(name).parents for output in outputs)]
    assert not strange and not any(".part" in name for name in after)

    seen = look(work / made.names[0])
    assert (seen.frames, seen.size, seen.rate, seen.timecode) == (made.frames, made.size, made.rate, made.timecode)
    assert made.pixels in ("", seen.pixels)
    assert seen.sound == pytest.approx(made.sound, abs=0.06) and bool(seen.sound) == bool(made.sound)
    assert made.looks(seen.pictures)


def check_error(work: Path, before: dict[str, str], result: Result, sentence: str) -> None:
    assert result.exit_code == 2, result.stderr
    assert sentence in result.stderr
    assert len([line for line in result.stderr.splitlines() if line.startswith("error ")]) == 1
    assert tree(work) == before


def test_the_table_is_long_enough():
    names = [one.id for one in TABLE]
    assert len(set(names)) == len(names) >= 48


# From here on real processes: they are killed in the middle, or the disk is full.

MAIN = [sys.executable, "-c", "from harmovid.cli import main; main()"]
MANY: dict[str, Maker | None] = {"fg.mkv": Clip("person", 40), "mask.mkv": Clip("mask", 40), "bg.png": Still("noise")}


def start(place: Path, arguments: list[str], before: list[str] | None = None) -> subprocess.Popen[str]:
    def as_in_a_terminal() -> None:  # a shell that runs the tests in the background has SIGINT ignored
        signal.signal(signal.SIGINT, signal.default_int_handler)

    return subprocess.Popen([*(before or []), *MAIN, *arguments], cwd=place / "work", text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=as_in_a_terminal,
                            env={**os.environ, "NUMBA_NUM_THREADS": "1"})


def wait_for(folder: Path, pattern: str, process: subprocess.Popen[str], size: int = 1) -> None:
    """Wait until a file that is being written has so many bytes."""
    for _ in range(3000):
        with suppress(FileNotFoundError):  # it got its name between being found and being looked at
            if any(path.stat().st_size >= size for path in folder.glob(pattern)):
                return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError(f"{pattern} was never written")


@pytest.mark.parametrize("signals", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM,)], ids=["Ctrl-C twice", "kill"])
def test_stopped_in_the_middle(place, kitchen, signals):
    before = prepare(place, kitchen, MANY)
    process = start(place, run("--compare", "c.mkv", bg="bg.png"))
    wait_for(place / "work", ".out.mkv.*.part", process, size=0)
    for number in signals:
        process.send_signal(number)
        time.sleep(0.005)
    said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "stopped" in said[1] and "Traceback" not in said[1]
    assert tree(place / "work") == before
    assert tree(place / "temporary") == {}


def test_stopped_while_a_mask_is_made(place, kitchen):
    pytest.importorskip("ai_edge_litert")
    before = prepare(place, kitchen, MANY)
    process = start(place, run(mask=""))
    wait_for(place / "temporary", "harmovid-*/.mask.mkv.*.part", process, size=0)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert tree(place / "work") == before
    assert tree(place / "temporary") == {}


@pytest.mark.parametrize("out", ["out.mkv", "out"])
def test_killed_in_the_middle_and_run_again(place, kitchen, out):
    before = prepare(place, kitchen, MANY)
    process = start(place, run(bg="bg.png", out=out))
    wait_for(place / "work", f".{out}.*.part" + ("" if out == "out.mkv" else "/*.png"), process)
    process.kill()
    process.communicate(timeout=60)
    after = tree(place / "work")
    assert {name: value for name, value in after.items() if not name.startswith(f".{out}.")} == before

    result = invoke(run("--end", "6", "--fit", "trim", out=out))
    assert result.exit_code == 0, result.stderr
    assert look(place / "work" / out).frames == 6
    assert {name.split("/")[0] for name in tree(place / "work")} == {*before, out}


def can_mount() -> bool:
    """Whether a small disk of one's own may be mounted, as in most containers and at most desktops."""
    if shutil.which("unshare") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        command = ["unshare", "-Urm", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
        return subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.parametrize("out", ["out.mkv", "out/%04d.exr"])
def test_disk_full(place, kitchen, out):
    """The real thing: a disk of 64 KiB, seen by this one process."""
    if not can_mount():
        pytest.skip("no disk may be mounted here")
    before = prepare(place, kitchen, {"bg.mkv": Clip("noise", size=(192, 144)), "disk": Folder()})
    mounted = ["unshare", "-Urm", "sh", "-c", 'mount -t tmpfs -o size=64k tmpfs disk && "$@"; status=$?; '
               'ls -AR disk; exit $status', "sh"]
    process = start(place, run("--canvas", "background", out=f"disk/{out}"), mounted)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 2, stderr
    assert "the disk is full; nothing half-written was left behind" in stderr and "Traceback" not in stderr
    assert stdout.split() == ["disk:"], "something was left on the full disk"
    assert tree(place / "work") == before and tree(place / "temporary") == {}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("out", ["out.mkv", "out.mov", "out.mp4"])
def test_disk_full_without_a_disk(place, kitchen, out):
    """The same where nothing may be mounted: what is being written goes to the device that is always full."""
    before = prepare(place, kitchen, {})
    (place / "work" / Target(Path(out), "mkv").partial.name).symlink_to("/dev/full")
    result = invoke(run(out=out))
    assert result.exit_code == 2
    assert "the disk is full; nothing half-written was left behind" in result.stderr
    assert tree(place / "work") == before


def test_no_room_for_temporary_files(place, kitchen):
    before = prepare(place, kitchen, {})
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        result = invoke(run())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert result.exit_code == 2
    assert "TMPDIR" in result.stderr
    assert tree(place / "work") == before
