"""Colour: transfer functions and primaries, between code values and scene-linear light.

A clip carries a `ColorTags`. Display encodings (sRGB, BT.709, BT.601) are read with one and the same
curve, sRGB's: what a screen shows of a BT.709 file and of a PNG with equal code values is the same
picture, and compositing must keep it so. In scene-linear, 1.0 is the reference white of a display
encoding (and of HDR video: 203 cd/m², ITU-R BT.2408); values above 1 and below 0 are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import cv2
import numpy as np

from harmovid.errors import OptionError

Primaries = Literal["bt709", "bt601-525", "bt601-625", "p3", "bt2020"]
Transfer = Literal["srgb", "linear", "gamma22", "gamma24", "pq", "hlg", "slog3", "logc3", "vlog"]

CHROMATICITIES: dict[str, tuple[tuple[float, float], ...]] = {
    "bt709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    "bt601-525": ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    "bt601-625": ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060)),
    "p3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    "bt2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
}
"""x, y of red, green and blue; the white point of all is D65. ITU-T H.273, table 2."""

_WHITE_D65 = (0.3127, 0.3290)
_REFERENCE_WHITE_NITS = 203.0

LUMA_BT709 = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Weights of linear R, G, B in luminance, ITU-R BT.709."""


@dataclass(frozen=True)
class ColorTags:
    """How code values are to be read: the primaries and the transfer function."""

    primaries: Primaries = "bt709"
    transfer: Transfer = "srgb"

    @property
    def hdr(self) -> bool:
        """Whether code value 1.0 stands for more than reference white."""
        return self.transfer not in ("srgb", "gamma22", "gamma24")


SRGB = ColorTags()
SCENE_LINEAR = ColorTags(transfer="linear")


def parse_transfer(name: str) -> Transfer:
    """Check a transfer function's name given by a user.

    Raises:
        OptionError: no such transfer function is known.
    """
    if name not in get_args(Transfer):
        raise OptionError(f"no transfer function {name!r} is known; known: {', '.join(get_args(Transfer))}")
    return name  # type: ignore[return-value]


def to_linear(rgb: np.ndarray, transfer: Transfer) -> np.ndarray:
    """Code values to scene-linear light, elementwise.

    Args:
        rgb: float32, any shape; display and log encodings in 0..1 (beyond is extended by symmetry
            about 0 for sRGB and gamma, and clipped for PQ and HLG).
        transfer: the encoding of `rgb`.

    Returns:
        float32 of the same shape; 1.0 is reference white.

    Sources: IEC 61966-2-1 (sRGB); SMPTE ST 2084 (PQ); ITU-R BT.2100 (HLG, scene light with the 1000
    cd/m² display's gamma of 1.2 applied per channel); Sony S-Log3, ARRI LogC3 EI 800 and Panasonic
    V-Log white papers.
    """
    x = np.asarray(rgb, np.float32)
    if transfer == "linear":
        return x
    if transfer == "srgb":
        a = _magnitude(x)
        curve: np.ndarray = a + np.float32(0.055)
        curve *= np.float32(1 / 1.055)
        return _signed(_with_toe(_power(curve, 2.4), a, 0.04045, 1 / 12.92), x)
    if transfer in ("gamma22", "gamma24"):
        return np.copysign(_power(np.abs(x), 2.2 if transfer == "gamma22" else 2.4), x)
    if transfer == "pq":
        p = np.power(np.clip(x, 0, 1), 1 / 78.84375)
        y = np.power(np.maximum(p - 0.8359375, 0) / (18.8515625 - 18.6875 * p), 1 / 0.1593017578125)
        return (y * np.float32(10000 / _REFERENCE_WHITE_NITS)).astype(np.float32)
    if transfer == "hlg":
        e = np.clip(x, 0, 1)
        scene = np.where(e <= 0.5, e * e / 3, (np.exp((e - 0.55991073) / 0.17883277) + 0.28466892) / 12)
        return (np.power(scene, 1.2) * (1000 / _REFERENCE_WHITE_NITS)).astype(np.float32)
    if transfer == "slog3":
        curve = _power_of_ten((x * 1023 - 420) / 261.5) * 0.19 - 0.01
        return np.where(x >= 171.2102946929 / 1023, curve,
                        (x * 1023 - 95) * 0.01125 / (171.2102946929 - 95)).astype(np.float32)
    if transfer == "logc3":
        curve = (_power_of_ten((x - 0.385537) / 0.247190) - 0.052272) / 5.555556
        return np.where(x > 5.367655 * 0.010591 + 0.092809, curve,
                        (x - 0.092809) / 5.367655).astype(np.float32)
    if transfer == "vlog":
        curve = _power_of_ten((x - 0.598206) / 0.241514) - 0.00873
        return np.where(x >= 0.181, curve, (x - 0.125) / 5.6).astype(np.float32)
    raise AssertionError(transfer)


