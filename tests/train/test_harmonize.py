"""Stage harmonize: batches that belong to their number, degraded only where the person is, and models that load."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harmovid.data.dataset import Footage
from harmovid.data.misfit import MisfitConfig
from harmovid.data.recolour import RecolourConfig
from harmovid.evaluate.relight import relight_amplitude
from harmovid.model import checkpoint
from harmovid.model.conditions import mask_channels
from harmovid.model.tone import Tone
from harmovid.train.harmonize import Harmonize, HarmonizeStage
from harmovid.train.loop import Batch, train
from harmovid.train.stages import Length, Look, Sources, gain_moments
from tests import figures
from tests.data.footage import shard
from tests.train.tiny import CLIPS, HELD_OUT, LOOP, PAIRED, TRAIN, codec, equal, footage, preset, staged

PLAIN = HarmonizeStage(lengths=CLIPS, begun=0, strided=0)

pytestmark = pytest.mark.usefixtures("one_thread")


def harmonize(stage: HarmonizeStage = PLAIN, train: Footage = TRAIN) -> Harmonize:
    return Harmonize(preset(), codec(), train, HELD_OUT, stage)


def brighter() -> Tone:
    """Lifts everyone by 0.1, whatever it is told."""
    tone = Tone(preset(tone=True).tone)
    with torch.no_grad():
        tone.layers[-1].bias[:3] = 0.1
    return tone


class Pixels(Harmonize):
    """Keeps what it would have encoded."""

    def encoded(self, target: Tensor, composite: Tensor, plate: Tensor, overview: Tensor, mask: Tensor) -> Batch:
        self.seen = {"target": target, "composite": composite, "plate": plate, "overview": overview, "mask": mask}
        return super().encoded(target, composite, plate, overview, mask)


TO_SYNTHETIC, TO_REAL = Sources(1, 0, 0, 0), Sources(0, 1, 0, 0)


def pixels(index: int, stage: HarmonizeStage = PLAIN, train: Footage = TRAIN) -> dict[str, Tensor]:
    task = Pixels(preset(), codec(), train, HELD_OUT, stage)
    task.batch(index, 0)
    return task.seen


def test_a_batch_belongs_to_its_number_and_seed():
    task = harmonize(HarmonizeStage(lengths=(Length(1, 2, 0.3), Length(13, 2, 0.7))))
    batches = [task.batch(n, 0) for n in range(3)]
    torch.manual_seed(99)
    assert all(equal(task.batch(n, 0), batches[n]) for n in (2, 0, 1))
    assert not equal(batches[0], batches[1]) and not equal(task.batch(0, 1), batches[0])


@pytest.mark.parametrize(("frames", "latents"), [(1, 1), (5, 2), (13, 4)])
def test_a_batch_of_harmonize_has_latents_of_one_shape(frames, latents):
    batch = harmonize(replace(PLAIN, lengths=(Length(frames, 3, 1.0),))).batch(0, 0)
    count, channels, there, height, width = batch["target"].shape
    assert (count, channels, there) == (3, 16, latents) and 10 <= height * width <= 24
    assert height % 2 == width % 2 == 0
    assert batch["conditions"].shape == (3, 304, latents, height, width)
    assert batch["cover"].shape == (3, 1, latents, height, width) and batch["palette"].shape == (3, 153)
    assert 0 <= batch["cover"].min() and batch["cover"].max() <= 1 and batch["cover"].max() > 0.5
    assert all(part.dtype == torch.float32 and part.isfinite().all() and not part.requires_grad
               for part in batch.values())
    torch.testing.assert_close(batch["cover"], batch["conditions"][:, 48:].mean(1, keepdim=True))


def test_a_length_may_have_views_of_its_own_area():
    small = harmonize(replace(PLAIN, lengths=(Length(5, 3, 1.0, area=16 * 16),))).batch(0, 0)
    count, _, latents, height, width = small["target"].shape
    assert (count, latents) == (3, 2) and height * width <= 8
    assert small["conditions"].shape == (3, 304, 2, height, width)


def test_a_window_begun_in_mid_clip_is_without_its_first_latent():
    whole, begun = (harmonize(replace(PLAIN, begun=share)).batch(0, 0) for share in (0.0, 1.0))
    assert torch.equal(begun.pop("palette"), whole.pop("palette"))
    assert all(torch.equal(begun[name], whole[name][:, :, 1:]) and begun[name].shape[2] == 3 for name in whole)
    # One latent stays one.
    photo = replace(PLAIN, begun=1.0, lengths=(Length(1, 2, 1.0),))
    assert harmonize(photo).batch(0, 0)["target"].shape[2] == 1


def test_a_strided_window_leaves_latents_out_evenly():
    stage = replace(PLAIN, lengths=(Length(29, 1, 1.0),))
    strides = set()
    for index in range(6):
        whole, strided = (harmonize(replace(stage, strided=share)).batch(index, 0) for share in (0.0, 1.0))
        strides.add(stride := {3: 3, 4: 2}[strided["target"].shape[2]])
        assert torch.equal(strided.pop("palette"), whole.pop("palette"))
        assert all(torch.equal(strided[name], whole[name][:, :, ::stride]) for name in whole)
    assert strides == {2, 3}


@pytest.mark.parametrize("index", range(4))
def test_the_composite_differs_from_the_target_only_where_the_person_or_the_fill_is(index):
    made = shard("a", 21)
    ring = np.stack([cv2.dilate(mask, np.ones((7, 7), np.uint8)) for mask in made.mask]) > 5
    filled = Footage([replace(made, plate=np.where(ring[..., None], made.plate // 2, made.plate))])
    seen = pixels(index, replace(PLAIN, own=1.0), filled)
    apart = (seen["target"] - seen["plate"]).abs().amax(1, keepdim=True) > 1e-5  # the plate is not the picture there
    outside = (seen["mask"] == 0) & ~apart
    assert 0.2 < outside.float().mean() < 0.98
    off = (seen["composite"] - seen["target"]).abs().amax(1, keepdim=True)
    assert off[outside].max() < 1e-4 < off[(seen["mask"] == 0) & apart].max()
    # Without a mask it is the plate, nothing of the person.
    none = (seen["mask"] == 0).expand_as(seen["plate"])
    torch.testing.assert_close(seen["composite"][none], seen["plate"][none], rtol=0, atol=1e-4)


def test_the_composite_holds_another_light():
    off = []
    for index in range(6):
        seen = pixels(index)
        inside = (seen["mask"] > 0.99).expand_as(seen["target"])
        off.append(float((seen["composite"] - seen["target"])[inside].abs().mean()))
    assert max(off) > 0.05


@pytest.mark.parametrize("index", range(3))
def test_the_plate_never_holds_the_person(index):
    # Two people of different colours, the same scene: not a bit of plate, overview or mask tells them apart.
    red, blue = (pixels(index, train=footage(colour)) for colour in ((0.9, 0.1, 0.1), (0.1, 0.1, 0.9)))
    for name in ("plate", "overview", "mask"):
        assert torch.equal(red[name], blue[name]), name
    assert not torch.equal(red["target"], blue["target"])
    first, second = (harmonize(train=footage(c)).batch(index, 0) for c in ((0.9, 0.1, 0.1), (0.1, 0.1, 0.9)))
    assert torch.equal(first["conditions"][:, 16:], second["conditions"][:, 16:])
    assert not torch.equal(first["conditions"][:, :16], second["conditions"][:, :16])


def test_recast_changes_the_person_alone_and_target_and_composite_with_them():
    calm = replace(PLAIN, misfit=MisfitConfig(RecolourConfig(share=0), scene=0, setting=0, recast=0), own=1.0)
    changed = 0
    for index in range(4):
        seen = pixels(index, replace(calm, misfit=replace(calm.misfit, recast=0.9)))
        outside = (seen["mask"] == 0).expand_as(seen["target"])
        assert (seen["target"] - seen["plate"])[outside].abs().max() < 0.02  # the made shards have nothing to fill
        still = pixels(index, calm)
        inside = (seen["mask"] > 0.99).expand_as(seen["target"])
        changed += bool((seen["target"] - still["target"])[inside].abs().max() > 0.03)
    assert changed >= 2


@pytest.mark.parametrize(("own", "soft"), [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)])
def test_masks_are_of_the_kind_that_is_asked_for(own, soft):
    mask = pixels(0, replace(PLAIN, own=own, soft=soft))["mask"]
    between = ((mask > 0) & (mask < 1)).any()
    assert bool(between) == (own + soft > 0)
    assert 0 <= mask.min() and mask.max() == 1


@pytest.mark.parametrize(("masks", "soft"), [("asymmetric", (False, True)), ("binary", (False, False)),
                                             ("alpha", (True, True))])
def test_each_path_has_its_kind_of_mask_whatever_the_others_have(masks, soft):
    for sources, expected in zip((TO_SYNTHETIC, TO_REAL), soft, strict=True):
        stage = replace(PLAIN, own=0.5, soft=0.5 - 0.5 * expected, masks=masks, sources=sources)
        between = [((mask > 0) & (mask < 1)).any() for mask in (pixels(n, stage, PAIRED)["mask"] for n in range(3))]
        assert all(between) if expected else not any(between)


def test_the_same_mask_composites_and_conditions():
    for sources in (TO_SYNTHETIC, TO_REAL):
        stage = replace(PLAIN, sources=sources)
        seen = pixels(0, stage, PAIRED)
        none, full = ((seen["mask"] == value).expand_as(seen["plate"]) for value in (0, 1))
        torch.testing.assert_close(seen["composite"][none], seen["plate"][none], rtol=0, atol=1e-4)
        assert (seen["composite"] - seen["plate"])[full].abs().mean() > 0.02
        told = harmonize(stage, PAIRED).batch(0, 0)
        torch.testing.assert_close(told["conditions"][:, 48:], mask_channels(seen["mask"]))


@pytest.mark.parametrize("sources", [TO_SYNTHETIC, TO_REAL, Sources(0, 0, 1, 0)])
def test_a_copy_of_the_background_is_worse_than_the_composite(sources):
    """No leak: background and target share nothing of the person."""
    task = harmonize(replace(PLAIN, sources=sources), PAIRED)
    wrong = {"composite": 0.0, "background": 0.0}
    for index in range(4):
        batch = task.batch(index, 0)
        for name, first in (("composite", 0), ("background", 16)):
            error = (batch["conditions"][:, first : first + 16] - batch["target"]).square() * batch["cover"]
            wrong[name] += float(error.sum())
    assert wrong["background"] > 1.5 * wrong["composite"]


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon"])
def test_both_objectives_train_on_both_paths(tmp_path, prediction):
    stage = replace(PLAIN, sources=Sources(1, 1, 0, 0))
    task = Harmonize(preset(prediction, residual=prediction != "epsilon"), codec(), PAIRED, PAIRED, stage)
    before = {name: value.clone() for name, value in task.module.state_dict().items()}
    figures = train(task, replace(LOOP, steps=4, validate_every=4, save_every=4), tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert all(np.isfinite(row["loss"]) for row in rows if "loss" in row) and len(rows) == 5
    assert any(not torch.equal(value, before[name]) for name, value in task.module.state_dict().items())
    assert {"to_synthetic_amplitude", "to_synthetic_amplitude_alpha", "to_real_gain"} <= figures.keys()
    assert checkpoint.load(tmp_path / "run" / "model").preset.schedule.prediction == prediction


def test_a_window_of_85_frames_is_trained_on():
    task = harmonize(replace(PLAIN, lengths=(Length(85, 1, 1.0),), sources=Sources(1, 1, 0, 0)), PAIRED)
    batch = task.batch(0, 0)
    assert batch["target"].shape[2] == 22 and task.loss(task.module, batch, 0)["loss"].isfinite()


def test_harmonize_validates_trains_and_is_kept(tmp_path):
    task = harmonize()
    with torch.inference_mode():
        figures, sheet = task.validate(task.module.eval())
    assert {"psnr", "psnr_composite", "gain", "worse", "amplitude"} <= figures.keys()
    assert all(np.isfinite(value) for value in figures.values())
    # A fresh network gives the composite back.
    assert figures["gain"] == pytest.approx(0, abs=1e-4) and figures["worse"] == 0
    assert figures["amplitude"] == pytest.approx(0, abs=1e-4)
    assert sheet.dtype == np.uint8 and sheet.ndim == 3 and sheet.shape[2] == 3
    with torch.inference_mode():
        assert task.validate(task.module)[0] == figures

    frozen = [p.detach().clone() for p in task.codec.parameters()]
    train(task, LOOP, tmp_path / "run")
    assert all(torch.equal(old, new) for old, new in zip(frozen, task.codec.parameters(), strict=True))
    folder = tmp_path / "run" / "model"
    model = checkpoint.load(folder)
    assert model.preset == task.preset
    averaged = task.module.state_dict()
    for name, weight in model.backbone.state_dict().items():  # two small steps from there, in half precision
        torch.testing.assert_close(weight, averaged[name], rtol=0, atol=0.01)
    record = json.loads((folder / "training.json").read_text())
    assert record["stage"] == "harmonize" and record["steps"] == 2
    assert record["settings"]["misfit"]["degrade"]["untouched"] == 0.12 and record["figures"].keys() == figures.keys()


def test_people_of_the_light_stage_have_figures_of_their_own():
    task = Harmonize(preset(), codec(), staged(), staged(), PLAIN)
    with torch.inference_mode():
        figures, _ = task.validate(task.module.eval())
    assert figures["relit_gain"] == pytest.approx(0, abs=1e-4) and figures["relit_worse"] == 0
    real = Harmonize(preset(), codec(), TRAIN, Footage([shard("a", 21, seed=0)]), PLAIN)
    with torch.inference_mode():
        alone, _ = real.validate(real.module.eval())
    assert "relit_gain" not in alone and alone["psnr_composite"] == pytest.approx(figures["psnr_composite"], abs=1e-6)


def test_the_right_answer_has_full_amplitude_and_gain(monkeypatch):
    task = harmonize()
    truths: list[Tensor] = []
    encoded = task.encoded

    def noted(*parts: Tensor) -> Batch:
        batch = encoded(*parts)
        truths.append(batch["target"])
        return batch

    class Knows(nn.Module):
        def forward(self, noisy: Tensor, conditions: Tensor, steps: Tensor, palette: Tensor) -> Tensor:
            return -truths[-1]  # v where there is noise alone

    monkeypatch.setattr(task, "encoded", noted)
    with torch.inference_mode():
        figures, _ = task.validate(Knows())
    assert figures["psnr"] == pytest.approx(100) and figures["gain"] > 10
    assert figures["amplitude"] == pytest.approx(1, abs=1e-3)


def test_amplitude_is_the_one_that_results_are_scored_by():
    film = figures.film((64, 64), 3, step=(3, 0))
    x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    truth, result = film.lit(np.exp(x * (0.9, 0.5, 0.1))), film.lit(np.exp(0.3 - x * (0.2, 0.1, 0.4)))

    def batch(frames: np.ndarray) -> Tensor:
        return torch.from_numpy(np.moveaxis(frames, -1, 0)[None].copy())

    both, square = gain_moments(Look(*map(batch, (film.own, result, truth))), batch(film.alpha[..., None]))
    found = relight_amplitude(result, film.own, truth, film.alpha)
    assert found.slope == pytest.approx(both / square, rel=1e-4)
    assert found.strength**2 * found.samples == pytest.approx(square, rel=1e-4)


def test_the_fresh_network_belongs_to_the_seed():
    first, second = (harmonize().module.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_colours_come_from_footage():
    task = harmonize()
    assert task.colours.shape == (3, 16) and task.colours.isfinite().all()
    assert not task.codec.training and not any(p.requires_grad for p in task.codec.parameters())


def test_the_loss_is_a_function_of_the_seed():
    task = harmonize()
    batch = task.batch(0, 0)
    first, again, other = (task.loss(task.module, batch, seed) for seed in (5, 5, 6))
    assert all(part.ndim == 0 and part.isfinite() for part in first.values())
    assert torch.equal(first["loss"], again["loss"]) and not torch.equal(first["loss"], other["loss"])


def test_the_composite_is_toned_and_the_target_is_not():
    plain = harmonize()
    lifted = Harmonize(preset(tone=True), codec(), TRAIN, HELD_OUT, PLAIN, tone=brighter())
    views = plain.train.draw(2, 1, (32, 32), np.random.default_rng(0))
    given = views.picture, views.picture * 0.5, views.plate, views.overview, views.mask
    before, after = plain.encoded(*given), lifted.encoded(*given)
    assert torch.equal(before["target"], after["target"])
    assert torch.equal(before["conditions"][:, 16:], after["conditions"][:, 16:])
    expected = plain.encoded(given[0], given[1] + 0.1 * views.mask, *given[2:])
    torch.testing.assert_close(after["conditions"], expected["conditions"])
    torch.testing.assert_close(after["palette"], expected["palette"])


def test_a_toned_model_is_kept_with_its_tone(tmp_path):
    task = Harmonize(preset(tone=True), codec(), TRAIN, HELD_OUT, PLAIN, tone=brighter())
    with torch.inference_mode():
        assert abs(task.validate(task.module.eval())[0]["gain"]) > 0.01  # a fresh network gives the toned one back
    train(task, LOOP, tmp_path / "run")
    kept = checkpoint.load(tmp_path / "run" / "model").tone
    assert torch.equal(kept.layers[-1].bias, brighter().layers[-1].bias.half().float())
