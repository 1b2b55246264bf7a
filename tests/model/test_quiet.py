"""Nothing is printed while others' models are read, and afterwards they print as before."""

from __future__ import annotations

from pathlib import Path

import pytest
from diffusers import DiffusionPipeline
from diffusers.utils import logging as of_diffusers
from transformers.utils import logging as of_transformers

from harmovid.baselines.iclight import IcLight
from harmovid.model.quiet import quiet_loading
from harmovid.model.textvideo import TextToVideo
from tests.model import diffusion, published


def test_loading_says_nothing_and_leaves_no_trace(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folders = diffusion.folder(tmp_path / "stable"), published.text_to_video(tmp_path / "cog")
    before = [logging.get_verbosity() for logging in (of_diffusers, of_transformers)]
    capfd.readouterr()
    IcLight(folders[0], 1)
    maker = TextToVideo(str(folders[1]))
    maker.make("a", "b", 9, (16, 32), 1, 0)
    assert capfd.readouterr() == ("", "")
    assert [logging.get_verbosity() for logging in (of_diffusers, of_transformers)] == before
    DiffusionPipeline.from_pretrained(folders[1])
    assert "Loading pipeline components" in capfd.readouterr().err


def test_an_error_inside_leaves_no_trace_either() -> None:
    with pytest.raises(ValueError, match="inside"), quiet_loading():
        assert not of_diffusers.is_progress_bar_enabled() and not of_transformers.is_progress_bar_enabled()
        raise ValueError("inside")
    assert of_diffusers.is_progress_bar_enabled() and of_transformers.is_progress_bar_enabled()
