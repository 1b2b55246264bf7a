"""What the stages minimise, against closed forms; and that both kinds of prediction train."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harmovid.model.backbone import Backbone
from harmovid.model.codec import CausalCodec
from harmovid.model.palette import PALETTE
from harmovid.model.schedule import Schedule, ScheduleConfig
from harmovid.train.objective import (
    CodecObjective,
    DiffusionObjective,
    codec_loss,
    colour_map,
    diffusion_loss,
    draw_steps,
    one_step,
    own_answers,
)
from tests.train.tiny import preset

OBJECTIVE = DiffusionObjective()
V, EPSILON = Schedule(ScheduleConfig()), Schedule(ScheduleConfig(prediction="epsilon"))


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Says(nn.Module):
    """A network whose answer is known."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, noisy: Tensor, conditions: Tensor, steps: Tensor, palette: Tensor | None = None) -> Tensor:
        return self.answer(noisy, conditions, steps) if callable(self.answer) else self.answer


class Exact(nn.Module):
    """A codec without error: latents are the pixels, four frames and 8 × 8 of them folded into channels."""

    def __init__(self, offset: float = 0.0) -> None:
        super().__init__()
        self.offset = offset

    def encode_raw(self, video: Tensor) -> Tensor:
        return video * 2

    def decode_raw(self, latents: Tensor) -> Tensor:
        return latents / 2 + self.offset


def test_a_codec_without_error_has_no_loss_but_for_its_latents_size():
    video = torch.rand(2, 3, 5, 16, 16)
    free = CodecObjective(noise=0, size=0)
    assert codec_loss(Exact(), video, torch.zeros(2, 3, 5, 16, 16), free)["loss"] == 0
    parts = codec_loss(Exact(), video, torch.zeros(2, 3, 5, 16, 16), CodecObjective(noise=0, size=0.5))
    assert parts["size"] == (2 * video).square().mean() and parts["loss"] == 0.5 * parts["size"]


def test_each_term_of_the_codecs_loss_has_its_weight():
    video, none = torch.rand(2, 3, 5, 16, 16), torch.zeros(2, 3, 5, 16, 16)
    parts = codec_loss(Exact(0.1), video, none, CodecObjective(squares=3, edges=5, tone=7, size=0, noise=0))
    assert parts["loss"] == pytest.approx(3 * 0.01 + 5 * 0.1 + 7 * 0.01, rel=1e-4)
    assert parts["psnr"] == pytest.approx(20, abs=1e-3) and parts["tone"] == pytest.approx(0.01, rel=1e-4)
    # A tone is a mean of 8 × 8 pixels: checks that change from pixel to pixel have none.
    checks = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * 2.0 - 1
    parts = codec_loss(Exact(0.1 * checks), video, none, CodecObjective(noise=0, size=0))
    assert parts["tone"] < 1e-12 and parts["psnr"] == pytest.approx(20, abs=1e-3)
    # Noise on the latents comes in at its deviation.
    noise = random(2, 3, 5, 16, 16)
    parts = codec_loss(Exact(), video, noise, CodecObjective(noise=0.2))
    assert parts["psnr"] == pytest.approx(float(-10 * (0.1 * noise).square().mean().log10()), abs=1e-3)


def test_the_codec_trains():
    codec = CausalCodec(**vars(preset().codec))
    video = torch.rand(2, 3, 5, 2, 2).repeat_interleave(8, 3).repeat_interleave(8, 4)
    optimizer = torch.optim.AdamW(codec.parameters(), 3e-3)
    losses = []
    for step in range(40):
        parts = codec_loss(codec, video, random(2, 16, 2, 2, 2, seed=step), CodecObjective())
        optimizer.zero_grad()
        parts["loss"].backward()
        optimizer.step()
        losses.append(float(parts["loss"].detach()))
    assert losses[-1] < 0.3 * losses[0]


@pytest.mark.parametrize("schedule", [V, EPSILON])
@pytest.mark.parametrize("last", [0.0, 0.3, 1.0])
def test_steps_have_their_shares(schedule, last):
    steps = draw_steps(20_000, schedule, DiffusionObjective(last=last), torch.Generator().manual_seed(0))
    assert steps.dtype == torch.long and steps.min() >= 0 and steps.max() <= schedule.last
    expected = last + (1 - last) / (schedule.last + 1)
    assert (steps == schedule.last).float().mean() == pytest.approx(expected, abs=0.012)
    if last < 1:
        others = steps[steps < schedule.last].double()
        assert others.mean() == pytest.approx(schedule.last / 2, rel=0.02)
        assert others.std() == pytest.approx(schedule.last / 12**0.5, rel=0.02)
    again = draw_steps(20_000, schedule, DiffusionObjective(last=last), torch.Generator().manual_seed(0))
    assert torch.equal(steps, again)


