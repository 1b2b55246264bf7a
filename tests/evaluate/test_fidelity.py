import math
import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmovid.errors import InputError
from harmovid.evaluate.fidelity import (
    BackgroundExactness,
    SquaredError,
    Texture,
    background_exactness,
    psnr,
    rmse,
    texture,
    texture_window,
)


def noise(*shape, seed=0, low=0.0, high=1.0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def cloth(height=96, width=128, seed=0):
    """A picture with detail at all scales, in 0.2..0.8."""
    rng = np.random.default_rng(seed)
    scales = [cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (0, 0), s)
              for s in (0.7, 1.5, 4, 12)]
    picture = sum(scale / scale.std() for scale in scales)
    picture = (picture - picture.min()) / (picture.max() - picture.min())
    return np.repeat(0.2 + 0.6 * picture[..., None], 3, axis=2).astype(np.float32)


class TestSquaredError:
    @pytest.mark.parametrize("difference, decibels", [(1.0, 0.0), (0.1, 20.0), (0.01, 40.0)])
    def test_constant_difference(self, difference, decibels):
        truth = np.zeros((8, 9, 3), np.float32)
        assert psnr(truth + np.float32(difference), truth) == pytest.approx(decibels, abs=1e-5)
        assert rmse(truth + np.float32(difference), truth) == pytest.approx(difference, rel=1e-6)

    def test_opencv_agrees(self):
        a, b = noise(31, 17, 3), noise(31, 17, 3, seed=1)
        assert psnr(a, b) == pytest.approx(cv2.PSNR(a, b, 1.0), abs=1e-4)
        assert psnr(a * 255, b * 255, peak=255) == pytest.approx(cv2.PSNR(a * 255, b * 255, 255), abs=1e-4)

    def test_alpha_weighted_by_hand(self):
        truth = np.zeros((1, 3, 3), np.float32)
        result = np.array([[[0.1] * 3, [0.2] * 3, [0.9] * 3]], np.float32)
        alpha = np.array([[1.0, 0.5, 0.0]], np.float32)
        assert rmse(result, truth, alpha) ** 2 == pytest.approx((0.01 + 0.5 * 0.04) / 1.5, rel=1e-6)

    def test_background_has_no_say(self):
        truth, alpha = noise(16, 16, 3), np.zeros((16, 16), np.float32)
        alpha[4:9, 3:12] = 1
        result = truth + 0.05
        spoilt = np.where(alpha[..., None] > 0, result, noise(16, 16, 3, seed=3))
        assert psnr(spoilt, truth, alpha) == psnr(result, truth, alpha)
        cut = np.s_[4:9, 3:12]
        assert psnr(result, truth, alpha) == pytest.approx(psnr(result[cut], truth[cut]), abs=1e-5)

    def test_equal_is_infinite_and_nothing_is_nan(self):
        frame = noise(4, 4, 3)
        assert psnr(frame, frame) == math.inf and rmse(frame, frame) == 0
        assert math.isnan(psnr(frame, frame, np.zeros((4, 4), np.float32)))
        assert math.isnan(SquaredError().psnr()) and math.isnan(SquaredError().rmse)

    def test_one_perfect_frame_does_not_make_a_clip_infinite(self):
        truth = np.zeros((2, 4, 4, 3), np.float32)
        result = truth.copy()
        result[1] += 0.1
        assert psnr(result, truth) == pytest.approx(20 + 10 * math.log10(2), abs=1e-5)

    @settings(deadline=None, max_examples=40)
    @given(st.integers(0, 2**32 - 1), st.permutations(range(5)))
    def test_streamed_in_any_order_equals_pooled(self, seed, order):
        result, truth = noise(5, 6, 7, 3, seed=seed), noise(5, 6, 7, 3, seed=seed + 1)
        alpha = noise(5, 6, 7, seed=seed + 2)
        pooled = SquaredError()
        for t in order:
            pooled.add(result[t], truth[t], alpha[t])
        assert pooled.psnr() == pytest.approx(psnr(result, truth, alpha), abs=1e-9)
        wide = [v.astype(np.float64) for v in (result, truth, alpha)]
        mse = (wide[2][..., None] * (wide[0] - wide[1]) ** 2).sum() / (3 * wide[2].sum())
        assert pooled.mse == pytest.approx(mse, rel=1e-6)

    @pytest.mark.parametrize("result, truth, weight, words", [
        (np.zeros((4, 4, 3)), np.zeros((4, 5, 3)), None, "resize"),
        (np.zeros((4, 4)), np.zeros((4, 4)), None, "resize"),
        (np.zeros((4, 4, 3)), np.zeros((4, 4, 3)), np.zeros((4, 5)), "resize the mask"),
        (np.zeros((4, 4, 3)), np.zeros((4, 4, 3)), -np.ones((4, 4)), "never negative"),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8), None, "divide"),
        (np.full((4, 4, 3), np.nan), np.zeros((4, 4, 3)), None, "NaN"),
    ])
    def test_errors_say_what_to_do(self, result, truth, weight, words):
        with pytest.raises(InputError, match=words):
            psnr(result, truth, weight)

    def test_memory_stays_constant(self):
        def peak(frames):
            pooled, detail, kept = SquaredError(), Texture(), BackgroundExactness()
            a, b, alpha = noise(64, 64, 3), noise(64, 64, 3, seed=1), np.ones((64, 64), np.float32)
            alpha[:8] = 0
            tracemalloc.start()
            for _ in range(frames):
                for measure in (pooled, detail, kept):
                    measure.add(a, b, alpha)
            _, top = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            return top

        peak(2)
        assert peak(60) < peak(4) + 20_000


