"""Identities: one seed, one person: sex, age, origin, looks and clothes drawn together, so that they fit each other.

Seeds below HELD_OUT are for training; those from HELD_OUT on are kept for truth, and no training data may draw them.
"""

from dataclasses import dataclass, replace

import numpy as np

from harmovid.lightstage import eyes, face, hairstyles, skin, wardrobe

HELD_OUT = 1_000_000


@dataclass(frozen=True)
class Identity:
    """One person: shape, skin, eyes, hair, wardrobe."""

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
    outfit: wardrobe.Outfit


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
    melanin = african * 0.80 + asian * 0.18 + caucasian * 0.06 + generator.normal(0, 0.08)
    melanin = float(np.clip(np.hypot(max(melanin, 0), 0.045), 0.0, 1.0))
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
    worn = wardrobe.outfit(female, age, generator)
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
