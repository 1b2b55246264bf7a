"""The measures of a bench: which figures a clip gets, from what is given of it, under which names.

Each measure takes in a clip's shots one by one. A new measure is added to `Measures` and to `COLUMNS`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from harmovid.errors import InputError
from harmovid.evaluate import motion
from harmovid.evaluate.boundary import BoundarySharpness
from harmovid.evaluate.fidelity import BackgroundExactness, SquaredError, Texture
from harmovid.evaluate.motion import Dis, Flow, MotionPreservation, SourceMotion, WarpingError
from harmovid.evaluate.movement import foreground_light, movement
from harmovid.evaluate.relight import RelightAmplitude
from harmovid.evaluate.shots import Shot
from harmovid.evaluate.similarity import SSIM, TAPS
from harmovid.evaluate.temporal import LuminanceJitter, light_gain, step_change, step_response
from harmovid.evaluate.testsets import digests

if TYPE_CHECKING:  # they bring torch with them
    from harmovid.evaluate.perceptual import LpipsNetwork
    from harmovid.evaluate.semantic import Embedder

PSNR_CEILING = 100.0  # dB written for equal pictures: infinity is no JSON and would swallow the mean
# Pairs of frames that the stand-in is shown one of, since half of what scoring takes would be its looks at all of them.
# Not four: of codecs with four frames to a latent that would be none but pairs of frames of two latents.
_STAND_IN_EVERY = 11
_IDENTITY_EVERY = 11  # frames: who somebody is does not change in between, and a network's look is dear
_LPIPS_SIDE = 32  # pixels; smaller pictures do not reach the network's last layer


class Column(NamedTuple):
    """A figure of a row: its heading in a table, decimals, and whether more is better (+1), less (−1) or 1 is (0)."""

    heading: str
    decimals: int
    better: int


# In the order of the table; the first that a report has decides which clip is the worst.
COLUMNS: dict[str, Column] = {
    "foreground_psnr": Column("PSNR fg (dB) ↑", 2, 1),
    "foreground_ssim": Column("SSIM fg ↑", 4, 1),
    "foreground_lpips": Column("LPIPS fg ↓", 4, -1),
    "foreground_rmse": Column("RMSE fg ↓", 4, -1),
    "frame_psnr": Column("PSNR (dB) ↑", 2, 1),
    "frame_ssim": Column("SSIM ↑", 4, 1),
    "frame_lpips": Column("LPIPS ↓", 4, -1),
    "frame_rmse": Column("RMSE ↓", 4, -1),
    "amplitude": Column("relight amplitude → 1", 2, 0),
    "texture": Column("texture ↑", 4, 1),
    "identity": Column("likeness to source ↑", 4, 1),
    "steadiness": Column("likeness of frames ↑", 4, 1),
    "foreground_motion": Column("motion fg (px) ↓", 3, -1),
    "frame_motion": Column("motion (px) ↓", 3, -1),
    "foreground_warping": Column("warping error fg ↓", 5, -1),
    "luminance_jitter": Column("luminance jitter ↓", 5, -1),
    "step_response": Column("step response (frames) ↓", 1, -1),
    "step_size": Column("step size → 1", 2, 0),
    "movement_correlation": Column("movement correlation ↑", 3, 1),
    "movement_slope": Column("movement slope → 1", 2, 0),
    "boundary_laplacian": Column("boundary Laplacian → 1", 2, 0),
    "boundary_tenengrad": Column("boundary Tenengrad → 1", 2, 0),
    "background_exact": Column("background exact ↑", 5, 1),
    "background_difference": Column("background difference ↓", 5, -1),
}
# The source itself in the result's place: what a method that does nothing would score.
NOTHING = {f"nothing_{name}": name for name in (
    "foreground_psnr", "foreground_ssim", "foreground_rmse", "steadiness", "foreground_motion", "foreground_warping",
    "luminance_jitter", "step_response", "step_size", "movement_correlation", "movement_slope")}


class Step(NamedTuple):
    """A step of the truth's light: the first frame in the new one, and the natural log of its gain."""

    frame: int
    change: float


class Passing(NamedTuple):
    """A lamp that passes in the truth: the first frame in its light, and the first after it."""

    begin: int
    end: int


Light = Step | Passing
"""What the truth's light does."""


