"""Clothes: shells cut from MakeHuman's tights, eased off the body, hung, folded, hemmed, with collars swept along the
neck.

Regions are told on the template, metres: the pit of the neck lies at (0, 0.52, 0.07), shoulders at (±0.16, 0.46,
0.02), hips at 0.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.spatial import cKDTree

from harmovid.lightstage import body, cloth, hair, mesh, noise, sweep, things
from harmovid.lightstage.scene import Material

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Cut:
    """A garment's cut."""

    kind: str  # t-shirt, v-neck, shirt, sweater, turtleneck, hoodie, jacket, coat
    neck: float = 0.0  # metres the neckline lies above (+) or below (−) the crew's
    notch: float = 0.0  # depth of a V, metres
    sleeve: float = 0.27  # |x| on the template where sleeves end
    hem: float = -0.02  # y on the template
    ease: float = 0.010  # metres off the body
    fold: float = 0.005  # height of its folds, metres
    thick: float = 0.0018
    open: float = 0.0  # width of the open front at the chest, metres


CUTS = {
    "t-shirt": Cut("t-shirt", 0.002, 0.0, 0.270, ease=0.011, fold=0.0055),
    "v-neck": Cut("v-neck", 0.0, 0.075, 0.270, ease=0.011, fold=0.0055),
    "shirt": Cut("shirt", 0.006, 0.035, 0.405, ease=0.013, fold=0.0065, thick=0.0014),
    "sweater": Cut("sweater", 0.004, 0.0, 0.410, ease=0.017, fold=0.0075, thick=0.004),
    "turtleneck": Cut("turtleneck", 0.012, 0.0, 0.410, ease=0.012, fold=0.005, thick=0.003),
    "hoodie": Cut("hoodie", 0.0, 0.03, 0.410, ease=0.022, fold=0.010, thick=0.004),
    "jacket": Cut("jacket", 0.002, 0.0, 0.412, ease=0.027, fold=0.006, thick=0.004, open=0.12),
    "coat": Cut("coat", 0.004, 0.0, 0.415, -0.2, ease=0.034, fold=0.008, thick=0.006, open=0.13),
}


@dataclass(frozen=True)
class Outfit:
    """What a person wears."""

    inner: str  # a key of CUTS
    outer: str | None = None  # jacket, coat
    weaves: tuple[str, ...] = ("plain", "twill")
    dyes: tuple[str, ...] = ("white", "grey", "navy", "black", "red")
    scarf: bool = False
    glasses: str | None = None  # round, square, thin, sun
    hat: str | None = None  # beanie, cap


@dataclass(frozen=True)
class Garment:
    """A piece of clothing at the neutral pose, with the weights that move it."""

    name: str
    points: Floats
    faces: Ints
    uv: Floats
    material: Material
    weights: Floats
    closed: bool = False


@dataclass(frozen=True)
class Dressed:
    """Garments, what hair lies on, and which cuts hide skin."""

    garments: list[Garment]
    obstacle: hair.Obstacle
    cuts: tuple[Cut, ...] = field(default=())

    def covered(self, places: Floats) -> npt.NDArray[np.bool_]:
        """Which places (N, 3) of the template lie so far under cloth that no gap shows them."""
        hidden = places[:, 1] < 0.02
        hidden &= np.abs(places[:, 0]) < 0.2
        for cut in self.cuts:
            if cut.open:
                continue
            inside = (neckline(cut, places) < -0.028) & (places[:, 1] > cut.hem + 0.02)
            hidden |= inside & (np.abs(places[:, 0]) < cut.sleeve - 0.035)
        return hidden


