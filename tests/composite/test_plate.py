"""The clean plate shows what other frames saw, and no trace of what is hidden."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from harmovid.composite.blend import over
from harmovid.composite.plate import fill
from harmovid.errors import InputError
from tests.figures import disc, grown, psnr, texture


def _pan(frames: int, step: float, height: int = 96, width: int = 144) -> tuple[np.ndarray, ...]:
    """A camera that pans over a wall, and a person who stays in the middle of the picture.

    Returns:
        clip (T, H, W, 3), the same without the person, masks (T, H, W).
    """
    wall = texture(height + 40, width + 40 + int(abs(step) * frames))
    shift = [np.float32([[1, 0, -20 - step * t], [0, 1, -20]]) for t in range(frames)]
    truth = np.stack([cv2.warpAffine(wall, m, (width, height), flags=cv2.INTER_CUBIC) for m in shift])
    masks = np.stack([disc(height, width, width / 2, height / 2, 14, 3)] * frames)
    clip = np.stack([over(np.full_like(b, 0.9), b, a) for b, a in zip(truth, masks, strict=True)])
    return clip, truth, masks


class TestFill:
    @pytest.mark.parametrize("step", [8, 5.5])
    def test_recovers_what_other_frames_show(self, step):
        clip, truth, masks = _pan(12, step)
        out = fill(clip, masks)
        hole = grown(masks, 3)
        assert psnr(out[hole], truth[hole]) > 30
        assert out[~hole].tobytes() == clip[~hole].tobytes()

    def test_still_camera_gives_the_very_pixels_back(self):
        truth = np.stack([texture(96, 128)] * 8)
        masks = np.stack([disc(96, 128, 20 + 12 * t, 50, 12) for t in range(8)])
        out = fill(np.where(masks[..., None] > 0, np.float32(0.7), truth), masks)
        np.testing.assert_allclose(out, truth, atol=1e-5)

    def test_turn_and_zoom(self):
        wall, size = texture(240, 320), (180, 120)
        warps = [cv2.getRotationMatrix2D((160, 120), 2 * t, 1 + 0.02 * t) for t in range(9)]
        for t, warp in enumerate(warps):
            warp[:, 2] += 7 * t - 110, -60
        truth = np.stack([cv2.warpAffine(wall, warp, size, flags=cv2.INTER_CUBIC) for warp in warps])
        masks = np.stack([disc(120, 180, 100, 60, 14)] * 9)
        out = fill(np.where(masks[..., None] > 0, np.float32(0), truth), masks)
        hole = grown(masks, 3)
        assert psnr(out[hole], truth[hole]) > 28

    @pytest.mark.parametrize("step, value", [(0, 1e30), (0, np.nan), (4, -7.0), (4, np.nan)])
    def test_no_leak(self, step, value):
        clip, _, masks = _pan(5, step, 64, 80)
        masks[3] = 1  # a frame that shows nothing
        hole = grown(masks, 2)
        changed = clip.copy()
        changed[hole] = value
        out = fill(changed, masks)
        assert out.tobytes() == fill(clip, masks).tobytes()
        assert out[~hole].tobytes() == clip[~hole].tobytes() and np.isfinite(out).all()

    def test_grows_by_the_dilation_asked_for(self):
        clip, _, masks = _pan(3, 0, 100, 120)
        changed = clip.copy()
        changed[grown(masks, 10)] = 7
        out = fill(changed, masks, dilation=0.1)
        assert out.max() < 1
        assert out[~grown(masks, 10)].tobytes() == clip[~grown(masks, 10)].tobytes()

    def test_never_seen_is_steady_and_like_its_surroundings(self):
        wall = texture(120, 180)
        noise = np.random.default_rng(0).normal(0, 0.01, (7, 120, 180, 3))
        clip = (wall + noise).astype(np.float32)
        masks = np.stack([disc(120, 180, 90, 110, 40)] * 7)
        out = fill(np.where(masks[..., None] > 0, np.float32(5), clip), masks)
        hole = grown(masks, 3)[0]
        assert out[:, hole].max() < 1.2 and out[:, hole].min() > -0.1
        assert np.abs(np.diff(out[:, hole], axis=0)).mean() < 0.5 * np.abs(np.diff(clip[:, hole], axis=0)).mean()
        assert 0.4 < out[0, hole].std() / wall[hole].std() < 1.6

    def test_meets_the_border_when_the_light_changes(self):
        wall = np.stack([texture(96, 128)] * 6)
        light = np.linspace(1, 2, 6, dtype=np.float32)[:, None, None, None]
        masks = np.stack([disc(96, 128, 30 + 12 * t, 50, 10) for t in range(6)])
        out = fill(np.where(masks[..., None] > 0, np.float32(0), wall * light), masks)
        assert psnr(out, wall * light) > 30

    def test_a_cut_does_not_mix_two_places(self):
        red, blue = np.float32([1, 0.1, 0.1]), np.float32([0.1, 0.1, 1])
        clip = np.stack([texture(60, 80) * red] * 3 + [texture(60, 80, 1) * blue] * 3)
        # What is hidden before the cut is bare after it, in another place.
        masks = np.stack([disc(60, 80, 25, 30, 10)] * 3 + [disc(60, 80, 55, 30, 10)] * 3)
        out = fill(np.where(masks[..., None] > 0, np.float32(0), clip), masks)
        assert out[:3, masks[0] > 0, 2].max() < 0.2 and out[3:, masks[3] > 0, 0].max() < 0.2

    def test_one_frame(self):
        rows = np.linspace(0.2, 0.8, 90, dtype=np.float32)[:, None, None]
        clip = np.broadcast_to(rows, (1, 90, 120, 3))
        masks = disc(90, 120, 60, 45, 15)[None]
        out = fill(np.where(masks[..., None] > 0, np.float32(9), clip), masks)
        assert np.abs(out - clip).max() < 0.2
        assert psnr(out, clip) > 30

    def test_frames_that_show_nothing_take_what_others_show(self):
        truth = np.stack([texture(64, 80)] * 3)
        masks = np.zeros((3, 64, 80), np.float32)
        masks[[0, 2]] = 1
        np.testing.assert_allclose(fill(np.where(masks[..., None] > 0, np.float32(0), truth), masks), truth, atol=1e-6)

    @pytest.mark.parametrize("size", [(1, 3), (1, 17), (24, 17), (17, 24), (3, 90)])
    def test_tiny(self, size):
        clip = np.random.default_rng(0).random((3, *size, 3), np.float32)
        masks = np.zeros((3, *size), np.float32)
        masks[:, 0, 0] = 1
        masks[1] = 1
        out = fill(clip, masks)
        assert out.shape == clip.shape and np.isfinite(out).all()

    def test_empty_mask(self):
        clip, _, masks = _pan(3, 1, 40, 50)
        assert fill(clip, masks * 0.01).tobytes() == clip.tobytes()
        assert fill(clip[:0], masks[:0]).shape == (0, 40, 50, 3)

    @pytest.mark.parametrize("size", [(1, 1), (40, 50)])
    def test_full_mask(self, size):
        with pytest.raises(InputError, match="covers every pixel"):
            fill(np.zeros((2, *size, 3), np.float32), np.ones((2, *size), np.float32))

    def test_sizes_differ(self):
        with pytest.raises(InputError, match="number and size"):
            fill(np.zeros((2, 4, 5, 3)), np.zeros((3, 4, 5)))
