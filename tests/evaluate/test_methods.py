"""Methods by name: what they are called, what they do, and whose results lie where."""

import json
from dataclasses import replace

import numpy as np
import pytest

from harmovid import config
from harmovid.baselines import bvd
from harmovid.baselines.iclight import IcLight
from harmovid.errors import InputError, OptionError, OutputError
from harmovid.evaluate import methods
from harmovid.evaluate.methods import Record, method
from harmovid.infer.views import Views, ViewSize
from harmovid.model import checkpoint
from harmovid.model.presets import nano
from tests.model import diffusion


@pytest.mark.parametrize(("given", "name"), [
    (("classical",), "classical"),
    (("nano",), "nano"),
    (("harmoim",), "nano-harmoim"),
    (("frames=harmoim",), "frames"),
    (("classical", "network"), "classical__network"),
    (("nano+bvd", "network"), "nano+bvd__network"),
    (("nano", "network", ("overlap=0.5",)), "nano__network__overlap=0.5"),
    (("nano", "transfer", ("transfer.temporal_sigma=0",)), "nano__temporal_sigma=0"),
    (("nano", "transfer", ("transfer.temporal_sigma=1.6",)), "nano__temporal_sigma=1.6"),
    (("nano", "network", ("transfer.temporal_sigma=0",)), "nano__network"),  # it has no light transfer
    (("untouched", "transfer", ("transfer.temporal_sigma=0",)), "untouched"),
    (("untouched", "transfer", ("edge=0",)), "untouched__edge=0"),
    (("classical", "transfer", (), True), "classical__quick"),
])
def test_folders_are_named_by_what_is_not_the_default(given, name):
    assert method(*given).name == name


def test_options_and_names_of_folders(tmp_path):
    weights = tmp_path / "out" / "model"
    weights.mkdir(parents=True)
    assert method(str(weights)).name == "model" and method(f"ours={weights}").name == "ours"
    chosen = method("classical", settings=("transfer.temporal_sigma=0", "seed=3"), quick=True)
    assert (chosen.options.transfer.temporal_sigma, chosen.options.seed, chosen.options.end) == (0, 3, 17)
    assert method("untouched").options.strength == 0 and not method("untouched").is_network


def test_a_network_that_steadies_is_not_smoothed_over_time_unless_it_is_asked_for(tmp_path):
    for name, background in (("steady", False), ("other", True)):
        (tmp_path / name).mkdir()
        config.save(replace(nano(), background=background), tmp_path / name / "config.json")
    smoothed = [method(str(tmp_path / name)).options.transfer.temporal_sigma for name in ("steady", "other")]
    assert smoothed == [0.0, 1.0]
    steady = tmp_path / "steady"
    for model, sigma in ((f"nano+{steady}", 1.0), (f"{steady}+nano", 0.0), ("bvd", 0.0), ("gaussian", 0.0),
                         ("codec", 1.0)):  # the first sees the flicker
        assert method(f"both={model}").options.transfer.temporal_sigma == sigma
    asked = method(str(tmp_path / "steady"), settings=("transfer.temporal_sigma=2",))
    assert asked.options.transfer.temporal_sigma == 2
    assert method("nano-deflicker").name == "nano-deflicker" and method("nano-deflicker").is_network


def test_what_came_to_no_result_is_no_reason_to_refuse(tmp_path):
    for model in ("reinhard", "classical"):
        methods.record(method(f"x={model}"), tmp_path)
        assert json.loads((tmp_path / "method.json").read_text())["model"] == model
    (tmp_path / "one.mkv").write_bytes(b"")
    with pytest.raises(OutputError, match="holds results of other weights or settings"):
        methods.record(method("x=nano"), tmp_path)


@pytest.mark.parametrize(("text", "settings", "sentence"), [
    ("nano", ("detail=network",), "--set detail=network is not for a comparison: detail has an option of its own"),
    ("nano", ("end = 3",), "is not for a comparison"),
    ("nobody", (), "no method 'nobody'; give untouched, background"),
    ("a=gone/model", (), "no method 'gone/model'"),
    ("nano+nobody", (), "no method 'nobody'"),
    ("nano+bvd+codec", (), "more than two methods"),
    ("a/b=nano", (), "cannot be the name of a folder"),
    ("a__b=nano", (), "cannot be the name of a folder"),
    ("nano", ("transfer.magic=1",), "no setting 'magic'"),
])
def test_what_is_no_method_is_told(text, settings, sentence):
    with pytest.raises(OptionError, match=sentence):
        method(text, settings=settings)


class Clip:
    """Noise."""

    def __len__(self):
        return 40

    def window(self, start, stop):
        rng = np.random.default_rng(0)
        shapes = (3, 8, 8), (3, 8, 8), (1, 8, 8), (3, 4, 6)
        return Views(*(rng.random((c, 40, h, w), np.float32)[:, start:stop] for c, h, w in shapes))


def test_untouched_and_painted_over():
    clip = Clip()
    whole = np.concatenate([clip.window(0, 32).overview, clip.window(32, 40).overview], 1).mean((1, 2, 3))
    for name in ("untouched", "background"):
        chunks = list(methods.load(method(name, "network"), view=ViewSize(64)).harmonize(clip))
        assert [chunk.result.shape for chunk in chunks] == [(3, 32, 8, 8), (3, 8, 8, 8)]
        views = clip.window(0, 32)
        if name == "untouched":
            assert np.array_equal(chunks[0].result, views.composite)
        else:
            flat = views.mask * whole[:, None, None, None] + (1 - views.mask) * views.background
            assert np.abs(chunks[0].result - flat).max() < 1e-5


