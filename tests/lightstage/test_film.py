from dataclasses import replace

import numpy as np
import pytest

from harmovid.errors import InputError
from harmovid.light import keys
from harmovid.light.basis import HEIGHT, point_light, project
from harmovid.light.environment import still
from harmovid.lightstage.buffers import Buffers, read, relight, write
from harmovid.lightstage.render import shoot
from tests.lightstage.stage import ball, filmed, material

pytest.importorskip("embreex", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage.film import film
from harmovid.lightstage.radiance import StageConfig, transfer

FEW = StageConfig(cells=96, coverage=3, points=1, surfels=200)


def test_a_filmed_performance_is_what_each_frame_is():
    performance = filmed(ball(material((0.7, 0.4, 0.3), reflectance=0.04, scatter=0.2), frames=3, rings=20), frames=3)
    told = []
    taken = film(performance, "one", (40, 48), seed=4, config=FEW, progress=lambda n, of: told.append((n, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert taken.alpha.shape == (3, 40, 48) and taken.info.seed == 4 and taken.info.rate == (24, 1)
    light = point_light((-0.5, 0.5, 1), (3, 3, 3), 96)
    shown = relight(taken, light)
    for t in range(3):
        frame = transfer(performance, t, (40, 48), FEW)
        wanted = frame.relit(light)
        got = shown[t].reshape(-1, 3)[frame.place]
        assert np.square(got - wanted).mean() < 1e-3 * np.square(wanted).mean()
    # The ball goes to the right.
    columns = (taken.alpha.astype(float) * np.arange(48)).sum((1, 2)) / taken.alpha.sum((1, 2))
    assert (np.diff(columns) > 0.5).all()


def test_a_take_that_is_filmed_for_a_light_keeps_its_key_lights_and_their_shadows(tmp_path):
    performance = filmed(ball(material(), rings=24), ball(material(), centre=(0, 0.13, 0.135), radius=0.028, rings=24))
    pixels = np.full((HEIGHT, 2 * HEIGHT, 3), 0.01, np.float32)
    pixels[24:26, HEIGHT : HEIGHT + 2] = 800
    pixels = np.roll(pixels, HEIGHT, 1)  # it stands behind the camera, up
    light = still(pixels)
    plain, keyed = (film(performance, "one", (48, 48), config=FEW, light=given) for given in (None, light))
    assert plain.keys is None and plain.cells == keyed.cells == 96
    assert keyed.mean.shape[-1] == 96 + keyed.keys.max()
    write(tmp_path / "take.safetensors", keyed)
    again = read(tmp_path / "take.safetensors")
    assert (again.keys == keyed.keys).all() and again.cells == 96

    frame = transfer(performance, 0, (48, 48), FEW, keys.find(light).beams)
    wanted = frame.relit(project(pixels, 96, again.keys))

    def error(taken: Buffers) -> float:
        got = relight(taken, project(pixels, 96, taken.keys))[0].reshape(-1, 3)[frame.place]
        return float(np.square(got - wanted).mean() / np.square(wanted).mean())

    assert error(again) < 1e-3 and error(plain) > 20 * error(again)
    # Other light goes past its beams: it shows what a take shows that was filmed for any light.
    other = still(np.random.default_rng(0).random((64, 128, 3)).astype(np.float32)).turned(0.3)
    any_, own = (shoot(taken, light).foreground for taken, light in ((plain, other), (again, other)))
    assert np.abs(own - any_).max() < 0.03
    sharp, soft = (shoot(taken, light).foreground for taken in (again, plain))
    assert np.abs(sharp - soft).max() > 0.2


def test_a_light_without_key_lights_leaves_a_take_as_it_is():
    performance = filmed(ball(material(), rings=12))
    even = still(np.ones((64, 128, 3), np.float32))
    one, other = (film(performance, "one", (24, 24), config=FEW, light=light) for light in (None, even))
    assert other.keys is None and np.array_equal(one.mean, other.mean)


def test_frames_that_show_nobody_are_empty_and_a_take_that_never_shows_anybody_is_refused():
    far = ball(material(), frames=3, rings=12)
    away = np.array([[0, 0, 0], [9, 0, 0], [0, 0, 0]], np.float32)[:, None]
    moving = filmed(replace(far, vertices=far.vertices + away), frames=3)
    taken = film(moving, "one", (24, 24), config=FEW)
    assert [bool(alpha.any()) for alpha in taken.alpha] == [True, False, True]
    shown = relight(taken, np.ones((96, 3), np.float32))
    assert shown[0].any() and not shown[1].any() and shown[2].any()
    with pytest.raises(InputError, match="nobody is seen in any of the 3 frames of none"):
        film(filmed(replace(far, vertices=far.vertices + 9), frames=3), "none", (24, 24), config=FEW)


def test_who_is_seen_between_the_frames_that_are_learned_from_is_filmed():
    brief = ball(material(), frames=12, rings=12)
    away = np.full((12, 1, 3), 9, np.float32)
    away[7] = 0  # learned from are frames 0, 3, 6, 8 and 11
    taken = film(filmed(replace(brief, vertices=brief.vertices + away), frames=12), "one", (24, 24), config=FEW)
    assert np.flatnonzero(taken.alpha.any((1, 2))).tolist() == [7]
    assert relight(taken, np.ones((96, 3), np.float32))[7].any()
