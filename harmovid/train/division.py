"""A network divided among processes: each holds a part of its weights, of their gradients and moments, and of the mean.

Fully sharded data parallel training (Zhao et al. 2023, arXiv 2304.11277) as torch does it: before a layer is asked its
weights are gathered, afterwards let go, so that a network may be larger than the memory of one GPU.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as parts
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.optim import Optimizer

from harmovid.train.mean import RunningMean


class Divided:
    """A network that was divided, in place, among all processes of the run; each must call what is called here.

    Args:
        module: the same in each process.
        device: of this process.
        keeps: whether this process is the one that gets the network whole, in `whole`.
    """

    def __init__(self, module: nn.Module, device: torch.device, keeps: bool) -> None:
        self.module = module
        self._whole = copy.deepcopy(module).to("cpu") if keeps else None
        mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
        for layer in _layers(module):
            fully_shard(layer, mesh=mesh)
        # Let go after every answer here, too: else the mean would be put beneath weights that are still gathered.
        fully_shard(module, mesh=mesh, reshard_after_forward=True)

    def whole(self) -> nn.Module | None:
        """The network as it is now, undivided, on the processor, in the process that keeps it."""
        state = get_model_state_dict(self.module, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
        if self._whole is not None:
            self._whole.load_state_dict(state)
        return self._whole

    def save(self, folder: Path, optimizer: Optimizer, mean: RunningMean) -> None:
        """Write all that is divided, each process its part."""
        parts.save(self._state(optimizer, mean), checkpoint_id=folder)

    def load(self, folder: Path, optimizer: Optimizer, mean: RunningMean, count: int) -> None:
        """Read it, by as many processes as there are now; the mean is one of `count` steps."""
        state = self._state(optimizer, mean)
        parts.load(state, checkpoint_id=folder)
        set_state_dict(self.module, optimizer, model_state_dict=state["network"], optim_state_dict=state["optimizer"])
        mean.load(state["mean"], count)

    def _state(self, optimizer: Optimizer, mean: RunningMean) -> dict[str, Any]:
        network, moments = get_state_dict(self.module, optimizer)
        return {"network": network, "optimizer": moments, "mean": mean.weights}


def number(value: Tensor) -> float:
    """A scalar that may lie divided, in part here."""
    return float(value.full_tensor() if hasattr(value, "full_tensor") else value)


def _layers(module: nn.Module) -> list[nn.Module]:
    """The longest row of layers in a network: its blocks."""
    rows = [list(row) for row in module.modules() if isinstance(row, nn.ModuleList)]
    return max(rows, key=len, default=[])