class TestTexture:
    def test_identical_is_one(self):
        picture = cloth()
        assert texture(picture, picture, np.ones(picture.shape[:2], np.float32)) == pytest.approx(1, abs=1e-6)

    @settings(deadline=None, max_examples=25)
    @given(st.floats(0.3, 1.2), st.floats(-0.04, 0.04))
    def test_gain_and_offset_do_not_count(self, gain, offset):
        picture = cloth()
        changed = (gain * picture + np.float32(offset)).astype(np.float32)
        assert texture(changed, picture, np.ones(picture.shape[:2], np.float32)) > 0.999

    def test_smooth_light_and_colour_do_not_count(self):
        picture = cloth(240, 320)
        fall = np.linspace(0.3, 1.1, 320, dtype=np.float32)[None, :, None]
        lit = picture * fall * np.array([1.0, 0.8, 0.6], np.float32) + 0.1 * fall[:, ::-1]
        assert texture(lit.astype(np.float32), picture, np.ones((240, 320), np.float32)) > 0.99

    def test_negative_is_minus_one_and_unrelated_is_zero(self):
        picture, alpha = cloth(), np.ones((96, 128), np.float32)
        assert texture(1 - picture, picture, alpha) == pytest.approx(-1, abs=1e-5)
        assert abs(texture(cloth(seed=7), picture, alpha)) < 0.1
        assert texture(np.full_like(picture, 0.5), picture, alpha) == pytest.approx(0, abs=0.05)

    def test_falls_as_detail_is_lost_or_moved(self):
        picture, alpha = cloth(), np.ones((96, 128), np.float32)
        blurred = [texture(cv2.GaussianBlur(picture, (0, 0), s), picture, alpha) for s in (0.5, 1, 2, 4)]
        moved = [texture(np.roll(picture, s, 1), picture, alpha) for s in (1, 2, 3)]
        assert 1 > blurred[0] > blurred[1] > blurred[2] > blurred[3]
        assert 0.95 > moved[0] > moved[1] > moved[2]

    def test_flat_noise_does_not_dominate(self):
        # Nine tenths of the picture are a wall with its own noise on both sides.
        clean, alpha = cloth(128, 320), np.ones((128, 320), np.float32)
        clean[:, 32:] = 0.5
        rng = np.random.default_rng(3)

        def noisy():
            return clean + rng.normal(0, 0.8 / 255, (128, 320, 1)).astype(np.float32)

        source, result = noisy(), noisy()
        assert texture(result, source, alpha) > 0.9
        assert texture(result, source, alpha, noise=1e-6) < 0.5  # what would be, without the floor

    def test_weak_texture_is_not_drowned_by_strong(self):
        # Half of it is skin of a quarter of the contrast; wiping it out costs about half, whether it
        # leaves nothing at all or noise of its own.
        picture, alpha = cloth(128, 256), np.ones((128, 256), np.float32)
        picture[:, 128:] = 0.5 + (picture[:, 128:] - 0.5) * np.float32(0.25)
        wiped = picture.copy()
        wiped[:, 128:] = 0.5
        assert 0.4 < texture(wiped, picture, alpha, noise=0.5 / 255) < 0.6
        wiped[:, 128:] += np.random.default_rng(1).normal(0, 1e-3, (128, 128, 1)).astype(np.float32)
        assert 0.4 < texture(wiped, picture, alpha, noise=0.5 / 255) < 0.6

    def test_background_takes_no_part(self):
        source, alpha = cloth(), np.zeros((96, 128), np.float32)
        alpha[20:70, 30:100] = 1
        other = np.where(alpha[..., None] > 0, source, noise(96, 128, 3))
        assert texture(other, source, alpha) == pytest.approx(1, abs=1e-6)
        assert texture(other, source, np.ones_like(alpha)) < 0.7

    def test_person_cut_by_the_frame_still_counts(self):
        source, alpha = cloth(), np.zeros((96, 128), np.float32)
        alpha[-9:] = 1  # thinner than twice the reach, but it goes on below the frame
        assert texture(source, source, alpha) == pytest.approx(1, abs=1e-6)

    def test_nothing_to_see_is_nan(self):
        flat, alpha = np.full((64, 64, 3), 0.5, np.float32), np.ones((64, 64), np.float32)
        assert math.isnan(texture(flat, flat, alpha))
        assert math.isnan(texture(cloth(), cloth(), np.zeros((96, 128), np.float32)))

    def test_clip_equals_the_equation_written_out(self):
        source = np.stack([cloth(40, 48, seed=s) for s in (1, 2)])
        result = (source + np.random.default_rng(0).normal(0, 0.03, source.shape)).astype(np.float32)
        alpha = np.ones((2, 40, 48), np.float32)
        alpha[0, 10:20, 10:20] = 0.5
        side, reach = 5, 4

        def box(plane):
            padded = np.pad(plane, side // 2, mode="reflect")
            return np.lib.stride_tricks.sliding_window_view(padded, (side, side)).mean(axis=(2, 3))

        sums = np.zeros(3)
        for t in range(2):
            found = []
            for picture in (result[t], source[t]):
                y = picture.astype(np.float64) @ [0.2126, 0.7152, 0.0722]
                d = y - box(y)
                found.append((d / (np.sqrt(box(d * d)) + 1e-5), box(d * d)))
            padded = np.pad(alpha[t] > 0.9, reach, constant_values=True)
            whole = np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1,) * 2).all(axis=(2, 3))
            (n_r, _), (n_s, var) = found
            w = whole * np.maximum(var - (1.5 / 255) ** 2, 0) / var
            sums += [(w * n_r * n_s).sum(), (w * n_r * n_r).sum(), (w * n_s * n_s).sum()]
        assert texture(result, source, alpha) == pytest.approx(sums[0] / max(sums[1:]), abs=1e-5)

    @pytest.mark.parametrize("height, side", [(64, 5), (480, 5), (720, 7), (1080, 11), (2160, 21)])
    def test_window_is_about_a_hundredth_of_the_height(self, height, side):
        assert texture_window(height) == side


