"""What random grades and lights promise: neutral at 0, in range, steady, repeatable."""

import pytest
import torch

from harmovid.light import grade as grading
from harmovid.light.looks import draw_grade, draw_lights, draw_table

ONE = torch.ones(64)


def _seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _wander(frames: int = 5) -> torch.Tensor:
    return torch.linspace(0, 1, frames).expand(64, frames)


def test_no_strength_is_the_neutral_grade_and_no_light():
    grade = draw_grade(0 * ONE, _wander(), _seeded(), look=1.0)
    assert not any(value.any() for value in vars(grade).values())
    assert not draw_table(0 * ONE, 5, _seeded(), often=1.0).any()
    lights = draw_lights(0 * ONE, _wander(), _seeded())
    assert not any(getattr(lights, name).any() for name in ("strength", "slope", "flatten", "shade"))


def test_a_still_path_is_a_still_grade():
    still, moving = (draw_grade(ONE, w, _seeded()) for w in (torch.zeros(64, 5), _wander()))
    for value in vars(still).values():
        assert torch.equal(value, value[:, :1].expand_as(value))
    assert torch.equal(still.exposure[:, 0], moving.exposure[:, 0])
    assert (moving.exposure[:, 0] != moving.exposure[:, -1]).any()


def test_each_parameter_is_touched_and_spared():
    grade = draw_grade(ONE, torch.zeros(64, 1), _seeded(), look=0.0)
    for name, value in vars(grade).items():
        touched = value.reshape(64, -1).any(1).float().mean()
        assert 0.03 < touched < 0.97, name


def test_skin_keeps_its_order_of_tones():
    generator = _seeded(1)
    grade = draw_grade(ONE, torch.zeros(64, 1), generator)
    table = grading.bake(grade, 17, draw_table(ONE, 17, generator))
    tones = torch.linspace(0.15, 0.9, 16)
    skin = torch.stack([tones, tones * 0.75, tones * 0.62]).reshape(1, 3, 1, 1, 16).expand(64, -1, -1, -1, -1)
    steps = grading.luma(grading.apply_table(skin, table)).diff(dim=-1)
    assert (steps.flatten(1).amin(1) > -0.02).float().mean() > 0.95


def test_lamps_are_directions_and_light_is_positive():
    lights = draw_lights(ONE, _wander(), _seeded())
    torch.testing.assert_close(lights.direction.norm(dim=-1), torch.ones(64, 5, 2))
    assert lights.direction[..., 1].mean() < 0  # rather from above
    assert (lights.ambient > 0).all() and (lights.colour >= 0).all() and (lights.shade <= 0).all()
    assert (lights.rim >= 0).all() and (lights.rim == 0).any()


@pytest.mark.parametrize("draw", [
    lambda g: draw_grade(ONE, _wander(), g), lambda g: draw_lights(ONE, _wander(), g)])
def test_a_seed_repeats(draw):
    first, again, other = draw(_seeded(4)), draw(_seeded(4)), draw(_seeded(5))
    assert all(torch.equal(a, b) for a, b in zip(vars(first).values(), vars(again).values(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(vars(first).values(), vars(other).values(), strict=True))
