"""The one training loop. Stages differ in their task; the loop knows nothing of pictures.

Batches are a function of (seed, step) alone, so a run that was killed continues on the very same curve, and workers
may make batches in any order.
"""

from __future__ import annotations

import copy
import itertools
import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import cv2
import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from harmovid.errors import InputError, OptionError, OutputError
from harmovid.train.division import Divided, number
from harmovid.train.mean import RunningMean
from harmovid.train.state import Run, kept, load, recover, save

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class LoopConfig:
    """How long and how fast.

    steps: optimiser steps in all.
    minutes: where given, the learning rate also falls with time, and the run ends after so many, whichever is
        first; such a run is not repeatable to the bit.
    lr, warmup, final_lr: peak learning rate, steps up to it, share of it at the end of the cosine.
    weight_decay, beta2: of AdamW. clip: of the gradient's norm.
    ema: decay of the averaged weights, which are validated and kept.
    validate_every, save_every, log_every: steps.
    echo, pool: where batches are dear: each is trained on `echo` times in the mean, with other noise each time, while
        it is among the last `pool` ones (data echoing, Choi et al. 2019, arXiv 1907.05550).
    workers: processes that make batches; 0 makes them in the loop.
    precision: bf16 is for GPUs; on processors it is slower.
    divide: of several processes each holds a part of the network (`train/division.py`), not all of it.
    """

    steps: int = 20000
    minutes: float | None = None
    lr: float = 1e-3
    warmup: int = 200
    final_lr: float = 0.01
    weight_decay: float = 0.01
    beta2: float = 0.99
    clip: float = 1.0
    ema: float = 0.999
    validate_every: int = 1000
    save_every: int = 1000
    log_every: int = 20
    echo: int = 1
    pool: int = 32
    workers: int = 0
    precision: Literal["no", "bf16"] = "no"
    divide: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.steps < 1:
            raise OptionError(f"--set loop.steps is 1 or more, got {self.steps}")
        if self.echo < 1 or self.pool < 1:
            raise OptionError(f"--set loop.echo and loop.pool are 1 or more, got {self.echo} and {self.pool}")
        for name in ("validate_every", "save_every", "log_every"):
            if getattr(self, name) < 1:
                raise OptionError(f"--set loop.{name} is 1 or more steps, got {getattr(self, name)}; for never, give "
                                  "more than loop.steps")
        if self.minutes is not None and self.minutes <= 0:
            raise OptionError(f"--set loop.minutes is above 0, got {self.minutes:g}")
        if not 0 <= self.ema < 1:
            raise OptionError(f"--set loop.ema is between 0 and 1, got {self.ema}")


class Task(Protocol):
    """What a stage tells the loop.

    name: of the stage. module: what is trained.
    """

    name: str
    module: nn.Module

    def batch(self, index: int, seed: int) -> Batch:
        """Batch number `index`, the same whenever asked."""
        ...

    def loss(self, module: nn.Module, batch: Batch, seed: int) -> dict[str, Tensor]:
        """Parts of the loss, scalars by name; "loss" is what is minimised."""
        ...

    def validate(self, module: nn.Module) -> tuple[dict[str, float], np.ndarray]:
        """Figures, and a contact sheet (H, W, 3) uint8 RGB."""
        ...

    def save(self, module: nn.Module, folder: Path, record: dict[str, Any]) -> None:
        """Keep the weights, with the record of how they came about."""
        ...


class _Batches(Dataset[Batch]):
    def __init__(self, task: Task, seed: int) -> None:
        self.task, self.seed = task, seed

    def __getstate__(self) -> dict[str, Any]:
        """Workers make batches, and need no network for that."""
        bare = copy.copy(self.task)
        bare.module = nn.Module()
        return {"task": bare, "seed": self.seed}

    def __getitem__(self, index: int) -> Batch:
        return self.task.batch(index, self.seed)


