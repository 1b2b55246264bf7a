"""Sound is copied where it fits, encoded where it must be, and stays with the picture."""


import av
import numpy as np
import pytest

from harmovid.errors import InputError, OptionError
from harmovid.video import sound as sounds
from harmovid.video.io import open_clip
from harmovid.video.sound import check_sound
from tests import makers
from tests.figures import counting, put
from tests.makers import Sound, coded, write_clip


def click_times(path, count=3):
    """When the clicks of a file's sound begin, in seconds after its first picture."""
    with av.open(str(path)) as container:
        first = next(container.decode(video=0)).time
    sound, rate = makers.samples(path)
    found, now = [], 0.0
    while len(found) < count:
        now = makers.click_time(sound, rate, now)
        found.append(now - first)
        now += 0.05
    return np.array(found)


def voiced(path, sound, **options):
    return write_clip(path, counting_codes(36), sound=sound, **options)


def counting_codes(count):
    return [coded(i) for i in range(count)]


SOURCES = {
    "aac.mp4": (Sound("aac", 1.5), {"a.mp4": "aac", "a.mov": "aac", "a.mkv": "aac"}),
    "aac.ts": (Sound("aac", 1.5), {"a.mp4": "aac", "a.mov": "aac", "a.mkv": "aac"}),
    "pcm.mov": (Sound("pcm_s16le", 1.5), {"a.mp4": "aac", "a.mov": "pcm_s16le", "a.mkv": "pcm_s16le"}),
    "pcm.mkv": (Sound("pcm_s24le", 1.5), {"a.mp4": "aac", "a.mov": "pcm_s24le", "a.mkv": "pcm_s24le"}),
    "late.mkv": (Sound("pcm_s16le", 1.2, start=0.3), {"a.mp4": "aac", "a.mov": "pcm_s16le", "a.mkv": "pcm_s16le"}),
    "late.mp4": (Sound("aac", 1.2, start=0.3), {"a.mp4": "aac", "a.mov": "aac", "a.mkv": "aac"}),
    "fine.mov": (Sound("pcm_s16le", 1.5, rate=192000), {"a.mp4": "aac", "a.mov": "pcm_s16le", "a.mkv": "pcm_s16le"}),
    "round.mov": (Sound("pcm_f32le", 1.5, channels=6), {"a.mp4": "aac", "a.mov": "pcm_f32le", "a.mkv": "pcm_f32le"}),
    "phone.mkv": (Sound("pcm_s16le", 1.5, rate=8000, channels=1), {"a.mp4": "aac", "a.mov": "pcm_s16le"}),
    "opus.mkv": (Sound("libopus", 1.5), {"a.mp4": "opus", "a.mov": "aac", "a.mkv": "opus"}),
    "flac.mkv": (Sound("flac", 1.5), {"a.mp4": "flac", "a.mov": "aac", "a.mkv": "flac"}),
    "wavpack.mkv": (Sound("wavpack", 1.5), {"a.mp4": "aac", "a.mov": "aac"}),
    "mp3.mp4": (Sound("libmp3lame", 1.5), {"a.mp4": "mp3", "a.mov": "mp3", "a.mkv": "mp3"}),
    "ac3.mkv": (Sound("ac3", 1.5, channels=6), {"a.mp4": "ac3", "a.mov": "ac3", "a.mkv": "ac3"}),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    return {name: voiced(folder / name, sound) for name, (sound, _) in SOURCES.items()}


@pytest.mark.parametrize(("name", "output"), [(n, o) for n, (_, outputs) in SOURCES.items() for o in outputs])
def test_sound_stays_in_sync(tmp_path, sources, name, output):
    """Whole, and the stretch of frames 13 to 31: clicks lie where they lay, to 2 ms."""
    source = open_clip(sources[name])
    truth = click_times(sources[name], 12)
    for start, stop in ((0, 36), (13, 31)):
        begin = start / 24
        path = tmp_path / f"{start}{output}"
        put(path, counting(36)[start:stop], sound=sounds.Sound(
            source.path, source.start_seconds + begin, source.start_seconds + stop / 24))
        found = click_times(path, 5)
        expected = [truth[np.argmin(np.abs(truth - begin - click))] - begin for click in found]
        np.testing.assert_allclose(found, expected, atol=2e-3)
        with av.open(str(path)) as container:
            stream = container.streams.audio[0]
            assert stream.codec_context.codec.canonical_name == SOURCES[name][1][output]
            length = container.duration / 1e6
        assert length == pytest.approx((stop - start) / 24, abs=0.13 if stream.rate < 16000 else 0.1)


def test_copied_sound_is_whole_from_the_first_sample(tmp_path, sources):
    """AAC needs the packet before the first one to begin with: a click at time 0 stays."""
    for name in ("aac.mp4", "pcm.mov", "opus.mkv"):
        put(tmp_path / f"{name}.mp4", counting(36), sound=sounds.Sound(sources[name]))
        assert abs(click_times(tmp_path / f"{name}.mp4", 1)[0]) < 1e-3


def test_no_sound_where_there_is_none(tmp_path):
    path = write_clip(tmp_path / "a.mp4", counting_codes(2))
    with pytest.raises(OptionError, match="has no sound"):
        check_sound(path)
    check_sound(voiced(tmp_path / "b.mp4", Sound("aac", 0.2)))
    (tmp_path / "c.mp4").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="--no-sound"):
        check_sound(tmp_path / "c.mp4")
    with pytest.raises(InputError, match="--no-sound"):
        put(tmp_path / "d.mp4", counting(2), sound=sounds.Sound(tmp_path / "c.mp4"))
    assert sorted(f.name for f in tmp_path.iterdir()) == ["a.mp4", "b.mp4", "c.mp4"]


def test_sound_of_a_codec_that_is_not_known(tmp_path):
    source = voiced(tmp_path / "a.mov", Sound("pcm_s16le", 0.5))
    source.write_bytes(source.read_bytes().replace(b"sowt", b"apac"))
    with pytest.raises(InputError, match="--no-sound"):
        check_sound(source)
    with pytest.raises(InputError, match="--no-sound"):
        put(tmp_path / "b.mov", counting(3), sound=sounds.Sound(source))
    assert [f.name for f in tmp_path.iterdir()] == ["a.mov"]


def test_torn_packets_of_sound_become_silence(tmp_path):
    source = voiced(tmp_path / "a.mkv", Sound("flac", 1.5))
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        packets = [p for p in container.demux(audio=0) if p.size]
    data[packets[4].pos : packets[4].pos + 40] = bytes(40)
    source.write_bytes(data)
    put(tmp_path / "b.mov", counting(36), sound=sounds.Sound(source))
    np.testing.assert_allclose(click_times(tmp_path / "b.mov", 3), [0, 0.1, 0.2], atol=2e-3)
