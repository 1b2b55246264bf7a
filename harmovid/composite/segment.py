"""Making a mask where none is given: people found by a small network, edges drawn by the picture.

The network (MediaPipe selfie segmentation, `weights/README.md`) sees 256 pixels across. What makes a
usable mask of that is around it: a look at the whole frame finds the person, looks at the person's
box and at the head and shoulders sharpen it, and a guided filter at full size lays the edge along the
picture's own. In a clip the looks hold still, and what did not change in the picture is averaged.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from harmovid.composite import matte
from harmovid.errors import InputError, MissingExtra, OptionError

Segmenter = Callable[[np.ndarray], np.ndarray]
"""rgb (H, W, 3) float32, display sRGB in [0, 1], to alpha (H, W) float32 in [0, 1]."""

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in shares of the frame's width and height

_WEIGHTS = Path(__file__).parent / "weights"
_WORK = 768  # long side in pixels of the probability picture
_GUIDE = 320  # long side in pixels of the person's part in which the guided filter is solved
_SMALLEST = 0.05  # a region counts as a person from this share of the largest one's area


@dataclass(frozen=True)
class Framing:
    """Where to look closer: the person's box, and the part of it with the head and shoulders."""

    body: Box
    head: Box


class PersonSegmenter:
    """People in a picture of any size and shape, by MediaPipe's selfie segmentation through LiteRT.

    Raises MissingExtra where ai-edge-litert is not installed.
    """

    def __init__(self, num_threads: int = 1) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise MissingExtra("ai-edge-litert", "matte", "Making a mask") from error

        def network(name: str) -> Segmenter:
            with _quiet():
                interpreter = Interpreter(str(_WEIGHTS / name), num_threads=num_threads)
                interpreter.allocate_tensors()
            source = interpreter.get_input_details()[0]["index"]
            target = interpreter.get_output_details()[0]["index"]

            def probability(picture: np.ndarray) -> np.ndarray:
                interpreter.set_tensor(source, picture[None])
                interpreter.invoke()
                return interpreter.get_tensor(target)[0, ..., 0]

            return probability

        self._square = network("selfie_segmentation.tflite")  # 256 × 256
        self._landscape = network("selfie_segmentation_landscape.tflite")  # 256 × 144

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """rgb: (H, W, 3) float32, display sRGB in [0, 1]. Returns alpha (H, W) float32, 0 without people."""
        return draw_edge(rgb, self.probability(rgb)[0])

    def probability(self, rgb: np.ndarray, framing: Framing | None = None) -> tuple[np.ndarray, Framing | None]:
        """How likely each pixel is a person's, and where that person is.

        framing: where to look closer; None takes it from the picture itself.
        Returns (h, w) float32 in [0, 1], the picture reduced to 768 pixels at most, and the framing that
        this picture asks for, None without a person.
        """
        rgb = _checked(rgb)
        height, width = rgb.shape[:2]
        scale = min(1.0, _WORK / max(height, width))
        work = (max(round(width * scale), 1), max(round(height * scale), 1))
        wide = width >= 1.35 * height
        network, size = (self._landscape, (256, 144)) if wide else (self._square, (256, 256))
        everything = _view((0.0, 0.0, 1.0, 1.0), rgb.shape, size[0] / size[1], 0.0)
        whole = _look(network, rgb, everything, size, work)[1]
        here = framing or _framing(whole)
        if here is None:
            return whole, None
        # The first look may miss an arm: on its own, a picture is looked at again until the box holds.
        for _ in range(1 if framing else 3):
            answer = self._closer(rgb, whole, here)
            seen = _framing(answer)
            if seen is None or _overlap(here.body, seen.body) > 0.9:
                break
            here = seen
        return answer, seen

    def _closer(self, rgb: np.ndarray, whole: np.ndarray, framing: Framing) -> np.ndarray:
        """The probability from looks at the person's box and at the head, over that of the whole frame."""
        work = (whole.shape[1], whole.shape[0])
        weight = np.full_like(whole, 0.02)
        total = whole * weight
        # Two looks of unequal margin, one mirrored, err differently: their mean is steadier than either.
        for margin, mirrored in ((0.05, False), (0.2, True)):
            view = _view(framing.body, rgb.shape, 1.0, margin)
            area, near, share = _look(self._square, rgb, view, (256, 256), work, mirrored)
            total[area] += near * share
            weight[area] += share
        total /= weight
        view = _view(framing.head, rgb.shape, 1.0, 0.15)
        area, near, share = _look(self._square, rgb, view, (256, 256), work)
        total[area] += 0.7 * share * (near - total[area])
        return total


