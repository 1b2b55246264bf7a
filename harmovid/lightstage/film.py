"""Filming: a performance into buffers, frame by frame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harmovid.errors import InputError
from harmovid.light import keys
from harmovid.light.environment import Environment
from harmovid.lightstage.buffers import Buffers, Encoder, Filmed, Transfer
from harmovid.lightstage.radiance import StageConfig, transfer
from harmovid.lightstage.scene import Performance

_LEARNED = 5  # frames from which the components are learned


def film(performance: Performance, name: str, size: tuple[int, int], *, seed: int = 0,
         config: StageConfig | None = None, light: Environment | None = None,
         progress: Callable[[int, int], None] = lambda done, total: None) -> Buffers:
    """Film a performance: light's transfer of every frame, coded.

    Args:
        name, seed: kept in `Buffers.info`. size: (height, width).
        light: whose key lights, as they stand there, are filmed each by itself, so that their shadows are as sharp as
            they are. `render.shoot` puts this light on them, and any other on the even cells alone.
        progress: told after every frame.

    Raises:
        InputError: nobody is seen in any frame.
        MissingExtra: embreex is not installed.
    """
    config, count = config or StageConfig(), performance.frames
    learned = sorted({round(t) for t in np.linspace(0, count - 1, min(count, _LEARNED))})
    found = keys.find(light) if light is not None else None
    beams = found.beams if found else None

    def filmed(t: int) -> Transfer:
        return transfer(performance, t, size, config, beams)

    known = {t: filmed(t) for t in learned}
    if not any(len(frame.place) for frame in known.values()):
        for t in range(count):  # somebody may pass in between
            known[t] = known.get(t) or filmed(t)
            if len(known[t].place):
                break
        else:
            raise InputError(f"nobody is seen in any of the {count} frames of {name}; let the camera see them")
    encoder = Encoder(known.values())
    frames = []
    for t in range(count):
        frame = known.pop(t, None) or filmed(t)
        frames.append((frame.alpha, frame.place, encoder.encode(frame)))
        progress(t + 1, count)
    rate, camera = performance.rate, performance.camera
    info = Filmed(name, size, (rate.numerator, rate.denominator), camera.height, camera.pose.tolist(), seed)
    return encoder.pack(info, frames, found.labels if found else None)
