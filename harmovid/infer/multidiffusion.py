"""Temporal MultiDiffusion: a clip of any length by a network that sees a window of latent frames.

At each step the network predicts every window of the clip, and the predictions are fused into one for the whole clip
(Bar-Tal, Yariv, Lipman, Dekel, "MultiDiffusion", ICML 2023, equation 5: the weighted mean is the closed form of the
least squares between the fused step and those of all windows). Predictions are fused, not steps, so that the sampler
has one state; see `sampler`.

Overlap alone does not stop slow drift: each window agrees with its neighbours only, and its level, its exposure and
tint, wanders from window to window as a random walk does. So one more window, the overview, goes over all of the clip
in long strides, and the levels of all windows are adjusted to one another as the exposures of a panorama are (Brown &
Lowe, "Automatic Panoramic Image Stitching", IJCV 2007, section 6, gains there, offsets here): for windows i and j that
share the frames S_ij, and b_i an offset of window i's whole prediction,

    minimise  Σ_ij a_ij Σ_{t ∈ S_ij} ‖(L P_i(t) + b_i) − (L P_j(t) + b_j)‖²,    mean of b over the windows = 0

with L a spatial low-pass, a_ij = 1 between windows and `anchor` to the overview. Only what two predictions of the
same frame disagree about is moved, so light that changes over the clip stays; the offsets are constant over a window
and faded as it is, so no seam comes of them; and the overview itself, which sees motion faster than any training clip,
is never mixed into a frame: it tells the windows' levels apart, and neither texture nor the common level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from harmovid.video import windows

PredictWindows = Callable[[Tensor, Tensor, int], Tensor]
"""(noisy (N, C, n, h, w), which latent frames (N, n) long, timestep) → prediction (N, C, n, h, w)."""


@dataclass(frozen=True)
class Fusion:
    """How a clip is cut into windows; counts are of latent frames.

    window: that the network sees at once, as it was trained.
    overlap: that neighbours share at least, less than `window`.
    batch: windows that go through the network together.
    anchor: how much a frame shared with the overview counts, against one shared by neighbours; 0 for no overview
        and no offsets, which is MultiDiffusion as published.
    cells: the low-pass keeps this many cells a side: with 1 only colour and exposure are adjusted, with more also from
        which side the light comes.
    """

    window: int
    overlap: int
    batch: int = 2
    anchor: float = 1.0
    cells: int = 4


class MultiDiffusion:
    """The fused prediction of a whole clip; a `sampler.Predict`.

    A clip of one window or less goes through as it is, so that sampling it is plain sampling, to the bit.
    """

    def __init__(self, predict: PredictWindows, fusion: Fusion) -> None:
        self.predict, self.fusion = predict, fusion

    def __call__(self, noisy: Tensor, t: int, step: int) -> Tensor:
        """(1, C, Tl, h, w) → (1, C, Tl, h, w); `step` moves the windows, and so the seams between them."""
        assert len(noisy) == 1, f"one clip at a time, got {len(noisy)}"
        frames = noisy.shape[2]
        if frames <= self.fusion.window:
            return self.predict(noisy, torch.arange(frames)[None], t)  # (1, C, Tl, h, w)
        spans = windows.windows(frames, self.fusion.window, self.fusion.overlap, self._offset(step))
        seen = [list(range(*span)) for span in spans]
        if self.fusion.anchor > 0:
            seen.append(windows.overview(frames, self.fusion.window))
        ramps = [torch.from_numpy(ramp).to(noisy) for ramp in windows.weights(spans, frames)]
        fused = torch.zeros_like(noisy)  # (1, C, Tl, h, w)
        low = []
        for number, prediction in enumerate(self._predictions(noisy, seen, t)):
            low.append(_low_pass(prediction, self.fusion.cells))  # (C, n, c, c)
            if number < len(spans):
                fused[0, :, slice(*spans[number])] += ramps[number][:, None, None] * prediction  # (C, n, h, w)
        if self.fusion.anchor > 0:
            offsets = _levels(low, seen, self.fusion.anchor).to(noisy)  # (windows, C, c, c)
            offsets = F.interpolate(offsets, noisy.shape[3:], mode="bilinear")  # (windows, C, h, w)
            for span, ramp, offset in zip(spans, ramps, offsets, strict=True):
                fused[0, :, slice(*span)] += ramp[:, None, None] * offset[:, None]  # (C, n, h, w)
        return fused

    def _predictions(self, noisy: Tensor, seen: Sequence[list[int]], t: int) -> Iterator[Tensor]:
        """(1, C, Tl, h, w) → for each window (C, n, h, w), in order."""
        for first in range(0, len(seen), self.fusion.batch):
            frames = torch.tensor(seen[first : first + self.fusion.batch])  # (N, n)
            cut = noisy[0][:, frames.to(noisy.device)].transpose(0, 1)  # (N, C, n, h, w)
            yield from self.predict(cut, frames, t)  # N × (C, n, h, w)

    def _offset(self, step: int) -> int:
        """Successive multiples of the golden section of the stride: no seam comes near an earlier one for long."""
        stride = self.fusion.window - self.fusion.overlap
        return round(step * 0.6180339887 * stride) % stride


def _low_pass(prediction: Tensor, cells: int) -> Tensor:
    """(C, n, h, w) → (C, n, c, c), means of cells, float64 on the processor."""
    return F.adaptive_avg_pool2d(prediction.double(), cells).cpu()  # (C, n, c, c)


def _levels(low: Sequence[Tensor], seen: Sequence[list[int]], anchor: float) -> Tensor:
    """The offsets b of all windows but the last, which is the overview.

    The normal equations of the sum above: a graph's Laplacian, an edge wherever two windows share frames. It leaves
    one level free, which its pseudo-inverse sets by the least norm, and the mean then to 0.

    Args:
        low: per window (C, n, c, c), what it predicts, low-passed.
        seen: per window its n latent frames, rising.

    Returns:
        (windows, C, c, c).
    """
    laplacian = torch.zeros(len(seen), len(seen), dtype=torch.float64)
    gaps = torch.zeros(len(seen), *low[0][:, 0].shape, dtype=torch.float64)  # (windows + 1, C, c, c)
    places = [{frame: place for place, frame in enumerate(frames)} for frames in seen]
    for j in range(1, len(seen)):
        weight = anchor if j == len(seen) - 1 else 1.0
        for i in range(j):
            shared = places[i].keys() & places[j].keys()
            if not shared:
                continue
            mine, other = ([places[k][frame] for frame in sorted(shared)] for k in (i, j))
            gap = weight * (low[j][:, other] - low[i][:, mine]).sum(1)  # (C, c, c)
            gaps[i] += gap
            gaps[j] -= gap
            laplacian[[i, j], [i, j]] += weight * len(shared)
            laplacian[[i, j], [j, i]] -= weight * len(shared)
    offsets = torch.tensordot(torch.linalg.pinv(laplacian, hermitian=True), gaps, 1)[:-1]  # (windows, C, c, c)
    return offsets - offsets.mean(0)
