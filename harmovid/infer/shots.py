"""Shots: a clip is relit shot by shot, so that no light and no smoothing reaches across a cut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harmovid.infer.views import ViewClip, Views
from harmovid.video import cuts

_CHUNK = 32  # frames that are looked at together
_SHORTEST = 4  # frames: of a cut before and a cut behind the person that lie nearer, the first counts


@dataclass(frozen=True)
class Shot:
    """Frames start <= t < stop of a clip, as a clip of their own; a `views.ViewClip`."""

    clip: ViewClip
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def window(self, start: int, stop: int) -> Views:
        """Frames start <= t < stop of the shot."""
        assert 0 <= start < stop <= len(self), (start, stop, len(self))
        return self.clip.window(self.start + start, self.start + stop)


def shots(clip: ViewClip) -> list[Shot]:
    """The shots that make up a clip: cut where the composite is, or the whole background, as `cuts.shots` tells."""
    found = sorted({start for part in ("composite", "overview") for start in cuts.shots(_pictures(clip, part))})
    starts: list[int] = []
    for start in found:
        if not starts or start - starts[-1] >= _SHORTEST:
            starts.append(start)
    return [Shot(clip, *span) for span in zip(starts, [*starts[1:], len(clip)], strict=True)]


def each_frame(clip: ViewClip) -> list[Shot]:
    """Every frame a shot: frames of a preview are no neighbours."""
    return [Shot(clip, t, t + 1) for t in range(len(clip))]


def _pictures(clip: ViewClip, part: str) -> Iterator[np.ndarray]:
    """(H, W, 3) of each frame, in order."""
    for start in range(0, len(clip), _CHUNK):
        planes: np.ndarray = getattr(clip.window(start, min(start + _CHUNK, len(clip))), part)  # (3, T, H, W)
        yield from planes.transpose(1, 2, 3, 0)
