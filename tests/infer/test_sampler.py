"""Sampling against closed forms: what DDIM gives where the answer is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harmovid.infer.sampler import draw, generators, sample
from harmovid.model.schedule import Schedule, ScheduleConfig

SHAPE = (2, 4, 3, 2, 2)


@pytest.fixture(params=["v_prediction", "epsilon"])
def schedule(request: pytest.FixtureRequest) -> Schedule:
    return Schedule(ScheduleConfig(prediction=request.param))


@pytest.fixture
def v() -> Schedule:
    return Schedule(ScheduleConfig())


def noise(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> Tensor:
    return draw(shape, torch.Generator().manual_seed(seed))


class Knows:
    """A network that knows the answer: at every step the prediction whose x0 is `truth`."""

    def __init__(self, schedule: Schedule, truth: Tensor) -> None:
        self.schedule, self.truth = schedule, truth
        self.seen: list[tuple[Tensor, int, int]] = []

    def __call__(self, noisy: Tensor, t: int, step: int) -> Tensor:
        self.seen.append((noisy, t, step))
        at = float(self.schedule.alphas_cumprod[t])
        left = (noisy - at**0.5 * self.truth) / (1 - at) ** 0.5
        return self.schedule.target(self.truth, left, t)


def gaussian(schedule: Schedule, deviation: float):
    """The ideal v-network of Gaussian data of mean 0: E[v | x] = (√ᾱ √(1 − ᾱ) (1 − s²) / (ᾱ s² + 1 − ᾱ)) x."""
    def predict(noisy: Tensor, t: int, step: int) -> Tensor:
        at = float(schedule.alphas_cumprod[t])
        return (at * (1 - at)) ** 0.5 * (1 - deviation**2) / (at * deviation**2 + 1 - at) * noisy

    return predict


@pytest.mark.parametrize("n", [1, 2, 7, 30])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_who_knows_the_answer_gets_it(v: Schedule, n: int, eta: float) -> None:
    truth = noise(5)
    knows = Knows(v, truth)
    got = sample(knows, noise(), v.timesteps(n), v, eta, torch.Generator().manual_seed(1))
    torch.testing.assert_close(got, truth, atol=1e-4, rtol=1e-4)
    assert [(t, step) for _, t, step in knows.seen] == list(zip(v.timesteps(n).tolist(), range(n), strict=True))


def test_between_steps_the_noise_is_kept(schedule: Schedule) -> None:
    """η = 0 with the truth known: every x_t is √ᾱ_t x0 + √(1 − ᾱ_t) ε of the same two."""
    truth, start = noise(5), noise()
    first = 700  # ε says nothing of x0 at zero terminal SNR
    steps = [first, 500, 250, 60]
    knows = Knows(schedule, truth)
    begin = schedule.add_noise(truth, start, first)
    got = sample(knows, begin, steps, schedule)
    for noisy, t, _ in knows.seen:
        torch.testing.assert_close(noisy, schedule.add_noise(truth, start, t), atol=2e-4, rtol=1e-3)
    torch.testing.assert_close(got, truth, atol=1e-3, rtol=1e-3)


def test_one_step_from_pure_noise_is_minus_v_whatever_the_schedule(v: Schedule) -> None:
    answer = noise(9)
    for shift in (1.0, 3.0):
        other = Schedule(ScheduleConfig(snr_shift=shift))
        got = sample(lambda noisy, t, step: answer, noise(), other.timesteps(1), other)
        assert torch.equal(got, -answer)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_an_ideal_network_of_gaussian_data_gives_data_of_that_spread(v: Schedule, eta: float) -> None:
    start = noise(3, (1, 16, 8, 8, 8))
    got = sample(gaussian(v, 0.5), start, v.timesteps(1000), v, eta, torch.Generator().manual_seed(2))
    assert got.std().item() == pytest.approx(0.5, rel=0.03)
    kinship = (got * start).mean() / (got.std() * start.std())
    assert abs(kinship) < 0.05 if eta else kinship > 0.99


def test_noise_of_a_step_has_the_variance_that_the_schedule_asks_for(v: Schedule) -> None:
    knows = Knows(v, torch.zeros(1, 16, 8, 16, 16))
    sample(knows, noise(3, (1, 16, 8, 16, 16)), v.timesteps(6), v, 0.7, torch.Generator().manual_seed(2))
    for noisy, t, _ in knows.seen:
        assert noisy.std().item() == pytest.approx((1 - float(v.alphas_cumprod[t])) ** 0.5, rel=0.02)


def test_each_step_has_noise_of_its_own_and_the_same_generator_the_same(v: Schedule) -> None:
    def run(seed: int) -> tuple[Tensor, list[Tensor]]:
        knows = Knows(v, torch.zeros(SHAPE))
        out = sample(gaussian(v, 0.5), noise(), v.timesteps(4), v, 1.0, torch.Generator().manual_seed(seed))
        sample(knows, noise(), v.timesteps(4), v, 1.0, torch.Generator().manual_seed(seed))
        return out, [noisy for noisy, *_ in knows.seen]

    (a, seen), (b, _), (c, _) = run(1), run(1), run(2)
    assert torch.equal(a, b) and not torch.allclose(a, c)
    renewed = [x / (1 - float(v.alphas_cumprod[t])) ** 0.5 for x, t in zip(seen, v.timesteps(4).tolist(), strict=True)]
    assert not any(torch.allclose(x, y, atol=0.1) for i, x in enumerate(renewed) for y in renewed[:i])


def test_noise_does_not_depend_on_how_many_frames_follow(v: Schedule) -> None:
    long, short = noise(4, (1, 3, 9, 5, 3)), noise(4, (1, 3, 2, 5, 3))
    assert torch.equal(long[:, :, :2], short)
    assert not torch.equal(long[:, :, 1], long[:, :, 0]) and not torch.equal(noise(5, (1, 3, 2, 5, 3)), short)
    got = [sample(gaussian(v, 0.5), start, v.timesteps(5), v, 1.0, torch.Generator().manual_seed(1))
           for start in (long, short)]
    torch.testing.assert_close(got[0][:, :, :2], got[1])


def test_noise_is_normal() -> None:
    drawn = noise(0, (2, 16, 10, 16, 16))
    assert drawn.dtype == torch.float32
    assert abs(drawn.mean()) < 0.02 and drawn.std().item() == pytest.approx(1, abs=0.02)


def test_progress_is_told_after_each_step(v: Schedule) -> None:
    told: list[tuple[int, int]] = []
    sample(gaussian(v, 1.0), noise(), v.timesteps(3), v, progress=lambda *step: told.append(step))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(("steps", "eta"), [([], 0.0), ([5, 5], 0.0), ([5, 9], 0.0), ([9, 5], 1.0), ([9], 2.0)])
def test_what_has_no_meaning_is_a_programmers_error(v: Schedule, steps: list[int], eta: float) -> None:
    with pytest.raises(AssertionError):
        sample(gaussian(v, 1.0), noise(), steps, v, eta)


def test_generators_are_the_same_for_the_same_frames_and_differ_else() -> None:
    states = [one.initial_seed() for seed, start in ((0, 0), (0, 8), (1, 0)) for one in generators(seed, start)]
    assert len(set(states)) == 6 and all(state >= 0 for state in states)
    assert [one.initial_seed() for one in generators(0, 8)] == states[2:4]
    assert states[:2] == [7896617691693857887, 6195319269190327588]  # results that stand were made with them


def test_at_a_lower_temperature_answers_differ_less(v: Schedule) -> None:
    start = noise()

    def spread(temperature: float) -> float:
        got = [sample(gaussian(v, 0.5), start, v.timesteps(8), v, 1.0, torch.Generator().manual_seed(seed),
                      temperature=temperature) for seed in range(8)]
        return float(torch.stack(got).std(0).mean())

    whole, less, none = (spread(temperature) for temperature in (1.0, 0.5, 0.0))
    assert less == pytest.approx(0.5 * whole, rel=1e-3) and none < 1e-6  # a linear network: so is what noise does
