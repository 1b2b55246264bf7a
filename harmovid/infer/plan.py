"""The plan of a run: everything that can be checked before a pixel is worked on, checked and resolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np

from harmovid.composite import place
from harmovid.composite.matte import Refine
from harmovid.composite.place import Placement
from harmovid.errors import InputError, OptionError, OutputError
from harmovid.infer.transfer import TransferConfig
from harmovid.video import io, stills, timecode
from harmovid.video.clip import Clip
from harmovid.video.color import ColorTags
from harmovid.video.sound import Sound, check_sound
from harmovid.video.target import Target, open_target

_LONGEST_SIDE = 16384
# Beyond these the light transfer's compiled loops have no room to work in, or its equations no solution.
_TRANSFER_RANGES = {"cell": (2, 1024), "bins": (2, 64), "prior": (1e-3, 1e6), "detail": (0.1, 100), "stops": (0, 16),
                    "temporal_sigma": (0, 100)}


@dataclass(frozen=True)
class Options:
    """What a user can ask of a run; the defaults are what most want.

    fit: where the background (by time) or the mask (by count) is shorter; None plays a short
        background back and forth, and refuses a mask of another length.
    canvas: whose frame the result has.
    place: how the other picture is laid into that frame; None: a background covers, a foreground
        is contained.
    strength: of the change of light, 0 to 2, interpolated in log.
    detail: "transfer" for the source at full size, "network" for the harmonizer's own small picture.
    output: the finished picture, the relit person with alpha, or the gain alone.
    overlap: share of a network's window that neighbours share, of a clip longer than one.
    recover: composite with the edge that the harmonizer drew, read off its view, in place of the mask's own.
    edge: width of the soft edge given to a hard mask, as a share of the height; 0 leaves it hard.
    steady: frames on each side that a median holds the mask steady over; 0 for none.
    start, end: frames of the foreground, from 0, end exclusive; None for its own.
    background_start: frame of the background that is shown at the first of these.
    preview: so many frames, spread over the clip, in place of all.
    restore: in network detail, put back the texture that the harmonizer's codec lost.
    """

    fit: place.Fit | None = None
    canvas: Literal["foreground", "background"] = "foreground"
    place: place.Mode | None = None
    scale: float = 1.0
    position: tuple[float, float] = (0.5, 0.5)
    strength: float = 1.0
    detail: Literal["transfer", "network"] = "transfer"
    output: Literal["comp", "foreground", "gain"] = "comp"
    overlap: float = 1 / 3
    recover: bool = False
    edge: float = 0.004
    refine: Refine = Refine()
    steady: int = 0
    start: int | None = None
    end: int | None = None
    background_start: int = 0
    preview: int | None = None
    sound: bool = True
    seed: int = 0
    restore: bool = True
    transfer: TransferConfig = field(default_factory=TransferConfig)

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if not 0 <= self.strength <= 2:
            raise OptionError(f"--strength is between 0 (the light as it was filmed) and 2, got {self.strength}")
        if not 0 <= self.overlap <= 0.9:
            raise OptionError("--set overlap is the share of a window that neighbours share, between 0 and 0.9, got "
                              f"{self.overlap}")
        if not 0 <= self.edge <= 0.1:
            raise OptionError(f"--edge is a share of the height between 0 and 0.1, got {self.edge}")
        if self.preview is not None and self.preview < 1:
            raise OptionError(f"--preview takes a number of frames of 1 or more, got {self.preview}")
        if self.steady < 0:
            raise OptionError(f"--steady is 0 or more frames, got {self.steady}")
        for name, (low, high) in _TRANSFER_RANGES.items():
            value = getattr(self.transfer, name)
            if not low <= value <= high:
                raise OptionError(f"--set transfer.{name} is between {low:g} and {high:g}, got {value}")


@dataclass(frozen=True)
class Plan:
    """A run that nothing known beforehand stands in the way of.

    mask is None where the foreground's own alpha is the mask. The index arrays say which frame of each
    clip is shown at each frame of the result.
    """

    foreground: Clip
    background: Clip
    mask: Clip | None
    foreground_index: np.ndarray
    background_index: np.ndarray
    mask_index: np.ndarray
    foreground_place: Placement
    background_place: Placement
    mask_place: Placement
    size: tuple[int, int]  # width, height of the result
    rate: Fraction
    target: Target
    tags: ColorTags  # of the result
    bits: int
    timecode: str | None
    start_number: int  # of numbered pictures
    number_step: int
    sound: Sound | None
    options: Options
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Frames of the result."""
        return len(self.foreground_index)


