"""Clips of a person before a scene, in memory, and the methods that move the one's colours towards the other's."""

from __future__ import annotations

import numpy as np
import pytest

from harmovid.infer.views import Harmonizer, ViewClip, Views
from harmovid.video.color import from_linear

METHODS = ["reinhard", "classical", "histogram"]
EVERY_METHOD = pytest.mark.parametrize("name", METHODS)


class Clip:
    """Views in memory, which remembers what was asked of it."""

    def __init__(self, composite: np.ndarray, background: np.ndarray, mask: np.ndarray,
                 overview: np.ndarray | None = None) -> None:
        overview = background[:, :, ::4, ::4] if overview is None else overview
        self.views = Views(composite, background, mask, overview)
        self.asked: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return self.views.composite.shape[1]

    def window(self, start: int, stop: int) -> Views:
        self.asked.append((start, stop))
        v = self.views
        return Views(v.composite[:, start:stop], v.background[:, start:stop], v.mask[:, start:stop],
                     v.overview[:, start:stop])


def run(method: Harmonizer, clip: ViewClip) -> np.ndarray:
    chunks = list(method.harmonize(clip))
    return np.concatenate([c.result for c in chunks], 1) if chunks else np.zeros((3, 0, 1, 1), np.float32)


def cloud(seed: int, mean: tuple[float, float, float], spread: float, frames: int = 1,
          size: int = 32) -> np.ndarray:
    """(3, T, H, W): colours around `mean` stops, correlated between the channels, the same in all frames."""
    rng = np.random.default_rng(seed)
    mixing = np.eye(3) + 0.5 * rng.uniform(-1, 1, (3, 3))
    stops = np.array(mean) + spread * np.tanh(rng.normal(size=(size * size, 3))) @ mixing
    rgb = from_linear(np.exp2(stops).astype(np.float32), "srgb").T.reshape(3, 1, size, size)
    return np.ascontiguousarray(np.repeat(rgb, frames, 1))


def portrait(frames: int = 3, size: int = 32, scene: float = 0.5, seed: int = 0) -> Clip:
    """A skin-coloured, white-shirted disc that moves over a textured scene of that mean code value."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    background = np.clip(scene + 0.1 * rng.normal(size=(3, 1, size, size)), 0, 1).repeat(frames, 1)
    mask = np.stack([np.clip((0.3 - np.hypot(x - 0.5 - 0.1 * np.sin(t), y - 0.5)) * 10, 0, 1)
                     for t in range(frames)])[None]
    person = np.where(y > 0.6, 0.9, np.array([0.8, 0.6, 0.5])[:, None, None]) * (0.6 + 0.4 * x)
    composite = background + mask * (person[:, None] - background)
    return Clip(*(np.ascontiguousarray(v, np.float32) for v in (composite, background, mask)))


def pixels(video: np.ndarray) -> np.ndarray:
    return video.reshape(3, -1).T


def whole(person: np.ndarray, scene: np.ndarray) -> Clip:
    return Clip(person, scene, np.ones_like(person[:1]))
