"""`harmovid data` and `harmovid train`: from footage to shards, from shards to a network, with what goes wrong."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import Result

from harmovid.baselines.iclight import IcLight
from harmovid.data import pack, shards, split
from harmovid.data.shards import Shard, ShardInfo
from harmovid.data.split import Entry
from harmovid.model import checkpoint
from harmovid.model.codec import CausalCodec
from harmovid.train import recipe
from tests import commands
from tests.model import diffusion, published
from tests.odd import Clip, Still, draw, tree

LISTED = (
    Entry("portraits_video/one.mp4", "one", "train", ""),
    Entry("portraits_video/two.mp4", "two", "validation", "no mask"),
    Entry("portraits_video/gone.mp4", "gone", "test", ""),
    Entry("portraits_photo/three.jpg", "three", "train", ""),
)

# A network so small that two steps of it take no time.
SMALL = ("--set preset.view.area=1024 --set loop.steps=2 --set loop.log_every=1 "
         "--set preset.codec.fine=8 --set preset.codec.frame=8 --set preset.codec.coarse=16 "
         "--set stage.lengths=[[1,2,0.5],[5,1,0.5]] "
         "--set preset.transformer.num_layers=1 --set preset.transformer.num_attention_heads=1 "
         "--set preset.tone.width=8")
TONE = ("--set loop.steps=2 --set loop.log_every=1 --set preset.tone.width=8 --set stage.batch=2 "
        "--set stage.area=1024")


def invoke(arguments: str | list[str], status: int = 0) -> Result:
    result = commands.invoke(arguments, status)
    assert result.stdout == ""
    return result


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class TestShards:
    @pytest.fixture(autouse=True)
    def footage(self, tmp_path, monkeypatch) -> Path:
        """Three of the four files listed; a person is wherever the picture is not the wall."""
        monkeypatch.setattr(split, "read", lambda: LISTED)
        monkeypatch.setattr(pack, "_segmenter", lambda: lambda rgb: np.float32(rgb[..., 0] < 0.5))
        monkeypatch.chdir(tmp_path)
        videos, photos = tmp_path / "footage/portraits_video", tmp_path / "footage/portraits_photo"
        videos.mkdir(parents=True)
        photos.mkdir()
        for name, what, frames in (("one", "person", 6), ("one_mask", "mask", 6), ("two", "person", 40)):
            Clip(what, frames=frames, codec="libx264")(videos / f"{name}.mp4")
        Still("person")(photos / "three.jpg")
        Still("mask")(photos / "three_alpha.png")
        return tmp_path / "footage"

    def test_end_to_end(self):
        said = invoke("data shards footage -o out").stderr
        assert "wrote 3 shards to out; 0 were there" in said and "1 files of the split list are not in" in said
        found = sorted(path.relative_to("out").as_posix() for path in Path("out").rglob("*") if path.is_file())
        assert found == ["train/one.zip", "train/three.zip", "validation/two.zip"]
        one, two, three = (shards.read(Path("out") / name) for name in
                           ("train/one.zip", "validation/two.zip", "train/three.zip"))
        assert (one.info.name, one.info.person, one.info.split, one.info.frames) == ("one", "one", "train", 6)
        assert two.info.frames == 33  # no mask: only the beginning
        assert three.info.frames == 1
        assert one.mask.max() == two.mask.max() == 255 and one.mask.min() == two.mask.min() == 0

    def test_what_is_there_is_left(self):
        invoke("data shards footage -o out")
        Path("out/train/one.zip").write_bytes(b"mine")
        Path("out/train/three.zip").unlink()
        assert "wrote 1 shards to out; 2 were there" in invoke("data shards footage -o out").stderr
        assert Path("out/train/one.zip").read_bytes() == b"mine"

    def test_a_part_of_it(self):
        invoke("data shards footage -o a --split train --no-photos")
        invoke("data shards footage -o b --split validation --split test")
        assert sorted(map(str, Path().glob("?/**/*.zip"))) == ["a/train/one.zip", "b/validation/two.zip"]

    def test_the_first_of_each_part(self):
        said = invoke("data shards footage -o out --limit 1").stderr  # two are for training, one for validation
        assert "wrote 2 shards" in said and sorted(map(str, Path("out").glob("*/*.zip"))) == [
            "out/train/one.zip", "out/validation/two.zip"]

    def test_a_damaged_file_does_not_stop_the_rest(self, footage):
        (footage / "portraits_video/one.mp4").write_bytes(b"no film")
        (footage / "portraits_photo/three_alpha.png").unlink()
        said = invoke("data shards footage -o out", 2).stderr
        assert "note portraits_video/one.mp4: " in said and "three_alpha.png" in said
        assert "wrote 1 shards" in said and "2 of 3 files gave no shard" in said
        assert [path.name for path in Path("out").rglob("*") if path.is_file()] == ["two.zip"]

    def test_several_processes_make_the_same(self, footage):
        (footage / "portraits_video/two.mp4").unlink()  # the children have the real segmenter
        invoke("data shards footage -o a")
        said = invoke("data shards footage -o b --processes 2").stderr
        assert "wrote 2 shards" in said and tree(Path("a")) == tree(Path("b"))

    def test_without_the_segmenter_the_way_out_is_told(self, footage, monkeypatch):
        monkeypatch.undo()
        monkeypatch.setattr(split, "read", lambda: LISTED)
        monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
        pack._segmenter.cache_clear()
        said = invoke(f"data shards {footage} -o {footage.parent}/out", 2).stderr
        assert "pip install 'harmovid[matte]'" in said and not (footage.parent / "out").exists()

    @pytest.mark.parametrize(("arguments", "sentence"), [
        ("nowhere -o out", "nowhere has none of the 4 files of the split list, such as portraits_video/one.mp4"),
        ("footage -o out --processes 0", "--processes is 1 or more, got 0"),
        ("footage -o out --limit 0", "--limit is 1 or more, got 0"),
    ])
    def test_errors(self, arguments, sentence):
        assert sentence in invoke(f"data shards {arguments}", 2).stderr
        assert not Path("out").exists()


@pytest.fixture(scope="module")
def made(tmp_path_factory, one_thread) -> Path:
    """A folder with data/{train,validation}, and a codec, a tone and a harmonizer that were trained on it."""
    folder = tmp_path_factory.mktemp("train")
    for where, names in (("train", ("clip", "photo")), ("validation", ("held",))):
        (folder / "data" / where).mkdir(parents=True)
        for name in names:
            count = 1 if name == "photo" else 6
            picture, mask = (np.stack([draw(what, t) for t in range(count)]) for what in ("person", "mask"))
            info = ShardInfo(name, name, where, count, picture.shape[1:3])
            overview = np.zeros((-(-count // 4), 64, 64, 3), np.uint8)
            shards.write(folder / "data" / where / f"{name}.zip",
                         Shard(info, picture, mask[..., 0], picture[:, :, ::-1].copy(), overview))
    invoke(f"train codec --data {folder}/data -o {folder}/codec --seed 3 {SMALL}")
    invoke(f"train tone --data {folder}/data -o {folder}/tone {TONE}")
    invoke(f"train harmonize --data {folder}/data -o {folder}/net --codec {folder}/codec/model "
           f"--tone {folder}/tone/model {SMALL}")
    return folder


class TestTrain:
    def test_a_run_of_the_codec(self, made):
        assert {"config.json", "log.jsonl", "sheets", "state", "model"} == {p.name for p in (made / "codec").iterdir()}
        kept = json.loads((made / "codec/config.json").read_text())
        assert (kept["loop"]["steps"], kept["loop"]["seed"], kept["loop"]["precision"]) == (2, 3, "no")
        assert kept["stage"]["lengths"][1] == {"frames": 5, "batch": 1, "share": 0.5, "area": None}
        assert kept["preset"]["name"] == "nano" and kept["preset"]["codec"]["fine"] == 8
        codec = CausalCodec.from_pretrained(made / "codec/model")
        assert codec.config["coarse"] == 16 and len(codec.config["latents_std"]) == 16
        rows = [json.loads(line) for line in (made / "codec/log.jsonl").read_text().splitlines()]
        assert [row["step"] for row in rows if "loss" in row] == [1, 2]

    def test_a_run_of_the_harmonizer_is_a_checkpoint_with_that_codec(self, made):
        model = checkpoint.load(made / "net/model")
        assert model.preset.transformer.num_layers == 1 and model.preset.view.area == 1024
        ours = CausalCodec.from_pretrained(made / "codec/model").state_dict()
        assert all(torch.equal(value.half(), ours[name].half()) for name, value in model.codec.state_dict().items())

    def test_a_run_of_the_tone_is_what_the_checkpoint_holds(self, made):
        kept = json.loads((made / "tone/config.json").read_text())
        assert kept["preset"]["tone"] == {"width": 8} and kept["stage"]["batch"] == 2
        tone = checkpoint.load(made / "net/model").tone
        alone = checkpoint.read_tone(made / "tone/model", checkpoint.load(made / "net/model").preset)
        assert all(torch.equal(value, tone.state_dict()[name]) for name, value in alone.state_dict().items())

    def test_the_same_command_makes_the_same_weights(self, made, tmp_path):
        invoke(f"train codec --data {made}/data -o {tmp_path}/codec --seed 3 {SMALL}")
        name = "model/diffusion_pytorch_model.safetensors"
        assert (tmp_path / "codec" / name).read_bytes() == (made / "codec" / name).read_bytes()
        invoke(f"train codec --data {made}/data -o {tmp_path}/other --seed 4 {SMALL}")
        assert (tmp_path / "other" / name).read_bytes() != (made / "codec" / name).read_bytes()

    def test_a_run_is_gone_on_with_by_its_own_settings(self, made, tmp_path):
        shutil.copytree(made / "codec", tmp_path / "codec")
        said = invoke(f"train codec --data {made}/data -o {tmp_path}/codec --resume --set loop.steps=3").stderr
        assert f"wrote {tmp_path}/codec/model: psnr " in said
        rows = [json.loads(line) for line in (tmp_path / "codec/log.jsonl").read_text().splitlines()]
        assert [row["step"] for row in rows if "loss" in row] == [1, 2, 3]
        kept = json.loads((tmp_path / "codec/config.json").read_text())
        assert (kept["loop"]["steps"], kept["loop"]["seed"], kept["preset"]["codec"]["fine"]) == (3, 3, 8)

    def test_init_begins_from_a_checkpoint(self, made, tmp_path, monkeypatch):
        begun = []

        class Seen(recipe.Harmonize):
            def __init__(self, *given: object) -> None:
                super().__init__(*given)  # type: ignore[arg-type]
                begun.append({name: value.clone() for name, value in self.module.state_dict().items()})

        monkeypatch.setattr(recipe, "Harmonize", Seen)
        invoke(f"train harmonize --data {made}/data -o {tmp_path}/net --codec {made}/net/model --tone {made}/net/model "
               f"--init {made}/net/model {SMALL} --set loop.steps=1")
        before = checkpoint.load(made / "net/model").backbone.state_dict()
        assert all(torch.equal(value, before[name]) for name, value in begun[0].items())

    def test_step_three_learns_from_pairs_both_ways(self, made, tmp_path):
        net = made / "net/model"
        for part, count in (("train", 2), ("validation", 1)):
            invoke(f"data pairs {made}/data -o {tmp_path}/{part} --model {net} --count {count} --frames 5 "
                   f"--split {part}")
        command = f"train harmonize --data {made}/data --codec {net} --tone {net} --init {net} {SMALL}"
        said = invoke(f"{command} -o {tmp_path}/both --pairs {tmp_path}/train --pairs {tmp_path}/validation "
                      "--set stage.sources.misfit=0 --set stage.masks=alpha").stderr
        assert "to_synthetic_amplitude " in said and "to_real_gain " in said
        kept = json.loads((tmp_path / "both/config.json").read_text())["stage"]
        assert (kept["masks"], kept["sources"]["misfit"]) == ("alpha", 0)
        said = invoke(f"{command} -o {tmp_path}/none --pairs {tmp_path}/validation", 2).stderr
        assert "there are no pairs in" in said and "harmovid data pairs" in said and not (tmp_path / "none").exists()

    def test_harmoim_begins_from_a_harmonizer_and_is_resumed_under_the_same_name(self, made, tmp_path):
        net = made / "net/model"
        command = (f"train harmoim --data {made}/data -o {tmp_path}/im --codec {net} --tone {net} --init {net} {SMALL} "
                   "--set stage.lengths=[[1,2,1.0]]")
        invoke(f"{command} --set loop.steps=1")
        invoke(f"{command} --set loop.steps=2 --resume")
        model = checkpoint.load(tmp_path / "im/model")
        assert (model.preset.name, model.preset.view.window, model.preset.eta) == ("nano-harmoim", 1, 1.0)
        rows = [json.loads(line) for line in (tmp_path / "im/log.jsonl").read_text().splitlines()]
        assert [row["step"] for row in rows if "loss" in row] == [1, 2]

    def test_deflicker_begins_from_a_harmonizer_and_learns_from_pairs_too(self, made, tmp_path):
        net, small = made / "net/model", SMALL.replace("--set preset.tone.width=8", "")
        invoke(f"data pairs {made}/data -o {tmp_path}/pairs --model {net} --count 1 --frames 5")
        said = invoke(f"train deflicker --data {made}/data -o {tmp_path}/steady --codec {net} --init {net} {small} "
                      f"--pairs {tmp_path}/pairs --set stage.lengths=[[5,2,1.0]] --set stage.paired=0.9").stderr
        assert "removed " in said and "moving_slope " in said
        model = checkpoint.load(tmp_path / "steady/model")
        assert (model.preset.name, model.preset.background, model.tone) == ("nano-deflicker", False, None)
        assert model.backbone.palette_embedding is None
        other = f"train deflicker --data {made}/data -o {tmp_path}/other --codec {net} --pairs {tmp_path} {small}"
        assert "there are no pairs in" in invoke(other, 2).stderr and not (tmp_path / "other").exists()

    def test_pairs_are_made_by_a_harmonizer_of_single_frames_and_refused_by_another(self, made, tmp_path):
        command = f"data pairs {made}/data -o {tmp_path}/pairs --model {made}/net/model --count 2 --frames 5"
        assert "wrote 2 pairs" in invoke(command).stderr
        assert "wrote 0 pairs" in (again := invoke(command).stderr) and "; 2 were there" in again
        one = shards.read(tmp_path / "pairs/train/pair-000000.zip")
        assert (one.info.source, one.info.frames) == ("clip", 5)
        kept = json.loads((tmp_path / "pairs/manifest.json").read_text())
        assert (kept["steps"], kept["eta"], kept["backdrops"]) == (8, 1.0, ["made environments"])
        assert "made with other steps" in invoke(f"{command} --steps 9", 2).stderr

    def test_backgrounds_are_made_of_text_and_pairs_are_drawn_before_them(self, made, tmp_path):
        model = published.text_to_video(tmp_path / "cog")
        command = f"data backgrounds --model {model} -o {tmp_path}/clips --count 2 --frames 9 --steps 1"
        assert "wrote 2 clips" in invoke(f"{command} --height 16 --width 32").stderr
        assert "wrote 0 clips" in invoke(f"{command} --height 16 --width 32").stderr
        assert "--height and --width go together" in invoke(f"{command} --height 16", 2).stderr
        assert "makes no clip of 9 frames of (16, 24)" in invoke(f"{command} --height 16 --width 24".replace(
            "/clips", "/others"), 2).stderr
        invoke(f"data pairs {made}/data -o {tmp_path}/pairs --model {made}/net/model --count 1 --frames 5 "
               f"--backgrounds {tmp_path}/clips")
        assert "| clip | 1 |" in (tmp_path / "pairs/README.md").read_text()

    def test_pairs_are_made_by_ic_light(self, made, tmp_path, monkeypatch):
        monkeypatch.setattr(IcLight.__init__, "__defaults__",
                            tuple(32 * 32 if value == 512 * 512 else value for value in IcLight.__init__.__defaults__))
        stable = diffusion.folder(tmp_path / "stable", 0.1)
        command = f"data pairs {made}/data -o {tmp_path}/pairs --harmonizer {stable} --count 1 --frames 5 --steps 8"
        assert "wrote 1 pairs" in invoke(command).stderr
        kept = json.loads((tmp_path / "pairs/manifest.json").read_text())
        assert (kept["model"], kept["steps"], kept["eta"]) == ("iclight", 8, 1.0) and "best quality" in kept["told"]
        assert shards.read_latents(tmp_path / "pairs/train/pair-000000.zip") is None
        assert "made with other told" in invoke([*command.split(), "--prompt", "night"], 2).stderr

    def test_pairs_are_refined_and_it_is_said_what_became_of_them(self, made, tmp_path):
        pairs = f"data pairs {made}/data -o {tmp_path}/pairs --model {made}/net/model --count 1 --frames 5 --no-latents"
        invoke(pairs)
        command = f"data refine {tmp_path}/pairs --model {made}/net/model --steps 1 --footage {made}/data -o"
        all_pass = "--set correlation=-1 --set amplitude=[-9,9] --set texture=-1 --set jitter=9"
        said = invoke(f"{command} {tmp_path}/refined {all_pass}").stderr
        assert "refined 1 pairs; 0 were done" in said and "holds 1 of 1" in said and "jitter before" in said
        assert shards.read(tmp_path / "refined/train/pair-000000.zip").info.source == "clip"
        assert "made with other gates" in invoke(f"{command} {tmp_path}/refined", 2).stderr
        said = invoke(f"{command} {tmp_path}/none --set correlation=1.01").stderr
        assert "holds 0 of 1" in said and "dropped 1: light lies elsewhere" in said

    @pytest.mark.parametrize(("more", "sentence"), [
        ("--model bvd --steps 2", "--steps is a sampled network's, and bvd is none"),
        ("--model bvd --part 2", "--part is i/n, such as 0/4, got '2'"),
        ("--model bvd --set blur=1", "there is no setting 'blur'"), ("--model bvd", "holds no pseudo-pairs"),
        ("--model nowhere", "there is no checkpoint nowhere")])
    def test_pairs_that_cannot_be_refined(self, made, tmp_path, monkeypatch, more, sentence):
        monkeypatch.chdir(tmp_path)
        assert sentence in invoke(f"data refine {made}/data -o out {more}", 2).stderr and not Path("out").exists()

    @pytest.mark.parametrize(("more", "sentence"), [
        ("--harmonizer a", "--model and --harmonizer are two kinds"), ("--prompt sun", "give it with --harmonizer"),
        ("--backgrounds a --hdri b", "two sources of backgrounds"), ("--part 1", "--part is i/n, such as 0/4, got '1'"),
        ("--part 4/4", "with i from 0 to n − 1, got 4/4"), ("--backgrounds nowhere", "there is no folder nowhere"),
        ("--hdri .", "has none of the maps that the split list names for train"), ("--frames 6", "--frames is 5, 9"),
        ("--split test", "holds no shards of clips in test/")])
    def test_pairs_that_cannot_be_made(self, made, tmp_path, monkeypatch, more, sentence):
        monkeypatch.chdir(tmp_path)
        said = invoke(f"data pairs {made}/data -o out --model {made}/net/model --count 1 {more}", 2).stderr
        assert sentence in said and not Path("out").exists()

    def test_without_cuda_the_processor_serves_and_it_is_said(self, made, tmp_path, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        said = invoke(f"train codec --data {made}/data -o {tmp_path}/codec --device cuda {SMALL} --set loop.steps=1")
        assert "note there is no CUDA device here" in said.stderr
        assert json.loads((tmp_path / "codec/config.json").read_text())["loop"]["precision"] == "no"

    def test_stopped_it_says_how_to_go_on(self, made, tmp_path, monkeypatch):
        def stop(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(recipe, "train_codec", stop)
        said = invoke(f"train codec --data {made}/data -o {tmp_path}/codec", 130).stderr
        assert "stopped go on with --resume" in said

    @pytest.mark.parametrize(("arguments", "sentence"), [
        ("codec --data {made}/data -o {made}/codec", "codec holds a run already; pass --resume"),
        ("codec --data {made}/data -o {made}/codec/log.jsonl", "log.jsonl holds a run already"),
        ("codec --data {made}/data/train -o new", "there are no shards in"),
        ("codec --data {made}/data -o new --preset huge", "there is no preset 'huge'; choose one of nano, small"),
        ("codec --data {made}/data -o new --preset cogvideox-2b", "begins from published weights"),
        ("codec --data {made}/data -o new --set loop.stops=1", "there is no setting 'stops'"),
        ("codec --data {made}/data -o new --set loop.steps=0", "--set loop.steps is 1 or more"),
        ("codec --data {made}/data -o {made}/codec --resume --preset small", "is of the preset nano, not small"),
        ("harmonize --data {made}/data -o new --codec {made}/data", "cannot be read as a codec"),
        ("harmonize --data {made}/data -o new --codec {made}/codec/model", "is of other sizes than the preset nano's"),
        (f"harmonize --data {{made}}/data -o new --codec {{made}}/codec/model --init {{made}}/net/model {SMALL} "
         "--set preset.transformer.num_layers=2", "the transformer of"),
        (f"harmonize --data {{made}}/data -o new --codec {{made}}/codec/model {SMALL}",
         "pass --tone, the model/ of a run"),
        (f"harmonize --data {{made}}/data -o new --codec {{made}}/codec/model --tone {{made}}/codec/model {SMALL}",
         "tone.safetensors cannot be read"),
        (f"harmonize --data {{made}}/data -o new --codec {{made}}/codec/model --tone {{made}}/net/model {SMALL} "
         "--set preset.tone=null", "tones nothing; leave out --tone"),
        (f"tone --data {{made}}/data -o new {TONE} --set preset.tone=null", "tones nothing; go on with"),
        ("harmonize --data {made}/data -o new --codec {made}/net/model --init nowhere --set preset.codec.fine=8 "
         "--set preset.codec.frame=8 --set preset.codec.coarse=16", "there is no checkpoint nowhere"),
    ])
    def test_errors(self, made, tmp_path, monkeypatch, arguments, sentence):
        monkeypatch.chdir(tmp_path)
        before = tree(made)
        assert sentence in invoke(f"train {arguments.format(made=made)}", 2).stderr
        assert list(tmp_path.iterdir()) == [] and tree(made) == before


def test_the_light_stage_films_goes_on_and_says_what_it_did(tmp_path, monkeypatch):
    pytest.importorskip("embreex", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")
    from harmovid.data import filming
    from harmovid.lightstage.radiance import StageConfig
    from tests.lightstage.stage import performer

    small = StageConfig(coverage=2, points=1, surfels=50, bounces=1)
    film = filming.film_take
    monkeypatch.setattr(filming, "film_take", lambda seed, path, asked, perform: film(
        seed, path, filming.Filming(asked.count, asked.frames, asked.height, small), performer))
    monkeypatch.setattr(filming, "write_sheet", lambda takes, path: None)
    first = invoke(f"data lightstage --count 1 --frames 2 --height 16 --out {tmp_path}")
    assert f"wrote 2 takes to {tmp_path}; 0 were there; " in first.stderr and "MB a take" in first.stderr
    assert "no HDR maps were given (--hdri): all light will be drawn" in first.stderr
    again = invoke(f"data lightstage --count 2 --frames 2 --height 16 --out {tmp_path}")
    assert f"wrote 1 takes to {tmp_path}; 2 were there; " in again.stderr
    refused = invoke(f"data lightstage --count 1 --processes 0 --out {tmp_path}", status=2)
    assert "--processes is 1 or more, got 0" in refused.stderr
    shot = invoke(f"data shards {tmp_path} --out {tmp_path}/shards --lights 2")
    assert f"wrote 6 shards to {tmp_path}/shards; 0 were there" in shot.stderr
    assert "6 were there" in invoke(f"data shards {tmp_path} --out {tmp_path}/shards --lights 2").stderr
    one = shards.read(tmp_path / "shards" / "train" / "take-000000-01.zip")
    assert one.info.performance == "take-000000" and one.info.frames == 2