def plan(foreground: Clip, background: Clip, mask: Clip | None, output: str | Path, options: Options, *,
         overwrite: bool = False, also_inputs: tuple[Path, ...] = (),
         mask_frames: Sequence[int] | None = None) -> Plan:
    """Resolve a run, or say what stands in its way.

    Args:
        foreground, background, mask: probed clips; the mask may be None where the foreground has alpha.
        output: where the result goes.
        options: what the user asks for.
        overwrite: allow an existing output to be replaced.
        also_inputs: more files that must not be written over.
        mask_frames: the foreground's frames, rising, of which the mask was made; None: told by how many it has.

    Raises:
        InputError, OutputError, OptionError: a sentence about what, and what to do.
    """
    mask = mask and io.drop_opaque_alpha(mask, options.end)
    foreground, background = of_one_rate(foreground, background)
    if foreground.still and background.frames > 1 and not stills.is_one_picture(output):
        # A person in a photo before a video: held for as long as the video lasts.
        foreground = replace(foreground, frames=background.frames, rate=background.rate,
                             source_index=np.zeros(background.frames, np.int64))
    if options.preview is not None:  # its frames are no neighbours: nothing can be held steady between them
        options = replace(options, steady=0, transfer=replace(options.transfer, temporal_sigma=0.0))
    notes = [f"{name}: {note}" for name, clip in (("foreground", foreground), ("background", background),
                                                  ("mask", mask)) if clip for note in clip.notes]
    if mask is None and not foreground.alpha:
        raise InputError(f"{foreground.path} has no alpha and no mask was given; pass --mask, or make one with "
                         f"`harmovid matte {foreground.path} -o mask.mkv`")
    first, last = _stretch(foreground, options, notes)
    fg_index, mask_index, bg_index = _timeline(foreground, background, mask, mask_frames, first, last, options, notes)

    fg_size, bg_size = (foreground.width, foreground.height), (background.width, background.height)
    size = fg_size if options.canvas == "foreground" else bg_size
    _check_size(size)
    if options.canvas == "foreground":
        fg_place = place.place(fg_size, size, "stretch")
        bg_place = place.place(bg_size, size, options.place or "cover", options.scale, options.position)
        if not _covers(bg_place):
            if all(0 <= share <= 1 for share in options.position):
                mended = "raise --scale" + ("" if options.place in (None, "cover") else ", or leave out --place")
            else:
                mended = "keep both numbers of --position between 0 and 1"
            raise OptionError(f"the background leaves a part of the picture bare; {mended}")
    else:
        fg_place = place.place(fg_size, size, options.place or "contain", options.scale, options.position)
        if not fg_place.seen:
            raise OptionError(f"with --position {options.position[0]:g},{options.position[1]:g} the foreground lies "
                              "outside of the picture; 0,0 is left and top, 1,1 right and bottom")
        bg_place = place.place(bg_size, size, "stretch")
    mask_place = _mask_placement(mask or foreground, foreground, fg_place)

    alpha = options.output == "foreground"
    if options.output == "gain" and options.detail == "network":
        raise OptionError("--output gain is the light transfer's; leave out --detail network")
    if alpha and options.detail == "network":
        raise OptionError("--detail network writes the network's own picture, without alpha; leave out "
                          "--output foreground")
    inputs = tuple(clip.path for clip in (foreground, background, mask) if clip) + also_inputs
    target = open_target(output, inputs=inputs, overwrite=overwrite, frames=len(fg_index), alpha=alpha)
    if options.preview is not None and target.pattern is not None and target.path.is_dir() and (
            there := stills.matching(target.pattern)):
        raise OutputError(f"{target.pattern} has {len(there)} pictures, and a preview's frames, numbered in a row, "
                          "would go among them; name another output")
    bits = max(foreground.bits, background.bits)
    if target.kind == "mp4" and any(side % 2 for side in size) and options.detail == "transfer":
        notes.append("H.264 needs even sides: the last column or row is doubled; .mkv and .mov keep the size")
    written = target.tags(background.tags)
    if target.display and background.tags.hdr and not written.hdr:
        keeps = ".mov, .mkv and EXR pictures keep" if background.tags.transfer in ("pq", "hlg") else "EXR pictures keep"
        notes.append(f"light above white is cut off in this format; {keeps} it")
    code, number = foreground.timecode, foreground.start_number
    offset = int(fg_index[0])
    if code:
        try:
            code = timecode.shift(code, offset, foreground.rate)
        except ValueError:
            notes.append(f"the timecode {code!r} cannot be read and is left out")
            code = None
    sound = None
    if options.sound and options.preview is None and foreground.sound:
        if target.kind in ("mp4", "mov", "mkv"):
            check_sound(foreground.path)
            start = foreground.start_seconds + float(offset / foreground.rate)
            sound = Sound(foreground.path, start, start + float(len(fg_index) / foreground.rate))
        else:
            notes.append("pictures carry no sound: the foreground's is left out")
    return Plan(
        foreground=foreground, background=background, mask=mask, foreground_index=fg_index,
        background_index=bg_index, mask_index=mask_index, foreground_place=fg_place,
        background_place=bg_place, mask_place=mask_place, size=size, rate=foreground.rate, target=target,
        tags=written, bits=bits, timecode=code,
        start_number=(number or 0) + foreground.number_step * offset,
        number_step=1 if options.preview is not None else foreground.number_step, sound=sound, options=options,
        notes=tuple(notes))


