"""Whether a result moves as its source does: by optical flow, and by what is left after warping.

As in `fidelity`: accumulators that are fed frame by frame in constant memory, and functions that feed
them a whole array. Frames are (H, W, 3) float32, display sRGB in [0, 1]; flow is in pixels, as in
`harmovid.video.flow`. The source's own motion is found once per frame, by `SourceMotion`, and serves every
measure and every result:

    moves, kept, warped = SourceMotion(), MotionPreservation(), WarpingError()
    for result, source, alpha in clip:
        step = moves.add(source)
        kept.add(result, step, alpha)
        warped.add(result, step, alpha)

Where the result has another background than the source as filmed, figures over the whole frame compare two scenes:
let the source be the composite then, or look at the foreground's figure alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from harmovid.errors import InputError
from harmovid.evaluate.fidelity import check_frames, squared_difference
from harmovid.video import flow as dis
from harmovid.video.flow import Preset, consistency, warp


class Flow(Protocol):
    """What finds optical flow: a callable with a name, so that RAFT with weights of its own can take DIS's place."""

    @property
    def name(self) -> str:
        """Told with every figure, for figures of two kinds of flow don't compare."""
        ...

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Flow from a to b: (H, W, 3) float32 display sRGB twice → (H, W, 2) float, pixels, x first."""
        ...


@dataclass(frozen=True)
class Dis:
    """OpenCV's dense inverse search, by `harmovid.video.flow`."""

    preset: Preset = "medium"

    @property
    def name(self) -> str:
        return f"DIS {self.preset}"

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return dis.flow(a, b, self.preset)


@dataclass(frozen=True)
class Step:
    """How the source moves from the frame before to this one.

    forward: (H, W, 2), pixels, from the frame before to this one, on the grid of the frame before.
    backward: (H, W, 2), pixels, from this one to the frame before, on the grid of this one.
    seen: (H, W) bool, on the grid of this one: the point was seen in the frame before, by
        `harmovid.video.flow.consistency`.
    flow: what found it.
    """

    forward: np.ndarray
    backward: np.ndarray
    seen: np.ndarray
    flow: Flow


class SourceMotion:
    """The source's motion, frame by frame, found once for all that is compared with it."""

    def __init__(self, flow: Flow | None = None) -> None:
        """`flow` finds the motion; DIS where None."""
        self.flow: Flow = flow or Dis()
        self._last: np.ndarray | None = None

    def add(self, source: np.ndarray) -> Step | None:
        """Take in the next frame (H, W, 3) of the source; None for the first.

        Raises:
            InputError: not (H, W, 3) float, or of another size than the frame before.
        """
        _check(source, None, self._last)
        before, self._last = self._last, np.array(source, np.float32)
        if before is None:
            return None
        forward, backward = _found(self.flow, before, source), _found(self.flow, source, before)
        return Step(forward, backward, consistency(backward, forward), self.flow)


@dataclass(frozen=True)
class MotionFigure:
    """A mean over the pairs of consecutive frames.

    frame: over the whole frame; NaN where there was no pair. foreground: weighted by the alpha; NaN where no alpha
        was given or it was empty. flow: name of what found the motion; empty where there was no pair.
    """

    frame: float
    foreground: float
    flow: str


class MotionPreservation:
    """How far the result's motion is from the source's: the mean end-point difference of their flows, in pixels.

    With w the optical flow from a frame to the next, over all pairs of frames:

        mean over pairs of  Σ m |w_result − w_source| / Σ m

    where m is 1 for the frame's figure, and the alpha of the earlier frame for the foreground's. 0 for the source
    itself. It is what papers on video relighting call motion preservation (Light-A-Video, Zhou et al. 2025, with
    RAFT). Both flows are of one kind, its name stands with the figure: figures of two kinds don't compare.

    What it does not see: a result that does nothing, or whose light alone trembles slowly, moves as the source does.
    A result gone black scores the source's own motion: little, where nothing moves.
    """

    def __init__(self) -> None:
        self._means = _PairMeans()
        self._last: tuple[np.ndarray, np.ndarray | None] | None = None

    def add(self, result: np.ndarray, step: Step | None, alpha: np.ndarray | None = None) -> None:
        """Take in the next frame.

        Args:
            result: (H, W, 3) float32, the output.
            step: what `SourceMotion.add` answered to the source's frame of the same time.
            alpha: (H, W) in [0, 1], of the foreground; None for no figure of it.

        Raises:
            InputError: shapes differ, from each other, from the source's or from the frame before.
        """
        _check(result, alpha, self._last and self._last[0], step)
        before, self._last = self._last, (np.array(result, np.float32), None if alpha is None else alpha.copy())
        if step is None:
            return
        assert before is not None, "the source's first frame has no step: feed both from the same frame on"
        apart = _found(step.flow, before[0], result) - step.forward
        missed = cv2.magnitude(apart[..., 0], apart[..., 1])
        self._means.add(np.asarray(missed), None, before[1], step.flow.name)

    @property
    def value(self) -> MotionFigure:
        """The means so far, pixels, ≥ 0."""
        return self._means.value


