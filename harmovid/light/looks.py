"""Random grades and random lights, for a whole batch at once.

The spread of each parameter is ours: wide enough to hold a candle, a bar and a moonlit street, and so that
skin keeps its order of tones.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harmovid.errors import InputError
from harmovid.light import lut
from harmovid.light.grade import Grade, balance
from harmovid.light.shading import Lights
from harmovid.light.smooth import noise

_SPREAD = {
    # parameter: (how often it is touched, its standard deviation at strength 1)
    "exposure": (0.8, 1.2), "warmth": (0.75, 1.2), "magenta": (0.45, 0.4), "shoulder": (0.4, 0.6),
    "spill": (0.25, 0.1), "lift": (0.3, 0.04), "gamma": (0.35, 0.17), "gain": (0.3, 0.1), "bends": (0.45, 0.6),
    "contrast": (0.5, 0.4), "pivot": (0.5, 0.1), "saturation": (0.55, 0.45), "hue": (0.15, 0.15),
    "shadows": (0.35, 0.05), "highlights": (0.35, 0.06), "black": (0.3, 0.09), "white": (0.25, 0.08),
}

_LOOKS: tuple[dict[str, float | tuple[float, ...]], ...] = (
    # teal and orange
    {"shadows": (-0.09, 0.02, 0.09), "highlights": (0.09, 0.01, -0.11), "contrast": 0.25},
    # bleach bypass
    {"saturation": -0.6, "contrast": 0.45},
    # cross process
    {"lift": (0.0, 0.0, 0.1), "gamma": (0.12, 0.1, -0.15), "gain": (0.05, 0.05, -0.15), "contrast": 0.25},
    # faded film
    {"black": 0.15, "white": 0.08, "saturation": -0.35, "warmth": 0.3},
    # day for night
    {"exposure": -1.4, "warmth": -1.6, "saturation": -0.35, "magenta": 0.15},
    # candle
    {"exposure": -0.7, "warmth": 2.2, "magenta": -0.15, "contrast": 0.2},
    # fluorescent tube
    {"magenta": -0.9, "warmth": 0.2, "saturation": -0.2},
    # neon
    {"magenta": 1.1, "warmth": -0.5, "shadows": (-0.02, -0.03, 0.1), "saturation": 0.25, "exposure": -0.4},
    # sodium lamp
    {"warmth": 2.4, "magenta": -0.4, "saturation": -0.3, "exposure": -0.6},
    # underwater
    {"warmth": -1.3, "magenta": -0.6, "contrast": -0.15},
    # silver print
    {"saturation": -1.0, "contrast": 0.3},
    # sepia
    {"saturation": -0.9, "shadows": (0.03, 0.0, -0.04), "highlights": (0.06, 0.02, -0.08)},
    # haze
    {"black": 0.22, "exposure": 0.5, "contrast": -0.3, "saturation": -0.2},
    # low key
    {"exposure": -1.5, "contrast": 0.45, "saturation": -0.2},
    # low sun
    {"warmth": 1.4, "magenta": 0.3, "saturation": 0.2, "contrast": 0.15},
    # overexposed
    {"exposure": 1.2, "shoulder": 0.7},
)


def draw_grade(strength: Tensor, wander: Tensor, generator: torch.Generator, look: float = 0.4) -> Grade:
    """Random grades.

    Args:
        strength: (B,), ≥ 0; 0 draws the neutral grade, 1 a strong one.
        wander: (B, T) in [0, 1]: where each frame stands between two grades; constant holds one.
        generator: on the device of `strength`.
        look: how often a well-known look comes on top.
    """
    count, device = len(strength), strength.device
    often, spread, owner, looks = _tables(device)
    touched = torch.rand(count, len(often), generator=generator, device=device) < often
    ends = torch.randn(count, 2, len(spread), generator=generator, device=device).clamp(-2, 2) * spread
    ends = ends * touched[:, owner][:, None]
    chosen = torch.randint(len(looks), (count,), generator=generator, device=device)
    worn = torch.rand(count, 2, generator=generator, device=device)
    dose = torch.where(worn[:, 0] < look, 0.5 + 0.7 * worn[:, 1], 0.0)
    vector = torch.lerp(ends[:, :1], ends[:, 1:], wander[..., None]) + (looks[chosen] * dose[:, None])[:, None]
    grade = Grade.from_vector(vector * strength[:, None, None])
    return Grade(**{**vars(grade), "warmth": grade.warmth.clamp(-3, 3), "magenta": grade.magenta.clamp(-1.3, 1.3),
                    "shoulder": grade.shoulder.abs().clamp(max=1),
                    "black": grade.black.abs().clamp(max=0.35), "white": grade.white.abs().clamp(max=0.3)})


def draw_table(strength: Tensor, size: int, generator: torch.Generator, often: float = 0.35,
               spread: float = 0.06) -> Tensor:
    """Random smooth displacements of all colours, (B, 3, size, size, size), mean 0; none at strength 0."""
    field = noise((len(strength), 3), (size, size, size), (5, 5, 5), generator)
    used = torch.rand(len(strength), generator=generator, device=strength.device) < often
    return field * (used * strength * spread)[:, None, None, None, None]


def draw_worn(strength: Tensor, size: int, generator: torch.Generator, folder: str,
              often: float) -> tuple[Tensor, Tensor]:
    """Tables that colourists made, each in the place of most of a random grade.

    Args:
        strength: (B,), as in `draw_grade`; at 1 a table is worn as it is.
        size: nodes per axis.
        folder: of tables, as `stored_tables` reads it.
        often: share of the samples that wear one.

    Returns:
        Displacements of all colours, (B, 3, size, size, size), and (B,), the strength that is left for a random grade.
    """
    count, device = len(strength), strength.device
    stored = stored_tables(folder, size)
    chance = torch.rand(3, count, generator=generator, device=device)
    chosen = torch.randint(len(stored), (count,), generator=generator, device=device)
    wears = chance[0] < often
    dose = wears * strength.clamp(max=1.2)
    left = torch.where(wears, strength * (chance[1] < 0.5) * 0.4 * chance[2], strength)
    return stored[chosen.cpu()].to(device, torch.float32) * dose[:, None, None, None, None], left


@lru_cache(maxsize=2)
def stored_tables(folder: str, size: int) -> Tensor:
    """The `.cube` files of a folder, less the table that changes nothing: (N, 3, size, size, size), half floats.

    Raises:
        InputError: there are none, or one cannot be read.
    """
    paths = sorted(Path(folder).glob("*.cube"))
    if not paths:
        raise InputError(f"{folder} holds no .cube files; expected a folder of tables, such as "
                         "benchmarks/fetch_looks.py makes")
    same = lut.identity(size).table
    changes = [np.clip(lut.apply(lut.read_cube(path), same), 0, 1) - same for path in paths]
    return torch.from_numpy(np.stack(changes).astype(np.float16)).permute(0, 4, 3, 2, 1).contiguous()


def draw_lights(strength: Tensor, wander: Tensor, generator: torch.Generator) -> Lights:
    """Random lights: a key lamp from anywhere, rather from above, and a weaker one from across.

    Args, as in `draw_grade`: strength (B,), wander (B, T).
    """
    count, device = len(strength), strength.device

    def uniform(low: float, high: float, *more: int) -> Tensor:
        """(B, 1, *more)."""
        return low + (high - low) * torch.rand(count, 1, *more, generator=generator, device=device)

    def often(share: float) -> Tensor:
        return (uniform(0, 1) < share) * strength[:, None]

    def normal(*more: int) -> Tensor:
        return torch.randn(count, 1, *more, generator=generator, device=device).clamp(-2, 2)

    azimuth = uniform(-math.pi, math.pi) + wander * uniform(-2, 2)
    azimuth = torch.stack([azimuth, azimuth + math.pi + 0.6 * normal()], -1)
    depth = uniform(-0.6, 0.9, 2) + 0.0 * azimuth
    flat = torch.sqrt(1 - depth**2)
    high = torch.sin(azimuth)
    direction = torch.stack([flat * torch.cos(azimuth), flat * torch.where(high > 0, high * 0.4, high), depth], -1)
    tint = torch.exp(balance(1.2 * normal(3), 0.5 * normal(3)) * strength[:, None, None, None].clamp(max=1))
    power = torch.cat([uniform(0.8, 1.4, 1, 1), uniform(0.0, 0.8, 1, 1)], 2)
    angle, turn = uniform(0, math.pi), uniform(-0.6, 0.6)
    frequency = uniform(0.4, 2.2, 2)
    angles = torch.stack([angle, angle + math.pi / 2], -1)
    return Lights(
        direction=direction / direction.norm(dim=-1, keepdim=True),
        colour=tint[:, :, :2] * power,
        ambient=tint[:, :, 2] * uniform(0.05, 0.5, 1),
        wrap=uniform(0, 0.8, 2),
        rim=uniform(-2, 4, 2).clamp(min=0),
        strength=often(0.85) * uniform(0.6, 1.6),
        depth=uniform(0.4, 2.2, 3),
        relief=uniform(0, 0.05),
        slope=often(0.5)[..., None, None] * (1.3 * normal(2, 1) + 0.35 * normal(2, 3)),
        flatten=often(0.4) * uniform(-0.25, 0.6),
        shade=often(0.25) * uniform(-1.8, -0.3),
        waves=frequency[..., None] * torch.stack([torch.cos(angles), torch.sin(angles)], -1),
        phase=uniform(0, 1, 2) + wander[..., None] * turn[..., None],
        edge=uniform(1, 8),
    )


@lru_cache(maxsize=8)
def _tables(device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """How often each parameter is touched; of each number, the spread and whose it is; the looks, a row each."""
    widths = Grade.widths()
    often, spread = zip(*(_SPREAD[name] for name in widths), strict=True)
    owner = [k for k, width in enumerate(widths.values()) for _ in range(width)]
    looks = [[value for name, width in widths.items() for value in _values(look.get(name, 0.0), width)]
             for look in _LOOKS]
    return (torch.tensor(often, device=device), torch.tensor([spread[k] for k in owner], device=device),
            torch.tensor(owner, device=device), torch.tensor(looks, device=device))


def _values(value: float | tuple[float, ...], width: int) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,) * width
