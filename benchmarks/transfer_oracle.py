"""What light transfer keeps of a light that is known: `python -m benchmarks.transfer_oracle`.

People of the light stage are filmed at 512 pixels, each in pairs of lights. What a perfect network would see and give
at 128 pixels is fitted, the light applied at full size, and held against the truth. Beside ours stand simpler ways to
carry the same 128 pixels over. What is filmed, ten frames of a minute each, is kept in .cache/oracle: delete it where
people or renderer have changed.

    docs/light_transfer.jpg   with --sheet: four of the pairs
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch

from harmovid.composite import blend
from harmovid.evaluate.fidelity import psnr
from harmovid.evaluate.lightdetail import RimLight, ShadowEdges
from harmovid.infer import apply, transfer
from harmovid.infer.network import decode_clip, encode_clip
from harmovid.light import procedural
from harmovid.light.drawing import lamp, towards
from harmovid.light.environment import Environment, concatenated, directions, still
from harmovid.lightstage import buffers
from harmovid.lightstage.film import film
from harmovid.lightstage.people import perform
from harmovid.lightstage.render import Look, Shot, shoot
from harmovid.model import checkpoint
from harmovid.model.codec import Codec
from harmovid.video.color import from_linear, to_linear

ROOT = Path(__file__).parents[1]
SIDE, VIEW = 512, 128  # pixels, of the full size and of the network's view
PEOPLE = ((3, "head and shoulders", (10,)), (5, "bust", (11, 12, 13)), (8, "close-up", (6,)),
          (11, "head and shoulders", (3, 4, 5)), (14, "half body", (9,)), (20, "bust", (7,)))  # seed, framing, of 24
UNSEEN = ((27, "head and shoulders", (8,)), (33, "bust", (14,)))  # people that no setting was chosen on
SHOWN = (4, 16, 24, 40)  # of all cases, in docs/light_transfer.jpg
EPSILON = np.float32(0.004)


Pair = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A person in two lights, in a few frames; what is scored is the middle one."""

    kind: str
    seed: int
    before: Shot
    after: Shot

    @property
    def middle(self) -> int:
        return len(self.before.alpha) // 2

    @property
    def source(self) -> np.ndarray:
        """(H, W, 3): the foreground as a file holds it, in 8 bits."""
        return _coded(self.before.foreground[self.middle])

    @property
    def truth(self) -> np.ndarray:
        """(H, W, 3)."""
        return self.after.foreground[self.middle]

    @property
    def alpha(self) -> np.ndarray:
        """(H, W)."""
        return self.before.alpha[self.middle]

    def pair(self, frame: int) -> Pair:
        """Composite, the true result and alpha at the network's size, as the pipeline shows them."""
        whole = self.before.alpha[frame]
        alpha, behind = shrunk(whole), to_linear(shrunk(self.after.background[frame]), "srgb")
        seen = []
        for own in (_coded(self.before.foreground[frame]), self.after.foreground[frame]):
            colour = shrunk(own * whole[..., None]) / np.maximum(alpha, 1e-6)[..., None]
            mixed = blend.over(to_linear(np.clip(colour, 0, 1), "srgb"), behind, alpha)
            seen.append(from_linear(mixed, "srgb"))
        return seen[0], seen[1], alpha


def _coded(picture: np.ndarray) -> np.ndarray:
    return np.rint(picture * 255).astype(np.float32) / 255


def shrunk(picture: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(picture, (VIEW, VIEW), interpolation=cv2.INTER_AREA))


# --- people and lights

def filmed(seed: int, framing: str, frames: tuple[int, ...]) -> buffers.Buffers:
    """Some frames of a performance, filmed once."""
    path = ROOT / ".cache" / "oracle" / f"{seed}-{SIDE}-{'-'.join(map(str, frames))}.safetensors"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        whole, chosen = perform(seed, 24, framing=framing), list(frames)
        surfaces = tuple(replace(s, vertices=s.vertices[chosen],
                                 strand=None if s.strand is None else s.strand[chosen]) for s in whole.surfaces)
        some = replace(whole, surfaces=surfaces, camera=replace(whole.camera, pose=whole.camera.pose[chosen]))
        buffers.write(path, film(some, path.stem, (SIDE, SIDE), seed=seed))
    return buffers.read(path)