def test_a_classical_method_takes_the_size_it_is_given():
    assert methods.load(method("reinhard"), view=ViewSize(64)).view == ViewSize(64)
    assert methods.load(method("reinhard")).view == ViewSize()


@pytest.mark.parametrize("name", ["gaussian", "bvd", "codec"])
def test_what_steadies_light_comes_by_name_and_at_any_size(name, monkeypatch):
    monkeypatch.setattr(bvd, "deflicker", lambda frames, *_, **__: 1 - frames)  # an atlas takes half a minute
    steady = methods.load(method(name, "network"), view=ViewSize(64))
    assert (steady.name, steady.view) == (name, ViewSize(64)) and not method(name).is_network
    result = np.concatenate([chunk.result for chunk in steady.harmonize(Clip())], 1)
    assert result.shape == (3, 40, 8, 8)
    assert np.abs(result - Clip().window(0, 40).composite).max() > 1e-3


@pytest.mark.parametrize(("name", "file"), [("bvd", "model.safetensors"),
                                            ("codec", "diffusion_pytorch_model.safetensors"),
                                            ("nano", "vae/diffusion_pytorch_model.safetensors"), ("gaussian", None)])
def test_the_record_names_the_weights_of_what_has_some(tmp_path, name, file):
    methods.record(method(name), tmp_path)
    found = config.load(Record, tmp_path / "method.json")
    assert found.model == name
    assert (file in {weights.split()[0] for weights in found.weights}) if file else found.weights == ()


def test_weights_of_a_shipped_network_are_looked_up_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "WEIGHTS", tmp_path / "weights")
    with pytest.raises(InputError, match="nano-harmoim holds no weights"):
        methods.record(method("harmoim"), tmp_path / "results")
    (tmp_path / "weights/nano-harmoim").mkdir(parents=True)
    (tmp_path / "weights/nano-harmoim/config.json").write_text("{}")
    methods.record(method("harmoim"), tmp_path / "results")
    found = config.load(Record, tmp_path / "results/method.json")
    assert found.model == "nano-harmoim" and found.weights[0].startswith("config.json ")


def test_results_of_other_weights_are_not_mixed(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, text in ((one, "1"), (two, "2")):
        folder.mkdir()
        (folder / "weights.safetensors").write_text(text)
    results = tmp_path / "results"
    methods.record(method(f"ours={one}"), results)
    (results / "a.mkv").touch()
    methods.record(method(f"ours={one.rename(tmp_path / 'moved')}"), results)  # the same weights in another place
    with pytest.raises(OutputError, match="other weights or settings; remove it"):
        methods.record(method(f"ours={two}"), results)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="holds no weights"):
        methods.record(method(f"empty={tmp_path / 'nothing'}"), tmp_path / "more")


def test_results_that_were_smoothed_are_not_mixed_with_those_that_are_not(tmp_path):
    config.save(Record("gaussian", "transfer"), tmp_path / "method.json")  # as it was noted before
    (tmp_path / "a.mkv").touch()
    with pytest.raises(OutputError, match="other weights or settings"):
        methods.record(method("gaussian"), tmp_path)
    methods.record(method("gaussian"), tmp_path / "new")
    (tmp_path / "new" / "a.mkv").touch()
    methods.record(method("gaussian"), tmp_path / "new")


def test_results_of_another_size_are_not_mixed(tmp_path):
    chosen, small, large = method("classical", "network"), ViewSize(64 * 64), ViewSize(96 * 96)
    methods.record(chosen, tmp_path / "new", small)
    (tmp_path / "new" / "a.mkv").touch()
    methods.record(chosen, tmp_path / "new", small)
    with pytest.raises(OutputError, match="other weights or settings"):
        methods.record(chosen, tmp_path / "new", large)
    methods.record(chosen, tmp_path / "old")  # as it was noted before views were
    methods.record(chosen, tmp_path / "old", large)


def test_results_of_unknown_origin_are_taken_for_a_classical_methods_only(tmp_path):
    (tmp_path / "a.mkv").touch()
    with pytest.raises(OutputError, match="other weights"):
        methods.record(method("nano"), tmp_path)
    for name in ("bvd", "codec"):
        with pytest.raises(OutputError, match="other weights"):
            methods.record(method(name), tmp_path)
    methods.record(method("reinhard"), tmp_path)


def test_a_folder_of_stable_diffusion_is_ic_light(tmp_path):
    chosen = methods.method(f"iclight={diffusion.folder(tmp_path / 'sd15')}")
    assert chosen.name == "iclight" and chosen.is_network
    assert isinstance(methods.load(chosen), IcLight)
    methods.record(chosen, tmp_path / "results")
    kept = json.loads((tmp_path / "results/method.json").read_text())["weights"]
    assert any(line.startswith("iclight_sd15_fbc.safetensors ") for line in kept)


def test_one_after_the_other_works_at_the_networks_size_and_has_both_weights(tmp_path):
    chosen = method("twice=reinhard+codec")
    assert (chosen.name, chosen.parts, chosen.is_network) == ("twice", ["reinhard", "codec"], False)
    size = ViewSize(48 * 48)
    made = methods.load(chosen, view=size)
    assert made.name == "reinhard+codec" and made.view == made.first.view == made.second.view == size
    methods.record(chosen, tmp_path / "results")
    kept = config.load(Record, tmp_path / "results/method.json")
    assert kept.model == "reinhard+codec" and len(kept.weights) == len(methods._weights("codec"))
    network = methods.load(method("nano+bvd"))
    assert method("nano+bvd").is_network and network.view == network.first.view == network.second.view
