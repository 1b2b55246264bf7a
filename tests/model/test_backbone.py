from __future__ import annotations

import inspect
from dataclasses import replace

import pytest
import torch
from diffusers import CogVideoXImageToVideoPipeline, CogVideoXPipeline, CogVideoXTransformer3DModel
from torch import Tensor

from harmovid.errors import InputError, OptionError
from harmovid.model.backbone import Backbone, TransformerConfig, widen
from harmovid.model.palette import PALETTE
from harmovid.model.schedule import Schedule, ScheduleConfig
from tests.model.published import KINDS, transformer

SMALL = TransformerConfig(num_attention_heads=2, attention_head_dim=16, num_layers=2, time_embed_dim=16,
                          text_embed_dim=8, max_text_seq_length=1, sample_height=8, sample_width=8,
                          use_rotary_positional_embeddings=True)
PUBLISHED = "resized"


def given(frames: int = 4, height: int = 8, width: int = 12, batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(3)
    noisy = torch.randn(batch, 16, frames, height, width)
    return noisy, torch.randn(batch, 304, frames, height, width), torch.tensor([999, 7])[:batch]


def as_the_pipeline(network: CogVideoXTransformer3DModel, noisy: Tensor, text: Tensor, steps: Tensor) -> Tensor:
    """What diffusers' own pipeline gets from the original network, latents of a first image being zero."""
    settings = network.config
    x = noisy.transpose(1, 2)
    x = torch.cat([x, x.new_zeros(*x.shape[:2], settings.in_channels - 16, *x.shape[3:])], 2)
    pipeline = CogVideoXImageToVideoPipeline if settings.in_channels == 32 else CogVideoXPipeline
    maker = object.__new__(pipeline)
    object.__setattr__(maker, "transformer", network)
    object.__setattr__(maker, "vae_scale_factor_spatial", 8)
    rotary = None
    if settings.use_rotary_positional_embeddings:
        rotary = maker._prepare_rotary_positional_embeddings(8 * x.shape[3], 8 * x.shape[4], x.shape[1], x.device)
    ofs = None if settings.ofs_embed_dim is None else torch.full((1,), 2.0)
    return network(x, text.expand(len(x), -1, -1), steps, ofs=ofs, image_rotary_emb=rotary,
                   return_dict=False)[0].transpose(1, 2)


# Two of the sample's own size, two of others; 1.5 takes latents in pairs, learned positions one size alone.
@pytest.mark.parametrize(("kind", "shape"), [
    (kind, shape) for kind in KINDS for shape in ((3, 8, 12), (4, 8, 12), (2, 6, 4), (6, 4, 10))
    if (shape == (3, 8, 12) if kind == "5b-i2v" else shape[0] % 2 == 0 or "1.5" not in kind)])
@torch.no_grad()
def test_widened_it_is_the_published_network_whatever_it_is_told(kind, shape):
    noisy, told, steps = given(*shape)
    text = torch.randn(1, 3, 8)
    before = as_the_pipeline(transformer(kind), noisy, text, steps)
    network = Backbone(transformer(kind), null_text=text, positions=PUBLISHED if "1.5" not in kind else "plain")
    assert before.abs().max() > 0.1
    torch.testing.assert_close(network(noisy, told, steps), before)
    torch.testing.assert_close(network(noisy, 100 * told, steps), before)


@pytest.mark.parametrize("kind", ["2b", "1.5-5b-i2v"])
@torch.no_grad()
def test_each_new_weight_stands_for_its_own_channel_and_place(kind):
    network = Backbone(transformer(kind))
    embed, unused = network.transformer.patch_embed, network.unused_channels
    time = embed.patch_size_t or 1
    before = embed.proj.weight.clone()
    new = torch.randn(32, 304, time, 2, 2)
    embed.proj.weight[:] = torch.cat([before.reshape(32, -1, time, 2, 2)[:, : 16 + unused], new], 1).view_as(before)
    _, told, _ = given()
    x = torch.cat([torch.zeros(2, 16 + unused, 4, 8, 12), told], 1).transpose(1, 2)
    text = torch.zeros(2, 3, 8)
    tokens = embed(text, x) - embed(text, torch.zeros_like(x))
    expected = torch.nn.functional.conv3d(told, new, stride=(time, 2, 2)).flatten(2).transpose(1, 2)
    torch.testing.assert_close(tokens[:, 3:], expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_condition_reaches_the_output_once_its_weight_is_not_zero():
    network = Backbone(transformer("5b"))
    noisy, told, steps = given()
    network.transformer.patch_embed.proj.weight[:, -1] = torch.randn(32, 2, 2)  # the mask's last channel
    out, told = network(noisy, told, steps), told.clone()
    told[:, :-1] += 1
    torch.testing.assert_close(network(noisy, told, steps), out)
    told[:, -1] += 1
    assert (network(noisy, told, steps) - out).abs().max() > 1e-2


@pytest.mark.parametrize("kind", ["2b", "1.5-5b-i2v"])
@torch.no_grad()
def test_a_widened_transformer_is_kept_and_read_by_diffusers(kind, tmp_path):
    network = Backbone(transformer(kind))
    network.transformer.patch_embed.proj.weight.normal_()
    network.transformer.save_pretrained(tmp_path)
    again = Backbone(CogVideoXTransformer3DModel.from_pretrained(tmp_path), wide=True)
    assert again.unused_channels == network.unused_channels == (16 if "i2v" in kind else 0)
    assert torch.equal(again(*given()), network(*given()))


def test_the_new_weights_learn_from_the_first_step():
    network = Backbone(transformer("1.5-5b"))
    network(*given()).square().mean().backward()
    gradient = network.transformer.patch_embed.proj.weight.grad
    assert gradient is not None and gradient.shape[1] == 320 * 8
    assert (gradient[:, 16 * 8 :].abs().amax(0) > 0).all()


def test_positions_mean_the_same_at_every_shape_of_view_unless_resized():
    network = Backbone(transformer("5b"))
    few, many = (network._rotary(*shape, torch.device("cpu")) for shape in ((2, 4, 6), (3, 8, 12)))
    assert few is not None and many is not None
    for a, b in zip(few, many, strict=True):
        assert torch.equal(a.reshape(2, 2, 3, -1), b.reshape(3, 4, 6, -1)[:2, :2, :3])


def test_the_rotary_embedding_is_kept_and_fit_for_training_when_first_made_at_inference():
    network = Backbone.from_config(SMALL, Schedule(ScheduleConfig()))
    with torch.inference_mode():
        network(*given(height=14, width=2))
    network(*given(height=14, width=2)).sum().backward()
    one, other = (network._rotary(4, 14, 2, torch.device("cpu")) for _ in range(2))
    assert one is not None and other is not None and one[0] is other[0] and not one[0].is_inference()


def test_a_fresh_network_predicts_nothing_at_first_and_listens_to_its_conditions():
    network = Backbone.from_config(SMALL, Schedule(ScheduleConfig()))
    noisy, told, steps = given()
    assert (network(noisy, told, steps) == 0).all()
    torch.nn.init.normal_(network.transformer.proj_out.weight)
    assert (network(noisy, told, steps) - network(noisy, told + 1, steps)).abs().max() > 1e-3
    assert network.null_text.shape == (1, 1, 8) and (network.null_text == 0).all()


def test_the_palette_is_heard_where_a_network_is_made_for_it():
    noisy, told, steps = given()
    palette = torch.randn(len(noisy), PALETTE, generator=torch.Generator().manual_seed(3))
    for listens in (False, True):
        torch.manual_seed(0)
        network = Backbone.from_config(replace(SMALL, palette=listens), Schedule(ScheduleConfig()))
        for weight in (network.transformer.proj_out.weight, network.transformer.norm_out.linear.weight):
            torch.nn.init.normal_(weight)
        change = network(noisy, told, steps, palette) - network(noisy, told, steps, palette + 1)
        assert bool(change.abs().max() > 1e-3) == listens
    with pytest.raises(AssertionError, match="palette"):
        network(noisy, told, steps)


def test_gradient_checkpointing_changes_no_gradient():
    torch.manual_seed(0)
    network = Backbone.from_config(SMALL, Schedule(ScheduleConfig()))
    torch.nn.init.normal_(network.transformer.proj_out.weight)
    gradients = []
    for _ in range(2):
        network.zero_grad()
        network(*given()).square().mean().backward()
        gradients.append([p.grad.clone() for p in network.parameters() if p.grad is not None])
        network.enable_gradient_checkpointing()
    assert network.transformer.gradient_checkpointing
    for plain, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, checkpointed)


def test_weights_of_half_precision_take_and_give_full():
    network = Backbone(transformer("5b").to(torch.bfloat16), null_text=torch.ones(1, 3, 8))
    out = network(*given())
    assert out.dtype == torch.float32 and out.isfinite().all()


@pytest.mark.parametrize(("kind", "shape", "words"), [
    ("1.5-5b", (3, 8, 8), "8k\\+5 frames"),
    ("2b", (3, 7, 8), "56 × 64 pixels; its sides must divide by 16"),
    ("5b-i2v", (3, 8, 8), "9 frames of 64 × 96 pixels and cannot take 9 frames of 64 × 64"),
    ("5b-i2v", (4, 8, 12), "cannot take 13 frames"),
])
def test_a_size_that_cannot_be_is_refused_in_words(kind, shape, words):
    with pytest.raises(OptionError, match=words):
        Backbone(transformer(kind))(*given(*shape))


def test_a_null_text_of_another_length_is_refused():
    with pytest.raises(InputError, match=r"\(1, 4, 8\).*takes \(1, 3, 8\)"):
        Backbone(transformer("2b"), null_text=torch.zeros(1, 4, 8))


def test_widening_keeps_the_dtype_and_counts_up():
    network = transformer("1.5-5b-i2v").to(torch.float16)
    widen(network, 10)
    widen(network, 5)
    assert network.config.in_channels == 47
    assert network.patch_embed.proj.weight.dtype == torch.float16
    assert network.patch_embed.proj.weight.shape == (32, 47 * 8)


def test_every_setting_is_one_of_diffusers_own():
    theirs = inspect.signature(CogVideoXTransformer3DModel.__init__).parameters
    ours = set(TransformerConfig.__dataclass_fields__) - {"positions", "residual", "palette"}  # ours
    assert ours <= set(theirs)
    assert all(getattr(TransformerConfig(), name) == theirs[name].default for name in ours)


@pytest.mark.parametrize("kind", KINDS)
def test_settings_are_read_from_a_published_configuration(kind):
    settings = TransformerConfig.from_diffusers(transformer(kind).config)
    assert settings.num_layers == 2 and settings.in_channels == (32 if "i2v" in kind else 16)
    assert settings.positions == ("plain" if "1.5" in kind else "resized")
