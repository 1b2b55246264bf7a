"""Shapes and colours from which environments are drawn: lamps, panels, rooms, land, noise; functions of directions.

Directions are (H, 2H, 3), as `environment.directions` gives them; masks and noise have a last axis of 1 where they are
multiplied with colours.
"""

from __future__ import annotations

import numpy as np

from harmovid.light.environment import solid_angles

Random = np.random.Generator


def black_body(kelvin: float) -> np.ndarray:
    """Linear BT.709 colour of a black body, (3,), of luminance 1.

    Chromaticities from Kim et al. 2002 (US patent 7,024,034), 1667 K to 25,000 K.
    """
    t = 1e3 / float(np.clip(kelvin, 1667, 25_000))
    x = np.polyval([-0.2661239, -0.2343589, 0.8776956, 0.179910] if kelvin < 4000 else
                   [-3.0258469, 2.1070379, 0.2226347, 0.240390], t)
    curve = ([-1.1063814, -1.34811020, 2.18555832, -0.20219683] if kelvin < 2222 else
             [-0.9549476, -1.37418593, 2.09137015, -0.16748867] if kelvin < 4000 else
             [3.0817580, -5.87338670, 3.75112997, -0.37001483])
    y = np.polyval(curve, x)
    rgb = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]) @ np.array(
        [x / y, 1, (1 - x - y) / y])
    return np.asarray(np.maximum(rgb, 0) / (rgb @ [0.2126, 0.7152, 0.0722]), np.float32)


def flicker(random: Random, time: np.ndarray, rate: float, depth: float) -> np.ndarray:
    """(T,) gains about 1: smooth noise with details down to 1/rate seconds, weaker the finer they are."""
    total = np.zeros(len(time))
    for octave in range(3):
        pace = rate / 2 ** (2 - octave)
        nodes = random.standard_normal(int(time[-1] * pace) + 4)
        total += np.interp(time * pace + random.random(), np.arange(len(nodes)), nodes) / 1.6**octave
    return np.exp(depth * total / 1.3)


def towards(yaw: float, elevation: float) -> np.ndarray:
    """Unit vector `yaw` to the right of −z and `elevation` above the horizon."""
    c = np.cos(elevation)
    return np.array([c * np.sin(yaw), np.sin(elevation), -c * np.cos(yaw)])


def unit(v: np.ndarray) -> np.ndarray:
    """One vector, at length 1."""
    return np.asarray(v / np.linalg.norm(v))


def mixed(a: object, b: object, share: float) -> np.ndarray:
    """Two colours, `share` of the second."""
    return np.asarray(a) * (1 - share) + np.asarray(b) * share


