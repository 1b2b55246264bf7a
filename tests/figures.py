"""Synthetic footage with a known truth: a drawn person, with hair, who moves over a textured scene.

The person's own colour, the alpha and the scene are exact, so that what a program should make of the
clip can be written down. Pictures are float32, display sRGB in [0, 1]; blending is in linear light.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import repeat
from pathlib import Path

import cv2
import numpy as np

from harmovid.infer.views import Harmonized, ViewClip, Views, ViewSize
from harmovid.video import encode, io
from harmovid.video.color import SRGB, ColorTags, from_linear, to_linear
from harmovid.video.target import open_target
from tests import makers

RATE = Fraction(25)
Gain = float | Sequence[float] | Callable[[int, np.ndarray], np.ndarray | float | Sequence[float]]


@dataclass(frozen=True)
class Filmed:
    """A clip and what it is made of.

    own: (T, H, W, 3), the person's own colour, also beyond their outline. alpha: (T, H, W).
    behind: (T, H, W, 3), the scene without the person. frames: (T, H, W, 3), one over the other.
    """

    own: np.ndarray
    alpha: np.ndarray
    behind: np.ndarray

    @property
    def frames(self) -> np.ndarray:
        return np.stack([over(*parts) for parts in zip(self.own, self.behind, self.alpha, strict=True)])

    def lit(self, gain: np.ndarray | float) -> np.ndarray:
        """(T, H, W, 3): the person's own colour with its light times `gain`."""
        return from_linear(to_linear(self.own, "srgb") * np.float32(gain), "srgb")