def outfit(female: bool, age: float, generator: np.random.Generator) -> Outfit:
    """Likely clothes."""
    inner = str(
        generator.choice(
            ["t-shirt", "v-neck", "shirt", "sweater", "turtleneck", "hoodie"], p=[0.26, 0.13, 0.24, 0.14, 0.08, 0.15]
        )
    )
    outer = None
    if inner in ("t-shirt", "v-neck", "shirt", "turtleneck") and generator.random() < 0.36:
        outer = str(generator.choice(["jacket", "coat"], p=[0.7, 0.3]))
    weaves = {
        "t-shirt": ["plain", "plain", "heather", "stripes"],
        "v-neck": ["plain", "heather", "plain"],
        "shirt": ["plain", "checks", "pinstripes", "dots", "twill"],
        "sweater": ["knit", "rib", "knit"],
        "turtleneck": ["rib", "plain", "knit"],
        "hoodie": ["heather", "plain"],
    }
    names = list(cloth.DYES)
    dyes = tuple(str(name) for name in generator.choice(names, 5, replace=False))
    glasses = None
    if generator.random() < 0.16 + 0.004 * max(age - 35, 0):
        glasses = str(generator.choice(["round", "square", "thin", "sun"], p=[0.3, 0.38, 0.24, 0.08]))
    hat = str(generator.choice(["beanie", "cap"])) if generator.random() < 0.09 else None
    scarf = inner in ("t-shirt", "sweater") and generator.random() < 0.16
    return Outfit(
        inner,
        outer,
        (str(generator.choice(weaves[inner])), "twill" if generator.random() < 0.6 else "heather"),
        dyes,
        scarf,
        glasses,
        hat,
    )


def neckline(cut: Cut, places: Floats) -> Floats:
    """(N,) metres past the neckline on the template: positive is bare."""
    x, y, z = places.T
    edge = 0.556 + cut.neck - 0.45 * z
    edge = edge - cut.notch * np.exp(-((np.abs(x) / 0.030) ** 1.6)) * noise.ramp(z, 0.02, 0.06)
    return y - edge


def _keep(cut: Cut, places: Floats) -> npt.NDArray[np.bool_]:
    x, y, z = places.T
    keep = (neckline(cut, places) < 0) & (np.abs(x) < cut.sleeve) & ((y > cut.hem) | (np.abs(x) > 0.2))
    if cut.open:
        wide = cut.open * noise.ramp(y, 0.22, 0.52)
        keep &= (np.abs(x) >= wide / 2) | (z < 0.02)
    return keep


@dataclass(frozen=True)
class _Shell:
    points: Floats
    places: Floats
    quads: Ints
    weights: Floats
    normals: Floats


def _shell(cut: Cut, shape: body.Body, under: hair.Obstacle, generator: np.random.Generator) -> _Shell:
    """A cut's cloth on a body: chosen faces of the tights, eased off, hung, folded; open edges run smooth."""
    shared = body.template()
    first = mesh.refine(shared.quads["tights"], shared.uv["tights"], len(shape.vertices))
    places = first.matrix @ shared.vertices
    quads = first.quads[_keep(cut, places[first.quads].mean(1))]
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
    return _Shell(points, places, quads, weights, mesh.normals(points, quads))


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


def _cloth_uv(places: Floats, quads: Ints) -> Floats:
    """(F, 4, 2) in cloth metres: around and along the trunk, around and along each arm."""
    corner = places[quads]
    middle = corner.mean(1, keepdims=True)
    on_arm = np.abs(middle[..., 0]) > 0.185
    angle = np.arctan2(corner[..., 0], corner[..., 2] - 0.0)
    turn = np.arctan2(middle[..., 0], middle[..., 2])
    angle = turn + np.mod(angle - turn + np.pi, 2 * np.pi) - np.pi
    # Over the shoulders the cloth runs outward, not down.
    over = 0.7 * noise.ramp(corner[..., 1], 0.45, 0.55) * np.clip(np.abs(corner[..., 0]) - 0.05, 0, None)
    trunk = np.stack([0.5 + 0.15 * angle, 0.25 + corner[..., 1] - over], -1)
    # The arm's axis on the template runs outward, down and forward.
    shoulder, wrist = np.array([0.16, 0.46, 0.017]), np.array([0.41, 0.16, 0.17])
    axis = (wrist - shoulder) / np.linalg.norm(wrist - shoulder)
    side = np.cross(axis, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side)
    other = np.cross(axis, side)

    def arm(points: Floats) -> tuple[Floats, Floats]:
        local = points * [1, 1, 1]
        local = np.concatenate([np.abs(local[..., :1]), local[..., 1:]], -1) - shoulder
        return np.arctan2(local @ other, local @ side), local @ axis

    around, along = arm(corner)
    center, _ = arm(middle)
    around = center + np.mod(around - center + np.pi, 2 * np.pi) - np.pi
    sleeve = np.stack([0.5 + 0.06 * around, 0.75 - along], -1)
    return np.clip(np.where(on_arm[..., None], sleeve, trunk), 0.001, 0.999)


