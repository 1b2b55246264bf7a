"""Tables of a report: their figures against the summary's, their shape, and what Markdown makes of odd names."""

import re

import pytest

from harmovid.evaluate import report, tables
from harmovid.evaluate.measures import COLUMNS
from harmovid.evaluate.rows import read_rows, summary
from tests.evaluate import scored


@pytest.fixture
def made(tmp_path):
    return scored.make(tmp_path / "set")


def gathered(folder):
    return report.gather([folder])


def test_markdown_has_the_means_of_the_summary(made):
    text = tables.markdown(gathered(made))
    for method in scored.GAIN:
        mean = summary(read_rows(made / "results" / method / "report.jsonl"))["mean"]
        line = next(line for line in text.splitlines() if line.startswith(f"| {method} |")).replace("**", "")
        assert line == (f"| {method} | 6 | {mean['foreground_psnr']:.2f} | {mean['luminance_jitter']:.5f} |")


def test_best_of_a_column_and_rows_as_wide_as_the_head(made):
    found = gathered(made)
    bench, = found.benches
    overview = tables.overview(bench)
    assert overview.best == {(2, 2), (2, 3)}  # nano: the highest PSNR, and here the least jitter
    every = [overview, tables.changes(bench), *(tables.per_clip(bench, method) for method in bench.methods[1:]),
             *(table for published, ours in tables.papers(found) for table in (published, *ours))]
    assert all(table and all(len(row) == len(table.head) for row in table.rows) for table in every)


def test_a_mean_over_fewer_items_is_never_the_best_and_its_bands_say_how_many(made):
    rows = read_rows(made / "results" / "nano" / "report.jsonl")
    scored.write_rows(made / "results" / "nano", [row for row in rows if row["foreground_psnr"] > 17])
    bench, = report.gather([made]).benches
    overview = tables.overview(bench)
    nano = next(number for number, row in enumerate(overview.rows) if row[0] == "nano")
    means = [float(row[2]) for row in overview.rows[:3]]
    assert means[nano] == max(means) and (nano, 2) not in overview.best
    row = next(row for row in tables.changes(bench).rows if row[0] == "nano")
    assert any(cell.endswith(")") and "(" in cell and "[" not in cell for cell in row)


def test_what_is_best_at_one_is_so_item_by_item(made):
    for name, values in (("nano", (0.3, 1.7)), ("reinhard", (0.9, 0.9)), ("untouched", (0.1, 0.1))):
        scored.write_rows(made / "results" / name, [scored.row(item, 20.0, amplitude=values[n % 2])
                                                    for n, (item, _) in enumerate(scored.ITEMS)])
    overview = tables.overview(report.gather([made]).benches[0])
    place = overview.head.index("relight amplitude → 1")
    assert {overview.rows[row][0] for row, column in overview.best if column == place} == {"reinhard"}


def test_change_worse_bands_and_signs(made):
    table = tables.changes(gathered(made).benches[0])
    reinhard, nano = (dict(zip(table.head, row, strict=True)) for row in table.rows)
    assert re.fullmatch(r"−0\.25 \[−\d\.\d\d, \+\d\.\d\d\]", reinhard["change of PSNR fg (dB) ↑"])
    assert reinhard["worse by > 0.5 dB"] == "33%" and nano["worse by > 0.5 dB"] == "17%"
    assert nano["PSNR fg, untouched < 14 dB (1)"] == "+2.00"
    assert (nano["clips better : worse"], nano["sign test p"]) == ("3 : 0", "0.25")
    assert reinhard["clips better : worse"] == "2 : 1"


def test_items_worst_first_with_what_failed_under_them(made):
    rows = read_rows(made / "results" / "nano" / "report.jsonl")
    scored.write_rows(made / "results" / "nano", [{"clip": rows[0]["clip"], "error": "damaged"}, *rows[1:]])
    bench, = gathered(made).benches
    table = tables.per_clip(bench, bench.methods[2])
    assert [row[0] for row in table.rows[:2]] == ["cleo__neon", "bob__neon"] and len(table.rows) == 5
    assert table.rows[0][1:5] == ("18.00", "18.00", "17.25", "−0.75")
    assert table.notes == ("Not scored: ann__dusk: damaged",)
    assert tables.per_clip(bench, bench.methods[0]) is None


def test_published_and_ours_stand_in_tables_of_their_own(made, tmp_path):
    flickering = scored.make(tmp_path / "flicker_set")
    staged = scored.make(tmp_path / "staged", {**scored.GAIN, "both": (3,) * 6})
    found = report.gather([made, flickering, staged])
    lit, steady, ablation = tables.papers(found)
    assert [table.caption for table in lit[1]] == ["Ours: harmonization, set", "Ours: harmonization, staged"]
    assert [table.caption for table in steady[1]] == ["Ours: deflickering, flicker_set"]
    assert [row[:2] for row in ablation[1][0].rows] == [("untouched", "6"), ("stage 3 only", "not measured"),
                                                       ("stage 2 only", "not measured"), ("both", "6")]
    for published, ours in (lit, steady, ablation):
        assert any("The data differ" in note for note in published.notes)
        figures = {cell for row in published.rows for cell in row[published.names:]}
        assert not figures & {cell for table in ours for row in table.rows for cell in row}


def test_a_table_of_the_paper_without_ours_says_so(made):
    _, steady, ablation = tables.papers(gathered(made))
    assert steady[1] == ablation[1] == []
    assert "not measured here" in steady[0].notes[-1] and "stage_3_only" in ablation[0].notes[-1]


def test_doing_nothing_stands_in_every_table_of_ours(made):
    scored.write_rows(made / "results" / "untouched", [
        scored.row(name, 10.0, nothing_luminance_jitter=0.5, nothing_foreground_psnr=8.0) for name, _ in scored.ITEMS])
    found = gathered(made)
    (_, ours), *_ = tables.papers(found)
    for table in (tables.overview(found.benches[0]), *ours):
        assert table.rows[-1][0] == tables.NOTHING and table.rows[0][0] == "untouched"
    assert tables.overview(found.benches[0]).rows[-1][2:] == ("8.00", "0.50000")


def test_speed(made):
    assert tables.speed(gathered(made).benches[0]) is None
    (made / "results" / "nano" / "seconds.jsonl").write_text('{"name": "a", "seconds": 3.0, "frames": 4}\n'
                                                             '{"name": "b", "seconds": 1.0, "frames": 4}\n')
    assert tables.speed(gathered(made).benches[0]).rows == (("nano", "2", "8", "4.0", "0.500"),)


def test_odd_names_are_text_in_markdown(tmp_path):
    made = scored.make(tmp_path / "a|b", {"untouched": (0,) * 6, "<b>&*": (1,) * 6})
    text = tables.markdown(gathered(made))
    assert "| &lt;b>&amp;\\* |" in text and "<b>" not in text and "## a\\|b" in text


def test_without_a_baseline_there_is_no_change(made, tmp_path):
    peer = scored.make(tmp_path / "peer", {"theirs": (1,) * 6})
    bench = report.gather([made, peer]).benches[1]
    assert tables.changes(bench) is None
    assert tables.per_clip(bench, bench.methods[0]).head[:3] == ("item", "composite (dB)",
                                                                COLUMNS["foreground_psnr"].heading)
    assert "no row of doing nothing" in tables.overview(bench).notes[0]
