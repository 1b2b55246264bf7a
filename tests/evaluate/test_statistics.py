"""Intervals and the sign test against what can be worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmovid.evaluate.statistics import Estimate, bootstrap, paired, sign_test


def drawn(clips, each=1, seed=1, scale=1.0):
    rng = np.random.default_rng(seed)
    return list(rng.normal(2, scale, clips * each)), [f"c{number // each}" for number in range(clips * each)]


def width(found):
    return found.high - found.low


def test_contains_the_mean_and_counts():
    values, clips = drawn(12, 2)
    found = bootstrap(values, clips)
    assert found.low < found.mean < found.high and found.mean == pytest.approx(np.mean(values))
    assert (found.items, found.clips) == (24, 12)


def test_the_width_is_that_of_the_normal_law_where_that_holds():
    values, clips = drawn(400)
    expected = 2 * 1.96 * np.std(values) / math.sqrt(400)
    assert width(bootstrap(values, clips)) == pytest.approx(expected, rel=0.03)


def test_shrinks_with_more_clips():
    assert width(bootstrap(*drawn(10))) > 1.5 * width(bootstrap(*drawn(80))) > 2 * width(bootstrap(*drawn(800)))


def test_items_of_a_clip_are_not_independent_evidence():
    values, clips = drawn(20)
    one, ten = bootstrap(values, clips), bootstrap(values * 10, clips * 10)
    assert (ten.low, ten.high) == (pytest.approx(one.low), pytest.approx(one.high))
    assert width(bootstrap(values * 10, [str(number) for number in range(200)])) < 0.5 * width(one)


def test_covers_the_truth_about_as_often_as_it_says():
    found = [bootstrap(*drawn(30, seed=seed), resamples=1000) for seed in range(200)]
    assert 0.88 <= np.mean([one.low <= 2 <= one.high for one in found]) <= 0.98


def test_deterministic_and_the_seed_counts():
    values, clips = drawn(9)
    assert bootstrap(values, clips) == bootstrap(values, clips) != bootstrap(values, clips, seed=1)


@given(st.floats(-1e3, 1e3), st.integers(2, 9))
@settings(max_examples=20, deadline=None)
def test_constant_differences_have_no_width(value, clips):
    found = bootstrap([value] * 2 * clips, [str(number // 2) for number in range(2 * clips)], resamples=50)
    assert found.low == found.high == found.mean


def test_of_one_clip_nothing_can_be_said():
    found = bootstrap([1.0, 3.0], ["a", "a"])
    assert found.mean == 2 and math.isnan(found.low) and math.isnan(found.high) and found.clips == 1


def test_unequal_clips_weigh_by_their_items():
    assert bootstrap([0.0, 0.0, 0.0, 4.0], ["a", "a", "a", "b"]) == Estimate(1.0, 0.0, 4.0, 4, 2)


def test_paired_takes_what_both_have():
    clips = {"a": "1", "b": "2", "c": "3"}
    found = paired({"a": 3.0, "b": 5.0, "x": 1.0}, {"a": 1.0, "b": 2.0, "c": 9.0}, clips)
    assert found and (found.mean, found.items) == (2.5, 2)
    assert paired({"a": 1.0}, {"b": 1.0}, clips) is None


@pytest.mark.parametrize(("gained", "lost", "chance"), [
    (0, 0, 1.0), (1, 0, 1.0), (5, 5, 1.0), (6, 0, 2 / 64), (0, 6, 2 / 64), (11, 1, 2 * 13 / 4096),
    (9, 3, 2 * 299 / 4096)])
def test_sign_test_is_the_binomial_tail(gained, lost, chance):
    assert sign_test(gained, lost) == pytest.approx(chance)
