"""Writing: what is in the files, what they say of themselves, time beside them, and whole or not at all."""

import multiprocessing
import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from harmovid.errors import OutputError
from harmovid.video.color import SCENE_LINEAR, SRGB, ColorTags
from harmovid.video.encode import Writer
from harmovid.video.io import open_clip, read
from harmovid.video.target import open_target
from tests import makers
from tests.figures import counting, put
from tests.makers import coded, natural, number_of, write_clip

FILM, NTSC = Fraction(24000, 1001), Fraction(30000, 1001)
OUTPUTS = ["a.mp4", "a.mov", "a.mkv", "a", "a/shot.%04d.exr"]


def noise(shape, bits=8, seed=0):
    """Random code values as float32, with both ends among them."""
    codes = np.random.default_rng(seed).integers(0, 2**bits, shape)
    codes.flat[:2] = 0, 2**bits - 1
    return codes.astype(np.float32) / np.float32(2**bits - 1)


# What is in the files.

@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", ["colour", "alpha", "grey"])
@pytest.mark.parametrize("name", ["a.mkv", "a", "a/b.####.png"])
def test_lossless_outputs_are_exact(tmp_path, name, kind, bits):
    frames = [noise((31, 45) if kind == "grey" else (31, 45, 3), bits, i) for i in range(3)]
    alphas = [noise((31, 45), bits, 9 + i) for i in range(3)] if kind == "alpha" else None
    clip = put(tmp_path / name, frames, alphas, bits=bits)
    assert (clip.width, clip.height, clip.frames, clip.bits) == (45, 31, 3, bits)
    assert clip.alpha == (kind == "alpha") and clip.tags == SRGB
    for i, frame in enumerate(read(clip)):
        np.testing.assert_array_equal(frame.rgb, frames[i] if kind != "grey" else np.dstack([frames[i]] * 3))
        if alphas:
            np.testing.assert_array_equal(frame.alpha, alphas[i])
    for i, frame in enumerate(read(clip, grey=True)):
        np.testing.assert_array_equal(frame.rgb, frames[i] if kind == "grey" else frames[i][..., 1])


def test_light_above_one_survives_exr(tmp_path):
    light = np.random.default_rng(0).normal(0, 1, (20, 30, 3)).astype(np.float32)
    light[0, 0], light[0, 1], light[0, 2] = 60000, 1e6, 1e-6
    half = np.clip(light, -65504, 65504).astype(np.float16).astype(np.float32)
    clip = put(tmp_path / "a.%04d.exr", [light], tags=SCENE_LINEAR)
    np.testing.assert_array_equal(next(iter(read(clip))).rgb, half)
    again = put(tmp_path / "b.%04d.exr", [next(iter(read(clip))).rgb], tags=SCENE_LINEAR)
    np.testing.assert_array_equal(next(iter(read(again))).rgb, half)


def test_exr_is_premultiplied_and_read_back_straight(tmp_path):
    rgb = np.full((8, 8, 3), 3.0, np.float32)
    alpha = np.tile(np.linspace(0, 1, 8, dtype=np.float32), (8, 1))
    clip = put(tmp_path / "a.%04d.exr", [rgb], [alpha], tags=SCENE_LINEAR)
    frame = next(iter(read(clip)))
    np.testing.assert_allclose(frame.alpha, alpha, atol=5e-4)
    np.testing.assert_allclose(frame.rgb[:, 1:], 3, rtol=2e-3)
    assert (frame.rgb[:, 0] == 0).all()


@pytest.mark.parametrize("alpha", [False, True])
def test_prores(tmp_path, alpha):
    frames = [natural(90, 61, i) for i in range(3)]
    ramp = np.tile(np.linspace(0, 1, 90, dtype=np.float32), (61, 1))
    clip = put(tmp_path / "a.mov", frames, [ramp] * 3 if alpha else None)
    _, said = makers.planes(clip.path)
    assert said["codec"] == "prores" and clip.alpha == alpha and (clip.width, clip.height) == (90, 61)
    for frame, was in zip(read(clip), frames, strict=True):
        error = frame.rgb - was
        assert np.abs(error).max() < 3 / 255 and abs(error.mean()) < 0.1 / 255
        if alpha:
            assert np.abs(frame.alpha - ramp).max() < 0.3 / 255 and frame.alpha[0, 0] == 0 and frame.alpha[0, -1] == 1


