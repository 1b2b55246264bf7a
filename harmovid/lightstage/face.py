"""Faces: which sliders make people differ, what moves with the skin (teeth, lashes, brows, beards), and likely
looks.
"""

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from harmovid.lightstage import body, hair, hairstyles, mesh, ribbons, scalp, skin
from harmovid.lightstage.scene import Material, Surface

Floats = npt.NDArray[np.floating]

# MakeHuman's sliders and how far people differ along them (standard deviation; 1 is the slider's end).
SLIDERS = {
    "head-oval": 0.25,
    "head-round": 0.2,
    "head-square": 0.25,
    "head-triangular": 0.1,
    "head-fat-incr": 0.25,
    "head-scale-horiz-incr": 0.25,
    "head-scale-vert-incr": 0.25,
    "head-scale-depth-incr": 0.2,
    "forehead-temple-incr": 0.3,
    "forehead-trans-forward": 0.2,
    "forehead-scale-vert-incr": 0.25,
    "forehead-nubian-incr": 0.2,
    "l-cheek-bones-incr": 0.4,
    "l-cheek-volume-incr": 0.4,
    "l-cheek-inner-incr": 0.25,
    "l-cheek-trans-up": 0.25,
    "chin-jaw-drop-incr": 0.3,
    "chin-height-incr": 0.3,
    "chin-prominent-incr": 0.3,
    "chin-width-incr": 0.35,
    "chin-cleft-incr": 0.2,
    "chin-bones-incr": 0.3,
    "l-ear-scale-incr": 0.25,
    "l-ear-wing-incr": 0.25,
    "l-ear-lobe-incr": 0.3,
    "eyebrows-angle-up": 0.18,
    "eyebrows-trans-up": 0.25,
    "eyebrows-trans-forward": 0.3,
    "l-eye-height1-incr": 0.2,
    "l-eye-height2-incr": 0.15,
    "l-eye-height3-incr": 0.2,
    "l-eye-corner1-up": 0.25,
    "l-eye-corner2-up": 0.3,
    "l-eye-eyefold-up": 0.3,
    "l-eye-bag-incr": 0.25,
    "l-eye-trans-out": 0.2,
    "l-eye-scale-incr": 0.12,
    "mouth-scale-horiz-incr": 0.25,
    "mouth-scale-vert-incr": 0.15,
    "mouth-lowerlip-volume-incr": 0.35,
    "mouth-upperlip-volume-incr": 0.35,
    "mouth-cupidsbow-incr": 0.3,
    "mouth-angles-up": 0.2,
    "mouth-trans-up": 0.2,
    "mouth-laugh-lines-out": 0.2,
    "mouth-philtrum-volume-incr": 0.2,
    "nose-scale-horiz-incr": 0.3,
    "nose-scale-vert-incr": 0.3,
    "nose-scale-depth-incr": 0.3,
    "nose-curve-convex": 0.4,
    "nose-hump-incr": 0.3,
    "nose-point-up": 0.35,
    "nose-point-width-incr": 0.3,
    "nose-width1-incr": 0.2,
    "nose-width2-incr": 0.3,
    "nose-width3-incr": 0.3,
    "nose-flaring-incr": 0.3,
    "nose-nostrils-width-incr": 0.25,
    "nose-volume-incr": 0.25,
    "nose-trans-up": 0.2,
    "neck-scale-horiz-incr": 0.2,
    "neck-scale-depth-incr": 0.15,
    "neck-double-incr": 0.15,
    "measure-shoulder-dist-incr": 0.2,
}


def symmetric(changes: dict[str, float], generator: np.random.Generator) -> dict[str, float]:
    """The same on the right as on the left, but for the small differences that every face has."""
    both = {}
    for name, amount in changes.items():
        both[name] = amount
        if name.startswith("l-"):
            both["r-" + name[2:]] = amount + float(generator.normal(0, 0.05))
    known = set(body.sliders())
    return {name: float(np.clip(amount, -1, 1)) for name, amount in both.items() if name in known}


