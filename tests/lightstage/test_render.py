from dataclasses import replace

import numpy as np
import pytest

from harmovid.composite.blend import over as blended
from harmovid.light.environment import Environment, Layer, directions, still
from harmovid.lightstage import buffers as bf
from harmovid.lightstage import render
from harmovid.lightstage.render import Look
from harmovid.video.color import from_linear, luminance, to_linear
from tests.lightstage.test_buffers import CELLS, made_up, packed


@pytest.fixture(scope="module")
def taken() -> bf.Buffers:
    return packed(made_up(4, width=0.6))


@pytest.fixture(autouse=True)
def few_cells(monkeypatch):
    """Light of 64 cells at once, in place of a projection."""
    def project(environment: Environment, frames: int, count: int, keys: None) -> np.ndarray:
        return np.stack([np.tile(environment.at(t).mean((0, 1)), (CELLS, 1)) for t in range(frames)])
    monkeypatch.setattr(render.basis, "project_over_time", project)


def sky(level: float = 1.0, colour: tuple[float, float, float] = (1, 1, 1)) -> Environment:
    return still((0.6 + 0.4 * directions(32)[..., 1:2]) * np.array(colour) * level)


def test_person_and_background_are_exposed_alike_whatever_the_light():
    # Ten times the light is the same picture: that is what automatic exposure does.
    taken = packed(made_up(2))
    dim, bright = (render.shoot(taken, sky(level)) for level in (1.0, 10.0))
    assert np.allclose(dim.composite, bright.composite, atol=2e-3)


def test_stops_act_on_both(taken):
    plain, lighter = (render.shoot(taken, sky(), Look(stops=s, shoulder=0.999, crosstalk=0)) for s in (-1.0, -0.5))
    for name in ("foreground", "background"):
        a, b = to_linear(getattr(plain, name), "srgb"), to_linear(getattr(lighter, name), "srgb")
        seen = (a > 0.02) & (b < 0.9)
        assert np.allclose(b[seen] / a[seen], 2**0.5, rtol=0.02)


def test_white_balance_takes_out_some_of_the_lights_colour(taken):
    def cast(adaptation: float) -> float:
        mean = render.shoot(taken, sky(1, (1.0, 0.6, 0.3)), Look(adaptation=adaptation)).background.mean((0, 1, 2))
        return float(mean[0] / mean[2])

    assert cast(0.0) > cast(0.5) > cast(1.0)


def test_the_tone_curve_rises_is_bounded_and_leaves_the_middle_where_it_is():
    x = np.repeat(np.linspace(0, 20, 2001, dtype=np.float32)[:, None], 3, 1)
    for look in (Look(), Look(contrast=1.4, shoulder=0.3, crosstalk=0.1)):
        y = render.develop(x, look)
        assert (np.diff(y[:, 0]) >= 0).all() and y[0, 0] == 0 and 0.97 < y[-1, 0] <= 1
    middle = render.develop(np.full((1, 3), 0.18, np.float32), Look(contrast=1.3))
    assert middle[0, 0] == pytest.approx(float(from_linear(np.array([0.18]), "srgb")[0]), abs=1e-3)
    assert render.develop(np.array([[-1, 0, 0.1]], np.float32), Look(crosstalk=0))[0, :2].max() == 0


def test_a_lamp_of_one_colour_burns_out_to_white():
    y = render.develop(np.array([[0.4, 0, 0], [60, 0, 0]], np.float32), Look(crosstalk=0.08))
    assert y[0, 1] < 0.3 and y[1].min() > 0.9


def test_the_composite_is_the_houses_over(taken):
    shot = render.shoot(taken, sky(), Look(stops=-0.3))
    t = 1
    wanted = from_linear(blended(to_linear(shot.foreground[t], "srgb"), to_linear(shot.background[t], "srgb"),
                                 shot.alpha[t]), "srgb")
    assert np.allclose(shot.composite[t], wanted, atol=1e-5)
    assert (shot.composite[shot.alpha == 0] == shot.background[shot.alpha == 0]).all()


