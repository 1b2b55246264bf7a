"""A clip of views whose person is toned, evenly over time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harmovid.infer.views import ViewClip, Views
from harmovid.model.codec import TIME
from harmovid.model.tone import Tone, toned

_SIGMA = 6.0  # latents, 24 frames: of the Gaussian over a clip's palettes, so that no tone can flicker
_REACH = 18  # latents that it reaches to either side


@dataclass(frozen=True)
class TonedClip:
    """A clip whose composites are toned as they are read.

    slope, offset: (3, T), see `harmovid.model.tone.toned`.
    """

    clip: ViewClip
    slope: np.ndarray
    offset: np.ndarray

    def __len__(self) -> int:
        """Frames in the clip."""
        return len(self.clip)

    def window(self, start: int, stop: int) -> Views:
        """Frames start <= t < stop."""
        views = self.clip.window(start, stop)
        parts = (views.composite, views.mask, self.slope[:, start:stop], self.offset[:, start:stop])
        return replace(views, composite=toned(*(torch.from_numpy(part)[None] for part in parts))[0].numpy())


@torch.inference_mode()
def tone_clip(clip: ViewClip, palettes: Tensor, tone: Tone) -> TonedClip:
    """The clip, toned by smoothed palettes; between latents the curves are interpolated.

    Args:
        palettes: (Tl, 153), of frames 0, 4, 8, …
        tone: on the device of `palettes`.
    """
    slope, offset = (curve.T.cpu().numpy() for curve in tone.curves(smoothed(palettes)))  # (3, Tl) each
    frames, known = np.arange(len(clip)), TIME * np.arange(len(palettes))

    def between(curve: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(frames, known, channel) for channel in curve]).astype(np.float32)  # (3, T)

    return TonedClip(clip, between(slope), between(offset))


def smoothed(palettes: Tensor) -> Tensor:
    """A Gaussian over time, whose weights inside the clip sum to 1: (Tl, D) to (Tl, D)."""
    place = torch.arange(-_REACH, _REACH + 1, device=palettes.device)
    kernel = torch.exp(-0.5 * (place / _SIGMA) ** 2)[None, None]  # (1, 1, K)
    first = palettes[:1]  # a palette that does not change stays so, to the bit
    apart = (palettes - first).T[:, None]  # (D, 1, Tl)
    weight = F.conv1d(torch.ones_like(apart[:1]), kernel, padding=_REACH)  # (1, 1, Tl)
    return (F.conv1d(apart, kernel, padding=_REACH) / weight)[:, 0].T + first
