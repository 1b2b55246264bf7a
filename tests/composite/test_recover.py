"""The edge read off what a harmonizer made: known mixes come back, what cannot be known stays, detail guides it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from harmovid.composite.blend import over
from harmovid.composite.recover import carry, edge_change, outline, recover

SIZE = 96
PERSON, STREET = np.float32([0.7, 0.3, 0.2]), np.float32([0.1, 0.2, 0.6])


def disc(radius: float, soft: float, size: int = SIZE) -> np.ndarray:
    y, x = np.mgrid[:size, :size] + 0.5
    return np.clip((radius - np.hypot(x - size / 2, y - size / 2)) / soft + 0.5, 0, 1).astype(np.float32)


def plane(colour: np.ndarray, size: int = SIZE) -> np.ndarray:
    return np.broadcast_to(colour, (size, size, 3)).astype(np.float32)


def mixed(alpha: np.ndarray, person: np.ndarray = PERSON) -> np.ndarray:
    return over(plane(person, len(alpha)), plane(STREET, len(alpha)), alpha)


def test_a_known_alpha_mixed_of_two_known_colours_comes_back() -> None:
    given, true = disc(29, 0.1), disc(29.5, 2.0)
    np.testing.assert_allclose(recover(mixed(true), plane(STREET), given), true, atol=0.01)
    change = edge_change(mixed(given), mixed(true), plane(STREET), given)
    np.testing.assert_allclose(given + change, true, atol=0.01)


def test_what_blurs_both_views_alike_moves_no_edge() -> None:
    given = disc(29, 1.0)
    soft = cv2.GaussianBlur(mixed(given), (0, 0), 1.5)
    assert not edge_change(soft, soft, plane(STREET), given).any()


def test_where_person_and_background_are_alike_the_given_alpha_stays() -> None:
    given, true = disc(29, 1.0), disc(31, 1.0)
    alike = STREET + np.float32(0.001)
    np.testing.assert_allclose(recover(mixed(true, alike), plane(STREET), given), given, atol=0.02)


def test_away_from_the_outline_and_without_a_person_nothing_is_changed() -> None:
    given = disc(29, 1.0)
    noise = np.random.default_rng(0).uniform(0, 1, (SIZE, SIZE, 3)).astype(np.float32)
    near = outline(given)
    assert 0.02 < near.mean() < 0.2 and not near[SIZE // 2, SIZE // 2] and not near[0, 0]
    assert np.array_equal(recover(noise, plane(STREET), given)[~near], given[~near])
    for empty in (np.zeros_like(given), np.full_like(given, 0.5)):
        assert np.array_equal(recover(noise, plane(STREET), empty), empty)


def test_at_the_views_own_size_a_change_is_carried_as_it_is() -> None:
    given, true = disc(29, 0.1), disc(30, 3.0)
    guide = np.random.default_rng(0).uniform(0, 1, given.shape).astype(np.float32)
    np.testing.assert_allclose(carry(true - given, guide, given), true, atol=0.01)


@pytest.mark.parametrize("size", [(SIZE, SIZE), (4 * SIZE, 4 * SIZE), (200, 150)])
def test_where_nothing_is_changed_no_bit_is(size: tuple[int, int]) -> None:
    alpha = np.random.default_rng(0).uniform(0, 1, size).astype(np.float32)
    assert np.array_equal(carry(np.zeros((SIZE, SIZE), np.float32), alpha, alpha), alpha)
    change = np.zeros((SIZE, SIZE), np.float32)
    change[40:44, 40:44] = 0.3
    far = np.ones(size, bool)
    far[size[0] // 3 : size[0] * 3 // 5, size[1] // 3 : size[1] * 3 // 5] = False
    assert np.array_equal(carry(change, alpha, alpha)[far], alpha[far])


def test_strands_of_hair_follow_the_picture_at_full_size() -> None:
    full = 4 * SIZE
    strands = (np.sin(np.arange(full) / 5) > 0.3).astype(np.float32)  # dark ones before bright old background
    given = disc(120, 2.0, full)
    true = np.maximum(given, disc(140, 2.0, full) * strands[None])
    small, had = (cv2.resize(part, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for part in (true, given))
    guide = 0.8 - 0.6 * true
    plain = np.clip(given + cv2.resize(small - had, (full, full), interpolation=cv2.INTER_LINEAR), 0, 1)
    near = true != given
    found = carry(small - had, guide, given)
    assert np.abs(found - true)[near].mean() < 0.6 * np.abs(plain - true)[near].mean()
