"""Environments that are drawn: skies, rooms, streets, stages, fires; some move and flicker.

Each function draws one at random and gives it as layers, whose gains and turns are functions of time. Radiance is in
no unit in particular: a camera exposes for what it sees. What is kept is the balance within a scene: a clear sun gives
several times the light of its sky, a lamp hundreds of times that of the wall beside it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harmovid.light.environment import Environment, Layer, directions, solid_angles

HEIGHT = 256  # of maps that are drawn

Random = np.random.Generator


def draw(random: Random, frames: int = 1, rate: float = 24.0, kind: str | None = None,
         height: int = HEIGHT) -> Environment:
    """A random environment of `frames` frames at `rate` a second; of `kind`, a name in KINDS, if one is given."""
    name = kind or str(random.choice(list(KINDS)))
    made = KINDS[name](random, np.arange(frames) / rate, height)
    return Environment(made.layers, name)


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


def _sun_and_sky(random: Random, time: np.ndarray, height: int) -> Environment:
    d = directions(height)
    up = d[..., 1]
    elevation = np.radians(random.uniform(4, 62))
    sun = _towards(random.uniform(-np.pi, np.pi), elevation)
    low = np.exp(-elevation / 0.22)
    near = np.maximum(d @ sun, 0)
    zenith, rim = _mixed((0.16, 0.33, 0.75), (0.18, 0.26, 0.5), low), _mixed((0.65, 0.78, 0.95), (1.0, 0.62, 0.32), low)
    fall = np.exp(-np.maximum(up, 0) / random.uniform(0.12, 0.3))[..., None]
    colour = black_body(5600 - 3300 * low)
    sky = zenith * (1 - fall) + rim * fall + (0.9 * near[..., None] ** 12 + 1.4 * near[..., None] ** 90) * colour
    cover = random.uniform(-0.4, 0.5)
    cloud = _smooth(_noise(random, d * [1, 2.2, 1], 3.0), 0.2 - cover, 1.1 - cover)[..., None] * (up > 0)[..., None]
    sky = sky * (1 - cloud) + cloud * (0.75 + 1.1 * near[..., None] ** 4 * colour)
    land, edge = _ground(random, d, 0.9 * float(np.sin(elevation)) + 0.35)
    land = land * _mixed((1, 1, 1), colour, 0.6)
    clear = 1.0 - 0.85 * float(np.clip(cover + 0.1, 0, 1)) * random.random()
    light = sky * (1 - edge) + land * edge
    # Sun and sky by what they give a level surface: 1.5 to 7 times as much from the sun.
    given = 7 * clear * float(np.sin(elevation) ** 0.3) * colour * (1 - 0.6 * low)
    return _still(light + _lamp(d, sun, 0.02, given) * (1 - edge))


def _overcast(random: Random, time: np.ndarray, height: int) -> Environment:
    d = directions(height)
    up = np.maximum(d[..., 1], 0)[..., None]
    grey = (1 + 2 * up) / 3 * _mixed((0.8, 0.87, 1.0), (1, 0.98, 0.94), random.random())
    grey = grey * (1 + 0.18 * _noise(random, d, 2.5)[..., None])
    land, edge = _ground(random, d, 0.8)
    return _still(grey * (1 - edge) + land * edge)


def _dusk(random: Random, time: np.ndarray, height: int) -> Environment:
    d = directions(height)
    up = d[..., 1:2]
    west = _towards(random.uniform(-np.pi, np.pi), 0.02)
    towards = (np.maximum(d @ west, 0) ** random.uniform(1.5, 5))[..., None]
    glow = np.exp(-np.maximum(up, 0) / random.uniform(0.1, 0.25)) * towards
    band = np.array(((1.0, 0.36, 0.10), (1.0, 0.28, 0.3), (1.0, 0.55, 0.18)))[random.integers(3)]
    sky = np.array((0.05, 0.09, 0.22)) * (0.6 + 0.4 * np.exp(-np.maximum(up, 0) / 0.5))
    sky = sky + random.uniform(1, 3) * glow * band
    cloud = _smooth(_noise(random, d * [1, 3, 1], 3.0), 0.3, 1.2)[..., None]
    sky = sky * (1 - 0.5 * cloud) + cloud * (0.05 + 1.3 * glow) * np.array((1, 0.4, 0.3))
    land, edge = _ground(random, d, 0.07)
    lit = _windows(random, d, 0.25) * edge
    return _still(sky * (1 - edge) + land * edge * (0.4 + towards) + 0.6 * lit)


def _night_street(random: Random, time: np.ndarray, height: int) -> Environment:
    d = directions(height)
    sky = np.array((0.004, 0.006, 0.016)) * (1 + 2 * np.exp(-np.maximum(d[..., 1:2], 0) / 0.2))
    land, edge = _ground(random, d, 0.03, tall=0.45)
    light = sky * (1 - edge) + land * edge * 0.5 + 0.35 * _windows(random, d, 0.12) * edge
    colour = black_body(random.choice([1900, 2300, 3000, 4500]))
    lamps = np.zeros_like(light)
    for _ in range(int(random.integers(3, 8))):
        where = _towards(random.uniform(-np.pi, np.pi), random.uniform(0.08, 0.9))
        lamps += _lamp(d, where, random.uniform(0.02, 0.04), random.uniform(0.1, 0.7) * colour)
        below = _towards(np.arctan2(where[0], -where[2]), random.uniform(-0.7, -0.3))
        lamps += 0.04 * np.exp(-(1 - d @ below) / 0.06)[..., None] * colour
    sign = _panel(d, _towards(random.uniform(-np.pi, np.pi), 0.15), random.uniform(0.1, 0.4), 0.1) * _vivid(random)
    moonlight = random.uniform(0, 0.03) * np.array((0.6, 0.8, 1.2))
    moon = _lamp(d, _towards(random.uniform(-np.pi, np.pi), 0.7), 0.02, moonlight)
    return Environment((_layer(light + lamps + moon), _layer(1.2 * sign, flicker(random, time, 7, 0.15))))


def _passing_lamps(random: Random, time: np.ndarray, height: int) -> Environment:
    """Driven through a town at night: lamps come, pass overhead from one side to the other, and go."""
    d = directions(height)
    dark = np.array((0.006, 0.009, 0.02)) * (1 + np.exp(-np.abs(d[..., 1:2]) / 0.2))
    land, edge = _ground(random, d, 0.03, tall=0.3)
    board = _panel(d, _towards(random.uniform(-0.5, 0.5) + np.pi, -0.4), 0.5, 0.12) * np.array((0.2, 0.5, 0.9)) * 0.15
    layers = [_layer(dark * (1 - edge) + 0.4 * land * edge + board)]
    city = 0.4 * _windows(random, d, 0.15) * edge
    side, pace = random.choice([-1, 1]), random.uniform(0.5, 1.6)
    layers.append(_layer(city, turn=side * 0.25 * pace * time))
    colour = black_body(random.choice([1900, 2100, 3200, 4800]))
    for n in range(2):
        phase = (time * pace * 0.6 + n / 2 + random.random() * 0.1) % 1
        bright = np.sin(np.pi * phase) ** 3
        lamp = _lamp(d, _towards(0, 0.55), 0.05, 1.3 * colour)
        lamp = lamp + 0.02 * np.exp(-(1 - d @ _towards(0, 0.4)) / 0.1)[..., None] * colour
        behind = np.pi if random.random() < 0.5 else 0.0
        layers.append(_layer(lamp, bright, side * (phase - 0.5) * 1.5 * np.pi + behind))
    return Environment(tuple(layers))


def _room(random: Random, time: np.ndarray, height: int) -> Environment:
    daylight = black_body(random.uniform(5500, 9500))
    light, d = np.zeros((height, 2 * height, 3)), directions(height)
    points, normals, wall = _box(random, d)
    panes = []
    for _ in range(int(random.integers(1, 4))):
        yaw = random.choice([-np.pi / 2, 0, np.pi / 2, np.pi]) + random.uniform(-0.5, 0.5)
        panes.append((_towards(yaw, random.uniform(0.05, 0.35)), random.uniform(0.25, 0.8), random.uniform(0.4, 0.7)))
    warm = black_body(random.uniform(2400, 3500))
    power = random.uniform(0.0, 0.8)
    bulb = _towards(random.uniform(-np.pi, np.pi), random.uniform(0.2, 1.2))
    bounce = 0.10 + 0.05 * random.random()
    lit = bounce * daylight + 0.05 * power * warm
    for where, wide, tall in panes:
        lit = lit + wide * tall * _falloff(points, normals, where * 2.2)[..., None] * daylight * 3.0
    lit = lit + power * _falloff(points, normals, bulb * 1.6)[..., None] * warm * 0.7
    light = wall * lit
    for where, wide, tall in panes:
        pane = _panel(d, where, wide, tall) * (1 - 0.8 * _bars(d, where, wide, tall))
        outside = daylight * (0.7 + 0.9 * _smooth(d[..., 1:2], -0.1, 0.4))
        outside = outside * (1 + 0.25 * _noise(random, d, 6.0)[..., None])
        light = light * (1 - pane) + 2.6 * outside * pane
    return _still(light + _lamp(d, bulb, 0.09, power * 0.9 * warm))


def _screens(random: Random, time: np.ndarray, height: int) -> Environment:
    """A dim room and a screen before the person, whose picture changes with cuts."""
    d = directions(height)
    points, normals, wall = _box(random, d)
    warm = black_body(random.uniform(2200, 3200))
    bulb = _towards(random.uniform(-1.3, 1.3), random.uniform(-0.1, 0.6))
    dim = random.uniform(0.02, 0.3)
    lit = dim * 0.35 * _falloff(points, normals, bulb * 1.8)[..., None] * warm
    room = wall * (0.012 * np.array((0.7, 0.9, 1.3)) + lit)
    room = room + _lamp(d, bulb, 0.07, dim * 0.4 * warm)
    where = _towards(np.pi + random.uniform(-0.9, 0.9), random.uniform(-0.25, 0.15))
    screen = _panel(d, where, random.uniform(0.35, 0.9), random.uniform(0.25, 0.5)) + 0.05 * wall * _falloff(
        points, normals, where * 1.2)[..., None]
    shots = (np.cumsum(random.random(len(time)) < 0.03) if len(time) > 1 else np.zeros(1)).astype(int)
    tones = np.array([_mixed(black_body(random.uniform(5000, 12000)), _vivid(random), 0.6 * random.random())
                      * random.uniform(0.4, 2.0) for _ in range(shots.max() + 1)])
    return Environment((_layer(room), _layer(screen, tones[shots] * flicker(random, time, 3, 0.12)[:, None])))


def _neon(random: Random, time: np.ndarray, height: int) -> Environment:
    d = directions(height)
    points, normals, wall = _box(random, d)
    layers = [_layer(wall * 0.02 * np.array((0.8, 0.7, 1.2)))]
    hues = [_vivid(random), _vivid(random)]
    for n in range(int(random.integers(3, 7))):
        where = _towards(random.uniform(-np.pi, np.pi), random.uniform(-0.25, 0.6))
        tilt, long = random.choice([0, 1]), random.uniform(0.3, 1.0)
        tube = _panel(d, where, *((long, 0.035) if tilt else (0.035, long)))
        colour = hues[n % 2]
        glow = wall * _falloff(points, normals, where * 1.9)[..., None] * 0.35 * long
        buzz = flicker(random, time, 12, 0.05 if random.random() < 0.7 else 0.7)
        layers.append(_layer((7 * tube * (0.8 * colour + 0.2) + glow * colour), buzz))
    return Environment(tuple(layers))


def _stage(random: Random, time: np.ndarray, height: int) -> Environment:
    d = directions(height)
    floor = np.exp(-np.square((d[..., 1:2] + 0.5) / 0.35))
    haze = _vivid(random)
    layers = [_layer(0.015 * haze * (0.4 + floor) + 0.02 * np.exp(-np.abs(d[..., 1:2]) / 0.15))]
    if random.random() < 0.5:  # a wall of light behind
        wall = _panel(d, _towards(random.uniform(-0.3, 0.3), 0.15), 1.0, 0.5)
        wall = wall * (0.5 + 0.5 * np.sin(14 * d[..., :1]) ** 2)
        layers.append(_layer(0.5 * wall * _vivid(random), flicker(random, time, 3, 0.4)))
    hues = [_mixed(_vivid(random), (1, 1, 1), 0.25 * random.random()) for _ in range(2)] + [black_body(3200)]
    for n in range(int(random.integers(3, 8))):
        where = _towards(0, random.uniform(0.35, 1.0))
        lamp = _lamp(d, where, 0.035, random.uniform(0.4, 1.6) * hues[n % 3])
        beam = 0.12 * np.exp(-(1 - d @ where) / 0.03)[..., None] * hues[n % 3]
        start, sweep = random.uniform(-np.pi, np.pi), random.uniform(-0.8, 0.8) * (random.random() < 0.6)
        gain = np.ones(len(time))
        if random.random() < 0.3:  # one that beats
            gain = np.where(np.sin(2 * np.pi * (time * random.uniform(0.7, 2) + random.random())) > 0, 1.15, 0.15)
        layers.append(_layer(lamp + beam, gain, start + sweep * np.sin(1.5 * time + random.uniform(0, 6))))
    return Environment(tuple(layers))


def _fire(random: Random, time: np.ndarray, height: int) -> Environment:
    d = directions(height)
    land, edge = _ground(random, d, 0.012, tall=0.5)
    night = np.array((0.003, 0.005, 0.012)) * (1 - edge) + land * edge * 0.4
    yaw = random.choice([random.uniform(-0.9, 0.9), np.pi + random.uniform(-1.1, 1.1)])
    heart = _towards(yaw, random.uniform(-0.5, -0.15))
    layers = [_layer(night + 0.05 * np.exp(-(1 - d @ heart) / 0.25)[..., None] * black_body(1900))]
    whole = flicker(random, time, 7, 0.18)
    for _ in range(5):
        tongue = _unit(heart + 0.16 * random.standard_normal(3) * [1, 0.8, 1] + [0, 0.06, 0])
        near = np.arccos(np.clip(d @ tongue, -1, 1)) / random.uniform(0.08, 0.16)
        flame = np.exp(-(near**2)) * np.exp(0.7 * _noise(random, d * [1, 0.5, 1], 9.0))
        core = _mixed(black_body(1700), black_body(2300), random.random())
        layers.append(_layer(3.5 * flame[..., None] * core, whole * flicker(random, time, 10, 0.3),
                             0.04 * np.log(flicker(random, time, 5, 1.0))))
    return Environment(tuple(layers))


def _studio(random: Random, time: np.ndarray, height: int) -> Environment:
    d = directions(height)
    cloth = _mixed((0.5, 0.5, 0.5), _vivid(random), 0.5 * random.random() ** 2) * random.uniform(0.03, 0.5)
    light = cloth * (0.35 + 0.65 * np.exp(-(1 - d @ _towards(0, random.uniform(-0.1, 0.3))) / 0.15))[..., None]
    light = light * (0.25 + 0.75 * _smooth(-d[..., 2:3], -0.2, 0.6))
    for n in range(int(random.integers(1, 4))):  # key, fill, rim
        yaw = (np.pi + random.choice([-1, 1]) * random.uniform(0.3, 1.3), np.pi + random.uniform(-1.4, 1.4),
               random.choice([-1, 1]) * random.uniform(0.5, 1.2))[n]
        where = _towards(yaw, random.uniform(0.1, 0.9))
        colour = _mixed(black_body(random.uniform(3200, 7000)), _vivid(random), 0.8 * (random.random() < 0.2))
        wide, tall = random.uniform(0.08, 0.45), random.uniform(0.12, 0.45)
        bright = (1.0, random.uniform(0.1, 0.5), random.uniform(0.3, 1.5))[n] / (wide * tall)
        light = light + bright * _panel(d, where, wide, tall) * colour
    return _still(light)


KINDS: dict[str, Callable[[Random, np.ndarray, int], Environment]] = {
    "sun and sky": _sun_and_sky, "overcast": _overcast, "dusk": _dusk, "night street": _night_street,
    "passing lamps": _passing_lamps, "room": _room, "screens": _screens, "neon": _neon, "stage": _stage,
    "fire": _fire, "studio": _studio,
}
"""Every kind that can be drawn, by name."""


def _still(pixels: np.ndarray) -> Environment:
    return Environment((_layer(pixels),))


def _layer(pixels: np.ndarray, gain: np.ndarray | None = None, turn: np.ndarray | None = None) -> Layer:
    """gain: (T,) or (T, 3)."""
    g = np.ones((1, 3)) if gain is None else np.broadcast_to(gain if gain.ndim == 2 else gain[:, None], (len(gain), 3))
    return Layer(np.maximum(pixels, 0).astype(np.float32), g.astype(np.float32),
                 np.zeros(1) if turn is None else np.asarray(turn, np.float64))


def _towards(yaw: float, elevation: float) -> np.ndarray:
    """Unit vector `yaw` to the right of −z and `elevation` above the horizon."""
    c = np.cos(elevation)
    return np.array([c * np.sin(yaw), np.sin(elevation), -c * np.cos(yaw)])


def _unit(v: np.ndarray) -> np.ndarray:
    return np.asarray(v / np.linalg.norm(v))


def _mixed(a: object, b: object, share: float) -> np.ndarray:
    return np.asarray(a) * (1 - share) + np.asarray(b) * share


def _smooth(x: np.ndarray, low: float, high: float) -> np.ndarray:
    u = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(u * u * (3 - 2 * u))


def _vivid(random: Random) -> np.ndarray:
    """A saturated colour of luminance about 0.5."""
    hue = random.random() * 6
    rgb = np.clip(np.abs((hue + np.array([0, 4, 2])) % 6 - 3) - 1, 0.03, 1)
    return np.asarray(rgb / (0.5 + rgb @ [0.3, 0.6, 0.1]))


def _lamp(d: np.ndarray, where: np.ndarray, radius: float, given: np.ndarray) -> np.ndarray:
    """A disc with a soft edge that gives a surface facing it the irradiance `given` · π, however large it is."""
    near = np.arccos(np.clip(d @ where, -1, 1))
    # No smaller than the map's pixels can tell, or its light would change as it is turned.
    soft = max(radius, 2.2 * np.pi / len(d))
    disc = np.clip(1.5 - near / soft, 0, 1)[..., None]
    return np.asarray(disc * (np.asarray(given) * np.pi / float((disc * solid_angles(len(d))[..., None]).sum())))


def _panel(d: np.ndarray, where: np.ndarray, wide: float, tall: float) -> np.ndarray:
    """A rectangle that faces the person, half sides in tangents of angles; (H, 2H, 1), soft by a pixel or two."""
    x, y, ahead = _across(d, where)
    soft = 2 * np.pi / len(d)
    inside = np.clip((wide - np.abs(x)) / soft + 0.5, 0, 1) * np.clip((tall - np.abs(y)) / soft + 0.5, 0, 1)
    return np.asarray((inside * (ahead > 0.05))[..., None])


def _bars(d: np.ndarray, where: np.ndarray, wide: float, tall: float) -> np.ndarray:
    """The cross in a window."""
    x, y, _ = _across(d, where)
    return np.asarray(((np.abs(x) < 0.025) | (np.abs(y - 0.15 * tall) < 0.025)).astype(np.float32)[..., None])


def _across(d: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    right = _unit(np.cross(where, [0, 1, 0]) + 1e-9)
    ahead = d @ where
    far = np.maximum(ahead, 0.05)
    return (d @ right) / far, (d @ np.cross(right, where)) / far, ahead


def _box(random: Random, d: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A room around the person: points on its walls, their normals inwards, and their colours, all (H, 2H, 3)."""
    size = np.array([random.uniform(1.8, 4), 1.3, random.uniform(1.8, 4)])
    reach = size / np.maximum(np.abs(d), 1e-4)
    side = reach.argmin(-1)
    points = d * reach.min(-1, keepdims=True)
    normals = -np.sign(d) * np.eye(3)[side]
    paint = _mixed((0.7, 0.68, 0.62), _vivid(random), random.choice([0.0, 0.1, 0.35]))
    wood = np.array((0.36, 0.22, 0.12)) * random.uniform(0.5, 1.6)
    colour = np.where((side == 1)[..., None], np.where(d[..., 1:2] > 0, 0.78, wood), paint)
    along = np.where(side == 0, points[..., 2], points[..., 0])
    for _ in range(int(random.integers(3, 9))):  # cupboards, pictures, doors
        at, level = random.uniform(-3, 3), random.uniform(-1.2, 0.5)
        wide, tall = random.uniform(0.15, 0.8), random.uniform(0.2, 0.9)
        there = (np.abs(along - at) < wide) & (np.abs(points[..., 1] - level) < tall) & (side == random.choice([0, 2]))
        thing = _mixed(wood * random.uniform(0.3, 2), _vivid(random) * 0.6, random.random() * 0.6)
        colour = np.where((there & (np.sign(d).take(0, -1) == random.choice([-1, 1])))[..., None], thing, colour)
    return points, normals, colour * (1 + 0.08 * _noise(random, points / 4, 12.0)[..., None])


