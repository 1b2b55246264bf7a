"""Shards: what is written is read, within JPEG's error; what is not whole says so."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from harmovid.data import shards
from harmovid.errors import InputError
from tests.data.footage import shard


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shards") / "one.zip"
    shards.write(path, shard(frames=6))
    return path


def away(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Where no person is within so many pixels."""
    seen = (mask > 0).astype(np.uint8)
    return np.stack([cv2.dilate(m, np.ones((2 * pixels + 1,) * 2, np.uint8)) for m in seen]) == 0


@pytest.mark.parametrize(("frames", "size"), [(1, (72, 64)), (6, (72, 64)), (9, (41, 67))])
def test_what_is_written_is_read(frames, size, tmp_path):
    made = shard(frames=frames, size=size)
    shards.write(tmp_path / "one.zip", made)
    back = shards.read(tmp_path / "one.zip")
    assert back.info == made.info
    assert np.array_equal(back.mask, made.mask) and back.mask.dtype == np.uint8
    for name, worst, mean in (("picture", 40, 2.0), ("overview", 4, 1.0), ("plate", 40, 2.0)):
        was, now = getattr(made, name).astype(int), getattr(back, name)
        assert now.shape == was.shape and now.dtype == np.uint8, name
        assert abs(was - now).max() <= worst and abs(was - now).mean() < mean, name


def test_the_colours_are_not_swapped(tmp_path):
    made = shard(frames=1)
    for red in ("picture", "plate", "overview"):
        flat = np.zeros_like(getattr(made, red))
        flat[..., 0] = 200
        made = replace(made, **{red: flat})
    shards.write(tmp_path / "red.zip", made)
    back = shards.read(tmp_path / "red.zip")
    for picture in (back.picture, back.plate, back.overview):
        assert (abs(picture.astype(int) - [200, 0, 0]) <= 4).all()


def test_the_plate_is_the_picture_away_from_the_person_and_the_fill_under_it(tmp_path):
    made = shard(frames=4)
    made = replace(made, plate=np.full_like(made.plate, 0) + np.uint8([20, 220, 120]))  # told apart from the picture
    shards.write(tmp_path / "one.zip", made)
    back = shards.read(tmp_path / "one.zip")
    far = away(made.mask, 4)
    assert far.mean() > 0.3
    assert np.array_equal(back.plate[far], back.picture[far])
    person = made.mask > 5
    assert (abs(back.plate[person].astype(int) - [20, 220, 120]) <= 8).all()


def test_it_is_a_plain_zip_that_others_can_read(kept):
    with zipfile.ZipFile(kept) as file:
        names = set(file.namelist())
        assert names == {*(f"{kind}/{t:04d}.jpg" for kind in ("picture", "plate") for t in range(6)),
                         *(f"mask/{t:04d}.png" for t in range(6)), "overview/0000.jpg", "overview/0001.jpg",
                         "shard.json"}
        assert json.loads(file.read("shard.json")) == {"name": "one", "person": "person-0", "split": "train",
                                                       "frames": 6, "size": [72, 64], "performance": "",
                                                       "source": "", "start": 0, "overview": 64}
        assert cv2.imdecode(np.frombuffer(file.read("plate/0000.jpg"), np.uint8), 1).shape == (36, 32, 3)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.999])
def test_a_truncated_file_is_named(kept, share, tmp_path):
    whole = kept.read_bytes()
    path = tmp_path / "cut.zip"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"cut\.zip is not a whole shard .*; delete it and pack it again"):
        shards.read(path)


@pytest.mark.parametrize("damage", ["bits", "mask", "picture", "no mask", "no info", "other info", "fewer plates"])
def test_a_damaged_file_is_named(kept, damage, tmp_path):
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(kept) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    if damage == "bits":
        whole = bytearray(kept.read_bytes())
        whole[len(whole) // 3] ^= 255
        path.write_bytes(bytes(whole))
    else:
        if damage in ("mask", "picture"):  # every one of them: of few frames all may be damaged
            parts.update({name: b"no picture" for name in parts if name.startswith(damage)})
        if damage == "no mask":
            parts = {name: part for name, part in parts.items() if not name.startswith("mask")}
        if damage == "no info":
            del parts["shard.json"]
        if damage == "other info":
            parts["shard.json"] = b'{"name": "x", "size": [1, 2], "colour": 3}'
        if damage == "fewer plates":
            del parts["plate/0003.jpg"]
        with zipfile.ZipFile(path, "w") as file:
            for name, part in parts.items():
                file.writestr(name, part)
    with pytest.raises(InputError, match=r"bad\.zip is not a whole shard"):
        shards.read(path)


def test_a_write_that_is_cut_short_leaves_no_shard(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(file: zipfile.ZipFile, kind: str, index: int, picture: np.ndarray) -> None:
        if kind == "overview":
            raise Killed
        write(file, kind, index, picture)

    path, write = tmp_path / "one.zip", shards._write
    with monkeypatch.context() as patch:
        patch.setattr(shards, "_write", killed)
        with pytest.raises(Killed):
            shards.write(path, shard(frames=2))
    assert not list(tmp_path.glob("*.zip"))
    shards.write(path, shard(frames=2))
    assert [p.name for p in tmp_path.iterdir()] == ["one.zip"]


def test_latents_lie_beside_the_pictures_and_are_read_where_there_are_any(tmp_path: Path, kept: Path) -> None:
    values = np.random.default_rng(0).normal(size=(16, 6, 2, 3)).astype(np.float16)
    boxes = np.arange(24).reshape(6, 4)
    shards.write(tmp_path / "one.zip", shard(frames=6), shards.Latents(values, boxes))
    found = shards.read_latents(tmp_path / "one.zip")
    assert found is not None and np.array_equal(found.values, values) and np.array_equal(found.boxes, boxes)
    assert found.values.dtype == np.float16 and shards.read_latents(kept) is None
    assert np.array_equal(shards.read(tmp_path / "one.zip").picture, shards.read(kept).picture)
    more = (tmp_path / "one.zip").stat().st_size - kept.stat().st_size
    assert values.nbytes + boxes.nbytes < more < values.nbytes + boxes.nbytes + 500
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as file:
        file.writestr("latents.safetensors", b"nothing")
    with pytest.raises(InputError, match="not a whole shard"):
        shards.read_latents(tmp_path / "bad.zip")
