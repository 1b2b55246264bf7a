"""Outputs' names: what they say, what they cannot be, and that nothing is written over unasked."""

import os
from pathlib import Path

import pytest

from harmovid.errors import OutputError
from harmovid.video.color import SCENE_LINEAR, SRGB, ColorTags
from harmovid.video.target import open_target
from tests.figures import counting, put
from tests.makers import coded, write_clip


@pytest.mark.parametrize(("name", "kind"), [
    ("a.mp4", "mp4"), ("a.MOV", "mov"), ("a.mkv", "mkv"), ("a", "png"), ("a.%04d.exr", "exr"), ("a.####.png", "png"),
    ("take #2.mp4", "mp4"), ("100%d.mkv", "mkv")])
def test_kinds(tmp_path, name, kind):
    target = open_target(tmp_path / name)
    assert target.kind == kind and not list(tmp_path.iterdir())
    assert (target.pattern is None) == (kind not in ("png", "exr"))


@pytest.mark.parametrize(("name", "options", "message"), [
    ("a.avi", {}, r"has the suffix \.avi; expected \.mp4"),
    ("a.%04d.jpg", {}, r"numbered pictures are written as \.png or \.exr"),
    ("a.%04d.dpx", {}, r"expected \.mp4"),
    ("a.png", {}, r"is one picture and the result has 2 frames; .* a\.%04d\.png"),
    ("a.mp4", {"alpha": True}, r"cannot hold alpha; write \.mov"),
    ("a.jpg", {"alpha": True, "frames": 1}, "cannot hold alpha"),
])
def test_impossible_names(tmp_path, name, options, message):
    with pytest.raises(OutputError, match=message):
        open_target(tmp_path / name, **options)


def test_what_exists_is_not_replaced_unasked(tmp_path):
    (tmp_path / "a.mp4").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x.0001.png").write_text("mine")
    (tmp_path / "empty").mkdir()
    for name, message in (("a.mp4", "exists already; pass --overwrite"), ("full", "is not empty; pass --overwrite"),
                          ("full/x.%04d.png", "has pictures already; pass --overwrite")):
        with pytest.raises(OutputError, match=message):
            open_target(tmp_path / name)
        open_target(tmp_path / name, overwrite=True)
    for name in ("empty", "full/y.%04d.png", "full/x.%04d.exr"):
        open_target(tmp_path / name)
    for name, message in (("a.mp4/b.mp4", "is a file, not a folder"), ("a.mp4/b", "is a file, not a folder"),
                          ("a.mp4/deep/b.%04d.png", "is a file, not a folder")):
        with pytest.raises(OutputError, match=message):
            open_target(tmp_path / name, overwrite=True)


def test_a_folder_in_place_of_a_file_and_the_reverse(tmp_path):
    (tmp_path / "a.mp4").mkdir()
    (tmp_path / "b").write_text("mine")
    with pytest.raises(OutputError, match="is a folder; name a file in it"):
        open_target(tmp_path / "a.mp4", overwrite=True)
    with pytest.raises(OutputError, match="is a file; name a folder"):
        open_target(tmp_path / "b", overwrite=True)


def test_a_folder_without_the_right_to_write(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="no right to write in"):
        open_target(tmp_path / "new" / "a.mp4")


def test_an_input_is_never_the_output(tmp_path, monkeypatch):
    source = write_clip(tmp_path / "a.mp4", [coded(i) for i in range(2)])
    (tmp_path / "link.mp4").symlink_to(source)
    os.link(source, tmp_path / "hard.mp4")
    (tmp_path / "elsewhere").symlink_to(tmp_path)
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in (source, "a.mp4", "link.mp4", "hard.mp4", "elsewhere/a.mp4", "sub/../a.mp4"):
        for given in (source, Path("a.mp4"), tmp_path / "link.mp4"):
            with pytest.raises(OutputError, match="is the place of the input"):
                open_target(name, inputs=(given,), overwrite=True)
    open_target("b.mp4", inputs=(source,))


def test_an_input_sequence_is_never_the_output(tmp_path):
    folder = tmp_path / "in"
    put(folder / "a.%04d.png", counting(2))
    (tmp_path / "link").symlink_to(folder)
    for given in (folder, folder / "a.%04d.png", folder / "a.####.png", folder / "a.0001.png", tmp_path / "link"):
        for name in (folder, tmp_path / "link", folder / "a.%04d.png", folder / "a.%06d.png"):
            with pytest.raises(OutputError, match="is the place of the input"):
                open_target(name, inputs=(given,), overwrite=True)
    # A folder read whole would get pictures of another kind beside its own.
    with pytest.raises(OutputError, match="is the place of the input"):
        open_target(folder / "b.%04d.png", inputs=(folder,))
    open_target(folder / "b.%04d.png", inputs=(folder / "a.%04d.png",))


def test_tags_a_target_can_hold(tmp_path):
    pq, log = ColorTags("bt2020", "pq"), ColorTags("bt709", "slog3")

    def tags(name, wanted, frames=2):
        return open_target(tmp_path / name, frames=frames).tags(wanted)

    assert tags("a.mp4", pq) == SRGB and tags("a.mkv", pq) == pq and tags("a.mov", pq) == pq
    assert tags("a.mov", SCENE_LINEAR) == SRGB and tags("a.mkv", SCENE_LINEAR) == SRGB
    assert tags("a.mov", log) == SRGB and tags("a", pq) == SRGB and tags("a.png", pq, 1) == SRGB
    assert tags("a.%d.exr", pq) == SCENE_LINEAR and tags("a.exr", pq, 1) == SCENE_LINEAR
    for name in ("a.mov", "a.mkv"):
        assert put(tmp_path / name, counting(2), tags=pq, bits=16).tags == pq
