"""The loop: batches are a function of seed and number, and a run that was killed goes on as if it had not been."""

from __future__ import annotations

import json
import math
import os
import shutil
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harmovid.errors import InputError, OptionError, OutputError
from harmovid.train import loop
from harmovid.train.loop import Batch, LoopConfig, train

CONFIG = LoopConfig(steps=24, lr=0.05, warmup=3, ema=0.9, validate_every=8, save_every=5, log_every=2)


pytestmark = pytest.mark.usefixtures("one_thread")


class Killed(BaseException):
    pass


class Line(nn.Module):
    """y = weight · x + bias."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


class Regression:
    """The task: x is a function of seed and index, y a known line with a little noise of the loss's own seed.

    killed: after so many steps. spoilt: the step whose loss is not a number.
    """

    name = "regression"

    def __init__(self, killed: int | None = None, spoilt: int | None = None) -> None:
        torch.manual_seed(0)
        self.module: nn.Module = Line()
        self.killed, self.spoilt = killed, spoilt
        self.asked: list[int] = []
        self.weights: list[Tensor] = []
        self.saved: dict[str, Any] = {}

    def batch(self, index: int, seed: int) -> Batch:
        self.asked.append(index)
        x = torch.randn(16, 4, generator=torch.Generator().manual_seed(1000 * seed + index))
        return {"x": x, "y": x @ torch.tensor([1.0, -2.0, 3.0, 0.5])[:, None] + 0.3, "index": torch.tensor(index)}

    def loss(self, module: nn.Module, batch: Batch, seed: int) -> dict[str, Tensor]:
        index = int(batch["index"])
        if index == self.killed:
            raise Killed
        noise = 0.1 * torch.randn(16, 1, generator=torch.Generator().manual_seed(seed))
        if index == self.spoilt:
            noise = noise * torch.nan
        error = (module(batch["x"]) - batch["y"] - noise).square().mean()
        self.weights.append(next(module.parameters()).detach().clone())
        return {"loss": error, "index": batch["index"]}

    def validate(self, module: nn.Module) -> tuple[dict[str, float], np.ndarray]:
        assert not module.training and torch.is_inference_mode_enabled()
        return {"weight": float(module.linear.weight[0, 0])}, np.full((6, 8, 3), (255, 0, 0), np.uint8)

    def save(self, module: nn.Module, folder: Path, record: dict[str, Any]) -> None:
        folder.mkdir(exist_ok=True)
        torch.save(module.state_dict(), folder / "weights.pt")
        (folder / "training.json").write_text(json.dumps(record))


def weights(out: Path) -> dict[str, Tensor]:
    return torch.load(out / "model" / "weights.pt")


def log(out: Path) -> list[dict[str, Any]]:
    """Without what differs from run to run."""
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds_per_step"} for row in rows]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("whole") / "run"
    train(Regression(), CONFIG, out)
    return out


def same(out: Path, whole: Path) -> None:
    assert log(out) == log(whole)
    ours, theirs = weights(out), weights(whole)
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_run_leaves_log_sheets_state_and_model(whole):
    rows = log(whole)
    steps = [row["step"] for row in rows if "loss" in row]
    assert steps == sorted({*range(2, 25, 2), *range(5, 25, 5)})  # log_every, and wherever a state is kept
    assert [row["step"] for row in rows if "validation" in row] == [8, 16, 24]
    assert all({"loss", "index", "norm", "lr"} <= row.keys() for row in rows if "loss" in row)
    assert [row["index"] for row in rows if "loss" in row] == [step - 1 for step in steps]
    sheets = sorted((whole / "sheets").iterdir())
    assert [path.name for path in sheets] == ["0000008.png", "0000016.png", "0000024.png"]
    assert (cv2.imread(str(sheets[0]))[..., ::-1] == (255, 0, 0)).all()  # RGB
    assert sorted(path.name for path in whole.iterdir()) == ["log.jsonl", "model", "sheets", "state"]
    record = json.loads((whole / "model" / "training.json").read_text())
    assert record == {"stage": "regression", "steps": 24, "figures": rows[-1]["validation"]}


def test_it_learns_the_line(tmp_path):
    task = Regression()
    figures = train(task, replace(CONFIG, steps=150, warmup=5, lr=0.2, clip=10), tmp_path)
    assert figures["weight"] == pytest.approx(1, abs=0.1)
    torch.testing.assert_close(weights(tmp_path)["linear.weight"], torch.tensor([[1, -2, 3, 0.5]]), rtol=0, atol=0.1)


@pytest.mark.parametrize("killed", [3, 5, 7, 16, 23])
def test_a_killed_run_goes_on_the_same_to_the_bit(killed, whole, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(Killed):
        train(Regression(killed), CONFIG, out)
    assert (out / "state").is_dir() == (killed >= 5) and not (out / "model").exists()
    task = Regression()
    train(task, CONFIG, out, resume=True)
    assert task.asked == list(range(killed // 5 * 5, 24))  # from the last state, not from the beginning
    same(out, whole)


@pytest.mark.parametrize("echo", [2, 3])
def test_batches_are_echoed_while_they_are_in_the_pool(echo, tmp_path):
    config = replace(CONFIG, steps=90, echo=echo, pool=4, save_every=200, log_every=1)
    task = Regression()
    train(task, config, tmp_path)
    assert task.asked == list(range(90 // echo))
    trained = [int(row["index"]) for row in log(tmp_path) if "loss" in row]
    fresh = np.arange(90) // echo
    assert trained[::echo] == list(range(90 // echo))  # every fresh one at once
    assert (fresh - 3 <= trained).all() and (trained <= fresh).all()
    assert np.bincount(trained)[4:-4].mean() == pytest.approx(echo, rel=0.15) and np.bincount(trained).max() > echo


@pytest.mark.parametrize("killed", [3, 5, 7])
def test_a_killed_run_with_echoes_goes_on_the_same_to_the_bit(killed, tmp_path):
    config = replace(CONFIG, echo=3, pool=4)
    train(Regression(), config, tmp_path / "whole")
    with pytest.raises(Killed):
        train(Regression(killed), config, tmp_path / "run")
    train(Regression(), config, tmp_path / "run", resume=True)
    same(tmp_path / "run", tmp_path / "whole")


def test_a_run_may_be_killed_again_and_again(whole, tmp_path):
    for killed in (2, 6, 12, 13, 22):
        with pytest.raises(Killed):
            train(Regression(killed), CONFIG, tmp_path / "run", resume=True)
    train(Regression(), CONFIG, tmp_path / "run", resume=True)
    same(tmp_path / "run", whole)


def test_a_state_that_was_being_replaced_is_put_back(whole, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(Killed):
        train(Regression(12), CONFIG, out)
    os.replace(out / "state", out / "state.old")  # killed between two renames
    (out / "state.part").mkdir()
    task = Regression()
    train(task, CONFIG, out, resume=True)
    assert task.asked[0] == 10
    same(out, whole)
    assert not list(out.glob("state.*"))


def test_log_lines_after_the_state_and_half_a_line_are_cut(whole, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(Killed):
        train(Regression(9), CONFIG, out)
    assert log(out)[-1]["step"] == 8  # the state is of step 5
    with (out / "log.jsonl").open("a") as file:
        file.write('{"step": 3, "validation": {"weight": 1.0}')
    train(Regression(), CONFIG, out, resume=True)
    same(out, whole)


def test_a_run_that_is_over_is_not_gone_on_with(whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    task = Regression()
    figures = train(task, CONFIG, out, resume=True)
    assert task.asked == [] and figures == log(whole)[-1]["validation"]
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("lost", ["model", "training.json", "half of training.json", "longer before"])
def test_a_model_that_was_not_written_whole_is_written_again(lost, whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    record = out / "model" / "training.json"
    if lost == "model":
        shutil.rmtree(out / "model")
    elif lost == "longer before":
        record.write_text(json.dumps({**json.loads(record.read_text()), "steps": 1}))
    elif lost == "training.json":
        record.unlink()
    else:
        record.write_text(record.read_text()[:9])
    task = Regression()
    train(task, CONFIG, out, resume=True)
    assert task.asked == [] and torch.equal(weights(out)["linear.weight"], weights(whole)["linear.weight"])
    assert json.loads(record.read_text()) == json.loads((whole / "model" / "training.json").read_text())


def test_a_folder_that_holds_a_run_is_not_written_over(whole):
    before = log(whole)
    with pytest.raises(OutputError, match="holds a run already; pass --resume"):
        train(Regression(), CONFIG, whole)
    assert log(whole) == before


def test_without_a_state_resume_begins(whole, tmp_path):
    train(Regression(), CONFIG, tmp_path / "new", resume=True)
    same(tmp_path / "new", whole)


@pytest.mark.parametrize("damage", ["run.pt", "model.safetensors", "optimizer.bin", "empty run.pt", "other model"])
def test_a_damaged_state_is_named(damage, whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    task = Regression()
    if damage == "other model":
        task.module = nn.Linear(5, 2)
    else:
        path = out / "state" / damage.removeprefix("empty ")
        path.write_bytes(b"" if damage.startswith("empty") else path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"the state in .* cannot be gone on from .*start anew with another --out"):
        train(task, replace(CONFIG, steps=30), out, resume=True)


def test_it_is_told_that_it_has_begun_once_the_state_is_read(whole, tmp_path):
    out, begun = tmp_path / "run", []
    train(Regression(), CONFIG, tmp_path / "new", begun=lambda: begun.append("new"))
    shutil.copytree(whole, out)
    train(Regression(), replace(CONFIG, steps=26), out, resume=True, begun=lambda: begun.append("resumed"))
    (out / "state" / "run.pt").write_bytes(b"")
    with pytest.raises(InputError):
        train(Regression(), replace(CONFIG, steps=30), out, resume=True, begun=lambda: begun.append("damaged"))
    assert begun == ["new", "resumed"]


def test_a_state_of_torch_s_own_mean_goes_on_the_same_to_the_bit(whole, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(Killed):
        train(Regression(12), CONFIG, out)
    kept = torch.load(out / "state" / "run.pt")
    count = kept.pop("count")
    kept["averaged"] = {"n_averaged": torch.tensor(count), **{f"module.{k}": v for k, v in kept["averaged"].items()}}
    torch.save(kept, out / "state" / "run.pt")
    train(Regression(), CONFIG, out, resume=True)
    same(out, whole)


def test_a_state_that_cannot_be_written_is_a_sentence(tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("[enforce fail] unexpected pos 64 vs 0\nand more")

    monkeypatch.setattr(loop.torch, "save", full)
    with pytest.raises(OutputError, match=r"state.part cannot be written \(.*unexpected pos.*\); free some space"):
        train(Regression(), CONFIG, tmp_path / "run")
    assert not (tmp_path / "run" / "state").exists()


def test_averaged_weights_are_what_the_formula_says(whole, tmp_path):
    task = Regression()
    train(task, CONFIG, tmp_path / "run")
    seen = [*task.weights[1:], next(task.module.parameters()).detach()]  # after each step
    average = seen[0]
    for count, now in enumerate(seen[1:], 1):
        decay = min(0.9, (1 + count) / (10 + count))
        average = decay * average + (1 - decay) * now
    torch.testing.assert_close(weights(tmp_path / "run")["linear.weight"], average, rtol=0, atol=1e-6)
    assert not torch.allclose(average, seen[-1], atol=1e-3)


def test_the_learning_rate_rises_and_falls_as_a_cosine(tmp_path):
    config = replace(CONFIG, steps=40, warmup=4, lr=0.1, final_lr=0.01, log_every=1)
    train(Regression(), config, tmp_path)
    rates = [row["lr"] for row in log(tmp_path) if "loss" in row]
    assert len(rates) == 40
    for step, rate in enumerate(rates):
        cosine = 0.01 + 0.99 * (1 + math.cos(math.pi * step / 40)) / 2
        assert rate == pytest.approx(0.1 * cosine * min(1, (step + 1) / 4))
    assert rates[-1] == pytest.approx(0.1 * 0.01, rel=0.2)
    assert loop._Cosine(config, torch.device("cpu"))(40) == pytest.approx(0.01)


def test_minutes_end_the_run_and_its_state_knows_how_many_were_spent(tmp_path, monkeypatch):
    now = 0.0
    monkeypatch.setattr(loop.time, "monotonic", lambda: now)

    class Slow(Regression):
        def loss(self, module: nn.Module, batch: Batch, seed: int) -> dict[str, Tensor]:
            nonlocal now
            now += 6
            return super().loss(module, batch, seed)

    config = replace(CONFIG, steps=1000, minutes=1.0, warmup=0, log_every=1)
    task = Slow(killed=7)
    with pytest.raises(Killed):
        train(task, config, tmp_path)
    task = Slow()
    train(task, config, tmp_path, resume=True)
    assert task.asked == [5, 6, 7, 8, 9]  # ten steps of six seconds, the two that were lost not counted
    rows = log(tmp_path)
    assert rows[-1]["step"] == 10 and rows[-1].keys() == {"step", "validation"}
    rates = [row["lr"] for row in rows if "loss" in row]
    assert rates == pytest.approx([0.05 * (0.01 + 0.99 * (1 + math.cos(math.pi * n / 10)) / 2) for n in range(10)])
    assert (tmp_path / "model").is_dir()
    task = Slow()
    train(task, config, tmp_path, resume=True)
    assert task.asked == []


def _one_of_two(rank: int, port: int, out: str) -> None:
    """Train as one of two processes, of which the second has a clock that runs five times as fast."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1",
                      MASTER_PORT=str(port), ACCELERATE_USE_CPU="true")
    torch.set_num_threads(1)
    clock = time.monotonic
    loop.time.monotonic = lambda: clock() * (1 + 4 * rank)  # type: ignore[method-assign]

    class Slow(Regression):
        def loss(self, module: nn.Module, batch: Batch, seed: int) -> dict[str, Tensor]:
            time.sleep(0.01)
            return super().loss(module, batch, seed)

    task = Slow()
    train(task, replace(CONFIG, steps=10_000, minutes=0.1, validate_every=10_000, save_every=10_000), Path(out))
    torch.save({"weights": task.weights, "asked": task.asked, "end": task.module.state_dict()}, f"{out}-{rank}.pt")