def dress(outfit: Outfit, shape: body.Body, generator: np.random.Generator) -> Dressed:
    """The outfit on a body at the neutral pose."""
    shared = body.template()
    first, last = body.PARTS["body"]
    used = np.arange(first, last)
    body_normals = mesh.normals(shape.vertices, shared.quads["body"])[used]
    torso = shared.vertices[used][:, 1] < 0.66
    under = hair.Obstacle(shape.vertices[used][torso], body_normals[torso])
    garments: list[Garment] = []
    cuts = [CUTS[outfit.inner]] + ([CUTS[outfit.outer]] if outfit.outer else [])
    for number, cut in enumerate(cuts):
        dye, pattern = (cloth.DYES[outfit.dyes[2 * number + k]] for k in (0, 1))
        if number == 1:
            dye = cloth.DYES[
                str(
                    generator.choice(
                        ["navy", "charcoal", "black", "brown", "beige", "grey", "olive", "burgundy", "denim"]
                    )
                )
            ]
        fabric = cloth.material(outfit.weaves[number], dye, pattern, generator)
        shell = _shell(cut, shape, under, generator)
        parts = [(shell.points, shell.quads, _cloth_uv(shell.places, shell.quads), shell.weights)]
        parts += _edges(cut, shell, under, generator)
        if cut.kind == "shirt":
            strip, buttons = _placket(shell)
            parts += [(*sheet, _nearest(shell, sheet[0])) for sheet in strip]
            garments.append(
                _join(
                    "buttons",
                    [(*sheet, _nearest(shell, sheet[0])) for sheet in buttons],
                    cloth.smooth(cloth.DYES[str(generator.choice(["white", "cream", "brown", "black"]))], 0.3),
                )
            )
        garments.append(_join(cut.kind, parts, fabric))
        under = hair.Obstacle(
            np.concatenate([under.points, shell.points]), np.concatenate([under.normals, shell.normals])
        )
    garments.append(_trousers(shape, generator))
    if outfit.scarf:
        fabric = cloth.material(
            str(generator.choice(["knit", "checks", "rib", "stripes"])),
            cloth.DYES[outfit.dyes[3]],
            cloth.DYES[outfit.dyes[4]],
            generator,
        )
        rings = things.scarf(shape, under, generator)
        garments.append(
            _join("scarf", [(*sweep.strip(ring, True, closed), None) for ring, closed in rings], fabric, shape, shared)
        )
        added = garments[-1]
        under = hair.Obstacle(
            np.concatenate([under.points, added.points]),
            np.concatenate([under.normals, mesh.normals(added.points, added.faces)]),
        )
    return Dressed(garments, under, tuple(cuts))


def _join(
    name: str, parts: list[tuple], fabric: Material, shape: body.Body | None = None, shared: body.Template | None = None
) -> Garment:
    """Sheets of quads as one garment; sheets without weights take those of the nearest skin."""
    points, faces, uvs, weights, start = [], [], [], [], 0
    for part_points, quads, uv, weight in parts:
        if weight is None:
            assert shape is not None and shared is not None
            first, last = body.PARTS["body"]
            near = cKDTree(shape.vertices[first:last]).query(part_points, k=8)[1]
            weight = shared.weights[first:last][near].mean(1)
        points.append(part_points)
        faces.append(mesh.triangles(quads) + start)
        uvs.append(mesh.triangles(uv))
        weights.append(weight)
        start += len(part_points)
    return Garment(
        name,
        np.concatenate(points),
        np.concatenate(faces).astype(np.int32),
        np.concatenate(uvs),
        fabric,
        np.concatenate(weights),
    )


def _nearest(shell: _Shell, rings: Floats) -> Floats:
    return shell.weights[cKDTree(shell.points).query(rings.reshape(-1, 3))[1]]


def _edges(cut: Cut, shell: _Shell, under: hair.Obstacle, generator: np.random.Generator) -> list[tuple]:
    """Hems of sleeves and bottom, and the collar along the neck."""
    made = []
    for loop in sweep.loops(shell.quads):
        curve = shell.points[loop]
        place = shell.places[loop].mean(0)
        normal = shell.normals[loop]
        neck = abs(place[0]) < 0.05 and place[1] > 0.35
        if neck and cut.open:
            sheet = _lapel(shell, loop)
            made.append((*sheet, _nearest(shell, sheet[0])))
            continue
        if neck:
            made += [(*sheet, _nearest(shell, sheet[0])) for sheet in _collar(cut, curve, under, generator)]
            continue
        # A hem: the cloth turns in over its thickness and runs back inside for two centimetres.
        inward = _inward(shell, loop)
        thick = cut.thick + (0.003 if cut.kind in ("sweater", "hoodie", "turtleneck") else 0.0)
        steps = [(0.5, 0.010), (1.0, 0.004), (1.0, -0.002), (0.2, -0.004), (-1.0, -0.002), (-1.0, 0.006), (-1.2, 0.022)]
        ring = np.stack([curve + out * thick * normal + back * inward for out, back in steps], 1)
        sheet = sweep.strip(ring, False, True)
        made.append((*sheet, np.repeat(shell.weights[loop], len(steps), 0)))
    return made


