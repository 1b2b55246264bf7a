"""The codecs: shapes, causality to the bit, scaling, and files that come back as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLCogVideoX
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from harmovid.model.codec import CausalCodec, CogVideoXCodec, latent_frames
from tests.model import published

pytestmark = pytest.mark.usefixtures("one_thread")


def codec(**sizes: int) -> CausalCodec:
    """Tiny; every layer has a say, also those that training begins at 0."""
    torch.manual_seed(3)
    made = CausalCodec(**{"fine": 8, "frame": 8, "coarse": 16, "encoder_blocks": 1, "decoder_blocks": 1,
                          "fine_blocks": 1, **sizes}).eval()
    for layer in made.modules():
        if isinstance(layer, nn.Conv2d) and not layer.weight.any():
            nn.init.normal_(layer.weight, std=0.3)
    return made


def video(frames: int = 17, height: int = 16, width: int = 16, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, frames, height, width, generator=torch.Generator().manual_seed(frames))


CODEC = codec()


@pytest.fixture(scope="module")
def cogvideox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published.folder("2b", tmp_path_factory.mktemp("published"))


@torch.inference_mode()
@pytest.mark.parametrize("frames", [1, 5, 17])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (24, 40)])
def test_four_frames_and_eight_pixels_to_a_latent(frames, height, width):
    picture = video(frames, height, width, batch=2)
    latents = CODEC.encode(picture)
    assert latents.shape == (2, 16, latent_frames(frames), height // 8, width // 8)
    assert latent_frames(frames) == 1 + (frames - 1) // 4
    back = CODEC.decode(latents)
    assert back.shape == picture.shape and back.isfinite().all()


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 16))
@torch.inference_mode()
def test_what_comes_later_never_changes_a_latent_and_all_before_may(changed):
    before, after = video(17), video(17)
    after[:, :, changed:] = 1 - after[:, :, changed:]
    first, second = CODEC.encode(before), CODEC.encode(after)
    known = (changed - 1) // 4 + 1  # latents whose four frames all come before
    assert torch.equal(first[:, :, :known], second[:, :, :known])
    assert not torch.equal(first[:, :, known], second[:, :, known])
    later = first.clone()
    later[:, :, known:] += 1
    one, other = CODEC.decode(first), CODEC.decode(later)
    frames = 4 * known - 3
    assert torch.equal(one[:, :, :frames], other[:, :, :frames])
    assert not torch.equal(one[:, :, frames], other[:, :, frames])


@torch.inference_mode()
@pytest.mark.parametrize(("encoder", "decoder"), [(1, 1), (3, 1), (2, 3)])
def test_after_context_latents_the_beginning_is_forgotten_and_not_before(encoder, decoder):
    made = codec(encoder_blocks=encoder, decoder_blocks=decoder).double()
    context = made.context_latents
    whole = video(4 * 9 + 1).double()
    latents, start = made.encode(whole), 2
    part = made.encode(whole[:, :, 4 * start :])
    back = made.decode(latents)
    again = made.decode(latents[:, :, start:])
    assert torch.allclose(latents[:, :, start + context :], part[:, :, context:], rtol=0, atol=1e-11)
    from_here = 4 * (start + context) - 3
    assert torch.allclose(back[:, :, from_here:], again[:, :, from_here - 4 * start :], rtol=0, atol=1e-11)
    # It is not longer than it must be: one less is too few for encoder or decoder.
    less = (latents[:, :, start + context - 1] - part[:, :, context - 1]).abs().max() > 1e-9
    off = (back[:, :, from_here - 4 : from_here] - again[:, :, from_here - 4 - 4 * start : from_here - 4 * start]).abs()
    assert less or off.max() > 1e-9


@torch.inference_mode()
def test_a_clip_of_a_batch_is_coded_on_its_own():
    clips = video(9, batch=3)
    latents = CODEC.encode(clips)
    back = CODEC.decode(latents)
    for n in range(3):
        torch.testing.assert_close(CODEC.encode(clips[n : n + 1]), latents[n : n + 1], rtol=0, atol=1e-6)
        torch.testing.assert_close(CODEC.decode(latents[n : n + 1]), back[n : n + 1], rtol=0, atol=1e-6)


@torch.inference_mode()
def test_scaling_brings_the_statistics_to_0_and_1_and_decode_takes_it_back():
    made = codec()
    clips = video(17, 32, 32, batch=2)
    raw = made.encode_raw(clips)
    decoded = made.decode(made.encode(clips))
    values = raw.transpose(0, 1).flatten(1)
    made.scale_to(values.mean(1), values.std(1))
    scaled = made.encode(clips).transpose(0, 1).flatten(1)
    torch.testing.assert_close(scaled.mean(1), torch.zeros(16), rtol=0, atol=1e-3)
    torch.testing.assert_close(scaled.std(1), torch.ones(16), rtol=0, atol=1e-3)
    assert torch.equal(made.encode_raw(clips), raw)
    torch.testing.assert_close(made.decode(made.encode(clips)), decoded, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_it_comes_back_from_a_folder_to_the_bit(tmp_path):
    made, clips = codec(), video(5)
    values = made.encode_raw(clips).transpose(0, 1).flatten(1)
    made.scale_to(values.mean(1), values.std(1))
    made.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "diffusion_pytorch_model.safetensors"}
    back = CausalCodec.from_pretrained(tmp_path).eval()
    assert torch.equal(back.mean, made.mean) and torch.equal(back.std, made.std) and made.mean.any()
    assert back.context_latents == made.context_latents and back.latent_channels == 16
    for name, weight in made.state_dict().items():
        assert torch.equal(back.state_dict()[name], weight), name
    # Computed on copies: a tensor that is a view of the file lies at an odd address, and sums come out otherwise there.
    back.load_state_dict({name: weight.clone() for name, weight in back.state_dict().items()}, assign=True)
    assert torch.equal(back.encode(clips), made.encode(clips))
    assert torch.equal(back.decode(made.encode(clips)), made.decode(made.encode(clips)))


def test_the_scaling_is_no_weight_and_is_as_fine_as_the_file_says():
    made = codec()
    made.scale_to(torch.full((16,), 1 / 3), torch.full((16,), 2 / 3))
    assert not {"mean", "std"} & made.state_dict().keys()
    assert made.config.latents_mean == [0.333333] * 16 and made.mean[0] == torch.tensor(0.333333)


def test_it_begins_the_same_from_the_same_seed_and_each_block_as_the_identity():
    first, second = ({name: weight.clone() for name, weight in _fresh().state_dict().items()} for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    block = _fresh().encoder.coarse[0]
    x = torch.rand(3, 16, 4, 4)
    assert torch.equal(block(x, 1), x)


@torch.inference_mode()
def test_coding_draws_no_random_numbers():
    torch.manual_seed(0)
    first = CODEC.decode(CODEC.encode(video(5)))
    torch.manual_seed(1)
    assert torch.equal(CODEC.decode(CODEC.encode(video(5))), first)


@pytest.mark.parametrize("shape", [(1, 3, 4, 16, 16), (1, 3, 5, 12, 16), (1, 3, 5, 16, 20), (1, 4, 5, 16, 16),
                                   (3, 5, 16, 16)])
def test_a_clip_of_another_shape_is_refused(shape, cogvideox):
    for made in (CODEC, CogVideoXCodec.from_pretrained(cogvideox)):
        with pytest.raises(AssertionError):
            made.encode(torch.zeros(shape))
    with pytest.raises(AssertionError):
        latent_frames(4)


@torch.inference_mode()
def test_the_published_codec_is_scaled_both_ways_and_takes_what_it_was_trained_on(cogvideox):
    made = CogVideoXCodec.from_pretrained(cogvideox).eval()
    vae = AutoencoderKLCogVideoX.from_pretrained(cogvideox, subfolder="vae").eval()
    assert made.factor == pytest.approx(1.15258426) and made.latent_channels == 16 and made.context_latents is None
    picture = video(9, 16, 24)
    latents = made.encode(picture)
    assert latents.shape == (1, 16, 3, 2, 3)
    # Display sRGB in [0, 1] outside, [−1, 1] inside; the mode, not a sample.
    assert torch.equal(latents, vae.encode(2 * picture - 1).latent_dist.mode() * vae.config.scaling_factor)
    back = made.decode(latents)
    torch.testing.assert_close(2 * back - 1, vae.decode(latents / vae.config.scaling_factor).sample, rtol=0, atol=1e-6)
    assert back.shape == picture.shape


@torch.inference_mode()
@pytest.mark.parametrize("latents", [1, 2, 3, 4, 12, 13, 14])
def test_the_published_codec_gives_as_many_frames_as_it_took(latents, cogvideox):
    made = CogVideoXCodec.from_pretrained(cogvideox).eval()
    frames = 4 * latents - 3
    coded = made.encode(video(frames))
    assert coded.shape[2] == latents
    back = made.decode(coded)
    assert back.shape[2] == frames
    if latents % 2 == 0:  # the same frames as with one more latent after them
        more = made.decode(torch.cat([coded, coded[:, :, -1:]], 2))
        assert torch.equal(back, more[:, :, :frames])


@torch.inference_mode()
def test_the_published_codec_in_half_precision_keeps_the_callers_type(cogvideox, tmp_path):
    made = CogVideoXCodec.from_pretrained(cogvideox, torch_dtype=torch.bfloat16).eval()
    latents = made.encode(video(5))
    assert latents.dtype == made.decode(latents).dtype == torch.float32
    made.save_pretrained(tmp_path / "vae")
    again = CogVideoXCodec.from_pretrained(tmp_path, torch_dtype=torch.bfloat16).eval()
    assert torch.equal(again.encode(video(5)), latents)


def _fresh() -> CausalCodec:
    torch.manual_seed(5)
    return CausalCodec(fine=8, frame=8, coarse=16, encoder_blocks=1, decoder_blocks=1, fine_blocks=1)
