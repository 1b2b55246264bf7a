"""Hairstyles: how hair is cut and combed."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Style:
    """How hair is cut and combed. Lengths in metres, on the template's head."""

    name: str
    length: float  # on top
    sides: float | None = None  # at ears and nape, where it differs
    strands: int = 9000
    lift: float = 0.5  # 0: leaves the scalp flat; 1: straight out
    comb: str = "down"  # down, forward, back, side, out, bun, tail, straight
    part: float | None = None  # x of the parting on top, metres
    weight: float = 0.35  # pull of gravity per step
    volume: float = 0.012  # how far off the scalp the mass reaches
    curl: float = 0.0  # radius of the curls, metres
    pitch: float = 0.03  # metres of strand per turn of a curl
    clumps: int = 400
    clumping: float = 0.4  # how far tips lean into their lock
    stray: float = 0.03  # share of flyaways
    width: float = 0.0012
    jitter: float = 0.15
    bangs: float | None = None  # length over the forehead, where it differs
    level: float | None = None  # height on the template that hanging hair is cut at; None: it doesn't hang


STYLES: tuple[Style, ...] = (
    Style("buzz", 0.006, strands=13000, lift=0.95, comb="out", weight=0.02, volume=0.008, clumps=1, clumping=0.0,
          stray=0.0, width=0.0007, jitter=0.35),
    Style("short side part", 0.065, sides=0.018, lift=0.55, comb="side", part=0.03, volume=0.022, clumps=500,
          clumping=0.45),
    Style("crop", 0.038, sides=0.01, comb="forward", volume=0.014, clumps=700, clumping=0.5, jitter=0.25),
    Style("swept back", 0.085, sides=0.022, lift=0.55, comb="back", weight=0.12, volume=0.022, clumping=0.5),
    Style("afro", 0.085, strands=9500, lift=1.0, comb="out", weight=0.015, volume=0.09, curl=0.0045, pitch=0.014,
          clumps=900, clumping=0.25, stray=0.05, width=0.001, jitter=0.3),
    Style("short curls", 0.06, sides=0.03, strands=9500, lift=0.9, comb="out", weight=0.1, volume=0.04, curl=0.0055,
          pitch=0.024, clumps=500, clumping=0.75, jitter=0.3),
    Style("bob", 0.26, strands=11000, lift=0.35, part=0.025, weight=0.5, volume=0.024, clumps=350, clumping=0.35,
          stray=0.015, width=0.0014, jitter=0.06, level=0.600),
    Style("bob with bangs", 0.25, strands=11000, lift=0.35, part=0.0, weight=0.5, volume=0.024, clumps=350,
          clumping=0.35, stray=0.015, width=0.0014, jitter=0.06, bangs=0.062, level=0.595),
    Style("long straight", 0.44, strands=11000, lift=0.3, part=0.0, weight=0.55, volume=0.020, clumps=300,
          stray=0.012, width=0.0015, jitter=0.06, level=0.40),
    Style("long wavy", 0.42, strands=11000, lift=0.45, part=-0.028, weight=0.5, volume=0.030, curl=0.009, pitch=0.11,
          clumps=260, clumping=0.6, stray=0.015, width=0.0015, jitter=0.06, level=0.42),
    Style("long curly", 0.3, strands=11000, lift=0.8, part=0.0, volume=0.055, curl=0.01, pitch=0.042, clumps=420,
          clumping=0.8, stray=0.02, width=0.0014, level=0.46),
    Style("bun", 0.16, strands=13000, lift=0.12, comb="bun", weight=0.0, volume=0.006, clumps=500, clumping=0.25,
          stray=0.02),
    Style("ponytail", 0.16, strands=13000, lift=0.12, comb="tail", weight=0.0, volume=0.006, clumps=500,
          clumping=0.25, stray=0.02),
    Style("fringe of the bald", 0.012, lift=0.6, weight=0.1, volume=0.008, clumps=1, clumping=0.0, jitter=0.3),
)

# Where a bun or a tail is tied, on the template.
BUN = np.array([0.0, 0.752, -0.052])


def shortened(style: Style, amount: float) -> Style:
    """The style with its lengths scaled, so that no two cuts are the same."""
    return replace(style, length=style.length * amount, sides=None if style.sides is None else style.sides * amount)