def _lapel(shell: _Shell, loop: npt.NDArray[np.int64]) -> tuple[Floats, Ints, Floats]:
    """Collar and lapels of a jacket: the edge of its opening folded back over the cloth."""
    start = int(np.argmin(shell.places[loop][:, 1]))
    loop = np.roll(loop, -start)
    inward = _inward(shell, loop)
    curve = sweep.evened(np.concatenate([shell.points[loop], shell.points[loop[:1]]]), 160, 30, closed=False)
    near = cKDTree(shell.points[loop]).query(curve)[1]
    inward = inward[near]
    for _ in range(10):
        inward[1:-1] = 0.5 * inward[1:-1] + 0.25 * (inward[:-2] + inward[2:])
    inward /= np.linalg.norm(inward, axis=1, keepdims=True)
    share = np.minimum(np.linspace(0, 1, 160), np.linspace(1, 0, 160)) * 2  # 0 at the lowest button, 1 at the nape
    width = np.interp(
        share, [0, 0.30, 0.50, 0.53, 0.56, 0.60, 0.75, 1.0], [0.008, 0.055, 0.080, 0.078, 0.044, 0.062, 0.052, 0.048]
    )
    stand = noise.ramp(share, 0.55, 0.8) * 0.020
    steps = [
        (-0.10, -0.004),
        (-0.10, 0.002),
        (-0.04, 0.007),
        (0.15, 0.0085),
        (0.45, 0.0075),
        (0.75, 0.0065),
        (0.97, 0.006),
        (1.0, 0.0045),
        (0.97, 0.0025),
    ]
    surface = hair.Obstacle(shell.points, shell.normals)
    rings = []
    for back, off in steps:
        ring = curve + inward * (back * width)[:, None]
        ring = surface.settle(ring, np.full(len(ring), off))
        rings.append(ring + np.stack([0 * stand, stand * np.clip(1 - 1.6 * abs(back), 0, 1), 0 * stand], 1))
    return sweep.strip(np.stack(rings, 1), False, False)


def _placket(shell: _Shell) -> tuple[list[tuple[Floats, Ints, Floats]], list[tuple[Floats, Ints, Floats]]]:
    """The buttoned strip down a shirt's front, and its buttons."""
    surface = hair.Obstacle(shell.points, shell.normals)
    front = shell.points[(np.abs(shell.places[:, 0]) < 0.012) & (shell.places[:, 2] > 0.03)]
    heights = np.linspace(front[:, 1].max() - 0.002, front[:, 1].min() + 0.01, 60)
    order = np.argsort(front[:, 1])
    depth = np.interp(heights, front[order, 1], front[order, 2])
    rows = [(-0.0155, 0.0005), (-0.0145, 0.0028), (-0.007, 0.0028), (0.007, 0.0028), (0.0145, 0.0028), (0.0155, 0.0005)]
    rings = np.stack(
        [surface.settle(np.stack([x + 0 * heights, heights, depth], 1), np.full(60, off)) for x, off in rows], 1
    )
    angle = np.arange(16) / 16 * 2 * np.pi
    buttons = []
    for height in np.arange(heights[0] - 0.055, heights[-1], -0.085):
        center = np.array([0, height, np.interp(height, heights[::-1], depth[::-1])])
        discs = [
            center + np.stack([r * np.cos(angle), r * np.sin(angle), 0 * angle], 1) for r in (0.0056, 0.0052, 0.0001)
        ]
        discs = [
            surface.settle(disc, np.full(16, off)) for disc, off in zip(discs, (0.0028, 0.0048, 0.0044), strict=True)
        ]
        buttons.append(sweep.strip(np.stack(discs, 1), False, True))
    return [sweep.strip(rings, False, False)], buttons


