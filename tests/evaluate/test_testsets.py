"""Manifests and folders of test sets: old ones, foreign ones, broken ones."""

import json

import numpy as np
import pytest

from harmovid import config
from harmovid.errors import InputError, OutputError
from harmovid.evaluate import testsets
from harmovid.evaluate.testsets import Item, Manifest, read_set
from tests import figures


def folder(path, manifest, roles=testsets.ROLES):
    for role in roles:
        (path / role).mkdir(parents=True)
        for item in manifest.items:
            (path / role / f"{item.name}.mkv").touch()
    config.save(manifest, path / "manifest.json")
    return path


def test_a_manifest_from_before_there_were_kinds_is_a_lut_set(tmp_path):
    item = {"name": "ann__fire", "clip": "portraits_video/ann.mp4", "lut": "fire", "strength": 0.5, "psnr": 17.5}
    old = {"version": 1, "split": "test", "per_clip": 1, "mean": 18.0, "clips": ["portraits_video/ann.mp4"],
           "luts": ["fire 00"], "items": [item]}
    folder(tmp_path, Manifest(1, items=(Item("ann__fire", ""),)))
    (tmp_path / "manifest.json").write_text(json.dumps(old))
    found = read_set(tmp_path)
    assert (found.kind, found.version, found.items[0].psnr, found.items[0].frames) == ("lut", 1, 17.5, None)
    assert testsets.begin(tmp_path, Manifest(1, "test", 1, 18.0, ("portraits_video/ann.mp4",), ("fire 00",))) == found


def test_a_set_made_elsewhere_is_read_and_needs_no_psnr(tmp_path):
    manifest = Manifest(1, items=(Item("scene", "scene", settings={"samples": 512}),), kind="pathtraced")
    assert read_set(folder(tmp_path, manifest)) == manifest


def test_the_masks_that_score_are_those_of_the_methods_unless_there_are_others(tmp_path):
    (tmp_path / "mask").mkdir()
    assert testsets.scoring_masks(tmp_path).name == "mask"
    (tmp_path / "scoring_mask").mkdir()
    assert testsets.scoring_masks(tmp_path).name == "scoring_mask"


@pytest.mark.parametrize(("manifest", "sentence"), [
    (Manifest(1, items=(Item("a", "a", psnr=18.0),), kind="dreams"), "'dreams'; this version knows lut, jitter"),
    (Manifest(2, items=(Item("a", "a", psnr=18.0),)), "another version; make it again"),
    (Manifest(1, items=(Item("a", "a"),)), "unfinished"),
    (Manifest(1), "unfinished"),
])
def test_what_cannot_be_read_is_told(tmp_path, manifest, sentence):
    with pytest.raises(InputError, match=sentence):
        read_set(folder(tmp_path, manifest))


def test_a_lost_file_is_told_and_a_free_set_needs_no_truth(tmp_path):
    manifest = Manifest(1, items=(Item("a", "a"), Item("b", "b")), kind="free")
    place = folder(tmp_path, manifest, testsets.ROLES[:-1])
    assert read_set(place) == manifest
    (place / "mask" / "b.mkv").unlink()
    with pytest.raises(InputError, match=r"lacks 1 of 2 files in mask/, the first b\.mkv"):
        read_set(place)


def test_a_set_is_finished_item_by_item_and_goes_on_after_a_kill(tmp_path):
    begun = Manifest(1, clips=("a",), items=tuple(Item(name, name) for name in "abc"))
    for role in testsets.ROLES:
        (tmp_path / role).mkdir()
    asked = []

    def make(item):
        asked.append(item.name)
        if item.name == "b" and len(asked) == 2:
            raise KeyboardInterrupt
        for role in testsets.ROLES:
            (tmp_path / role / f"{item.name}.mkv").touch()
        return 20.0

    with pytest.raises(KeyboardInterrupt):
        testsets.finish(tmp_path, begun, make, lambda *step: None)
    kept = testsets.begin(tmp_path, Manifest(1, clips=("a",)))
    assert kept is not None and [item.psnr for item in kept.items] == [20.0, None, None]
    whole = testsets.finish(tmp_path, kept, make, lambda *step: None)
    assert asked == ["a", "b", "b", "c"] and read_set(tmp_path) == whole
    with pytest.raises(OutputError, match="another folder, or remove that one"):
        testsets.begin(tmp_path, Manifest(1, split="validation", clips=("a",)))


def test_a_clip_is_padded_to_what_networks_take(tmp_path):
    film = figures.film((64, 48), 6)
    figures.write(tmp_path / "ann.mp4", film.frames)
    figures.write(tmp_path / "ann_mask.mp4", (film.alpha >= 0.5).astype(np.float32))
    assert testsets.real(tmp_path / "ann.mp4", tmp_path / "out", pad=True) == 6
    for role in testsets.ROLES[1:]:
        frames = figures.read(tmp_path / "out" / f"{role}.mkv")[0]
        assert len(frames) == 9 and (frames[6:] == frames[5]).all()


def test_an_empty_mask_is_told(tmp_path):
    figures.write(tmp_path / "ann.mp4", figures.film((64, 48), 2).frames)
    figures.write(tmp_path / "ann_mask.mp4", np.zeros((2, 48, 64), np.float32))
    with pytest.raises(InputError, match="mask of ann is empty"):
        testsets.real(tmp_path / "ann.mp4", tmp_path / "out")


def test_seeds_belong_to_their_words():
    assert testsets.seed("ann", "holes") == testsets.seed("ann", "holes") != testsets.seed("ann", "wobble")
