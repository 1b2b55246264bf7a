"""Loops over pixels for tables of colour, compiled: some four times as quick as the same in whole arrays.

Both answer with x + table(x), for tables that hold what is to be added, and x held within the table's domain; NaN
counts as its low end.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(inline="always")
def _held(x, low, high):  # type: ignore[no-untyped-def]
    return (x if x < high else high) if x > low else low


@njit(cache=True, nogil=True)
def curves(pixels, table, low, high, scale, out):  # type: ignore[no-untyped-def]
    """Linear interpolation in (N, 3): (n, 3) float32 → `out`, the same. low, high, and scale, entries a unit: (3,)."""
    last = len(table) - 2
    for i in range(len(pixels)):
        for channel in range(3):
            x = _held(pixels[i, channel], low[channel], high[channel])
            at = (x - low[channel]) * scale[channel]
            cell = min(int(at), last)
            first = table[cell, channel]
            out[i, channel] = x + (first + np.float32(at - cell) * (table[cell + 1, channel] - first))


@njit(cache=True, nogil=True)
def cube(pixels, table, low, high, scale, out):  # type: ignore[no-untyped-def]
    """Tetrahedral interpolation in (N, N, N, 3); arguments as of `curves`."""
    size = len(table)
    last = size - 2
    flat = table.reshape(-1)
    # Steps in `flat`, unsigned for quick addressing: to the next red, green, blue.
    steps = np.uintp(3 * size * size), np.uintp(3 * size), np.uintp(3)
    for i in range(len(pixels)):
        red = _held(pixels[i, 0], low[0], high[0])
        green = _held(pixels[i, 1], low[1], high[1])
        blue = _held(pixels[i, 2], low[2], high[2])
        at = (red - low[0]) * scale[0], (green - low[1]) * scale[1], (blue - low[2]) * scale[2]
        r, g, b = min(int(at[0]), last), min(int(at[1]), last), min(int(at[2]), last)
        f, h, k = np.float32(at[0] - r), np.float32(at[1] - g), np.float32(at[2] - b)
        most, least = max(f, h, k), min(f, h, k)
        middle = max(min(f, h), min(max(f, h), k))
        v0 = np.uintp(r) * steps[0] + np.uintp(g) * steps[1] + np.uintp(b) * steps[2]
        v3 = v0 + steps[0] + steps[1] + steps[2]
        # One step along the axis of the largest fraction, and back along that of the smallest. Where two fractions
        # are equal the corner between them weighs nothing, so either will do.
        v1 = v0 + (steps[0] if f >= h and f >= k else steps[1] if h >= k else steps[2])
        v2 = v3 - (steps[2] if k <= f and k <= h else steps[1] if h <= f else steps[0])
        w0, w1, w2 = np.float32(1) - most, most - middle, middle - least
        for channel in range(3):
            c = np.uintp(channel)
            x = red if channel == 0 else green if channel == 1 else blue
            out[i, channel] = x + (w0 * flat[v0 + c] + w1 * flat[v1 + c] + w2 * flat[v2 + c] + least * flat[v3 + c])