class TestBackgroundExactness:
    def test_counts_pixels_and_the_largest_step(self):
        background = np.rint(noise(10, 10, 3) * 250).astype(np.float32) / 255
        alpha = np.zeros((10, 10), np.float32)
        alpha[5:] = 1
        result = background.copy()
        result[5:] = 0.3  # the foreground may be anything
        assert background_exactness(result, background, alpha).fraction == 1
        result[0, 0, 1] += 3 / 255
        result[1, 1] += 1 / 255
        found = background_exactness(result, background, alpha)
        assert found.fraction == pytest.approx(48 / 50) and found.pixels == 50
        assert found.max_difference == pytest.approx(3 / 255)

    def test_bits_say_how_fine_equal_is(self):
        background, alpha = np.full((4, 4, 3), 0.4, np.float32), np.zeros((4, 4), np.float32)
        near = background + np.float32(1 / 65535)
        assert background_exactness(near, background, alpha).max_difference == 0
        assert background_exactness(near, background, alpha, bits=16).fraction == 0

    def test_all_codes_of_16_bits_are_told_apart(self):
        codes = (np.arange(65535, dtype=np.float32) / 65535)[None, :, None].repeat(3, 2)
        above = (np.arange(1, 65536, dtype=np.float32) / 65535)[None, :, None].repeat(3, 2)
        alpha = np.zeros(codes.shape[:2], np.float32)
        assert background_exactness(codes, codes.copy(), alpha, 16).fraction == 1
        assert background_exactness(above, codes, alpha, 16).fraction == 0

    def test_light_above_white_is_compared_too(self):
        background, alpha = np.full((2, 2, 3), 2.0, np.float32), np.zeros((2, 2), np.float32)
        assert background_exactness(background * 2, background, alpha).fraction == 0

    def test_streaming_equals_whole_and_no_background_is_nan(self):
        result, background = noise(3, 8, 8, 3), noise(3, 8, 8, 3)
        result[1, :4] += 0.2
        alpha = (noise(3, 8, 8, seed=4) > 0.5).astype(np.float32)
        kept = BackgroundExactness()
        for t in (2, 0, 1):
            kept.add(result[t], background[t], alpha[t])
        assert kept.value == background_exactness(result, background, alpha)
        assert math.isnan(background_exactness(result, background, np.ones_like(alpha)).fraction)
