"""Pictures in files: stills, folders and patterns of every kind, in the right order, upright, whole."""

import struct
import zlib
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harmovid.errors import InputError
from harmovid.video import stills
from harmovid.video.color import SCENE_LINEAR, SRGB, ColorTags
from harmovid.video.io import open_clip, read
from tests.makers import coded, natural, number_of


def save(path, picture):
    """By OpenCV: (H, W), (H, W, 3) RGB or (H, W, 4) RGBA, of 8 or 16 bits."""
    path.parent.mkdir(exist_ok=True)
    if picture.ndim == 3:
        picture = picture[..., [2, 1, 0, 3][: picture.shape[2]]]
    assert cv2.imwrite(str(path), picture, [cv2.IMWRITE_WEBP_QUALITY, 101] if path.suffix == ".webp" else [])
    return path


def save_exr(path, planes, data=None, display=None, **header):
    """By OpenEXR: planes by name; data and display are the corners of the windows, (x0, y0, x1, y1)."""
    for name, window in (("dataWindow", data), ("displayWindow", display)):
        if window:
            header[name] = (np.array(window[:2], np.int32), np.array(window[2:], np.int32))
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **header}
    with OpenEXR.File(header, planes) as file:
        file.write(str(path))
    return path


def only(path, **options):
    return next(iter(read(open_clip(path), **options)))


# Kinds.

@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".bmp", ".webp", ".PNG"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_lossless_kinds(tmp_path, suffix, channels):
    if suffix == ".bmp" and channels == 4:
        pytest.skip("BMP has no settled alpha")
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (13, 17) if channels == 1 else (13, 17, channels), np.uint8)
    if channels == 4:
        picture[..., 3] |= 1  # WebP forgets the colour where alpha is 0
    path = save(tmp_path / f"a{suffix}", picture)
    clip = open_clip(path)
    assert (clip.width, clip.height, clip.frames, clip.bits, clip.still) == (17, 13, 1, 8, True)
    assert clip.tags == SRGB and clip.alpha == (channels == 4) and clip.rate == 24
    frame = only(path)
    colour = np.dstack([picture] * 3) if channels == 1 else picture[..., :3]
    np.testing.assert_array_equal(frame.rgb, colour.astype(np.float32) / 255)
    if channels == 4:
        np.testing.assert_array_equal(frame.alpha, picture[..., 3].astype(np.float32) / 255)
    grey = only(path, grey=True)
    assert grey.rgb.shape == (13, 17) and (grey.alpha is None) == (channels != 4)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits(tmp_path, suffix, channels):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 65536, (13, 17) if channels == 1 else (13, 17, channels)).astype(np.uint16)
    path = save(tmp_path / f"a{suffix}", picture)
    assert open_clip(path).bits == 16
    frame = only(path)
    colour = np.dstack([picture] * 3) if channels == 1 else picture[..., :3]
    np.testing.assert_array_equal(frame.rgb, colour.astype(np.float32) / 65535)


def test_grey_with_alpha(tmp_path):
    """Colour type 4 of PNG, which OpenCV can't write: made by hand."""
    grey = np.array([[10, 200], [0, 255]], np.uint8)
    alpha = np.array([[255, 128], [0, 255]], np.uint8)
    rows = b"".join(b"\0" + np.dstack([grey, alpha])[y].tobytes() for y in range(2))

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 4, 0, 0, 0))
                                     + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    frame = only(tmp_path / "a.png")
    np.testing.assert_array_equal(frame.rgb[..., 0], grey.astype(np.float32) / 255)
    np.testing.assert_array_equal(frame.alpha, alpha.astype(np.float32) / 255)


def exif(orientation):
    """The APP1 segment of a JPEG that says how the camera was held."""
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([orientation, 0, 0, 0]) + b"\0\0\0\0"
    body = b"Exif\0\0" + tiff
    return b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body


@pytest.mark.parametrize(("orientation", "turn"), [
    (1, lambda p: p), (2, lambda p: p[:, ::-1]), (3, lambda p: p[::-1, ::-1]), (4, lambda p: p[::-1]),
    (5, lambda p: p.swapaxes(0, 1)), (6, lambda p: np.rot90(p, -1)), (7, lambda p: p.swapaxes(0, 1)[::-1, ::-1]),
    (8, lambda p: np.rot90(p))])
