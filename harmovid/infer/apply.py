"""Loops over pixels for the light transfer, compiled; the only home of numba.

Splatting into a bilateral grid, slicing out of it, and relighting a full-size picture in one pass, at
the cost of a few reads and multiplications per pixel and without a full-size temporary.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

_EPS = np.float32(0.004)  # scene-linear: about the noise of an 8-bit black


def guide(linear: np.ndarray) -> np.ndarray:
    """The luminance axis of the grid: (H, W, 3) scene-linear → (H, W) in [0, 1], even to the eye."""
    return _guide(np.ascontiguousarray(linear, np.float32))


def splat(x: np.ndarray, y: np.ndarray, weight: np.ndarray, luma: np.ndarray,
          shape: tuple[int, int, int]) -> np.ndarray:
    """Gather the moments of an affine regression y ≈ A x̃, x̃ = (R, G, B, 1), into a bilateral grid.

    Args:
        x, y: (H, W, 3) float32 scene-linear. weight, luma: (H, W) float32.
        shape: rows, columns, luminance bins of the grid; its corners lie on the picture's corners.

    Returns:
        (GH, GW, L, 22) float32: the upper triangle of Σ w x̃x̃ᵀ row by row, then Σ w y x̃ᵀ row by row.
    """
    out = np.zeros((*shape, 22), np.float32)
    _splat(np.ascontiguousarray(x), np.ascontiguousarray(y), weight, luma, out)
    return out


def slice_affine(x: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Apply a grid to a picture of view size: (H, W, 3) float32 scene-linear → the same."""
    empty = np.zeros((1, 1, 5), np.float32)
    height, width = x.shape[:2]
    return _relight(np.ascontiguousarray(x, np.float32), grid, empty, 0.0, 0.0, float(width), float(height),
                    np.float32(1e6), np.float32(1.0), False)


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
    return _relight(np.ascontiguousarray(linear, np.float32), grid, residual, x0, y0, x1, y1,
                    np.float32(2.0**stops), np.float32(strength), True)


@njit(inline="always")
def _luma(r: np.float32, g: np.float32, b: np.float32) -> np.float32:
    y = np.float32(0.2126) * r + np.float32(0.7152) * g + np.float32(0.0722) * b
    # The cube root is near enough to how light is seen (CIE lightness), and cheap; black keeps a slope.
    y = max(y, np.float32(0.0))
    return min((y + np.float32(0.01)) ** np.float32(1 / 3) * np.float32(1.268) - np.float32(0.2732),
               np.float32(1.0))


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
    m = np.empty(22, np.float32)
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
            r, g, b = x[i, j, 0], x[i, j, 1], x[i, j, 2]
            m[0], m[1], m[2], m[3] = r * r, r * g, r * b, r
            m[4], m[5], m[6] = g * g, g * b, g
            m[7], m[8], m[9] = b * b, b, 1.0
            for c in range(3):
                t = y[i, j, c]
                m[10 + 4 * c], m[11 + 4 * c], m[12 + 4 * c], m[13 + 4 * c] = t * r, t * g, t * b, t
            for corner in range(8):
                a, b2, c2 = corner >> 2, (corner >> 1) & 1, corner & 1
                part = w * (fv if a else 1 - fv) * (fu if b2 else 1 - fu) * (fz if c2 else 1 - fz)
                for n in range(22):
                    out[i0 + a, j0 + b2, k0 + c2, n] += part * m[n]


@njit(cache=True, parallel=True, fastmath=True, nogil=True)
def _relight(x, grid, residual, x0, y0, x1, y1, bound, strength, full):  # type: ignore[no-untyped-def]
    height, width = x.shape[:2]
    rows, columns, bins, _ = grid.shape
    small_h, small_w = residual.shape[:2]
    out = np.empty_like(x)
    for i in prange(height):
        v = min(max((i + 0.5 - y0) / (y1 - y0), 0.0), 1.0)
        gi = v * (rows - 1)
        i0 = min(int(gi), rows - 2)
        fi = np.float32(gi - i0)
        # The rows of the grid and of the residual that this row lies between, blended once.
        line = (1 - fi) * grid[i0] + fi * grid[i0 + 1]
        ri = min(max(v * small_h - 0.5, 0.0), small_h - 1.0)
        a0 = int(ri)
        a1 = min(a0 + 1, small_h - 1)
        fa = np.float32(ri - a0)
        left = (1 - fa) * residual[a0] + fa * residual[a1]
        for j in range(width):
            r, g, b = x[i, j, 0], x[i, j, 1], x[i, j, 2]
            luma = _luma(r, g, b)
            u = min(max((j + 0.5 - x0) / (x1 - x0), 0.0), 1.0)
            gj = u * (columns - 1)
            j0 = min(int(gj), columns - 2)
            fj = np.float32(gj - j0)
            z = luma * (bins - 1)
            k0 = min(int(z), bins - 2)
            fz = np.float32(z - k0)
            w00, w01 = (1 - fj) * (1 - fz), (1 - fj) * fz
            w10, w11 = fj * (1 - fz), fj * fz
            if full:
                rj = min(max(u * small_w - 0.5, 0.0), small_w - 1.0)
                b0 = int(rj)
                b1 = min(b0 + 1, small_w - 1)
                fb = np.float32(rj - b0)
                along = (1 - fb) * left[b0, 3] + fb * left[b1, 3]
                along *= luma - ((1 - fb) * left[b0, 4] + fb * left[b1, 4])
                along = min(max(along, np.float32(-0.5)), np.float32(0.5))
            for c in range(3):
                n = 4 * c
                value = np.float32(0.0)
                value += r * (w00 * line[j0, k0, n] + w01 * line[j0, k0 + 1, n]
                              + w10 * line[j0 + 1, k0, n] + w11 * line[j0 + 1, k0 + 1, n])
                n += 1
                value += g * (w00 * line[j0, k0, n] + w01 * line[j0, k0 + 1, n]
                              + w10 * line[j0 + 1, k0, n] + w11 * line[j0 + 1, k0 + 1, n])
                n += 1
                value += b * (w00 * line[j0, k0, n] + w01 * line[j0, k0 + 1, n]
                              + w10 * line[j0 + 1, k0, n] + w11 * line[j0 + 1, k0 + 1, n])
                n += 1
                value += (w00 * line[j0, k0, n] + w01 * line[j0, k0 + 1, n]
                          + w10 * line[j0 + 1, k0, n] + w11 * line[j0 + 1, k0 + 1, n])
                if full:
                    here = x[i, j, c]
                    value = (value + _EPS) * np.exp((1 - fb) * left[b0, c] + fb * left[b1, c] + along) - _EPS
                    lit = max(here, np.float32(0.0)) + _EPS
                    gain = (value + _EPS) / lit if here >= 0 else value / here
                    gain = min(max(gain, 1 / bound), bound)
                    if strength != 1:
                        gain = gain**strength
                    # Below zero there is no light to speak of: such a value moves along with its gain.
                    value = lit * gain - _EPS if here >= 0 else here * gain
                out[i, j, c] = value
    return out
