"""What a codec loses, put back: a harmonizer's own picture, with the texture of the view it was given.

A network's picture comes out of its codec, and a small codec blurs. The composite that went through the same codec is
blurred alike, so what is new in the picture is the quotient of the two; the composite times that has the network's
light, boundary and motion, and the camera's texture.
"""

from __future__ import annotations

import numpy as np

from harmovid.video.color import from_linear, to_linear

_EPS = np.float32(0.01)  # scene-linear: nearer to black a quotient is the codec's noise


def restored(composite: np.ndarray, reference: np.ndarray, result: np.ndarray) -> np.ndarray:
    """(composite + ε) (result + ε) / (reference + ε) − ε, in scene-linear light.

    Where the harmonizer has no codec, or one without loss, the reference is the composite and this is the result;
    where it changes nothing, the result is the reference and this is the composite.

    Args:
        composite: (H, W, 3) float32 display sRGB in [0, 1], the view before the harmonizer.
        reference, result: as it, of `views.Harmonized`.

    Returns:
        (H, W, 3) float32 display sRGB in [0, 1].
    """
    before, coded, after = (to_linear(picture, "srgb") for picture in (composite, reference, result))
    light = (before + _EPS) * (after + _EPS) / (coded + _EPS) - _EPS
    return np.clip(from_linear(np.maximum(light, 0), "srgb"), 0, 1)
