"""Buffers: a filmed performance in a form so small that it can be kept, and relit by a product of small matrices.

Light's transfer to a pixel is 4 · N numbers: three colours of diffuse and one of white gloss for each of N cells. Over
a performance they lie near a few planes (Sloan et al. 2003, "Clustered Principal Components for Precomputed Radiance
Transfer"): pixels fall into clusters, each with a mean and K components, and a pixel keeps K bytes. With the light
projected on the components first, m = B · L, a pixel costs 6 · K products:

    colour = albedo · (m₀ + Σₖ cₖ mₖ) + a (m₀' + Σₖ cₖ mₖ')

where a is the mean albedo, by which gloss is divided before, so that an error weighs by what it does to the picture.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from harmovid.errors import InputError

COMPONENTS = 64
CLUSTERS = 32
_ROWS = 24_000  # pixels from which the components are learned
_COARSE = 24  # dimensions in which pixels are told to clusters
_LEAST = 0.03  # mean albedos below are held here where gloss is divided by them
_CLIP = 6.0  # standard deviations that a byte holds


@dataclass(frozen=True)
class Transfer:
    """One frame, P pixels with anything in them.

    place: (P,) flat index of the pixel. alpha: (H, W) coverage. albedo: (P, 3), the covered part's own, gloss aside.
    diffuse: (P, 3, N), white: (P, N); the part of surface `kind` (P,) that covers the most. A light of radiance
    L (N, 3) gives albedo · Σ diffuse L + Σ white L: the colour of the covered part, straight, not premultiplied.
    """

    place: np.ndarray
    alpha: np.ndarray
    albedo: np.ndarray
    diffuse: np.ndarray
    white: np.ndarray
    kind: np.ndarray

    def relit(self, light: np.ndarray) -> np.ndarray:
        """(P, 3) scene-linear, under light (N, 3)."""
        return self.albedo * np.einsum("pcn,nc->pc", self.diffuse, light) + self.white @ light


@dataclass(frozen=True)
class Filmed:
    """What a performance was.

    size: (height, width). rate: frames a second, a fraction. angle: vertical angle of view, radians. pose: (T, 4, 4).
    seed: of the person.
    """

    name: str
    size: tuple[int, int]
    rate: tuple[int, int]
    angle: float
    pose: list[list[list[float]]]
    seed: int = 0

    @property
    def poses(self) -> np.ndarray:
        """(T, 4, 4) camera to world."""
        return np.array(self.pose, np.float32)


@dataclass(frozen=True)
class Buffers:
    """A filmed performance of T frames, H × W; R pixels in all that anything covers.

    alpha: (T, H, W) uint8. place: (R,) int32, flat index into T · H · W; cluster by cluster, frame by frame within.
    albedo: (R, 3) uint8, square root of the albedo. counts: (clusters, T), how many pixels each has.
    coefficients: (R, K) int8. mean: (clusters, 4, N) and components: (clusters, K, 4, N), float16, already in
    steps of one coefficient. keys: labels of `light.keys` where the last of the N cells are of key lights.
    """

    info: Filmed
    alpha: np.ndarray
    place: np.ndarray
    albedo: np.ndarray
    counts: np.ndarray
    coefficients: np.ndarray
    mean: np.ndarray
    components: np.ndarray
    keys: np.ndarray | None = None

    @property
    def cells(self) -> int:
        """Even cells, those of key lights not counted."""
        return self.mean.shape[-1] - (0 if self.keys is None else int(self.keys.max()))

    @property
    def frames(self) -> int:
        return len(self.alpha)

    @property
    def bytes(self) -> int:
        """What it takes in memory and on disk."""
        return sum(x.nbytes for x in vars(self).values() if isinstance(x, np.ndarray))


Coded = tuple[np.ndarray, np.ndarray, np.ndarray]
"""A frame's (P,) clusters, (P, K) int8 coefficients and (P, 3) uint8 albedo."""


