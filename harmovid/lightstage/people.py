"""People: one seed, one person; another seed, what they do. Everything of the light stage's cast comes together here.

A person is drawn by `identity`, filmed by `perform`. Seeds below HELD_OUT are for training; those from HELD_OUT on
are kept for truth, and no training data may draw them.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from harmovid.errors import OptionError
from harmovid.lightstage import acting, body, clothes, eyes, face, hair, hairstyles, mesh, scalp, skin, things
from harmovid.lightstage.noise import ramp
from harmovid.lightstage.scene import Camera, Material, Performance, Surface

Floats = npt.NDArray[np.floating]

HELD_OUT = 1_000_000
RATE = Fraction(24)


@dataclass(frozen=True)
class Identity:
    """One person: shape, skin, eyes, hair, clothes."""

    phenotype: dict[str, float]
    changes: dict[str, float]
    complexion: skin.Complexion
    iris: eyes.Iris
    style: hairstyles.Style | None  # None: bald
    hair_colour: tuple[float, float, float]
    grey: float
    recede: float
    beard: float  # length in metres, 0 for none
    brows: float  # strength, in [0, 1]
    outfit: clothes.Outfit


def identity(seed: int) -> Identity:
    """The person of a seed: sex, age, origin and looks drawn together, so that they fit each other."""
    generator = np.random.default_rng([seed, 1])
    female = generator.random() < 0.5
    age = float(np.clip(generator.gamma(4.5, 8.5), 18, 82))
    origin = generator.dirichlet([0.45, 0.45, 0.45])
    african, asian, caucasian = origin
    phenotype = {
        "gender": float(np.clip(generator.normal(0.92, 0.06) if female else generator.normal(0.08, 0.06), 0, 1)),
        "age": float(np.interp(age, [18, 25, 82], [0.58, 0.667, 0.97])),
        "muscle": float(np.clip(generator.normal(0.5, 0.14), 0.15, 0.9)),
        "weight": float(np.clip(generator.normal(0.46, 0.13), 0.2, 0.85)),
        "height": float(np.clip(generator.normal(0.5, 0.15), 0.2, 0.8)),
        "proportions": float(np.clip(generator.normal(0.6, 0.15), 0.2, 0.95)),
        "cupsize": float(np.clip(generator.normal(0.42, 0.14), 0.1, 0.75)),
        "firmness": 0.55,
        "african": float(african),
        "asian": float(asian),
        "caucasian": float(caucasian),
    }
    changes = {
        name: float(np.clip(generator.normal(0, spread), -2.2 * spread, 2.2 * spread))
        for name, spread in face.SLIDERS.items()
    }
    changes = face.symmetric(changes, generator)
    melanin = float(np.clip(african * 0.80 + asian * 0.18 + caucasian * 0.04 + generator.normal(0, 0.09), 0.0, 1.0))
    colour, grey = face.hair_colour(melanin, age, generator)
    stubbly = not female and generator.random() < 0.45
    bearded = not female and generator.random() < 0.32
    made_up = female and generator.random() < 0.5
    lipstick = None
    if made_up and generator.random() < 0.7:
        red = generator.uniform([0.20, 0.025, 0.03], [0.42, 0.13, 0.12])
        lipstick = (float(red[0]), float(red[1]), float(red[2]), float(generator.uniform(0.35, 0.85)))
    complexion = skin.Complexion(
        melanin,
        float(np.clip(generator.normal(0.42, 0.2), 0, 1)),
        age,
        freckles=float(generator.random() ** 0.7) if melanin < 0.25 and generator.random() < 0.3 else 0.0,
        moles=int(generator.poisson(3)),
        oil=float(generator.uniform(0.1, 0.9)),
        stubble=float(generator.uniform(0.35, 1.0)) if stubbly or bearded else 0.12 * (not female),
        lipstick=lipstick,
        shadow=float(generator.uniform(0.2, 0.8)) if made_up else 0.0,
    )
    style, recede = face.hair_style(female, age, melanin, generator)
    worn = clothes.outfit(female, age, generator)
    if style is not None and (style.comb == "bun" or style.volume > 0.04):
        worn = replace(worn, hat=None)
    return Identity(
        phenotype,
        changes,
        complexion,
        eyes.Iris(face.eye_colour(melanin, generator), float(generator.uniform(0.30, 0.46)), age),
        style,
        colour,
        grey,
        recede,
        float(generator.choice([0.005, 0.009, 0.015, 0.024], p=[0.3, 0.3, 0.25, 0.15])) if bearded else 0.0,
        float(generator.uniform(0.55, 0.9) if female else generator.uniform(0.7, 1.0)),
        worn,
    )


@dataclass(frozen=True)
class _Piece:
    """A surface at the neutral pose and how it follows the body."""

    name: str
    points: Floats  # (V, 3)
    faces: npt.NDArray[np.int32]
    uv: Floats
    material: Material
    weights: Floats | None  # (V, B), or None: the head alone
    closed: bool = True
    strands: bool = False


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
    pieces: tuple[_Piece, ...]


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
        _Piece(cloth.name, cloth.points, cloth.faces, cloth.uv, cloth.material, cloth.weights, cloth.closed)
        for cloth in dressed.garments
    ]
    pieces += _hairs(who, growth, dressed.obstacle, shape, generator)
    pieces += [
        _Piece(thing.name, thing.points, thing.faces, thing.uv, thing.material, None, thing.closed)
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
        density = _density(who, chart.positions) * (0.95 if who.style.name != "buzz" else 0.8)
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


def _density(who: Identity, places: Floats) -> Floats:
    """(…,) how densely scalp hair grows at places on the template."""
    assert who.style is not None
    return scalp.bald(places) if who.style.name == "fringe of the bald" else scalp.hairline(places, who.recede)


def _under_hat(who: Identity, places: Floats) -> Floats:
    """(…,) what a hat leaves of the hair: roots well inside it are pressed flat, so none are grown."""
    if who.outfit.hat is None:
        return np.ones(places.shape[:-1])
    return ramp(things.hat_line(who.outfit.hat, places), 0.014, 0.004)


def _hairs(
    who: Identity, growth: scalp.Growth, obstacle: hair.Obstacle, shape: body.Body, generator: np.random.Generator
) -> list[_Piece]:
    """Scalp hair, beard, brows: grown at the neutral pose."""
    pieces = []
    colour = hair.material(who.hair_colour, generator, who.grey)
    skull = hair.Obstacle(growth.points, growth.normals, True)
    if who.style is not None:
        style = hairstyles.shortened(who.style, float(generator.uniform(0.88, 1.12)))
        if who.outfit.hat:
            style = replace(style, volume=0.4 * style.volume, strands=style.strands // 2, lift=min(style.lift, 0.2))
        bun = shape.joint("head") + (hairstyles.BUN - [0.0, 0.6567, 0.0419])
        nearest = np.argmin(np.linalg.norm(growth.places - hairstyles.BUN, axis=1))
        bun = growth.points[nearest] + 0.012 * growth.normals[nearest]
        everything = hair.Obstacle(
            np.concatenate([skull.points, obstacle.points[::2]]),
            np.concatenate([skull.normals, obstacle.normals[::2]]),
            True,
        )
        rooted = _density(who, growth.places) * _under_hat(who, growth.places)
        if style.part is not None:  # from the parting hair only leaves: more of it must start there
            rooted = rooted * (1 + 1.6 * ramp(growth.places[:, 1], 0.755, 0.785))
        strands, lock = hair.grow(
            style, growth, rooted, everything, generator, bun
        )
        batches = [(hair.fewer(strands, 20 if style.curl else 12), lock)]
        if style.comb in ("bun", "tail"):
            wound = hair.knot(style, bun, generator)
            batches.append((wound, generator.random(len(wound))))
        for strands, lock in batches:
            points, faces, uv = hair.ribbons(strands, lock, style.width, generator)
            pieces.append(_Piece("hair", points, faces, uv, colour, _loose(points, shape), False, True))
    if who.beard:
        density = skin.beard_region(growth.places)
        style = hairstyles.Style(
            "beard",
            who.beard,
            strands=int(8000 + 120000 * min(who.beard, 0.03)),
            lift=0.6,
            comb="down",
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
            density * (density > 0.2),
            skull,
            generator,
            trim=lambda place: 1 - 0.6 * ramp(place[:, 1], 0.630, 0.640),
        )
        points, faces, uv = hair.ribbons(hair.fewer(strands, 8), lock, style.width, generator)
        pieces.append(
            _Piece(
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
        _Piece(
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


@dataclass(frozen=True)
class Framing:
    """How much of the person the camera sees."""

    name: str
    height: float  # metres of picture at the person's distance
    eyes: float  # where the eyes lie, from the top, as a share of the picture


FRAMINGS = (
    Framing("close-up", 0.34, 0.44),
    Framing("head and shoulders", 0.50, 0.40),
    Framing("bust", 0.68, 0.36),
    Framing("half body", 1.0, 0.30),
)


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
            points = face.follow(piece.points, made.coarse, moved)
        elif piece.weights is None:
            points = np.einsum("tij,vj->tvi", head[:, :3, :3], piece.points) + head[:, None, :3, 3]
        else:
            points = body.skin(piece.points, piece.weights, poses)
        if piece.strands:
            surfaces.append(hair.surface(piece.name, points, piece.faces, piece.uv, piece.material))
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


def camera(framing: Framing, target: Floats, frames: int, rate: float, generator: np.random.Generator) -> Camera:
    """A camera some way off the person's front, drifting as if hand-held, the eyes at the framing's height."""
    times = np.arange(frames) / rate
    angle = float(np.radians(generator.uniform(18, 32)))
    distance = framing.height / 2 / np.tan(angle / 2)
    yaw = generator.normal(0, 0.12) + 0.012 * acting.drift(times, generator)
    pitch = generator.normal(0.0, 0.05) + 0.006 * acting.drift(times, generator)
    centre = target * [1, 1, 0] + [0, 0, 0.04] - np.array([0, (0.5 - framing.eyes) * framing.height, 0])
    centre = centre + np.stack(
        [
            0.015 * framing.height * acting.drift(times, generator) + generator.normal(0, 0.05) * framing.height,
            0.010 * framing.height * acting.drift(times, generator),
            0 * times,
        ],
        1,
    )
    turn = body.rotation(np.stack([0 * yaw, yaw, 0 * yaw], 1)) @ body.rotation(
        np.stack([-pitch, 0 * pitch, 0 * pitch], 1)
    )
    pose = np.tile(np.eye(4), (frames, 1, 1))
    pose[:, :3, :3] = turn
    pose[:, :3, 3] = centre + distance * (1 + 0.01 * acting.drift(times, generator))[:, None] * turn[:, :, 2]
    return Camera(pose.astype(np.float32), angle)