def test_mp4_is_for_every_player(tmp_path):
    clip = put(tmp_path / "a.mp4", counting(12))
    _, said = makers.planes(clip.path)
    assert (said["codec"], said["pix_fmt"], said["range"]) == ("h264", "yuv420p", 1)
    data = clip.path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "faststart: the index comes first"
    assert [number_of(f.rgb) for f in read(clip)] == list(range(12))


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
def test_the_same_frames_give_the_same_file(tmp_path, name):
    """x264's macroblock tree did not: every third file of this clip differed."""
    frames = [natural(320, 180, i) for i in range(6)]
    files = {put(tmp_path / f"{i}{name}", frames).path.read_bytes() for i in range(12 if name == "a.mp4" else 2)}
    assert len(files) == 1


def test_odd_sides_are_padded_in_mp4_and_kept_elsewhere(tmp_path):
    frames = counting(2, (63, 47))
    padded = put(tmp_path / "a.mp4", frames)
    assert (padded.width, padded.height) == (64, 48)
    rgb = next(iter(read(padded))).rgb
    assert np.abs(rgb[:47, :63] - frames[0]).mean() < 2 / 255
    assert np.abs(rgb[:, 63] - rgb[:, 62]).max() < 8 / 255 and np.abs(rgb[47] - rgb[46]).max() < 8 / 255
    for name in ("a.mov", "a.mkv", "a"):
        assert (put(tmp_path / name, frames).width, put(tmp_path / f"b{name}", frames).height) == (63, 47)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
def test_masks(tmp_path, name):
    mask = np.tile(np.clip(np.linspace(-0.5, 1.5, 96, dtype=np.float32), 0, 1), (48, 1))
    clip = put(tmp_path / name, [mask] * 2)
    back = next(iter(read(clip, grey=True))).rgb
    assert np.abs(back - mask).max() < 3 / 255 and np.abs(back - mask).mean() < 0.6 / 255
    assert back[:, :16].max() < 0.5 / 255 and back[:, 80:].min() > 1 - 0.5 / 255


def test_values_beyond_a_display_format_are_clipped(tmp_path):
    frame = np.array([[[-1, 0.5, 2]]], np.float32).repeat(16, 0).repeat(16, 1)
    for name in ("a.mkv", "a.mov", "a.mp4", "a"):
        rgb = next(iter(read(put(tmp_path / name, [frame, frame])))).rgb
        np.testing.assert_allclose(rgb[8, 8], [0, 0.5, 1], atol=3 / 255)


# Colour: against the standard's own formula, not our reader.

PATCHES = np.array([[0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0.8, 0.6, 0.5],
                    [0.2, 0.3, 0.4]], np.float32)
H273 = {"bt709": (1, 1, 1), "bt601-525": (6, 1, 6), "bt601-625": (5, 1, 5), "bt2020": (9, 1, 9), "p3": (12, 1, 1)}


