"""One harmonizer after another: the second sees what the first made, and only its change is added."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harmovid.infer.chain import Chain
from harmovid.infer.views import Harmonized, ViewClip, Views, ViewSize


@dataclass
class Clip:
    views: Views

    def __len__(self) -> int:
        return self.views.mask.shape[1]

    def window(self, start: int, stop: int) -> Views:
        return Views(*(plane[:, start:stop] for plane in vars(self.views).values()))


@dataclass
class Adds:
    """Adds so much, in chunks of so many frames, through a codec that takes `lost` away."""

    amount: float
    chunk: int
    lost: float = 0.0
    name: str = "adds"
    view: ViewSize = ViewSize()

    def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
        for start in range(0, len(clip), self.chunk):
            seen = clip.window(start, min(start + self.chunk, len(clip))).composite - self.lost
            yield Harmonized(seen, seen + self.amount)


def clip(frames: int = 7) -> Clip:
    planes = np.random.default_rng(0).uniform(0.3, 0.6, (3, frames, 4, 4)).astype(np.float32)
    return Clip(Views(planes, planes, planes[:1], planes))


def whole(parts: Iterator[Harmonized]) -> tuple[np.ndarray, np.ndarray]:
    found = list(parts)
    return np.concatenate([p.reference for p in found], 1), np.concatenate([p.result for p in found], 1)


def test_both_changes_are_in_the_result_and_neither_codec_counts_twice() -> None:
    given = clip()
    chain = Chain(Adds(0.1, 3, lost=0.05), Adds(0.2, 2, lost=0.07), ViewSize(64 * 64))
    reference, result = whole(chain.harmonize(given))
    np.testing.assert_allclose(reference, given.views.composite - 0.05, atol=1e-3)
    np.testing.assert_allclose(result, given.views.composite - 0.05 + 0.3, atol=1e-3)
    assert chain.name == "adds+adds" and chain.view.area == 64 * 64


def test_the_second_sees_what_the_first_made_frame_by_frame() -> None:
    given = clip()
    seen = []

    class Watches(Adds):
        def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
            assert len(clip) == 7
            views = clip.window(2, 5)
            seen.append(views.composite)
            assert np.array_equal(views.background, given.views.background[:, 2:5])
            return super().harmonize(clip, seed)

    _, result = whole(Chain(Adds(0.1, 3), Watches(0.9, 4), ViewSize()).harmonize(given))
    np.testing.assert_allclose(seen[0], given.views.composite[:, 2:5] + 0.1, atol=1e-3)
    assert result.max() == 1  # held to what can be shown
