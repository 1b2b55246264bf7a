"""What a picture file says of itself: whose primaries its values are of, how it is turned, how many pictures it holds;
the only home of Pillow."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from harmovid.video.color import Primaries, rgb_to_xyz

# Profiles tell colours under D50; Bradford's adaptation from D65, as the profile of sRGB has it (ICC.1:2022, annex E).
_D65_TO_D50 = np.array([[1.0479298, 0.0229468, -0.0501922], [0.0296278, 0.9904345, -0.0170738],
                        [-0.0092430, 0.0150552, 0.7518743]])
_UNREADABLE = (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError, EOFError,
               TypeError, struct.error)
_NEAR = 0.005  # of X, Y, Z: profiles are rounded, and differ by the last digits of their makers' whites
_GREY, _LIGHTNESS, _AS_LIGHT = 128, 53.6, 2.0  # sRGB's middle grey has this L*; the nearest other curve in use, 2.2, 54


def picture_profile(path: Path) -> tuple[Primaries | None, str]:
    """What the ICC profile of a picture says.

    Args:
        path: a JPEG, PNG, TIFF or WebP.

    Returns:
        The primaries, None where there is no profile of RGB values, or one of other primaries or another curve than
        sRGB's; and its name, empty without one.
    """
    try:
        with Image.open(path) as picture:
            stored = picture.info.get("icc_profile")
        if not stored:
            return None, ""
        profile = ImageCms.ImageCmsProfile(io.BytesIO(stored)).profile
    except (*_UNREADABLE, ImageCms.PyCMSError):
        return None, ""  # what is no picture is said where it is decoded; a torn profile is none
    if profile.xcolor_space.strip() != "RGB":
        return None, ""
    name = " ".join((profile.profile_description or "unnamed").split())
    colorants = [of for of in (profile.red_colorant, profile.green_colorant, profile.blue_colorant) if of is not None]
    if len(colorants) < 3:  # a table in the place of a matrix
        return None, name
    said = np.array([xyz for xyz, _ in colorants]).T
    apart: dict[Primaries, float] = {known: float(np.abs(said - _D65_TO_D50 @ rgb_to_xyz(known)).max())
                                     for known in get_args(Primaries)}
    nearest = min(apart, key=apart.__getitem__)
    known = apart[nearest] < _NEAR and abs(_lightness(profile) - _LIGHTNESS) < _AS_LIGHT
    return (nearest if known else None), name


def _lightness(profile: ImageCms.core.CmsProfile) -> float:
    """L* of middle grey."""
    to_lab = ImageCms.buildTransform(ImageCms.ImageCmsProfile(profile), ImageCms.createProfile("LAB"), "RGB", "LAB")
    grey = Image.new("RGB", (1, 1), (_GREY,) * 3)
    shown = ImageCms.applyTransform(grey, to_lab)
    assert shown is not None, "not in place"
    return float(np.asarray(shown)[0, 0, 0]) / 2.55


def picture_orientation(path: Path) -> int:
    """EXIF's orientation of a picture, 1 to 8; 1 where it says none."""
    try:
        with Image.open(path) as picture:
            said = int(picture.getexif().get(0x0112, 1))
    except _UNREADABLE:
        return 1
    return said if 1 <= said <= 8 else 1


def picture_count(path: Path) -> int:
    """How many pictures a file holds: more than one in an animation."""
    try:
        with Image.open(path) as picture:
            return int(getattr(picture, "n_frames", 1))
    except _UNREADABLE:
        return 1
