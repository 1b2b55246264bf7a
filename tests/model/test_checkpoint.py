from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXDDIMScheduler, CogVideoXTransformer3DModel

from harmovid import config
from harmovid.errors import InputError, OutputError
from harmovid.model import checkpoint
from harmovid.model.backbone import Backbone, TransformerConfig
from harmovid.model.checkpoint import WEIGHTS, Model, create, load, load_published, save
from harmovid.model.codec import CausalCodec, CausalCodecConfig, CogVideoXCodec
from harmovid.model.conditions import conditions
from harmovid.model.palette import PALETTE, palette
from harmovid.model.presets import PRESETS, Preset, ViewConfig, cogvideox_2b
from harmovid.model.schedule import ScheduleConfig
from harmovid.model.tone import toned
from harmovid.train.objective import one_step
from harmovid.train.recipe import CodecRecipe
from tests.model.published import folder, transformer

TINY = Preset(
    name="tiny", view=ViewConfig(area=1024, overview=(32, 48), window=9),
    transformer=TransformerConfig(num_attention_heads=2, attention_head_dim=16, num_layers=1, time_embed_dim=16,
                                  text_embed_dim=8, max_text_seq_length=1, use_rotary_positional_embeddings=True,
                                  palette=True),
    schedule=ScheduleConfig(prediction="epsilon", snr_shift=2.0),
    codec=CausalCodecConfig(fine=8, frame=8, coarse=8, encoder_blocks=1, decoder_blocks=1, fine_blocks=1), steps=3)


def tiny(seed: int = 0) -> Model:
    torch.manual_seed(seed)
    model = create(TINY)
    with torch.no_grad():
        for part in (model.backbone, model.codec):
            for weight in part.parameters():
                weight.normal_(std=0.2)
        model.codec.scale_to(torch.arange(16) / 16 - 0.5, torch.arange(16) / 16 + 1)
    return model


@torch.no_grad()
def results(model: Model, frames: int = 2) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    noisy = torch.randn(1, 16, frames, 8, 12, generator=generator)
    told = torch.randn(1, 304, frames, 8, 12, generator=generator)
    latents = model.codec.encode(torch.rand(1, 3, 5, 16, 16, generator=generator))
    palette = torch.randn(1, PALETTE, generator=generator)
    return [model.backbone(noisy, told, torch.tensor([500]), palette), latents, model.codec.decode(latents),
            model.schedule.add_noise(noisy, noisy, 700)]


