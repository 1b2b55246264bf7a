"""Collars: what finishes a garment at the neck, swept along its neckline: bands, rolls, shirt collars, hoods,
lapels.
"""

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from harmovid.lightstage import noise, sweep
from harmovid.lightstage.drape import Shell, inward
from harmovid.lightstage.obstacle import Obstacle
from harmovid.lightstage.wardrobe import Cut

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int32]


def collar(
    cut: Cut, loop: Floats, under: Obstacle, shell: Obstacle, generator: np.random.Generator
) -> list[tuple[Floats, Ints, Floats]]:
    """The neck's finish, by the garment's kind: `under` is what the garment lies on, `shell` its own cloth."""
    curve = sweep.evened(loop, 120, 6)
    lift = np.array([0.0, 1.0, 0.25])
    lift /= np.linalg.norm(lift)
    front = curve[:, 2] - curve[:, 2].mean()
    front = front / np.abs(front).max()  # 1 before, −1 behind
    if cut.kind in ("t-shirt", "v-neck", "sweater", "hoodie"):
        width = {"t-shirt": 0.016, "v-neck": 0.014, "sweater": 0.026, "hoodie": 0.014}[cut.kind]
        thick = {"t-shirt": 0.0016, "v-neck": 0.0016, "sweater": 0.0035, "hoodie": 0.003}[cut.kind]
        profile = np.array(
            [
                (0.2, -0.35),
                (1.0, -0.2),
                (1.2, 0.2),
                (1.0, 0.65),
                (0.5, 0.95),
                (-0.4, 1.0),
                (-1.0, 0.8),
                (-1.0, 0.2),
                (-0.8, -0.5),
            ]
        ) * [thick, width]
        rings = sweep.swept(curve, profile, lift)
        flat = rings.reshape(-1, 3)
        # The band lies on the skin: lower edge as far off as the cloth below it, upper edge close.
        rise = np.clip(profile[:, 1] / width, 0, 1)
        off = 0.0075 * (1 - rise) + 0.0035 * rise + profile[:, 0]
        rings = under.settle(flat, np.tile(off, len(curve))).reshape(rings.shape)
        rings[:, [0, -1]] = shell.settle(rings[:, [0, -1]].reshape(-1, 3), np.full(2 * len(curve), -0.001)).reshape(
            -1, 2, 3
        )
        sheets = [sweep.strip(rings, False, True)]
        if cut.kind == "hoodie":
            sheets += _hood(curve, front, under, shell, generator)
        return sheets
    if cut.kind == "turtleneck":
        tall = 0.058
        steps = np.array(
            [
                (0.002, -0.006),
                (0.003, 0.010),
                (0.003, 0.030),
                (0.003, 0.048),
                (0.0055, tall),
                (0.0095, 0.053),
                (0.0105, 0.040),
                (0.0105, 0.022),
                (0.009, 0.014),
                (0.007, 0.016),
            ]
        )
        rings = _up_the_neck(curve, steps, under)
        rings = rings + 0.0012 * noise.value(rings * [1, 2.5, 1], 0.02, generator, 2)[..., None] * [1, 0, 1]
        return [sweep.strip(rings, False, True)]
    # A shirt's collar: a stand, folded over, open in front with two points.
    gap = 0.011
    start = int(np.argmax(curve[:, 2] - 8 * np.abs(curve[:, 0])))
    curve = np.roll(curve, -start, 0)
    length = np.linalg.norm(np.diff(curve, axis=0, append=curve[:1]), axis=1)
    along = np.cumsum(length) - length[0]
    kept = (along > gap) & (along < along[-1] - gap)
    curve, along = curve[kept], along[kept]
    tip = np.minimum(along - along[0], along[-1] - along)  # metres from the nearer point
    point = np.exp(-((tip / 0.026) ** 2))
    stand, fall = 0.030 - 0.004 * point, 0.040 + 0.030 * point
    profile = np.stack(
        [
            np.stack([0.001 + 0 * stand, -0.008 + 0 * stand], -1),
            np.stack([0.001 + 0 * stand, 0.4 * stand], -1),
            np.stack([0.0005 + 0 * stand, 0.85 * stand], -1),
            np.stack([0.003 + 0 * stand, stand + 0.002], -1),
            np.stack([0.0075 + 0 * stand, stand - 0.001], -1),
            np.stack([0.011 + 0 * stand, stand - 0.35 * fall], -1),
            np.stack([0.016 + 0.003 * point, stand - 0.75 * fall], -1),
            np.stack([0.019 + 0.006 * point, stand - fall], -1),
            np.stack([0.0175 + 0.006 * point, stand - 1.01 * fall], -1),
            np.stack([0.015 + 0.003 * point, stand - 0.75 * fall], -1),
        ],
        1,
    )
    rings = sweep.swept(curve, profile, lift, closed=False)
    flat = rings.reshape(-1, 3)
    wanted = np.tile([0.002, 0.003, 0.004, 0.005, 0.007, 0.009, 0.014, 0.017, 0.015, 0.012], len(rings))
    rings = under.push(flat, wanted).reshape(rings.shape)
    return [sweep.strip(rings, False, False)]


