"""Clothes: a person dressed, garment over garment: draped shells with their hems, collars, buttons and scarves."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from harmovid.lightstage import body, cloth, collars, drape, mesh, sweep, things
from harmovid.lightstage.drape import Shell
from harmovid.lightstage.obstacle import Obstacle
from harmovid.lightstage.scene import Material
from harmovid.lightstage.wardrobe import CUTS, Cut, Outfit, neckline

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int32]


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
    obstacle: Obstacle
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


def dress(outfit: Outfit, shape: body.Body, generator: np.random.Generator) -> Dressed:
    """The outfit on a body at the neutral pose."""
    shared = body.template()
    first, last = body.PARTS["body"]
    used = np.arange(first, last)
    body_normals = mesh.normals(shape.vertices, shared.quads["body"])[used]
    torso = shared.vertices[used][:, 1] < 0.66
    under = Obstacle(shape.vertices[used][torso], body_normals[torso])
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
        shell = drape.shell(cut, shape, under, generator)
        parts = [(shell.points, shell.quads, drape.cloth_uv(shell.places, shell.quads), shell.weights)]
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
        under = Obstacle(
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
        under = Obstacle(
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


def _nearest(shell: Shell, rings: Floats) -> Floats:
    return shell.weights[cKDTree(shell.points).query(rings.reshape(-1, 3))[1]]


def _edges(cut: Cut, shell: Shell, under: Obstacle, generator: np.random.Generator) -> list[tuple]:
    """Hems of sleeves and bottom, and the collar along the neck."""
    made = []
    surface = Obstacle(shell.points, shell.normals)
    for loop in sweep.loops(shell.quads):
        curve = shell.points[loop]
        place = shell.places[loop].mean(0)
        normal = shell.normals[loop]
        neck = abs(place[0]) < 0.05 and place[1] > 0.35
        if neck and cut.open:
            sheet = collars.lapel(shell, loop)
            made.append((*sheet, _nearest(shell, sheet[0])))
            continue
        if neck:
            sheets = collars.collar(cut, curve, under, surface, generator)
            made += [(*sheet, _nearest(shell, sheet[0])) for sheet in sheets]
            continue
        # A hem: the cloth turns in over its thickness and runs back inside for two centimetres.
        across = drape.inward(shell, loop)
        thick = cut.thick + (0.003 if cut.kind in ("sweater", "hoodie", "turtleneck") else 0.0)
        steps = [(0.5, 0.010), (1.0, 0.004), (1.0, -0.002), (0.2, -0.004), (-1.0, -0.002), (-1.0, 0.006), (-1.2, 0.022)]
        ring = np.stack([curve + out * thick * normal + back * across for out, back in steps], 1)
        sheet = sweep.strip(ring, False, True)
        made.append((*sheet, np.repeat(shell.weights[loop], len(steps), 0)))
    return made


def _placket(shell: Shell) -> tuple[list[tuple[Floats, Ints, Floats]], list[tuple[Floats, Ints, Floats]]]:
    """The buttoned strip down a shirt's front, and its buttons."""
    surface = Obstacle(shell.points, shell.normals)
    front = shell.points[(np.abs(shell.places[:, 0]) < 0.012) & (shell.places[:, 2] > 0.03)]
    heights = np.linspace(front[:, 1].max() - 0.002, front[:, 1].min() + 0.01, 60)
    order = np.argsort(front[:, 1])
    depth = np.interp(heights, front[order, 1], front[order, 2])
    rows = [(-0.0155, -0.001), (-0.0147, 0.0028), (-0.007, 0.0028), (0.007, 0.0028), (0.0147, 0.0028), (0.0155, -0.001)]
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
    sheet = points, quads, drape.cloth_uv(places[used], quads), (first.matrix @ shared.weights)[used]
    return _join("trousers", [sheet], fabric)


def accessories(outfit: Outfit, shape: body.Body, generator: np.random.Generator) -> list[things.Thing]:
    """Glasses and hats, carried by the head."""
    made = []
    if outfit.glasses:
        made += things.glasses(outfit.glasses, shape, generator)
    if outfit.hat:
        made += things.hat(outfit.hat, shape, cloth.DYES[outfit.dyes[4]], generator)
    return made
