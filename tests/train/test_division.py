"""A network divided among two processes learns what the same two learn that each hold all of it."""

from __future__ import annotations

import json
import os
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harmovid.errors import InputError
from harmovid.train.division import _layers, number
from harmovid.train.loop import Batch, LoopConfig, train

CONFIG = LoopConfig(steps=12, lr=0.05, warmup=3, ema=0.9, validate_every=6, save_every=4, log_every=1)


class Blocks(nn.Module):
    """Two blocks in a row, and something beside them; of what is frozen nothing is learned."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first = nn.Linear(4, 6)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(6, 7), nn.GELU(), nn.Linear(7, 6)) for _ in range(2))
        self.frozen = nn.Linear(6, 6).requires_grad_(False)
        self.register_buffer("shift", torch.ones(6))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return self.frozen(x) + self.shift


class Task:
    """Fit a random function; the process stops before the batch `killed`."""

    name = "blocks"

    def __init__(self, killed: int | None = None) -> None:
        self.module: nn.Module = Blocks()
        self.killed = killed

    def batch(self, index: int, seed: int) -> Batch:
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(1000 * seed + index))
        return {"x": x, "y": x.sin() @ torch.ones(4, 6), "index": torch.tensor(index)}

    def loss(self, module: nn.Module, batch: Batch, seed: int) -> dict[str, Tensor]:
        if self.killed is not None and int(batch["index"]) >= self.killed:
            raise KeyboardInterrupt
        return {"loss": (module(batch["x"]) - batch["y"]).square().mean()}

    def validate(self, module: nn.Module) -> tuple[dict[str, float], np.ndarray]:
        batch = self.batch(10_000, 1)
        return ({"error": float((module(batch["x"]) - batch["y"]).square().mean())}, np.zeros((4, 4, 3), np.uint8))

    def save(self, module: nn.Module, folder: Path, record: dict[str, Any]) -> None:
        folder.mkdir()
        torch.save(module.state_dict(), folder / "weights.pt")
        (folder / "training.json").write_text(json.dumps(record))


def _one_of_two(rank: int, port: int, root: Path) -> None:
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1",
                      MASTER_PORT=str(port), ACCELERATE_USE_CPU="true")
    torch.set_num_threads(1)
    divided = replace(CONFIG, divide=True)
    train(Task(), CONFIG, root / "whole")
    held = Task()
    train(held, divided, root / "divided")
    torch.save([p.to_local().numel() for p in held.module.parameters()], root / f"held{rank}.pt")  # type: ignore[operator]
    try:
        train(Task(killed=18), divided, root / "killed")
    except KeyboardInterrupt:
        torch.distributed.barrier()
    if rank == 0:
        shutil.copytree(root / "killed", root / "cut")
    torch.distributed.barrier()
    train(Task(), divided, root / "killed", resume=True)
    (root / f"refused{rank}").write_text(_refusal(root / "cut"))


def _refusal(out: Path) -> str:
    try:
        train(Task(), CONFIG, out, resume=True)
    except InputError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_one_of_two, (port, root), nprocs=2)
    return root


def rows(out: Path, name: str) -> list[float]:
    return [row[name] for row in map(json.loads, (out / "log.jsonl").read_text().splitlines()) if name in row]


@pytest.mark.slow
def test_it_learns_the_same_and_each_process_holds_a_part(runs):
    for name in ("loss", "norm", "lr"):
        assert rows(runs / "divided", name) == pytest.approx(rows(runs / "whole", name), rel=1e-4)
    assert len(rows(runs / "divided", "loss")) == 12
    ours, theirs = (torch.load(runs / name / "model" / "weights.pt") for name in ("divided", "whole"))
    assert ours.keys() == theirs.keys()
    for name, weight in ours.items():
        torch.testing.assert_close(weight, theirs[name], rtol=0, atol=1e-5)
    assert not torch.equal(ours["first.weight"], Blocks().state_dict()["first.weight"])
    records = [json.loads((runs / name / "model" / "training.json").read_text()) for name in ("divided", "whole")]
    assert records[0]["figures"]["error"] == pytest.approx(records[1]["figures"]["error"], rel=1e-4)
    held = np.array([torch.load(runs / f"held{rank}.pt") for rank in range(2)])
    assert (held.sum(0) == [p.numel() for p in Blocks().parameters()]).all() and (held[0] > 0).all()
    assert held[0].sum() < 0.7 * held.sum()


@pytest.mark.slow
def test_a_killed_run_goes_on_the_same(runs):
    assert rows(runs / "killed", "loss") == rows(runs / "divided", "loss")
    ours, theirs = (torch.load(runs / name / "model" / "weights.pt") for name in ("killed", "divided"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.slow
def test_a_divided_state_is_not_gone_on_from_whole(runs):
    for rank in range(2):
        assert "divided among several processes where this is one" in (runs / f"refused{rank}").read_text()


def test_the_blocks_are_the_longest_row_of_layers():
    module = Blocks()
    assert _layers(module) == list(module.blocks) and _layers(nn.Linear(2, 2)) == []


def test_a_number_that_is_not_divided_is_itself():
    assert number(torch.tensor(2.5)) == 2.5
