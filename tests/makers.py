"""Small clips, made on the spot: every kind of file that a test needs, none from outside.

All are written with PyAV itself and never with `harmovid.video.encode`, so that reader and writer are
each tested against something else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

# H.273 numbers: primaries, transfer, matrix.
TAGS = {"bt709": (1, 1, 1), "bt601-525": (6, 6, 6), "bt601-625": (5, 6, 5), "bt2020": (9, 14, 9), "pq": (9, 16, 9),
        "hlg": (9, 18, 9), "unsaid": (2, 2, 2)}

# Kr, Kb of each matrix: ITU-R BT.709-6, BT.601-7, BT.2020-2.
LUMA = {"bt709": (0.2126, 0.0722), "bt601-525": (0.299, 0.114), "bt601-625": (0.299, 0.114),
        "bt2020": (0.2627, 0.0593)}


def yuv_codes(rgb: np.ndarray, matrix: str = "bt709", bits: int = 8, full: bool = False) -> np.ndarray:
    """R'G'B' in [0, 1] to Y'CbCr code values, not rounded, by the definition in BT.709-6 section 3.

    Y' = Kr R' + (1 − Kr − Kb) G' + Kb B', Cb = (B' − Y') / (2 − 2 Kb), Cr = (R' − Y') / (2 − 2 Kr), then
    limited range 219 Y' + 16, 224 C + 128 (times 2^(bits − 8)), or full range over 2^bits − 1.
    """
    kr, kb = LUMA[matrix]
    red, green, blue = np.moveaxis(np.asarray(rgb, np.float64), -1, 0)
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)
    if full:
        peak = 2**bits - 1
        return np.stack([luma * peak, cb * peak + 2 ** (bits - 1), cr * peak + 2 ** (bits - 1)], -1)
    return np.stack([219 * luma + 16, 224 * cb + 128, 224 * cr + 128], -1) * 2.0 ** (bits - 8)


def rgb_of(codes: np.ndarray, matrix: str = "bt709", bits: int = 8, full: bool = False) -> np.ndarray:
    """The inverse of `yuv_codes`; clipped to [0, 1]."""
    kr, kb = LUMA[matrix]
    y, cb, cr = np.moveaxis(np.asarray(codes, np.float64), -1, 0)
    if full:
        peak = 2**bits - 1
        y, cb, cr = y / peak, (cb - 2 ** (bits - 1)) / peak, (cr - 2 ** (bits - 1)) / peak
    else:
        unit = 2.0 ** (bits - 8)
        y, cb, cr = (y / unit - 16) / 219, (cb / unit - 128) / 224, (cr / unit - 128) / 224
    red, blue = y + (2 - 2 * kr) * cr, y + (2 - 2 * kb) * cb
    return np.clip(np.stack([red, (y - kr * red - kb * blue) / (1 - kr - kb), blue], -1), 0, 1)


def natural(width: int, height: int, shift: float = 0.0, seed: int = 0) -> np.ndarray:
    """A smooth picture with the colours of a photograph, (H, W, 3) float32 in [0.05, 0.95].

    Light falls off over the picture, a few soft blobs have colours of their own, and a fine texture of
    little contrast lies over it all. `shift` moves it sideways, in pixels.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    x = x + shift
    out = np.empty((height, width, 3))
    out[:] = (0.35 + 0.3 * y / height)[..., None] * np.array([1.0, 0.95, 0.85])
    for _ in range(6):
        cx, cy = rng.uniform(0, width), rng.uniform(0, height)
        radius = rng.uniform(0.12, 0.35) * max(width, height)
        blob = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * radius**2))
        out += blob[..., None] * rng.uniform(-0.35, 0.35, 3)
    out += 0.01 * np.sin(x * 0.4 + y * 0.15)[..., None]
    return np.clip(out, 0.05, 0.95).astype(np.float32)


