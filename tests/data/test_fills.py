"""Fills: of a person's shape, under target and background alike, of nothing that they hide, at the share asked for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harmovid.data.fills import add_fills, extended
from harmovid.data.misfit import over

pytestmark = pytest.mark.usefixtures("one_thread")


def scene(count: int = 4, size: int = 48) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Person, plate, mask (a soft disc low in the view), and the person over the plate."""
    generator = torch.Generator().manual_seed(3)
    plate = torch.rand(count, 3, 2, size, size, generator=generator) * 0.8 + 0.1
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    disc = ((8 - ((x - 24.0) ** 2 + (y - 30.0) ** 2).sqrt()) / 2 + 0.5).clamp(0, 1)
    mask = disc.expand(count, 1, 2, size, size).clone()
    person = torch.full_like(plate, 0.6)
    return person, plate, mask, over(person, plate, mask)


def filled(share: float, seed: int = 0, **other: Tensor) -> tuple[Tensor, Tensor]:
    _, plate, mask, target = scene()
    generator = torch.Generator().manual_seed(seed)
    return add_fills(other.get("target", target), other.get("plate", plate), mask, share, generator)


def test_a_target_is_the_person_over_the_plate_before_and_after() -> None:
    person, plate, mask, _ = scene()
    for seed in range(4):
        target, now = filled(1.0, seed)
        assert (now != plate).flatten(1).any(1).sum() >= 3  # a shape may be moved out of the view
        torch.testing.assert_close(target, over(person, now, mask), rtol=0, atol=2e-3)
        same = (now == plate).all(1, keepdim=True).expand_as(plate)
        assert same.float().mean() > 0.4
        assert torch.equal(target[same], scene()[3][same])


def test_fills_have_their_share() -> None:
    _, plate, _, target = scene()
    assert all(torch.equal(*both) for both in zip(filled(0.0), (target, plate), strict=True))
    some = [(filled(0.5, seed)[1] != plate).flatten(1).any(1) for seed in range(16)]
    assert 0.3 < torch.cat(some).float().mean() < 0.65


def test_they_are_under_the_person_and_elsewhere() -> None:
    _, plate, mask, _ = scene()
    there = [(filled(1.0, seed)[1] != plate).any(1, keepdim=True) for seed in range(8)]
    covered = torch.stack([(hole & (mask > 0.02)).flatten(1).sum(1) / (mask > 0.02).flatten(1).sum(1)
                           for hole in there]).flatten()
    assert 0.15 < (covered > 0.99).float().mean() < 0.6 and (covered < 0.5).float().mean() > 0.3


def test_what_a_fill_hides_has_no_say_in_it() -> None:
    plate = scene()[1]
    _, now = filled(1.0, 2)
    hidden = (now != plate).any(1, keepdim=True).expand_as(plate)
    other = torch.where(hidden, torch.rand(plate.shape, generator=torch.Generator().manual_seed(9)), plate)
    _, again = filled(1.0, 2, plate=other)
    torch.testing.assert_close(again, now, rtol=0, atol=1e-6)


def test_what_is_known_is_carried_smoothly() -> None:
    ramp = torch.linspace(0, 1, 33).expand(1, 3, 1, 33, 33)
    known = torch.ones(1, 1, 1, 33, 33, dtype=torch.bool)
    known[..., 12:20, 12:20] = False
    found = extended(torch.where(known, ramp, 7.0), known)
    assert torch.equal(found[known.expand_as(found)], ramp[known.expand_as(found)])
    assert (found - ramp).abs().max() < 0.05
    flat = extended(torch.where(known, 0.3, 9.0).expand(1, 3, 1, 33, 33), known)
    torch.testing.assert_close(flat, torch.full_like(flat, 0.3), atol=1e-5, rtol=0)


def test_where_nothing_is_left_to_fill_from_the_plate_stays() -> None:
    _, plate, mask, target = scene()
    stayed = []
    for seed in range(6):
        made, now = add_fills(target, plate, torch.ones_like(mask), 1.0, torch.Generator().manual_seed(seed))
        assert now.isfinite().all() and made.isfinite().all()
        stayed += (now == plate).flatten(1).all(1).tolist()
    assert 2 <= sum(stayed) < len(stayed)
