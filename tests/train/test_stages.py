"""What the stages share: views by share and area, figures of gains, and sheets."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harmovid.data.augment import DegradeConfig
from harmovid.data.dataset import CropConfig
from harmovid.data.misfit import MisfitConfig
from harmovid.data.recolour import RecolourConfig
from harmovid.errors import OptionError
from harmovid.train.stages import Length, OnFootage, Sources, contact_sheet, gain_figures, psnr, tiles
from tests.train.tiny import HELD_OUT, PAIRED, TRAIN, preset, staged

pytestmark = pytest.mark.usefixtures("one_thread")


def shared(*lengths: Length) -> OnFootage:
    return OnFootage(preset(), TRAIN, HELD_OUT, lengths, CropConfig())


def test_lengths_come_by_their_shares():
    stage = shared(Length(1, 2, 3.0), Length(5, 1, 1.0))
    random = np.random.default_rng(0)
    frames = [stage.views(random).picture.shape[2] for _ in range(60)]
    assert set(frames) == {1, 5} and 0.55 < frames.count(1) / 60 < 0.92


def test_views_are_of_the_footage_that_is_asked_for():
    stage = shared(Length(1, 2, 1.0))
    first, second = (stage.views(np.random.default_rng(0), footage).picture for footage in (TRAIN, HELD_OUT))
    torch.testing.assert_close(stage.views(np.random.default_rng(0)).picture, first, rtol=0, atol=0)
    assert first.shape != second.shape or not torch.equal(first, second)


def test_held_out_clips_are_all_there_and_framed():
    found = list(shared(Length(1, 1, 1.0)).held_out(frames=9))
    assert [index for index, _ in found] == [0, 1]
    assert [views.picture.shape[2] for _, views in found] == [9, 1]


def test_misfits_are_of_the_light_stage_by_its_share():
    stage = OnFootage(preset(), staged(), staged(), (Length(1, 2, 1.0),), CropConfig())
    calm = MisfitConfig(RecolourConfig(share=0), DegradeConfig(untouched=1, shares=(0, 0, 0)), scene=0, recast=0,
                        placed=0, toned=0, fills=0)

    def moved(relit: float) -> list[bool]:
        """Whether the person's light is another; of real footage it is left as it is here."""
        sources = Sources(0.5, 0.5, 1 - relit, relit)  # there are no pairs
        batches = [stage.misfits(sources, calm, *stage.generators(n, 0)) for n in range(12)]
        moved = [bool((made.wrong - made.target).abs().max() > 0.1) for _, made in batches]
        assert all((source == "relit") or not changed for (source, _), changed in zip(batches, moved, strict=True))
        return moved

    assert not any(moved(0.0)) and sum(moved(1.0)) >= 10 and 2 <= sum(moved(0.5)) <= 10
    without = OnFootage(preset(), TRAIN, HELD_OUT, (Length(1, 2, 1.0),), CropConfig())
    source, made = without.misfits(Sources(relit=10.0), calm, *without.generators(0, 0))
    assert source == "misfit" and torch.equal(made.wrong, made.target)  # there is no light stage


def test_pairs_are_gone_both_ways_by_their_shares():
    stage = OnFootage(preset(), PAIRED, HELD_OUT, (Length(5, 2, 1.0),), CropConfig())
    found = [stage.misfits(Sources(2, 1, 0, 5), MisfitConfig(), *stage.generators(n, 0))[0] for n in range(30)]
    assert set(found) == {"real_to_synthetic", "synthetic_to_real"}
    assert 12 <= found.count("real_to_synthetic") <= 27
    assert {stage.misfits(Sources(), MisfitConfig(), *stage.generators(n, 0))[0] for n in range(20)} == {
        "real_to_synthetic", "synthetic_to_real", "misfit"}


@pytest.mark.parametrize("sources", [Sources(1, 1, 0, 1), Sources(1, 1, -1, 3)])
def test_shares_of_nothing_are_refused(sources):
    with pytest.raises(OptionError, match=r"stage\.sources gives misfit .* at least one of these a share above 0"):
        shared(Length(1, 2, 1.0)).misfits(sources, MisfitConfig(), *shared(Length(1, 2, 1.0)).generators(0, 0))


def test_held_out_pairs_are_framed_with_what_they_were_made_of():
    stage = OnFootage(preset(), TRAIN, PAIRED, (Length(1, 1, 1.0),), CropConfig())
    pairs = list(stage.held_out_pairs(5))
    assert len(pairs) == len(PAIRED.pairs) and pairs[0][0].picture.shape[2] == 5
    assert all(torch.equal(made.mask, filmed.mask) for made, filmed in pairs)


def test_held_out_people_of_the_light_stage_are_apart():
    stage = OnFootage(preset(), TRAIN, staged(), (Length(1, 1, 1.0),), CropConfig())
    assert [index for index, _ in stage.held_out(9)] == [0]
    pairs = list(stage.held_out_relit(9))
    assert len(pairs) == 2 and all(torch.equal(one.mask, other.mask) for one, other in pairs)
    assert all((one.picture - other.picture).abs().max() > 0.1 for one, other in pairs)


def test_figures_of_gains_by_band():
    figures = gain_figures([12, 16, 18, 25], [15, 17, 18, 24], [(0.5, 1.0), (1.0, 2.0)])
    assert figures["gain"] == pytest.approx(0.75) and figures["worse"] == 0.25 and figures["amplitude"] == 0.5
    assert (figures["gain_below_14"], figures["gain_14_to_19"], figures["gain_above_19"]) == (3, 0.5, -1)
    assert "gain_below_14" not in gain_figures([20], [21], [(1, 1)])


def test_psnr_is_of_the_mask_alone():
    truth, mask = torch.zeros(1, 3, 1, 4, 4), torch.zeros(1, 1, 1, 4, 4)
    mask[..., :2] = 1
    result = torch.where(mask > 0, 0.1, 0.9).expand_as(truth)
    assert psnr(result, truth, mask) == pytest.approx(20, abs=1e-4)


def test_a_sheet_holds_rows_of_any_size():
    rows = [tiles(torch.ones(1, 3, 3, 4, 6), torch.zeros(1, 3, 3, 4, 6)), tiles(torch.ones(1, 3, 1, 8, 2))]
    sheet = contact_sheet(rows)
    assert sheet.shape == (8, 24, 3) and (sheet[:4, :6] == 255).all() and (sheet[:4, 6:12] == 0).all()
    assert (sheet[:, 12:14] == 255).all() and (sheet[4:, :12] == 96).all()
