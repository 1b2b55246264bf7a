"""Deflickering: a steadier in the seam, and clips in steady light that keep all the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from harmovid.errors import InputError
from harmovid.evaluate.temporal import luminance_jitter
from harmovid.infer import deflicker as infer_deflicker
from harmovid.infer.deflicker import OPTIONS, Deflickering, _Led, deflicker
from harmovid.infer.framewise import harmonizer
from harmovid.infer.network import NetworkHarmonizer
from harmovid.infer.shots import Shot, shots
from harmovid.infer.views import Answered, Harmonized, ViewClip, Views, ViewSize
from harmovid.model.presets import deflickering
from harmovid.video import io
from harmovid.video.color import from_linear, to_linear
from tests import figures, makers
from tests.infer.test_network import Averages, Clip, answering, joined
from tests.infer.tiny import tiny

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE = 96, 64
FRAMES = 14


def blind(which: int = 0) -> Deflickering:
    """A steadier that asks for the latents of the composite."""
    model = answering(which)
    model.preset = deflickering(model.preset)
    return Deflickering(model)


def scenes(*seeds: int, frames: int = 14, size: int = 32) -> Clip:
    """A clip of shots, each a picture of its own; mask half, background and overview unreadable."""
    shot = np.stack([np.clip(0.5 + 0.15 * figures.noise((size, size), seed, 2), 0, 1)
                     for seed in seeds for _ in range(frames)])
    composite = np.ascontiguousarray(shot.transpose(3, 0, 1, 2))
    count = composite.shape[1]
    mask = np.zeros((1, count, size, size), np.float32)
    mask[..., : size // 2] = 1
    none = np.full((3, count, 16, 16), np.nan, np.float32)
    return Clip(Views(composite, np.full_like(composite, np.nan), mask, none))


class Steadying:
    """Knows how bright each frame should be: the mean of all."""

    name, view = "steadying", ViewSize(area=48 * 48, overview=(16, 24))

    def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
        views = clip.window(0, len(clip))
        light = to_linear(views.composite, "srgb")
        level = (light * views.mask).sum((0, 2, 3)) / views.mask.sum((0, 2, 3))
        gain = np.exp(np.log(level).mean()) / level
        yield Harmonized(views.composite, from_linear(light * gain[None, :, None, None].astype(np.float32), "srgb"))


@dataclass(frozen=True)
class Filmed:
    """Files, and what is in them after 8 bits: steady, the same jumping, the person's alpha."""

    folder: Path
    steady: np.ndarray
    jumping: np.ndarray
    alpha: np.ndarray


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Filmed:
    folder = tmp_path_factory.mktemp("filmed")
    film = figures.film(SIZE, FRAMES)
    stops = np.random.default_rng(0).normal(0, 0.3, FRAMES)
    stops -= stops.mean()
    gain = np.exp2(stops)[:, None, None, None].astype(np.float32)
    dim = np.clip(film.frames, 0, 0.75)  # so that nothing is clipped
    jumping = from_linear(to_linear(dim, "srgb") * gain, "srgb")
    figures.write(folder / "jumping.mkv", jumping)
    figures.write(folder / "mask.mkv", (film.alpha >= 0.5).astype(np.float32))
    return Filmed(folder, figures.codes(dim), figures.codes(jumping), (film.alpha >= 0.5).astype(np.float32))


# --- in the seam

def test_the_preset_says_that_a_model_steadies_and_old_ones_do_not() -> None:
    preset = deflickering(tiny().preset)
    assert (preset.name, preset.steps, preset.background, preset.tone) == ("tiny-deflicker", 1, False, None)
    assert isinstance(harmonizer(replace(tiny(), preset=preset)), Deflickering)
    assert tiny().preset.background and type(harmonizer(tiny())) is NetworkHarmonizer


def test_it_is_told_the_clip_and_the_mask_alone() -> None:
    steadier, clip = blind(), scenes(1)
    found = joined(steadier.harmonize(clip))
    np.testing.assert_allclose(found.result, found.reference, atol=1e-4)  # it asks for the composite
    for told in steadier.model.backbone.seen:
        assert told.isfinite().all() and not told[:, 16:48].any() and told[:, 48:].max() == 1
    assert all(palette is None for palette in steadier.model.backbone.palettes)


