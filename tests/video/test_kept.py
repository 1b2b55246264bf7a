"""Clips kept decoded: the same frames, decoded once, only inside the context, and no more of them than few."""

import os

import numpy as np
import pytest

from harmovid.errors import InputError
from harmovid.video import io, kept
from tests import figures


@pytest.fixture
def decoded(monkeypatch):
    """The files that are decoded, in order."""
    files, honest = [], io._read_video

    def counted(clip, wanted, grey):
        files.append(clip.path.name)
        return honest(clip, wanted, grey)

    monkeypatch.setattr(io, "_read_video", counted)
    return files


def clip(path, seed: int = 0):
    path.unlink(missing_ok=True)
    figures.write(path, np.random.default_rng(seed).random((5, 16, 24, 3), np.float32))
    return path


def read(path, indices=None, grey=False):
    return np.stack([frame.rgb for frame in io.read(io.open_clip(path), indices, grey)])


def test_a_clip_is_decoded_once_under_all_its_names_and_is_the_same_in_any_order(tmp_path, decoded):
    path = clip(tmp_path / "a.mkv")
    os.link(path, tmp_path / "b.mkv")
    plain, grey = read(path), read(path, grey=True)
    decoded.clear()
    with kept.keeping():
        assert np.array_equal(read(path, [3, 0, 3]), plain[[3, 0, 3]])
        assert np.array_equal(read(tmp_path / "b.mkv"), plain)
        assert decoded == ["a.mkv"]
        assert np.array_equal(read(path, grey=True), grey)
    assert decoded == ["a.mkv"] * 2
    read(path)
    assert decoded == ["a.mkv"] * 3 and not kept._kept


def test_no_further_than_asked_for(tmp_path, monkeypatch):
    path, made = clip(tmp_path / "a.mkv"), []
    convert = io.Converter.__call__
    monkeypatch.setattr(io.Converter, "__call__", lambda self, frame: made.append(1) or convert(self, frame))
    with kept.keeping():
        read(path, range(2))
        assert len(made) == 2
        read(path, range(4))
        assert len(made) == 4


def test_a_clip_that_is_written_anew_is_decoded_anew(tmp_path):
    with kept.keeping():
        before = read(clip(tmp_path / "a.mkv"))
        assert not np.array_equal(before, read(clip(tmp_path / "a.mkv", seed=1)))


def test_the_oldest_goes(tmp_path, decoded):
    paths = [clip(tmp_path / f"{n}.mkv", n) for n in range(5)]
    with kept.keeping():
        for path in (*paths, paths[-1], paths[0]):
            read(path)
    assert decoded == ["0.mkv", "1.mkv", "2.mkv", "3.mkv", "4.mkv", "0.mkv"]


def test_large_clips_are_not_kept(tmp_path, decoded, monkeypatch):
    monkeypatch.setattr(kept, "_PIXELS", 5 * 16 * 24 - 1)
    path = clip(tmp_path / "a.mkv")
    with kept.keeping():
        read(path)
        read(path)
    assert decoded == ["a.mkv"] * 2


def test_what_is_damaged_says_so_each_time(tmp_path, monkeypatch):
    def broken(clip, wanted, grey):
        raise InputError("it is damaged")
        yield

    path = clip(tmp_path / "a.mkv")
    monkeypatch.setattr(io, "_read_video", broken)
    with kept.keeping():
        for _ in range(2):
            with pytest.raises(InputError, match="damaged"):
                read(path)
