"""Motion preservation and warping error: exact motion by a flow that knows it, and DIS on known translations."""

import math
import tracemalloc

import numpy as np
import pytest

from harmovid.errors import InputError
from harmovid.evaluate.motion import (
    Dis,
    MotionPreservation,
    SourceMotion,
    WarpingError,
    motion_preservation,
    warping_error,
)
from harmovid.video.color import from_linear, to_linear
from tests import figures

MARGIN = 32


def panned(steps, height=64, width=80, seed=0, contrast=1.0):
    """A clip whose frame t shows the same texture moved by `steps[t]` pixels (x, y) in all."""
    large = figures.texture(height + 2 * MARGIN, width + 2 * MARGIN, seed)
    large = 0.5 + contrast * (large - 0.5)
    return np.stack([large[MARGIN - y:MARGIN - y + height, MARGIN - x:MARGIN - x + width] for x, y in steps])


def straight(x, y, frames=4):
    return [(x * t, y * t) for t in range(frames)]


class Told:
    """A flow that was told by how much each clip moves, by the code of its top left corner."""

    name = "told"

    def __init__(self, *clips):
        self._known = [(frame, place) for frames, places in clips for frame, place in zip(frames, places, strict=True)]
        self.calls = 0

    def __call__(self, a, b):
        self.calls += 1
        at = [next(place for known, place in self._known if np.array_equal(known, frame)) for frame in (a, b)]
        return np.full((*a.shape[:2], 2), np.subtract(at[1], at[0]), np.float32)