class RembgSegmenter:
    """The same call through one of rembg's networks, which it fetches at first use.

    Raises MissingExtra where rembg or its ONNX runtime is not installed, OptionError for a name that
    rembg does not know, InputError where the weights cannot be fetched.
    """

    def __init__(self, model: str = "u2net_human_seg") -> None:
        try:
            import rembg
        except (ImportError, SystemExit) as error:  # rembg exits where onnxruntime is missing
            raise MissingExtra("rembg", "rembg", "Making a mask with rembg") from error
        try:
            self._session = rembg.new_session(model)
        except ValueError as error:
            raise OptionError(f"rembg has no model {model!r}; try u2net_human_seg or isnet-general-use") from error
        except OSError as error:
            raise InputError(
                f"the weights of rembg's {model} could not be fetched ({error}); connect to the network "
                "once, or make the mask without rembg"
            ) from error
        self._remove = rembg.remove

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """rgb: (H, W, 3) float32, display sRGB in [0, 1]. Returns alpha (H, W) float32."""
        picture = np.rint(np.clip(_checked(rgb), 0.0, 1.0) * 255).astype(np.uint8)
        mask = np.asarray(self._remove(picture, session=self._session, only_mask=True))
        return mask.reshape(rgb.shape[:2]).astype(np.float32) / 255


def segment_clip(frames: Iterable[np.ndarray], segmenter: Segmenter, steady_radius: int = 1) -> Iterator[np.ndarray]:
    """The alpha of every frame, held steady in time; streaming, `steady_radius` frames late.

    frames: (H, W, 3) float32, display sRGB in [0, 1], all of one size. steady_radius: of the temporal
    median at the end (`matte.steady`); 0 leaves it out. Yields (H, W) float32, as many as come in.

    With p the probability of a frame and P the state, P ← p + w (P − p) per pixel, with
    w = 0.75 exp(−(Δ/σ)²), Δ the largest change of the picture nearby and σ three times the clip's own
    noise: where the picture changed, the new frame alone counts.
    """
    return matte.steady(_alphas(frames, segmenter), steady_radius)


