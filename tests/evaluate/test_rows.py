"""Rows of a report: what is kept whatever happens, their means, and their table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmovid.errors import InputError
from harmovid.evaluate.measures import COLUMNS, NOTHING
from harmovid.evaluate.rows import append, read_rows, resume, summary, table


def row_of(clip, **figures):
    return {"clip": clip, "frames": 10, **dict.fromkeys((*COLUMNS, *NOTHING)), **figures}


def test_rows_are_read_back_and_of_several_of_a_clip_the_last(tmp_path):
    report = tmp_path / "deep" / "r.jsonl"
    assert resume(report) == {}
    for psnr in (1.0, 2.0):
        append(report, {"clip": "é", "foreground_psnr": psnr})
    with report.open("a") as file:
        file.write('{"clip": "torn')
    assert resume(report) == {"é": {"clip": "é", "foreground_psnr": 2.0}}
    assert read_rows(report) == [{"clip": "é", "foreground_psnr": 2.0}] and report.read_text().count("\n") == 2
    report.write_text("notes\n")
    with pytest.raises(InputError, match="no row of a score"):
        resume(report)


class TestSummaryAndTable:
    def test_means_over_those_that_have_the_figure(self):
        rows = [row_of("a", frame_psnr=20.0, texture=0.5), row_of("b", frame_psnr=30.0),
                {"clip": "c", "error": "x"}]
        totals = summary(rows)
        assert (totals["clips"], totals["failed"]) == (2, 1)
        assert totals["mean"]["frame_psnr"] == 25 and totals["count"]["frame_psnr"] == 2
        assert totals["mean"]["texture"] == 0.5 and totals["count"]["texture"] == 1
        assert totals["mean"]["luminance_jitter"] is None and totals["count"]["luminance_jitter"] == 0

    def test_doing_nothing_has_no_decibels_where_the_source_is_the_truth(self):
        rows = [row_of(name, foreground_psnr=psnr, nothing_foreground_psnr=psnr)
                for name, psnr in (("a", 20.0), ("b", 100.0), ("c", 24.0))]
        totals = summary(rows)
        assert (totals["mean"]["nothing_foreground_psnr"], totals["count"]["nothing_foreground_psnr"]) == (22, 2)
        assert totals["mean"]["foreground_psnr"] == 48

    @given(st.lists(st.floats(0, 100), min_size=1, max_size=12), st.randoms())
    def test_order_of_rows_does_not_show(self, values, random):
        rows = [row_of(f"c{i}", frame_psnr=value) for i, value in enumerate(values)]
        shuffled = random.sample(rows, len(rows))
        assert summary(shuffled) == summary(rows) and table(shuffled) == table(rows)
        mean = summary(rows)["mean"]["frame_psnr"]
        assert min(values) - 1e-9 <= mean <= max(values) + 1e-9

    def test_worst_first_then_mean_then_nothing_then_failures(self):
        rows = [row_of("good", foreground_psnr=30.0, luminance_jitter=0.01, nothing_foreground_psnr=12.0),
                row_of("bad", foreground_psnr=10.0, luminance_jitter=0.03, nothing_foreground_psnr=14.0),
                row_of("odd|name", luminance_jitter=0.02), {"clip": "gone", "error": "it is damaged"}]
        assert table(rows).splitlines() == [
            "| clip | frames | PSNR fg (dB) ↑ | luminance jitter ↓ |",
            "|---|---:|---:|---:|",
            "| bad | 10 | 10.00 | 0.03000 |",
            "| good | 10 | 30.00 | 0.01000 |",
            "| odd¦name | 10 | – | 0.02000 |",
            "| **mean of 3** | 30 | 20.00 | 0.02000 |",
            "| do nothing (source) | 30 | 13.00 | – |",
            "",
            "1 of 4 clips not scored:",
            "",
            "- gone: it is damaged",
        ]

    def test_less_is_better_where_it_is(self):
        text = table([row_of("calm", luminance_jitter=0.01), row_of("wild", luminance_jitter=0.5)])
        assert text.index("wild") < text.index("calm")

    def test_one_is_best_where_it_is(self):
        rows = [row_of(f"{value}", amplitude=value) for value in (0.9, 2.0, 0.2)]
        assert [line.split(" | ")[0] for line in table(rows).splitlines()[2:5]] == ["| 2.0", "| 0.2", "| 0.9"]

    def test_nothing_scored(self):
        assert table([{"clip": "a", "error": "x"}]) == "1 of 1 clips not scored:\n\n- a: x\n"
        assert table([]) == "" and summary([])["clips"] == 0
