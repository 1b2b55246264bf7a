"""A picture's colour profile: its primaries are known by their colours, whatever it is called."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from harmovid.video.color import ColorTags
from harmovid.video.io import open_clip
from harmovid.video.profile import picture_profile

# Colorants as profiles in use have them: Apple's Display P3, Adobe RGB (1998), ITU-R BT.2020 by the ICC.
COLORANTS = {
    "p3": ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
    "adobe": ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)),
    "bt2020": ((0.67348, 0.27904, -0.00194), (0.16567, 0.67535, 0.02998), (0.12505, 0.04561, 0.79683)),
}


def profile(colorants: str | None = None, gamma: float | None = None) -> bytes:
    """LittleCMS's sRGB with other colorants, and a plain power in place of its curve."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for entry in range(struct.unpack(">I", data[128:132])[0]):
        name, at, _ = struct.unpack(">4sII", data[132 + 12 * entry : 144 + 12 * entry])
        if colorants and name in (b"rXYZ", b"gXYZ", b"bXYZ"):
            xyz = COLORANTS[colorants]["rgb".index(chr(name[0]))]
            data[at + 8 : at + 20] = struct.pack(">3i", *(round(value * 65536) for value in xyz))
        if gamma and name in (b"rTRC", b"gTRC", b"bTRC"):  # a curve of one number, or the first of those that tell one
            assert data[at : at + 4] == b"para"
            data[at + 8 : at + 10], data[at + 12 : at + 16] = b"\0\0", struct.pack(">i", round(gamma * 65536))
    return bytes(data)


def save(path: Path, icc: bytes | None, mode: str = "RGB") -> Path:
    Image.new(mode, (8, 6), 120 if mode == "L" else (200, 120, 40)).save(path, icc_profile=icc)
    return path


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
@pytest.mark.parametrize(("icc", "primaries"), [
    (profile(), "bt709"), (profile("p3"), "p3"), (profile("bt2020"), "bt2020"), (profile("p3", 2.2), "p3"),
])
def test_primaries_that_are_known(tmp_path: Path, suffix: str, icc: bytes, primaries: str) -> None:
    path = save(tmp_path / f"a{suffix}", icc)
    assert picture_profile(path)[0] == primaries
    clip = open_clip(path)
    assert clip.tags == ColorTags(primaries, "srgb") and clip.notes == ()  # type: ignore[arg-type]


@pytest.mark.parametrize("icc", [profile("adobe", 2.2), profile(gamma=1.0), profile("p3", 2.6)])
def test_others_are_told(tmp_path: Path, icc: bytes) -> None:
    path = save(tmp_path / "a.png", icc)
    assert picture_profile(path) == (None, "sRGB built-in")
    clip = open_clip(path)
    assert clip.tags == ColorTags() and "its colour profile, sRGB built-in, is not known" in clip.notes[0]


def test_without_a_profile_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"no picture")
    paths = [save(tmp_path / "none.png", None), save(tmp_path / "torn-profile.png", b"no profile"),
             save(tmp_path / "grey.png", None, "L"), tmp_path / "torn.png"]
    assert [picture_profile(path) for path in paths] == [(None, "")] * 4
    assert open_clip(paths[1]).notes == ()


def test_a_photo_in_p3_is_more_colourful_than_its_codes_in_srgb(tmp_path: Path) -> None:
    from harmovid.video.color import linear_between, to_linear
    from harmovid.video.stills import read_picture

    tags = open_clip(save(tmp_path / "a.png", profile("p3"))).tags
    codes = read_picture(tmp_path / "a.png").rgb
    in_srgb = linear_between(to_linear(codes, tags.transfer), tags, ColorTags())
    assert in_srgb[0, 0, 0] > 1.05 * to_linear(codes, "srgb")[0, 0, 0] and in_srgb[0, 0, 2] < in_srgb[0, 0, 0]
    assert np.isfinite(in_srgb).all()
