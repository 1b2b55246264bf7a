"""Loops over pixels for the light transfer, compiled.

Splatting into a bilateral grid, slicing out of it, and relighting a full-size picture in one pass, at
the cost of a few reads and multiplications per pixel and without a full-size temporary.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

_EPS = np.float32(0.004)  # scene-linear: about the noise of an 8-bit black

# Threads of our own: numba's wait busily, and must not be called from two places at a time.
_THREADS = min(os.cpu_count() or 1, 8)
_pool = ThreadPoolExecutor(_THREADS, "relight")


def guide(linear: np.ndarray) -> np.ndarray:
    """The luminance axis of the grid: (H, W, 3) scene-linear → (H, W) in [0, 1], even to the eye."""
    return _guide(np.ascontiguousarray(linear, np.float32))


def splat(x: np.ndarray, y: np.ndarray, weight: np.ndarray, luma: np.ndarray,
          shape: tuple[int, int, int]) -> np.ndarray:
    """Gather the moments of a regression y ≈ g x + o per channel into a bilateral grid.

    Args:
        x, y: (H, W, 3) float32 scene-linear. weight, luma: (H, W) float32.
        shape: rows, columns, luminance bins of the grid; its corners lie on the picture's corners.

    Returns:
        (GH, GW, L, 13) float32: Σ w x² and Σ w x y of R, G, B, Σ w, Σ w x and Σ w y of R, G, B.
    """
    out = np.zeros((*shape, 13), np.float32)
    _splat(np.ascontiguousarray(x), np.ascontiguousarray(y), weight, luma, out)
    return out


def slice_affine(x: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Apply a grid to a picture of view size: (H, W, 3) float32 scene-linear → the same."""
    x = np.ascontiguousarray(x, np.float32)
    out = np.empty_like(x)
    _relight(x, grid, np.zeros((2, 2, 5), np.float32), 0.0, 0.0, float(x.shape[1]), float(x.shape[0]),
             np.float32(1), np.float32(1), False, out)
    return out


def relight(linear: np.ndarray, grid: np.ndarray, residual: np.ndarray, box: tuple[float, float, float, float],
            stops: float, strength: float) -> np.ndarray:
    """Apply grid and residual gain to a full-size picture; see `transfer.Light.apply`.

    Args:
        linear: (H, W, 3) float32 scene-linear.
        grid: (GH, GW, L, 12). residual: (h, w, 5). Both float32.
        box: x0, y0, x1, y1: where the view lies, in pixels of `linear`.
        stops: bound of the change, up and down.
        strength: power of the gain.

    Returns:
        (H, W, 3) float32 scene-linear.
    """
    x0, y0, x1, y1 = (float(edge) for edge in box)
    # Gains are interpolated as they are, not in log: at the pixel pitch of a view that is the same.
    gains = np.concatenate([np.exp(residual[..., :3]), residual[..., 3:]], axis=2)
    if min(gains.shape[:2]) < 2:
        gains = np.pad(gains, ((0, 1), (0, 1), (0, 0)), mode="edge")
    x = np.ascontiguousarray(linear, np.float32)
    out = np.empty_like(x)

    def strip(a: int, b: int) -> None:
        _relight(x[a:b], grid, gains, x0, y0 - a, x1, y1 - a, np.float32(2.0**stops), np.float32(strength), True,
                 out[a:b])

    cuts = np.linspace(0, len(x), _THREADS + 1).astype(int)
    list(_pool.map(strip, cuts[:-1], cuts[1:]))
    return out


@njit(inline="always")
def _luma(r: np.float32, g: np.float32, b: np.float32) -> np.float32:
    y = np.float32(0.2126) * r + np.float32(0.7152) * g + np.float32(0.0722) * b
    # The square root is near enough to how light is seen, and cheap.
    return np.sqrt(min(max(y, np.float32(0.0)), np.float32(1.0)))


@njit(inline="always")
def _place(position: float, last: int):  # type: ignore[no-untyped-def]
    """The grid point before a position in 0..last, unsigned for quick addressing, and how far behind it is."""
    before = min(int(position), last - 1)
    return np.uintp(before), np.float32(position - before)


@njit(cache=True, fastmath=True, nogil=True)
def _guide(x):  # type: ignore[no-untyped-def]
    height, width = x.shape[:2]
    out = np.empty((height, width), np.float32)
    for i in range(height):
        for j in range(width):
            out[i, j] = _luma(x[i, j, 0], x[i, j, 1], x[i, j, 2])
    return out


