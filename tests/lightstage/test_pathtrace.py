"""The path tracer: light from where the map says, a sphere like the closed form, a truth set that resumes."""

from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")
pytest.importorskip("mitsuba", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")
pytest.importorskip("mitsuba_oidn", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.data import split
from harmovid.errors import InputError, OutputError
from harmovid.lightstage import eyes, pathtrace
from harmovid.lightstage.scene import Camera, Material, Performance, Surface


def ball(albedo=0.5, frames=1):
    """A white ball of radius 1 before a camera four metres off, filling half of the picture's height."""
    theta, phi = np.meshgrid(np.linspace(0, np.pi, 33), np.linspace(0, 2 * np.pi, 65), indexing="ij")
    points = np.stack([np.sin(theta) * np.sin(phi), np.cos(theta), np.sin(theta) * np.cos(phi)], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(32), np.arange(64), indexing="ij")
    a, b = i * 65 + j, i * 65 + j + 1
    faces = np.concatenate(
        [np.stack([a, a + 65, b + 65], -1).reshape(-1, 3), np.stack([a, b + 65, b], -1).reshape(-1, 3)]
    )
    material = Material(np.full((2, 2, 3), albedo, np.float32), np.full((2, 2), 0.5, np.float32))
    surface = Surface(
        "ball",
        np.tile(points, (frames, 1, 1)).astype(np.float32),
        faces.astype(np.int32),
        np.full((len(faces), 3, 2), 0.5, np.float32),
        material,
    )
    pose = np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1))
    pose[:, 2, 3] = 4
    return Performance((surface,), Camera(pose, 2 * np.arctan(2 / 4)), Fraction(24))


def test_a_uniform_map_shows_the_albedo():
    seen = pathtrace.render(ball(), 0, np.ones((8, 16, 3), np.float32), (32, 32), samples=256, full=False)
    assert seen.shape == (32, 32, 4) and seen[0, 0, 3] == 0 and seen[16, 16, 3] == 1
    np.testing.assert_allclose(seen[12:20, 12:20, :3], 0.5, atol=0.02)


@pytest.mark.parametrize(
    ("column", "row", "place"),
    [
        (0.75, 0.5, (16, 22)),  # +x: the picture's right
        (0.25, 0.5, (16, 10)),  # −x: its left
        (0.0, 0.15, (10, 16)),  # up
        (0.0, 0.5, (16, 16)),
    ],
)  # the map's edges: behind the camera, the front of the ball
def test_light_comes_from_where_the_map_says(column, row, place):
    environment = np.zeros((16, 32, 3), np.float32)
    y, x = round(row * 16), round(column * 32)
    environment[y - 1 : y + 1, [(x - 1) % 32, x % 32]] = 30
    seen = pathtrace.render(ball(), 0, environment, (32, 32), samples=16, full=False)[..., 0]
    opposite = seen[31 - place[0], 31 - place[1]]
    assert seen[place] > 0.1
    assert place == (16, 16) or seen[place] > 4 * opposite


def test_a_shaded_ball_matches_the_closed_form():
    # Light from the upper half alone, constant: the irradiance of a normal n is π (1 + n_y) / 2.
    environment = np.zeros((32, 64, 3), np.float32)
    environment[:16] = 1
    seen = pathtrace.render(ball(), 0, environment, (48, 48), samples=64, full=False)[..., 0]
    for row in (14, 20, 24, 28, 34):
        # The ray through a pixel meets the ball where |o + t d| = 1.
        up = (23.5 - row) / 24 * 0.5
        ray = np.array([0, up, -1]) / np.hypot(up, 1)
        reach = 4 * -ray[2] - np.sqrt((4 * ray[2]) ** 2 - 15)
        assert seen[row, 23:25].mean() == pytest.approx(0.5 * (1 + reach * ray[1]) / 2, abs=0.025)


def test_relighting_a_held_scene_equals_rendering_anew():
    first = np.ones((8, 16, 3), np.float32)
    second = pathtrace.rotated(np.linspace(0, 2, 16, dtype=np.float32)[None, :, None] * first, 0.25)
    held = list(pathtrace.relit(ball(), 0, [first, second], (24, 24), samples=64, full=False))
    anew = pathtrace.render(ball(), 0, second, (24, 24), samples=64, full=False)
    np.testing.assert_allclose(held[1], anew, atol=0.03)
    assert np.abs(held[0] - anew).max() > 0.1


def test_rotation_carries_what_is_behind_to_the_right():
    environment = np.zeros((4, 16, 3), np.float32)
    environment[:, 8] = 1  # the centre column: −z
    assert pathtrace.rotated(environment, 0.25)[0, 12, 0] == 1  # +x


def test_a_map_of_wrong_shape_is_refused():
    with pytest.raises(InputError, match="expected"):
        pathtrace.render(ball(), 0, np.ones((8, 16), np.float32), (8, 8))


def test_the_plan_is_every_person_under_every_light():
    clips = pathtrace.plan(["a", "b", "c"])
    assert len(clips) == 12 * 8 * 3 == len({clip.name for clip in clips})
    assert min(clip.seed for clip in clips) >= 1_000_000


def test_maps_of_the_truth_set_are_kept_from_training():
    assert {f"hdri/{name}.hdr" for name in pathtrace.HELD_OUT_MAPS} <= set(split.files("test", "hdri"))
    assert {f"hdri/{name}.hdr" for name in pathtrace.VALIDATION_MAPS} == set(split.files("validation", "hdri"))


def test_the_truth_set_resumes(tmp_path):
    asked = []

    def perform(seed, frames, take):
        asked.append(seed)
        return ball(frames=frames)

    maps = {"white": np.ones((4, 8, 3), np.float32)}
    kept = {"people": 2, "rotations": 2, "frames": 2, "size": (8, 8), "samples": 4, "full": False}
    work = pathtrace.truth(tmp_path, maps, perform, **kept)
    first = next(work)
    work.close()
    made = tmp_path / f"{first.name}.npz"
    stamp = made.stat().st_mtime_ns
    assert len(list(pathtrace.truth(tmp_path, maps, perform, **kept))) == 4
    assert asked == [1_000_000, 1_000_001] and made.stat().st_mtime_ns == stamp
    assert not list(tmp_path.glob("*.part"))
    rgba = np.load(made)["rgba"]
    assert rgba.shape == (2, 8, 8, 4) and rgba.dtype == np.float16
    with pytest.raises(OutputError, match="other settings"):
        next(pathtrace.truth(tmp_path, maps, perform, **{**kept, "samples": 8}))


def test_normals_of_the_eyeball_point_outward():
    points, faces, _ = eyes.ball()
    normals = pathtrace.vertex_normals(points.astype(np.float32), faces)
    assert ((normals * points).sum(1)[48:] > 0.8).all()
