"""The renderer that makes training data against the path tracer: `python -m benchmarks.lightstage_truth HDRI`.

HDRI is a folder of Poly Haven's maps. For each person under each map, of the person alone: PSNR of display values, both
pictures developed by one camera, its exposure set on the path-traced one; pixels weigh as much as they are covered.
`diffuse` is Lambert and direct light alone, `full` all that each renderer knows; `points` of a pixel ask for light;
`keys` are the beams of the map's key lights, 0 where it was filmed for any light. The light goes through stored
buffers, as in training. Then come the processor's seconds to film and code that frame, and last what a frame of 256
pixels of a take of 24 takes and how many frames are relit in a second (`--speed`: that alone).

What is path-traced is kept in .cache/pathtrace_check; where the path tracer has changed, delete that. It is not
denoised: a denoiser takes strands of hair for noise.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from harmovid.infer.memory import keep_memory
from harmovid.light import basis, environment, keys
from harmovid.lightstage import buffers, pathtrace
from harmovid.lightstage.buffers import Encoder, Filmed
from harmovid.lightstage.film import film
from harmovid.lightstage.people import perform, person
from harmovid.lightstage.radiance import StageConfig, transfer
from harmovid.lightstage.render import Look, develop, exposure
from harmovid.lightstage.scene import Performance

CACHE = Path(__file__).parents[1] / ".cache" / "pathtrace_check"
HEIGHT = 256  # of the maps
HAIR, FACE = ("hair", "brows", "lashes"), ("skin", "eyes", "teeth", "tongue")


def traced(performance: Performance, name: str, light: np.ndarray, full: bool, size: int, samples: int) -> np.ndarray:
    """(H, W, 4) scene-linear, premultiplied; from the cache where it was rendered before."""
    told = hashlib.sha256(light.tobytes())  # people change with the code that makes them
    camera = performance.camera
    told.update(camera.pose.tobytes() + repr(camera.height).encode())
    for surface in performance.surfaces:
        material = surface.material
        told.update(repr((surface.closed, material.reflectance, material.scatter)).encode())
        for part in (surface.vertices, surface.faces, surface.uv, material.albedo, material.roughness, material.relief):
            told.update(b"" if part is None else part.tobytes())
    path = CACHE / f"{name}-{size}-{'full' if full else 'diffuse'}-{samples}-{told.hexdigest()[:12]}.npy"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = pathtrace.render(performance, 0, light, (size, size), samples=samples, full=full, denoise=False)
        with path.with_name(path.name + ".part").open("wb") as file:
            np.save(file, picture)
        path.with_name(path.name + ".part").replace(path)
    return np.asarray(np.load(path))


def stored(performance: Performance, size: int, config: StageConfig,
           found: keys.Keys | None = None) -> tuple[buffers.Buffers, np.ndarray]:
    """A frame as it is kept, and the (H, W) surface of each pixel, −1 where there is none."""
    frame = transfer(performance, 0, (size, size), config, found and found.beams)
    encoder = Encoder([frame])
    info = Filmed("one", (size, size), (24, 1), performance.camera.height, performance.camera.pose[:1].tolist())
    kind = np.full(size * size, -1)
    kind[frame.place] = frame.kind
    taken = encoder.pack(info, [(frame.alpha, frame.place, encoder.encode(frame))], found and found.labels)
    return taken, kind.reshape(size, size)


def developed(truth: np.ndarray, ours: np.ndarray, light: np.ndarray, taken: buffers.Buffers) -> Iterator[np.ndarray]:
    """Both as (H, W, 3) display values of one camera."""
    alpha = truth[..., 3]
    person = truth[..., :3] / np.maximum(alpha, 1e-3)[..., None]
    behind = environment.views(environment.still(light), taken.info.poses, taken.info.angle, taken.info.size)
    gain = exposure(person[None], behind, alpha[None], Look())
    return (develop(picture * gain, Look()) for picture in (person, ours))


def smooth(performance: Performance) -> Performance:
    """Without relief, which the path tracer leaves out where it knows Lambert alone."""
    return replace(performance, surfaces=tuple(replace(s, material=replace(s.material, relief=None))
                                               for s in performance.surfaces))


def speed(seeds: list[int], frames: int = 5, whole: int = 24) -> None:
    """Print what filming a frame of a take of `whole` takes, as `harmovid data lightstage` films it; then relighting.

    `frames` of it are filmed, as many as the components are learned from: making the person and learning are shared
    out to all frames of the take, what a process does but once (loading, the basis of directions) is left out.
    """
    keep_memory()
    film(perform(seeds[0], 1), "one", (16, 16))
    studio = np.full((basis.HEIGHT, 2 * basis.HEIGHT, 3), 0.01, np.float32)
    studio[30:40, 20:40] = 100
    found = keys.find(environment.still(studio))
    assert found is not None
    each = []
    for seed in seeds:
        person.cache_clear()
        marks = [time.process_time()]
        performance = perform(seed, whole)
        marks.append(time.process_time())
        chosen = np.linspace(0, whole - 1, frames).round().astype(int)
        seen = [transfer(performance, t, (256, 256)) for t in chosen]
        marks.append(time.process_time())
        encoder = Encoder(seen)
        marks.append(time.process_time())
        for frame in seen:
            encoder.encode(frame)
        marks.append(time.process_time())
        spent = np.diff(marks) / [whole, frames, whole, frames]
        start = time.process_time()
        for t in chosen:
            transfer(performance, t, (256, 256), keys=found.beams)
        lit = (time.process_time() - start) / frames
        each.append((spent.sum(), spent.sum() - spent[1] + lit))
        print(f"{seed}: a frame of 256 pixels {spent.sum():.2f} s: person {spent[0]:.2f}, transfer {spent[1]:.2f}, "
              f"learning {spent[2]:.2f}, coding {spent[3]:.2f} (of a take of {whole} frames); filmed for a lamp, "
              f"{found.labels.max()} beams: {each[-1][1]:.2f} s, transfer {lit:.2f}", flush=True)
    print(f"mean of {len(each)} people {np.mean(each, 0)[0]:.2f} s, for a lamp {np.mean(each, 0)[1]:.2f} s")
    taken = film(perform(seeds[0], 8), "one", (128, 128))
    light = basis.project(np.random.default_rng(0).random((128, 256, 3), np.float32))
    for name, given in (("still", light), ("moving", np.tile(light, (8, 1, 1)))):
        start = time.process_time()
        for _ in range(10):
            buffers.relight(taken, given)
        print(f"relit frames of 128 pixels a second, {name} light: {80 / (time.process_time() - start):.0f}")


def psnr(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> float:
    error = (np.square(a - b).mean(-1) * weight).sum() / max(float(weight.sum()), 1e-9)
    return float(-10 * np.log10(max(error, 1e-10)))


def of_kinds(performance: Performance, kind: np.ndarray) -> dict[str, np.ndarray]:
    """(H, W) where there is hair, face and cloth."""
    names = np.array([s.name for s in performance.surfaces] + [""])[kind]
    hair, face = np.isin(names, HAIR), np.isin(names, FACE)
    return {"skin": face, "hair": hair, "cloth": ~hair & ~face & (names != "")}


def sheet(rows: list[np.ndarray], path: Path) -> None:
    picture = np.rint(np.clip(np.vstack(rows), 0, 1)[..., ::-1] * 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hdri", type=Path)
    parser.add_argument("--maps", nargs="+", default=list(pathtrace.HELD_OUT_MAPS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1_500_000, 1_500_001, 1_500_002])
    parser.add_argument("--points", nargs="+", type=int, default=[2, 8])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--samples", type=int, default=1024)
    parser.add_argument("--speed", action="store_true", help="only the last lines: filming and relighting")
    parser.add_argument("--sheet", type=Path, help="a picture of truth, ours and difference, a row for each result")
    args = parser.parse_args()
    if args.speed:
        speed(args.seeds)
        return
    maps = {name: environment.shrunk(environment.read(args.hdri / f"{name}.hdr"), HEIGHT) for name in args.maps}
    rows = []
    keyed = {name: keys.find(environment.still(light)) for name, light in maps.items()}
    print(f"{'person':>8} {'map':24} {'light':8} {'points':>6} {'keys':>6} {'PSNR':>6} {'skin':>6} {'hair':>6} "
          f"{'cloth':>6} {'seconds':>7}")
    for seed in args.seeds:
        whole_person = perform(seed, 1)
        for full in (False, True):
            performance = whole_person if full else smooth(whole_person)
            whole = StageConfig() if full else StageConfig(gloss=False, bounce=False, scatter=False, strands=False)
            for points in args.points:
                config = replace(whole, points=points)
                for found in [None, *filter(None, keyed.values())]:
                    asked = [name for name in maps if found is None or found is keyed[name]]
                    start = time.process_time()
                    taken, kind = stored(performance, args.size, config, found)
                    spent = time.process_time() - start
                    for name in asked:
                        truth = traced(performance, f"{seed}-{name}", maps[name], full, args.size, args.samples)
                        ours = buffers.relight(taken, basis.project(maps[name], taken.cells, taken.keys))[0]
                        a, b = developed(truth, ours, maps[name], taken)
                        both = truth[..., 3] * (taken.alpha[0] > 0)
                        by = [psnr(a, b, both * where) for where in of_kinds(performance, kind).values()]
                        print(f"{seed:8d} {name:24} {'full' if full else 'diffuse':8} {points:6d} "
                              f"{taken.mean.shape[-1] - taken.cells:6d} {psnr(a, b, both):6.1f} "
                              + " ".join(f"{x:6.1f}" for x in by) + f" {spent:7.1f}", flush=True)
                        cover = both[..., None]
                        rows.append(np.hstack([a * cover, b * cover, 0.5 + (b - a) * cover]))
    if args.sheet:
        sheet(rows, args.sheet)
    speed(args.seeds)


if __name__ == "__main__":
    main()
