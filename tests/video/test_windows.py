"""Windows over time: every frame covered, weights that sum to one, a blend that needs no whole clip."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmovid.errors import InputError, OptionError
from harmovid.video.windows import blend, neighbourhoods, overview, weights, windows


@st.composite
def layouts(draw):
    """frames, length, overlap, offset."""
    length = draw(st.integers(1, 40))
    return draw(st.integers(1, 200)), length, draw(st.integers(0, length - 1)), draw(st.integers(-100, 100))


def test_windows_by_hand():
    assert windows(20, 10, 2) == [(0, 10), (8, 18), (10, 20)]
    assert windows(18, 10, 2) == [(0, 10), (8, 18)]
    assert windows(10, 10, 9) == [(0, 10)]
    assert windows(7, 10, 2) == [(0, 7)]
    assert windows(30, 10, 0) == [(0, 10), (10, 20), (20, 30)]
    assert windows(30, 10, 2, offset=3) == [(0, 10), (3, 13), (11, 21), (19, 29), (20, 30)]


@given(layouts())
def test_windows_cover_the_clip(layout):
    frames, length, overlap, offset = layout
    spans = windows(frames, length, overlap, offset)
    starts, stops = zip(*spans, strict=True)
    assert starts[0] == 0 and stops[-1] == frames
    assert all(stop - start == min(length, frames) for start, stop in spans)
    assert list(starts) == sorted(set(starts))
    assert all(stop - start >= overlap for stop, start in zip(stops, starts[1:], strict=False))


@given(layouts(), st.integers(-3, 3))
def test_offset_counts_modulo_the_stride(layout, turns):
    frames, length, overlap, offset = layout
    moved = windows(frames, length, overlap, offset + turns * (length - overlap))
    assert moved == windows(frames, length, overlap, offset)


@given(layouts())
def test_offset_moves_the_seams(layout):
    frames, length, overlap, offset = layout
    stride = length - overlap
    plain, moved = windows(frames, length, overlap), windows(frames, length, overlap, offset)
    if offset % stride:
        assert not {start for start, _ in plain[1:-1]} & {start for start, _ in moved[1:-1]}
    else:
        assert moved == plain


def test_impossible_windows_are_refused():
    with pytest.raises(InputError, match="0 frames"):
        windows(0, 10, 2)
    with pytest.raises(OptionError, match="at least 1"):
        windows(10, 0, 0)
    for overlap in (-1, 10, 11):
        with pytest.raises(OptionError, match="0 to 9"):
            windows(30, 10, overlap)


def test_weights_by_hand():
    first, second = weights([(0, 5), (2, 7)], 7)
    np.testing.assert_allclose(first, [1, 1, 0.75, 0.5, 0.25], atol=1e-15)
    np.testing.assert_allclose(second, [0.25, 0.5, 0.75, 1, 1], atol=1e-15)


@given(layouts())
def test_weights_sum_to_one(layout):
    frames, *rest = layout
    spans = windows(frames, *rest)
    total, count = np.zeros(frames), np.zeros(frames, int)
    found = weights(spans, frames)
    for (start, stop), weight in zip(spans, found, strict=True):
        assert weight.shape == (stop - start,) and weight.dtype == np.float64
        total[start:stop] += weight
        count[start:stop] += 1
    np.testing.assert_allclose(total, 1, rtol=0, atol=1e-12)
    for (start, stop), weight in zip(spans, found, strict=True):
        alone = count[start:stop] == 1
        assert (weight[alone] == 1.0).all()
        assert ((weight[~alone] > 0) & (weight[~alone] < 1)).all()


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20))
def test_ramps_of_two_windows_are_linear(before, overlap, after):
    rising = weights([(0, before + overlap), (before, before + overlap + after)], before + overlap + after)[1]
    np.testing.assert_allclose(rising[:overlap], np.arange(1, overlap + 1) / (overlap + 1), atol=1e-12)


def test_weights_refuse_a_gap():
    for spans in ([(0, 4), (5, 9)], [(1, 9)], [(0, 8)], [(0, 5), (0, 9)], []):
        with pytest.raises(AssertionError):
            weights(spans, 9)


@given(layouts(), st.integers(0, 9))
def test_blend_is_the_weighted_sum(layout, seed):
    frames, *rest = layout
    spans = windows(frames, *rest)
    rng = np.random.default_rng(seed)
    chunks = [rng.standard_normal((stop - start, 2, 3)).astype(np.float32) for start, stop in spans]
    expected, count = np.zeros((frames, 2, 3)), np.zeros(frames, int)
    for (start, stop), chunk, weight in zip(spans, chunks, weights(spans, frames), strict=True):
        expected[start:stop] += weight[:, None, None] * chunk
        count[start:stop] += 1
    out = np.stack(list(blend(zip(spans, chunks, strict=True))))
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, expected, atol=1e-5)
    for (start, stop), chunk in zip(spans, chunks, strict=True):
        alone = count[start:stop] == 1
        np.testing.assert_array_equal(out[start:stop][alone], chunk[alone])


@given(layouts())
def test_blend_of_windows_that_agree_changes_nothing(layout):
    frames, *rest = layout
    clip = np.random.default_rng(0).random((frames, 4), np.float32)
    spans = windows(frames, *rest)
    out = np.stack(list(blend((span, clip[span[0]:span[1]]) for span in spans)))
    np.testing.assert_allclose(out, clip, rtol=1e-6)


def test_blend_leaves_its_input_alone_and_asks_for_one_window_ahead():
    asked = []

    def chunks():
        for start in range(0, 80, 8):
            asked.append(start)
            chunk = np.full((10, 1), start, np.float32)
            yield (start, start + 10), chunk
            assert (chunk == start).all()

    frames = blend(chunks())
    assert asked == []
    for t in range(8):
        next(frames)
        assert asked == [0, 8], t
    next(frames)
    assert asked == [0, 8, 16]
    assert len(list(frames)) == 82 - 9


def test_blend_of_nothing_and_of_a_later_part():
    assert list(blend([])) == []
    assert [float(x) for x in blend([((5, 7), np.array([1.0, 2.0]))])] == [1.0, 2.0]


def test_blend_refuses_what_does_not_fit():
    with pytest.raises(AssertionError, match="came as 2"):
        list(blend([((0, 3), np.zeros((2, 1)))]))
    with pytest.raises(AssertionError, match="follow"):
        list(blend([((0, 3), np.zeros((3, 1))), ((4, 7), np.zeros((3, 1)))]))


@given(st.integers(1, 500), st.integers(1, 100))
def test_overview_spreads_evenly(frames, length):
    chosen = overview(frames, length)
    assert len(chosen) == min(frames, length)
    assert all(0 <= t < frames for t in chosen)
    if len(chosen) > 1:
        gaps = np.diff(chosen)
        assert chosen[0] == 0 and chosen[-1] == frames - 1
        assert gaps.min() >= 1 and gaps.max() - gaps.min() <= 1


def test_overview_by_hand():
    assert overview(9, 3) == [0, 4, 8]
    assert overview(3, 9) == [0, 1, 2]
    assert overview(9, 1) == [4]
    with pytest.raises(InputError):
        overview(0, 3)
    with pytest.raises(OptionError):
        overview(3, 0)


@given(st.integers(0, 30), st.integers(0, 8))
def test_each_item_is_seen_among_its_neighbours(count, reach):
    seen = [(list(near), here) for near, here in neighbourhoods(iter(range(count)), reach)]
    assert [near[here] for near, here in seen] == list(range(count))
    for item, (near, _) in enumerate(seen):
        assert near == list(range(max(0, item - reach), min(count, item + reach + 1)))


def test_neighbours_are_read_no_further_ahead_than_they_are_needed():
    items = iter(range(100))
    next(neighbourhoods(items, 3))
    assert next(items) == 4
