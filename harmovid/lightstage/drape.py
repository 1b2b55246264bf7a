"""Draping: a cut's cloth on a body, cut from MakeHuman's tights, eased off the skin, hung and folded."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.spatial import cKDTree

from harmovid.lightstage import body, mesh, noise, sweep
from harmovid.lightstage.obstacle import Obstacle
from harmovid.lightstage.wardrobe import Cut, kept, neckline

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Shell:
    """Cloth on a body: its vertices there and on the template, (V, 3), with weights (V, B) that move it."""

    points: Floats
    places: Floats
    quads: Ints
    weights: Floats
    normals: Floats


def shell(cut: Cut, shape: body.Body, under: Obstacle, generator: np.random.Generator) -> Shell:
    """A cut's cloth on a body: chosen faces of the tights, eased off, hung, folded; open edges run smooth."""
    shared = body.template()
    first = mesh.refine(shared.quads["tights"], shared.uv["tights"], len(shape.vertices))
    places = first.matrix @ shared.vertices
    quads = first.quads[kept(cut, places[first.quads].mean(1))]
    second = mesh.refine(quads, np.zeros((len(quads), 4, 2)), len(places))
    matrix = second.matrix @ first.matrix
    used, quads = mesh.compact(second.quads)
    matrix = matrix[used]
    points, places, weights = (matrix @ source for source in (shape.vertices, shared.vertices, shared.weights))
    edges = sweep.loops(quads)
    on_edge = np.concatenate([*edges, [0]])[:-1] if edges else np.zeros(0, int)
    for loop in edges:
        for _ in range(24):
            points[loop] = 0.5 * points[loop] + 0.25 * (points[np.roll(loop, 1)] + points[np.roll(loop, -1)])
            places[loop] = 0.5 * places[loop] + 0.25 * (places[np.roll(loop, 1)] + places[np.roll(loop, -1)])
    neighbours = _neighbours(quads, len(points))
    inner = np.ones(len(points), bool)
    inner[on_edge] = False

    def smoothed(field: Floats, times: int) -> Floats:
        for _ in range(times):
            mean = neighbours @ field
            field = np.where(inner[:, None], 0.4 * field + 0.6 * mean, field)
        return field

    points = smoothed(points, 4)
    normals = mesh.normals(points, quads)
    arm = noise.ramp(np.abs(places[:, 0]), 0.16, 0.22)
    waist = noise.ramp(places[:, 1], 0.42, 0.25) * (1 - arm)
    neck_end = noise.ramp(-neckline(cut, places), 0.0, 0.05)
    ease = cut.ease * (0.35 + 0.65 * neck_end) * (1 + 1.4 * waist + 0.5 * arm)
    points = under.push(points, ease)
    points = points + 0.35 * ease[:, None] * normals * (0.3 + waist)[:, None]
    for _ in range(3):
        points = smoothed(points, 6)
        points = under.push(points, 0.72 * ease)
    normals = mesh.normals(points, quads)
    points = points + _folds(cut, places, neck_end, generator)[:, None] * normals
    points = under.push(smoothed(points, 1), 0.5 * ease)
    return Shell(points, places, quads, weights, mesh.normals(points, quads))


def _neighbours(quads: Ints, count: int) -> sparse.csr_matrix:
    edges = np.unique(np.sort(np.stack([quads, np.roll(quads, -1, 1)], -1).reshape(-1, 2), 1), axis=0)
    both = np.concatenate([edges, edges[:, ::-1]])
    matrix = sparse.csr_matrix((np.ones(len(both)), (both[:, 0], both[:, 1])), (count, count))
    return sparse.diags(1 / np.maximum(np.asarray(matrix.sum(1)).ravel(), 1)) @ matrix


