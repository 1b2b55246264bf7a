"""Skin: colour, gloss and relief, painted in space so that no seam shows.

Colour follows two pigments: R = D · exp(−m·a_m − h·a_h), melanin m and haemoglobin h over the light dermis D
(Beer–Lambert, as in Tsumura et al. 2003); a_m and a_h are fitted to measured skin from very light to very dark.
All places are given on the template's head, metres: chin 0.585, mouth 0.63, nose 0.668, eyes 0.697, crown 0.807 high.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from harmovid.lightstage import body, mesh
from harmovid.lightstage.noise import bump, ramp, value
from harmovid.lightstage.scene import Material

Floats = npt.NDArray[np.floating]

DERMIS = np.array([0.67, 0.505, 0.42])
MELANIN = np.array([2.15, 2.62, 3.0])
BLOOD = np.array([0.10, 0.75, 0.62])

HEAD_WINDOW = (0.636, 0.144, 0.999, 0.823)
BODY_WINDOW = (0.0, 0.0, 0.93, 0.98)


@dataclass(frozen=True)
class Complexion:
    """What a person's skin is like."""

    melanin: float  # 0 very light … 1 very dark
    blood: float  # 0 pale … 1 ruddy
    age: float  # years
    freckles: float = 0.0  # 0 … 1
    moles: int = 3
    oil: float = 0.5  # 0 matt … 1 shiny
    stubble: float = 0.0  # 0 … 1, shaven hair's shadow
    lipstick: tuple[float, float, float, float] | None = None  # scene-linear RGB, and how much of it
    shadow: float = 0.0  # make-up on the lids, 0 … 1


def tone(melanin: Floats, blood: Floats) -> Floats:
    """(…, 3) diffuse reflectance of skin with these pigments."""
    return DERMIS * np.exp(-melanin[..., None] * MELANIN - blood[..., None] * BLOOD)


@cache
def charts() -> dict[str, mesh.Chart]:
    """Of the head, and of everything else."""
    shared = body.template()
    quads, uv = shared.quads["body"], shared.uv["body"]
    on_head = in_head(uv)
    made = {}
    for name, chosen, window, size in (
        ("head", on_head, HEAD_WINDOW, (800, 440)),
        ("body", ~on_head, BODY_WINDOW, (400, 376)),
    ):
        made[name] = mesh.chart(
            shared.vertices, mesh.triangles(quads[chosen]), mesh.triangles(uv[chosen]), window, size
        )
    return made


def in_head(uv: Floats) -> npt.NDArray[np.bool_]:
    """Which quads (F, 4, 2) of MakeHuman's atlas lie in the island of the head."""
    return (uv[..., 0].min(1) > 0.638) & (uv[..., 1].min(1) > 0.146)


@cache
def _mask(region: str, part: str) -> Floats:
    """MakeHuman's mask of a region, cut to a chart."""
    chart = charts()[part]
    height, width = chart.covered.shape
    left, bottom, right, top = chart.window
    rows = (1 - (top - (np.arange(height) + 0.5) / height * (top - bottom))) * 2048
    columns = (left + (np.arange(width) + 0.5) / width * (right - left)) * 2048
    mask = gaussian_filter(body.painted(region), 1.5)
    return mask[np.clip(rows, 0, 2047).astype(int)[:, None], np.clip(columns, 0, 2047).astype(int)]


# The line of the brow on the template: |x|, height; from beside the nose over the peak to the tail.
BROW = np.array([[0.0105, 0.7138], [0.018, 0.7160], [0.027, 0.7182], [0.036, 0.7192], [0.045, 0.7183], [0.053, 0.7150]])


def brow_distance(points: Floats) -> Floats:
    """How far, metres, from the line of the nearer brow, BROW; farther where the brow is thinner, towards its tail."""
    x = np.clip(np.abs(points[..., 0]), BROW[0, 0], BROW[-1, 0])
    line = PchipInterpolator(*BROW.T)(x)
    behind = np.where(points[..., 2] < 0.09, 1.0, 0.0)
    thin = 1 + 0.9 * ramp(x, 0.034, 0.053) + 0.35 * ramp(x, 0.016, 0.0105)
    return np.hypot(points[..., 1] - line, np.abs(points[..., 0]) - x) * thin + behind