class TestMotionPreservation:
    def test_a_known_translation_is_the_end_point_difference(self):
        still, moving = straight(1, 0), straight(4, -4)
        a, b = panned(still), panned(moving, seed=1)
        found = motion_preservation(b, a, flow=Told((a, still), (b, moving)))
        assert found.frame == 5 and found.flow == "told"  # |(4, −4) − (1, 0)|
        assert math.isnan(found.foreground)

    def test_the_mean_is_over_pairs(self):
        jumping = [(0, 0), (3, 4), (3, 4), (3, 4)]
        a, b = panned(straight(0, 0)), panned(jumping, seed=1)
        found = motion_preservation(b, a, flow=Told((a, straight(0, 0)), (b, jumping)))
        assert found.frame == pytest.approx(5 / 3)

    def test_the_foreground_is_weighted_by_the_earlier_alpha(self):
        clip = panned(straight(0, 0, 2))
        alpha = np.zeros(clip.shape[:3], np.float32)
        alpha[0, :, :20] = 0.5
        alpha[0, :, 20:30] = 1
        alpha[1] = 1  # the second pair's, that there is none of
        wrong = np.zeros((64, 80, 2), np.float32)
        wrong[:, :20, 0] = 6
        answers = iter([np.zeros_like(wrong), np.zeros_like(wrong), wrong])

        class Given:
            name = "given"

            def __call__(self, a, b):
                return next(answers)

        found = motion_preservation(clip, clip, alpha, Given())
        assert found.frame == pytest.approx(6 * 20 / 80)
        assert found.foreground == pytest.approx(6 * 10 / 20)

    def test_dis_finds_the_translation(self):
        a, b = panned(straight(1, 0, 3)), panned(straight(3, 1, 3), seed=1)
        found = motion_preservation(b, a)
        assert found.frame == pytest.approx(math.hypot(2, 1), abs=0.25)  # what enters at the border is a guess
        inner = np.zeros(a.shape[:3], np.float32)
        inner[:, 16:-16, 16:-16] = 1
        assert motion_preservation(b, a, inner).foreground == pytest.approx(math.hypot(2, 1), abs=0.03)
        assert found.flow == "DIS medium"
        assert motion_preservation(b, a, flow=Dis("fast")).flow == "DIS fast"

    def test_the_source_itself_is_zero(self):
        clip = panned(straight(2, 1))
        found = motion_preservation(clip, clip.copy(), np.ones(clip.shape[:3], np.float32))
        assert (found.frame, found.foreground) == (0, 0)

    @pytest.mark.parametrize("gain", [0.4, 1.6])
    def test_a_gain_of_light_hardly_counts(self, gain):
        film = figures.film((96, 72), 3, step=(2, 0))
        source = film.frames
        lit = np.clip(from_linear(to_linear(source, "srgb") * np.float32(gain), "srgb"), 0, 1)
        found = motion_preservation(lit, source, film.alpha)
        frozen = motion_preservation(np.stack([source[0]] * 3), source, film.alpha)
        assert found.frame < 0.06 and found.foreground < 0.12
        assert found.foreground < frozen.foreground / 10

    def test_flow_of_the_source_is_found_once_for_all(self):
        steps = straight(2, 0, 3)
        clip, others = panned(steps), [panned(steps, seed=seed) for seed in (1, 2)]
        told = Told((clip, steps), *((other, steps) for other in others))
        moves, kept, warped = SourceMotion(told), [MotionPreservation() for _ in others], WarpingError()
        for t, source in enumerate(clip):
            step = moves.add(source)
            warped.add(others[0][t], step)
            for measure, other in zip(kept, others, strict=True):
                measure.add(other[t], step)
        assert told.calls == 2 * (2 + 2)  # pairs × (there and back, and two results)
        assert [measure.value.frame for measure in kept] == [0, 0]

    def test_one_frame_is_nan(self):
        clip = panned([(0, 0)])
        for found in (motion_preservation(clip, clip), warping_error(clip, clip), MotionPreservation().value):
            assert math.isnan(found.frame) and math.isnan(found.foreground) and found.flow == ""

    def test_errors_say_what_to_do(self):
        clip, moves, kept = panned(straight(0, 0)), SourceMotion(), MotionPreservation()
        kept.add(clip[0], moves.add(clip[0]))
        with pytest.raises(InputError, match="one size"):
            moves.add(clip[0, :40])
        with pytest.raises(InputError, match="one size"):
            kept.add(clip[0, :40], moves.add(clip[1]))
        with pytest.raises(InputError, match="one frame at a time"):
            moves.add(clip)
        with pytest.raises(InputError, match="resize the mask"):
            kept.add(clip[1], None, np.ones((3, 3), np.float32))

        class Half:
            name = "half"

            def __call__(self, a, b):
                return np.zeros((a.shape[0] // 2, a.shape[1] // 2, 2), np.float32)

        with pytest.raises(InputError, match="half gave"):
            motion_preservation(clip, clip, flow=Half())


class TestWarpingError:
    def test_a_texture_that_moves_with_the_source_is_zero(self):
        steps = straight(3, -2)
        source, result = panned(steps), panned(steps, seed=1)
        found = warping_error(result, source, np.ones(source.shape[:3], np.float32), Told((source, steps)))
        assert (found.frame, found.foreground, found.flow) == (0, 0, "told")

    def test_dis_is_near_zero_and_far_below_a_still(self):
        source = panned(straight(3, -2, 3), contrast=1.5)
        moving = warping_error(source, source).frame
        assert moving < 2e-4
        still = np.stack([panned([(0, 0)], seed=1)[0]] * 3)
        assert warping_error(still, source).frame > 20 * moving

    def test_a_step_of_brightness_is_its_square(self):
        clip = panned(straight(0, 0, 3))
        result = clip + np.array([0, 0.1, 0.1], np.float32)[:, None, None, None]
        assert warping_error(result, clip).frame == pytest.approx(0.1**2 / 2, rel=1e-4)
        tinted = clip.copy()
        tinted[1:, ..., 0] += 0.3  # one channel of three
        assert warping_error(tinted, clip).frame == pytest.approx(0.3**2 / 3 / 2, rel=1e-4)

    def test_only_what_was_seen_before_counts(self):
        steps = straight(8, 0, 2)
        source = panned(steps)
        result = source.copy()
        result[1, :, :8] = 1  # it came in from the left
        assert warping_error(result, source, flow=Told((source, steps))).frame == 0
        result[1, :, 8:16] += 0.1
        found = warping_error(result, source, flow=Told((source, steps)))
        assert found.frame == pytest.approx(0.01 * 8 / 72, rel=1e-4)

    def test_foreground_by_alpha_and_an_empty_one_is_nan(self):
        clip = panned(straight(0, 0, 2))
        alpha = np.zeros(clip.shape[:3], np.float32)
        alpha[:, :, 40:] = 0.5
        result = clip.copy()
        result[1, :, :40] += 0.1
        result[1, :, 60:] += 0.2
        found = warping_error(result, clip, alpha)
        assert found.foreground == pytest.approx(0.04 / 2, rel=1e-4)
        assert found.frame == pytest.approx(0.01 / 2 + 0.04 / 4, rel=1e-4)
        assert math.isnan(warping_error(result, clip, 0 * alpha).foreground)

    def test_warping_follows_the_source_and_not_the_result(self):
        steps = straight(4, 0, 3)
        source, result = panned(steps), panned(straight(0, 0, 3))  # the result stands still
        assert warping_error(result, source, flow=Told((source, steps))).frame > 1e-3


def test_memory_stays_constant():
    clip = panned([(0, 0), (1, 0)], 48, 48)
    alpha = np.ones((48, 48), np.float32)

    def peak(frames):
        moves, kept, warped = SourceMotion(), MotionPreservation(), WarpingError()
        tracemalloc.start()
        for t in range(frames):
            step = moves.add(clip[t % 2])
            kept.add(clip[t % 2], step, alpha)
            warped.add(clip[t % 2], step, alpha)
        _, top = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return top

    peak(3)
    assert peak(24) < peak(5) + 20_000
