from dataclasses import replace

import numpy as np
import pytest

from harmovid.light import basis, environment, keys
from harmovid.light.environment import Environment, Layer, still

H = basis.HEIGHT


def lamp(level: float = 500.0, rows: slice = slice(40, 46), columns: slice = slice(60, 70), height: int = H,
         around: float = 0.1) -> np.ndarray:
    """A dim map with a bright rectangle, (height, 2 · height, 3)."""
    pixels = np.full((height, 2 * height, 3), around, np.float32)
    pixels[rows, columns] = np.array([1.0, 0.8, 0.5]) * level
    return pixels


def found(pixels: np.ndarray, count: int = keys.COUNT) -> keys.Keys:
    made = keys.find(still(pixels), count)
    assert made is not None
    return made


@pytest.mark.parametrize("pixels", [np.full((64, 128, 3), 0.3), np.zeros((64, 128, 3)),
                                    lamp(level=1.5), lamp(level=3.0, rows=slice(40, 41), columns=slice(60, 61))],
                         ids=["even", "dark", "hardly brighter", "bright but next to nothing"])
def test_where_no_light_stands_out_there_is_no_key_light(pixels):
    assert keys.find(still(pixels.astype(np.float32))) is None


def test_the_labels_lie_on_the_lamp_alone_and_cover_all_of_it():
    made = found(lamp())
    bright = np.zeros((H, 2 * H), bool)
    bright[40:46, 60:70] = True
    assert ((made.labels > 0) == bright).all()
    assert set(np.unique(made.labels[bright])) == set(range(1, keys.COUNT + 1))
    assert made.labels.max() == len(made.beams.directions) == len(made.beams.solid) == len(made.beams.radius)


def test_beams_have_like_shares_of_an_even_lamp():
    made = found(lamp(), 8)
    share = np.bincount(made.labels.ravel())[1:]
    assert share.sum() == 60 and share.min() >= 6 and share.max() <= 9


def test_samples_lie_within_the_pixels_of_their_beam():
    made = found(lamp(), 8)
    x, y, z = np.moveaxis(made.beams.samples, -1, 0)  # (J, N) each
    row = np.arccos(np.clip(y, -1, 1)) / np.pi * H
    column = (np.arctan2(x, -z) / (2 * np.pi) + 0.5) * 2 * H
    label = made.labels[row.astype(int), column.astype(int)]
    assert (label == np.arange(1, 9)).mean() > 0.98  # on the very edge of a pixel rounding may put one beyond
    assert np.allclose(np.linalg.norm(made.beams.directions, axis=1), 1, atol=1e-5)
    within = np.linalg.norm(made.beams.samples - made.beams.directions, axis=-1)
    assert np.allclose(np.sqrt(np.square(within).mean(0)), made.beams.radius, rtol=0.05)


def test_samples_are_where_the_energy_is():
    pixels = lamp()
    pixels[43:46, 60:70] *= 3  # the lower half of the lamp has three quarters of its light
    made = found(pixels, 1)
    low = made.beams.samples[:, 0, 1] < np.cos(np.pi * 43 / H)
    assert low.mean() == pytest.approx(0.75, abs=0.03)


def test_a_sun_of_one_pixel_is_one_narrow_beam():
    made = found(lamp(level=5e4, rows=slice(30, 31), columns=slice(200, 201)))
    assert made.labels.max() == 1 and np.degrees(made.beams.radius[0]) < 0.8
    assert made.beams.directions[0] @ environment.directions(H)[30, 200] > 0.9999


def test_projection_puts_the_lamp_into_its_beams_and_loses_no_energy():
    pixels = lamp()
    made = found(pixels)
    light = basis.project(pixels, 128, made.labels)
    assert light.shape == (128 + keys.COUNT, 3)
    energy = pixels * environment.solid_angles(H)[..., None]
    assert np.allclose(light[128:].sum(0) * basis.BEAM, energy[40:46, 60:70].sum((0, 1)), rtol=1e-4)
    even = (light[:128] * basis.basis(128).solid[:, None]).sum(0)
    assert np.allclose(even + light[128:].sum(0) * basis.BEAM, energy.sum((0, 1)), rtol=1e-4)
    assert light[:128].max() < 0.11  # of the lamp nothing is left in the even cells


def test_any_other_light_falls_through_the_same_labels():
    labels = found(lamp()).labels
    other = np.random.default_rng(0).random((32, 64, 3)).astype(np.float32)
    light = basis.project(other, 128, labels)
    total = (light[:128] * basis.basis(128).solid[:, None]).sum(0) + light[128:].sum(0) * basis.BEAM
    plain = (basis.project(other, 128) * basis.basis(128).solid[:, None]).sum(0)
    assert np.allclose(total, plain, rtol=1e-4)


def test_over_time_the_beams_flicker_as_the_lamp_does():
    gain = np.array([[1, 1, 1], [0.25, 0.25, 0.25], [2, 2, 2]], np.float32)
    light = Environment((Layer(lamp(around=0.0), gain, np.array([0.4])),
                         Layer(np.full((H, 2 * H, 3), 0.1, np.float32), np.ones((1, 3), np.float32), np.zeros(1))))
    made = keys.find(light)
    shown = basis.project_over_time(light, 3, 128, made.labels)
    assert shown.shape == (3, 128 + made.labels.max(), 3)
    beams = shown[:, 128:].sum((1, 2))
    assert np.allclose(beams / beams[0], [1, 0.25, 2], rtol=0.01)
    for t in range(3):
        assert np.allclose(shown[t].sum(), basis.project(light.at(t), 128, made.labels).sum(), rtol=1e-3)


