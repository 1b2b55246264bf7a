"""The running mean: what it is after some steps, and that looking at it changes nothing."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from harmovid.train.mean import RunningMean


def stepped(mean: RunningMean, module: nn.Linear, values: list[float]) -> None:
    for value in values:
        with torch.no_grad():
            module.weight.fill_(value)
        mean.update()


def test_it_begins_at_the_first_step_and_forgets_its_beginning_faster_while_it_is_young():
    module = nn.Linear(1, 1, bias=False)
    mean = RunningMean(module, 0.5)
    stepped(mean, module, [1.0])
    assert float(mean.weights["weight"]) == 1.0
    stepped(mean, module, [2.0])  # 2 of 11 are kept
    assert float(mean.weights["weight"]) == pytest.approx(2 / 11 * 1 + 9 / 11 * 2)
    young = float(mean.weights["weight"])
    mean.load(dict(mean.weights), 1000)
    stepped(mean, module, [4.0])
    assert float(mean.weights["weight"]) == pytest.approx((young + 4) / 2)


def test_what_is_not_trained_has_none():
    module = nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 2))
    assert set(RunningMean(module, 0.9).weights) == {"1.weight", "1.bias"}


def test_it_is_shown_in_eval_mode_and_all_is_as_it_was_afterwards_to_the_bit():
    module = nn.Linear(3, 3)
    mean = RunningMean(module, 0.9)
    mean.update()
    with torch.no_grad():
        module.weight.normal_()
    mean.update()
    now, then = module.weight.clone(), mean.weights["weight"].clone()
    with pytest.raises(KeyError), mean.shown() as shown:  # an error inside, too
        assert shown is module and not module.training and torch.equal(module.weight, then)
        raise KeyError
    assert module.training and torch.equal(module.weight, now) and torch.equal(mean.weights["weight"], then)


def test_of_another_network_it_is_refused():
    with pytest.raises(ValueError, match="another network"):
        RunningMean(nn.Linear(2, 2), 0.9).load(RunningMean(nn.Linear(2, 2, bias=False), 0.9).weights, 3)