class _Cosine:
    """The learning rate's share of its peak, by steps and, where they are given, minutes: the main process's."""

    def __init__(self, config: LoopConfig, device: torch.device) -> None:
        self.config, self.device, self.spent, self.since, self.shown = config, device, 0.0, time.monotonic(), 0.0

    @property
    def seconds(self) -> float:
        return self.spent + time.monotonic() - self.since

    def look(self) -> None:
        """Look at the clock. All processes at once, or their rates of learning, and their ends, would come apart."""
        if self.config.minutes is not None:
            self.shown = float(broadcast(torch.tensor(self.seconds, dtype=torch.float64, device=self.device)))

    def progress(self, step: int) -> float:
        done = step / self.config.steps
        if self.config.minutes is not None:
            done = max(done, self.shown / (60 * self.config.minutes))
        return min(done, 1.0)

    def __call__(self, step: int) -> float:
        config = self.config
        rise = min(1.0, (step + 1) / config.warmup) if config.warmup else 1.0
        return rise * (config.final_lr + (1 - config.final_lr) * 0.5 * (1 + math.cos(math.pi * self.progress(step))))


def train(task: Task, config: LoopConfig, out: Path, *, resume: bool = False, device: str = "cpu",
          progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
          begun: Callable[[], None] = lambda: None) -> dict[str, float]:
    """Train a task; writes out/log.jsonl, out/sheets/*.png, out/state (to resume from) and out/model.

    Args:
        task: what is trained, on what.
        config: how long and how fast.
        out: folder of the run; must be new or empty, unless it is resumed.
        resume: go on from out/state; from the beginning where there is none yet. A run that is over stays as it is.
        device: cpu or cuda.
        progress: told after every step.
        begun: called once what was kept of the run has been read, before anything is changed.

    Returns:
        The last validation figures.

    Raises:
        OutputError: `out` holds a run already, or the state cannot be written.
        InputError: the state is damaged; or the loss is no longer a number.
    """
    state = out / "state"
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision=config.precision)
    if accelerator.is_main_process:  # the others would find what it has just made
        if not resume and out.is_dir() and any(out.iterdir()):
            raise OutputError(f"{out} holds a run already; pass --resume to go on with it, or another --out")
        (out / "sheets").mkdir(parents=True, exist_ok=True)
        recover(state)
    accelerator.wait_for_everyone()
    clock = _Cosine(config, accelerator.device)
    module, divided = task.module, None
    if config.divide and accelerator.num_processes > 1:
        divided = Divided(module, accelerator.device, accelerator.is_main_process)
    optimizer = torch.optim.AdamW(_groups(module, config), lr=config.lr, betas=(0.9, config.beta2))
    if divided is None:
        module, optimizer = accelerator.prepare(module, optimizer)
    run = Run(accelerator, optimizer, RunningMean(accelerator.unwrap_model(module), config.ema), divided)
    step, found = 0, kept(state) if state.is_dir() else None
    if found is not None:
        step, clock.spent = found["step"], found["seconds"]
    clock.look()
    last = clock.progress(step) >= 1
    if last and (figures := _finished(out / "model", step)) is not None:
        return figures
    if found is not None:
        load(run, state, found)
    begun()
    if accelerator.is_main_process:
        _cut_log(out / "log.jsonl", step)
    world, rank = accelerator.num_processes, accelerator.process_index
    batches = _echoed(task, config, step, world, rank)
    figures = {}
    module.train()
    began, logged = time.monotonic(), step
    while not last:
        for group in optimizer.param_groups:
            group["lr"] = config.lr * clock(step)
        batch = {name: part.to(accelerator.device, non_blocking=True) for name, part in next(batches).items()}
        with accelerator.autocast():
            parts = task.loss(module, batch, config.seed * 1_000_003 + step * world + rank)
        accelerator.backward(parts["loss"])
        norm = accelerator.clip_grad_norm_(module.parameters(), config.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        run.mean.update()
        step += 1
        progress(task.name, step, config.steps)
        clock.look()
        last = clock.progress(step) >= 1
        keeps = last or step % config.save_every == 0
        if keeps or step % config.log_every == 0:  # a state that is kept is one that has been looked at
            row = {name: float(part.detach()) for name, part in parts.items()}
            row["norm"] = number(norm)
            if not math.isfinite(row["loss"] + row["norm"]):
                raise InputError(f"the loss is {row['loss']:g}, its gradient {row['norm']:g} at step {step}; lower "
                                 f"--set loop.lr and --resume, which goes back to the state of the last "
                                 f"{config.save_every} steps")
            now = time.monotonic()
            _log(out, accelerator, {"step": step, **row, "lr": optimizer.param_groups[0]["lr"],
                                    "seconds_per_step": (now - began) / (step - logged)})
            began, logged = now, step
        if step % config.validate_every == 0 or last:
            figures = _validate(task, run, out, step)
        if keeps:
            save(run, state, step, clock.seconds)
    figures = figures or _validate(task, run, out, step)
    with run.mean.shown() as network:
        whole = network if divided is None else divided.whole()
        if accelerator.is_main_process and whole is not None:
            task.save(whole, out / "model", {"stage": task.name, "steps": step, "figures": figures})
    return figures


def _finished(model: Path, step: int) -> dict[str, float] | None:
    """The figures of a model that was written whole after so many steps; none where there is no such model."""
    try:
        record = json.loads((model / "training.json").read_text())  # written after the weights
        return dict(record["figures"]) if record["steps"] == step else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _groups(module: nn.Module, config: LoopConfig) -> list[dict[str, Any]]:
    """Matrices decay; biases and gains don't."""
    trained = [p for p in module.parameters() if p.requires_grad]
    return [{"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0}]


def _echoed(task: Task, config: LoopConfig, step: int, world: int, rank: int) -> Iterator[Batch]:
    """The batches from `step` on, a function of the step alone: every `echo`-th is fresh, others are of the pool."""
    seen = -(-step // config.echo)  # fresh batches that the steps before this one have had
    begin = max(0, seen - config.pool) if config.echo > 1 else seen
    stop = -(-config.steps // config.echo)
    fresh = _batches(task, config, range(begin * world + rank, stop * world, world))
    pool = deque(itertools.islice(fresh, seen - begin), maxlen=config.pool)
    for now in range(step, config.steps):
        if now % config.echo == 0:
            pool.append(next(fresh))
            yield pool[-1]
        else:
            yield pool[int(np.random.default_rng([config.seed, now, rank]).integers(len(pool)))]


def _batches(task: Task, config: LoopConfig, indices: range) -> Iterator[Batch]:
    if config.workers == 0:
        return (task.batch(index, config.seed) for index in indices)
    _allow_files()
    # Spawned: a fork of a process whose libraries have threads running can wait for them for ever.
    return iter(DataLoader(_Batches(task, config.seed), batch_size=None, sampler=indices, num_workers=config.workers,
                           worker_init_fn=_one_thread, prefetch_factor=2, multiprocessing_context="spawn"))


def _allow_files() -> None:
    """As many open files as the system lets us: a worker is handed all takes, two files each."""
    with suppress(ImportError, ValueError, OSError):  # there is no such limit, or it cannot be moved
        import resource

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _one_thread(_: int) -> None:
    # Element-wise work in several threads of several processes stalls.
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _validate(task: Task, run: Run, out: Path, step: int) -> dict[str, float]:
    """Figures, and a sheet; all of a divided network is asked, so that then every process must ask."""
    main = run.accelerator.is_main_process
    if not main and run.divided is None:
        return {}
    with run.mean.shown() as network, torch.inference_mode():
        figures, sheet = task.validate(network)
    if main:
        _log(out, run.accelerator, {"step": step, "validation": figures})
        cv2.imwrite(str(out / "sheets" / f"{step:07d}.png"), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    return figures


def _log(out: Path, accelerator: Accelerator, row: dict[str, Any]) -> None:
    if accelerator.is_main_process:
        with (out / "log.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")


def _cut_log(path: Path, step: int) -> None:
    """Drop the lines that come after the state that is gone on from."""
    if not path.is_file():
        return
    lines = path.read_text().splitlines(keepends=True)
    partial = path.with_name(path.name + ".part")
    partial.write_text("".join(line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step))
    partial.replace(path)
