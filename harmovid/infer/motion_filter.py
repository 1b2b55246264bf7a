"""Motion-compensated temporal filtering of a change of light, where the clip that it is a change of is known.

What a harmonizer that works frame by frame makes of a clip differs from the clip by a gain. Of this gain what goes
smoothly over the picture may move, as light does. Its fine detail belongs to what is shown, and what of it is other in
every frame is the harmonizer's noise, too fine for a gain that is fitted to flicker (`settling`). The clip itself is
steady, and tells where each place is found in the frames around; along these paths the detail is averaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from harmovid.infer.correction import blurred
from harmovid.video.flow import consistency, flow, warp
from harmovid.video.windows import neighbourhoods

REACH = 8
"""Frames, before and after, that have a say."""

_SIGMA = 4.0  # of the Gaussian over time, frames
_DETAIL = 4.0  # of the Gaussian over the picture, pixels of the view: what is finer is detail
_LEAST = np.float32(1e-3)  # of the subject, near a pixel, for a gain to be smooth there


@dataclass
class _Frame:
    """source: (H, W, 3). smooth, detail: (H, W, 3) of the gain. alpha: (H, W, 1). steps: by −1 and 1, the flow to the
    frame beside, (H, W, 2), and where what is shown is seen there too, (H, W, 1)."""

    source: np.ndarray
    smooth: np.ndarray
    detail: np.ndarray
    alpha: np.ndarray
    steps: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


def filtered(frames: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Iterator[np.ndarray]:
    """The gain of each frame, its fine detail averaged over `REACH` frames each way along the motion of the source.

    With S the part of a gain g that a Gaussian of 4 pixels over the subject leaves, D = g − S, and D_k of frame t + k
    fetched along the source's flow, the answer is S + Σ_k w_k D_k / Σ_k w_k, w_k = exp(−½ k² / 4²) times the α found
    there, and 0 from where a place is hidden on; w_0 is 1.

    Args:
        frames: of one shot, each the source, (H, W, 3) display sRGB in [0, 1]; the gain, (H, W, 3) natural log; and α
            of the subject, (H, W). Read as they are needed.

    Yields:
        (H, W, 3) float32, natural log; meaningful where α is above 0.
    """
    for near, turn in neighbourhoods(_joined(frames), REACH):
        yield _mean(near, turn)


def _joined(frames: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Iterator[_Frame]:
    """Each frame, once the one before it knows the way to it."""
    last: _Frame | None = None
    for source, gain, alpha in frames:
        cover = alpha[..., None].astype(np.float32)
        smooth = blurred(cover * gain, _DETAIL) / (blurred(cover, _DETAIL) + _LEAST)
        frame = _Frame(source, smooth, gain - smooth, cover)
        if last is not None:
            there, back = flow(last.source, source), flow(source, last.source)
            last.steps[1] = there, consistency(there, back)[..., None].astype(np.float32)
            frame.steps[-1] = back, consistency(back, there)[..., None].astype(np.float32)
        last = frame
        yield frame


def _mean(near: Sequence[_Frame], turn: int) -> np.ndarray:
    """The gain of frame `turn` of its neighbourhood."""
    here = near[turn]
    total, detail = np.ones_like(here.alpha), here.detail.copy()
    for way in (-1, 1):
        at, along, seen = turn, None, np.ones_like(here.alpha)
        for far in range(1, REACH + 1):
            if not 0 <= at + way < len(near):
                break
            step, visible = near[at].steps[way]
            seen = seen * (visible if along is None else _fetched(visible, along))
            along = step if along is None else along + warp(step, along)
            at += way
            share = np.exp(np.float32(-0.5 * (far / _SIGMA) ** 2)) * seen * _fetched(near[at].alpha, along)
            detail, total = detail + share * warp(near[at].detail, along), total + share
    return np.asarray(here.smooth + detail / total, np.float32)


def _fetched(plane: np.ndarray, along: np.ndarray) -> np.ndarray:
    """(H, W, 1), along a flow."""
    return warp(plane, along).reshape(plane.shape)
