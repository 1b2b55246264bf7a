"""Eyes: balls with a bulging cornea, an iris with its fibres, and the wet gloss that makes them alive."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harmovid.lightstage import body, noise
from harmovid.lightstage.scene import Material, Surface

Floats = npt.NDArray[np.floating]

# How far down from its front pole the ball's picture reaches, radians; what lies behind is never seen.
REACH = np.radians(100.0)
IRIS = np.radians(24.5)  # 12.3 mm across on MakeHuman's ball of 29.5 mm
BULGE = np.radians(28.0)

# Scene-linear: outer iris, inner iris around the pupil.
COLOURS = {
    "brown": ((0.036, 0.016, 0.008), (0.056, 0.025, 0.010)),
    "dark": ((0.022, 0.011, 0.007), (0.034, 0.016, 0.009)),
    "hazel": ((0.060, 0.046, 0.020), (0.075, 0.036, 0.012)),
    "green": ((0.062, 0.078, 0.042), (0.080, 0.060, 0.024)),
    "blue": ((0.060, 0.095, 0.145), (0.105, 0.130, 0.150)),
    "grey": ((0.080, 0.095, 0.105), (0.115, 0.115, 0.105)),
}


@dataclass(frozen=True)
class Iris:
    """What a person's irises are like."""

    colour: str = "brown"  # a key of COLOURS
    pupil: float = 0.38  # radius over the iris's
    age: float = 30.0  # the white yellows with years


def picture(iris: Iris, generator: np.random.Generator, size: int = 512) -> Material:
    """The ball's picture, seen along its axis: radius in the picture is the angle from the pole over REACH."""
    y, x = np.meshgrid(*(2 * [(np.arange(size) + 0.5) / size * 2 - 1]), indexing="ij")
    radius, angle = np.hypot(x, y) * REACH / IRIS, np.arctan2(y, x)  # 1: the edge of the iris
    ring = np.stack([np.cos(angle), np.sin(angle), 0.12 * radius], -1)
    fibres = noise.value(ring, 0.05, generator, 2) * 0.6 + noise.value(ring, 0.16, generator, 2) * 0.5
    outer, inner = (np.array(colour) for colour in COLOURS[iris.colour])
    around = noise.ramp(radius + 0.06 * fibres, iris.pupil + 0.30, iris.pupil + 0.08)[..., None]
    colour = (outer + (inner - outer) * around) * np.exp(0.42 * fibres)[..., None]
    colour *= (1 - 0.72 * noise.ramp(radius + 0.03 * fibres, 0.80, 0.99))[..., None]  # limbal ring
    colour *= (1 + 0.25 * np.exp(-(((radius - 0.62) / 0.14) ** 2)))[..., None]
    colour *= noise.ramp(radius, iris.pupil - 0.025, iris.pupil + 0.03)[..., None] * 0.99 + 0.01

    yellow = np.clip((iris.age - 20) / 60, 0, 1)
    white = (
        np.array([0.56, 0.52 - 0.02 * yellow, 0.49 - 0.08 * yellow])
        * (1 + 0.03 * noise.value(np.stack([x, y, 0 * x], -1), 0.3, generator, 2))[..., None]
    )
    ball = np.stack([x, y, 0 * x], -1)
    vein = np.abs(noise.value(ball + 0.05 * noise.value(ball, 0.1, generator, 2)[..., None], 0.12, generator, 2))
    veins = np.exp(-((vein / 0.035) ** 2)) * noise.ramp(radius, 1.15, 2.2)
    white = white * (1 - veins[..., None] * np.array([0.06, 0.26, 0.26]))
    white *= 1 - noise.ramp(radius, 1.3, 3.2)[..., None] * np.array([0.10, 0.30, 0.32])  # redder towards the corners
    edge = noise.ramp(radius, 0.95, 1.10)[..., None]
    albedo = colour + (white - colour) * edge
    roughness = np.where(radius < 1.25, 0.045, 0.09)
    return Material(np.clip(albedo, 0.002, 0.9).astype(np.float32), roughness.astype(np.float32), 0.04)


def ball(rings: int = 28, around: int = 48) -> tuple[Floats, npt.NDArray[np.int32], Floats]:
    """Unit eyeball looking along +z: vertices (V, 3), faces (F, 3), uv (F, 3, 2). Rings gather where the cornea
    bends.
    """
    theta = np.concatenate(
        [np.linspace(0, BULGE * 1.15, rings // 2 + 1), np.linspace(BULGE * 1.15, REACH, rings // 2 + 1)[1:]]
    )
    phi = np.arange(around) / around * 2 * np.pi
    bulge = 1 + 0.085 * np.clip(1 - (theta / BULGE) ** 2, 0, None) ** 1.25
    flat = np.stack(
        [np.sin(theta)[:, None] * np.cos(phi), np.sin(theta)[:, None] * np.sin(phi), np.cos(theta)[:, None] + 0 * phi],
        -1,
    )
    points = (flat * bulge[:, None, None]).reshape(-1, 3)
    disc = (0.5 + 0.5 * (theta / REACH)[:, None, None] * np.stack([np.cos(phi), np.sin(phi)], -1)).reshape(-1, 2)
    ring, step = np.meshgrid(np.arange(rings), np.arange(around), indexing="ij")
    here, there = ring * around + step, ring * around + (step + 1) % around
    faces = np.concatenate(
        [
            np.stack([here, here + around, there + around], -1).reshape(-1, 3),
            np.stack([here, there + around, there], -1).reshape(-1, 3),
        ]
    )
    return points, faces.astype(np.int32), disc[faces]


def centres(vertices: Floats) -> tuple[Floats, Floats]:
    """Centres (2, 3) and radii (2,) of the left and right eyeballs of a body's vertices (V, 3)."""
    found, sizes = [], []
    for side in ("left eye", "right eye"):
        first, last = body.PARTS[side]
        points = vertices[first:last]
        low, high = points.min(0), points.max(0)
        radius = (high[:2] - low[:2]).mean() / 2
        found.append([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2] + radius])
        sizes.append(radius)
    return np.array(found), np.array(sizes)


def surface(vertices: Floats, gaze: Floats, head: Floats, material: Material) -> Surface:
    """Both eyes: `gaze` (T, 2, 2) is yaw and pitch of each, radians, positive to the person's left and up; `head`
    (T, 4, 4).
    """
    points, faces, uv = ball()
    middles, radii = centres(vertices)
    moved = []
    for eye in range(2):
        yaw, pitch = gaze[:, eye, 0], gaze[:, eye, 1]
        turn = body.rotation(np.stack([0 * yaw, yaw, 0 * yaw], -1)) @ body.rotation(
            np.stack([-pitch, 0 * pitch, 0 * pitch], -1)
        )
        local = np.einsum("tij,vj->tvi", turn, points * radii[eye] * 0.985) + middles[eye]
        moved.append(np.einsum("tij,tvj->tvi", head[:, :3, :3], local) + head[:, None, :3, 3])
    both = np.concatenate(moved, 1).astype(np.float32)
    return Surface(
        "eyes",
        both,
        np.concatenate([faces, faces + len(points)]),
        np.concatenate([uv, uv]).astype(np.float32),
        material,
    )
