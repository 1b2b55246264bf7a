"""Gates that a refined pair must pass: it keeps the light of its pair, the person of the clip, and no flicker.

All figures are of whole clips in memory: uint8 display sRGB, and alpha, on 8 × 8 cells counted from the top left, a
remainder of less than a cell left out. Those that `harmovid.evaluate` has too are defined there at length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from harmovid.video.color import LUMA_BT709, luminance, to_linear

_CELL = 8
_WITHIN = 0.9  # mean alpha of a cell from which it is the person's
_COVERED = 0.5  # the same for jitter
_DARK = 0.002  # linear luminance below which rounding to a code moves the log by up to 8%
_BLACK = 0.01  # linear light below which a change is not seen on a screen
_FLAT = 0.02  # log gain; what varies less over the person is taken to be one light
_WINDOW = 5  # pixels, of texture
_NOISE = 1.5 / 255  # display noise of ordinary 8-bit footage, as a standard deviation
_STOPS = math.log(64)  # six stops, the most that a light may differ by


@dataclass(frozen=True)
class Gates:
    """What a refined pair must keep. Figures are those of `Figures`.

    correlation: least. amplitude: (least, most). texture: least. jitter: at most; or else at most this share of what
    the pair had, `remaining`.
    """

    correlation: float = 0.9
    amplitude: tuple[float, float] = (0.8, 1.2)
    texture: float = 0.85
    jitter: float = 0.01
    remaining: float = 0.5

    def reason(self, figures: Figures | None) -> str:
        """Why a pair is dropped, in a few words that other pairs have in common; "" where it is kept."""
        if figures is None:
            return "no cell lies within the person"
        if figures.correlation < self.correlation:
            return "light lies elsewhere"
        if not self.amplitude[0] <= figures.amplitude <= self.amplitude[1]:
            return "light is weaker" if figures.amplitude < self.amplitude[0] else "light is stronger"
        if figures.texture < self.texture:
            return "texture is lost"
        if figures.jitter > max(self.jitter, self.remaining * figures.jitter_before):
            return "flicker is left"
        return ""


@dataclass(frozen=True)
class Figures:
    """Of a refined pair.

    correlation, amplitude: of its gain field with the pair's, see `gain_kept`. texture, texture_before: how much of
    the clip's fine texture it has, and the pair had, −1..1. jitter, jitter_before: luminance jitter against the clip,
    natural log of light per frame².
    """

    correlation: float
    amplitude: float
    texture: float
    texture_before: float
    jitter: float
    jitter_before: float


def figures(refined: np.ndarray, pair: np.ndarray, source: np.ndarray, mask: np.ndarray) -> Figures | None:
    """What the gates ask.

    Args:
        refined, pair, source: (T, H, W, 3) uint8, the refined pair, V^S, and the clip that both are of.
        mask: (T, H, W) uint8, alpha.

    Returns:
        None where there are fewer than three frames, or no cell of the person's.
    """
    kept = gain_kept(_linear(refined), _linear(pair), _linear(source), mask.astype(np.float32) / 255)
    after, before = jitter(refined, source, mask), jitter(pair, source, mask)
    if kept is None or after is None or before is None:
        return None
    found = (*kept, texture(refined, source, mask), texture(pair, source, mask), after, before)
    return Figures(*(round(value, 5) for value in found))


def gain_kept(refined: np.ndarray, pair: np.ndarray, source: np.ndarray,
              alpha: np.ndarray) -> tuple[float, float] | None:
    """How a refined pair's light compares with the pair's own, both in the mean over time; after DESIGN's gate.

    Per 8 × 8 cell c whose mean alpha exceeds 0.9, per channel of linear RGB, and in the mean over the frames t where
    that is so, with light(V) = Σ α V / Σ α + 0.01:

        G(V) = mean_t log(light(V) / light(source))
        correlation = (cov(G_refined, G_pair) + s²) / √((var G_refined + s²) (var G_pair + s²)),   s = 0.02
        amplitude = (⟨G_refined G_pair⟩ + s²) / (⟨G_pair²⟩ + s²)

    over cells and channels, each with its number of frames as weight. s is what light may vary by and still be one:
    without it two even fields, which agree, would have any correlation.

    Args:
        refined, pair, source: (T, H, W, 3) float32, linear light. alpha: (T, H, W) in [0, 1].

    Returns:
        (correlation, amplitude); None where no cell is covered.
    """
    cover = _cells(alpha)  # (T, h, w)
    within = cover > _WITHIN
    times = within.sum(0)
    if not times.any():
        return None
    lights = [_cells(picture * alpha[..., None]) / np.maximum(cover, _WITHIN)[..., None] + _BLACK
              for picture in (refined, pair, source)]
    got, wanted = ((np.log(light / lights[2]) * within[..., None]).sum(0)[times > 0] / times[times > 0, None]
                   for light in lights[:2])  # (cells, 3) each
    share = times[times > 0, None] / (3 * times.sum())
    means = [float((share * gain).sum()) for gain in (got, wanted)]
    both, of_got, of_wanted = (float((share * product).sum()) for product in (got * wanted, got**2, wanted**2))
    spread = math.sqrt((of_got - means[0] ** 2 + _FLAT**2) * (of_wanted - means[1] ** 2 + _FLAT**2))
    return (float((both - means[0] * means[1] + _FLAT**2) / spread),
            float((both + _FLAT**2) / (of_wanted + _FLAT**2)))


def jitter(pictures: np.ndarray, source: np.ndarray, mask: np.ndarray) -> float | None:
    """Luminance jitter against the source: mean |g_{t+1} − 2 g_t + g_{t−1}| of the log gain g of a cell's luminance.

    The same figure as `harmovid.evaluate.temporal.LuminanceJitter`; (T, H, W, 3) uint8 twice, and alpha (T, H, W)
    uint8. None where no cell had three frames.
    """
    alpha = mask.astype(np.float32) / 255
    cover = _cells(alpha)  # (T, h, w)
    got, plain = (_cells(luminance(_linear(shown)) * alpha) for shown in (pictures, source))
    usable = (cover > _COVERED) & (plain > _DARK * cover)
    ratio = np.divide(got, plain, out=np.ones_like(plain), where=usable)
    gain = np.clip(np.log(np.maximum(ratio, 1e-9)), -_STOPS, _STOPS)
    used = usable[:-2] & usable[1:-1] & usable[2:]
    if not used.any():
        return None
    return float(np.abs(gain[2:] - 2 * gain[1:-1] + gain[:-2])[used].mean())


def texture(pictures: np.ndarray, source: np.ndarray, mask: np.ndarray) -> float:
    """How much of the source's fine texture is kept: correlation of luminance less its local mean, over its spread.

    The same figure as `harmovid.evaluate.fidelity.Texture`, whose window is 5 pixels here too, as shards are small;
    arguments as `jitter`'s. 1 where the source has none.
    """
    sums = np.zeros(3)
    for shown, before, alpha in zip(pictures, source, mask, strict=True):
        whole = cv2.erode((alpha > 229).astype(np.uint8), np.ones((2 * _WINDOW - 1, 2 * _WINDOW - 1), np.uint8))
        (of_shown, _), (of_source, variance) = _detail(shown), _detail(before)
        weight = whole * np.maximum(variance - _NOISE**2, 0) / np.maximum(variance, 1e-12)
        sums += [float((weight * product).sum(dtype=np.float64))
                 for product in (of_shown * of_source, of_shown**2, of_source**2)]
    return float(sums[0] / max(sums[1], sums[2])) if sums[2] else 1.0


def _detail(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Luminance less its local mean, over its local spread, and the square of that; (H, W) each."""
    luma = picture.astype(np.float32) / 255 @ LUMA_BT709
    detail = luma - cv2.blur(luma, (_WINDOW, _WINDOW), borderType=cv2.BORDER_REFLECT_101)
    variance = np.maximum(cv2.blur(detail**2, (_WINDOW, _WINDOW), borderType=cv2.BORDER_REFLECT_101), 0)
    return detail / (np.sqrt(variance) + np.float32(1e-5)), variance


def _linear(pictures: np.ndarray) -> np.ndarray:
    return to_linear(pictures.astype(np.float32) / 255, "srgb")


def _cells(planes: np.ndarray) -> np.ndarray:
    """Means over cells: (T, H, W, ...) to (T, H // 8, W // 8, ...) float64."""
    height, width = (side // _CELL for side in planes.shape[1:3])
    whole = planes[:, : height * _CELL, : width * _CELL]
    cut = whole.reshape(len(planes), height, _CELL, width, _CELL, *planes.shape[3:])
    return np.asarray(cut.mean((2, 4), dtype=np.float64))