def beard_region(points: Floats) -> Floats:
    """Where a beard grows, in [0, 1]: jaw, chin, above the lips, upper neck; not the lips."""
    x, y, z = np.abs(points[..., 0]), points[..., 1], points[..., 2]
    cheek_line = np.interp(z, [0.05, 0.075, 0.10, 0.125, 0.14], [0.675, 0.66, 0.643, 0.640, 0.640])
    jaw = ramp(y, cheek_line + 0.006, cheek_line - 0.006) * ramp(z, 0.05, 0.062)
    neck = ramp(y, 0.572, 0.59)
    beside = 1 - 0.8 * bump(points, (0.011, 0.612, 0.145), (0.004, 0.008, 0.02), True)
    lip = ramp(y, 0.6535, 0.6485) * ramp(y, 0.633, 0.637) * ramp(x, 0.034, 0.026) * ramp(z, 0.12, 0.13)
    ears = ramp(x, 0.079, 0.075)
    mouth = np.hypot(x / 0.0245, (y - 0.6285) / 0.0120) + (z < 0.12)
    return np.clip(np.maximum(jaw * neck * beside * ears, lip), 0, 1) * ramp(mouth, 0.93, 1.10)


def _spots(
    chart: mesh.Chart, count: int, radius: tuple[float, float], weight: Floats, generator: np.random.Generator
) -> Floats:
    """(H, W) in [0, 1]: round spots at random places, drawn by `weight`."""
    where = np.flatnonzero(chart.covered)
    chance = weight.ravel()[where] + 1e-9
    centers = chart.positions.reshape(-1, 3)[generator.choice(where, count, p=chance / chance.sum())]
    sizes, strength = generator.uniform(*radius, count), generator.uniform(0.4, 1.0, count)
    distance, which = cKDTree(centers).query(chart.positions.reshape(-1, 3)[where], distance_upper_bound=radius[1] * 2)
    found = np.isfinite(distance)
    spots = np.zeros(chart.covered.size)
    spots[where[found]] = strength[which[found]] * np.exp(-((distance[found] / sizes[which[found]]) ** 2) * 1.5)
    return spots.reshape(chart.covered.shape)


def relief(chart: mesh.Chart, height: Floats) -> Floats:
    """(H, W, 3) tangent-space normals of a height field in metres: x along u, y along v."""

    def along(axis: int, field: Floats) -> Floats:
        return (np.roll(field, -1, axis) - np.roll(field, 1, axis)) / 2

    across = np.linalg.norm(along(1, chart.positions), axis=-1)
    down = np.linalg.norm(along(0, chart.positions), axis=-1)
    slope_u = along(1, height) / np.clip(across, 5e-5, 5e-3)
    slope_v = -along(0, height) / np.clip(down, 5e-5, 5e-3)
    normal = np.stack([np.clip(-slope_u, -0.6, 0.6), np.clip(-slope_v, -0.6, 0.6), np.ones_like(height)], -1)
    return (normal / np.linalg.norm(normal, axis=-1, keepdims=True)).astype(np.float32)


def _wrinkles(points: Floats, age: float, generator: np.random.Generator) -> Floats:
    """Height in metres of the lines that years leave: forehead, beside the eyes, from nose to mouth."""
    depth = ramp(np.array(age), 28.0, 75.0)
    x, y, z = np.abs(points[..., 0]), points[..., 1], points[..., 2]
    bend = value(points, 0.02, generator, 2) * 0.002
    forehead = (
        np.cos((y + bend) / 0.0085 * 2 * np.pi) ** 8
        * ramp(y, 0.726, 0.735)
        * ramp(y, 0.768, 0.755)
        * ramp(x, 0.05, 0.03)
        * (z > 0.08)
    )
    angle = np.arctan2(y - 0.697, x - 0.040)
    crow = np.cos(angle * 9 + bend * 400) ** 6 * bump(points, (0.056, 0.695, 0.11), (0.006, 0.010, 0.02), True)
    fold = np.abs(x - np.interp(y, [0.615, 0.64, 0.667], [0.036, 0.031, 0.018]))
    smile = np.exp(-((fold / 0.0018) ** 2)) * ramp(y, 0.612, 0.63) * ramp(y, 0.668, 0.66) * (z > 0.1)
    return -depth * (1.6e-4 * forehead + 1.4e-4 * crow + 3.0e-4 * smile)


