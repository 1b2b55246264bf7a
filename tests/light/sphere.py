"""What tests measure of a whole map."""

import numpy as np

from harmovid.light.environment import solid_angles


def mean_radiance(pixels: np.ndarray) -> np.ndarray:
    """Mean over the sphere, (3,)."""
    return np.asarray((pixels * solid_angles(len(pixels))[..., None]).sum((0, 1)) / (4 * np.pi), np.float32)
