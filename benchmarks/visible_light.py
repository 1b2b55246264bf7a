"""How much of a light its visible background tells: `python -m benchmarks.visible_light HDRI`.

What a camera sees behind a person is a window on the light that falls on them. From many such views a regression
learns the light's harmonics, and is asked about maps that it never saw, turned by eighths of a circle: a ceiling for
whatever relights a person by the background. A white ball stands for the person; it casts no shadow on itself.

Then each map in its turn is left out of what is learned, all of them turned; and last the light itself is cut in two:
how much of its side is told by the half that the camera faces, were all of that known, and how much by the half behind
the camera, the other half each time as even as its mean.

The regression is kernel ridge (Gaussian; width and ridge chosen on the validation maps) from the picture in 12 × 12
cells, its contrast and its brightest light (which a picture burns out: a ceiling may know it) to nine harmonics of the
logarithm of the ball's light, in each colour.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from harmovid.data import split
from harmovid.data.lightstage import draw_light
from harmovid.evaluate.pathset import dominant_light
from harmovid.evaluate.relight import EPSILON, Direction, light_direction
from harmovid.evaluate.turning import IN_VIEW
from harmovid.light import environment
from harmovid.light.environment import Environment, directions, shrunk, solid_angles, still, views
from harmovid.lightstage.pathtrace import HELD_OUT_MAPS
from harmovid.lightstage.render import Look, develop, draw_look
from harmovid.video.color import luminance

SIDE, CELLS = 48, 12  # of a view, pixels, and what the regression sees of it
ANGLES = (0.45, 0.7, 1.0)  # radians, vertical angles of the views that are asked about
TURNS = 8
MIDDLE = 0.18  # scene-linear light that the view's mean of logarithms is exposed to
HEIGHT = 32  # of a map that lights the ball
POSE = np.eye(4)[None]  # of the camera: it looks along −z
# Of harmonics, three colours each, when left and right are exchanged.
MIRROR = np.repeat([1, -1, 1, 1, -1, 1, 1, -1, 1], 3)
WIDTHS, RIDGES = (0.25, 0.5, 1.0, 2.0), (0.1, 0.3, 1.0, 3.0)  # of the kernel, in median distances; of the ridge


@dataclass(frozen=True)
class Views:
    """told: (N, F), the pictures. light: (N, 27), harmonics of the log light of a ball exposed as they are."""

    told: np.ndarray
    light: np.ndarray


class Regression:
    """From pictures to harmonics."""

    def __init__(self, seen: Views, width: float, ridge: float) -> None:
        self._middle, self._mean = seen.told.mean(0), seen.light.mean(0)
        self._at = seen.told - self._middle
        self._reach = width * np.median(_squares(self._at[:500], self._at[500:1000]))
        kernel = np.exp(-_squares(self._at, self._at) / self._reach)
        kernel[np.diag_indices(len(kernel))] += ridge
        self._weights = np.linalg.solve(kernel, seen.light - self._mean)

    def __call__(self, told: np.ndarray) -> np.ndarray:
        """(N, 27) from (N, F)."""
        return np.exp(-_squares(told - self._middle, self._at) / self._reach) @ self._weights + self._mean


def look(lights: Iterable[tuple[Environment, float, Look]]) -> Views:
    """Views of environments, each by a vertical angle and a camera, and what light falls on a ball there."""
    told, light = [], []
    normals = directions(8).reshape(-1, 3)
    fitted = np.linalg.pinv(harmonics(normals))  # (9, n)
    for light_, angle, camera in lights:
        seen = views(light_, POSE, angle, (SIDE, SIDE), camera.blur)[0]
        bright = luminance(seen)
        gain = MIDDLE * 2**camera.stops / np.exp(np.log(bright + 0.02 * bright.mean() + 1e-9).mean())
        cells = cv2.resize(develop(seen * gain, camera), (CELLS, CELLS), interpolation=cv2.INTER_AREA)
        told.append(np.concatenate([cells.ravel(), [cells.std() * CELLS, np.log(bright.max() * gain + 0.1)]]))
        light.append((fitted @ ball(light_.at(0), normals, gain)).ravel())
    return Views(np.stack(told), np.stack(light))


def ball(pixels: np.ndarray, normals: np.ndarray, gain: float) -> np.ndarray:
    """Log light of a white ball where its normals (n, 3) are, (n, 3), in a map that is exposed by `gain`."""
    small = shrunk(pixels, HEIGHT)
    towards = directions(HEIGHT).reshape(-1, 3)
    power = (small * solid_angles(HEIGHT)[..., None]).reshape(-1, 3)
    return np.log(np.maximum(normals @ towards.T, 0) @ power * gain / np.pi + EPSILON)


def harmonics(towards: np.ndarray) -> np.ndarray:
    """Real spherical harmonics up to the second band at unit vectors (n, 3), not normalized: (n, 9)."""
    x, y, z = towards.T
    return np.stack([np.ones_like(x), x, y, z, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y], 1)


def vectors(light: np.ndarray) -> np.ndarray:
    """(N, 2): how a ball's log light grows to the right and down, `relight.LightingVector` of harmonics (N, 27)."""
    grid = (np.arange(16) + 0.5) / 16 - 0.5
    right, down = (part.ravel() for part in np.meshgrid(grid, grid))
    inside = right**2 + down**2 < 0.23
    right, down = right[inside], down[inside]
    front = np.stack([2 * right, -2 * down, np.sqrt(1 - 4 * (right**2 + down**2))], 1)
    grey = light.reshape(-1, 9, 3) @ np.array([0.2126, 0.7152, 0.0722])  # (N, 9)
    fit = np.linalg.pinv(np.stack([right, down, np.ones_like(right)], 1))[:2]
    return grey @ harmonics(front).T @ fit.T


