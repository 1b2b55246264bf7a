"""Look-up tables of colour: `.cube` files read and written, and applied to pictures.

The file format is Adobe's "Cube LUT Specification 1.0", with the two range keywords and the shaper (a curve per
channel before the cube) that DaVinci Resolve adds.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harmovid.errors import InputError, OptionError, OutputError

Triple = tuple[float, float, float]

_SIZES = {"LUT_1D_SIZE": (2, 65536), "LUT_3D_SIZE": (2, 256)}
_RANGES = {"LUT_1D_INPUT_RANGE": "LUT_1D_SIZE", "LUT_3D_INPUT_RANGE": "LUT_3D_SIZE"}


@dataclass(frozen=True)
class Lut:
    """A table of colours.

    table: float32, (N, 3), a curve for each channel, or (N, N, N, 3), indexed by red, green, blue; any values.
    low, high: the inputs, per channel, that the first and the last entry stand for; low < high.
    title: as the file says.
    shaper: a table of curves that goes before this one.
    """

    table: np.ndarray
    low: Triple = (0.0, 0.0, 0.0)
    high: Triple = (1.0, 1.0, 1.0)
    title: str = ""
    shaper: Lut | None = None

    def __post_init__(self) -> None:
        """Refuse shapes and domains that mean nothing."""
        assert self.table.shape == (*[self.size] * (self.table.ndim - 1), 3) and self.table.ndim in (2, 4)
        assert self.table.dtype == np.float32 and self.size >= 2
        assert all(low < high for low, high in zip(self.low, self.high, strict=True))

    @property
    def size(self) -> int:
        """Entries along each axis."""
        return self.table.shape[0]

    def grid(self) -> np.ndarray:
        """The inputs that the entries stand for, in the table's shape: the identity's own table."""
        axes = [_axis(low, high, self.size) for low, high in zip(self.low, self.high, strict=True)]
        if self.table.ndim == 2:
            return np.stack(axes, -1)
        return np.stack(np.meshgrid(*axes, indexing="ij"), -1)


def identity(size: int = 33) -> Lut:
    """The (size, size, size, 3) table that changes nothing."""
    empty = Lut(np.zeros((size, size, size, 3), np.float32), title="identity")
    return replace(empty, table=empty.grid())


def apply(lut: Lut, rgb: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """Look every pixel up; between the entries, tetrahedral interpolation, or linear for curves.

    What is interpolated is not the table T but its difference from the identity I, and added to the pixel:

        out = x + strength · interpolate(T − I)(x),    x held within the table's domain.

    For a strength of 1 that is the interpolation of T, for both kinds reproduce I exactly; and an identity is one
    to the bit. Tetrahedra (Sakamoto and Itooka, US patent 4275413, 1981): with the fractions within the cell sorted,
    f₁ ≥ f₂ ≥ f₃, and the corners v₀, v₁, v₂, v₃ reached from the cell's first corner by a step along the axis of f₁,
    then f₂, then f₃,

        v = (1 − f₁) v₀ + (f₁ − f₂) v₁ + (f₂ − f₃) v₂ + f₃ v₃ .

    Args:
        lut: the table.
        rgb: (..., 3) float32, in the encoding that the table is made for: most often display sRGB in [0, 1]. Finite.
        strength: 0 leaves what lies in the domain as it is, 1 is the table's own; others are between or beyond.

    Returns:
        (..., 3) float32, new; not clipped, and so outside [0, 1] where the table is.

    Raises:
        InputError: the last axis is no RGB.
    """
    from harmovid.light import lookup  # compiled: slow to import

    rgb = np.asarray(rgb, np.float32)
    if rgb.ndim < 1 or rgb.shape[-1] != 3:
        raise InputError(f"a table of colours takes (..., 3) RGB, got the shape {rgb.shape}")
    if lut.shaper is not None:
        shaped = apply(lut.shaper, rgb)
        whole = apply(replace(lut, shaper=None), shaped)
        return whole if strength == 1 else rgb + np.float32(strength) * (whole - rgb)
    low, high = (np.array(ends, np.float32) for ends in (lut.low, lut.high))
    pixels = np.ascontiguousarray(rgb.reshape(-1, 3))
    out = np.empty_like(pixels)
    look = lookup.cube if lut.table.ndim == 4 else lookup.curves
    difference = (lut.table - lut.grid()) * np.float32(strength)
    look(pixels, difference, low, high, np.float32(lut.size - 1) / (high - low), out)
    return out.reshape(rgb.shape)


def _axis(low: float, high: float, size: int) -> np.ndarray:
    return np.linspace(low, high, size, dtype=np.float64).astype(np.float32)


def read_cube(path: Path) -> Lut:
    """Read a `.cube` file: a table of one or three dimensions, or a shaper with a cube.

    Raises:
        InputError: no such file, or not a whole, valid table; says the line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); expected a .cube file") from error
    title, sizes, ranges = "", {}, {}
    values: Any = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        key = words[0]
        if not key[0].isalpha():
            if not values and (rows := _rows(lines[number - 1:])) is not None:
                values = rows
                break
            values.append(_numbers(path, number, words, 3))
            continue
        if values:
            raise InputError(f"{path}, line {number}: {key} stands after the first row of the table; the header "
                             "comes first")
        if key == "TITLE":
            title = line.split(None, 1)[1].strip().strip('"') if len(words) > 1 else ""
        elif key in _SIZES:
            sizes[key] = _size(path, number, words)
        elif key in ("DOMAIN_MIN", "DOMAIN_MAX"):
            ranges[key] = _numbers(path, number, words[1:], 3)
        elif key in _RANGES:
            ranges[key] = _numbers(path, number, words[1:], 2)
        else:
            raise InputError(f"{path}, line {number}: {key[:40]!r} is no keyword of a .cube file; expected TITLE, "
                             f"{', '.join(_SIZES)}, DOMAIN_MIN, DOMAIN_MAX, {', '.join(_RANGES)}, or three numbers")
    if not sizes:
        raise InputError(f"{path} has no LUT_1D_SIZE and no LUT_3D_SIZE; it is no .cube file, or is cut short")
    curve, cube = sizes.get("LUT_1D_SIZE", 0), sizes.get("LUT_3D_SIZE", 0)
    if len(values) != curve + cube**3:
        what = " and ".join(f"{key} {size}" for key, size in sizes.items())
        raise InputError(f"{path} has {len(values)} rows, its {what} ask for {curve + cube**3}; it is cut short or "
                         "damaged: export it again")
    table = np.array(values, np.float32)
    luts = []
    if curve:
        luts.append(Lut(table[:curve], *_domain(path, ranges, "LUT_1D_INPUT_RANGE"), title))
    if cube:
        # Red runs fastest in the file.
        rows = table[curve:].reshape(cube, cube, cube, 3).transpose(2, 1, 0, 3)
        luts.append(Lut(np.ascontiguousarray(rows), *_domain(path, ranges, "LUT_3D_INPUT_RANGE"), title))
    return replace(luts[1], shaper=luts[0]) if len(luts) == 2 else luts[0]


