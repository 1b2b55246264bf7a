"""A Gaussian over time on the light of the whole person: the simplest deflickering there is.

Of every frame the person's mean colour is taken in scene-linear RGB, m(t); a Gaussian of `sigma` frames smooths its
logarithm, and the person is given the gain

    g(t) = exp((G ∗ log m)(t) − log m(t)),    per channel, renormalised at both ends of the clip

So a jump of the whole person's light from frame to frame goes, and light that moves at an even rate stays. It is what
a cleverer method has to beat, for it fails in two ways: flicker in places, with no change of the mean, stays as it
is, and a light that steps or passes is smeared over some ± 2 sigma.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harmovid.baselines.twopass import inside, smooth
from harmovid.errors import OptionError
from harmovid.infer.views import Harmonized, ViewClip, Views, ViewSize
from harmovid.video.color import from_linear, to_linear

_DARKEST = 1e-3  # scene-linear; what is darker has no colour that could be trusted
_CHUNK = 32  # frames read and given back at a time


@dataclass(frozen=True)
class TemporalGaussian:
    """The method under the harmonizer protocol.

    sigma: frames, above 0; standard deviation of the Gaussian. Another is an OptionError.
    """

    name = "gaussian"
    view = ViewSize()
    sigma: float = 8.0

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if not 0 < self.sigma < math.inf:
            raise OptionError(f"sigma is a number of frames above 0, got {self.sigma:g}")

    def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
        """Steady the person's mean colour: composite + alpha · (composite under the gain − composite).

        Args:
            clip: any length; read twice, some frames at a time.
            seed: of no influence, nothing here is random.

        Yields:
            Chunks of (3, T, H, W) float32 display sRGB in [0, 1]; the reference is the composite itself. Where alpha
            is 0 the result is the composite to the bit; so is the whole clip where the person's mean never changes.
        """
        colours = _filled(np.concatenate([_mean_colours(views) for _, views in _chunks(clip)]))
        gains = np.exp(smooth(colours, self.sigma) - colours).astype(np.float32)  # (T, 3)
        for start, views in _chunks(clip):
            light = to_linear(views.composite, "srgb")
            gain = gains[start : start + light.shape[1]].T[:, :, None, None]  # (3, T, 1, 1)
            # The difference is taken after both were brought to light and back, so that a gain of 1 changes no bit.
            change = from_linear(light * gain, "srgb") - from_linear(light, "srgb")
            yield Harmonized(views.composite, np.clip(views.composite + views.mask * change, 0, 1))


def _chunks(clip: ViewClip) -> Iterator[tuple[int, Views]]:
    for start in range(0, len(clip), _CHUNK):
        yield start, clip.window(start, min(start + _CHUNK, len(clip)))


def _mean_colours(views: Views) -> np.ndarray:
    """(T, 3), log of the person's mean in scene-linear RGB; NaN in frames without a person."""
    light = to_linear(views.composite, "srgb")
    means = np.full((light.shape[1], 3), np.nan)
    for t, alpha in enumerate(views.mask[0]):
        if alpha.any():
            means[t] = np.average(light[:, t].reshape(3, -1), axis=1, weights=inside(alpha).ravel())
    return np.log(np.maximum(means, _DARKEST))


def _filled(colours: np.ndarray) -> np.ndarray:
    """(T, 3) with a straight line where nobody is seen; 0 where nobody ever is."""
    seen = np.flatnonzero(np.isfinite(colours[:, 0]))
    if not len(seen):
        return np.zeros_like(colours)
    return np.stack([np.interp(np.arange(len(colours)), seen, column[seen]) for column in colours.T], 1)
