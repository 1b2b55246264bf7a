"""The straight path: a foreground, its mask and a background in, one finished clip out.

Two streaming passes. The first shows the harmonizer what it needs, shot by shot: the person's box, steadied, at
its own small size, with an overview of the background. The second carries the change of light over to the
full-size picture, composites and writes. Memory does not grow with length.
"""

from __future__ import annotations

import errno
import resource
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

import cv2
import numpy as np

from harmovid.composite import blend, matte, recover
from harmovid.errors import InputError, OptionError, OutputError
from harmovid.infer import framing, transfer
from harmovid.infer.compare import Comparison
from harmovid.infer.memory import give_back_pictures
from harmovid.infer.picture import FullPicture, is_cut_out, is_in_place, recovered
from harmovid.infer.plan import Plan
from harmovid.infer.restore import restored
from harmovid.infer.shots import Shot, each_frame, shots
from harmovid.infer.views import Harmonized, Harmonizer, ViewSize, as_picture
from harmovid.video import encode, io
from harmovid.video.clip import Clip, Frame
from harmovid.video.color import SRGB, convert, from_linear, to_linear
from harmovid.video.prefetch import prefetch

T = TypeVar("T")

Progress = Callable[[str, int, int], None]
"""Told of each step: name of the stage, frames done, frames in all."""


@dataclass
class Summary:
    """What a run did.

    seconds: wall-clock time per stage; frames are decoded and masks refined in a thread of their own, and "read"
        is what the others waited for it. peak_bytes: the process's largest resident memory so far.
    """

    output: str
    frames: int
    size: tuple[int, int]
    rate: str
    harmonizer: str
    seconds: dict[str, float] = field(default_factory=dict)
    peak_bytes: int = 0
    notes: tuple[str, ...] = ()