def lights(seed: int) -> dict[str, Environment]:
    """The lights of a person: two soft ones, one from behind, one from the side, two colours at once."""
    random = np.random.default_rng([seed, 29])
    side = random.choice([-1, 1])
    sky, room = (procedural.draw(random, kind=kind) for kind in ("overcast", "room"))

    def lamps(fill: float, *placed: tuple[float, float, tuple[float, float, float]]) -> Environment:
        """The sky at `fill` of itself and lamps: how far from behind the person, how high, in radians; colour."""
        d = directions(procedural.HEIGHT)
        return concatenated([sky.scaled(fill)] + [
            still(lamp(d, towards(side * yaw, high), 0.06, np.array(colour))) for yaw, high, colour in placed])

    return {
        "sky": sky, "room": room,
        "behind": lamps(0.15, (0.55, 0.45, (1.0, 0.9, 0.75))),
        "two behind": lamps(0.12, (0.8, 0.2, (0.5, 0.8, 1.0)), (-0.9, 0.3, (1.0, 0.6, 0.35))),
        "side": lamps(0.12, (2.1, 0.6, (1.0, 0.95, 0.85))),
        "colours": lamps(0.08, (1.7, 0.2, (1.0, 0.15, 0.6)), (-1.9, 0.3, (0.1, 0.6, 1.0))),
    }


PAIRS = (("soft", "sky", "room"), ("rim", "room", "behind"), ("rim", "side", "two behind"), ("hard", "sky", "side"),
         ("hard", "behind", "side"), ("coloured", "room", "colours"), ("soft", "side", "sky"))


def cases(people: tuple[tuple[int, str, tuple[int, ...]], ...]) -> list[Case]:
    out = []
    for seed, framing, frames in people:
        taken, made = filmed(seed, framing, frames), lights(seed)
        shots = {name: shoot(taken, light, Look(wide=1.5)) for name, light in made.items()}
        out += [Case(kind, seed, shots[before], shots[after]) for kind, before, after in PAIRS]
    return out


# --- changes of tone, as gradings and nano's first step make them, known at every size

TONES: dict[str, tuple[tuple[float, float, float], float, float]] = {  # slopes, offset, gamma of display values
    "cool, crushed": ((0.85, 0.95, 1.02), -0.05, 1.0), "warm, lifted": ((0.9, 0.8, 0.7), 0.04, 1.0),
    "contrast": ((1.1, 1.1, 1.1), -0.08, 1.0), "fade": ((0.75, 0.75, 0.75), 0.12, 1.0),
    "gamma": ((1.0, 1.0, 1.0), 0.0, 1.4)}


def toned(case: Case, tone: tuple[tuple[float, float, float], float, float]) -> Case:
    slope, offset, gamma = tone
    own = np.clip(np.float32(slope) * _coded(case.before.foreground) ** np.float32(gamma) + np.float32(offset), 0, 1)
    return replace(case, kind="tone", after=replace(case.before, foreground=own))


# --- ways to carry 128 pixels over

def ours(case: Case) -> np.ndarray:
    """(H, W, 3) display: fitted and applied by `harmovid.infer.transfer`."""
    return _carried(case, [case.pair(frame) for frame in range(len(case.before.alpha))])