def files(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


# --- our own

def test_what_is_saved_is_loaded_to_the_bit(tmp_path):
    model = tiny()
    save(model, tmp_path / "a")
    again = load(tmp_path / "a")
    assert again.preset == TINY
    assert not again.backbone.training and not again.backbone.transformer.training
    for ours, theirs in zip(results(model), results(again), strict=True):
        assert torch.equal(ours, theirs)


def test_the_folder_is_in_the_layout_of_diffusers(tmp_path):
    model = tiny()
    save(model, tmp_path / "a")
    assert set(files(tmp_path / "a")) == {
        "config.json", "model_index.json", "null_text.safetensors", "palette_embedding.safetensors",
        "scheduler/scheduler_config.json", "transformer/config.json",
        "transformer/diffusion_pytorch_model.safetensors", "vae/config.json", "vae/diffusion_pytorch_model.safetensors"}
    index = json.loads((tmp_path / "a" / "model_index.json").read_text())
    assert index["transformer"] == ["diffusers", "CogVideoXTransformer3DModel"]
    assert index["vae"] == ["harmovid", "CausalCodec"]
    scheduler = CogVideoXDDIMScheduler.from_pretrained(tmp_path / "a" / "scheduler")
    assert torch.equal(scheduler.alphas_cumprod, model.schedule.alphas_cumprod)
    network = CogVideoXTransformer3DModel.from_pretrained(tmp_path / "a" / "transformer")
    assert network.config.in_channels == 320


def test_a_checkpoint_without_what_reads_its_palette_is_refused(tmp_path):
    save(tiny(), tmp_path / "a")
    (tmp_path / "a" / "palette_embedding.safetensors").unlink()
    with pytest.raises(InputError, match="palette_embedding"):
        load(tmp_path / "a")


def test_saving_twice_gives_the_same_bytes(tmp_path):
    for name in "ab":
        save(tiny(), tmp_path / name)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_half_precision_is_half_the_size_and_leaves_the_model_as_it_was(tmp_path):
    model = tiny()
    save(model, tmp_path / "full")
    save(model, tmp_path / "half", dtype=torch.float16)
    weights = "transformer/diffusion_pytorch_model.safetensors"
    sizes = [(tmp_path / name / weights).stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.6 * sizes[1]
    again = load(tmp_path / "half")
    for part, other in ((model.backbone, again.backbone), (model.codec, again.codec)):
        for a, b in zip(part.parameters(), other.parameters(), strict=True):
            assert a.dtype == b.dtype == torch.float32
            assert torch.equal(a.half().float(), b)
    assert load(tmp_path / "half", dtype=torch.bfloat16).backbone.null_text.dtype == torch.bfloat16


def test_a_checkpoint_replaces_another_whole(tmp_path):
    save(tiny(1), tmp_path / "a")
    (tmp_path / "a" / "stray.txt").write_text("of the old one")
    save(tiny(2), tmp_path / "a")
    assert [p.name for p in tmp_path.iterdir()] == ["a"] and not (tmp_path / "a" / "stray.txt").exists()
    assert torch.equal(results(load(tmp_path / "a"))[0], results(tiny(2))[0])


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_a_run_that_ends_while_saving_leaves_the_old_one_and_nothing_that_looks_finished(
        tmp_path, monkeypatch, error):
    save(tiny(1), tmp_path / "a")
    before = files(tmp_path / "a")

    def fail(*args: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.config, "save", fail)
        for name in "ab":
            with pytest.raises(OutputError if isinstance(error, OSError) else KeyboardInterrupt):
                save(tiny(2), tmp_path / name)
    assert files(tmp_path / "a") == before and not (tmp_path / "b").exists()
    assert all(p.name.endswith(".part") and not (p / "config.json").exists()
               for p in tmp_path.iterdir() if p.name != "a")
    save(tiny(2), tmp_path / "b")  # what is left of it is in nobody's way
    assert load(tmp_path / "b").preset == TINY


def test_the_folder_of_a_run_is_told_from_the_model_in_it(tmp_path):
    config.save(CodecRecipe(TINY), tmp_path / "config.json")
    with pytest.raises(InputError, match="is not the folder of a checkpoint; give one that is"):
        load(tmp_path)
    save(tiny(), tmp_path / "model")
    with pytest.raises(InputError, match=r"give .*model, for .* is that of a run"):
        load(tmp_path)


def test_a_folder_of_something_else_is_never_replaced(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    for path in (tmp_path / "home", tmp_path / "home" / "letter.txt"):
        with pytest.raises(OutputError, match="not a checkpoint"):
            save(tiny(), path)
    assert (tmp_path / "home" / "letter.txt").read_text() == "dear"


def test_a_parent_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        save(tiny(), tmp_path / "no" / "a")


@pytest.mark.parametrize("missing", ["vae", "transformer"])
def test_a_checkpoint_in_part_is_refused_in_words(tmp_path, missing):
    save(tiny(), tmp_path / "a")
    (tmp_path / "a" / missing / "diffusion_pytorch_model.safetensors").write_bytes(b"torn")
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        load(tmp_path / "a")


def test_a_model_moves_as_one():
    model = tiny()
    assert model.to("meta") is model
    x = torch.empty(1, 16, 2, 8, 12, device="meta")
    steps = torch.zeros(1, dtype=torch.long, device="meta")
    told = torch.empty(1, 304, 2, 8, 12, device="meta")
    palette = torch.empty(1, PALETTE, device="meta")
    assert model.schedule.to_x0(model.backbone(x, told, steps, palette), x, steps).device.type == "meta"
    assert model.codec.decode(x).device.type == "meta"


# --- published ones

@pytest.mark.parametrize("kind", ["2b", "5b", "1.5-5b", "1.5-5b-i2v"])
def test_a_published_folder_is_widened_and_is_what_it_was(tmp_path, kind):
    path = folder(kind, tmp_path / kind)
    model = load(path)
    original = Backbone(transformer(kind), positions=model.preset.transformer.positions)
    noisy, told, steps = torch.randn(1, 16, 4, 8, 12), torch.zeros(1, 304, 4, 8, 12), torch.tensor([999])
    with torch.no_grad():
        expected = original(noisy, told, steps)
        torch.testing.assert_close(model.backbone(noisy, told + 1, steps), expected)
    newer = kind.startswith("1.5")
    assert model.preset.name == ("cogvideox-1.5-5b" if newer else f"cogvideox-{kind}")
    assert model.preset.transformer == TransformerConfig.from_diffusers(transformer(kind).config)
    assert model.preset.schedule == ScheduleConfig(snr_shift=3.0 if kind == "2b" else 1.0)
    assert isinstance(model.codec, CogVideoXCodec)
    vae = AutoencoderKLCogVideoX.from_pretrained(path, subfolder="vae")
    assert all(torch.equal(a, b) for a, b in zip(vae.parameters(), model.codec.vae.parameters(), strict=True))


def test_a_published_model_is_kept_as_ours(tmp_path):
    model = load(folder("1.5-5b-i2v", tmp_path / "published"))
    with torch.no_grad():
        model.backbone.transformer.patch_embed.proj.weight.normal_()
    save(model, tmp_path / "ours")
    again = load(tmp_path / "ours")
    assert again.preset == model.preset and again.backbone.unused_channels == 16
    for ours, theirs in zip(results(model), results(again), strict=True):
        assert torch.equal(ours, theirs)


def test_the_preset_says_what_is_seen_and_the_folder_what_the_network_is(tmp_path):
    preset = replace(cogvideox_2b(), view=ViewConfig(area=4096), steps=7)
    model = load_published(preset, folder("5b", tmp_path / "a"))
    assert model.preset.view == preset.view and model.preset.steps == 7
    assert model.preset.transformer.use_rotary_positional_embeddings and model.preset.schedule.snr_shift == 1.0


def test_the_null_text_is_read_where_there_is_one(tmp_path):
    path = folder("2b", tmp_path / "a")
    assert (load(path).backbone.null_text == 0).all()
    text = torch.randn(1, 3, 8)
    checkpoint.save_file({"null_text": text}, path / "null_text.safetensors")
    model = load(path)
    assert torch.equal(model.backbone.null_text, text)
    save(model, tmp_path / "b")
    assert torch.equal(load(tmp_path / "b").backbone.null_text, text)


def test_a_published_folder_without_a_part_is_refused_in_words(tmp_path):
    path = folder("2b", tmp_path / "a")
    (path / "scheduler" / "scheduler_config.json").unlink()
    with pytest.raises(InputError, match="needs scheduler/, transformer/ and vae/"):
        load(path)


def test_a_published_folder_is_never_saved_over(tmp_path):
    path = folder("2b", tmp_path / "a")
    with pytest.raises(OutputError, match="not a checkpoint"):
        save(load(path), path)


# --- names

def test_a_name_of_ours_is_found_in_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "WEIGHTS", tmp_path)
    with pytest.raises(InputError, match="no weights of nano"):
        load("nano")
    save(tiny(), tmp_path / "nano")
    assert load("nano").preset == TINY
    assert checkpoint.place("nano") == tmp_path / "nano"
    for other in ("nano-deflicker", "some/nano", str(tmp_path), "..", ""):
        assert checkpoint.place(other) == Path(other)
    for word in ("harmoim", "nano-harmoim"):
        with pytest.raises(InputError, match="no weights of nano-harmoim; train them with `harmovid train harmoim`"):
            load(word)
    save(tiny(), tmp_path / "nano-harmoim")
    assert load("harmoim").preset == load("nano-harmoim").preset == TINY
    with pytest.raises(InputError, match=r"no weights of nano-deflicker; train them with `harmovid train deflicker`"):
        load("nano-deflicker")
    steady = replace(TINY, background=False)
    save(replace(tiny(), preset=steady), tmp_path / "nano-deflicker")
    assert load("nano-deflicker").preset == steady
    old = json.loads((tmp_path / "nano/config.json").read_text())
    del old["background"]  # as it was written before there was a network without
    (tmp_path / "nano/config.json").write_text(json.dumps(old))
    assert load("nano").preset == TINY


@pytest.mark.parametrize(("name", "asked"), [
    ("cogvideox-2b", "THUDM/CogVideoX-2b"), ("some-one/A.Model", "some-one/A.Model")])
def test_a_hub_that_does_not_answer_is_said_in_words(monkeypatch, name, asked):
    def fail(path: str, **options: object) -> None:
        assert path == asked and not options.get("local_files_only")
        raise OSError("We couldn't connect to the hub.\nA long story follows")

    monkeypatch.setattr(CogVideoXDDIMScheduler, "load_config", fail)
    said = f"{re.escape(asked)} is no folder here .*couldn't connect to the hub.\\); download it"
    with pytest.raises(InputError, match=said):
        load(name)


def test_a_name_that_means_nothing_is_refused_with_those_that_do():
    with pytest.raises(InputError, match=", ".join(map(re.escape, PRESETS))):
        load("nanoo")


def test_a_fresh_model_is_made_for_presets_of_ours_alone():
    assert isinstance(tiny().codec, CausalCodec)
    with pytest.raises(InputError, match="begins from published weights"):
        create(cogvideox_2b())


class TestNano:
    """The weights that come with the package."""

    def test_they_are_small(self):
        assert sum(file.stat().st_size for file in (WEIGHTS / "nano").rglob("*") if file.is_file()) < 30e6

    def test_they_do_not_say_where_they_once_lay(self, tmp_path):
        save(load("nano"), tmp_path / "again")
        for place in (WEIGHTS / "nano", tmp_path / "again"):
            for file in place.rglob("*.json"):
                assert "_name_or_path" not in file.read_text()

    def test_the_codec_keeps_white_and_does_not_begin_brighter(self):
        codec = load("nano").codec
        with torch.inference_mode():
            for level in (1.0, 0.5):
                back = codec.decode(codec.encode(torch.full((1, 3, 9, 64, 64), level)))
                inside = back[..., 16:-16, 16:-16]
                assert (inside - level).abs().max() < 0.01
                assert back[:, :, 0].mean().sub(back[:, :, 5].mean()).abs() < 0.003 * level

    def test_a_person_in_green_light_before_grey_is_made_less_green(self):
        model = load("nano")
        grey = torch.full((1, 3, 1, 128, 128), 0.5)
        mask = torch.zeros(1, 1, 1, 128, 128)
        mask[..., 24:, 40:88] = 1
        person = torch.tensor([0.35, 0.6, 0.3]).reshape(1, 3, 1, 1, 1)
        composite = torch.lerp(grey, person.expand_as(grey), mask)
        with torch.inference_mode():
            small = grey[..., :64, :64]
            given = toned(composite, mask, *model.tone.curves(palette(composite, grey, small, mask)[:, 0]))
            pictures = [model.codec.encode(picture) for picture in (given, grey, small)]
            noise = torch.randn(1, 16, 1, 16, 16, generator=torch.Generator().manual_seed(0))
            colours = palette(given, grey, small, mask)[:, 0]
            result = model.codec.decode(one_step(model.backbone, model.schedule, conditions(*pictures, mask), noise,
                                                 colours))

        def greenness(picture):
            red, green, blue = (picture[0, c, 0, 40:, 48:80].mean() for c in range(3))
            return float(green - (red + blue) / 2)

        assert greenness(result) < 0.9 * greenness(composite)
