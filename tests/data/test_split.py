from collections import defaultdict

import pytest

from harmovid.data.split import SPLITS, Entry, files, read
from harmovid.errors import OptionError

SUFFIXES = {"portraits_video": ".mp4", "portraits_photo": ".jpg", "backgrounds_video": ".mp4", "hdri": ".hdr",
            "objects_video": ".mp4"}


def test_every_person_lies_in_one_split():
    splits = defaultdict(set)
    for entry in read():
        if entry.split != "unused":
            splits[entry.person].add(entry.split)
    assert {person: found for person, found in splits.items() if len(found) > 1} == {}


def test_no_file_is_listed_twice():
    listed = [entry.file for entry in read()]
    assert len(set(listed)) == len(listed)


def test_columns_are_well_formed():
    for entry in read():
        folder, name = entry.file.split("/")
        assert name.endswith(SUFFIXES[folder]), entry
        assert not name.endswith(("_mask.mp4", "_alpha.png")), entry
        assert entry.folder == folder
        assert entry.split in SPLITS, entry
        assert entry.person and entry.person == entry.person.strip(), entry
        assert entry.note is not None and entry.note == entry.note.strip(), entry


@pytest.mark.parametrize(("folder", "train", "validation", "test", "unused"), [
    ("portraits_video", 70, 12, 24, 6),
    ("portraits_photo", 276, 34, 30, 20),
    ("backgrounds_video", 16, 2, 4, 0),
    ("hdri", 28, 4, 8, 0),
    ("objects_video", 0, 0, 5, 0),
])
def test_counts(folder, train, validation, test, unused):
    assert [len(files(split, folder)) for split in SPLITS] == [train, validation, test, unused]


def test_files_of_all_splits_make_up_the_list():
    found = [file for folder in SUFFIXES for split in SPLITS for file in files(split, folder)]
    assert sorted(found) == sorted(entry.file for entry in read())


def test_a_bad_mask_is_used_nowhere_and_tests_always_have_one():
    for entry in read():
        if entry.note.startswith("mask_bad"):
            assert entry.split == "unused", entry
        if entry.split in ("validation", "test") and entry.folder != "backgrounds_video" and entry.folder != "hdri":
            assert entry.masked, entry


def test_masked_tells_portraits_and_objects_with_a_mask():
    def masked(file: str, note: str = "") -> bool:
        return Entry(file, "a", "train", note).masked

    assert masked("portraits_video/a.mp4") and masked("objects_video/a.mp4") and masked("portraits_photo/a.jpg")
    assert not masked("portraits_video/a.mp4", "no mask; green screen")
    assert not masked("hdri/a.hdr") and not masked("backgrounds_video/a.mp4")


def test_the_shown_clips_are_in_test():
    shown = {1843056, 2392301, 2041041, 1217498, 1302822, 2445920}
    assert {f"portraits_video/lumen_single_{number}.mp4" for number in shown} <= set(files("test", "portraits_video"))


def test_one_shoot_stays_together():
    person = {entry.file: entry.person for entry in read()}

    def clip(number: int) -> str:
        return person[f"portraits_video/lumen_single_{number}.mp4"]

    assert clip(2392301) == clip(2132534)   # one man
    assert clip(2656384) == clip(2656744)   # one office
    assert person["backgrounds_video/tclight_drive4.mp4"] == person["backgrounds_video/tclight_drive5.mp4"]
    assert person["hdri/studio_small_03.hdr"] == person["hdri/studio_small_05.hdr"]


@pytest.mark.parametrize(("split", "folder", "sentence"), [
    ("dev", "hdri", "There is no split 'dev'; choose one of train, validation, test, unused."),
    ("test", "hdris", "There is no folder 'hdris'; choose one of portraits_video, portraits_photo, "),
])
def test_an_unknown_name_is_refused_with_the_known_ones(split, folder, sentence):
    with pytest.raises(OptionError) as refused:
        files(split, folder)
    assert str(refused.value).startswith(sentence)