class _Clock:
    """Adds up the time spent in each stage; stages may nest, and the inner one counts."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stack: list[str] = []
        self._since = time.perf_counter()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        self._book()
        self._stack.append(stage)
        try:
            yield
        finally:
            self._book()
            self._stack.pop()

    def each(self, stage: str, items: Iterable[T]) -> Iterator[T]:
        """Go through `items`, booking what it takes to make them."""
        iterator = iter(items)
        while True:
            with self(stage):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def _book(self) -> None:
        now = time.perf_counter()
        if self._stack:
            stage = self._stack[-1]
            self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._since
        self._since = now


@dataclass(frozen=True)
class Look:
    """What a harmonizer is shown of a plan, and what the second pass needs to know of that.

    frames: the person's box. soft: whether the mask has a soft edge of its own. views: the clip of views.
    shots: what it is made up of; of a preview every frame.
    """

    frames: framing.Framing
    soft: bool
    views: framing.SpooledViews
    shots: Sequence[Shot]


@contextmanager
def look(plan: Plan, view: ViewSize, progress: Progress = lambda stage, done, total: None,
         clock: _Clock | None = None) -> Iterator[Look]:
    """The first pass, whose views lie on disk while the context lasts.

    It depends on the plan's clips, lengths, places and masks, and on what is asked of those, and not on what is done to
    the light or written: several harmonizers of one size of view may share it.

    Raises:
        InputError: a file turns out damaged, or the mask is empty from beginning to end.
    """
    clock = clock or _Clock()
    frames, soft = _scan(plan, view, clock, progress)
    with framing.SpooledViews(frames.view, view.overview) as views:
        _spool(plan, frames, views, clock, progress)
        with clock("look"):
            found = shots(views) if plan.options.preview is None else each_frame(views)
        yield Look(frames, soft, views, found)


def harmonize(plan: Plan, harmonizer: Harmonizer, *, shown: Look | None = None, compare: Comparison | None = None,
              progress: Progress = lambda stage, done, total: None) -> Summary:
    """Run a plan with a harmonizer.

    Args:
        plan: from `plan.plan`.
        harmonizer: fills the seam: the network, or a baseline.
        shown: the first pass over this very plan, where it was made before; see `look`.
        compare: collects source, composite and result side by side.
        progress: told after every frame of every stage.

    Returns:
        Frames, seconds per stage, peak memory.

    Raises:
        OptionError: a comparison is asked of a run in network detail.
        InputError: a file turns out damaged, or the mask is empty from beginning to end.
        OutputError: the disk is full, say. Nothing half-written is left under the real name.
    """
    if compare is not None and plan.options.detail == "network":
        raise OptionError("--compare shows the light transfer's pictures; leave out --detail network")
    give_back_pictures()
    clock = _Clock()
    try:
        with clock("other"), ExitStack() as stack:
            shown = shown or stack.enter_context(look(plan, harmonizer.view, progress, clock))
            if compare is not None:
                stack.enter_context(compare)
            results = clock.each("harmonize", _by_shot(harmonizer, shown.shots, plan.options.seed))
            _finish(plan, shown, results, compare, clock, progress)
            notes = (*plan.notes, *_told(plan, shown.shots))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OutputError(f"{plan.target.path} cannot be written: the disk is full, there or in the folder for "
                              f"temporary files, {tempfile.gettempdir()}; nothing half-written was left behind: free "
                              "some space and run the same command again") from error
        raise
    return Summary(
        output=str(plan.target.pattern or plan.target.path), frames=len(plan), size=plan.size,
        rate=f"{plan.rate.numerator}/{plan.rate.denominator}", harmonizer=harmonizer.name,
        seconds={stage: round(spent, 3) for stage, spent in clock.seconds.items()}, peak_bytes=peak_memory(),
        notes=notes)


def _by_shot(harmonizer: Harmonizer, found: Sequence[Shot], seed: int) -> Iterator[Harmonized]:
    """What the harmonizer makes of each shot, frame by frame; as many as it was shown, or a ValueError."""
    for shot in found:
        made = _unchunked(harmonizer.harmonize(shot, seed))
        yield from (frame for _, frame in zip(range(len(shot)), made, strict=True))


def _told(plan: Plan, found: Sequence[Shot]) -> list[str]:
    """What is said of the shots of a clip, where it has several."""
    if len(found) == 1 or plan.options.preview is not None:
        return []
    starts = ", ".join(str(plan.foreground_index[shot.start]) for shot in found[1:])
    return [f"{len(found)} shots, cut at frame{'s' if len(found) > 2 else ''} {starts}: each has a light of its own"]


def peak_memory() -> int:
    """The largest resident memory of this process so far, bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _scan(plan: Plan, view: ViewSize, clock: _Clock, progress: Progress) -> tuple[framing.Framing, bool]:
    """Where the person is in each frame, and whether the mask has a soft edge of its own."""
    found, soft, left = [], [], plan.options.refine == matte.Refine()
    shown = 0
    for i, alpha in enumerate(clock.each("read", _masks(plan))):
        with clock("look"):
            found.append(framing.find(alpha))
            if found[-1] is not None:
                if shown % 10 == 0:
                    soft.append(matte.is_soft(alpha))
                shown += 1
            left = left or bool(matte.refine(alpha, plan.options.refine).any())
        progress("scan", i + 1, len(plan))
    if not shown:
        raise InputError(f"the mask {(plan.mask or plan.foreground).path} is empty: no person in any of {len(found)} "
                         "frames; give the right mask, white where the person is")
    if not left:
        raise InputError("nothing is left of the mask once --shrink, --soften and --despeckle are done with it; "
                         "lower them")
    # An alpha of the foreground's own is kept as it is: its colour ends where it does.
    return framing.frame(found, plan.size, view), is_cut_out(plan) or 2 * sum(soft) > len(soft)


