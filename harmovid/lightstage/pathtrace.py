"""Truth: a performance under an environment map, path-traced. The only door of mitsuba.

Mitsuba 3 (Jakob et al. 2022; BSD) traces the light; Intel's Open Image Denoise cleans what few samples leave.
Everything in and out is scene-linear RGB.
"""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harmovid.errors import InputError, MissingExtra
from harmovid.lightstage.scene import Material, Performance, Surface

Array = npt.NDArray[np.float32]

# Beyond this a path is cut: the sun seen through a rough mirror makes fireflies that no denoiser removes.
CLAMP = 60.0


@cache
def mitsuba():  # type: ignore[no-untyped-def]
    """Mitsuba with the fastest variant that runs here, on one thread.

    `llvm_ad_rgb` needs a libLLVM newer than 16 (Debian: libllvm19); `scalar_rgb` needs none and is some times slower.
    """
    library = next((path for version in range(21, 16, -1) for path in Path("/usr/lib").glob(
        f"*/libLLVM*{version}*.so*")), None)
    if library is not None:
        os.environ.setdefault("DRJIT_LIBLLVM_PATH", str(library))
    try:
        import mitsuba as mi
    except ImportError as error:
        raise MissingExtra("mitsuba", "lightstage", "Path tracing") from error
    # With an older libLLVM the process would abort, not raise: so ask for the library first.
    mi.set_variant("llvm_ad_rgb" if "DRJIT_LIBLLVM_PATH" in os.environ else "scalar_rgb")
    if mi.variant().startswith("llvm"):
        import drjit
        drjit.set_thread_count(int(os.environ.get("OMP_NUM_THREADS", "1")))
    return mi


def _texture(picture: Array, raw: bool) -> dict[str, Any]:
    mi = mitsuba()
    picture = picture[..., None] if picture.ndim == 2 else picture
    return {"type": "bitmap", "bitmap": mi.Bitmap(np.ascontiguousarray(picture, np.float32)), "raw": raw,
            "wrap_mode": "clamp"}


def _bsdf(material: Material, closed: bool, full: bool) -> dict[str, Any]:
    """Mitsuba's description of a material: Disney's principled BSDF, or Lambert alone."""
    albedo = _texture(material.albedo, True)
    if not full or material.reflectance == 0:
        bsdf: dict[str, Any] = {"type": "diffuse", "reflectance": albedo}
    else:
        bsdf = {"type": "principled", "base_color": albedo, "roughness": _texture(material.roughness, True),
                "specular": float(np.clip(material.reflectance / 0.08, 0, 1)), "flatness": material.scatter}
    if full and material.relief is not None:
        bsdf = {"type": "normalmap", "normalmap": _texture(material.relief * 0.5 + 0.5, True), "nested": bsdf}
    return {"type": "twosided", "nested": bsdf}


def _fibre(material: Material) -> dict[str, Any]:
    """Marschner's fibre (Chiang et al. 2016): its absorption chosen so that many fibres show the albedo."""
    albedo = np.clip(material.albedo.reshape(-1, 3).mean(0), 0.003, 0.95)
    roughness = 0.3
    scale = (5.969 - 0.215 * roughness + 2.532 * roughness**2 - 10.73 * roughness**3 + 5.574 * roughness**4
             + 0.245 * roughness**5)  # Chiang et al. 2016, equation 9
    absorption = (np.log(albedo) / scale) ** 2
    return {"type": "hair", "sigma_a": {"type": "rgb", "value": absorption.tolist()},
            "longitudinal_roughness": float(np.clip(material.roughness.mean(), 0.1, 0.6)),
            "azimuthal_roughness": roughness, "scale_tilt": 2.0, "int_ior": 1.55}


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
    faces = corner.copy()
    faces[split] = len(points) + np.arange(len(split))
    faces = faces.reshape(-1, 3).astype(np.uint32)
    normals = vertex_normals(points, surface.faces)
    props = mi.Properties()
    props["bsdf"] = mi.load_dict(_bsdf(surface.material, surface.closed, full))
    mesh = mi.Mesh(surface.name, len(index), len(faces), has_vertex_normals=True, has_vertex_texcoords=True, props=props)
    params = mi.traverse(mesh)
    params["vertex_positions"] = points[index].ravel()
    params["vertex_normals"] = normals[index].ravel()
    # Mitsuba's textures have row 0 at v = 1 already turned: it flips on reading a file, not a bitmap in memory.
    params["vertex_texcoords"] = (coordinates * [1, -1] + [0, 1]).astype(np.float32).ravel()
    params["faces"] = faces.ravel()
    params.update()
    return mesh