@pytest.mark.slow
def test_minutes_are_the_main_process_s(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_one_of_two, (port, str(tmp_path / "run")), nprocs=2)
    one, other = (torch.load(tmp_path / f"run-{rank}.pt") for rank in range(2))
    assert len(one["weights"]) == len(other["weights"]) > 10 and not set(one["asked"]) & set(other["asked"])
    for ours, theirs in zip(one["weights"], other["weights"], strict=True):
        assert torch.equal(ours, theirs)
    assert all(torch.equal(one["end"][name], other["end"][name]) for name in one["end"])


def test_a_loss_that_is_no_number_ends_the_run_before_it_is_kept(tmp_path):
    with pytest.raises(InputError, match=r"the loss is nan.* at step 8; lower --set loop.lr and --resume"):
        train(Regression(spoilt=6), replace(CONFIG, log_every=4), tmp_path / "run")
    train(Regression(), replace(CONFIG, log_every=4, lr=0.01), tmp_path / "run", resume=True)
    assert weights(tmp_path / "run")["linear.weight"].isfinite().all()
    # Also where the log would not have looked.
    with pytest.raises(InputError, match="at step 5"):
        train(Regression(spoilt=4), replace(CONFIG, log_every=100), tmp_path / "other")
    assert not (tmp_path / "other" / "state").exists()


