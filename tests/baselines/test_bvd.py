from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from harmovid.baselines import atlas, bvd
from harmovid.baselines.bvd import BlindDeflickering, BVDConfig, Networks
from harmovid.errors import InputError, OptionError
from harmovid.evaluate.temporal import luminance_jitter
from harmovid.infer.views import ViewSize
from tests import figures
from tests.baselines import moving


@cache
def networks(seed: int = 0, awake: bool = False) -> Networks:
    torch.manual_seed(seed)
    made = Networks(moving.tiny(2)).eval()
    if awake:
        for part in (made.filter.last, made.local.last):
            torch.nn.init.normal_(part.weight, std=0.02)
    return made


def noise(*size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((*size, 3), np.float32)


def jitter(result: np.ndarray, truth: np.ndarray) -> float:
    return luminance_jitter(result, truth, np.ones(truth.shape[:3], np.float32))


def test_jitter_of_a_clip_that_flickers_as_a_whole_falls_to_less_than_a_quarter() -> None:
    clean = moving.clip()
    shown = np.clip(clean * moving.gains(), 0, 1)
    told: list[tuple[str, int, int]] = []
    result = bvd.deflicker(shown, moving.tiny(), networks=networks(), progress=lambda *said: told.append(said))
    assert result.shape == clean.shape and result.dtype == np.float32
    assert jitter(result, clean) < 0.25 * jitter(shown, clean)
    assert figures.psnr(result, clean) > figures.psnr(shown, clean) + 5
    assert [said for said in told if said[1] == said[2]] == [("atlas", 150, 150), ("filter", 6, 6), ("refine", 5, 5)]


def test_a_seed_decides_and_the_number_of_threads_does_not() -> None:
    frames, net = noise(3, 12, 10), networks(awake=True)
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    try:
        first = bvd.deflicker(frames, seed=1, networks=net)
        torch.set_num_threads(2)
        again = bvd.deflicker(frames, seed=1, networks=net)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, bvd.deflicker(frames, seed=2, networks=net))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("size", [(2, 1, 1), (2, 5, 40), (3, 33, 7)])
def test_clips_of_any_size_keep_it(size: tuple[int, int, int]) -> None:
    for edge in (0, 8):
        result = bvd.deflicker(noise(*size), replace(moving.tiny(2), edge=edge), networks=networks(awake=True))
        assert result.shape == (*size, 3) and 0 <= result.min() and result.max() <= 1


def test_a_single_frame_is_kept() -> None:
    frames = noise(1, 6, 6)
    np.testing.assert_array_equal(bvd.deflicker(frames, networks=networks(awake=True)), frames)


def test_large_frames_are_steadied_too() -> None:
    clean = moving.clip(4, 48)
    shown = np.clip(clean * moving.gains(4), 0, 1)
    result = bvd.deflicker(shown, replace(moving.tiny(60), edge=24), networks=networks())
    assert jitter(result, clean) < 0.35 * jitter(shown, clean)
    assert figures.psnr(result, clean) > figures.psnr(shown, clean) + 3


def test_a_change_of_colour_is_carried_up_and_the_detail_stays() -> None:
    """Filtered at half the size, where a fine pattern is gone, and darkened there by 0.7."""
    fine = np.where(np.indices((16, 16)).sum(0) % 2, 0.8, 0.4)[None, ..., None].repeat(3, -1).astype(np.float32)
    small = atlas.shrunk(fine, 8)
    np.testing.assert_allclose(small, 0.6, atol=1e-6)
    np.testing.assert_allclose(bvd._carried(fine, small, 0.7 * small), 0.7 * fine, atol=0.015)
    np.testing.assert_array_equal(bvd._carried(fine, fine, 0.7 * fine), 0.7 * fine)


def test_what_lies_outside_the_mask_keeps_its_bits() -> None:
    frames = noise(3, 16, 12)
    masks = np.zeros(frames.shape[:3], np.float32)
    masks[:, 4:12] = 1
    masks[:, 3] = 0.5
    result = bvd.deflicker(frames, networks=networks(awake=True), masks=masks)
    np.testing.assert_array_equal(result[masks == 0], frames[masks == 0])
    assert not np.array_equal(result[:, 5], frames[:, 5])
    nothing = bvd.deflicker(frames, networks=networks(awake=True), masks=np.zeros_like(masks))
    np.testing.assert_array_equal(nothing, frames)


def test_weights_come_back_as_they_were_kept(tmp_path: Path) -> None:
    kept = networks(3, awake=True)
    bvd.save(kept, tmp_path / "a" / "b")
    found = bvd.load(tmp_path / "a" / "b")
    assert found.config == kept.config and not found.training
    for name, value in kept.state_dict().items():
        assert torch.equal(found.state_dict()[name], value.half().float())
    frames = noise(2, 8, 8)
    np.testing.assert_allclose(bvd.deflicker(frames, networks=found), bvd.deflicker(frames, networks=kept), atol=0.01)


