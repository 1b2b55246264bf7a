import numpy as np
import pytest

from harmovid.light import basis as bases
from harmovid.light import environment as env
from tests.light.sphere import mean_radiance

COUNT = 128


def speckled(height: int = 64, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random((height, 2 * height, 3)) ** 6).astype(np.float32)


def test_directions_are_even_and_cells_make_up_the_sphere():
    made = bases.basis(COUNT)
    assert np.allclose(np.linalg.norm(made.directions, axis=1), 1, atol=1e-6)
    assert made.solid.sum() == pytest.approx(4 * np.pi, rel=1e-5)
    assert made.solid.max() < 1.15 * made.solid.min()


def test_samples_lie_in_their_cells_and_fill_the_sphere():
    made = bases.basis(COUNT)
    assert np.allclose(np.linalg.norm(made.samples, axis=2), 1, atol=1e-5)
    angles = np.arccos(np.clip((made.samples * made.directions).sum(-1), -1, 1))
    assert 0.2 * made.radius[0] < angles.mean() and angles.max() < 2.5 * made.radius[0]
    assert (made.radius == made.radius[0]).all()
    assert (angles.max(0) > 2 * angles.min(0)).all()  # each cell's are spread, not on one ring
    # Weighted by the cells, samples integrate as the sphere does: the mean of y² is 1/3.
    assert (np.square(made.samples[..., 1]).mean(0) * made.solid).sum() / (4 * np.pi) == pytest.approx(1 / 3, abs=2e-3)


def test_projection_keeps_the_energy():
    pixels = speckled()
    light = bases.project(pixels, COUNT)
    total = mean_radiance(pixels) * 4 * np.pi
    assert np.allclose((light * bases.basis(COUNT).solid[:, None]).sum(0), total, rtol=1e-4)


def test_an_even_map_has_its_radiance_in_every_cell():
    assert np.allclose(bases.project(np.full((64, 128, 3), 0.3, np.float32), COUNT), 0.3, rtol=1e-3)


def test_a_point_light_stays_where_it_is_and_keeps_its_energy():
    made = bases.basis(COUNT)
    towards = np.array([0.3, 0.5, -0.7])
    energy = bases.point_light(towards, (1, 2, 3), COUNT) * made.solid[:, None]
    assert np.allclose(energy.sum(0), (1, 2, 3), rtol=1e-5)
    centre = (energy[:, :1] * made.directions).sum(0)
    assert centre @ towards / np.linalg.norm(centre) / np.linalg.norm(towards) > 0.999


def test_a_moving_light_passes_between_cells_without_a_step():
    path = [bases.point_light((np.sin(a), 0.2, -np.cos(a)), (1, 1, 1), COUNT)[:, 0] for a in np.linspace(0, 0.4, 81)]
    steps = np.abs(np.diff(path, axis=0)).max(1)
    assert steps.max() < 0.12 * np.max(path)


def test_light_over_time_is_that_of_each_frame():
    a, b = speckled(seed=1), speckled(seed=2)
    gain = np.array([[1, 1, 1], [0.5, 2, 0]], np.float32)
    moving = env.Environment((env.Layer(a, np.ones((1, 3), np.float32), np.zeros(1)),
                              env.Layer(b, gain, np.array([0.0, 0.7]))))
    light = bases.project_over_time(moving, 3, COUNT)
    assert light.shape == (3, COUNT, 3)
    for t in range(3):
        assert np.allclose(light[t], bases.project(moving.at(t), COUNT), rtol=1e-4, atol=1e-5)


def test_a_small_lamp_in_a_large_map_stays_where_it_is():
    # Cells are 9° apart; the centre of what they get is moved by a fraction of that, wherever the lamp is.
    made = bases.basis()
    towards = env.directions(512)
    for row, column in ((60, 300), (181, 517), (250, 900), (333, 77)):
        pixels = np.zeros((512, 1024, 3), np.float32)
        pixels[row, column] = 1000
        energy = bases.project(pixels).mean(1) * made.solid
        centre = (made.directions * energy[:, None]).sum(0)
        assert np.degrees(np.arccos(centre @ towards[row, column] / np.linalg.norm(centre))) < 2.2