def ours_coded(case: Case) -> np.ndarray:
    """The same, but composite and true result seen through nano's codec, as a network's are."""
    before, after, alpha = zip(*(case.pair(frame) for frame in range(len(case.before.alpha))), strict=True)
    video = torch.from_numpy(np.stack([before, after]).transpose(0, 4, 1, 2, 3).copy())  # (2, 3, T, H, W)
    with torch.inference_mode():
        latents = encode_clip(_codec(), lambda start, stop: video[:, :, start:stop], len(alpha))
        decoded = torch.cat(list(decode_clip(_codec(), latents, len(alpha))), 2).clamp(0, 1)
    return _carried(case, list(zip(*decoded.permute(0, 2, 3, 4, 1).numpy(), alpha, strict=True)))


@cache
def _codec() -> Codec:
    return checkpoint.load("nano").codec.eval()


def _carried(case: Case, pairs: list[Pair]) -> np.ndarray:
    light = list(transfer.lights(pairs))[case.middle]
    return from_linear(light.apply(to_linear(case.source, "srgb"), (0, 0, SIDE, SIDE)), "srgb")


def bilinear(case: Case) -> np.ndarray:
    """The ratio of the two composites, upsampled."""
    before, after = (to_linear(picture, "srgb") + EPSILON for picture in case.pair(case.middle)[:2])
    return _times(case, cv2.resize(after / before, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR))


def joint_bilateral(case: Case) -> np.ndarray:
    """The log ratio of what is mostly person, upsampled along luminance (Kopf et al. 2007)."""
    reference, result, alpha = case.pair(case.middle)
    before, after = (to_linear(picture, "srgb") + EPSILON for picture in (reference, result))
    gain, small = np.log(after / before), apply.guide(to_linear(reference, "srgb"))
    large = apply.guide(to_linear(case.source, "srgb"))
    factor = SIDE // VIEW
    place = (np.arange(SIDE) + 0.5) / factor - 0.5
    nearest = np.rint(place).astype(int)
    total, count = np.zeros((SIDE, SIDE, 3), np.float32), np.full((SIDE, SIDE, 1), 1e-12, np.float32)
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            rows, columns = (np.clip(nearest + shift, 0, VIEW - 1) for shift in (dy, dx))
            y, x = np.square(place - nearest - dy)[:, None], np.square(place - nearest - dx)[None]
            at = np.ix_(rows, columns)
            weight = np.exp(-(x + y) / (2 * 0.6**2) - np.square(large - small[at]) / (2 * 0.05**2)) * np.where(
                alpha[at] > 0.9, 1, 1e-6)
            total += weight[..., None] * gain[at]
            count += weight[..., None]
    return _times(case, np.exp(total / count))


def shrunk_gain(case: Case) -> np.ndarray:
    """The person's own gain, not seen through any background, upsampled: what 128 pixels can tell without a guide."""
    alpha = case.alpha[..., None]
    before, after = (shrunk(to_linear(own, "srgb") * alpha) + EPSILON * shrunk(alpha)[..., None] + 1e-7
                     for own in (case.source, case.truth))
    return _times(case, cv2.resize(after / before, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR))


def nothing(case: Case) -> np.ndarray:
    """The source, in the mean light of the truth."""
    before, after = (to_linear(own, "srgb") * case.alpha[..., None] for own in (case.source, case.truth))
    return _times(case, after.sum((0, 1)) / before.sum((0, 1)))


def _times(case: Case, gain: np.ndarray) -> np.ndarray:
    return from_linear((to_linear(case.source, "srgb") + EPSILON) * gain - EPSILON, "srgb").astype(np.float32)


WAYS: dict[str, Callable[[Case], np.ndarray]] = {
    "one gain": nothing, "bilinear ratio": bilinear, "joint bilateral": joint_bilateral,
    "own gain, bilinear": shrunk_gain, "light transfer": ours,
    "the same, through nano's codec": ours_coded}


# --- the table

@dataclass
class Score:
    """Of one way: PSNR of each case, and of all cases of a kind what is kept."""

    psnrs: list[float]
    rim: RimLight
    edges: ShadowEdges


