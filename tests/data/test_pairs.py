"""Step 1: pairs that keep the clip and its mask, are of their number, are never mixed, and flicker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from harmovid.data import pairs, relighting, shards
from harmovid.data.backdrops import Backdrop, Pictures
from harmovid.data.pairs import Paired, Pairing, make_pairs, pair
from harmovid.errors import InputError, OptionError, OutputError
from harmovid.evaluate.temporal import luminance_jitter
from harmovid.infer import framing
from harmovid.infer.framewise import FrameWise
from harmovid.model.presets import frame_wise
from tests import figures
from tests.data.footage import shard
from tests.infer.tiny import tiny

pytestmark = pytest.mark.usefixtures("one_thread")
PAIRING = Pairing(count=3, frames=9, seed=4)


class Flat:
    """Backgrounds of one colour each."""

    told: tuple[str, ...] = ("flat",)

    def draw(self, frames: int, rate: float, size: tuple[int, int], random: np.random.Generator) -> Backdrop:
        shown = np.tile(random.uniform(0.1, 0.9, 3).astype(np.float32), (frames, *size, 1))
        return Backdrop("flat", shown, "flat")


def harmonizer(steps: int = 2) -> FrameWise:
    model = tiny()
    return FrameWise(replace(model, preset=frame_wise(model.preset)), steps, 1.0)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """For what all tests share, too: sums come out the same everywhere."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("footage")
    (folder / "train").mkdir()
    for n, (name, frames) in enumerate((("ann", 14), ("bob", 7), ("photo", 1), ("made", 9), ("pair", 9))):
        one = shard(name, frames, seed=n)
        info = replace(one.info, performance="take" if name == "made" else "", source="ann" if name == "pair" else "")
        shards.write(folder / "train" / f"{name}.zip", replace(one, info=info))
    return folder


