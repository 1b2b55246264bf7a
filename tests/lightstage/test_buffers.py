import time

import numpy as np
import pytest

from harmovid.errors import InputError
from harmovid.lightstage import buffers as bf
from harmovid.lightstage.buffers import Encoder, Filmed, Transfer

CELLS = 64


def made_up(frames: int = 3, size: int = 32, seed: int = 0, width: float = 1.0) -> list[Transfer]:
    """Pixels whose transfer is a cosine about a normal that varies over the picture: like a ball, but at once."""
    random = np.random.default_rng(seed)
    directions = random.standard_normal((CELLS, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    y, x = np.mgrid[:size, :size] / size * 2 - 1
    result = []
    for t in range(frames):
        inside = (x - 0.05 * t) ** 2 + y**2 < 0.8 * width
        normals = np.stack([x - 0.05 * t, -y, np.sqrt(np.maximum(1 - (x - 0.05 * t) ** 2 - y**2, 0))], -1)[inside]
        lit = np.maximum(normals @ directions.T, 0).astype(np.float32) / CELLS * 4
        count = len(lit)
        albedo = random.uniform(0.1, 0.8, (count, 3)).astype(np.float32)
        result.append(Transfer(np.flatnonzero(inside), inside.astype(np.float32), albedo,
                               lit[:, None] * np.array([[1], [0.9], [0.8]], np.float32), 0.05 * lit**2,
                               np.zeros(count, np.int16)))
    return result


def packed(frames: list[Transfer], **more: int) -> bf.Buffers:
    encoder = Encoder(frames, **more)
    size = frames[0].alpha.shape
    info = Filmed("one", size, (24, 1), 0.3, np.tile(np.eye(4), (len(frames), 1, 1)).tolist())
    return encoder.pack(info, [(f.alpha, f.place, encoder.encode(f)) for f in frames])


def lights(count: int = 1, seed: int = 1) -> np.ndarray:
    return (np.random.default_rng(seed).random((count, CELLS, 3)) ** 3 * 4).astype(np.float32)


def exact(frame: Transfer, light: np.ndarray) -> np.ndarray:
    picture = np.zeros((frame.alpha.size, 3), np.float32)
    picture[frame.place] = frame.relit(light)
    return picture.reshape(*frame.alpha.shape, 3)


@pytest.fixture(scope="module")
def frames() -> list[Transfer]:
    return made_up()


@pytest.fixture(scope="module")
def taken(frames) -> bf.Buffers:
    return packed(frames)


def test_relit_buffers_match_the_transfer_they_hold(frames, taken):
    light = lights()[0]
    relit = bf.relight(taken, light)
    assert relit.shape == (3, 32, 32, 3) and relit.dtype == np.float32
    for t, frame in enumerate(frames):
        wanted = exact(frame, light)
        error = np.square(relit[t] - wanted).mean() / np.square(wanted).mean()
        assert error < 10**-4  # 40 dB
        assert (relit[t][frame.alpha == 0] == 0).all()
    assert (taken.alpha[0] == np.rint(frames[0].alpha * 255)).all()


def test_light_adds_up(taken):
    a, b = lights(seed=1)[0], lights(seed=2)[0]
    both = bf.relight(taken, a + b)
    assert np.allclose(both, bf.relight(taken, a) + bf.relight(taken, b), atol=1e-5 * both.max())
    assert np.allclose(bf.relight(taken, 3 * a), 3 * bf.relight(taken, a), atol=1e-5 * both.max())
    assert not bf.relight(taken, np.zeros((CELLS, 3))).any()


def test_light_that_moves_is_that_of_each_frame(taken):
    moving = lights(3)
    shown = bf.relight(taken, moving)
    for t in range(3):
        assert np.allclose(shown[t], bf.relight(taken, moving[t], slice(t, t + 1))[0], atol=1e-5)


def test_some_frames_are_those_of_all(taken):
    light = lights()[0]
    assert np.allclose(bf.relight(taken, light, slice(1, 3)), bf.relight(taken, light)[1:], atol=1e-6)


def test_more_components_come_nearer(frames):
    light = lights()[0]

    def error(components: int) -> float:
        relit = bf.relight(packed(frames, clusters=2, components=components), light)
        return float(np.mean([np.square(relit[t] - exact(f, light)).mean() for t, f in enumerate(frames)]))

    assert error(12) < 0.3 * error(2)


def test_buffers_come_back_from_a_file_bit_for_bit(taken, tmp_path):
    bf.write(tmp_path / "a.safetensors", taken)
    back = bf.read(tmp_path / "a.safetensors")
    assert back.info == taken.info and back.info.poses.shape == (3, 4, 4)
    for name, value in vars(taken).items():
        if isinstance(value, np.ndarray):
            assert (getattr(back, name) == value).all() and getattr(back, name).dtype == value.dtype
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]
    assert (tmp_path / "a.safetensors").stat().st_size < taken.bytes + 5000


def test_a_damaged_file_is_refused(taken, tmp_path):
    bf.write(tmp_path / "a.safetensors", taken)
    data = (tmp_path / "a.safetensors").read_bytes()
    for n, broken in enumerate((data[:1000], b"", b"not this")):
        (tmp_path / f"{n}.safetensors").write_bytes(broken)
        with pytest.raises(InputError, match="is no whole take of the light stage"):
            bf.read(tmp_path / f"{n}.safetensors")


def test_few_pixels_and_black_ones_are_no_trouble():
    frame = made_up(1, 6)[0]
    black = Transfer(frame.place, frame.alpha, frame.albedo * 0, frame.diffuse, frame.white * 0, frame.kind)
    assert np.abs(bf.relight(packed([black]), lights()[0])).max() < 0.02


@pytest.mark.slow
def test_at_least_100_frames_of_128_px_a_second():
    many = packed(made_up(24, 128), clusters=16, components=48)
    light = lights(24)
    bf.relight(many, light)
    best = min(_seconds(lambda: bf.relight(many, light)) for _ in range(3))
    assert 24 / best > 100


def _seconds(work: object) -> float:
    start = time.process_time()
    work()  # type: ignore[operator]
    return time.process_time() - start
