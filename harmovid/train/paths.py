"""Validation of the two paths: how wide is the light, by either kind of mask; does it lead back; are edges sharp."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harmovid.data.augment import binary, pseudo_alpha
from harmovid.data.dataset import ViewBatch
from harmovid.light.grade import luma
from harmovid.train.stages import Look, gain_moments, psnr, tiles

_EDGE = 2.0  # pixels of the pseudo-alpha's edge: the middle of what training draws
_DIM = 0.02  # of amplitude: below it there is no light to compare
_REACH = 2  # pixels of the boundary's band to each side: what measures take of pictures this small


class Looks(Protocol):
    """What `Harmonize.look` does, for one network."""

    def __call__(self, wrong: Tensor, right: ViewBatch, mask: Tensor, seed: int) -> Look:
        """What the network makes of people in a wrong light."""
        ...


def path_figures(pairs: Iterator[tuple[ViewBatch, ViewBatch]],
                 look: Looks) -> tuple[dict[str, float], list[np.ndarray]]:
    """Figures of pseudo-pairs, each given as what was made and as it was filmed, and rows for a sheet.

    to_synthetic_amplitude, …_alpha: relight amplitude from the clip to the pair, told a binary mask and a pseudo-alpha.
    mask_ratio: the second to the first, where there is any light; far from 1, the mask's kind is a switch for the
        domain.
    to_real_psnr, …_gain: dB, of the person led back to what was filmed, and by how much more than the composite.
    to_real_laplacian, …_tenengrad: sharpness of the boundary as a multiple of the filmed one's, both through the codec.
    """
    slopes: dict[str, list[tuple[float, float]]] = {"binary": [], "alpha": []}
    back, gains, edges, rows = [], [], [], []
    for index, (made, filmed) in enumerate(pairs):
        hard = binary(made.mask)
        soft = pseudo_alpha(hard, _EDGE)
        for kind, mask in (("binary", hard), ("alpha", soft)):
            seen = look(filmed.picture, made, mask, index)
            slopes[kind].append(gain_moments(seen, made.mask))
            if index % 11 == 0 and kind == "binary":
                rows.append(tiles(*seen))
        seen = look(made.picture, filmed, soft, index)
        back.append(psnr(seen.ours, seen.truth, filmed.mask))
        gains.append(back[-1] - psnr(seen.plain, seen.truth, filmed.mask))
        edges.append([edge_moments(picture, filmed.mask) for picture in (seen.ours, seen.truth)])
        if index % 11 == 0:
            rows.append(tiles(*seen))
    hard_slope, soft_slope = (float(np.divide(*np.sum(slopes[kind], 0))) for kind in ("binary", "alpha"))
    ours, truth = (sharpness(*np.sum(moments, 0)) for moments in zip(*edges, strict=True))
    figures = {"to_synthetic_amplitude": hard_slope, "to_synthetic_amplitude_alpha": soft_slope,
               "to_real_psnr": float(np.mean(back)), "to_real_gain": float(np.mean(gains)),
               "to_real_laplacian": ours[0] / max(truth[0], 1e-9), "to_real_tenengrad": ours[1] / max(truth[1], 1e-9)}
    if hard_slope > _DIM:
        figures["mask_ratio"] = soft_slope / hard_slope
    return figures, rows


def edge_moments(video: Tensor, mask: Tensor) -> tuple[float, float, float, float]:
    """Sums over the band around the outline: how many pixels, L, L², Gx² + Gy²; see `sharpness`.

    Args:
        video: (B, 3, T, H, W), display sRGB in [0, 1]. mask: (B, 1, T, H, W).
    """
    frames = (luma(video) * 255).transpose(1, 2).flatten(0, 1)  # (B·T, 1, H, W)
    inside = binary(mask).transpose(1, 2).flatten(0, 1).to(frames)  # (B·T, 1, H, W)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _REACH + 1, 2 * _REACH + 1))
    near = torch.from_numpy(disc).to(frames)[None, None]  # (1, 1, 5, 5)
    band = (F.conv2d(inside, near, padding=_REACH) > 0) & (F.conv2d(1 - inside, near, padding=_REACH) > 0)
    filters = frames.new_tensor([[[0, 1, 0], [1, -4, 1], [0, 1, 0]], [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
                                 [[-1, -2, -1], [0, 0, 0], [1, 2, 1]]])[:, None]  # (3, 1, 3, 3)
    felt = F.conv2d(F.pad(frames, (1, 1, 1, 1), mode="reflect"), filters)  # (B·T, 3, H, W)
    laplacian, across, down = (part[band].double() for part in felt.split(1, 1))
    return (float(band.sum()), float(laplacian.sum()), float(laplacian.square().sum()),
            float((across.square() + down.square()).sum()))


def sharpness(pixels: float, first: float, second: float, gradient: float) -> tuple[float, float]:
    """Laplacian variance and Tenengrad of a boundary, as `evaluate.boundary` has them, from sums of `edge_moments`."""
    pixels = max(pixels, 1.0)
    return second / pixels - (first / pixels) ** 2, gradient / pixels
