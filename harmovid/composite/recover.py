"""The edge that a harmonizer learned: how much of a person it shows along their outline, read off and carried over.

A network trained on real targets draws hair and soft edges better than the mask has them. What it makes is mixed,
C = αF + (1 − α)B, as any composite is; with F known from within the person and B given, α follows by least squares. It
is read off the view after and off the view before, so that what codec and method blur in both cancels, and the
difference, nothing where nothing was changed, is added to the alpha at full size.

Pictures are (H, W, 3) float32, scene-linear; an alpha is (H, W) float32 in [0, 1].
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from harmovid.composite.blend import push_pull

_SURE = 0.98  # alpha from which a pixel is the person's; below the rest of it, none of theirs
_ALIKE = 0.02  # linear light: colours nearer than this tell little of alpha
_DOUBTED = 0.3  # of alpha: what is read off the view before may be off by less
_REACH = 0.02  # of the height: how far from the outline the edge may move
_RADIUS = 2  # view pixels of the guided filter's window
_LEAST = 1 / 64  # a change of alpha below this is noise
_EVEN = 1e-3  # variance of the guide below which it guides nothing


def recover(mixed: np.ndarray, background: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The alpha that a picture was mixed by, near the outline; elsewhere what was given, to the bit.

        α* = argmin ‖C − B − α(F − B)‖² + λ(α − α₀)² = (⟨C − B, F − B⟩ + λα₀) / (‖F − B‖² + λ)

    with F the colour of C within the outline, carried outward; so where person and background are alike, α₀ stays.

    Args:
        mixed: C, a person over `background`.
        alpha: α₀, the alpha as given.

    Returns:
        (H, W) float32 in [0, 1]; α₀ where the person is nowhere wider than their outline.
    """
    near = outline(alpha)
    sure = ((alpha >= _SURE) & ~near).astype(np.float32)
    if not sure.any() or not near.any():
        return alpha
    own = push_pull(mixed * sure[..., None], sure)
    apart = own - background
    doubt = np.float32(_ALIKE**2)
    found = (((mixed - background) * apart).sum(-1) + doubt * alpha) / (np.square(apart).sum(-1) + doubt)
    return np.where(near, np.clip(found, 0, 1), alpha).astype(np.float32)


def outline(alpha: np.ndarray) -> np.ndarray:
    """(H, W) bool: within 2% of the height, at least 2 pixels, of where the person begins or ends."""
    reach = max(2, math.ceil(_REACH * len(alpha)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    there, gone = (cv2.dilate(part.astype(np.uint8), disc) > 0 for part in (alpha > 1 - _SURE, alpha < _SURE))
    return np.asarray(there & gone)


def edge_change(before: np.ndarray, after: np.ndarray, background: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """By what a harmonizer moved the edge, (H, W) in [−1, 1]; 0 away from the outline, and where it did nothing.

    Where the view before is not what the alpha that mixed it would make of these colours, they are not the person's
    there (a collar before a coat), and the less is believed.

    Args:
        before, after: the view as the method gives it back unchanged, and harmonized.
        background: what both are mixed with. alpha: what `before` was mixed by.
    """
    had = recover(before, background, alpha)
    trust = np.clip(1 - np.abs(had - alpha) / _DOUBTED, 0, 1)
    return trust * (recover(after, background, alpha) - had)


def carry(change: np.ndarray, guide: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The alpha at full size, with a change of its edge at view size carried over along the picture's own detail.

    The guided filter (He & Sun 2015, "Fast Guided Filter", arXiv 1505.00996): in each small window the change is an
    affine function of the guide, whose coefficients are smooth and can be enlarged. What it leaves over is enlarged as
    it is, so that at the view's own size the change is what it was. Nothing grows where all around it shrinks.

    Args:
        change: (h, w), of `edge_change`.
        guide: (H, W), luminance of the source as it was filmed, in [0, 1], of the same view at full size.
        alpha: (H, W).

    Returns:
        (H, W) float32 in [0, 1]; `alpha`, to the bit, where nothing near is changed.
    """
    if not (np.abs(change) > _LEAST).any():
        return alpha
    size = change.shape[::-1]
    small = np.asarray(cv2.resize(guide, size, interpolation=cv2.INTER_AREA))

    def mean(values: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.blur(values, (2 * _RADIUS + 1, 2 * _RADIUS + 1)))

    lone, both = mean(small), mean(change)  # of guide and change
    steep = (mean(small * change) - lone * both) / (np.maximum(mean(small * small) - lone * lone, 0) + _EVEN)
    slope = mean(steep)
    full = alpha.shape[::-1]
    # The level and what is left over of the change are enlarged together.
    slope, level = (np.asarray(cv2.resize(part, full, interpolation=cv2.INTER_LINEAR)) for part in (
        slope, change - slope * small))
    around = np.ones((3, 3), np.uint8)
    grows, shrinks = (cv2.resize(cv2.dilate(part.astype(np.uint8), around), full, interpolation=cv2.INTER_NEAREST)
                      for part in (change > _LEAST, change < -_LEAST))
    moved = np.clip(slope * guide + level, -1.0 * shrinks, 1.0 * grows)
    return np.where(moved == 0, alpha, np.clip(alpha + moved, 0, 1)).astype(np.float32)
