"""Stage deflicker: what it draws, what it is held to, and a run from beginning to checkpoint."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harmovid.data.dataset import Footage
from harmovid.data.flicker import FlickerConfig, MovingConfig
from harmovid.errors import InputError
from harmovid.infer.deflicker import Deflickering
from harmovid.infer.framewise import harmonizer
from harmovid.model import checkpoint
from harmovid.model.presets import deflickering
from harmovid.train import deflicker as stage_module
from harmovid.train.deflicker import Deflicker, DeflickerStage
from harmovid.train.loop import Batch, train
from tests.data.footage import pair, shard
from tests.infer.test_network import Averages
from tests.train.tiny import CLIPS, HELD_OUT, LOOP, TRAIN, codec, equal, preset, staged

PLAIN = DeflickerStage(lengths=CLIPS, begun=0, strided=0, own=1.0, paired=0, performed=0, whole=0,
                       flicker=FlickerConfig(untouched=0), moving=MovingConfig(share=0))

pytestmark = pytest.mark.usefixtures("one_thread")


class Pixels(Deflicker):
    """Keeps what it would have encoded."""

    def encoded(self, target: Tensor, composite: Tensor, plate: Tensor, overview: Tensor, mask: Tensor) -> Batch:
        self.seen = {"target": target, "composite": composite, "plate": plate, "mask": mask}
        return super().encoded(target, composite, plate, overview, mask)


def deflicker(stage: DeflickerStage = PLAIN, train: Footage = TRAIN) -> Deflicker:
    return Deflicker(deflickering(preset()), codec(), train, HELD_OUT, stage)


def pixels(index: int, stage: DeflickerStage = PLAIN, train: Footage = TRAIN) -> dict[str, Tensor]:
    task = Pixels(deflickering(preset()), codec(), train, HELD_OUT, stage)
    task.batch(index, 0)
    return task.seen


def paired() -> Footage:
    """Clip a, and what became of its frames 2 to 14: blue."""
    return Footage([shard("a")], pairs=[pair(shard("a", colour=(0.1, 0.1, 0.9)), 2, 13)])


def test_batches_are_of_clips_alone_and_belong_to_their_number() -> None:
    task = deflicker(replace(PLAIN, whole=0.5, moving=MovingConfig()))
    first, second = task.batch(0, 0), task.batch(1, 0)
    assert first["target"].shape[:3] == (2, 16, 4) and not first["conditions"][:, 16:48].any()
    assert not equal(first, second) and equal(deflicker(task.stage).batch(1, 0), second)
    assert all(int(take) != 2 for take in TRAIN.videos)  # the photo


def test_the_person_jumps_and_what_is_behind_does_not() -> None:
    seen = pixels(0)
    outside = (seen["mask"] == 0).expand_as(seen["target"])
    inside = (seen["mask"] > 0.99).expand_as(seen["target"])
    torch.testing.assert_close(seen["composite"][outside], seen["plate"][outside], rtol=0, atol=1e-4)
    off = seen["composite"] - seen["target"]
    assert off[inside].abs().mean() > 0.01
    jumps = (off * inside).mean((1, 3, 4)).diff().abs().mean()
    assert jumps > 0.002


def test_a_whole_picture_jumps_under_a_mask_of_ones() -> None:
    seen = pixels(0, replace(PLAIN, whole=1.0))
    assert (seen["mask"] == 1).all()
    off = (seen["composite"] - seen["target"]).abs().mean((0, 1, 2))
    assert (off > 1e-3).float().mean() > 0.95


def test_light_that_moves_is_in_the_target_too() -> None:
    calm = replace(PLAIN, flicker=FlickerConfig(untouched=1))
    still, moving = (pixels(0, replace(calm, moving=MovingConfig(share=share))) for share in (0.0, 1.0))
    assert not torch.equal(still["target"], moving["target"])
    inside = (moving["mask"] == 1).expand_as(moving["target"])
    torch.testing.assert_close(moving["composite"][inside], moving["target"][inside], rtol=0, atol=1e-3)


def test_a_pair_goes_onto_the_plate_of_its_clip_which_is_the_target() -> None:
    seen = pixels(0, replace(PLAIN, paired=1.0), paired())
    inside = (seen["mask"] > 0.99)[:, 0]
    red, _, blue = (seen["composite"][:, channel][inside].mean() for channel in range(3))
    assert blue > 3 * red
    red, _, blue = (seen["target"][:, channel][inside].mean() for channel in range(3))
    assert red > 3 * blue  # filmed so
    outside = (seen["mask"] == 0).expand_as(seen["target"])
    assert (seen["composite"] - seen["target"])[outside].abs().max() < 0.05


def test_a_performance_jumps_between_two_of_its_lights() -> None:
    seen = pixels(0, replace(PLAIN, performed=1.0), staged())
    inside = (seen["mask"] > 0.99).expand_as(seen["target"])
    assert (seen["composite"] - seen["target"])[inside].abs().mean() > 0.005


def test_photos_alone_are_refused() -> None:
    photos = Footage([shard("photo", 1)])
    with pytest.raises(InputError, match="there are no clips among the shards"):
        Deflicker(deflickering(preset()), codec(), photos, HELD_OUT, PLAIN)


def test_validation_tells_who_does_nothing_who_smooths_and_who_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Deflicker(deflickering(preset()), Averages(), TRAIN, HELD_OUT, PLAIN)  # type: ignore[arg-type]
    with torch.inference_mode():
        nothing, sheet = task.validate(task.module.eval())
    assert nothing["gain"] == pytest.approx(0, abs=1e-3) and nothing["removed"] == pytest.approx(0, abs=1e-3)
    assert nothing["jitter_composite"] > 0.01 and nothing["moving_slope"] > 0.5
    assert sheet.dtype == np.uint8 and sheet.shape[2] == 3
    with torch.inference_mode():
        assert task.validate(task.module)[0] == nothing

    def validated(given: object) -> dict[str, float]:
        truths: list[Tensor] = []
        encoded = task.encoded

        def noted(*parts: Tensor) -> Batch:
            batch = encoded(*parts)
            truths.append(batch["target"])
            return batch

        class Answers(nn.Module):
            def forward(self, noisy: Tensor, conditions: Tensor, steps: Tensor, palette: Tensor | None) -> Tensor:
                return -(truths[-1] if given == "truth" else conditions[:, :16].mean(2, keepdim=True).expand_as(noisy))

        with monkeypatch.context() as patched, torch.inference_mode():
            patched.setattr(task, "encoded", noted)
            return task.validate(Answers())[0]

    knows, smooths = validated("truth"), validated("mean")
    assert knows["psnr"] == pytest.approx(100) and knows["removed"] == pytest.approx(1, abs=1e-3)
    assert knows["moving_correlation"] == pytest.approx(1) and knows["moving_slope"] == pytest.approx(1)
    assert abs(smooths["moving_slope"]) < 0.5 < knows["moving_slope"] and smooths["still"] < knows["still"]


def test_jitter_is_the_one_that_results_are_scored_by() -> None:
    from harmovid.evaluate.temporal import luminance_jitter

    random = torch.Generator().manual_seed(0)
    truth = 0.2 + 0.6 * torch.rand(1, 3, 6, 32, 32, generator=random)
    result = (truth * (0.8 + 0.4 * torch.rand(1, 1, 6, 1, 1, generator=random))).clamp(0, 1)
    mask = torch.ones(1, 1, 6, 32, 32)
    frames = [x[0].permute(1, 2, 3, 0).contiguous().numpy() for x in (result, truth, mask)]
    assert stage_module._jitter(result, truth, mask) == pytest.approx(
        luminance_jitter(frames[0], frames[1], frames[2][..., 0]), rel=0.1)  # ours is lifted off black a little


def test_a_run_ends_in_a_model_that_steadies(tmp_path) -> None:
    figures = train(deflicker(), LOOP, tmp_path / "run")
    assert {"psnr", "removed", "still", "moving_correlation", "moving_slope"} <= figures.keys()
    loaded = checkpoint.load(tmp_path / "run" / "model")
    assert loaded.preset == deflickering(preset()) and isinstance(harmonizer(loaded), Deflickering)
    record = json.loads((tmp_path / "run/model/training.json").read_text())
    assert record["stage"] == "deflicker" and "misfit" not in record["settings"]
