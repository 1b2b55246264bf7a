"""Stage harmoim: single frames, sampled in steps; and what dropout leaves of what a network is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from harmovid.data.dataset import Footage
from harmovid.infer.framewise import FrameWise, harmonizer
from harmovid.model import checkpoint
from harmovid.model.presets import frame_wise
from harmovid.train.harmoim import Harmoim, HarmoimStage
from harmovid.train.loop import train
from harmovid.train.stages import Length
from tests.data.footage import shard
from tests.train.tiny import LOOP, TRAIN, codec, equal, preset

STAGE = HarmoimStage(lengths=(Length(1, 4, 1.0),))
HELD_OUT = Footage([shard("c", 9, seed=3)])

pytestmark = pytest.mark.usefixtures("one_thread")


def harmoim(stage: HarmoimStage = STAGE) -> Harmoim:
    return Harmoim(frame_wise(preset()), codec(), TRAIN, HELD_OUT, stage)


def test_batches_are_of_single_frames_that_belong_to_their_number() -> None:
    task = harmoim()
    first, second = task.batch(0, 0), task.batch(1, 0)
    assert first["target"].shape[:3] == (4, 16, 1) and not equal(first, second)
    assert equal(harmoim().batch(1, 0), second)


def test_validation_is_of_single_frames_as_it_is_used() -> None:
    task = harmoim()
    seen: list[int] = []
    task.module.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape[2]))
    figures, _ = task.validate(task.module)
    assert seen and set(seen) == {1} and "gain" in figures


def test_dropout_takes_background_overview_and_palette_and_leaves_the_person() -> None:
    whole, none = (harmoim(replace(STAGE, dropout=share)).batch(2, 0) for share in (0.0, 1.0))
    assert whole["conditions"][:, 16:48].abs().sum() > 0 and whole["palette"].abs().sum() > 0
    assert not none["conditions"][:, 16:48].any() and not none["palette"].any()
    kept = [channel for channel in range(304) if not 16 <= channel < 48]
    assert torch.equal(none["conditions"][:, kept], whole["conditions"][:, kept])
    assert torch.equal(none["target"], whole["target"]) and torch.equal(none["cover"], whole["cover"])
    some = [harmoim(replace(STAGE, dropout=0.5)).batch(n, 0) for n in range(4)]
    lost = torch.cat([~batch["palette"].any(1) for batch in some])
    assert 0 < lost.sum() < len(lost)
    assert torch.equal(lost, torch.cat([~batch["conditions"][:, 16:48].flatten(1).any(1) for batch in some]))


def test_validation_samples_in_steps_with_the_same_noise_each_time() -> None:
    task = harmoim()
    batch = task.batch(0, 0)
    noise = torch.randn(batch["target"].shape, generator=torch.Generator().manual_seed(1))
    seen: list[int] = []
    task.module.register_forward_pre_hook(lambda module, given: seen.append(int(given[2][0])))
    answer = task.answer(task.module, batch, noise)
    assert answer.shape == noise.shape and seen == task.schedule.timesteps(8).tolist()
    assert torch.equal(task.answer(task.module, batch, noise), answer)


def test_a_trained_one_works_frame_by_frame(tmp_path) -> None:
    figures = train(harmoim(), LOOP, tmp_path / "run")
    assert figures["psnr"] > 0
    loaded = checkpoint.load(tmp_path / "run" / "model")
    assert loaded.preset == frame_wise(preset()) and isinstance(harmonizer(loaded), FrameWise)
