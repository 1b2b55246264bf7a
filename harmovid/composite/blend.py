"""Blending: a person over a background, their own colour at soft edges, and their background without them.

Frames are (H, W, 3) float32, an alpha is (H, W) float32 in [0, 1]. Nothing is clipped from above, so that
scene-linear light passes; blending is physical in scene-linear light only, which is the caller's choice.
"""

from __future__ import annotations

import cv2
import numpy as np

from harmovid.errors import InputError

_STRIP = 1 << 16  # pixels handled at once: temporaries stay in the processor's cache
_FLOOR = 1e-3  # weight of unsure pixels beside sure ones: decides only where nothing is sure


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
    B̂ − F̂ counts less the smaller alpha is: there, an error of alpha looks just like a change of colour.

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
    height, width = alpha.shape
    if not alpha.any():
        return np.zeros_like(image)

    # Means need few pixels. Averaging cells keeps I = αF + (1 − α)B, as it is linear in all it mixes.
    step = max(1, round(detail * height / 5))
    grid = -(-width // step), -(-height // step)
    i, a = (x if step == 1 else cv2.resize(x, grid, interpolation=cv2.INTER_AREA) for x in (image, alpha))
    sure_b = np.clip(1 - 4 * a, 0, 1) + _FLOOR * (1 - a)
    sure_f = (np.square(np.clip(2.5 * a - 1.5, 0, 1)) + _FLOOR * a) * a

    kernel = round(radius * height / step) | 1
    b_mean = _push_pull(_blur(i, sure_b, kernel))
    f_sums = _blur(i, sure_f, kernel)
    shared = cv2.blur(sure_f * (1 - a), (kernel, kernel))
    f_sums[..., :3] -= b_mean * shared[..., None]
    f_sums[..., 3] -= shared
    f_mean = np.maximum(_push_pull(f_sums), min(0.0, float(i.min())))

    kernel = round(detail * height / step) | 1
    band = (a > 0) & (a < 1)
    unmixed = i.copy()
    unmixed[band] = _unmix(i[band], a[band, None], f_mean[band], b_mean[band])
    means = []
    for sums, wide in (_blur(unmixed, a, kernel), f_mean), (_blur(i, sure_b, kernel), b_mean):
        mean = (sums[..., :3] + _FLOOR * wide) / (sums[..., 3:] + _FLOOR)
        means.append(cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR))
    out, b_mean = means

    band = (alpha > 0) & (alpha < 1)
    out[band] = _unmix(image[band], alpha[band, None], out[band], b_mean[band])
    cv2.copyTo(image, (alpha >= 1).view(np.uint8), out)
    return out


def _unmix(image: np.ndarray, alpha: np.ndarray, f_mean: np.ndarray, b_mean: np.ndarray) -> np.ndarray:
    """One step of blur fusion on N pixels: (N, 3), (N, 1), (N, 3), (N, 3) → (N, 3)."""
    residual = image - alpha * f_mean - (1 - alpha) * b_mean
    toward_b = b_mean - f_mean
    share = np.vecdot(residual, toward_b)[:, None] / (np.vecdot(toward_b, toward_b)[:, None] + 1e-6)
    # Towards the old background is worse than away from it: the one is spill, the other a firmer edge.
    trust = np.where(share > 0, np.square(np.square(alpha)), np.square(alpha))
    residual -= share * (1 - trust) * toward_b
    # Beside a lamp in the old background B̂ can be far too bright for a pixel, and F would turn black.
    return np.maximum(f_mean + alpha * residual, np.minimum(f_mean, f_mean / 4))


def _blur(rgb: np.ndarray, weight: np.ndarray, kernel: int) -> np.ndarray:
    """Local means of weight × rgb and of the weight: (H, W, 3), (H, W) → (H, W, 4)."""
    sums = cv2.merge([weight] * 4)
    sums[..., :3] *= rgb
    return cv2.blur(sums, (kernel, kernel))


def _push_pull(sums: np.ndarray) -> np.ndarray:
    """A smooth picture from pixels of unequal weight, known everywhere: (H, W, 4) → (H, W, 3).

    `sums` holds weight × RGB and the weight, in [0, 1]. What a pixel's weight lacks comes from the next
    coarser level of a Gaussian pyramid (Gortler et al. 1996, "The Lumigraph", push and pull).
    """
    height, width = sums.shape[:2]
    if max(height, width) == 1:
        return sums[..., :3] / np.maximum(sums[..., 3:], 1e-30)
    coarse = _push_pull(cv2.pyrDown(sums))
    return sums[..., :3] + (1 - sums[..., 3:]) * cv2.pyrUp(coarse, dstsize=(width, height))


def _check_sizes(**arrays: np.ndarray) -> None:
    if len({x.shape[:2] for x in arrays.values()}) != 1:
        sizes = ", ".join(f"{name} {x.shape[1]}×{x.shape[0]}" for name, x in arrays.items())
        raise InputError(f"pictures that are blended must have one size; got {sizes}; scale them first")
