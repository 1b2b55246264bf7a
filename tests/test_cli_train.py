"""`harmovid train`: from shards to networks, with what goes wrong."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from harmovid.model import checkpoint
from harmovid.model.codec import CausalCodec
from harmovid.train import recipe
from tests.model import published
from tests.odd import tree
from tests.trained import SMALL, TONE, invoke

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_run_of_the_codec(trained):
    assert {"config.json", "log.jsonl", "sheets", "state", "model"} == {p.name for p in (trained / "codec").iterdir()}
    kept = json.loads((trained / "codec/config.json").read_text())
    assert (kept["loop"]["steps"], kept["loop"]["seed"], kept["loop"]["precision"]) == (2, 3, "no")
    assert kept["stage"]["lengths"][1] == {"frames": 5, "batch": 1, "share": 0.5, "area": None}
    assert kept["preset"]["name"] == "nano" and kept["preset"]["codec"]["fine"] == 8
    codec = CausalCodec.from_pretrained(trained / "codec/model")
    assert codec.config["coarse"] == 16 and len(codec.config["latents_std"]) == 16
    rows = [json.loads(line) for line in (trained / "codec/log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "loss" in row] == [1, 2]


def test_a_run_of_the_harmonizer_is_a_checkpoint_with_that_codec(trained):
    model = checkpoint.load(trained / "net/model")
    assert model.preset.transformer.num_layers == 1 and model.preset.view.area == 1024
    ours = CausalCodec.from_pretrained(trained / "codec/model").state_dict()
    assert all(torch.equal(value.half(), ours[name].half()) for name, value in model.codec.state_dict().items())


def test_a_run_of_the_tone_is_what_the_checkpoint_holds(trained):
    kept = json.loads((trained / "tone/config.json").read_text())
    assert kept["preset"]["tone"] == {"width": 8, "rise": 0.0, "blocks": 1} and kept["stage"]["batch"] == 2
    tone = checkpoint.load(trained / "net/model").tone
    alone = checkpoint.read_tone(trained / "tone/model", checkpoint.load(trained / "net/model").preset)
    for name, value in alone.state_dict().items():  # a checkpoint is kept in half precision
        assert torch.equal(value.half(), tone.state_dict()[name].half()), name


def test_the_same_command_makes_the_same_weights(trained, tmp_path):
    invoke(f"train codec --data {trained}/data -o {tmp_path}/codec --seed 3 {SMALL}")
    name = "model/diffusion_pytorch_model.safetensors"
    assert (tmp_path / "codec" / name).read_bytes() == (trained / "codec" / name).read_bytes()
    invoke(f"train codec --data {trained}/data -o {tmp_path}/other --seed 4 {SMALL}")
    assert (tmp_path / "other" / name).read_bytes() != (trained / "codec" / name).read_bytes()


def test_a_run_is_gone_on_with_by_its_own_settings(trained, tmp_path):
    shutil.copytree(trained / "codec", tmp_path / "codec")
    said = invoke(f"train codec --data {trained}/data -o {tmp_path}/codec --resume --set loop.steps=3").stderr
    assert f"wrote {tmp_path}/codec/model: psnr " in said
    rows = [json.loads(line) for line in (tmp_path / "codec/log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "loss" in row] == [1, 2, 3]
    kept = json.loads((tmp_path / "codec/config.json").read_text())
    assert (kept["loop"]["steps"], kept["loop"]["seed"], kept["preset"]["codec"]["fine"]) == (3, 3, 8)


def test_init_begins_from_a_checkpoint(trained, tmp_path, monkeypatch):
    begun = []

    class Seen(recipe.Harmonize):
        def __init__(self, *given: object) -> None:
            super().__init__(*given)  # type: ignore[arg-type]
            begun.append({name: value.clone() for name, value in self.module.state_dict().items()})

    monkeypatch.setattr(recipe, "Harmonize", Seen)
    net = trained / "net/model"
    invoke(f"train harmonize --data {trained}/data -o {tmp_path}/net --codec {net} --tone {net} --init {net} {SMALL} "
           "--set loop.steps=1")
    before = checkpoint.load(net).backbone.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in begun[0].items())


def test_step_three_learns_from_pairs_both_ways(trained, tmp_path):
    net = trained / "net/model"
    for part, count in (("train", 2), ("validation", 1)):
        invoke(f"data pairs {trained}/data -o {tmp_path}/{part} --model {net} --count {count} --frames 5 "
               f"--split {part}")
    command = f"train harmonize --data {trained}/data --codec {net} --tone {net} --init {net} {SMALL}"
    said = invoke(f"{command} -o {tmp_path}/both --pairs {tmp_path}/train --pairs {tmp_path}/validation "
                  "--set stage.sources.misfit=0 --set stage.masks=alpha").stderr
    assert "to_synthetic_amplitude " in said and "to_real_gain " in said
    kept = json.loads((tmp_path / "both/config.json").read_text())["stage"]
    assert (kept["masks"], kept["sources"]["misfit"]) == ("alpha", 0)
    said = invoke(f"{command} -o {tmp_path}/none --pairs {tmp_path}/validation", 2).stderr
    assert "there are no pairs in" in said and "harmovid data pairs" in said and not (tmp_path / "none").exists()


def test_harmoim_begins_from_a_harmonizer_and_is_resumed_under_the_same_name(trained, tmp_path):
    net = trained / "net/model"
    command = (f"train harmoim --data {trained}/data -o {tmp_path}/im --codec {net} --tone {net} --init {net} {SMALL} "
               "--set stage.lengths=[[1,2,1.0]]")
    invoke(f"{command} --set loop.steps=1")
    invoke(f"{command} --set loop.steps=2 --resume")
    model = checkpoint.load(tmp_path / "im/model")
    assert (model.preset.name, model.preset.view.window, model.preset.eta) == ("nano-harmoim", 1, 1.0)
    rows = [json.loads(line) for line in (tmp_path / "im/log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "loss" in row] == [1, 2]


def test_deflicker_begins_from_a_harmonizer_and_learns_from_pairs_too(trained, tmp_path):
    net, small = trained / "net/model", SMALL.replace("--set preset.tone.width=8", "")
    invoke(f"data pairs {trained}/data -o {tmp_path}/pairs --model {net} --count 1 --frames 5")
    said = invoke(f"train deflicker --data {trained}/data -o {tmp_path}/steady --codec {net} --init {net} {small} "
                  f"--pairs {tmp_path}/pairs --set stage.lengths=[[5,2,1.0]] --set stage.paired=0.9").stderr
    assert "removed " in said and "moving_slope " in said
    model = checkpoint.load(tmp_path / "steady/model")
    assert (model.preset.name, model.preset.background, model.tone) == ("nano-deflicker", False, None)
    assert model.backbone.palette_embedding is None
    other = f"train deflicker --data {trained}/data -o {tmp_path}/other --codec {net} --pairs {tmp_path} {small}"
    assert "there are no pairs in" in invoke(other, 2).stderr and not (tmp_path / "other").exists()


@pytest.fixture(scope="module")
def cogvideox(tmp_path_factory):
    return published.folder("2b", tmp_path_factory.mktemp("published"))


TUNED = ("--preset cogvideox-2b --set preset.view.area=2048 --set stage.lengths=[[5,2,1.0]] --set loop.steps=2 "
         "--set loop.validate_every=2 --set loop.save_every=1")


@pytest.mark.parametrize("stage", ["harmonize", "harmoim", "deflicker", "harmonize --set stage.lora=4"])
def test_published_weights_are_trained(stage, trained, cogvideox, tmp_path):
    if "lora" in stage:
        pytest.importorskip("peft", reason="needs the extra [train]: pip install 'harmovid[train]'")
    command = f"train {stage} --data {trained}/data -o {tmp_path}/net --codec {cogvideox} --init {cogvideox} {TUNED}"
    if stage == "harmoim":
        command = command.replace("[[5,2,1.0]]", "[[1,2,1.0]]")
    invoke(f"{command} --set loop.steps=1 --set loop.lr=0 --set loop.weight_decay=0")
    begun, before = checkpoint.load(tmp_path / "net/model"), checkpoint.load(cogvideox)
    assert begun.preset.source == "THUDM/CogVideoX-2b" and begun.preset.schedule.snr_shift == 3
    assert begun.preset.view.overview == (64, 64) and begun.preset.transformer == before.preset.transformer
    for name, value in begun.backbone.state_dict().items():  # widened by zeros, it is what it was
        assert torch.equal(value, before.backbone.state_dict()[name].half().float()), name
    vae = before.codec.state_dict()
    assert all(torch.equal(value, vae[name].half().float()) for name, value in begun.codec.state_dict().items())
    invoke(f"{command} --set loop.steps=3 --set loop.lr=0.01 --resume")
    trained_on = checkpoint.load(tmp_path / "net/model")
    told = trained_on.backbone.transformer.patch_embed.proj.weight[:, 16:]
    assert told.abs().max() > 0  # what the conditions say is listened to
    rows = [json.loads(line) for line in (tmp_path / "net/log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "loss" in row] == [1, 2, 3]
    assert trained_on.preset.name == f"cogvideox-2b{'' if stage.startswith('harmonize') else '-' + stage}"
    changed = {name for name, value in trained_on.backbone.state_dict().items()
               if not torch.equal(value, begun.backbone.state_dict()[name])}
    low = ("to_q.weight", "to_k.weight", "to_v.weight", "to_out.0.weight", "patch_embed.proj.weight",
           "patch_embed.proj.bias")
    assert all(name.endswith(low) for name in changed) == ("lora" in stage) and len(changed) > 5


@pytest.mark.parametrize("stage", ["harmonize", "deflicker"])
def test_two_latents_at_a_time(stage, trained, tmp_path):
    weights = published.folder("1.5-5b-i2v", tmp_path / "1.5")
    command = (f"train {stage} --data {trained}/data -o {tmp_path}/net --codec {weights} --init {weights} "
               f"{TUNED.replace('2b', '1.5-5b')} --set loop.steps=6 --set stage.begun=1 --set stage.strided=1")
    invoke(command.replace("[[5,2,1.0]]", "[[5,1,0.5],[21,1,0.5]]"))
    model = checkpoint.load(tmp_path / "net/model")
    assert model.preset.transformer.patch_size_t == 2 and model.preset.source == "THUDM/CogVideoX1.5-5B-I2V"
    said = invoke(command.replace("[[5,2,1.0]]", "[[9,1,1.0]]").replace("/net", "/other"), 2).stderr
    assert "clips of 9 frames make 3 latents, and cogvideox-1.5-5b" in said and "8k + 5 frames" in said


def test_what_published_weights_need_is_told(trained, cogvideox, tmp_path):
    command = f"train harmonize --data {trained}/data -o {tmp_path}/net --codec {cogvideox}"
    assert "pass --init, their folder or hub name" in invoke(f"{command} {TUNED}", 2).stderr
    other = published.folder("5b", tmp_path / "5b")
    assert "is of the kind of THUDM/CogVideoX-5b" in invoke(f"{command} --init {other} {TUNED}", 2).stderr
    nobody = command.replace(f"--codec {cogvideox}", f"--codec {trained}/data")
    assert "cannot be read as CogVideoX's codec" in invoke(f"{nobody} --init {cogvideox} {TUNED}", 2).stderr
    assert not (tmp_path / "net").exists()


def test_without_cuda_the_processor_serves_and_it_is_said(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    said = invoke(f"train codec --data {trained}/data -o {tmp_path}/codec --device cuda {SMALL} --set loop.steps=1")
    assert "note there is no CUDA device here" in said.stderr
    assert json.loads((tmp_path / "codec/config.json").read_text())["loop"]["precision"] == "no"


def test_stopped_it_says_how_to_go_on(trained, tmp_path, monkeypatch):
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(recipe, "train_codec", stop)
    said = invoke(f"train codec --data {trained}/data -o {tmp_path}/codec", 130).stderr
    assert "stopped go on with --resume" in said


@pytest.mark.parametrize(("arguments", "sentence"), [
    ("codec --data {trained}/data -o {trained}/codec", "codec holds a run already; pass --resume"),
    ("codec --data {trained}/data -o {trained}/codec/log.jsonl", "log.jsonl holds a run already"),
    ("codec --data {trained}/data/train -o new", "there are no shards in"),
    ("codec --data {trained}/data -o new --preset huge", "there is no preset 'huge'; choose one of nano, small"),
    ("codec --data {trained}/data -o new --preset cogvideox-2b", "has a codec of its own, and no tone"),
    ("codec --data {trained}/data -o new --set loop.stops=1", "there is no setting 'stops'"),
    ("codec --data {trained}/data -o new --set loop.steps=0", "--set loop.steps is 1 or more"),
    ("codec --data {trained}/data -o {trained}/codec --resume --preset small", "is of the preset nano, not small"),
    ("harmonize --data {trained}/data -o new --codec {trained}/data", "cannot be read as a codec"),
    ("harmonize --data {trained}/data -o new --codec {trained}/codec/model",
     "is of other sizes than the preset nano's"),
    (f"harmonize --data {{trained}}/data -o new --codec {{trained}}/codec/model --init {{trained}}/net/model {SMALL} "
     "--set preset.transformer.num_layers=2", "the transformer of"),
    (f"harmonize --data {{trained}}/data -o new --codec {{trained}}/codec/model {SMALL}",
     "pass --tone, the model/ of a run"),
    (f"harmonize --data {{trained}}/data -o new --codec {{trained}}/codec/model --tone {{trained}}/codec/model {SMALL}",
     "tone.safetensors cannot be read"),
    (f"harmonize --data {{trained}}/data -o new --codec {{trained}}/codec/model --tone {{trained}}/net/model {SMALL} "
     "--set preset.tone=null", "tones nothing; leave out --tone"),
    (f"tone --data {{trained}}/data -o new {TONE} --set preset.tone=null", "tones nothing; go on with"),
    ("harmonize --data {trained}/data -o new --codec {trained}/net/model --init nowhere --set preset.codec.fine=8 "
     "--set preset.codec.frame=8 --set preset.codec.coarse=16", "there is no checkpoint nowhere"),
])
def test_errors(trained, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    before = tree(trained)
    assert sentence in invoke(f"train {arguments.format(trained=trained)}", 2).stderr
    assert list(tmp_path.iterdir()) == [] and tree(trained) == before
