"""What a training run began with beside its recipe and its shards, so that it goes on with nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from harmovid import config
from harmovid.data.relighting import digest
from harmovid.errors import OptionError

_FILE = "origin.json"


@dataclass(frozen=True)
class Origin:
    """Of a run.

    codec, tone: digests of their weights; empty where the run is given none. pairs: whether it learns from
        pseudo-pairs.
    """

    codec: str = ""
    tone: str = ""
    pairs: bool = False

    @classmethod
    def of(cls, codec: nn.Module, tone: nn.Module | None, pairs: Sequence[Path]) -> Origin:
        """Of a run that is given these."""
        return cls(_digest(codec), "" if tone is None else _digest(tone), bool(pairs))

    def keep(self, out: Path) -> None:
        """Write it into a run's folder."""
        config.save(self, out / _FILE)

    def check(self, out: Path) -> None:
        """Refuse to go on with the run in `out` by other means than it began with.

        Raises:
            OptionError: something is another now.
        """
        if not (out / _FILE).is_file():
            return
        kept = config.load(Origin, out / _FILE)
        for name in ("codec", "tone"):
            if getattr(self, name) != getattr(kept, name):
                raise OptionError(f"the run in {out} began with another {name}; pass the --{name} that it began with, "
                                  "or name another --out")
        if kept.pairs and not self.pairs:
            raise OptionError(f"the run in {out} learns from pseudo-pairs; pass its --pairs, or name another --out")
        if self.pairs and not kept.pairs:
            raise OptionError(f"the run in {out} learns from no pseudo-pairs; leave out --pairs, or name another --out")


def _digest(part: nn.Module) -> str:
    weights = part.state_dict().values()
    return digest(weight.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().tobytes()
                  for weight in weights)
