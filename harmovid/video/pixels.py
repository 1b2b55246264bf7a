"""Decoded pictures as float frames: matrix, range, depth, rotation and pixel shape seen to."""

from __future__ import annotations

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from harmovid.video.clip import Clip, Frame

# libswscale's defaults save time at the cost of up to two code values; these flags don't.
EXACT = (Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
         | Interpolation.FULL_CHR_H_INP)

_MATRIX = {1: Colorspace.ITU709, 4: Colorspace.FCC, 5: Colorspace.ITU601, 6: Colorspace.ITU601,
           7: Colorspace.SMPTE240M, 9: Colorspace.BT2020, 10: Colorspace.BT2020}
_LUMA_WEIGHTS = {Colorspace.ITU709: (0.2126, 0.0722), Colorspace.FCC: (0.30, 0.11), Colorspace.ITU601: (0.299, 0.114),
                 Colorspace.SMPTE240M: (0.212, 0.087), Colorspace.BT2020: (0.2627, 0.0593)}


class Converter:
    """Decoded pictures to float frames: matrix, range, depth, rotation and pixel shape seen to."""

    def __init__(self, clip: Clip, grey: bool) -> None:
        self.clip = clip
        self.grey = grey
        kinds = {(False, False): "rgb24", (False, True): "rgb48le", (True, False): "rgba", (True, True): "rgba64le"}
        self.kind = kinds[clip.alpha, clip.bits > 8]
        # One reformatter for the stream: it keeps libswscale's tables from frame to frame.
        self.reformatter = VideoReformatter()
        self.orientation: tuple[bool, bool, bool] | None = None

    def __call__(self, frame: av.VideoFrame) -> Frame:
        if self.orientation is None:
            # Asked once: a frame and its side data hold each other, and would wait for the garbage collector.
            self.orientation = orientation(frame)
        turned, upside_down, mirrored = self.orientation
        size = (self.clip.height, self.clip.width) if turned else (self.clip.width, self.clip.height)

        def upright(values: np.ndarray) -> np.ndarray:
            values = values.swapaxes(0, 1) if turned else values
            return np.ascontiguousarray(values[:: -1 if upside_down else 1, :: -1 if mirrored else 1])

        values, alpha = self._values(frame, size)
        if self.clip.alpha and alpha is None:
            alpha = np.ones(values.shape[:2], np.float32)
        # A grey picture has three equal channels; of a coloured mask the green one is as good as luma.
        return Frame(upright(values[..., 1] if self.grey and values.ndim == 3 else values),
                     upright(alpha) if self.clip.alpha and alpha is not None else None)

    def _values(self, frame: av.VideoFrame, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray | None]:
        """Colour, or luma alone, and alpha: float32, full range, of the size (width, height), turned as stored."""
        kind = frame.format
        bits = max(c.bits for c in kind.components)
        if kind.name.startswith("gbr") and kind.name.endswith("f32le"):
            values = frame.to_ndarray()
            return values[..., :3], values[..., 3] if values.shape[2] == 4 else None
        if bits <= 16 and (kind.name.startswith("gray") or (self.grey and kind.name.startswith("yuv"))):
            luma, alpha = self._luma(frame, size)
            return luma if self.grey else cv2.merge([luma] * 3), alpha
        if 8 < bits <= 16 and kind.name.startswith("yuv"):
            return self._deep(frame, size, bits)
        source = ColorRange.JPEG if _full_range(frame) else ColorRange.MPEG
        picture = self._reformat(frame, self.kind, size, source, ColorRange.JPEG)
        values = picture.to_ndarray().astype(np.float32)
        values /= np.float32(65535 if self.clip.bits > 8 else 255)
        return values[..., :3], values[..., 3] if self.clip.alpha else None

    def _luma(self, frame: av.VideoFrame, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray | None]:
        """Without the chroma, which a mask has no need of."""
        kind = frame.format.name.replace("be", "le")
        full = _full_range(frame)
        if kind != frame.format.name or (frame.width, frame.height) != size:
            same = ColorRange.JPEG if full else ColorRange.MPEG
            frame = self._reformat(frame, kind, size, same, same)
        bits = frame.format.components[0].bits
        values = _plane(frame, 0).astype(np.float32)
        black, white = (0, 2**bits - 1) if full else (16 << (bits - 8), 235 << (bits - 8))
        values -= np.float32(black)
        values /= np.float32(white - black)
        return np.clip(values, 0, 1, out=values), _alpha_plane(frame)

    def _deep(self, frame: av.VideoFrame, size: tuple[int, int], bits: int) -> tuple[np.ndarray, np.ndarray | None]:
        """More than 8 bits: libswscale scales the planes; its own matrix would make white 0.996 in 16 bits."""
        full = _full_range(frame)
        same = ColorRange.JPEG if full else ColorRange.MPEG
        planar = self._reformat(frame, f"yuv{'a' if self.clip.alpha else ''}444p{bits}le", size, same, same)
        codes = cv2.merge([_plane(planar, i).astype(np.float32) for i in range(3)])
        rgb = cv2.transform(codes, ycbcr_to_rgb(_matrix(frame), bits, full))
        return np.clip(rgb, 0, 1, out=rgb), _alpha_plane(planar)

    def _reformat(self, frame: av.VideoFrame, kind: str, size: tuple[int, int], source: ColorRange,
                  target: ColorRange) -> av.VideoFrame:
        return self.reformatter.reformat(
            frame, format=kind, interpolation=EXACT, width=size[0], height=size[1],
            src_colorspace=None if frame.format.is_rgb else _matrix(frame), src_color_range=source,
            dst_colorspace=_matrix(frame) if kind.startswith("yuv") else None, dst_color_range=target)


