"""IC-Light frame by frame, in the seam of `views.Harmonizer`: the image model that others compare with.

The background-conditioned model (`harmovid.model.stable`): every frame on its own, with noise of its own. The person is
shown to it on grey, the background beside them; a second pass at higher size, which the authors' program offers, is
left out. They sample by DPM++ 2M SDE with 20 steps and guidance 7; here it is DDIM with η = 1, as random as ancestral
sampling, with the same steps and guidance, so that it is sampled as our own image model is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harmovid.errors import InputError
from harmovid.infer.sampler import draw, generators, sample
from harmovid.infer.views import Harmonized, ViewClip, ViewSize
from harmovid.model.stable import load_stable

PROMPT = "a person, detailed face, natural light of the scene, best quality"
NEGATIVE = "lowres, bad anatomy, bad hands, cropped, worst quality"
STEPS, GUIDANCE, AREA = 20, 7.0, 512 * 512
_TOGETHER = 8  # frames; their noise is drawn together, so what a seed gives depends on this
_GREY = 127 / 255


class IcLight:
    """IC-Light in the seam of `views.Harmonizer`.

    Args:
        folder: see `harmovid.model.stable`.
        steps: of sampling.
        device: where it runs, in half precision on CUDA.
        prompt: what the picture is to be.
        area: pixels of the view, about; the model was made for 512 × 512.
        progress: told after every chunk of frames.

    Raises:
        InputError: the folder cannot be read.
        OptionError: `steps` is not between 1 and what the schedule has.
    """

    name = "iclight"

    def __init__(self, folder: Path, steps: int = STEPS, device: str = "cpu", prompt: str = PROMPT, area: int = AREA,
                 progress: Callable[[str, int, int], None] = lambda stage, done, total: None) -> None:
        half = torch.float16 if device.startswith("cuda") else torch.float32
        self.parts = load_stable(folder, prompt, NEGATIVE, device, half)
        self.view = ViewSize(area, self.parts.multiple)
        self.timesteps, self.eta, self.temperature = self.parts.schedule.timesteps(steps), 1.0, 1.0
        self.told = f"{prompt}; not {NEGATIVE}; guidance {GUIDANCE:g}; view of {area} pixels"
        self.device, self.progress = torch.device(device), progress

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
            composite, background, mask = (self._frames(planes) for planes in (
                views.composite, views.background, views.mask))
            yield Harmonized(*self._relight(composite, background, mask, *generators(seed, start)))
            self.progress("sample", stop, len(clip))

    @torch.inference_mode()
    def _relight(self, composite: Tensor, background: Tensor, mask: Tensor, first: torch.Generator,
                 later: torch.Generator) -> Iterator[np.ndarray]:
        """(N, ·, H, W) of N frames, to the composites through the codec and the answers, (3, N, H, W) each."""
        parts = self.parts
        # The person's edges have the new background in them, which the model would get to see all the same.
        person, behind, plain = (parts.encode(_wide(picture)) for picture in (
            _GREY + mask * (composite - _GREY), background, composite))  # (N, 4, h, w) each

        # The sampler draws noise frame after frame along time; the network sees the frames as a batch.
        def predict(noisy: Tensor, t: int, step: int) -> Tensor:
            frames = noisy[0].transpose(0, 1)  # (N, 4, h, w)
            return parts.predict(frames, person, behind, t, GUIDANCE).transpose(0, 1)[None]  # (1, 4, N, h, w)

        noise = draw((1, plain.shape[1], len(plain), *plain.shape[2:]), first, self.device)  # (1, 4, N, h, w)
        answer = sample(predict, noise, self.timesteps, parts.schedule, self.eta, later)  # (1, 4, N, h, w)
        if not bool(torch.isfinite(answer).all()):
            raise InputError("IC-Light gave numbers that are not finite: its weights are damaged, or too large for "
                             "half precision; get them again, or pass --device cpu")
        for latents in (plain, answer[0].transpose(0, 1)):
            video = _narrow(parts.decode(latents)).clamp(0, 1)  # (N, 3, H, W)
            yield video.transpose(0, 1).cpu().numpy()  # (3, N, H, W)

    def _frames(self, planes: np.ndarray) -> Tensor:
        """(C, N, H, W) to (N, C, H, W)."""
        return torch.from_numpy(planes).to(self.device, torch.float32).transpose(0, 1)


def _wide(picture: Tensor) -> Tensor:
    """[0, 1] to [−1, 1]; as the authors have it, grey 127 is 0 to the bit, and white a little above 1."""
    return picture / _GREY - 1


def _narrow(picture: Tensor) -> Tensor:
    """[−1, 1] to [0, 1]."""
    return (picture + 1) * _GREY
