"""Views of footage: a function of the random source, in step with each other, and holding the person."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harmovid.data import shards
from harmovid.data.dataset import STEADY, CropConfig, Footage, ViewBatch
from harmovid.data.shards import OVERVIEW, Shard
from harmovid.errors import InputError
from tests.data.footage import bits, pair, shard

STILL = replace(STEADY, photos=0.0)
MOVING = CropConfig()


def numbered(frames: int, size: tuple[int, int] = (40, 40)) -> Shard:
    """Each frame has its number for a colour, in picture and plate; the overview that of the frame it is of."""
    made = shard(frames=frames, size=size)
    number = np.arange(frames, dtype=np.uint8)
    picture = np.broadcast_to(number[:, None, None, None], made.picture.shape).copy()
    overview = np.broadcast_to(number[::4, None, None, None], made.overview.shape).copy()
    return replace(made, picture=picture, plate=picture, overview=overview)


def numbers(batch: ViewBatch, name: str = "picture") -> list[list[int]]:
    """(B, T) of what `numbered` wrote."""
    return (getattr(batch, name)[:, 0, :, 8, 8] * 255).round().int().tolist()


pytestmark = pytest.mark.usefixtures("one_thread")


def draw(footage: Footage, batch: int = 2, frames: int = 5, view: tuple[int, int] = (32, 32), seed: int = 0,
         config: CropConfig = MOVING) -> ViewBatch:
    return footage.draw(batch, frames, view, np.random.default_rng(seed), config)


FOOTAGE = Footage([shard("a", 21, seed=0), shard("b", 9, seed=1), shard("photo", 1, seed=2)])


def test_a_draw_is_a_function_of_the_random_source():
    first, second, other = draw(FOOTAGE, 4), draw(FOOTAGE, 4), draw(FOOTAGE, 4, seed=1)
    for name in vars(first):
        assert torch.equal(getattr(first, name), getattr(second, name))
    assert not torch.equal(first.picture, other.picture)


@pytest.mark.parametrize("frames", [1, 5, 17, 33])
@pytest.mark.parametrize("view", [(32, 32), (48, 16)])
def test_shapes_and_ranges(frames, view):
    batch = draw(FOOTAGE, 3, frames, view)
    assert batch.picture.shape == batch.plate.shape == (3, 3, frames, *view)
    assert batch.mask.shape == (3, 1, frames, *view) and batch.overview.shape == (3, 3, frames, OVERVIEW, OVERVIEW)
    for name, values in vars(batch).items():
        assert values.dtype == torch.float32 and 0 <= values.min() and values.max() <= 1, name
    assert batch.mask.max() > 0.99 and batch.mask.min() == 0


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.booleans())
def test_picture_plate_and_mask_are_cut_alike(seed, reverse):
    batch = draw(FOOTAGE, 2, 5, seed=seed, config=CropConfig(reverse=float(reverse)))
    outside = (torch.nn.functional.max_pool3d(batch.mask, (1, 3, 3), 1, (0, 1, 1)) == 0).expand_as(batch.picture)
    assert (batch.picture - batch.plate)[outside].abs().max() < 1e-4
    inside = (batch.mask > 0.99).expand_as(batch.picture)
    assert (batch.picture - batch.plate)[inside].abs().mean() > 0.05


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from([1, 5]))
def test_a_part_of_a_person_is_alone_in_its_scene_and_the_same_in_two_lights(seed, frames):
    """The light stage's people, whose two views are cut by one choice."""
    one = shard("one", 9, seed=0)
    lit = replace(one, picture=one.picture // 2, plate=one.plate // 2)
    footage = Footage([replace(made, info=replace(made.info, name=name, performance="p"))
                       for name, made in (("one", one), ("lit", lit))])
    config = replace(CropConfig(margin=(0.5, 0.5)), parts=1.0)
    batches = footage.draw_relit(3, frames, (32, 32), np.random.default_rng(seed), config)
    assert torch.equal(batches[0].mask, batches[1].mask)
    for batch in batches:
        assert 0 < (batch.mask > 0.5).float().mean() < 0.5
        outside = (torch.nn.functional.max_pool3d(batch.mask, (1, 3, 3), 1, (0, 1, 1)) == 0).expand_as(batch.picture)
        assert (batch.picture - batch.plate)[outside].abs().max() < 1e-4, "nothing is left of the rest of the person"


def test_a_mirrored_view_is_mirrored_whole_and_nothing_else():
    straight, mirrored = (draw(FOOTAGE, 3, config=replace(MOVING, flip=flip)) for flip in (0.0, 1.0))
    for name in vars(straight):
        assert torch.equal(getattr(mirrored, name), getattr(straight, name).flip(-1)), name


def test_a_clip_played_backwards_is_the_same_clip_backwards():
    footage = Footage([numbered(21)])
    forth, back = (draw(footage, 4, 9, config=replace(STILL, reverse=reverse)) for reverse in (0.0, 1.0))
    for row, turned in zip(numbers(forth), numbers(back), strict=True):
        assert row == list(range(row[0], row[0] + 9)) == turned[::-1]
    assert torch.equal(back.mask, forth.mask.flip(2))


def relit_footage() -> Footage:
    """A clip of one light; a performance in three lights, told apart by its colour; another that lacks a second."""
    made = [replace(shard("p", 9, colour=colour), info=replace(shard("p", 9).info, performance="p"))
            for colour in ((0.9, 0.2, 0.2), (0.2, 0.9, 0.2), (0.2, 0.2, 0.9))]
    alone = replace(shard("q", 9), info=replace(shard("q", 9).info, performance="q"))
    return Footage([shard("a", 9, seed=1), *made, alone])


def test_a_performance_is_drawn_in_two_lights_pixel_by_pixel():
    footage = relit_footage()
    assert footage.performances == [[1, 2, 3]]
    one, other = footage.draw_relit(8, 5, (32, 32), np.random.default_rng(0), MOVING)
    assert torch.equal(one.mask, other.mask)
    inside = one.mask > 0.99
    apart = ((one.picture - other.picture).abs().amax(1, keepdim=True) * inside).amax((1, 2, 3, 4))
    assert apart.min() > 0.2
    again, _ = footage.draw_relit(8, 5, (32, 32), np.random.default_rng(0), MOVING)
    assert torch.equal(one.picture, again.picture)
    one, other = footage.draw_relit(8, 5, (32, 32), np.random.default_rng(0), MOVING, same=1.0)
    assert torch.equal(one.picture, other.picture) and torch.equal(one.plate, other.plate)


def test_real_views_are_never_of_a_performance_unless_there_is_nothing_else():
    footage = relit_footage()
    real = Footage([shard("a", 9, seed=1)])
    assert torch.equal(draw(footage, 6).picture, draw(real, 6).picture)
    staged = Footage([replace(shard("p", 9), info=replace(shard("p", 9).info, performance="p"))])
    assert draw(staged, 2).picture.shape == (2, 3, 5, 32, 32)


@pytest.mark.parametrize("seed", range(4))
def test_a_pair_is_drawn_with_its_source_in_one_crop_frame_by_frame(seed):
    clip = numbered(21, (72, 64))
    made = pair(clip, start=6, frames=13)
    footage = Footage([shard("other", 9, seed=1), clip], pairs=[made])
    relit, filmed = footage.draw_pairs(2, 5, (32, 32), np.random.default_rng(seed))
    assert torch.equal(relit.mask, filmed.mask) and relit.mask.max() > 0.9
    there = np.array(numbers(filmed, "plate"))
    assert (np.abs(np.diff(there)) == 1).all() and there.min() >= 6 and there.max() <= 18
    # The pair is half as bright where the person is, and has a background of its own.
    inside = (relit.mask > 0.999).expand_as(relit.picture)
    torch.testing.assert_close(relit.picture[inside], filmed.picture[inside] / 2, rtol=0, atol=0.003)
    assert (relit.plate[:, 2] * 255).round().unique().tolist() == [90]
    nearest = (filmed.overview[:, 0, :, 0, 0] * 255).round().numpy()
    assert np.abs(nearest - there).max() <= 4
    again, _ = footage.draw_pairs(2, 5, (32, 32), np.random.default_rng(seed))
    assert torch.equal(again.picture, relit.picture)
    assert numbers(footage.steady_pair(0, 4, (32, 32))[1], "plate") == [[6, 7, 8, 9]]
    assert not (draw(footage, 4).plate[:, 2] * 255).round().eq(90).all((1, 2, 3)).any()  # pairs are not drawn as clips


def test_all_overviews_are_of_one_side():
    one, other = shard("a", 9), shard("b", 9)
    wide = replace(other, info=replace(other.info, overview=32), overview=other.overview[:, ::2, ::2])
    assert Footage([wide]).overview == 32
    assert Footage([wide]).draw(1, 5, (16, 16), np.random.default_rng(0)).overview.shape == (1, 3, 5, 32, 32)
    with pytest.raises(InputError, match=r"overviews of 32 and 64 pixels; make all of them with one --overview"):
        Footage([one, wide])


def test_what_has_no_room_in_memory_is_read_when_it_is_drawn(tmp_path):
    clip = shard("a", 21, seed=0)
    for made in (clip, shard("b", 9, seed=1), shard("photo", 1, seed=2)):
        shards.write(tmp_path / f"{made.info.name}.zip", made)
    (tmp_path / "pairs").mkdir()
    shards.write(tmp_path / "pairs" / "pair-000000.zip", pair(clip, 4, 13))
    size = 7 * 72 * 64
    held, some, none = (Footage.read(tmp_path, pairs=[tmp_path / "pairs"], memory=memory)
                        for memory in (np.inf, 25 * size, 0))
    for batches in zip(*([draw(footage, 6), draw(footage, 2, 1), *footage.draw_pairs(2, 5, (32, 32), random),
                          footage.steady(0, 9, (32, 32)), *footage.steady_pair(0, 4, (32, 32))]
                         for footage in (held, some, none)
                         for random in [np.random.default_rng(0)]), strict=True):
        for name in vars(batches[0]):
            assert all(torch.equal(getattr(batch, name), getattr(batches[0], name)) for batch in batches), name
    assert held.videos == none.videos == [0, 1]
    for path in tmp_path.glob("*.zip"):
        path.unlink()
    draw(held, 6)
    with pytest.raises(FileNotFoundError):
        draw(none, 1)


@settings(deadline=None, max_examples=30)
@given(there=st.integers(1, 30), wanted=st.integers(1, 40), seed=st.integers(0, 99))
def test_frames_are_consecutive_and_a_short_clip_goes_back_and_forth(there, wanted, seed):
    (row,) = numbers(draw(Footage([numbered(there, (24, 24))]), 1, wanted, (16, 16), seed, STILL))
    assert len(row) == wanted and set(row) <= set(range(there))
    if there == 1:
        assert set(row) == {0}
    elif wanted <= there:
        assert row == list(range(row[0], row[0] + wanted))
    else:
        assert row[0] == 0 and all(abs(a - b) == 1 for a, b in pairwise(row))
        assert row == (list(range(there)) + list(range(there - 2, -1, -1)))[:wanted] + row[2 * there - 1 :]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99), st.booleans(), st.integers(5, 30))
