"""What a result shows, by the embeddings of a network: steadiness from frame to frame, and the person's identity.

Which network embeds is the caller's choice, and every figure is named after it. `load_clip` reads a real CLIP and
`load_face` a face recognizer, from folders; neither has weights in any package. At hand for all is the stand-in of
`efficientnet`, which goes by its own name, never by CLIP's.
"""

from __future__ import annotations

import itertools
import math
import re
import threading
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch

from harmovid.errors import InputError
from harmovid.evaluate.fidelity import check_frames
from harmovid.model.quiet import quiet_loading

_FACE_FILES = ("face_detection_yunet_2023mar.onnx", "face_recognition_sface_2021dec.onnx")


class Embedder(Protocol):
    """Anything that turns pictures into vectors whose cosine says how alike they are."""

    @property
    def name(self) -> str:
        """What to print beside its figures: the network's own name."""
        ...

    def embed(self, frames: np.ndarray) -> np.ndarray:
        """(N, H, W, 3) float, display sRGB in [0, 1], to (N, D) float32 of any length; NaN: nothing to embed."""
        ...


class ClipScore:
    """How alike consecutive frames are: the mean cosine of their embeddings e, 1/(T − 1) Σ cos(e_t, e_{t+1}).

    With CLIP this is the CLIP score of the tables of HarmoVid and its kin, there called temporal consistency; with
    another embedder it is that embedder's, and `name` says so. Whole frames are embedded.

    Args:
        every: of so many pairs of consecutive frames one is looked at: 0 and 1, then `every` and `every` + 1, …
    """

    def __init__(self, embedder: Embedder, every: int = 1) -> None:
        self._embedder, self._every = embedder, every
        self._number = itertools.count()
        self._last: np.ndarray | None = None
        self._cosines = _Cosines()

    @property
    def name(self) -> str:
        """What to print: the embedder's name."""
        return self._embedder.name

    def add(self, frame: np.ndarray) -> None:
        """Take in the next frame: (H, W, 3) float in [0, 1].

        Raises:
            InputError: another shape, or not float.
        """
        check_frames(frame, frame, None)
        number = next(self._number)
        first, second = number % self._every == 0, (number - 1) % self._every == 0
        now = self._embedder.embed(frame[None])[0] if first or second else None
        if second and self._last is not None and now is not None:
            self._cosines.add(self._last, now)
        self._last = now if first else None

    @property
    def value(self) -> float:
        """The mean so far, in [−1, 1], 1 for a still; NaN for fewer than two frames."""
        return self._cosines.mean


def clip_score(embedder: Embedder, frames: np.ndarray) -> float:
    """`ClipScore` of a clip (T, H, W, 3); errors as there."""
    score = ClipScore(embedder)
    for frame in frames:
        score.add(frame)
    return score.value