def loss_of(answer: Any, schedule: Schedule = V, config: DiffusionObjective = OBJECTIVE, step: int = 500,
            cover: Tensor | None = None) -> dict[str, Tensor]:
    target, noise = random(2, 16, 3, 4, 4), random(2, 16, 3, 4, 4, seed=1)
    cover = torch.rand(2, 1, 3, 4, 4) if cover is None else cover
    return diffusion_loss(Says(answer), schedule, target, torch.zeros(2, 304, 3, 4, 4), cover, noise,
                          torch.full((2,), step), random(3, 16, seed=2), config)


@pytest.mark.parametrize("schedule", [V, EPSILON])
@pytest.mark.parametrize("step", [0, 300, 900])
def test_the_right_answer_has_no_loss(schedule, step):
    right = schedule.target(random(2, 16, 3, 4, 4), random(2, 16, 3, 4, 4, seed=1), step)
    parts = loss_of(right, schedule, step=step)
    assert parts["loss"] < 1e-5 and parts["v"] == 0


def test_an_error_counts_by_where_it_is():
    right = V.target(random(2, 16, 3, 4, 4), random(2, 16, 3, 4, 4, seed=1), 500)
    cover = torch.zeros(2, 1, 3, 4, 4)
    cover[..., :2] = 1
    config = DiffusionObjective(foreground=3, colour=0)
    # Half the latents show the person and count four times: the weights' mean is 2.5.
    everywhere = loss_of(right + 0.5, config=config, cover=cover)
    assert everywhere["loss"] == pytest.approx(0.25, rel=1e-4)
    on_them = loss_of(right + 0.5 * cover, config=config, cover=cover)
    assert on_them["loss"] == pytest.approx(0.25 * 4 / 2 / 2.5, rel=1e-4)
    beside = loss_of(right + 0.5 * (1 - cover), config=config, cover=cover)
    assert beside["loss"] == pytest.approx(0.25 * 1 / 2 / 2.5, rel=1e-4)


def test_colours_count_on_the_person_alone_and_as_display_values():
    right = V.target(random(2, 16, 3, 4, 4), random(2, 16, 3, 4, 4, seed=1), 500)
    cover = torch.zeros(2, 1, 3, 4, 4)
    cover[..., :2] = 1
    beside = loss_of(right + (1 - cover), cover=cover)
    assert beside["colour"] == pytest.approx(0, abs=1e-6)
    colours = random(3, 16, seed=2)
    _, s = V.levels(500, right)
    off = float(((s.flatten()[0] * colours.sum(1)) ** 2).sum())  # of each latent of the person
    count = float(cover.sum())
    on_them = loss_of(right + cover, cover=cover)
    assert on_them["colour"] == pytest.approx(off * count / (3 * count + 1), rel=1e-4)
    assert on_them["loss"] == pytest.approx(float(on_them["v"]) + 20 * float(on_them["colour"]), rel=1e-5)
    nobody = loss_of(right + 1, cover=torch.zeros(2, 1, 3, 4, 4))
    assert nobody["colour"] == 0 and nobody["loss"].isfinite()


@pytest.mark.parametrize(("prediction", "residual"), [("v_prediction", False), ("v_prediction", True),
                                                      ("epsilon", False)])
def test_both_predictions_train(prediction, residual):
    """The target is the composite, darker: a few steps must learn to see it in the conditions."""
    tiny = preset(prediction, residual)
    schedule = Schedule(tiny.schedule)
    backbone = Backbone.from_config(tiny.transformer, schedule)
    optimizer = torch.optim.AdamW(backbone.parameters(), 4e-3)
    config = DiffusionObjective()
    colours, cover = 0.1 * random(3, 16, seed=5), torch.ones(4, 1, 2, 4, 4)

    def mean_loss(steps: int, learn: bool) -> float:
        generator = torch.Generator().manual_seed(int(learn))
        said = []
        for _ in range(steps):
            composite = torch.randn(4, 16, 2, 1, 1, generator=generator).expand(4, 16, 2, 4, 4)
            conditions = torch.cat([composite, torch.zeros(4, 288, 2, 4, 4)], 1)
            noise = torch.randn(4, 16, 2, 4, 4, generator=generator)
            t = draw_steps(4, schedule, config, generator)
            parts = diffusion_loss(backbone, schedule, 0.4 * composite, conditions, cover, noise, t, colours, config,
                                   torch.zeros(4, PALETTE))
            if learn:
                optimizer.zero_grad()
                parts["loss"].backward()
                nn.utils.clip_grad_norm_(backbone.parameters(), 1.0)
                optimizer.step()
            said.append(float(parts["loss"].detach()))
        return sum(said) / steps

    before = mean_loss(20, learn=False)
    mean_loss(100, learn=True)
    after = mean_loss(20, learn=False)
    assert after < 0.7 * before, (before, after)


def test_a_residual_is_one_of_v():
    with pytest.raises(AssertionError, match="residual is one of v"):
        Backbone.from_config(preset("epsilon", True).transformer, EPSILON)