def _alphas(frames: Iterable[np.ndarray], segmenter: Segmenter) -> Iterator[np.ndarray]:
    framing: Framing | None = None
    before: np.ndarray | None = None
    state: np.ndarray | None = None
    for frame in frames:
        rgb = _checked(frame)
        if isinstance(segmenter, PersonSegmenter):
            probability, seen = segmenter.probability(rgb, framing)
            if framing is not None and (seen is None or _overlap(framing.body, seen.body) < 0.6):
                probability, seen = segmenter.probability(rgb)  # the person went elsewhere
            framing = _followed(framing, seen)
        else:
            probability = segmenter(rgb)
        size = probability.shape[::-1]
        now = cv2.resize(rgb, (-(-size[0] // 3), -(-size[1] // 3)), interpolation=cv2.INTER_AREA)
        if state is not None and before is not None and state.shape == probability.shape:
            state = probability + cv2.resize(_still(before, now), size) * (state - probability)
        else:
            state = probability
        before = now
        yield draw_edge(rgb, state) if isinstance(segmenter, PersonSegmenter) else state


def draw_edge(rgb: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """A person's alpha at full size from a coarse probability, its edge drawn by the picture.

    Holes in the person and specks outside are mended first; then `matte.follow_picture` lays the edge
    in the person's part of the picture, in windows of a fortieth of the person's size each way.

    rgb: (H, W, 3) float32. probability: (h, w) float32, any size. Returns (H, W) float32 in [0, 1].
    """
    rgb = _checked(rgb)
    height, width = rgb.shape[:2]
    alpha = np.zeros((height, width), np.float32)
    hard = _solid(probability)
    box = matte.bounding_box(hard)
    if box is None:
        return alpha
    # The person's part of the picture, with room for the windows, and its place in the probability.
    y_scale, x_scale = height / hard.shape[0], width / hard.shape[1]
    radius = 0.025 * max((box[2] - box[0]) * x_scale, (box[3] - box[1]) * y_scale)
    around = 2 * radius + 2
    x0, y0 = max(int(box[0] * x_scale - around), 0), max(int(box[1] * y_scale - around), 0)
    x1, y1 = min(int(box[2] * x_scale + around) + 1, width), min(int(box[3] * y_scale + around) + 1, height)
    picture = rgb[y0:y1, x0:x1]
    scale = min(1.0, _GUIDE / max(x1 - x0, y1 - y0))
    size = (max(round((x1 - x0) * scale), 1), max(round((y1 - y0) * scale), 1))
    coarse = _sampled(hard, (x0 / x_scale, y0 / y_scale, x1 / x_scale, y1 / y_scale), size)
    alpha[y0:y1, x0:x1] = matte.follow_picture(picture, coarse, max(round(radius * scale), 2))
    return alpha


@contextmanager
def _quiet() -> Iterator[None]:
    """LiteRT says on standard error, past Python, that it is there; a library has nothing to say."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _solid(probability: np.ndarray) -> np.ndarray:
    """A person without holes and a background without specks: (h, w) float32, steep about 0.5."""
    hard = np.clip((probability - 0.4) / 0.2, 0.0, 1.0).astype(np.float32)
    coarse = probability[::2, ::2]  # regions are found as well, four times faster
    inside = coarse > 0.5
    people, area = _people(inside)
    if area == 0:
        return np.zeros_like(hard)
    # A hole is small and the network was in doubt there; the gap between arm and body it is sure of.
    _, labels, stats, _ = cv2.connectedComponentsWithStats((~inside).astype(np.uint8), connectivity=4)
    sizes = stats[:, cv2.CC_STAT_AREA]
    doubt = np.bincount(labels.ravel(), coarse.ravel(), len(sizes)) / np.maximum(sizes, 1)
    hole = ((sizes < 0.02 * area) & (doubt > 0.15)) | (sizes < 0.0005 * area)
    hole[np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))] = False
    hole[0] = False
    reach = np.ones((5, 5), np.uint8)  # as far as the steep edge reaches beyond 0.5
    full = cv2.dilate(hole[labels].astype(np.float32), reach) * (people | hole[labels])
    clear = cv2.dilate((people | hole[labels]).astype(np.float32), reach)
    size = hard.shape[::-1]
    hard *= cv2.resize(clear, size, interpolation=cv2.INTER_NEAREST)
    return np.maximum(hard, cv2.resize(full, size)) if hole.any() else hard


def _people(inside: np.ndarray) -> tuple[np.ndarray, int]:
    """The regions large enough beside the largest one, (h, w) bool, and the area of that one."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    largest = int(areas.max())
    return (areas >= max(_SMALLEST * largest, 1))[labels], largest


def _framing(probability: np.ndarray) -> Framing | None:
    """The box of the people in a probability picture, and of the head and shoulders in it."""
    probability = probability[1::3, 1::3] if min(probability.shape) > 96 else probability
    box = matte.bounding_box(_people(probability > 0.5)[0])
    if box is None:
        return None
    x0, y0, x1, y1 = box
    # The head's columns are those of the upper 40%; shoulders beside it give the network its context.
    top = matte.bounding_box(probability[y0 : y0 + max(int(0.4 * (y1 - y0)), 1), x0:x1])
    left, right = (x0 + top[0], x0 + top[2]) if top else (x0, x1)
    height, width = probability.shape
    return Framing(
        (x0 / width, y0 / height, x1 / width, y1 / height),
        (left / width, y0 / height, right / width, (y0 + 0.6 * (y1 - y0)) / height),
    )


def _followed(old: Framing | None, new: Framing | None) -> Framing | None:
    """The framing for the next frame: still while the person stays put, else after them.

    A look that shifts by a fraction of a pixel shifts every sample of the network, and the mask
    trembles; so each side moves only as far as it would else be 4% of the box off.
    """
    if old is None or new is None or _overlap(old.body, new.body) < 0.6:
        return new

    def follow(o: Box, n: Box) -> Box:
        slack = 0.04 * max(o[2] - o[0], o[3] - o[1])
        moved = [a + float(np.sign(b - a)) * max(abs(b - a) - slack, 0.0) for a, b in zip(o, n, strict=True)]
        return (moved[0], moved[1], moved[2], moved[3])

    return Framing(follow(old.body, new.body), follow(old.head, new.head))


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    across = max(min(a[2], b[2]) - max(a[0], b[0]), 0.0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - across
    return across / area if area > 0 else 0.0


def _still(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """How much of the past to keep, (h, w) float32: 0.75 where the picture stands still, 0 where it moves."""
    change = np.abs(now - before).max(2)
    # Noise moves every pixel; but when the whole frame moves, that is no noise.
    sigma = 0.006 + min(3.0 * float(np.median(change)), 0.03)
    nearby = cv2.dilate(change, np.ones((5, 5), np.uint8))
    return 0.75 * np.exp(-((nearby / sigma) ** 2))


def _view(box: Box, shape: tuple[int, ...], aspect: float, margin: float) -> tuple[int, int, int, int]:
    """The window (x0, y0, x1, y1) in pixels, of the given width by height, around a box of shares.

    margin: in shares of the box's longer side; none is needed where the box touches the frame. The
    window stays within the frame as far as it fits and is centred where it does not.
    """
    height, width = shape[:2]
    room = margin * max((box[2] - box[0]) * width, (box[3] - box[1]) * height)
    x0, x1 = max(box[0] * width - room, 0.0), min(box[2] * width + room, float(width))
    y0, y1 = max(box[1] * height - room, 0.0), min(box[3] * height + room, float(height))
    tall = max(y1 - y0, (x1 - x0) / aspect, 2.0)
    window = []
    for low, high, side, limit in ((x0, x1, tall * aspect, width), (y0, y1, tall, height)):
        start = (low + high - side) / 2
        start = min(max(start, 0.0), limit - side) if side <= limit else (limit - side) / 2
        window.append((round(start), round(start) + max(round(side), 2)))
    return window[0][0], window[1][0], window[0][1], window[1][1]


def _look(
    network: Segmenter,
    rgb: np.ndarray,
    view: tuple[int, int, int, int],
    size: tuple[int, int],
    work: tuple[int, int],
    mirrored: bool = False,
) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """The network's answer in a window of the picture, laid onto the probability picture.

    A person cut off by the frame must seem to go on beyond it. To the sides the picture is mirrored
    (on tall frames IoU 0.98 instead of 0.97 with smeared borders); above and below the border is
    repeated, for the network knows nobody upside down.

    Returns the part of the probability picture that the window covers, and there the probability and
    its weight, float32; the weight falls to 0 towards the window's sides, but not at the frame's.
    """
    height, width = rgb.shape[:2]
    x0, y0, x1, y1 = view
    part = rgb[max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)]
    above, below, left, right = max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0)
    if left or right:
        part = cv2.copyMakeBorder(part, 0, 0, left, right, cv2.BORDER_REFLECT)
    if above or below:
        part = cv2.copyMakeBorder(part, above, below, 0, 0, cv2.BORDER_REPLICATE)
    smooth = cv2.INTER_AREA if part.shape[1] > size[0] else cv2.INTER_LINEAR
    part = cv2.resize(part, size, interpolation=smooth)
    answer = network(np.ascontiguousarray(part[:, ::-1]))[:, ::-1] if mirrored else network(part)
    slices, ramps, box = [], [], []
    for low, high, limit, length, samples in (
        (x0, x1, width, work[0], size[0]),
        (y0, y1, height, work[1], size[1]),
    ):
        step = limit / length
        first, last = max(int(low / step), 0), min(int(np.ceil(high / step)), length)
        at = (np.arange(first, last) + 0.5) * step
        fall = 0.1 * (high - low)
        from_low = (at - low) / fall if low > 0 else np.ones(last - first)
        from_high = (high - at) / fall if high < limit else np.ones(last - first)
        ramps.append(np.clip(np.minimum(from_low, from_high), 0.0, 1.0).astype(np.float32))
        slices.append(slice(first, last))
        box += [(end * step - low) * samples / (high - low) for end in (first, last)]
    near = _sampled(answer, (box[0], box[2], box[1], box[3]), (len(ramps[0]), len(ramps[1])))
    return (slices[1], slices[0]), near, np.outer(ramps[1], ramps[0])


def _sampled(plane: np.ndarray, box: tuple[float, float, float, float], size: tuple[int, int]) -> np.ndarray:
    """The part `box` (pixels, fractions allowed, its border repeated) of a plane at another size."""
    across, down = (box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1]
    matrix = np.array([[across, 0, box[0] + 0.5 * across - 0.5], [0, down, box[1] + 0.5 * down - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(plane, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _checked(rgb: np.ndarray) -> np.ndarray:
    if rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise InputError(f"a picture is (height, width, 3) and not empty; got the shape {rgb.shape}")
    return np.asarray(rgb, np.float32)