def smooth(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, 3u² − 2u³ between."""
    u = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(u * u * (3 - 2 * u))


def vivid(random: Random) -> np.ndarray:
    """A saturated colour of luminance about 0.5."""
    hue = random.random() * 6
    rgb = np.clip(np.abs((hue + np.array([0, 4, 2])) % 6 - 3) - 1, 0.03, 1)
    return np.asarray(rgb / (0.5 + rgb @ [0.3, 0.6, 0.1]))


def lamp(d: np.ndarray, where: np.ndarray, radius: float, given: np.ndarray) -> np.ndarray:
    """A disc with a soft edge that gives a surface facing it the irradiance `given` · π, however large it is."""
    near = np.arccos(np.clip(d @ where, -1, 1))
    # No smaller than the map's pixels can tell, or its light would change as it is turned.
    soft = max(radius, 2.2 * np.pi / len(d))
    disc = np.clip(1.5 - near / soft, 0, 1)[..., None]
    return np.asarray(disc * (np.asarray(given) * np.pi / float((disc * solid_angles(len(d))[..., None]).sum())))


def panel(d: np.ndarray, where: np.ndarray, wide: float, tall: float) -> np.ndarray:
    """A rectangle that faces the person, half sides in tangents of angles; (H, 2H, 1), soft by a pixel or two."""
    x, y, ahead = _across(d, where)
    soft = 2 * np.pi / len(d)
    inside = np.clip((wide - np.abs(x)) / soft + 0.5, 0, 1) * np.clip((tall - np.abs(y)) / soft + 0.5, 0, 1)
    return np.asarray((inside * (ahead > 0.05))[..., None])


def bars(d: np.ndarray, where: np.ndarray, wide: float, tall: float) -> np.ndarray:
    """The cross in a window."""
    x, y, _ = _across(d, where)
    return np.asarray(((np.abs(x) < 0.025) | (np.abs(y - 0.15 * tall) < 0.025)).astype(np.float32)[..., None])


def _across(d: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    right = unit(np.cross(where, [0, 1, 0]) + 1e-9)
    ahead = d @ where
    far = np.maximum(ahead, 0.05)
    return (d @ right) / far, (d @ np.cross(right, where)) / far, ahead


def box(random: Random, d: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A room around the person: points on its walls, their normals inwards, and their colours, all (H, 2H, 3)."""
    size = np.array([random.uniform(1.8, 4), 1.3, random.uniform(1.8, 4)])
    reach = size / np.maximum(np.abs(d), 1e-4)
    side = reach.argmin(-1)
    points = d * reach.min(-1, keepdims=True)
    normals = -np.sign(d) * np.eye(3)[side]
    paint = mixed((0.7, 0.68, 0.62), vivid(random), random.choice([0.0, 0.1, 0.35]))
    wood = np.array((0.36, 0.22, 0.12)) * random.uniform(0.5, 1.6)
    colour = np.where((side == 1)[..., None], np.where(d[..., 1:2] > 0, 0.78, wood), paint)
    along = np.where(side == 0, points[..., 2], points[..., 0])
    for _ in range(int(random.integers(3, 9))):  # cupboards, pictures, doors
        at, level = random.uniform(-3, 3), random.uniform(-1.2, 0.5)
        wide, tall = random.uniform(0.15, 0.8), random.uniform(0.2, 0.9)
        there = (np.abs(along - at) < wide) & (np.abs(points[..., 1] - level) < tall) & (side == random.choice([0, 2]))
        thing = mixed(wood * random.uniform(0.3, 2), vivid(random) * 0.6, random.random() * 0.6)
        colour = np.where((there & (np.sign(d).take(0, -1) == random.choice([-1, 1])))[..., None], thing, colour)
    return points, normals, colour * (1 + 0.08 * noise(random, points / 4, 12.0)[..., None])


def falloff(points: np.ndarray, normals: np.ndarray, source: np.ndarray) -> np.ndarray:
    """What a small light at `source` gives the walls: cos θ / r², held near it."""
    way = source - points
    square = np.square(way).sum(-1)
    return np.asarray(np.maximum((way * normals).sum(-1), 0.15) / (square + 0.25) ** 1.5)


def ground(random: Random, d: np.ndarray, bright: float, tall: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Land and what stands on it: its light, (H, 2H, 3), and where it hides the sky, (H, 2H, 1)."""
    yaw, up = np.arctan2(d[..., 0], -d[..., 2]), d[..., 1]
    kind = random.integers(3) if not tall else 1
    around = np.stack([np.sin(yaw), np.cos(yaw), 0 * yaw], -1)
    if kind == 0:  # hills
        line = 0.06 + 0.05 * noise(random, around, 2.0)
    elif kind == 1:  # houses
        count = int(random.integers(14, 40))
        roofs = random.uniform(0.02, max(0.3, 1.6 * tall), count) * random.choice([0.5, 1])
        line = roofs[np.minimum(((yaw / (2 * np.pi) + 0.5) * count).astype(int), count - 1)]
    else:  # trees
        line = 0.12 + 0.1 * noise(random, around, 3.0) + 0.04 * noise(random, around, 22.0)
    edge = np.clip((line - up) * len(d) / 3, 0, 1)[..., None]
    soil = np.array(((0.16, 0.2, 0.07), (0.25, 0.24, 0.23), (0.4, 0.33, 0.22), (0.1, 0.1, 0.11)))[random.integers(4)]
    stand = np.array(((0.10, 0.15, 0.07), (0.35, 0.3, 0.26), (0.06, 0.1, 0.04)))[kind]
    below = d / np.maximum(-up, 0.03)[..., None]
    grain = 1 + 0.25 * noise(random, np.clip(below, -20, 20) * [1, 0, 1] / 8, 8.0)[..., None]
    upright = 1 + 0.3 * noise(random, d, 14.0)[..., None]
    land = np.where(up[..., None] < 0, soil * grain, stand * upright)
    return np.maximum(land, 0) * bright, edge


def windows(random: Random, d: np.ndarray, share: float) -> np.ndarray:
    """Lit windows of houses far away, warm and cool."""
    yaw, up = np.arctan2(d[..., 0], -d[..., 2]), d[..., 1]
    x, y = yaw / (2 * np.pi) * 110, up * 34
    column, row = np.floor(x).astype(int) % 110, np.clip(np.floor(y).astype(int), 0, 39)
    lit = (random.random((40, 110)) < share) * random.uniform(0.3, 1.5, (40, 110))
    colour = np.stack([black_body(k) for k in (2600, 3200, 4500)])[random.integers(3, size=(40, 110))]
    inside = (np.abs(x - np.floor(x) - 0.5) < 0.28) & (np.abs(y - np.floor(y) - 0.5) < 0.32) & (up > 0.02)
    return np.asarray((lit[..., None] * colour)[row, column] * inside[..., None])


def noise(random: Random, points: np.ndarray, frequency: float) -> np.ndarray:
    """Smooth noise of mean 0 and deviation about 1 at points (..., 3), two octaves: sums of random waves."""
    total = np.zeros(points.shape[:-1], np.float32)
    flat = points.astype(np.float32)
    for octave, weight in ((1.0, 0.8), (2.7, 0.5)):
        waves = random.standard_normal((3, 10)).astype(np.float32) * np.float32(frequency * octave * 0.6)
        phase = random.uniform(0, 2 * np.pi, 10).astype(np.float32)
        total += weight * np.cos(flat @ waves + phase).sum(-1) * np.float32((2 / 10) ** 0.5)
    return total