class Measure(NamedTuple):
    """A measure of one clip: takes in its shots in order, then names its figures (NaN: undefined)."""

    add: Callable[[Shot], None]
    figures: Callable[[], dict[str, float]]


@dataclass(frozen=True)
class Tools:
    """What some measures work with; where one is None, its figures are left out.

    lpips: network of LPIPS. embedder: of whole frames, whose likeness from one to the next is the CLIP score where it
    is CLIP's. face: of the person's box, for likeness to the source. flow: optical flow. errors_only: nothing but PSNR
    and RMSE, which take no longer than reading does. every: of so many pairs of frames the embedder is shown one.
    weights: "file digest" of those that were named, so that scores by others are not taken for theirs.
    """

    lpips: LpipsNetwork | None = None
    embedder: Embedder | None = None
    face: Embedder | None = None
    flow: Flow | None = None
    errors_only: bool = False
    every: int = 1
    weights: tuple[str, ...] = ()

    @property
    def names(self) -> dict[str, str]:
        """By measure, what it works with: figures by another do not compare."""
        tools = {"LPIPS": self.lpips, "likeness of frames": self.embedder, "likeness to source": self.face,
                 "motion and warping": self.flow}
        more = {"measured": "errors alone"} if self.errors_only else {}
        if self.embedder is not None and self.every > 1:
            more["likeness of frames"] = f"{self.embedder.name}, one pair in {self.every}"
        return {**{measure: tool.name for measure, tool in tools.items() if tool is not None}, **more}


def load_tools(clip: Path | str | None = None, face: Path | None = None,
               raft: Path | None = None) -> tuple[Tools, list[str]]:
    """All tools that are there.

    Args:
        clip: folder or hub name of a CLIP; without it EfficientNet-Lite0 takes its place, under its own name, and is
            shown one pair of frames in eleven.
        face: folder of a face recognizer; without it the same network sees the person's box.
        raft: RAFT's file; without it flow is DIS's.

    Returns:
        The tools, and a sentence for each that is missing.

    Raises:
        InputError: what was named cannot be read.
    """
    from harmovid.evaluate.efficientnet import load_efficientnet
    from harmovid.evaluate.perceptual import load_lpips
    from harmovid.evaluate.raft import load_raft
    from harmovid.evaluate.semantic import load_clip, load_face

    remarks = []

    def found(load: Callable[[], Any]) -> Any:
        try:
            return load()
        except InputError as error:
            remarks.append(str(error))
            return None

    embedder = load_clip(clip) if clip is not None else found(load_efficientnet)
    flow = load_raft(raft) if raft is not None else Dis()
    return Tools(found(load_lpips), embedder, load_face(face) if face is not None else embedder, flow,
                 every=1 if clip is not None else _STAND_IN_EVERY, weights=_digests(clip, face, raft)), remarks


def _digests(*places: Path | str | None) -> tuple[str, ...]:
    """Of all files that were named, or of the folders that were; what a hub names has none here."""
    files: list[Path] = []
    for place in (Path(place) for place in places if place is not None):
        files += sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]
    return digests((path for path in files if path.is_file()), lambda path: path.name)


