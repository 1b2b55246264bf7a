"""Maps out of packages: all to train under, each of a place of its own, checked before use, of one size."""

import base64
import hashlib
import io
import tarfile
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest

from benchmarks.fetch_maps import HEIGHT, MAPS, Map, unpack, write
from harmovid.data import split
from harmovid.light import environment


def packed(contents: dict[str, bytes]) -> tarfile.TarFile:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    buffer.seek(0)
    return tarfile.open(fileobj=buffer)


def exr(light: np.ndarray, path: Path) -> bytes:
    with OpenEXR.File({}, {"RGB": light}) as file:
        file.write(str(path))
    return path.read_bytes()


def test_every_map_is_listed_to_train_under_and_is_of_a_place_of_its_own():
    entries = {entry.file: entry for entry in split.read()}
    places = Counter(entry.person for entry in split.read())
    for wanted in MAPS:
        entry = entries[f"hdri/{wanted.name}.hdr"]
        assert entry.split == "train" and places[entry.person] == 1, wanted
        assert len(bytes.fromhex(wanted.sha256)) == 32, wanted
    for column in ("name", "sha256"):
        assert len({getattr(wanted, column) for wanted in MAPS}) == len(MAPS)


@pytest.mark.parametrize(("path", "stored"), [("world/a.exr", b"light"), (
    "hdri/a.exr.js", b"export default 'data:application/exr;base64," + base64.b64encode(b"light") + b"';\n")])
def test_a_map_of_a_package_is_unpacked(path, stored):
    wanted = Map("a", "maps", path, hashlib.sha256(stored).hexdigest())
    assert unpack(packed({path: stored, "b.exr": b"other"}), wanted) == b"light"


@pytest.mark.parametrize("contents", [{"a.exr": b"another"}, {"b.exr": b"light"}, {}])
def test_another_map_or_none_is_refused(contents):
    wanted = Map("a", "maps", "a.exr", hashlib.sha256(b"light").hexdigest())
    with pytest.raises(SystemExit, match=r"a\.exr of maps is not the map that was looked at"):
        unpack(packed(contents), wanted)


def test_a_map_is_written_as_it_is_in_one_size_and_without_what_is_no_light(tmp_path):
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0.01, 30, (HEIGHT // 8, HEIGHT // 4, 3)).astype(np.float32)
    light = cv2.resize(coarse, (4 * HEIGHT, 2 * HEIGHT), interpolation=cv2.INTER_NEAREST)
    odd = light.copy()
    odd[:16, :16] = [np.nan, -5, 0]
    write(exr(odd, tmp_path / "a.exr"), tmp_path / "a.hdr")
    found = environment.read(tmp_path / "a.hdr")
    assert found.shape == (HEIGHT, 2 * HEIGHT, 3) and not found[:8, :8].any()
    expected = cv2.resize(light, (2 * HEIGHT, HEIGHT), interpolation=cv2.INTER_AREA)[8:]
    # Radiance's colours share an exponent: 1 part in 128 of the brightest of three.
    assert (np.abs(found[8:] - expected) <= expected.max(-1, keepdims=True) / 120).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.exr", "a.hdr"]
