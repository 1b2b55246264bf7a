"""Recipes: what a run begins with, what it is resumed with, what is refused before anything is read or written.

Whole runs stand in tests/test_cli_train.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from harmovid import config
from harmovid.data.flicker import FlickerConfig
from harmovid.errors import InputError, OptionError, OutputError
from harmovid.model import checkpoint
from harmovid.model.presets import PRESETS, deflickering, frame_wise, nano, small
from harmovid.model.schedule import Schedule
from harmovid.train import recipe
from harmovid.train.codec import CodecStage
from harmovid.train.deflicker import DeflickerStage
from harmovid.train.harmoim import HarmoimStage
from harmovid.train.harmonize import HarmonizeStage
from harmovid.train.loop import LoopConfig
from harmovid.train.recipe import (
    CodecRecipe,
    DeflickerRecipe,
    HarmoimRecipe,
    HarmonizeRecipe,
    resolve,
    train_codec,
    train_harmonizer,
)
from harmovid.train.stages import Length

NEW = Path("nowhere")


def test_defaults():
    assert resolve(CodecRecipe, "nano", NEW) == CodecRecipe(nano(), LoopConfig(), CodecStage())
    assert resolve(HarmonizeRecipe, "small", NEW) == HarmonizeRecipe(small(), LoopConfig(), HarmonizeStage())


def test_a_gpu_computes_in_bf16_unless_told_otherwise():
    assert all(resolve(CodecRecipe, "nano", NEW, device=name).loop.precision == "bf16" for name in ("cuda", "cuda:1"))
    assert resolve(CodecRecipe, "nano", NEW, ["loop.precision=no"], device="cuda").loop.precision == "no"


def test_settings_of_all_three_parts():
    found = resolve(HarmonizeRecipe, "nano", NEW, [
        "stage.lengths=[[1, 256, 0.4], [21, 40, 0.6]]", "stage.crop.flip=0", "loop.minutes=7.1", "preset.steps=4"])
    assert found.stage.lengths == (Length(1, 256, 0.4), Length(21, 40, 0.6))
    assert (found.stage.crop.flip, found.loop.minutes, found.preset) == (0.0, 7.1, replace(nano(), steps=4))


def test_a_seed_and_what_is_set_beside_it():
    assert resolve(CodecRecipe, "nano", NEW, seed=5).loop.seed == 5
    assert resolve(CodecRecipe, "nano", NEW, ["loop.seed=6"], seed=5).loop.seed == 6


@pytest.mark.parametrize("kind", [CodecRecipe, HarmonizeRecipe])
def test_a_recipe_comes_back_from_its_file(tmp_path, kind):
    begun = resolve(kind, "nano", tmp_path, ["stage.crop.margin=[0.1, 0.2]", "loop.lr=0.01"], seed=7, device="cuda")
    config.save(begun, tmp_path / "config.json")
    assert config.load(kind, tmp_path / "config.json") == begun
    assert resolve(kind, "nano", tmp_path, resume=True) == begun
    changed = resolve(kind, "nano", tmp_path, ["loop.lr=0.001"], resume=True, seed=8)
    assert changed == replace(begun, loop=replace(begun.loop, lr=0.001, seed=8))
    assert resolve(kind, "nano", tmp_path).loop == LoopConfig()  # unless it is a new one


def test_harmoim_is_of_the_preset_for_single_frames(tmp_path):
    begun = resolve(HarmoimRecipe, "nano", tmp_path, ["stage.sources.relit=0.7"])
    assert begun.preset == frame_wise(nano()) and begun.stage == replace(
        HarmoimStage(), sources=replace(HarmoimStage().sources, relit=0.7))
    config.save(begun, tmp_path / "config.json")
    assert resolve(HarmoimRecipe, "nano", tmp_path, resume=True) == begun
    with pytest.raises(OptionError, match="is of the preset nano-harmoim, not small-harmoim"):
        resolve(HarmoimRecipe, "small", tmp_path, resume=True)


def test_deflicker_is_of_the_preset_that_is_told_the_clip_alone(tmp_path):
    begun = resolve(DeflickerRecipe, "nano", tmp_path, ["stage.flicker.untouched=0.2", "stage.whole=0.5"])
    assert begun.preset == deflickering(nano()) and begun.preset.name == "nano-deflicker"
    assert not begun.preset.background and not begun.preset.transformer.palette and begun.preset.tone is None
    assert begun.stage == DeflickerStage(flicker=FlickerConfig(untouched=0.2), whole=0.5)
    config.save(begun, tmp_path / "config.json")
    assert resolve(DeflickerRecipe, "nano", tmp_path, resume=True) == begun


def test_presets_that_cannot_be_trained():
    with pytest.raises(OptionError, match="there is no preset 'nanno'; choose one of nano, small"):
        resolve(CodecRecipe, "nanno", NEW)
    for name in PRESETS:
        if name.startswith("cogvideox"):
            with pytest.raises(OptionError, match=f"{name} has a codec of its own, .* choose one of nano, small$"):
                resolve(CodecRecipe, name, NEW)
    with pytest.raises(OptionError, match="takes two latents at a time, and no single frames"):
        resolve(HarmoimRecipe, "cogvideox-1.5-5b", NEW)


def test_published_weights_are_tuned_gently_and_by_whole_windows():
    for kind, frames in ((HarmonizeRecipe, 85), (DeflickerRecipe, 85), (HarmoimRecipe, 1)):
        found = resolve(kind, "cogvideox-5b", NEW)
        assert found.stage.lengths == (Length(frames, 1, 1.0),) and found.stage.checkpointing and found.loop.lr == 2e-5


def test_a_network_that_predicts_noise_has_no_residual():
    noise = ["preset.schedule.prediction=epsilon"]
    with pytest.raises(OptionError, match=r"pass --set preset\.transformer\.residual=false"):
        resolve(HarmonizeRecipe, "nano", NEW, noise)
    found = resolve(HarmonizeRecipe, "nano", NEW, [*noise, "preset.transformer.residual=false"])
    assert found.preset.schedule.prediction == "epsilon"


def test_a_network_that_predicts_v_is_no_beginning_of_one_that_predicts_noise(monkeypatch):
    given = resolve(HarmonizeRecipe, "nano", NEW, ["preset.transformer.residual=false"]).preset
    wanted = replace(given, schedule=replace(given.schedule, prediction="epsilon"))
    monkeypatch.setattr(checkpoint, "load", lambda *_: SimpleNamespace(preset=given, backbone="its own"))
    assert recipe._read_backbone("nano", given, "cpu") == "its own"
    with pytest.raises(InputError, match="of nano predicts v_prediction, this run is to predict epsilon; leave out"):
        recipe._read_backbone("nano", wanted, "cpu")


def test_a_beginning_goes_by_the_noise_of_the_run(monkeypatch):
    given = resolve(HarmonizeRecipe, "nano", NEW).preset
    wanted = replace(given, schedule=replace(given.schedule, snr_shift=3.0))
    begun = SimpleNamespace(residual=Schedule(given.schedule))
    monkeypatch.setattr(checkpoint, "load", lambda *_: SimpleNamespace(preset=given, backbone=begun))
    at, like = torch.tensor([300]), torch.zeros(1, 1)
    found = recipe._read_backbone("nano", wanted, "cpu").residual.levels(at, like)
    assert torch.equal(torch.stack(found), torch.stack(Schedule(wanted.schedule).levels(at, like)))
    assert not torch.equal(torch.stack(found), torch.stack(Schedule(given.schedule).levels(at, like)))


def test_every_folder_of_pairs_has_some(tmp_path):
    for name in ("pairs/train", "held/validation", "empty/train"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("pairs/train", "held/validation"):
        (tmp_path / name / "pair-000000.zip").write_bytes(b"")
    (tmp_path / "refined").mkdir()
    (tmp_path / "refined/manifest.json").write_text("{}")  # of which none was kept
    with pytest.raises(InputError, match="there are no shards"):
        recipe._footage(nano(), tmp_path, "cpu", print, [tmp_path / "pairs", tmp_path / "refined"])
    for more in ("gone", "empty"):
        with pytest.raises(InputError, match=f"there are no pairs in .*{more}; give a folder that"):
            recipe._footage(nano(), tmp_path, "cpu", print, [tmp_path / "pairs", tmp_path / "held", tmp_path / more])


def test_a_codec_of_ours_is_none_of_cogvideox(tmp_path):
    with pytest.raises(InputError, match="cannot be read as CogVideoX's codec; give the folder"):
        recipe._read_codec(Path("nano"), PRESETS["cogvideox-2b"]())


def test_a_recipe_that_the_state_does_not_fit_does_not_take_the_old_one_s_place(tmp_path, monkeypatch):
    begun = resolve(CodecRecipe, "nano", tmp_path)
    fits = [True, False]

    def train(*_: object, begun: Callable[[], None], **__: object) -> dict[str, float]:
        if not fits.pop(0):
            raise InputError("the state cannot be gone on from")
        begun()
        return {}

    monkeypatch.setattr(recipe, "train", train)
    recipe._run(SimpleNamespace(), begun, tmp_path, "cpu", print)
    other = resolve(CodecRecipe, "nano", tmp_path, ["preset.codec.latent_channels=8"], resume=True)
    with pytest.raises(InputError):
        recipe._run(SimpleNamespace(), other, tmp_path, "cpu", print)
    assert resolve(CodecRecipe, "nano", tmp_path, resume=True) == begun != other


def test_another_preset_than_the_runs(tmp_path):
    config.save(CodecRecipe(small()), tmp_path / "config.json")
    with pytest.raises(OptionError, match="is of the preset small, not nano; leave out --preset to go on with it"):
        resolve(CodecRecipe, "nano", tmp_path, resume=True)
    assert resolve(CodecRecipe, None, tmp_path, resume=True) == CodecRecipe(small())  # where none is named, its own
    assert resolve(CodecRecipe, None, tmp_path / "new", resume=True).preset == nano()


def test_a_folder_in_use_is_found_before_anything_is_read(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for out in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(OutputError, match="holds a run already"):
            train_codec(CodecRecipe(nano()), tmp_path / "no data", out)
        with pytest.raises(OutputError, match="holds a run already"):
            train_harmonizer(HarmonizeRecipe(nano()), tmp_path / "no data", out, codec=tmp_path / "no codec")


def test_without_footage_nothing_is_written(tmp_path):
    with pytest.raises(InputError, match="there are no shards"):
        train_codec(CodecRecipe(nano()), tmp_path / "no data", tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
