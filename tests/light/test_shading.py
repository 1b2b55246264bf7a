"""Shading of a ball and a flat card, where it is known which side is lit."""

import pytest
import torch

from harmovid.light import shading
from harmovid.light.grade import luma
from harmovid.light.shading import Lights

SIZE = 48


def _scene(count: int = 1, frames: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """A grey card and a disk of half its height as the mask."""
    y, x = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
    disk = (torch.hypot(x - SIZE / 2, y - SIZE / 2) < SIZE / 4).float()
    return torch.full((count, 3, frames, SIZE, SIZE), 0.5), disk.expand(count, 1, frames, SIZE, SIZE)


def _lights(x: float = 1.0, y: float = 0.0, z: float = 0.0, count: int = 1, **changes: torch.Tensor) -> Lights:
    """One white lamp towards (x, y, z)."""
    one, none = torch.ones(count, 1), torch.zeros(count, 1)
    values = dict(
        direction=torch.tensor([x, y, z]).expand(count, 1, 1, 3), colour=torch.ones(count, 1, 1, 3),
        ambient=torch.full((count, 1, 3), 0.2), wrap=torch.full((count, 1, 1), 0.2), rim=none[..., None],
        strength=one, depth=torch.ones(count, 1, 3), relief=none, slope=torch.zeros(count, 1, 2, 3), flatten=none,
        shade=none, waves=torch.ones(count, 1, 2, 2), phase=torch.zeros(count, 1, 2), edge=one)
    return Lights(**{**values, **changes})


def _halves(field: torch.Tensor, alpha: torch.Tensor) -> tuple[float, float]:
    """Mean luminance part over the disk's left and right half."""
    inside = alpha[0, 0, 0] > 0
    grey = luma(field)[0, 0, 0]
    left, right = inside.clone(), inside.clone()
    left[:, SIZE // 2:], right[:, :SIZE // 2] = False, False
    return float(grey[left].mean()), float(grey[right].mean())


def test_no_light_is_no_gain():
    picture, alpha = _scene()
    field = shading.log_gain(_lights(strength=torch.zeros(1, 1)), picture, alpha)
    assert field.shape == picture.shape and not field.any()


def test_normals_point_outwards_and_have_unit_length():
    picture, alpha = _scene()
    normal = shading.normals(luma(picture), alpha, torch.ones(1, 1, 3), torch.zeros(1, 1))
    torch.testing.assert_close(normal.norm(dim=1), torch.ones(1, 1, SIZE, SIZE))
    middle, edge = SIZE // 2, SIZE // 4
    assert normal[0, 0, 0, middle, middle + edge] > 0.3 and normal[0, 0, 0, middle, middle - edge] < -0.3
    assert normal[0, 1, 0, middle + edge, middle] > 0.3
    assert normal[0, 2, 0, middle, middle] > 0.95


def test_relief_stands_out_where_the_picture_is_bright():
    picture, alpha = _scene()
    picture[..., 22:26, 22:26] = 1.0
    normal = shading.normals(luma(picture), alpha, torch.zeros(1, 1, 3), torch.full((1, 1), 0.2))
    assert normal[0, 0, 0, 24, 26] > 0.05 and normal[0, 0, 0, 24, 21] < -0.05


def test_the_lit_side_is_the_lamps():
    picture, alpha = _scene()
    left, right = _halves(shading.log_gain(_lights(1.0), picture, alpha), alpha)
    assert right > left + 0.3
    mirrored = _halves(shading.log_gain(_lights(-1.0), picture, alpha), alpha)
    torch.testing.assert_close(mirrored, (right, left), atol=1e-4, rtol=0)


def test_the_gain_is_centred_on_the_person():
    picture, alpha = _scene(frames=3)
    lights = _lights(slope=torch.full((1, 1, 2, 3), 0.7), shade=torch.full((1, 1), -0.5))
    field = luma(shading.log_gain(lights, picture, alpha))
    assert abs(float((field * alpha).sum() / alpha.sum())) < 1e-3


def test_strength_scales_the_logarithm():
    picture, alpha = _scene()
    once = shading.log_gain(_lights(), picture, alpha)
    half = shading.log_gain(_lights(strength=torch.full((1, 1), 0.5)), picture, alpha)
    torch.testing.assert_close(half, once / 2, atol=1e-5, rtol=0)


def test_a_white_lamp_gives_no_tint_and_a_red_one_does():
    picture, alpha = _scene()
    white = shading.log_gain(_lights(), picture, alpha)
    torch.testing.assert_close(white, white[:, :1].expand_as(white))
    red = shading.log_gain(_lights(colour=torch.tensor([1.0, 0.3, 0.3]).expand(1, 1, 1, 3)), picture, alpha)
    tint = red[:, :1] - red[:, 1:2]
    left, right = _halves(tint.expand(-1, 3, -1, -1, -1), alpha)
    assert right > left + 0.1


def test_a_lamp_behind_lights_the_silhouette_only():
    picture, alpha = _scene()
    field = shading.log_gain(_lights(0.8, 0.0, -0.6, wrap=torch.zeros(1, 1, 1), rim=torch.full((1, 1, 1), 4.0)),
                             picture, alpha)[0, 0, 0, SIZE // 2]
    edge = SIZE // 4
    assert field[SIZE // 2 + edge - 1] > field[SIZE // 2] + 0.5
    assert abs(field[SIZE // 2 - edge + 1] - field[SIZE // 2]) < 0.1


def test_the_slope_is_what_it_says():
    picture, alpha = _scene()
    slope = torch.zeros(1, 1, 2, 3)
    slope[:, :, 1] = 0.8
    field = shading.log_gain(_lights(strength=torch.zeros(1, 1), slope=slope), picture, alpha)
    torch.testing.assert_close(field[..., -1, :] - field[..., 0, :], torch.full((1, 3, 1, SIZE), 0.8))


def test_flattening_takes_large_light_away_and_leaves_detail():
    picture, alpha = _scene()
    alpha = torch.ones_like(alpha)
    picture = picture * torch.linspace(0.4, 1.6, SIZE)
    large = shading.large_light(luma(picture), alpha)
    assert large[..., -8].mean() > large[..., 8].mean() + 0.8
    unlit = _lights(strength=torch.zeros(1, 1), flatten=torch.ones(1, 1))
    gain = luma(shading.log_gain(unlit, picture, alpha))
    assert gain[..., 8].mean() > gain[..., -8].mean() + 0.8 and abs(gain.mean()) < 0.01
    fine = 0.5 + 0.3 * (torch.arange(SIZE) % 2).expand(1, 3, 1, SIZE, SIZE)
    assert shading.large_light(luma(fine), alpha).std() < 0.02


def test_the_pattern_repeats_with_its_wave_and_moves_with_its_phase():
    across = torch.linspace(0, 1, 65)
    waves = torch.tensor([[1.0, 0.0], [0.0, 0.0]]).expand(1, 1, 2, 2)
    still = shading.pattern(_lights(waves=waves), across, across)
    torch.testing.assert_close(still[..., 0], still[..., 64], atol=1e-5, rtol=0)
    moved = shading.pattern(_lights(waves=waves, phase=torch.tensor([[[0.25, 0.0]]])), across, across)
    torch.testing.assert_close(moved[..., :49], still[..., 16:], atol=1e-5, rtol=0)
    assert 0 < still.min() and still.max() < 1


def test_the_dark_of_the_pattern_is_as_dark_as_it_says():
    picture, alpha = _scene()
    lights = _lights(strength=torch.zeros(1, 1), shade=torch.full((1, 1), -1.2), edge=torch.full((1, 1), 30.0))
    places = torch.linspace(-0.5, 0.5, SIZE)
    bright = shading.pattern(lights, places, places)[0, 0, 0]
    field = shading.log_gain(lights, picture, alpha)[0, :, 0]
    lit, shaded = field[:, bright > 0.99], field[:, bright < 0.01]
    assert lit.shape[1] > 50 and shaded.shape[1] > 50
    assert float(lit.mean() - shaded.mean()) == pytest.approx(1.2, abs=0.02)


def test_samples_do_not_know_of_each_other_and_stillness_is_still():
    picture, alpha = _scene(2, 3)
    direction = torch.tensor([[1.0, 0.0, 0.0], [0.0, -0.8, 0.6]]).reshape(2, 1, 1, 3)
    both = shading.log_gain(_lights(count=2, direction=direction), picture, alpha)
    alone = shading.log_gain(_lights(0.0, -0.8, 0.6), picture[1:], alpha[1:])
    torch.testing.assert_close(both[1:], alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(both[:, :, :1].expand_as(both), both, atol=1e-5, rtol=0)


def test_an_empty_mask_and_a_black_picture_stay_finite():
    picture, alpha = _scene()
    lights = _lights(flatten=torch.ones(1, 1), relief=torch.ones(1, 1), rim=torch.full((1, 1, 1), 4.0))
    field = shading.log_gain(lights, picture * 0, alpha * 0)
    assert field.isfinite().all() and field.abs().max() <= 4