def draws(maps: Sequence[Environment], count: int, seed: int) -> Iterable[tuple[Environment, float, Look]]:
    """Environments as the light stage draws them."""
    for number in range(count):
        random = np.random.default_rng([seed, number])
        yield draw_light(maps, 0.45, 1, 24.0, random), float(random.uniform(0.4, 1.2)), draw_look(random)


def turned(maps: Sequence[Environment]) -> list[tuple[Environment, float, Look]]:
    """Each map turned by eighths, by all angles of view: whole turns after each other."""
    return [(one.turned(2 * np.pi * turn / TURNS), angle, Look()) for one in maps for angle in ANGLES
            for turn in range(TURNS)]


def left_out(maps: Sequence[Environment], width: float, ridge: float) -> np.ndarray:
    """(P, TURNS, 2) twice, found and true: vectors of each map, by a regression that saw all others but it, mirrored
    too; P is maps times ANGLES."""
    seen = [look(turned([one])) for one in maps]
    found = []
    for number, one in enumerate(seen):
        others = [other for n, other in enumerate(seen) if n != number]
        told, light = (np.concatenate([getattr(other, name) for other in others]) for name in ("told", "light"))
        known = Views(np.concatenate([told, mirrored_picture(told)]), np.concatenate([light, light * MIRROR]))
        found.append(vectors(Regression(known, width, ridge)(one.told)))
    return np.stack([np.concatenate(found), np.concatenate([vectors(one.light) for one in seen])]).reshape(
        2, -1, TURNS, 2)


def mirrored_picture(told: np.ndarray) -> np.ndarray:
    """(N, F): pictures as `look` tells them, left and right exchanged."""
    cells, rest = told[:, : 3 * CELLS**2], told[:, 3 * CELLS**2 :]
    return np.concatenate([cells.reshape(-1, CELLS, CELLS, 3)[:, :, ::-1].reshape(len(told), -1), rest], 1)


def halves(maps: Sequence[Environment], faced: bool) -> Direction:
    """How a ball's light follows turns where one half of its environment is known, and the other's mean."""
    normals = directions(8).reshape(-1, 3)
    fitted = np.linalg.pinv(harmonics(normals))
    kept = (directions(HEIGHT)[..., 2] < 0) == faced
    solid = np.broadcast_to(solid_angles(HEIGHT), kept.shape)
    found, truth = [], []
    for light, angle, _ in turned(maps):
        if angle != ANGLES[0]:  # what the camera sees is of no influence
            continue
        pixels = shrunk(light.at(0), HEIGHT)
        even = np.average(pixels[~kept], axis=0, weights=solid[~kept])
        for lit, into in ((pixels, truth), (np.where(kept[..., None], pixels, even), found)):
            into.append((fitted @ ball(lit, normals, 1 / max(float(luminance(pixels).mean()), 1e-9))).ravel())
    return light_direction(*(vectors(np.stack(part)).reshape(-1, TURNS, 2) for part in (found, truth)))