class Measures:
    """The measures of an item that what is given of it allows; what many results have in common is found once."""

    def __init__(self, given: Collection[str], size: tuple[int, int], tools: Tools, light: Light | None = None) -> None:
        """
        Args:
            given: roles beside the result: truth, source, mask, background.
            size: (width, height) of the pictures.
            tools: networks and flow.
            light: what the truth's does, where it does something.
        """
        self._size, self._tools, self._light = size, tools, light
        self._truth, self._source, self._mask, self._background = (
            role in given for role in ("truth", "source", "mask", "background"))
        self._moves = None
        if tools.flow is not None and (self._truth or (self._source and self._mask)):
            self._moves = SourceMotion(tools.flow)
        self.of_nothing = list(self._of_nothing())
        """What the source scores in the result's place; they take in shots without a result."""

    def of_result(self, bits: int | None) -> Iterator[Measure]:
        """The measures of one result.

        Args:
            bits: of the background's exactness; None where the result was resized, which no pixel survives.
        """
        truth, source, mask, tools = self._truth, self._source, self._mask, self._tools
        if truth:
            yield _errors("frame", "result", weighted=False)
        if truth and mask:
            yield _errors("foreground", "result", weighted=True)
        if tools.errors_only:
            return
        if truth:
            yield from _likenesses(self._size, mask, tools)
        if truth and mask:
            boundary = BoundarySharpness()
            yield Measure(lambda s: boundary.add(s.shown["result"], s.shown["truth"], s.alpha),
                          lambda: {"boundary_laplacian": boundary.value.laplacian_ratio,
                                   "boundary_tenengrad": boundary.value.tenengrad_ratio})
        if mask and (truth or source):
            yield _jitter("", "result", "truth" if truth else "source")
        if mask and truth:
            yield from _follows("", "result", self._light)
        if mask and source:
            detail = Texture()
            yield Measure(lambda s: detail.add(s.shown["result"], s.shown["source"], s.alpha),
                          lambda: {"texture": detail.value})
        if mask and source and tools.face is not None:
            yield _identity(tools.face)
        if mask and source and truth:
            amplitude = RelightAmplitude()  # its cells lie within the person, where the source is the composite
            yield Measure(lambda s: amplitude.add(s.shown["result"], s.shown["source"], s.shown["truth"], s.alpha),
                          lambda: {"amplitude": amplitude.value.slope})
        if tools.embedder is not None:
            yield _steadiness(tools.embedder, tools.every, "", "result")
        if self._moves is not None:
            yield self._motion(self._moves)
        if mask and self._background and bits is not None:
            kept = BackgroundExactness(bits)
            yield Measure(lambda s: kept.add(s.light["result"], s.light["background"], s.alpha),
                          lambda: {"background_exact": kept.value.fraction,
                                   "background_difference": kept.value.max_difference})

    def _of_nothing(self) -> Iterator[Measure]:
        truth, source, mask, tools = self._truth, self._source, self._mask, self._tools
        if mask and source and truth:
            yield _errors("nothing_foreground", "source", weighted=True)
        if tools.errors_only:
            return
        if mask and source and truth:
            yield _jitter("nothing_", "source", "truth")
            yield from _follows("nothing_", "source", self._light)
            if min(self._size) >= TAPS:
                same = SSIM()
                yield Measure(lambda s: same.add(*_near(s.alpha, s.shown["source"], s.shown["truth"], s.alpha)),
                              lambda: {"nothing_foreground_ssim": same.foreground})
        if source and tools.embedder is not None:
            yield _steadiness(tools.embedder, tools.every, "nothing_", "source")
        if self._moves is not None and source and mask:
            yield self._motion_of_nothing(self._moves)

    def _motion(self, moves: SourceMotion) -> Measure:
        """Motion preservation and warping error, against the truth's motion, else the source's.

        The truth moves as the source does and has the result's background. Without it, figures are of the foreground
        alone.
        """
        kept, warped = MotionPreservation(), WarpingError()

        def add(shot: Shot) -> None:
            step, alpha = self._step(moves, shot), shot.alpha if self._mask else None
            kept.add(shot.shown["result"], step, alpha)
            warped.add(shot.shown["result"], step, alpha)

        def figures() -> dict[str, float]:
            found = {"foreground_motion": kept.value.foreground, "foreground_warping": warped.value.foreground}
            return {**found, "frame_motion": kept.value.frame} if self._truth else found

        return Measure(add, figures)

    def _motion_of_nothing(self, moves: SourceMotion) -> Measure:
        """The same of the source, which without a truth moves as itself, by definition."""
        still, calm = MotionPreservation(), WarpingError()

        def add(shot: Shot) -> None:
            step = self._step(moves, shot)
            calm.add(shot.shown["source"], step, shot.alpha)
            if self._truth:
                still.add(shot.shown["source"], step, shot.alpha)

        # Against itself the source has no motion to lose; undefined where nothing was measured.
        return Measure(add, lambda: {
            "nothing_foreground_warping": calm.value.foreground,
            "nothing_foreground_motion": still.value.foreground if self._truth else calm.value.foreground * 0.0})

    def _step(self, moves: SourceMotion, shot: Shot) -> motion.Step | None:
        return shot.once("motion", lambda: moves.add(shot.shown["truth" if self._truth else "source"]))


def _errors(name: str, role: str, weighted: bool) -> Measure:
    pooled = SquaredError()

    def figures() -> dict[str, float]:
        decibels = pooled.psnr()
        return {f"{name}_psnr": decibels if math.isnan(decibels) else min(decibels, PSNR_CEILING),
                f"{name}_rmse": pooled.rmse}

    return Measure(lambda s: pooled.add(s.shown[role], s.shown["truth"], s.alpha if weighted else None), figures)