def _plane(frame: av.VideoFrame, index: int) -> np.ndarray:
    """(h, w) code values of one plane, a view of the frame's memory; little-endian beyond 8 bits."""
    plane = frame.planes[index]
    dtype = np.dtype(np.uint8 if frame.format.components[index].bits <= 8 else "<u2")
    return np.frombuffer(plane, dtype).reshape(-1, plane.line_size // dtype.itemsize)[: plane.height, : plane.width]


def _alpha_plane(frame: av.VideoFrame) -> np.ndarray | None:
    if len(frame.format.components) < 4:
        return None
    return _plane(frame, 3) / np.float32(2 ** frame.format.components[3].bits - 1)


def rgb_to_ycbcr(matrix: Colorspace, bits: int, full: bool) -> np.ndarray:
    """The affine 3 × 4 matrix from R'G'B' in [0, 1] to Y'CbCr code values, float64.

    ITU-T H.273: Y' = Kr R' + (1 − Kr − Kb) G' + Kb B', Cb = (B' − Y') / (2 − 2 Kb), Cr = (R' − Y') / (2 − 2 Kr);
    in codes 219 Y' + 16 and 224 C + 128, times 2^(bits − 8), or over 2^bits − 1 where the range is full.
    """
    kr, kb = _LUMA_WEIGHTS[matrix]
    weights = np.array([kr, 1 - kr - kb, kb])
    red, _, blue = np.eye(3)
    unscaled = np.stack([weights, (blue - weights) / (2 - 2 * kb), (red - weights) / (2 - 2 * kr)])
    scale = np.full(3, 2.0**bits - 1) if full else np.array([219.0, 224.0, 224.0]) * 2.0 ** (bits - 8)
    offset = [0.0 if full else 2.0 ** (bits - 4), 2.0 ** (bits - 1), 2.0 ** (bits - 1)]
    return np.column_stack([scale[:, None] * unscaled, offset])


def ycbcr_to_rgb(matrix: Colorspace, bits: int, full: bool) -> np.ndarray:
    """The inverse of `rgb_to_ycbcr`, 3 × 4 as well."""
    forward = rgb_to_ycbcr(matrix, bits, full)
    back = np.linalg.inv(forward[:, :3])
    return np.column_stack([back, -back @ forward[:, 3]])


def orientation(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """Whether to swap rows and columns, and then to flip the rows, and the columns."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return False, False, False
    # (x, y) is shown at (a x + c y, b x + d y); 16.16 fixed point.
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(data), np.int32)[:5])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, d < 0, a < 0
    return True, b < 0, c < 0


def _full_range(frame: av.VideoFrame) -> bool:
    name = frame.format.name
    if name.startswith("gray"):  # without chroma full range is the custom, unless limited is said
        return bool(frame.color_range != ColorRange.MPEG)
    return bool(frame.color_range == ColorRange.JPEG or frame.format.is_rgb or name.startswith("yuvj"))


def _matrix(frame: av.VideoFrame) -> Colorspace:
    # Nothing said: BT.601 for standard definition, BT.709 above, as every player does it.
    unsaid = Colorspace.ITU709 if frame.height >= 720 or frame.width >= 1280 else Colorspace.ITU601
    return _MATRIX.get(int(frame.colorspace), unsaid)
