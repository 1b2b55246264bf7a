"""Frame by frame: no frame knows of another, noise is each one's own, and what one step would give agrees with the
clip's own path.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from harmovid.errors import InputError
from harmovid.infer import framewise
from harmovid.infer.framewise import FrameWise, harmonizer
from harmovid.infer.network import NetworkHarmonizer
from harmovid.infer.views import Views
from harmovid.model.palette import palette
from harmovid.model.presets import frame_wise, nano
from harmovid.model.tone import Tone, ToneConfig
from tests.infer.test_network import Clip, answering, clip, joined
from tests.infer.tiny import tiny

pytestmark = pytest.mark.usefixtures("one_thread")


def still(frames: int) -> Clip:
    """One picture, over and over."""
    return Clip(Views(*(np.repeat(plane, frames, 1) for plane in vars(clip(1).views).values())))


def model(**changes: Any) -> Any:
    found = tiny()
    return replace(found, preset=replace(frame_wise(found.preset), **changes))


def test_the_preset_says_how_a_model_works() -> None:
    preset = frame_wise(nano())
    assert (preset.name, preset.view.window, preset.steps, preset.eta) == ("nano-harmoim", 1, 8, 1.0)
    assert preset.transformer == nano().transformer and preset.view.area == nano().view.area
    assert isinstance(harmonizer(model()), FrameWise) and type(harmonizer(tiny())) is NetworkHarmonizer
    assert len(harmonizer(model()).timesteps) == 8 and len(harmonizer(model(), 3).timesteps) == 3


def test_what_is_asked_for_is_given_back_of_every_frame() -> None:
    views = clip(40)
    told = answering(0)
    told.preset = frame_wise(told.preset)
    found = joined(harmonizer(told).harmonize(views))
    assert found.result.shape == (3, 40, 32, 32) and views.most == framewise._TOGETHER
    np.testing.assert_allclose(found.result, found.reference, atol=1e-4)  # it asks for the composite
    background = answering(1)
    background.preset = frame_wise(background.preset)
    other = joined(harmonizer(background).harmonize(views))
    cells = views.views.background.reshape(3, 40, 4, 8, 4, 8).mean((3, 5))
    np.testing.assert_allclose(other.result[:, :, ::8, ::8], cells, atol=1e-4)


def test_noise_is_each_frames_own_and_a_still_clip_flickers() -> None:
    found = joined(FrameWise(model()).harmonize(still(5)))
    assert np.ptp(found.reference, axis=1).max() < 1e-5
    apart = np.abs(np.diff(found.result, axis=1)).mean((0, 2, 3))
    assert (apart > 1e-3).all()


def test_a_frame_depends_on_no_other() -> None:
    views = clip(3)
    changed = Clip(replace(views.views, composite=views.views.composite.copy()))
    changed.views.composite[:, 1] = 0.9
    one, other = (joined(FrameWise(model()).harmonize(some)).result for some in (views, changed))
    assert np.abs(one[:, 1] - other[:, 1]).max() > 1e-3
    np.testing.assert_allclose(one[:, [0, 2]], other[:, [0, 2]], atol=1e-5)


def test_a_clip_and_its_beginning_have_the_same_noise_a_seed_gives_the_same_and_another_not(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framewise, "_TOGETHER", 4)
    views = clip(6)
    whole = joined(FrameWise(model()).harmonize(views, seed=3)).result
    begun = Clip(Views(*(plane[:, :5] for plane in vars(views.views).values())))
    np.testing.assert_allclose(joined(FrameWise(model()).harmonize(begun, seed=3)).result, whole[:, :5], atol=1e-5)
    assert np.array_equal(joined(FrameWise(model()).harmonize(views, seed=3)).result, whole)
    assert np.abs(joined(FrameWise(model()).harmonize(views, seed=4)).result - whole).max() > 1e-3


def test_one_step_of_a_single_frame_is_what_the_clip_s_own_path_gives() -> None:
    views, plain = clip(1), tiny()
    alone = joined(FrameWise(plain, steps=1, eta=0.0).harmonize(views))
    whole = joined(NetworkHarmonizer(plain, steps=1).harmonize(views))
    np.testing.assert_allclose(alone.reference, whole.reference, atol=1e-5)
    # Noise differs, the rest does not: with a network that answers by what it is told both agree.
    asked, again = answering(1), answering(1)
    np.testing.assert_allclose(joined(FrameWise(asked, steps=1, eta=0.0).harmonize(views)).result,
                               joined(NetworkHarmonizer(again, steps=1).harmonize(views)).result, atol=1e-4)
    np.testing.assert_array_equal(asked.backbone.seen[0], again.backbone.seen[0])


def test_the_network_is_given_the_toned_frame_and_the_reference_is_of_the_plain_one() -> None:
    tone = Tone(ToneConfig(width=4))
    with torch.no_grad():
        tone.layers[-1].bias[:3] = 0.1
    views, asked, again = clip(1), answering(0), answering(0)
    asked.tone = again.tone = tone
    alone = joined(FrameWise(asked, steps=1, eta=0.0).harmonize(views))
    whole = joined(NetworkHarmonizer(again, steps=1).harmonize(views))
    np.testing.assert_allclose(alone.reference, whole.reference, atol=1e-5)
    np.testing.assert_allclose(alone.result, whole.result, atol=1e-4)
    assert np.abs(alone.result - alone.reference).max() > 0.01


def test_the_network_is_told_the_palette_of_each_frame() -> None:
    views, asked = clip(3), answering(palette=True)
    joined(FrameWise(asked, steps=1, eta=0.0).harmonize(views))
    composite, background, mask, overview = (
        torch.from_numpy(plane).transpose(0, 1)[:, :, None] for plane in vars(views.views).values())
    told = palette(composite, background, overview, mask).mean(1)  # (3, 153)
    torch.testing.assert_close(asked.backbone.palettes[0], told)
    assert (told[0] - told[1]).abs().max() > 1e-3


def test_broken_weights_are_said() -> None:
    broken = model()
    with torch.no_grad():
        next(broken.backbone.parameters()).fill_(float("nan"))
    with pytest.raises(InputError, match="not finite"):
        joined(FrameWise(broken).harmonize(clip(2)))