class Identity:
    """Whether it is still the same person: the mean cosine of source and result, both embedded in the person's box.

    The box holds all of alpha > 0.5 and is the same in both. Outside the alpha both are mid-grey, 0.5 in display, so
    that the backgrounds, which differ, have no say. A face recognizer (`load_face`) measures identity as users mean it;
    any other embedder tells how alike the person looks, light included, and its `name` says which it was.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._cosines = _Cosines()

    @property
    def name(self) -> str:
        """What to print: the embedder's name, and that it saw the person's box."""
        return f"{self._embedder.name}, person's box"

    def see(self, frame: np.ndarray, alpha: np.ndarray) -> np.ndarray | None:
        """The embedding of the person in a frame (H, W, 3), (D,); None where the alpha (H, W) shows nobody."""
        rows, columns = (np.flatnonzero((alpha > 0.5).any(axis=axis)) for axis in (1, 0))
        if not rows.size:
            return None
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        cover = alpha[box][..., None]  # (h, w, 1)
        return self._embedder.embed((cover * frame[box] + (1 - cover) / 2)[None])[0]

    def add(self, result: np.ndarray, source: np.ndarray, alpha: np.ndarray, seen: np.ndarray | None = None) -> None:
        """Take in a frame: (H, W, 3) float in [0, 1] twice, and the alpha (H, W) of the person.

        A frame without anything of alpha > 0.5, or in whose source the embedder finds nothing (no face), counts
        nothing; one in whose result it finds nothing any more counts as 0. `seen` is what `see` found in the source,
        where that is known already.

        Raises:
            InputError: shapes differ, or not float.
        """
        check_frames(result, source, alpha)
        one, other = self.see(result, alpha), self.see(source, alpha) if seen is None else seen
        if one is not None and other is not None:
            if np.isnan(one).any() and not np.isnan(other).any():
                self._cosines.count += 1
            else:
                self._cosines.add(one, other)

    @property
    def value(self) -> float:
        """The mean so far, in [−1, 1], 1 for the source itself; NaN while no frame counted."""
        return self._cosines.mean

    @property
    def count(self) -> int:
        """How many frames counted."""
        return self._cosines.count


def identity(embedder: Embedder, result: np.ndarray, source: np.ndarray, alpha: np.ndarray) -> float:
    """`Identity` of a clip: (T, H, W, 3) twice, and the alpha (T, H, W); errors as there."""
    check_frames(result, source, alpha)
    pooled = Identity(embedder)
    for frames in zip(result, source, alpha, strict=True):
        pooled.add(*frames)
    return pooled.value


class ClipEmbedder:
    """The vision tower of a CLIP with its projection (Radford et al. 2021), as transformers runs it.

    Frames are rounded to 8 bits and prepared as the checkpoint's own preprocessor_config.json says (for the published
    ones: the shorter side to 224 pixels, bicubic, the square in the middle), then embedded and projected.
    """

    def __init__(self, network: Any, processor: Any, name: str) -> None:
        self._network, self._processor = network, processor
        self.name = name

    def embed(self, frames: np.ndarray) -> np.ndarray:
        """As `Embedder.embed`."""
        codes = np.rint(np.clip(frames, 0, 1) * 255).astype(np.uint8)
        pixels = self._processor(list(codes), return_tensors="pt", input_data_format="channels_last")["pixel_values"]
        with torch.inference_mode():
            found = self._network(pixels.to(self._network.device)).image_embeds  # (N, D)
        return found.float().cpu().numpy()


def load_clip(path_or_name: str | Path, device: torch.device | str = "cpu") -> ClipEmbedder:
    """CLIP from a folder in transformers' layout, whole or its vision tower alone, or by a hub name.

    Args:
        path_or_name: the folder, from which alone is read then, or a name such as openai/clip-vit-base-patch32.

    Raises:
        InputError: there is nothing of that name, it can't be read, it is no CLIP, or weights are missing in it.
    """
    folder, text = Path(path_or_name), str(path_or_name)
    local = folder.is_dir()
    if not local and not re.fullmatch(r"[\w.-]+/[\w.-]+", text):
        raise InputError(f"there is no CLIP {text}: it is neither a folder nor a name on the hub such as "
                         "openai/clip-vit-base-patch32")
    # Heavy, and only needed here. The processor that needs no torchvision.
    from transformers import AutoConfig, CLIPImageProcessorPil, CLIPVisionModelWithProjection

    try:
        config = AutoConfig.from_pretrained(text, local_files_only=local)
        if config.model_type not in ("clip", "clip_vision_model"):
            raise InputError(f"{text} is a {config.model_type}, not a CLIP, and its figure must not be called a CLIP "
                             "score; give the folder of a CLIP")
        tower = config
        if config.model_type == "clip":  # the whole: its projection is the tower's, whatever the tower's own part says
            tower = config.vision_config
            tower.projection_dim = config.projection_dim
        processor = CLIPImageProcessorPil.from_pretrained(text, local_files_only=local)
        with quiet_loading():  # the text tower's weights are left where they are, and listed
            loaded: Any = CLIPVisionModelWithProjection.from_pretrained(
                text, config=tower, local_files_only=local, output_loading_info=True)
    except InputError:
        raise
    except Exception as error:  # transformers, the hub and safetensors each have errors of their own
        raise InputError(f"{text} cannot be read as a CLIP ({_first_line(error)}); it needs config.json, "
                         "preprocessor_config.json and model.safetensors, whole") from error
    network, info = loaded
    missing = sorted(info["missing_keys"])
    if missing:  # transformers would make them up
        raise InputError(f"{text} lacks {len(missing)} weights of a CLIP's vision tower, first {missing[0]}; give a "
                         "checkpoint with its projection")
    name = folder.resolve().name if local else text
    return ClipEmbedder(network.eval().to(device), processor, name if "clip" in name.lower() else f"CLIP {name}")


class FaceEmbedder:
    """The largest face in a picture: found by YuNet, aligned by its landmarks, embedded by SFace, both through OpenCV.

    Written to OpenCV's own interface of the two; their weights were not at hand to try it on.
    """

    name = "SFace"

    def __init__(self, detector: Any, recognizer: Any) -> None:
        self._detector, self._recognizer = detector, recognizer
        self._one = threading.Lock()  # OpenCV's networks keep the picture that they are at

    def embed(self, frames: np.ndarray) -> np.ndarray:
        """As `Embedder.embed`, (N, 128); NaN for a picture without a face."""
        found = np.full((len(frames), 128), np.nan, np.float32)
        for row, frame in zip(found, frames, strict=True):
            picture = np.ascontiguousarray(np.rint(np.clip(frame[..., ::-1], 0, 1) * 255).astype(np.uint8))  # BGR
            with self._one:
                self._detector.setInputSize(picture.shape[1::-1])
                faces = self._detector.detect(picture)[1]  # (n, 15): x, y, width, height, landmarks, score; or None
                if faces is not None and len(faces):
                    largest = max(faces, key=lambda face: face[2] * face[3])
                    row[:] = self._recognizer.feature(self._recognizer.alignCrop(picture, largest))[0]
        return found


def load_face(folder: Path) -> FaceEmbedder:
    """A face recognizer from the two files of OpenCV's model zoo, under the names they are published by.

    Raises:
        InputError: one is missing, or OpenCV can't read it.
    """
    paths = [Path(folder) / name for name in _FACE_FILES]
    for path in paths:
        if not path.is_file():
            raise InputError(f"recognizing faces needs {path.name} of OpenCV's model zoo, and {folder} does not hold "
                             "it; put it there, or leave the folder out for the stand-in")
    try:
        return FaceEmbedder(cv2.FaceDetectorYN.create(str(paths[0]), "", (320, 320)),
                            cv2.FaceRecognizerSF.create(str(paths[1]), ""))
    except cv2.error as error:
        raise InputError(f"OpenCV cannot read the networks in {folder} ({_first_line(error)}); download them "
                         "again") from error


class _Cosines:
    """A mean of cosines; a pair without a direction (NaN, or all zeros) counts nothing."""

    def __init__(self) -> None:
        self._sum = 0.0
        self.count = 0

    def add(self, one: np.ndarray, other: np.ndarray) -> None:
        one, other = one.astype(np.float64), other.astype(np.float64)
        lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
        if lengths > 0:  # False for NaN
            self._sum += min(1.0, max(-1.0, float(one @ other) / lengths))
            self.count += 1

    @property
    def mean(self) -> float:
        return self._sum / self.count if self.count else math.nan


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
