"""The network as a harmonizer: chunks that agree with one pass, conditions in their places, clips of any length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harmovid.errors import InputError, OptionError
from harmovid.infer import network
from harmovid.infer.network import NetworkHarmonizer, RoundTrip, decode_clip, encode_clip
from harmovid.infer.toning import TonedClip
from harmovid.infer.views import Harmonized, Views
from harmovid.model import checkpoint
from harmovid.model.codec import CausalCodec
from harmovid.model.conditions import conditions, mask_channels
from harmovid.model.palette import palette
from harmovid.model.schedule import Schedule, ScheduleConfig
from harmovid.model.tone import Tone, ToneConfig
from tests.infer.tiny import tiny

COUNTS = [1, 2, 5, 44, 45, 60, 101, 190]


pytestmark = pytest.mark.usefixtures("one_thread")


@dataclass
class Clip:
    """A clip of views in memory; notes how many frames are asked for at once."""

    views: Views
    most: int = 0

    def __len__(self) -> int:
        return self.views.mask.shape[1]

    def window(self, start: int, stop: int) -> Views:
        assert 0 <= start < stop <= len(self)
        self.most = max(self.most, stop - start)
        return Views(*(plane[:, start:stop] for plane in vars(self.views).values()))


def clip(frames: int, size: int = 32, seed: int = 0) -> Clip:
    """Smooth in space and wandering in time, so that a frame out of place shows."""
    rng = np.random.default_rng(seed)

    def planes(channels: int, size: int) -> np.ndarray:
        coarse = torch.from_numpy(rng.uniform(0.1, 0.9, (channels, frames, 4, 4))).float()
        return F.interpolate(coarse, (size, size), mode="bilinear").numpy()

    return Clip(Views(planes(3, size), planes(3, size), planes(1, size), planes(3, 16)))


class Averages(nn.Module):
    """A codec with CogVideoX's geometry and nothing learned: four frames' averages of 8 × 8, 16 channels."""

    latent_channels, context_latents = 16, None

    def encode(self, video: Tensor) -> Tensor:
        small = F.avg_pool3d(video, (1, 8, 8))  # (B, 3, T, h, w)
        led = torch.cat([small[:, :, :1].expand(-1, -1, 3, -1, -1), small], 2)
        folded = led.unflatten(2, (-1, 4)).transpose(2, 3).flatten(1, 2)  # (B, 12, Tl, h, w)
        return F.pad(folded, (0, 0, 0, 0, 0, 0, 0, 4))

    def decode(self, latents: Tensor) -> Tensor:
        small = latents[:, :12].unflatten(1, (3, 4)).transpose(2, 3).flatten(2, 3)[:, :, 3:]
        return F.interpolate(small, scale_factor=(1, 8, 8))


class Answers(nn.Module):
    """A backbone that asks for latents that it is told: 0 the composite's, 1 the background's; keeps what it saw."""

    def __init__(self, schedule: Schedule, which: int) -> None:
        super().__init__()
        self.schedule, self.which = schedule, which
        self.seen: list[Tensor] = []
        self.palettes: list[Tensor | None] = []

    def forward(self, noisy: Tensor, told: Tensor, t: Tensor, palette: Tensor | None) -> Tensor:
        self.seen.append(told)
        self.palettes.append(palette)
        x0 = told[:, 16 * self.which : 16 * self.which + 16]
        at = self.schedule.alphas_cumprod[t].float().view(-1, 1, 1, 1, 1)
        return self.schedule.target(x0, (noisy - at.sqrt() * x0) / (1 - at).sqrt(), t)


def answering(which: int = 0, codec: nn.Module | None = None, **changes: Any) -> Any:
    """A model without weights, of tiny's preset."""
    schedule = Schedule(ScheduleConfig())
    preset = tiny().preset
    preset = replace(preset, transformer=replace(preset.transformer, **changes))
    model = SimpleNamespace(preset=preset, codec=codec or Averages(), backbone=Answers(schedule, which),
                            schedule=schedule, tone=None)
    model.to = lambda device: model
    return model


def joined(chunks: Iterator[Harmonized]) -> Harmonized:
    seen = list(chunks)
    return Harmonized(*(np.concatenate([getattr(c, name) for c in seen], 1) for name in ("reference", "result")))


def video(count: int, seed: int = 0) -> Tensor:
    return torch.rand((2, 3, count, 16, 24), generator=torch.Generator().manual_seed(seed))


