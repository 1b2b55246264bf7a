"""A frame at full size on its way from the source to the result: relit, its edge recovered, composited."""

from __future__ import annotations

import cv2
import numpy as np

from harmovid.composite import blend, recover
from harmovid.infer import transfer
from harmovid.infer.plan import Plan
from harmovid.video.color import SRGB, convert, from_linear, linear_between, luminance, to_linear


class FullPicture:
    """One full-size frame on its way from the source to the result.

    All work is done in the box of what the mask covers; beyond it the background's own bits stay.
    """

    def __init__(self, plan: Plan, rgb: np.ndarray, alpha: np.ndarray, background: np.ndarray) -> None:
        self.plan, self.rgb, self.alpha, self.background = plan, rgb, alpha, background
        x, y, width, height = cv2.boundingRect((alpha > 0).astype(np.uint8))
        self.corner = x, y
        self.box = slice(y, y + height), slice(x, x + width)
        own = rgb[self.box]
        if own.size and not is_cut_out(plan) and not is_in_place(plan, own, background[self.box]):
            own = blend.estimate_foreground(own, alpha[self.box])
        source = plan.foreground.tags
        self.linear = linear_between(to_linear(own, source.transfer), source, plan.tags)
        self.relit = self.linear

    def relight(self, light: transfer.Light, box: np.ndarray) -> None:
        """Change the light; `box` is the view's in the whole picture."""
        if not self.linear.size:
            return
        x, y = self.corner
        x0, y0, x1, y1 = box
        self.relit = light.apply(self.linear, (x0 - x, y0 - y, x1 - x, y1 - y), self.plan.options.strength)

    def composite(self) -> np.ndarray:
        """The person over the background, code values of the plan's tags."""
        return self._over(self.relit)

    def cut_out(self) -> np.ndarray:
        """The person alone, straight; black where alpha is 0."""
        out = np.zeros_like(self.background)
        out[self.box] = from_linear(self.relit, self.plan.tags.transfer)
        out[self.alpha == 0] = 0
        return out

    def gain(self) -> np.ndarray:
        """The change of light alone: itself in EXR; elsewhere grey for none, an eighth per stop."""
        eps = np.float32(0.004)
        gain = np.ones_like(self.background)
        gain[self.box] = (self.relit + eps) / (self.linear + eps)
        gain[self.alpha == 0] = 1
        return 0.5 + np.log2(np.maximum(gain, 1e-6)) / 8 if self.plan.target.display else gain

    def panels(self) -> tuple[np.ndarray, ...]:
        """Source, plain composite, result; display sRGB."""
        tags = self.plan.tags
        return (convert(self.rgb, self.plan.foreground.tags, SRGB), convert(self._over(self.linear), tags, SRGB),
                convert(self._over(self.relit), tags, SRGB))

    def _over(self, linear: np.ndarray) -> np.ndarray:
        out = self.background.copy()
        alpha, name = self.alpha[self.box], self.plan.tags.transfer
        inside = alpha > 0
        if not inside.any():
            return out
        # Where no person is the background keeps its own bits, and where the person is solid it is not looked at.
        # (cv2 masks three channels several times faster than numpy.)
        cv2.copyTo(from_linear(linear, name), inside.view(np.uint8), out[self.box])
        band = inside & (alpha < 1)  # only here light is mixed
        if band.any():
            behind = to_linear(self.background[self.box][band], name)
            mixed = blend.over(linear[band][None], behind[None], alpha[band][None])[0]
            out[self.box][band] = from_linear(mixed, name)
        return out


def recovered(plan: Plan, change: np.ndarray, rgb: np.ndarray, alpha: np.ndarray, background: np.ndarray,
               box: np.ndarray) -> np.ndarray:
    """The alpha with the edge that the harmonizer drew in the view's `box`."""
    x0, y0, x1, y1 = box
    inside = slice(y0, y1), slice(x0, x1)
    if is_in_place(plan, rgb[inside], background[inside]):
        return alpha
    guide = np.clip(luminance(convert(rgb[inside], plan.foreground.tags, SRGB)), 0, 1)
    out = alpha.copy()
    out[inside] = recover.carry(change, guide, alpha[inside])
    return out


def is_cut_out(plan: Plan) -> bool:
    """Whether the foreground brings alpha, and colour, of its own; a filmed one has its old background in its edges."""
    return plan.mask is None


def is_in_place(plan: Plan, rgb: np.ndarray, background: np.ndarray) -> bool:
    """Whether light is changed where the person was filmed: what shines through their edges is the background that
    stays."""
    return plan.foreground.tags == plan.tags and np.array_equal(rgb, background)
