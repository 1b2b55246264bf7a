import math

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from harmovid.errors import InputError
from harmovid.evaluate.efficientnet import WEIGHTS, EfficientNetLite0, load_efficientnet
from harmovid.evaluate.perceptual import cache
from harmovid.evaluate.semantic import ClipScore, clip_score

pytestmark = pytest.mark.usefixtures("one_thread")


def noise(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


# Of each of the 16 blocks: kernel side, stride, inward, outward channels.
BLOCKS = [(3, 1, 32, 16), (3, 2, 16, 24), (3, 1, 24, 24), (5, 2, 24, 40), (5, 1, 40, 40), (3, 2, 40, 80),
          (3, 1, 80, 80), (3, 1, 80, 80), (5, 1, 80, 112), (5, 1, 112, 112), (5, 1, 112, 112),
          (5, 2, 112, 192), (5, 1, 192, 192), (5, 1, 192, 192), (5, 1, 192, 192), (3, 1, 192, 320)]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Random weights under the names, and in the order, of the published file; the folder and the weights."""
    generator, found = torch.Generator().manual_seed(0), {}

    def conv(name, *shape):
        found[f"{name}.weight"] = torch.randn(shape, generator=generator) * (2 / math.prod(shape[1:])) ** 0.5

    def norm(name, channels):
        for key, low in (("weight", 0.5), ("bias", -0.5), ("running_mean", -0.5), ("running_var", 0.5)):
            found[f"{name}.{key}"] = low + torch.rand(channels, generator=generator)
        found[f"{name}.num_batches_tracked"] = torch.tensor(7)

    conv("_conv_stem", 32, 3, 3, 3)
    norm("_bn0", 32)
    for i, (side, _, inward, outward) in enumerate(BLOCKS):
        middle = inward * (6 if i else 1)
        if i:
            conv(f"_blocks.{i}._expand_conv", middle, inward, 1, 1)
            norm(f"_blocks.{i}._bn0", middle)
        conv(f"_blocks.{i}._depthwise_conv", middle, 1, side, side)
        norm(f"_blocks.{i}._bn1", middle)
        conv(f"_blocks.{i}._project_conv", outward, middle, 1, 1)
        norm(f"_blocks.{i}._bn2", outward)
    conv("_conv_head", 1280, 320, 1, 1)
    norm("_bn1", 1280)
    conv("_fc", 1000, 1280)
    found["_fc.bias"] = torch.zeros(1000)
    folder = tmp_path_factory.mktemp("efficientnet")
    torch.save(found, folder / WEIGHTS)
    return folder, found


def naive_features(weights, x):
    """EfficientNet-Lite0 by the names in the file."""
    def conv(x, name, stride=1, groups=1):
        kernel = weights[f"{name}.weight"]
        side = kernel.shape[-1]
        before, after = [], []
        for length in x.shape[2:]:
            need = (-(-length // stride) - 1) * stride + side - length
            before.append(max(need, 0) // 2)
            after.append(max(need, 0) - max(need, 0) // 2)
        padded = torch.zeros(*x.shape[:2], *(n + b + a for n, b, a in zip(x.shape[2:], before, after, strict=True)))
        padded[:, :, before[0]:before[0] + x.shape[2], before[1]:before[1] + x.shape[3]] = x
        return functional.conv2d(padded, kernel, stride=stride, groups=groups)

    def norm(x, name):
        w, b, m, v = (weights[f"{name}.{key}"][:, None, None] for key in ("weight", "bias", "running_mean",
                                                                          "running_var"))
        return (x - m) / torch.sqrt(v + 1e-3) * w + b

    x = norm(conv(x, "_conv_stem", 2), "_bn0").clamp(0, 6)
    for i, (_, stride, inward, outward) in enumerate(BLOCKS):
        y = norm(conv(x, f"_blocks.{i}._expand_conv"), f"_blocks.{i}._bn0").clamp(0, 6) if i else x
        y = norm(conv(y, f"_blocks.{i}._depthwise_conv", stride, y.shape[1]), f"_blocks.{i}._bn1").clamp(0, 6)
        y = norm(conv(y, f"_blocks.{i}._project_conv"), f"_blocks.{i}._bn2")
        x = x + y if stride == 1 and inward == outward else y
    return norm(conv(x, "_conv_head"), "_bn1").clamp(0, 6).mean(dim=(2, 3))


@pytest.mark.parametrize("height, width", [(64, 64), (45, 70)])
def test_equals_the_network_written_out(published, height, width):
    folder, weights = published
    network = load_efficientnet(folder)
    x = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(1))
    expected = naive_features(weights, x)
    assert expected.std() > 0.01
    with torch.inference_mode():
        assert torch.allclose(network(x), expected, rtol=1e-3, atol=1e-4)


def test_pictures_keep_their_shape(published, monkeypatch):
    network = load_efficientnet(published[0])
    seen = []
    monkeypatch.setattr(EfficientNetLite0, "forward", lambda self, x: seen.append(x) or x.mean(dim=(2, 3)))
    frames = np.stack([np.full((90, 160, 3), v, np.float32) for v in (0.0, 1.0)])
    frames[..., 1] = 0.5
    found = network.embed(frames)
    assert seen[0].shape == (2, 3, 224, 398)
    assert np.allclose(found, [[-127 / 128, 0.5 / 128, -127 / 128], [1, 0.5 / 128, 1]], atol=1e-6)
    network.embed(noise(1, 448, 300, 3))
    assert seen[1].shape == (1, 3, 335, 224)


def test_is_an_embedder_by_its_own_name(published):
    network = load_efficientnet(published[0])
    score = ClipScore(network)
    for frame in (noise(32, 40, 3), noise(32, 40, 3), noise(32, 40, 3, seed=1)):
        score.add(frame)
    assert "CLIP" not in score.name and score.name == "EfficientNet-Lite0 (ImageNet)"
    assert 0.5 < score.value < 1 - 1e-6


def test_missing_weights_name_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("HARMOVID_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"no .*efficientnet.efficient.*run `python benchmarks/fetch_lpips\.py`"):
        load_efficientnet()


@pytest.mark.parametrize("spoil", [
    lambda weights: weights.pop("_bn1.bias"),
    lambda weights: weights.update(_new=torch.zeros(3)),
    lambda weights: weights.update({"_conv_head.weight": torch.zeros(1280, 300, 1, 1)}),
    lambda weights: weights.update({"_conv_head.weight": "no tensor"}),
])
def test_other_weights_are_told(published, tmp_path, spoil):
    weights = dict(published[1])
    spoil(weights)
    torch.save(weights, tmp_path / WEIGHTS)
    with pytest.raises(InputError, match="does not hold the weights of EfficientNet-Lite0"):
        load_efficientnet(tmp_path)


def test_a_damaged_file_is_told(tmp_path):
    (tmp_path / WEIGHTS).write_bytes(b"half a file")
    with pytest.raises(InputError, match="fetch_lpips"):
        load_efficientnet(tmp_path)


def test_published_weights_tell_pictures_apart():
    if not (cache() / "efficientnet" / WEIGHTS).is_file():
        pytest.skip("the published weights are not here: python benchmarks/fetch_lpips.py")
    network = load_efficientnet()
    picture = cv2.GaussianBlur(noise(120, 160, 3), (0, 0), 3)
    picture = (picture - picture.min()) / (picture.max() - picture.min())
    steps = [clip_score(network, np.stack([picture, np.clip(picture * g, 0, 1)])) for g in (1.02, 1.1, 1.5)]
    assert 1 > steps[0] > steps[1] > steps[2] > 0
    assert steps[2] > clip_score(network, np.stack([picture, noise(120, 160, 3)]))
