"""The straight path over pictures in memory, manifests that hold, digests, sheets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from harmovid.baselines import classical
from harmovid.baselines.bvd import BlindDeflickering
from harmovid.baselines.iclight import IcLight
from harmovid.data import relighting
from harmovid.errors import OptionError, OutputError
from harmovid.infer.framewise import FrameWise
from harmovid.infer.views import Harmonized, ViewClip, ViewSize
from tests.data.footage import shard
from tests.infer.tiny import tiny
from tests.model import diffusion


@dataclass
class Darker:
    """Halves the display values of frame after frame by more."""

    name: str = "darker"
    view: ViewSize = ViewSize(area=32 * 32)

    def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
        for t in range(len(clip)):
            shown = clip.window(t, t + 1).composite
            yield Harmonized(shown, shown * np.float32(1 - 0.1 * t))


@dataclass(frozen=True)
class One:
    """A manifest."""

    seed: int
    model: str = "a"


@dataclass(frozen=True)
class Other:
    """One of another kind."""

    depth: int


def test_light_follows_the_harmonizer_frame_by_frame_and_the_background_stays() -> None:
    clip = shard(frames=4)
    behind = np.full_like(clip.picture, 90)
    behind[..., 2] += np.arange(4, dtype=np.uint8)[:, None, None]
    found = relighting.relit(clip.picture, clip.mask, behind, Darker(), 0)
    assert found.shape == clip.picture.shape and found.dtype == np.uint8
    assert np.array_equal(found[clip.mask == 0], behind[clip.mask == 0])
    inside = clip.mask == 255
    for t in range(4):  # light transfer works at full size and smooths nothing over time
        share = found[t][inside[t]].astype(float).sum() / clip.picture[t][inside[t]].sum()
        assert share == pytest.approx(1 - 0.1 * t, abs=0.03)


def test_a_manifest_holds_what_it_was_written_for(tmp_path: Path) -> None:
    relighting.freeze(tmp_path / "out", One(3))
    relighting.freeze(tmp_path / "out", One(3))
    with pytest.raises(OutputError, match="made with other seed, model; name another --out"):
        relighting.freeze(tmp_path / "out", One(4, "b"))
    with pytest.raises(OutputError, match="holds pairs of another kind"):
        relighting.freeze(tmp_path / "out", Other(1))
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        relighting.freeze(tmp_path / "file" / "out", One(3))


def test_a_digest_is_of_all_weights(tmp_path: Path) -> None:
    one = tiny()
    before = relighting.weights(FrameWise(one))
    assert before == relighting.weights(FrameWise(tiny())) and len(before) == 16
    next(one.codec.parameters()).data.add_(1)
    assert relighting.weights(FrameWise(one)) != before
    light = IcLight(diffusion.folder(tmp_path / "stable"), 1)
    before = relighting.weights(light)
    next(light.parts.vae.parameters()).data.add_(1)
    assert len(before) == 16 and relighting.weights(light) != before
    assert len(relighting.weights(BlindDeflickering())) == 16
    assert relighting.weights(classical.by_name("reinhard")) == ""


@pytest.mark.parametrize("part", [(2, 2), (-1, 2), (0, 0)])
def test_there_is_no_such_part(part: tuple[int, int]) -> None:
    with pytest.raises(OptionError, match="with i from 0 to n − 1"):
        relighting.check_part(part)


def test_a_sheet_holds_rows_of_pictures_of_any_shape(tmp_path: Path) -> None:
    row = [np.full((20, 40, 3), (250, 0, 0), np.uint8), np.full((90, 30, 3), 200, np.uint8)]
    relighting.write_sheet([row, row[::-1]], tmp_path / "sheets" / "one.jpg")
    sheet = cv2.imread(str(tmp_path / "sheets" / "one.jpg"))
    assert sheet.shape == (320, 320, 3) and list((tmp_path / "sheets").iterdir()) == [tmp_path / "sheets" / "one.jpg"]
    assert np.abs(sheet[80, 80].astype(int) - (0, 0, 250)).max() < 6 and sheet[10, 80].max() < 6  # BGR; black bands
