"""The data card: counts by hand, records that come back, licences from the list beside the shards."""

from __future__ import annotations

from pathlib import Path

import pytest

from harmovid.data import card
from harmovid.data.card import Made, Section
from harmovid.errors import InputError

PAIRS = [Made("a", "train", "ann", "1", 9, kind="clip", jitter=0.1), Made("b", "train", "ann", "1", 5, kind="clip"),
         Made("c", "test", "bob", "2", 5, kind="HDR map", jitter=0.3)]


def test_records_come_back_in_order(tmp_path: Path) -> None:
    for pair in reversed(PAIRS):
        card.keep(tmp_path, pair.split, pair.name, pair)
    assert card.records(Made, tmp_path) == [PAIRS[2], *PAIRS[:2]]
    assert not list(tmp_path.rglob("*.part"))


def test_a_card_counts(tmp_path: Path) -> None:
    assert card.counted(PAIRS).text.splitlines()[2:] == ["| test | 1 | 5 | 1 | 1 |", "| train | 2 | 14 | 1 | 1 |"]
    assert card.tallied("Backgrounds", "kind", PAIRS, lambda pair: pair.kind).text.splitlines()[2:] == [
        "| clip | 2 |", "| HDR map | 1 |"]
    rows = card.spread({"jitter": [pair.jitter for pair in PAIRS], "nothing": [None]}).splitlines()[2:]
    assert rows == ["| jitter | 0.2000 | 0.1000 | 0.3000 | 0.3000 | 2 |"]
    told = card.settings({"steps": 8, "files": tuple(f"{n}.mp4" for n in range(20)), "bar": "a|b"}).text
    assert "| steps | 8 |" in told and "7.mp4 and 12 more |" in told and "a\\|b" in told
    card.write(tmp_path, "Pairs", [Section("One", "x"), Section("Two", "y")])
    assert (tmp_path / "README.md").read_text() == "# Pairs\n\n## One\n\nx\n\n## Two\n\ny\n"


def test_licences_are_those_of_the_list_beside_the_shards(tmp_path: Path) -> None:
    assert card.licences(tmp_path) == {}
    (tmp_path / "SOURCES.csv").write_text("file,licence,use\nportraits_video/ann.mp4,CC0,train\nbob.mp4,,train\n")
    assert card.licences(tmp_path) == {"ann": "CC0", "bob": "not known"}
    (tmp_path / "SOURCES.csv").write_text("name,licence\nann,CC0\n")
    with pytest.raises(InputError, match="has the columns name, licence; expected file and licence among them"):
        card.licences(tmp_path)


def test_a_list_out_of_a_spreadsheet_is_read_and_one_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "SOURCES.csv").write_bytes("licence,file\nCC0,ann.mp4\nCC-BY\n".encode("utf-8-sig"))
    assert card.licences(tmp_path) == {"ann": "CC0"}  # a row without a file is of none
    (tmp_path / "SOURCES.csv").write_bytes("file,licence\nann.mp4,Müller\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"cannot be read as a table .*; save it as CSV in UTF-8"):
        card.licences(tmp_path)


def test_licences_of_footage_are_carried_to_its_shards_and_join_those_that_are_there(tmp_path: Path) -> None:
    clips, photos, shards = (tmp_path / name for name in ("clips", "photos", "shards"))
    for folder in (clips, photos, shards):
        folder.mkdir()
    card.carry(clips, shards, {"ann"})
    assert not (shards / "SOURCES.csv").exists(), "nothing is told, nothing is written"
    (clips / "SOURCES.csv").write_text('file,licence\nportraits_video/ann.v2.mp4,"CC0, by hand"\nroom.mp4,CC-BY\n')
    (photos / "SOURCES.csv").write_text("file,licence\nportraits_photo/bob.jpg,MIT\n")
    for folder in (clips, photos, clips):
        card.carry(folder, shards, {"ann.v2", "bob"})
    assert card.licences(shards) == {"ann.v2": "CC0, by hand", "bob": "MIT"}
    assert [path.name for path in shards.iterdir()] == ["SOURCES.csv"]