def _up_the_neck(curve: Floats, steps: Floats, under: Obstacle) -> Floats:
    """Rings that climb the neck from a curve: `steps` are (off the skin, up) in metres."""
    rings = []
    center = curve.mean(0)
    for off, up in steps:
        climb = np.array([0, up, 0.28 * up])
        pull = noise.ramp(np.array(up), -0.01, 0.03) * 0.35
        ring = curve + climb
        ring = ring + (center + climb - ring) * [pull, 1.1 * pull if up > 0 else 0, pull]
        for _ in range(2):  # one push goes two centimetres at most
            ring = under.push(ring, np.full(len(ring), off))
        rings.append(ring)
    return np.stack(rings, 1)


def _hood(
    curve: Floats, front: Floats, under: Obstacle, shell: Obstacle, generator: np.random.Generator
) -> list[tuple[Floats, Ints, Floats]]:
    """A hood that lies on the shoulders, thickest behind, and its two strings."""
    size = 0.011 + 0.026 * noise.ramp(-front, -0.7, 0.9)
    middle = curve + np.stack([0 * size, 0.55 * size, -1.0 * noise.ramp(-front, 0.0, 1.0) * 0.020], 1)
    middle = sweep.evened(middle, 120, 3)
    angle = np.linspace(0, 2 * np.pi, 17)[:-1]
    profile = np.stack([np.cos(angle)[None] * size[:, None] * 1.25, np.sin(angle)[None] * size[:, None]], -1)
    rings = sweep.swept(middle, profile, np.array([0.0, 0.95, -0.25]))
    rings = rings + (0.006 * noise.value(rings * [1.0, 2.0, 1.0], 0.05, generator, 2))[..., None] * [0.6, 1, 0.6]
    flat = rings.reshape(-1, 3)
    rings = under.push(flat, np.full(len(flat), 0.004)).reshape(rings.shape)
    # Its lower outer side goes straight into the cloth: rolled under, it would leave a black crease.
    lower = np.sin(angle) < -0.2
    sunk = shell.settle(rings[:, lower].reshape(-1, 3), np.full(len(rings) * lower.sum(), -0.004))
    rings[:, lower] = sunk.reshape(len(rings), -1, 3)
    sheets = [sweep.strip(rings, True, True)]
    for side in (-1, 1):
        start = curve[np.argmax(curve[:, 2] - 0.6 * np.abs(curve[:, 0] - side * 0.03))]
        steps = np.linspace(0, 1, 24)[:, None]
        line = start + steps * [side * 0.008, -0.16 + generator.uniform(-0.02, 0.02), 0.02]
        line = under.push(line, np.full(len(line), 0.024))
        line = sweep.evened(line, 24, 6, closed=False)
        sheets.append(sweep.strip(sweep.tube(line, 0.0028, 8), True, False))
    return sheets


def lapel(shell: Shell, loop: npt.NDArray[np.int64]) -> tuple[Floats, Ints, Floats]:
    """Collar and lapels of a jacket: the edge of its opening folded back over the cloth."""
    start = int(np.argmin(shell.places[loop][:, 1]))
    loop = np.roll(loop, -start)
    across = inward(shell, loop)
    curve = sweep.evened(np.concatenate([shell.points[loop], shell.points[loop[:1]]]), 160, 30, closed=False)
    near = cKDTree(shell.points[loop]).query(curve)[1]
    across = across[near]
    for _ in range(10):
        across[1:-1] = 0.5 * across[1:-1] + 0.25 * (across[:-2] + across[2:])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    share = np.minimum(np.linspace(0, 1, 160), np.linspace(1, 0, 160)) * 2  # 0 at the lowest button, 1 at the nape
    width = np.interp(
        share, [0, 0.30, 0.50, 0.53, 0.56, 0.60, 0.75, 1.0], [0.008, 0.055, 0.080, 0.078, 0.044, 0.062, 0.052, 0.048]
    )
    stand = noise.ramp(share, 0.55, 0.8) * 0.020
    steps = [
        (-0.10, -0.004),
        (-0.10, 0.002),
        (-0.04, 0.007),
        (0.15, 0.0085),
        (0.45, 0.0075),
        (0.75, 0.0065),
        (0.97, 0.0055),
        (1.0, 0.0035),
        (1.0, 0.0005),
        (0.98, -0.003),  # into the cloth: a gap under the edge would be a dotted black line in small pictures
    ]
    surface = Obstacle(shell.points, shell.normals)
    rings = []
    for back, off in steps:
        ring = curve + across * (back * width)[:, None]
        ring = surface.settle(ring, np.full(len(ring), off))
        rings.append(ring + np.stack([0 * stand, stand * np.clip(1 - 1.6 * abs(back), 0, 1), 0 * stand], 1))
    return sweep.strip(np.stack(rings, 1), False, False)
