from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from harmovid.errors import InputError
from harmovid.light import environment as env
from tests.light.sphere import mean_radiance


def speckled(height: int = 32, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random((height, 2 * height, 3)) ** 4).astype(np.float32)


def marked(height: int, row: int, column: int) -> np.ndarray:
    pixels = np.zeros((height, 2 * height, 3), np.float32)
    pixels[row, column] = 1
    return pixels


def pose(yaw: float = 0.0) -> np.ndarray:
    """A camera turned to the right by `yaw`."""
    c, s = np.cos(yaw), np.sin(yaw)
    made = np.eye(4)
    made[:3, :3] = [[c, 0, -s], [0, 1, 0], [s, 0, c]]
    return made[None]


def test_the_middle_of_a_map_is_ahead_its_top_is_up_and_its_right_is_right():
    d = env.directions(64)
    assert np.allclose(np.linalg.norm(d, axis=-1), 1, atol=1e-6)
    assert d[32, 64] @ [0, 0, -1] > 0.999
    assert (d[0] @ [0, 1, 0] > 0.999).all()
    assert d[32, 96] @ [1, 0, 0] > 0.999
    assert d[32, 0] @ [0, 0, 1] > 0.999


def test_solid_angles_make_up_the_sphere():
    assert env.solid_angles(50).sum() * 100 == pytest.approx(4 * np.pi, rel=1e-6)


def test_turning_carries_the_middle_to_the_right_and_keeps_the_energy():
    pixels = marked(32, 10, 32)
    assert env.rotated(pixels, 2 * np.pi * 5 / 64)[10, 37, 0] == pytest.approx(1)
    some = speckled()
    assert np.allclose(mean_radiance(env.rotated(some, 0.1234)), mean_radiance(some), rtol=1e-5)
    assert np.allclose(env.rotated(env.rotated(some, np.pi), np.pi), some)


def test_shrinking_keeps_the_energy():
    some = speckled(64)
    assert np.allclose(mean_radiance(env.shrunk(some, 16)), mean_radiance(some), rtol=1e-4)


def test_looking_up_a_pixel_gives_it_back():
    some = speckled()
    assert np.allclose(env.look_up(some, env.directions(32)), some, atol=1e-4)


def test_a_camera_sees_what_is_ahead_and_not_mirrored():
    # A light to the right of −z stands to the right of the picture's middle, one above it above.
    right, up = marked(64, 32, 70), marked(64, 26, 64)
    seen = env.views(env.still(right), pose(), 1.0, (40, 60))[0, ..., 0]
    assert seen[:, 32:].sum() > 10 * seen[:, :28].sum()
    seen = env.views(env.still(up), pose(), 1.0, (40, 60))[0, ..., 0]
    assert seen[:18].sum() > 10 * seen[22:].sum()


@pytest.mark.parametrize("yaw", [0.3, -0.9])
def test_turning_camera_and_light_together_shows_the_same(yaw):
    still = env.still(cv2.GaussianBlur(speckled(), (0, 0), 2))
    assert np.allclose(env.views(still, pose(), 0.8, (24, 24)), env.views(still.turned(yaw), pose(yaw), 0.8, (24, 24)),
                       atol=5e-3)


def test_blur_keeps_the_mean_of_an_even_background_and_softens_a_light():
    even = env.still(np.full((32, 64, 3), 0.7, np.float32))
    assert np.allclose(env.views(even, pose(), 0.6, (20, 30), blur=0.2), 0.7, atol=1e-5)
    lamp = env.still(marked(64, 32, 64))
    sharp, soft = (env.views(lamp, pose(), 0.6, (40, 40), blur=b)[0, ..., 0] for b in (0.0, 0.3))
    assert soft.max() < 0.5 * sharp.max()


def test_light_adds_up_over_layers_and_follows_gain_and_turn():
    a, b = speckled(seed=1), speckled(seed=2)
    gain = np.array([[1, 1, 1], [0, 2, 0]], np.float32)
    both = env.Environment((env.Layer(a, np.ones((1, 3), np.float32), np.zeros(1)),
                            env.Layer(b, gain, np.array([0.0, np.pi]))))
    assert both.frames == 2
    assert np.allclose(both.at(0), a + b)
    assert np.allclose(both.at(1), a + np.roll(b, 32, 1) * [0, 2, 0], atol=1e-6)
    poses = np.repeat(pose(), 2, 0)
    seen = env.views(both, poses, 0.7, (16, 16))
    assert np.allclose(seen[1], env.views(env.still(both.at(1)), poses, 0.7, (16, 16))[0], atol=1e-5)
    assert np.allclose(env.concatenated([env.still(a), env.still(b)]).at(0), a + b)
    assert np.allclose(both.scaled(2.0).at(1), 2 * both.at(1))


def test_what_is_no_number_in_a_map_is_dark_and_what_is_infinite_as_bright_as_may_be(tmp_path, monkeypatch):
    pixels = np.ones((4, 8, 3), np.float32)
    pixels[0, 0], pixels[1, 1] = np.nan, np.inf
    monkeypatch.setattr(env.stills, "read_picture", lambda path: SimpleNamespace(rgb=pixels))
    read = env.read(tmp_path / "map.exr")
    assert (read[0, 0] == 0).all() and (read[1, 1] == 65504).all() and (read[2:] == 1).all()


def test_a_map_is_read_clipped_below_zero_and_a_picture_of_other_shape_is_refused(tmp_path):
    wanted = speckled(8) * 20
    cv2.imwrite(str(tmp_path / "a.hdr"), wanted[..., ::-1])
    # RGBE keeps a byte of each colour and one exponent for all three.
    assert (np.abs(env.read(tmp_path / "a.hdr") - wanted) <= wanted.max(-1, keepdims=True) / 100).all()
    cv2.imwrite(str(tmp_path / "b.hdr"), wanted[:, :10])
    with pytest.raises(InputError, match="10×8; an equirectangular map is twice as wide as high"):
        env.read(tmp_path / "b.hdr")