def test_a_gradient_that_is_no_number_is_none_either(tmp_path):
    class Steep(Regression):
        def loss(self, module: nn.Module, batch: Batch, seed: int) -> dict[str, Tensor]:
            parts = super().loss(module, batch, seed)
            return {"loss": parts["loss"] + 0 * (module(batch["x"]) * 0).sqrt().sum()}  # 0, its gradient 0 · ∞

    with pytest.raises(InputError, match="its gradient nan at step 2"):
        train(Steep(), CONFIG, tmp_path)


def test_workers_make_the_same_batches(whole, tmp_path):
    task = Regression()
    task.module.hook = lambda: None  # what cannot be handed to another process, which needs no network
    train(task, replace(CONFIG, workers=1), tmp_path / "run")
    same(tmp_path / "run", whole)


def test_another_seed_is_another_run(whole, tmp_path):
    train(Regression(), replace(CONFIG, seed=1), tmp_path / "run")
    assert log(tmp_path / "run") != log(whole)


def test_progress_is_told_after_every_step(tmp_path):
    told = []
    train(Regression(), replace(CONFIG, steps=3), tmp_path, progress=lambda *what: told.append(what))
    assert told == [("regression", n, 3) for n in (1, 2, 3)]


def test_biases_do_not_decay():
    groups = loop._groups(nn.Sequential(nn.Conv2d(3, 4, 1), nn.LayerNorm(4)), CONFIG)
    assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(1, 0.01), (3, 0.0)]
    frozen = nn.Linear(2, 2).requires_grad_(False)
    assert not any(group["params"] for group in loop._groups(frozen, CONFIG))


@pytest.mark.parametrize("values", [{"steps": 0}, {"ema": 1.0}, {"ema": -0.1}, {"minutes": 0}, {"log_every": 0},
                                    {"validate_every": 0}, {"save_every": 0}])
def test_settings_without_meaning_are_refused(values):
    with pytest.raises(OptionError, match=f"--set loop.{next(iter(values))}"):
        LoopConfig(**values)