def from_linear(rgb: np.ndarray, transfer: Transfer) -> np.ndarray:
    """Scene-linear light to code values; the inverse of `to_linear`, same arguments and sources."""
    x = np.asarray(rgb, np.float32)
    if transfer == "linear":
        return x
    if transfer == "srgb":
        a = _magnitude(x)
        curve = _power(a, 1 / 2.4)
        curve *= np.float32(1.055)
        curve -= np.float32(0.055)
        return _signed(_with_toe(curve, a, 0.0031308, 12.92), x)
    if transfer in ("gamma22", "gamma24"):
        return np.copysign(_power(np.abs(x), 1 / 2.2 if transfer == "gamma22" else 1 / 2.4), x)
    if transfer == "pq":
        p = np.power(np.clip(x.astype(np.float64) * (_REFERENCE_WHITE_NITS / 10000), 0, 1), 0.1593017578125)
        return np.power((0.8359375 + 18.8515625 * p) / (1 + 18.6875 * p), 78.84375).astype(np.float32)
    if transfer == "hlg":
        scene = np.power(np.clip(x, 0, None).astype(np.float64) * (_REFERENCE_WHITE_NITS / 1000), 1 / 1.2)
        log = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
        return np.clip(np.where(scene <= 1 / 12, np.sqrt(3 * scene), log), 0, 1).astype(np.float32)
    if transfer == "slog3":
        log = (420 + np.log10(np.maximum(x + 0.01, 1e-9) / 0.19) * 261.5) / 1023
        return np.where(x >= 0.01125, log,
                        (x * (171.2102946929 - 95) / 0.01125 + 95) / 1023).astype(np.float32)
    if transfer == "logc3":
        log = 0.247190 * np.log10(np.maximum(5.555556 * x + 0.052272, 1e-9)) + 0.385537
        return np.where(x > 0.010591, log, 5.367655 * x + 0.092809).astype(np.float32)
    if transfer == "vlog":
        log = 0.241514 * np.log10(np.maximum(x + 0.00873, 1e-9)) + 0.598206
        return np.where(x >= 0.01, log, 5.6 * x + 0.125).astype(np.float32)
    raise AssertionError(transfer)


def convert(rgb: np.ndarray, source: ColorTags, target: ColorTags) -> np.ndarray:
    """Code values of `source` as code values of `target`; unchanged, to the bit, where they are equal.

    Args:
        rgb: (..., 3) float32.

    Returns:
        (..., 3) float32; not clipped, so that light above 1 survives where the target can hold it.
    """
    if source == target:
        return rgb
    return from_linear(linear_between(to_linear(rgb, source.transfer), source, target), target.transfer)


def linear_between(rgb: np.ndarray, source: ColorTags, target: ColorTags) -> np.ndarray:
    """Scene-linear light in the primaries of `source`, (..., 3), as light in those of `target`."""
    if source.primaries == target.primaries:
        return rgb
    return rgb @ primaries_matrix(source.primaries, target.primaries).T


@lru_cache
def primaries_matrix(source: Primaries, target: Primaries) -> np.ndarray:
    """The 3 × 3 matrix from linear RGB of `source` to linear RGB of `target` (SMPTE RP 177)."""
    return (np.linalg.inv(rgb_to_xyz(target)) @ rgb_to_xyz(source)).astype(np.float32)


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Luminance Y of linear RGB, (..., 3) → (...), ITU-R BT.709 weights."""
    return rgb @ LUMA_BT709


# sRGB is worked on for every pixel of every frame: fewer temporaries and no sign where none is needed.


def _magnitude(x: np.ndarray) -> np.ndarray:
    return np.abs(x) if x.size and x.min() < 0 else x


def _signed(magnitude: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.copysign(magnitude, x) if x.size and x.min() < 0 else magnitude


def _with_toe(curve: np.ndarray, a: np.ndarray, end: float, slope: float) -> np.ndarray:
    """The straight piece of a curve near black, written into `curve` where a ≤ end."""
    low = a <= np.float32(end)
    curve[low] = a[low] * np.float32(slope)
    return curve


def rgb_to_xyz(primaries: Primaries) -> np.ndarray:
    xyz = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in CHROMATICITIES[primaries]]).T
    x, y = _WHITE_D65
    return xyz * np.linalg.solve(xyz, np.array([x / y, 1.0, (1 - x - y) / y]))


def _power(x: np.ndarray, exponent: float) -> np.ndarray:
    # cv2.pow is vectorised, several times faster than numpy; it wants at most two axes, and some element.
    if not x.size:
        return x
    flat = np.ascontiguousarray(x).reshape(x.shape[0], -1) if x.ndim else x.reshape(1, 1)
    return np.asarray(cv2.pow(flat, exponent)).reshape(x.shape)


def _power_of_ten(x: np.ndarray) -> np.ndarray:
    # A code value beyond 10 is no log footage; it becomes infinite, which needs no warning of numpy's.
    with np.errstate(over="ignore"):
        return np.power(10.0, x)
