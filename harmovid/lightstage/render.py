"""One camera films the person and what is behind them: same exposure, white balance, tone curve and grain."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from harmovid.light import basis, keys
from harmovid.light.environment import Environment, views
from harmovid.lightstage.buffers import Buffers, relight
from harmovid.video.color import from_linear, luminance, to_linear

_MIDDLE = 0.18  # scene-linear light that exposure brings the picture's mean to
_BRIGHTEST = 0.45  # scene-linear mean luminance of a person that exposure does not go above
_DARKEST = 0.0225  # nor below: three stops under grey, where but few real portraits lie
_LIFT = 4.0  # at most that much light more for it
_WIDEST = 1.5  # radians, the widest angle of view of a background


@dataclass(frozen=True)
class Look:
    """How a camera is set, and how its pictures are developed.

    stops: over what the meter says. metering: share of the person in what the meter sees. adaptation: how much of
    the light's colour the white balance takes out, in [0, 1]. warmth: stops of red against blue on top. contrast:
    exponent about middle grey. shoulder: linear light at which highlights begin to roll off, in (0, 1).
    crosstalk: share of each colour that is spread over all three, as dyes and filters do: a lamp of one colour burns
    out to white. grain: deviation of the noise in display values. seed: of the grain. wide: how much wider the angle
    of view is on the background than on the person. blur: circle of confusion of the background, a share of the height.
    """

    stops: float = 0.0
    metering: float = 0.6
    adaptation: float = 0.6
    warmth: float = 0.0
    contrast: float = 1.0
    shoulder: float = 0.6
    crosstalk: float = 0.05
    grain: float = 0.0
    seed: int = 0
    wide: float = 1.0
    blur: float = 0.02


@dataclass(frozen=True)
class Shot:
    """A finished take, display sRGB in [0, 1].

    foreground: (T, H, W, 3) the person's own colour, straight, meaningful where alpha > 0. background: (T, H, W, 3).
    alpha: (T, H, W).
    """

    foreground: np.ndarray
    background: np.ndarray
    alpha: np.ndarray

    @property
    def composite(self) -> np.ndarray:
        """(T, H, W, 3): the person over the background; mixed in linear light, as everywhere in the house."""
        return over(self.foreground, self.background, self.alpha)


def over(foreground: np.ndarray, background: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Display sRGB over display sRGB, mixed in linear light; (T, H, W, 3) twice and (T, H, W)."""
    front, back = to_linear(foreground, "srgb"), to_linear(background, "srgb")
    mixed = from_linear(back + alpha[..., None] * (front - back), "srgb")
    # Where nothing is mixed nothing is rounded.
    return np.where(alpha[..., None] >= 1, foreground, np.where(alpha[..., None] <= 0, background, mixed))


def draw_look(random: np.random.Generator) -> Look:
    """A random camera.

    It exposes as people do. Of real portraits the person's mean log luminance is 0.9 stops under middle grey, and 0.42
    of what they stand out from the background above that, give or take 1.1: half of the meter sees the person.
    """
    return Look(stops=float(np.clip(random.normal(-0.4, 0.9), -3, 1.1)), metering=float(random.uniform(0.3, 0.7)),
                adaptation=float(random.uniform(0.15, 0.85)), warmth=float(random.normal(0, 0.15)),
                contrast=float(np.exp(random.normal(0.22, 0.13))), shoulder=float(random.uniform(0.35, 0.85)),
                crosstalk=float(random.uniform(0.02, 0.12)), grain=float(0.014 * random.random() ** 2),
                seed=int(random.integers(2**31)),
                wide=float(random.uniform(1.0, 2.4)), blur=float(random.choice([0, 0.01, 0.03, 0.06, 0.1])))


def shoot(buffers: Buffers, environment: Environment, look: Look = Look(), frames: slice = slice(None)) -> Shot:
    """The performance in an environment, as its camera films it.

    Args:
        environment: its frame 0 lights the first of `frames`.
        frames: which frames.

    Returns:
        T frames, finished.
    """
    alpha = buffers.alpha[frames].astype(np.float32) / 255
    count = len(alpha) if environment.frames > 1 else 1
    if buffers.keys is None or keys.are_of(buffers.keys, environment):
        light = basis.project_over_time(environment, count, buffers.cells, buffers.keys)
    else:  # its key lights stay dark
        light = basis.project_over_time(environment, count, buffers.cells)
        light = np.pad(light, ((0, 0), (0, buffers.mean.shape[-1] - buffers.cells), (0, 0)))
    person = relight(buffers, light, frames)
    angle = 2 * np.arctan(np.tan(buffers.info.angle / 2) * look.wide)
    behind = views(environment, buffers.info.poses[frames], min(float(angle), _WIDEST), buffers.info.size, look.blur)
    gain = exposure(person, behind, alpha, look)
    shots = [develop(picture * gain, look) for picture in (person, behind)]
    if look.grain:
        # Film and background share one field of grain: there is one sensor.
        noise = _grain(alpha.shape, look)
        shots = [np.clip(shot + noise * (1.1 - 0.7 * shot), 0, 1) for shot in shots]
    return Shot(extended(shots[0], alpha), shots[1], alpha)


