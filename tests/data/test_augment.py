"""Augmentation: exact where untouched, steady, repeatable, and of the strength it claims."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harmovid.composite import matte
from harmovid.data import augment
from harmovid.data.augment import DegradeConfig
from harmovid.light import lut
from harmovid.light.grade import linear_to_srgb

ALWAYS = DegradeConfig(untouched=0.0, shares=(0.0, 1.0, 0.0))


def _seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _clip(count: int = 2, frames: int = 3, size: int = 32, still: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """A person-like bright shape on a dark gradient, and its mask."""
    video = 0.2 + 0.5 * torch.rand(count, 3, 1 if still else frames, size, size, generator=_seeded(9))
    alpha = torch.zeros(count, 1, frames, size, size)
    alpha[..., size // 4:, size // 3: 2 * size // 3] = 1
    return video.expand(-1, -1, frames, -1, -1), alpha


def _error(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a - b).flatten(1).square().mean(1).sqrt()


def test_untouched_samples_are_exact_and_as_many_as_asked_for():
    video, alpha = _clip(200, 1, 8)
    degraded = augment.degrade_light(video, alpha, DegradeConfig(), _seeded())
    same = (degraded == video).flatten(1).all(1).float().mean()
    assert 0.05 < same < 0.2
    nothing = augment.degrade_light(video, alpha, DegradeConfig(untouched=1.0, shares=(0.0, 0.0, 0.0)), _seeded())
    assert torch.equal(nothing, video)


def test_stronger_shares_change_more():
    video, alpha = _clip(48, 1, 16)
    errors = [_error(augment.degrade_light(video, alpha, DegradeConfig(untouched=0.0, shares=shares), _seeded()),
                     video).median() for shares in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))]
    assert 0.01 < errors[0] < errors[1] < errors[2]


@pytest.mark.parametrize("size", [32, 64, 75])
def test_degraded_light_is_a_picture_of_the_same_shape(size):
    video, alpha = _clip(3, 5, size)
    degraded = augment.degrade_light(video, alpha, ALWAYS, _seeded(1))
    assert degraded.shape == video.shape and degraded.dtype == torch.float32
    assert degraded.isfinite().all() and degraded.min() >= 0 and degraded.max() <= 1


def test_tables_of_a_folder_are_worn(tmp_path):
    half = lut.Lut(lut.identity(9).table / 2)
    lut.write_cube(half, tmp_path / "half.cube")
    video, alpha = _clip(4)
    config = DegradeConfig(untouched=0, shares=(0, 0, 1), strengths=(1, 1, 1, 1), graded=1, shaded=0, darkest=0.001,
                           brightest=1.0, tables=str(tmp_path), worn=1.0)
    degraded = augment.degrade_light(video, alpha, config, _seeded())
    # Half of them have nothing else done to them.
    assert min((one - other / 2).abs().max() for one, other in zip(degraded, video, strict=True)) < 0.01
    assert not torch.equal(degraded, augment.degrade_light(video, alpha, replace(config, worn=0.0), _seeded()))


def test_a_seed_repeats():
    video, alpha = _clip()
    first, again, other = (augment.degrade_light(video, alpha, ALWAYS, _seeded(s)) for s in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_samples_do_not_know_of_each_other():
    video, alpha = _clip()
    changed, moved = video.clone(), alpha.clone()
    changed[0], moved[0] = 1 - changed[0], moved[0].flip(-1)
    first = augment.degrade_light(video, alpha, ALWAYS, _seeded(3))
    second = augment.degrade_light(changed, moved, ALWAYS, _seeded(3))
    torch.testing.assert_close(first[1], second[1], atol=1e-6, rtol=0)
    assert not torch.allclose(first[0], second[0])


def test_light_stands_still_or_moves_slowly():
    video, alpha = _clip(8, 9, 16, still=True)
    still, moving = (augment.degrade_light(video, alpha, DegradeConfig(0.0, (0.0, 1.0, 0.0), moving=share), _seeded(5))
                     for share in (0.0, 1.0))
    torch.testing.assert_close(still, still[:, :, :1].expand_as(still), atol=1e-5, rtol=0)
    assert (moving[:, :, 0] - moving[:, :, -1]).abs().amax((1, 2, 3)).median() > 0.02
    assert moving.diff(dim=2).abs().mean((1, 3, 4)).max() < 0.1


def test_exposure_leaves_the_person_visible():
    video, alpha = _clip(80, 1, 16)
    degraded = augment.degrade_light(video, alpha, DegradeConfig(0.0, (0.0, 0.0, 1.0)), _seeded(6))
    mean = (degraded * alpha).sum((1, 2, 3, 4)) / (3 * alpha.sum((1, 2, 3, 4)))
    assert ((mean > 0.08) & (mean < 0.92)).float().mean() > 0.95


def test_exposure_is_held_where_it_would_drown_the_person_in_black_or_white():
    video, alpha = _clip(5, 1, 16)
    video = torch.full_like(video, float(linear_to_srgb(torch.tensor(0.2))))
    config = DegradeConfig(darkest=0.05, brightest=0.6)
    stops = torch.tensor([-4.0, -1.0, 0.0, 1.0, 4.0]).mul(np.log(2))
    light = stops[:, None, None, None, None].expand(5, 3, 1, 1, 1)
    held = (stops + augment._held(light, video, alpha, config).flatten()).exp() * 0.2
    torch.testing.assert_close(held, torch.tensor([0.05, 0.1, 0.2, 0.4, 0.6]), atol=0.003, rtol=0)
    # Who is darker than that as filmed does not come out brighter.
    dim = augment._held(light, torch.full_like(video, float(linear_to_srgb(torch.tensor(0.02)))), alpha, config)
    torch.testing.assert_close((stops + dim.flatten()).exp()[:3], torch.ones(3), atol=0.1, rtol=0)


def test_a_scene_is_graded_as_one():
    video, _ = _clip(8, 3, 16)
    plate, overview = video[:, :, :1], video[..., :8, :8]
    graded = augment.grade_scene([video, plate, overview], _seeded(7), drifting=0.0)
    assert [g.shape for g in graded] == [video.shape, plate.shape, overview.shape]
    torch.testing.assert_close(graded[0][:, :, :1], graded[1], atol=1e-6, rtol=0)
    torch.testing.assert_close(graded[0][..., :8, :8], graded[2], atol=1e-6, rtol=0)
    assert not torch.allclose(graded[0], video)
    assert all(g.min() >= 0 and g.max() <= 1 for g in graded)


def test_some_scenes_stay_and_some_drift():
    video, _ = _clip(100, 5, 8, still=True)
    graded, = augment.grade_scene([video], _seeded(8), untouched=0.3, drifting=0.5)
    same = (graded == video).flatten(1).all(1)
    assert 0.15 < same.float().mean() < 0.45
    drifts = (graded[:, :, 0] - graded[:, :, -1]).abs().amax((1, 2, 3)) > 1e-3
    assert 0.2 < drifts[~same].float().mean() < 0.75 and not drifts[same].any()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 8), st.booleans())
def test_pseudo_alpha_is_that_of_the_compositor(seed, width, scattered):
    generator = _seeded(seed)
    mask = torch.rand(2, 1, 2, 19, 14, generator=generator)
    mask = mask if scattered else torch.nn.functional.avg_pool3d(mask, (1, 5, 5), 1, (0, 2, 2))
    soft = augment.pseudo_alpha(mask, width)
    for b in range(2):
        for t in range(2):
            expected = matte.pseudo_alpha(mask[b, 0, t].numpy(), width)
            np.testing.assert_allclose(soft[b, 0, t].numpy(), expected, atol=1e-5)


def test_each_sample_may_have_its_own_edge():
    _, mask = _clip(3)
    soft = augment.pseudo_alpha(mask, torch.tensor([0.0, 2.0, 5.0]))
    assert torch.equal(soft[0], mask[0])
    for k, width in ((1, 2.0), (2, 5.0)):
        torch.testing.assert_close(soft[k:k + 1], augment.pseudo_alpha(mask[k:k + 1], width))


def test_binary_cuts_at_half():
    assert augment.binary(torch.tensor([0.0, 0.49, 0.5, 1.0])).tolist() == [0, 0, 1, 1]


def test_disturbed_masks_stay_near_the_mask():
    _, mask = _clip(64, 5, 64)
    worse = augment.disturb_mask(mask, _seeded(10), untouched=0.4)
    assert set(worse.unique().tolist()) <= {0.0, 1.0}
    changed = (worse - mask).abs().flatten(1).mean(1) / mask.flatten(1).mean(1)
    assert 0.25 < (changed == 0).float().mean() < 0.75
    assert 0.02 < changed.max() < 0.4 and changed.median() < 0.05


def test_an_edge_moves_by_3_percent_of_the_height_at_most():
    mask = torch.zeros(200, 1, 1, 100, 100)
    mask[..., :50] = 1
    worse = augment.disturb_mask(mask, _seeded(11), untouched=0.0)
    # Beside the 3%: half a block of up to 3.5%, and holes, which are inside.
    assert not worse[..., 56:].any()
    widths = worse.mean((1, 2, 3, 4))
    assert (widths > 0.5).any() and (widths < 0.5).any()


def test_undisturbed_masks_keep_their_soft_edge():
    mask = torch.rand(4, 1, 2, 16, 16, generator=_seeded(12))
    assert torch.equal(augment.disturb_mask(mask, _seeded(), untouched=1.0), mask)


def test_an_empty_and_a_full_mask_bear_it():
    for value in (0.0, 1.0):
        mask = torch.full((32, 1, 2, 24, 24), value)
        assert (augment.disturb_mask(mask, _seeded(13)) - mask).abs().mean() < 0.05
        assert torch.equal(augment.pseudo_alpha(mask, 3.0), mask)
