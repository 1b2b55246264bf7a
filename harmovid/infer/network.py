"""The network as a harmonizer: encode the clip of views, sample its latents, decode them.

A clip of any length: the codec works in chunks that agree with one pass over all, the transformer in windows that
`multidiffusion` fuses, and all that is held of the whole clip is latents, a 48th of its pictures' numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harmovid.errors import InputError
from harmovid.infer.multidiffusion import Fusion, MultiDiffusion
from harmovid.infer.sampler import draw, sample
from harmovid.infer.toning import tone_clip
from harmovid.infer.views import Harmonized, ViewClip, ViewSize
from harmovid.model.checkpoint import Model
from harmovid.model.codec import TIME, Codec
from harmovid.model.conditions import conditions
from harmovid.model.palette import palette

Progress = Callable[[str, int, int], None]
"""Told of each step: name of the stage, steps done, steps in all."""

Chunk = tuple[int, int, int]
"""Latents start <= k < stop are coded, and those from `first` on are kept."""

_COVERED = 12  # latents whose masks are read at once
_TOKENS = 4096  # that go through the transformer together, about; more are no faster


class NetworkHarmonizer:
    """A trained model in the seam of `views.Harmonizer`.

    Args:
        model: see `harmovid.model.checkpoint`.
        steps: of sampling; None for the preset's own.
        device: where the network runs; the model is moved there.
        progress: told of the sampling, the only stage that takes long here.
        overlap: share of a window that neighbours share, of a clip longer than one.

    Raises:
        OptionError: `steps` is not between 1 and what the model's schedule has.
    """

    def __init__(self, model: Model, steps: int | None = None, device: str = "cpu",
                 progress: Progress = lambda stage, done, total: None, overlap: float = 1 / 3) -> None:
        view = model.preset.view
        self.name = model.preset.name
        self.view = ViewSize(view.area, view.multiple, view.overview)
        self.overlap = overlap
        self.model, self.device, self.progress = model.to(device), torch.device(device), progress
        self.timesteps = model.schedule.timesteps(model.preset.steps if steps is None else steps)
        for part in (model.codec, model.backbone):
            part.eval()

    def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
        """Relight a clip of any length, one frame too.

        Args:
            clip: read once for its pictures, and in windows for its mask at every step.
            seed: of the noise; a clip and its beginning have the same there.

        Yields:
            Chunks of (3, T, H, W) float32 display sRGB in [0, 1]; the reference is the composite through the codec.

        Raises:
            InputError: the network's answer is not finite.
        """
        latents = self._count(clip)
        tone, seen = self.model.tone, clip
        if tone is not None:
            seen = tone_clip(clip, self._palettes(clip, latents), tone)
        pictures, told = self._encode(seen, latents)
        plain = pictures[:1] if seen is clip else self._encode_composite(clip, latents)  # (1, 16, Tl, h, w)
        palettes = self._palettes(seen, latents) if self.model.preset.transformer.palette else None
        answer = self._sample(clip, pictures[:1], pictures[1:], told, palettes, seed)
        for video in decode_clip(self.model.codec, torch.cat([plain, answer]), len(clip)):
            reference, result = video.clamp(0, 1).float().cpu().numpy()  # (3, T, H, W) each
            yield Harmonized(reference, result)

    def _count(self, clip: ViewClip) -> int:
        """Latents that a clip is worked on as."""
        # A transformer that takes latents by twos takes an even number of them.
        multiple = self.model.preset.transformer.patch_size_t or 1
        return -(-_latents(len(clip)) // multiple) * multiple

    @torch.inference_mode()
    def _encode(self, clip: ViewClip, latents: int) -> tuple[Tensor, Tensor]:
        """Composite and background (2, 16, Tl, h, w), overview (1, 16, Tl, h', w')."""
        def near(start: int, stop: int) -> Tensor:
            views = clip.window(start, stop)
            return self._tensor(np.stack([views.composite, views.background]))  # (2, 3, T, H, W)

        def whole(start: int, stop: int) -> Tensor:
            return self._tensor(clip.window(start, stop).overview[None])  # (1, 3, T, h, w)

        codec, count = self.model.codec, len(clip)
        return encode_clip(codec, near, count, latents), encode_clip(codec, whole, count, latents)

    @torch.inference_mode()
    def _encode_composite(self, clip: ViewClip, latents: int) -> Tensor:
        """(1, 16, Tl, h, w)."""
        return encode_clip(self.model.codec, lambda start, stop: self._tensor(clip.window(start, stop).composite[None]),
                           len(clip), latents)

    @torch.inference_mode()
    def _palettes(self, clip: ViewClip, latents: int) -> Tensor:
        """(Tl, 153), of each latent's last frame."""
        parts = []
        for start in range(0, latents, _COVERED):
            wanted = np.arange(TIME * start, TIME * min(start + _COVERED, latents), TIME).clip(max=len(clip) - 1)
            views = clip.window(wanted[0], wanted[-1] + 1)
            planes = (views.composite, views.background, views.overview, views.mask)
            parts.append(palette(*(self._tensor(part[None, :, wanted - wanted[0]]) for part in planes))[0])
        return torch.cat(parts)

    @torch.inference_mode()
    def _sample(self, clip: ViewClip, composite: Tensor, background: Tensor | None, overview: Tensor | None,
                palettes: Tensor | None, seed: int) -> Tensor:
        """(1, 16, Tl, h, w), the latents of the harmonized clip."""
        def predict(noisy: Tensor, frames: Tensor, t: int) -> Tensor:
            told = torch.cat([self._conditions(clip, composite, background, overview, some)
                              for some in frames.tolist()])
            step = torch.full((len(noisy),), t, device=self.device)  # (N,)
            colours = None if palettes is None else palettes[frames].mean(1)  # (N, 153)
            return self.model.backbone(noisy, told, step, colours)  # (N, 16, n, h, w)

        window = _latents(self.model.preset.view.window)
        tokens = window * composite[0, 0, 0].numel() // self.model.preset.transformer.patch_size**2
        fusion = Fusion(window, overlap=int(self.overlap * window + 1e-6), batch=max(1, _TOKENS // tokens))
        noise = draw(composite.shape, torch.Generator().manual_seed(seed), self.device)  # (1, 16, Tl, h, w)
        answer = sample(MultiDiffusion(predict, fusion), noise, self.timesteps, self.model.schedule,
                        progress=lambda done, total: self.progress("sample", done, total))
        if not bool(torch.isfinite(answer).all()):
            raise InputError(f"the network {self.name} gave numbers that are not finite: its weights are damaged, or "
                             "too large for half precision; load them again, or in full precision")
        return answer

    def _conditions(self, clip: ViewClip, composite: Tensor, background: Tensor | None, overview: Tensor | None,
                    latents: list[int]) -> Tensor:
        """(1, 304, n, h, w) of the given latents."""
        # `conditions` lets its first latent stand for one frame, as a clip's first does. Here each stands for the
        # frames that it has in the clip; so one more goes before them and is taken away again.
        led = [latents[0], *latents]
        mask = self._tensor(_mask(clip, latents))  # (1, 1, 4n + 1, H, W)
        behind, whole = (None if part is None else part[:, :, led] for part in (background, overview))
        told = conditions(composite[:, :, led], behind, whole, mask)
        return told[:, :, 1:]  # (1, 304, n, h, w)

    def _tensor(self, planes: np.ndarray) -> Tensor:
        return torch.from_numpy(planes).to(self.device, torch.float32)


class RoundTrip:
    """The codec of a model alone, as a harmonizer: it codes and decodes the person, and changes nothing on purpose.

    Every latent holds four frames, so the codec steadies light by itself; this tells how much of what a network does
    against flicker is that. Unlike a network's, the reference is the composite, so that the codec's error counts.

    Args:
        model: see `harmovid.model.checkpoint`.
        device: where the codec runs; it is moved there.
    """

    name = "codec"

    def __init__(self, model: Model, device: str = "cpu") -> None:
        view = model.preset.view
        self.view = ViewSize(view.area, view.multiple, view.overview)
        self.codec, self.device = model.codec.to(device).eval(), torch.device(device)

    def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
        """Code and decode a clip of any length; `seed` is of no influence.

        Yields:
            Chunks of (3, T, H, W) float32 display sRGB in [0, 1]; where alpha is 0 the result is the composite to the
            bit.
        """
        def frames(start: int, stop: int) -> Tensor:
            return torch.from_numpy(clip.window(start, stop).composite[None]).to(self.device)  # (1, 3, T, H, W)

        with torch.inference_mode():
            latents = encode_clip(self.codec, frames, len(clip))  # (1, 16, Tl, h, w)
        start = 0
        for video in decode_clip(self.codec, latents, len(clip)):
            decoded = video[0].clamp(0, 1).float().cpu().numpy()  # (3, T, H, W)
            views = clip.window(start, start + decoded.shape[1])
            result = views.composite + views.mask * (decoded - views.composite)
            yield Harmonized(views.composite, np.clip(result, 0, 1))
            start += decoded.shape[1]


def encode_clip(codec: Codec, frames: Callable[[int, int], Tensor], count: int, latents: int | None = None) -> Tensor:
    """Encode a clip of any length in chunks; the same latents as in one pass.

    A chunk that does not begin the clip is given a few latents before it, whose own codes are dropped: a causal codec
    has forgotten by then that its clip did not begin there.

    Args:
        codec: its `context_latents` says after how many latents that is; where it is not known 2 are taken.
        frames: (start, stop) → (B, 3, stop − start, H, W), display sRGB in [0, 1].
        count: frames of the clip. The last one is repeated until they are 4 (Tl − 1) + 1.
        latents: Tl, where more are wanted than `count` frames need.

    Returns:
        (B, C, Tl, h, w).
    """
    parts = []
    for start, first, stop in _chunks(codec, latents or _latents(count)):
        begin, end = TIME * start, TIME * (stop - 1) + 1
        video = frames(min(begin, count - 1), min(end, count))  # (B, 3, T or less, H, W)
        video = F.pad(video, (0, 0, 0, 0, 0, end - begin - video.shape[2]), mode="replicate")  # (B, 3, T, H, W)
        parts.append(codec.encode(video)[:, :, first - start :])  # (B, C, n, h, w)
    return torch.cat(parts, 2)  # (B, C, Tl, h, w)


def decode_clip(codec: Codec, latents: Tensor, count: int) -> Iterator[Tensor]:
    """Decode what `encode_clip` made, in chunks.

    Args:
        latents: (B, C, Tl, h, w).
        count: frames of the clip; what was repeated at its end is cut off.

    Yields:
        (B, 3, T, H, W), display sRGB, not clipped; in order, `count` frames in all.
    """
    for start, first, stop in _chunks(codec, latents.shape[2]):
        begin, end = max(0, TIME * first - TIME + 1), min(count, TIME * (stop - 1) + 1)
        if begin < end:
            with torch.inference_mode():  # not around the yield: the caller's own mode is none of ours
                video = codec.decode(latents[:, :, start:stop])  # (B, 3, 4 (stop − start − 1) + 1, H, W)
            yield video[:, :, begin - TIME * start : end - TIME * start]  # (B, 3, T, H, W)


def _chunks(codec: Codec, latents: int) -> Iterator[Chunk]:
    # Published codecs are known to work on 49 frames, 13 latents; ours holds an 85-frame window in one chunk.
    context, fresh = (2, 11) if codec.context_latents is None else (codec.context_latents, 22)
    for first in range(0, latents, fresh):
        yield max(0, first - context), first, min(first + fresh, latents)


def _latents(frames: int) -> int:
    """Latents that hold so many frames."""
    return -(-(frames - 1) // TIME) + 1


def _mask(clip: ViewClip, latents: list[int]) -> np.ndarray:
    """(1, 1, 4n + 1, H, W): the four frames of each latent, after one that only makes the count right.

    Frame 0 stands four times, as it does in the first latent; so does the last one, where the clip ends.
    """
    wanted = np.array([TIME * k + shift for k in latents for shift in range(1 - TIME, 1)]).clip(0, len(clip) - 1)
    runs = np.split(wanted, np.flatnonzero(np.diff(wanted) > 1) + 1)
    planes = [clip.window(int(run[0]), int(run[-1]) + 1).mask[:, run - run[0]] for run in runs]  # (1, t, H, W)
    return np.concatenate([planes[0][:, :1], *planes], axis=1)[None]