@pytest.mark.parametrize("height", [48, 80, 96, 100, 120, 127, 128])
def test_maps_of_any_height_keep_their_energy_pixel_by_pixel(height):
    solid = basis.basis(128).solid[:, None]
    for row, column in ((0, 3), (height // 3, 7), (height - 1, 2 * height - 1)):
        pixels = np.zeros((height, 2 * height, 3), np.float32)
        pixels[row, column] = 1
        true = environment.solid_angles(height)[row, 0]
        labels = found(pixels, 3).labels
        keyed = basis.project(pixels, 128, labels)
        assert (basis.project(pixels, 128) * solid).sum(0) == pytest.approx(true, rel=2e-3)
        assert (keyed[:128] * solid).sum(0) + keyed[128:].sum(0) * basis.BEAM == pytest.approx(true, rel=2e-3)


def test_a_lamp_that_passes_goes_past_the_beams_of_one_that_stands():
    stands = Layer(lamp(level=100), np.ones((1, 3), np.float32), np.zeros(1))
    passing = Layer(lamp(around=0.0), np.ones((1, 3), np.float32), np.linspace(-0.2, 0.2, 5))
    labels = keys.find(Environment((stands,))).labels
    alone, both = (basis.project_over_time(Environment(layers), 5, 128, labels) for layers in (
        (stands,), (stands, passing)))
    assert np.allclose(both[:, 128:], alone[:, 128:]) and (both[:, :128].sum((1, 2)) > alone[:, :128].sum((1, 2))).all()


def test_a_layer_that_stands_still_in_every_frame_is_one_that_stands_still():
    stands = Layer(lamp(), np.ones((1, 3), np.float32), np.full(4, 0.3))
    assert (keys.find(Environment((stands,))).labels == keys.find(still(lamp()).turned(0.3)).labels).all()


def test_what_is_next_to_nothing_beside_a_light_that_turns_is_no_key_light():
    dim = Layer(lamp(level=5.0), np.ones((1, 3), np.float32), np.zeros(1))
    bright = Layer(lamp(level=5000.0, rows=slice(20, 60)), np.ones((1, 3), np.float32), np.linspace(0, 1, 4))
    assert keys.find(Environment((dim,))) is not None and keys.find(Environment((dim, bright))) is None


def test_key_lights_are_known_again_by_how_the_light_stands_not_how_bright_it_is():
    light = still(lamp())
    labels = found(lamp()).labels
    assert keys.are_of(labels, light) and keys.are_of(labels, light.scaled(7.0))
    assert keys.are_of(labels, light.scaled(np.array([1.0, 0.2, 3.0])))
    flickers = Environment((Layer(lamp(around=0.0), np.array([[1.0] * 3, [0.1] * 3]), np.zeros(1)),
                            Layer(np.full((H, 2 * H, 3), 0.1, np.float32), np.ones((1, 3)), np.zeros(1))))
    late = Environment((replace(flickers.layers[0], gain=flickers.layers[0].gain[1:]), flickers.layers[1]))
    assert keys.are_of(keys.find(flickers).labels, late)
    assert not keys.are_of(labels, light.turned(0.5))
    assert not keys.are_of(labels, still(np.ones((H, 2 * H, 3), np.float32)))


def test_a_lamp_across_the_seam_is_one_lamp():
    seam = np.roll(lamp(), 2 * H - 65, 1)  # columns 60 to 70 go to −5 to 5
    parts, whole = found(seam, 4), found(lamp(), 4)
    assert np.allclose(np.sort(parts.beams.radius), np.sort(whole.beams.radius), rtol=0.1)


def test_a_lamp_that_passes_is_no_key_light():
    passing = Layer(lamp(around=0.0), np.ones((1, 3), np.float32), np.linspace(0, 1, 4))
    dim = Layer(np.full((64, 128, 3), 0.1, np.float32), np.ones((1, 3), np.float32), np.zeros(1))
    assert keys.find(Environment((passing, dim))) is None
    assert keys.find(Environment((passing,))) is None


@pytest.mark.parametrize("height", [32, 96, 128, 256])
def test_maps_of_any_height_are_cut(height):
    part = height // 16
    pixels = lamp(rows=slice(part, 2 * part), columns=slice(part, 3 * part), height=height, around=0.01)
    made = found(pixels)
    assert made.labels.shape == (H, 2 * H)
    light = basis.project(pixels, 128, made.labels)
    share = light[128:].sum() * basis.BEAM / (light[128:].sum() * basis.BEAM
                                              + (light[:128] * basis.basis(128).solid[:, None]).sum())
    assert share > 0.9


def test_the_same_light_is_cut_the_same():
    one, other = found(lamp()), found(lamp())
    assert (one.labels == other.labels).all() and (one.beams.samples == other.beams.samples).all()
