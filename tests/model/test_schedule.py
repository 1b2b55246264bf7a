from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXDPMScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from harmovid.errors import InputError, OptionError
from harmovid.model.schedule import Schedule, ScheduleConfig

KINDS = ("v_prediction", "epsilon")
V = Schedule(ScheduleConfig())
EPSILON = Schedule(ScheduleConfig(prediction="epsilon"))


def pair(seed: int = 0, batch: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(batch, 2, 3, 4, 5, generator=generator, dtype=torch.float64) for _ in range(2))


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("zero", [True, False])
def test_the_table_is_that_of_diffusers(shift, zero):
    ours = Schedule(ScheduleConfig(snr_shift=shift, zero_terminal=zero)).alphas_cumprod
    theirs = CogVideoXDDIMScheduler(snr_shift_scale=shift, rescale_betas_zero_snr=zero).alphas_cumprod
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_the_last_step_is_pure_noise_and_the_clean_end_is_clean():
    x0, noise = pair()
    assert torch.equal(V.add_noise(x0, noise, 999), noise)
    assert torch.equal(V.add_noise(x0, noise, -1), x0)
    assert torch.equal(V.target(x0, noise, 999), -x0)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 999), st.sampled_from([1.0, 3.0]), st.integers(0, 99))
def test_v_gives_back_both_clean_and_noise_at_every_step(t, shift, seed):
    schedule = Schedule(ScheduleConfig(snr_shift=shift))
    x0, noise = pair(seed)
    noisy, target = schedule.add_noise(x0, noise, t), schedule.target(x0, noise, t)
    torch.testing.assert_close(schedule.to_x0(target, noisy, t), x0, rtol=0, atol=1e-12)
    torch.testing.assert_close(schedule.to_noise(target, noisy, t), noise, rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, EPSILON.last), st.integers(0, 99))
def test_epsilon_gives_back_both_up_to_where_sampling_starts(t, seed):
    x0, noise = pair(seed)
    noisy = EPSILON.add_noise(x0, noise, t)
    assert EPSILON.target(x0, noise, t) is noise
    torch.testing.assert_close(EPSILON.to_x0(noise, noisy, t), x0, rtol=0, atol=1e-12)
    torch.testing.assert_close(EPSILON.to_noise(noise, noisy, t), noise, rtol=0, atol=0)


def test_epsilon_stays_finite_where_there_is_no_signal():
    x0, noise = pair()
    noisy = EPSILON.add_noise(x0, noise, 999)
    assert torch.equal(EPSILON.to_x0(noise, noisy, 999), torch.zeros_like(x0))
    wrong = EPSILON.to_x0(noise + 1, noisy, 999)
    assert wrong.abs().max() <= 20
    assert EPSILON.alphas_cumprod[EPSILON.last].sqrt() >= 0.05 > EPSILON.alphas_cumprod[EPSILON.last + 1].sqrt()
    assert (EPSILON.timesteps(5) <= EPSILON.last).all()


def test_epsilon_without_zero_terminal_signal_starts_at_the_last_step():
    assert Schedule(ScheduleConfig(prediction="epsilon", zero_terminal=False)).last == 999


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_for_each_of_the_batch_is_each_on_its_own(kind):
    schedule = Schedule(ScheduleConfig(prediction=kind))
    x0, noise = pair()
    steps = torch.tensor([3, 500, 900])
    for call in (schedule.add_noise, schedule.target, schedule.to_x0, schedule.to_noise):
        together = call(x0, noise, steps)
        for i, t in enumerate(steps.tolist()):
            assert torch.equal(together[i : i + 1], call(x0[i : i + 1], noise[i : i + 1], t))


@pytest.mark.parametrize("n", [1, 2, 4, 5, 8, 10, 16, 20, 25, 40, 50, 100, 125, 250, 500, 1000])
def test_steps_are_those_of_diffusers_where_these_are_right(n):
    theirs = CogVideoXDDIMScheduler(timestep_spacing="trailing")
    theirs.set_timesteps(n)
    ours = V.timesteps(n)
    assert ours[0] == 999 and ours.dtype == torch.long
    assert torch.equal(ours, theirs.timesteps)


@given(st.integers(1, 1000))
def test_any_number_of_steps_falls_evenly_to_the_end(n):
    steps = [*V.timesteps(n).tolist(), -1]
    strides = {before - after for before, after in pairwise(steps)}
    assert len(steps) == n + 1 and steps[0] == 999 and strides <= {1000 // n, -(-1000 // n)}


@pytest.mark.parametrize("n", [0, -1, 1001])
def test_a_number_of_steps_that_cannot_be_is_refused(n):
    with pytest.raises(OptionError, match="1 to 1000 steps"):
        V.timesteps(n)


def test_a_deterministic_step_is_that_of_diffusers():
    theirs = CogVideoXDDIMScheduler(prediction_type="v_prediction", snr_shift_scale=1.0, rescale_betas_zero_snr=True,
                                    timestep_spacing="trailing")
    theirs.set_timesteps(10)
    prediction, noisy = pair()
    for t in (999, 499, 99):
        after = V.add_noise(V.to_x0(prediction, noisy, t), V.to_noise(prediction, noisy, t), t - 100)
        torch.testing.assert_close(after, theirs.step(prediction, t, noisy).prev_sample, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_result_has_the_dtype_of_what_is_given(dtype):
    x0, noise = (x.to(dtype) for x in pair())
    for call in (V.add_noise, V.target, V.to_x0, V.to_noise):
        assert call(x0, noise, torch.tensor([0, 1, 2])).dtype == dtype


def test_another_device_gets_the_table_by_itself_or_once_for_all():
    x = torch.empty(2, 3, device="meta")
    steps = torch.zeros(2, dtype=torch.long, device="meta")
    for schedule in (Schedule(ScheduleConfig()), Schedule(ScheduleConfig()).to("meta")):
        assert schedule.add_noise(x, x, steps).device.type == "meta"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheduler", [CogVideoXDDIMScheduler, CogVideoXDPMScheduler])
def test_settings_go_through_the_scheduler_of_diffusers_and_back(kind, scheduler, tmp_path):
    settings_ = ScheduleConfig(prediction=kind, snr_shift=3.0, zero_terminal=False, steps=500, beta_end=0.02)
    scheduler(**settings_.to_diffusers()).save_pretrained(tmp_path)
    assert ScheduleConfig.from_diffusers(CogVideoXDDIMScheduler.load_config(tmp_path)) == settings_


def test_what_a_scheduler_file_leaves_out_has_the_default_of_diffusers():
    assert ScheduleConfig.from_diffusers({}) == ScheduleConfig.from_diffusers(CogVideoXDDIMScheduler().config)


@pytest.mark.parametrize(("name", "value"), [
    ("beta_schedule", "linear"), ("trained_betas", [0.1]), ("prediction_type", "sample"), ("set_alpha_to_one", False)])
def test_another_kind_of_schedule_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=name):
        ScheduleConfig.from_diffusers({name: value})
