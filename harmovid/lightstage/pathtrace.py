"""Truth: a performance under an environment map, path-traced. The only door of mitsuba.

Mitsuba 3 (Jakob et al. 2022; BSD) traces the light; Intel's Open Image Denoise cleans what few samples leave.
Everything in and out is scene-linear RGB.
"""

import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harmovid.errors import InputError, MissingExtra, OutputError
from harmovid.lightstage.identity import HELD_OUT
from harmovid.lightstage.scene import Material, Performance, Surface

Array = npt.NDArray[np.float32]


@cache
def compiled() -> bool:
    """Whether there is a libLLVM by which light is traced in compiled code; without one it takes several times as long.

    Where DRJIT_LIBLLVM_PATH does not name it, it is looked for, and named there.
    """
    library = next(
        (path for version in range(21, 16, -1) for path in Path("/usr/lib").glob(f"*/libLLVM*{version}*.so*")), None
    )
    if library is not None:
        os.environ.setdefault("DRJIT_LIBLLVM_PATH", str(library))
    return "DRJIT_LIBLLVM_PATH" in os.environ


@cache
def mitsuba():  # type: ignore[no-untyped-def]
    """Mitsuba with the fastest variant that runs here, on one thread.

    `llvm_ad_rgb` needs a libLLVM newer than 16 (Debian: libllvm19); `scalar_rgb` needs none and is some times slower.
    """
    # With an older libLLVM the process would abort, not raise: so ask for the library first.
    compiles = compiled()
    try:
        import mitsuba as mi
    except ImportError as error:
        raise MissingExtra("mitsuba", "lightstage", "Path tracing") from error
    mi.set_variant("llvm_ad_rgb" if compiles else "scalar_rgb")
    if compiles:
        import drjit

        drjit.set_thread_count(int(os.environ.get("OMP_NUM_THREADS", "1")))
    return mi


def _texture(picture: Array, raw: bool) -> dict[str, Any]:
    mi = mitsuba()
    picture = picture[..., None] if picture.ndim == 2 else picture
    return {
        "type": "bitmap",
        "bitmap": mi.Bitmap(np.ascontiguousarray(picture, np.float32)),
        "raw": raw,
        "wrap_mode": "clamp",
    }


def _bsdf(material: Material, closed: bool, full: bool) -> dict[str, Any]:
    """Mitsuba's description of a material: Disney's principled BSDF, or Lambert alone."""
    albedo = _texture(material.albedo, True)
    if not full or material.reflectance == 0:
        bsdf: dict[str, Any] = {"type": "diffuse", "reflectance": albedo}
    else:
        bsdf = {
            "type": "principled",
            "base_color": albedo,
            "roughness": _texture(material.roughness, True),
            "specular": float(np.clip(material.reflectance / 0.08, 0, 1)),
            "flatness": material.scatter,
        }
    if full and material.relief is not None:
        bsdf = {"type": "normalmap", "normalmap": _texture(material.relief * 0.5 + 0.5, True), "nested": bsdf}
    return {"type": "twosided", "nested": bsdf}


def _mesh(surface: Surface, frame: int, full: bool) -> Any:
    """One frame of a surface. Corners that share a vertex but not its uv are split; normals stay joined."""
    mi = mitsuba()
    points = surface.vertices[frame].astype(np.float32)
    # The first corner at a vertex gives it its uv; corners that differ become vertices of their own.
    corner, uv = surface.faces.reshape(-1).astype(np.int64), surface.uv.reshape(-1, 2)
    own = np.zeros((len(points), 2), np.float32)
    own[corner[::-1]] = uv[::-1]
    split = np.flatnonzero((own[corner] != uv).any(1))
    index = np.concatenate([np.arange(len(points)), corner[split]])
    coordinates = np.concatenate([own, uv[split]])
    corner = corner.copy()
    corner[split] = len(points) + np.arange(len(split))
    faces = corner.reshape(-1, 3).astype(np.uint32)
    normals = vertex_normals(points, surface.faces)
    props = mi.Properties()
    props["bsdf"] = mi.load_dict(_bsdf(surface.material, surface.closed, full))
    mesh = mi.Mesh(
        surface.name, len(index), len(faces), has_vertex_normals=True, has_vertex_texcoords=True, props=props
    )
    params = mi.traverse(mesh)
    params["vertex_positions"] = points[index].ravel()
    params["vertex_normals"] = normals[index].ravel()
    # Row 0 of our pictures is v = 1; Mitsuba's textures count v down from the first row.
    params["vertex_texcoords"] = (coordinates * [1, -1] + [0, 1]).astype(np.float32).ravel()
    params["faces"] = faces.ravel()
    params.update()
    return mesh


