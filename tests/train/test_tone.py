"""Stage tone: what a person's tone is off by, and a tone that learns to put it right."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from harmovid.data.misfit import MisfitConfig
from harmovid.data.recolour import RecolourConfig
from harmovid.model.checkpoint import read_tone
from harmovid.model.tone import toned
from harmovid.train.loop import LoopConfig, train
from harmovid.train.tone import ToneStage, ToneTask, tone_change
from tests.train.tiny import HELD_OUT, TRAIN, equal, preset, staged

STAGE = ToneStage(batch=6, area=32 * 32)

pytestmark = pytest.mark.usefixtures("one_thread")


def task(stage: ToneStage = STAGE) -> ToneTask:
    return ToneTask(preset(tone=True), TRAIN, HELD_OUT, stage)


def test_the_change_of_tone_is_the_shift_and_the_contrast():
    picture = torch.rand(2, 3, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.5
    mask = torch.zeros(2, 1, 1, 32, 32)
    mask[..., 4:20, 6:30] = 1
    inside = picture[..., 4:20, 6:30]
    mean = inside.mean((2, 3, 4), keepdim=True)
    other = (picture - mean) * 1.3 + mean + torch.tensor([0.1, 0, -0.05]).reshape(1, 3, 1, 1, 1)
    change = tone_change(picture, torch.where(mask > 0, other, 0.9), mask)  # what is around them does not count
    torch.testing.assert_close(change[:, :3], torch.tensor([[0.1, 0, -0.05]]).expand(2, 3), atol=1e-5, rtol=0)
    sigma = (inside - mean).square().mean((2, 3, 4)).sqrt()
    torch.testing.assert_close(change[:, 3:], ((1.3 * sigma + 0.02) / (sigma + 0.02)).log(), atol=1e-4, rtol=0)
    assert torch.equal(tone_change(picture, picture, mask), torch.zeros(2, 6))


def test_a_batch_belongs_to_its_number_and_seed():
    made = task()
    batches = [made.batch(n, 0) for n in range(2)]
    torch.manual_seed(99)
    assert all(equal(made.batch(n, 0), batches[n]) for n in (1, 0)) and not equal(made.batch(0, 1), batches[0])
    assert batches[0]["palette"].shape[1:] == (153,) and batches[0]["change"].shape[1:] == (6,)


def test_people_of_the_light_stage_and_parts_have_figures_of_their_own():
    made = ToneTask(preset(tone=True), staged(), staged(), STAGE)
    with torch.inference_mode():
        figures, _ = made.validate(made.module.eval())
    for kind in ("relit", "part"):
        assert figures[f"{kind}_gain"] == pytest.approx(0, abs=1e-5)
        assert {f"{kind}_worse", f"{kind}_amplitude"} <= figures.keys()


def test_the_loss_is_a_function_of_the_seed():
    made = task()
    with torch.no_grad():
        made.module.layers[-1].weight.normal_(generator=torch.Generator().manual_seed(0))
    batch = made.batch(0, 0)
    first, again, other = (made.loss(made.module, batch, seed)["loss"] for seed in (5, 5, 6))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_it_learns_what_a_palette_tells_and_is_kept(tmp_path):
    # Where only the person's light was made wrong, the scene tells of the right one.
    alone = MisfitConfig(RecolourConfig(share=0), scene=0, setting=0, recast=0, placed=0)
    stage = ToneStage(batch=16, area=32 * 32, misfit=alone)
    made = ToneTask(preset(tone=True), TRAIN, TRAIN, stage)  # two clips tell nothing of a third
    with torch.inference_mode():
        fresh, sheet = made.validate(made.module.eval())
    assert fresh["gain"] == pytest.approx(0, abs=1e-5) and fresh["amplitude"] == pytest.approx(0, abs=1e-5)
    assert sheet.dtype == np.uint8 and sheet.ndim == 3
    figures = train(made, LoopConfig(steps=300, echo=10, warmup=10, lr=3e-3, ema=0.95, validate_every=300,
                                     save_every=300), tmp_path / "run")
    assert figures["gain"] > 1 and figures["amplitude"] > 0.3
    kept = read_tone(tmp_path / "run" / "model", made.preset)
    batch = made.batch(7, 3)
    slope, offset = kept.curves(batch["palette"])
    assert slope.shape == offset.shape == (len(batch["palette"]), 3)
    assert json.loads((tmp_path / "run" / "model" / "training.json").read_text())["stage"] == "tone"
    assert toned(torch.rand(1, 3, 2, 8, 8), torch.zeros(1, 1, 2, 8, 8), slope[:1], offset[:1]).shape == (1, 3, 2, 8, 8)