def _spool(plan: Plan, frames: framing.Framing, views: framing.SpooledViews, clock: _Clock,
           progress: Progress) -> None:
    """Fill `views`.

    The harmonizer is told the mask that composites, but for the soft edge that a hard one is given: scaled down it has
    one, and a cut at full size trembles more than what it was cut from.
    """
    triples = prefetch(zip(_foregrounds(plan), _refined(plan, soft=True), _backgrounds(plan), strict=True))
    for i, (rgb, alpha, background) in enumerate(clock.each("read", triples)):
        with clock("look"):
            x0, y0, x1, y1 = frames.boxes[i]
            inside = slice(y0, y1), slice(x0, x1)
            mask = _shrunk(alpha[inside], frames.view)
            if is_cut_out(plan):  # colour under no alpha means nothing and must not be scaled into the person
                own = _shrunk(rgb[inside] * alpha[inside][..., None], frames.view)
                own /= np.maximum(mask, 1e-6)[..., None]
            else:
                own = _shrunk(rgb[inside], frames.view)
                if not is_in_place(plan, rgb[inside], background[inside]):
                    own = blend.estimate_foreground(own, mask)
            lit = to_linear(np.clip(convert(own, plan.foreground.tags, SRGB), 0, 1), "srgb")
            behind, whole = (np.clip(convert(_shrunk(picture, size), plan.tags, SRGB), 0, 1) for picture, size in (
                (background[inside], frames.view), (background, views.overview_size)))
            mixed = blend.over(lit, to_linear(behind, "srgb"), mask)
            views.append(from_linear(mixed, "srgb"), behind, mask, whole)
        progress("look", i + 1, len(plan))


def _shrunk(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA))


def _finish(plan: Plan, shown: Look, results: Iterator[Harmonized], compare: Comparison | None, clock: _Clock,
            progress: Progress) -> None:
    """The second pass: carry the light over, composite, write."""
    options, frames, views = plan.options, shown.frames, shown.views
    small = options.detail == "network"
    size = frames.view[::-1] if small else plan.size
    alpha_out = options.output == "foreground"
    with encode.Writer(plan.target, size, plan.rate, plan.target.tags(SRGB) if small else plan.tags, bits=plan.bits,
                       alpha=alpha_out, sound=plan.sound, timecode=plan.timecode,
                       start_number=plan.start_number, number_step=plan.number_step) as writer:
        if small:
            for i, (result, (composite, _, _)) in enumerate(zip(results, views.frames(), strict=True)):
                with clock("write"):
                    own = as_picture(result.result)
                    if options.restore:
                        own = restored(composite, as_picture(result.reference), own)
                    writer.write(convert(own, SRGB, writer.tags))
                progress("finish", i + 1, len(plan))
            return
        edges: deque[np.ndarray] = deque()  # by what the harmonizer moved them, until their frame is read
        keeps_edges = not options.recover or is_cut_out(plan)
        pairs = _pairs(zip(results, views.frames(), strict=True), None if keeps_edges else edges)
        lights = clock.each("fit", (light for shot in shown.shots
                                    for light in transfer.lights(islice(pairs, len(shot)), options.transfer)))
        triples = prefetch(zip(_foregrounds(plan), _refined(plan, shown.soft), _backgrounds(plan), strict=True))
        clips = clock.each("read", triples)
        for i, (light, (rgb, alpha, background)) in enumerate(zip(lights, clips, strict=True)):
            with clock("transfer"):
                if not keeps_edges:
                    alpha = recovered(plan, edges.popleft(), rgb, alpha, background, frames.boxes[i])
                picture = FullPicture(plan, rgb, alpha, background)
                picture.relight(light, frames.boxes[i])
                out = picture.composite() if options.output == "comp" else (
                    picture.cut_out() if alpha_out else picture.gain())
            with clock("write"):
                writer.write(out, alpha if alpha_out else None)
            if compare is not None:
                with clock("compare"):
                    compare.add(picture.panels() if compare.wants_next else None)
            del picture, out  # before the next ones are made
            progress("finish", i + 1, len(plan))
        next(pairs, None)  # a frame too many is an error before the file gets its name


