"""What a run began with: another codec or tone, or pairs that come or go, are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from harmovid.errors import OptionError
from harmovid.train.origin import Origin


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.BatchNorm2d(3) if seed < 0 else nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))  # with a scalar, too


def test_the_same_goes_on_and_so_does_a_run_of_which_nothing_is_known(tmp_path):
    Origin.of(network(0), network(1), [Path("pairs")]).check(tmp_path)
    Origin.of(network(0), network(1), [Path("pairs")]).keep(tmp_path)
    Origin.of(network(0), network(1), [Path("moved"), Path("more")]).check(tmp_path)


@pytest.mark.parametrize(("codec", "tone", "pairs", "sentence"), [
    (2, 1, ["pairs"], "began with another codec; pass the --codec"),
    (0, 2, ["pairs"], "began with another tone; pass the --tone"),
    (0, None, ["pairs"], "began with another tone"),
    (0, 1, [], "learns from pseudo-pairs; pass its --pairs"),
])
def test_another_is_refused(codec, tone, pairs, sentence, tmp_path):
    Origin.of(network(0), network(1), [Path("pairs")]).keep(tmp_path)
    with pytest.raises(OptionError, match=sentence):
        Origin.of(network(codec), None if tone is None else network(tone), [Path(p) for p in pairs]).check(tmp_path)


def test_pairs_that_come_later_are_refused(tmp_path):
    Origin.of(network(0), None, []).keep(tmp_path)
    with pytest.raises(OptionError, match="learns from no pseudo-pairs; leave out --pairs"):
        Origin.of(network(0), None, [Path("pairs")]).check(tmp_path)