def test_photographs_are_upright(tmp_path, orientation, turn):
    picture = (natural(48, 32) * 255).astype(np.uint8)
    picture[:16, :24] = [250, 20, 20]
    data = save(tmp_path / "plain.jpg", picture).read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[:2] + exif(orientation) + data[2:])
    clip = open_clip(tmp_path / "a.jpg")
    expected = turn(only(tmp_path / "plain.jpg").rgb)
    assert (clip.height, clip.width) == expected.shape[:2]
    np.testing.assert_array_equal(only(tmp_path / "a.jpg").rgb, expected)
    assert np.abs(expected - turn(picture / 255)).mean() < 0.02


@pytest.mark.parametrize("suffix", ["png", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exports_with_a_camera_s_note_are_upright_too(tmp_path, suffix, orientation):
    turns = (lambda p: p, lambda p: p[:, ::-1], lambda p: p[::-1, ::-1], lambda p: p[::-1], lambda p: p.swapaxes(0, 1),
             lambda p: np.rot90(p, -1), lambda p: p.swapaxes(0, 1)[::-1, ::-1], np.rot90)
    picture = (natural(48, 32) * 255).astype(np.uint8)
    note = Image.Exif()
    note[0x112] = orientation
    Image.fromarray(picture).save(tmp_path / f"a.{suffix}", exif=note, lossless=True)
    expected = turns[orientation - 1](picture)
    clip = open_clip(tmp_path / f"a.{suffix}")
    assert (clip.height, clip.width) == expected.shape[:2]
    np.testing.assert_array_equal(np.rint(only(tmp_path / f"a.{suffix}").rgb * 255), expected)


def test_a_torn_note_says_nothing(tmp_path):
    data = save(tmp_path / "plain.png", np.uint8(coded(3, 48, 32))).read_bytes()
    body = b"eXIf" + b"II*\0"
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])
    assert number_of(only(tmp_path / "a.png").rgb) == 3


@pytest.mark.parametrize(("suffix", "options"), [("webp", {"lossless": True}), ("png", {})])
def test_what_holds_several_pictures_is_refused(tmp_path, suffix, options):
    pictures = [Image.fromarray(coded(n, 48, 32)) for n in range(3)]
    pictures[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=pictures[1:], **options)
    with pytest.raises(InputError, match=f"a.{suffix} holds 3 pictures, of which one would be shown; convert it"):
        open_clip(tmp_path / f"a.{suffix}")


def test_a_phone_s_photo_with_a_second_picture_in_it_is_one(tmp_path):
    pictures = [Image.fromarray(coded(n, 48, 32)) for n in (3, 4)]
    pictures[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=pictures[1:])
    assert number_of(only(tmp_path / "a.jpg").rgb) == 3


def test_light_in_floating_point_is_light(tmp_path):
    light = np.random.default_rng(0).random((16, 24, 3), np.float32) * 20
    for name in ("a.hdr", "a.tiff"):
        assert cv2.imwrite(str(tmp_path / name), light[..., ::-1])
        assert open_clip(tmp_path / name).tags == SCENE_LINEAR
        np.testing.assert_allclose(only(tmp_path / name).rgb, light, rtol=0.01, atol=0.2)


# EXR.

@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_exr_keeps_every_value(tmp_path, kind):
    rgb = np.random.default_rng(0).normal(0, 5, (6, 9, 3)).astype(kind)
    rgb[0, 0] = [0, 60000, 1e-4]
    path = save_exr(tmp_path / "a.exr", {"RGB": rgb})
    clip = open_clip(path)
    assert clip.tags == SCENE_LINEAR and not clip.alpha and clip.bits == 32 and (clip.width, clip.height) == (9, 6)
    np.testing.assert_array_equal(only(path).rgb, rgb.astype(np.float32))


def test_exr_alpha_is_taken_out(tmp_path):
    alpha = np.array([[0, 0.25, 0.5, 1, 1.5]], np.float32)
    rgb = np.dstack([np.full((1, 5), 2, np.float32) * np.minimum(alpha, 1)] * 3)
    rgb[0, 0] = 0.75  # light without cover: a flame
    frame = only(save_exr(tmp_path / "a.exr", {"RGBA": np.dstack([rgb, alpha])}))
    np.testing.assert_allclose(frame.rgb[0, :, 0], [0.75, 2, 2, 2, 2], rtol=1e-6)
    np.testing.assert_array_equal(frame.alpha, np.minimum(alpha, 1))


def test_exr_of_luminance_alone(tmp_path):
    y = np.random.default_rng(0).random((6, 9), np.float32)
    np.testing.assert_array_equal(only(save_exr(tmp_path / "a.exr", {"Y": y})).rgb, np.dstack([y] * 3))
    frame = only(save_exr(tmp_path / "b.exr", {"Y": y, "A": np.ones_like(y)}))
    np.testing.assert_allclose(frame.rgb, np.dstack([y] * 3))
    assert (frame.alpha == 1).all()


