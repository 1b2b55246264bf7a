"""Things worn on the head or about the neck: glasses, hats, a scarf."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harmovid.lightstage import body, cloth, eyes, mesh, noise, skin, sweep
from harmovid.lightstage.obstacle import Obstacle
from harmovid.lightstage.scene import Material

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Thing:
    """A thing at the neutral pose that goes with the head."""

    name: str
    points: Floats
    faces: npt.NDArray[np.int32]
    uv: Floats
    material: Material
    closed: bool = True


def _thing(name: str, sheets: list[tuple], material: Material, closed: bool = True) -> Thing:
    points, faces, uvs, start = [], [], [], 0
    for sheet_points, quads, uv in sheets:
        points.append(sheet_points)
        faces.append(mesh.triangles(quads) + start)
        uvs.append(mesh.triangles(uv))
        start += len(sheet_points)
    return Thing(
        name, np.concatenate(points), np.concatenate(faces).astype(np.int32), np.concatenate(uvs), material, closed
    )


def glasses(kind: str, shape: body.Body, generator: np.random.Generator) -> list[Thing]:
    """Frames before the eyes: two rims, a bridge, temples to the ears. Sunglasses have dark, glossy lenses."""
    centers, radii = eyes.centres(shape.vertices)
    shared = body.template()
    skin_points = shape.vertices[:13380]
    surface = Obstacle(skin_points, mesh.normals(shape.vertices, shared.quads["body"])[:13380])
    wide, tall, power, thick = {
        "round": (0.0235, 0.0215, 2.0, 0.0014),
        "square": (0.0265, 0.0195, 4.5, 0.0020),
        "thin": (0.0255, 0.0165, 3.2, 0.0009),
        "sun": (0.0285, 0.0230, 3.0, 0.0020),
    }[kind]
    angle = np.arange(64) / 64 * 2 * np.pi
    outline = np.stack(
        [
            wide * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** (2 / power),
            tall * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** (2 / power),
        ],
        1,
    )
    # One plane for both rims, far enough before brows, lids and nose.
    plane = centers[:, 2].max() + radii.max() + 0.0125
    brows = skin_points[
        (np.abs(shared.vertices[:13380, 0]) < 0.05)
        & (np.abs(shared.vertices[:13380, 1] - 0.713) < 0.012)
        & (np.abs(shared.vertices[:13380, 0]) > 0.012)
    ]
    plane = max(plane, brows[:, 2].max() + 0.002)
    horn = cloth.smooth(
        tuple(generator.choice([[0.02, 0.018, 0.017], [0.10, 0.05, 0.02], [0.015, 0.02, 0.05], [0.25, 0.2, 0.14]])),
        0.22,
    )
    metal = cloth.smooth(
        tuple(generator.choice([[0.45, 0.44, 0.42], [0.50, 0.38, 0.18], [0.05, 0.05, 0.05]])), 0.25, 0.08
    )
    sheets, lenses = [], []
    apart = max(abs(centers[0, 0]), wide + 0.009)
    middle = np.array([0.0, centers[:, 1].mean() - 0.003, plane])
    for side in (1, -1):
        rim = np.stack(
            [
                side * apart + outline[:, 0],
                middle[1] + outline[:, 1],
                plane - 0.10 * np.abs(np.abs(side * apart + outline[:, 0]) - 0.02) + 0 * angle,
            ],
            1,
        )
        sheets.append(sweep.strip(sweep.tube(rim, thick, 8, True), True, True))
        hinge = np.array([side * (apart + wide * 0.98), middle[1] + 0.45 * tall, rim[:, 2].min()])
        ear = shape.vertices[:13380][
            np.argmin(np.linalg.norm(shared.vertices[:13380] - [side * 0.074, 0.703, 0.05], axis=1))
        ]
        ear = ear + np.array([side * 0.003, 0.001, 0])
        line = np.stack([np.linspace(hinge[k], ear[k], 24) for k in range(3)], 1)
        line[:, 0] += side * 0.004 * np.sin(np.linspace(0, np.pi, 24))
        tail = ear + np.linspace(0, 1, 8)[1:, None] * [side * -0.001, -0.012, -0.022]
        line = surface.push(np.concatenate([line, tail]), np.full(31, 0.002))
        sheets.append(sweep.strip(sweep.tube(sweep.evened(line, 31, 4, False), thick * 0.9, 8), True, False))
        if kind == "sun":
            scale = np.array([0.0, 0.5, 1.0])
            disc = np.stack(
                [rim.mean(0) + (rim - rim.mean(0)) * amount + [0, 0, 0.002 * (1 - amount)] for amount in scale], 1
            )
            lenses.append(sweep.strip(disc, False, True))
    bridge = np.linspace(-1, 1, 12)
    nose = np.stack(
        [bridge * (apart - wide), middle[1] + 0.25 * tall + 0.004 * (1 - bridge**2), plane + 0.003 * (1 - bridge**2)], 1
    )
    nose = surface.push(nose, np.full(12, 0.003))
    sheets.append(sweep.strip(sweep.tube(nose, thick, 8), True, False))
    made = [_thing("glasses", sheets, metal if kind == "thin" else horn)]
    if lenses:
        made.append(_thing("lenses", lenses, cloth.smooth((0.012, 0.011, 0.012), 0.05, 0.06), False))
    return made


def hat_line(kind: str, places: Floats) -> Floats:
    """(N,) metres above the lower edge of a hat, at places on the template."""
    front = noise.ramp(places[:, 2], -0.03, 0.12)
    low, high = {"beanie": (0.668, 0.742), "cap": (0.690, 0.748)}[kind]
    return places[:, 1] - (low + (high - low) * front)


def hat(kind: str, shape: body.Body, dye: cloth.Colour, generator: np.random.Generator) -> list[Thing]:
    """A beanie or a cap, shaped on the head."""
    shared = body.template()
    quads, uv = shared.quads["body"], shared.uv["body"]
    head = skin.in_head(uv)
    fine = mesh.refine(quads[head], uv[head], len(shape.vertices))
    places, points = fine.matrix @ shared.vertices, fine.matrix @ shape.vertices
    middle = places[fine.quads].mean(1)
    kept = (hat_line(kind, middle) > 0) & ~((np.abs(middle[:, 0]) > 0.072) & (middle[:, 1] < 0.712))
    used, chosen = mesh.compact(fine.quads[kept])
    points, places = points[used], places[used]
    center = np.array([0, points[:, 1].min() + 0.02, points[:, 2].mean()])
    loops = sweep.loops(chosen)
    for _ in range(30):
        points[loops[0]] = 0.5 * points[loops[0]] + 0.25 * (
            points[np.roll(loops[0], 1)] + points[np.roll(loops[0], -1)]
        )
    outward = points - center
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    high = noise.ramp(hat_line(kind, places), 0.0, 0.09)
    points = points + outward * (0.009 + (0.014 if kind == "beanie" else 0.009) * high)[:, None]
    if kind == "beanie":
        points[:, 1] += 0.016 * noise.ramp(places[:, 1], 0.76, 0.807)
        points[:, 2] -= 0.012 * noise.ramp(places[:, 1], 0.76, 0.807)
        wrinkle = noise.value(places * [1, 1.6, 1], 0.035, generator, 2)
        points = points + 0.0028 * (wrinkle * high)[:, None] * outward
    fabric = cloth.material("rib" if kind == "beanie" else "twill", dye, dye, generator)
    angle = np.arctan2(places[:, 0], places[:, 2] - 0.04)
    flat = np.stack([0.5 + 0.10 * angle, 0.2 + (places[:, 1] - 0.66)], 1)[chosen]
    wrapped = flat[..., 0].max(1) - flat[..., 0].min(1) > 0.3
    flat[wrapped] = flat[wrapped][:, :1]
    sheets = [(points, chosen, flat)]
    edge = sweep.evened(points[loops[0]], 140, 10)
    if kind == "beanie":
        profile = np.array(
            [
                (-0.004, -0.002),
                (0.0, -0.007),
                (0.005, -0.004),
                (0.0065, 0.012),
                (0.0060, 0.030),
                (0.004, 0.040),
                (0.0, 0.042),
            ]
        )
        sheets.append(sweep.strip(sweep.swept(edge, profile, np.array([0, 1.0, -0.1])), False, True))
    else:
        profile = np.array([(-0.004, 0.002), (-0.002, -0.003), (0.0015, -0.002), (0.002, 0.010), (0.0, 0.014)])
        sheets.append(sweep.strip(sweep.swept(edge, profile, np.array([0, 1.0, -0.1])), False, True))
        front = edge[edge[:, 2] > np.quantile(edge[:, 2], 0.62)]
        front = front[np.argsort(front[:, 0])]
        front = sweep.evened(front, 60, 2, False)
        share = np.linspace(-1, 1, 60)
        reach = 0.066 * np.sqrt(np.clip(1 - share**4, 0, 1))
        rows: list[Floats] = []
        for depth in (0.0, 0.25, 0.5, 0.75, 0.97, 1.0, 0.97, 0.75, 0.4, 0.0):
            thick = 0.0 if len(rows) < 5 else -0.0025
            rows.append(
                front
                + np.stack(
                    [
                        0.25 * share * reach * depth,
                        -0.018 * depth * (1 + 0.9 * share**2) + thick + 0.002,
                        reach * depth + 0.001,
                    ],
                    1,
                )
            )
        sheets.append(sweep.strip(np.stack(rows, 1), False, False))
    return [_thing("hat", sheets, fabric, False)]


def scarf(shape: body.Body, under: Obstacle, generator: np.random.Generator) -> list[tuple[Floats, bool]]:
    """Rings of two turns about the neck and one hanging end, and whether each closes on itself."""
    neck = shape.joint("neck01")
    made = []
    angle = np.linspace(0, 2 * np.pi, 121)[:-1]
    section = np.linspace(0, 2 * np.pi, 21)[:-1]
    for turn in range(2):
        tilt = generator.uniform(-0.10, 0.10)
        curve = neck + np.stack(
            [
                0.082 * np.sin(angle),
                0.002 + 0.026 * turn - 0.030 * np.cos(angle) + tilt * 0.08 * np.sin(angle),
                0.022 + 0.088 * np.cos(angle),
            ],
            1,
        )
        curve = under.push(curve, np.full(len(curve), 0.022 + 0.004 * turn))
        curve = sweep.evened(curve, 120, 8)
        size = 0.022 * (1 + 0.25 * noise.value(curve, 0.06, generator, 2))
        profile = np.stack(
            [np.cos(section)[None] * size[:, None] * 0.85, np.sin(section)[None] * size[:, None] * 1.15], -1
        )
        rings = sweep.swept(curve, profile, np.array([0, 1.0, 0]))
        pleat = noise.value(
            np.stack(
                [
                    np.repeat(angle[:, None], 20, 1) * 0.4,
                    np.repeat(np.cos(section)[None] * 2.2, 120, 0),
                    np.repeat(np.sin(section)[None] * 2.2, 120, 0),
                ],
                -1,
            ),
            1.0,
            generator,
            2,
        )
        rings = rings + (rings - curve[:, None]) * (0.22 * pleat)[..., None]
        flat = rings.reshape(-1, 3)
        made.append((under.push(flat, np.full(len(flat), 0.003)).reshape(rings.shape), True))
    side = generator.choice([-1.0, 1.0])
    steps = np.linspace(0, 1, 60)
    start = neck + np.array([side * 0.03, -0.035, 0.10])
    line = start + np.stack([side * 0.035 * steps, -0.30 * steps, 0.02 * steps], 1)
    line = sweep.evened(under.push(line, np.full(60, 0.014)), 60, 10, False)
    wide = 0.026 + 0.040 * noise.ramp(steps, 0.0, 0.35)
    profile = np.stack([0.0065 * np.sin(section)[None] * np.ones((60, 1)), wide[:, None] * np.cos(section)[None]], -1)
    rings = sweep.swept(line, profile, np.array([1.0, 0, 0]), closed=False)
    fold = 0.007 * noise.value(rings * [1.0, 0.12, 0.0], 0.022, generator, 2)
    made.append((rings + fold[..., None] * [0, 0, 1], False))
    return made
