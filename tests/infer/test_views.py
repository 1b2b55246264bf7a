"""What the seam promises to a harmonizer, seen from the harmonizer's side of a real run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from harmovid.baselines import classical
from harmovid.infer import framing, pipeline
from harmovid.infer.plan import Options, plan
from harmovid.infer.views import Harmonized, Harmonizer, ViewClip, Views, ViewSize
from harmovid.video import io
from harmovid.video.color import SRGB, ColorTags, convert, from_linear, to_linear
from tests import figures
from tests.figures import Lamp

SIZE, FRAMES = (128, 72), 6


def shown(tmp_path: Path, film: figures.Filmed, behind: np.ndarray, lamp: Lamp | None = None, masked: bool = False,
          tags: ColorTags = SRGB, **options: Any) -> tuple[Views, Lamp]:
    """All that a harmonizer is shown of a run, joined over its windows."""
    lamp = lamp or Lamp()
    if masked:
        front = figures.write(tmp_path / "fg.mkv", convert(film.frames, SRGB, tags), bits=16, tags=tags)
        mask = io.open_clip(figures.write(tmp_path / "mask.mkv", film.alpha))
    else:
        front = figures.write(tmp_path / "fg.mkv", convert(film.own, SRGB, tags), film.alpha, bits=16, tags=tags)
        mask = None
    street = figures.write(tmp_path / "bg.mkv", convert(behind, SRGB, tags), bits=16, tags=tags)
    work = plan(io.open_clip(front), io.open_clip(street), mask, tmp_path / "out.mkv", Options(**options))
    pipeline.harmonize(work, lamp)
    return Views(*(np.concatenate([getattr(views, name) for views in lamp.seen], axis=1)
                   for name in ("composite", "background", "mask", "overview"))), lamp


@pytest.fixture(scope="module")
def film() -> figures.Filmed:
    return figures.film(SIZE, FRAMES, step=(3, 0), start=(-8, 0), scale=0.7)


@pytest.fixture(scope="module")
def street() -> np.ndarray:
    """Brighter with each frame, so that order shows."""
    return np.stack([figures.scenery(SIZE, 5) * (0.4 + 0.1 * t) for t in range(FRAMES)])


@pytest.mark.parametrize(("view", "chunk"), [(ViewSize(), 1), (ViewSize(48 * 48, 8, (5, 9)), 4),
                                             (ViewSize(64 * 64, 32, (16, 16)), 100)])
def test_shapes_ranges_and_kinds(tmp_path: Path, film: figures.Filmed, street: np.ndarray, view: ViewSize,
                                 chunk: int) -> None:
    lamp = Lamp(chunk=chunk)
    lamp.view = view
    views, _ = shown(tmp_path, film, street, lamp)
    height, width = views.mask.shape[2:]
    assert height % view.multiple == 0 and width % view.multiple == 0
    assert 0.4 < height * width / view.area < 2.5
    assert views.composite.shape == views.background.shape == (3, FRAMES, height, width)
    assert views.mask.shape == (1, FRAMES, height, width) and views.overview.shape == (3, FRAMES, *view.overview)
    for planes in (views.composite, views.background, views.mask, views.overview):
        assert planes.dtype == np.float32 and planes.min() >= 0 and planes.max() <= 1


def test_frames_come_in_order_and_the_background_is_the_same_one_in_all_three(tmp_path: Path, film: figures.Filmed,
                                                                              street: np.ndarray) -> None:
    views, _ = shown(tmp_path, film, street)
    for planes in (views.background, views.overview):
        assert (np.diff(planes.mean(axis=(0, 2, 3))) > 0.01).all()
    outside = np.repeat(views.mask == 0, 3, axis=0)
    assert outside.any() and np.abs(views.composite - views.background)[outside].max() < 1e-3


def test_the_view_is_the_persons_box(tmp_path: Path, film: figures.Filmed, street: np.ndarray) -> None:
    views, lamp = shown(tmp_path, film, street)
    frames = framing.frame([framing.find(alpha) for alpha in film.alpha], SIZE, lamp.view)
    assert views.mask.shape[2:] == frames.view
    for t, (x0, y0, x1, y1) in enumerate(frames.boxes):
        for seen, whole in ((views.mask[0, t], film.alpha[t]), (views.background[:, t].transpose(1, 2, 0), street[t])):
            exact = cv2.resize(whole[y0:y1, x0:x1], frames.view[::-1], interpolation=cv2.INTER_AREA)
            assert np.abs(seen - exact).max() < 0.004
        held = views.mask[0, t]
        assert held[0].max() == held[-1].max() == held[:, 0].max() == held[:, -1].max() == 0, "with margin all around"
        assert held.mean() > 0.15, "and not lost in it"


def test_the_composite_is_the_person_in_their_own_light_over_the_new_background(tmp_path: Path, film: figures.Filmed,
                                                                                street: np.ndarray) -> None:
    views, _ = shown(tmp_path, film, street, Lamp(0.2))
    solid = np.repeat(views.mask > 0.999, 3, axis=0)
    frames = framing.frame([framing.find(alpha) for alpha in film.alpha], SIZE, Lamp.view)
    weighted = np.concatenate([film.own * film.alpha[..., None], film.alpha[..., None]], axis=3)
    small = np.stack([cv2.resize(weighted[t, y0:y1, x0:x1], frames.view[::-1], interpolation=cv2.INTER_AREA)
                      for t, (x0, y0, x1, y1) in enumerate(frames.boxes)]).transpose(3, 0, 1, 2)
    own = small[:3] / np.maximum(small[3:], 1e-6)
    assert np.abs(views.composite - own)[solid].max() < 0.004
    light, behind = to_linear(own, "srgb"), to_linear(views.background, "srgb")
    mixed = from_linear(views.mask * light + (1 - views.mask) * behind, "srgb")
    band = np.repeat((views.mask > 0.3) & (views.mask < 1), 3, axis=0)
    assert np.abs(views.composite - mixed)[band].max() < 0.02


def test_a_filmed_persons_old_background_is_not_shown(tmp_path: Path) -> None:
    film = figures.film(SIZE, 1, scale=0.7)
    red = figures.Filmed(film.own, film.alpha, np.broadcast_to(np.float32([1, 0, 0]), film.own.shape))
    grey = np.full_like(film.own, 0.3)
    views, _ = shown(tmp_path, red, grey, masked=True)
    outer = (views.mask[0] > 0.02) & (views.mask[0] < 0.3)
    redness = (views.composite[0] - views.composite[1])[outer]
    assert np.abs(redness).max() < 0.12, "of a wall that is 1 redder than green"


def test_the_overview_is_all_of_the_background(tmp_path: Path, film: figures.Filmed) -> None:
    corners = np.full((FRAMES, *SIZE[::-1], 3), 0.5, np.float32)
    corners[:, :36, :64], corners[:, 36:, 64:] = [1, 0, 0], [0, 0, 1]
    views, lamp = shown(tmp_path, film, corners)
    height, width = lamp.view.overview
    for tile, colour in ((views.overview[:, :, : height // 2, : width // 2], [1, 0, 0]),
                         (views.overview[:, :, height // 2 :, width // 2 :], [0, 0, 1]),
                         (views.overview[:, :, : height // 2, width // 2 :], [0.5, 0.5, 0.5])):
        np.testing.assert_allclose(tile.mean(axis=(1, 2, 3)), colour, atol=1e-3)


def test_any_colour_is_shown_as_display_srgb(tmp_path: Path, film: figures.Filmed, street: np.ndarray) -> None:
    (tmp_path / "plain").mkdir()
    plain, _ = shown(tmp_path / "plain", film, street)
    (tmp_path / "hlg").mkdir()
    hlg, _ = shown(tmp_path / "hlg", film, street, tags=ColorTags("bt2020", "hlg"))
    for name in ("background", "overview", "mask", "composite"):
        a, b = getattr(plain, name), getattr(hlg, name)
        assert np.abs(a - b).mean() < 0.002 and np.abs(a - b).max() < 0.08, name  # areas are averaged in codes


def test_the_seed_is_handed_on(tmp_path: Path, film: figures.Filmed, street: np.ndarray) -> None:
    _, lamp = shown(tmp_path, film, street, seed=11)
    assert lamp.seeds == [11]


def test_a_clip_of_views_may_be_read_again_and_out_of_order(tmp_path: Path, film: figures.Filmed,
                                                            street: np.ndarray) -> None:
    class Curious(Lamp):
        def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
            assert len(clip) == FRAMES
            last, first = clip.window(FRAMES - 2, FRAMES), clip.window(0, 2)
            for chunk in super().harmonize(clip, seed):
                clip.window(3, 5)  # in the middle of being read by the pipeline
                yield chunk
            assert (clip.window(0, 2).composite == first.composite).all()
            assert (clip.window(FRAMES - 2, FRAMES).mask == last.mask).all()

    views, _ = shown(tmp_path, film, street, Curious())
    assert views.composite.shape[1] == FRAMES and len(figures.read(tmp_path / "out.mkv")[0]) == FRAMES


@pytest.mark.parametrize("given", [FRAMES - 1, FRAMES + 1])
def test_too_few_or_too_many_frames_from_a_harmonizer_do_not_pass(tmp_path: Path, film: figures.Filmed,
                                                                  street: np.ndarray, given: int) -> None:
    class Careless(Lamp):
        def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
            views = clip.window(0, FRAMES)
            for t in [*range(FRAMES), FRAMES - 1][:given]:
                yield Harmonized(views.composite[:, t : t + 1], views.composite[:, t : t + 1])

    with pytest.raises(ValueError, match="zip"):
        shown(tmp_path, film, street, Careless())
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.parametrize("name", ["classical", "reinhard", "histogram"])
def test_the_baselines_fill_the_seam(tmp_path: Path, film: figures.Filmed, street: np.ndarray, name: str) -> None:
    harmonizer: Harmonizer = classical.by_name(name)
    assert harmonizer.name == name and isinstance(harmonizer.view, ViewSize)
    front = figures.write(tmp_path / "fg.mkv", film.own, film.alpha)
    work = plan(io.open_clip(front), io.open_clip(figures.write(tmp_path / "bg.mkv", street)), None,
                tmp_path / "out.mkv", Options())
    assert pipeline.harmonize(work, harmonizer).frames == FRAMES


def test_the_seams_types_are_frozen_and_small_by_default() -> None:
    size = ViewSize()
    assert size.area == 128 * 128 and size.multiple == 16 and size == ViewSize() and hash(size) == hash(ViewSize())
    with pytest.raises(FrozenInstanceError):
        size.area = 1  # type: ignore[misc]
