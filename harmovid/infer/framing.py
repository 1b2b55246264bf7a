"""Framing: the person's box, steadied over the clip, and the clip of views cut along it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from harmovid.infer.views import Views, ViewSize

_MARGIN = 0.12  # of the person's size, on each side
_SHORTEST = 4  # frames of a shot; in fewer a person elsewhere is a fault of the mask


@dataclass(frozen=True)
class Framing:
    """The person's box over a clip, and the size of its view.

    boxes: (T, 4) int64, x0, y0, x1, y1 in pixels of the picture; all of one size.
    view: (height, width) that each box is shown at.
    """

    boxes: np.ndarray
    view: tuple[int, int]


def find(alpha: np.ndarray) -> tuple[float, float, float, float] | None:
    """The box of the subject in one mask, x0, y0, x1, y1 in pixels; None where there is none.

    Specks, smaller than a twentieth of the largest region, don't count.
    """
    height, width = alpha.shape
    factor = max(1.0, max(height, width) / 160)
    size = max(1, round(width / factor)), max(1, round(height / factor))
    small = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA) >= 0.5
    if not small.any():  # nobody, or somebody far away, thinner than one small pixel
        small, size = alpha >= 0.5, (width, height)
        if np.count_nonzero(small) <= 1e-4 * alpha.size:
            return None
    _, _, stats, _ = cv2.connectedComponentsWithStats(small.astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = stats[1:][areas >= 0.05 * areas.max()]
    x0, y0 = kept[:, cv2.CC_STAT_LEFT].min(), kept[:, cv2.CC_STAT_TOP].min()
    x1 = (kept[:, cv2.CC_STAT_LEFT] + kept[:, cv2.CC_STAT_WIDTH]).max()
    y1 = (kept[:, cv2.CC_STAT_TOP] + kept[:, cv2.CC_STAT_HEIGHT]).max()
    sx, sy = width / size[0], height / size[1]
    return float(x0 * sx), float(y0 * sy), float(x1 * sx), float(y1 * sy)


def frame(found: list[tuple[float, float, float, float] | None], picture: tuple[int, int],
          size: ViewSize) -> Framing:
    """Steady the boxes of a clip: one size for all, centres that follow slowly or stand still.

    Args:
        found: per frame the subject's box or None.
        picture: (width, height) of the frames.
        size: what the harmonizer wants.
    """
    width, height = picture
    known = [i for i, box in enumerate(found) if box is not None]
    if not known:
        boxes = np.tile([0, 0, width, height], (len(found), 1))
        return Framing(boxes.astype(np.int64), view_shape(width / height, size))
    raw = np.array([found[i] for i in known], np.float64)
    # Where nobody is in the picture the box waits: positions are held and interpolated.
    track = np.stack([np.interp(np.arange(len(found)), known, raw[:, n]) for n in range(4)], axis=1)
    centre = (track[:, :2] + track[:, 2:]) / 2
    extent = raw[:, 2:] - raw[:, :2]
    side = np.percentile(extent, 95, axis=0) * (1 + 2 * _MARGIN)
    # A clip that is cut is steadied shot by shot: a box on its way from one place to another would show neither well.
    held = [_held(track[span], side) for span in _spans(centre, side)]
    centre, side = np.concatenate([path for path, _ in held]), np.max([room for _, room in held], axis=0)
    shape = view_shape(side[0] / side[1], size)
    # The box takes the view's proportions by growing, so that pixels stay square where there is room.
    aspect = shape[1] / shape[0]
    side = np.maximum(side, [side[1] * aspect, side[0] / aspect])
    w, h = int(min(np.ceil(side[0]), width)), int(min(np.ceil(side[1]), height))
    corner = np.rint(centre - np.array([w, h]) / 2).astype(np.int64)
    corner = np.clip(corner, 0, (width - w, height - h))
    return Framing(np.concatenate([corner, corner + np.array([w, h])], axis=1), shape)


def view_shape(aspect: float, size: ViewSize) -> tuple[int, int]:
    """(height, width) of about size.area pixels, both multiples of size.multiple, near to width / height = aspect."""
    aspect = min(max(aspect, 0.25), 4.0)
    step = size.multiple
    height = max(step, round((size.area / aspect) ** 0.5 / step) * step)
    width = max(step, round((size.area * aspect) ** 0.5 / step) * step)
    return height, width


def _spans(centre: np.ndarray, side: np.ndarray) -> list[slice]:
    """The frames between places where the person is suddenly elsewhere, by more than half of the box."""
    jumps = np.flatnonzero((np.abs(np.diff(centre, axis=0)) > 0.5 * side).any(axis=1)) + 1
    marks = [0, *jumps.tolist(), len(centre)]
    cuts = [here for before, here, after in zip(marks, marks[1:], marks[2:], strict=False)
            if min(here - before, after - here) >= _SHORTEST]
    return [slice(*span) for span in zip([0, *cuts], [*cuts, len(centre)], strict=True)]


def _held(track: np.ndarray, side: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres, (T, 2), that follow boxes, (T, 4), slowly or stand still, and the side that then holds them all."""
    centre = (track[:, :2] + track[:, 2:]) / 2
    if (np.ptp(centre, axis=0) <= 0.35 * side).all():  # a box that holds all of it need not move at all
        low, high = track[:, :2].min(axis=0), track[:, 2:].max(axis=0)
        return np.tile((low + high) / 2, (len(track), 1)), (high - low) * (1 + 2 * _MARGIN)
    # As slow as may be while the box, a little larger where it must, holds the person in every frame.
    for sigma in (12.0, 6.0, 3.0, 0.0):
        slow = _slow(centre, sigma)
        reach = 2 * np.maximum(slow - track[:, :2], track[:, 2:] - slow).max(axis=0)
        if (reach <= 1.25 * side).all():
            break
    return slow, np.maximum(side, reach)


