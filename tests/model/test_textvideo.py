"""Text-to-video models: a real pipeline, tiny, is read from its folder and makes clips; others are refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from harmovid.errors import InputError
from harmovid.model.textvideo import TextToVideo
from tests.model import diffusion, published


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> TextToVideo:
    return TextToVideo(str(published.text_to_video(tmp_path_factory.mktemp("text") / "tiny-cog")))


def test_a_clip_is_of_its_text_and_seed(maker: TextToVideo) -> None:
    assert maker.name == "CogVideoXPipeline tiny-cog"
    clip = maker.make("a fire", "people", 9, (16, 32), 2, 5)
    assert clip.shape == (9, 16, 32, 3) and clip.dtype == np.float32 and 0 <= clip.min() < clip.max() <= 1
    assert np.array_equal(maker.make("a fire", "people", 9, (16, 32), 2, 5), clip)
    for other in (("a fire", 6), ("the moon", 5)):
        assert np.abs(maker.make(other[0], "people", 9, (16, 32), 2, other[1]) - clip).max() > 1e-4


def test_only_what_was_said_and_is_understood_is_passed_on(maker: TextToVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, object] = {}

    def pipeline(**given: object) -> SimpleNamespace:
        told.update(given)
        return SimpleNamespace(frames=np.full((1, 3, 4, 4, 3), 2.0))

    monkeypatch.setattr(maker, "pipeline", pipeline)
    monkeypatch.setattr(maker, "takes", ("prompt", "num_frames", "height", "width", "num_inference_steps"))
    assert maker.make("a", "b", 3, None, None, 1).max() == 1
    generator = told.pop("generator")
    assert isinstance(generator, torch.Generator) and generator.initial_seed() == 1
    assert told == {"prompt": "a", "num_frames": 3, "output_type": "np"}


def test_what_makes_no_clips_is_said(maker: TextToVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"cannot be read as a text-to-video model .* hub name such as"):
        TextToVideo(str(tmp_path))
    with pytest.raises(InputError, match="is a StableDiffusionPipeline, which makes no clips"):
        TextToVideo(str(diffusion.pipeline(tmp_path / "still")))
    with pytest.raises(InputError, match=r"makes no clip of 9 frames of \(15, 16\) .*--height"):
        maker.make("a", "b", 9, (15, 16), 1, 0)
    monkeypatch.setattr(maker, "pipeline", lambda **_: SimpleNamespace(frames=np.full((1, 1, 4, 4, 3), np.nan)))
    with pytest.raises(InputError, match="not finite"):
        maker.make("a", "b", 9, None, 1, 0)