def exposure(person: np.ndarray, behind: np.ndarray, alpha: np.ndarray, look: Look) -> np.ndarray:
    """Gains of red, green and blue, (3,), for the whole take: automatic exposure and white balance.

    Exposure brings the mean of log luminance, of person and background by `look.metering`, to middle grey. The white
    balance is von Kries's: it takes the colour of all that is seen towards grey.
    """
    cover = alpha[..., None]
    there, gone = max(float(alpha.sum()), 1e-6), max(float((1 - alpha).sum()), 1e-6)
    means = [(np.maximum(person, 0) * cover).sum((0, 1, 2)) / there, (behind * (1 - cover)).sum((0, 1, 2)) / gone]
    share = look.metering if gone > 1 else 1.0
    seen = share * means[0] / max(float(luminance(means[0])), 1e-9)
    seen = seen + (1 - share) * means[1] / max(float(luminance(means[1])), 1e-9)
    # Skin is no grey: what the light itself is counts as much as what it falls on.
    seen = seen / np.array([1.18, 0.98, 0.82]) ** share
    gains = np.clip(seen, 0.3, 3) ** -look.adaptation * np.exp2(np.array([0.5, 0, -0.5]) * look.warmth)
    logs = []
    for picture, weight, total in ((person, alpha, there), (behind, 1 - alpha, gone)):
        bright = np.maximum(luminance(np.maximum(picture, 0) * gains), 0)
        floor = 0.02 * float((bright * weight).sum()) / total + 1e-9
        logs.append(float((np.log(bright + floor) * weight).sum()) / total)
    gain = _MIDDLE * np.exp(-share * logs[0] - (1 - share) * logs[1]) * 2**look.stops
    # Before a dark ground the meter would burn out the face, before a bright one lose it: whoever films lets neither.
    face = float((luminance(np.maximum(person, 0) * gains) * alpha).sum()) / there
    if face > 0:  # someone is there
        gain = np.clip(gain, min(_DARKEST / face, _LIFT * gain), _BRIGHTEST / face)
    return np.asarray(gains * gain, np.float32)


def develop(linear: np.ndarray, look: Look) -> np.ndarray:
    """Exposed scene-linear light to display sRGB in [0, 1]: contrast about middle grey, highlights that roll off."""
    x = np.maximum(linear, 0, dtype=np.float32)
    x = x * np.float32(1 - look.crosstalk) + np.float32(look.crosstalk) * x.mean(-1, keepdims=True)
    if look.contrast != 1:
        x = x**np.float32(look.contrast) * np.float32(_MIDDLE ** (1 - look.contrast))
    room = np.float32(1 - look.shoulder)
    bent = np.minimum(x, look.shoulder) + room * -np.expm1(-np.maximum(x - look.shoulder, 0) / room)
    return np.clip(from_linear(bent, "srgb"), 0, 1)


def extended(foreground: np.ndarray, alpha: np.ndarray, steps: int = 3) -> np.ndarray:
    """The person's colour carried on some pixels past their edge, so that a wider mask finds it there.

    foreground (T, H, W, 3), alpha (T, H, W); beyond the carried pixels it is black.
    """
    out = foreground * (alpha[..., None] > 0)
    for picture, cover in zip(out, alpha, strict=True):
        known = (cover > 0).astype(np.float32)
        for _ in range(steps):
            near = cv2.blur(known, (3, 3))
            grown = cv2.blur(picture, (3, 3)) / np.maximum(near, 1e-6)[..., None]
            fresh = (known == 0) & (near > 1e-6)
            picture[fresh] = grown[fresh]
            known[fresh] = 1
    return np.asarray(out, np.float32)


def _grain(shape: tuple[int, int, int], look: Look) -> np.ndarray:
    """(T, H, W, 3): mostly grey noise, a little coloured, other in each frame."""
    random = np.random.default_rng(look.seed)
    grey = random.standard_normal((*shape, 1), np.float32)
    return np.asarray(look.grain * (0.85 * grey + 0.5 * random.standard_normal((*shape, 3), np.float32)))
