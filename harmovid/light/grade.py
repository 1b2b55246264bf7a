"""Grades: what a camera's settings and a colourist do to a picture, for a whole batch at once.

Pictures are (B, 3, T, H, W) float, display sRGB in [0, 1] unless named linear. A parameter that is one
number is (B,), or (B, T) to move in time; one that is a colour is (B, 3) or (B, T, 3); a matrix (B, 3, 3) or
(B, T, 3, 3). T may be 1 in either, which then holds for all frames. 0 is neutral everywhere: no light, no
change. Functions on display values keep grey grey unless they say what they tint.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

CURVE = 4
"""Free numbers of a tone curve."""

_LUMA = (0.2126, 0.7152, 0.0722)  # of linear R, G, B, ITU-R BT.709; on display values a fair stand-in


def srgb_to_linear(display: Tensor) -> Tensor:
    """Display sRGB to scene-linear light, IEC 61966-2-1; values above 1 follow the same power law."""
    return torch.where(display <= 0.04045, display / 12.92, ((display.clamp(min=0) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(linear: Tensor) -> Tensor:
    """Scene-linear light to display sRGB, IEC 61966-2-1; values above 1 follow the same power law."""
    return torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)


def luma(picture: Tensor) -> Tensor:
    """Weighted sum of R, G, B by ITU-R BT.709, (B, 1, T, H, W): luminance, if the picture is linear."""
    red, green, blue = picture.split(1, dim=1)
    return _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue


def exposure(linear: Tensor, stops: Tensor) -> Tensor:
    """Scene-linear light times 2^stops."""
    return linear * torch.exp2(_number(stops))


def balance(warmth: Tensor, magenta: Tensor) -> Tensor:
    """Natural logarithm of the gains of R, G, B for a white balance; the parameters' shape and a last axis of 3.

    warmth: stops from blue to red (amber > 0). magenta: stops from green to magenta. R gets warmth/2 + magenta/3, G
    −2/3·magenta, B magenta/3 − warmth/2, less what keeps the luminance of grey.
    """
    stops = torch.stack([warmth / 2 + magenta / 3, -magenta * 2 / 3, magenta / 3 - warmth / 2], -1)
    gains = torch.exp2(stops)
    kept = _LUMA[0] * gains[..., 0] + _LUMA[1] * gains[..., 1] + _LUMA[2] * gains[..., 2]
    return stops * math.log(2) - kept.log()[..., None]


def shoulder(display: Tensor, amount: Tensor) -> Tensor:
    """Film's roll-off: values above the knee k = 1 − 0.7·amount approach 1 instead of being cut there.

    y = x below k, and k + (1 − k)(1 − exp(−(x − k)/(1 − k))) above, with slope 1 at k. amount in [0, 1];
    0 cuts at 1. Takes values above 1.
    """
    room = (0.7 * _number(amount)).clamp(min=1e-6)
    over = (display - (1 - room)).clamp(min=0)
    return torch.minimum(display, 1 - room) + room * (1 - torch.exp(-over / room))


def contrast(display: Tensor, amount: Tensor, pivot: Tensor) -> Tensor:
    """An S-curve through 0, the pivot and 1, of slope e^amount at the pivot; monotone.

    With p = pivot in (0, 1), c = e^amount: y = p (x/p)^c below p, 1 − (1 − p)((1 − x)/(1 − p))^c above.
    """
    power, p = torch.exp(_number(amount)), _number(pivot)
    below = p * (display.clamp(0, 1) / p).clamp(max=1) ** power
    above = (1 - p) * ((1 - display.clamp(0, 1)) / (1 - p)).clamp(max=1) ** power
    return torch.where(display < p, below, 1 - above)


def tone_curve(display: Tensor, bends: Tensor) -> Tensor:
    """A smooth monotone curve from 0 to 1: a Bernstein polynomial with rising coefficients.

    y = Σ_k c_k C(n, k) x^k (1 − x)^(n − k), where c_0 = 0, c_n = 1 and the steps c_k − c_(k−1) are in
    proportion to e^bends; equal bends give y = x. bends: (B, n) or (B, T, n).
    """
    steps = torch.softmax(bends, dim=-1)
    degree = steps.shape[-1]
    x = display.clamp(0, 1)
    total: Tensor = torch.zeros_like(x)
    coefficient = torch.zeros_like(steps[..., 0])
    for k in range(1, degree + 1):
        coefficient = coefficient + steps[..., k - 1]
        total = total + _number(coefficient) * math.comb(degree, k) * x**k * (1 - x) ** (degree - k)
    return total


def lift_gamma_gain(display: Tensor, lift: Tensor, gamma: Tensor, gain: Tensor) -> Tensor:
    """The three wheels of a grading desk, per channel: y = (e^gain (x + lift (1 − x)))^(e^−gamma).

    Tints grey where the channels' numbers differ. All three are colours; 0 is neutral.
    """
    lifted = display + _colour(lift) * (1 - display)
    return (lifted * torch.exp(_colour(gain))).clamp(min=0) ** torch.exp(-_colour(gamma))


def saturation(display: Tensor, amount: Tensor) -> Tensor:
    """Colour's distance from grey times 1 + amount; −1 leaves grey only."""
    grey = luma(display)
    return grey + (1 + _number(amount)).clamp(min=0) * (display - grey)


