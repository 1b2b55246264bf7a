"""The state of a run: kept now and then, whole or not at all, and gone on from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint import CheckpointException

from harmovid.errors import InputError, OutputError
from harmovid.train.division import Divided
from harmovid.train.mean import RunningMean

_PARTS = "parts"  # of a state, what is divided among processes


@dataclass(frozen=True)
class Run:
    """What changes from step to step; of a network that is divided, this process's part.

    accelerator: accelerate's, which has prepared network and optimizer where nothing is divided.
    """

    accelerator: Any
    optimizer: torch.optim.Optimizer
    mean: RunningMean
    divided: Divided | None


def save(run: Run, state: Path, step: int, seconds: float) -> None:
    """Keep a run after so many steps and seconds; all processes at once.

    Raises:
        OutputError: it cannot be written.
    """
    partial, old = state.with_name("state.part"), state.with_name("state.old")
    main, mean = run.accelerator.is_main_process, run.mean
    run.accelerator.wait_for_everyone()
    if main:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
    run.accelerator.wait_for_everyone()
    try:
        if run.divided is None:
            run.accelerator.save_state(str(partial), safe_serialization=True)
        else:
            run.divided.save(partial / _PARTS, run.optimizer, mean)
        if main:
            torch.save({"averaged": mean.weights if run.divided is None else {}, "count": mean.count, "step": step,
                        "seconds": seconds}, partial / "run.pt")
    except (RuntimeError, CheckpointException) as error:  # so torch says that the disk is full
        raise OutputError(f"the state {partial} cannot be written ({str(error).splitlines()[0]}); free some space and "
                          "go on with --resume") from error
    if main:
        shutil.rmtree(old, ignore_errors=True)
        if state.is_dir():
            os.replace(state, old)
        os.replace(partial, state)
        shutil.rmtree(old, ignore_errors=True)
    run.accelerator.wait_for_everyone()


def recover(state: Path) -> None:
    """Put back a state that was being replaced when the run was killed."""
    old = state.with_name("state.old")
    if not state.is_dir() and old.is_dir():
        os.replace(old, state)


def kept(state: Path) -> dict[str, Any]:
    """What is not the network's: step, seconds, and the running mean where that is not divided.

    Raises:
        InputError: it cannot be gone on from.
    """
    with _told_of(state):
        found: dict[str, Any] = torch.load(state / "run.pt", map_location="cpu", weights_only=True)
        return {**found, "step": int(found["step"]), "seconds": float(found["seconds"])}


def load(run: Run, state: Path, found: dict[str, Any]) -> None:
    """Go on from a state, of which `kept` gave `found`; errors as there."""
    with _told_of(state):
        if run.divided is None:
            run.mean.load(*_mean_of(found))
            run.accelerator.load_state(str(state))
        else:
            run.divided.load(state / _PARTS, run.optimizer, run.mean, found["count"])


@contextmanager
def _told_of(state: Path) -> Iterator[None]:
    try:
        yield
    # Pickle, safetensors, accelerate and torch each have errors of their own; that of parts is no Exception.
    except (Exception, CheckpointException) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"the state in {state} cannot be gone on from ({reason}); it is of another preset, of a "
                         "network divided among several processes where this is one, or the other way round "
                         "(loop.divide), or damaged: start anew with another --out") from error


def _mean_of(found: dict[str, Any]) -> tuple[dict[str, Tensor], int]:
    """The running mean of a state, and of how many steps it is."""
    weights = dict(found["averaged"])
    if "count" in found:
        return weights, int(found["count"])
    # As torch's AveragedModel wrote it, whose states go on, too.
    count = int(weights.pop("n_averaged"))
    return {name.removeprefix("module."): weight for name, weight in weights.items()}, count