def _slow(path: np.ndarray, sigma: float) -> np.ndarray:
    if sigma == 0:
        return path
    radius = int(3 * sigma)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    taps /= taps.sum()
    # Turned about its ends: who walks at one pace is not left behind at the first and last frames.
    padded = np.pad(path, ((radius, radius), (0, 0)), mode="reflect", reflect_type="odd")
    return np.stack([np.convolve(padded[:, n], taps, "valid") for n in range(path.shape[1])], axis=1)


class SpooledViews:
    """A clip of views on disk, so that memory does not grow with length; a `views.ViewClip`.

    Frames are appended in order by `append` and read back in windows; half floats, in a nameless
    temporary file that is gone when the object is.
    """

    def __init__(self, view: tuple[int, int], overview: tuple[int, int]) -> None:
        self.view, self.overview_size = view, overview
        self._values = 7 * view[0] * view[1] + 3 * overview[0] * overview[1]
        self._file = tempfile.TemporaryFile(prefix="harmovid-views-")
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __enter__(self) -> SpooledViews:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, composite: np.ndarray, background: np.ndarray, mask: np.ndarray,
               overview: np.ndarray) -> None:
        """Add a frame: (h, w, 3), (h, w, 3), (h, w) at view size and (oh, ow, 3), display sRGB."""
        planes = (composite, background, mask, overview)
        row = np.concatenate([plane.astype(np.float16).ravel() for plane in planes])
        assert row.size == self._values
        self._file.seek(self._count * row.nbytes)
        self._file.write(row.tobytes())
        self._count += 1

    def window(self, start: int, stop: int) -> Views:
        """Frames start <= t < stop as (C, T, H, W)."""
        assert 0 <= start < stop <= self._count, (start, stop, self._count)
        self._file.seek(start * self._values * 2)
        data = np.frombuffer(self._file.read((stop - start) * self._values * 2), np.float16)
        rows = data.reshape(stop - start, self._values).astype(np.float32)
        area = self.view[0] * self.view[1]
        cuts = np.split(rows, [3 * area, 6 * area, 7 * area], axis=1)
        shapes = [(*self.view, 3), (*self.view, 3), (*self.view, 1), (*self.overview_size, 3)]
        planes = [np.ascontiguousarray(cut.reshape(-1, *shape).transpose(3, 0, 1, 2))
                  for cut, shape in zip(cuts, shapes, strict=True)]
        return Views(*planes)

    def frames(self, chunk: int = 16) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Composite and background (h, w, 3) and mask (h, w) of each frame, in order."""
        for start in range(0, self._count, chunk):
            views = self.window(start, min(start + chunk, self._count))
            for t in range(views.mask.shape[1]):
                near, behind = (part[:, t].transpose(1, 2, 0) for part in (views.composite, views.background))
                yield near, behind, views.mask[0, t]