def test_exr_without_a_picture(tmp_path):
    path = save_exr(tmp_path / "a.exr", {"Z": np.zeros((4, 4), np.float32)})
    with pytest.raises(InputError, match="has the channels Z; expected R, G, B"):
        open_clip(path)


@pytest.mark.parametrize(("data", "display"), [
    ((2, 1, 5, 3), (0, 0, 9, 7)),  # smaller than what is shown
    ((-3, -2, 12, 9), (0, 0, 9, 7)),  # overscan
    ((-3, 2, 5, 12), (0, 0, 9, 7)),  # both
    ((100, 50, 109, 57), (100, 50, 109, 57)),  # neither begins at 0
    ((20, 20, 22, 22), (0, 0, 9, 7)),  # nothing in sight
])
def test_exr_windows(tmp_path, data, display):
    x0, y0, x1, y1 = data
    rgb = np.random.default_rng(0).random((y1 - y0 + 1, x1 - x0 + 1, 3), np.float32)
    frame = only(save_exr(tmp_path / "a.exr", {"RGB": rgb}, data, display))
    left, top, right, bottom = display
    expected = np.zeros((bottom - top + 1, right - left + 1, 3), np.float32)
    for y in range(max(top, y0), min(bottom, y1) + 1):
        for x in range(max(left, x0), min(right, x1) + 1):
            expected[y - top, x - left] = rgb[y - y0, x - x0]
    np.testing.assert_array_equal(frame.rgb, expected)


def test_exr_nan_and_infinity(tmp_path):
    rgb = np.ones((2, 2, 3), np.float32)
    rgb[0, 0], rgb[0, 1], rgb[1, 0] = np.nan, np.inf, -np.inf
    found = only(save_exr(tmp_path / "a.exr", {"RGB": rgb})).rgb
    np.testing.assert_array_equal(found[..., 0], [[0, 65504], [-65504, 1]])


@pytest.mark.parametrize(("chromaticities", "primaries", "noted"), [
    (None, "bt709", False), ((0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329), "bt709", False),
    ((0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329), "p3", False),
    ((0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329), "bt2020", False),
    ((0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767), "bt709", True)])  # ACEScg
def test_exr_primaries(tmp_path, chromaticities, primaries, noted):
    header = {"chromaticities": chromaticities} if chromaticities else {}
    clip = open_clip(save_exr(tmp_path / "a.exr", {"RGB": np.ones((2, 2, 3), np.float32)}, **header))
    assert clip.tags == ColorTags(primaries, "linear") and bool(clip.notes) == noted
    assert not noted or "primaries are not known" in clip.notes[0]


def test_exr_of_wide_pixels_is_noted(tmp_path):
    clip = open_clip(save_exr(tmp_path / "a.exr", {"RGB": np.ones((2, 2, 3), np.float32)}, pixelAspectRatio=2.0))
    assert clip.width == 2 and "pixels of 2:1" in clip.notes[0]


@pytest.mark.parametrize(("code", "expected"), [
    ((1, 2, 3, 4, 0), "01:02:03:04"), ((23, 59, 59, 29, 1), "23:59:59;29")])
def test_exr_timecode(tmp_path, code, expected):
    path = save_exr(tmp_path / "a.exr", {"RGB": np.ones((2, 2, 3), np.float32)},
                    timeCode=OpenEXR.TimeCode(*code, *[0] * 13))
    assert open_clip(path).timecode == expected


# Sequences.

def sequence(folder, names, size=(24, 16)):
    for i, name in enumerate(names):
        save(folder / name, coded(i, *size))
    return folder


def numbers(path):
    return [number_of(f.rgb) for f in read(open_clip(path))]


def test_a_folder_is_a_clip(tmp_path):
    folder = sequence(tmp_path / "a", [f"shot.{i:04d}.png" for i in range(1001, 1007)])
    clip = open_clip(folder)
    assert (clip.frames, clip.rate, clip.start_number, clip.still) == (6, 24, 1001, False)
    assert numbers(folder) == list(range(6))
    assert [number_of(f.rgb) for f in read(clip, [5, 0, 0, 3])] == [5, 0, 0, 3]
    one, two, three = read(clip, [4, 4, 5])
    assert one is two and two is not three
    assert open_clip(folder, rate=Fraction(30000, 1001)).rate == Fraction(30000, 1001)


@pytest.mark.parametrize("names", [
    [f"{i}.png" for i in range(2, 12)], ["a9.png", "a10.png", "a11.png"], ["v2_7.png", "v2_8.png", "v2_9.png"],
    ["a.png", "b.png", "c.png"], ["Take1 a.png", "Take2 a.png", "Take10 a.png"], ["²a.png", "³a.png"]])
