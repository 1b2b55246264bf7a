"""People: one seed, one person; another seed, what they do. Everything of the light stage's cast comes together here.

A person is drawn by `identity.identity`, filmed by `perform`.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from harmovid.errors import OptionError
from harmovid.lightstage import acting, body, clothes, eyes, face, grooming, mesh, ribbons, scalp, skin
from harmovid.lightstage.framing import FRAMINGS, camera
from harmovid.lightstage.grooming import Piece
from harmovid.lightstage.identity import HELD_OUT, Identity, identity
from harmovid.lightstage.scene import Material, Performance, Surface

__all__ = ["HELD_OUT", "RATE", "Identity", "Person", "identity", "perform", "person"]

Floats = npt.NDArray[np.floating]

RATE = Fraction(24)


@dataclass(frozen=True)
class Person:
    """A person made up and dressed at the neutral pose, ready to move."""

    identity: Identity
    shape: body.Body
    coarse: Floats  # (V, 3) at the neutral pose
    skin: mesh.Refined
    skin_uv: Floats
    skin_material: Material
    iris: Material
    pieces: tuple[Piece, ...]


@lru_cache(maxsize=2)
def person(seed: int) -> Person:
    """Everything about a person that does not move, made from their seed. Takes some seconds; the last two are kept."""
    who = identity(seed)
    generator = np.random.default_rng([seed, 2])
    shared = body.template()
    shape = body.body(who.phenotype, who.changes)
    points = shape.vertices
    quads, uv = shared.quads["body"], shared.uv["body"]
    upper = shared.vertices[quads].mean(1)[:, 1] > -0.25
    upper |= np.abs(shared.vertices[quads].mean(1)[:, 0]) > 0.2
    quads, uv = quads[upper], uv[upper]

    # Skin that hair roots in: the head, finer.
    head = skin.in_head(uv)
    scalp_mesh = mesh.refine(quads[head], uv[head], len(points))
    used, scalp_faces = mesh.compact(mesh.triangles(scalp_mesh.quads))
    scalp_points = (scalp_mesh.matrix @ points)[used]
    places = (scalp_mesh.matrix @ shared.vertices)[used]
    growth = scalp.Growth(scalp_points, scalp_faces, mesh.normals(scalp_points, scalp_faces), places)

    dressed = clothes.dress(who.outfit, shape, generator)
    pieces = [
        Piece(cloth.name, cloth.points, cloth.faces, cloth.uv, cloth.material, cloth.weights, cloth.closed)
        for cloth in dressed.garments
    ]
    pieces += grooming.hairs(who, growth, dressed.obstacle, shape, generator)
    pieces += [
        Piece(thing.name, thing.points, thing.faces, thing.uv, thing.material, None, thing.closed)
        for thing in clothes.accessories(who.outfit, shape, generator)
    ]

    bare = ~dressed.covered(shared.vertices[quads].mean(1))
    fine = mesh.refine(quads[bare], uv[bare], len(points))
    material, skin_uv = _skin(who, fine.uv, generator)
    return Person(who, shape, points, fine, skin_uv, material, eyes.picture(who.iris, generator), tuple(pieces))


def _skin(who: Identity, uv: Floats, generator: np.random.Generator) -> tuple[Material, Floats]:
    """The skin of head and body side by side in one picture, and the uv of its quads."""
    density = None
    if who.style is not None:
        chart = skin.charts()["head"]
        density = grooming.density(who, chart.positions) * (0.95 if who.style.name != "buzz" else 0.8)
    parts = [
        skin.paint(who.complexion, part, who.hair_colour, density if part == "head" else None, generator, who.brows)
        for part in ("head", "body")
    ]
    tall = max(part.albedo.shape[0] for part in parts)
    wide = [part.albedo.shape[1] for part in parts]

    def beside(field: str) -> npt.NDArray[np.float32]:
        pictures = [getattr(part, field) for part in parts]
        return np.concatenate(
            [
                np.pad(picture, [(0, tall - picture.shape[0])] + [(0, 0)] * (picture.ndim - 1), mode="edge")
                for picture in pictures
            ],
            1,
        )

    on_head = skin.in_head(uv)
    local = np.where(on_head[:, None, None], skin.charts()["head"].local(uv), skin.charts()["body"].local(uv))
    local = np.clip(local, 0.001, 0.999)  # slivers outside both windows take the colour of the edge
    high = np.where(on_head, parts[0].albedo.shape[0] / tall, parts[1].albedo.shape[0] / tall)[:, None]
    left = np.where(on_head, 0.0, wide[0] / sum(wide))[:, None]
    share = np.where(on_head, wide[0] / sum(wide), wide[1] / sum(wide))[:, None]
    joined = np.stack([left + local[..., 0] * share, 1 - (1 - local[..., 1]) * high], -1)
    return Material(
        beside("albedo"), beside("roughness"), parts[0].reflectance, parts[0].scatter, False, beside("relief")
    ), joined


def perform(
    seed: int, frames: int = 24, *, take: int = 0, framing: str | None = None, rate: Fraction = RATE
) -> Performance:
    """The person of `seed` before the camera for `frames` frames; `take` draws another performance of the same person.

    `framing` is the name of one of FRAMINGS; None draws one. The same arguments give the same arrays, bit for bit.
    """
    if frames < 1 or seed < 0:
        raise OptionError(
            f"perform() got seed {seed} and {frames} frames, expected a seed of at least 0 and at least 1 frame."
        )
    known = {kind.name: kind for kind in FRAMINGS}
    if framing is not None and framing not in known:
        raise OptionError(f"There is no framing {framing!r}; choose one of {', '.join(known)}.")
    made = person(seed)
    generator = np.random.default_rng([seed, 3, take])
    shared = body.template()
    acted = acting.act(frames, float(rate), generator)
    poses = body.chain(made.shape.heads, acted.turns, frames)
    poses[:, :, :3, 3] += acted.sway[:, None]
    moved = face.express(made.coarse, acted.actions, frames)
    moved = body.skin(moved, shared.weights, poses)
    head = poses[:, made.shape.joints["head"]]

    fine = np.stack([made.skin.matrix @ frame for frame in moved])
    used, faces = mesh.compact(mesh.triangles(made.skin.quads))
    neutral = (made.skin.matrix @ made.coarse)[used]
    surfaces = [
        Surface(
            "skin",
            fine[:, used].astype(np.float32),
            faces,
            mesh.triangles(made.skin_uv).astype(np.float32),
            made.skin_material,
        )
    ]
    surfaces.append(eyes.surface(made.coarse, np.repeat(acted.gaze[:, None], 2, 1), head, made.iris))
    surfaces += face.teeth(moved)
    surfaces.append(face.lashes(moved, made.identity.complexion.shadow))
    for piece in made.pieces:
        if piece.name == "beard" or piece.name == "brows":
            points = face.follow(piece.points, neutral, fine[:, used])
        elif piece.weights is None:
            points = np.einsum("tij,vj->tvi", head[:, :3, :3], piece.points) + head[:, None, :3, 3]
        else:
            points = body.skin(piece.points, piece.weights, poses)
        if piece.strands:
            surfaces.append(ribbons.surface(piece.name, points, piece.faces, piece.uv, piece.material))
        else:
            surfaces.append(
                Surface(
                    piece.name,
                    points.astype(np.float32),
                    piece.faces,
                    piece.uv.astype(np.float32),
                    piece.material,
                    None,
                    piece.closed,
                )
            )
    kind = known[framing] if framing else FRAMINGS[generator.choice(4, p=[0.25, 0.3, 0.25, 0.2])]
    return Performance(
        tuple(surfaces), camera(kind, eyes.centres(made.coarse)[0].mean(0), frames, float(rate), generator), rate
    )