def test_the_reference_has_each_frames_own_light_whatever_its_neighbours_do() -> None:
    class Slow(Averages):
        """Its latents are means over time, as far as a learned codec's are."""

        def encode(self, video: Tensor) -> Tensor:
            return super().encode(video.mean(2, keepdim=True).expand_as(video))

    model = answering(0, Slow())
    model.preset = deflickering(model.preset)
    clip = scenes(1)
    clip.views.composite[:, 5] *= 0.5
    found = joined(Deflickering(model).harmonize(clip))
    own, steady = (shown[..., :16].mean((0, 2, 3)) for shown in (found.reference, found.result))  # of the subject
    assert own[5] == pytest.approx(0.5 * own[4], rel=1e-3) and np.ptp(steady) < 5e-3


def test_each_shot_is_steadied_by_itself() -> None:
    steadier = Deflickering(replace(tiny(), preset=deflickering(tiny().preset)))
    found = [joined(steadier.harmonize(shot)).result for shot in shots(scenes(1, 2))]
    for result, seed in zip(found, (1, 2), strict=True):
        np.testing.assert_array_equal(result, joined(steadier.harmonize(scenes(seed))).result)


def test_a_shot_begins_with_its_first_frames_played_backwards() -> None:
    clip = scenes(1, 2, frames=12)
    for t in range(24):
        clip.views.composite[:, t] = t / 24
    shot = _Led(Shot(clip, 12, 24), 3)
    seen = shot.window(0, len(shot))
    order = [15, 14, 13, *range(12, 24)]
    np.testing.assert_allclose(seen.composite[0, :, 0, 0], np.array(order) / 24, atol=1e-6)
    np.testing.assert_array_equal(shot.window(2, 5).composite, seen.composite[:, 2:5])
    assert len(shot) == 15 and seen.mask.shape == (1, 15, 32, 32)


def test_detail_of_another_harmonizers_answer_is_filtered_along_what_it_answered_to() -> None:
    clip, random = scenes(1, frames=20), np.random.default_rng(0)
    source, alpha = clip.views.composite.clip(0.1, 1), clip.views.mask
    lit = to_linear(source, "srgb") * np.float32(0.6)
    answer = from_linear(lit * np.exp(random.normal(0, 0.05, lit.shape)).astype(np.float32), "srgb")
    found = joined(blind().harmonize(Answered(clip, source, answer)))
    np.testing.assert_array_equal(found.reference, answer)
    subject = np.broadcast_to(alpha == 1, source.shape)
    before, after = (np.log(to_linear(shown, "srgb")[subject] / lit[subject]) for shown in (answer, found.result))
    assert after.std() < 0.6 * before.std() and abs(after.mean()) < 0.01
    np.testing.assert_allclose(found.result[~subject], source[~subject], atol=1e-4)  # the rest as it would have come


class Trembling(Averages):
    """Decodes clips in a light that trembles, with a ghost in one place of every other frame."""

    def decode(self, latents: Tensor) -> Tensor:
        video = super().decode(latents)
        if video.shape[2] > 1:
            video = video * (1 + 0.06 * (torch.arange(video.shape[2]) % 2)[:, None, None])
            video[:, :, ::2, 12:20, 4:12] += 0.25
        return video


def test_what_the_network_leaves_is_settled_and_ghosts_are_none_of_its_light() -> None:
    model = answering(0, Trembling())
    model.preset = deflickering(model.preset)
    clip = scenes(1)
    clip.views.composite[:] = np.repeat(np.repeat(clip.views.composite[..., ::8, ::8], 8, 2), 8, 3)  # as it decodes
    found = joined(Deflickering(model).harmonize(clip))
    level = to_linear(found.result[..., :16], "srgb").mean((0, 2, 3))  # of the subject
    trembles = to_linear(clip.views.composite[..., :16] * 1.06, "srgb").mean() / to_linear(
        clip.views.composite[..., :16], "srgb").mean() - 1
    assert np.abs(np.diff(level)).max() / level.mean() < 0.4 * trembles
    ghost = np.abs(found.result - clip.views.composite)[..., 12:20, 4:12]
    assert ghost.mean() < 0.06  # of 0.25


