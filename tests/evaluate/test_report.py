"""What is gathered from a set's folder, and what is said of what is not there."""

import json

import pytest

from harmovid.errors import InputError, OptionError
from harmovid.evaluate import report, tables
from harmovid.evaluate.rows import read_rows, summary
from tests.evaluate import scored


@pytest.fixture
def made(tmp_path):
    return scored.make(tmp_path / "set")


def test_means_are_those_of_the_summary_and_methods_are_in_order(made):
    scored.write_rows(made / "results" / "background", [scored.row(name, 9.0) for name, _ in scored.ITEMS])
    bench, = report.gather([made]).benches
    assert [method.name for method in bench.methods] == ["untouched", "background", "reinhard", "nano"]
    assert [method.group for method in bench.methods] == ["nothing", "floor", "classical", "network"]
    assert bench.columns == ("foreground_psnr", "luminance_jitter") == bench.main
    for method in bench.methods:
        mean = summary(read_rows(made / "results" / method.name / "report.jsonl"))["mean"]
        assert all(method.figures[column].mean == pytest.approx(mean[column], abs=1e-12) for column in bench.columns)


def test_changes_and_gains_by_hand(made):
    bench, = report.gather([made]).benches
    reinhard, nano = bench.methods[1:]
    assert reinhard.changes["foreground_psnr"].mean == pytest.approx(-0.25)
    assert nano.changes["foreground_psnr"].mean == pytest.approx(5 / 6)
    assert nano.gains and [band.gain for band in nano.gains.bands] == [2.0, pytest.approx(1.75 / 3), 0.625]
    assert reinhard.gains and reinhard.gains.worse == pytest.approx(2 / 6)
    assert bench.baseline and bench.baseline.changes["foreground_psnr"].high == 0


def test_worst_first(made):
    bench, = report.gather([made]).benches
    found = bench.worst(bench.methods[1])
    assert [gain for _, gain in found] == [-6, -3, 0.5, 1, 2, 4] and found[0][0].name == "bob__neon"


def test_less_is_better_where_the_column_says_so(made):
    for method, jitter in (("untouched", 0.1), ("nano", 0.3), ("reinhard", 0.05)):
        scored.write_rows(made / "results" / method, [
            scored.row(name, 1.0) | {"foreground_psnr": None, "luminance_jitter": jitter} for name, _ in scored.ITEMS])
    bench, = report.gather([made]).benches
    assert bench.main == ("luminance_jitter",) and bench.methods[1].gains is None
    assert [bench.worst(method)[0][1] for method in bench.methods[1:]] == [pytest.approx(0.05), pytest.approx(-0.2)]


def test_failed_missing_strange_and_unscored_are_said(made):
    rows = read_rows(made / "results" / "nano" / "report.jsonl")
    scored.write_rows(made / "results" / "nano", [{"clip": rows[0]["clip"], "error": "it is <damaged>"}, *rows[2:],
                                                  scored.row("elsewhere", 40.0)])
    (made / "results" / "later").mkdir()
    bench, = report.gather([made]).benches
    nano = bench.methods[2]
    assert nano.failed == {"ann__dusk": "it is <damaged>"} and nano.missing == ("ann__neon",) and len(nano.rows) == 4
    assert nano.gains and len(nano.gains.items) == 4 == nano.changes["foreground_psnr"].items
    told = " ".join(bench.remarks)
    assert "4 of 6 items (1 failed, 1 without a row)" in told and "it is <damaged>" in told
    assert "1 rows of clips that are not in the set" in told and "Not scored yet, so not shown: later" in told


def test_rows_over_more_frames_than_the_set_scores_are_left_out(made):
    manifest = json.loads((made / "manifest.json").read_text())
    manifest["items"][0]["frames"] = 5
    (made / "manifest.json").write_text(json.dumps(manifest))
    name = manifest["items"][0]["name"]
    rows = read_rows(made / "results" / "nano" / "report.jsonl")
    for frames, kept in ((5, True), (9, False)):
        scored.write_rows(made / "results" / "nano",
                          [row | ({"frames": frames} if row["clip"] == name else {}) for row in rows])
        bench, = report.gather([made]).benches
        assert (name in bench.methods[2].rows) == kept
        assert ("nano has 1 rows over more frames than the set scores" in " ".join(bench.remarks)) != kept


def test_another_baseline_and_one_that_some_set_lacks(made, tmp_path):
    peer = scored.make(tmp_path / "peer", {"theirs": (1,) * 6})
    first, second = report.gather([made, peer], "reinhard").benches
    assert first.baseline and first.baseline.name == "reinhard" and second.baseline is None
    assert first.methods[0].changes["foreground_psnr"].mean == pytest.approx(0.25)
    assert second.methods[0].changes == {} and "no scores of the baseline reinhard" in second.remarks[0]
    assert second.worst(second.methods[0])[0][1] == 14.0


