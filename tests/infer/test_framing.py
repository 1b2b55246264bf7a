from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmovid.infer.framing import Framing, SpooledViews, _spans, find, frame, view_shape
from harmovid.infer.views import ViewSize
from tests import figures

PICTURE = (640, 360)
Box = tuple[float, float, float, float]


def block(box: tuple[int, int, int, int], size: tuple[int, int] = PICTURE) -> np.ndarray:
    alpha = np.zeros(size[::-1], np.float32)
    x0, y0, x1, y1 = box
    alpha[y0:y1, x0:x1] = 1
    return alpha


def walk(path: np.ndarray, size: tuple[float, float] = (90.0, 220.0), top: float = 80.0) -> list[Box | None]:
    return [(float(x), top, float(x) + size[0], top + size[1]) for x in path]


def held(framing: Framing, found: list[Box | None], slack: float = 0.5) -> bool:
    return all(box is None or (x0 <= box[0] + slack and y0 <= box[1] + slack and x1 >= box[2] - slack
                               and y1 >= box[3] - slack)
               for (x0, y0, x1, y1), box in zip(framing.boxes, found, strict=True))


def check(framing: Framing, frames: int, picture: tuple[int, int] = PICTURE) -> None:
    boxes = framing.boxes
    assert boxes.shape == (frames, 4) and boxes.dtype == np.int64
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2] <= picture[0]).all() and (boxes[:, 3] <= picture[1]).all()
    sizes = boxes[:, 2:] - boxes[:, :2]
    assert (sizes == sizes[0]).all() and (sizes > 0).all(), "one size for the whole clip"


# --- the shape of a view

@given(st.floats(1e-3, 1e3), st.integers(16, 1024), st.sampled_from([8, 16, 32]))
def test_a_view_has_about_its_area_and_divides_by_its_multiple(aspect: float, side: int, multiple: int) -> None:
    size = ViewSize(area=side * side, multiple=multiple)
    height, width = view_shape(aspect, size)
    assert height % multiple == 0 and width % multiple == 0 and min(height, width) >= multiple
    wanted = min(max(aspect, 0.25), 4.0)
    for got, exact in ((height, side / wanted**0.5), (width, side * wanted**0.5)):
        assert got == multiple or abs(got - exact) <= multiple / 2 + 1e-6


@given(st.floats(0.25, 4))
def test_lying_is_standing_turned(aspect: float) -> None:
    assert view_shape(aspect, ViewSize()) == view_shape(1 / aspect, ViewSize())[::-1]


@pytest.mark.parametrize(("aspect", "shape"), [(1, (128, 128)), (2, (96, 176)), (0.5, (176, 96)), (100, (64, 256)),
                                               (1e-9, (256, 64))])
def test_shapes_of_the_default_size(aspect: float, shape: tuple[int, int]) -> None:
    assert view_shape(aspect, ViewSize()) == shape


# --- where the person is in a mask

def test_the_box_of_a_block_is_found_to_a_small_pixel() -> None:
    for box in ((100, 40, 220, 320), (0, 0, 640, 360), (600, 300, 640, 360)):
        found = find(block(box))
        assert found is not None
        np.testing.assert_allclose(found, box, atol=PICTURE[0] / 160)


def test_nobody_is_none_and_codec_noise_is_nobody() -> None:
    assert find(np.zeros((90, 160), np.float32)) is None
    assert find(np.full((1080, 1920), 0.02, np.float32)) is None


def test_specks_do_not_count_but_two_people_do() -> None:
    alpha = block((100, 40, 200, 300)) + block((600, 10, 612, 20))
    found = find(alpha)
    assert found is not None and found[2] < 210
    found = find(block((100, 40, 200, 300)) + block((500, 100, 560, 300)))
    assert found is not None and found[0] < 105 and found[2] > 555


def test_a_few_bad_pixels_of_a_large_empty_mask_are_nobody() -> None:
    assert find(block((800, 500, 812, 512), (1920, 1080))) is None


