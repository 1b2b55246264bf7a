from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from harmovid.baselines import atlas
from harmovid.baselines.atlas import Atlas, AtlasConfig, Coordinates
from harmovid.errors import InputError, OptionError
from harmovid.evaluate.temporal import luminance_jitter
from tests import figures
from tests.baselines import moving


@cache
def fitted(flickering: bool) -> tuple[np.ndarray, np.ndarray, Atlas]:
    clean = moving.clip()
    shown = np.clip(clean * moving.gains(), 0, 1) if flickering else clean
    return clean, shown, atlas.fit(shown, moving.tiny_atlas())


def jitter(result: np.ndarray, truth: np.ndarray) -> float:
    return luminance_jitter(result, truth, np.ones(truth.shape[:3], np.float32))


def test_a_steady_clip_is_rendered_as_it_is_at_26_decibels() -> None:
    clean, _, net = fitted(False)
    shown = net.render()
    assert shown.shape == clean.shape and shown.dtype == np.float32
    assert figures.psnr(shown, clean) > 26


def test_the_rendered_clip_of_a_flickering_one_is_steady() -> None:
    clean, shown, net = fitted(True)
    assert jitter(shown, clean) > 0.2
    assert jitter(net.render(), clean) < 0.25 * jitter(shown, clean)
    assert figures.psnr(net.render(), clean) > figures.psnr(shown, clean) + 1


@pytest.mark.parametrize("flickering", [False, True])
def test_points_along_the_motion_lie_at_one_place_of_the_atlas(flickering: bool) -> None:
    net = fitted(flickering)[2]
    inner = torch.cartesian_prod(torch.arange(4, 20), torch.arange(4, 20), torch.arange(5)).float()
    there = inner + torch.tensor([*moving.STEP, 1.0])
    with torch.no_grad():
        missed = net.pixels(net.place(there) - net.place(inner)).norm(dim=-1).mean()
        stood = net.pixels(net.place(inner + torch.tensor([0.0, 0.0, 1.0])) - net.place(inner)).norm(dim=-1).mean()
    assert missed < 0.25  # the identity misses by 1.12 pixels
    assert stood > 0.75


def test_the_mapping_does_not_stretch() -> None:
    net = fitted(False)[2]
    inner = torch.cartesian_prod(torch.arange(4, 20), torch.arange(4, 20), torch.arange(6)).float()
    with torch.no_grad():
        right = net.pixels(net.place(inner + torch.tensor([1.0, 0, 0])) - net.place(inner))
    assert (right - torch.tensor([1.0, 0.0])).norm(dim=-1).mean() < 0.3


def test_a_young_mapping_is_the_identity() -> None:
    net = Atlas((4, 10, 20), AtlasConfig(scale=0.8))
    points = torch.tensor([[0.0, 0, 0], [20, 10, 2], [10, 10, 3]])
    torch.testing.assert_close(net.place(points), torch.tensor([[-0.8, -0.8], [0.8, 0], [0, 0]]))
    torch.testing.assert_close(net.pixels(torch.tensor([0.8, 0.0])), torch.tensor([10.0, 0]))


def test_the_losses_are_those_of_the_paper() -> None:
    net = Atlas((3, 16, 16), moving.tiny_atlas())
    points = torch.tensor([[3.0, 4, 0], [8, 9, 1]])
    shift = torch.tensor([[3.0, 4, 1], [0, 1, -1]])
    with torch.no_grad():
        colour = net.colour(net.place(points))
        right, down = (net.colour(net.place(points + torch.tensor(d))) - colour for d in ([1.0, 0, 0], [0.0, 1, 0]))
        change = torch.stack([right, down], 1)
        parts = atlas.losses(net, points, shift, torch.ones(2), colour + 0.1, change + 0.2, torch.ones(2, 2), 0.13)
        some = atlas.losses(net, points, shift, torch.tensor([0.0, 1]), colour, change, torch.zeros(2, 2), 0.13, False)
    assert {name: round(float(part), 3) for name, part in parts.items()} == {
        "colour": 0.03, "gradient": 0.24, "motion": 3.0,  # px: the mean of 5 and 1
        "rigidity": pytest.approx(2 * 2**0.5, abs=0.01), "far_rigidity": pytest.approx(2 * 2**0.5, abs=0.01)}
    assert "far_rigidity" not in some and float(some["motion"]) == pytest.approx(1, abs=1e-3)
    assert float(some["gradient"]) == 0


def test_a_seed_decides() -> None:
    frames, config = moving.clip(3, 12), moving.tiny_atlas(3)
    state = torch.get_rng_state()
    first, again, other = (atlas.fit(frames, config, seed).render() for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("shape", [(1, 5, 7), (2, 1, 1), (3, 1, 9)])
def test_odd_clips_are_fitted(shape: tuple[int, int, int]) -> None:
    seen: list[tuple[str, int, int]] = []
    frames = np.random.default_rng(0).random((*shape, 3), np.float32)
    shown = atlas.fit(frames, moving.tiny_atlas(2), progress=lambda *said: seen.append(said)).render()
    assert shown.shape == frames.shape and np.isfinite(shown).all()
    assert seen == [("atlas", 1, 2), ("atlas", 2, 2)]


def test_coordinates_have_the_size_that_is_asked_for() -> None:
    net = Coordinates(2, 3, (8, 16), 4, (4, 7))
    assert [layer.in_features for layer in net.hidden] == [16, 16, 16, 16, 32, 16, 16, 32]
    assert net(torch.zeros(5, 2)).shape == (5, 3)
    assert not any("octaves" in name for name in net.state_dict())


@pytest.mark.parametrize(("size", "edge", "expected"), [((40, 20), 10, (10, 5)), ((8, 9), 10, (8, 9)),
                                                        ((300, 1), 10, (10, 1))])
def test_clips_are_made_small(size: tuple[int, int], edge: int, expected: tuple[int, int]) -> None:
    assert atlas.shrunk(np.zeros((2, *size, 3), np.float32), edge).shape == (2, *expected, 3)
    assert atlas.shrunk(np.zeros((2, *size), np.float32), edge).shape == (2, *expected)


@pytest.mark.parametrize("shape", [(4, 4, 3), (2, 4, 4, 4), (0, 4, 4, 3), (2, 0, 4, 3)])
def test_what_is_no_clip_is_refused_in_a_sentence(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"expected \(T, H, W, 3\)"):
        atlas.fit(np.zeros(shape, np.float32), moving.tiny_atlas(1))


@pytest.mark.parametrize("wrong", [{"edge": 0}, {"iterations": 0}, {"lr": 0.0}, {"final_lr": 2.0}])
def test_settings_without_meaning_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(OptionError):
        replace(AtlasConfig(), **wrong)
