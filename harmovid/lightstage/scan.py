"""A scanned head as a performer: any Wavefront mesh of a bust with a colour picture and, where there is one, a
normal map.
"""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from harmovid.errors import InputError
from harmovid.lightstage import acting, body
from harmovid.lightstage.noise import ramp
from harmovid.lightstage.scene import Camera, Material, Performance, Surface

Floats = npt.NDArray[np.floating]


def read_obj(path: Path) -> tuple[Floats, npt.NDArray[np.int32], Floats]:
    """Vertices (V, 3), faces (F, 3) and uv (F, 3, 2) of a Wavefront file whose faces are triangles or quads with
    texture coordinates."""
    vertices, coordinates, faces, corners = [], [], [], []
    for line in path.read_text().splitlines():
        word, *rest = line.split() or [""]
        if word == "v":
            vertices.append([float(number) for number in rest[:3]])
        elif word == "vt":
            coordinates.append([float(number) for number in rest[:2]])
        elif word == "f":
            pairs = [corner.split("/") for corner in rest]
            if any(len(pair) < 2 or not pair[1] for pair in pairs):
                raise InputError(
                    f"{path} has a face without texture coordinates ({line!r}); export the scan with its uv."
                )
            for k in range(1, len(pairs) - 1):
                faces.append([_place(pairs[j][0], len(vertices)) for j in (0, k, k + 1)])
                corners.append([_place(pairs[j][1], len(coordinates)) for j in (0, k, k + 1)])
    if not faces:
        raise InputError(f"{path} has no faces; expected a Wavefront mesh of a head.")
    return np.array(vertices), np.array(faces, np.int32), np.array(coordinates)[np.array(corners)]


def _place(number: str, there: int) -> int:
    """Wavefront counts from 1, and below 0 from the last one so far."""
    return int(number) - 1 if int(number) > 0 else there + int(number)


def _picture(path: Path) -> Floats:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise InputError(f"{path} could not be read as a picture; the scan needs it beside its mesh.")
    return picture[..., ::-1] / 255.0


def scan(
    path: Path,
    frames: int = 24,
    *,
    seed: int = 0,
    rate: Fraction = Fraction(24),
    tall: float = 0.235,
    upturned: bool = False,
) -> Performance:
    """The bust in `path` (.obj), turning its head gently for `frames` frames.

    Beside NAME.obj lie NAME_color.jpg (sRGB, taken as albedo) and, if any, NAME_normal.jpg (tangent space). The mesh
    faces +z, y up; it is scaled so that chin to crown, taken as the upper 55% of the bust, measure `tall` metres.
    `upturned`: the file counts v from the top of the picture, as glTF does and what is decoded from it may.
    """
    if not path.is_file():
        raise InputError(f"There is no scan at {path}; give the path of a Wavefront mesh (.obj).")
    vertices, faces, uv = read_obj(path)
    if upturned:
        uv = uv * [1, -1] + [0, 1]
    low, high = vertices.min(0), vertices.max(0)
    scale = tall / (0.55 * (high[1] - low[1]))
    points = (vertices - [(low[0] + high[0]) / 2, high[1], (low[2] + high[2]) / 2]) * scale  # crown at y = 0
    coded = _picture(path.with_name(path.stem + "_color.jpg"))
    albedo = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    relief = None
    normal_path = path.with_name(path.stem + "_normal.jpg")
    if normal_path.is_file():
        relief = _picture(normal_path) * 2 - 1
        relief = (relief / np.maximum(np.linalg.norm(relief, axis=-1, keepdims=True), 1e-6)).astype(np.float32)
    material = Material(
        np.clip(albedo * 0.85, 0.004, 0.9).astype(np.float32),
        np.full(albedo.shape[:2], 0.45, np.float32),
        0.028,
        0.3,
        False,
        relief,
    )
    generator = np.random.default_rng([seed, 4])
    acted = acting.act(frames, float(rate), generator)
    turn = np.sum([acted.turns[name] for name in ("neck01", "neck03", "head")], 0)
    pivot = np.array([0, -tall * 1.05, -0.02])
    # Bend over the neck's length: all of the turn above the chin, none at the shoulders.
    share = ramp(points[:, 1], -1.55 * tall, -0.85 * tall)
    moved = np.stack([_bent(points, pivot, frame, share) for frame in turn]) + acted.sway[:, None]
    surface = Surface("skin", moved.astype(np.float32), faces, uv.astype(np.float32), material)
    times = np.arange(frames) / float(rate)
    yaw = generator.normal(0, 0.2) + 0.012 * acting.drift(times, generator)
    pose = np.tile(np.eye(4), (frames, 1, 1))
    pose[:, :3, :3] = body.rotation(np.stack([0 * yaw, yaw, 0 * yaw], 1))
    angle = float(np.radians(25))
    target = np.array([0, -0.62 * tall, 0.0])
    pose[:, :3, 3] = target + 0.85 * tall / np.tan(angle / 2) * pose[:, :3, 2]
    return Performance((surface,), Camera(pose.astype(np.float32), angle), rate)


def _bent(points: Floats, pivot: Floats, turn: Floats, share: Floats) -> Floats:
    turns = body.rotation(share[:, None] * turn)
    return (turns @ (points - pivot)[..., None])[..., 0] + pivot
