"""Reading: every kind of video as float frames of the right size, number, time, colour and order."""

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmovid.errors import InputError
from harmovid.video import io
from harmovid.video.io import open_clip, read
from tests import makers
from tests.makers import Sound, coded, number_of, write_clip

FILM, NTSC = Fraction(24000, 1001), Fraction(30000, 1001)
LOSSLESS = {"qp": "0", "preset": "ultrafast"}


def numbers(clip, indices=None):
    return [number_of(frame.rgb) for frame in read(clip, indices)]


def first(clip, grey=False):
    return next(iter(read(clip, [0], grey)))


def counting(path, count=12, size=(64, 48), **options):
    return write_clip(path, [coded(i, *size) for i in range(count)], **options)


# Kinds of file.

@pytest.mark.parametrize(("name", "options", "bits", "alpha"), [
    ("h264.mp4", {}, 8, False),
    ("h264.mkv", {}, 8, False),
    ("h264.ts", {}, 8, False),
    ("h264.flv", {}, 8, False),
    ("h264_10.mp4", {"pix_fmt": "yuv420p10le"}, 10, False),
    ("h264_422.mp4", {"pix_fmt": "yuv422p"}, 8, False),
    ("hevc.mp4", {"codec": "libx265"}, 8, False),
    ("hevc_10.mkv", {"codec": "libx265", "pix_fmt": "yuv420p10le"}, 10, False),
    ("hevc_12.mkv", {"codec": "libx265", "pix_fmt": "yuv420p12le"}, 12, False),
    ("mpeg4.avi", {"codec": "mpeg4", "options": {"bf": "2", "g": "5"}}, 8, False),
    ("mpeg2.mpg", {"codec": "mpeg2video", "options": {"bf": "2", "g": "5"}, "rate": 25}, 8, False),
    ("mpeg2.ts", {"codec": "mpeg2video", "options": {"bf": "2", "g": "5"}, "rate": 25}, 8, False),
    ("vp8.webm", {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "8"}}, 8, False),
    ("vp8_alpha.webm", {"codec": "libvpx", "pix_fmt": "yuva420p", "options": {"auto-alt-ref": "0"}}, 8, True),
    ("vp9_alpha.webm", {"codec": "libvpx-vp9", "pix_fmt": "yuva420p", "options": {"auto-alt-ref": "0"}}, 8, True),
    ("prores.mov", {"codec": "prores_ks", "pix_fmt": "yuv422p10le"}, 10, False),
    ("prores_alpha.mov", {"codec": "prores_ks", "pix_fmt": "yuva444p10le"}, 12, True),
    ("ffv1.mkv", {"codec": "ffv1", "pix_fmt": "bgr0"}, 8, False),
    ("ffv1_16.mkv", {"codec": "ffv1", "pix_fmt": "gbrp16le"}, 16, False),
    ("animation.mov", {"codec": "qtrle", "pix_fmt": "argb"}, 8, True),
    ("png.mov", {"codec": "png", "pix_fmt": "rgba"}, 8, True),
    ("cineform.mov", {"codec": "cfhd", "pix_fmt": "yuv422p10le"}, 10, False),
    ("mjpeg.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p", "full": True}, 8, False),
    ("v210.mov", {"codec": "v210", "pix_fmt": "yuv422p10le"}, 10, False),
    ("raw.avi", {"codec": "rawvideo", "pix_fmt": "bgr24"}, 8, False),
    ("gif.gif", {"codec": "gif", "pix_fmt": "rgb8", "rate": 20}, 8, True),
])
def test_kinds(tmp_path, name, options, bits, alpha):
    clip = open_clip(counting(tmp_path / name, **options))
    assert (clip.width, clip.height, clip.frames, clip.rate) == (64, 48, 12, options.get("rate", 24))
    assert (clip.bits, clip.alpha, clip.sound, clip.notes) == (bits, alpha, False, ())
    assert numbers(clip) == list(range(12))
    assert numbers(clip, range(11, -1, -1)) == list(range(11, -1, -1))
    assert numbers(clip, [5, 5, 0, 11, 3]) == [5, 5, 0, 11, 3]
    frame = first(clip)
    assert frame.rgb.shape == (48, 64, 3) and frame.rgb.dtype == np.float32 and frame.rgb.flags.c_contiguous
    assert (frame.alpha is not None) == alpha
    assert 0 <= frame.rgb.min() and frame.rgb.max() <= 1
    mask = first(clip, grey=True)
    assert mask.rgb.shape == (48, 64) and number_of(mask.rgb) == 0 and (mask.alpha is not None) == alpha