def vertex_normals(points: Array, faces: npt.NDArray[np.int32]) -> Array:
    """(V, 3) unit normals, weighted by the area of the faces around each vertex; (V, 3) points, (F, 3) faces."""
    a, b, c = points[faces[:, 0]], points[faces[:, 1]], points[faces[:, 2]]
    flat = np.cross(b - a, c - a)
    normals = np.stack([sum(np.bincount(faces[:, corner], flat[:, axis], len(points)) for corner in range(3))
                        for axis in range(3)], 1)
    return (normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)).astype(np.float32)


def _environment(environment: Array) -> dict[str, Any]:
    """Our map's centre column looks along −z. Mitsuba's convention is turned by half a circle or not: see the test."""
    mi = mitsuba()
    environment = np.clip(environment, 0, None).astype(np.float32)
    return {"type": "envmap", "bitmap": mi.Bitmap(np.ascontiguousarray(environment)), "scale": 1.0,
            "to_world": mi.ScalarTransform4f().rotate([0, 1, 0], TURN)}


TURN = 0.0


def scene(performance: Performance, frame: int, environment: Array, size: tuple[int, int], samples: int,
          full: bool) -> Any:
    """Mitsuba's scene of one frame; size is (height, width) in pixels."""
    mi = mitsuba()
    height, width = size
    pose = performance.camera.pose[frame].astype(float)
    # Mitsuba's camera looks along +z with x to the left.
    turned = pose @ np.diag([-1.0, 1.0, -1.0, 1.0])
    parts: dict[str, Any] = {
        "type": "scene",
        "integrator": {"type": "aov", "aovs": "albedo:albedo,normal:sh_normal",
                       "image": {"type": "path", "max_depth": 8 if full else 2, "hide_emitters": True}},
        "sensor": {"type": "perspective", "fov": float(np.degrees(performance.camera.height)), "fov_axis": "y",
                   "near_clip": 0.05, "to_world": mi.ScalarTransform4f(turned),
                   "film": {"type": "hdrfilm", "width": width, "height": height, "pixel_format": "rgba",
                            "rfilter": {"type": "box"}},
                   "sampler": {"type": "independent", "sample_count": samples}},
        "light": _environment(environment)}
    for number, surface in enumerate(performance.surfaces):
        parts[f"shape{number}"] = _mesh(surface, frame, full)
    return mi.load_dict(parts)


def render(performance: Performance, frame: int, environment: Array, size: tuple[int, int] = (256, 256), *,
           samples: int = 32, full: bool = True, seed: int = 0, denoise: bool = True) -> Array:
    """(H, W, 4) one frame: scene-linear RGB, premultiplied by alpha, and alpha.

    `environment` is (H, W, 3), equirectangular, row 0 up, its centre column along −z: what stands behind the person.
    `full` false: Lambert and direct light alone, for comparison with renderers that know no more.
    """
    if environment.ndim != 3 or environment.shape[2] != 3:
        raise InputError(f"The environment has shape {environment.shape}, expected (H, W, 3): "
                         "give an equirectangular map in scene-linear RGB.")
    mi = mitsuba()
    traced = np.array(mi.render(scene(performance, frame, environment, size, samples, full), seed=seed, spp=samples))
    picture, albedo, normal = traced[..., :4], traced[..., 4:7], traced[..., 7:10]
    picture = np.nan_to_num(picture)
    if denoise:
        picture = _denoised(picture, albedo, normal)
    return np.clip(picture, 0, None).astype(np.float32)


def _denoised(picture: Array, albedo: Array, normal: Array) -> Array:
    """OIDN's estimate, guided by first hits. Colour is premultiplied, so alpha stays as it was sampled."""
    import mitsuba_oidn
    color = mitsuba_oidn.denoise(np.ascontiguousarray(picture[..., :3]), albedo=np.ascontiguousarray(albedo),
                                 normal=np.ascontiguousarray(normal), hdr=True)
    return np.concatenate([color, picture[..., 3:]], -1)