def hair_colour(melanin: float, age: float, generator: np.random.Generator) -> tuple[tuple[float, float, float], float]:
    """A likely scene-linear colour of hair, and the share of grey strands."""
    light = np.clip(1 - melanin / 0.35, 0, 1)
    chances = {
        "black": 0.25 + 3 * (1 - light),
        "dark brown": 0.6 + 0.8 * (1 - light),
        "brown": 0.9 * light,
        "light brown": 0.7 * light,
        "blond": 0.7 * light,
        "platinum": 0.12 * light,
        "auburn": 0.2 * light + 0.03,
        "red": 0.15 * light,
        "dyed blue": 0.025,
        "dyed pink": 0.025,
    }
    if age > 62 and generator.random() < (age - 55) / 30:
        chances = {"grey": 1.0, "white": 0.8}
    names, weights = list(chances), np.array(list(chances.values()))
    chosen = hair.COLOURS[names[generator.choice(len(names), p=weights / weights.sum())]]
    shade = np.exp(generator.normal(0, 0.15))
    grey = float(np.clip((age - 38) / 40 * generator.uniform(0, 1.3), 0, 0.85)) if age > 38 else 0.0
    return (chosen[0] * shade, chosen[1] * shade, chosen[2] * shade), grey


def eye_colour(melanin: float, generator: np.random.Generator) -> str:
    """A likely colour of the irises."""
    if melanin > 0.3:
        return str(generator.choice(["dark", "brown"], p=[0.6, 0.4]))
    return str(
        generator.choice(["brown", "hazel", "green", "blue", "grey", "dark"], p=[0.30, 0.16, 0.14, 0.24, 0.10, 0.06])
    )


def hair_style(
    female: bool, age: float, melanin: float, generator: np.random.Generator
) -> tuple[hairstyles.Style | None, float]:
    """A likely cut (None: shaven), and how far the hairline recedes."""
    styles = {style.name: style for style in hairstyles.STYLES}
    curly = melanin > 0.55
    if female:
        chances = {
            "bob": 1.0,
            "bob with bangs": 0.6,
            "long straight": 1.2,
            "long wavy": 1.3,
            "long curly": 0.5 + 1.5 * curly,
            "bun": 0.9,
            "ponytail": 0.8,
            "short curls": 0.3 + 0.6 * curly,
            "afro": 0.05 + 1.6 * curly,
            "short side part": 0.25,
            "buzz": 0.08,
            "crop": 0.2,
        }
        recede = 0.0
    else:
        recede = float(np.clip(generator.normal(0.012 * (age - 22), 0.25), 0, 1))
        chances = {
            "buzz": 0.7 + 0.9 * curly,
            "short side part": 1.4 - 1.2 * curly,
            "crop": 1.3 - curly,
            "swept back": 0.8 - 0.6 * curly,
            "short curls": 0.4 + 0.7 * curly,
            "afro": 0.05 + 0.9 * curly,
            "long wavy": 0.2,
            "long straight": 0.12,
            "bun": 0.15,
            "fringe of the bald": 0.02 * max(age - 40, 0),
            "": 0.25 + 0.006 * max(age - 30, 0),
        }
    names, weights = list(chances), np.array(list(chances.values()))
    name = names[generator.choice(len(names), p=weights / weights.sum())]
    return (styles[name] if name else None), recede


def express(points: Floats, actions: dict[str, Floats], frames: int) -> Floats:
    """(T, V, 3): the neutral body with its facial actions, name: (T,)."""
    shared = body.template()
    moved = np.tile(points, (frames, 1, 1))
    for name, curve in actions.items():
        delta = shared.actions[name]
        touched = np.flatnonzero(np.abs(delta).max(1) > 0)
        moved[:, touched] += curve[:, None, None] * delta[touched]
    return moved


def _plain(albedo: tuple[float, float, float], roughness: float) -> Material:
    return Material(np.full((2, 2, 3), albedo, np.float32), np.full((2, 2), roughness, np.float32), 0.04)


def teeth(moved: Floats) -> list[Surface]:
    """Teeth and tongue, of the moved body (T, V, 3)."""
    shared = body.template()
    made = []
    for part, name, albedo, roughness in (
        ("upper teeth", "teeth", (0.52, 0.47, 0.38), 0.22),
        ("lower teeth", "teeth", (0.48, 0.43, 0.34), 0.22),
        ("tongue", "tongue", (0.34, 0.11, 0.10), 0.35),
    ):
        fine = mesh.refine(shared.quads[part], shared.uv[part], moved.shape[1])
        used, faces = mesh.compact(mesh.triangles(fine.quads))
        points = np.stack([fine.matrix[used] @ frame for frame in moved])
        made.append(
            Surface(
                name,
                points.astype(np.float32),
                faces,
                mesh.triangles(fine.uv).astype(np.float32),
                _plain(albedo, roughness),
            )
        )
    return made