@njit(cache=True, fastmath=True, nogil=True)
def _splat(x, y, weight, luma, out):  # type: ignore[no-untyped-def]
    height, width = weight.shape
    rows, columns, bins, _ = out.shape
    m = np.empty(13, np.float32)
    for i in range(height):
        v = (i + 0.5) / height * (rows - 1)
        i0 = min(int(v), rows - 2)
        fv = v - i0
        for j in range(width):
            w = weight[i, j]
            if w <= 0:
                continue
            u = (j + 0.5) / width * (columns - 1)
            j0 = min(int(u), columns - 2)
            fu = u - j0
            z = luma[i, j] * (bins - 1)
            k0 = min(int(z), bins - 2)
            fz = z - k0
            for c in range(3):
                m[c], m[3 + c] = x[i, j, c] * x[i, j, c], x[i, j, c] * y[i, j, c]
                m[7 + c], m[10 + c] = x[i, j, c], y[i, j, c]
            m[6] = 1.0
            for corner in range(8):
                a, b2, c2 = corner >> 2, (corner >> 1) & 1, corner & 1
                part = w * (fv if a else 1 - fv) * (fu if b2 else 1 - fu) * (fz if c2 else 1 - fz)
                for n in range(13):
                    out[i0 + a, j0 + b2, k0 + c2, n] += part * m[n]


# A function of its own, so that `affine` is each thread's own too.
@njit(cache=True, fastmath=True, nogil=True)
def _relight(x, grid, gains, x0, y0, x1, y1, bound, strength, full, out):  # type: ignore[no-untyped-def]
    height, width = x.shape[:2]
    rows, columns, bins, _ = grid.shape
    small_h, small_w = gains.shape[:2]
    one, zero, half = np.float32(1), np.float32(0), np.float32(0.5)
    top, unit = np.float32(bins - 1), np.uintp(1)
    affine = np.empty(12, np.float32)
    for i in range(height):
        v = min(max((i + 0.5 - y0) / (y1 - y0), 0.0), 1.0)
        # The rows of the grid and of the gains that this row lies between, blended once.
        i0, fi = _place(v * (rows - 1), rows - 1)
        line = (one - fi) * grid[i0] + fi * grid[i0 + unit]
        a0, fa = _place(min(max(v * small_h - 0.5, 0.0), small_h - 1.0), small_h - 1)
        left = (one - fa) * gains[a0] + fa * gains[a0 + unit]
        for j in range(width):
            r, g, b = x[i, j, 0], x[i, j, 1], x[i, j, 2]
            luma = _luma(r, g, b)
            u = min(max((j + 0.5 - x0) / (x1 - x0), 0.0), 1.0)
            j0, fj = _place(u * (columns - 1), columns - 1)
            k0, fz = _place(luma * top, bins - 1)
            w00, w01 = (one - fj) * (one - fz), (one - fj) * fz
            w10, w11 = fj * (one - fz), fj * fz
            j1, k1 = j0 + unit, k0 + unit
            for n in range(12):
                affine[n] = (w00 * line[j0, k0, n] + w01 * line[j0, k1, n]
                             + w10 * line[j1, k0, n] + w11 * line[j1, k1, n])
            b0, fb = _place(min(max(u * small_w - 0.5, 0.0), small_w - 1.0), small_w - 1)
            b1 = b0 + unit
            along = luma - ((one - fb) * left[b0, 4] + fb * left[b1, 4])
            along *= (one - fb) * left[b0, 3] + fb * left[b1, 3]
            along = np.exp(min(max(along, -half), half))
            for c in range(3):
                value = affine[4 * c] * r + affine[4 * c + 1] * g + affine[4 * c + 2] * b + affine[4 * c + 3]
                if full:
                    here = x[i, j, c]
                    lit = max(here, zero) + _EPS
                    value = (value + _EPS) * along * ((one - fb) * left[b0, c] + fb * left[b1, c])
                    gain = value / lit if here >= zero else (value - _EPS) / here
                    gain = min(max(gain, one / bound), bound)
                    if strength != one:
                        gain = gain**strength
                    # Below zero there is no light to speak of: such a value moves along with its gain.
                    value = lit * gain - _EPS if here >= zero else here * gain
                out[i, j, c] = value