def hue(display: Tensor, angle: Tensor) -> Tensor:
    """Turn all colours about the grey axis by `angle` radians, red towards green (Rodrigues' formula)."""
    cos, sin = torch.cos(angle), torch.sin(angle)
    same, other, last = cos + (1 - cos) / 3, (1 - cos) / 3 - sin / math.sqrt(3), (1 - cos) / 3 + sin / math.sqrt(3)
    rows = torch.stack([same, other, last, last, same, other, other, last, same], -1)
    return mix(display, rows.unflatten(-1, (3, 3)))


def mix(display: Tensor, matrix: Tensor) -> Tensor:
    """Colour mixing, y = M x. Rows that sum to 1 keep grey grey."""
    matrix = matrix[:, None] if matrix.dim() == 3 else matrix
    columns = matrix.permute(0, 2, 3, 1)[..., None, None]  # (B, 3 out, 3 in, T, 1, 1)
    return sum((columns[:, :, c] * display[:, c:c + 1] for c in range(1, 3)), columns[:, :, 0] * display[:, :1])


def mixing(spill: Tensor) -> Tensor:
    """The matrix whose rows sum to 1, from its six entries off the diagonal: (..., 6) to (..., 3, 3)."""
    rg, rb, gr, gb, br, bg = spill.unbind(-1)
    return torch.stack([1 - rg - rb, rg, rb, gr, 1 - gr - gb, gb, br, bg, 1 - br - bg], -1).unflatten(-1, (3, 3))


def split_tone(display: Tensor, shadows: Tensor, highlights: Tensor) -> Tensor:
    """Add one colour to the shadows, weight (1 − Y)², and another to the highlights, weight Y²; Y is luma."""
    grey = luma(display).clamp(0, 1)
    return display + _colour(shadows) * (1 - grey) ** 2 + _colour(highlights) * grey**2


def fade(display: Tensor, black: Tensor, white: Tensor) -> Tensor:
    """Faded print: black becomes `black`, white becomes 1 − `white`, all between in proportion."""
    return _number(black) + (1 - _number(black) - _number(white)) * display


def apply_table(display: Tensor, table: Tensor) -> Tensor:
    """Look colours up in a 3D table, trilinearly; colours outside [0, 1] take its surface.

    Args:
        display: (B, 3, T, H, W).
        table: (B, T, 3, n, n, n), T may be 1; `table[b, t, :, k, j, i]` is the colour that R = i/(n − 1),
            G = j/(n − 1), B = k/(n − 1) becomes.

    Returns:
        (B, 3, T, H, W).
    """
    frames = display.shape[2]
    where = display.movedim(1, -1) * 2 - 1
    if table.shape[1] == 1:
        return F.grid_sample(table[:, 0], where, mode="bilinear", padding_mode="border", align_corners=True)
    found = F.grid_sample(table.flatten(0, 1), where.flatten(0, 1)[:, None], mode="bilinear", padding_mode="border",
                          align_corners=True)
    return found.squeeze(2).unflatten(0, (-1, frames)).movedim(1, 2)