def lashes(moved: Floats, mascara: float) -> Surface:
    """Lashes along MakeHuman's lash cards, as ribbons that move with the lids: (T, V, 3) of the moved body."""
    generator = np.random.default_rng(7)
    shared = body.template()
    cards = []
    for part in ("left lashes", "right lashes"):
        for quad, corner in zip(shared.quads[part], shared.uv[part], strict=True):
            # Two corners of one end, then two of the other, each pair from left to right.
            ends = np.argsort(np.argsort(corner[:, 1])) // 2
            cards.append(quad[np.lexsort((corner[:, 0], ends))])
    quads = np.array(cards)
    chosen = np.repeat(np.arange(len(quads)), 4)
    along = generator.random(len(chosen))[:, None]
    spread = along + generator.normal(0, 0.25, (len(chosen), 1))
    low = moved[:, quads[chosen, 0]] * (1 - along) + moved[:, quads[chosen, 1]] * along
    high = moved[:, quads[chosen, 2]] * (1 - spread) + moved[:, quads[chosen, 3]] * spread
    width = 0.00022 * (1 + 0.8 * mascara)
    steps = np.linspace(0, 1, 4)[None, None, :, None]
    strand = low[:, :, None] * (1 - steps) + high[:, :, None] * steps
    across = np.array([width / 2, 0, 0]) * np.array([1.0, 0.9, 0.6, 0.25])[:, None]
    points = np.stack([strand - across, strand + across], 3).reshape(len(moved), -1, 3)
    base = ((np.arange(len(chosen))[:, None] * 4 + np.arange(3)) * 2).reshape(-1)
    faces = np.concatenate([np.stack([base, base + 1, base + 3], 1), np.stack([base, base + 3, base + 2], 1)])
    uv = np.full((len(faces), 3, 2), 0.5)
    albedo = Material(
        np.full((2, 2, 3), (0.014, 0.010, 0.009), np.float32), np.full((2, 2), 0.4, np.float32), 0.046, 0.0, True
    )
    return ribbons.surface("lashes", points, faces.astype(np.int32), uv, albedo)


def brows(
    growth: scalp.Growth, strength: float, generator: np.random.Generator
) -> tuple[Floats, npt.NDArray[np.int32], Floats]:
    """Ribbons of both brows at the neutral pose: hairs sweep outwards, upwards near the nose and down past the peak."""
    distance = skin.brow_distance(growth.places)
    thick = 0.0016 + 0.0016 * strength
    density = np.exp(-((distance / thick) ** 2)) * (distance < 2 * thick)
    count = int(1700 * strength)
    root, normal, place = scalp.roots(growth, density, count, generator)
    side = np.sign(place[:, 0])
    out = (np.abs(place[:, 0]) - 0.011) / 0.042
    way = np.stack([side * (0.45 + 0.8 * out), 0.75 - 1.2 * out, 0 * out], 1) + generator.normal(0, 0.13, (count, 3))
    way = way - (way * normal).sum(1, keepdims=True) * normal
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    length = generator.uniform(0.0030, 0.0062, count) * (0.75 + 0.25 * strength)
    along = np.linspace(0, 1, 4)[None, :, None]
    strands = root[:, None] + length[:, None, None] * (
        along * way[:, None] + (0.16 * along - 0.13 * along**2) * normal[:, None]
    )
    strands = strands + 0.0004 * normal[:, None]
    return ribbons.ribbons(strands, generator.random(count), 0.00026, generator)


def follow(points: Floats, neutral: Floats, moved: Floats) -> Floats:
    """Points (N, 3) near the skin, carried along by its nearest vertices: neutral (V, 3), moved (T, V, 3) to (T, N, 3).

    The skin's vertices are to be the fine ones that are seen: brows that follow a coarser face sink into the skin.
    """
    distance, near = cKDTree(neutral).query(points, k=3)
    share = 1 / np.maximum(distance, 1e-4)
    share /= share.sum(1, keepdims=True)
    return points + np.einsum("nk,tnkc->tnc", share, (moved - neutral)[:, near])
