"""Making a mask where there is none: a clip in, a grey clip of the person's alpha out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import numpy as np

from harmovid.composite.segment import segment_clip
from harmovid.video import encode, io, timecode
from harmovid.video.clip import Clip
from harmovid.video.color import SRGB, convert
from harmovid.video.target import Target

Segmenter = Callable[[np.ndarray], np.ndarray]
"""(H, W, 3) float32 display sRGB in [0, 1] → (H, W) float32 in [0, 1]."""


def write_matte(clip: Clip, target: Target, segmenter: Segmenter, *, indices: Sequence[int] | None = None,
                steady: int = 1, progress: Callable[[str, int, int], None] = lambda stage, done, total: None) -> int:
    """Cut the person out of every frame, hold the mask steady in time, and write it.

    Args:
        clip: the filmed clip.
        target: from `target.open_target`.
        segmenter: from `composite.segment`.
        indices: frames to make it of, all where None. Frames that are no neighbours are not held
            steady against each other.
        steady: frames on each side of the median over time; 0 for none.
        progress: told after every frame.

    Returns:
        The number of frames in which a person was found.
    """
    found = 0
    wanted = np.arange(clip.frames) if indices is None else np.asarray(indices)
    size = clip.width, clip.height
    first = int(wanted[0])
    code = clip.timecode
    if code and first:
        with suppress(ValueError):  # one that cannot be read stays as it is
            code = timecode.shift(code, first, clip.rate)
    with encode.Writer(target, size, clip.rate, target.tags(SRGB), bits=8, grey=True, timecode=code,
                       start_number=(clip.start_number or 0) + clip.number_step * first,
                       number_step=clip.number_step) as writer:
        frames = _display(clip, wanted)
        neighbours = bool((np.diff(wanted) == 1).all())
        alphas = segment_clip(frames, segmenter, steady) if neighbours else map(segmenter, frames)
        for i, alpha in enumerate(alphas):
            found += bool((alpha > 0.5).any())
            writer.write(alpha)
            progress("matte", i + 1, len(wanted))
    return found


def _display(clip: Clip, wanted: np.ndarray) -> Iterator[np.ndarray]:
    for frame in io.read(clip, wanted):
        yield np.clip(convert(frame.rgb, clip.tags, SRGB), 0, 1)
