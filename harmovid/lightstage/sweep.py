"""Things swept along a curve: hems, collars, hoods, scarves, the frames of glasses."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int32]


def loops(quads: npt.NDArray[np.integer]) -> list[npt.NDArray[np.int64]]:
    """The open edges of a quad mesh as closed loops of vertices, in the faces' order, longest first."""
    edges = np.stack([quads, np.roll(quads, -1, 1)], -1).reshape(-1, 2)
    key = np.sort(edges, 1)
    _, inverse, count = np.unique(key, axis=0, return_inverse=True, return_counts=True)
    follow = {int(a): int(b) for a, b in edges[count[inverse] == 1]}
    found = []
    while follow:
        start, loop = next(iter(follow)), []
        here = start
        while here in follow:
            loop.append(here)
            here = follow.pop(here)
        if len(loop) > 5:
            found.append(np.array(loop))
    return sorted(found, key=len, reverse=True)


def evened(curve: Floats, count: int, smoothing: int = 0, closed: bool = True) -> Floats:
    """A curve (N, 3) through `count` points evenly along it, smoothed `smoothing` times by its neighbours."""
    for _ in range(smoothing):
        if closed:
            curve = 0.5 * curve + 0.25 * (np.roll(curve, 1, 0) + np.roll(curve, -1, 0))
        else:
            curve[1:-1] = 0.5 * curve[1:-1] + 0.25 * (curve[:-2] + curve[2:])
    path = np.concatenate([curve, curve[:1]]) if closed else curve
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    at = np.linspace(0, length[-1], count + closed)[:count]
    return np.stack([np.interp(at, length, path[:, axis]) for axis in range(3)], 1)


def strip(rings: Floats, around: bool, along: bool, metres: float = 1.0) -> tuple[Floats, Ints, Floats]:
    """A sheet through rings (N, K, 3): points (N·K, 3), quads (F, 4), uv (F, 4, 2) in cloth metres, kept in [0, 1].

    `around`: the rings themselves are closed; `along`: the last ring joins the first.
    """
    count, size = rings.shape[:2]
    i, j = np.meshgrid(np.arange(count if along else count - 1), np.arange(size if around else size - 1), indexing="ij")
    ahead, beside = (i + 1) % count, (j + 1) % size
    quads = np.stack([i * size + j, i * size + beside, ahead * size + beside, ahead * size + j], -1).reshape(-1, 4)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(rings.mean(1), axis=0), axis=1))])
    length = np.append(length, length[-1] + np.linalg.norm(rings[0].mean(0) - rings[-1].mean(0)))
    width = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(rings, axis=1), axis=2).mean(0))])
    width = np.append(width, width[-1] + 0.01)
    corners = [(i, j), (i, j + 1), (i + 1, j + 1), (i + 1, j)]
    uv = np.stack([np.stack([length[a], width[b]], -1) for a, b in corners], -2).reshape(-1, 4, 2) / metres
    return rings.reshape(-1, 3), quads.astype(np.int32), np.clip(0.03 + uv, 0, 1)


def frames(curve: Floats, up: Floats, closed: bool = True) -> tuple[Floats, Floats, Floats]:
    """Tangent, outward and upward unit vectors (N, 3) of a curve; `up` (3,) or (N, 3) is about where up is."""
    tangent: Floats = np.asarray(np.gradient(curve, axis=0))
    if closed:
        tangent = np.roll(curve, -1, 0) - np.roll(curve, 1, 0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    up = np.broadcast_to(up, curve.shape) - (np.broadcast_to(up, curve.shape) * tangent).sum(1, keepdims=True) * tangent
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    outward = np.cross(up, tangent)
    outward *= np.sign((outward * (curve - curve.mean(0))).sum())
    return tangent, outward, up


def swept(curve: Floats, profile: Floats, up: Floats, closed: bool = True) -> Floats:
    """Rings (N, K, 3): `profile` (K, 2) or (N, K, 2), outward and upward in metres, carried along a curve (N, 3)."""
    _, outward, upward = frames(curve, up, closed)
    profile = np.broadcast_to(profile, (len(curve), *profile.shape[-2:]))
    return curve[:, None] + profile[..., :1] * outward[:, None] + profile[..., 1:] * upward[:, None]


def tube(curve: Floats, radius: Floats | float, sides: int = 10, closed: bool = False) -> Floats:
    """Rings (N, sides, 3) of a round tube along a curve (N, 3)."""
    _, outward, upward = frames(curve, np.array([0.31, 0.82, 0.48]), closed)
    angle = np.arange(sides) / sides * 2 * np.pi
    radius = np.broadcast_to(radius, len(curve))[:, None, None]
    return curve[:, None] + radius * (
        np.cos(angle)[:, None] * outward[:, None] + np.sin(angle)[:, None] * upward[:, None]
    )
