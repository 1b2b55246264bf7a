import pytest
import torch

from harmovid.data.recolour import RecolourConfig, _face, recolour
from harmovid.light.grade import luma, srgb_to_linear

ALWAYS = RecolourConfig(share=1.0)


def dressed(count: int = 2, frames: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """A head of skin over a blue shirt, each with a ramp of light from left to right; (B, 3, T, 64, 48) and mask."""
    light = torch.linspace(0.75, 1, 48)
    picture, mask = torch.full((count, 3, frames, 64, 48), 0.3), torch.zeros(count, 1, frames, 64, 48)
    skin, shirt = (torch.tensor(colour)[:, None, None, None] for colour in ((0.8, 0.55, 0.45), (0.1, 0.2, 0.6)))
    picture[..., 4:28, 16:32] = skin * light[16:32]
    picture[..., 28:, 4:44] = shirt * light[4:44]
    mask[..., 4:28, 16:32] = 1
    mask[..., 28:, 4:44] = 1
    return picture, mask


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gains(picture: torch.Tensor, changed: torch.Tensor) -> torch.Tensor:
    """Logarithm of what light was multiplied by, (B, T, H, W)."""
    before, after = (luma(srgb_to_linear(part))[:, 0] for part in (picture, changed))
    return (after / before).log()


def test_clothes_change_far_more_than_skin():
    picture, mask = dressed(24)
    gain = gains(picture, recolour(picture, mask, ALWAYS, generator())).abs()
    cloth, skin = gain[..., 45:60, 12:36].mean((1, 2, 3)), gain[..., 10:20, 21:27].mean((1, 2, 3))
    assert cloth.median() > 2 * skin.median() > 0


def test_light_on_a_cloth_is_kept():
    """Neighbours of one cloth get one gain, so that shading stays as it was."""
    picture, mask = dressed(12)
    gain = gains(picture, recolour(picture, mask, ALWAYS, generator(3)))[:, 0, 50, 8:40]  # (B, 32)
    assert (gain.diff(dim=1).abs().mean(1)).median() < 0.02
    assert gain.mean(1).std() > 0.2


def test_a_share_of_people_stays_to_the_bit_and_so_does_the_scene():
    picture, mask = dressed(40)
    changed = recolour(picture, mask, RecolourConfig(share=0.5), generator(1))
    alike = (changed == picture).flatten(1).all(1)
    assert 8 <= alike.sum() <= 32
    outside = (mask == 0).expand_as(picture)
    assert torch.equal(changed[outside], picture[outside])
    assert torch.equal(recolour(picture, mask, RecolourConfig(share=0.0), generator(1)), picture)


def test_values_stay_in_range_and_a_seed_decides():
    picture, mask = dressed(4, frames=3)
    changed = recolour(picture, mask, ALWAYS, generator(2))
    assert changed.shape == picture.shape and changed.isfinite().all()
    assert 0 <= changed.min() and changed.max() <= 1
    assert torch.equal(changed, recolour(picture, mask, ALWAYS, generator(2)))
    assert not torch.equal(changed, recolour(picture, mask, ALWAYS, generator(5)))


def test_a_still_clip_stays_still():
    picture, mask = dressed(2, frames=5)
    changed = recolour(picture, mask, ALWAYS, generator(4))
    torch.testing.assert_close(changed, changed[:, :, :1].expand_as(changed))


@pytest.mark.parametrize("mask", [torch.zeros(1, 1, 1, 16, 16), torch.ones(1, 1, 1, 16, 16)])
def test_no_person_and_nothing_but_a_person(mask):
    changed = recolour(torch.rand(1, 3, 1, 16, 16, generator=generator()), mask, ALWAYS, generator())
    assert changed.isfinite().all()


def test_the_face_is_looked_for_in_the_head():
    _, mask = dressed(1)
    face = _face(mask[:, 0, 0])[0]
    assert face[8:24, 20:28].mean() > 0.9
    assert face[40:].sum() == 0
