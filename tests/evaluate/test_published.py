"""The published figures hang together, and give the ratios that are quoted of them."""

import math

import pytest

from harmovid.evaluate.measures import COLUMNS
from harmovid.evaluate.published import ABLATED, ABLATION, DEFLICKERING, DIFFER, HARMONIZATION, SOURCE


@pytest.mark.parametrize("table", [HARMONIZATION, DEFLICKERING, ABLATION])
def test_rows_are_as_wide_as_the_head_and_ours_are_figures_that_there_are(table):
    assert all(len(row) == len(table.head) for row in table.rows)
    assert set(table.columns) <= COLUMNS.keys()


def test_the_ratios_that_carry_over():
    lit = {row[0]: dict(zip(HARMONIZATION.head[1:7], map(float, row[1:7]), strict=True)) for row in HARMONIZATION.rows}
    ours, framewise = lit["HarmoVid"], lit["Relightful Harmonization (frame-wise)"]
    assert ours["PSNR ↑"] - framewise["PSNR ↑"] == pytest.approx(2.02)
    assert ours["motion pres. ↓"] / framewise["motion pres. ↓"] == pytest.approx(0.525, abs=5e-4)
    jitter, harmonized = ([float(row[3]) for row in DEFLICKERING.rows if row[0].endswith(what)]
                          for what in ("jitter", "harmonization"))
    assert jitter[1] / jitter[0] == pytest.approx(0.71, abs=0.005)
    assert harmonized[1] / harmonized[0] == pytest.approx(0.40, abs=0.005)
    motion = {row[0]: float(row[4]) for row in ABLATION.rows}
    assert motion["both"] / motion["stage 3 only"] == pytest.approx(0.56, abs=0.005)
    assert ABLATION.rows[2][1:] == tuple(HARMONIZATION.rows[4][place] for place in (2, 3, 5, 6))


def test_psnr_and_rmse_agree_as_means_of_clips_do():
    for row in HARMONIZATION.rows:  # the mean of decibels is at least the decibels of the mean error
        assert -0.2 < float(row[1]) + 20 * math.log10(float(row[4])) < 1


def test_where_they_come_from_and_that_the_data_differ_is_said():
    assert "arxiv.org/abs/2605.28811" in SOURCE and DIFFER.startswith("The data differ")
    assert list(ABLATED) == [row[0] for row in ABLATION.rows]
