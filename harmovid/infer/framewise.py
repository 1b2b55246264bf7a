"""A trained model frame by frame: every frame on its own, with noise of its own.

So works HarmoIm, the image model whose results are as expressive as its training, and flicker as its noise does
(Relightful Harmonization, CVPR 2024).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from harmovid.errors import InputError
from harmovid.infer.deflicker import Deflickering
from harmovid.infer.network import NetworkHarmonizer, Progress
from harmovid.infer.sampler import draw, generators, sample
from harmovid.infer.views import Harmonized, ViewClip
from harmovid.model.checkpoint import Model
from harmovid.model.conditions import conditions
from harmovid.model.palette import palette
from harmovid.model.tone import toned

_TOGETHER = 32  # frames; their noise is drawn together, so what a seed gives depends on this


class FrameWise(NetworkHarmonizer):
    """A trained model in the seam of `views.Harmonizer` that knows of no other frame than the one before it.

    Args:
        model, steps, device, progress: as `NetworkHarmonizer`'s; progress is told after every chunk of frames.
        eta: of `sampler.sample`, 0 to 1: 1 is as random as ancestral sampling. None for the preset's own.

    on_latents is told of each chunk's answer, (16, T, h, w), before it is decoded; set it to keep them.

    Raises:
        OptionError: `steps` is not between 1 and what the model's schedule has.
    """

    def __init__(self, model: Model, steps: int | None = None, eta: float | None = None, device: str = "cpu",
                 progress: Progress = lambda stage, done, total: None) -> None:
        super().__init__(model, steps, device, progress)
        self.eta, self.temperature = model.preset.eta if eta is None else eta, model.preset.temperature
        self.told = ""  # it is told nothing in words
        self.on_latents: Callable[[Tensor], None] = lambda latents: None

    def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
        """Relight each frame of a clip.

        Args:
            clip: read once, in chunks.
            seed: of the noise; a clip and its beginning have the same there.

        Yields:
            Chunks of (3, T, H, W) float32 display sRGB in [0, 1]; the reference is the composite through the codec.

        Raises:
            InputError: the network's answer is not finite.
        """
        for start in range(0, len(clip), _TOGETHER):
            stop = min(start + _TOGETHER, len(clip))
            views = clip.window(start, stop)
            composite, background, overview, mask = (self._frames(planes) for planes in (
                views.composite, views.background, views.overview, views.mask))
            yield Harmonized(*self._relight(composite, background, overview, mask, *generators(seed, start)))
            self.progress("sample", stop, len(clip))

    @torch.inference_mode()
    def _relight(self, composite: Tensor, background: Tensor, overview: Tensor, mask: Tensor,
                 first: torch.Generator, later: torch.Generator) -> Iterator[np.ndarray]:
        """(N, ·, 1, H, W) of N frames, to the composites through the codec and the answers, (3, N, H, W) each."""
        model, codec = self.model, self.model.codec

        def colours(picture: Tensor) -> Tensor:
            return palette(picture, background, overview, mask).mean(1)  # (N, 153)

        seen = composite
        if model.tone is not None:
            seen = toned(composite, mask, *model.tone.curves(colours(composite)))  # (N, 3, 1, H, W)
        plain = codec.encode(composite)  # (N, 16, 1, h, w)
        told = conditions(plain if seen is composite else codec.encode(seen), codec.encode(background),
                          codec.encode(overview), mask)  # (N, 304, 1, h, w)
        palettes = colours(seen) if model.preset.transformer.palette else None

        # The sampler draws noise frame after frame along time; the network sees the frames as a batch.
        def predict(noisy: Tensor, t: int, step: int) -> Tensor:
            frames = noisy.transpose(0, 2)  # (N, 16, 1, h, w)
            steps = torch.full((len(frames),), t, device=self.device)
            return model.backbone(frames, told, steps, palettes).transpose(0, 2)  # (1, 16, N, h, w)

        noise = draw((1, plain.shape[1], len(plain), *plain.shape[3:]), first, self.device)  # (1, 16, N, h, w)
        answer = sample(predict, noise, self.timesteps, model.schedule, self.eta, later,
                        temperature=self.temperature)  # (1, 16, N, h, w)
        if not bool(torch.isfinite(answer).all()):
            raise InputError(f"the network {self.name} gave numbers that are not finite: its weights are damaged, or "
                             "too large for half precision; load them again, or in full precision")
        self.on_latents(answer[0])  # (16, N, h, w)
        for latents in (plain, answer.transpose(0, 2)):
            video = codec.decode(latents)[:, :, 0].clamp(0, 1).float()  # (N, 3, H, W)
            yield video.transpose(0, 1).cpu().numpy()  # (3, N, H, W)

    def _frames(self, planes: np.ndarray) -> Tensor:
        """(C, N, H, W) to (N, C, 1, H, W)."""
        return torch.from_numpy(planes).to(self.device, torch.float32).transpose(0, 1)[:, :, None]


def harmonizer(model: Model, steps: int | None = None, device: str = "cpu") -> NetworkHarmonizer:
    """A model as it was trained to work: frame by frame where its window is one frame, else over the whole clip; as one
    that only steadies light where it is not told the background.

    Arguments and errors are those of `NetworkHarmonizer`.
    """
    if not model.preset.background:
        return Deflickering(model, steps, device)
    if model.preset.view.window == 1:
        return FrameWise(model, steps, device=device)
    return NetworkHarmonizer(model, steps, device)
