"""`harmovid data`: from footage to shards, and from those to pairs, with what goes wrong."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import astuple, fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from harmovid.baselines.iclight import IcLight
from harmovid.data import pack, shards
from harmovid.data.split import Entry
from harmovid.lightstage import buffers
from tests.model import diffusion, published
from tests.odd import Clip, Still, tree
from tests.trained import SMALL, invoke

LISTED = (
    Entry("portraits_video/one.mp4", "one", "train", ""),
    Entry("portraits_video/two.mp4", "two", "validation", "no mask"),
    Entry("portraits_video/gone.mp4", "gone", "test", ""),
    Entry("portraits_photo/three.jpg", "three", "train", ""),
)

pytestmark = pytest.mark.usefixtures("one_thread")


class TestShards:
    @pytest.fixture(autouse=True)
    def footage(self, tmp_path, monkeypatch) -> Path:
        """Three of the four files that its list names; a person is wherever the picture is not the wall."""
        monkeypatch.setattr(pack, "_segmenter", lambda: lambda rgb: np.float32(rgb[..., 0] < 0.5))
        monkeypatch.chdir(tmp_path)
        videos, photos = tmp_path / "footage/portraits_video", tmp_path / "footage/portraits_photo"
        videos.mkdir(parents=True)
        photos.mkdir()
        for name, what, frames in (("one", "person", 6), ("one_mask", "mask", 6), ("two", "person", 40)):
            Clip(what, frames=frames, codec="libx264")(videos / f"{name}.mp4")
        Still("person")(photos / "three.jpg")
        Still("mask")(photos / "three_alpha.png")
        with (tmp_path / "footage/split.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(field.name for field in fields(Entry))
            rows.writerows(astuple(entry) for entry in LISTED)
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

    def test_who_was_moved_to_another_split_is_not_left_in_the_old_one(self, footage):
        invoke("data shards footage -o out")
        before = tree(Path("out"))
        listed = footage / "split.csv"
        listed.write_text(listed.read_text().replace("three,train", "three,test"))
        said = invoke("data shards footage -o out", 2).stderr
        assert "the list has portraits_photo/three.jpg in test, but there is out/train/three.zip; delete" in said
        assert tree(Path("out")) == before
        Path("out/train/three.zip").unlink()
        assert "wrote 1 shards" in invoke("data shards footage -o out").stderr

    def test_another_file_of_the_same_name_is_not_taken_for_who_was_moved(self, footage):
        listed = footage / "split.csv"
        listed.write_text(listed.read_text() + "portraits_photo/one.jpg,somebody,unused,\n")
        invoke("data shards footage -o out")
        assert "wrote 0 shards to out; 3 were there" in invoke("data shards footage -o out").stderr
        listed.write_text(listed.read_text().replace("one.mp4,one,train", "one.mp4,another,validation"))
        assert "wrote 1 shards" in invoke("data shards footage -o out").stderr  # of other footage, of another person

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
        monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
        pack._segmenter.cache_clear()
        said = invoke(f"data shards {footage} -o {footage.parent}/out", 2).stderr
        assert "pip install 'harmovid[matte]'" in said and not (footage.parent / "out").exists()

    @pytest.mark.parametrize(("arguments", "sentence"), [
        ("nowhere -o out", "nowhere has none of the 446 files of the split list, such as portraits_video/"),
        ("footage -o out --processes 0", "--processes is 1 or more, got 0"),
        ("footage -o out --limit 0", "--limit is 1 or more, got 0"),
        ("footage -o out --area 1", "--area is a number of pixels of 64 or more, got 1"),
    ])
    def test_errors(self, arguments, sentence):
        assert sentence in invoke(f"data shards {arguments}", 2).stderr
        assert not Path("out").exists()


def test_pairs_are_made_by_a_harmonizer_of_single_frames_and_refused_by_another(trained, tmp_path):
    command = f"data pairs {trained}/data -o {tmp_path}/pairs --model {trained}/net/model --count 2 --frames 5"
    assert "wrote 2 pairs" in invoke(command).stderr
    assert "wrote 0 pairs" in (again := invoke(command).stderr) and "; 2 were there" in again
    one = shards.read(tmp_path / "pairs/train/pair-000000.zip")
    assert (one.info.source, one.info.frames) == ("clip", 5)
    kept = json.loads((tmp_path / "pairs/manifest.json").read_text())
    assert (kept["steps"], kept["eta"], kept["backdrops"]) == (8, 1.0, ["made environments"])
    assert "made with other steps" in invoke(f"{command} --steps 9", 2).stderr


def test_backgrounds_are_made_of_text_and_pairs_are_drawn_before_them(trained, tmp_path):
    model = published.text_to_video(tmp_path / "cog")
    command = f"data backgrounds --model {model} -o {tmp_path}/clips --count 2 --frames 9 --steps 1"
    assert "wrote 2 clips" in invoke(f"{command} --height 16 --width 32").stderr
    assert "wrote 0 clips" in invoke(f"{command} --height 16 --width 32").stderr
    assert "--height and --width go together" in invoke(f"{command} --height 16", 2).stderr
    assert "makes no clip of 9 frames of (16, 24)" in invoke(f"{command} --height 16 --width 24".replace(
        "/clips", "/others"), 2).stderr
    invoke(f"data pairs {trained}/data -o {tmp_path}/pairs --model {trained}/net/model --count 1 --frames 5 "
           f"--backgrounds {tmp_path}/clips")
    assert "| clip | 1 |" in (tmp_path / "pairs/README.md").read_text()


def test_pairs_are_made_by_ic_light(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(IcLight.__init__, "__defaults__",
                        tuple(32 * 32 if value == 512 * 512 else value for value in IcLight.__init__.__defaults__))
    stable = diffusion.folder(tmp_path / "stable", 0.1)
    command = f"data pairs {trained}/data -o {tmp_path}/pairs --harmonizer {stable} --count 1 --frames 5 --steps 8"
    assert "wrote 1 pairs" in invoke(command).stderr
    kept = json.loads((tmp_path / "pairs/manifest.json").read_text())
    assert (kept["model"], kept["steps"], kept["eta"]) == ("iclight", 8, 1.0) and "best quality" in kept["told"]
    assert shards.read_latents(tmp_path / "pairs/train/pair-000000.zip") is None
    assert "made with other told" in invoke([*command.split(), "--prompt", "night"], 2).stderr


def test_pairs_are_refined_and_it_is_said_what_became_of_them(trained, tmp_path):
    net = trained / "net/model"
    invoke(f"data pairs {trained}/data -o {tmp_path}/pairs --model {net} --count 1 --frames 5 --no-latents")
    invoke(f"train deflicker --data {trained}/data -o {tmp_path}/steady --codec {trained}/codec/model {SMALL}".replace(
        "--set preset.tone.width=8", ""))
    refused = invoke(f"data refine {tmp_path}/pairs --model {net} --footage {trained}/data -o {tmp_path}/no", 2)
    assert "relights people and was not trained to steady light" in refused.stderr
    command = f"data refine {tmp_path}/pairs --model {tmp_path}/steady/model --footage {trained}/data -o"
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
def test_pairs_that_cannot_be_refined(trained, tmp_path, monkeypatch, more, sentence):
    monkeypatch.chdir(tmp_path)
    assert sentence in invoke(f"data refine {trained}/data -o out {more}", 2).stderr and not Path("out").exists()


@pytest.mark.parametrize(("more", "sentence"), [
    ("--harmonizer a", "--model and --harmonizer are two kinds"), ("--prompt sun", "give it with --harmonizer"),
    ("--backgrounds a --hdri b", "two sources of backgrounds"), ("--part 1", "--part is i/n, such as 0/4, got '1'"),
    ("--part 4/4", "with i from 0 to n − 1, got 4/4"), ("--backgrounds nowhere", "there is no folder nowhere"),
    ("--hdri .", "has none of the maps that the split list names for train"), ("--frames 6", "--frames is 5, 9"),
    ("--split test", "holds no shards of clips in test/")])
def test_pairs_that_cannot_be_made(trained, tmp_path, monkeypatch, more, sentence):
    monkeypatch.chdir(tmp_path)
    said = invoke(f"data pairs {trained}/data -o out --model {trained}/net/model --count 1 {more}", 2).stderr
    assert sentence in said and not Path("out").exists()


def test_the_light_stage_films_goes_on_and_says_what_it_did(tmp_path, monkeypatch):
    pytest.importorskip("embreex", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")
    from harmovid.data import filming
    from harmovid.lightstage.radiance import StageConfig
    from tests.lightstage.stage import performer

    small = StageConfig(coverage=2, points=1, surfels=50, bounces=1)
    film = filming.film_take
    monkeypatch.setattr(filming, "film_take", lambda seed, path, asked, perform: film(
        seed, path, replace(asked, stage=small), performer))
    monkeypatch.setattr(filming, "write_sheet", lambda takes, path: None)
    first = invoke(f"data lightstage --count 1 --frames 2 --height 16 --out {tmp_path}")
    assert f"wrote 2 takes to {tmp_path}; 0 were there; " in first.stderr and "MB a take" in first.stderr
    assert "no HDR maps were given (--hdri): all light will be drawn" in first.stderr
    again = invoke(f"data lightstage --count 2 --frames 2 --height 16 --out {tmp_path}")
    assert f"wrote 1 takes to {tmp_path}; 2 were there; " in again.stderr
    pixels = np.full((16, 32, 3), 0.01, np.float32)
    pixels[4, 8] = 300
    cv2.imwrite(str(tmp_path / "probe.hdr"), pixels)
    invoke(f"data lightstage --count 1 --frames 2 --height 16 --light {tmp_path}/probe.hdr --out {tmp_path}/lit")
    assert buffers.read(tmp_path / "lit" / "train" / "take-000000.safetensors").keys is not None
    mixed = invoke(f"data lightstage --count 1 --frames 2 --height 16 --out {tmp_path}/lit", status=2)
    assert "filmed for another light than --light says" in mixed.stderr
    refused = invoke(f"data lightstage --count 1 --processes 0 --out {tmp_path}", status=2)
    assert "--processes is 1 or more, got 0" in refused.stderr
    shot = invoke(f"data shards {tmp_path} --out {tmp_path}/shards --lights 2")
    assert f"wrote 6 shards to {tmp_path}/shards; 0 were there" in shot.stderr
    assert "6 were there" in invoke(f"data shards {tmp_path} --out {tmp_path}/shards --lights 2").stderr
    one = shards.read(tmp_path / "shards" / "train" / "take-000000-01.zip")
    assert one.info.performance == "take-000000" and one.info.frames == 2
