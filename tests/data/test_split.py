from collections import defaultdict

import pytest

from harmovid.data.split import SPLITS, Entry, files, maps, read
from harmovid.errors import InputError, OptionError

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
    ("hdri", 38, 4, 8, 0),
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


HEADER = "file,person,split,note\n"


def test_footage_goes_by_a_list_of_its_own_where_it_has_one(tmp_path):
    assert read(tmp_path) == read()
    (tmp_path / "split.csv").write_text(
        "\ufeff" + HEADER + "portraits_video/a.mp4,anna,train,\nportraits_video/b.mp4,bert,test,no mask\n"
        "portraits_photo/c.jpg,anna,unused,blurred\nhdri/sky.hdr,hill,train,\n", encoding="utf-8")
    assert read(tmp_path) == (
        Entry("portraits_video/a.mp4", "anna", "train", ""), Entry("portraits_video/b.mp4", "bert", "test", "no mask"),
        Entry("portraits_photo/c.jpg", "anna", "unused", "blurred"), Entry("hdri/sky.hdr", "hill", "train", ""))
    assert files("train", "portraits_video", tmp_path) == ["portraits_video/a.mp4"]
    assert files("test", "objects_video", tmp_path) == []


@pytest.mark.parametrize("place", ["split.csv", "hdri/split.csv"])
def test_maps_are_those_that_the_list_names_and_the_folder_has(place, tmp_path):
    folder = tmp_path / "hdri"
    folder.mkdir()
    for name in ("sky.hdr", "sea.hdr", "abandoned_bakery.hdr"):
        (folder / name).touch()
    assert all(path.name == "abandoned_bakery.hdr" for split in SPLITS for path in maps(split, folder))
    (tmp_path / place).write_text(HEADER + "hdri/sky.hdr,hill,train,\nhdri/sea.hdr,coast,test,\n"
                                  "hdri/gone.hdr,moon,train,\n")
    assert maps("train", folder) == [folder / "sky.hdr"] and maps("validation", folder) == []


def test_one_name_may_stand_in_two_splits_and_twice_where_it_is_not_used(tmp_path):
    (tmp_path / "split.csv").write_text(HEADER + "portraits_video/a.mp4,anna,train,\nportraits_photo/a.jpg,ben,test,\n"
                                        "portraits_video/b.mp4,eve,unused,\nportraits_photo/b.jpg,eve,unused,\n")
    assert len(read(tmp_path)) == 4


@pytest.mark.parametrize(("text", "sentence"), [
    ("", "has the columns none; expected file, person, split, note"),
    ("name,split\n", "has the columns name, split; expected"),
    (HEADER + "portraits_video/a.mp4,anna,dev,\n", "line 2: .*in split 'dev'; expected"),
    (HEADER + "clips/a.mp4,anna,train,\n", "line 2: 'clips/a.mp4' .*expected a file of portraits_video"),
    (HEADER + "portraits_video/a.mp4,,train,\n", "line 2: .*of person ''"),
    (HEADER + "portraits_video/a.mp4,anna\n", "line 2: .*in split ''"),
    (HEADER + 2 * "portraits_video/a.mp4,anna,train,\n", "line 3: portraits_video/a.mp4 is listed twice"),
    (HEADER + "portraits_video/a.mp4,anna,train,\nportraits_photo/a.jpg,ben,train,\n",
     "line 3: portraits_photo/a.jpg and portraits_video/a.mp4 are both called a"),
    (HEADER + "portraits_video/a.mp4,anna,train,\nportraits_photo/b.jpg,anna,test,\n",
     "line 3: anna is in train and in test"),
])
def test_a_list_that_cannot_be_followed_is_refused(text, sentence, tmp_path):
    (tmp_path / "split.csv").write_text(text)
    with pytest.raises(InputError, match=sentence):
        read(tmp_path)