def test_weights_that_are_absent_damaged_or_of_another_size_are_refused(tmp_path: Path,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"train them: python benchmarks/train_bvd\.py"):
        bvd.load(tmp_path)
    monkeypatch.setattr(bvd, "WEIGHTS", tmp_path)
    with pytest.raises(InputError, match="holds no weights"):
        bvd.deflicker(noise(2, 8, 8))
    bvd.save(networks(), tmp_path)
    assert bvd.deflicker(noise(2, 8, 8)).shape == (2, 8, 8, 3)  # now they ship
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(InputError, match="train them again"):
        bvd.load(tmp_path)
    with pytest.raises(OptionError, match="the settings they have"):
        bvd.deflicker(noise(2, 8, 8), bvd.cpu(), networks=networks())


@pytest.mark.parametrize("shape", [(4, 4, 3), (2, 4, 4, 1), (0, 4, 4, 3)])
def test_frames_of_a_wrong_shape_are_refused_in_a_sentence(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"frames have shape .* expected \(T, H, W, 3\).*stack"):
        bvd.deflicker(np.zeros(shape, np.float32), networks=networks())
    with pytest.raises(InputError, match="one mask per frame"):
        bvd.deflicker(noise(2, 4, 4), networks=networks(), masks=np.zeros((2, 5, 4), np.float32))


def test_the_presets_are_the_papers_and_a_small_one() -> None:
    assert bvd.paper() == BVDConfig()
    assert (bvd.paper().atlas.iterations, bvd.paper().atlas.points, bvd.paper().atlas.motion) == (10_000, 10_000, 500)
    assert bvd.cpu().atlas.edge <= 128 and bvd.cpu().atlas.iterations <= 600
    with pytest.raises(OptionError, match="edge"):
        replace(bvd.cpu(), edge=-1)


def test_the_weights_that_ship_are_those_of_the_preset_and_were_trained() -> None:
    found = bvd.load(bvd.WEIGHTS)
    assert found.config == bvd.cpu()
    assert all(part.last.weight.abs().max() > 0 for part in (found.filter, found.local))  # training begins at 0


class TestHarmonizer:
    @staticmethod
    def person(frames: int, size: int = 24) -> np.ndarray:
        masks = np.zeros((frames, size, size), np.float32)
        masks[:, 4:-4, 4:-4] = 1
        masks[:, 3] = 0.5
        return masks

    def test_it_steadies_the_person_and_nothing_else(self) -> None:
        clean, masks = moving.clip(), self.person(6)
        alpha = masks[..., None]
        shown = (clean + alpha * (np.clip(clean * moving.gains(), 0, 1) - clean)).astype(np.float32)
        method = BlindDeflickering(networks(), moving.tiny())
        result = moving.harmonized(method, shown, masks)
        np.testing.assert_array_equal(result[masks == 0], shown[masks == 0])
        inner = (masks == 1).astype(np.float32)
        assert luminance_jitter(result, clean, inner) < 0.4 * luminance_jitter(shown, clean, inner)

    def test_constant_light_is_hardly_changed_by_what_ships(self) -> None:
        clean, masks = moving.clip(), self.person(6)
        method = BlindDeflickering(config=replace(bvd.cpu(), atlas=moving.tiny_atlas()))
        assert method.name == "bvd" and method.view == ViewSize(256 * 256)
        result = moving.harmonized(method, clean, masks)
        inner = masks == 1
        assert np.sqrt(np.square(result[inner] - clean[inner]).mean()) < 0.03
        assert luminance_jitter(result, clean, inner.astype(np.float32)) < 0.03

    def test_long_clips_are_taken_in_pieces_that_fade(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[int] = []

        def numbered(frames: np.ndarray, *_: object, masks: np.ndarray, **__: object) -> np.ndarray:
            asked.append(len(frames))
            return np.full_like(frames, 0.2 * len(asked))

        monkeypatch.setattr(bvd, "deflicker", numbered)
        monkeypatch.setattr(bvd, "_LONGEST", 6)
        monkeypatch.setattr(bvd, "_FADED", 3)
        frames, masks = noise(9, 24, 24), self.person(9)
        result = moving.harmonized(BlindDeflickering(networks()), frames, masks)
        np.testing.assert_array_equal(result[masks == 0], frames[masks == 0])
        assert asked == [6, 6]
        np.testing.assert_allclose(result[:, 10, 10, 0], [0.2] * 3 + [0.25, 0.3, 0.35] + [0.4] * 3, atol=1e-6)
