"""Low ranks: they begin at nothing, are all that is trained, and are added to the weights in the end."""

from __future__ import annotations

import sys

import pytest
import torch

from harmovid.errors import MissingExtra
from harmovid.model import checkpoint
from harmovid.model.backbone import Backbone
from harmovid.train import lora
from tests.model import published

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def backbone(tmp_path) -> Backbone:
    return checkpoint.load(published.folder("5b", tmp_path / "5b")).backbone


def answer(backbone: Backbone) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    noisy, told = (torch.randn(1, channels, 3, 8, 12, generator=random) for channels in (16, 304))
    with torch.no_grad():
        return backbone(noisy, told, torch.tensor([500]))


def test_low_ranks_begin_at_nothing_and_are_all_that_is_trained(backbone):
    pytest.importorskip("peft", reason="needs the extra [train]: pip install 'harmovid[train]'")
    before = answer(backbone)
    lora.adapt(backbone, 4)
    torch.testing.assert_close(answer(backbone), before)
    trained = {name for name, weight in backbone.named_parameters() if weight.requires_grad}
    assert {name for name in trained if "lora_" not in name} == {
        "transformer.patch_embed.proj.weight", "transformer.patch_embed.proj.bias"}
    assert len(trained) == 2 + 2 * 2 * 4  # two blocks, four matrices of each, two factors


def test_merged_it_answers_the_same_and_is_an_ordinary_transformer(backbone):
    pytest.importorskip("peft", reason="needs the extra [train]: pip install 'harmovid[train]'")
    names, before = set(backbone.state_dict()), answer(backbone)
    lora.adapt(backbone, 4)
    with torch.no_grad():
        for name, weight in backbone.named_parameters():
            if "lora_" in name:
                weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    adapted, made = answer(backbone), lora.merged(backbone)
    assert set(made.state_dict()) == names
    torch.testing.assert_close(answer(made), adapted, rtol=1e-3, atol=1e-3)
    assert (adapted - before).abs().max() > 0.01
    assert any("lora_" in name for name, _ in backbone.named_parameters())  # which goes on being trained


def test_without_peft_the_way_out_is_told(backbone, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtra, match=r"pip install 'harmovid\[train\]'"):
        lora.adapt(backbone, 4)
