"""IC-Light in the seam: every frame on its own, with noise of its own; the same seed gives the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from harmovid.baselines import iclight
from harmovid.baselines.iclight import IcLight
from harmovid.errors import InputError, OptionError
from harmovid.infer.views import Harmonized, Views
from tests.infer.test_network import Clip, clip, joined
from tests.model import diffusion


@pytest.fixture(scope="module")
def method(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IcLight]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield IcLight(diffusion.folder(tmp_path_factory.mktemp("stable") / "tiny", 0.1), 3, area=32 * 32)
    torch.set_num_threads(threads)


def relit(method: IcLight, views: Clip, seed: int = 0) -> Harmonized:
    return joined(method.harmonize(views, seed))


def test_it_fills_the_seam(method: IcLight) -> None:
    steps: list[tuple[str, int, int]] = []
    method.progress = lambda *step: steps.append(step)
    found = relit(method, clip(11))
    assert steps == [("sample", 8, 11), ("sample", 11, 11)]
    assert method.view.multiple == 4 and method.view.area == 32 * 32
    for part in (found.reference, found.result):
        assert part.shape == (3, 11, 32, 32) and part.dtype == np.float32 and 0 <= part.min() <= part.max() <= 1
    assert np.abs(found.result - found.reference).mean() > 0.02
    assert iclight.PROMPT in method.told and "guidance 7" in method.told


def test_noise_is_each_frames_own_and_the_seeds(method: IcLight) -> None:
    still = Clip(Views(*(np.repeat(plane, 3, 1) for plane in vars(clip(1).views).values())))
    found = relit(method, still)
    assert np.ptp(found.reference, axis=1).max() < 1e-5
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert np.abs(found.result[:, one] - found.result[:, other]).mean() > 0.01
    assert np.array_equal(relit(method, still).result, found.result)
    assert np.abs(relit(method, still, 1).result - found.result).mean() > 0.01


def test_a_clip_and_its_beginning_and_its_other_frames_do_not_matter(method: IcLight) -> None:
    whole = clip(10)
    begun = Clip(Views(*(plane[:, :3] for plane in vars(whole.views).values())))
    assert np.allclose(relit(method, begun).result, relit(method, whole).result[:, :3], atol=1e-4)


def test_the_person_is_shown_on_grey_and_the_background_beside_them(method: IcLight,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[torch.Tensor] = []
    encode = type(method.parts).encode
    monkeypatch.setattr(type(method.parts), "encode", lambda self, picture: (shown.append(picture),
                                                                            encode(self, picture))[1])
    views = clip(1)
    relit(method, views)
    person, behind, plain = (picture[0].numpy() for picture in shown)  # (3, H, W), grey 127 is 0
    mask = views.views.mask[:, 0]
    assert np.abs(person[:, mask[0] == 0]).max(initial=0) < 1e-6
    assert np.allclose(person, mask * plain, atol=1e-5)
    assert np.allclose((behind + 1) * 127 / 255, views.views.background[:, 0], atol=1e-6)


def test_what_it_cannot_do_is_said(method: IcLight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="is no Stable Diffusion folder"):
        IcLight(tmp_path)
    with pytest.raises(OptionError, match="sampling takes 1 to 1000 steps, got 0"):
        IcLight(diffusion.folder(tmp_path / "tiny"), 0)
    monkeypatch.setattr(method.parts.unet, "forward", lambda seen, *_, **__: type("Output", (), {
        "sample": seen[:, :4] * torch.nan}))
    with pytest.raises(InputError, match="not finite"):
        relit(method, clip(1))