@pytest.mark.parametrize("primaries", list(H273))
@pytest.mark.parametrize(("name", "bits", "within"), [("a.mp4", 8, 1.0), ("a.mov", 10, 1.0)])
def test_code_values_and_tags(tmp_path, name, bits, within, primaries):
    """Known colours → the code values that are in the file; white is 235 or 940, black 16 or 64, neither more."""
    picture = np.repeat(np.repeat(PATCHES[None], 32, 0), 32, 1)
    clip = put(tmp_path / name, [picture] * 2, tags=ColorTags(primaries))
    planes, said = makers.planes(clip.path)
    unit = 4 if said["pix_fmt"] == "yuv444p12le" else 1  # ProRes 4444 decodes to 12 bits
    expected = makers.yuv_codes(PATCHES, {"p3": "bt709"}.get(primaries, primaries), bits)
    for i, plane in enumerate(planes[0]):
        step = plane.shape[1] // len(PATCHES)
        middle = plane[plane.shape[0] // 2 - 4 : plane.shape[0] // 2 + 4]
        found = [middle[:, step * k + step // 2 - 3 : step * k + step // 2 + 3].mean() / unit
                 for k in range(len(PATCHES))]
        np.testing.assert_allclose(found, expected[:, i], atol=within)
        assert abs(np.mean(found - expected[:, i])) < 0.4
    assert (said["primaries"], said["transfer"], said["matrix"], said["range"]) == (*H273[primaries], 1)
    assert clip.tags == ColorTags(primaries)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_the_container_says_the_colour_too(tmp_path, name):
    """Players that don't look into the stream, QuickTime first, go by the colr atom."""
    data = put(tmp_path / name, counting(2), tags=ColorTags("bt2020")).path.read_bytes()
    place = data.index(b"colr") + 4
    assert data[place : place + 4] == (b"nclx" if name == "a.mp4" else b"nclc")
    assert [int.from_bytes(data[place + 4 + 2 * i : place + 6 + 2 * i]) for i in range(3)] == [9, 1, 9]


@pytest.mark.parametrize("primaries", ["bt709", "bt601-625", "bt2020"])
def test_h264_is_within_one_code_value_in_the_mean(tmp_path, primaries):
    frames = [natural(240, 136, i) for i in range(6)]
    clip = put(tmp_path / "a.mp4", frames, tags=ColorTags(primaries))
    back = np.stack([f.rgb for f in read(clip)])
    assert np.abs(back - frames).mean() < 1 / 255
    assert np.abs((back - frames).mean(axis=(0, 1, 2))).max() < 0.35 / 255
    # Another reader, by the formula alone: the chroma repeated, the matrix as the tags say.
    for planes, frame in zip(makers.planes(clip.path)[0], frames, strict=True):
        y, cb, cr = planes[0], *(p.repeat(2, 0).repeat(2, 1) for p in planes[1:])
        error = makers.rgb_of(np.stack([y, cb, cr], -1), primaries) - frame
        assert np.abs(error).mean() < 1 / 255 and np.abs(error.mean(axis=(0, 1))).max() < 0.7 / 255


def test_full_range_in_limited_range_out(tmp_path):
    pictures = [natural(128, 96, i) for i in range(3)]
    stored = [full_range(picture) for picture in pictures]
    source = open_clip(write_clip(tmp_path / "a.mkv", stored, codec="ffv1", full=True))
    clip = put(tmp_path / "b.mp4", [f.rgb for f in read(source)])
    assert makers.planes(source.path)[1]["range"] == 2 and makers.planes(clip.path)[1]["range"] == 1
    error = np.stack([f.rgb for f in read(clip)]) - pictures
    assert np.abs(error.mean(axis=(0, 1, 2))).max() < 0.3 / 255 and np.abs(error).mean() < 1.2 / 255


def full_range(rgb):
    """A full-range 4:2:0 frame, by the formula."""
    codes = makers.yuv_codes(rgb, full=True)
    height, width = rgb.shape[:2]
    halves = codes.reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3))
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, values in zip(frame.planes, (codes[..., 0], halves[..., 1], halves[..., 2]), strict=True):
        np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width] = np.rint(values)
    return frame


# Time.

