"""Small performances: balls and planes whose light is known in closed form; a ball for hair to grow on."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from harmovid.lightstage.obstacle import Obstacle
from harmovid.lightstage.scalp import Growth
from harmovid.lightstage.scene import Camera, Material, Performance, Surface


def material(albedo: tuple[float, float, float] = (0.5, 0.5, 0.5), roughness: float = 0.4, **more: object) -> Material:
    return Material(np.tile(np.array(albedo, np.float32), (2, 2, 1)), np.full((2, 2), roughness, np.float32),
                    **more)  # type: ignore[arg-type]


def ball(made: Material, centre: tuple[float, float, float] = (0, 0, 0), radius: float = 0.1, frames: int = 1,
         rings: int = 48, name: str = "ball") -> Surface:
    """A sphere of latitudes and longitudes; over time it goes to the right by a tenth of its radius a frame."""
    theta, phi = np.meshgrid(np.linspace(0, np.pi, rings), np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False),
                             indexing="ij")
    points = np.stack([np.sin(theta) * np.sin(phi), np.cos(theta), np.sin(theta) * np.cos(phi)], -1).reshape(-1, 3)
    a = np.arange((rings - 1) * 2 * rings)
    right = a // (2 * rings) * 2 * rings + (a + 1) % (2 * rings)
    below = a + 2 * rings
    faces = np.concatenate([np.stack([a, below, right], 1), np.stack([right, below, right + 2 * rings], 1)])
    drift = np.arange(frames)[:, None, None] * np.array([0.1 * radius, 0, 0])
    return Surface(name, (points * radius + np.array(centre) + drift).astype(np.float32), faces.astype(np.int32),
                   np.full((len(faces), 3, 2), 0.5, np.float32), made)


def plane(made: Material, height: float, half: float = 5.0) -> Surface:
    """Level, seen from above."""
    points = np.array([[-half, height, half], [half, height, half], [half, height, -half], [-half, height, -half]])
    return Surface("plane", points[None].astype(np.float32), np.array([[0, 1, 2], [0, 2, 3]], np.int32),
                   np.full((2, 3, 2), 0.5, np.float32), made, closed=False)


def filmed(*surfaces: Surface, frames: int = 1, distance: float = 1.0, angle: float = 0.3) -> Performance:
    """Before a still camera on the z axis."""
    pose = np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1))
    pose[:, 2, 3] = distance
    return Performance(surfaces, Camera(pose, angle), Fraction(24))


def performer(seed: int, frames: int) -> Performance:
    """A red, green or blue ball of its own size."""
    tone = np.eye(3)[seed % 3] * 0.5 + 0.2
    return filmed(ball(material(tuple(tone)), radius=0.06 + 0.01 * (seed % 5), frames=frames, rings=16), frames=frames)


RADIUS = 0.1
CENTRE = np.array([0, 0.70, 0.04])


def head() -> tuple[Growth, Obstacle]:
    """A head of sorts: a ball, crown at 0.8, with the hairline's places."""
    theta, phi = np.meshgrid(np.linspace(0, np.pi, 41), np.linspace(0, 2 * np.pi, 81), indexing="ij")
    normal = np.stack([np.sin(theta) * np.sin(phi), np.cos(theta), np.sin(theta) * np.cos(phi)], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(40), np.arange(80), indexing="ij")
    a = (i * 81 + j).reshape(-1)
    faces = np.concatenate([np.stack([a, a + 81, a + 82], 1), np.stack([a, a + 82, a + 1], 1)])
    points = CENTRE + RADIUS * normal
    return Growth(points, faces, normal, points), Obstacle(points, normal, True)
