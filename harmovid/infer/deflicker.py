"""Deflickering, step 2 of the method for itself: light that jumps from frame to frame is steadied.

The network of stage `deflicker` is told a clip and what of it is the subject, and gives the clip in steady light. What
it is held against is each frame through the codec on its own, with that frame's own light: so the difference is each
frame's own correction, and light transfer carries that to the full size, without smoothing over time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch

from harmovid.errors import InputError
from harmovid.infer import pipeline
from harmovid.infer.correction import EPSILON, corrected, relit
from harmovid.infer.motion_filter import filtered
from harmovid.infer.network import NetworkHarmonizer, decode_clip
from harmovid.infer.pipeline import Progress, Summary
from harmovid.infer.plan import Options, plan
from harmovid.infer.restore import restored
from harmovid.infer.settling import settle
from harmovid.infer.transfer import TransferConfig
from harmovid.infer.views import Answered, Harmonized, Harmonizer, ViewClip, Views, as_picture
from harmovid.video import encode, io
from harmovid.video.clip import Clip
from harmovid.video.color import to_linear
from harmovid.video.target import open_target

OPTIONS = Options(edge=0.0, transfer=TransferConfig(temporal_sigma=0.0))
"""Of the straight path: each frame's correction is its own, and what the mask does not cover stays."""

_CHUNK = 32  # frames that go through the codec together
_LEAD = 8  # frames, two latents


class Deflickering(NetworkHarmonizer):
    """A model that was trained by stage `deflicker`, in the seam of `views.Harmonizer`.

    Arguments and errors are those of `NetworkHarmonizer`.
    """

    def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
        """Steady one shot, of any length.

        Args:
            clip: read in windows, for its pictures and its mask; background and overview go unread. Of one that is
                another harmonizer's answer (`views.Answered`) what was answered to is read too, and the fine detail of
                the change of light is filtered along its motion.
            seed: of the noise.

        Yields:
            Frames, (3, 1, H, W) float32 display sRGB in [0, 1]; the reference is each frame through the codec alone, or
            the answer as it came.

        Raises:
            InputError: the network's answer is not finite.
        """
        made = _settled(self._corrected(_Led(clip, min(_LEAD, len(clip) - 1)), seed))
        return _filtered(made, clip) if isinstance(clip, Answered) else made

    def _corrected(self, shot: _Led, seed: int) -> Iterator[_Corrected]:
        """The frames of a shot as the network alone steadies them."""
        composite = self._encode_composite(shot, self._count(shot))  # (1, 16, Tl, h, w)
        answer = self._sample(shot, composite, None, None, None, seed)  # (1, 16, Tl, h, w)
        done = 0
        for video in decode_clip(self.model.codec, answer, len(shot)):
            result: np.ndarray = video[0].clamp(0, 1).float().cpu().numpy()  # (3, T, H, W)
            views = shot.window(done, done + result.shape[1])
            led = max(0, shot.lead - done)  # of these frames, those that only lead in
            done += result.shape[1]
            if led < result.shape[1]:
                result, seen, mask = (part[:, led:] for part in (result, views.composite, views.mask))
                reference = self._alone(seen)
                pictures = reference, corrected(reference, result, mask), seen
                yield from map(_Corrected, *(picture.transpose(1, 2, 3, 0) for picture in pictures), mask[0])

    @torch.inference_mode()
    def _alone(self, frames: np.ndarray) -> np.ndarray:
        """(3, T, H, W), each frame through the codec as if there were no other."""
        coded = []
        for start in range(0, frames.shape[1], _CHUNK):
            each = self._tensor(frames[:, start : start + _CHUNK]).transpose(0, 1)[:, :, None]  # (N, 3, 1, H, W)
            decoded = self.model.codec.decode(self.model.codec.encode(each))[:, :, 0]  # (N, 3, H, W)
            coded.append(decoded.clamp(0, 1).float().transpose(0, 1).cpu().numpy())
        return np.concatenate(coded, 1)


class _Corrected(NamedTuple):
    """A frame: through the codec alone, and under its own correction; as it came; its α. (H, W, 3), and (H, W)."""

    reference: np.ndarray
    result: np.ndarray
    composite: np.ndarray
    alpha: np.ndarray


