"""Alpha pictures against closed forms and invariants."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harmovid.composite import matte
from harmovid.composite.matte import Refine
from harmovid.errors import InputError, OptionError

_SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)
_MASKS = hnp.arrays(np.bool_, _SHAPES).map(lambda m: m.astype(np.float32))
_ALPHAS = hnp.arrays(np.float32, _SHAPES, elements=st.floats(0, 1, width=32))
_WIDTHS = st.one_of(st.floats(0, 60), st.sampled_from([1e-300, 1e-9, 0.1, 1e4, 1e12, 1e300]))


def _disk(height: int, width: int, radius: float, softness: float = 0.0) -> np.ndarray:
    y, x = np.mgrid[:height, :width] + 0.5
    inside = radius - np.hypot(x - width / 2, y - height / 2)
    if softness:
        return np.clip(inside / softness + 0.5, 0, 1).astype(np.float32)
    return (inside >= 0).astype(np.float32)


def _smoothstep(u: np.ndarray) -> np.ndarray:
    u = np.clip(u, 0, 1)
    return u * u * (3 - 2 * u)


class TestPseudoAlpha:
    @settings(max_examples=150, deadline=None)
    @given(_MASKS, _WIDTHS)
    def test_the_edge_stays_where_it_is(self, mask: np.ndarray, width: float) -> None:
        alpha = matte.pseudo_alpha(mask, width)
        assert alpha.dtype == np.float32 and alpha.shape == mask.shape
        assert alpha.min() >= 0 and alpha.max() <= 1
        assert np.array_equal(matte.binary(alpha), matte.binary(mask))

    @settings(max_examples=40, deadline=None)
    @given(_ALPHAS, st.floats(0, 20))
    def test_depends_on_the_binary_mask_only(self, alpha: np.ndarray, width: float) -> None:
        assert np.array_equal(matte.pseudo_alpha(alpha, width), matte.pseudo_alpha(matte.binary(alpha), width))

    @settings(max_examples=60, deadline=None)
    @given(_MASKS, st.floats(0.5, 20))
    def test_agrees_with_distances_taken_one_by_one(self, mask: np.ndarray, width: float) -> None:
        inside = mask >= 0.5
        if inside.all() or not inside.any():
            assert np.array_equal(matte.pseudo_alpha(mask, width), mask)
            return
        y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
        points = np.stack([y.ravel(), x.ravel()], 1)

        def nearest(kind: np.ndarray) -> np.ndarray:
            there = points[kind.ravel()]
            return np.sqrt(((points[:, None] - there[None]) ** 2).sum(2).min(1)).reshape(mask.shape)

        distance = np.where(inside, nearest(~inside) - 0.5, 0.5 - nearest(inside))
        np.testing.assert_allclose(matte.pseudo_alpha(mask, width), _smoothstep(distance / width + 0.5), atol=1e-5)

    @pytest.mark.parametrize("width", [1.0, 4.0, 7.5, 40.0, 150.0])
    @pytest.mark.parametrize("turned", [False, True])
    def test_half_plane(self, width: float, turned: bool) -> None:
        """Larger than a tile, cut off by three borders, which must leave no trace."""
        mask = np.zeros((210, 330), np.float32)
        mask[:, 170:] = 1
        want = np.broadcast_to(_smoothstep((np.arange(330) + 0.5 - 170) / width + 0.5), mask.shape)
        got = matte.pseudo_alpha(mask.T if turned else mask, width)
        np.testing.assert_allclose(got.T if turned else got, want, atol=1e-5)

    @pytest.mark.parametrize("width", [6.0, 24.0])
    def test_disk(self, width: float) -> None:
        """The pixel grid leaves the boundary of a disk uncertain by less than half a pixel's diagonal."""
        y, x = np.mgrid[:200, :240] + 0.5
        inside = 70 - np.hypot(x - 120, y - 100)
        got = matte.pseudo_alpha((inside >= 0).astype(np.float32), width)
        steepest = 1.5 / width
        assert np.abs(got - _smoothstep(inside / width + 0.5)).max() < 0.75 * steepest
        assert abs(float(got.sum()) / (np.pi * 70**2) - 1) < 0.01

    def test_nothing_happens_far_from_the_boundary_or_without_one(self) -> None:
        disk = _disk(300, 300, 100)
        changed = matte.pseudo_alpha(disk, 10) != disk
        y, x = np.mgrid[:300, :300] + 0.5
        assert not changed[np.abs(100 - np.hypot(x - 150, y - 150)) > 6].any()
        for flat in (np.zeros((9, 500), np.float32), np.ones((500, 9), np.float32)):
            assert np.array_equal(matte.pseudo_alpha(flat, 12), flat)

    def test_quick_at_full_size(self) -> None:
        mask = _disk(1080, 1920, 400)
        matte.pseudo_alpha(mask, 12)
        times = []
        for _ in range(5):
            start = time.process_time()
            matte.pseudo_alpha(mask, 12)
            times.append(time.process_time() - start)
        assert min(times) < 0.2  # some 15 ms; a shared machine gets room

    @pytest.mark.parametrize("width", [-1.0, float("nan"), float("inf")])
    def test_refuses_no_width(self, width: float) -> None:
        with pytest.raises(OptionError, match="width"):
            matte.pseudo_alpha(np.ones((4, 4), np.float32), width)

    def test_refuses_no_alpha_picture(self) -> None:
        with pytest.raises(InputError, match="shape"):
            matte.pseudo_alpha(np.ones((4, 4, 1), np.float32), 3)


