"""The measures of a bench: which figures a clip gets, from what is given of it, under which names.

Each measure takes in a clip's shots one by one. A new measure is added to `measures` and to `COLUMNS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from harmovid.errors import InputError
from harmovid.evaluate.boundary import BoundarySharpness
from harmovid.evaluate.fidelity import BackgroundExactness, SquaredError, Texture
from harmovid.evaluate.motion import Dis, Flow, MotionPreservation, SourceMotion, WarpingError
from harmovid.evaluate.relight import RelightAmplitude
from harmovid.evaluate.similarity import SSIM, TAPS
from harmovid.evaluate.temporal import LuminanceJitter

if TYPE_CHECKING:  # they bring torch with them
    from harmovid.evaluate.perceptual import LpipsNetwork
    from harmovid.evaluate.semantic import Embedder

PSNR_CEILING = 100.0  # dB written for equal pictures: infinity is no JSON and would swallow the mean
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
    "boundary_laplacian": Column("boundary Laplacian → 1", 2, 0),
    "boundary_tenengrad": Column("boundary Tenengrad → 1", 2, 0),
    "background_exact": Column("background exact ↑", 5, 1),
    "background_difference": Column("background difference ↓", 5, -1),
}
# The source itself in the result's place: what a method that does nothing would score.
NOTHING = {f"nothing_{name}": name for name in (
    "foreground_psnr", "foreground_ssim", "foreground_rmse", "steadiness", "foreground_motion", "foreground_warping",
    "luminance_jitter")}


@dataclass(frozen=True)
class Shot:
    """One time step of a clip and of all that it is compared with.

    light: by role, (H, W, 3) float32 display sRGB, not clipped. shown: the same, clipped to [0, 1].
    alpha: (H, W) float32 in [0, 1], all 0 where no mask was given (no measure looks at it then).
    """

    light: dict[str, np.ndarray]
    shown: dict[str, np.ndarray]
    alpha: np.ndarray


class Measure(NamedTuple):
    """A measure of one clip: takes in its shots in order, then names its figures (NaN: undefined)."""

    add: Callable[[Shot], None]
    figures: Callable[[], dict[str, float]]


@dataclass(frozen=True)
class Tools:
    """What some measures work with; where one is None, its figures are left out.

    lpips: network of LPIPS. embedder: of whole frames, whose likeness from one to the next is the CLIP score where it
    is CLIP's. face: of the person's box, for likeness to the source. flow: optical flow.
    """

    lpips: LpipsNetwork | None = None
    embedder: Embedder | None = None
    face: Embedder | None = None
    flow: Flow | None = None

    @property
    def names(self) -> dict[str, str]:
        """By measure, what it works with: figures by another do not compare."""
        tools = {"LPIPS": self.lpips, "likeness of frames": self.embedder, "likeness to source": self.face,
                 "motion and warping": self.flow}
        return {measure: tool.name for measure, tool in tools.items() if tool is not None}


def load_tools(clip: Path | str | None = None, face: Path | None = None) -> tuple[Tools, list[str]]:
    """All tools that are there.

    Args:
        clip: folder or hub name of a CLIP; without it EfficientNet-Lite0 takes its place, under its own name.
        face: folder of a face recognizer; without it the same network sees the person's box.

    Returns:
        The tools, and a sentence for each that is missing.

    Raises:
        InputError: what was named cannot be read.
    """
    from harmovid.evaluate.efficientnet import load_efficientnet
    from harmovid.evaluate.perceptual import load_lpips
    from harmovid.evaluate.semantic import load_clip, load_face

    remarks = []

    def found(load: Callable[[], Any]) -> Any:
        try:
            return load()
        except InputError as error:
            remarks.append(str(error))
            return None

    embedder = load_clip(clip) if clip is not None else found(load_efficientnet)
    return Tools(found(load_lpips), embedder, load_face(face) if face is not None else embedder, Dis()), remarks


def measures(given: Collection[str], size: tuple[int, int], bits: int | None, tools: Tools) -> Iterator[Measure]:
    """The measures that what is given allows.

    Args:
        given: roles beside the result: truth, source, mask, background.
        size: (width, height) of the pictures.
        bits: of the background's exactness; None where the result was resized, which no pixel survives.
        tools: networks and flow.
    """
    truth, source, mask, background = (role in given for role in ("truth", "source", "mask", "background"))
    if truth:
        yield _errors("frame", "result", weighted=False)
        yield from _likenesses(size, mask, tools)
    if truth and mask:
        yield _errors("foreground", "result", weighted=True)
        boundary = BoundarySharpness()
        yield Measure(lambda s: boundary.add(s.shown["result"], s.shown["truth"], s.alpha),
                      lambda: {"boundary_laplacian": boundary.value.laplacian_ratio,
                               "boundary_tenengrad": boundary.value.tenengrad_ratio})
    if mask and (truth or source):
        yield _jitter("", "result", "truth" if truth else "source")
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
        yield _errors("nothing_foreground", "source", weighted=True)
        yield _jitter("nothing_", "source", "truth")
        if min(size) >= TAPS:
            same = SSIM()
            yield Measure(lambda s: same.add(s.shown["source"], s.shown["truth"], s.alpha),
                          lambda: {"nothing_foreground_ssim": same.foreground})
    if tools.embedder is not None:
        yield _steadiness(tools.embedder, "", "result")
        if source:
            yield _steadiness(tools.embedder, "nothing_", "source")
    if tools.flow is not None and (truth or (source and mask)):
        yield _motion(tools.flow, truth, source, mask)
    if mask and background and bits is not None:
        kept = BackgroundExactness(bits)
        yield Measure(lambda s: kept.add(s.light["result"], s.light["background"], s.alpha),
                      lambda: {"background_exact": kept.value.fraction,
                               "background_difference": kept.value.max_difference})


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
        yield Measure(lambda s: seen.add(s.shown["result"], s.shown["truth"], s.alpha if mask else None),
                      lambda: {"frame_lpips": seen.value, "foreground_lpips": seen.foreground})


def _jitter(prefix: str, role: str, reference: str) -> Measure:
    jitter = LuminanceJitter()
    return Measure(lambda s: jitter.add(s.shown[role], s.shown[reference], s.alpha),
                   lambda: {f"{prefix}luminance_jitter": jitter.value})


def _identity(face: Embedder) -> Measure:
    from harmovid.evaluate.semantic import Identity

    same = Identity(face)
    return Measure(lambda s: same.add(s.shown["result"], s.shown["source"], s.alpha), lambda: {"identity": same.value})


def _steadiness(embedder: Embedder, prefix: str, role: str) -> Measure:
    from harmovid.evaluate.semantic import ClipScore

    score = ClipScore(embedder)
    return Measure(lambda s: score.add(s.shown[role]), lambda: {f"{prefix}steadiness": score.value})


def _motion(flow: Flow, truth: bool, source: bool, mask: bool) -> Measure:
    """Motion preservation and warping error, against the truth's motion, else the source's, found once for all.

    The truth moves as the source does and has the result's background. Without it, figures are of the foreground
    alone, and doing nothing moves as the source does, by definition.
    """
    reference = "truth" if truth else "source"
    moves, kept, warped = SourceMotion(flow), MotionPreservation(), WarpingError()
    still, calm = MotionPreservation(), WarpingError()

    def add(shot: Shot) -> None:
        step, alpha = moves.add(shot.shown[reference]), shot.alpha if mask else None
        kept.add(shot.shown["result"], step, alpha)
        warped.add(shot.shown["result"], step, alpha)
        if source and mask:
            calm.add(shot.shown["source"], step, alpha)
            if truth:
                still.add(shot.shown["source"], step, alpha)

    def figures() -> dict[str, float]:
        # Against itself the source has no motion to lose; undefined where nothing was measured.
        nothing = still.value.foreground if truth else calm.value.foreground * 0.0
        found = {"foreground_motion": kept.value.foreground, "foreground_warping": warped.value.foreground,
                 "nothing_foreground_warping": calm.value.foreground,
                 "nothing_foreground_motion": nothing}
        return {**found, "frame_motion": kept.value.frame} if truth else found

    return Measure(add, figures)
