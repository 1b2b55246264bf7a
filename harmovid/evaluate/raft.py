"""Optical flow by RAFT, where its weights are given; without them `motion.Dis` serves.

RAFT: Teed and Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow", ECCV 2020; here as OpenCV's model
zoo has it, one ONNX file that OpenCV runs.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from harmovid.errors import InputError

FILE = "optical_flow_estimation_raft_2023aug.onnx"
_HEIGHT, _WIDTH = 360, 480  # pixels, of what the file was exported for
_INPUTS = ("0", "1")


class Raft:
    """A `motion.Flow`. Pictures are brought to 480 × 360 pixels, whatever their shape, and the flow back to theirs."""

    name = "RAFT"

    def __init__(self, network: Any) -> None:
        self._network = network
        self._outputs = network.getUnconnectedOutLayersNames()
        self._one = threading.Lock()  # items are scored side by side, and a network of OpenCV holds its last input

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Flow from a to b: (H, W, 3) float32 display sRGB twice → (H, W, 2) float32, pixels, x first."""
        with self._one:
            for name, picture in zip(_INPUTS, (a, b), strict=True):
                self._network.setInput(_shaped(picture), name)
            answers = self._network.forward(self._outputs)
        # The other answer is the flow of every eighth pixel.
        whole = next(answer for answer in answers if answer.shape == (1, 2, _HEIGHT, _WIDTH))
        height, width = a.shape[:2]
        flow = cv2.resize(np.ascontiguousarray(whole[0].transpose(1, 2, 0)), (width, height))
        return np.asarray(flow * (width / _WIDTH, height / _HEIGHT), np.float32)


def load_raft(file: Path) -> Raft:
    """RAFT from the file of OpenCV's model zoo.

    Args:
        file: optical_flow_estimation_raft_2023aug.onnx.

    Raises:
        InputError: there is no such file, OpenCV can't read it, or it is another network.
    """
    if not file.is_file():
        raise InputError(f"there is no {file}; RAFT is {FILE} of OpenCV's model zoo: name that file, or leave it out "
                         "for DIS, which needs none")
    try:
        raft = Raft(cv2.dnn.readNetFromONNX(str(file)))
        nothing = np.zeros((_HEIGHT, _WIDTH, 3), np.float32)
        raft(nothing, nothing)
    except (cv2.error, StopIteration) as error:
        said = str(error).strip().splitlines() or ["it gives no flow of 480 × 360 pixels"]
        raise InputError(f"{file} does not work as RAFT ({said[0]}); give {FILE} of OpenCV's model zoo") from error
    return raft


def _shaped(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) in [0, 1] to (1, 3, 360, 480) in [0, 255]."""
    shrinks = picture.shape[0] > _HEIGHT or picture.shape[1] > _WIDTH
    small = cv2.resize(np.clip(picture, 0, 1).astype(np.float32), (_WIDTH, _HEIGHT),
                       interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.ascontiguousarray(small.transpose(2, 0, 1)[None] * np.float32(255))
