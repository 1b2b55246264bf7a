"""Misfits: the person's light is wrong and the scene is right, or the scene is another and the person as filmed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from harmovid.data.augment import DegradeConfig
from harmovid.data.dataset import Footage, ViewBatch
from harmovid.data.misfit import Misfit, MisfitConfig, misfit, over, relit, to_real, to_synthetic
from harmovid.data.recolour import RecolourConfig
from harmovid.light.grade import srgb_to_linear
from tests.data.footage import pair, shard

pytestmark = pytest.mark.usefixtures("one_thread")

ALWAYS = DegradeConfig(untouched=0, shares=(0, 0, 1))
AS_DRESSED = RecolourConfig(share=0)
CALM = MisfitConfig(recolour=AS_DRESSED, degrade=ALWAYS, scene=0, setting=0, recast=0, placed=0, fills=0)


def drawn(config: MisfitConfig, seed: int = 0) -> tuple[Misfit, torch.Tensor, torch.Tensor]:
    """A misfit, the picture it was made of, and the mask."""
    footage = Footage([shard("a", 9), shard("b", 9, seed=1)])
    views = footage.draw(4, 5, (32, 32), np.random.default_rng(seed))
    made = misfit(views, config, np.random.default_rng(seed), torch.Generator().manual_seed(seed))
    return made, views.picture, views.mask


def test_the_target_is_the_real_picture_where_nothing_else_is_asked_for():
    made, picture, mask = drawn(CALM)
    assert torch.equal(made.target, picture)
    inside = (mask > 0.99).expand_as(picture)
    assert ((made.wrong - picture).abs() * inside).amax((1, 2, 3, 4)).min() > 0.02


def test_recast_changes_the_target_only_where_the_person_is():
    made, picture, mask = drawn(replace(CALM, recast=0.9))
    outside = (mask == 0).expand_as(picture)
    torch.testing.assert_close(made.target[outside], picture[outside], atol=1e-5, rtol=0)
    assert (made.target - picture).abs().amax() > 0.03


def test_recoloured_clothes_are_in_the_target_too():
    made, picture, mask = drawn(replace(CALM, recolour=RecolourConfig(share=1)))
    outside = (mask == 0).expand_as(picture)
    assert torch.equal(made.target[outside], picture[outside])
    assert (made.target - picture).abs().amax((1, 2, 3, 4)).min() > 0.03


def test_placed_people_come_as_filmed_into_a_graded_scene():
    calm = DegradeConfig(untouched=1, shares=(0, 0, 0))
    config = replace(CALM, degrade=calm, placed=1, setting=1.0)
    made, picture, _ = drawn(config)
    assert torch.equal(made.wrong, picture)
    assert (made.target - picture).abs().amax() > 0.03


def test_people_of_the_light_stage_come_from_one_light_into_another():
    one, other = (Footage([shard("a", 9, colour=c)]).draw(4, 5, (32, 32), np.random.default_rng(0))
                  for c in ((0.9, 0.2, 0.2), (0.3, 0.3, 0.9)))
    calm = replace(CALM, toned=0.0)
    made = relit(one, other, calm, torch.Generator().manual_seed(0))
    for name, was in (("target", other.picture), ("plate", other.plate), ("overview", other.overview),
                      ("wrong", one.picture), ("mask", one.mask)):
        assert torch.equal(getattr(made, name), was), name
    graded = relit(one, other, replace(calm, toned=0.8), torch.Generator().manual_seed(0))
    off = (graded.wrong - one.picture).abs().amax((1, 2, 3, 4))
    assert off.max() > 0.03 and torch.equal(graded.target, other.picture)


def paired(seed: int = 0) -> tuple[ViewBatch, ViewBatch]:
    clip = shard("a", 21)
    return Footage([clip], pairs=[pair(clip, 4, 13)]).draw_pairs(3, 5, (32, 32), np.random.default_rng(seed))


def test_a_pair_leads_from_the_clip_to_what_was_made_and_back():
    made, filmed = paired()
    there, back = (way(made, filmed, CALM, torch.Generator()) for way in (to_synthetic, to_real))
    for found, right, wrong in ((there, made, filmed), (back, filmed, made)):
        assert torch.equal(found.target, right.picture) and torch.equal(found.wrong, wrong.picture)
        assert torch.equal(found.plate, right.plate) and torch.equal(found.overview, right.overview)
        assert torch.equal(found.mask, made.mask)


@pytest.mark.parametrize("way", [to_synthetic, to_real])
def test_composite_background_and_target_of_a_path_share_one_background(way):
    """Outside the grown mask all three are the same picture, graded and filled as it may be."""
    config = MisfitConfig(fills=1.0)
    for seed in range(4):
        found = way(*paired(seed), config, torch.Generator().manual_seed(seed))
        grown = torch.nn.functional.max_pool3d(found.mask, (1, 5, 5), 1, (0, 2, 2)) > 0
        outside = ~grown.expand_as(found.target)
        assert outside.float().mean() > 0.1
        for picture in (found.plate, over(found.wrong, found.plate, found.mask)):
            assert (picture - found.target)[outside].abs().max() < 0.02  # made shards have nothing to fill


def test_both_of_a_pair_are_recoloured_by_one_gain():
    made, filmed = paired()
    config = replace(CALM, recolour=RecolourConfig(share=1))
    found = to_synthetic(made, filmed, config, torch.Generator().manual_seed(1))
    inside = (found.mask > 0.999).expand_as(found.target)
    assert (found.wrong - filmed.picture)[inside].abs().mean() > 0.02
    gains = [((srgb_to_linear(after) + 0.01) / (srgb_to_linear(before) + 0.01))[inside].log()
             for after, before in ((found.wrong, filmed.picture), (found.target, made.picture))]
    lit = (found.target[inside] > 0.1) & (found.target[inside] < 0.99)
    assert (gains[0] - gains[1]).abs()[lit].median() < 0.15 < gains[0].abs().median()


def test_it_is_a_function_of_its_randomness():
    first, again, other = (drawn(MisfitConfig(), seed)[0] for seed in (3, 3, 4))
    assert torch.equal(first.wrong, again.wrong) and torch.equal(first.target, again.target)
    assert not torch.equal(first.wrong, other.wrong)


def test_over_mixes_light_and_not_code_values():
    white, black, half = torch.ones(1, 3, 1, 1, 1), torch.zeros(1, 3, 1, 1, 1), torch.full((1, 1, 1, 1, 1), 0.5)
    assert over(white, black, half).mean() == pytest.approx(0.7354, abs=1e-3)  # sRGB of linear 0.5
    torch.testing.assert_close(over(white, black, half * 0), black, atol=1e-5, rtol=0)
