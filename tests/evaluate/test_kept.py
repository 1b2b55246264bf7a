"""Clips kept in memory: the same frames, read once while they are small and stay as they were."""

import os

import numpy as np
import pytest

from harmovid.evaluate import kept
from harmovid.video import io
from tests import figures


@pytest.fixture
def counted():
    """A way to read that counts how often it was asked."""
    class Counted:
        times = 0

        def __call__(self, path):
            self.times += 1
            return (frame.rgb for frame in io.read(io.open_clip(path)))

    return Counted()


def clip(path, seed: int = 0):
    path.unlink(missing_ok=True)
    figures.write(path, np.random.default_rng(seed).random((3, 16, 24, 3), np.float32))
    return path


def test_a_clip_is_read_once_under_all_its_names_and_comes_back_the_same(tmp_path, counted):
    path = clip(tmp_path / "a.mkv")
    os.link(path, tmp_path / "b.mkv")
    first, again = (np.stack(list(kept.frames(tmp_path / name, counted))) for name in ("a.mkv", "b.mkv"))
    assert counted.times == 1
    assert np.array_equal(first, np.stack([frame.rgb for frame in io.read(io.open_clip(path))]))
    assert np.array_equal(first, again)


def test_a_clip_that_has_changed_is_read_again(tmp_path, counted):
    before = np.stack(list(kept.frames(clip(tmp_path / "a.mkv"), counted)))
    after = np.stack(list(kept.frames(clip(tmp_path / "a.mkv", seed=1), counted)))
    assert counted.times == 2 and not np.array_equal(before, after)


def test_few_are_kept_and_nobody_may_write_into_them(tmp_path, counted):
    paths = [clip(tmp_path / f"{n}.mkv", n) for n in range(5)]
    for path in paths:
        kept.frames(path, counted)
    kept.frames(paths[-1], counted)
    assert counted.times == 5
    kept.frames(paths[0], counted)
    assert counted.times == 6  # the oldest had to go
    with pytest.raises(ValueError, match="read-only"):
        next(iter(kept.frames(paths[0], counted)))[:] = 0


def test_a_large_clip_is_read_each_time(tmp_path, counted, monkeypatch):
    monkeypatch.setattr(kept, "_PIXELS", 3 * 16 * 24 - 1)
    path = clip(tmp_path / "a.mkv")
    for _ in range(2):
        assert len(list(kept.frames(path, counted))) == 3
    assert counted.times == 2