def padded(frames: Tensor) -> Tensor:
    return F.pad(frames, (0, 0, 0, 0, 0, -(frames.shape[2] - 1) % 4), mode="replicate")


@pytest.fixture(scope="module")
def codec() -> CausalCodec:
    return tiny().codec


class TestCodingOfLongClips:
    @pytest.mark.parametrize("count", COUNTS)
    def test_chunks_agree_with_one_pass(self, codec: CausalCodec, count: int) -> None:
        whole = video(count)
        asked = []

        def frames(start: int, stop: int) -> Tensor:
            asked.append(stop - start)
            return whole[:, :, start:stop]

        with torch.inference_mode():
            latents = encode_clip(codec, frames, count)
            torch.testing.assert_close(latents, codec.encode(padded(whole)), atol=1e-5, rtol=1e-5)
            decoded = codec.decode(latents)[:, :, :count]
        again = list(decode_clip(codec, latents, count))
        torch.testing.assert_close(torch.cat(again, 2), decoded, atol=1e-5, rtol=1e-5)
        assert max(asked) <= 4 * (22 + codec.context_latents) and max(part.shape[2] for part in again) <= 88

    def test_without_context_they_would_not(self, codec: CausalCodec) -> None:
        whole = video(101)
        with torch.inference_mode():
            latents = codec.encode(whole)
            codec.context_latents, kept = 1, codec.context_latents
            try:
                shorter = encode_clip(codec, lambda a, b: whole[:, :, a:b], 101)
                decoded = torch.cat(list(decode_clip(codec, latents, 101)), 2)
            finally:
                codec.context_latents = kept
            assert (shorter - latents).abs().max() > 1e-4
            assert (decoded - codec.decode(latents)).abs().max() > 1e-4

    @pytest.mark.parametrize("count", COUNTS)
    def test_codecs_that_do_not_say_are_given_49_frames(self, count: int) -> None:
        whole, lengths = video(count), []

        class Noting(Averages):
            def encode(self, video: Tensor) -> Tensor:
                lengths.append(video.shape[2])
                return super().encode(video)

        latents = encode_clip(Noting(), lambda a, b: whole[:, :, a:b], count)
        assert torch.equal(latents, Averages().encode(padded(whole))) and max(lengths) <= 49
        again = torch.cat(list(decode_clip(Averages(), latents, count)), 2)
        assert torch.equal(again, Averages().decode(latents)[:, :, :count])

    def test_more_latents_than_the_frames_need(self) -> None:
        whole = video(9)
        latents = encode_clip(Averages(), lambda a, b: whole[:, :, a:b], 9, latents=24)
        assert latents.shape[2] == 24 and torch.equal(latents[:, :, :3], Averages().encode(whole))
        assert torch.allclose(latents[:, :, 3:], Averages().encode(whole[:, :, -1:]).expand(-1, -1, 21, -1, -1))
        assert sum(part.shape[2] for part in decode_clip(Averages(), latents, 9)) == 9


class TestConditions:
    @pytest.mark.parametrize(("frames", "latents"), [(1, [0]), (7, [0, 1, 2]), (30, [0, 3, 5, 6, 8]), (30, [4, 5, 6]),
                                                     (30, [8])])
    def test_mask_of_any_latents(self, frames: int, latents: list[int]) -> None:
        given = clip(frames)
        whole = mask_channels(padded(torch.from_numpy(given.views.mask)[None]))
        some = mask_channels(torch.from_numpy(network._mask(given, latents)))[:, :, 1:]
        assert torch.equal(some, whole[:, :, latents])

    @pytest.mark.parametrize("frames", [1, 14, 49, 90])
    def test_each_window_is_told_of_its_own_frames(self, frames: int) -> None:
        given, model = clip(frames), answering()
        joined(NetworkHarmonizer(model, 1).harmonize(given))
        composite, background, mask, overview = (
            padded(torch.from_numpy(plane)[None]) for plane in vars(given.views).values())
        encode = model.codec.encode
        whole = conditions(encode(composite), encode(background), encode(overview), mask)  # (1, 304, Tl, h, w)
        windows = torch.cat(model.backbone.seen)
        for told in windows:
            gap = (whole[0] - told[:, :1]).abs().amax((0, 2, 3))
            first = int(gap.argmin())
            if len(windows) > 1 and torch.equal(told, windows[-1]):
                continue  # the overview, of strided latents
            assert torch.equal(told, whole[0, :, first : first + told.shape[1]])
        assert windows[0].shape[1] == min(whole.shape[2], 4)

    @pytest.mark.parametrize("frames", [1, 6, 13, 61])
    def test_each_window_is_told_the_palette_of_its_own_frames(self, frames: int) -> None:
        given, model = clip(frames), answering(palette=True)
        joined(NetworkHarmonizer(model, 1).harmonize(given))
        composite, background, mask, overview = (
            padded(torch.from_numpy(plane)[None]) for plane in vars(given.views).values())
        every = palette(*(part[:, :, ::4] for part in (composite, background, overview, mask)))  # (1, Tl, 153)
        encode = model.codec.encode
        whole = conditions(encode(composite), encode(background), encode(overview), mask)  # (1, 304, Tl, h, w)
        windows = torch.cat(model.backbone.seen)
        for window, told in zip(torch.cat(model.backbone.palettes), windows, strict=True):
            first = int((whole[0] - told[:, :1]).abs().amax((0, 2, 3)).argmin())
            if len(windows) > 1 and torch.equal(told, windows[-1]):
                continue  # the overview, of strided latents
            torch.testing.assert_close(window, every[0, first : first + told.shape[1]].mean(0))

    def test_little_is_read_at_once(self) -> None:
        given = clip(300, 16)
        joined(NetworkHarmonizer(answering(), 1).harmonize(given))
        assert given.most <= 49


