from __future__ import annotations

import numpy as np
import pytest
import torch

from harmovid.baselines import flaws
from harmovid.baselines.filtering import FilterConfig, LocalConfig, LocalRefinement, NeuralFilter
from harmovid.baselines.flaws import FlawConfig
from harmovid.errors import InputError
from tests.baselines import moving


def clean(batch: int = 4, frames: int = 1, size: int = 24) -> torch.Tensor:
    """(B, 3, T, H, W) of moving textures."""
    clips = [moving.clip(frames, size, seed) for seed in range(batch)]
    return torch.from_numpy(np.stack(clips)).movedim(-1, 1).contiguous()


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def change(video: torch.Tensor) -> float:
    """Mean change of the frames' mean colour from one to the next."""
    return float(video.mean((3, 4)).diff(dim=2).abs().mean())


def test_pairs_have_the_clips_shape_and_range_and_follow_the_generator() -> None:
    video = clean(frames=3)
    batch = flaws.filter_batch(video, draw())
    again, other = flaws.filter_batch(video, draw()), flaws.filter_batch(video, draw(1))
    for name in ("content", "atlas", "clean"):
        assert batch[name].shape == video.shape
        assert batch[name].min() >= 0 and batch[name].max() <= 1
        assert torch.equal(batch[name], again[name])
    assert torch.equal(batch["clean"], video)
    assert not torch.equal(batch["content"], other["content"]) and not torch.equal(batch["atlas"], other["atlas"])


def test_content_flickers_and_keeps_its_detail_and_atlases_are_steady_and_lose_it() -> None:
    video = clean(8, 5)
    content, atlas = flaws.flicker(video, draw()), flaws.flawed(video, draw())
    assert change(content) > 5 * change(video) and change(atlas) < 0.3 * change(content)

    fine = (0.3 + 0.4 * torch.rand(8, 1, 1, 48, 48, generator=draw())).repeat(1, 3, 2, 1, 1)

    def likeness(other: torch.Tensor) -> float:
        """Mean correlation of what lies beside what."""
        a, b = (v.mean(1).diff(dim=-1).flatten(1) for v in (fine, other))
        return float(torch.stack([torch.corrcoef(torch.stack(p))[0, 1] for p in zip(a, b, strict=True)]).mean())

    assert likeness(flaws.flicker(fine, draw())) > 0.9 and likeness(flaws.flawed(fine, draw())) < 0.85


def test_without_flaws_nothing_changes() -> None:
    video = clean(3, 2)
    none = FlawConfig(strength=(0, 0), local=0, warp=0, blur=0, blotch=0, doubled=0, torn=0)
    torch.testing.assert_close(flaws.flicker(video, draw(), none), video, atol=0.01, rtol=0)  # a baked table
    torch.testing.assert_close(flaws.flawed(video, draw(), none), video, atol=1e-3, rtol=0)


def test_the_ways_lead_back_along_the_motion() -> None:
    batch = flaws.local_batch(clean(1, 4, 48), draw())
    for name, gone in (("short", torch.ones(3)), ("long", torch.arange(1.0, 4))):
        way = batch[name]
        assert way.shape == (1, 3, 3, 48, 48)
        sure = way[0, :, 2, 12:-12, 12:-12] > 0.5
        assert sure.float().mean() > 0.7
        expected = -gone[:, None] * torch.tensor(moving.STEP)
        for t in range(3):
            found = way[0, t, :2, 12:-12, 12:-12].movedim(0, -1)[sure[t]]
            assert (found - expected[t]).abs().mean() < 0.3


def test_a_steady_clip_has_no_temporal_loss_and_a_flickering_one_has() -> None:
    video = clean(1, 4, 48)
    batch = flaws.local_batch(video, draw())
    net = LocalRefinement(LocalConfig(4, 1))  # young: the identity
    with torch.no_grad():
        steady = flaws.local_loss(net, video.transpose(1, 2), batch)
        trembling = flaws.local_loss(net, batch["content"].transpose(1, 2), batch)
    assert float(steady["content"]) == 0 and float(steady["short"]) < 0.01 and float(steady["long"]) < 0.015
    assert float(trembling["short"]) > 4 * float(steady["short"])
    assert float(trembling["long"]) > 3 * float(steady["long"])
    assert float(trembling["loss"]) == pytest.approx(
        float(trembling["content"] + 2 * trembling["short"] + 2 * trembling["long"]))


def test_a_filter_that_is_trained_for_a_few_steps_has_a_lower_loss() -> None:
    torch.manual_seed(0)
    for start, share in (("nothing", 0.5), ("light", 0.97)):
        net = NeuralFilter(FilterConfig(6, 2, start))  # type: ignore[arg-type]
        batch, optimizer = flaws.filter_batch(clean(8), draw()), torch.optim.Adam(net.parameters(), 3e-3)
        first = float(flaws.filter_loss(net, batch)["loss"].detach())
        for _ in range(40):
            optimizer.zero_grad()
            flaws.filter_loss(net, batch)["loss"].backward()
            optimizer.step()
        assert float(flaws.filter_loss(net, batch)["loss"].detach()) < share * first


def test_a_refinement_that_is_trained_for_a_few_steps_has_a_lower_loss() -> None:
    torch.manual_seed(0)
    net, batch = LocalRefinement(LocalConfig(4, 1)), flaws.local_batch(clean(2, 4), draw())
    filtered = (batch["clean"] * torch.from_numpy(moving.gains(4, spread=0.05)).movedim(-1, 0)).transpose(1, 2)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    first = float(flaws.local_loss(net, filtered, batch)["loss"].detach())
    for _ in range(25):
        optimizer.zero_grad()
        flaws.local_loss(net, filtered, batch)["loss"].backward()
        optimizer.step()
    assert float(flaws.local_loss(net, filtered, batch)["loss"].detach()) < 0.9 * first


def test_single_frames_have_no_way_between_them() -> None:
    with pytest.raises(InputError, match="at least 2"):
        flaws.local_batch(clean(1, 1), draw())
