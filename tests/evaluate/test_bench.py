"""Methods side by side: what fails, what is kept, and what the table says."""

import math
from types import SimpleNamespace

import pytest

from harmovid.errors import OptionError
from harmovid.evaluate import bench, run
from harmovid.evaluate.bench import Outcome
from harmovid.evaluate.measures import Tools
from harmovid.evaluate.methods import method
from harmovid.evaluate.testsets import Item, read_set
from harmovid.infer import pipeline
from tests.evaluate import recoloured


@pytest.fixture
def made(tmp_path, monkeypatch):
    recoloured.make(tmp_path, monkeypatch)
    return tmp_path / "set"


def test_all_is_run_scored_timed_and_resumed(made, monkeypatch):
    chosen = [method(name) for name in ("untouched", "background", "reinhard")]
    told = []
    outcomes = bench.compare(made, chosen, Tools(), progress=lambda *step: told.append(step))
    assert [(outcome.name, len(outcome.rows), outcome.failed) for outcome in outcomes] == [
        (name, 4, {}) for name in ("untouched", "background", "reinhard")]
    assert ("run", 4, 4) in told and ("score", 12, 12) in told
    row = outcomes[2].rows[0]
    assert row["amplitude"] is not None and row["texture"] is not None and row["background_exact"] is not None
    times = run.read_lines(made / "results" / "reinhard" / "seconds.jsonl")
    assert [line["name"] for line in times] == [item.name for item in read_set(made).items]
    assert all(line["frames"] == 2 and line["seconds"] > 0 for line in times) and outcomes[2].seconds > 0
    monkeypatch.setattr(pipeline, "harmonize", None)
    assert bench.compare(made, chosen, Tools()) == outcomes


def test_a_failure_loses_nothing_else_is_noted_and_tried_again(made, monkeypatch):
    items = read_set(made).items
    real = pipeline.harmonize

    def broken(plan, harmonizer, **more):
        if plan.target.path.stem == items[1].name:
            raise RuntimeError("the lamp went out")
        return real(plan, harmonizer, **more)

    monkeypatch.setattr(pipeline, "harmonize", broken)
    (outcome,) = bench.compare(made, [method("reinhard")], Tools())
    assert outcome.failed == {items[1].name: "RuntimeError: the lamp went out"} and len(outcome.rows) == 3
    errors = made / "results" / "reinhard" / "errors.jsonl"
    assert run.read_lines(errors) == [{"name": items[1].name, "error": "RuntimeError: the lamp went out"}]
    monkeypatch.setattr(pipeline, "harmonize", real)
    (outcome,) = bench.compare(made, [method("reinhard")], Tools())
    assert outcome.failed == {} and len(outcome.rows) == 4 and not errors.exists()


def test_a_run_killed_in_the_middle_goes_on(made, monkeypatch):
    real, calls = pipeline.harmonize, []

    def killed(plan, harmonizer, **more):
        calls.append(plan.target.path.stem)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(plan, harmonizer, **more)

    monkeypatch.setattr(pipeline, "harmonize", killed)
    with pytest.raises(KeyboardInterrupt):
        bench.compare(made, [method("reinhard")], Tools())
    with (made / "results" / "reinhard" / "seconds.jsonl").open("a") as file:
        file.write('{"name": "torn')
    (outcome,) = bench.compare(made, [method("reinhard")], Tools())
    assert len(calls) == 5 and calls[2] == calls[3] and len(outcome.rows) == 4
    assert len(run.read_lines(made / "results" / "reinhard" / "seconds.jsonl")) == 4


def test_nothing_left_and_unreadable_results(made, monkeypatch):
    def broken(plan, harmonizer, **more):
        raise ValueError("no")

    monkeypatch.setattr(pipeline, "harmonize", broken)
    (outcome,) = bench.compare(made, [method("reinhard")], Tools())
    assert len(outcome.failed) == 4 and outcome.rows == () and math.isnan(outcome.seconds)
    assert bench.table(made, [outcome]) == "no item was scored by any method\n"
    name = read_set(made).items[0].name
    (made / "results" / "classical").mkdir()
    (made / "results" / "classical" / f"{name}.mkv").write_bytes(b"no film")
    (outcome,) = bench.compare(made, [method("classical")], Tools(), [name])
    assert "no film" not in outcome.failed[name] and outcome.rows == ()


