"""Pixels of a clip, drawn at random, and where each lies in the frames beside its own: what an atlas is fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from harmovid.errors import InputError
from harmovid.video.flow import consistency, flow


@dataclass(frozen=True)
class Links:
    """Where points go. Row 0 of the first axis forward to the next frame, row 1 back to the one before.

    flow: (2, T, H, W, 2) pixels. trusted: (2, T, H, W) bool; False where there is no such frame.
    """

    flow: np.ndarray
    trusted: np.ndarray


def link(frames: np.ndarray) -> Links:
    """Optical flow between neighbouring frames of a flickering clip, (T, H, W, 3) display sRGB in [0, 1].

    Each channel of each frame is first brought to the clip's mean and deviation of that channel.
    """
    mean, spread = frames.mean((1, 2), keepdims=True), frames.std((1, 2), keepdims=True) + 0.01
    level = (frames - mean) * (spread.mean(0) / spread) + mean.mean(0)
    count = len(frames)
    flows = np.zeros((2, *frames.shape[:3], 2), np.float32)
    trusted = np.zeros(flows.shape[:-1], bool)
    for t in range(count - 1):
        flows[0, t], flows[1, t + 1] = flow(level[t], level[t + 1]), flow(level[t + 1], level[t])
        trusted[0, t] = consistency(flows[0, t], flows[1, t + 1])
        trusted[1, t + 1] = consistency(flows[1, t + 1], flows[0, t])
    return Links(flows, trusted)


class Samples:
    """Random pixels of a clip, with all that the losses of an atlas want to know of them."""

    def __init__(self, frames: np.ndarray, links: Links, masks: np.ndarray | None, generator: torch.Generator,
                 device: str = "cpu") -> None:
        """`frames` (T, H, W, 3) float32; `masks` (T, H, W): where given, only pixels above 0 are drawn, unless none is.

        generator: on the processor, whatever the device.
        """
        self.generator = generator
        self.shape = frames.shape[:3]
        clip = np.ascontiguousarray(frames, np.float32)
        change = np.zeros((*self.shape, 2, 3), np.float32)
        change[:, :, :-1, 0], change[:, :-1, :, 1] = np.diff(clip, axis=2), np.diff(clip, axis=1)
        self.colour = torch.from_numpy(clip).reshape(-1, 3).to(device)
        self.change = torch.from_numpy(change).reshape(-1, 2, 3).to(device)
        self.flow = torch.from_numpy(links.flow).reshape(2, -1, 2).to(device)
        self.trusted = torch.from_numpy(links.trusted).reshape(2, -1).to(device)
        inside = np.flatnonzero(masks > 0) if masks is not None else np.empty(0, int)
        self.inside = torch.from_numpy(inside) if len(inside) else None  # a mask of nothing is no mask

    def draw(self, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """What `atlas.losses` takes, from `points` to `inner`, of `count` pixels, drawn with repetition."""
        frames, height, width = self.shape
        device = self.colour.device
        total = frames * height * width if self.inside is None else len(self.inside)
        chosen = torch.randint(total, (count,), generator=self.generator)
        index = (chosen if self.inside is None else self.inside[chosen]).to(device)
        way = torch.randint(2, (count,), generator=self.generator).to(device)  # 0 forward, 1 back
        x, y, t = index % width, index // width % height, index // (width * height)
        points = torch.stack([x, y, t], -1).float()
        shift = torch.cat([self.flow[way, index], (1 - 2 * way)[:, None].float()], -1)
        inner = torch.stack([x < width - 1, y < height - 1], -1).float()
        return points, shift, self.trusted[way, index].float(), self.colour[index], self.change[index], inner


def check_clip(frames: np.ndarray, masks: np.ndarray | None = None) -> None:
    """Refuse what is no clip.

    Raises:
        InputError: `frames` is not (T, H, W, 3) with at least one pixel and finite, or `masks` not (T, H, W).
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
        raise InputError(f"frames have shape {frames.shape}; expected (T, H, W, 3), at least one frame of at least one "
                         "pixel; stack the clip's RGB frames along the first axis")
    if not np.isfinite(frames).all():
        raise InputError("the frames hold values that are no numbers; expected display sRGB in [0, 1]; replace them")
    if masks is not None and masks.shape != frames.shape[:3]:
        raise InputError(f"masks have shape {masks.shape}, the frames {frames.shape}; expected {frames.shape[:3]}; "
                         "give one mask per frame, of the frames' size")
