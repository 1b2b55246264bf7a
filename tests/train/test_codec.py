"""Stage codec: pictures of every kind, and a codec that loads."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from harmovid.model.codec import CausalCodec
from harmovid.train.codec import Codec, CodecStage
from harmovid.train.loop import train
from tests.train.tiny import CLIPS, HELD_OUT, LOOP, TRAIN, equal, preset

pytestmark = pytest.mark.usefixtures("one_thread")


def codec_stage(**settings: object) -> Codec:
    return Codec(preset(), TRAIN, HELD_OUT, CodecStage(**{"lengths": CLIPS, **settings}))


def test_a_batch_belongs_to_its_number_and_seed():
    task = codec_stage()
    batches = [task.batch(n, 0) for n in range(3)]
    torch.manual_seed(99)
    assert all(equal(task.batch(n, 0), batches[n]) for n in (2, 0, 1))
    assert not equal(batches[0], batches[1]) and not equal(task.batch(0, 1), batches[0])


def test_a_batch_of_codec_is_pictures_of_every_kind():
    task = codec_stage(flat=1.0)
    video = task.batch(0, 0)["video"]
    assert video.shape[:3] == (2, 3, 13) and 0 <= video.min() and video.max() <= 1
    assert torch.equal(video, video[:, :, :1, :1].expand_as(video))  # flat, or a ramp from left to right
    plain = codec_stage(flat=0.0, degraded=0.0).batch(0, 0)["video"]
    wrong = codec_stage(flat=0.0, degraded=1.0).batch(0, 0)["video"]
    assert plain.shape == wrong.shape == video.shape and not torch.equal(plain, wrong)
    assert plain.std((3, 4)).min() > 0.01


def test_codec_validates_trains_and_is_kept(tmp_path):
    task = codec_stage()
    with torch.inference_mode():
        figures, sheet = task.validate(task.module.eval())
    assert figures.keys() == {"psnr", "psnr_worst", "white_off", "first_frame_off", "first_frame_mean"}
    assert all(np.isfinite(value) for value in figures.values()) and figures["psnr_worst"] <= figures["psnr"]
    assert sheet.dtype == np.uint8 and sheet.ndim == 3 and sheet.shape[2] == 3

    before = [p.detach().clone() for p in task.module.parameters()]
    train(task, LOOP, tmp_path / "run")
    assert any(not torch.equal(old, new) for old, new in zip(before, task.module.parameters(), strict=True))
    made = CausalCodec.from_pretrained(tmp_path / "run" / "model").eval()
    with torch.inference_mode():
        latents = torch.cat([made.encode(task.batch(n, 1_000_003)["video"]).transpose(0, 1).flatten(1)
                             for n in range(12)], 1)
    torch.testing.assert_close(latents.mean(1), torch.zeros(16), rtol=0, atol=1e-3)
    torch.testing.assert_close(latents.std(1), torch.ones(16), rtol=0, atol=1e-3)
    record = json.loads((tmp_path / "run" / "model" / "training.json").read_text())
    assert record["stage"] == "codec" and record["steps"] == 2 and record["settings"]["degraded"] == 0.3
    assert record["figures"].keys() == figures.keys()


def test_the_loss_is_a_function_of_the_seed():
    task = codec_stage()
    batch = task.batch(0, 0)
    first, again, other = (task.loss(task.module, batch, seed) for seed in (5, 5, 6))
    assert all(part.ndim == 0 and part.isfinite() for part in first.values())
    assert torch.equal(first["loss"], again["loss"]) and not torch.equal(first["loss"], other["loss"])
