"""Train the two networks of the baseline BVD on clean footage: first the neural filter, then the local refinement.

    OMP_NUM_THREADS=1 python benchmarks/train_bvd.py --data DIR --out DIR --minutes 10

DIR of --data holds portraits_video/, backgrounds_video/ and portraits_photo/; what `harmovid/data/split.csv` calls
train is trained on, its validation part is measured. Six tenths of the minutes go to the filter. The finished weights
are OUT/local/model (model.safetensors, config.json, training.json); copied to harmovid/baselines/weights/bvd they are
what `deflicker` takes by itself. Stopped, it goes on with --resume.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from harmovid.baselines import bvd, flaws
from harmovid.baselines.bvd import BVDConfig, Networks
from harmovid.data import split
from harmovid.errors import InputError
from harmovid.evaluate.temporal import luminance_jitter
from harmovid.train.loop import LoopConfig, train
from harmovid.video import io
from harmovid.video.color import SRGB, convert

_FOLDERS = ("portraits_video", "backgrounds_video", "portraits_photo")
_FRAMES = 24  # of each clip that are kept
_SIDE = 144  # pixels of their shorter side
_SMALLEST = 0.55  # of the shorter side, a view's
_SHOWN = 6  # validation clips


def footage(data: Path, part: str) -> list[np.ndarray]:
    """The clips and photos of one part of the list, small, each (T, H, W, 3) uint8."""
    names = [name for folder in _FOLDERS for name in split.files(part, folder) if (data / name).is_file()]
    if not names:
        raise InputError(f"{data} has none of the {part} files of the split list; name the folder that holds "
                         f"{', '.join(_FOLDERS)}")
    clips = []
    for n, name in enumerate(names, 1):
        clip = io.open_clip(data / name)
        share = min(1.0, _SIDE / min(clip.width, clip.height))
        size = round(clip.width * share), round(clip.height * share)
        frames = [cv2.resize(np.clip(convert(frame.rgb, clip.tags, SRGB), 0, 1), size, interpolation=cv2.INTER_AREA)
                  for frame in io.read(clip, range(min(clip.frames, _FRAMES)))]
        clips.append(np.rint(np.stack(frames) * 255).astype(np.uint8))
        tell(f"reading {part}", n, len(names))
    return clips


def views(clips: Sequence[np.ndarray], batch: int, frames: int, size: int, random: np.random.Generator) -> Tensor:
    """Random square views of random clips, (B, 3, T, size, size) float32 in [0, 1]; mirrored and reversed at random."""
    long = [clip for clip in clips if len(clip) >= frames]
    if not long:
        raise InputError(f"no clip has {frames} frames; give footage with videos")
    taken = []
    for _ in range(batch):
        clip = long[int(random.integers(len(long)))]
        start = int(random.integers(len(clip) - frames + 1))
        side = round(min(clip.shape[1:3]) * random.uniform(_SMALLEST, 1))
        y, x = (int(random.integers(length - side + 1)) for length in clip.shape[1:3])
        view = clip[start:start + frames, y:y + side, x:x + side]
        view = view[::-1] if random.random() < 0.5 else view
        view = view[:, :, ::-1] if random.random() < 0.5 else view
        how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
        taken.append(np.stack([cv2.resize(np.ascontiguousarray(frame), (size, size), interpolation=how)
                               for frame in view]))
    return torch.from_numpy(np.stack(taken)).permute(0, 4, 1, 2, 3).float() / 255


class _Stage:
    """What both stages share: footage in, networks out."""

    def __init__(self, networks: Networks, clips: Sequence[np.ndarray], held_out: Sequence[np.ndarray], size: int,
                 batch: int, frames: int) -> None:
        self.networks, self.clips, self.size, self.count, self.frames = networks, clips, size, batch, frames
        random = np.random.default_rng(0)
        clean = views(held_out, _SHOWN, 8, size, random)
        self.held_out = flaws.filter_batch(clean, torch.Generator().manual_seed(0))

    def _clean(self, index: int, seed: int) -> tuple[Tensor, torch.Generator]:
        clean = views(self.clips, self.count, self.frames, self.size, np.random.default_rng([seed, index]))
        return clean, torch.Generator().manual_seed(seed * 1_000_003 + index)

    def _filtered(self, filter_: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """(B, T, 3, H, W)."""
        content, atlas = (batch[name].transpose(1, 2) for name in ("content", "atlas"))
        return filter_(content.flatten(0, 1), atlas.flatten(0, 1)).clamp(0, 1).unflatten(0, content.shape[:2])

    def _shown(self, module: nn.Module) -> dict[str, Tensor]:
        """The held-out clips, where the network is."""
        device = next(module.parameters()).device
        return {name: part.to(device) for name, part in self.held_out.items()}

    def _report(self, given: dict[str, Tensor]) -> tuple[dict[str, float], np.ndarray]:
        """PSNR and jitter of each clip (B, T, 3, H, W) against the clean one, and all of them in rows."""
        results = {name: part.cpu() for name, part in given.items()}
        clean = self.held_out["clean"].transpose(1, 2)
        figures = {}
        for name, result in results.items():
            figures[f"psnr_{name}"] = float(-10 * (result - clean).square().mean().log10())
            pairs = [(r.movedim(1, -1).contiguous().numpy(), c.movedim(1, -1).contiguous().numpy())
                     for r, c in zip(result, clean, strict=True)]
            figures[f"jitter_{name}"] = float(np.mean([
                luminance_jitter(r, c, np.ones(c.shape[:3], np.float32)) for r, c in pairs]))
        rows = [torch.cat([part[n, t] for n in range(_SHOWN) for t in (0, 4)], 2)
                for part in (*results.values(), clean)]
        sheet = torch.cat(rows, 1).clamp(0, 1).movedim(0, -1).numpy()
        return figures, (sheet * 255).astype(np.uint8)


class FilterStage(_Stage):
    """The neural filter, on single frames."""

    name = "filter"

    @property
    def module(self) -> nn.Module:
        """What is trained."""
        return self.networks.filter

    def batch(self, index: int, seed: int) -> dict[str, Tensor]:
        """Batch number `index`."""
        return flaws.filter_batch(*self._clean(index, seed))

    def loss(self, module: nn.Module, batch: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
        """L_filter."""
        return flaws.filter_loss(module, batch)  # type: ignore[arg-type]

    def validate(self, module: nn.Module) -> tuple[dict[str, float], np.ndarray]:
        """How far the flickering frames, the atlas's and the filter's are from the clean ones."""
        shown = self._shown(module)
        given = {name: shown[name].transpose(1, 2) for name in ("content", "atlas")}
        return self._report({**given, "filtered": self._filtered(module, shown)})

    def save(self, module: nn.Module, folder: Path, record: dict[str, Any]) -> None:
        """Both networks, this one trained."""
        self.networks.filter.load_state_dict(module.state_dict())
        _keep(self.networks, folder, record)


class LocalStage(_Stage):
    """The local refinement, on clips that went through the trained filter."""

    name = "local"

    @property
    def module(self) -> nn.Module:
        """What is trained."""
        return self.networks.local

    def batch(self, index: int, seed: int) -> dict[str, Tensor]:
        """Batch number `index`."""
        return flaws.local_batch(*self._clean(index, seed))

    def loss(self, module: nn.Module, batch: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
        """L_local, the filter held still."""
        with torch.no_grad():
            filtered = self._filtered(self.networks.filter.to(batch["clean"].device), batch)
        return flaws.local_loss(module, filtered, batch)  # type: ignore[arg-type]

    def validate(self, module: nn.Module) -> tuple[dict[str, float], np.ndarray]:
        """How far the filter's frames are from the clean ones, and how far when refined."""
        shown = self._shown(module)
        filtered = self._filtered(self.networks.filter.to(shown["clean"].device), shown)
        given = shown["content"].transpose(1, 2)
        return self._report({"content": given, "filtered": filtered, "refined": module.clip(filtered)})

    def save(self, module: nn.Module, folder: Path, record: dict[str, Any]) -> None:
        """Both networks."""
        self.networks.local.load_state_dict(module.state_dict())
        _keep(self.networks, folder, record)


