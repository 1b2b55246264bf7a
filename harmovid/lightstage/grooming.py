"""Grooming: a person's hair, beard and brows, grown at the neutral pose."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from harmovid.lightstage import body, face, hair, hairstyles, ribbons, scalp, skin, things
from harmovid.lightstage.identity import Identity
from harmovid.lightstage.noise import ramp
from harmovid.lightstage.obstacle import Obstacle
from harmovid.lightstage.scene import Material

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Piece:
    """A surface at the neutral pose and how it follows the body."""

    name: str
    points: Floats  # (V, 3)
    faces: npt.NDArray[np.int32]
    uv: Floats
    material: Material
    weights: Floats | None  # (V, B), or None: the head alone
    closed: bool = True
    strands: bool = False


def density(who: Identity, places: Floats) -> Floats:
    """(…,) how densely scalp hair grows at places on the template."""
    assert who.style is not None
    return scalp.bald(places) if who.style.name == "fringe of the bald" else scalp.hairline(places, who.recede)


def _under_hat(who: Identity, places: Floats) -> Floats:
    """(…,) what a hat leaves of the hair: roots well inside it are pressed flat, so none are grown."""
    if who.outfit.hat is None:
        return np.ones(places.shape[:-1])
    return ramp(things.hat_line(who.outfit.hat, places), 0.014, 0.004)


def hairs(
    who: Identity, growth: scalp.Growth, obstacle: Obstacle, shape: body.Body, generator: np.random.Generator
) -> list[Piece]:
    """Scalp hair, beard, brows: grown at the neutral pose."""
    pieces = []
    colour = hair.material(who.hair_colour, generator, who.grey)
    skull = Obstacle(growth.points, growth.normals, True)
    if who.style is not None:
        style = hairstyles.shortened(who.style, float(generator.uniform(0.88, 1.12)))
        if who.outfit.hat:
            style = replace(style, volume=0.4 * style.volume, strands=style.strands // 2, lift=min(style.lift, 0.2))
        bun = shape.joint("head") + (hairstyles.BUN - [0.0, 0.6567, 0.0419])
        nearest = np.argmin(np.linalg.norm(growth.places - hairstyles.BUN, axis=1))
        bun = growth.points[nearest] + 0.012 * growth.normals[nearest]
        everything = Obstacle(
            np.concatenate([skull.points, obstacle.points[::2]]),
            np.concatenate([skull.normals, obstacle.normals[::2]]),
            True,
        )
        rooted = density(who, growth.places) * _under_hat(who, growth.places)
        if style.part is not None:  # from the parting hair only leaves: more of it must start there
            apart = np.exp(-(((growth.places[:, 0] - style.part) / 0.008) ** 2))
            rooted = rooted * (1 + (1.4 + 6.0 * apart) * ramp(growth.places[:, 1], 0.755, 0.785))
        strands, lock = hair.grow(
            style, growth, rooted, everything, generator, bun
        )
        batches = [(ribbons.fewer(strands, 22 if style.curl else 16 if style.level else 12), lock)]
        if style.comb in ("bun", "tail"):
            wound = hair.knot(style, bun, generator)
            batches.append((wound, generator.random(len(wound))))
        for strands, lock in batches:
            points, faces, uv = ribbons.ribbons(strands, lock, style.width, generator)
            pieces.append(Piece("hair", points, faces, uv, colour, _loose(points, shape), False, True))
    if who.beard:
        where = skin.beard_region(growth.places)
        style = hairstyles.Style(
            "beard",
            who.beard,
            strands=int(8000 + 120000 * min(who.beard, 0.03)),
            lift=0.6,
            comb="straight",
            weight=0.25,
            volume=0.004 + 0.3 * who.beard,
            clumps=500,
            clumping=0.15,
            jitter=0.28,
            width=0.00050,
            curl=0.0015 if who.beard > 0.015 else 0.0,
            pitch=0.02,
        )
        strands, lock = hair.grow(
            style,
            growth,
            where * (where > 0.2),
            skull,
            generator,
            trim=lambda place: 1 - (1 - min(1.0, 0.006 / who.beard)) * ramp(place[:, 1], 0.630, 0.640),
        )
        points, faces, uv = ribbons.ribbons(ribbons.fewer(strands, 8), lock, style.width, generator)
        pieces.append(
            Piece(
                "beard",
                points,
                faces,
                uv,
                hair.material(tuple(np.array(who.hair_colour) * [1.15, 1.0, 0.9]), generator, who.grey),
                None,
                False,
                True,
            )
        )
    points, faces, uv = face.brows(growth, who.brows, generator)
    pieces.append(
        Piece(
            "brows",
            points,
            faces,
            uv,
            hair.material(tuple(np.array(who.hair_colour) * 0.8), generator, 0.6 * who.grey),
            None,
            False,
            True,
        )
    )
    return pieces


def _loose(points: Floats, shape: body.Body) -> Floats:
    """Hair above the jaw goes with the head, below the shoulders with the chest, in between with both."""
    weights = np.zeros((len(points), len(shape.joints)))
    jaw, chest = shape.joint("head")[1] - 0.06, shape.joint("neck01")[1] - 0.06
    share = ramp(points[:, 1], chest, jaw)
    weights[:, shape.joints["head"]] = share
    weights[:, shape.joints["spine01"]] = 1 - share
    return weights