@pytest.mark.parametrize(("name", "options"), [
    ("a.mkv", {"codec": "ffv1", "pix_fmt": "bgr0"}), ("b.mp4", {"options": {"qp": "0"}, "pix_fmt": "yuv444p"})])
@pytest.mark.parametrize("size", [(63, 47), (31, 64), (17, 16)])
def test_odd_sizes(tmp_path, name, options, size):
    clip = open_clip(counting(tmp_path / name, 2, size, **options))
    assert (clip.width, clip.height) == size
    assert first(clip).rgb.shape == (size[1], size[0], 3) and first(clip, grey=True).rgb.shape == (size[1], size[0])
    assert numbers(clip) == [0, 1]


def test_exact_values(tmp_path):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (32, 48, 3), np.uint8) for _ in range(3)]
    clip = open_clip(write_clip(tmp_path / "a.mkv", pictures, codec="ffv1", pix_fmt="bgr0"))
    for picture, frame in zip(pictures, read(clip), strict=True):
        np.testing.assert_array_equal(frame.rgb, picture.astype(np.float32) / 255)
    deep = [rng.integers(0, 65536, (32, 48, 3)).astype(np.uint16) for _ in range(2)]
    deep[0][0, 0], deep[0][0, 1] = 0, 65535
    clip = open_clip(write_clip(tmp_path / "b.mkv", deep, codec="ffv1", pix_fmt="gbrp16le"))
    for picture, frame in zip(deep, read(clip), strict=True):
        np.testing.assert_array_equal(frame.rgb, picture.astype(np.float32) / 65535)


@pytest.mark.parametrize(("codec", "pix_fmt", "within"), [
    ("png", "rgba", 0), ("prores_ks", "yuva444p10le", 1.2 / 255)])