def test_natural_order(tmp_path, names):
    assert numbers(sequence(tmp_path / "a", names)) == list(range(len(names)))


@given(st.integers(0, 10**6), st.integers(1, 12))
def test_numbered_finds_what_it_names(number, digits):
    for pattern in (f"a.%0{digits}d.png", f"a.{'#' * digits}.png", "a.%d.png", "10%_%05d.png"):
        path = Path(pattern)
        assert stills.is_pattern(path)
        name = stills.numbered(path, number).name
        assert str(number) in name and "%0" not in name and "#" not in name
    assert stills.numbered(Path(f"a.{'#' * digits}.png"), number).name == f"a.{number:0{digits}d}.png"


@pytest.mark.parametrize("name", ["take #2.mp4", "100%d.mov", "shot.%04d", "shot.0001.png", "100%.png"])
def test_no_pattern(name):
    assert not stills.is_pattern(Path(name))


@pytest.mark.parametrize("pattern", ["s.%04d.png", "s.%d.png", "s.####.png", "s.#.png"])
def test_patterns(tmp_path, pattern):
    sequence(tmp_path / "a", ["s.0008.png", "s.0009.png", "s.0010.png", "s.0011.png", "t.0001.png",
                              "s.0008.png.bak.png", "other.png"])
    clip = open_clip(tmp_path / "a" / pattern)
    assert clip.frames == 4 and clip.start_number == 8
    assert numbers(tmp_path / "a" / pattern) == [0, 1, 2, 3]


def test_a_number_in_the_middle_of_the_name(tmp_path):
    sequence(tmp_path / "a", [f"s_{i}_left.png" for i in range(9, 12)])
    clip = open_clip(tmp_path / "a" / "s_%d_left.png")
    assert clip.start_number == 9 and numbers(clip.path) == [0, 1, 2]
    (tmp_path / "a" / "s_10_left.png").unlink()
    save(tmp_path / "a" / "s_12_left.png", coded(0, 24, 16))
    with pytest.raises(InputError, match="has no frame 10"):
        open_clip(clip.path)


def test_a_file_whose_name_looks_like_a_pattern(tmp_path):
    save(tmp_path / "photo #1.png", coded(3, 24, 16))
    assert numbers(tmp_path / "photo #1.png") == [3]


def test_every_second_frame_is_no_hole(tmp_path):
    clip = open_clip(sequence(tmp_path / "a", ["1.png", "3.png", "5.png"]))
    assert (clip.frames, clip.start_number, clip.number_step) == (3, 1, 2)


def test_suffixes_of_one_kind_may_differ(tmp_path):
    assert numbers(sequence(tmp_path / "a", ["1.jpg", "2.jpeg", "3.JPG"])) == [0, 1, 2]


@pytest.mark.parametrize(("names", "message"), [
    (["a.1.png", "a.2.png", "a.4.png"], "1 to 4, has no frame 3; render the missing frame"),
    (["a.1.png", "a.3.png", "a.4.png"], "has no frame 2"),
    (["1.png", "2.jpg"], r"mixes kinds of picture \(1 \.jpg, 1 \.png\).*a/name\.%04d\.png"),
    (["a.01.png", "a.02.png", "b.01.png", "b.02.png", "b.03.png"],
     r"holds b\.01\.png and those that follow it, but also a\.01\.png; .* a/b\.%02d\.png"),
    (["a.1.png", "a.2.png", "poster.png"], r"but also poster\.png"),
    (["a.1.png", "a.01.png", "a.2.png"], "have the same number"),
    ([], "holds no picture that can be read"),
    ([".1.png"], "holds no picture"),
])
def test_a_folder_in_disorder(tmp_path, names, message):
    (tmp_path / "a").mkdir()
    with pytest.raises(InputError, match=message):
        open_clip(sequence(tmp_path / "a", names))


def test_other_files_in_the_folder_do_no_harm(tmp_path):
    folder = sequence(tmp_path / "a", ["1.png", "2.png"])
    for name in ("notes.txt", ".DS_Store", "._1.png", "Thumbs.db"):
        (folder / name).write_text("x")
    assert numbers(folder) == [0, 1]


def test_no_file_matches(tmp_path):
    sequence(tmp_path / "a", ["1.png"])
    for pattern in ("a/x.%04d.png", "nowhere/x.%04d.png"):
        with pytest.raises(InputError, match="no file matches"):
            open_clip(tmp_path / pattern)
    sequence(tmp_path / "b", ["s.1.png", "s.01.png"])
    with pytest.raises(InputError, match="have the same number"):
        open_clip(tmp_path / "b" / "s.%d.png")