def _pairs(frames: Iterable[tuple[Harmonized, tuple[np.ndarray, np.ndarray, np.ndarray]]],
           edges: deque[np.ndarray] | None) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Reference, result and mask of each view; by what its edge was moved is added to `edges`, where there are any."""
    for harmonized, (_, behind, mask) in frames:
        reference, result = as_picture(harmonized.reference), as_picture(harmonized.result)
        if edges is not None:
            before, after, scene = (to_linear(part, "srgb") for part in (reference, result, behind))
            edges.append(recover.edge_change(before, after, scene, mask))
        yield reference, result, mask


def _unchunked(chunks: Iterable[Harmonized]) -> Iterator[Harmonized]:
    for chunk in chunks:
        for t in range(chunk.result.shape[1]):
            yield Harmonized(chunk.reference[:, t : t + 1], chunk.result[:, t : t + 1])


def _foregrounds(plan: Plan) -> Iterator[np.ndarray]:
    """The foreground on the canvas, code values of its own tags."""
    for frame in io.read(plan.foreground, plan.foreground_index):
        if plan.mask is None and not plan.foreground_place.trivial and frame.alpha is not None:
            # Colour where alpha is 0 means nothing and must not be mixed into the edge by scaling.
            cover = np.maximum(plan.foreground_place.place(frame.alpha), 1e-6)[..., None]
            colour = plan.foreground_place.place(frame.rgb * frame.alpha[..., None]) / cover
            # The cubic kernel goes below 0: where almost no alpha is left, the quotient is of any size.
            seen = frame.rgb[frame.alpha > 0]
            yield np.clip(colour, seen.min(initial=0), seen.max(initial=0))
        else:
            yield plan.foreground_place.place(frame.rgb if is_cut_out(plan) else _as_filed(plan.foreground, frame))


def _backgrounds(plan: Plan) -> Iterator[np.ndarray]:
    """The background on the canvas, code values of the plan's tags."""
    last: tuple[np.ndarray, np.ndarray] | None = None
    own = is_cut_out(plan) and plan.background.path == plan.foreground.path  # it is steadied where it stands
    for frame in io.read(plan.background, plan.background_index):
        if last is None or last[0] is not frame.rgb:
            shown = frame.rgb if own else _as_filed(plan.background, frame)
            last = frame.rgb, convert(plan.background_place.place(shown), plan.background.tags, plan.tags)
        yield last[1]


def _as_filed(clip: Clip, frame: Frame) -> np.ndarray:
    """The colour of a frame whose alpha is left out: EXR's is premultiplied, and what stands in the file."""
    if frame.alpha is None or not clip.files or clip.files[0].suffix.lower() != ".exr":
        return frame.rgb
    return np.where(frame.alpha[..., None] > 0, frame.rgb * np.maximum(frame.alpha, 1e-6)[..., None], frame.rgb)


def _masks(plan: Plan) -> Iterator[np.ndarray]:
    """The mask on the canvas as it was given, (H, W) in [0, 1]."""
    for frame in io.read(plan.mask or plan.foreground, plan.mask_index, grey=True):
        # A picture with alpha is a mask by its alpha, whatever it shows.
        yield np.clip(plan.mask_place.place(frame.rgb if frame.alpha is None else frame.alpha), 0, 1)


def _refined(plan: Plan, soft: bool) -> Iterator[np.ndarray]:
    """The alpha that composites: refined, steadied, and with a soft edge where the mask had none."""
    options = plan.options
    alphas: Iterator[np.ndarray] = (matte.refine(alpha, options.refine) for alpha in _masks(plan))
    if options.steady:
        alphas = matte.steady(alphas, options.steady)
    width = options.edge * plan.size[1]
    given = soft or width == 0 or options.refine.soften > 0
    for alpha in alphas:
        yield alpha if given else matte.pseudo_alpha(alpha, width)