def test_grain_is_on_both_and_changes_from_frame_to_frame_and_not_from_run_to_run(taken):
    plain, noisy, again = (render.shoot(taken, sky(), Look(stops=-0.5, grain=g, seed=3)) for g in (0, 0.03, 0.03))
    assert (noisy.composite == again.composite).all()
    for name in ("foreground", "background"):
        difference = (getattr(noisy, name) - getattr(plain, name))[plain.alpha == 1 if name == "foreground" else ...]
        assert 0.01 < difference.std() < 0.05
    residue = noisy.background - plain.background
    assert np.abs(np.corrcoef(residue[0].ravel(), residue[1].ravel())[0, 1]) < 0.1


def test_light_that_changes_lights_person_and_background_together(taken):
    pixels = np.ones((32, 64, 3), np.float32)
    gain = np.array([[1, 1, 1], [0.3, 0.3, 0.3], [1, 1, 1], [0.3, 0.3, 0.3]], np.float32)
    shot = render.shoot(taken, Environment((Layer(pixels, gain, np.zeros(1)),)))
    for name in ("foreground", "background"):
        levels = getattr(shot, name).mean((1, 2, 3))
        assert levels[0] > 1.3 * levels[1] and levels[2] > 1.3 * levels[3]


def test_colour_is_carried_past_the_edge():
    alpha = np.zeros((1, 9, 9), np.float32)
    alpha[0, 4, 4] = 0.2
    carried = render.extended(np.full((1, 9, 9, 3), 0.7, np.float32), alpha, 2)
    assert np.allclose(carried[0, 2:7, 2:7], 0.7, atol=1e-5)
    assert (carried[0, 0] == 0).all()


def test_a_face_before_a_dark_ground_is_not_burnt_out(taken):
    dark = still(np.where(directions(32)[..., 2:3] < 0, 1e-4, 5.0) * np.ones(3))
    shot = render.shoot(taken, dark, Look(metering=0.3, stops=1.0))
    person = luminance(to_linear(shot.foreground[shot.alpha == 1], "srgb"))
    assert person.mean() < 0.5


def test_a_face_before_a_bright_ground_is_not_lost(taken):
    bright = still(np.where(directions(32)[..., 2:3] < 0, 50.0, 0.05) * np.ones(3))
    shot = render.shoot(taken, bright, Look(metering=0.3, stops=-3.0, shoulder=0.99, crosstalk=0.0))
    person = luminance(to_linear(shot.foreground, "srgb")) * shot.alpha
    assert person.sum() / shot.alpha.sum() == pytest.approx(render._DARKEST, rel=0.05)


def test_a_scene_without_anyone_is_exposed_for_itself():
    empty, behind = np.zeros((1, 4, 4, 3), np.float32), np.full((1, 4, 4, 3), 3.0, np.float32)
    gain = render.exposure(empty, behind, np.zeros((1, 4, 4), np.float32), Look(metering=0.0, adaptation=0.0))
    assert np.allclose(3.0 * gain, 0.18, rtol=0.05)


def test_someone_hardly_seen_is_lifted_by_two_stops_at_most():
    black, behind = np.full((1, 4, 4, 3), 1e-7, np.float32), np.full((1, 4, 4, 3), 3.0, np.float32)
    gain = render.exposure(black, behind, np.full((1, 4, 4), 0.5, np.float32), Look(metering=0.0, adaptation=0.0))
    assert np.allclose(3.0 * gain, 4 * 0.18, rtol=0.05)


def test_looks_are_drawn_from_their_generator():
    a, b, c = (render.draw_look(np.random.default_rng(s)) for s in (1, 1, 2))
    assert a == b != c
    assert replace(a, seed=0).grain >= 0 and 1 <= a.wide <= 2.4


def test_people_are_dark_before_dark_scenes(taken):
    # Grounds up to four stops to either side of what lights the person: a meter that lifted every person to middle grey
    # would make them brightest before the darkest.
    person, scene = [], []
    for seed in range(60):
        random = np.random.default_rng(seed)
        ground = np.where(directions(32)[..., 2:3] < 0, 2 ** random.uniform(-4, 4), 1.0) * np.ones(3)
        shot = render.shoot(taken, still(ground), render.draw_look(random))
        person.append(np.log(np.median(shot.foreground[shot.alpha == 1]) + 0.01))
        scene.append(np.log(np.median(shot.background[shot.alpha == 0]) + 0.01))
    assert np.corrcoef(person, scene)[0, 1] > 0.35
