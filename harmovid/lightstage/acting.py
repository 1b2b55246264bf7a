"""Acting: what a person does before the camera, as curves over time.

Every curve is a sum of slow sines or of smooth events (blinks, syllables, saccades) drawn from a generator: the same
seed, the same performance. Angles in radians, lengths in metres, times in seconds.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harmovid.lightstage.noise import ramp

Floats = npt.NDArray[np.floating]

# Mouth shapes of speech (visemes), of anny's facial actions.
VISEMES: tuple[dict[str, float], ...] = (
    {
        "jawOpen": 0.34,
        "mouthLowerDownLeft": 0.2,
        "mouthLowerDownRight": 0.2,
        "mouthUpperUpLeft": 0.1,
        "mouthUpperUpRight": 0.1,
    },
    {
        "jawOpen": 0.20,
        "mouthStretchLeft": 0.25,
        "mouthStretchRight": 0.25,
        "mouthUpperUpLeft": 0.15,
        "mouthUpperUpRight": 0.15,
    },
    {
        "jawOpen": 0.12,
        "mouthSmileLeft": 0.22,
        "mouthSmileRight": 0.22,
        "mouthLowerDownLeft": 0.22,
        "mouthLowerDownRight": 0.22,
    },
    {"jawOpen": 0.20, "mouthFunnel": 0.45},
    {"jawOpen": 0.10, "mouthPucker": 0.50, "mouthFunnel": 0.15},
    {"mouthPressLeft": 0.45, "mouthPressRight": 0.45, "mouthRollLower": 0.2, "mouthRollUpper": 0.15},
    {"jawOpen": 0.05, "mouthRollLower": 0.35, "mouthUpperUpLeft": 0.12, "mouthUpperUpRight": 0.12},
)

MOODS: tuple[dict[str, float], ...] = (
    {},
    {"mouthSmileLeft": 0.32, "mouthSmileRight": 0.32, "cheekSquintLeft": 0.25, "cheekSquintRight": 0.25},
    {
        "mouthSmileLeft": 0.55,
        "mouthSmileRight": 0.52,
        "cheekSquintLeft": 0.45,
        "cheekSquintRight": 0.45,
        "eyeSquintLeft": 0.15,
        "eyeSquintRight": 0.15,
        "mouthDimpleLeft": 0.2,
        "mouthDimpleRight": 0.2,
    },
    {"browInnerUp": 0.3, "mouthFrownLeft": 0.12, "mouthFrownRight": 0.12},
    {
        "browDownLeft": 0.3,
        "browDownRight": 0.3,
        "mouthPressLeft": 0.2,
        "mouthPressRight": 0.2,
        "eyeSquintLeft": 0.2,
        "eyeSquintRight": 0.2,
    },
)


@dataclass(frozen=True)
class Acting:
    """T frames of what a person does."""

    actions: dict[str, Floats]  # facial action: (T,)
    turns: dict[str, Floats]  # bone: (T, 3) rotation vectors
    gaze: Floats  # (T, 2) yaw, pitch of both eyes within the head
    sway: Floats  # (T, 3) of the whole body


def drift(
    times: Floats, generator: np.random.Generator, slowest: float = 0.12, fastest: float = 0.7, waves: int = 5
) -> Floats:
    """(T,) a smooth random curve of standard deviation near 1: sines between two frequencies, hertz."""
    frequency = generator.uniform(slowest, fastest, waves)
    phase = generator.uniform(0, 2 * np.pi, waves)
    weight = 1 / np.sqrt(frequency / slowest)
    return (np.sin(2 * np.pi * frequency * times[:, None] + phase) * weight).sum(1) / np.sqrt((weight**2).sum() / 2)


def blinks(times: Floats, generator: np.random.Generator) -> Floats:
    """(T,) in [0, 1]: lids shut for about 0.25 s every 2 to 5 s; the first comes within the first second and a half."""
    shut = np.zeros_like(times)
    moment = times[0] + generator.uniform(0.15, 1.3)
    while moment < times[-1] + 0.5:
        shut = np.maximum(shut, ramp(times, moment - 0.09, moment) * ramp(times, moment + 0.19, moment + 0.03))
        moment += generator.uniform(2.0, 5.0) if generator.random() > 0.15 else 0.35
    return shut


def speech(times: Floats, generator: np.random.Generator, strength: float) -> dict[str, Floats]:
    """Visemes, four to six a second in phrases, each a bell that overlaps the next."""
    curves: dict[str, Floats] = {}
    moment, left = times[0] - generator.uniform(0, 1), int(generator.integers(4, 14))
    while moment < times[-1] + 0.3:
        shape = VISEMES[generator.integers(len(VISEMES))]
        length = generator.uniform(0.15, 0.24)
        bell = np.exp(-0.5 * ((times - moment) / (0.42 * length)) ** 2) * strength * generator.uniform(0.6, 1.1)
        for name, amount in shape.items():
            curves[name] = curves.get(name, 0) + amount * bell
        moment, left = moment + length, left - 1
        if not left:
            moment, left = moment + generator.uniform(0.4, 1.2), int(generator.integers(4, 14))
    return curves


def gazes(times: Floats, generator: np.random.Generator) -> Floats:
    """(T, 2): fixations near the camera with saccades of 40 ms between them."""
    gaze = np.zeros((len(times), 2))
    moment, last = times[0] - 1.0, np.zeros(2)
    while moment < times[-1]:
        away = generator.random() < 0.25
        target = generator.normal(0, [0.16, 0.06] if away else [0.035, 0.02])
        gaze += ramp(times, moment, moment + 0.045)[:, None] * (target - last)
        last, moment = target, moment + generator.uniform(0.5, 1.8)
    return gaze


def act(frames: int, rate: float, generator: np.random.Generator) -> Acting:
    """A performance of `frames` frames: some people talk, some only look; all breathe, blink and sway."""
    times = np.arange(frames) / rate
    talks = generator.random() < 0.6
    mood = MOODS[generator.choice(len(MOODS), p=[0.3, 0.3, 0.15, 0.13, 0.12])]
    hold = 0.8 + 0.2 * drift(times, generator)
    actions = {name: amount * np.clip(hold, 0, 1.3) for name, amount in mood.items()}
    if talks:
        for name, curve in speech(times, generator, generator.uniform(0.5, 0.85)).items():
            actions[name] = 0.7 * actions.get(name, 0) + curve
    raised = np.clip(0.18 * drift(times, generator, 0.2, 0.9), 0, 0.5)
    for name in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"):
        actions[name] = actions.get(name, 0) + raised
    gaze = gazes(times, generator)
    # At rest the upper lid covers the edge of the iris, of some people more than of others; a free iris stares.
    rest = generator.uniform(0.02, 0.13)
    shut = rest + (1 - rest) * blinks(times, generator)
    down, up = np.clip(-gaze[:, 1] / 0.5, 0, 1), np.clip(gaze[:, 1] / 0.5, 0, 1)
    for side in ("Left", "Right"):
        actions[f"eyeBlink{side}"] = shut
        actions[f"eyeLookDown{side}"] = down * (1 - shut)
        actions[f"eyeLookUp{side}"] = up * (1 - shut)
        if f"eyeSquint{side}" in actions:
            actions[f"eyeSquint{side}"] = actions[f"eyeSquint{side}"] * (1 - shut)
    # The head: a fixed bearing, a slow drift, and small nods while talking.
    bearing = generator.normal(0, [0.05, 0.17, 0.035])
    bearing[1] = np.clip(bearing[1], -0.6, 0.6)
    move = np.stack([drift(times, generator, 0.15, 0.7 + 0.5 * talks) * spread for spread in (0.035, 0.075, 0.025)], 1)
    head = bearing + move * generator.uniform(0.6, 1.4)
    breath = np.sin(2 * np.pi * (0.28 * times + generator.random()))
    spine = np.stack(
        [
            0.010 * drift(times, generator) + 0.004 * breath,
            0.02 * drift(times, generator),
            0.012 * drift(times, generator),
        ],
        1,
    )
    spine[:, 1] += generator.normal(0, 0.09)
    # The eyes hold the camera while the head turns, as far as they can.
    gaze = gaze + np.stack(
        [np.clip(-0.75 * (head[:, 1] + spine[:, 1]), -0.42, 0.42), np.clip(0.6 * head[:, 0], -0.2, 0.2)], 1
    )
    shoulders = {
        f"clavicle.{side}": np.stack(
            [0 * breath, 0 * breath, sign * (0.008 * breath + 0.01 * drift(times, generator))], 1
        )
        for side, sign in (("L", 1.0), ("R", -1.0))
    }
    turns = {
        "spine03": 0.5 * spine,
        "spine01": 0.5 * spine,
        "neck01": 0.25 * head,
        "neck03": 0.25 * head,
        "head": 0.5 * head,
        **shoulders,
    }
    sway = np.stack([0.008 * drift(times, generator), 0.002 * breath, 0.006 * drift(times, generator)], 1)
    limit = {"jawOpen": 0.24, "mouthFunnel": 0.4, "mouthPucker": 0.45}
    return Acting({name: np.clip(curve, 0, limit.get(name, 1.0)) for name, curve in actions.items()}, turns, gaze, sway)
