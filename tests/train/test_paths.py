"""Figures of the two paths: what a right answer and a lazy one score, and edges measured as results are scored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from harmovid.data.dataset import CropConfig, ViewBatch
from harmovid.data.misfit import over
from harmovid.evaluate.boundary import boundary_sharpness
from harmovid.train.paths import edge_moments, path_figures, sharpness
from harmovid.train.stages import Length, Look, OnFootage
from tests import figures
from tests.train.tiny import PAIRED, preset

pytestmark = pytest.mark.usefixtures("one_thread")


def pairs() -> list[tuple[ViewBatch, ViewBatch]]:
    stage = OnFootage(replace(preset(), view=replace(preset().view, area=64 * 64)), PAIRED, PAIRED,
                      (Length(5, 1, 1.0),), CropConfig())
    return list(stage.held_out_pairs(5))


class Answer:
    """Goes a share of the way from the composite to the truth, another where the mask is soft."""

    def __init__(self, hard: float, soft: float) -> None:
        self.hard, self.soft = hard, soft

    def __call__(self, wrong: Tensor, right: ViewBatch, mask: Tensor, seed: int) -> Look:
        plain = over(wrong, right.plate, mask)
        between = ((mask > 0) & (mask < 1)).any()
        share = self.soft if between else self.hard
        ours = (plain + 0.01) ** (1 - share) * (right.picture + 0.01) ** share - 0.01
        return Look(plain, ours.clamp(0, 1), right.picture)


def test_the_right_answer_has_full_amplitude_by_either_mask_and_edges_as_filmed() -> None:
    found, rows = path_figures(iter(pairs()), Answer(1, 1))
    assert found["to_synthetic_amplitude"] == pytest.approx(1, abs=0.01)
    assert found["mask_ratio"] == pytest.approx(1, abs=0.01)
    assert found["to_real_psnr"] > 60 and found["to_real_gain"] > 20
    assert found["to_real_laplacian"] == pytest.approx(1, abs=0.01)
    assert found["to_real_tenengrad"] == pytest.approx(1, abs=0.01)
    assert len(rows) == 2 and rows[0].shape[1] % 3 == 0


def test_a_mask_that_switches_the_light_off_is_seen() -> None:
    found, _ = path_figures(iter(pairs()), Answer(0.8, 0.2))
    assert found["to_synthetic_amplitude"] == pytest.approx(0.8, abs=0.05)
    assert found["mask_ratio"] == pytest.approx(0.25, abs=0.05)


def test_the_composite_has_no_amplitude_and_no_gain() -> None:
    found, _ = path_figures(iter(pairs()), Answer(0, 0))
    assert found["to_synthetic_amplitude"] == pytest.approx(0, abs=1e-3) and "mask_ratio" not in found
    assert found["to_real_gain"] == pytest.approx(0, abs=0.01)


def test_edges_are_measured_as_results_are() -> None:
    film = figures.film((48, 40), 3, step=(2, 0))
    batch = [torch.from_numpy(np.moveaxis(frames, -1, 0)[None].copy()) for frames in (film.own, film.alpha[..., None])]
    found = sharpness(*edge_moments(*batch))
    wanted = boundary_sharpness(film.own, film.own, film.alpha).real
    assert found == pytest.approx((wanted.laplacian_variance, wanted.tenengrad), rel=1e-3)


def test_a_picture_without_an_edge_has_no_sharpness() -> None:
    video = torch.rand(1, 3, 2, 16, 16)
    assert sharpness(*edge_moments(video, torch.ones(1, 1, 2, 16, 16))) == (0, 0)