def test_the_overview_follows_the_frames(seed, reverse, wanted):
    batch = draw(Footage([numbered(23)]), 1, wanted, (16, 16), seed, replace(STILL, reverse=float(reverse)))
    for frame, whole in zip(numbers(batch)[0], numbers(batch, "overview")[0], strict=True):
        assert whole % 4 == 0 and (abs(frame - whole) <= 2 or (frame == 23 and whole == 20))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_photos_have_their_share(share):
    clip, photo = numbered(5), numbered(1)
    photo = replace(photo, picture=np.full_like(photo.picture, 200))
    footage = Footage([clip, clip, clip, photo])
    rows = numbers(draw(footage, 300, 1, (16, 16), config=replace(STEADY, photos=share)))
    assert np.mean([row[0] == 200 for row in rows]) == pytest.approx(share, abs=0.08)


def test_photos_alone_and_clips_alone_are_enough():
    assert numbers(draw(Footage([numbered(1)]), 2, 3, config=replace(STEADY, photos=0.0))) == [[0, 0, 0]] * 2
    assert all(row[2] > 0 for row in numbers(draw(Footage([numbered(9)]), 2, 3, config=replace(STEADY, photos=1.0))))


def test_a_photo_stands_still_or_the_crop_moves_over_it():
    footage = Footage([shard(frames=1, size=(96, 96))])
    moves = []
    for seed in range(30):
        batch = draw(footage, 1, 9, seed=seed, config=CropConfig(shift=0.2, flip=0))
        change = (batch.mask[:, :, 1:] - batch.mask[:, :, :-1]).abs().amax((0, 1, 3, 4))
        moves.append(bool(change.any()))
        if moves[-1]:  # slowly, and the person stays in it
            assert batch.mask.mean((0, 1, 3, 4)).min() > 0.1
    assert 5 <= sum(moves) <= 25
    assert torch.equal(*(footage.steady(0, 9, (32, 32)).picture[:, :, t] for t in (0, 8)))