class TestHarmonize:
    @pytest.mark.parametrize("steps", [1, 3])
    @pytest.mark.parametrize("frames", [1, 3, 13, 14, 61, 130])
    def test_who_asks_for_the_composite_gets_the_reference(self, frames: int, steps: int) -> None:
        given = clip(frames)
        got = joined(NetworkHarmonizer(answering(0), steps).harmonize(given))
        assert got.result.shape == (3, frames, 32, 32) and got.result.dtype == np.float32
        np.testing.assert_allclose(got.result, got.reference, atol=2e-3)
        once = Averages().decode(Averages().encode(padded(torch.from_numpy(given.views.composite)[None])))
        np.testing.assert_allclose(got.reference, once[0, :, :frames].numpy(), atol=1e-6)

    def test_who_asks_for_the_background_gets_that(self) -> None:
        given = clip(61)
        got = joined(NetworkHarmonizer(answering(1), 2).harmonize(given))
        once = Averages().decode(Averages().encode(torch.from_numpy(given.views.background)[None]))
        np.testing.assert_allclose(got.result, once[0].numpy(), atol=2e-3)

    @pytest.mark.parametrize("frames", [1, 6, 13, 70])
    def test_a_transformer_that_takes_latents_by_twos_gets_an_even_number(self, frames: int) -> None:
        model = answering(0, patch_size_t=2)
        got = joined(NetworkHarmonizer(model, 1).harmonize(clip(frames)))
        assert all(told.shape[2] % 2 == 0 for told in model.backbone.seen)
        np.testing.assert_allclose(got.result, got.reference, atol=2e-3)

    @pytest.mark.parametrize("frames", [1, 30])
    def test_a_real_network(self, frames: int) -> None:
        harmonizer = NetworkHarmonizer(tiny(), 2)
        assert harmonizer.name == "tiny" and harmonizer.view.area == 32 * 32 and harmonizer.view.overview == (16, 16)
        given = clip(frames)
        got, again, other = (joined(harmonizer.harmonize(given, seed)) for seed in (0, 0, 1))
        for planes in (got.reference, got.result):
            assert planes.shape == (3, frames, 32, 32) and planes.dtype == np.float32
            assert 0 <= planes.min() and planes.max() <= 1
        assert np.array_equal(got.result, again.result) and np.abs(got.result - other.result).max() > 1e-3
        assert np.array_equal(got.reference, other.reference)
        assert not np.array_equal(got.result, joined(NetworkHarmonizer(tiny(), 3).harmonize(given)).result)

    def test_any_shape_of_view(self) -> None:
        given = clip(5)
        wide = Clip(replace(given.views, **{name: np.repeat(getattr(given.views, name), 2, axis=3)
                                            for name in ("composite", "background", "mask")}))
        assert joined(NetworkHarmonizer(tiny()).harmonize(wide)).result.shape == (3, 5, 32, 64)

    def test_windows_share_what_is_asked_for(self) -> None:
        seen: dict[float, int] = {}
        for overlap in (0.0, 1 / 3, 0.75):
            found = NetworkHarmonizer(tiny(), steps=1, overlap=overlap)
            asked: list[int] = []
            found.model.backbone.register_forward_pre_hook(lambda _, given, asked=asked: asked.append(len(given[0])))
            list(found.harmonize(clip(61)))  # 16 latents, windows of 4, and one over all
            seen[overlap] = sum(asked)
        assert seen == {0.0: 5, 1 / 3: 6, 0.75: 14}

    def test_steps_are_the_presets_own_unless_named(self) -> None:
        told: list[tuple[str, int, int]] = []
        for steps in (None, 3):
            joined(NetworkHarmonizer(tiny(), steps, progress=lambda *step: told.append(step)).harmonize(clip(2)))
        assert told == [("sample", 1, 2), ("sample", 2, 2), ("sample", 1, 3), ("sample", 2, 3), ("sample", 3, 3)]

    @pytest.mark.parametrize("steps", [0, -1, 1001])
    def test_steps_without_meaning(self, steps: int) -> None:
        with pytest.raises(OptionError, match="1 to 1000 steps"):
            NetworkHarmonizer(tiny(), steps)

    def test_an_answer_that_is_not_finite_is_told(self) -> None:
        broken = tiny()
        with torch.no_grad():
            broken.backbone.transformer.proj_out.bias.fill_(float("nan"))
        with pytest.raises(InputError, match="the network tiny gave numbers that are not finite"):
            next(iter(NetworkHarmonizer(broken).harmonize(clip(2))))

    def test_a_model_in_training_is_set_to_work(self) -> None:
        model = tiny()
        model.backbone.train()
        NetworkHarmonizer(model)
        assert not model.backbone.training

    def test_from_its_folder_it_does_the_same(self, tmp_path: Any) -> None:
        checkpoint.save(tiny(), tmp_path / "model")
        got = [joined(NetworkHarmonizer(model).harmonize(clip(6)))
               for model in (tiny(), checkpoint.load(tmp_path / "model"))]
        np.testing.assert_allclose(got[0].result, got[1].result, atol=1e-5)


