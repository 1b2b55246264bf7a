"""Excerpts: size, length and light of what a page shows, and the room there is for it."""

import math
from fractions import Fraction

import cv2
import numpy as np
import pytest

from harmovid.errors import InputError
from harmovid.evaluate import excerpts, report
from harmovid.evaluate.excerpts import excerpt, show
from tests import figures
from tests.evaluate import scored


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = scored.make(tmp_path_factory.mktemp("excerpts") / "set")
    scored.films(folder)
    return folder


def test_an_excerpt_is_small_and_plays(tmp_path):
    figures.write(tmp_path / "wide.mkv", np.full((4, 100, 450, 3), 0.5, np.float32))
    found = excerpt(tmp_path / "wide.mkv", None)
    assert (found.width, found.height, found.frames, found.whole, found.luminance) == (320, 72, 4, 4, ())
    (tmp_path / "back.mp4").write_bytes(found.clip)
    back, _ = figures.read(tmp_path / "back.mp4")[:2]
    assert back.shape == (4, 72, 320, 3) and np.abs(back - 0.5).max() < 0.03
    poster = cv2.imdecode(np.frombuffer(found.poster, np.uint8), cv2.IMREAD_COLOR)
    assert poster.shape == (72, 320, 3)


def test_long_clips_are_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(excerpts, "FRAMES", 3)
    figures.write(tmp_path / "long.mkv", np.zeros((5, 32, 32, 3), np.float32))
    found = excerpt(tmp_path / "long.mkv", None)
    assert (found.frames, found.whole) == (3, 5)


def test_luminance_is_of_the_person_alone(tmp_path):
    frames = np.zeros((3, 32, 48, 3), np.float32)
    frames[:, :, :16] = np.array([0.2, 0.4, 0.6], np.float32)[:, None, None, None]
    mask = np.zeros((3, 32, 48), np.float32)
    mask[:2, :, :16] = 1  # in the last frame nobody is there
    figures.write(tmp_path / "clip.mkv", frames)
    figures.write(tmp_path / "mask.mkv", mask)
    found = excerpt(tmp_path / "clip.mkv", tmp_path / "mask.mkv").luminance
    assert found[:2] == (pytest.approx(0.2, abs=2e-3), pytest.approx(0.4, abs=2e-3)) and math.isnan(found[2])
    cv2.imwrite(str(tmp_path / "still.png"), np.full((16, 24), 255, np.uint8))  # of another size, for all frames
    found = excerpt(tmp_path / "clip.mkv", tmp_path / "still.png").luminance
    assert found == tuple(pytest.approx(light / 3, abs=2e-3) for light in (0.2, 0.4, 0.6))


def test_players_of_the_worst_items(made):
    told = []
    found = show(report.gather([made]), 2, progress=lambda *step: told.append(step))
    assert [(player.method, player.item.name) for player in found.players] == [
        ("nano", "cleo__neon"), ("reinhard", "bob__neon"), ("nano", "bob__neon"), ("reinhard", "ann__neon")]
    assert told[-1] == ("clips", 4, 4) and found.left_out == 0 and not found.remarks
    for player in found.players:
        assert list(player.shown) == ["result", "untouched", "truth"]
        lit = [np.mean(found.excerpts[place].luminance) for place in player.shown.values()]
        assert lit[0] < lit[1] and lit[1] == pytest.approx(lit[2], abs=0.02)
    both = [player for player in found.players if player.item.name == "bob__neon"]
    assert both[0].shown["truth"] == both[1].shown["truth"]  # kept once


def test_a_linked_truth_is_kept_once(made, tmp_path):
    folder = scored.make(tmp_path / "set", {"untouched": (0,) * 6, "nano": (1,) * 6})
    scored.films(folder, methods=("untouched", "nano"))
    (folder / "truth" / "ann__neon.mkv").unlink()
    (folder / "truth" / "ann__neon.mkv").hardlink_to(folder / "truth" / "ann__dusk.mkv")
    found = show(report.gather([folder]), 2)
    assert [player.item.name for player in found.players] == ["ann__dusk", "ann__neon"] and len(found.excerpts) == 5


def test_what_has_no_room_is_counted(made):
    one = show(report.gather([made]), 1)
    size = sum(len(found.clip) + len(found.poster) for found in one.excerpts)
    found = show(report.gather([made]), 2, budget=size)
    assert found.players == one.players and found.left_out == 2
    assert show(report.gather([made]), 2, budget=10).left_out == 4
    assert show(report.gather([made]), 0).players == ()


def test_without_films_it_is_said(tmp_path):
    found = show(report.gather([scored.make(tmp_path / "set")]), 1)
    assert found.players == () and len(found.remarks) == 2 and "there is no clip cleo__neon" in found.remarks[0]


def test_a_damaged_clip_loses_no_other(tmp_path):
    folder = scored.make(tmp_path / "set")
    scored.films(folder)
    (folder / "results" / "nano" / "cleo__neon.mkv").write_bytes(b"no film")
    found = show(report.gather([folder]), 1)
    assert [player.method for player in found.players] == ["reinhard"] and "cleo__neon is not shown" in found.remarks[0]
    with pytest.raises(InputError):
        excerpt(folder / "results" / "nano" / "cleo__neon.mkv", None)


def test_the_rate_is_kept(tmp_path):
    figures.write(tmp_path / "a.mkv", np.zeros((3, 32, 32, 3), np.float32), rate=Fraction(30000, 1001))
    from harmovid.video import io

    (tmp_path / "b.mp4").write_bytes(excerpt(tmp_path / "a.mkv", None).clip)
    assert io.open_clip(tmp_path / "b.mp4").rate == Fraction(30000, 1001)
