"""What the light stage films: surfaces that move, what they are made of, and the camera.

One world for people, radiance and path tracing: metres, y up, right-handed; a person at rest faces +z and the camera
stands before them, looking along its own −z. Faces run counter-clockwise seen from outside.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Material:
    """What a surface is made of. Pictures are read by the surface's uv: row 0 is v = 1 (the top), linear between
    pixels.
    """

    albedo: Array  # (H, W, 3) scene-linear diffuse reflectance, in [0, 1]
    roughness: Array  # (H, W) perceptual roughness in (0, 1]; GGX α is its square
    reflectance: float = 0.04  # F0 at normal incidence: skin 0.028, cloth 0.04, glass 0.04; 0: no gloss
    scatter: float = 0.0  # how far light wraps past the terminator, redder than white, in [0, 1]: skin 0.3
    fibre: bool = False  # hair: lit by its strand's direction (Marschner's two highlights), not by a normal
    relief: Array | None = None  # (H, W, 3) tangent-space normals in [−1, 1]: pores, weave


@dataclass(frozen=True)
class Surface:
    """A moving mesh of one material. `strand`: direction of the fibre at each vertex, where the material is one."""

    name: str  # skin, eyes, hair, brows, lashes, teeth, shirt, hat, glasses …
    vertices: Array  # (T, V, 3) metres
    faces: npt.NDArray[np.int32]  # (F, 3)
    uv: Array  # (F, 3, 2) in [0, 1] at each corner of each face
    material: Material
    strand: Array | None = None  # (T, V, 3) unit vectors
    closed: bool = True  # False: a sheet, seen and lit from both sides (cloth, ribbons of hair)


@dataclass(frozen=True)
class Camera:
    """A pinhole that may drift. Square pixels; the picture's width follows from its aspect."""

    pose: Array  # (T, 4, 4) camera to world
    height: float  # vertical angle of view, radians


@dataclass(frozen=True)
class Performance:
    """One person before one camera for T frames."""

    surfaces: tuple[Surface, ...]
    camera: Camera
    rate: Fraction  # frames per second

    @property
    def frames(self) -> int:
        return len(self.camera.pose)
