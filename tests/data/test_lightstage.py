import shutil
from dataclasses import fields

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from harmovid.data import lightstage
from harmovid.data.dataset import CropConfig
from harmovid.data.lightstage import LightStage, PairConfig, StageBatch, StagePairs
from harmovid.data.misfit import over
from harmovid.errors import InputError
from harmovid.light import procedural
from harmovid.light.environment import directions, still
from harmovid.lightstage import buffers
from tests.lightstage.test_buffers import made_up, packed

CELLS = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two takes of six frames, and a map."""
    out = tmp_path_factory.mktemp("stage")
    for n in range(2):
        taken = packed(made_up(6, seed=n, width=0.7), clusters=2, components=8)
        buffers.write(out / f"take-{n:06d}.safetensors", taken)
    (out / "maps").mkdir()
    cv2.imwrite(str(out / "maps" / "a.hdr"), np.random.default_rng(0).random((16, 32, 3), np.float32))
    return out


@pytest.fixture(autouse=True)
def small_maps(monkeypatch):
    monkeypatch.setattr(procedural, "HEIGHT", 32)
    monkeypatch.setattr(procedural.draw, "__defaults__", (1, 24.0, None, 32))


def drawn(folder, seed: int = 0, batch: int = 2, frames: int = 5, view: tuple[int, int] = (32, 24),
          config: PairConfig | None = None) -> StageBatch:
    return LightStage(folder, config or PairConfig()).draw(batch, frames, view, np.random.default_rng(seed))


def same(a: StageBatch, b: StageBatch) -> bool:
    return all(torch.equal(getattr(a, field.name), getattr(b, field.name)) for field in fields(StageBatch))


def test_shapes_and_ranges(folder):
    batch = drawn(folder)
    for name, channels in (("source", 3), ("target", 3), ("background", 3), ("alpha", 1), ("mask", 1)):
        part = getattr(batch, name)
        assert part.shape == (2, channels, 5, 32, 24) and part.dtype == torch.float32
        assert 0 <= part.min() and part.max() <= 1
    assert batch.overview.shape == (2, 3, 5, 64, 64)
    assert set(batch.mask.unique().tolist()) == {0.0, 1.0}
    assert ((batch.alpha >= 0.5) == (batch.mask == 1)).all()


def test_the_same_seed_draws_the_same_and_another_another(folder):
    assert same(drawn(folder, 5), drawn(folder, 5))
    assert not same(drawn(folder, 5), drawn(folder, 6))


def test_the_target_stands_before_the_background_and_the_source_before_another(folder):
    batch = drawn(folder, 1, config=PairConfig(same=0))
    outside = (batch.alpha == 0).expand_as(batch.target)
    assert torch.allclose(batch.target[outside], batch.background[outside], atol=1e-6)
    assert (batch.source[outside] - batch.background[outside]).abs().mean() > 0.02
    inside = (batch.alpha == 1).expand_as(batch.target)
    assert (batch.target[inside] - batch.background[inside]).abs().mean() > 0.02


def test_a_composite_of_the_target_is_the_target(folder):
    batch = drawn(folder, 2)
    put = over(batch.target, batch.background, (batch.alpha > 0).float())
    assert torch.allclose(put, batch.target, atol=1e-5)


def test_one_light_for_both_differs_by_the_camera_alone(folder):
    crop = CropConfig(margin=(0.1, 0.1), shift=0, flip=0, reverse=0)
    batch = drawn(folder, 3, config=PairConfig(same=1.0, crop=crop))
    inside = (batch.alpha[0] == 1).expand_as(batch.source[0])
    a, b = batch.source[0][inside], batch.target[0][inside]
    assert torch.corrcoef(torch.stack([a, b]))[0, 1] > 0.9


def test_a_short_take_is_played_back_and_forth(folder):
    crop = CropConfig(margin=(0.1, 0.1), shift=0, flip=0, reverse=0)
    alpha = drawn(folder, 4, batch=1, frames=14, config=PairConfig(crop=crop)).alpha[0, 0]
    # Period 10 of six frames there and back.
    assert torch.allclose(alpha[0], alpha[10], atol=1e-6) and not torch.allclose(alpha[0], alpha[3], atol=1e-2)


def test_maps_light_their_share(folder):
    stage = LightStage(folder, PairConfig(maps=1.0))
    assert stage.light(3, 24, np.random.default_rng(0)).name == "a"
    stage = LightStage(folder, PairConfig(maps=0.0))
    assert stage.light(3, 24, np.random.default_rng(0)).name in procedural.KINDS
    assert still(np.ones((4, 8, 3))).frames == 1


def test_the_light_that_takes_were_filmed_for_lights_its_share_as_it_stands(folder, tmp_path, monkeypatch):
    other = tmp_path / "own"
    shutil.copytree(folder, other)
    cv2.imwrite(str(other / "light.hdr"), np.ones((4, 8, 3), np.float32))
    stage, random = LightStage(other, PairConfig(own=0.5)), np.random.default_rng(0)
    lights = [stage.light(3, 24, random, 0.5) for _ in range(60)]
    own = [light for light in lights if light.name == "light"]
    assert 18 <= len(own) <= 42 and all((light.layers[0].yaw == 0).all() for light in own)
    assert LightStage(folder).own is None
    # A pair is not of that light twice.
    always, drawn = LightStage(other, PairConfig(own=1.0, same=0)), []
    monkeypatch.setattr(always, "film", lambda *given: drawn.append(given[3]) or LightStage.film(always, *given))
    for number in range(4):
        always.draw(1, 2, (16, 16), np.random.default_rng(number))
    assert drawn == [1.0, 0] * 4


def test_lights_that_set_the_person_off_against_a_dark_ground_are_seldom(folder, monkeypatch):
    # Before the camera it is as dark as night; what lights the person stands behind it.
    spot = still(np.where(directions(32)[..., 2:3] < 0, 1e-3, 5.0) * np.ones(3), "spot")
    even = still(np.ones((32, 64, 3)), "even")
    monkeypatch.setattr(lightstage, "draw_light", lambda maps, share, frames, rate, random: random.choice([spot, even]))
    take = buffers.read(folder / "take-000000.safetensors")

    def spots(share: float) -> int:
        stage, random = LightStage(folder, PairConfig(spotlit=share)), np.random.default_rng(0)
        return sum(stage.film(take, slice(0, 1), random)[1].name == "spot" for _ in range(40))

    assert 10 <= spots(1.0) <= 30  # as often as they are drawn
    assert spots(0.3) < spots(1.0) and spots(0.0) <= 2
    monkeypatch.setattr(lightstage, "draw_light", lambda maps, share, frames, rate, random: spot)
    assert spots(0.0) == 40  # where there is nothing else


def test_lights_that_leave_the_person_dark_before_a_bright_ground_are_seldom(folder, monkeypatch):
    bright = still(np.where(directions(32)[..., 2:3] < -0.8, 5.0, 1e-3) * np.ones(3), "bright")
    even = still(np.ones((32, 64, 3)), "even")
    either = [bright, even]
    monkeypatch.setattr(lightstage, "draw_light", lambda maps, share, frames, rate, random: random.choice(either))
    take = buffers.read(folder / "take-000000.safetensors")

    def lost(share: float) -> int:
        stage, random = LightStage(folder, PairConfig(silhouette=share)), np.random.default_rng(0)
        return sum(stage.film(take, slice(0, 1), random)[1].name == "bright" for _ in range(40))

    assert 10 <= lost(1.0) <= 30
    assert lost(0.3) < lost(1.0) and lost(0.0) <= 2


def test_batches_are_the_same_with_any_number_of_workers(folder):
    pairs = StagePairs(LightStage(folder), 1, 2, (16, 16), seed=9)
    alone = [batch for batch, _ in zip(pairs, range(4), strict=False)]
    shared = [batch for batch, _ in zip(DataLoader(pairs, batch_size=None, num_workers=2), range(4), strict=False)]
    assert all(same(a, b) for a, b in zip(alone, shared, strict=True))
    assert not same(alone[0], alone[1])


def test_a_folder_without_takes_is_refused(tmp_path):
    with pytest.raises(InputError, match="make them with `harmovid data lightstage`"):
        LightStage(tmp_path)
