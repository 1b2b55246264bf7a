"""Three classical harmonizers: the person's colours are moved towards the background's statistics.

None of them knows light, only colour; they are what a learned method has to beat. `MongeKantorovich`,
damped as it is by default, also serves where there are no weights and no graphics card.

How the statistics are gathered, and why nothing flickers by it, is told in `twopass`.

A setting outside its documented range raises OptionError.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from harmovid.baselines.twopass import Checked, Mapping, Ranges, TwoPass, sums
from harmovid.errors import OptionError
from harmovid.infer.views import Harmonizer
from harmovid.video.color import LUMA_BT709, from_linear, to_linear

# Added to linear light before any logarithm: little enough that a gain does not lift the blacks visibly,
# and about 6 of 255 code values, so that noise in the blacks does not count as colour.
_TOE = 0.002

_BINS = 256
_CODES = np.linspace(0, 1, _BINS)
_SHARES = (np.arange(64) + 0.5) / 64

# log2 RGB onto orthonormal axes: grey, amber against blue, green against magenta.
_AXES = np.array([[1, 1, 1], [1, 0, -1], [-1, 2, -1]]) / np.sqrt([[3], [2], [6]])

# Linear RGB to LMS, and log10 LMS to lαβ: equations 4 and 6 of Reinhard et al. 2001.
_LMS = np.array([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]])
_LAB = np.array([[1, 1, 1], [1, 1, -2], [1, -1, 0]]) / np.sqrt([[3], [6], [2]])


@dataclass(frozen=True)
class Damping(Checked):
    """How `MongeKantorovich` is held back from the full transfer, which makes people green in a forest.

    Shares, 0..1, are of the change that the full transfer asks for. Limits, 0.001..1e6, are then
    approached softly: limit · tanh(change / limit).

    exposure_share, exposure_limit (stops): of the change of a grey's luminance.
    warm_share, warm_limit (stops): of the cast between blue and amber, where the light of sky, sun, lamps
        and fire lies, along (1, 0, −1) / √2 in log2 RGB.
    tint_share, tint_limit (stops): of the cast between green and magenta, more often grass than light,
        along (−1, 2, −1) / √6.
    contrast_share, contrast_limit (stops per stop, log2): of the eigenvalues of the matrix.
    epsilon: 0..10 stops; epsilon² is added to both covariances' diagonals, so that a flat background
        does not flatten the person and noise in a flat colour is not stretched.
    neutral: 0.001..1e6 stops; a pixel whose channels lie this far apart has half the weight of a grey
        one in the statistics: colours near grey tell of the light, strong ones of paint and skin.
    shoulder: whether highlights pushed beyond white are rolled off, hue kept, or clipped.
    """

    ranges: ClassVar[Ranges] = {
        "exposure_share": (0, 1), "exposure_limit": (1e-3, 1e6), "warm_share": (0, 1), "warm_limit": (1e-3, 1e6),
        "tint_share": (0, 1), "tint_limit": (1e-3, 1e6), "contrast_share": (0, 1), "contrast_limit": (1e-3, 1e6),
        "epsilon": (0, 10), "neutral": (1e-3, 1e6)}
    exposure_share: float = 0.6
    exposure_limit: float = 1.5
    warm_share: float = 0.8
    warm_limit: float = 1.0
    tint_share: float = 0.35
    tint_limit: float = 0.35
    contrast_share: float = 0.5
    contrast_limit: float = 0.25
    epsilon: float = 0.3
    neutral: float = 0.7
    shoulder: bool = True


def undamped() -> Damping:
    """The mapping as Pitié and Kokaram give it, nothing held back."""
    return Damping(exposure_share=1, exposure_limit=1e6, warm_share=1, warm_limit=1e6, tint_share=1,
                   tint_limit=1e6, contrast_share=1, contrast_limit=1e6, epsilon=0, neutral=1e6,
                   shoulder=False)


@dataclass(frozen=True)
class Reinhard(TwoPass):
    """Mean and standard deviation of each channel of lαβ, from the background to the person.

    Reinhard, Ashikhmin, Gooch, Shirley, Color Transfer between Images, IEEE CG&A 2001, equations 10–11:
    l* = (σ_background / σ_person) · (l − ⟨l⟩_person) + ⟨l⟩_background, and so for α and β.

    strength: 0..1; means move linearly, scales in log.
    scale_limit: 1..1e6; scales are held in 1 / scale_limit..scale_limit, else a flat background makes
        a flat person.
    """

    name = "reinhard"
    ranges: ClassVar[Ranges] = TwoPass.ranges | {"scale_limit": (1, 1e6)}
    scale_limit: float = 3.0

    def _measure(self, rgb: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return sums(_to_lab(rgb), weight)

    def _mapping(self, person: np.ndarray, scene: np.ndarray) -> Mapping:
        tiny = 1e-12  # between two flat colours the scale is 1
        scale = np.sqrt((np.diag(scene[1:]) + tiny) / (np.diag(person[1:]) + tiny))
        scale = np.clip(scale, 1 / self.scale_limit, self.scale_limit) ** self.strength
        offset = person[0] + self.strength * (scene[0] - person[0])
        return lambda rgb: _from_lab((_to_lab(rgb) - person[0]) * scale + offset)


@dataclass(frozen=True)
class MongeKantorovich(TwoPass):
    """The linear Monge-Kantorovitch colour mapping, in log2 of scene-linear RGB, damped.

    Pitié, Kokaram, The linear Monge-Kantorovitch linear colour mapping for example-based colour transfer,
    CVMP 2007. Of the maps that give the person's colours the background's mean μ_b and covariance Σ_b
    it moves them least:

        y = T (x − μ_p) + μ_b,    T = Σ_p^(−1/2) (Σ_p^(1/2) Σ_b Σ_p^(1/2))^(1/2) Σ_p^(−1/2)

    In the log of light μ_b − μ_p is a gain, that is, exposure and white balance, and T is contrast and
    saturation; each is held back as `Damping` says, T along the geodesic to the identity, exp(s · log T).

    strength: 0..1 of the damped change; gains in log, T along the same geodesic.
    damping: `undamped()` for the mapping of the paper.
    """

    name = "classical"
    damping: Damping = Damping()

    def _measure(self, rgb: np.ndarray, weight: np.ndarray) -> np.ndarray:
        stops = _to_stops(rgb)
        # Over planes: numpy is 30 times slower along an axis of three.
        chroma = np.ptp(np.ascontiguousarray(stops.T), axis=0)
        return sums(stops, weight / (1 + (chroma / self.damping.neutral) ** 2))

    def _mapping(self, person: np.ndarray, scene: np.ndarray) -> Mapping:
        matrix = self._contrast(person[1:], scene[1:])
        offset = person[0] + self._gain(scene[0] - person[0])

        def graded(rgb: np.ndarray) -> np.ndarray:
            return np.exp2((_to_stops(rgb) - person[0]) @ matrix + offset) - _TOE

        white = float(graded(np.ones((1, 3))).max()) if self.damping.shoulder else 1.0
        return lambda rgb: _encode(_roll_off(graded(rgb), white))

    def _gain(self, change: np.ndarray) -> np.ndarray:
        """(3,) stops that the full transfer asks for → (3,) stops given."""
        d = self.damping
        exposure = _luma_stops(change)
        _, warm, tint = _AXES @ (change - exposure)
        cast = (_soft(d.warm_share * warm, d.warm_limit) * _AXES[1]
                + _soft(d.tint_share * tint, d.tint_limit) * _AXES[2])
        cast = self.strength * (cast - _luma_stops(cast))  # a grey's luminance is the exposure's alone
        return self.strength * _soft(d.exposure_share * exposure, d.exposure_limit) + cast

    def _contrast(self, person: np.ndarray, scene: np.ndarray) -> np.ndarray:
        """T of the two (3, 3) covariances, held back; symmetric, positive definite."""
        d = self.damping
        floor = (d.epsilon**2 + 1e-9) * np.eye(3)  # 1e-9 keeps a singular covariance invertible
        root = _spectral(person + floor, np.sqrt)
        inverse = _spectral(person + floor, lambda v: 1 / np.sqrt(v))
        full = inverse @ _spectral(root @ (scene + floor) @ root, np.sqrt) @ inverse
        return _spectral(full, lambda v: np.exp2(
            self.strength * _soft(d.contrast_share * np.log2(v), d.contrast_limit)))


@dataclass(frozen=True)
class HistogramMatching(TwoPass):
    """Per channel of display sRGB, the monotone curve that gives the person the background's histogram.

    T = F_background⁻¹ ∘ F_person (Gonzalez, Woods, Digital Image Processing, chapter 3), as the line through
    64 equal quantiles. Quantiles, not counts, are averaged over time: a light that fades then moves the
    histogram instead of mixing two of them.

    strength: 0..1 of the curve's distance from the identity.
    smoothing: code value 0..0.2, standard deviation of a Gaussian over the curve.
    slope_limit: 1..1e6; slopes are held in 1 / slope_limit..slope_limit, the person's median fixed.
    """

    name = "histogram"
    ranges: ClassVar[Ranges] = TwoPass.ranges | {"smoothing": (0, 0.2), "slope_limit": (1, 1e6)}
    smoothing: float = 0.04
    slope_limit: float = 3.0

    def _measure(self, rgb: np.ndarray, weight: np.ndarray) -> np.ndarray:
        index = np.clip(rgb * _BINS, 0, _BINS - 1).astype(np.intp)
        return np.stack([np.bincount(index[:, c], weight, _BINS) for c in range(3)])

    def _describe(self, measured: np.ndarray) -> np.ndarray:
        """(3, 256) counts → (3, 64) code values in [0, 1], the middles of 64 equal shares."""
        edges = np.linspace(0, 1, _BINS + 1)
        cumulative = np.concatenate([np.zeros((3, 1)), np.cumsum(measured, 1)], 1)
        return np.stack([np.interp(_SHARES * c[-1], c, edges) for c in cumulative])

    def _mapping(self, person: np.ndarray, scene: np.ndarray) -> Mapping:
        curves = [self._curve(*pair) for pair in zip(person, scene, strict=True)]
        return lambda rgb: np.stack([np.interp(rgb[:, c], _CODES, curves[c]) for c in range(3)], 1)

    def _curve(self, person: np.ndarray, scene: np.ndarray) -> np.ndarray:
        """(64,) quantiles of the two → (256,) code values that those of `_CODES` become."""
        distinct = person + 1e-6 * _SHARES  # of a flat colour all are equal, and interp has no answer
        shift = np.interp(_CODES, distinct, scene - person)
        if self.smoothing > 0:
            shift = cv2.GaussianBlur(shift[None], (0, 0), self.smoothing * _BINS,
                                     borderType=cv2.BORDER_REPLICATE)[0]
        step = 1 / (_BINS - 1)
        slope = np.clip(1 + np.diff(shift) / step, 1 / self.slope_limit, self.slope_limit)
        limited = np.concatenate([[0.0], np.cumsum((slope - 1) * step)])
        middle = person[len(person) // 2]
        limited += np.interp(middle, _CODES, shift) - np.interp(middle, _CODES, limited)
        return _CODES + self.strength * limited


_METHODS: dict[str, Callable[[], Harmonizer]] = {
    "reinhard": Reinhard,
    "classical": MongeKantorovich,
    "histogram": HistogramMatching,
}


def by_name(name: str) -> Harmonizer:
    """The classical harmonizer of that name, with its defaults: reinhard, classical or histogram.

    Raises:
        OptionError: there is none of that name.
    """
    if name not in _METHODS:
        raise OptionError(f"there is no classical harmonizer {name!r}; there are {', '.join(_METHODS)}")
    return _METHODS[name]()


def _to_lab(rgb: np.ndarray) -> np.ndarray:
    return np.log10(to_linear(rgb, "srgb").astype(np.float64) @ _LMS.T + _TOE) @ _LAB.T


def _from_lab(lab: np.ndarray) -> np.ndarray:
    return _encode((np.power(10.0, lab @ _LAB) - _TOE) @ np.linalg.inv(_LMS).T)  # _LAB is orthonormal


def _to_stops(rgb: np.ndarray) -> np.ndarray:
    return np.log2(to_linear(rgb, "srgb").astype(np.float64) + _TOE)


def _encode(light: np.ndarray) -> np.ndarray:
    return from_linear(np.maximum(light, 0).astype(np.float32), "srgb")


def _luma_stops(gain: np.ndarray) -> np.ndarray:
    """What gains of (3,) stops do to the luminance of a grey, in stops."""
    return np.log2(np.exp2(gain) @ (LUMA_BT709 / LUMA_BT709.sum()))


def _soft(x: np.ndarray, limit: float) -> np.ndarray:
    return limit * np.tanh(x / limit)


def _roll_off(light: np.ndarray, white: float) -> np.ndarray:
    """Bring linear (N, 3) back under 1 where the grading has made `white` > 1 of white; hue is kept.

    With m a pixel's largest channel, all three are divided by 1 + (white − 1)(m / white)²: what is at
    `white` comes to 1, middle tones hardly change, and white = 1 makes it the identity.
    """
    white = min(max(white, 1.0), 2.0)  # beyond 2 the curve would turn down again
    m = np.minimum(light.max(1, keepdims=True), white)
    return light / (1 + (white - 1) * (m / white) ** 2)


def _spectral(matrix: np.ndarray, function: Mapping) -> np.ndarray:
    """A function of a symmetric (3, 3) matrix, applied to its eigenvalues."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * function(np.maximum(values, 1e-15))) @ vectors.T
