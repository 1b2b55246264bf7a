"""Framing: the camera before the person, and how much of them it sees."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harmovid.lightstage import acting, body
from harmovid.lightstage.scene import Camera

Floats = npt.NDArray[np.floating]


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
