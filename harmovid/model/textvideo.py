"""Text-to-video models of others, as diffusers runs them: CogVideoX, and any other with the same call."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline

from harmovid.errors import InputError
from harmovid.model.quiet import quiet_loading


class TextToVideo:
    """A pipeline that makes clips out of text.

    Args:
        path_or_name: a folder in diffusers' layout, with model_index.json, or a hub name such as THUDM/CogVideoX-5b.
        device: where it runs; in bfloat16 on CUDA.

    Raises:
        InputError: it cannot be read, or makes something other than clips.
    """

    def __init__(self, path_or_name: str, device: str = "cpu") -> None:
        try:
            half = torch.bfloat16 if device.startswith("cuda") else torch.float32
            with quiet_loading():
                self.pipeline: Any = DiffusionPipeline.from_pretrained(path_or_name, dtype=half).to(device)
        except Exception as error:  # diffusers, transformers and the hub each have errors of their own
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(f"{path_or_name} cannot be read as a text-to-video model ({reason}); give a folder in "
                             "diffusers' layout, whole, or where there is a network a hub name such as "
                             "THUDM/CogVideoX-5b") from error
        self.takes = inspect.signature(self.pipeline.__call__).parameters
        if "num_frames" not in self.takes:
            raise InputError(f"{path_or_name} is a {type(self.pipeline).__name__}, which makes no clips; give a "
                             "text-to-video model such as THUDM/CogVideoX-5b")
        self.pipeline.set_progress_bar_config(disable=True)
        self.name = f"{type(self.pipeline).__name__} {Path(path_or_name).name}"

    def make(self, prompt: str, unwanted: str, frames: int, size: tuple[int, int] | None, steps: int | None,
             seed: int) -> np.ndarray:
        """A clip.

        Args:
            prompt, unwanted: what it shows, and what it should not; the second only where the pipeline takes it.
            frames: how many.
            size: (height, width); None is the model's own.
            steps: of sampling; None is the model's own.
            seed: of all noise, drawn on the processor.

        Returns:
            (T, H, W, 3) float32, display sRGB in [0, 1].

        Raises:
            InputError: the pipeline refuses these frames or this size, or gives numbers that are not finite.
        """
        wanted = {"negative_prompt": unwanted, "num_inference_steps": steps, "height": size and size[0],
                  "width": size and size[1]}
        more = {name: value for name, value in wanted.items() if value is not None and name in self.takes}
        try:
            made = self.pipeline(prompt=prompt, num_frames=frames, generator=torch.Generator().manual_seed(seed),
                                 output_type="np", **more).frames[0]  # (T, H, W, 3)
        except (TypeError, ValueError, RuntimeError) as error:  # also of sizes that do not meet, and of memory
            raise InputError(f"{self.name} makes no clip of {frames} frames{f' of {size}' if size else ''} ({error}); "
                             "try others: --frames, --height and --width") from error
        clip = np.asarray(made, np.float32)
        if not np.isfinite(clip).all():
            raise InputError(f"{self.name} gave numbers that are not finite: its weights are damaged, or do not bear "
                             "half precision; get them again, or pass --device cpu")
        return np.asarray(clip.clip(0, 1))
