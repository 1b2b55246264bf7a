"""Hair: thousands of ribbons grown from the scalp.

A strand starts at its root, leaves along the skin's normal, is combed by its style's field and pulled down by its
weight, and is kept off the head, the shoulders and the clothes by the distance to their nearest vertex. Strands of a
lock then lean together (clumping), curl, and a few fly away. All strands grow at once, step by step.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from harmovid.lightstage import hanging, noise
from harmovid.lightstage.hairstyles import BUN, Style
from harmovid.lightstage.obstacle import Obstacle
from harmovid.lightstage.scalp import Growth, roots
from harmovid.lightstage.scene import Material

Floats = npt.NDArray[np.floating]

# Scene-linear diffuse colour of a mass of hair.
COLOURS = {
    "black": (0.010, 0.008, 0.007),
    "dark brown": (0.028, 0.017, 0.011),
    "brown": (0.062, 0.035, 0.019),
    "light brown": (0.13, 0.078, 0.042),
    "blond": (0.30, 0.20, 0.10),
    "platinum": (0.46, 0.37, 0.25),
    "auburn": (0.085, 0.028, 0.012),
    "red": (0.20, 0.065, 0.020),
    "grey": (0.23, 0.22, 0.21),
    "white": (0.52, 0.51, 0.49),
    "dyed blue": (0.03, 0.07, 0.18),
    "dyed pink": (0.35, 0.08, 0.16),
}


def _unit(v: Floats) -> Floats:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12)


def _field(style: Style, place: Floats, normal: Floats, bun: Floats, root: Floats) -> Floats:
    """(N, 3) where the comb sends each strand, along the skin."""
    x, y, z = place.T
    down = np.stack([0 * x, -1 + 0 * x, 0 * x], 1)
    if style.comb == "out":
        return normal
    if style.comb == "straight":  # beards: down, a little outward from the middle
        way = down + np.stack([4 * x, 0 * x, 0 * x + 0.2], 1)
        return _unit(way - (way * normal).sum(1, keepdims=True) * normal)
    if style.comb in ("bun", "tail"):
        way = bun - root
    elif style.comb == "forward":
        crown = place - [0.008, 0.80, -0.005]
        way = (
            np.stack(
                [
                    0.5 * crown[:, 0],
                    -0.35 * noise.ramp(y, 0.79, 0.74) + 0 * x,
                    0.6 * noise.ramp(z, -0.05, 0.03) * 0.1 + 0.03 * noise.ramp(z, -0.03, 0.03),
                ],
                1,
            )
            + 0.06 * down * noise.ramp(y, 0.77, 0.72)[:, None]
        )
    elif style.comb == "back":
        way = np.stack(
            [0.25 * x, -0.02 - 0.10 * noise.ramp(y, 0.77, 0.70), -0.10 + 0.04 * noise.ramp(y, 0.74, 0.68)], 1
        )
    else:
        part = style.part if style.part is not None else 0.0
        away = np.sign(x - part) * noise.ramp(np.abs(x - part), 0.0, 0.008)
        top = noise.ramp(y, 0.735, 0.785)
        front = noise.ramp(z, 0.02, 0.10)
        if style.comb == "side":
            way = np.stack(
                [away * (0.4 + 0.6 * top), -0.25 - 0.9 * (1 - top), 0.35 * front - 0.5 * (1 - front) * top], 1
            )
        else:
            back = 0.95 * front - 0.10 * noise.ramp(z, 0.02, -0.03)
            way = np.stack(
                [away * (0.25 + 0.75 * top) + 0.5 * np.sign(x) * front, -0.10 - 1.0 * (1 - top) * (1 - front), -back], 1
            )
    along = way - (way * normal).sum(1, keepdims=True) * normal
    return _unit(along)


def grow(
    style: Style,
    growth: Growth,
    density: Floats,
    obstacle: Obstacle,
    generator: np.random.Generator,
    bun: Floats = BUN,
    trim: Callable[[Floats], Floats] | None = None,
) -> tuple[Floats, Floats]:
    """Strands (N, K, 3) at the neutral pose, and (N,) a random number in [0, 1] of each strand's lock.

    `trim` gives, for roots (N, 3) on the template, the share of the style's length that is left there.
    """
    count = style.strands
    root, normal, place = roots(growth, density, count, generator)
    steps = int(np.clip(style.length / 0.015, 5, 22))
    length = np.full(count, style.length)
    if style.sides is not None:
        high = noise.ramp(place[:, 1], 0.715, 0.765)
        length = style.sides + (style.length - style.sides) * high
    if style.bangs is not None:
        fringe = noise.ramp(place[:, 2], 0.085, 0.10) * noise.ramp(np.abs(place[:, 0]), 0.055, 0.045)
        length = length + (style.bangs - length) * fringe
    length = length * generator.uniform(0.82, 1.06, count) * (1.0 if trim is None else trim(place))
    clumps = root[generator.choice(count, min(style.clumps, count), replace=False)]
    lock = cKDTree(clumps).query(root)[1]
    wild = (
        generator.normal(0, style.jitter, (len(clumps), 3))[lock] * 0.7
        + generator.normal(0, style.jitter, (count, 3)) * 0.6
    )
    way = _field(style, place, normal, bun, root)
    if style.bangs is not None:
        way = _unit(way + fringe[:, None] * np.array([0, -1.2, 1.4]))
    shell = 0.0012 + style.volume * generator.random(count) ** 1.3 * (0.6 + 0.4 * generator.random(len(clumps))[lock])
    out = style.lift * (0.6 + 0.8 * generator.random(count))[:, None]
    direction = _unit(normal * out + way * (1.05 - style.lift) + 0.3 * wild)
    stray = generator.random(count) < style.stray
    points = [root - 0.001 * normal]
    here = root
    stretch = length / (steps - 1)
    free = style.comb in ("out", "bun", "tail")
    offset = bun - BUN
    side = np.where(place[:, 0] < (0.0 if style.part is None else style.part), -1.0, 1.0)
    held = 1.0 - (fringe if style.bangs is not None else np.zeros(count))
    # The hair of one lock falls to one side of the shoulder; people wear more of it before them or less.
    forward = clumps[lock, 2] - offset[2] + generator.normal(0, 0.012, len(clumps))[lock]
    rest = np.where(forward > generator.uniform(0.0, 0.06), hanging.CHEST, hanging.BACK)
    for step in range(1, steps):
        along = step / (steps - 1)
        gone = stretch * step
        _, outward = obstacle.nearest(here)
        # Combed hair clings to the head; below the jaw it hangs free.
        near = noise.ramp(here[:, 1], bun[1] - 0.13, bun[1] - 0.08)
        cling = 0.0 if free else near * np.where(stray & (style.level is None), 0.6, 1.0)
        if style.comb in ("bun", "tail"):
            direction = _unit(direction + 1.2 * _unit(bun - here))
        elif style.comb != "out":
            direction = direction + (0.8 * noise.ramp(gone, 0.10, 0.02))[:, None] * way
        late = 1.0 if free else 0.25 + 0.75 * noise.ramp(gone, 0.02, 0.09)
        heavy = style.weight * (0.35 + along) * np.where(stray, 0.75, 1.0) * late
        direction = _unit(direction + heavy[:, None] * np.array([0, -1.0, 0]) + 0.12 * wild)
        if style.level is not None:
            direction = _unit(hanging.steered(direction, here - offset, side, rest))
        leaving = np.clip((direction * outward).sum(1), 0, None) * cling * (0.0 if step < 2 else 1.0)
        direction = _unit(direction - leaving[:, None] * outward)
        ahead: Floats = here + direction * stretch[:, None]
        rise = np.minimum(shell, 0.0012 + shell * min(1.0, 2.5 * along))
        ahead = obstacle.push(ahead, rise, 0.6 * stretch * cling)
        if style.comb in ("bun", "tail"):  # arrived: stay inside the knot
            near = np.linalg.norm(ahead - bun, axis=1) < 0.016
            ahead = np.where(near[:, None], bun + (here - bun) * 0.6, ahead)
        direction = _unit(ahead - here)
        here = here + direction * stretch[:, None]
        points.append(here)
    strands = np.stack(points, 1)
    if style.level is not None:
        uneven = generator.normal(0, 0.006, count) + generator.normal(0, 0.010, len(clumps))[lock]
        heights = style.level + offset[1] + uneven
        strands, left = hanging.cut(strands, heights)
        stretch = stretch * left
    strands = _clump(style, strands, lock, len(clumps), generator, stray)
    if style.curl:
        strands = _curl(style, strands, lock, len(clumps), generator, stretch)
    if style.level is not None:
        strands = hanging.parted(strands, offset, side, held, generator)
    for step in range(1, strands.shape[1]):  # what leaning and curling pushed inside comes out again
        for _ in range(1 if style.level is None else 2):
            strands[:, step] = obstacle.push(strands[:, step], np.full(count, 0.0012 + 0.3 * min(style.volume, 0.004)))
    return strands, generator.random(len(clumps))[lock]


def _clump(
    style: Style,
    strands: Floats,
    lock: npt.NDArray[np.integer],
    count: int,
    generator: np.random.Generator,
    stray: npt.NDArray[np.bool_],
) -> Floats:
    """Each strand leans towards the mean of its lock, the more the nearer its tip."""
    total = np.zeros((count, *strands.shape[1:]))
    np.add.at(total, lock, strands)
    mean = total / np.maximum(np.bincount(lock, minlength=count), 1)[:, None, None]
    along = np.linspace(0, 1, strands.shape[1]) ** 1.2
    lean = style.clumping * along[None] * generator.uniform(0.5, 1.1, count)[lock][:, None] * ~stray[:, None]
    return strands + (mean[lock] - strands) * np.clip(lean, 0, 0.95)[..., None]


def _curl(
    style: Style,
    strands: Floats,
    lock: npt.NDArray[np.integer],
    count: int,
    generator: np.random.Generator,
    stretch: Floats,
) -> Floats:
    """Strands wound to helices about themselves, those of a lock nearly in phase."""
    # A helix needs several points a turn: put more in.
    fine = max(strands.shape[1], int(np.ceil(style.length / style.pitch * 5)) + 1)
    at = np.linspace(0, strands.shape[1] - 1, min(fine, 44))
    low = np.minimum(at.astype(int), strands.shape[1] - 2)
    part = (at - low)[None, :, None]
    axis = strands[:, low] * (1 - part) + strands[:, low + 1] * part
    tangent = _unit(np.gradient(axis, axis=1))
    side = _unit(np.cross(tangent, [0.3, 0.2, 0.93]))
    other = np.cross(tangent, side)
    distance = stretch[:, None] * at[None]
    pitch = style.pitch * generator.uniform(0.75, 1.3, count)[lock][:, None]
    phase = generator.uniform(0, 2 * np.pi, count)[lock][:, None] + generator.normal(0, 0.3, len(strands))[:, None]
    turn = 2 * np.pi * distance / pitch * generator.choice([-1, 1], count)[lock][:, None] + phase
    radius = (
        style.curl
        * generator.uniform(0.6, 1.2, count)[lock][:, None]
        * noise.ramp(distance, 0.0, 2.2 * style.curl + 0.01)
    )
    return axis + radius[..., None] * (np.cos(turn)[..., None] * side + np.sin(turn)[..., None] * other)


def knot(style: Style, bun: Floats, generator: np.random.Generator, count: int = 3500) -> Floats:
    """The bun or the tail itself: strands (N, K, 3) wound to a ball, or hanging from the tie."""
    if style.comb == "bun":
        tilt = _unit(generator.normal(0, 0.35, (count, 3)) + np.array([0, 0.25, -1]))
        side = _unit(np.cross(tilt, [0, 1, 0.1]))
        other = np.cross(tilt, side)
        radius = 0.031 * np.cbrt(generator.uniform(0.3, 1, count))
        start = generator.uniform(0, 2 * np.pi, count)
        turn = start[:, None] + np.linspace(0, 3.4, 12)[None]
        offset = generator.normal(0, 0.008, count)
        ball = radius[:, None, None] * (
            np.cos(turn)[..., None] * side[:, None] + np.sin(turn)[..., None] * other[:, None]
        )
        return bun + [0, 0.008, -0.016] + ball * [1, 1, 0.8] + (offset[:, None] * tilt)[:, None]
    steps = np.linspace(0, 1, 12)
    angle, spread = generator.uniform(0, 2 * np.pi, count), np.sqrt(generator.random(count))
    radius = 0.010 + 0.016 * np.sin(np.pi * steps * 0.8) * (1 - 0.3 * steps)
    center = bun + np.stack(
        [
            0.010 * np.sin(3 * steps),
            -0.24 * steps**1.3 + 0.01,
            -0.022 - 0.045 * np.sin(np.pi * np.minimum(steps * 1.1, 1)),
        ],
        1,
    )
    around = np.stack([np.cos(angle), 0 * angle, np.sin(angle)], 1) * spread[:, None]
    long = generator.uniform(0.75, 1.0, count)[:, None, None]
    tail = center[None] + around[:, None] * radius[None, :, None]
    tail = tail[:, :1] + (tail - tail[:, :1]) * long
    return tail + generator.normal(0, 0.0012, tail.shape) * steps[None, :, None]


def material(
    colour: tuple[float, float, float],
    generator: np.random.Generator,
    grey: float = 0.0,
    roots_darker: float = 0.15,
    dye: tuple[float, float, float] | None = None,
) -> Material:
    """The fibre's colours: across, strand by strand; down, from root to tip (lighter). `grey`: share of grey
    strands.
    """
    shades = np.exp(generator.normal(0, 0.22, (1, 64, 1)) + generator.normal(0, 0.04, (1, 64, 3)))
    rows = np.linspace(0, 1, 16)[:, None, None]
    albedo = np.array(colour) * shades * (1 - roots_darker * (1 - rows)) * (1 + 0.25 * rows)
    if dye is not None:
        albedo = albedo + (np.array(dye) * shades - albedo) * noise.ramp(rows, 0.35, 0.7)
    if grey:
        grizzled = generator.random((1, 64, 1)) < grey
        albedo = np.where(grizzled, np.array([0.30, 0.29, 0.28]) * shades**0.5, albedo)
    return Material(
        np.clip(albedo, 0.003, 0.9).astype(np.float32), np.full((16, 64), 0.5, np.float32), 0.046, 0.0, True
    )
