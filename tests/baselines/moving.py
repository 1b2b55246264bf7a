"""A textured clip that moves as one, with a known truth, and light that flickers over it."""

from __future__ import annotations

import numpy as np

from harmovid.baselines.atlas import AtlasConfig
from harmovid.baselines.bvd import BVDConfig
from harmovid.baselines.filtering import FilterConfig, LocalConfig
from harmovid.infer.views import Harmonizer, Views
from tests import figures

STEP = (1.0, 0.5)
"""Pixels that the picture moves a frame, to the right and down."""


def clip(frames: int = 6, size: int = 24, seed: int = 0) -> np.ndarray:
    """(T, H, W, 3): a texture that goes STEP pixels a frame."""
    large = figures.texture(2 * size, 2 * size, seed)
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    shown = []
    for t in range(frames):
        x, y = columns + size // 2 - STEP[0] * t, rows + size // 2 - STEP[1] * t
        left, top = np.floor(x).astype(int), np.floor(y).astype(int)
        across, down = (x - left)[..., None], (y - top)[..., None]
        shown.append((1 - down) * ((1 - across) * large[top, left] + across * large[top, left + 1])
                     + down * ((1 - across) * large[top + 1, left] + across * large[top + 1, left + 1]))
    return np.stack(shown).astype(np.float32)


def gains(frames: int = 6, seed: int = 1, spread: float = 0.12) -> np.ndarray:
    """(T, 1, 1, 3) factors of display values, whose logarithms have mean 0."""
    random = np.random.default_rng(seed)
    logs = random.normal(0, spread, (frames, 1, 1, 1)) + random.normal(0, spread / 3, (frames, 1, 1, 3))
    return np.exp(logs - logs.mean(0)).astype(np.float32)


class Seen:
    """A clip as a harmonizer sees it, in memory: frames (T, H, W, 3) of a person by masks (T, H, W)."""

    def __init__(self, frames: np.ndarray, masks: np.ndarray) -> None:
        self.frames, self.masks = frames.transpose(3, 0, 1, 2), masks[None]

    def __len__(self) -> int:
        return self.frames.shape[1]

    def window(self, start: int, stop: int) -> Views:
        part = self.frames[:, start:stop]
        return Views(part, part, self.masks[:, start:stop], part[:, :, ::2, ::2])


def harmonized(method: Harmonizer, frames: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """(T, H, W, 3), what a method makes of a clip; its reference is the clip."""
    chunks = list(method.harmonize(Seen(frames, masks)))
    result, reference = (np.concatenate([getattr(chunk, name) for chunk in chunks], 1).transpose(1, 2, 3, 0)
                         for name in ("result", "reference"))
    np.testing.assert_array_equal(reference, frames)
    assert result.shape == frames.shape and result.dtype == np.float32
    return result


def tiny_atlas(iterations: int = 150) -> AtlasConfig:
    """Fits 24 × 24 pixels in a second or two."""
    return AtlasConfig(edge=24, iterations=iterations, points=768, lr=5e-3, final_lr=0.02, mapping=(2, 32),
                       atlas=(3, 48), skips=(), frequencies=5)


def tiny(iterations: int = 150) -> BVDConfig:
    """All of BVD, tiny."""
    return BVDConfig(tiny_atlas(iterations), FilterConfig(6, 3, "light"), LocalConfig(4, 1))
