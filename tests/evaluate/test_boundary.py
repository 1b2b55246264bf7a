import math

import cv2
import numpy as np
import pytest

from harmovid.errors import InputError
from harmovid.evaluate.boundary import BoundarySharpness, band_reach, boundary_sharpness, edge_band
from tests import figures


def grey(luma):
    return np.repeat(np.asarray(luma, np.float32)[..., None], 3, axis=-1)


def half(height=40, width=60):
    """An alpha whose outline is the line between columns width // 2 − 1 and width // 2."""
    alpha = np.zeros((height, width), np.float32)
    alpha[:, width // 2:] = 1
    return alpha


@pytest.mark.parametrize("height, reach", [(64, 2), (200, 2), (480, 5), (720, 7), (2160, 22)])
def test_the_band_reaches_a_hundredth_of_the_height(height, reach):
    assert band_reach(height) == reach
    band = edge_band(half(height, 100))
    assert band.dtype == bool and band.all(axis=0)[50 - reach:50 + reach].all()
    assert band.sum() == 2 * reach * height


def test_the_frame_that_cuts_a_person_is_no_edge():
    assert not edge_band(np.ones((40, 40), np.float32)).any()
    assert not edge_band(np.zeros((40, 40), np.float32)).any()


def test_the_band_of_a_disc_is_a_ring():
    alpha = figures.disc(240, 240, 120, 120, 60)
    rows, columns = np.nonzero(edge_band(alpha))
    distance = np.hypot(rows - 120, columns - 120)
    assert distance.min() > 60 - 3.6 and distance.max() < 60 + 3.6 and len(rows) > 0.8 * 2 * math.pi * 60 * 4


def test_tenengrad_of_a_ramp():
    # A ramp of s codes a pixel: Sobel gives 8 s. Its Laplacian is 0.
    ramp = grey(np.broadcast_to(0.1 + np.arange(60) / 255, (40, 60)))
    found = boundary_sharpness(ramp, grey(0.1 + 2 * (ramp[..., 0] - 0.1)), half())
    assert found.result.tenengrad == pytest.approx(64, rel=1e-3)
    assert found.result.laplacian_variance == pytest.approx(0, abs=1e-6)
    assert found.real.tenengrad == pytest.approx(4 * 64, rel=1e-3) and found.tenengrad_ratio == pytest.approx(1 / 4)


def test_both_of_a_step():
    # A step of 100 codes at the outline: in a band of 4 columns, L is 0, 100, −100, 0 and G is 0, 400, 400, 0.
    step = grey(0.2 + half() * np.float32(100 / 255))
    found = boundary_sharpness(step, step, half())
    assert found.result.laplacian_variance == pytest.approx(100**2 / 2, rel=1e-4)
    assert found.result.tenengrad == pytest.approx(400**2 / 2, rel=1e-4)


def test_luma_weights_the_colours():
    only_green = np.zeros((40, 60, 3), np.float32)
    only_green[..., 1] = half() * 0.5
    step = grey(half() * np.float32(0.5 * 0.7152))
    assert boundary_sharpness(only_green, step, half()).tenengrad_ratio == pytest.approx(1, rel=1e-5)


def test_identical_is_one_and_softer_is_less_and_harder_is_more():
    film = figures.film((128, 128), 1)
    real, alpha = film.frames[0], film.alpha[0]
    same = boundary_sharpness(real, real.copy(), alpha)
    assert (same.laplacian_ratio, same.tenengrad_ratio) == (1, 1) and same.result == same.real
    softer = [boundary_sharpness(cv2.GaussianBlur(real, (0, 0), s), real, alpha) for s in (0.5, 1, 2)]
    for ratios in ([f.laplacian_ratio for f in softer], [f.tenengrad_ratio for f in softer]):
        assert 1 > ratios[0] > ratios[1] > ratios[2]
    harder = boundary_sharpness(real + (real - cv2.GaussianBlur(real, (0, 0), 1)), real, alpha)
    assert harder.laplacian_ratio > 1.5 and harder.tenengrad_ratio > 1.2


def test_only_the_band_counts():
    film = figures.film((128, 128), 1)
    real, alpha = film.frames[0], film.alpha[0]
    near = cv2.dilate(edge_band(alpha).astype(np.uint8), np.ones((3, 3))) > 0  # what the filters look at
    spoilt = np.where(near[..., None], real, np.random.default_rng(0).random(real.shape, np.float32))
    assert boundary_sharpness(spoilt, real, alpha).tenengrad_ratio == 1


def test_near_the_frame_is_as_of_the_whole_picture():
    # The working cut around the person must not show, wherever the person is.
    real = figures.texture(60, 80)
    for place in (np.s_[0:20, 0:30], np.s_[40:60, 50:80], np.s_[25:45, 30:50], np.s_[3:58, 2:79]):
        alpha = np.zeros((60, 80), np.float32)
        alpha[place] = 1
        luma = real @ np.array([0.2126, 0.7152, 0.0722], np.float32) * 255
        band = edge_band(alpha)
        expected = sum(np.square(cv2.Sobel(luma, cv2.CV_32F, *order))[band] for order in ((1, 0), (0, 1))).mean()
        found = boundary_sharpness(real, real, alpha).result
        assert found.tenengrad == pytest.approx(float(expected), rel=1e-4)
        assert found.laplacian_variance == pytest.approx(float(cv2.Laplacian(luma, cv2.CV_32F)[band].var()), rel=1e-3)


def test_a_clip_is_pooled_and_an_empty_frame_leaves_it():
    film = figures.film((96, 72), 3, step=(4, 0))
    real, alpha = film.frames, film.alpha.copy()
    alpha[1] = 0
    sharpness = BoundarySharpness()
    for frames in zip(real[::2], real[::2], alpha[::2], strict=True):
        sharpness.add(*frames)
    assert boundary_sharpness(real, real, alpha) == sharpness.value


def test_nothing_to_see_is_nan():
    flat = grey(np.full((20, 20), 0.5))
    none = boundary_sharpness(flat, flat, np.zeros((20, 20), np.float32))
    assert all(map(math.isnan, (none.result.tenengrad, none.real.laplacian_variance, none.tenengrad_ratio)))
    without = boundary_sharpness(flat, flat, half(20, 20))
    assert without.result.tenengrad == 0 and math.isnan(without.tenengrad_ratio)


def test_errors_say_what_to_do():
    frame = np.zeros((8, 8, 3), np.float32)
    with pytest.raises(InputError, match="resize the mask"):
        boundary_sharpness(frame, frame, np.zeros((8, 9), np.float32))
    with pytest.raises(InputError, match="one frame at a time"):
        BoundarySharpness().add(frame[None], frame[None], np.zeros((1, 8, 8), np.float32))