def test_a_picture_of_another_size(tmp_path):
    folder = sequence(tmp_path / "a", ["1.png", "2.png"])
    save(folder / "3.png", coded(2, 16, 16))
    with pytest.raises(InputError, match=r"3\.png is 16×16, the pictures before it are 24×16"):
        numbers(folder)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".exr", ".bmp"])
@pytest.mark.parametrize("content", [b"", b"this is text\n" * 20, bytes(2000)], ids=["empty", "text", "zeros"])
def test_no_picture(tmp_path, suffix, content):
    (tmp_path / f"a{suffix}").write_bytes(content)
    with pytest.raises(InputError, match="is damaged or no"):
        open_clip(tmp_path / f"a{suffix}")


def test_a_damaged_picture_in_the_middle(tmp_path):
    folder = sequence(tmp_path / "a", ["1.png", "2.png", "3.png"])
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:40])
    clip = open_clip(folder)
    frames = read(clip)
    next(frames)
    with pytest.raises(InputError, match=r"2\.png is damaged"):
        next(frames)


def test_a_torn_exr(tmp_path):
    path = save_exr(tmp_path / "a.exr", {"RGB": np.random.default_rng(0).random((64, 64, 3), np.float32)})
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(InputError, match="is damaged or no EXR"):
        open_clip(path)


def test_a_missing_picture(tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*; check the name"):
        open_clip(tmp_path / "a.png")
    folder = sequence(tmp_path / "a", ["1.png", "2.png"])
    clip = open_clip(folder)
    (folder / "2.png").unlink()
    with pytest.raises(InputError, match="there is no file"):
        list(read(clip))


def test_sizes_beyond_all_measure(tmp_path):
    data = bytearray(save(tmp_path / "a.png", coded(0, 24, 16)).read_bytes())
    data[16:24] = (2**31 - 1).to_bytes(4, "big") * 2
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(InputError, match="damaged or no picture"):
        open_clip(tmp_path / "a.png")


# Writing.

@pytest.mark.parametrize(("name", "bits", "within"), [
    ("a.png", 8, 0), ("a.png", 16, 0), ("a.tif", 8, 0), ("a.tif", 16, 0), ("a.bmp", 8, 0), ("a.jpg", 8, 6 / 255)])
def test_pictures_are_what_was_written(tmp_path, name, bits, within):
    peak = 255 if bits == 8 else 65535
    rgb = np.rint(natural(37, 21) * peak).astype(np.float32) / np.float32(peak)
    stills.write_picture(tmp_path / name, rgb, None, bits, Fraction(24))
    frame = only(tmp_path / name)
    assert np.abs(frame.rgb - rgb).max() <= within
    assert [f.name for f in tmp_path.iterdir()] == [name]


def test_exr_header_tells_rate_and_timecode(tmp_path):
    rgb = np.ones((4, 4, 3), np.float32)
    for rate, code, stored in ((Fraction(24000, 1001), "01:00:00:23", (23, 0)), (Fraction(50), "01:00:00:49", (24, 1))):
        stills.write_picture(tmp_path / "a.exr", rgb, None, 16, rate, code)
        clip = open_clip(tmp_path / "a.exr")
        assert (clip.rate, clip.timecode) == (rate, code)
        with OpenEXR.File(str(tmp_path / "a.exr")) as file:
            assert all(channel.pixels.dtype == np.float16 for channel in file.channels().values())
            # Above 30 the standard counts pairs of frames, and a flag tells the second.
            assert (file.header()["timeCode"].frame, file.header()["timeCode"].fieldPhase) == stored


def test_exr_of_more_frames_than_the_standard_code_counts(tmp_path):
    stills.write_picture(tmp_path / "a.exr", np.ones((4, 4, 3), np.float32), None, 16, Fraction(120), "01:00:00:119")
    assert open_clip(tmp_path / "a.exr").timecode == "01:00:00:119"
    with OpenEXR.File(str(tmp_path / "a.exr")) as file:
        assert "timeCode" not in file.header()


def test_a_failure_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stills.os, "replace", full)
    for name in ("a.png", "a.exr"):
        with pytest.raises(OSError, match="No space"):
            stills.write_picture(tmp_path / name, np.ones((4, 4, 3), np.float32), None, 8, Fraction(24))
    assert list(tmp_path.iterdir()) == []


def test_a_picture_too_large_for_its_kind(tmp_path):
    with pytest.raises(OSError, match="webp"):
        stills.write_picture(tmp_path / "a.webp", np.ones((1, 17000, 3), np.float32), None, 8, Fraction(24))