def of_one_rate(foreground: Clip, background: Clip) -> tuple[Clip, Clip]:
    """Foreground and background, of which pictures whose rate nothing tells have the other's: they are shown with it
    frame by frame."""
    if not foreground.rate_known and background.frames > 1:
        foreground = _at(foreground, background.rate)
    if not background.rate_known and foreground.frames > 1:
        background = _at(background, foreground.rate)
    return foreground, background


def _at(pictures: Clip, rate: Fraction) -> Clip:
    told = f"pictures without a rate, taken at the other clip's {float(rate):.6g} frames per second; --fps changes it"
    notes = pictures.notes if pictures.still or rate == pictures.rate else (*pictures.notes, told)
    return replace(pictures, rate=rate, rate_known=True, notes=notes)


def _stretch(foreground: Clip, options: Options, notes: list[str]) -> tuple[int, int]:
    start = options.start or 0
    end = foreground.frames if options.end is None else min(options.end, foreground.frames)
    if not 0 <= start < foreground.frames:
        raise OptionError(f"--start {start} lies outside the foreground, which has {foreground.frames} frames")
    if end <= start:
        raise OptionError(f"--end {options.end} is not after --start {start}")
    if options.end is not None and options.end > foreground.frames:
        notes.append(f"--end {options.end} lies beyond the foreground's {foreground.frames} frames: taken to its end")
    return start, end


_Reading = Literal["frames", "one picture", "stretch", "preview", "stored", "shorter"]


def _reading(foreground: Clip, mask: Clip, first: int, last: int, options: Options) -> _Reading:
    """What a mask's pictures are of, told by how many there are: as many as the foreground has frames, one for all, as
    many as the stretch has, as the preview, as the file stores of a clip of variable rate (most tools make one for
    each); only where nothing fits is one cut short."""
    stored = 0 if foreground.timestamps is None else len(foreground.timestamps)
    fitting: dict[_Reading, int] = {"frames": foreground.frames, "one picture": 1, "stretch": last - first,
                                    "preview": options.preview or 0, "stored": stored}
    if mask.still and foreground.frames > 1:
        return "one picture"
    for reading, frames in fitting.items():
        if mask.frames == frames:
            return reading
    if options.fit == "trim":
        return "shorter" if mask.frames < last else "frames"
    raise InputError(f"the mask has {mask.frames} frames, the foreground has {foreground.frames}; pass "
                     f"--fit trim, or run `harmovid matte {foreground.path} -o mask.mkv` again")


