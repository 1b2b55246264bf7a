"""Optical flow: what moves, what does not, what hides, and pictures too small for DIS itself."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmovid.errors import InputError, OptionError
from harmovid.video.flow import consistency, flow, warp


def texture(height: int, width: int, seed: int = 0, grain: float = 1.5) -> np.ndarray:
    """(height, width, 3) float32 in [0, 1], detailed everywhere."""
    noise = np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), grain)
    return np.clip((smooth - smooth.mean()) / smooth.std() * 0.18 + 0.5, 0, 1).astype(np.float32)


def moved(height: int, width: int, dx: float, dy: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A picture and the same moved by (dx, dy), both cut from a larger one."""
    margin = 24
    large = texture(height + 2 * margin, width + 2 * margin, seed)
    shift = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    after = cv2.warpAffine(large, shift, large.shape[1::-1], flags=cv2.INTER_CUBIC)
    inner = np.s_[margin:-margin, margin:-margin]
    return large[inner], np.clip(after[inner], 0, 1)


@pytest.mark.parametrize("preset", ["ultrafast", "fast", "medium"])
@pytest.mark.parametrize("motion", [(3.0, -2.0), (-0.5, 0.25), (7.3, -4.6)])
def test_a_known_translation_is_recovered(preset, motion):
    before, after = moved(96, 128, *motion)
    found = flow(before, after, preset)
    assert found.shape == (96, 128, 2) and found.dtype == np.float32 and found.flags.c_contiguous
    error = np.linalg.norm(found - motion, axis=-1)[12:-12, 12:-12]
    assert np.quantile(error, 0.99) < 0.1


def test_a_large_picture_too():
    before, after = moved(260, 300, 5.5, 3.25)
    error = np.linalg.norm(flow(before, after) - (5.5, 3.25), axis=-1)[12:-12, 12:-12]
    assert np.median(error) < 0.1


def test_gray_and_one_channel_are_read_as_colour_is():
    before, after = moved(48, 64, 2, 1)
    gray = [cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (before, after)]
    expected = flow(before, after)
    np.testing.assert_array_equal(flow(*gray), expected)
    np.testing.assert_array_equal(flow(*(x[..., None] for x in gray)), expected)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (8, 8), (9, 31), (33, 32), (70, 90), (264, 270)])
def test_a_frame_does_not_move_against_itself(shape):
    frame = texture(*shape)
    assert not flow(frame, frame).any()


@pytest.mark.parametrize("shape", [(8, 8), (12, 16), (8, 120), (31, 20)])
def test_pictures_too_small_for_dis_still_move(shape):
    before, after = moved(*shape, 0.8, -0.4)
    error = np.linalg.norm(flow(before, after) - (0.8, -0.4), axis=-1)
    assert np.median(error) < 0.25


@pytest.mark.parametrize("preset", ["ultrafast", "fast", "medium"])
@pytest.mark.parametrize("shape", [(8, 200), (363, 15), (20, 256), (1, 400), (31, 129), (16, 1024)])
def test_shapes_that_crash_bare_dis(shape, preset):
    found = flow(texture(*shape), texture(*shape, seed=1), preset)
    assert found.shape == (*shape, 2) and np.isfinite(found).all()


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70), seed=st.integers(0, 99))
def test_any_size_gives_a_finite_flow(height, width, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.random((2, height, width), np.float32)
    found = flow(a, b)
    assert found.shape == (height, width, 2) and np.isfinite(found).all()


def test_values_out_of_range_are_clipped():
    before, after = moved(40, 40, 1, 0)
    before[5, 5], after[6, 6] = np.nan, np.inf
    wild = flow(before * 4 - 1.5, after * 4 - 1.5)
    assert np.isfinite(wild).all()
    np.testing.assert_array_equal(flow(before + 10, after + 10), 0)


def test_threads_get_the_same_answer():
    pairs = [moved(64, 64, dx, 1, seed=dx) for dx in range(6)]
    alone = [flow(*pair) for pair in pairs]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda pair: flow(*pair), pairs))
    np.testing.assert_array_equal(together, alone)


def test_unequal_sizes_are_refused():
    with pytest.raises(InputError, match="64 × 48 px and 64 × 50 px"):
        flow(texture(48, 64), texture(50, 64))
    with pytest.raises(InputError, match="at least one pixel"):
        flow(np.zeros((0, 5, 3), np.float32), np.zeros((0, 5, 3), np.float32))


