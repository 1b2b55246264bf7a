"""A colour transfer in two passes over a clip, so that nothing flickers: statistics, then a mapping for each frame.

The first pass gathers statistics: one set of the person over the whole clip, and one of the background per frame,
which is then smoothed over time by a wide Gaussian. The second applies one mapping per frame. Both read a few frames
at a time. So a scene of constant light gets a constant mapping, whatever moves in it, and a light that slowly changes
is followed.

The background is read as a whole, behind the person too: the mask then has no say in its statistics,
and neither a moving person nor a trembling matte can make the result flicker.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from harmovid.errors import OptionError
from harmovid.infer.views import Harmonized, ViewClip, Views, ViewSize

Mapping = Callable[[np.ndarray], np.ndarray]  # (N, 3) display sRGB → the same, not yet clipped
Ranges = dict[str, tuple[float, float]]  # of settings, by name: the least and the most


@dataclass(frozen=True)
class Checked:
    """Settings that are checked: one outside its range raises OptionError."""

    ranges: ClassVar[Ranges] = {}

    def __post_init__(self) -> None:
        """Refuse what lies outside."""
        for name, value in vars(self).items():
            low, high = self.ranges.get(name, (-math.inf, math.inf))
            if isinstance(value, int | float) and not low <= value <= high:
                raise OptionError(f"{name} is {value}; it must lie in {low:g} to {high:g}")


@dataclass(frozen=True)
class Reading(Checked):
    """How the statistics of a clip are gathered, the same for all methods.

    sigma: 0.1..1e6 frames; standard deviation of the Gaussian over the background's statistics. A sudden
        change of light is answered within about ±1.3 sigma.
    overview: 0..1, the part of the background's weight that the overview of the whole background has; the
        rest belongs to the view, that is, to the person's surroundings.
    erode: 0..0.1 of the view's height, by which the mask is eroded before the person's colours are read:
        those at the border are mixed with the background.
    chunk: 1..10000 frames read and given back at a time; of no influence on the result.
    """

    ranges: ClassVar[Ranges] = {"sigma": (0.1, 1e6), "overview": (0, 1), "erode": (0, 0.1), "chunk": (1, 10000)}
    sigma: float = 24.0
    overview: float = 0.35
    erode: float = 0.02
    chunk: int = 32


@dataclass(frozen=True)
class TwoPass(Checked, ABC):
    """The two passes, in the seam of `views.Harmonizer`.

    A method says what it measures of pixels, (N, 3) display sRGB with weights (N,): `_measure` gives an
    array that adds up over frames, `_describe` makes of such a sum what may be averaged over time, and
    `_mapping` makes the mapping from the descriptions of the person and of the scene.
    """

    name = ""
    view = ViewSize()
    ranges: ClassVar[Ranges] = {"strength": (0, 1)}
    strength: float = 1.0
    reading: Reading = Reading()

    def _measure(self, rgb: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return sums(rgb, weight)

    def _describe(self, measured: np.ndarray) -> np.ndarray:
        return moments(measured)

    @abstractmethod
    def _mapping(self, person: np.ndarray, scene: np.ndarray) -> Mapping: ...

    def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
        """Move the person's colours towards the background's: composite + alpha · (mapped − composite).

        Args:
            clip: any length; read twice, `reading.chunk` frames at a time.
            seed: of no influence, nothing here is random.

        Yields:
            Chunks of (3, T, H, W) float32 display sRGB in [0, 1]; the reference is the composite itself.
            Where alpha is 0 the result is the composite to the bit; so is the whole clip at strength 0,
            and where nobody is in it.
        """
        person, scenes = self._gather(clip) if self.strength > 0 else (None, np.zeros(0))
        for start, views in self._chunks(clip):
            result = views.composite.copy()
            for t in range(result.shape[1]):
                alpha, before = views.mask[:, t], views.composite[:, t]
                if person is None or not alpha.any():
                    continue
                mapped = self._mapping(person, scenes[start + t])(_pixels(views.composite, t))
                after = np.clip(mapped.T.reshape(before.shape), 0, 1).astype(np.float32)
                result[:, t] = np.clip(before + alpha * (after - before), 0, 1)
            yield Harmonized(reference=views.composite, result=result)

    def _chunks(self, clip: ViewClip) -> Iterator[tuple[int, Views]]:
        for start in range(0, len(clip), self.reading.chunk):
            yield start, clip.window(start, min(start + self.reading.chunk, len(clip)))

    def _gather(self, clip: ViewClip) -> tuple[np.ndarray | None, np.ndarray]:
        """The person's description, None if there is no person, and the scene's, smoothed, (T, ...)."""
        total, person, scenes = 0.0, np.zeros(1), []
        for _, views in self._chunks(clip):
            for t in range(views.composite.shape[1]):
                weight = inside(views.mask[0, t], self.reading.erode).ravel()
                total += float(weight.sum())
                person = person + self._measure(_pixels(views.composite, t), weight)
                near, far = _pixels(views.background, t), _pixels(views.overview, t)
                share = np.repeat([(1 - self.reading.overview) / len(near), self.reading.overview / len(far)],
                                  [len(near), len(far)])
                scenes.append(self._describe(self._measure(np.concatenate([near, far]), share)))
        if total <= 0:
            return None, np.zeros(0)
        return self._describe(person), smooth(np.stack(scenes), self.reading.sigma)


def _pixels(frames: np.ndarray, t: int) -> np.ndarray:
    """(3, T, H, W) → (H · W, 3), contiguous, so that a frame's sums do not depend on its chunk."""
    return np.ascontiguousarray(frames[:, t].reshape(3, -1).T)


def inside(alpha: np.ndarray, erode: float = Reading.erode) -> np.ndarray:
    """(H, W) weights of the person's own colours; a person too thin to be eroded keeps a little.

    `erode` is that of `Reading`.
    """
    size = 2 * round(erode * alpha.shape[0]) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return cv2.erode(np.ascontiguousarray(alpha), kernel).astype(np.float64) + 1e-4 * alpha


def sums(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(N, 3) samples, (N,) weights → (5, 3): Σw three times, Σwx and the rows of Σwxxᵀ."""
    wx = weight[:, None] * x
    return np.concatenate([np.full((1, 3), weight.sum()), wx.sum(0)[None], wx.T @ x])


def moments(gathered: np.ndarray) -> np.ndarray:
    """What `sums` gathered → (4, 3): the mean and the rows of the covariance."""
    mean = gathered[1] / gathered[0]
    return np.concatenate([mean[None], gathered[2:] / gathered[0] - np.outer(mean, mean)])


def smooth(series: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian low-pass over the first axis, renormalised at the ends; a constant stays so to the bit.

    Args:
        series: (T, ...), T at least 1.
        sigma: standard deviation in steps of that axis, above 0.
    """
    flat = (series - series[0]).reshape(len(series), -1)
    reach = min(math.ceil(4 * sigma), len(series) - 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    inner = slice(reach, reach + len(series))
    weight = np.convolve(np.ones(len(series)), kernel)[inner]
    slow = np.stack([np.convolve(column, kernel)[inner] / weight for column in flat.T], 1)
    return slow.reshape(series.shape) + series[0]
