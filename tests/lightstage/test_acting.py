"""Acting: the same seed, the same curves; smooth, within limits, and never a mouth that gapes."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage import acting


@pytest.mark.parametrize("seed", range(6))
def test_a_performance_is_seeded_smooth_and_bounded(seed):
    first = acting.act(120, 24, np.random.default_rng(seed))
    again = acting.act(120, 24, np.random.default_rng(seed))
    for name, curve in first.actions.items():
        np.testing.assert_array_equal(curve, again.actions[name])
        assert curve.shape == (120,) and curve.min() >= 0 and curve.max() <= 1
    assert first.actions.get("jawOpen", np.zeros(1)).max() <= 0.25
    head = sum(first.turns[name] for name in ("neck01", "neck03", "head"))
    assert np.abs(np.diff(head, axis=0)).max() < 0.05  # under 70 degrees a second
    assert np.abs(head).max() < 1.2 and np.abs(first.gaze).max() < 0.8
    assert first.turns["head"].shape == (120, 3) and first.sway.shape == (120, 3)


def test_people_blink_within_a_second_and_a_half():
    times = np.arange(48) / 24
    for seed in range(8):
        shut = acting.blinks(times, np.random.default_rng(seed))
        assert shut.max() > 0.8 and np.median(shut) == 0


def test_drift_has_about_unit_spread():
    times = np.arange(0, 400, 0.1)
    curves = np.stack([acting.drift(times, np.random.default_rng(seed)) for seed in range(10)])
    assert 0.85 < curves.std() < 1.15 and abs(curves.mean()) < 0.1


def test_one_frame_is_a_performance():
    assert acting.act(1, 24, np.random.default_rng(0)).gaze.shape == (1, 2)


def test_at_rest_the_lids_hang_a_little():
    rests = [acting.act(48, 24, np.random.default_rng(seed)).actions["eyeBlinkLeft"].min() for seed in range(20)]
    assert min(rests) > 0.015 and max(rests) < 0.2 and np.std(rests) > 0.01
