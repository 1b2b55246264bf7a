"""Blur and splines against closed forms."""

import cv2
import numpy as np
import pytest
import torch

from harmovid.light.smooth import blur, noise, path, spline_basis


def test_blur_agrees_with_opencv_away_from_the_border():
    picture = torch.rand(2, 3, 2, 40, 56, generator=torch.Generator().manual_seed(0))
    blurred = blur(picture, 2.0)
    for b, c, t in ((0, 0, 0), (1, 2, 1)):
        expected = cv2.GaussianBlur(picture[b, c, t].numpy(), (41, 41), 2.0)
        np.testing.assert_allclose(blurred[b, c, t].numpy()[12:-12, 12:-12], expected[12:-12, 12:-12], atol=1e-5)


def test_each_sample_has_its_own_width():
    picture = torch.rand(3, 1, 2, 16, 24, generator=torch.Generator().manual_seed(1))
    sigma = torch.tensor([0.05, 1.0, 500.0])
    blurred = blur(picture, sigma)
    torch.testing.assert_close(blurred[0], picture[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(blurred[1:2], blur(picture[1:2], 1.0), atol=1e-6, rtol=0)
    torch.testing.assert_close(blurred[2, 0, 0], picture[2, 0, 0].mean().expand(16, 24), atol=1e-3, rtol=0)


def test_a_flat_picture_stays_flat_up_to_the_border():
    torch.testing.assert_close(blur(torch.full((1, 1, 1, 9, 7), 0.3), 4.0), torch.full((1, 1, 1, 9, 7), 0.3))


@pytest.mark.parametrize(("size", "nodes"), [(1, 4), (2, 4), (17, 4), (50, 9), (5, 12)])
def test_spline_rows_have_unit_length_and_at_most_four_nodes(size, nodes):
    basis = spline_basis(size, nodes, torch.device("cpu"))
    assert basis.shape == (size, nodes) and (basis >= 0).all()
    torch.testing.assert_close(basis.norm(dim=1), torch.ones(size))
    assert ((basis > 0).sum(1) <= 4).all()


def test_one_point_is_the_middle_of_many():
    device = torch.device("cpu")
    torch.testing.assert_close(spline_basis(1, 6, device)[0], spline_basis(11, 6, device)[5])


def test_noise_has_unit_variance_everywhere_and_is_smooth():
    field = noise((4000, 1), (5, 8, 7), (4, 4, 5), torch.Generator().manual_seed(2))
    assert field.shape == (4000, 1, 5, 8, 7)
    assert (field.mean(0).abs() < 0.1).all() and ((field.std(0) - 1).abs() < 0.1).all()
    fine = noise((50, 1), (4, 4, 200), (4, 4, 4), torch.Generator().manual_seed(2))
    assert fine.diff(dim=-1).abs().max() < 0.05


def test_paths_repeat_by_seed_and_bend_slowly():
    first, again = (path(6, 85, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again) and first.shape == (6, 85)
    assert first.diff(dim=1).abs().max() < 0.4
    assert path(6, 1, torch.Generator().manual_seed(3)).shape == (6, 1)