def _likenesses(size: tuple[int, int], mask: bool, tools: Tools) -> Iterator[Measure]:
    """SSIM and LPIPS, of pictures that are large enough for them."""
    if min(size) >= TAPS:
        structure = SSIM()
        yield Measure(lambda s: structure.add(s.shown["result"], s.shown["truth"], s.alpha if mask else None),
                      lambda: {"frame_ssim": structure.value, "foreground_ssim": structure.foreground})
    if tools.lpips is not None and min(size) >= _LPIPS_SIDE:
        from harmovid.evaluate.perceptual import LPIPS

        seen = LPIPS(tools.lpips)
        yield Measure(lambda s: seen.add(s.shown["result"], s.shown["truth"], s.alpha if mask else None,
                                         s.once("LPIPS", lambda: seen.see(s.shown["truth"]))),
                      lambda: {"frame_lpips": seen.value, "foreground_lpips": seen.foreground})


def _jitter(prefix: str, role: str, reference: str) -> Measure:
    jitter = LuminanceJitter()
    return Measure(lambda s: jitter.add(s.shown[role], s.shown[reference], s.alpha),
                   lambda: {f"{prefix}luminance_jitter": jitter.value})


def _follows(prefix: str, role: str, light: Light | None) -> Iterator[Measure]:
    """Whether the person's light does what the truth's does, where that does something."""
    if isinstance(light, Step):
        yield _step_response(prefix, role, light)
    if isinstance(light, Passing):
        yield _movement(prefix, role, light)


def _movement(prefix: str, role: str, light: Passing) -> Measure:
    own: list[float] = []
    wanted: list[float] = []

    def add(shot: Shot) -> None:
        own.append(foreground_light(shot.shown[role], shot.alpha))
        wanted.append(shot.once("light", lambda: foreground_light(shot.shown["truth"], shot.alpha)))

    def figures() -> dict[str, float]:
        # Of a clip that is cut before the lamp has passed, nothing is known.
        known = len(own) if len(own) >= light.end else 0
        found = movement(np.array(own[:known]), np.array(wanted[:known]))
        return {f"{prefix}movement_correlation": found.correlation, f"{prefix}movement_slope": found.slope}

    return Measure(add, figures)


def _step_response(prefix: str, role: str, light: Step) -> Measure:
    """Against the truth less its own step, so that motion, texture and the light that was filmed cancel."""
    gains: list[float] = []

    def figures() -> dict[str, float]:
        stepped = np.array(gains) + light.change * (np.arange(len(gains)) >= light.frame)
        # Of a clip that is cut before its step, nothing is known.
        known = 0 < light.frame < len(gains)
        size = step_change(stepped, light.frame) / light.change if known else math.nan
        return {f"{prefix}step_response": step_response(stepped, light.frame, light.change) if known else math.nan,
                f"{prefix}step_size": size}

    return Measure(lambda s: gains.append(light_gain(s.shown[role], s.shown["truth"], s.alpha)), figures)


def _identity(face: Embedder) -> Measure:
    from harmovid.evaluate.semantic import Identity

    same = Identity(face)
    number = itertools.count()

    def add(shot: Shot) -> None:
        if next(number) % _IDENTITY_EVERY == 0:
            same.add(shot.shown["result"], shot.shown["source"], shot.alpha,
                     shot.once("identity", lambda: same.see(shot.shown["source"], shot.alpha)))

    return Measure(add, lambda: {"identity": same.value})


def _steadiness(embedder: Embedder, every: int, prefix: str, role: str) -> Measure:
    from harmovid.evaluate.semantic import ClipScore

    score = ClipScore(embedder, every)
    return Measure(lambda s: score.add(s.shown[role]), lambda: {f"{prefix}steadiness": score.value})


def _near(alpha: np.ndarray, *planes: np.ndarray) -> list[np.ndarray]:
    """What SSIM looks at for the person's sake: the planes, cut to the box of alpha > 0 and half a window around."""
    x, y, width, height = cv2.boundingRect((alpha > 0).astype(np.uint8))
    reach = TAPS // 2
    rows, columns = (slice(max(0, min(start - reach, side - TAPS)), max(start + length + reach, TAPS))
                     for start, length, side in ((y, height, alpha.shape[0]), (x, width, alpha.shape[1])))
    return [plane[rows, columns] for plane in planes]