def scored(way: Callable[[Case], np.ndarray], some: list[Case]) -> Score:
    score = Score([], RimLight(), ShadowEdges())
    for case in some:
        got = np.clip(way(case), 0, 1)
        score.psnrs.append(psnr(got, case.truth, case.alpha))
        frames = (got, case.source, case.truth, case.alpha)
        score.rim.add(*frames)
        score.edges.add(*frames)
    return score


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, help="a folder for pictures of every case")
    parser.add_argument("--sheet", action="store_true", help="write docs/light_transfer.jpg")
    parser.add_argument("--unseen", action="store_true", help="two other people, on whom no setting was chosen")
    options = parser.parse_args()
    people = UNSEEN if options.unseen else PEOPLE
    everything = cases(people)
    kinds = sorted({case.kind for case in everything})
    print(f"{len(everything)} pairs of {len(people)} people, {SIDE} pixels from {VIEW}; "
          "bars: 30 dB, rim 70%, edges 60%")
    print("\n| way | PSNR fg | least | below 30 | " + " | ".join(kinds) + " | rim kept | edges kept |")
    print("|---|" + "---:|" * (5 + len(kinds)))
    for name, way in WAYS.items():
        score = scored(way, everything)
        means = [np.mean([p for p, case in zip(score.psnrs, everything, strict=True) if case.kind == kind])
                 for kind in kinds]
        print(f"| {name} | {np.mean(score.psnrs):.2f} | {min(score.psnrs):.2f} | {sum(p < 30 for p in score.psnrs)} | "
              + " | ".join(f"{mean:.2f}" for mean in means)
              + f" | {100 * score.rim.value:.0f}% | {100 * score.edges.value:.0f}% |", flush=True)
    print()
    for name, tone in TONES.items():
        psnrs = scored(ours, [toned(case, tone) for case in everything if case.kind == "soft"]).psnrs
        print(f"tone, {name}: {np.mean(psnrs):.1f} dB, least {min(psnrs):.1f}", flush=True)
    pair, own = everything[0].pair(0), to_linear(everything[0].source, "srgb")
    ours(everything[0])  # compiled
    began = time.perf_counter()
    fitted = [next(transfer.lights([pair])) for _ in range(10)]
    fit = time.perf_counter() - began
    for light in fitted:
        light.apply(own, (0, 0, SIDE, SIDE))
    print(f"fit {100 * fit:.1f} ms, apply {100 * (time.perf_counter() - began - fit):.1f} ms a frame")
    if options.pictures:
        for number, case in enumerate(everything):
            write(options.pictures / f"{number:02d}-{case.kind}-{case.seed}.png", looked_at(case))
    if options.sheet and not options.unseen:
        rows = [cv2.resize(looked_at(everything[number]), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
                for number in SHOWN]
        write(ROOT / "docs" / "light_transfer.jpg", np.vstack([np.hstack(rows[n : n + 2]) for n in (0, 2)]))


def looked_at(case: Case) -> np.ndarray:
    """Composite, truth, ours; below, four times the error, and gains, the truth's and ours: grey for none, an eighth
    per stop."""
    got, alpha, behind = np.clip(ours(case), 0, 1), case.alpha, case.after.background[case.middle]

    def over(own: np.ndarray) -> np.ndarray:
        return from_linear(blend.over(to_linear(own, "srgb"), to_linear(behind, "srgb"), alpha), "srgb")

    def gain(own: np.ndarray) -> np.ndarray:
        stops = np.log2((to_linear(own, "srgb") + 0.01) / (to_linear(case.source, "srgb") + 0.01))
        return np.where(alpha[..., None] > 0, 0.5 + stops / 8, 0.5)

    off = 0.5 + 4 * (got - case.truth) * alpha[..., None]
    return np.vstack([np.hstack([over(case.source), over(case.truth), over(got)]),
                      np.hstack([off, gain(case.truth), gain(got)])])


def write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.rint(np.clip(picture, 0, 1)[..., ::-1] * 255).astype(np.uint8))


if __name__ == "__main__":
    main()