def over(own: np.ndarray, behind: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """One (H, W, 3) over the other in linear light; the second's very bits where alpha is 0."""
    mixed = alpha[..., None] * to_linear(own, "srgb") + (1 - alpha[..., None]) * to_linear(behind, "srgb")
    return np.where(alpha[..., None] > 0, from_linear(mixed, "srgb"), behind)


def noise(size: tuple[int, int], seed: int, grain: float) -> np.ndarray:
    """(H, W, 3) of mean 0 and standard deviation 1, its details about `grain` pixels wide."""
    picture = np.random.default_rng(seed).normal(size=(size[1], size[0], 3)).astype(np.float32)
    if grain > 0:
        picture = cv2.GaussianBlur(picture, (0, 0), grain, borderType=cv2.BORDER_REFLECT)
    return picture / max(float(picture.std()), 1e-6)


@lru_cache(maxsize=8)
def scenery(size: tuple[int, int], seed: int = 1, level: float = 0.45) -> np.ndarray:
    """A textured scene of (width, height): walls in two colours, a lighter sky, grain."""
    width, height = size
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(height, width)
    base = np.stack([0.9 + 0.3 * y, 1.0 + 0 * x, 1.15 - 0.3 * y], axis=2) * level
    walls = np.where(np.sin(17 * x) > 0, 1.0, 0.8)[..., None] * (1 + 0.2 * np.sin(31 * y)[..., None])
    rough = 0.02 * noise(size, seed, height / 400) + 0.03 * noise(size, seed + 1, height / 30)
    return _locked(np.clip(base * walls + rough, 0.02, 0.98).astype(np.float32))


@lru_cache(maxsize=8)
def figure(size: tuple[int, int], seed: int = 0, hair: tuple[float, float, float] = (0.12, 0.09, 0.08),
           scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Head and shoulders in the middle of a picture of (width, height), with loose hair and textured cloth.

    Args:
        scale: of the figure; 1 is about nine tenths of the height.

    Returns:
        rgb (H, W, 3), alpha (H, W).
    """
    width, height = size
    unit = scale * min(height, 1.6 * width)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = (x + 0.5 - width / 2) / unit, (y + 0.5 - height / 2) / unit  # the figure lies within ±0.5
    soft = 1.0 / unit
    angle, far = np.arctan2(x, -(y + 0.16)), np.hypot(x / 0.85, y + 0.16)
    strands = 0.5 + 0.5 * np.sin(47 * angle + 5 * np.sin(7 * angle) + 3 * np.sin(60 * far))
    face = np.clip((0.19 - far) / soft + 0.5, 0, 1)
    loose = np.clip((0.22 - far) / 0.035, 0, 1) * np.clip(0.25 + strands, 0, 1) * (y < 0.02)
    body = np.clip((0.36 - np.abs(x) - 0.9 * np.maximum(0.22 - y, 0)) / soft + 0.5, 0, 1)
    body = body * np.clip((y - 0.05) / soft, 0, 1) * np.clip((0.45 - y) / soft, 0, 1)
    neck = np.clip((0.07 - np.abs(x)) / soft + 0.5, 0, 1) * (y > -0.1) * (y < 0.3)
    alpha = np.maximum.reduce([face, loose, body, neck])
    alpha = np.where(alpha < 0.004, 0, alpha)  # less than a code value is none

    skin = np.array([0.72, 0.55, 0.46]) * (1 - 1.1 * np.minimum(np.abs(x - 0.05), 0.3)[..., None]) - 0.15 * (
        np.hypot(np.abs(x) - 0.07, (y + 0.2) * 1.5) < 0.02)[..., None]
    stripes = np.where(np.sin(60 * (y + 0.3 * x)) > 0.3, 1.0, 0.6)[..., None]
    cloth = np.array([0.25, 0.42, 0.66]) * stripes
    locks = np.array(hair) * (0.7 + 0.6 * strands[..., None])
    rgb = np.where((y > 0.12)[..., None], cloth, skin)
    crown = np.clip(np.maximum((far - 0.15) / 0.02, (-0.22 - y) / 0.02), 0, 1) * (y < 0.05)
    rgb = rgb + crown[..., None] * (locks - rgb)
    wide = noise(size, seed, height / 250) * 0.035 + noise(size, seed + 7, 0.7) * 0.012
    rgb = np.clip(rgb * (1 + wide * (1 if max(hair) > 0.02 else 0.2)), 0.004, 0.93).astype(np.float32)
    return _locked(rgb), _locked(alpha.astype(np.float32))


def film(size: tuple[int, int], frames: int = 8, *, seed: int = 0, step: tuple[float, float] = (1.0, 0.0),
         start: tuple[float, float] = (0.0, 0.0), scale: float = 1.0, level: float = 0.45,
         hair: tuple[float, float, float] = (0.12, 0.09, 0.08)) -> Filmed:
    """A figure that goes `step` pixels a frame from `start` before a scene that stands still."""
    own, alpha = figure(size, seed, hair, scale=scale)
    behind = scenery(size, seed + 1, level)
    places = [(round(start[0] + step[0] * t), round(start[1] + step[1] * t)) for t in range(frames)]
    return Filmed(np.stack([_moved(own, place, cv2.BORDER_REPLICATE) for place in places]),
                  np.stack([_moved(alpha, place, cv2.BORDER_CONSTANT) for place in places]),
                  np.stack([behind] * frames))


def _locked(picture: np.ndarray) -> np.ndarray:
    picture.setflags(write=False)  # it is drawn once and shared
    return picture


def _moved(picture: np.ndarray, shift: tuple[int, int], border: int) -> np.ndarray:
    if shift == (0, 0):
        return picture
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
    return cv2.warpAffine(picture, matrix, picture.shape[1::-1], flags=cv2.INTER_NEAREST, borderMode=border)


def write(path: Path, frames: Iterable[np.ndarray], alpha: Iterable[np.ndarray] | None = None, *, bits: int = 8,
          rate: Fraction = RATE, tags: ColorTags = SRGB, start_number: int | None = None,
          timecode: str | None = None) -> Path:
    """Write a clip through the program's own encoder: (H, W, 3) in colour, (H, W) as grey.

    A name with one of the video suffixes, a folder for PNG, or a pattern for PNG or EXR.
    """
    pictures = list(frames)
    target = open_target(path, frames=len(pictures), alpha=alpha is not None)
    height, width = pictures[0].shape[:2]
    with encode.Writer(target, (width, height), rate, target.tags(tags), bits=bits, alpha=alpha is not None,
                       grey=pictures[0].ndim == 2, start_number=start_number, timecode=timecode) as writer:
        for rgb, matte in zip(pictures, repeat(None) if alpha is None else alpha, strict=alpha is not None):
            writer.write(rgb, matte)
    return path


def read(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """All frames of a clip, (T, H, W, 3), and their alpha, (T, H, W), where there is one."""
    frames = list(io.read(io.open_clip(path)))
    rgb = np.stack([frame.rgb for frame in frames])
    alphas = [frame.alpha for frame in frames if frame.alpha is not None]
    return rgb, np.stack(alphas) if alphas else None


def codes(frames: np.ndarray, bits: int = 8) -> np.ndarray:
    """Display values as a file of so many bits holds them, float32 again."""
    peak = np.float32(2**bits - 1)
    return np.floor(np.clip(frames, 0, 1) * peak + np.float32(0.5)) / peak


def same(a: np.ndarray, b: np.ndarray, bits: int = 8) -> np.ndarray:
    """Where two clips have the same code in a file of so many bits; bool, of their shape."""
    peak = np.float32(2**bits - 1)
    return np.rint(a * peak) == np.rint(b * peak)


class Lamp:
    """A harmonizer whose change of light is known: linear light times gain(t, x), under the mask.

    gain: a number, three for R, G, B, or a function of the frame's number and of x in (0, 1) across the
        view, which gives (W,) or (W, 3).
    seen: the windows that it was shown. seeds: what it was given as seed.
    """

    name = "lamp"

    view = ViewSize(area=64 * 64, overview=(6, 8))

    def __init__(self, gain: Gain = 1.0, chunk: int = 5) -> None:
        self.gain, self.chunk = gain, chunk
        self.seen: list[Views] = []
        self.seeds: list[int] = []

    def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
        self.seeds.append(seed)
        for start in range(0, len(clip), self.chunk):
            views = clip.window(start, min(start + self.chunk, len(clip)))
            self.seen.append(views)
            light = to_linear(views.composite, "srgb")
            x = (np.arange(light.shape[3], dtype=np.float32) + 0.5) / light.shape[3]
            for t in range(light.shape[1]):
                gain = self.at(start + t, x).T[:, None]
                light[:, t] *= 1 + views.mask[:, t] * (gain - 1)
            yield Harmonized(views.composite, from_linear(np.clip(light, 0, 1), "srgb"))

    def at(self, t: int, x: np.ndarray) -> np.ndarray:
        """(W, 3): the gain at frame t over the positions x, (W,)."""
        gain = np.asarray(self.gain(t, x) if callable(self.gain) else self.gain, np.float32)
        return np.broadcast_to(gain[:, None] if gain.shape == x.shape and x.size != 3 else gain, (x.size, 3))

def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth random colours with corners to track, 0.1..1, (height, width, 3) float32."""
    noise = np.random.default_rng(seed).random((height, width, 3), np.float32)
    x = sum(cv2.normalize(cv2.GaussianBlur(noise, (0, 0), s), None, 0, 1, cv2.NORM_MINMAX) for s in (2, 6, 15))
    return (0.1 + 0.3 * x).astype(np.float32)


def disc(height: int, width: int, x: float, y: float, radius: float, soft: float = 1) -> np.ndarray:
    """An alpha that falls from 1 to 0 over `soft` pixels about a circle, (height, width) float32."""
    rows, columns = np.mgrid[:height, :width]
    return np.clip((radius - np.hypot(columns - x, rows - y)) / soft + 0.5, 0, 1).astype(np.float32)


def grown(masks: np.ndarray, radius: float) -> np.ndarray:
    """What lies within `radius` of a mask, by the definition of a disc."""
    r = int(radius)
    y, x = np.mgrid[-r : r + 1, -r : r + 1]
    disc = (np.hypot(x, y) <= radius).astype(np.uint8)
    return np.stack([cv2.dilate((mask > 0.02).astype(np.uint8), disc) > 0 for mask in masks])


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(a - b).mean()))


def counting(count, size=(64, 48)):
    return [makers.coded(i, *size).astype(np.float32) / 255 for i in range(count)]


def put(path, frames, alphas=None, *, rate=Fraction(24), tags=SRGB, **options):
    """Write frames of any kind to `path`, and open it again."""
    target = open_target(path, frames=len(frames), alpha=alphas is not None)
    size = frames[0].shape[1], frames[0].shape[0]
    with encode.Writer(target, size, rate, target.tags(tags), alpha=alphas is not None, grey=frames[0].ndim == 2,
                **options) as writer:
        for i, frame in enumerate(frames):
            writer.write(frame, None if alphas is None else alphas[i])
    return io.open_clip(path)