def test_two_methods_of_one_name_are_refused(made):
    with pytest.raises(OptionError, match="two methods are named nano"):
        bench.compare(made, [method("nano"), method("nano")], Tools())


def test_in_network_detail_all_have_one_size(made):
    outcomes = bench.compare(made, [method(name, "network") for name in ("untouched", "background", "classical")],
                             Tools())
    sizes = {(row["clip"], row["width"], row["height"]) for outcome in outcomes for row in outcome.rows}
    assert len(sizes) == 4 and all(outcome.failed == {} for outcome in outcomes)
    nothing, floor, _ = (sum(row["foreground_psnr"] for row in outcome.rows) for outcome in outcomes)
    assert floor < nothing


def test_quick_takes_items_from_all_over(made):
    names = [item.name for item in read_set(made).items]
    assert bench.spread(made, 2) == [names[0], names[-1]] and bench.spread(made) == names
    with pytest.raises(OptionError, match="--items is 1 or more, got 0"):
        bench.spread(made, 0)


def test_gains_by_band_are_of_what_every_method_has(tmp_path, monkeypatch):
    # Items a and c are of one clip.
    monkeypatch.setattr(bench, "read_set", lambda folder: SimpleNamespace(items=[
        Item(name, clip) for name, clip in (("a", "ann"), ("b", "bo"), ("c", "ann"), ("d", "cy"))]))
    psnr = {"untouched": {"a": 13.0, "b": 18.0, "c": 25.0, "d": 26.0}, "good": {"a": 16.0, "b": 18.5, "c": 24.0}}
    outcomes = [Outcome(name, tuple({"clip": clip, "foreground_psnr": value} for clip, value in of.items()), {}, 0.5,
                        tmp_path) for name, of in psnr.items()]
    head, _, *lines = bench.gain_table(tmp_path, outcomes, each=True).splitlines()
    assert head == ("| method | PSNR fg (dB) ↑ | gain | below 14 dB (1) | 14 to 19 dB (1) | above 19 dB (1) | "
                    "worse by > 0.5 dB | clips worse (of 2) |")
    assert lines == ["| untouched | 18.67 |  |  |  |  |  |  |",
                     "| good | 19.50 | +0.83 [+0.50, +1.00] | +3.00 | +0.50 | -1.00 | 33% | 0 |",
                     "  -1.00 c", "  +0.50 b", "  +3.00 a"]
    assert bench.gain_table(tmp_path, outcomes[:1]) == bench.gain_table(tmp_path, []) == ""


def test_a_clip_is_worse_where_the_mean_of_its_items_is(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "read_set", lambda folder: SimpleNamespace(items=[
        Item(name, clip) for name, clip in (("a", "ann"), ("b", "bo"), ("c", "ann"), ("d", "bo"))]))
    psnr = {"untouched": dict.fromkeys("abcd", 15.0), "good": {"a": 12.0, "b": 14.0, "c": 20.0, "d": 14.2}}
    outcomes = [Outcome(name, tuple({"clip": clip, "foreground_psnr": value} for clip, value in of.items()), {}, 0.5,
                        tmp_path) for name, of in psnr.items()]
    last = bench.gain_table(tmp_path, outcomes).splitlines()[-1]
    assert last.endswith("| 75% | 1 |") and "+0.05 [-0.90, +1.00]" in last


def test_the_table_compares_like_with_like(made):
    names = [item.name for item in read_set(made).items]
    rows = {"untouched": {names[0]: 14.0, names[1]: 20.0}, "good": {names[1]: 25.0}}
    outcomes = [Outcome(name, tuple({"clip": clip, "foreground_psnr": value} for clip, value in of.items()), {}, 0.5,
                        made) for name, of in rows.items()]
    lines = bench.table(made, outcomes).splitlines()
    assert lines[0] == "| method | PSNR fg (dB) ↑ | s per frame |"
    assert lines[2:4] == ["| untouched (do nothing) | 20.00 | 0.500 |", "| good | 25.00 | 0.500 |"]
    assert lines[5] == "means of 1 items"
