"""The wardrobe: how garments are cut, and what a person likely wears.

Cuts are told on the template, metres: the pit of the neck lies at (0, 0.52, 0.07), shoulders at (±0.16, 0.46, 0.02),
hips at 0.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harmovid.lightstage import cloth, noise

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Cut:
    """A garment's cut."""

    kind: str  # t-shirt, v-neck, shirt, sweater, turtleneck, hoodie, jacket, coat
    neck: float = 0.0  # metres the neckline lies above (+) or below (−) the crew's
    notch: float = 0.0  # depth of a V, metres
    sleeve: float = 0.27  # |x| on the template where sleeves end
    hem: float = -0.02  # y on the template
    ease: float = 0.010  # metres off the body
    fold: float = 0.005  # height of its folds, metres
    thick: float = 0.0018
    open: float = 0.0  # width of the open front at the chest, metres


CUTS = {
    "t-shirt": Cut("t-shirt", 0.002, 0.0, 0.270, ease=0.011, fold=0.0055),
    "v-neck": Cut("v-neck", 0.0, 0.075, 0.270, ease=0.011, fold=0.0055),
    "shirt": Cut("shirt", 0.006, 0.035, 0.405, ease=0.013, fold=0.0065, thick=0.0014),
    "sweater": Cut("sweater", 0.004, 0.0, 0.410, ease=0.017, fold=0.0075, thick=0.004),
    "turtleneck": Cut("turtleneck", 0.012, 0.0, 0.410, ease=0.012, fold=0.005, thick=0.003),
    "hoodie": Cut("hoodie", 0.0, 0.03, 0.410, ease=0.022, fold=0.010, thick=0.004),
    "jacket": Cut("jacket", 0.002, 0.0, 0.412, ease=0.027, fold=0.006, thick=0.004, open=0.12),
    "coat": Cut("coat", 0.004, 0.0, 0.415, -0.2, ease=0.034, fold=0.008, thick=0.006, open=0.13),
}


@dataclass(frozen=True)
class Outfit:
    """What a person wears."""

    inner: str  # a key of CUTS
    outer: str | None = None  # jacket, coat
    weaves: tuple[str, ...] = ("plain", "twill")
    dyes: tuple[str, ...] = ("white", "grey", "navy", "black", "red")
    scarf: bool = False
    glasses: str | None = None  # round, square, thin, sun
    hat: str | None = None  # beanie, cap


def outfit(female: bool, age: float, generator: np.random.Generator) -> Outfit:
    """Likely clothes."""
    inner = str(
        generator.choice(
            ["t-shirt", "v-neck", "shirt", "sweater", "turtleneck", "hoodie"], p=[0.26, 0.13, 0.24, 0.14, 0.08, 0.15]
        )
    )
    outer = None
    if inner in ("t-shirt", "v-neck", "shirt", "turtleneck") and generator.random() < 0.36:
        outer = str(generator.choice(["jacket", "coat"], p=[0.7, 0.3]))
    weaves = {
        "t-shirt": ["plain", "plain", "heather", "stripes"],
        "v-neck": ["plain", "heather", "plain"],
        "shirt": ["plain", "checks", "pinstripes", "dots", "twill"],
        "sweater": ["knit", "rib", "knit"],
        "turtleneck": ["rib", "plain", "knit"],
        "hoodie": ["heather", "plain"],
    }
    names = list(cloth.DYES)
    dyes = tuple(str(name) for name in generator.choice(names, 5, replace=False))
    glasses = None
    if generator.random() < 0.16 + 0.004 * max(age - 35, 0):
        glasses = str(generator.choice(["round", "square", "thin", "sun"], p=[0.3, 0.38, 0.24, 0.08]))
    hat = str(generator.choice(["beanie", "cap"])) if generator.random() < 0.09 else None
    scarf = inner in ("t-shirt", "sweater") and generator.random() < 0.16
    return Outfit(
        inner,
        outer,
        (str(generator.choice(weaves[inner])), "twill" if generator.random() < 0.6 else "heather"),
        dyes,
        scarf,
        glasses,
        hat,
    )


def neckline(cut: Cut, places: Floats) -> Floats:
    """(N,) metres past the neckline on the template: positive is bare."""
    x, y, z = places.T
    edge = 0.556 + cut.neck - 0.45 * z
    edge = edge - cut.notch * np.exp(-((np.abs(x) / 0.030) ** 1.6)) * noise.ramp(z, 0.02, 0.06)
    return y - edge


def kept(cut: Cut, places: Floats) -> npt.NDArray[np.bool_]:
    """(N,) which places (N, 3) of the template a cut covers."""
    x, y, z = places.T
    keep = (neckline(cut, places) < 0) & (np.abs(x) < cut.sleeve) & ((y > cut.hem) | (np.abs(x) > 0.2))
    if cut.open:
        wide = cut.open * noise.ramp(y, 0.22, 0.52)
        keep &= (np.abs(x) >= wide / 2) | (z < 0.02)
    return keep