def _timeline(foreground: Clip, background: Clip, mask: Clip | None, mask_frames: Sequence[int] | None, first: int,
              last: int, options: Options, notes: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frame numbers of foreground, mask and background for each frame of the result."""
    reading: _Reading | None = None
    if mask and mask_frames is None and (reading := _reading(foreground, mask, first, last, options)) == "shorter":
        if mask.frames <= first:
            raise InputError(f"the mask has {mask.frames} frames and ends before --start {first}")
        notes.append(f"mask: {mask.frames} frames for {foreground.frames}; cut to the shorter")
        last = mask.frames
    if background.frames > 1 and not 0 <= options.background_start < background.frames:
        raise OptionError(f"--background-start {options.background_start} lies outside the background, which has "
                          f"{background.frames} frames")
    bg_index = place.match(last - first, foreground.rate, background.frames, background.rate,
                           options.fit or "pingpong", options.background_start)
    _note_length(last - first, foreground, background, options, notes)
    fg_index = np.arange(first, first + len(bg_index))
    if options.preview is not None and options.preview < len(fg_index):
        spread = np.linspace(0, len(fg_index) - 1, options.preview).round().astype(np.int64)
        fg_index, bg_index = fg_index[spread], bg_index[spread]
    mask_index = fg_index
    if mask_frames is not None:
        mask_index = np.searchsorted(np.asarray(mask_frames), fg_index)
    elif reading == "one picture":
        mask_index = np.zeros_like(fg_index)
        notes.append("mask: one picture, used for every frame")
    elif reading == "stretch":
        mask_index = fg_index - first
    elif reading == "preview":
        mask_index = np.arange(len(fg_index))
    elif mask and reading == "stored":
        mask_index = foreground.source_index[fg_index]
        notes.append(f"mask: one picture for each of the {mask.frames} frames that the foreground's file holds")
    return fg_index, mask_index, bg_index


def _note_length(frames: int, foreground: Clip, background: Clip, options: Options, notes: list[str]) -> None:
    fit = options.fit
    wanted = frames / float(foreground.rate)
    there = background.seconds - options.background_start / float(background.rate)
    if background.frames > 1 and there < wanted - 1 / float(foreground.rate):
        how = {"trim": "the result is cut to it", "loop": "it starts again", "pingpong": "it is played back and forth"}
        notes.append(f"background: lasts {there:.2f} s of {wanted:.2f} s; {how[fit or 'pingpong']}"
                     + ("" if fit else " (--fit trim or loop changes this)"))


def _check_size(size: tuple[int, int]) -> None:
    if max(size) > _LONGEST_SIDE:
        raise InputError(f"the picture is {size[0]}×{size[1]}; the longest side that can be written is {_LONGEST_SIDE}")


def _covers(placement: Placement) -> bool:
    x, y, width, height = placement.rect
    return x <= 0 and y <= 0 and x + width >= placement.canvas[0] and y + height >= placement.canvas[1]


def _mask_placement(mask: Clip, foreground: Clip, fg_place: Placement) -> Placement:
    size = (mask.width, mask.height)
    if size == fg_place.source:
        return fg_place
    if not place.same_framing(size, (foreground.width, foreground.height)):
        how = "".join(f" ({note})" for note in foreground.notes if "square" in note)
        what = "one of them lies on its side" if size == fg_place.source[::-1] else "the proportions differ"
        raise InputError(f"the mask is {size[0]}×{size[1]}, the foreground {foreground.width}×{foreground.height}"
                         f"{how}: {what}; give a mask of the same framing")
    return Placement(size, fg_place.canvas, fg_place.rect)
