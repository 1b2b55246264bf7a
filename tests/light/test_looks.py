"""What random grades and lights promise: neutral at 0, in range, steady, repeatable."""

from pathlib import Path

import numpy as np
import pytest
import torch

from harmovid.errors import InputError
from harmovid.light import grade as grading
from harmovid.light import lut
from harmovid.light.looks import draw_grade, draw_lights, draw_table, draw_worn, stored_tables

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


def _folder(folder: Path) -> str:
    """Two tables: red takes green's place and green red's; everything half as bright."""
    same = lut.identity(9).table
    for name, table in (("a", same[..., [1, 0, 2]]), ("b", same / 2)):
        lut.write_cube(lut.Lut(np.ascontiguousarray(table)), folder / f"{name}.cube")
    return str(folder)


def test_stored_tables_do_to_colours_what_their_files_say(tmp_path):
    tables = stored_tables(_folder(tmp_path), 9).float()
    same = grading.neutral_table(9, torch.device("cpu"))
    torch.testing.assert_close(tables + same, torch.stack([same[[1, 0, 2]], same / 2]), atol=1e-3, rtol=0)


def test_who_wears_a_table_wears_it_at_the_strength_and_has_little_else(tmp_path):
    folder = _folder(tmp_path)
    tables = stored_tables(folder, 5).float()
    worn, left = draw_worn(0.5 * ONE, 5, _seeded(), folder, often=1.0)
    assert all(min((change - 0.5 * table).abs().max() for table in tables) < 1e-3 for change in worn)
    assert (left <= 0.2).all() and (left == 0).any() and (left > 0).any()
    worn, left = draw_worn(0.5 * ONE, 5, _seeded(), folder, often=0.0)
    assert not worn.any() and torch.equal(left, 0.5 * ONE)
    worn, left = draw_worn(0 * ONE, 5, _seeded(), folder, often=1.0)
    assert not worn.any() and not left.any()


def test_a_folder_without_tables_is_said_so(tmp_path):
    with pytest.raises(InputError, match=r"holds no \.cube files"):
        stored_tables(str(tmp_path), 5)
