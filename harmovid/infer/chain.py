"""One harmonizer after another, as a frame-wise one whose flicker a second one takes out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harmovid.infer.views import Answered, Harmonized, Harmonizer, ViewClip, ViewSize


class Chain:
    """A harmonizer whose second part sees, in the place of the composite, what its first part made.

    What the second one changes is its result less its own reference, and is added to the first one's result; so its
    codec's error cancels, and a chain is not coded twice. The first one's answer is held in memory, in half precision.

    Args:
        first, second: any two.
        view: the size that both work at.
    """

    def __init__(self, first: Harmonizer, second: Harmonizer, view: ViewSize) -> None:
        self.name = f"{first.name}+{second.name}"
        self.first, self.second, self.view = first, second, view

    def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
        """Yield what both make of a clip, in the second one's chunks; the reference is the first one's."""
        made = list(self.first.harmonize(clip, seed))
        reference, result = (np.concatenate([getattr(part, name).astype(np.float16) for part in made], 1)
                             for name in ("reference", "result"))  # (3, T, H, W) each
        start = 0
        for part in self.second.harmonize(Answered(clip, reference, result), seed):
            span = slice(start, start + part.result.shape[1])
            changed = result[:, span].astype(np.float32) + part.result - part.reference
            yield Harmonized(reference[:, span].astype(np.float32), np.clip(changed, 0, 1))
            start = span.stop
