"""Environments that are drawn: skies, rooms, streets, stages, fires; some move and flicker.

Each function draws one at random and gives it as layers, whose gains and turns are functions of time. Radiance is in
no unit in particular: a camera exposes for what it sees. What is kept is the balance within a scene: a clear sun gives
several times the light of its sky, a lamp hundreds of times that of the wall beside it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harmovid.light.drawing import (
    bars,
    black_body,
    box,
    falloff,
    flicker,
    ground,
    lamp,
    mixed,
    noise,
    panel,
    smooth,
    towards,
    unit,
    vivid,
    windows,
)
from harmovid.light.environment import Environment, Layer, directions

HEIGHT = 256  # of maps that are drawn

Random = np.random.Generator


def draw(random: Random, frames: int = 1, rate: float = 24.0, kind: str | None = None,
         height: int = HEIGHT) -> Environment:
    """A random environment of `frames` frames at `rate` a second; of `kind`, a name in KINDS, if one is given."""
    name = kind or str(random.choice(list(KINDS)))
    made = KINDS[name](random, np.arange(frames) / rate, height)
    return Environment(made.layers, name)


def _sun_and_sky(random: Random, time: np.ndarray, height: int) -> Environment:
    d = directions(height)
    up = d[..., 1]
    elevation = np.radians(random.uniform(4, 62))
    sun = towards(random.uniform(-np.pi, np.pi), elevation)
    low = np.exp(-elevation / 0.22)
    near = np.maximum(d @ sun, 0)
    zenith, rim = mixed((0.16, 0.33, 0.75), (0.18, 0.26, 0.5), low), mixed((0.65, 0.78, 0.95), (1.0, 0.62, 0.32), low)
    fall = np.exp(-np.maximum(up, 0) / random.uniform(0.12, 0.3))[..., None]
    colour = black_body(5600 - 3300 * low)
    sky = zenith * (1 - fall) + rim * fall + (0.9 * near[..., None] ** 12 + 1.4 * near[..., None] ** 90) * colour
    cover = random.uniform(-0.4, 0.5)
    cloud = smooth(noise(random, d * [1, 2.2, 1], 3.0), 0.2 - cover, 1.1 - cover)[..., None] * (up > 0)[..., None]
    sky = sky * (1 - cloud) + cloud * (0.75 + 1.1 * near[..., None] ** 4 * colour)
    land, edge = ground(random, d, 0.9 * float(np.sin(elevation)) + 0.35)
    land = land * mixed((1, 1, 1), colour, 0.6)
    clear = 1.0 - 0.85 * float(np.clip(cover + 0.1, 0, 1)) * random.random()
    light = sky * (1 - edge) + land * edge
    # Sun and sky by what they give a level surface: 1.5 to 7 times as much from the sun.
    given = 7 * clear * float(np.sin(elevation) ** 0.3) * colour * (1 - 0.6 * low)
    return _still(light + lamp(d, sun, 0.02, given) * (1 - edge))


def _overcast(random: Random, time: np.ndarray, height: int) -> Environment:
    d = directions(height)
    up = np.maximum(d[..., 1], 0)[..., None]
    grey = (1 + 2 * up) / 3 * mixed((0.8, 0.87, 1.0), (1, 0.98, 0.94), random.random())
    grey = grey * (1 + 0.18 * noise(random, d, 2.5)[..., None])
    land, edge = ground(random, d, 0.8)
    return _still(grey * (1 - edge) + land * edge)


def _dusk(random: Random, time: np.ndarray, height: int) -> Environment:
    d = directions(height)
    up = d[..., 1:2]
    west = towards(random.uniform(-np.pi, np.pi), 0.02)
    sunward = (np.maximum(d @ west, 0) ** random.uniform(1.5, 5))[..., None]
    glow = np.exp(-np.maximum(up, 0) / random.uniform(0.1, 0.25)) * sunward
    band = np.array(((1.0, 0.36, 0.10), (1.0, 0.28, 0.3), (1.0, 0.55, 0.18)))[random.integers(3)]
    sky = np.array((0.05, 0.09, 0.22)) * (0.6 + 0.4 * np.exp(-np.maximum(up, 0) / 0.5))
    sky = sky + random.uniform(1, 3) * glow * band
    cloud = smooth(noise(random, d * [1, 3, 1], 3.0), 0.3, 1.2)[..., None]
    sky = sky * (1 - 0.5 * cloud) + cloud * (0.05 + 1.3 * glow) * np.array((1, 0.4, 0.3))
    land, edge = ground(random, d, 0.07)
    lit = windows(random, d, 0.25) * edge
    return _still(sky * (1 - edge) + land * edge * (0.4 + sunward) + 0.6 * lit)


def _night_street(random: Random, time: np.ndarray, height: int) -> Environment:
    d = directions(height)
    sky = np.array((0.004, 0.006, 0.016)) * (1 + 2 * np.exp(-np.maximum(d[..., 1:2], 0) / 0.2))
    land, edge = ground(random, d, 0.03, tall=0.45)
    light = sky * (1 - edge) + land * edge * 0.5 + 0.35 * windows(random, d, 0.12) * edge
    colour = black_body(random.choice([1900, 2300, 3000, 4500]))
    lamps = np.zeros_like(light)
    for _ in range(int(random.integers(3, 8))):
        where = towards(random.uniform(-np.pi, np.pi), random.uniform(0.08, 0.9))
        lamps += lamp(d, where, random.uniform(0.02, 0.04), random.uniform(0.1, 0.7) * colour)
        below = towards(np.arctan2(where[0], -where[2]), random.uniform(-0.7, -0.3))
        lamps += 0.04 * np.exp(-(1 - d @ below) / 0.06)[..., None] * colour
    sign = panel(d, towards(random.uniform(-np.pi, np.pi), 0.15), random.uniform(0.1, 0.4), 0.1) * vivid(random)
    moonlight = random.uniform(0, 0.03) * np.array((0.6, 0.8, 1.2))
    moon = lamp(d, towards(random.uniform(-np.pi, np.pi), 0.7), 0.02, moonlight)
    return Environment((_layer(light + lamps + moon), _layer(1.2 * sign, flicker(random, time, 7, 0.15))))


def _passing_lamps(random: Random, time: np.ndarray, height: int) -> Environment:
    """Driven through a town at night: lamps come, pass overhead from one side to the other, and go."""
    d = directions(height)
    dark = np.array((0.006, 0.009, 0.02)) * (1 + np.exp(-np.abs(d[..., 1:2]) / 0.2))
    land, edge = ground(random, d, 0.03, tall=0.3)
    board = panel(d, towards(random.uniform(-0.5, 0.5) + np.pi, -0.4), 0.5, 0.12) * np.array((0.2, 0.5, 0.9)) * 0.15
    layers = [_layer(dark * (1 - edge) + 0.4 * land * edge + board)]
    city = 0.4 * windows(random, d, 0.15) * edge
    side, pace = random.choice([-1, 1]), random.uniform(0.5, 1.6)
    layers.append(_layer(city, turn=side * 0.25 * pace * time))
    colour = black_body(random.choice([1900, 2100, 3200, 4800]))
    for n in range(2):
        phase = (time * pace * 0.6 + n / 2 + random.random() * 0.1) % 1
        bright = np.sin(np.pi * phase) ** 3
        post = lamp(d, towards(0, 0.55), 0.05, 1.3 * colour)
        post = post + 0.02 * np.exp(-(1 - d @ towards(0, 0.4)) / 0.1)[..., None] * colour
        behind = np.pi if random.random() < 0.5 else 0.0
        layers.append(_layer(post, bright, side * (phase - 0.5) * 1.5 * np.pi + behind))
    return Environment(tuple(layers))


def _room(random: Random, time: np.ndarray, height: int) -> Environment:
    daylight = black_body(random.uniform(5500, 9500))
    light, d = np.zeros((height, 2 * height, 3)), directions(height)
    points, normals, wall = box(random, d)
    panes = []
    for _ in range(int(random.integers(1, 4))):
        yaw = random.choice([-np.pi / 2, 0, np.pi / 2, np.pi]) + random.uniform(-0.5, 0.5)
        panes.append((towards(yaw, random.uniform(0.05, 0.35)), random.uniform(0.25, 0.8), random.uniform(0.4, 0.7)))
    warm = black_body(random.uniform(2400, 3500))
    power = random.uniform(0.0, 0.8)
    bulb = towards(random.uniform(-np.pi, np.pi), random.uniform(0.2, 1.2))
    bounce = 0.10 + 0.05 * random.random()
    lit = bounce * daylight + 0.05 * power * warm
    for where, wide, tall in panes:
        lit = lit + wide * tall * falloff(points, normals, where * 2.2)[..., None] * daylight * 3.0
    lit = lit + power * falloff(points, normals, bulb * 1.6)[..., None] * warm * 0.7
    light = wall * lit
    for where, wide, tall in panes:
        pane = panel(d, where, wide, tall) * (1 - 0.8 * bars(d, where, wide, tall))
        outside = daylight * (0.7 + 0.9 * smooth(d[..., 1:2], -0.1, 0.4))
        outside = outside * (1 + 0.25 * noise(random, d, 6.0)[..., None])
        light = light * (1 - pane) + 2.6 * outside * pane
    return _still(light + lamp(d, bulb, 0.09, power * 0.9 * warm))


def _screens(random: Random, time: np.ndarray, height: int) -> Environment:
    """A dim room and a screen before the person, whose picture changes with cuts."""
    d = directions(height)
    points, normals, wall = box(random, d)
    warm = black_body(random.uniform(2200, 3200))
    bulb = towards(random.uniform(-1.3, 1.3), random.uniform(-0.1, 0.6))
    dim = random.uniform(0.02, 0.3)
    lit = dim * 0.35 * falloff(points, normals, bulb * 1.8)[..., None] * warm
    room = wall * (0.012 * np.array((0.7, 0.9, 1.3)) + lit)
    room = room + lamp(d, bulb, 0.07, dim * 0.4 * warm)
    where = towards(np.pi + random.uniform(-0.9, 0.9), random.uniform(-0.25, 0.15))
    screen = panel(d, where, random.uniform(0.35, 0.9), random.uniform(0.25, 0.5)) + 0.05 * wall * falloff(
        points, normals, where * 1.2)[..., None]
    shots = (np.cumsum(random.random(len(time)) < 0.03) if len(time) > 1 else np.zeros(1)).astype(int)
    tones = np.array([mixed(black_body(random.uniform(5000, 12000)), vivid(random), 0.6 * random.random())
                      * random.uniform(0.4, 2.0) for _ in range(shots.max() + 1)])
    return Environment((_layer(room), _layer(screen, tones[shots] * flicker(random, time, 3, 0.12)[:, None])))


def _neon(random: Random, time: np.ndarray, height: int) -> Environment:
    d = directions(height)
    points, normals, wall = box(random, d)
    layers = [_layer(wall * 0.02 * np.array((0.8, 0.7, 1.2)))]
    hues = [vivid(random), vivid(random)]
    for n in range(int(random.integers(3, 7))):
        where = towards(random.uniform(-np.pi, np.pi), random.uniform(-0.25, 0.6))
        tilt, long = random.choice([0, 1]), random.uniform(0.3, 1.0)
        tube = panel(d, where, *((long, 0.035) if tilt else (0.035, long)))
        colour = hues[n % 2]
        glow = wall * falloff(points, normals, where * 1.9)[..., None] * 0.35 * long
        buzz = flicker(random, time, 12, 0.05 if random.random() < 0.7 else 0.7)
        layers.append(_layer((7 * tube * (0.8 * colour + 0.2) + glow * colour), buzz))
    return Environment(tuple(layers))


def _stage(random: Random, time: np.ndarray, height: int) -> Environment:
    d = directions(height)
    floor = np.exp(-np.square((d[..., 1:2] + 0.5) / 0.35))
    haze = vivid(random)
    layers = [_layer(0.015 * haze * (0.4 + floor) + 0.02 * np.exp(-np.abs(d[..., 1:2]) / 0.15))]
    if random.random() < 0.5:  # a wall of light behind
        wall = panel(d, towards(random.uniform(-0.3, 0.3), 0.15), 1.0, 0.5)
        wall = wall * (0.5 + 0.5 * np.sin(14 * d[..., :1]) ** 2)
        layers.append(_layer(0.5 * wall * vivid(random), flicker(random, time, 3, 0.4)))
    hues = [mixed(vivid(random), (1, 1, 1), 0.25 * random.random()) for _ in range(2)] + [black_body(3200)]
    for n in range(int(random.integers(3, 8))):
        where = towards(0, random.uniform(0.35, 1.0))
        spot = lamp(d, where, 0.035, random.uniform(0.4, 1.6) * hues[n % 3])
        beam = 0.12 * np.exp(-(1 - d @ where) / 0.03)[..., None] * hues[n % 3]
        start, sweep = random.uniform(-np.pi, np.pi), random.uniform(-0.8, 0.8) * (random.random() < 0.6)
        gain = np.ones(len(time))
        if random.random() < 0.3:  # one that beats
            gain = np.where(np.sin(2 * np.pi * (time * random.uniform(0.7, 2) + random.random())) > 0, 1.15, 0.15)
        layers.append(_layer(spot + beam, gain, start + sweep * np.sin(1.5 * time + random.uniform(0, 6))))
    return Environment(tuple(layers))


def _fire(random: Random, time: np.ndarray, height: int) -> Environment:
    d = directions(height)
    land, edge = ground(random, d, 0.012, tall=0.5)
    night = np.array((0.003, 0.005, 0.012)) * (1 - edge) + land * edge * 0.4
    yaw = random.choice([random.uniform(-0.9, 0.9), np.pi + random.uniform(-1.1, 1.1)])
    heart = towards(yaw, random.uniform(-0.5, -0.15))
    layers = [_layer(night + 0.05 * np.exp(-(1 - d @ heart) / 0.25)[..., None] * black_body(1900))]
    whole = flicker(random, time, 7, 0.18)
    for _ in range(5):
        tongue = unit(heart + 0.16 * random.standard_normal(3) * [1, 0.8, 1] + [0, 0.06, 0])
        near = np.arccos(np.clip(d @ tongue, -1, 1)) / random.uniform(0.08, 0.16)
        flame = np.exp(-(near**2)) * np.exp(0.7 * noise(random, d * [1, 0.5, 1], 9.0))
        core = mixed(black_body(1700), black_body(2300), random.random())
        layers.append(_layer(3.5 * flame[..., None] * core, whole * flicker(random, time, 10, 0.3),
                             0.04 * np.log(flicker(random, time, 5, 1.0))))
    return Environment(tuple(layers))


def _studio(random: Random, time: np.ndarray, height: int) -> Environment:
    d = directions(height)
    cloth = mixed((0.5, 0.5, 0.5), vivid(random), 0.5 * random.random() ** 2) * random.uniform(0.03, 0.5)
    light = cloth * (0.35 + 0.65 * np.exp(-(1 - d @ towards(0, random.uniform(-0.1, 0.3))) / 0.15))[..., None]
    light = light * (0.25 + 0.75 * smooth(-d[..., 2:3], -0.2, 0.6))
    for n in range(int(random.integers(1, 4))):  # key, fill, rim
        yaw = (np.pi + random.choice([-1, 1]) * random.uniform(0.3, 1.3), np.pi + random.uniform(-1.4, 1.4),
               random.choice([-1, 1]) * random.uniform(0.5, 1.2))[n]
        where = towards(yaw, random.uniform(0.1, 0.9))
        colour = mixed(black_body(random.uniform(3200, 7000)), vivid(random), 0.8 * (random.random() < 0.2))
        wide, tall = random.uniform(0.08, 0.45), random.uniform(0.12, 0.45)
        bright = (1.0, random.uniform(0.1, 0.5), random.uniform(0.3, 1.5))[n] / (wide * tall)
        light = light + bright * panel(d, where, wide, tall) * colour
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
