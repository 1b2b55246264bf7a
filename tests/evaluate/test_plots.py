"""Plots: what is drawn stands where it should, and is well-formed XML with every name escaped."""

import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmovid.evaluate.plots import Dot, _scale, curves, dots, scatter


def parsed(text):
    tree = ET.fromstring(text)
    width, height = map(float, tree.find("svg").get("viewBox").split()[2:])
    for node in tree.iter():
        for name in ("x", "x1", "x2", "cx"):
            assert -1 <= float(node.get(name, 0)) <= width
        for name in ("y", "y1", "y2", "cy"):
            assert -1 <= float(node.get(name, 0)) <= height
    return tree


def points(line):
    return [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]


def test_dots_are_in_proportion_with_their_intervals_and_the_rule():
    tree = parsed(dots("PSNR", [Dot("a", 1, 0, 2), Dot("b", 3, math.nan, math.nan), Dot("c", -1, -2, 4)], 2, 0.0, True))
    x = [float(dot.get("cx")) for dot in tree.iter("circle")]
    assert x[1] - x[0] == pytest.approx(x[0] - x[2], abs=0.2)
    bars = [line for line in tree.iter("line") if line.get("class") == "s0"]
    assert len(bars) == 2  # b has no interval
    rule, = (line for line in tree.iter("line") if line.get("class") == "rule")
    for zero in ((x[0] + x[2]) / 2, float(bars[0].get("x1"))):
        assert float(rule.get("x1")) == pytest.approx(zero, abs=0.2)
    assert {"+1.00", "+3.00", "−1.00"} <= {text.text for text in tree.iter("text")}


def test_one_equal_value_is_drawn():
    assert len(list(parsed(dots("x", [Dot("a", 0, 0, 0)], 1)).iter("circle"))) == 1


def test_curves_rise_as_values_do_and_break_where_there_is_none():
    tree = parsed(curves("luma", [("result", [0.1, 0.2, math.nan, 0.3, 0.4]), ("truth", [0.2] * 5)], "frame", "luma"))
    one, two, flat = tree.iter("polyline")
    assert [len(points(line)) for line in (one, two, flat)] == [2, 2, 5]
    assert points(one)[1][1] < points(one)[0][1] and len({y for _, y in points(flat)}) == 1
    assert points(flat)[-1][0] == points(two)[-1][0] == 410
    assert one.get("stroke-dasharray") != flat.get("stroke-dasharray")  # not told apart by colour alone


def test_a_curve_that_begins_with_nothing():
    parsed(curves("luma", [("result", [math.nan, 0.5])], "frame", "luma"))
    parsed(curves("one frame", [("result", [0.5])], "frame", "luma"))


def test_scatter_has_a_mark_per_point_of_several_shapes():
    tree = parsed(scatter("s", [("a", [(49, 3.0), (20, 1.0)]), ("b", [(49, 6.0)])], "frames", "seconds"))
    assert len(list(tree.iter("circle"))) == 3 and len(list(tree.iter("polygon"))) == 2  # with the key


def test_names_are_text():
    odd = '<b>&"'
    for text in (dots(odd, [Dot(odd, 1, 0, 2)], 2), curves(odd, [(odd, [1.0])], odd, odd),
                 scatter(odd, [(odd, [(1, 1)])], odd, odd)):
        tree = parsed(text)
        assert tree.find("figcaption").text == odd and odd in {node.text for node in tree.iter("text")}
        assert tree.find("svg").get("aria-label") == odd and not list(tree.iter("b"))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5))
def test_the_scale_holds_all_values_and_few_round_ticks(values):
    low, high, ticks = _scale(values)
    assert low <= min(values) and high >= max(values) and low < high
    assert 2 <= len(ticks) <= 12 and all(low - 1e-6 <= tick <= high + 1e-6 for tick in ticks)
