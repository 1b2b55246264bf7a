"""Words that name models and devices: what they come to. Whole commands stand in the other files."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from harmovid import cli_models
from harmovid.baselines.bvd import BlindDeflickering
from harmovid.baselines.classical import Reinhard
from harmovid.cli_models import Device
from harmovid.errors import InputError, OptionError
from harmovid.infer.framewise import FrameWise
from harmovid.infer.plan import Options
from harmovid.model.checkpoint import save
from harmovid.model.presets import deflickering
from tests.infer.tiny import tiny


def test_without_a_network_torch_is_not_loaded():
    code = ("import sys; from harmovid import cli_models\n"
            "cli_models.harmonizer('classical', None, 'cpu')\n"
            "print('torch' in sys.modules)")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.stdout == "False\n", ran.stderr


def test_a_method_is_no_network() -> None:
    telling, remarks = cli_models.harmonizer("reinhard", None, "cuda")
    assert isinstance(telling(lambda *step: None, Options()), Reinhard)
    assert remarks == ["the reinhard model runs on the processor; --device cuda has no effect"]
    with pytest.raises(OptionError, match="--steps is a network's, and the reinhard model is none"):
        cli_models.harmonizer("reinhard", 2, "cpu")


def test_a_network_is_told_whom_to_tell(tmp_path) -> None:
    save(tiny(), tmp_path)

    def report(*step: object) -> None:
        pass

    telling, remarks = cli_models.harmonizer(str(tmp_path), 3, "cpu")
    network = telling(report, Options(overlap=0.2))
    assert network.progress is report and network.overlap == 0.2 and len(network.timesteps) == 3 and remarks == []
    single = cli_models.image_model(str(tmp_path), None, None, None, "cpu")
    assert isinstance(single, FrameWise) and len(single.timesteps) == 8 and single.eta == 1
    with pytest.raises(InputError, match="relights people and was not trained to steady light"):
        cli_models.deflickerer(str(tmp_path), 2, "cpu")


def test_what_steadies_light_is_no_image_model(tmp_path) -> None:
    made = tiny()
    save(replace(made, preset=deflickering(made.preset)), tmp_path)
    assert len(cli_models.deflickerer(str(tmp_path), 2, "cpu").timesteps) == 2
    with pytest.raises(InputError, match="steadies light and relights nobody"):
        cli_models.image_model(str(tmp_path), None, None, None, "cpu")


def test_blind_deflickering_takes_no_steps() -> None:
    assert isinstance(cli_models.deflickerer("bvd", None, "cpu"), BlindDeflickering)
    with pytest.raises(OptionError, match="--steps is a sampled network's, and bvd is none"):
        cli_models.deflickerer("bvd", 2, "cpu")


def test_what_is_not_there_is_replaced_and_noted(monkeypatch, capsys) -> None:
    for there, device, said in ((False, "cpu", "there is no CUDA device here"), (True, "cuda", "")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert cli_models.there(Device.cuda) == device
        assert said in capsys.readouterr().err
    assert cli_models.there(Device.cpu) == "cpu"


def test_each_of_several_processes_has_a_device_of_its_own(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert cli_models.there(Device.cuda) == "cuda:3"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)  # each is shown its own alone
    assert cli_models.there(Device.cuda) == "cuda:0" and cli_models.there(Device.cpu) == "cpu"
