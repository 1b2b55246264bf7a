"""Optical flow between frames, warping by it, and the check of where it can be trusted.

A flow is (H, W, 2) float32: `flow[y, x] = (u, v)` in pixels, x first, says that what frame a shows at
(x, y) is found in frame b at (x + u, y + v). So `warp(b, flow(a, b))` looks like a.
"""

from __future__ import annotations

from typing import Literal, get_args

import cv2
import numpy as np

from harmovid.errors import InputError, OptionError

Preset = Literal["ultrafast", "fast", "medium"]

_PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}

# Where OpenCV's pyramid would have a level smaller than a patch, DIS refuses, answers NaN or crashes the
# process (seen for 31 × 256 in 5.0). From 32 px on both sides no preset does, whatever the shape.
_SMALLEST_SIDE = 32

# The presets stop one or two octaves short of full resolution to save time. On pictures this small there
# is no time to save, and going on halves the error.
_FULL_RESOLUTION_BELOW = 256


def flow(a: np.ndarray, b: np.ndarray, preset: Preset = "medium") -> np.ndarray:
    """Optical flow from `a` to `b` by dense inverse search.

    Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016, as OpenCV has it, on 8-bit
    luma. May be called from several threads at once; the number of threads doesn't change the answer.

    Args:
        a, b: (H, W, 3), (H, W, 1) or (H, W), display sRGB in [0, 1] (values beyond are clipped, NaN
            counts as black), equal in size. Any size from 1 × 1 up; under about 12 px a side the answer
            is a guess.
        preset: OpenCV's trade of speed for accuracy.

    Returns:
        (H, W, 2) float32, pixels.

    Raises:
        InputError: the frames differ in size, or are empty.
        OptionError: no such preset.
    """
    if preset not in _PRESETS:
        raise OptionError(f"no flow preset {preset!r} is known; known: {', '.join(get_args(Preset))}")
    if a.shape[:2] != b.shape[:2]:
        raise InputError(f"frames are {_size(a)} and {_size(b)}; flow needs both of one size; resize one")
    height, width = a.shape[:2]
    if not height * width:
        raise InputError(f"frames are {_size(a)}; flow needs at least one pixel")

    top, left = max(0, _SMALLEST_SIDE - height) // 2, max(0, _SMALLEST_SIDE - width) // 2
    bottom, right = (max(0, _SMALLEST_SIDE - height - top), max(0, _SMALLEST_SIDE - width - left))
    padded = [cv2.copyMakeBorder(_luma(frame), top, bottom, left, right, cv2.BORDER_REPLICATE)
              for frame in (a, b)]
    # An object of one's own per call: DIS keeps its buffers in it, so sharing one is not thread-safe.
    dis = cv2.DISOpticalFlow.create(_PRESETS[preset])
    if min(height, width) < _FULL_RESOLUTION_BELOW:
        dis.setFinestScale(0)
    found = dis.calc(padded[0], padded[1], None)
    return np.ascontiguousarray(found[top:top + height, left:left + width])


def warp(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Fetch `image` along `flow`: out(x) = image(x + flow(x)), bilinear, the border repeated outward.

    Args:
        image: (H, W) or (H, W, C) with any C, any real or boolean kind; values in any range.
        flow: (H, W, 2), pixels, as `flow()` gives it.

    Returns:
        float32, the shape of `image`.

    Raises:
        InputError: `flow` is not (H, W, 2) for the H and W of `image`.
    """
    if flow.shape != (*image.shape[:2], 2):
        raise InputError(f"flow has shape {flow.shape}, the picture is {_size(image)}; "
                         f"expected {(*image.shape[:2], 2)}; compute the flow at the picture's size")
    source = np.ascontiguousarray(image, np.float32)
    offsets = np.ascontiguousarray(flow, np.float32)
    if source.ndim == 2 and source.size:
        return _remap(source, offsets)
    out = np.empty_like(source)
    if not source.size:
        return out
    # OpenCV promises remap for at most four channels; of those, two take an older path that rounds the
    # place to 1/32 px (5.0).
    first, channels = 0, source.shape[2]
    while first < channels:
        size = min(4, channels - first) if channels - first != 2 else 1
        group = np.s_[..., first:first + size]
        out[group] = _remap(np.ascontiguousarray(source[group]), offsets).reshape(out[group].shape)
        first += size
    return out


def consistency(forward: np.ndarray, backward: np.ndarray, relative: float = 0.01,
                absolute: float = 0.5) -> np.ndarray:
    """Where going there by `forward` and back by `backward` ends where it began.

    Where it does not, the point is hidden in the other frame, has left it, or was not found:

        |w + ŵ|² < relative · (|w|² + |ŵ|²) + absolute,  ŵ(x) = backward(x + w(x))

    Sundaram, Brox and Keutzer, "Dense Point Trajectories by GPU-accelerated Large Displacement Optical
    Flow", ECCV 2010, whose constants are the defaults. A point that lands outside the picture has no ŵ
    and is never consistent.

    Args:
        forward: (H, W, 2), flow from a to b, pixels.
        backward: (H, W, 2), flow from b to a, pixels.
        relative: share of the squared lengths that may be missed; no unit.
        absolute: squared distance that may be missed at rest; pixels².

    Returns:
        (H, W) bool on the grid of a; True where the flow can be trusted.

    Raises:
        InputError: the two flows differ in shape.
    """
    if forward.shape != backward.shape:
        raise InputError(f"forward flow has shape {forward.shape}, backward {backward.shape}; "
                         "compute both from the same pair of frames")
    back = warp(backward, forward)
    height, width = forward.shape[:2]
    x = np.arange(width, dtype=np.float32) + forward[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + forward[..., 1]
    # A pixel is a square around its centre, so the picture reaches half a pixel beyond the last centres.
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    missed = np.square(forward + back).sum(-1)
    lengths = np.square(forward).sum(-1) + np.square(back).sum(-1)
    return inside & (missed < relative * lengths + absolute)


def _luma(frame: np.ndarray) -> np.ndarray:
    x = np.ascontiguousarray(frame, np.float32)
    if x.ndim == 3:
        assert x.shape[2] in (1, 3), f"a frame has 1 or 3 channels, got {x.shape[2]}"
        x = x[..., 0] if x.shape[2] == 1 else cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)
    assert x.ndim == 2, f"a frame has 2 or 3 axes, got {x.ndim}"
    return (np.nan_to_num(np.clip(x, 0, 1)) * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def _remap(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.remap(image, flow, None, cv2.INTER_LINEAR | cv2.WARP_RELATIVE_MAP,
                                borderMode=cv2.BORDER_REPLICATE))


def _size(frame: np.ndarray) -> str:
    return f"{frame.shape[1]} × {frame.shape[0]} px"