class WarpingError:
    """What differs between a frame and the one before, once the source's motion is undone.

        E = mean over pairs of  Σ m (V_t − warp(V_{t−1}))² / Σ m

    the square averaged over R, G and B of the display values, warped by the flow of the source, with m 1 where the
    source's point was seen in both frames (flow there and back agrees) and 0 elsewhere; for the foreground's figure,
    m times the alpha. Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018, and its
    released evaluation, which fetches frame t to the grid of frame t − 1; here it is the other way about. A pair
    without any such point is left out; there, it counts as 0.

    It grows with contrast and with light that truly changes, and is 0 for a black or frozen still result; it means
    something beside the source's own figure and the measures of light only.
    """

    def __init__(self) -> None:
        self._means = _PairMeans()
        self._last: np.ndarray | None = None

    def add(self, result: np.ndarray, step: Step | None, alpha: np.ndarray | None = None) -> None:
        """Take in the next frame; arguments and errors as in `MotionPreservation.add`."""
        _check(result, alpha, self._last, step)
        before, self._last = self._last, np.array(result, np.float32)
        if step is None:
            return
        assert before is not None, "the source's first frame has no step: feed both from the same frame on"
        self._means.add(squared_difference(result, warp(before, step.backward)), step.seen, alpha, step.flow.name)

    @property
    def value(self) -> MotionFigure:
        """The means so far, in squared display units, ≥ 0."""
        return self._means.value


def motion_preservation(result: np.ndarray, source: np.ndarray, alpha: np.ndarray | None = None,
                        flow: Flow | None = None) -> MotionFigure:
    """Motion preservation of a clip: (T, H, W, 3) float32 twice and the alpha (T, H, W); see `MotionPreservation`.

    Returns:
        Mean end-point differences in pixels, ≥ 0; NaN for fewer than two frames.
    """
    kept = MotionPreservation()
    for frame, step, matte in _steps(result, source, alpha, flow):
        kept.add(frame, step, matte)
    return kept.value


def warping_error(result: np.ndarray, source: np.ndarray, alpha: np.ndarray | None = None,
                  flow: Flow | None = None) -> MotionFigure:
    """Warping error of a clip: (T, H, W, 3) float32 twice and the alpha (T, H, W); see `WarpingError`.

    Returns:
        Mean squared errors in display units, ≥ 0; NaN for fewer than two frames.
    """
    warped = WarpingError()
    for frame, step, matte in _steps(result, source, alpha, flow):
        warped.add(frame, step, matte)
    return warped.value


class _PairMeans:
    """Means over pairs of frames of a weighted mean over pixels, for frame and foreground."""

    def __init__(self) -> None:
        self._sums = [0.0, 0.0]
        self._counts = [0, 0]
        self._flow = ""

    def add(self, values: np.ndarray, where: np.ndarray | None, alpha: np.ndarray | None, flow: str) -> None:
        """(H, W) three times."""
        self._flow = flow
        everywhere = np.ones(values.shape, bool) if where is None else where
        for part, weight in enumerate((everywhere, None if alpha is None else everywhere * alpha)):
            total = 0.0 if weight is None else float(weight.sum(dtype=np.float64))
            if weight is not None and total > 0:
                self._sums[part] += float((values * weight).sum(dtype=np.float64)) / total
                self._counts[part] += 1

    @property
    def value(self) -> MotionFigure:
        frame, foreground = (total / count if count else math.nan
                             for total, count in zip(self._sums, self._counts, strict=True))
        return MotionFigure(frame, foreground, self._flow)


def _steps(result: np.ndarray, source: np.ndarray, alpha: np.ndarray | None,
           flow: Flow | None) -> Iterable[tuple[np.ndarray, Step | None, np.ndarray | None]]:
    check_frames(result, source, alpha)
    moves = SourceMotion(flow)
    for t in range(len(source)):
        yield result[t], moves.add(source[t]), None if alpha is None else alpha[t]


def _found(flow: Flow, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    found = flow(a, b)
    if found.shape != (*a.shape[:2], 2):
        raise InputError(f"the flow {flow.name} gave {found.shape} for frames of {a.shape}; expected "
                         f"{(*a.shape[:2], 2)}: bring its answer back to the frame's size, its vectors too")
    return found


def _check(frame: np.ndarray, alpha: np.ndarray | None, before: np.ndarray | None, step: Step | None = None) -> None:
    check_frames(frame, frame, alpha)
    if frame.ndim != 3:
        raise InputError(f"a frame is (H, W, 3), got {frame.shape}; feed one frame at a time")
    for what, other in (("the frame before", before), ("the source's frame", None if step is None else step.backward)):
        if other is not None and other.shape[:2] != frame.shape[:2]:
            raise InputError(f"the frame is {frame.shape[:2]}, {what} {other.shape[:2]}; expected one size for the "
                             "whole clip and its source: resize one to the other")