def test_alpha(tmp_path, codec, pix_fmt, within):
    ramp = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
    picture = np.dstack([ramp[:, ::-1], ramp, ramp // 2 + 64, ramp])
    clip = open_clip(write_clip(tmp_path / "a.mov", [picture] * 2, codec=codec, pix_fmt=pix_fmt))
    frame = first(clip)
    assert np.abs(frame.alpha - ramp / np.float32(255)).max() <= within
    assert frame.alpha[0, 0] == 0 and frame.alpha[0, -1] == 1
    np.testing.assert_array_equal(first(clip, grey=True).alpha, frame.alpha)


def test_alpha_of_webm_survives(tmp_path):
    wedge = np.where(np.arange(64) < 32, 0, 255).astype(np.uint8)
    picture = np.dstack([np.full((48, 64, 3), 200, np.uint8), np.tile(wedge, (48, 1))])
    clip = open_clip(write_clip(tmp_path / "a.webm", [picture] * 3, codec="libvpx-vp9", pix_fmt="yuva420p",
                                options={"auto-alt-ref": "0"}))
    for frame in read(clip):
        assert frame.alpha[:, :28].max() < 0.03 and frame.alpha[:, 36:].min() > 0.97


# Colour: the planes are written as code values worked out by the standard's own formula.

PATCHES = np.array([[0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1],
                    [1, 0, 1], [0.8, 0.6, 0.5], [0.2, 0.3, 0.4], [0.1, 0.05, 0.02]])


def patches(matrix, bits, full, pix_fmt):
    """Blocks of 16 × 16 pixels, and the colours that their rounded code values stand for."""
    codes = np.clip(np.rint(makers.yuv_codes(PATCHES, matrix, bits, full)), 0, 2**bits - 1)
    frame = av.VideoFrame(16 * len(PATCHES), 16, pix_fmt)
    for i, plane in enumerate(frame.planes):
        kind = np.uint8 if bits == 8 else np.uint16
        values = np.frombuffer(plane, kind).reshape(-1, plane.line_size // np.dtype(kind).itemsize)
        values[:, : plane.width] = np.repeat(codes[:, i], plane.width // len(PATCHES))
    return frame, makers.rgb_of(codes, matrix, bits, full)


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", ["bt709", "bt601-525", "bt601-625", "bt2020"])
@pytest.mark.parametrize(("name", "pix_fmt", "bits"), [
    ("a.mp4", "yuv420p", 8), ("a.mp4", "yuv420p10le", 10), ("a.mkv", "yuv422p10le", 10), ("a.mkv", "yuv444p12le", 12)])
def test_matrix_and_range(tmp_path, name, pix_fmt, bits, matrix, full):
    codec, options = ("libx264", LOSSLESS) if name == "a.mp4" else ("ffv1", {})
    frame, expected = patches(matrix, bits, full, pix_fmt)
    clip = open_clip(write_clip(tmp_path / name, [frame], codec=codec, pix_fmt=pix_fmt, options=options, tags=matrix,
                                full=full))
    # To 8 bits libswscale rounds; deeper code values are carried over as they are.
    within = 0.51 / 255 if bits == 8 else 1e-6
    assert clip.tags.primaries == matrix and clip.bits == bits
    np.testing.assert_allclose(first(clip).rgb[8, 8::16], expected, atol=within)
    codes = np.rint(makers.yuv_codes(PATCHES, matrix, bits, full))
    luma = makers.rgb_of(np.stack([codes[:, 0], *[np.full(len(codes), 2 ** (bits - 1))] * 2], -1), matrix, bits, full)
    np.testing.assert_allclose(first(clip, grey=True).rgb[8, 8::16], luma[:, 0], atol=1e-6)


@pytest.mark.parametrize(("tags", "primaries", "transfer"), [
    ("bt709", "bt709", "srgb"), ("bt601-525", "bt601-525", "srgb"), ("bt601-625", "bt601-625", "srgb"),
    ("bt2020", "bt2020", "srgb"), ("pq", "bt2020", "pq"), ("hlg", "bt2020", "hlg"), ("unsaid", "bt709", "srgb")])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
def test_tags(tmp_path, name, tags, primaries, transfer):
    clip = open_clip(counting(tmp_path / name, 1, tags=tags))
    assert (clip.tags.primaries, clip.tags.transfer) == (primaries, transfer)


@pytest.mark.parametrize(("size", "matrix"), [
    ((720, 576), "bt601-625"), ((1280, 720), "bt709"), ((720, 1280), "bt709")])
def test_an_unsaid_matrix_goes_by_the_size(tmp_path, size, matrix):
    codes = np.rint(makers.yuv_codes(np.array([0.8, 0.4, 0.2]), matrix)).astype(np.uint8)
    frame = av.VideoFrame(*size, "yuv420p")
    for plane, code in zip(frame.planes, codes, strict=True):
        np.frombuffer(plane, np.uint8)[:] = code
    clip = open_clip(write_clip(tmp_path / "a.mp4", [frame], tags="unsaid", options=LOSSLESS))
    np.testing.assert_allclose(first(clip).rgb[9, 9], makers.rgb_of(codes, matrix), atol=0.51 / 255)


@pytest.mark.parametrize(("pix_fmt", "tags", "full", "white"), [
    ("gray", "unsaid", False, 255), ("gray", "bt709", True, 255), ("gray", "bt709", False, 235),
    ("gray10le", "bt709", True, 1023), ("gray10le", "bt709", False, 940), ("gray16le", "bt709", True, 65535)])
def test_grey_video(tmp_path, pix_fmt, tags, full, white):
    black = 0 if white in (255, 1023, 65535) else 16 if white == 235 else 64
    kind = np.uint8 if white < 256 else np.uint16
    frame = av.VideoFrame(64, 16, pix_fmt)
    plane = np.frombuffer(frame.planes[0], kind).reshape(16, -1)
    plane[:, :32], plane[:, 32:] = black, white
    clip = open_clip(write_clip(tmp_path / "a.mkv", [frame], codec="ffv1", pix_fmt=pix_fmt, tags=tags, full=full))
    for picture in (first(clip).rgb, first(clip, grey=True).rgb[..., None]):
        assert (picture[:, :32] == 0).all() and (picture[:, 32:] == 1).all()


def test_a_mask_in_a_lossy_video_is_black_and_white_at_its_ends(tmp_path):
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, 32:] = 255
    for name, pix_fmt in (("a.mp4", "yuv420p"), ("b.mp4", "yuv420p10le")):
        mask = first(open_clip(write_clip(tmp_path / name, [picture], pix_fmt=pix_fmt)), grey=True).rgb
        assert abs(mask[:, :30]).max() < 0.01 and mask[:, 34:].min() > 0.99


# Shape and place.

CORNERS = np.zeros((48, 64, 3), np.uint8)
CORNERS[:24, :32], CORNERS[:24, 32:], CORNERS[24:, :32], CORNERS[24:, 32:] = (
    [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255])


def quarters(picture):
    """The colours of the four quarters, in reading order."""
    height, width = picture.shape[:2]
    names = {(1, 0, 0): "R", (0, 1, 0): "G", (0, 0, 1): "B", (1, 1, 1): "W"}
    return "".join(names[tuple(int(v > 0.5) for v in picture[y, x])]
                   for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4))


@pytest.mark.parametrize(("rotation", "hflip", "shown"), [
    (0, False, "RGBW"), (90, False, "GWRB"), (180, False, "WBGR"), (270, False, "BRWG"),
    (0, True, "GRWB"), (90, True, "WGBR"), (180, True, "BWRG"), (270, True, "RBGW")])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_rotation_and_mirroring(tmp_path, name, rotation, hflip, shown):
    clip = open_clip(write_clip(tmp_path / name, [CORNERS] * 2, rotation=rotation, hflip=hflip))
    size = (48, 64) if rotation % 180 else (64, 48)
    assert (clip.width, clip.height) == size
    for frame in read(clip):
        assert frame.rgb.shape[:2] == size[::-1] and quarters(frame.rgb) == shown
    assert first(clip, grey=True).rgb.shape == size[::-1]


@pytest.mark.parametrize(("aspect", "rotation", "size"), [
    (Fraction(2), 0, (128, 48)), (Fraction(2), 90, (48, 128)), (Fraction(64, 45), 0, (91, 48)),
    (Fraction(8, 9), 0, (57, 48))])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
def test_anamorphic_pixels_become_square(tmp_path, aspect, rotation, size, pix_fmt):
    clip = open_clip(write_clip(tmp_path / "a.mp4", [CORNERS], aspect=aspect, rotation=rotation, pix_fmt=pix_fmt))
    assert (clip.width, clip.height) == size and "made square" in clip.notes[0]
    assert first(clip).rgb.shape[:2] == size[::-1] and first(clip, grey=True).rgb.shape == size[::-1]
    assert quarters(first(clip).rgb) == ("GWRB" if rotation else "RGBW")
    assert first(clip).rgb[:4, :4].max() > 0.98 and first(clip).rgb.max() <= 1


def test_interlaced_video_is_read_with_a_note(tmp_path):
    clip = open_clip(counting(tmp_path / "a.mpg", 3, codec="mpeg2video", rate=25, options={"flags": "+ildct+ilme"}))
    assert len(clip.notes) == 1 and "interlaced" in clip.notes[0]


# Time.

@pytest.mark.parametrize("rate", [
    FILM, Fraction(24), Fraction(25), NTSC, Fraction(60000, 1001), Fraction(60), Fraction(120000, 1001), Fraction(240),
    Fraction(25, 2), Fraction(1), Fraction(1000, 33)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_rational_rates(tmp_path, name, rate):
    """Matroska's clock of a millisecond names 60000/1001 as 19001/317 and rounds every time."""
    codec, pix_fmt = ("libx264", "yuv420p") if name == "a.mp4" else ("ffv1", "bgr0")
    for count in (1, 2, 70):
        clip = open_clip(counting(tmp_path / name, count, (16, 16), rate=rate, codec=codec, pix_fmt=pix_fmt))
        assert (clip.rate, clip.frames, clip.notes) == (rate, count, ())


def test_a_variable_rate_is_sampled_and_held(tmp_path):
    times = [0, 33, 67, 100, 300, 333, 367, 400, 433, 467, 500]  # ms; the fourth stays for 200
    path = counting(tmp_path / "a.mkv", len(times), times=times, tick=Fraction(1, 1000), rate=30)
    clip = open_clip(path)
    assert clip.rate == 30 and "variable frame rate" in clip.notes[0]
    assert numbers(clip) == [0, 1, 2, 3, 3, 3, 3, 3, 3, 4, 5, 6, 7, 8, 9, 10]
    backwards = list(range(clip.frames))[::-1]
    assert numbers(clip, backwards) == [number_of(f.rgb) for f in list(read(clip))[::-1]]


@pytest.mark.parametrize(("times", "name", "expected", "start"), [
    (range(-5, 15), "a.mp4", range(5, 20), 0.0),  # an edit list hides the first five
    (range(-5, 15), "a.mkv", range(20), 0.0),  # Matroska has none: all move
    (range(12, 32), "a.mp4", range(20), 0.5),
    (range(12, 32), "a.mkv", range(20), 0.5)])
@pytest.mark.parametrize("options", [{"preset": "ultrafast"}, {"preset": "medium", "bf": "2"}], ids=["I P", "I P B"])
def test_edit_lists_and_late_starts(tmp_path, times, name, expected, start, options):
    clip = open_clip(counting(tmp_path / name, 20, times=list(times), options=options))
    assert clip.rate == 24 and clip.frames == len(expected) and clip.start_seconds == pytest.approx(start, abs=1e-3)
    assert numbers(clip) == list(expected)
    assert numbers(clip, range(clip.frames - 1, -1, -1)) == list(expected)[::-1]


# Order.

@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """200 frames in groups of 60 with B-frames and open ends, and what they are when decoded in order."""
    rng = np.random.default_rng(0)
    pictures = [np.clip(coded(i).astype(np.int16) + rng.integers(-15, 15, (48, 64, 1)), 0, 255).astype(np.uint8)
                for i in range(200)]
    path = write_clip(tmp_path_factory.mktemp("long") / "a.mp4", pictures, options={
        "preset": "fast", "x264-params": "keyint=60:min-keyint=60:bframes=3:b-adapt=0:open-gop=1:scenecut=0"})
    clip = open_clip(path)
    return clip, [frame.rgb for frame in read(clip)]


def same(clip, whole, order):
    frames = [frame.rgb for frame in read(clip, order)]
    assert len(frames) == len(order)
    for index, rgb in zip(order, frames, strict=True):
        np.testing.assert_array_equal(rgb, whole[index], err_msg=f"frame {index}")


def test_the_long_clip_is_what_was_written(long):
    clip, whole = long
    assert len(clip.keyframes) == 4 and [number_of(rgb) for rgb in whole] == list(range(200))


@pytest.mark.parametrize("order", [
    list(range(199, -1, -1)), [0, 199, 0, 199, 100], [150, 151, 152, 5, 6, 7, 150], [7] * 5 + [180, 180, 7],
    list(range(0, 200, 13)), [59, 60, 61, 60, 59, 58, 119, 121, 120]],
    ids=["backwards", "far", "there and back", "repeats", "steps", "round a key frame"])
def test_any_order_gives_the_same_pixels(long, order):
    same(*long, order)


@settings(max_examples=10, deadline=None)
@given(order=st.lists(st.integers(0, 199), min_size=1, max_size=12))
def test_random_order_gives_the_same_pixels(long, order):
    same(*long, order)


@pytest.mark.parametrize(("name", "options"), [
    ("a.ts", {"codec": "libx265", "options": {"x265-params": "log-level=none:pools=1:open-gop=1:keyint=8:"
                                              "min-keyint=8:bframes=3:b-adapt=0"}}),
    ("a.ts", {"codec": "mpeg2video", "rate": 25, "options": {"bf": "2", "g": "8"}}),
    ("a.mkv", {"options": {"preset": "fast", "x264-params": "keyint=8:open-gop=1:bframes=3"}}),
    ("a.avi", {"codec": "mpeg4", "options": {"bf": "2", "g": "8"}}),
])
def test_seeking_where_there_is_no_index(tmp_path, name, options):
    """Open groups and containers that seek by the time of decoding; 90 frames, so that far jumps do seek."""
    clip = open_clip(counting(tmp_path / name, 90, **options))
    assert numbers(clip, range(89, -1, -1)) == list(range(89, -1, -1))
    for order in itertools.permutations([3, 88, 41]):
        assert numbers(clip, order) == list(order)


def test_memory_stays_small(long):
    clip, _ = long
    with io._Decoder(clip) as decoder:
        for stored in range(200):
            decoder.frame(stored)
            assert len(decoder.kept) == 1
        opened = 0
        start = decoder._start

        def counted(key):
            nonlocal opened
            opened += 1
            return start(key)

        decoder._start = counted
        for stored in range(199, -1, -1):
            decoder.frame(stored)
            assert len(decoder.kept) <= 24
        assert opened <= 16  # each group is decoded a few times, not once for every frame


def test_frames_come_one_by_one(long):
    clip, whole = long
    stream = read(clip)
    assert next(stream).rgb is not None and np.array_equal(next(stream).rgb, whole[1])
    stream.close()


def test_a_repeated_frame_is_the_same_object(long):
    one, two, three = read(long[0], [4, 4, 5])
    assert one is two and two is not three


# What else is in the file.

def test_sound_is_noticed(tmp_path):
    assert open_clip(counting(tmp_path / "a.mp4", sound=Sound(seconds=0.5))).sound
    assert not open_clip(counting(tmp_path / "b.mp4")).sound


@pytest.mark.parametrize("name", ["a.mov", "a.mp4", "a.mkv"])
def test_timecode(tmp_path, name):
    for code, rate in (("01:00:00:00", Fraction(25)), ("00:59:59;28", NTSC)):
        assert open_clip(counting(tmp_path / name, 3, rate=rate, metadata={"timecode": code})).timecode == code
    assert open_clip(counting(tmp_path / name, 3)).timecode is None


@pytest.mark.parametrize("name", ["take #2.mp4", "shot.%04d.mp4", "a:b.mp4", "ä ö.mp4", "100%d.mkv"])
def test_any_name_will_do(tmp_path, name, monkeypatch):
    counting(tmp_path / name, 3)
    monkeypatch.chdir(tmp_path)
    assert numbers(open_clip(name)) == [0, 1, 2]


def test_tags_in_strange_letters_are_no_damage(tmp_path):
    path = counting(tmp_path / "a.mkv", 2, metadata={"title": "XXXXX"})
    path.write_bytes(path.read_bytes().replace(b"XXXXX", b"\xe4\xf6\xfc\xdf\xff"))
    assert open_clip(path).frames == 2


# What can't be read.

def test_a_file_changed_after_it_was_opened(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (20, 96, 128, 3), np.uint8)
    path = write_clip(tmp_path / "a.mp4", list(noise), container_options={"movflags": "+faststart"})
    clip, whole = open_clip(path), path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * 0.6)])
    frames = read(clip)
    with pytest.raises(InputError, match=r"--end \d+"):
        list(frames)


def test_a_recording_that_began_in_the_middle(tmp_path):
    """What comes before the first key frame can't be decoded; the first picture stands in for it, and sync is kept."""
    path = counting(tmp_path / "a.ts", 40, (128, 96), codec="mpeg2video", rate=25,
                    options={"g": "10", "bf": "0", "b": "4000000"})
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    key = next(i for i in range(10, 40) if packets[i].is_keyframe)
    path.write_bytes(path.read_bytes()[packets[key - 3].pos :])
    assert numbers(open_clip(path)) == [key] * 3 + list(range(key, 40))


@pytest.mark.parametrize(("content", "message"), [
    (b"", "cannot be read as a video"),
    (b"Dear diary,\ntoday I filmed something.\n" * 40, "cannot be read as a video"),
    (bytes(5000), "cannot be read as a video"),
    (None, "there is no file .*; check the name"),
])
def test_no_video_at_all(tmp_path, content, message):
    path = tmp_path / "a.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_clip(path)


@pytest.mark.parametrize("name", ["a.m4a", "a.wav", "cover.mp3"])
def test_sound_only(tmp_path, name):
    path = tmp_path / name
    if name == "cover.mp3":
        makers.cover_art(path)
        with av.open(str(path)) as container:
            assert container.streams.video, "the cover should look like a video to FFmpeg"
    else:
        makers.write_sound(path, Sound("aac" if name == "a.m4a" else "pcm_s16le", 0.3))
    with pytest.raises(InputError, match="has sound but no picture"):
        open_clip(path)


@pytest.mark.parametrize(("alpha", "kept"), [((255, 255, 255), False), ((255, 255, 254), True), ((0, 0, 0), True)])
def test_alpha_that_cuts_out_nothing_is_dropped(tmp_path, alpha, kept):
    pictures = [np.dstack([coded(i), np.full((48, 64), a, np.uint8)]) for i, a in enumerate(alpha)]
    clip = io.drop_opaque_alpha(open_clip(write_clip(tmp_path / "a.mov", pictures, codec="png", pix_fmt="rgba")))
    assert clip.alpha == kept and ("opaque" in "".join(clip.notes)) != kept
    assert (first(clip).alpha is not None) == kept and numbers(clip) == [0, 1, 2]
    assert not io.drop_opaque_alpha(open_clip(tmp_path / "a.mov"), alpha[0] // 255).alpha  # no later frame is asked