@settings(deadline=None, max_examples=40)
@given(height=st.integers(24, 90), width=st.integers(24, 90), x=st.floats(0.25, 0.6), y=st.floats(0.3, 0.7),
       frames=st.integers(1, 17))
def test_steady_keeps_the_whole_person_in_view(height, width, x, y, frames):
    rows, columns = np.mgrid[:height, :width]
    masks = np.stack([(abs(columns - x * width - t / 4) < 0.12 * width) & (abs(rows - y * height) < 0.22 * height)
                      for t in range(frames)])
    made = replace(shard(frames=frames, size=(height, width)), mask=bits(masks))
    view = (64, 48) if height > width else (48, 64)
    batch = Footage([made]).steady(0, frames, view)
    # Nobody at the border of the view who does not stand at the border of the picture, and a fair size.
    border = torch.cat([batch.mask[..., 0, :], batch.mask[..., -1, :], batch.mask[..., 0], batch.mask[..., -1]], -1)
    touches = masks[:, 0].any() | masks[:, -1].any() | masks[:, :, 0].any() | masks[:, :, -1].any()
    assert touches or border.max() < 0.5
    seen = [np.flatnonzero((batch.mask[0, 0] > 0.5).numpy().any(axis)) for axis in ((0, 1), (0, 2))]
    for extent, size in zip(seen, view[::-1], strict=True):
        assert 0.2 * size < extent[-1] + 1 - extent[0] <= size


