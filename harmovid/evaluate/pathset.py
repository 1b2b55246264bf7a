"""People of the light stage path-traced under every light: what they look like in another light is known exactly.

Nobody can film "the same performance in another light"; `lightstage.pathtrace` renders it, of people and maps that no
training sees. The same person stands under each held-out map, turned by eighths of a circle; or, in moving light, the
place turns around them while they are filmed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from harmovid import config
from harmovid.data import filming
from harmovid.errors import InputError, OptionError
from harmovid.evaluate import testsets
from harmovid.evaluate.fidelity import SquaredError
from harmovid.evaluate.testsets import MANIFEST, VERSION, Item, Manifest, Progress
from harmovid.light import environment
from harmovid.lightstage import identity, pathtrace
from harmovid.lightstage.render import Look, Shot, develop, exposure, over
from harmovid.lightstage.scene import Camera, Performance
from harmovid.video import encode
from harmovid.video.color import luminance
from harmovid.video.target import open_target

Perform = Callable[[int, int, int], Performance]
"""A performance from the person's number, how many frames, and which take."""

PEOPLE = 12
SPIN = 0.5  # share of a circle by which a place turns within a clip of moving light
HELD_OUT = {"test": (pathtrace.HELD_OUT_MAPS, identity.HELD_OUT),
            "validation": (pathtrace.VALIDATION_MAPS, filming.VALIDATION)}
"""The maps and the first person's number of each split."""


def path_set(hdri: Path, out: Path, limit: int | None = None, *, split: str = "test", moving: bool = False,
             rotations: int | None = None, frames: int | None = None, size: tuple[int, int] = (128, 128),
             samples: int = 64, perform: Perform | None = None,
             progress: Progress = lambda stage, done, total: None) -> Manifest:
    """Make the set, or what is missing of it; folders as those of `lutset.lut_set`.

    An item is a person in one light. background/ is the view of that light's map, as the camera sees it; truth/ the
    person in that light before it; mask/ the person's alpha; foreground/ what a user would have filmed: the person in
    the light of another map, before that one's view. Within all rotations of a map the foreground is one and the same,
    so that what changes is the background alone. Each light is filmed by one camera, `lightstage.render`: person and
    background share exposure, white balance and curve. What is path-traced is kept in clips/, scene-linear; of moving
    light the sources, whose light stands still, in sources/.

    Args:
        hdri: folder with the split's maps, NAME.hdr: `pathtrace.HELD_OUT_MAPS` or `pathtrace.VALIDATION_MAPS`.
        out: the set's folder; a set begun there, of the same maps and options, is completed.
        limit: so many people; None for 12.
        split: "test" or "validation"; no two share a person or a map, and neither shares one with training.
        moving: whether each map turns by half a circle within its clips.
        rotations: of each map, in which its clips begin; None: 8, of moving light 2.
        frames: of each clip; None: 8, of moving light 16. size: (height, width) in pixels.
        samples: rays of light through each pixel.
        perform: who performs; None: `lightstage.people`.
        progress: told of every clip.

    Returns:
        The manifest. An item's `variant` is its map; its settings tell the map, the clip that its foreground is
        (`source`), by how many degrees the map is turned (`rotation`) and, of `dominant_light`, `light` (unit vector in
        the camera's frame at the middle of the clip), `directed` and `off_axis`, degrees between light and axis of
        view; of moving light, in place of all from `rotation` on, how far the map is turned where it begins (`begins`)
        and which frames it moves in (`passing`).

    Raises:
        OptionError: no people, or another split.
        InputError: a map is missing or damaged.
        OutputError: another set is in `out`, or it cannot be written.
        MissingExtra: what the light stage needs is not installed.
    """
    people = PEOPLE if limit is None else limit
    if people < 1:
        raise OptionError(f"a path-traced set is of 1 person or more, got {people}")
    if split not in HELD_OUT:
        raise OptionError(f"a path-traced set is of {' or '.join(HELD_OUT)}, got {split!r}: the light stage trains on "
                          "the people and maps of the rest")
    names, first = HELD_OUT[split]
    files = {name: hdri / f"{name}.hdr" for name in names}
    if missing := [path.name for path in files.values() if not path.is_file()]:
        raise InputError(f"{hdri} lacks {', '.join(missing)}; give the folder that holds these maps of Poly Haven")
    if perform is None:
        from harmovid.lightstage.people import perform as made_people

        def perform(seed: int, count: int, take: int) -> Performance:
            return made_people(seed, count, take=take)

    rotations = (2 if moving else 8) if rotations is None else rotations
    frames = (16 if moving else 8) if frames is None else frames
    plan = pathtrace.plan(files, people, rotations, first)
    sources = pathtrace.plan(files, people, 1, first) if moving else plan
    settings: dict[str, Any] = {"rotations": rotations, "frames": frames, "size": list(size), "samples": samples}
    wanted = Manifest(
        VERSION, split, len(plan) // people, kind="moving" if moving else "pathtraced",
        clips=tuple(dict.fromkeys(_who(clip) for clip in plan)),
        backgrounds=testsets.digests(files.values(), lambda path: path.name),
        settings=settings | ({"spin": SPIN} if moving else {}))
    begun = testsets.begin(out, wanted)
    maps = {name: environment.read(path) for name, path in files.items()}
    trace = partial(pathtrace.truth, maps=maps, perform=perform, people=people, first=first, frames=frames, size=size,
                    samples=samples)
    work = [trace(out / "clips", rotations=rotations, spin=SPIN if moving else 0.0)]
    if moving:
        work.append(trace(out / "sources", rotations=1))
    total = len(plan) + (len(sources) if moving else 0)
    for number, _ in enumerate(chain.from_iterable(work), 1):
        progress("path tracing", number, total)
    places = {clip.name: out / "clips" / f"{clip.name}.npz" for clip in plan}
    stills = {clip.name: out / ("sources" if moving else "clips") / f"{clip.name}.npz" for clip in sources}
    by_name = {clip.name: clip for clip in plan}  # each map begins unturned, so sources are among them
    if begun is None:
        cameras = {_who(clip): _load(places[clip.name])[1] for clip in plan}
        begun = replace(wanted, items=tuple(
            _item(clip, sources, maps, cameras[_who(clip)], frames if moving else None) for clip in plan))
        config.save(begun, out / MANIFEST)

    def make(item: Item) -> float:
        clip, still = by_name[item.name], by_name[item.settings["source"]]
        target = _filmed(places[clip.name], maps[clip.map], clip.turn, SPIN if moving else 0.0)
        source = _filmed(stills[still.name], maps[still.map], still.turn)
        rate = _load(places[item.name])[2]
        shown = {"truth": target.composite, "background": target.background, "mask": target.alpha,
                 "foreground": source.composite}
        for role, pictures in shown.items():
            path = open_target(out / role / f"{item.name}.mkv", overwrite=True)
            with encode.Writer(path, size[::-1], rate, grey=role == "mask") as writer:
                for picture in pictures:
                    writer.write(picture)
        error = SquaredError()
        alphas = testsets.alphas(out, item.name)
        for true, behind, front, alpha in zip(target.composite, target.background, source.composite, alphas,
                                              strict=True):
            error.add(over(front, behind, alpha), true, (alpha >= 0.5).astype(np.float32))
        return min(100.0, round(error.psnr(), 3))

    return testsets.finish(out, begun, make, progress)