class TestIsSoft:
    @pytest.mark.parametrize("height", [240, 480, 1080])
    def test_blurred_and_resized_cuts_are_hard(self, height: int) -> None:
        hard = _disk(height, height * 16 // 9, height / 3)
        assert not matte.is_soft(hard)
        for sigma in (0.6, 1.0, 1.2):
            assert not matte.is_soft(cv2.GaussianBlur(hard, (0, 0), sigma))
        twice = cv2.resize(hard, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        assert not matte.is_soft(np.clip(twice, 0, 1))

    @pytest.mark.parametrize("height", [240, 480, 1080])
    def test_mattes_are_soft(self, height: int) -> None:
        wide = 0.02 * height + 4
        assert matte.is_soft(_disk(height, height * 16 // 9, height / 3, softness=wide))
        rng = np.random.default_rng(3)
        hair = _disk(height, height, height / 4)
        for angle in rng.uniform(0, 2 * np.pi, 500):  # strands with gaps between them
            start = height / 2 + height / 4 * np.array([np.cos(angle), np.sin(angle)])
            end = start + 0.07 * height * np.array([np.cos(angle + 0.3), np.sin(angle + 0.3)])
            strand = cv2.line(np.zeros_like(hair), start.astype(int).tolist(), end.astype(int).tolist(), 0.4, 1)
            hair = np.maximum(hair, strand)
        assert matte.is_soft(cv2.GaussianBlur(hair, (0, 0), 0.8))

    @pytest.mark.parametrize("height", [720, 1080])
    def test_a_sharp_matte_with_motion_blur_is_soft(self, height: int) -> None:
        sharp = cv2.GaussianBlur(_disk(height, height, height / 4), (0, 0), 0.8)
        assert not matte.is_soft(sharp)
        blurred = cv2.blur(sharp, (height // 26, 1))
        blurred[:, : height // 2] = sharp[:, : height // 2]
        blurred[: height // 2] = sharp[: height // 2]  # one shoulder
        assert matte.is_soft(blurred)

    def test_the_frame_border_does_not_count(self) -> None:
        half = np.zeros((300, 400), np.float32)
        half[:, :200] = 1
        assert not matte.is_soft(half)
        for flat in (np.zeros((50, 60), np.float32), np.full((50, 60), 0.7, np.float32)):
            assert not matte.is_soft(flat)


class TestRefine:
    @settings(max_examples=60, deadline=None)
    @given(_ALPHAS)
    def test_nothing_asked_is_nothing_done(self, alpha: np.ndarray) -> None:
        result = matte.refine(alpha, Refine())
        assert np.array_equal(result, alpha) and result is not alpha

    @settings(max_examples=100, deadline=None)
    @given(_ALPHAS, st.floats(-6, 6), st.floats(0, 4), st.floats(0, 0.9))
    def test_stays_an_alpha(self, alpha: np.ndarray, shrink: float, soften: float, despeckle: float) -> None:
        before = alpha.copy()
        result = matte.refine(alpha, Refine(shrink, soften, despeckle))
        assert result.shape == alpha.shape and result.dtype == np.float32
        assert result.min() >= 0 and result.max() <= 1
        assert np.array_equal(alpha, before)

    @settings(max_examples=60, deadline=None)
    @given(_ALPHAS, st.floats(0.01, 6))
    def test_shrinking_and_growing_mirror_each_other(self, alpha: np.ndarray, pixels: float) -> None:
        shrunk = matte.refine(alpha, Refine(shrink=pixels))
        assert (shrunk <= alpha).all()
        grown = matte.refine(np.float32(1) - alpha, Refine(shrink=-pixels))
        np.testing.assert_allclose(grown, 1 - shrunk, atol=1e-6)

    @pytest.mark.parametrize("pixels", [-5.0, -1.5, -0.25, 0.25, 1.0, 2.75, 6.0])
    def test_a_soft_edge_moves_and_keeps_its_profile(self, pixels: float) -> None:
        """A straight ramp 16 pixels wide: linear, so fractions of a pixel are exact too."""
        x = np.arange(120) + 0.5

        def ramp(edge: float) -> np.ndarray:
            return np.tile(np.clip((x - edge) / 16 + 0.5, 0, 1).astype(np.float32), (40, 1))

        got = matte.refine(ramp(60), Refine(shrink=pixels))
        within = np.abs(x - 60 - pixels) < 7  # at the ramp's two corners a fraction mixes its neighbours
        np.testing.assert_allclose(got[:, within], ramp(60 + pixels)[:, within], atol=1e-5)
        np.testing.assert_allclose(got, ramp(60 + pixels), atol=0.02)

    @pytest.mark.parametrize("pixels", [-9.0, -2.5, 3.0, 8.5])
    def test_a_disk_changes_its_radius(self, pixels: float) -> None:
        got = matte.refine(_disk(240, 240, 60, softness=6), Refine(shrink=pixels))
        assert abs(np.sqrt(float(got.sum()) / np.pi) - (60 - pixels)) < 0.5

    def test_softening_keeps_the_area_and_the_frame_border(self) -> None:
        disk = _disk(200, 200, 50)
        soft = matte.refine(disk, Refine(soften=3))
        assert abs(float(soft.sum() - disk.sum())) < 1.0 and matte.is_soft(soft)
        half = np.zeros((60, 80), np.float32)
        half[:, 40:] = 1
        np.testing.assert_allclose(matte.refine(half, Refine(soften=2))[:, -1], 1, atol=1e-6)

    def test_despeckle_takes_small_islands_and_holes_with_their_skirts(self) -> None:
        clean = _disk(300, 400, 100)
        dirty = clean.copy()
        dirty[10:16, 10:16] = 1  # island
        dirty[150:156, 200:206] = 0  # hole
        dirty[280:299, 380:399] = 1  # island, too large to go
        blurred = cv2.GaussianBlur(dirty, (0, 0), 1)
        want = clean.copy()
        want[280:299, 380:399] = 1
        got = matte.refine(blurred, Refine(despeckle=0.005))
        assert np.array_equal(matte.binary(got), matte.binary(cv2.GaussianBlur(want, (0, 0), 1)))
        assert got[:30, :30].max() == 0 and got[140:166, 190:216].min() == 1
        assert np.array_equal(got[40:130], blurred[40:130])  # the person's own edge is not touched

    def test_despeckle_leaves_a_corner_of_background(self) -> None:
        mask = np.ones((100, 100), np.float32)
        mask[:4, :4] = 0
        assert np.array_equal(matte.refine(mask, Refine(despeckle=0.1)), mask)
        assert matte.refine(np.zeros((5, 5), np.float32), Refine(despeckle=0.5)).max() == 0

    @pytest.mark.parametrize(
        "bad", [{"shrink": float("nan")}, {"soften": -1.0}, {"despeckle": 1.0}, {"despeckle": -0.1}]
    )
    def test_refuses(self, bad: dict[str, float]) -> None:
        with pytest.raises(OptionError, match=next(iter(bad))):
            Refine(**bad)


class TestFollowPicture:
    def test_the_edge_of_the_picture_wins_over_a_coarse_one(self) -> None:
        truth = _disk(240, 320, 70)
        truth[:100, 150:170] = 1
        rng = np.random.default_rng(0)
        rgb = np.where(truth[..., None] > 0, [0.7, 0.4, 0.3], [0.2, 0.3, 0.5]) + rng.normal(0, 0.01, (240, 320, 3))
        coarse = cv2.GaussianBlur(cv2.resize(truth, (80, 60), interpolation=cv2.INTER_AREA), (0, 0), 1.5)
        got = matte.follow_picture(rgb.astype(np.float32), coarse, 4)
        plain = cv2.resize(coarse, (320, 240))
        assert np.abs(got - truth).mean() < 0.25 * np.abs(plain - truth).mean()
        assert got[120, 160] == 1 and got[5, 5] == 0

    @pytest.mark.parametrize("value", [0.0, 1.0])
    def test_flat_stays_flat(self, value: float) -> None:
        rgb = np.random.default_rng(1).random((50, 70, 3), dtype=np.float32)
        got = matte.follow_picture(rgb, np.full((25, 35), value, np.float32), 3)
        assert (got == value).all()


class TestSteady:
    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, 4), st.integers(0, 12), st.integers(0, 1000))
    def test_is_the_median_with_the_ends_repeated(self, radius: int, count: int, seed: int) -> None:
        frames = np.random.default_rng(seed).random((count, 3, 4), dtype=np.float32)
        got = list(matte.steady(iter(frames), radius))
        assert len(got) == count
        for number, alpha in enumerate(got):
            window = [frames[min(max(number + k, 0), count - 1)] for k in range(-radius, radius + 1)]
            assert np.array_equal(alpha, np.median(window, axis=0).astype(np.float32))
            assert alpha.dtype == np.float32

    def test_a_pop_is_gone_and_a_moving_edge_is_on_time(self) -> None:
        def frame(number: int) -> np.ndarray:
            return np.tile(np.clip((np.arange(60) - 10 - 2.5 * number) / 8, 0, 1).astype(np.float32), (6, 1))

        clean = [frame(number) for number in range(12)]
        dirty = [alpha.copy() for alpha in clean]
        dirty[5][:, :8] = 1
        for got, want in zip(matte.steady(dirty), clean, strict=True):
            np.testing.assert_array_equal(got, want)

    def test_reads_no_further_ahead_than_it_must(self) -> None:
        taken = 0

        def frames():  # type: ignore[no-untyped-def]
            nonlocal taken
            for _ in range(100):
                taken += 1
                yield np.zeros((2, 2), np.float32)

        stream = matte.steady(frames(), 2)
        for number in range(10):
            next(stream)
            assert taken <= number + 3

    def test_refuses(self) -> None:
        with pytest.raises(OptionError, match="radius"):
            matte.steady([], -1)
        with pytest.raises(InputError, match="frame 1 is 3 × 2"):
            list(matte.steady([np.zeros((4, 5), np.float32), np.zeros((2, 3), np.float32)]))


class TestBoundingBox:
    @settings(max_examples=80, deadline=None)
    @given(_ALPHAS, st.floats(0.01, 1))
    def test_holds_everything_and_no_more(self, alpha: np.ndarray, threshold: float) -> None:
        box = matte.bounding_box(alpha, threshold)
        inside = alpha >= threshold
        if box is None:
            assert not inside.any()
            return
        x0, y0, x1, y1 = box
        assert inside[y0:y1, x0:x1].sum() == inside.sum()
        for side in (inside[y0, :], inside[y1 - 1, :], inside[:, x0], inside[:, x1 - 1]):
            assert side.any()