def test_a_person_far_away_is_somebody() -> None:
    found = find(block((1003, 500, 1009, 540), (1920, 1080)))
    assert found is not None
    np.testing.assert_allclose(found, (1003, 500, 1009, 540), atol=1)


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (17, 40), (3, 2), (4000, 2)])
def test_pictures_of_odd_sizes(size: tuple[int, int]) -> None:
    found = find(np.ones(size[::-1], np.float32))
    assert found == (0, 0, *size)
    check(frame([found], size, ViewSize()), 1, size)


# --- the steady box

def test_a_still_person_gets_a_box_with_margin_that_stands_still() -> None:
    found = walk(np.full(40, 300.0))
    framing = frame(found, PICTURE, ViewSize())
    check(framing, 40)
    assert held(framing, found) and (framing.boxes == framing.boxes[0]).all()
    width, height = framing.boxes[0, 2:] - framing.boxes[0, :2]
    assert width >= 1.2 * 90 and height >= 1.2 * 220
    assert abs(width / height - framing.view[1] / framing.view[0]) < 0.02, "square pixels where there is room"


def test_a_person_who_sways_does_not_move_the_box() -> None:
    found = walk(300 + 15 * np.sin(np.arange(60) / 3))
    framing = frame(found, PICTURE, ViewSize())
    assert held(framing, found) and (framing.boxes == framing.boxes[0]).all()


@pytest.mark.parametrize("path", [
    np.linspace(20, 530, 100), np.linspace(530, 20, 60), np.linspace(20, 530, 8),
    270 + 250 * np.sin(np.arange(120) / 15),
    np.concatenate([np.full(30, 20.0), np.linspace(20, 530, 25), np.full(30, 530.0)]),
    np.array([20.0, 530.0]), np.concatenate([np.full(20, 20.0), np.full(20, 530.0)]),
], ids=["walk", "back", "short", "turns", "runs", "preview", "cut"])
def test_a_person_who_walks_stays_in_the_box(path: np.ndarray) -> None:
    found = walk(path)
    framing = frame(found, PICTURE, ViewSize())
    check(framing, len(path))
    assert held(framing, found)


def test_the_box_of_a_walk_moves_slowly_whatever_the_mask_trembles() -> None:
    rng = np.random.default_rng(0)
    path = np.linspace(20, 530, 100)
    framing = frame(walk(path + rng.normal(0, 4, 100)), PICTURE, ViewSize())
    steps = np.diff(framing.boxes[:, 0])
    assert np.abs(np.diff(steps)).max() <= 2 and steps.max() <= 1.4 * 510 / 99 + 2
    trembling = np.abs(np.diff(path + rng.normal(0, 4, 100), 2)).mean()
    assert np.abs(np.diff(steps)).mean() < 0.15 * trembling


def test_a_cut_moves_the_box_at_once_and_each_shot_keeps_it_still() -> None:
    tremble = np.random.default_rng(0).normal(0, 2, 60)
    found = walk(np.where(np.arange(60) < 30, 40.0, 500.0) + tremble)
    framing = frame(found, PICTURE, ViewSize())
    check(framing, 60)
    assert held(framing, found)
    steps = np.abs(np.diff(framing.boxes[:, :2], axis=0)).max(axis=1)
    assert steps[29] > 300 and not np.delete(steps, 29).any()
    assert framing.boxes[0, 2] - framing.boxes[0, 0] < 160  # no wider than for one of the shots


def test_a_fault_of_the_mask_is_no_cut() -> None:
    path = np.full(60, 200.0)
    path[30:32] = 500.0
    framing = frame(walk(path), PICTURE, ViewSize())
    check(framing, 60)
    assert held(framing, walk(path))
    once = frame(walk(path[:31]), PICTURE, ViewSize())  # the same where it is at the end
    assert held(once, walk(path[:31]))
    assert len(_spans(path[:, None], np.array([90.0]))) == len(_spans(path[:31, None], np.array([90.0]))) == 1