def dominant_light(light: np.ndarray) -> tuple[np.ndarray, float]:
    """Where most light of a map comes from, and how much it does.

    The vector irradiance Σ L d Δω, of luminance L from directions d (Gershun 1936, "The Light Field"); it turns with
    the map and is linear in it.

    Args:
        light: (H, 2H, 3) environment map.

    Returns:
        (3,) unit vector in the world; and its length as a share of Σ L Δω: 0 for even light, 1 for one lamp.
    """
    power = luminance(light) * environment.solid_angles(len(light))
    vector = (power[..., None] * environment.directions(len(light))).sum((0, 1), dtype=np.float64)
    length = float(np.linalg.norm(vector))
    return vector / max(length, 1e-12), length / max(float(power.sum()), 1e-12)


def _who(clip: pathtrace.Clip) -> str:
    return f"person{clip.seed}_{clip.take}"


def _item(clip: pathtrace.Clip, plan: list[pathtrace.Clip], maps: dict[str, np.ndarray], camera: Camera,
          moving: int | None) -> Item:
    """An item, its source one of `plan`; moving: in how many frames its light moves."""
    sources = [other.name for other in plan if _who(other) == _who(clip) and other.map != clip.map]
    source = sources[testsets.seed(_who(clip), clip.map) % len(sources)]
    if moving is not None:
        return Item(clip.name, _who(clip), background=f"{clip.map}.hdr", variant=clip.map,
                    settings={"map": clip.map, "source": source, "begins": round(clip.turn * 360, 3),
                              "passing": [0, moving]})
    vector, directed = dominant_light(pathtrace.rotated(maps[clip.map], clip.turn))
    seen = vector @ camera.pose[len(camera.pose) // 2, :3, :3]
    off_axis = float(np.degrees(np.arccos(np.clip(-seen[2], -1, 1))))
    return Item(clip.name, _who(clip), background=f"{clip.map}.hdr", variant=clip.map, settings={
        "map": clip.map, "rotation": round(clip.turn * 360, 3), "source": source, "light": seen.round(4).tolist(),
        "directed": round(directed, 4), "off_axis": round(off_axis, 2)})


def _filmed(path: Path, pixels: np.ndarray, turn: float, spin: float = 0.0) -> Shot:
    """A path-traced clip before the view of its map, as one camera films both."""
    rgba, camera, _ = _load(path)
    behind = np.concatenate([environment.views(environment.still(pathtrace.rotated(pixels, turn + spun)), pose[None],
                                               camera.height, rgba.shape[1:3], Look().blur)
                             for spun, pose in zip(pathtrace.turns(len(rgba), spin), camera.pose, strict=True)])
    alpha = rgba[..., 3]
    person = rgba[..., :3] / np.maximum(alpha, 1e-3)[..., None]
    look = Look()
    gain = exposure(person, behind, alpha, look)
    return Shot(develop(person * gain, look), develop(behind * gain, look), alpha)


def _load(path: Path) -> tuple[np.ndarray, Camera, Fraction]:
    """(T, H, W, 4) float32, scene-linear, premultiplied; the camera; frames a second."""
    with np.load(path) as held:
        return (held["rgba"].astype(np.float32), Camera(held["pose"], float(held["angle"])),
                Fraction(*held["rate"].tolist()))