def _keep(networks: Networks, folder: Path, record: dict[str, Any]) -> None:
    bvd.save(networks, folder)
    (folder / "training.json").write_text(json.dumps(record, indent=2) + "\n")


def tell(stage: str, done: int, total: int) -> None:
    """One line that counts, now and then."""
    if done == total or done % max(1, total // 20) == 0:
        print(f"{stage} {done} / {total}", flush=True)


def main() -> None:
    """Train both, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", choices=["cpu", "paper"], default="cpu")
    parser.add_argument("--minutes", type=float, help="in all; without it, --steps alone ends a stage")
    parser.add_argument("--steps", type=int, default=20000, help="of each stage, at most")
    parser.add_argument("--size", type=int, default=96, help="side of the views in pixels")
    parser.add_argument("--batch", type=int, default=8, help="views of a batch; the refinement has a quarter of them")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--resume", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    config: BVDConfig = {"cpu": bvd.cpu, "paper": bvd.paper}[args.preset]()
    clips, held_out = footage(args.data, "train"), footage(args.data, "validation")
    loop = LoopConfig(steps=args.steps, lr=args.lr, warmup=20, ema=0.99, validate_every=250, save_every=250,
                      log_every=10, seed=args.seed)
    few = max(1, args.batch // 4)
    for kind, share, batch, frames in ((FilterStage, 0.6, args.batch, 1), (LocalStage, 0.4, few, 5)):
        networks = Networks(config) if kind is FilterStage else bvd.load(args.out / "filter" / "model")
        stage = kind(networks, clips, held_out, args.size, batch, frames)
        timed = replace(loop, minutes=None if args.minutes is None else share * args.minutes)
        figures = train(stage, timed, args.out / stage.name, resume=args.resume, device=args.device, progress=tell)
        print(stage.name, {name: round(value, 4) for name, value in figures.items()}, flush=True)


if __name__ == "__main__":
    main()