def write_cube(lut: Lut, path: Path) -> None:
    """Write a table as a `.cube` file, whole or not at all; what is read back is the same to the bit.

    Raises:
        OptionError: the table has a shaper, which Adobe's format has no place for.
        OutputError: the file cannot be written.
    """
    if lut.shaper is not None:
        raise OptionError("a table with a shaper cannot be written as one .cube file; write its two tables apart")
    lines = [f'TITLE "{lut.title}"'] if lut.title else []
    lines.append(f"LUT_{lut.table.ndim - 1}D_SIZE {lut.size}")
    for key, ends, usual in (("DOMAIN_MIN", lut.low, 0.0), ("DOMAIN_MAX", lut.high, 1.0)):
        if ends != (usual,) * 3:
            lines.append(" ".join([key, *(repr(float(end)) for end in ends)]))
    rows = lut.table if lut.table.ndim == 2 else lut.table.transpose(2, 1, 0, 3).reshape(-1, 3)
    lines += [f"{r:.9g} {g:.9g} {b:.9g}" for r, g, b in rows.tolist()]
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"{path} cannot be written ({error.strerror}); choose another place") from error


def _rows(lines: list[str]) -> np.ndarray | None:
    """The numbers (n, 3) of lines that hold nothing else, at once; None where one does not: then look line by line."""
    try:
        found = np.loadtxt(lines, ndmin=2)
    except ValueError:
        return None
    return found if found.shape[1] == 3 and np.isfinite(found).all() else None


def _numbers(path: Path, number: int, words: list[str], count: int) -> list[float]:
    try:
        found = [float(word) for word in words]
    except ValueError:
        found = []
    if len(found) != count or not all(map(math.isfinite, found)):
        raise InputError(f"{path}, line {number}: expected {count} numbers, got {' '.join(words)[:60]!r}")
    return found


def _size(path: Path, number: int, words: list[str]) -> int:
    low, high = _SIZES[words[0]]
    if len(words) != 2 or not words[1].isdecimal() or not low <= int(words[1]) <= high:
        raise InputError(f"{path}, line {number}: {words[0]} is one whole number from {low} to {high}, got "
                         f"{' '.join(words[1:])[:40]!r}")
    return int(words[1])


def _domain(path: Path, ranges: dict[str, list[float]], key: str) -> tuple[Triple, Triple]:
    if key in ranges:
        low, high = ([end] * 3 for end in ranges[key])
    else:
        low, high = ranges.get("DOMAIN_MIN", [0.0] * 3), ranges.get("DOMAIN_MAX", [1.0] * 3)
    if not all(a < b for a, b in zip(low, high, strict=True)):
        raise InputError(f"{path}: its domain runs from {low} to {high}; expected the first below the second in "
                         "every channel")
    return tuple(low), tuple(high)  # type: ignore[return-value]
