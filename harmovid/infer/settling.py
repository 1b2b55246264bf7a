"""The flicker that a deflickering network leaves, settled along the motion of what is shown.

Each frame's light is compared with that of its neighbours, found again by optical flow. Flicker is a smooth gain of
place and of tone; what else differs (what was hidden, where flow errs) departs from it and is left out, as in
`correction`. Gains along a path add up, and a Gaussian mean over a few frames takes what trembles out of them. Flow
wants steady pictures, and a mean over a few frames must not be asked to do away with much: so this comes last.

After Pitié, Dahyot, Kelly and Kokaram, "A new robust technique for stabilizing brightness fluctuations in image
sequences", SMVP 2004, whose gains are of tone alone, between frames of one view.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from harmovid.infer.correction import EPSILON, blurred, departure
from harmovid.video.color import to_linear
from harmovid.video.flow import consistency, flow, warp
from harmovid.video.windows import neighbourhoods

REACH = 4
"""Frames, before and after, that have a say."""

_SIGMA = 2.0  # of the Gaussian over time, frames
_STEP = 0.4  # natural log: what differs by more is no flicker that a network left, but light that changes
# As `correction`'s, and finer, for a network leaves flicker in spots; what it has steadied departs less.
_FITS = ((16.0, 0.3), (8.0, 0.15), (4.0, 0.1), (2.0, 0.1), (1.0, 0.1))
_TONES = (0.5, 0.3, 0.15, 0.1)  # departures of the fits of tone, natural log
_DIM = np.float32(0.02)  # scene-linear: light of which half is known
_PRIOR = np.float32(0.05)
_LIKELY = 0.3  # of the weight of what is known best, from which a pixel has a say in the tone
_RIDGE = 0.02  # of the fit of tone: what the picture does not tell is no change
_FEW = 100  # pixels; of fewer no tone is learned


@dataclass
class _Frame:
    """light: (H, W, 3), natural log. known: (H, W, 1), how much of it is. steps: by −1 and 1, to the frame beside."""

    light: np.ndarray
    known: np.ndarray
    steps: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)  # flow (H, W, 2), gain (H, W, 3)


def settle(frames: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[np.ndarray]:
    """The gain that brings each frame's light to the mean of its neighbourhood in time.

    With L the log of scene-linear light and w_k the flow to frame t + k, along the frames between, the gain is
    Σ_k G_k d_k / Σ_k G_k over |k| <= `REACH`, with d_k the sum of the smooth gains from each frame to the next along
    w_k, and G_k = exp(−½ (k²/σ² + mean_rgb(d_k)²/τ²)), σ two frames and τ 0.4: a step of light is no flicker.

    Args:
        frames: of one shot, each (H, W, 3) display sRGB in [0, 1] and α of the subject (H, W); read as they are needed.

    Yields:
        (H, W, 3) float32, natural log of scene-linear light, smooth; meaningful where α is above 0.
    """
    for near, turn in neighbourhoods(_joined(frames), REACH):
        yield _mean(near, turn)


def _joined(frames: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[_Frame]:
    """Each frame, once the one before it knows the step to it."""
    last: tuple[_Frame, np.ndarray] | None = None
    for picture, alpha in frames:
        frame = _frame(picture, alpha)
        if last is not None:
            _join(*last, frame, picture)
        last = frame, picture
        yield frame


def _frame(picture: np.ndarray, alpha: np.ndarray) -> _Frame:
    linear = to_linear(picture, "srgb")
    mean = linear.mean(axis=2, keepdims=True)
    return _Frame(np.log(linear + EPSILON), alpha[..., None] * mean / (mean + _DIM))


def _join(one: _Frame, seen: np.ndarray, other: _Frame, next_: np.ndarray) -> None:
    """Find the steps between two frames and their pictures."""
    there, back = flow(seen, next_), flow(next_, seen)
    one.steps[1] = there, _gain(one, other, there, back)
    other.steps[-1] = back, _gain(other, one, back, there)


def _gain(frame: _Frame, beside: _Frame, there: np.ndarray, back: np.ndarray) -> np.ndarray:
    """From a frame to the one beside it, on its own grid: (H, W, 3)."""
    change = warp(beside.light, there) - frame.light
    found = warp(beside.known, there).reshape(frame.known.shape)
    known = np.sqrt(frame.known * found) * consistency(there, back)[..., None]
    gain = tone = _tone(change, frame.light, known)
    for sigma, least in _FITS:
        weight = known * np.exp(-0.5 * departure(change - gain) / least**2)
        place = blurred(weight * (change - tone), sigma) + _PRIOR * (gain - tone)
        gain = tone + place / (blurred(weight, sigma) + _PRIOR)
    return np.asarray(gain, np.float32)


def _tone(change: np.ndarray, light: np.ndarray, known: np.ndarray) -> np.ndarray:
    """What of a change (H, W, 3) is one of tone, the same all over the picture: squares and products of log light."""
    sure = known[..., 0] > _LIKELY * known.max()
    if np.count_nonzero(sure) < _FEW:
        return np.zeros_like(change) + (np.median(change[sure], axis=0) if sure.any() else 0)
    soft = blurred(light, 1.0)  # noise in what a fit goes by flattens it
    soft = soft.clip(*np.quantile(soft[sure], (0.02, 0.98), axis=0))  # beyond what was seen a square is a wild guess
    terms = np.concatenate([soft, soft * soft, soft * np.roll(soft, 1, -1)], -1)  # (H, W, 9)
    weight, wanted = known[sure], change[sure].astype(np.float64)  # (n, 1), (n, 3)
    middle = (terms[sure] * weight).sum(0) / weight.sum()
    spread = np.sqrt((np.square(terms[sure] - middle) * weight).sum(0) / weight.sum()) + 1e-6
    basis = np.concatenate([np.ones_like(known), (terms - middle) / spread], -1).astype(np.float64)  # (H, W, 10)
    told = basis[sure]
    found = np.broadcast_to(np.median(wanted, axis=0), wanted.shape)
    for least in _TONES:
        each = weight * np.exp(-0.5 * departure(wanted - found) / least**2)
        square = (told * each).T @ told
        square[np.diag_indices(len(square))] += _RIDGE * each.sum() * np.array([0, *[1] * 9])
        share = np.linalg.solve(square + 1e-9 * np.eye(10), (told * each).T @ wanted)  # (10, 3)
        found = told @ share
    return np.asarray(basis @ share, np.float32)


def _mean(near: Sequence[_Frame], turn: int) -> np.ndarray:
    """Over the neighbours of frame `turn`, itself with gain 0."""
    gains = np.zeros_like(near[turn].light)
    total = np.ones_like(near[turn].known)
    for way in (-1, 1):
        at, along, gain = turn, None, np.zeros_like(gains)
        for far in range(1, REACH + 1):
            if not 0 <= at + way < len(near):
                break
            step, more = near[at].steps[way]
            gain = gain + (more if along is None else warp(more, along))
            along = step if along is None else along + warp(step, along)
            at += way
            share = np.exp(-0.5 * ((far / _SIGMA) ** 2 + np.square(gain.mean(axis=2, keepdims=True) / _STEP)))
            gains, total = gains + share * gain, total + share
    return np.asarray(gains / total, np.float32)