def test_while_nobody_is_there_the_box_waits() -> None:
    found: list[Box | None] = [None] * 5 + walk(np.full(10, 100.0)) + [None] * 5 + walk(np.full(10, 120.0)) + [None]
    framing = frame(found, PICTURE, ViewSize())
    check(framing, len(found))
    assert held(framing, found)


def test_nobody_at_all_shows_the_whole_picture() -> None:
    framing = frame([None] * 3, PICTURE, ViewSize())
    assert framing.boxes.tolist() == [[0, 0, 640, 360]] * 3 and framing.view == view_shape(640 / 360, ViewSize())


@pytest.mark.parametrize("box", [(0, 0, 60, 360), (600, 200, 640, 360), (0, 0, 640, 360), (0, 340, 640, 360)])
def test_at_the_edge_of_the_picture_the_box_stays_inside(box: Box) -> None:
    framing = frame([box] * 4, PICTURE, ViewSize())
    check(framing, 4)
    assert held(framing, [box] * 4)


BOXES = st.tuples(st.floats(0, 600), st.floats(0, 330), st.floats(4, 300), st.floats(4, 300)).map(
    lambda b: (b[0], b[1], min(b[0] + b[2], 640.0), min(b[1] + b[3], 360.0)))


@settings(deadline=None, max_examples=150)
@given(st.lists(st.none() | BOXES, min_size=1, max_size=40))
def test_whatever_is_found_the_box_is_in_the_picture_and_of_one_size(found: list[Box | None]) -> None:
    framing = frame(found, PICTURE, ViewSize())
    check(framing, len(found))
    assert all(side % 16 == 0 for side in framing.view)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.floats(0, 540), st.floats(0, 130)), min_size=1, max_size=40))
def test_a_person_of_one_size_is_always_held(places: list[tuple[float, float]]) -> None:
    found: list[Box | None] = [(x, y, x + 90, y + 220) for x, y in places]
    assert held(frame(found, PICTURE, ViewSize()), found)


# --- the clip of views on disk

def test_views_come_back_in_any_window() -> None:
    clip = figures.film((48, 32), 7, step=(2, 0))
    small = figures.scenery((6, 4))
    with SpooledViews((32, 48), (4, 6)) as views:
        for rgb, behind, alpha in zip(clip.frames, clip.behind, clip.alpha, strict=True):
            views.append(rgb, behind, alpha, small)
        assert len(views) == 7
        for start, stop in ((0, 7), (3, 4), (5, 7), (0, 1)):
            got = views.window(start, stop)
            for planes, exact in ((got.composite, clip.frames), (got.background, clip.behind),
                                  (got.mask, clip.alpha[..., None]), (got.overview, np.stack([small] * 7))):
                assert planes.dtype == np.float32 and planes.flags.c_contiguous
                np.testing.assert_allclose(planes, exact[start:stop].transpose(3, 0, 1, 2), atol=3e-4)
        one_by_one = list(views.frames(chunk=3))
        assert len(one_by_one) == 7
        np.testing.assert_allclose([rgb for rgb, _, _ in one_by_one], clip.frames, atol=3e-4)
        np.testing.assert_allclose([behind for _, behind, _ in one_by_one], clip.behind, atol=3e-4)
        np.testing.assert_allclose([alpha for _, _, alpha in one_by_one], clip.alpha, atol=3e-4)


def test_reading_and_going_on_do_not_disturb_each_other() -> None:
    with SpooledViews((2, 2), (1, 1)) as views:
        for t in range(6):
            plane = np.full((2, 2, 3), t / 8, np.float32)
            views.append(plane, plane, plane[..., 0], plane[:1, :1])
            assert views.window(0, 1).composite.max() == 0
        both = zip(views.frames(chunk=2), views.frames(chunk=3), strict=True)
        assert [(a[0].max(), b[0].max()) for a, b in both] == [(t / 8, t / 8) for t in range(6)]


def test_no_file_is_left_behind(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with SpooledViews((16, 16), (2, 2)) as views:
        plane = np.zeros((16, 16, 3), np.float32)
        views.append(plane, plane, plane[..., 0], plane[:2, :2])
        assert len(views) == 1
    assert not list(tmp_path.iterdir())
