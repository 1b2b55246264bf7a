"""What the stages on latents share: what a network is told, and what it is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from harmovid.model.presets import deflickering
from harmovid.train.deflicker import Deflicker
from harmovid.train.harmonize import Harmonize, HarmonizeStage
from tests.train.tiny import CLIPS, HELD_OUT, TRAIN, codec, preset

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_network_that_is_not_told_the_background_reads_none_of_it() -> None:
    told = Harmonize(preset(), codec(), TRAIN, HELD_OUT, HarmonizeStage(lengths=CLIPS))
    blind = Deflicker(deflickering(preset()), codec(), TRAIN, HELD_OUT)
    views = TRAIN.draw(2, 5, (32, 32), np.random.default_rng(0))
    given = views.picture, views.picture * 0.5, views.plate, views.overview, views.mask
    whole, part = told.encoded(*given), blind.encoded(*given)
    assert "palette" in whole and "palette" not in part
    assert whole["conditions"][:, 16:48].any() and not part["conditions"][:, 16:48].any()
    kept = [channel for channel in range(304) if not 16 <= channel < 48]
    torch.testing.assert_close(part["conditions"][:, kept], whole["conditions"][:, kept])
    torch.testing.assert_close(part["target"], whole["target"])
    nothing = blind.encoded(*given[:2], *(torch.full_like(x, torch.nan) for x in given[2:4]), given[4])
    assert all(torch.equal(nothing[name], part[name]) for name in part)


def test_masks_are_of_the_kinds_that_are_asked_for_and_belong_to_the_generator() -> None:
    mask = TRAIN.draw(4, 5, (32, 32), np.random.default_rng(0)).mask
    for own, soft, values in ((1.0, 0.0, None), (0.0, 0.0, 2)):
        stage = HarmonizeStage(lengths=CLIPS, own=own, soft=soft)
        task = Harmonize(preset(), codec(), TRAIN, HELD_OUT, stage)
        first, again = (task.masks(mask, torch.Generator().manual_seed(3)) for _ in range(2))
        assert torch.equal(first, again)
        assert torch.equal(first, mask) if values is None else len(first.unique()) == values


def test_answer_and_truth_go_through_the_codec() -> None:
    task = Harmonize(preset(), codec(), TRAIN, HELD_OUT, replace(HarmonizeStage(), lengths=CLIPS))
    views = TRAIN.draw(1, 5, (32, 32), np.random.default_rng(0))
    with torch.inference_mode():
        batch = task.encoded(views.picture, views.picture, views.plate, views.overview, views.mask)
        plain, ours, truth = task.decoded(task.module.eval(), batch, views.picture, 0)
    assert plain.shape == views.picture.shape and torch.equal(plain, truth)
    torch.testing.assert_close(ours, plain, atol=1e-4, rtol=0)  # a fresh network gives the composite back
