"""BVD, blind video deflickering: a neural atlas of the clip, and a filter that takes the atlas's steady colours.

Lei, Ren, Zhang, Chen, "Blind Video Deflickering by Neural Filtering with a Flawed Atlas", CVPR 2023 (arXiv
2303.08120), written from the paper and its published settings; nothing of its code or weights is used. It is blind:
it is told neither what the flicker is nor what light the clip should have.

1. `atlas`: one picture for the whole clip is fitted, and rendered frame by frame: steady, but flawed.
2. `filtering`: a U-Net gives each frame the colours of its atlas frame; then a recurrent network takes out what
   still trembles in places, given its own last output. Both are trained once, as `flaws` says.

Theirs: the three stages and their order, the atlas fitted at a quarter of the size, the networks at full size, clips
of up to 200 frames or so. Decided here: the preset `cpu` (a smaller atlas, fitted faster; smaller networks; the
filter starts from the ratio of the blurred frames); frames larger than `edge` are filtered at that size, and the
change of colour is carried up as a gain, exp(log((out + 0.05) / (in + 0.05))), so that no detail is lost; masks.
What each stage adds to the paper stands in its own file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from harmovid import config as settings
from harmovid.baselines.atlas import AtlasConfig, fit, shrunk
from harmovid.baselines.filtering import FilterConfig, LocalConfig, LocalRefinement, NeuralFilter
from harmovid.baselines.points import check_clip
from harmovid.errors import InputError, OptionError
from harmovid.infer.views import Harmonized, ViewClip, ViewSize
from harmovid.video.windows import Span, blend, windows

Progress = Callable[[str, int, int], None]

WEIGHTS = Path(__file__).parent / "weights" / "bvd"
"""The weights of the preset `cpu`, which ship with the package."""

_LONGEST = 200  # frames that one atlas holds; it blurs in longer clips
_FADED = 16  # frames over which the pieces of a longer clip fade into one another, at least
_TOE = 0.05  # of display sRGB, added before a ratio is taken
_MOST = 2.0  # bounds the log of the gain that is carried up


@dataclass(frozen=True)
class BVDConfig:
    """All of BVD; the defaults are the paper's.

    edge: frames are filtered with at most so many pixels on the longer side; 0 is their own size.
    """

    atlas: AtlasConfig = AtlasConfig()
    filter: FilterConfig = FilterConfig()
    local: LocalConfig = LocalConfig()
    edge: int = 0

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.edge < 0:
            raise OptionError(f"edge is 0, for the frames' own size, or a number of pixels; got {self.edge}")


def paper() -> BVDConfig:
    """The published settings; for a graphics card."""
    return BVDConfig()


def cpu() -> BVDConfig:
    """For one processor core: half a minute for the atlas, a tenth of a second for each frame of 128 × 128."""
    atlas = AtlasConfig(edge=96, iterations=500, points=2048, lr=5e-3, final_lr=0.02, mapping=(3, 64), atlas=(4, 96),
                        skips=(), frequencies=7)
    return BVDConfig(atlas, FilterConfig(16, 4, "light"), LocalConfig(8, 3), edge=256)


class Networks(nn.Module):
    """The two trained networks of one configuration."""

    def __init__(self, config: BVDConfig) -> None:
        super().__init__()
        self.config = config
        self.filter = NeuralFilter(config.filter)
        self.local = LocalRefinement(config.local)


def save(networks: Networks, folder: Path) -> None:
    """Write model.safetensors, in half precision, and config.json.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().cpu().half().contiguous() for name, value in networks.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    settings.save(networks.config, folder / "config.json")  # last: it makes the folder whole


def load(folder: Path) -> Networks:
    """Read what `save` wrote; the networks are in float32, on the processor, for use.

    Raises:
        InputError: the folder does not hold them, or they are damaged or of another configuration.
    """
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} holds no weights of BVD; expected config.json and model.safetensors; train them: "
                         "python benchmarks/train_bvd.py --data DIR --out DIR")
    networks = Networks(settings.load(BVDConfig, folder / "config.json"))
    try:
        weights = load_file(folder / "model.safetensors")
        networks.load_state_dict({name: value.float() for name, value in weights.items()})
    except Exception as error:  # safetensors and torch each have errors of their own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"the weights in {folder} cannot be read ({reason}); expected those that its config.json "
                         "describes; train them again") from error
    return networks.eval()


def deflicker(frames: np.ndarray, config: BVDConfig | None = None, seed: int = 0,
              progress: Progress = lambda stage, done, total: None, masks: np.ndarray | None = None,
              networks: Networks | None = None, device: str = "cpu") -> np.ndarray:
    """Steady the light of a clip.

    The same clip, settings and seed give the same result on one machine: on the processor one thread works, however
    many there are. Time and memory grow with the clip; the atlas blurs in very long ones, over 200 frames or so.

    Args:
        frames: (T, H, W, 3) float32, display sRGB in [0, 1].
        config: None is that of `networks`. It must have their sizes; atlas and edge are free.
        seed: of the atlas.
        progress: told after every step of the atlas, and every frame of the filter and of the refinement.
        masks: (T, H, W) in [0, 1], where the flicker is. The atlas is then fitted to these pixels alone, what the
            filter sees of it elsewhere are the frames' own, and the result is laid over the frames by this alpha:
            where it is 0 they are kept to the bit.
        networks: None takes the weights that ship with `cpu`.
        device: of torch.

    Returns:
        (T, H, W, 3) float32 in [0, 1]. A single frame comes back as it is, clipped.

    Raises:
        InputError: frames or masks of a wrong shape; no weights are there.
        OptionError: the networks are of other sizes than `config` says.
    """
    check_clip(frames, masks)
    networks = load(WEIGHTS) if networks is None else networks
    config = networks.config if config is None else config
    if (config.filter, config.local) != (networks.config.filter, networks.config.local):
        raise OptionError(f"the settings ask for {config.filter} and {config.local}, the networks are "
                          f"{networks.config.filter} and {networks.config.local}; give the settings they have")
    frames = np.clip(np.asarray(frames, np.float32), 0, 1)
    if len(frames) == 1:
        return frames
    with _one_thread(device):
        steady = _atlas_clip(frames, config, seed, progress, masks, device)
        small = shrunk(frames, config.edge or max(frames.shape[1:3]))
        result = _carried(frames, small, _filtered(small, steady, networks, progress, device))
    if masks is not None:
        alpha = np.clip(np.asarray(masks, np.float32), 0, 1)[..., None]
        result = np.where(alpha > 0, frames + alpha * (result - frames), frames)
    return np.clip(result, 0, 1)