class TestRoundTrip:
    @pytest.mark.parametrize("frames", [1, 6, 101])
    def test_it_gives_what_a_network_has_for_its_reference(self, frames: int) -> None:
        given, model = clip(frames), tiny()
        given.views.mask[:] = 1
        got = joined(RoundTrip(model).harmonize(given))
        assert got.result.shape == (3, frames, 32, 32) and got.result.dtype == np.float32
        np.testing.assert_array_equal(got.reference, given.views.composite)
        reference = joined(NetworkHarmonizer(model, 1).harmonize(given)).reference
        np.testing.assert_allclose(got.result, reference, atol=1e-4)
        assert np.abs(got.result - got.reference).max() > 0.05  # random weights

    def test_beside_the_person_no_bit_is_changed(self) -> None:
        given = clip(9)
        given.views.mask[..., :16] = 0
        got = joined(RoundTrip(tiny()).harmonize(given))
        np.testing.assert_array_equal(got.result[..., :16], given.views.composite[..., :16])
        assert RoundTrip(tiny()).view == NetworkHarmonizer(tiny()).view

    def test_the_codec_that_ships_keeps_a_still_picture(self) -> None:
        given = clip(1)
        still = Clip(Views(*(np.repeat(plane, 9, axis=1) for plane in vars(given.views).values())))
        still.views.mask[:] = 1
        got = joined(RoundTrip(checkpoint.load("nano")).harmonize(still))
        assert np.sqrt(np.square(got.result - got.reference).mean()) < 0.03


class TestTone:
    def brighter(self) -> Tone:
        tone = Tone(ToneConfig(width=4))
        with torch.no_grad():
            tone.layers[-1].bias[:3] = 0.1
        return tone

    def test_the_network_is_given_the_toned_clip_and_the_reference_is_of_the_plain_one(self) -> None:
        plain = tiny()
        given = clip(9)
        lifted = TonedClip(given, np.ones((3, 9), np.float32), np.full((3, 9), 0.1, np.float32))
        got, untoned, toned = (joined(NetworkHarmonizer(model).harmonize(seen)) for model, seen in (
            (replace(plain, tone=self.brighter()), given), (plain, given), (plain, lifted)))
        np.testing.assert_allclose(got.reference, untoned.reference, atol=1e-5)
        np.testing.assert_allclose(got.result, toned.result, atol=1e-4)

    def test_a_fresh_tone_changes_nothing(self) -> None:
        got = [joined(NetworkHarmonizer(model).harmonize(clip(6)))
               for model in (tiny(), replace(tiny(), tone=Tone(ToneConfig(width=4))))]
        np.testing.assert_allclose(got[0].result, got[1].result, atol=1e-4)