class Encoder:
    """Learns the components from some frames, of which one at least shows somebody, then codes every frame on its own.
    """

    def __init__(self, samples: Iterable[Transfer], clusters: int = CLUSTERS, components: int = COMPONENTS,
                 seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        rows = np.concatenate([_rows(frame, random, _ROWS) for frame in samples])
        rows = rows[random.permutation(len(rows))[:_ROWS]]
        assert len(rows), "somebody is seen in one of the samples"
        cells = rows.shape[1] // 4
        self.cells = cells
        self._centre = rows.mean(0)
        coarse = _principal(rows - self._centre, _COARSE)
        places = (rows - self._centre) @ coarse.T
        self._coarse = coarse
        self._centroids, belongs = _clusters(places, min(clusters, max(len(rows) // 8, 1)), random)
        self.means, self.parts = [], []
        for k in range(len(self._centroids)):
            mine = rows[belongs == k]
            mean = mine.mean(0)
            parts = _principal(mine - mean, components)
            spread = np.abs((mine - mean) @ parts.T)
            # A byte's steps reach over what all but a few pixels need.
            reach = np.maximum(np.minimum(spread.max(0), _CLIP * np.sqrt(np.square(spread).mean(0))), 1e-7)
            self.means.append(mean)
            self.parts.append(parts * (reach / 127)[:, None])
        self._inverse = [p / np.maximum(np.square(p).sum(1, keepdims=True), 1e-20) for p in self.parts]

    def encode(self, frame: Transfer) -> Coded:
        """One frame in codes."""
        rows = _as_rows(frame)
        belongs = _nearest(rows @ self._coarse.T - self._centre @ self._coarse.T, self._centroids)
        codes = np.zeros((len(rows), len(self.parts[0])), np.int8)
        for k in range(len(self.parts)):
            mine = np.flatnonzero(belongs == k)
            wanted = rows[mine] @ self._inverse[k].T - self.means[k] @ self._inverse[k].T
            codes[mine] = np.clip(np.rint(wanted), -127, 127)
        albedo = np.rint(np.sqrt(np.clip(frame.albedo, 0, 1)) * 255).astype(np.uint8)
        return belongs.astype(np.uint8), codes, albedo

    def pack(self, info: Filmed, frames: Sequence[tuple[np.ndarray, np.ndarray, Coded]],
             keys: np.ndarray | None = None) -> Buffers:
        """Buffers of a whole performance; of each frame its alpha, its places and what `encode` gave; `keys` as there.
        """
        alpha = np.stack([np.rint(a * 255).astype(np.uint8) for a, _, _ in frames])
        size = alpha[0].size
        clusters = np.concatenate([coded[0] for _, _, coded in frames])
        place = np.concatenate([p + t * size for t, (_, p, _) in enumerate(frames)])
        order = np.argsort(clusters, kind="stable")
        counts = np.stack([np.bincount(coded[0], minlength=len(self.parts)) for _, _, coded in frames], 1)
        return Buffers(info, alpha, place[order].astype(np.int32),
                       np.concatenate([coded[2] for _, _, coded in frames])[order], counts.astype(np.int32),
                       np.concatenate([coded[1] for _, _, coded in frames])[order],
                       _from_rows(np.stack(self.means), self.cells), _from_rows(np.stack(self.parts), self.cells), keys)


def relight(buffers: Buffers, light: np.ndarray, frames: slice = slice(None)) -> np.ndarray:
    """The performance under a light: linear in it, before any camera.

    Args:
        light: (N, 3) or (T, N, 3), mean radiance of each cell, by `light.basis`; T of the frames asked for.
        frames: which frames.

    Returns:
        (T, H, W, 3) float32 scene-linear, the person's own colour, straight; 0 where alpha is 0. Their alpha is
        `buffers.alpha[frames]`.
    """
    start, stop, step = frames.indices(buffers.frames)
    assert step == 1, "frames are consecutive"
    count = stop - start
    n = buffers.mean.shape[-1]
    light = np.asarray(light, np.float32)
    moving = light.ndim == 3 and len(light) > 1
    lights = light.reshape(-1, n, 3).transpose(1, 0, 2).reshape(n, -1)  # (N, T·3)
    basis_ = np.concatenate([buffers.mean[:, None], buffers.components], 1).astype(np.float32)  # (C, 1 + K, 4, N)
    kinds, depth = basis_.shape[:2]
    answers = (basis_.reshape(-1, n) @ lights).reshape(kinds, depth, 4, -1, 3)
    # Of diffuse, colour c answers to light c; of white gloss, every colour.
    own = np.concatenate([np.stack([answers[:, :, c, :, c] for c in range(3)], -1), answers[:, :, 3]], -1)
    own = own.transpose(0, 2, 1, 3)  # (C, T, 1 + K, 6)
    height, width = buffers.alpha.shape[1:]
    picture = np.zeros((count * height * width, 3), np.float32)
    ends = buffers.counts.ravel().cumsum().reshape(buffers.counts.shape)
    begins = ends - buffers.counts
    for k in range(kinds):
        for first, last in ([(t, t + 1) for t in range(start, stop)] if moving else [(start, stop)]):
            rows = slice(int(begins[k, first]), int(ends[k, last - 1]))
            if rows.start < rows.stop:
                m = own[k, first - start if moving else 0]
                parts = buffers.coefficients[rows].astype(np.float32) @ m[1:] + m[0]
                albedo = np.square(buffers.albedo[rows].astype(np.float32) * np.float32(1 / 255))
                colour = albedo * parts[:, :3] + np.maximum(albedo.mean(1, keepdims=True), _LEAST) * parts[:, 3:]
                picture[buffers.place[rows] - start * height * width] = colour
    # A sum of few components may undershoot by a hair where light should be 0.
    return picture.reshape(count, height, width, 3)


def write(path: Path, buffers: Buffers) -> None:
    """Write buffers, whole or not at all."""
    partial = path.with_name(path.name + ".part")
    arrays = {name: np.ascontiguousarray(x) for name, x in vars(buffers).items() if isinstance(x, np.ndarray)}
    try:
        partial.write_bytes(save(arrays, {"filmed": json.dumps(asdict(buffers.info))}))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read(path: Path) -> Buffers:
    """Buffers from a file; about as fast as the disk.

    Raises:
        InputError: the file is none of ours, or damaged.
    """
    try:
        with safe_open(path, "numpy") as file:
            info = json.loads(file.metadata()["filmed"])
            made = Filmed(**{**info, "size": tuple(info["size"]), "rate": tuple(info["rate"])})
            return Buffers(made, **{name: file.get_tensor(name) for name in file.keys()})
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is no whole take of the light stage ({error}); delete it and film it again with "
                         "`harmovid data lightstage`") from error


_CHROMA = 3.0  # how much an error of colour weighs beside one of light
_MIX = np.array([[1 / 3, 1 / 3, 1 / 3, 0], [2 / 3, -1 / 3, -1 / 3, 0], [-1 / 3, -1 / 3, 2 / 3, 0], [0, 0, 0, 1]])
_MIX = (_MIX * np.array([[1], [_CHROMA], [_CHROMA], [1]])).astype(np.float32)
_UNMIX = np.linalg.inv(_MIX).astype(np.float32)


def _as_rows(frame: Transfer) -> np.ndarray:
    """(P, 4 · N) float32: mean of the colours, red's and blue's distance from it, gloss."""
    grey = np.maximum(_rooted(frame.albedo).mean(1), _LEAST)
    rows = np.empty((len(grey), 4, frame.white.shape[1]), np.float32)
    np.matmul(_MIX[:3, :3], frame.diffuse, out=rows[:, :3])
    rows[:, 3] = frame.white / grey[:, None]
    return rows.reshape(len(grey), 4 * frame.white.shape[1])


def _from_rows(rows: np.ndarray, cells: int) -> np.ndarray:
    """(..., 4 · N) back to (..., 4, N), red, green, blue and gloss."""
    return np.asarray(_UNMIX @ rows.reshape(*rows.shape[:-1], 4, cells), np.float16)


def _rooted(albedo: np.ndarray) -> np.ndarray:
    """The albedo as its byte will give it back."""
    return np.asarray(np.square(np.rint(np.sqrt(np.clip(albedo, 0, 1)) * 255) / 255), np.float32)


def _rows(frame: Transfer, random: np.random.Generator, most: int) -> np.ndarray:
    chosen = np.sort(random.permutation(len(frame.place))[:most])
    return _as_rows(Transfer(frame.place[chosen], frame.alpha, frame.albedo[chosen], frame.diffuse[chosen],
                             frame.white[chosen], frame.kind[chosen]))


def _principal(rows: np.ndarray, count: int) -> np.ndarray:
    """(count, D) orthonormal: the directions in which rows vary most about 0.

    By subspace iteration from random directions (Halko et al. 2011, "Finding Structure with Randomness").
    """
    found = np.random.default_rng(0).standard_normal((rows.shape[1], count + 8)).astype(np.float32)
    for _ in range(4):
        found, _ = np.linalg.qr(rows.T @ (rows @ found))
    _, _, within = np.linalg.svd(rows @ found, full_matrices=False)
    return np.pad((within @ found.T)[:count], ((0, max(count - len(within), 0)), (0, 0))).astype(np.float32)


def _clusters(points: np.ndarray, count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Lloyd's k-means: (count, D) centroids, and to which each point belongs."""
    centroids = points[random.permutation(len(points))[:count]]
    for _ in range(12):
        belongs = _nearest(points, centroids)
        centroids = np.stack([points[belongs == k].mean(0) if (belongs == k).any()
                              else points[random.integers(len(points))] for k in range(count)])
    belongs = _nearest(points, centroids)
    used = np.unique(belongs)
    return centroids[used], np.searchsorted(used, belongs)


def _nearest(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    return np.asarray((np.square(centroids).sum(1) - 2 * points @ centroids.T).argmin(1))