def _inward(shell: _Shell, loop: npt.NDArray[np.int64]) -> Floats:
    """Unit vectors at a loop, along the cloth and away from the edge."""
    curve = shell.points[loop]
    tangent = np.roll(curve, -1, 0) - np.roll(curve, 1, 0)
    inward = np.cross(shell.normals[loop], tangent)
    inward /= np.maximum(np.linalg.norm(inward, axis=1, keepdims=True), 1e-9)
    middle = shell.points[shell.quads].mean(1)
    near = cKDTree(middle).query(curve)[1]
    sign = np.sign(((middle[near] - curve) * inward).sum())
    return inward * (sign if sign else 1.0)


def _collar(
    cut: Cut, loop: Floats, under: hair.Obstacle, generator: np.random.Generator
) -> list[tuple[Floats, Ints, Floats]]:
    """The neck's finish, by the garment's kind."""
    curve = sweep.evened(loop, 120, 6)
    lift = np.array([0.0, 1.0, 0.25])
    lift /= np.linalg.norm(lift)
    front = curve[:, 2] - curve[:, 2].mean()
    front = front / np.abs(front).max()  # 1 before, −1 behind
    if cut.kind in ("t-shirt", "v-neck", "sweater", "hoodie"):
        width = {"t-shirt": 0.016, "v-neck": 0.014, "sweater": 0.026, "hoodie": 0.014}[cut.kind]
        thick = {"t-shirt": 0.0016, "v-neck": 0.0016, "sweater": 0.0035, "hoodie": 0.003}[cut.kind]
        profile = np.array(
            [
                (0.2, -0.35),
                (1.0, -0.2),
                (1.2, 0.2),
                (1.0, 0.65),
                (0.5, 0.95),
                (-0.4, 1.0),
                (-1.0, 0.8),
                (-1.0, 0.2),
                (-0.8, -0.5),
            ]
        ) * [thick, width]
        rings = sweep.swept(curve, profile, lift)
        flat = rings.reshape(-1, 3)
        # The band lies on the skin: lower edge as far off as the cloth below it, upper edge close.
        rise = np.clip(profile[:, 1] / width, 0, 1)
        off = 0.0075 * (1 - rise) + 0.0035 * rise + profile[:, 0]
        rings = under.settle(flat, np.tile(off, len(curve))).reshape(rings.shape)
        sheets = [sweep.strip(rings, False, True)]
        if cut.kind == "hoodie":
            sheets += _hood(curve, front, under, generator)
        return sheets
    if cut.kind == "turtleneck":
        tall = 0.058
        steps = np.array(
            [
                (0.002, -0.006),
                (0.003, 0.010),
                (0.003, 0.030),
                (0.003, 0.048),
                (0.0055, tall),
                (0.0095, 0.053),
                (0.0105, 0.040),
                (0.0105, 0.022),
                (0.009, 0.014),
                (0.007, 0.016),
            ]
        )
        rings = _up_the_neck(curve, steps, under)
        rings = rings + 0.0012 * noise.value(rings * [1, 2.5, 1], 0.02, generator, 2)[..., None] * [1, 0, 1]
        return [sweep.strip(rings, False, True)]
    # A shirt's collar: a stand, folded over, open in front with two points.
    gap = 0.011
    start = int(np.argmax(curve[:, 2] - 8 * np.abs(curve[:, 0])))
    curve = np.roll(curve, -start, 0)
    length = np.linalg.norm(np.diff(curve, axis=0, append=curve[:1]), axis=1)
    along = np.cumsum(length) - length[0]
    kept = (along > gap) & (along < along[-1] - gap)
    curve, along = curve[kept], along[kept]
    tip = np.minimum(along - along[0], along[-1] - along)  # metres from the nearer point
    point = np.exp(-((tip / 0.026) ** 2))
    stand, fall = 0.030 - 0.004 * point, 0.040 + 0.030 * point
    profile = np.stack(
        [
            np.stack([0.001 + 0 * stand, -0.008 + 0 * stand], -1),
            np.stack([0.001 + 0 * stand, 0.4 * stand], -1),
            np.stack([0.0005 + 0 * stand, 0.85 * stand], -1),
            np.stack([0.003 + 0 * stand, stand + 0.002], -1),
            np.stack([0.0075 + 0 * stand, stand - 0.001], -1),
            np.stack([0.011 + 0 * stand, stand - 0.35 * fall], -1),
            np.stack([0.016 + 0.003 * point, stand - 0.75 * fall], -1),
            np.stack([0.019 + 0.006 * point, stand - fall], -1),
            np.stack([0.0175 + 0.006 * point, stand - 1.01 * fall], -1),
            np.stack([0.015 + 0.003 * point, stand - 0.75 * fall], -1),
        ],
        1,
    )
    rings = sweep.swept(curve, profile, lift, closed=False)
    flat = rings.reshape(-1, 3)
    wanted = np.tile([0.002, 0.003, 0.004, 0.005, 0.007, 0.009, 0.014, 0.017, 0.015, 0.012], len(rings))
    rings = under.push(flat, wanted).reshape(rings.shape)
    return [sweep.strip(rings, False, False)]