@pytest.mark.parametrize("rate", [FILM, Fraction(25), NTSC, Fraction(60000, 1001), Fraction(25, 2),
                                  Fraction(1798200, 60013)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a/shot.%04d.exr"])
def test_rates_are_kept_as_fractions(tmp_path, name, rate):
    clip = put(tmp_path / name, counting(9, (16, 16)), rate=rate, tags=SCENE_LINEAR if "exr" in name else SRGB)
    assert clip.frames == 9 and clip.notes == ()
    if name == "a.mkv" and rate.numerator == 1798200:  # Matroska's clock is coarser than that
        assert float(clip.rate) == pytest.approx(float(rate), rel=1e-6)
    else:
        assert clip.rate == rate


@pytest.mark.parametrize(("code", "rate"), [
    ("01:00:00:00", Fraction(25)), ("00:59:59:23", FILM), ("00:10:00;02", NTSC), ("23:59:59;29", NTSC),
    ("09:08:07;58", Fraction(60000, 1001)), ("09:08:07:49", Fraction(50))])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a/shot.%04d.exr"])
def test_timecode(tmp_path, name, code, rate):
    clip = put(tmp_path / name, counting(3, (16, 16)), rate=rate, timecode=code,
               tags=SCENE_LINEAR if "exr" in name else SRGB)
    assert clip.timecode == code and clip.frames == 3


def test_each_picture_has_its_own_timecode(tmp_path):
    put(tmp_path / "a.%d.exr", counting(3, (16, 16)), rate=NTSC, timecode="00:00:59;28", tags=SCENE_LINEAR)
    codes = [open_clip(tmp_path / f"a.{i}.exr").timecode for i in range(3)]
    assert codes == ["00:00:59;28", "00:00:59;29", "00:01:00;02"]


@pytest.mark.parametrize("code", ["1h02", "", "00:00:00", "99"])
@pytest.mark.parametrize("name", ["a.mov", "a/shot.%04d.exr"])
def test_a_broken_timecode_is_left_out(tmp_path, name, code):
    tags = SCENE_LINEAR if "exr" in name else SRGB
    assert put(tmp_path / name, counting(2), timecode=code, tags=tags).timecode is None


def test_drop_frame_is_no_more_at_25(tmp_path):
    assert put(tmp_path / "a.mov", counting(2), rate=Fraction(25), timecode="01:00:00;10").timecode == "01:00:00:10"


@pytest.mark.parametrize(("name", "start", "files"), [
    ("a", None, ["000000.png", "000001.png"]), ("a", 1001, ["001001.png", "001002.png"]),
    ("a/b.%04d.png", 7, ["b.0007.png", "b.0008.png"]), ("a/b_###_c.exr", 99, ["b_099_c.exr", "b_100_c.exr"])])
def test_numbers_of_pictures(tmp_path, name, start, files):
    clip = put(tmp_path / name, counting(2), start_number=start, tags=SCENE_LINEAR if "exr" in name else SRGB)
    assert sorted(f.name for f in (tmp_path / "a").iterdir()) == files
    assert clip.start_number == (start or 0)


# Whole or not at all.

def listing(folder):
    return sorted(str(f.relative_to(folder)) for f in folder.rglob("*"))


@pytest.mark.parametrize("name", [*OUTPUTS, "deep/er/a.mp4", "deep/er/b", "deep/c.%04d.png"])
def test_an_exception_leaves_nothing(tmp_path, name):
    with pytest.raises(ZeroDivisionError), Writer(open_target(tmp_path / name), (64, 48), Fraction(24)) as writer:
        writer.write(counting(1)[0])
        _ = 1 / 0
    assert listing(tmp_path) == []


@pytest.mark.parametrize("name", ["a.png", "a.exr", "sub/a.jpg"])
def test_an_exception_leaves_no_picture(tmp_path, name):
    target = open_target(tmp_path / name, frames=1)
    with pytest.raises(KeyboardInterrupt), Writer(target, (64, 48), Fraction(24)) as writer:
        writer.write(counting(1)[0])
        raise KeyboardInterrupt
    assert listing(tmp_path) == []


@pytest.mark.parametrize("name", [*OUTPUTS, "a.png"])
def test_nothing_has_the_real_name_before_it_is_whole(tmp_path, name):
    frames = 1 if name == "a.png" else 2
    path = tmp_path / name
    with Writer(open_target(path, frames=frames), (64, 48), Fraction(24)) as writer:
        for frame in counting(frames):
            writer.write(frame)
        assert not path.exists() and not list(path.parent.glob("[!.]*.*"))
    assert open_clip(path).frames == frames
    assert not [f for f in listing(tmp_path) if ".part" in f]


def _stretch(name: str, first: int, started: Any, go_on: Any) -> None:
    with Writer(open_target(name, overwrite=True), (64, 48), Fraction(24), start_number=first) as writer:
        for n, frame in enumerate(counting(first + 4)[first:]):
            writer.write(frame)
            if n == 1:
                started.set()
                go_on.wait(60)


def test_two_processes_write_two_stretches_of_one_sequence(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    name = str(tmp_path / "a" / "shot.%04d.png")
    one, other = [], []
    for first, events in ((0, one), (4, other)):
        events += [spawn.Event(), spawn.Event()]
        events.append(spawn.Process(target=_stretch, args=(name, first, *events)))
        events[2].start()
    assert one[0].wait(60) and other[0].wait(60)  # both are in the middle
    for events in (other, one):
        events[1].set()
        events[2].join(60)
        assert events[2].exitcode == 0
    assert listing(tmp_path) == ["a", *(f"a/shot.{n:04d}.png" for n in range(8))]
    assert [number_of(frame.rgb) for frame in read(open_clip(name))] == list(range(8))


@pytest.mark.parametrize("name", OUTPUTS)
def test_what_a_killed_process_left_goes_and_what_another_writes_stays(tmp_path, name):
    target = open_target(tmp_path / name)
    target.path.parent.mkdir(exist_ok=True)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    ours = target.partial.name
    for process in (dead.pid, os.getppid()):
        partial = target.partial.with_name(ours.replace(f"-{os.getpid()}", f"-{process}"))
        partial.mkdir() if target.pattern else partial.write_bytes(b"half")
    with Writer(target, (64, 48), Fraction(24)) as writer:
        for frame in counting(2):
            writer.write(frame)
    left = [file for file in listing(tmp_path) if ".part" in file]
    assert len(left) == 1 and f"-{os.getppid()}." in left[0]


def test_what_stood_there_is_untouched_until_the_new_is_whole(tmp_path):
    path = tmp_path / "a.mp4"
    put(path, counting(2))
    old = path.read_bytes()
    target = open_target(path, overwrite=True)
    with pytest.raises(ZeroDivisionError), Writer(target, (64, 48), Fraction(24)) as writer:
        writer.write(counting(1)[0])
        assert path.read_bytes() == old
        _ = 1 / 0
    assert path.read_bytes() == old and listing(tmp_path) == ["a.mp4"]
    with Writer(target, (64, 48), Fraction(24)) as writer:
        for frame in counting(5):
            writer.write(frame)
    assert open_clip(path).frames == 5 and listing(tmp_path) == ["a.mp4"]


def test_pictures_that_stood_there_are_replaced_and_others_kept(tmp_path):
    put(tmp_path / "a" / "b.%04d.png", counting(2))
    (tmp_path / "a" / "notes.txt").write_text("mine")
    target = open_target(tmp_path / "a" / "b.%04d.png", overwrite=True)
    with pytest.raises(ZeroDivisionError), Writer(target, (64, 48), Fraction(24)) as writer:
        writer.write(1 - counting(1)[0])
        _ = 1 / 0
    assert listing(tmp_path / "a") == ["b.0000.png", "b.0001.png", "notes.txt"]
    assert number_of(next(iter(read(open_clip(tmp_path / "a" / "b.%04d.png")))).rgb) == 0
    with Writer(target, (64, 48), Fraction(24), start_number=1) as writer:
        for frame in counting(4)[2:]:
            writer.write(frame)
    clip = open_clip(tmp_path / "a" / "b.%04d.png")
    assert [number_of(f.rgb) for f in read(clip)] == [0, 2, 3]
    assert listing(tmp_path / "a") == ["b.0000.png", "b.0001.png", "b.0002.png", "notes.txt"]


def test_a_pattern_in_the_folder_one_works_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("mine")
    source = write_clip(Path("in.mp4"), [coded(i) for i in range(2)])
    target = open_target("out.%04d.png", inputs=(source,))
    with Writer(target, (64, 48), Fraction(24)) as writer:
        writer.write(counting(1)[0])
    assert listing(tmp_path) == ["in.mp4", "notes.txt", "out.0000.png"]


@contextmanager
def small_disk(most):
    """No file can grow beyond `most` bytes, as on a disk that fills up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", [*OUTPUTS, "deep/a.mkv", "a.png", "a.exr"])
@pytest.mark.parametrize("most", [0, 3000])
def test_a_disk_that_fills_up(tmp_path, name, most):
    frames = [noise((128, 128, 3), seed=i) for i in range(1 if name in ("a.png", "a.exr") else 4)]
    with pytest.raises(OutputError, match=rf"{Path(name).name[:2]}.* cannot be written"), small_disk(most):
        put(tmp_path / name, frames, tags=SCENE_LINEAR if "exr" in name else SRGB)
    assert listing(tmp_path) == []


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
@pytest.mark.parametrize("lacking", [1, 700])
def test_a_disk_that_fills_up_at_the_very_end(tmp_path, name, lacking):
    frames = [noise((64, 64, 3), seed=i) for i in range(4)]
    size = put(tmp_path / name, frames).path.stat().st_size
    (tmp_path / name).unlink()
    with pytest.raises(OutputError, match="cannot be written"), small_disk(size - lacking):
        put(tmp_path / name, frames)
    assert listing(tmp_path) == []


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_full_disk_is_called_so(tmp_path, name, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="the disk is full; nothing half-written was left behind"):
        put(tmp_path / name, counting(2), tags=SCENE_LINEAR if "exr" in name else SRGB)
    assert listing(tmp_path) == []


def test_a_lost_race_for_the_name(tmp_path):
    target = open_target(tmp_path / "a.mp4")
    with pytest.raises(OutputError, match="cannot be written"), Writer(target, (64, 48), Fraction(24)) as writer:
        writer.write(counting(1)[0])
        (tmp_path / "a.mp4").mkdir()
    assert listing(tmp_path) == ["a.mp4"]
