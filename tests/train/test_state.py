"""States: what is told of one, what is put back, and which is refused. Runs that go on from them: test_loop.py."""

from __future__ import annotations

import pytest
import torch

from harmovid.errors import InputError
from harmovid.train.state import _mean_of, kept, recover


def test_steps_and_seconds_are_told_without_a_network(tmp_path):
    torch.save({"averaged": {"w": torch.ones(2)}, "count": 7, "step": 9, "seconds": 3}, tmp_path / "run.pt")
    found = kept(tmp_path)
    assert (found["step"], found["seconds"], found["count"]) == (9, 3.0, 7)
    weights, count = _mean_of(found)
    assert count == 7 and torch.equal(weights["w"], torch.ones(2))


def test_a_mean_of_torch_s_own_kind_is_known():
    weights, count = _mean_of({"averaged": {"n_averaged": torch.tensor(4), "module.a.w": torch.zeros(1)}})
    assert count == 4 and list(weights) == ["a.w"]


@pytest.mark.parametrize("content", [None, b"", b"torn"])
def test_what_cannot_be_read_is_a_sentence(tmp_path, content):
    if content is not None:
        (tmp_path / "run.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"the state in .* cannot be gone on from .*start anew with another --out"):
        kept(tmp_path)


def test_a_state_that_was_being_replaced_is_put_back_and_a_whole_one_stays(tmp_path):
    old, state = tmp_path / "state.old", tmp_path / "state"
    old.mkdir()
    (old / "run.pt").write_bytes(b"old")
    recover(state)
    assert (state / "run.pt").read_bytes() == b"old" and not old.exists()
    old.mkdir()
    recover(state)
    assert (state / "run.pt").read_bytes() == b"old"