class BlindDeflickering:
    """`deflicker` under the harmonizer protocol: it steadies the person's light, and does not ask what light there is.

    The atlas is fitted to the person's pixels alone. A clip of more than 200 frames is taken in pieces of 200, each
    with an atlas of its own, that fade into one another over 16 frames or more. A piece is held in memory.

    Args:
        networks: None takes the weights that ship.
        config: as of `deflicker`.
        device: of torch.

    Raises:
        InputError: no weights are there.
    """

    name = "bvd"
    view = ViewSize(area=256 * 256)

    def __init__(self, networks: Networks | None = None, config: BVDConfig | None = None, device: str = "cpu") -> None:
        self.networks = load(WEIGHTS) if networks is None else networks
        self.config, self.device = config, device

    def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
        """Steady a clip of any length; the same seed gives the same result.

        Yields:
            Single frames, (3, 1, H, W) float32 display sRGB in [0, 1]; the reference is the composite itself. Where
            alpha is 0 the result is the composite to the bit.
        """
        pieces = ((span, self._steady(clip, span, seed)) for span in windows(len(clip), _LONGEST, _FADED))
        for t, picture in enumerate(blend(pieces)):
            views = clip.window(t, t + 1)
            steady = picture.transpose(2, 0, 1)[:, None]  # (3, 1, H, W)
            # The pieces agree there, but a mean of two equal numbers need not be that number.
            yield Harmonized(views.composite, np.where(views.mask > 0, steady, views.composite))

    def _steady(self, clip: ViewClip, span: Span, seed: int) -> np.ndarray:
        """(n, H, W, 3)."""
        views = clip.window(*span)
        frames = np.ascontiguousarray(views.composite.transpose(1, 2, 3, 0))
        return deflicker(frames, self.config, seed, masks=views.mask[0], networks=self.networks, device=self.device)


def _atlas_clip(frames: np.ndarray, config: BVDConfig, seed: int, progress: Progress, masks: np.ndarray | None,
                device: str) -> np.ndarray:
    """The clip as the atlas shows it, at the atlas's size."""
    small = shrunk(frames, config.atlas.edge)
    cover = None if masks is None else shrunk(np.asarray(masks, np.float32), config.atlas.edge)
    steady = fit(small, config.atlas, seed, progress, cover, device).render()
    return steady if cover is None else np.where(cover[..., None] > 0, steady, small)


@torch.inference_mode()
def _filtered(frames: np.ndarray, steady: np.ndarray, networks: Networks, progress: Progress,
              device: str) -> np.ndarray:
    """(T, h, w, 3) through both networks, frame by frame. The networks are put back to where they were."""
    home, training = next(networks.parameters()).device, networks.training
    networks.to(device).eval()
    size = frames.shape[2], frames.shape[1]
    filtered: list[Tensor] = []
    for t, (frame, atlas) in enumerate(zip(frames, steady, strict=True)):
        atlas = np.clip(cv2.resize(atlas, size, interpolation=cv2.INTER_CUBIC), 0, 1)
        pair = [torch.from_numpy(np.ascontiguousarray(p)).movedim(-1, 0)[None].to(device) for p in (frame, atlas)]
        filtered.append(networks.filter(*pair).clamp(0, 1))
        progress("filter", t + 1, len(frames))
    refined = [filtered[0]]
    state = None
    for t in range(1, len(filtered)):
        output, state = networks.local(filtered[t], filtered[t - 1], refined[-1], state)
        refined.append(output.clamp(0, 1))
        progress("refine", t, len(filtered) - 1)
    networks.to(home).train(training)
    return torch.cat(refined).movedim(1, -1).cpu().numpy()


def _carried(frames: np.ndarray, small: np.ndarray, result: np.ndarray) -> np.ndarray:
    """The result at the frames' size: itself, or the frames times the gain from `small` to it."""
    if small.shape == frames.shape:
        return result
    gain = np.clip(np.log((result + _TOE) / (small + _TOE)), -_MOST, _MOST)
    size = frames.shape[2], frames.shape[1]
    large = [np.exp(cv2.resize(g, size, interpolation=cv2.INTER_LINEAR)) for g in gain]
    return np.stack([(frame + _TOE) * g - _TOE for frame, g in zip(frames, large, strict=True)])


@contextmanager
def _one_thread(device: str) -> Iterator[None]:
    """Sums then do not depend on how many threads share them."""
    threads = torch.get_num_threads()
    if device == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
