"""Blending: a person over a background, and their own colour at soft edges.

Frames are (H, W, 3) float32, an alpha is (H, W) float32 in [0, 1]. Nothing is clipped from above, so that
scene-linear light passes; blending is physical in scene-linear light only, which is the caller's choice.
"""

from __future__ import annotations

import cv2
import numpy as np

from harmovid.errors import InputError

_STRIP = 1 << 16  # pixels handled at once, so that temporaries stay in the processor's cache
_FLOOR = 1e-3  # weight of unsure pixels beside sure ones: it decides only where nothing is sure
_PERSON = 0.02  # alpha above this is person; below is a codec's noise


def over(foreground: np.ndarray, background: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The foreground over the background, straight (not premultiplied) alpha: C = αF + (1 − α)B.

    Source: Porter and Duff 1984, "Compositing Digital Images", the operator *over* with an opaque ground.

    Args:
        foreground: (H, W, 3) float32, any values.
        background: (H, W, 3) float32, any values.
        alpha: (H, W) float32 in [0, 1].

    Returns:
        (H, W, 3) float32, new. Where alpha is 0 it has the background's very bits, where it is 1 the
        foreground's, also for −0, infinities and NaN.

    Raises:
        InputError: the three differ in size.
    """
    foreground, background, alpha = (np.asarray(x, np.float32) for x in (foreground, background, alpha))
    _check_sizes(foreground=foreground, background=background, alpha=alpha)
    height, width = alpha.shape
    out = np.empty_like(background, order="C")
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        part = slice(top, top + rows)
        a, f, b, o = alpha[part], foreground[part], background[part], out[part]
        low, high = a.min(), a.max()
        if high <= 0 or low >= 1:
            o[:] = b if high <= 0 else f
            continue
        weight = cv2.merge([a, a, a])  # numpy's own broadcast over a last axis of 3 is several times slower
        with np.errstate(invalid="ignore"):
            np.multiply(f, weight, out=o)
            np.subtract(1, weight, out=weight)
            weight *= b
            o += weight
        # 0·∞ and −0 + 0 are not what was asked for; and the sum must not be trusted with exactness.
        cv2.copyTo(b, (a <= 0).view(np.uint8), o)
        cv2.copyTo(f, (a >= 1).view(np.uint8), o)
    return out


def estimate_foreground(
    image: np.ndarray, alpha: np.ndarray, radius: float = 0.125, detail: float = 0.015
) -> np.ndarray:
    """The foreground's own colour F at soft edges, freed of the old background's light (spill).

    Blur fusion (Forte 2021, "Approximate Fast Foreground Colour Estimation", arXiv 2006.14970) solves
    I = αF + (1 − α)B from local means F̂, B̂ of foreground and background, first wide, then narrow:

        F = F̂ + α (I − αF̂ − (1 − α)B̂)

    Two things differ from the paper, for the sake of alphas made around a hard segmentation, whose outer
    half lies on pure old background. The wide means weigh sure pixels first, and F̂ is the least-squares
    colour Σ sα(I − (1 − α)B̂) / Σ sα², exact where F and B are constant. And of the residual, the part along
    B̂ − F̂ is mostly dropped where alpha is small: there, an error of alpha looks just like another colour.

    Args:
        image: (H, W, 3) float32, finite, scene-linear or display: the frame as it was filmed.
        alpha: (H, W) float32 in [0, 1].
        radius: width of the wide mean, as a share of the height.
        detail: width of the narrow mean, as a share of the height.

    Returns:
        (H, W, 3) float32, new. Where alpha is 1 it has the image's very bits; where alpha is 0 the nearest
        foreground's colour goes on smoothly; 0 everywhere where there is no foreground at all.

    Raises:
        InputError: image and alpha differ in size.
    """
    image, alpha = np.asarray(image, np.float32), np.asarray(alpha, np.float32)
    _check_sizes(image=image, alpha=alpha)
    height = alpha.shape[0]
    if not alpha.any():
        return np.zeros_like(image)

    # Means need few pixels, and averaging cells keeps I = αF + (1 − α)B, which is linear in all it mixes.
    fine = max(1, round(detail * height / 5))
    coarse = max(fine, round(radius * height / 24))
    i, a = shrink(image, coarse), shrink(alpha, coarse)
    kernel = round(radius * height / coarse) | 1
    b_mean = push_pull(*_blur(i, _sure_background(a), kernel))
    sure = (np.square(np.clip(10 * a - 9, 0, 1)) + _FLOOR * a) * a
    f_sum, weight = _blur(i, sure, kernel)
    shared = cv2.blur(sure * (1 - a), (kernel, kernel))
    f_mean = push_pull(f_sum - shared[..., None] * b_mean, weight - shared)
    np.maximum(f_mean, min(0.0, float(i.min())), out=f_mean)

    i, a = shrink(image, fine), shrink(alpha, fine)
    kernel = round(detail * height / fine) | 1
    f_mean, b_mean = _grow(f_mean, a), _grow(b_mean, a)
    unmixed = i.copy()
    _unmix(i, a, f_mean, b_mean, unmixed)
    out = _grow(_mean(unmixed, a, kernel, f_mean), alpha)
    b_mean = _grow(_mean(i, _sure_background(a), kernel, b_mean), alpha)
    _unmix(image, alpha, out, b_mean, out)
    cv2.copyTo(image, (alpha >= 1).view(np.uint8), out)
    return out


def shrink(x: np.ndarray, step: int) -> np.ndarray:
    """A picture at 1 / step of its size by the mean over areas, rounded up; the picture itself at step 1."""
    size = -(-x.shape[1] // step), -(-x.shape[0] // step)
    return x if step == 1 else np.asarray(cv2.resize(x, size, interpolation=cv2.INTER_AREA))


def _grow(x: np.ndarray, like: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(x, like.shape[1::-1], interpolation=cv2.INTER_LINEAR))


def _sure_background(alpha: np.ndarray) -> np.ndarray:
    return np.clip(1 - 4 * alpha, 0, 1) + _FLOOR * (1 - alpha)


def _unmix(
    image: np.ndarray, alpha: np.ndarray, f_mean: np.ndarray, b_mean: np.ndarray, out: np.ndarray
) -> None:
    """One step of blur fusion, written into those pixels of `out` whose alpha is neither 0 nor 1."""
    band = np.flatnonzero((alpha > 0) & (alpha < 1))
    a = alpha.reshape(-1).take(band)
    i, f, b = (np.ascontiguousarray(x.reshape(-1, 3).take(band, axis=0).T) for x in (image, f_mean, b_mean))
    lowest = min(0.0, float(i.min(initial=0)))
    b -= f
    i -= f + (1 - a) * b  # the residual I − αF̂ − (1 − α)B̂
    share = (i * b).sum(0) / ((b * b).sum(0) + 1e-6)
    # Towards B̂, old background may lie where alpha says person: only a firm alpha is believed. Away from it,
    # a pixel not yet beyond F̂ itself shows that alpha is too low, or B̂ too bright, and not a darker F.
    kept = np.where(share > 0, np.square(a * a) * share, np.minimum(share + 1 - a, 0))
    i += (kept - share) * b
    out.reshape(-1, 3)[band] = np.maximum(f + a * i, lowest).T


def _blur(rgb: np.ndarray, weight: np.ndarray, kernel: int) -> tuple[np.ndarray, np.ndarray]:
    """Local means of weight × rgb, (H, W, 3), and of the weight, (H, W)."""
    sums = cv2.multiply(rgb, cv2.merge([weight] * 3))
    return cv2.blur(sums, (kernel, kernel)), cv2.blur(weight, (kernel, kernel))


def _mean(rgb: np.ndarray, weight: np.ndarray, kernel: int, otherwise: np.ndarray) -> np.ndarray:
    """The local weighted mean of `rgb`, (H, W, 3), and `otherwise` where there is no weight to speak of."""
    sums, weight = _blur(rgb, weight, kernel)
    sums += _FLOOR * otherwise
    return np.asarray(cv2.divide(sums, cv2.merge([weight + _FLOOR] * 3)))


def push_pull(sums: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A smooth picture, known everywhere, from pixels of unequal weight.

    `sums` holds weight × RGB, (H, W, 3), `weight` is in [0, 1]. What a pixel's weight lacks comes from the
    next coarser level of a Gaussian pyramid (push and pull, Gortler et al. 1996, "The Lumigraph").
    """
    height, width = weight.shape
    if max(height, width) == 1:
        return sums / max(float(weight[0, 0]), 1e-30)
    coarse = push_pull(np.atleast_3d(cv2.pyrDown(sums)), cv2.pyrDown(weight))
    rest = cv2.multiply(cv2.pyrUp(coarse, dstsize=(width, height)), cv2.merge([1 - weight] * 3))
    return np.asarray(cv2.add(sums, rest))


def _check_sizes(**arrays: np.ndarray) -> None:
    if len({x.shape[:2] for x in arrays.values()}) != 1:
        sizes = ", ".join(f"{name} {x.shape[1]}×{x.shape[0]}" for name, x in arrays.items())
        raise InputError(f"pictures that are blended must have one size; got {sizes}; scale them first")
