"""A misfit: a person in a scene whose light is not theirs.

Of real footage, whose light is right, the target is the footage, or footage whose person and scene were changed alike.
Only what the network is given is made up, so that what it learns to give back was filmed. Of the light stage both are
known: the person in the light of another place, and in that of the scene. A pseudo-pair is gone both ways, which are
the method's two paths: from the clip to what was made of it, and back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from harmovid.data.augment import DegradeConfig, degrade_light, grade_scene
from harmovid.data.dataset import ViewBatch
from harmovid.data.fills import add_fills
from harmovid.data.recolour import RecolourConfig, recolour
from harmovid.light.grade import linear_to_srgb, srgb_to_linear

_DARK = 0.01  # of scene-linear light: below it a ratio of two pictures is noise


@dataclass(frozen=True)
class MisfitConfig:
    """How the light is made wrong.

    recolour: other clothes, hair and skin, target and all.
    degrade: the person's light.
    scene: strongest grade of the whole scene, so that no clip has colours that could be learned by heart.
    recast: strongest change of the person alone, target and all: as another person, otherwise lit, in the same scene.
        Without it the people of the training footage are learned by heart, and a network that is sure of what it
        cannot know spoils what was right; with it, it departs from its input where the evidence is strong.
    placed: share of batches whose person comes as they were filmed, while the scene is graded by up to `setting`: an
        ordinary clip put into a night, a sunset, a stage, which is what users do.
    same: share of the light stage's people whose light is right: what is right is to be left alone.
    toned: strongest grade of such a person in the wrong light, as by another camera.
    fills: share of made backgrounds with a fill of a person's shape, as real ones have: `fills.add_fills`.
    """

    recolour: RecolourConfig = RecolourConfig()
    degrade: DegradeConfig = DegradeConfig()
    scene: float = 0.45
    recast: float = 0.3
    placed: float = 0.35
    setting: float = 1.0
    same: float = 0.3
    toned: float = 0.5
    fills: float = 0.5


@dataclass(frozen=True)
class Misfit:
    """A batch, display sRGB in [0, 1].

    target: (B, 3, T, H, W), the person in their scene, in its light. wrong: so too, of the person alone, in the wrong
    light. plate: (B, 3, T, H, W), the scene without them. overview: (B, 3, T, h, w), the whole scene.
    mask: (B, 1, T, H, W), their alpha.
    """

    target: Tensor
    wrong: Tensor
    plate: Tensor
    overview: Tensor
    mask: Tensor


def misfit(views: ViewBatch, config: MisfitConfig, random: np.random.Generator, generator: torch.Generator) -> Misfit:
    """Make the light of a batch of views wrong.

    Args:
        views: of real footage.
        random, generator: sources of all choices; the latter on the device of `views`.
    """
    picture = recolour(views.picture, views.mask, config.recolour, generator)
    if config.recast > 0:
        most = config.recast
        other = DegradeConfig(untouched=0.15, shares=(0.85, 0, 0), strengths=(0, most, most, most), moving=0)
        picture = over(degrade_light(picture, views.mask, other, generator), picture, views.mask)
    placed = random.random() < config.placed
    target, plate, overview = grade_scene([picture, views.plate, views.overview], generator,
                                          config.setting if placed else config.scene)
    wrong = degrade_light(picture if placed else target, views.mask, config.degrade, generator)
    return Misfit(target, wrong, plate, overview, views.mask)


def relit(one: ViewBatch, other: ViewBatch, config: MisfitConfig, generator: torch.Generator) -> Misfit:
    """Put the people of the light stage as they are in one light into the scene of another.

    Args:
        one, other: the same views in two lights; of the second everything but the person's light is kept.
        generator: as in `misfit`.
    """
    target, plate = add_fills(other.picture, other.plate, other.mask, config.fills, generator)
    target, plate, overview = grade_scene([target, plate, other.overview], generator, config.scene)
    graded = DegradeConfig(untouched=0.4, shares=(0.6, 0, 0), strengths=(0, config.toned, config.toned, config.toned),
                           graded=1.0, shaded=0.0)
    return Misfit(target, degrade_light(one.picture, one.mask, graded, generator), plate, overview, one.mask)


def to_synthetic(made: ViewBatch, filmed: ViewBatch, config: MisfitConfig, generator: torch.Generator) -> Misfit:
    """Real→Synthetic: people as they were filmed before another background, which is to light them as it did the pair.

    Args:
        made, filmed: pseudo-pairs, and the frames they were made of.
        generator: as in `misfit`.
    """
    made, filmed = _recoloured(made, filmed, config.recolour, generator)
    target, plate = add_fills(made.picture, made.plate, made.mask, config.fills, generator)
    target, plate, overview = grade_scene([target, plate, made.overview], generator, config.scene)
    return Misfit(target, filmed.picture, plate, overview, made.mask)


def to_real(made: ViewBatch, filmed: ViewBatch, config: MisfitConfig, generator: torch.Generator) -> Misfit:
    """Synthetic→Real: people as the pair relit them back in their own scene, from which they were taken out.

    Arguments as in `to_synthetic`; the target is what was filmed.
    """
    made, filmed = _recoloured(made, filmed, config.recolour, generator)
    target, plate, overview = grade_scene([filmed.picture, filmed.plate, filmed.overview], generator, config.scene)
    return Misfit(target, made.picture, plate, overview, made.mask)


def _recoloured(made: ViewBatch, filmed: ViewBatch, config: RecolourConfig,
                generator: torch.Generator) -> tuple[ViewBatch, ViewBatch]:
    """Both in the same other colours: one gain of scene-linear light, pixel by pixel, as they are one performance."""
    if config.share <= 0:
        return made, filmed
    other = recolour(filmed.picture, filmed.mask, config, generator)
    before, after = (srgb_to_linear(picture) + _DARK for picture in (filmed.picture, other))
    same = linear_to_srgb((srgb_to_linear(made.picture) * (after / before)).clamp(0, 1))
    return (replace(made, picture=torch.where(other == filmed.picture, made.picture, same)),
            replace(filmed, picture=other))


def over(person: Tensor, plate: Tensor, mask: Tensor) -> Tensor:
    """(B, 3, T, H, W), display sRGB; light is mixed linear, as the straight path does."""
    return linear_to_srgb(torch.lerp(srgb_to_linear(plate), srgb_to_linear(person), mask))
