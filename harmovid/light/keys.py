"""Key lights: the light of an environment that comes from little of the sphere, cut into beams.

Cells of `light.basis` are nine degrees apart, and blur the shadow of a lamp by as much. What is much brighter than the
mean of a map is cut in two, and again, where most light lies furthest apart (after Debevec 2005, "A Median Cut
Algorithm for Light Probe Sampling"), and each part, a beam, gets a cell of its own. The parts are labels on a map: its
light falls into them, or past them into the even cells, and none is lost. Other light is no business of theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harmovid.light.basis import BEAM, HEIGHT, Basis, brought
from harmovid.light.environment import Environment, Layer, directions, rotated, shrunk, solid_angles

COUNT = 32
"""Beams that the key lights of an environment are cut into at most."""

_OVER = 8.0  # times the mean radiance of a map, above which light is a key light's
_WORTH = 0.05  # share of all light that key lights have together, below which they are none
_SETS = 64  # of samples


@dataclass(frozen=True)
class Keys:
    """labels: (HEIGHT, 2 · HEIGHT) uint8 on a map, n + 1 in beam n, 0 where there is none. beams: N cells."""

    labels: np.ndarray
    beams: Basis


def find(environment: Environment, count: int = COUNT) -> Keys | None:
    """The key lights of those layers of an environment that do not turn; None where no light stands out among all.

    Args:
        count: beams at most, 1 to 255.
    """
    assert 1 <= count <= 255, count
    seen = [(_seen(layer), np.ptp(layer.yaw) > 0) for layer in environment.layers]
    total = float(sum((light * solid_angles(HEIGHT)).sum() for light, _ in seen))
    light = sum((light for light, turns in seen if not turns), np.zeros((HEIGHT, 2 * HEIGHT), np.float32))
    energy = (light * solid_angles(HEIGHT)).ravel()
    bright = np.flatnonzero(light.ravel() > _OVER * total / (4 * np.pi))
    if energy[bright].sum() <= _WORTH * total:
        return None
    parts = [bright[part] for part in _cut(directions(HEIGHT).reshape(-1, 3)[bright], energy[bright], count)]
    labels = np.zeros(energy.size, np.uint8)
    for n, part in enumerate(parts, 1):
        labels[part] = n
    random = np.random.default_rng(0)
    samples = np.stack([_samples(part, energy[part], random) for part in parts], 1)  # (J, N, 3)
    middle = samples.mean(0)
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    radius = np.sqrt(np.square(samples - middle).sum(-1).mean(0))
    return Keys(labels.reshape(HEIGHT, 2 * HEIGHT), Basis(
        middle.astype(np.float32), np.full(len(parts), BEAM, np.float32), samples.astype(np.float32),
        radius.astype(np.float32)))


def are_of(labels: np.ndarray, environment: Environment) -> bool:
    """Whether key lights lie where those of an environment do, however bright it is, at whichever of its frames."""
    found = find(environment, 1)
    return found is not None and np.array_equal(found.labels > 0, labels > 0)


def _seen(layer: Layer) -> np.ndarray:
    """The mean of a layer's colours, (HEIGHT, 2 · HEIGHT), turned as it stands, without gains, which are of a time."""
    pixels = shrunk(layer.pixels, HEIGHT) if len(layer.pixels) > HEIGHT else layer.pixels
    return brought(rotated(pixels, float(layer.yaw[0]))).mean(-1)


def _cut(towards: np.ndarray, energy: np.ndarray, count: int) -> list[np.ndarray]:
    """Indices of at most `count` parts of some directions, (P, 3), of energies (P,)."""
    def spread(part: np.ndarray) -> float:
        if len(part) < 2:
            return 0.0
        middle = np.average(towards[part], axis=0, weights=energy[part])
        return float((np.square(towards[part] - middle).sum(1) * energy[part]).sum())

    parts = [np.arange(len(energy))]
    while len(parts) < count:
        widest = int(np.argmax([spread(part) for part in parts]))
        if len(parts[widest]) < 2:
            break
        parts += _halves(parts.pop(widest), towards, energy)
    return parts


def _halves(part: np.ndarray, towards: np.ndarray, energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both of half the energy, as near as may be, across where the part is longest."""
    away = towards[part] - np.average(towards[part], axis=0, weights=energy[part])
    _, axes = np.linalg.eigh((away * energy[part, None]).T @ away)
    order = part[np.argsort(away @ axes[:, -1], kind="stable")]
    share = energy[order].cumsum()
    middle = int(np.clip(np.searchsorted(share, share[-1] / 2) + 1, 1, len(part) - 1))
    return order[:middle], order[middle:]


def _samples(part: np.ndarray, energy: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(_SETS, 3) directions, spread over some pixels of a map as their energy is, and evenly within each."""
    share = energy.cumsum() / energy.sum()
    even = (random.permutation(_SETS) + random.random(_SETS)) / _SETS
    row, column = np.divmod(part[np.minimum(np.searchsorted(share, even), len(part) - 1)], 2 * HEIGHT)
    theta = np.pi * (row + random.random(_SETS)) / HEIGHT
    phi = 2 * np.pi * ((column + random.random(_SETS)) / (2 * HEIGHT) - 0.5)
    return np.stack([np.sin(theta) * np.sin(phi), np.cos(theta), -np.sin(theta) * np.cos(phi)], -1)
