"""Blending in closed form, to the bit where that is promised."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harmovid.composite.blend import estimate_foreground, over
from harmovid.errors import InputError
from tests.figures import disc, psnr, texture

_unit = st.floats(0, 1, width=32)
_light = st.floats(-100, 10000, width=32)


@st.composite
def _layers(draw):
    size = draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))
    colour = hnp.arrays(np.float32, (*size, 3), elements=_light)
    return draw(colour), draw(colour), draw(hnp.arrays(np.float32, size, elements=_unit))


class TestOver:
    @given(_layers())
    @settings(deadline=None, max_examples=50)
    def test_equation(self, layers):
        f, b, alpha = layers
        a = alpha[..., None].astype(np.float64)
        np.testing.assert_allclose(over(f, b, alpha), a * f + (1 - a) * b, rtol=1e-5, atol=2e-3)

    @given(_layers())
    @settings(deadline=None, max_examples=50)
    def test_bits_at_0_and_1(self, layers):
        f, b, alpha = layers
        out = over(f, b, alpha)
        assert out[alpha == 0].tobytes() == b[alpha == 0].tobytes()
        assert out[alpha == 1].tobytes() == f[alpha == 1].tobytes()

    @given(_layers())
    @settings(deadline=None, max_examples=50)
    def test_between_the_two(self, layers):
        f, b, alpha = layers
        out, slack = over(f, b, alpha), 2e-3
        assert (out >= np.minimum(f, b) - slack).all() and (out <= np.maximum(f, b) + slack).all()

    @given(_layers())
    @settings(deadline=None, max_examples=50)
    def test_swap(self, layers):
        f, b, alpha = layers
        np.testing.assert_allclose(over(f, b, alpha), over(b, f, 1 - alpha), rtol=1e-5, atol=2e-3)

    def test_odd_values_pass_untouched(self):
        odd = np.array([[[-0.0, np.inf, np.nan]] * 3], np.float32)
        alpha = np.array([[0, 0.5, 1]], np.float32)
        plain = np.ones((1, 3, 3), np.float32)
        assert over(plain, odd, alpha)[0, 0].tobytes() == odd[0, 0].tobytes()
        assert over(odd, plain, alpha)[0, 2].tobytes() == odd[0, 2].tobytes()
        assert over(odd, plain, alpha)[0, 0].tolist() == [1, 1, 1]

    def test_inputs_are_left_alone_and_views_work(self):
        f, b = texture(40, 60, 1)[::-1, ::2], texture(40, 60, 2)[:, 1::2]
        alpha = disc(30, 40, 20, 15, 12, 9).T
        kept = [x.copy() for x in (f, b, alpha)]
        expected = alpha[..., None] * f + (1 - alpha[..., None]) * b
        np.testing.assert_allclose(over(f, b, alpha), expected, atol=1e-6)
        assert all((x == y).all() for x, y in zip(kept, (f, b, alpha), strict=True))

    def test_many_strips(self):
        f, b = np.full((301, 999, 3), 3, np.float32), np.ones((301, 999, 3), np.float32)
        alpha = disc(301, 999, 500, 150, 120, 60)
        np.testing.assert_allclose(over(f, b, alpha)[..., 1], 1 + 2 * alpha, atol=1e-6)

    def test_sizes_differ(self):
        with pytest.raises(InputError, match="4×3"):
            over(np.zeros((2, 4, 3)), np.zeros((2, 4, 3)), np.zeros((3, 4)))


class TestEstimateForeground:
    @pytest.mark.parametrize("foreground, background", [
        ((0.05, 0.03, 0.02), (0.9, 0.95, 1.0)),
        ((0.8, 0.5, 0.3), (0.01, 0.4, 0.02)),
        ((4.0, 3.0, 2.0), (0.2, 0.2, 20.0)),
        ((0.1, 0.1, 0.1), (0.1, 0.1, 0.1)),
    ])  # fmt: skip
    def test_constant_colours_come_back(self, foreground, background):
        alpha = disc(180, 240, 120, 90, 50, 30)
        f = np.broadcast_to(np.float32(foreground), (180, 240, 3))
        image = over(f, np.broadcast_to(np.float32(background), f.shape), alpha)
        error = np.abs(estimate_foreground(image, alpha) - f)
        assert error[alpha > 0.02].max() < 0.02 * max(*background, *foreground)

    @pytest.mark.parametrize("soft", [0, 20])
    def test_bits_where_alpha_is_1(self, soft):
        image, alpha = texture(120, 160) * 30 - 5, disc(120, 160, 80, 60, 40, soft or 1)
        alpha = alpha if soft else (alpha > 0.5).astype(np.float32)
        out = estimate_foreground(image, alpha)
        assert out[alpha == 1].tobytes() == image[alpha == 1].tobytes()
        assert np.isfinite(out).all()

    def test_wide_alpha_around_a_hard_mask_keeps_old_background_out(self):
        """The outer half of such an alpha lies on pure old background."""
        person = disc(240, 320, 160, 120, 70)
        alpha = disc(240, 320, 160, 120, 70, 24)
        f, b = texture(240, 320, 1) * (0.3, 0.2, 0.1), np.full((240, 320, 3), 1.0)
        out = estimate_foreground(over(f, b, person), alpha)
        band = (alpha > 0) & (alpha < 1)
        black = over(out, np.zeros_like(out), alpha)
        naive = over(over(f, b, person), np.zeros_like(out), alpha)
        assert black[band].max() < 0.25 < 0.4 < naive[band].max()
        # and pixels that are all person, though alpha says less, are not driven to black
        inner = band & (person == 1) & (alpha > 0.5)
        assert np.median(out[inner] / f[inner]) == pytest.approx(1, abs=0.15)

    def test_goes_on_outward_from_the_nearest_foreground(self):
        alpha = disc(160, 320, 60, 80, 30, 8) + disc(160, 320, 260, 80, 30, 8)
        f = np.zeros((160, 320, 3), np.float32)
        f[:, :160], f[:, 160:] = (0.6, 0.1, 0.1), (0.1, 0.1, 0.6)
        out = estimate_foreground(over(f, np.ones_like(f), alpha), alpha)
        outside = alpha == 0
        assert np.isfinite(out).all() and out.min() > 0.05 and out[outside].max() < 0.7
        assert out[80, 15, 0] > 1.5 * out[80, 15, 2] and out[80, 305, 2] > 1.5 * out[80, 305, 0]
        assert out[outside, 1].max() < 0.11  # neither has more green than this; the background has

    def test_a_lamp_behind_makes_no_dark_fringe(self):
        alpha = disc(240, 320, 160, 120, 70, 10)
        f, b = np.full((240, 320, 3), 0.3, np.float32), np.full((240, 320, 3), 0.2, np.float32)
        b[60:64, 235:239] = 5000
        out = estimate_foreground(over(f, b, alpha), alpha)
        assert out[alpha > 0.05].min() > 0.15

    def test_beats_the_image_itself_ontexture(self):
        rng = np.random.default_rng(3)
        alpha = disc(240, 320, 160, 120, 70, 30) * (0.3 + 0.7 * (rng.random((240, 320)) > 0.4))
        alpha = cv2.GaussianBlur(alpha.astype(np.float32), (0, 0), 0.8)
        alpha[disc(240, 320, 160, 120, 50) > 0] = 1
        f, b = texture(240, 320, 4) * 0.3, texture(240, 320, 5)
        image, band = over(f, b, alpha), (alpha > 0.1) & (alpha < 1)
        assert psnr(estimate_foreground(image, alpha)[band], f[band]) > psnr(image[band], f[band]) + 8

    @pytest.mark.parametrize("size", [(1, 1), (1, 9), (40, 17), (17, 17), (2, 300)])
    def test_tiny(self, size):
        alpha = np.random.default_rng(1).random(size, np.float32)
        out = estimate_foreground(np.random.default_rng(2).random((*size, 3), np.float32), alpha)
        assert out.shape == (*size, 3) and np.isfinite(out).all()

    def test_nothing_and_all(self):
        image = texture(30, 40)
        assert not estimate_foreground(image, np.zeros((30, 40), np.float32)).any()
        assert estimate_foreground(image, np.ones((30, 40), np.float32)).tobytes() == image.tobytes()

    def test_sizes_differ(self):
        with pytest.raises(InputError, match="one size"):
            estimate_foreground(np.zeros((2, 4, 3)), np.zeros((4, 2)))
