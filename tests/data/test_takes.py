"""Takes: the same frames out of memory and out of a file; pairs beside the clips that they were made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from harmovid.data import shards
from harmovid.data.dataset import Footage
from harmovid.data.takes import pair_of, take_of
from harmovid.errors import InputError
from tests.data.footage import pair, shard

CPU = torch.device("cpu")


@pytest.mark.parametrize("frames", [1, 9])
def test_frames_are_the_same_out_of_memory_and_out_of_a_file(tmp_path, frames):
    shards.write(tmp_path / "a.zip", shard("a", frames))
    held, stored = take_of(shards.read(tmp_path / "a.zip"), CPU), take_of(tmp_path / "a.zip", CPU)
    assert (held.name, held.frames, held.size, held.overview) == (stored.name, stored.frames, stored.size, 64)
    order = np.array([0] if frames == 1 else [7, 2, 2, 8])
    one, other = held.read(order), stored.read(order)
    assert torch.equal(one.layers, other.layers) and torch.equal(one.overview, other.overview)
    np.testing.assert_array_equal(one.boxes, other.boxes)
    assert one.layers.shape == (len(order), 7, *held.size)


def test_a_pair_has_the_boxes_of_what_it_was_made_of():
    clip = shard("a", 21)
    blind = pair(clip, start=6)
    blind = replace(blind, mask=np.zeros_like(blind.mask))
    source = take_of(clip, CPU)
    made, filmed = pair_of(blind, {"a": source}, CPU)
    order = np.array([0, 3])
    np.testing.assert_array_equal(made.read(order).boxes, source.read(order + 6).boxes)
    assert torch.equal(filmed.read(order).layers, source.read(order + 6).layers) and filmed.frames == made.frames == 9


def test_pairs_are_of_these_very_shards():
    clip = shard("a", 9)
    with pytest.raises(InputError, match="the pair pair-000000 is of the clip a, which is not among the shards"):
        Footage([shard("b", 9)], pairs=[pair(clip)])
    with pytest.raises(InputError, match=r"9 frames of \(72, 64\) from frame 4 on, its clip a has 9 of"):
        Footage([clip], pairs=[replace(pair(clip), info=replace(pair(clip).info, start=4))])
    assert Footage([clip]).pairs == []