def _up_the_neck(curve: Floats, steps: Floats, under: hair.Obstacle) -> Floats:
    """Rings that climb the neck from a curve: `steps` are (off the skin, up) in metres."""
    rings = []
    center = curve.mean(0)
    for off, up in steps:
        climb = np.array([0, up, 0.28 * up])
        pull = noise.ramp(np.array(up), -0.01, 0.03) * 0.35
        ring = curve + climb
        ring = ring + (center + climb - ring) * [pull, 1.1 * pull if up > 0 else 0, pull]
        rings.append(under.push(ring, np.full(len(ring), off)))
    return np.stack(rings, 1)


def _hood(
    curve: Floats, front: Floats, under: hair.Obstacle, generator: np.random.Generator
) -> list[tuple[Floats, Ints, Floats]]:
    """A hood that lies on the shoulders, thickest behind, and its two strings."""
    size = 0.011 + 0.026 * noise.ramp(-front, -0.7, 0.9)
    middle = curve + np.stack([0 * size, 0.55 * size, -1.0 * noise.ramp(-front, 0.0, 1.0) * 0.020], 1)
    middle = sweep.evened(middle, 120, 3)
    angle = np.linspace(0, 2 * np.pi, 17)[:-1]
    profile = np.stack([np.cos(angle)[None] * size[:, None] * 1.25, np.sin(angle)[None] * size[:, None]], -1)
    rings = sweep.swept(middle, profile, np.array([0.0, 0.95, -0.25]))
    rings = rings + (0.006 * noise.value(rings * [1.0, 2.0, 1.0], 0.05, generator, 2))[..., None] * [0.6, 1, 0.6]
    flat = rings.reshape(-1, 3)
    rings = under.push(flat, np.full(len(flat), 0.004)).reshape(rings.shape)
    sheets = [sweep.strip(rings, True, True)]
    for side in (-1, 1):
        start = curve[np.argmax(curve[:, 2] - 0.6 * np.abs(curve[:, 0] - side * 0.03))]
        steps = np.linspace(0, 1, 24)[:, None]
        line = start + steps * [side * 0.008, -0.16 + generator.uniform(-0.02, 0.02), 0.02]
        line = under.push(line, np.full(len(line), 0.024))
        line = sweep.evened(line, 24, 6, closed=False)
        sheets.append(sweep.strip(sweep.tube(line, 0.0028, 8), True, False))
    return sheets


def _trousers(shape: body.Body, generator: np.random.Generator) -> Garment:
    """What shows below the hem in a half body: plain trousers, loose enough."""
    shared = body.template()
    first = mesh.refine(shared.quads["tights"], shared.uv["tights"], len(shape.vertices))
    places = first.matrix @ shared.vertices
    middle = places[first.quads].mean(1)
    quads = first.quads[(middle[:, 1] < 0.08) & (middle[:, 1] > -0.3) & (np.abs(middle[:, 0]) < 0.2)]
    used, quads = mesh.compact(quads)
    points = (first.matrix @ shape.vertices)[used]
    points = points + 0.006 * mesh.normals(points, quads)
    fabric = cloth.material(
        "twill",
        cloth.DYES[str(generator.choice(["denim", "charcoal", "black", "navy", "beige", "brown"]))],
        cloth.DYES["black"],
        generator,
        256,
    )
    return _join(
        "trousers", [(points, quads, _cloth_uv(places[used], quads), (first.matrix @ shared.weights)[used])], fabric
    )


def accessories(outfit: Outfit, shape: body.Body, generator: np.random.Generator) -> list[things.Thing]:
    """Glasses and hats, carried by the head."""
    made = []
    if outfit.glasses:
        made += things.glasses(outfit.glasses, shape, generator)
    if outfit.hat:
        made += things.hat(outfit.hat, shape, cloth.DYES[outfit.dyes[4]], generator)
    return made