def coded(number: int, width: int = 64, height: int = 48) -> np.ndarray:
    """A picture that says its own number in 12 large blocks, black or white: (H, W, 3) uint8."""
    bits = np.array([(number >> i) & 1 for i in range(12)], np.uint8).reshape(3, 4)
    rows, columns = np.arange(height) * 3 // height, np.arange(width) * 4 // width
    return np.repeat((40 + 175 * bits[rows][:, columns])[..., None], 3, axis=2).astype(np.uint8)


def number_of(rgb: np.ndarray) -> int:
    """The number in a picture of `coded`, whatever its size: (H, W[, 3]) float in [0, 1]."""
    grey = rgb if rgb.ndim == 2 else rgb[..., 1]
    height, width = grey.shape
    centres = grey[np.ix_([(2 * i + 1) * height // 6 for i in range(3)], [(2 * i + 1) * width // 8 for i in range(4)])]
    return int(((centres.ravel() > 0.5) * 2 ** np.arange(12)).sum())


def tone(seconds: float, rate: int = 48000, start: float = 0.0, channels: int = 2) -> np.ndarray:
    """Sound that tells where it was cut: a click every tenth of a second, over a soft 440 Hz; (N, channels) float32.

    Sample 0 is `start` seconds on the clock of the clicks.
    """
    t = start + np.arange(round(seconds * rate)) / rate
    phase = np.mod(t + 1e-9, 0.1)
    wave = 0.02 * np.sin(2 * np.pi * 440 * t) + 0.9 * np.exp(-phase * 400) * np.sin(2 * np.pi * 3000 * phase)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


@dataclass(frozen=True)
class Sound:
    """A sound track to put beside the pictures: samples of `tone`, from `start` seconds on."""

    codec: str = "aac"
    seconds: float = 1.0
    start: float = 0.0
    rate: int = 48000
    channels: int = 2


def write_clip(path: Path, frames: Iterable[np.ndarray | av.VideoFrame], *, codec: str = "libx264",
               pix_fmt: str = "yuv420p", rate: Fraction | int = 24, times: Sequence[int] | None = None,
               tick: Fraction | None = None, options: dict[str, str] | None = None, rotation: int = 0,
               hflip: bool = False, aspect: Fraction | None = None, tags: str = "bt709", full: bool = False,
               sound: Sound | None = None, metadata: dict[str, str] | None = None, format: str | None = None,
               container_options: dict[str, str] | None = None, stream_metadata: dict[str, str] | None = None) -> Path:
    """Encode frames: uint8 or uint16 (H, W, 3) RGB, or ready `av.VideoFrame` in `pix_fmt`.

    Args:
        times: presentation times in ticks, for a variable rate; else a frame lasts 1 / rate.
        tick: seconds; 1 / rate where None.
        tags, full: what the stream says of itself, and how RGB frames are turned into Y'CbCr.
    """
    rate = Fraction(rate)
    primaries, transfer, matrix = TAGS[tags]
    with av.open(str(path), "w", format=format, options=container_options or {}) as container:
        container.metadata.update(metadata or {})
        stream = context = None
        beside = _add_sound(container, sound) if sound else None
        for i, frame in enumerate(frames):
            if isinstance(frame, np.ndarray):
                kind = {np.dtype(np.uint8): "rgb24", np.dtype(np.uint16): "rgb48le"}[frame.dtype]
                if frame.shape[-1] == 4:
                    kind = {"rgb24": "rgba", "rgb48le": "rgba64le"}[kind]
                yuv = pix_fmt.startswith("yuv")
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format=kind).reformat(
                    format=pix_fmt, dst_colorspace={1: 1, 5: 5, 6: 5, 9: 9, 2: 5}[matrix] if yuv else None,
                    src_color_range=2, dst_color_range=2 if full or not yuv else 1)
            if stream is None:
                stream = container.add_stream(codec, rate=rate)
                stream.metadata.update(stream_metadata or {})
                context = stream.codec_context
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, pix_fmt
                stream.options = options if options is not None else (
                    {"crf": "12", "preset": "ultrafast"} if codec == "libx264" else {})
                if codec == "libx265":
                    stream.options = {"x265-params": "log-level=none:pools=1", "crf": "10", **stream.options}
                context.thread_count = 1
                context.time_base = tick or 1 / rate
                context.color_primaries, context.color_trc, context.colorspace = primaries, transfer, matrix
                context.color_range = 2 if full else (0 if tags == "unsaid" else 1)
                if aspect:
                    context.sample_aspect_ratio = aspect
                if rotation or hflip:
                    stream.set_display_rotation(rotation, hflip=hflip)
            frame.pts, frame.time_base = (i if times is None else times[i]), tick or 1 / rate
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode(None))
        if beside:
            _mux_sound(container, beside, sound)
    return path


def _add_sound(container: av.container.OutputContainer, sound: Sound) -> av.AudioStream:
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[sound.channels]
    return container.add_stream(sound.codec, rate=sound.rate, layout=layout)


def _mux_sound(container: av.container.OutputContainer, stream: av.AudioStream, sound: Sound) -> None:
    samples = tone(sound.seconds, sound.rate, sound.start, sound.channels)
    resampler = av.AudioResampler(format=stream.codec_context.format.name, layout=stream.layout.name, rate=sound.rate,
                                  frame_size=stream.codec_context.frame_size or 1024)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.reshape(1, -1)), format="flt",
                                       layout=stream.layout.name)
    frame.sample_rate = sound.rate
    frame.pts, frame.time_base = round(sound.start * sound.rate), Fraction(1, sound.rate)
    for piece in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(stream.encode(piece))
    container.mux(stream.encode(None))