def explained(found: np.ndarray, truth: np.ndarray, known: np.ndarray) -> float:
    """Share of the variance about `known`, what is expected without looking."""
    return float(1 - np.square(found - truth).sum() / np.square(known - truth).sum())


def main() -> None:
    """Learn, ask, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("hdri", type=Path, help="folder of HDR maps")
    parser.add_argument("--count", type=int, default=6000, help="views that are learned from")
    told = parser.parse_args()

    def read(files: Iterable[Path]) -> list[Environment]:
        return [still(shrunk(environment.read(file), 256), file.stem) for file in files]

    maps = {part: read(split.maps(part, told.hdri)) for part in ("train", "validation")}
    maps["test"] = read(told.hdri / f"{name}.hdr" for name in HELD_OUT_MAPS)
    learned, chosen = look(draws(maps["train"], told.count, 0)), look(draws(maps["validation"], 600, 1))
    tried = {(width, ridge): Regression(learned, width, ridge) for width in WIDTHS for ridge in RIDGES}
    mean = learned.light.mean(0)
    best = max(tried, key=lambda key: explained(tried[key](chosen.told), chosen.light, mean))
    regression = tried[best]
    print(f"{told.count} views of {len(maps['train'])} maps and drawn places; width {best[0]:g}, ridge {best[1]:g}\n")
    print("| asked about | level | first band | second band | direction over turns: correlation | slope |")
    print("|---|---:|---:|---:|---:|---:|")
    cases = turned(maps["test"])
    off_axis = np.array([np.degrees(np.arccos(-dominant_light(shrunk(light.at(0), HEIGHT))[0][2]))
                         for light, _, _ in cases])
    asked = look(cases)
    turns = [vectors(light).reshape(-1, TURNS, 2) for light in (regression(asked.told), asked.light)]
    way = light_direction(*turns)
    for name, seen, which, direction in (
            ("validation maps and drawn places", chosen, chosen.told[:, 0] > -1, "| |"),
            ("test maps in eight turns", asked, off_axis > -1, f"{way.correlation:.2f} | {way.slope:.2f} |"),
            (f"of these, light within {IN_VIEW:.0f}° of the axis", asked, off_axis <= IN_VIEW, "| |")):
        found, truth = regression(seen.told[which]), seen.light[which]
        bands = [explained(found[:, band], truth[:, band], mean[band])
                 for band in (slice(0, 3), slice(3, 12), slice(12, 27))]
        shares = " | ".join(f"{share:.0%}" for share in bands)
        print(f"| {name}, {len(truth)} views | {shares} | {direction}")
    everything = [one for part in maps.values() for one in part]
    print("\n| direction over turns | maps | correlation | slope |\n|---|---:|---:|---:|")
    pairs = left_out(everything, *best)
    # The turns of one map, by all angles of view, are drawn together.
    each = pairs - pairs.mean(2, keepdims=True)
    both, spread, wanted = (np.einsum("ptc,ptc->p", a, b).reshape(len(everything), -1).sum(1)
                            for a, b in ((each[0], each[1]), (each[0], each[0]), (each[1], each[1])))
    drawn = np.random.default_rng(0).integers(len(everything), size=(4000, len(everything)))
    way = light_direction(*pairs)
    sure = np.quantile(both[drawn].sum(1) / np.sqrt(spread[drawn].sum(1) * wanted[drawn].sum(1)), [0.025, 0.975])
    print(f"| learned from all other maps | {len(everything)} | {way.correlation:.2f} [{sure[0]:.2f}, {sure[1]:.2f}] | "
          f"{way.slope:.2f} |")
    for name, some in (("all", everything), ("test", maps["test"])):
        for faced, half in ((True, "that the camera faces"), (False, "behind the camera")):
            way = halves(some, faced)
            print(f"| {name} maps, the half {half}, known | {len(some)} | {way.correlation:.2f} | {way.slope:.2f} |")


def _squares(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N, M) squared distances."""
    return np.maximum((one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T, 0)


if __name__ == "__main__":
    main()
