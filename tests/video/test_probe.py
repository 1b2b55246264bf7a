"""Probing: how many frames a file has and when they are shown, and whether all that it promises is there."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from av.stream import Disposition
from hypothesis import given, settings
from hypothesis import strategies as st

from harmovid.errors import InputError
from harmovid.video.io import open_clip
from harmovid.video.probe import picture_stream, steady
from tests.makers import coded, write_clip
from tests.video.test_io import FILM, NTSC, counting, numbers


def test_dropped_frames_of_avi_are_not_lost_ones(tmp_path):
    times = [0, 1, 2, 5, 6, 7]  # the file counts eight, of two of which nothing is stored
    path = counting(tmp_path / "a.avi", len(times), times=times, codec="mpeg4", options={"bf": "0"})
    clip = open_clip(path)
    assert not [note for note in clip.notes if "cut short" in note]
    assert numbers(clip) == [0, 1, 2, 2, 2, 3, 4, 5]


def test_the_even_steps_of_a_slow_clip_are_its_rate():
    assert steady(np.array([0, 1, 2]), Fraction(3, 2), Fraction(3, 2), []) [0] == Fraction(2, 3)


@st.composite
def timelines(draw):
    """Ticks of stored frames, the tick, and the last frame's length."""
    steps = draw(st.lists(st.integers(1, 400), min_size=0, max_size=60))
    return np.cumsum([0, *steps]), draw(st.sampled_from([Fraction(1, 1000), Fraction(1, 600), Fraction(1, 240)]))


@settings(max_examples=200, deadline=None)
@given(timelines(), st.lists(st.one_of(st.none(), st.sampled_from([Fraction(24), Fraction(30), Fraction(0), NTSC])),
                             max_size=3))
def test_steady_is_sample_and_hold(timeline, named):
    ticks, tick = timeline
    last = 20 * tick
    rate, shown = steady(ticks, tick, last, named)
    times = ticks * float(tick)
    assert rate > 0 and shown[0] == 0 and (np.diff(shown) >= 0).all() and 0 <= shown.min() <= shown.max() < len(ticks)
    every = len(shown) == len(ticks) and (shown == np.arange(len(ticks))).all()
    if every and np.abs(times - np.arange(len(ticks)) / float(rate)).max() * float(rate) < 0.41:
        return  # steady already; else each may have been held once by chance
    # Held: never a picture from more than a quarter of a frame ahead, and none that is over by then.
    now = (np.arange(len(shown)) + 0.25) / float(rate)
    assert (times[shown[1:]] <= now[1:] + 1e-9).all()
    over = np.append(times[1:], np.inf)[shown[1:]]
    assert (over > now[1:] - 1e-9).all()
    assert abs(len(shown) / float(rate) - (times[-1] + float(last))) <= 1 / float(rate)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([FILM, Fraction(24), Fraction(25), NTSC, Fraction(30), Fraction(50), Fraction(60000, 1001),
                        Fraction(60)]), st.integers(1, 500))
def test_a_coarse_clock_is_still_steady(rate, count):
    ticks = np.rint(np.arange(count) * 1000 / float(rate)).astype(np.int64)
    found, shown = steady(ticks, Fraction(1, 1000), Fraction(1, 1000) * round(1000 / rate), [rate, None])
    assert found == rate and (shown == np.arange(count)).all()


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    rng = np.random.default_rng(0)
    pictures = [np.clip(coded(i, 128, 96) + rng.normal(0, 12, (96, 128, 3)), 0, 255).astype(np.uint8)
                for i in range(20)]
    return {
        "a.mp4": write_clip(folder / "a.mp4", pictures, container_options={"movflags": "+faststart"}),
        "b.mp4": write_clip(folder / "b.mp4", pictures, options={"preset": "fast", "bf": "2"},
                            container_options={"movflags": "+faststart"}),
        "fragments.mp4": write_clip(folder / "fragments.mp4", pictures, options={"g": "5", "preset": "ultrafast"},
                                    container_options={"movflags": "+frag_keyframe+empty_moov"}),
        "a.mkv": write_clip(folder / "a.mkv", pictures, codec="ffv1", pix_fmt="bgr0"),
        "a.webm": write_clip(folder / "a.webm", pictures, codec="libvpx-vp9", options={"cpu-used": "8"}),
        "a.avi": write_clip(folder / "a.avi", pictures, codec="mjpeg", pix_fmt="yuvj420p", full=True),
        "end.mov": write_clip(folder / "end.mov", pictures),
    }


@pytest.mark.parametrize("share", [0.6, 0.97])
@pytest.mark.parametrize("name", ["a.mp4", "b.mp4", "fragments.mp4", "a.mkv", "a.webm", "a.avi"])
def test_a_file_cut_short(tmp_path, whole_files, name, share):
    whole = whole_files[name].read_bytes()
    path = tmp_path / name
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=r"is cut short: only .* are there; .*--end \d+"):
        open_clip(path)
    clip = open_clip(path, damaged_ok=True)
    assert "cut short" in clip.notes[0]
    seen = numbers(clip)
    if name == "b.mp4":  # of the last few B-frames some are lost, and the picture before them stays
        assert seen == sorted(seen) and seen[:8] == list(range(8))
    else:
        assert 0 < clip.frames < 20 and seen == list(range(clip.frames))


def test_a_file_without_its_index(tmp_path, whole_files):
    path = tmp_path / "a.mov"
    path.write_bytes(whole_files["end.mov"].read_bytes()[:60000])
    for damaged_ok in (False, True):
        with pytest.raises(InputError, match=r"cannot be read as a video .* cut short"):
            open_clip(path, damaged_ok=damaged_ok)


def test_a_picture_in_tiles_is_refused():
    tile = SimpleNamespace(disposition=Disposition.dependent)
    container = SimpleNamespace(name="photo.heic", streams=SimpleNamespace(video=[tile, tile], audio=[]))
    with pytest.raises(InputError, match=r"photo\.heic is a picture in tiles.*convert it to JPEG"):
        picture_stream(container)