def test_a_fresh_residual_network_gives_the_composite_back_in_one_step():
    backbone = Backbone.from_config(preset().transformer, V)
    conditions, noise = random(2, 304, 3, 4, 4), random(2, 16, 3, 4, 4, seed=1)
    told = random(2, PALETTE, seed=2)
    with torch.no_grad():
        assert torch.equal(one_step(backbone, V, conditions, noise, told), conditions[:, :16])
        # Without it, nothing at all.
        plain = Backbone.from_config(preset(residual=False).transformer, V)
        assert not one_step(plain, V, conditions, noise, told).any()


def test_one_step_is_x0_of_the_last_step():
    noise = random(2, 16, 3, 4, 4)
    seen = []

    def answer(noisy: Tensor, conditions: Tensor, steps: Tensor, palette: Tensor | None = None) -> Tensor:
        seen.append((noisy, steps))
        return -0.25 * torch.ones_like(noisy)

    assert torch.equal(one_step(Says(answer), V, torch.zeros(2, 304, 3, 4, 4), noise), torch.full_like(noise, 0.25))
    assert seen[0][0] is noise and seen[0][1].tolist() == [999, 999]


@pytest.mark.parametrize("shape", [(2, 9, 32, 48), (3, 1, 64, 64)])
def test_the_colour_map_recovers_a_known_one(shape):
    batch, frames, height, width = shape
    latents = random(batch, 16, (frames - 1) // 4 + 1, height // 8, width // 8)
    known, constant = 0.1 * random(3, 16, seed=3), torch.tensor([0.4, 0.5, 0.6])
    means = torch.einsum("kc,bcthw->bkthw", known, latents) + constant[:, None, None, None]
    led = means.repeat_interleave(4, 2)[:, :, 3:]  # the first latent stands for one frame
    video = led.repeat_interleave(8, 3).repeat_interleave(8, 4)
    assert video.shape == (batch, 3, frames, height, width)
    video = video + 0.1 * ((torch.arange(width) % 2) * 2.0 - 1)  # no mean of a cell sees this
    torch.testing.assert_close(colour_map(latents, video), known, rtol=0, atol=1e-4)


def test_the_colour_map_of_few_cells_is_finite():
    assert colour_map(random(1, 16, 1, 2, 2), torch.rand(1, 3, 1, 16, 16)).isfinite().all()


def test_beneath_the_noise_may_lie_another_picture():
    """Whatever lies there, the right answer is the one that means the target."""
    target, noise, beneath = (random(2, 16, 3, 4, 4, seed=seed) for seed in range(3))
    cover, colours = torch.rand(2, 1, 3, 4, 4), random(3, 16, seed=3)
    for schedule in (V, EPSILON):
        for step in (500, schedule.last):
            noisy = schedule.add_noise(beneath, noise, step)
            a, s = schedule.levels(step, target)
            assert a / s < 3  # all of it is asked for
            right = schedule.target(target, (noisy - a * target) / s, step)
            assert (schedule.to_x0(right, noisy, step) - target).abs().max() < 2e-4
            steps = torch.full((2,), step)
            parts = diffusion_loss(Says(right), schedule, target, torch.zeros(2, 304, 3, 4, 4), cover, noise, steps,
                                   colours, OBJECTIVE, beneath=beneath)
            assert parts["loss"] < 1e-5
    # Near the clean end a part of it: the noise asked for stays bounded, and colours are asked for no more.
    steps = torch.full((2,), 10)
    a, s = V.levels(10, target)
    assert a / s > 9
    part = V.target(target, noise + 3 * (beneath - target), 10)
    parts = diffusion_loss(Says(part), V, target, torch.zeros(2, 304, 3, 4, 4), cover, noise, steps, colours, OBJECTIVE,
                           beneath=beneath)
    assert parts["v"] < 1e-9 and parts["colour"] < 1e-9


def test_own_answers_lie_beneath_their_share():
    target, conditions = random(400, 16, 1, 2, 2), torch.zeros(400, 304, 1, 2, 2)
    answer = random(1, 16, 1, 2, 2, seed=1)

    def own(share: float) -> Tensor | None:
        network = Says(lambda noisy, *_: -answer.expand_as(noisy))
        return own_answers(network, V, target, conditions, torch.Generator().manual_seed(0),
                           DiffusionObjective(own_answers=share))

    assert own(0) is None
    beneath = own(0.3)
    assert beneath is not None
    # With zero terminal signal v of noise alone is minus the picture.
    theirs = (beneath - answer).abs().flatten(1).amax(1) < 1e-6
    assert theirs.float().mean() == pytest.approx(0.3, abs=0.07)
    assert torch.equal(beneath[~theirs], target[~theirs])


def test_the_network_is_asked_whoever_is_picked():
    """Of a network that is divided among processes each has to ask as often as the others."""
    asked = []
    for seed in range(12):
        network = Says(lambda noisy, *_: asked.append(len(noisy)) or torch.zeros_like(noisy))
        target = random(1, 16, 1, 2, 2)
        beneath = own_answers(network, V, target, torch.zeros(1, 304, 1, 2, 2), torch.Generator().manual_seed(seed),
                              DiffusionObjective(own_answers=0.5))
        asked.append(-int(torch.equal(beneath, target)))
    assert asked[::2] == [1] * 12 and 0 > sum(asked[1::2]) > -12