def vertex_normals(points: Array, faces: npt.NDArray[np.int32]) -> Array:
    """(V, 3) unit normals, weighted by the area of the faces around each vertex; (V, 3) points, (F, 3) faces."""
    a, b, c = points[faces[:, 0]], points[faces[:, 1]], points[faces[:, 2]]
    flat = np.cross(b - a, c - a)
    normals = np.stack(
        [sum(np.bincount(faces[:, corner], flat[:, axis], len(points)) for corner in range(3)) for axis in range(3)], 1
    )
    return (normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)).astype(np.float32)


def _environment(environment: Array) -> dict[str, Any]:
    """Our map's centre column looks along −z, Mitsuba's along +z: half a turn about y."""
    mi = mitsuba()
    return {
        "type": "envmap",
        "bitmap": mi.Bitmap(_clean(environment)),
        "to_world": mi.ScalarTransform4f().rotate([0, 1, 0], 180.0),
    }


def _clean(environment: Array) -> Array:
    if environment.ndim != 3 or environment.shape[2] != 3:
        raise InputError(
            f"The environment has shape {environment.shape}, expected (H, W, 3): "
            "give an equirectangular map in scene-linear RGB."
        )
    return np.ascontiguousarray(np.clip(np.nan_to_num(environment), 0, None), np.float32)


def scene(
    performance: Performance, frame: int, environment: Array, size: tuple[int, int], samples: int, full: bool
) -> Any:
    """Mitsuba's scene of one frame; size is (height, width) in pixels."""
    mi = mitsuba()
    height, width = size
    pose = performance.camera.pose[frame].astype(float)
    # Mitsuba's camera looks along +z with x to the left.
    turned = pose @ np.diag([-1.0, 1.0, -1.0, 1.0])
    parts: dict[str, Any] = {
        "type": "scene",
        "integrator": {
            "type": "aov",
            "aovs": "albedo:albedo,normal:sh_normal",
            "image": {"type": "path", "max_depth": 8 if full else 2, "hide_emitters": True},
        },
        "sensor": {
            "type": "perspective",
            "fov": float(np.degrees(performance.camera.height)),
            "fov_axis": "y",
            "near_clip": 0.05,
            "to_world": mi.ScalarTransform4f(turned),
            "film": {
                "type": "hdrfilm",
                "width": width,
                "height": height,
                "pixel_format": "rgba",
                "rfilter": {"type": "box"},
            },
            "sampler": {"type": "independent", "sample_count": samples},
        },
        "light": _environment(environment),
    }
    for number, surface in enumerate(performance.surfaces):
        parts[f"shape{number}"] = _mesh(surface, frame, full)
    return mi.load_dict(parts)


def render(
    performance: Performance,
    frame: int,
    environment: Array,
    size: tuple[int, int] = (256, 256),
    *,
    samples: int = 32,
    full: bool = True,
    seed: int = 0,
    denoise: bool = True,
) -> Array:
    """(H, W, 4) one frame: scene-linear RGB, premultiplied by alpha, and alpha.

    `environment` is (H, W, 3), equirectangular, row 0 up, its centre column along −z: what stands behind the person.
    `full` false: Lambert and direct light alone, for comparison with renderers that know no more.
    """
    return _traced(scene(performance, frame, environment, size, samples, full), samples, seed, denoise)


def _traced(loaded: Any, samples: int, seed: int, denoise: bool) -> Array:
    traced = np.nan_to_num(np.array(mitsuba().render(loaded, seed=seed, spp=samples)))
    picture, albedo, normal = traced[..., :4], traced[..., 4:7], traced[..., 7:10]
    if denoise:
        picture = _denoised(picture, albedo, normal)
    return np.clip(picture, 0, None).astype(np.float32)


def relit(
    performance: Performance,
    frame: int,
    environments: Iterable[Array],
    size: tuple[int, int],
    *,
    samples: int = 32,
    full: bool = True,
    seed: int = 0,
) -> Iterator[Array]:
    """One frame under many maps of one size, as `render` gives it; geometry is built once."""
    loaded, shape = None, None
    for environment in environments:
        if loaded is None or environment.shape != shape:
            loaded, shape = scene(performance, frame, environment, size, samples, full), environment.shape
        else:
            params = mitsuba().traverse(loaded)
            key = next(name for name in params.keys() if name.endswith("light.data"))
            # Mitsuba holds a column more on either side, the other side's own, to filter across the seam.
            clean = _clean(environment)
            params[key] = mitsuba().TensorXf(np.concatenate([clean[:, -1:], clean, clean[:, :1]], 1))
            params.update()
        yield _traced(loaded, samples, seed, True)


def rotated(environment: Array, turns: float) -> Array:
    """The map turned about the vertical by a share of a full circle: what was behind the person goes to their
    left (+x).
    """
    return np.roll(environment, round(turns * environment.shape[1]), 1)


