"""IC-Light's weights on Stable Diffusion's: the wide UNet is the old one until offsets are added, to the weight."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file

from harmovid.errors import InputError
from harmovid.model.stable import CHANNELS, OFFSETS, StableRelighter, is_stable, load_stable
from tests.model import diffusion


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return diffusion.folder(tmp_path_factory.mktemp("stable") / "zero")


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return diffusion.folder(tmp_path_factory.mktemp("stable") / "some", 0.1)


def seen(count: int = 2) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return [torch.randn(count, 4, 8, 12, generator=random) for _ in range(3)]


@torch.no_grad()
def answer(parts: StableRelighter, latents: list[torch.Tensor], guidance: float = 1.0) -> torch.Tensor:
    return parts.predict(*latents, 400, guidance)


def test_with_offsets_of_zero_it_is_the_narrow_unet_to_the_bit(there: Path) -> None:
    assert is_stable(there) and not is_stable(there / "unet")
    parts, (noisy, person, behind) = load_stable(there, "light", "dark"), seen()
    narrow = UNet2DConditionModel.from_pretrained(there, subfolder="unet")
    with torch.no_grad():
        wanted = narrow(noisy, 400, encoder_hidden_states=parts.prompts[:1].expand(2, -1, -1)).sample
    assert torch.allclose(answer(parts, [noisy, person, behind]), wanted, atol=1e-5)
    assert torch.equal(answer(parts, [noisy, behind, person]), answer(parts, [noisy, person, behind]))
    assert parts.unet.config.in_channels == CHANNELS and not parts.unet.conv_in.weight[:, 4:].any()


def test_offsets_are_added_and_then_person_and_background_have_a_say(there: Path, moved: Path) -> None:
    before, after, offsets = load_stable(there, "a", "b"), load_stable(moved, "a", "b"), load_file(moved / OFFSETS)
    for name, value in after.unet.state_dict().items():
        assert torch.allclose(value, before.unet.state_dict()[name] + offsets[name])
    noisy, person, behind = seen()
    plain = answer(after, [noisy, person, behind])
    assert not torch.allclose(answer(after, [noisy, behind, behind]), plain, atol=1e-3)
    assert not torch.allclose(answer(after, [noisy, person, person]), plain, atol=1e-3)


def test_guidance_leads_away_from_the_negative_prompt(moved: Path) -> None:
    parts, latents = load_stable(moved, "sun", "rain, fog"), seen()
    assert parts.prompts.shape == (2, 20, diffusion.WIDTH) and not torch.equal(*parts.prompts)
    none, one, three = (answer(parts, latents, guidance) for guidance in (0.0, 1.0, 3.0))
    assert torch.allclose(three, none + 3 * (one - none), atol=1e-4)
    turned = load_stable(moved, "rain, fog", "sun")
    assert torch.allclose(answer(turned, latents, 1.0), none, atol=1e-5)


def test_pictures_become_latents_of_the_published_scale_and_come_back(there: Path) -> None:
    parts = load_stable(there, "a", "b")
    assert parts.multiple == 4 and parts.schedule.last == 999
    assert float(parts.schedule.alphas_cumprod[-1]) == pytest.approx(0.00466, rel=0.01)
    picture = torch.rand(3, 3, 16, 24) * 2 - 1
    with torch.no_grad():
        latents = parts.encode(picture)
        plain = parts.vae.encode(picture).latent_dist.mode()
    assert latents.shape == (3, 4, 8, 12) and torch.allclose(latents, 0.18215 * plain)
    with torch.no_grad():
        assert torch.allclose(parts.decode(latents), parts.vae.decode(plain).sample, atol=1e-5)


def copied(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


def test_a_unet_that_is_wide_already_needs_no_offsets(moved: Path, tmp_path: Path) -> None:
    wide = copied(moved, tmp_path / "wide")
    load_stable(moved, "a", "b").unet.save_pretrained(wide / "unet")
    (wide / OFFSETS).unlink()
    assert torch.equal(answer(load_stable(wide, "a", "b"), seen()), answer(load_stable(moved, "a", "b"), seen()))


def test_what_is_missing_or_of_another_model_is_said(there: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no Stable Diffusion folder: it lacks unet/config"):
        load_stable(tmp_path, "a", "b")
    bad = copied(there, tmp_path / "bad")
    (bad / OFFSETS).unlink()
    with pytest.raises(InputError, match=f"{OFFSETS} cannot be read .* put the published file there"):
        load_stable(bad, "a", "b")
    offsets = load_file(there / OFFSETS)
    save_file({**offsets, "conv_in.weight": offsets["conv_in.weight"][:, :8].contiguous()}, bad / OFFSETS)
    with pytest.raises(InputError, match=r"conv_in.weight is \(8, 8, 3, 3\), expected \(8, 12, 3, 3\)"):
        load_stable(bad, "a", "b")
    settings = json.loads((bad / "scheduler" / "scheduler_config.json").read_text())
    (bad / "scheduler" / "scheduler_config.json").write_text(json.dumps(settings | {"prediction_type": "sample"}))
    with pytest.raises(InputError, match="predicts 'sample'; expected scaled_linear and epsilon"):
        load_stable(bad, "a", "b")
    shutil.rmtree(bad / "text_encoder")
    with pytest.raises(InputError, match=r"cannot be read .* it needs unet/, vae/, text_encoder/"):
        load_stable(bad, "a", "b")
