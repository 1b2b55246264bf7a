"""What is kept of the fine parts of a light: the rim along a person's outline, and the edges of shadows.

As in `fidelity`: accumulators that are fed frame by frame, and functions that feed them a whole array. Frames are
float32, display sRGB in [0, 1]; light is compared linear. Lengths are shares of the picture's height h.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from harmovid.errors import InputError
from harmovid.evaluate.fidelity import check_frames
from harmovid.evaluate.relight import EPSILON
from harmovid.video.color import luminance, to_linear

RIM = 0.02  # h: how far from the silhouette light is a rim's
SIDE = 0.0075  # h: how far on each side of a shadow's edge its light is taken
LEAST_STEP = math.log(1.5)  # of the true gain: what is weaker is shading, no shadow's edge
_SMOOTH = 0.002  # h, sigma: gains are looked at a little smoothed, for grain is no edge


class RimLight:
    """Which share of the rim light's energy a result has; HarmoVid's own definition.

    With Y the linear luminance, ε = 0.01 and α the alpha, the person unlit by the rim is the source under one even
    light, as strong as the truth's:

        unlit = Y_source · Σ α Y_truth / Σ α Y_source

    The rim is where Y_truth + ε > 2 (unlit + ε), α > 0, and what is not covered (α = 0) lies nearer than 2% of the
    height. The frame's border is no silhouette. Over all its pixels and all frames

        kept = Σ α min(max(Y_result − unlit, 0), Y_truth − unlit) / Σ α (Y_truth − unlit)

    in [0, 1]: light beyond the truth's makes up for none that lacks elsewhere. The truth scores 1, even light 0.
    """

    def __init__(self) -> None:
        self._sums = np.zeros(2)

    def add(self, result: np.ndarray, source: np.ndarray, truth: np.ndarray, alpha: np.ndarray) -> None:
        """Take in a frame.

        Args:
            result: (H, W, 3) float32, the person relit, straight.
            source, truth: (H, W, 3) float32, the person in the old light and in the new.
            alpha: (H, W) float32 in [0, 1].

        Raises:
            InputError: shapes differ, not one frame, or not float.
        """
        _check(result, source, truth, alpha)
        got, before, wanted = (luminance(to_linear(picture, "srgb")) for picture in (result, source, truth))
        unlit = before * (float((alpha * wanted).sum()) / max(float((alpha * before).sum()), 1e-9))
        inside = (alpha > 0).astype(np.uint8)
        near = cv2.distanceTransform(inside, cv2.DIST_L2, 5) < RIM * len(alpha)
        rim = near & (alpha > 0) & (wanted + EPSILON > 2 * (unlit + EPSILON))
        if inside.all() or not rim.any():
            return
        cover, full = alpha[rim], (wanted - unlit)[rim]
        self._sums += [float((cover * light).sum()) for light in (np.clip((got - unlit)[rim], 0, full), full)]

    @property
    def energy(self) -> float:
        """Σ α (Y_truth − unlit) so far."""
        return float(self._sums[1])

    @property
    def value(self) -> float:
        """The share so far; NaN while no rim was seen."""
        return float(self._sums[0] / self._sums[1]) if self._sums[1] > 0 else math.nan


def rim_light(result: np.ndarray, source: np.ndarray, truth: np.ndarray, alpha: np.ndarray) -> float:
    """Share of the rim light of a clip: (T, H, W, 3) float32 three times and the alpha (T, H, W); see `RimLight`."""
    rim = RimLight()
    for frames in zip(result, source, truth, alpha, strict=True):
        rim.add(*frames)
    return rim.value


class ShadowEdges:
    """How strongly the edges of shadows stand out, against the truth; HarmoVid's own definition.

    With Y the linear luminance and ε = 0.01, the log gains

        got = log((Y_result + ε) / (Y_source + ε)),   wanted = log((Y_truth + ε) / (Y_source + ε))

    are smoothed by a Gaussian of 0.2% of the height. Edges are the pixels where the slope of `wanted` is largest along
    its own direction n, and where its step, wanted(p + s n) − wanted(p − s n) with s = 0.75% of the height, exceeds
    log 1.5. They lie away from the silhouette, by 2% of the height and s (there it is rim light). The contrast kept is
    the regression slope of the result's steps on the truth's, through the origin:

        kept = Σ step_got · step_wanted / Σ step_wanted²

    1 for the truth, 0 for an even light; more than 1 where edges are overdone.
    """

    def __init__(self) -> None:
        self._sums = np.zeros(2)
        self.samples = 0
        """Pixels of edges so far."""

    def add(self, result: np.ndarray, source: np.ndarray, truth: np.ndarray, alpha: np.ndarray) -> None:
        """Take in a frame; arguments and errors as in `RimLight.add`."""
        _check(result, source, truth, alpha)
        height = len(alpha)
        light = [luminance(to_linear(picture, "srgb")) + EPSILON for picture in (result, source, truth)]
        got, wanted = (cv2.GaussianBlur(np.log(lit / light[1]).astype(np.float32), (0, 0), _SMOOTH * height)
                       for lit in (light[0], light[2]))
        rows, columns, across, down = _edges(wanted, _away(alpha > 0, (RIM + SIDE) * height))
        sides = [(columns + sign * SIDE * height * across, rows + sign * SIDE * height * down) for sign in (1, -1)]
        steps = [_at(gain, *sides[0]) - _at(gain, *sides[1]) for gain in (got, wanted)]
        sharp = steps[1] > LEAST_STEP
        self.samples += int(sharp.sum())
        self._sums += [float((steps[0] * steps[1])[sharp].sum()), float((steps[1] * steps[1])[sharp].sum())]

    @property
    def value(self) -> float:
        """The contrast kept so far; NaN while no edge was seen."""
        return float(self._sums[0] / self._sums[1]) if self._sums[1] > 0 else math.nan


def shadow_edges(result: np.ndarray, source: np.ndarray, truth: np.ndarray, alpha: np.ndarray) -> float:
    """Contrast kept at the edges of shadows of a clip, arguments as of `rim_light`; see `ShadowEdges`."""
    edges = ShadowEdges()
    for frames in zip(result, source, truth, alpha, strict=True):
        edges.add(*frames)
    return edges.value


def _check(result: np.ndarray, source: np.ndarray, truth: np.ndarray, alpha: np.ndarray) -> None:
    check_frames(result, truth, alpha)
    check_frames(source, truth, alpha)
    if result.ndim != 3:
        raise InputError(f"a frame is (H, W, 3), got {result.shape}; feed one frame at a time")


def _away(inside: np.ndarray, distance: float) -> np.ndarray:
    """(H, W) bool: what is at least so far from all that is not covered, and from the frame's border."""
    return cv2.distanceTransform(np.pad(inside.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1] > distance


def _edges(gain: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pixels where the slope is largest along its own direction (Canny 1986): rows, columns, and that unit vector."""
    gx, gy = (cv2.Sobel(gain, cv2.CV_32F, *order) / 8 for order in ((1, 0), (0, 1)))
    slope = np.hypot(gx, gy)
    rows, columns = np.nonzero(where & (slope > 1e-3))
    steep = slope[rows, columns]
    across, down = gx[rows, columns] / steep, gy[rows, columns] / steep
    largest = np.ones(len(rows), bool)
    for sign in (1, -1):
        largest &= steep >= _at(slope, columns + sign * across, rows + sign * down)
    return rows[largest], columns[largest], across[largest], down[largest]


def _at(picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(N,): bilinear samples."""
    if not len(x):
        return np.zeros(0, np.float32)
    parts = [cv2.remap(picture, x[n : n + 8192].astype(np.float32), y[n : n + 8192].astype(np.float32),
                       cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).ravel() for n in range(0, len(x), 8192)]
    return np.concatenate(parts)