@dataclass(frozen=True)
class Clip:
    """One clip of the truth set."""

    seed: int
    take: int
    map: str
    turn: float  # share of a circle by which the map is rotated

    @property
    def name(self) -> str:
        return f"person{self.seed}_{self.take}_{self.map}_{round(self.turn * 360):03d}"


# Poly Haven's maps that the list of the data (data/split.csv) keeps for `test`, so that no training ever sees them: a
# studio, a low sun over water, a market hall.
HELD_OUT_MAPS = ("studio_small_03", "venice_sunset", "leadenhall_market")
# Those that it keeps for `validation`: a hill, a room by its windows, a square, a chapel.
VALIDATION_MAPS = ("hilly_terrain_01", "lebombo", "potsdamer_platz", "thatch_chapel")


def plan(maps: Iterable[str], people: int = 12, rotations: int = 8, first: int = HELD_OUT) -> list[Clip]:
    """Every person under every rotation of every map; their seeds are `first` and those after it."""
    return [
        Clip(first + number, 0, name, turn / rotations)
        for number in range(people)
        for name in maps
        for turn in range(rotations)
    ]


def truth(
    out: Path,
    maps: dict[str, Array],
    perform: Callable[[int, int, int], Performance],
    *,
    people: int = 12,
    first: int = HELD_OUT,
    rotations: int = 8,
    frames: int = 8,
    size: tuple[int, int] = (128, 128),
    samples: int = 48,
    full: bool = True,
    spin: float = 0.0,
) -> Iterator[Clip]:
    """Renders the truth set into `out`, clip by clip; yields each clip once it lies there. What lies there already is
    kept.

    `maps`: name to map, all of one size; `perform(seed, frames, take)` makes a performance. A clip is NAME.npz with
    `rgba`, (T, H, W, 4) half floats, scene-linear, premultiplied, with the camera's `pose` (T, 4, 4) and vertical
    `angle` of view and the `rate` of frames, a fraction; manifest.json tells how all of them were made. `spin`: by
    which share of a circle a map turns on from a clip's first frame to its last.
    """
    clips = plan(maps, people, rotations, first)
    settings: dict[str, Any] = {"frames": frames, "size": list(size), "samples": samples, "full": full,
                                "rotations": rotations} | ({"spin": spin} if spin else {})
    out.mkdir(parents=True, exist_ok=True)
    manifest = {"settings": settings, "clips": [{**asdict(clip), "file": clip.name + ".npz"} for clip in clips]}
    path = out / "manifest.json"
    if path.exists() and json.loads(path.read_text())["settings"] != settings:
        raise OutputError(
            f"{out} holds a truth set made with other settings; give another folder, or the settings in {path}."
        )
    _written(path, json.dumps(manifest, indent=1).encode())
    for (seed, take), group in groupby(clips, key=lambda clip: (clip.seed, clip.take)):
        wanted = list(group)
        missing = [clip for clip in wanted if not (out / f"{clip.name}.npz").exists()]
        if missing:
            performance = perform(seed, frames, take)
            # One frame under all lights before the next: geometry is dear, a change of light is cheap.
            shown = [
                np.stack(
                    list(
                        relit(
                            performance,
                            frame,
                            (rotated(maps[clip.map], clip.turn + spun) for clip in missing),
                            size,
                            samples=samples,
                            full=full,
                            seed=frame,
                        )
                    )
                ).astype(np.float16)
                for frame, spun in enumerate(turns(frames, spin))
            ]
            for number, clip in enumerate(missing):
                held = io.BytesIO()
                rate, camera = performance.rate, performance.camera
                np.savez_compressed(held, rgba=np.stack([frame[number] for frame in shown]), pose=camera.pose,
                                    angle=camera.height, rate=(rate.numerator, rate.denominator))
                _written(out / f"{clip.name}.npz", held.getvalue())
        yield from wanted


def turns(frames: int, spin: float) -> Array:
    """(T,) shares of a circle by which a map has turned at each frame."""
    return np.linspace(0, spin, frames, dtype=np.float32) if frames > 1 else np.zeros(frames, np.float32)


def _written(path: Path, content: bytes) -> None:
    """Whole or not at all: under another name first."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)


def _denoised(picture: Array, albedo: Array, normal: Array) -> Array:
    """OIDN's estimate, guided by first hits. Colour is premultiplied, so alpha stays as it was sampled."""
    import mitsuba_oidn

    color = mitsuba_oidn.denoise(
        np.ascontiguousarray(picture[..., :3]),
        albedo=np.ascontiguousarray(albedo),
        normal=np.ascontiguousarray(normal),
        hdr=True,
    )
    return np.concatenate([color, picture[..., 3:]], -1)
