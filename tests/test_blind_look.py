"""Counting judgements that were made blind: letters are named by the key, row by row."""

import pytest

from benchmarks.blind_look import Standing, count

KEY = {"0/1": ["nano", "start"], "0/2": ["start", "nano"], "1/1": ["nano", "start"]}


def test_letters_mean_what_the_key_says_of_their_row():
    found = count(KEY, {"0/1": {"order": "AB", "better": "A", "worse": "B"},
                        "0/2": {"order": "BA", "better": "AB", "worse": ""}})
    assert found == {"nano": Standing(1.0, 2, 2, 0, 2), "start": Standing(2.0, 0, 1, 1, 2)}
    assert list(found) == ["nano", "start"]


def test_rows_that_were_not_judged_do_not_count():
    assert count(KEY, {"1/1": {"order": "BA", "better": "", "worse": ""}})["nano"] == Standing(2.0, 0, 0, 0, 1)


@pytest.mark.parametrize(("row", "said", "message"), [
    ("2/1", {"order": "AB", "better": "", "worse": ""}, "there is no row 2/1"),
    ("0/1", {"order": "A", "better": "", "worse": ""}, "expected an order of AB"),
    ("0/1", {"order": "AC", "better": "", "worse": ""}, "expected an order of AB"),
    ("0/1", {"order": "AB", "better": "C", "worse": ""}, "better and worse"),
])
def test_what_is_no_judgement_is_refused(row, said, message):
    with pytest.raises(SystemExit, match=message):
        count(KEY, {row: said})