def test_steady_begins_where_it_is_told_and_is_the_same_each_time():
    footage = Footage([numbered(5), numbered(21)])
    assert numbers(footage.steady(1, 5, (16, 16), start=7)) == [[7, 8, 9, 10, 11]]
    first, second = (footage.steady(1, 9, (32, 32)) for _ in range(2))
    for name in vars(first):
        assert torch.equal(getattr(first, name), getattr(second, name))


@settings(deadline=None, max_examples=60)
@given(height=st.integers(8, 40), width=st.integers(8, 40), seed=st.integers(0, 999),
       view=st.sampled_from([(16, 16), (48, 16), (16, 48), (128, 128)]))
def test_a_view_can_be_had_of_any_region_however_small(height, width, seed, view):
    footage = Footage([shard(frames=3, size=(height, width))])
    batch = draw(footage, 1, 5, view, seed, CropConfig(margin=(0, 1), shift=0.5))
    assert batch.picture.shape == (1, 3, 5, *view) and batch.picture.isfinite().all()


def test_a_frame_without_a_person_and_a_clip_without_one_are_seen_too():
    made = shard(frames=5)
    gone = made.mask.copy()
    gone[2:] = 0
    batch = draw(Footage([replace(made, mask=gone)]), 2, 5, config=STILL)
    assert batch.mask[:, :, :2].max() > 0.9 and batch.mask[:, :, 2:].max() == 0
    whole = draw(Footage([replace(made, mask=np.zeros_like(gone))]), 2, 5, config=STILL)
    assert whole.mask.max() == 0 and whole.picture.isfinite().all()


def test_a_folder_is_read_by_name_and_without_shards_it_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no shards in .*harmovid data shards"):
        Footage.read(tmp_path)
    for name, frames in (("b", 2), ("a", 1)):
        shards.write(tmp_path / f"{name}.zip", shard(name, frames))
    assert [take.name for take in Footage.read(tmp_path).takes] == ["a", "b"]
    (tmp_path / "pairs").mkdir()
    assert Footage.read(tmp_path, pairs=[tmp_path / "pairs", tmp_path / "none"]).pairs == []
    shards.write(tmp_path / "pairs" / "pair.zip", pair(shard("b", 2), frames=2))
    assert len(Footage.read(tmp_path, pairs=[tmp_path / "pairs"]).pairs) == 1
    with pytest.raises(InputError, match="no footage to train on"):
        Footage([])