def test_unknown_preset_is_refused():
    with pytest.raises(OptionError, match="ultrafast, fast, medium"):
        flow(texture(32, 32), texture(32, 32), "slow")


def test_warp_undoes_the_motion():
    before, after = moved(96, 96, 4.3, -2.7)
    back = warp(after, flow(before, after))
    inner = np.s_[12:-12, 12:-12]
    assert np.abs(back - before)[inner].mean() < 0.25 * np.abs(after - before)[inner].mean()
    assert np.abs(back - before)[inner].mean() < 0.02


def test_warp_by_whole_pixels_is_exact():
    image = texture(20, 30)
    motion = np.broadcast_to(np.float32([3, -2]), (20, 30, 2))
    out = warp(image, motion)
    np.testing.assert_array_equal(out[2:, :-3], image[:-2, 3:])
    np.testing.assert_array_equal(out[2:, -3:], np.repeat(image[:-2, -1:], 3, axis=1))
    np.testing.assert_array_equal(out[:2], out[[2, 2]])


@settings(max_examples=30, deadline=None)
@given(channels=st.one_of(st.none(), st.integers(0, 11)), dx=st.floats(-3, 3), dy=st.floats(-3, 3))
def test_warp_treats_every_channel_alike(channels, dx, dy):
    rng = np.random.default_rng(0)
    image = rng.standard_normal((9, 7) if channels is None else (9, 7, channels)).astype(np.float32) * 100
    motion = rng.uniform(-1, 1, (9, 7, 2)).astype(np.float32) + np.float32([dx, dy])
    out = warp(image, motion)
    assert out.shape == image.shape and out.dtype == np.float32
    assert out.size == 0 or (out.min() >= image.min() - 1e-3 and out.max() <= image.max() + 1e-3)
    for channel in range(channels or 0):
        np.testing.assert_allclose(out[..., channel], warp(image[..., channel], motion), atol=1e-4)


def test_warp_reads_a_mask_and_refuses_another_size():
    mask = np.zeros((6, 8), bool)
    mask[:, 4:] = True
    out = warp(mask, np.full((6, 8, 2), (0.5, 0), np.float32))
    np.testing.assert_allclose(out[0], [0, 0, 0, 0.5, 1, 1, 1, 1], atol=0.02)
    with pytest.raises(InputError, match=r"expected \(6, 8, 2\)"):
        warp(mask, np.zeros((8, 6, 2), np.float32))


def test_rest_is_consistent_everywhere():
    still = np.zeros((5, 6, 2), np.float32)
    assert consistency(still, still).all()


def test_what_leaves_the_picture_is_not_consistent():
    forward = np.full((10, 12, 2), (4, 0), np.float32)
    trusted = consistency(forward, -forward)
    assert trusted[:, :8].all() and not trusted[:, 8:].any()
    assert not consistency(np.full((4, 4, 2), np.nan), np.zeros((4, 4, 2))).any()


def test_the_threshold_is_the_papers():
    # Away at 10 px, back at 10 − d: |d|² against 0.01 (10² + (10 − d)²) + 0.5 turns at d ≈ 1.5.
    forward = np.full((3, 40, 2), (10, 0), np.float32)
    for miss, trusted in ((1.4, True), (1.6, False)):
        back = np.full((3, 40, 2), (miss - 10, 0), np.float32)
        assert (consistency(forward, back)[:, :30] == trusted).all()
    assert not consistency(forward, back + 0.2, relative=0, absolute=0.01).any()


def test_an_occlusion_is_found():
    background = texture(96, 128, seed=3)
    card = texture(40, 40, seed=4)
    frames = []
    for left in (40, 48):
        frame = background.copy()
        frame[28:68, left:left + 40] = card
        frames.append(frame)
    trusted = consistency(flow(*frames), flow(frames[1], frames[0]))
    covered = np.s_[32:64, 81:87]  # the card moves over this
    assert (~trusted[covered]).mean() > 0.8
    assert trusted[34:62, 48:72].mean() > 0.95  # the card itself
    assert trusted[:20].mean() > 0.95 and trusted[76:].mean() > 0.95  # the rest


def test_flows_of_different_pairs_are_refused():
    with pytest.raises(InputError, match="same pair"):
        consistency(np.zeros((4, 4, 2)), np.zeros((4, 5, 2)))