def paint(
    complexion: Complexion,
    part: str,
    hair: tuple[float, float, float],
    scalp: Floats | None,
    generator: np.random.Generator,
    brow: float = 0.7,
) -> Material:
    """The skin of a part ("head" or "body").

    `hair`: scene-linear colour of the person's hair, which shows through as stubble, brows and at the roots; `scalp`:
    (H, W)
    over the chart, how densely hair grows there, or None; `brow`: how dark the skin under the brows is, in [0, 1].
    """
    chart = charts()[part]
    p = chart.positions
    c = complexion
    melanin, blood = np.full(p.shape[:2], c.melanin), np.full(p.shape[:2], 0.18 + 0.22 * c.blood)
    blotch = value(p, 0.03, generator, 3)
    blood = blood + 0.07 * blotch + 0.05 * value(p, 0.008, generator, 2)
    melanin = melanin + (0.025 + 0.03 * c.melanin) * value(p, 0.022, generator, 3) + 0.008 * value(p, 0.0016, generator)
    rosy = 0.10 + 0.35 * c.blood
    blood += rosy * 0.9 * bump(p, (0.043, 0.663, 0.122), (0.017, 0.016, 0.03), True)
    blood += rosy * 1.0 * bump(p, (0.0, 0.668, 0.157), (0.011, 0.010, 0.02))
    blood += rosy * 0.45 * bump(p, (0.0, 0.595, 0.145), 0.013)
    lids = _mask("eyelids", part)
    ears = _mask("ears", part)
    nails = _mask("fingernails", part)
    blood += rosy * 0.9 * ears + 0.22 * lids
    blood += (0.12 + 0.10 * ramp(np.array(c.age), 25, 70)) * bump(p, (0.028, 0.6825, 0.13), (0.012, 0.005, 0.02), True)
    melanin += (0.03 + 0.05 * c.melanin) * bump(p, (0.028, 0.6835, 0.13), (0.014, 0.006, 0.02), True)
    # About the mouth and in the sockets skin is darker, on the cheeks lighter; the darker the skin the more.
    melanin += (0.010 + 0.075 * c.melanin) * bump(p, (0.0, 0.632, 0.145), (0.026, 0.016, 0.03))
    melanin += (0.010 + 0.070 * c.melanin) * bump(p, (0.026, 0.702, 0.13), (0.018, 0.012, 0.02), True)
    melanin -= 0.055 * c.melanin * bump(p, (0.038, 0.672, 0.125), (0.016, 0.014, 0.03), True)
    blood += 0.05 * ramp(p[..., 1], 0.60, 0.575)  # the neck is ruddier than the face
    melanin += 0.04 * bump(p, (0.03, 0.7075, 0.13), (0.014, 0.005, 0.02), True)
    blood += 0.12 * nails
    melanin -= 0.03 * bump(p, (0.0, 0.745, 0.14), (0.04, 0.02, 0.05))
    melanin -= 0.10 * c.melanin * nails
    if c.freckles > 0:
        where = bump(p, (0.03, 0.675, 0.13), (0.03, 0.022, 0.04), True) + 0.12
        melanin += 0.15 * c.freckles * _spots(chart, int(1500 * c.freckles), (0.0004, 0.0012), where, generator)
    if c.moles:
        moles = _spots(
            chart, c.moles + (20 if part == "body" else 0), (0.0009, 0.0022), np.ones(p.shape[:2]), generator
        )
        melanin += 0.45 * moles
    if c.age > 50:  # sun spots
        melanin += 0.10 * (c.age - 50) / 30 * _spots(chart, 60, (0.002, 0.005), np.ones(p.shape[:2]), generator)
    albedo = tone(np.clip(melanin, 0, 1.3), np.clip(blood, 0, 2))

    lips = _mask("lips", part)
    lip_tone = tone(
        np.clip(c.melanin * 0.82 + 0.10 + 0.05 * blotch, 0, 1.3), np.full(p.shape[:2], 0.95 + 0.3 * c.blood)
    )
    creases = value(p * [1, 0.22, 0.5], 0.0011, generator)
    lip_tone = lip_tone * (1 + 0.05 * creases[..., None])
    if c.lipstick is not None:
        lip_tone += (np.array(c.lipstick[:3]) - lip_tone) * c.lipstick[3]
    albedo += (lip_tone - albedo) * (0.9 * lips)[..., None]
    if part == "body":  # the mouth's lining and the sockets share this chart
        gums = np.array([0.28, 0.075, 0.07])
        lined = (p[..., 1] > 0.585) & (np.abs(p[..., 0]) < 0.045) & (p[..., 2] > 0.04) & _islands(chart)
        albedo[lined] = gums
    if c.shadow:
        lid = bump(p, (0.03, 0.705, 0.13), (0.015, 0.006, 0.02), True)
        albedo *= 1 - 0.6 * c.shadow * lid[..., None]

    fuzz = value(p, 0.0011, generator)
    brows = np.exp(-((brow_distance(p) / (0.0017 + 0.0020 * brow)) ** 2)) * brow
    beard = beard_region(p) * (1 - lips) * c.stubble * (0.75 + 0.25 * fuzz)
    cover = np.clip(0.50 * brows * (0.8 + 0.35 * fuzz) + 0.42 * beard, 0, 0.9)
    albedo += (np.array(hair) * 1.1 - albedo) * cover[..., None]
    if scalp is not None:
        under = np.clip(scalp * (1.0 + 0.10 * fuzz), 0, 1) * 0.97
        albedo += (np.array(hair) * 0.9 - albedo) * under[..., None]

    shine = (
        bump(p, (0.0, 0.75, 0.14), (0.04, 0.02, 0.05))
        + bump(p, (0.0, 0.675, 0.157), (0.010, 0.03, 0.03))
        + 0.5 * bump(p, (0.0, 0.597, 0.145), 0.012)
        + 0.4 * bump(p, (0.045, 0.68, 0.115), 0.012, True)
    )
    roughness = 0.54 - (0.03 + 0.09 * c.oil) * np.clip(shine, 0, 1) + 0.03 * value(p, 0.004, generator, 2)
    roughness -= 0.16 * lips * (1.5 if c.lipstick is not None else 1.0)
    if part == "body":
        roughness[lined] = 0.3
    else:
        roughness += 0.12 * np.clip(cover, 0, 1)
    pores = (
        np.minimum(value(p, 0.0012, generator, 2), 0.4)
        * 2.4e-5
        * (1 + 0.6 * bump(p, (0, 0.67, 0.14), (0.03, 0.02, 0.05)))
    )
    lines = _wrinkles(p, c.age, generator) + 5e-5 * creases * lips
    return Material(
        np.clip(albedo, 0.004, 0.95).astype(np.float32),
        np.clip(roughness, 0.2, 0.9).astype(np.float32),
        0.028,
        0.22,
        False,
        relief(chart, pores + lines),
    )


def _islands(chart: mesh.Chart) -> npt.NDArray[np.bool_]:
    """Pixels of the body's chart that show the mouth's lining or an eye's socket."""
    height, width = chart.covered.shape
    left, bottom, right, top = chart.window
    u = (left + (np.arange(width) + 0.5) / width * (right - left))[None]
    v = (top - (np.arange(height) + 0.5) / height * (top - bottom))[:, None]
    mouth = (u > 0.757) & (v < 0.14)
    sockets = (u < 0.155) & (v > 0.54) & (v < 0.64)
    return mouth | sockets