def _settled(frames: Iterable[_Corrected]) -> Iterator[Harmonized]:
    """What the network leaves is settled, in pictures that have their texture again: flow can be trusted in them."""
    waiting: deque[_Corrected] = deque()

    def shown() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for frame in frames:
            waiting.append(frame)
            yield restored(frame.composite, frame.reference, frame.result), frame.alpha

    for gain in settle(shown()):
        frame = waiting.popleft()
        result = relit(frame.result, gain, frame.alpha)
        yield Harmonized(*(picture.transpose(2, 0, 1)[:, None] for picture in (frame.reference, result)))


def _filtered(frames: Iterator[Harmonized], clip: Answered) -> Iterator[Harmonized]:
    """The answer that was steadied is known to be a gain of a clip that was steady: so its detail can be, too."""
    waiting: deque[tuple[np.ndarray, np.ndarray, np.ndarray]] = deque()  # reference, answer, α of each frame

    def gains() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for t, frame in enumerate(frames):
            views = clip.clip.window(t, t + 1)
            source, alpha = as_picture(views.composite), views.mask[0, 0]
            plain, answer, before, after = (as_picture(planes).astype(np.float32) for planes in (
                clip.reference[:, t : t + 1], clip.answer[:, t : t + 1], frame.reference, frame.result))
            steady = to_linear(restored(answer, before, after), "srgb")
            waiting.append((plain, answer, alpha))
            yield source, np.log((steady + EPSILON) / (to_linear(plain, "srgb") + EPSILON)), alpha

    for gain in filtered(gains()):
        plain, answer, alpha = waiting.popleft()
        yield Harmonized(*(shown.transpose(2, 0, 1)[:, None] for shown in (answer, relit(plain, gain, alpha))))


@dataclass(frozen=True)
class _Led:
    """A shot after `lead` frames that are its first ones played backwards.

    The codec's first latent holds one frame, all others four: what is steadied best lies in the middle.
    """

    shot: ViewClip
    lead: int

    def __len__(self) -> int:
        return self.lead + len(self.shot)

    def window(self, start: int, stop: int) -> Views:
        wanted = np.abs(np.arange(start, stop) - self.lead)
        first, last = int(wanted.min()), int(wanted.max())
        views = self.shot.window(first, last + 1)
        return Views(*(np.ascontiguousarray(part[:, wanted - first]) for part in (
            views.composite, views.background, views.mask, views.overview)))


def deflicker(video: Clip, mask: Clip | None, output: str | Path, harmonizer: Harmonizer, options: Options = OPTIONS, *,
              overwrite: bool = False, progress: Progress = lambda stage, done, total: None) -> Summary:
    """Steady the light of a clip, whose sound, rate, colour and size are kept.

    Args:
        video: the clip; where it has alpha and no mask is given, that is the mask, and kept.
        mask: what of it is steadied, the rest stays; None is the whole picture.
        output: where the result goes.
        harmonizer: what steadies.
        options: of the straight path.
        overwrite: allow an existing output to be replaced.
        progress: told after every frame of every stage.

    Raises:
        InputError, OutputError, OptionError: as `plan.plan` and `pipeline.harmonize`.
    """
    mask = mask and io.drop_opaque_alpha(mask, options.end)
    video = io.drop_opaque_alpha(video, options.end) if mask is None else video
    stored = video.frames if video.timestamps is None else len(video.timestamps)
    if mask and mask.frames not in (1, video.frames, stored, min(options.end or video.frames, video.frames)):
        raise InputError(f"the mask has {mask.frames} frames, the clip has {video.frames}; give a mask of this clip, "
                         "or one picture for all of it")
    # The video is the background too: where it is left alone it keeps its own bits.
    behind = replace(video, notes=())
    if mask is not None or video.alpha:
        if mask is None and options.detail == "transfer":  # the network's own picture has none
            options = replace(options, output="foreground")
        work = plan(video, behind, mask, output, options, overwrite=overwrite)
        if mask is not None and video.alpha:
            work = replace(work, notes=(*work.notes, "the clip's own alpha is left out where a mask is given"))
        return pipeline.harmonize(work, harmonizer, progress=progress)
    with TemporaryDirectory(prefix="harmovid-") as folder:
        everywhere = open_target(Path(folder) / "mask.mkv")
        with encode.Writer(everywhere, (video.width, video.height), video.rate, grey=True) as writer:
            writer.write(np.ones((video.height, video.width), np.float32))
        work = plan(video, behind, io.open_clip(everywhere.path), output, options, overwrite=overwrite)
        work = replace(work, notes=tuple(note for note in work.notes if not note.startswith("mask:")))
        return pipeline.harmonize(work, harmonizer, progress=progress)