def neutral_table(size: int, device: torch.device) -> Tensor:
    """The table that changes nothing, (3, size, size, size)."""
    axis = torch.linspace(0, 1, size, device=device)
    blue, green, red = torch.meshgrid(axis, axis, axis, indexing="ij")
    return torch.stack([red, green, blue])


@dataclass(frozen=True)
class Grade:
    """All parameters of a grade. Numbers are (B, T), colours (B, T, 3); T may be 1; 0 is neutral everywhere."""

    exposure: Tensor
    warmth: Tensor
    magenta: Tensor
    shoulder: Tensor
    spill: Tensor  # (B, T, 6), as `mixing` takes it
    lift: Tensor
    gamma: Tensor
    gain: Tensor
    bends: Tensor  # (B, T, CURVE)
    contrast: Tensor
    pivot: Tensor  # added to 0.4
    saturation: Tensor
    hue: Tensor
    shadows: Tensor
    highlights: Tensor
    black: Tensor
    white: Tensor

    @staticmethod
    def widths() -> dict[str, int]:
        """How many numbers each parameter has, in order."""
        wide = {"spill": 6, "lift": 3, "gamma": 3, "gain": 3, "bends": CURVE, "shadows": 3, "highlights": 3}
        return {field.name: wide.get(field.name, 1) for field in fields(Grade)}

    @staticmethod
    def from_vector(vector: Tensor) -> Grade:
        """A grade from all its numbers in one axis, (B, T, sum of `widths`)."""
        widths = Grade.widths()
        parts = vector.split(list(widths.values()), dim=-1)
        return Grade(*(p if width > 1 else p[..., 0] for p, width in zip(parts, widths.values(), strict=True)))


def light_gain(grade: Grade) -> Tensor:
    """Natural logarithm of what exposure and white balance do to linear light, (B, 3, T, 1, 1)."""
    return _colour(balance(grade.warmth, grade.magenta) + (grade.exposure * math.log(2))[..., None])


def develop(display: Tensor, grade: Grade) -> Tensor:
    """All of a grade but exposure, white balance and shoulder, on display values in [0, 1]; clipped to [0, 1]."""
    picture = mix(display, mixing(grade.spill))
    picture = lift_gamma_gain(picture, grade.lift, grade.gamma, grade.gain)
    picture = tone_curve(picture, grade.bends)
    picture = contrast(picture, grade.contrast, (0.4 + grade.pivot).clamp(0.15, 0.75))
    picture = hue(saturation(picture, grade.saturation), grade.hue)
    picture = split_tone(picture, grade.shadows, grade.highlights)
    return fade(picture.clamp(0, 1), grade.black, grade.white).clamp(0, 1)


def bake(grade: Grade, size: int = 17, displacement: Tensor | None = None) -> Tensor:
    """`develop` as a table, (B, T, 3, size, size, size): one look-up instead of dozens of passes.

    The table is a small picture of all colours, developed. displacement: (B, 3, size, size, size) is added
    to it, if given.
    """
    colours = neutral_table(size, grade.exposure.device).reshape(1, 3, 1, size * size, size)
    table = develop(colours, grade).unflatten(3, (size, size))  # (B, 3, T, size, size, size)
    if displacement is not None:
        table = (table + displacement[:, :, None]).clamp(0, 1)
    return table.movedim(1, 2)


def _number(parameter: Tensor) -> Tensor:
    """(B,) or (B, T) to (B, 1, T, 1, 1)."""
    parameter = parameter[:, None] if parameter.dim() == 1 else parameter
    return parameter[:, None, :, None, None]


def _colour(parameter: Tensor) -> Tensor:
    """(B, 3) or (B, T, 3) to (B, 3, T, 1, 1)."""
    parameter = parameter[:, None] if parameter.dim() == 2 else parameter
    return parameter.movedim(-1, 1)[..., None, None]
