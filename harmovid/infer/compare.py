"""Source, composite and result side by side, as a video or as one sheet of a few frames."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from harmovid.errors import OutputError
from harmovid.video import encode
from harmovid.video.target import open_target

_PANEL_HEIGHT = 480
_SHEET_ROWS = 4


class Comparison:
    """Collects panels frame by frame; a context manager like `encode.Writer`.

    A video's name (.mp4, .mov, .mkv) gives a video of all frames, a picture's (.png, .jpg) a sheet of
    up to four.

    Raises:
        OutputError: another suffix, or the place can't be written.
    """

    def __init__(self, path: str | Path, frames: int, rate: Fraction, *, inputs: tuple[Path, ...] = (),
                 overwrite: bool = False) -> None:
        self.sheet = Path(path).suffix.lower() in (".png", ".jpg", ".jpeg")
        if not self.sheet and Path(path).suffix.lower() not in (".mp4", ".mov", ".mkv"):
            raise OutputError(f"--compare writes a video (.mp4) or a picture (.png), not {Path(path).name}")
        self.target = open_target(path, inputs=inputs, overwrite=overwrite, frames=1 if self.sheet else 2)
        self.rate = rate
        rows = min(_SHEET_ROWS, frames)
        self.wanted = set(np.linspace(0, frames - 1, rows).round().astype(int)) if self.sheet else set(range(frames))
        self.rows: list[np.ndarray] = []
        self.writer: encode.Writer | None = None
        self.count = 0

    def __enter__(self) -> Comparison:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self.sheet:
            sheet = np.concatenate(self.rows)
            self.writer = encode.Writer(self.target, (sheet.shape[1], sheet.shape[0]), self.rate)
            self.writer.write(sheet)
        if self.writer is not None:
            self.writer.__exit__(kind)

    @property
    def wants_next(self) -> bool:
        """Whether the frame that comes next will be shown."""
        return self.count in self.wanted

    def add(self, panels: tuple[np.ndarray, ...] | None) -> None:
        """Add a frame: pictures (H, W, 3) of one size in display sRGB, or None where not wanted."""
        if panels is not None:
            height, width = panels[0].shape[:2]
            tall = min(height, _PANEL_HEIGHT)
            size = max(2, round(width * tall / height)), tall
            row = np.concatenate([
                np.clip(p if p.shape[:2] == size[::-1] else cv2.resize(p, size, interpolation=cv2.INTER_AREA), 0, 1)
                for p in panels], axis=1)
            if self.sheet:
                self.rows.append(row)
            else:
                if self.writer is None:
                    self.writer = encode.Writer(self.target, (row.shape[1], row.shape[0]), self.rate)
                self.writer.write(row)
        self.count += 1
