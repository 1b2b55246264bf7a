"""Making a mask where there is none: a clip in, a grey clip of the person's alpha out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from harmovid.composite.segment import segment_clip
from harmovid.video import encode, io
from harmovid.video.clip import Clip
from harmovid.video.color import SRGB, convert

Segmenter = Callable[[np.ndarray], np.ndarray]
"""(H, W, 3) float32 display sRGB in [0, 1] → (H, W) float32 in [0, 1]."""


def write_matte(clip: Clip, target: encode.Target, segmenter: Segmenter, *, steady: int = 1,
                progress: Callable[[str, int, int], None] = lambda stage, done, total: None) -> int:
    """Cut the person out of every frame, hold the mask steady in time, and write it.

    Args:
        clip: the filmed clip.
        target: from `encode.open_target`.
        segmenter: from `composite.segment`.
        steady: frames on each side of the median over time; 0 for none.
        progress: told after every frame.

    Returns:
        The number of frames in which a person was found.
    """
    found = 0
    size = clip.width, clip.height
    with encode.Writer(target, size, clip.rate, target.tags(SRGB), bits=8, grey=True, timecode=clip.timecode,
                       start_number=clip.start_number) as writer:
        for i, alpha in enumerate(segment_clip(_display(clip), segmenter, steady)):
            found += bool((alpha > 0.5).any())
            writer.write(alpha)
            progress("matte", i + 1, clip.frames)
    return found


def _display(clip: Clip) -> Iterator[np.ndarray]:
    for frame in io.read(clip):
        yield np.clip(convert(frame.rgb, clip.tags, SRGB), 0, 1)