@pytest.fixture(scope="module")
def made(footage: Path, tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    out = tmp_path_factory.mktemp("pairs") / "out"
    assert make_pairs(footage, out, harmonizer(), Flat(), PAIRING) == Paired(3, 0)
    return out


def read(out: Path) -> list[shards.Shard]:
    return [shards.read(path) for path in sorted((out / "train").glob("*.zip"))]


def test_a_pair_is_of_its_clip_before_another_background(made: Path, footage: Path) -> None:
    found = read(made)
    assert [one.info.name for one in found] == ["pair-000000", "pair-000001", "pair-000002"]
    assert {one.info.source for one in found[:2]} == {"ann", "bob"}  # every clip once before any twice
    for one in found:
        clip = shards.read(footage / "train" / f"{one.info.source}.zip")
        part = slice(one.info.start, one.info.start + one.info.frames)
        assert one.info.frames == (9 if one.info.source == "ann" else 5) and one.info.person == clip.info.person
        assert np.array_equal(one.mask, clip.mask[part]) and not one.info.performance
        gone = cv2.erode((one.mask[0] == 0).astype(np.uint8), np.ones((5, 5))) > 0
        assert np.abs(one.picture[0][gone].astype(int) - one.plate[0][gone]).max() <= 4  # JPEG
        far = one.plate[0][cv2.erode(gone.astype(np.uint8), np.ones((17, 17))) > 0]  # beyond the person's JPEG blocks
        assert len(far) > 500 and np.ptp(far.astype(int), axis=0).max() <= 4
        assert one.overview.shape == (-(-one.info.frames // 4), 64, 64, 3)
        inside = one.mask > 250
        relit, before = one.picture[inside].astype(int), clip.picture[part][inside].astype(int)
        assert np.abs(relit - before).mean() > 2  # whatever these weights do, they do it


def test_the_overview_is_as_wide_as_the_clip_s(footage: Path) -> None:
    clip = shards.read(footage / "train" / "ann.zip")
    wide = replace(clip, info=replace(clip.info, overview=32))
    one, _, _ = pair(wide, harmonizer(), Flat(), 5, np.random.default_rng(0), "pair")
    assert one.overview.shape == (2, 32, 32, 3) and one.info.overview == 32


def test_it_flickers_as_the_image_model_does_and_no_smoothing_hides_it(made: Path, footage: Path) -> None:
    one = next(found for found in read(made) if found.info.frames == 9)
    clip = shards.read(footage / "train" / f"{one.info.source}.zip")
    source = clip.picture[one.info.start : one.info.start + 9]
    shown, before, alpha = (part.astype(np.float32) / 255 for part in (one.picture, source, one.mask))
    assert luminance_jitter(shown, before, alpha) > 0.02
    assert relighting.OPTIONS.transfer.temporal_sigma == 0


def test_the_same_number_gives_the_same_pair_and_a_stopped_run_goes_on(made: Path, footage: Path,
                                                                      tmp_path: Path) -> None:
    for part in ((1, 2), (0, 2)):
        make_pairs(footage, tmp_path / "out", harmonizer(), Flat(), PAIRING, part=part)
    for path in sorted((made / "train").glob("*.zip")):
        assert (tmp_path / "out" / "train" / path.name).read_bytes() == path.read_bytes()
    (tmp_path / "out" / "train" / "pair-000001.zip").unlink()
    told: list[tuple[str, int, int]] = []
    again = make_pairs(footage, tmp_path / "out", harmonizer(), Flat(), PAIRING,
                       progress=lambda *step: told.append(step))
    assert again == Paired(1, 2) and told == [("pairs", 1, 1)]
    assert len(list((tmp_path / "out" / "sheets").iterdir())) == 1
    more = make_pairs(footage, tmp_path / "out", harmonizer(), Flat(), replace(PAIRING, count=4))
    assert more == Paired(1, 3)
    assert len(cv2.imread(str(tmp_path / "out" / "sheets" / "train-000.jpg"))) == 2 * 160 * 4  # the fourth is on it


def test_the_latents_of_the_answer_are_kept_with_the_view_that_they_show(
        made: Path, footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made / "train" / "pair-000000.zip"
    kept, one = shards.read_latents(path), shards.read(path)
    assert kept is not None and kept.values.dtype == np.float16
    assert kept.values.shape[:2] == (16, one.info.frames) and kept.boxes.shape == (one.info.frames, 4)
    width, height = kept.boxes[0, 2:] - kept.boxes[0, :2]
    assert width / height == pytest.approx(kept.values.shape[3] / kept.values.shape[2], rel=0.35)
    for alpha, (x0, y0, x1, y1) in zip(one.mask, kept.boxes, strict=True):
        assert (alpha[max(y0, 0):y1, max(x0, 0):x1] > 127).sum() == (alpha > 127).sum() > 0  # all of the person
    framed = []
    of_clip = framing.frame
    monkeypatch.setattr(framing, "frame", lambda *given: framed.append(of_clip(*given)) or framed[-1])
    make_pairs(footage, tmp_path / "out", harmonizer(), Flat(), Pairing(1, 9, seed=4), latents=False)
    assert shards.read_latents(tmp_path / "out" / "train" / path.name) is None
    assert len(framed) == 2 and all(np.array_equal(one.boxes, kept.boxes) for one in framed)  # the path's own is one
    assert framed[0].view == (8 * kept.values.shape[2], 8 * kept.values.shape[3])


def test_the_card_tells_of_all_pairs_and_is_written_anew_with_them(footage: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    make_pairs(footage, out, harmonizer(), Flat(), Pairing(1, 5), latents=False)
    before = (out / "README.md").read_text()
    assert "| train | 1 | 5 | 1 | 1 |" in before and "| flat | 1 |" in before and "| eta | 1.0 |" in before
    assert "| luminance jitter | 0." in before and "| not known | 1 |" in before
    make_pairs(footage, out, harmonizer(), Flat(), Pairing(1, 5), latents=False)
    assert (out / "README.md").read_text() == before
    make_pairs(footage, out, harmonizer(), Flat(), Pairing(2, 5), latents=False)
    assert "| train | 2 | 10 | 2 | 2 |" in (out / "README.md").read_text()


def test_the_card_says_how_large_the_image_model_saw_people(made: Path) -> None:
    side = round(harmonizer().view.area**0.5)
    assert f"as about {side} × {side} pixels" in (made / "README.md").read_text()


def test_a_background_or_a_clip_that_was_replaced_under_its_name_is_another(footage: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backgrounds"
    folder.mkdir()
    figures.write(folder / "street.mkv", np.full((1, 20, 30, 3), 0.3, np.float32))
    one = Pairing(1, 5)
    make_pairs(footage, tmp_path / "pairs", harmonizer(), Pictures(folder), one)
    (folder / "street.mkv").unlink()
    figures.write(folder / "street.mkv", np.random.default_rng(0).random((1, 20, 30, 3), np.float32))
    with pytest.raises(OutputError, match="made with other backdrops"):
        make_pairs(footage, tmp_path / "pairs", harmonizer(), Pictures(folder), one)


def test_a_sheet_shows_clip_and_pair_one_below_the_other(made: Path) -> None:
    sheet = cv2.imread(str(made / "sheets" / "train-000.jpg"))
    assert sheet.shape == (2 * 160 * 3, 160 * pairs._SHOWN, 3)


def test_pairs_of_other_weights_or_settings_are_not_mixed_in(made: Path, footage: Path) -> None:
    manifest = json.loads((made / "manifest.json").read_text())
    assert (manifest["steps"], manifest["eta"], manifest["backdrops"], manifest["seed"]) == (2, 1.0, ["flat"], 4)
    with pytest.raises(OutputError, match="made with other steps; name another --out"):
        make_pairs(footage, made, harmonizer(3), Flat(), PAIRING)
    with pytest.raises(OutputError, match="made with other frames, seed"):
        make_pairs(footage, made, harmonizer(), Flat(), Pairing(3, 13))


@pytest.mark.parametrize(("pairing", "part", "sentence"), [
    (Pairing(0), (0, 1), "--count is 1 or more, got 0"), (Pairing(1, 12), (0, 1), "--frames is 5, 9, 13"),
    (Pairing(1, 9), (2, 2), "--part is i/n with i from 0 to n − 1, got 2/2")])
def test_what_has_no_meaning_is_said_before_anything_is_written(tmp_path: Path, footage: Path, pairing: Pairing,
                                                                part: tuple[int, int], sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        make_pairs(footage, tmp_path / "out", harmonizer(), Flat(), pairing, part=part)
    assert not (tmp_path / "out").exists()


def test_without_clips_nothing_is_written(tmp_path: Path, footage: Path) -> None:
    with pytest.raises(InputError, match="holds no shards of clips in validation/"):
        make_pairs(footage, tmp_path / "out", harmonizer(), Flat(), replace(PAIRING, split="validation"))
    assert not (tmp_path / "out").exists()
