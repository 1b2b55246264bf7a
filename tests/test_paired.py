"""One method against another: seeds are averaged item by item, and only what both have counts."""

import json
import unicodedata
from pathlib import Path

import pytest

from benchmarks.paired import compare, figures, losses
from harmovid.errors import InputError
from harmovid.evaluate.testsets import Item

ITEMS = [Item("a", "ann"), Item("b", "bo"), Item("c", "ann"), Item("d", "cy")]


@pytest.fixture
def made(tmp_path) -> Path:
    """Results of two seeds, of which the second lacks an item, and of one to compare with."""
    for name, psnr in (("one-0", {"a": 10.0, "b": 20.0, "c": 16.0, "d": 1.0}),
                       ("one-1", {"a": 12.0, "b": 22.0, "c": 14.0}),
                       ("other", {"a": 13.0, "b": 18.0, "c": 15.0, "d": 3.0})):
        folder = tmp_path / "results" / name
        folder.mkdir(parents=True)
        rows = ({"clip": item, "foreground_psnr": value, "texture": None} for item, value in psnr.items())
        (folder / "report.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_seeds_are_averaged_item_by_item(made):
    found = figures(made / "results", ["one-0", "one-1"], ITEMS, "foreground_psnr")
    assert found == {"a": 11.0, "b": 21.0, "c": 15.0}
    assert figures(made / "results", ["one-0"], ITEMS[:2], "foreground_psnr") == {"a": 10.0, "b": 20.0}


def test_the_table_has_means_ratio_and_the_difference_with_its_interval(made):
    head, _, *rows = compare(made, ["one-0", "one-1"], ["other"], ITEMS)
    assert head == "| measure | items, clips | A | B | A ÷ B | A − B |"
    # Differences −2, 3, 0; clips' means −1 and 3.
    assert rows == ["| PSNR fg (dB) ↑ | 3, 2 | 15.667 | 15.333 | 1.02 | +0.333 [-1.000, +3.000] |"]


def test_losses_are_counted_by_items_and_by_clips(made):
    said = "A worse by more than 0.5 dB: {} items, {} clips"
    assert losses(made, ["one-0", "one-1"], ["other"], ITEMS) == said.format("1 of 3", "1 of 2")
    assert losses(made, ["one-0"], ["other"], ITEMS) == said.format("2 of 4", "2 of 3")


def test_names_are_the_same_however_they_are_composed(made):
    for name in ("one-0", "other"):
        row = {"clip": unicodedata.normalize("NFC", "Zoë"), "foreground_psnr": 1.0}
        (made / "results" / name / "report.jsonl").write_text(json.dumps(row) + "\n")
    items = [Item(unicodedata.normalize("NFD", "Zoë"), "zoe")]
    assert losses(made, ["one-0"], ["other"], items) == "A worse by more than 0.5 dB: 0 of 1 items, 0 of 1 clips"


def test_a_method_without_results_is_named(made):
    with pytest.raises(InputError, match=r"there is no report .*nobody.*report\.jsonl"):
        list(compare(made, ["nobody"], ["other"], ITEMS))