def _falloff(points: np.ndarray, normals: np.ndarray, source: np.ndarray) -> np.ndarray:
    """What a small light at `source` gives the walls: cos θ / r², held near it."""
    way = source - points
    square = np.square(way).sum(-1)
    return np.asarray(np.maximum((way * normals).sum(-1), 0.15) / (square + 0.25) ** 1.5)


def _ground(random: Random, d: np.ndarray, bright: float, tall: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Land and what stands on it: its light, (H, 2H, 3), and where it hides the sky, (H, 2H, 1)."""
    yaw, up = np.arctan2(d[..., 0], -d[..., 2]), d[..., 1]
    kind = random.integers(3) if not tall else 1
    around = np.stack([np.sin(yaw), np.cos(yaw), 0 * yaw], -1)
    if kind == 0:  # hills
        line = 0.06 + 0.05 * _noise(random, around, 2.0)
    elif kind == 1:  # houses
        count = int(random.integers(14, 40))
        roofs = random.uniform(0.02, max(0.3, 1.6 * tall), count) * random.choice([0.5, 1])
        line = roofs[np.minimum(((yaw / (2 * np.pi) + 0.5) * count).astype(int), count - 1)]
    else:  # trees
        line = 0.12 + 0.1 * _noise(random, around, 3.0) + 0.04 * _noise(random, around, 22.0)
    edge = np.clip((line - up) * len(d) / 3, 0, 1)[..., None]
    soil = np.array(((0.16, 0.2, 0.07), (0.25, 0.24, 0.23), (0.4, 0.33, 0.22), (0.1, 0.1, 0.11)))[random.integers(4)]
    stand = np.array(((0.10, 0.15, 0.07), (0.35, 0.3, 0.26), (0.06, 0.1, 0.04)))[kind]
    below = d / np.maximum(-up, 0.03)[..., None]
    grain = 1 + 0.25 * _noise(random, np.clip(below, -20, 20) * [1, 0, 1] / 8, 8.0)[..., None]
    upright = 1 + 0.3 * _noise(random, d, 14.0)[..., None]
    land = np.where(up[..., None] < 0, soil * grain, stand * upright)
    return np.maximum(land, 0) * bright, edge


def _windows(random: Random, d: np.ndarray, share: float) -> np.ndarray:
    """Lit windows of houses far away, warm and cool."""
    yaw, up = np.arctan2(d[..., 0], -d[..., 2]), d[..., 1]
    x, y = yaw / (2 * np.pi) * 110, up * 34
    column, row = np.floor(x).astype(int) % 110, np.clip(np.floor(y).astype(int), 0, 39)
    lit = (random.random((40, 110)) < share) * random.uniform(0.3, 1.5, (40, 110))
    colour = np.stack([black_body(k) for k in (2600, 3200, 4500)])[random.integers(3, size=(40, 110))]
    inside = (np.abs(x - np.floor(x) - 0.5) < 0.28) & (np.abs(y - np.floor(y) - 0.5) < 0.32) & (up > 0.02)
    return np.asarray((lit[..., None] * colour)[row, column] * inside[..., None])


def _noise(random: Random, points: np.ndarray, frequency: float) -> np.ndarray:
    """Smooth noise of mean 0 and deviation about 1 at points (..., 3), two octaves: sums of random waves."""
    total = np.zeros(points.shape[:-1], np.float32)
    flat = points.astype(np.float32)
    for octave, weight in ((1.0, 0.8), (2.7, 0.5)):
        waves = random.standard_normal((3, 10)).astype(np.float32) * np.float32(frequency * octave * 0.6)
        phase = random.uniform(0, 2 * np.pi, 10).astype(np.float32)
        total += weight * np.cos(flat @ waves + phase).sum(-1) * np.float32((2 / 10) ** 0.5)
    return total