def test_results_in_network_detail_are_compared_among_themselves(made):
    scored.make(made, {"untouched__network": (1,) * 6, "nano__network": (3,) * 6,
                       "nano__network__sigma=0": (2,) * 6, "reinhard__quick": (0,) * 6})
    whole, small, quick = report.gather([made]).benches
    assert (whole.name, small.name, quick.name) == ("set", "set, network detail", "set, quick")
    assert whole.full and not small.full and not quick.full
    assert [method.name for method in whole.methods] == ["untouched", "reinhard", "nano"]
    assert [method.name for method in small.methods] == ["untouched__network", "nano__network",
                                                         "nano__network__sigma=0"]
    assert [method.title for method in small.methods] == ["untouched", "nano", "nano__sigma=0"]
    assert small.methods[1].changes["foreground_psnr"].mean == pytest.approx(2)
    assert small.methods[0].group == "nothing" and quick.methods[0].group == "classical"
    assert quick.baseline is None and "no scores of the baseline untouched__quick" in quick.remarks[0]


def test_what_is_scored_in_part_is_said_once_of_all_that_are(made):
    for name in ("nano", "reinhard"):
        scored.write_rows(made / "results" / name, [scored.row(item, 15.0) for item, _ in scored.ITEMS[:4]])
    (bench,) = report.gather([made]).benches
    assert bench.remarks[0].startswith("nano and reinhard have scores of 4 of 6 items (0 failed, 2 without a row)")
    assert tables.overview(bench).caption == "set: means over 6 items, 3 clips"
    (made / "results" / "untouched" / "report.jsonl").unlink()
    (bench,) = report.gather([made], "nano").benches
    assert tables.overview(bench).caption == "set: means over 4 of 6 items, 2 clips"


def test_tools_and_doing_nothing(made):
    tools = {"LPIPS": "AlexNet"}
    scored.write_rows(made / "results" / "untouched", [
        scored.row(name, 10.0, tools=tools, nothing_foreground_psnr=8.0, nothing_luminance_jitter=0.5)
        for name, _ in scored.ITEMS])
    bench, = report.gather([made]).benches
    assert bench.nothing == {"foreground_psnr": 8.0, "luminance_jitter": 0.5}
    assert "Not all methods were scored with the same tools" in bench.remarks[0]


def test_kind_seconds_and_names_of_sets(made, tmp_path):
    other = scored.make(tmp_path / "b" / "set", kind="lut jitter")
    lines = [{"name": "ann__dusk", "seconds": 9, "frames": 3}, {"name": "ann__dusk", "seconds": 6.5, "frames": 3}]
    (other / "results" / "nano" / "seconds.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    first, second = report.gather([made, other]).benches
    assert first.name == str(made) and second.name == str(other)
    assert second.flickers and not first.flickers and second.kind == "lut jitter"
    assert second.methods[2].seconds == {"ann__dusk": (6.5, 3)}


def test_a_torn_line_of_timings_is_passed_over(made):
    whole = '{"name": "ann__dusk", "seconds": 6.5, "frames": 3}'
    (made / "results" / "nano" / "seconds.jsonl").write_text(f'{{"name": "ann__du\n{whole}\n')
    assert {"ann__dusk": (6.5, 3)} in [method.seconds for method in report.gather([made]).benches[0].methods]


@pytest.mark.parametrize(("spoil", "error", "sentence"), [
    (lambda at: (at / "manifest.json").unlink(), InputError, "give the folder of a test set"),
    (lambda at: (at / "manifest.json").write_text("[]"), InputError, "is no manifest"),
    (lambda at: (at / "manifest.json").write_text('{"items": []}'), InputError, "has no items"),
    (lambda at: (at / "results").rename(at / "elsewhere"), InputError, "harmovid evaluate score"),
    (lambda at: (at / "results" / "nano" / "seconds.jsonl").write_text("1\n"), InputError, "line 1 of .* is no timing"),
    (lambda at: (at / "results" / "nano" / "report.jsonl").write_text("notes\n"), InputError, "no row of a score"),
    (lambda at: (at / "results" / "untouched").rename(at / "results" / "same"), OptionError, "scores of the baseline"),
])
def test_errors(made, spoil, error, sentence):
    spoil(made)
    with pytest.raises(error, match=sentence):
        report.gather([made])


def test_sets_given_wrongly(made):
    with pytest.raises(OptionError, match="no test set was given"):
        report.gather([])
    with pytest.raises(OptionError, match="given twice"):
        report.gather([made, made])