def test_texture_that_the_codec_lost_has_no_part_in_what_settles(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []

    def settle(frames: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[np.ndarray]:
        for picture, _ in frames:
            shown.append(picture)
            yield np.zeros_like(picture)

    monkeypatch.setattr(infer_deflicker, "settle", settle)
    clip = scenes(1, frames=6)
    joined(blind().harmonize(clip))
    np.testing.assert_allclose(np.stack(shown), clip.views.composite.transpose(1, 2, 3, 0), atol=0.02)


def test_the_network_is_shown_frames_before_the_shot() -> None:
    steadier = blind()
    joined(steadier.harmonize(scenes(1, frames=5)))
    assert [told.shape[2] for told in steadier.model.backbone.seen] == [3]  # of five frames, and four before them


@pytest.mark.parametrize("frames", [1, 2, 70])
def test_clips_of_any_length(frames: int) -> None:
    model = replace(tiny(), preset=deflickering(tiny().preset))
    found = joined(Deflickering(model).harmonize(scenes(1, frames=frames)))
    assert found.result.shape == found.reference.shape == (3, frames, 32, 32)
    assert np.isfinite(found.result).all() and 0 <= found.result.min() and found.result.max() <= 1


# --- files

def test_the_whole_picture_is_steadied_at_full_size(filmed: Filmed, tmp_path: Path) -> None:
    summary = deflicker(io.open_clip(filmed.folder / "jumping.mkv"), None, tmp_path / "out.mkv", Steadying())
    got, _ = figures.read(tmp_path / "out.mkv")
    assert (summary.frames, summary.size, summary.rate, summary.notes) == (FRAMES, SIZE, "25/1", ())
    everywhere = np.ones(got.shape[:3], np.float32)
    before, after = (luminance_jitter(x, filmed.steady, everywhere) for x in (filmed.jumping, got))
    assert after < 0.1 * before
    assert figures.psnr(got, filmed.steady) > figures.psnr(filmed.jumping, filmed.steady) + 10


def test_with_a_mask_the_rest_stays_to_the_bit(filmed: Filmed, tmp_path: Path) -> None:
    clip, mask = (io.open_clip(filmed.folder / f"{name}.mkv") for name in ("jumping", "mask"))
    deflicker(clip, mask, tmp_path / "out.mkv", Steadying())
    got, _ = figures.read(tmp_path / "out.mkv")
    outside = filmed.alpha == 0
    assert figures.same(got, filmed.jumping)[outside].all() and not figures.same(got, filmed.jumping)[~outside].all()
    before, after = (luminance_jitter(x, filmed.steady, filmed.alpha) for x in (filmed.jumping, got))
    assert after < 0.25 * before


def test_strength_none_gives_the_clip_back(filmed: Filmed, tmp_path: Path) -> None:
    clip = io.open_clip(filmed.folder / "jumping.mkv")
    deflicker(clip, None, tmp_path / "out.mkv", Steadying(), replace(OPTIONS, strength=0.0))
    got, _ = figures.read(tmp_path / "out.mkv")
    assert np.abs(got - filmed.jumping).max() <= 1.01 / 255


def test_alpha_is_the_mask_and_stays(filmed: Filmed, tmp_path: Path) -> None:
    figures.write(tmp_path / "cut.mov", filmed.jumping, filmed.alpha)
    deflicker(io.open_clip(tmp_path / "cut.mov"), None, tmp_path / "out.mov", Steadying())
    got, alpha = figures.read(tmp_path / "out.mov")
    assert alpha is not None and np.abs(alpha - filmed.alpha).max() < 0.02
    before, after = (luminance_jitter(x, filmed.steady, filmed.alpha) for x in (filmed.jumping, got))
    assert after < 0.3 * before


def test_an_exr_with_alpha_is_seen_as_it_is(filmed: Filmed, tmp_path: Path) -> None:
    seen: list[np.ndarray] = []

    class Looking(Steadying):
        def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
            seen.append(clip.window(0, len(clip)).composite)
            yield from super().harmonize(clip, seed)

    half = np.full(filmed.jumping.shape[:3], 0.5, np.float32)
    for name, alpha in (("half", half), ("whole", None)):
        figures.write(tmp_path / f"{name}.%03d.exr", to_linear(filmed.jumping, "srgb"), alpha)
        deflicker(io.open_clip(tmp_path / f"{name}.%03d.exr"), None, tmp_path / f"{name}_out.%03d.exr", Looking())
    np.testing.assert_allclose(seen[0], seen[1], atol=0.01)


def test_sound_and_rate_stay(tmp_path: Path) -> None:
    makers.write_clip(tmp_path / "in.mp4", [makers.coded(t) for t in range(8)], rate=Fraction(30000, 1001),
                      sound=makers.Sound(seconds=0.25))
    summary = deflicker(io.open_clip(tmp_path / "in.mp4"), None, tmp_path / "out.mp4", Steadying())
    found = io.open_clip(tmp_path / "out.mp4")
    assert summary.rate == "30000/1001" and found.rate == Fraction(30000, 1001) and found.sound


def test_what_is_not_finite_is_told() -> None:
    model = replace(tiny(), preset=deflickering(tiny().preset))
    with torch.no_grad():
        next(model.backbone.parameters())[:] = torch.nan
    with pytest.raises(InputError, match="not finite"):
        joined(Deflickering(model).harmonize(scenes(1, frames=5)))