def _folds(cut: Cut, places: Floats, neck_end: Floats, generator: np.random.Generator) -> Floats:
    """Heights of folds: hanging ones on the trunk, rings on the sleeves, pulls about the armpits."""
    x, y, z = places.T
    arm = noise.ramp(np.abs(x), 0.17, 0.23)
    lean = 0.35 * np.sign(x) * (0.45 - y)
    trunk = np.stack([(x + lean) / 0.055, y / 0.20, z / 0.075], 1)
    hang = 1 - np.abs(noise.value(trunk, 1.0, generator, 2))
    sleeve = np.stack([np.abs(x) / 0.035, y / 0.11, z / 0.11 + 5 * np.sign(x)], 1)
    rings = 1 - np.abs(noise.value(sleeve, 1.0, generator, 2))
    pit = np.exp(-(((np.abs(x) - 0.155) / 0.06) ** 2) - ((y - 0.40) / 0.07) ** 2)
    pull = np.stack([(np.abs(x) + 0.8 * (y - 0.4)) / 0.028, (y - np.abs(x)) / 0.12, z / 0.05], 1)
    pulls = 1 - np.abs(noise.value(pull, 1.0, generator))
    elbow = 1 + 0.8 * np.exp(-(((np.abs(x) - 0.30) / 0.05) ** 2))
    height = (
        (1 - arm) * (0.35 + 0.65 * noise.ramp(y, 0.50, 0.30)) * hang + arm * 0.9 * elbow * rings + 0.8 * pit * pulls
    )
    return cut.fold * (height - 0.45) * neck_end


def cloth_uv(places: Floats, quads: Ints) -> Floats:
    """(F, 4, 2) in cloth metres: around and along the trunk, around and along each arm.

    Trunk and sleeves are pieces of their own, and so are front and back above the armpits: what is woven runs level
    over chest and shoulders and meets at seams, as in sewn clothes.
    """
    corner = places[quads]
    middle = corner.mean(1, keepdims=True)
    on_arm = np.abs(middle[..., 0]) > 0.185
    angle = np.arctan2(corner[..., 0], corner[..., 2])
    turn = np.arctan2(middle[..., 0], middle[..., 2])
    angle = turn + np.mod(angle - turn + np.pi, 2 * np.pi) - np.pi
    x, y, z = np.moveaxis(corner, -1, 0)
    side = np.where(middle[..., 0] < 0, -1.0, 1.0)
    before = middle[..., 2] > 0.0
    # Below the armpits cloth goes round the body; above them it lies flat before and behind the shoulders.
    flat = np.where(before, x, side * (0.15 * np.pi - side * x))
    high = noise.ramp(y, 0.34, 0.44)
    over = 0.75 * noise.ramp(y, 0.40, 0.45) * np.clip(np.where(before, 0.085 - z, z + 0.06), 0, None)
    trunk = np.stack([0.5 + 0.15 * angle * (1 - high) + flat * high, 0.25 + y + over], -1)
    # The arm's axis on the template runs outward, down and forward.
    shoulder, wrist = np.array([0.16, 0.46, 0.017]), np.array([0.41, 0.16, 0.17])
    axis = (wrist - shoulder) / np.linalg.norm(wrist - shoulder)
    side = np.cross(axis, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side)
    other = np.cross(axis, side)

    def arm(points: Floats) -> tuple[Floats, Floats]:
        local = np.concatenate([np.abs(points[..., :1]), points[..., 1:]], -1) - shoulder
        return np.arctan2(local @ other, local @ side), local @ axis

    around, along = arm(corner)
    center, _ = arm(middle)
    around = center + np.mod(around - center + np.pi, 2 * np.pi) - np.pi
    sleeve = np.stack([0.5 + 0.06 * around, 0.75 - along], -1)
    return np.clip(np.where(on_arm[..., None], sleeve, trunk), 0.001, 0.999)


def inward(shell: Shell, loop: npt.NDArray[np.int64]) -> Floats:
    """Unit vectors at a loop, along the cloth and away from the edge."""
    curve = shell.points[loop]
    tangent = np.roll(curve, -1, 0) - np.roll(curve, 1, 0)
    across = np.cross(shell.normals[loop], tangent)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    middle = shell.points[shell.quads].mean(1)
    near = cKDTree(middle).query(curve)[1]
    sign = np.sign(((middle[near] - curve) * across).sum())
    return across * (sign if sign else 1.0)