def write_sound(path: Path, sound: Sound, format: str | None = None) -> Path:
    """A file of sound alone."""
    with av.open(str(path), "w", format=format) as container:
        _mux_sound(container, _add_sound(container, sound), sound)
    return path


def cover_art(path: Path) -> Path:
    """An MP3 with a cover picture, which FFmpeg calls a video stream."""
    with av.open(str(path), "w") as container:
        sound = Sound("libmp3lame", 0.3)
        stream = _add_sound(container, sound)
        cover = container.add_stream("png")
        cover.width, cover.height, cover.pix_fmt = 32, 32, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(coded(5, 32, 32), format="rgb24")
        picture.pts = 0
        container.mux(cover.encode(picture))
        container.mux(cover.encode(None))
        _mux_sound(container, stream, sound)
    return path


def planes(path: Path) -> tuple[list[list[np.ndarray]], dict[str, int | str]]:
    """The stored code values of each frame of a video as they are, plane by plane, and what the stream says."""
    out = []
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        for frame in container.decode(video=0):
            wide = max(c.bits for c in frame.format.components) > 8
            kind = np.uint16 if wide else np.uint8
            out.append([np.frombuffer(bytes(p), kind).reshape(p.height, -1)[:, :p.width] for p in frame.planes])
        said = {"codec": context.name, "pix_fmt": context.pix_fmt, "primaries": int(context.color_primaries),
                "transfer": int(context.color_trc), "matrix": int(context.colorspace),
                "range": int(context.color_range)}
    return out, said


def samples(path: Path) -> tuple[np.ndarray, int]:
    """The sound of a file, (N, channels) float32, from time 0 of the file's clock on, and its rate."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        layout, rate = stream.layout.name, stream.rate
        resampler = av.AudioResampler(format="flt", layout=layout, rate=rate)
        pieces: list[tuple[int, np.ndarray]] = []
        for frame in container.decode(stream):
            at = round(float(frame.pts * frame.time_base) * rate)
            for piece in resampler.resample(frame):
                pieces.append((at, piece.to_ndarray().reshape(-1, stream.channels)))
    length = max(at + len(piece) for at, piece in pieces)
    out = np.zeros((length, pieces[0][1].shape[1]), np.float32)
    for at, piece in pieces:
        if at >= 0:
            out[at : at + len(piece)] = piece
        elif at + len(piece) > 0:
            out[: at + len(piece)] = piece[-at:]
    return out, rate


def click_time(sound: np.ndarray, rate: int, first: float = 0.0) -> float:
    """Seconds, from `first` on, at which the next click of `tone` begins."""
    level = np.abs(sound[round(first * rate) :, 0])
    return first + int(np.argmax(level > 0.3)) / rate
