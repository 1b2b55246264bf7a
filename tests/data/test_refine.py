"""Step 2's pairs: flicker goes, light and person stay; what fails is dropped and said; a stopped run goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from harmovid import config
from harmovid.data import card, pairs, shards
from harmovid.data.card import Made
from harmovid.data.gates import Gates, texture
from harmovid.data.refine import Manifest, Refined, Refining, refine, refine_pairs
from harmovid.data.relighting import weights
from harmovid.errors import InputError, OptionError, OutputError
from harmovid.infer.network import NetworkHarmonizer
from harmovid.infer.views import Harmonized, ViewClip, ViewSize
from harmovid.video.color import from_linear, to_linear
from tests.data.footage import bits, shard
from tests.infer.tiny import tiny

FRAMES = 9
MANIFEST = pairs.Manifest("fake", "0", 8, 1.0, ("flat",), FRAMES, 0, "0")


@dataclass
class Steady:
    """Gives every frame the person's mean light over the clip, to the power of `strength`."""

    strength: float = 1.0
    name: str = "steady"
    view: ViewSize = ViewSize(area=48 * 48)

    def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
        views = clip.window(0, len(clip))
        light = to_linear(views.composite, "srgb")
        level = np.log((light * views.mask).sum((0, 2, 3)) / views.mask.sum((0, 2, 3)))  # (T,)
        gain = np.exp(self.strength * (level.mean() - level))[None, :, None, None]
        for start in range(0, len(clip), 4):
            part = slice(start, start + 4)
            yield Harmonized(views.composite[:, part],
                             from_linear((light * gain).astype(np.float32), "srgb")[:, part].clip(0, 1))


def relit(clip: shards.Shard, name: str, seed: int) -> shards.Shard:
    """V^S by hand: brighter to the right, and each frame by a random gain."""
    start, random = 2, np.random.default_rng(seed)
    picture, mask = clip.picture[start : start + FRAMES], clip.mask[start : start + FRAMES]
    field = np.exp(np.linspace(-0.5, 0.7, picture.shape[2]))[None, None, :, None]
    gain = field * np.exp(random.normal(0, 0.15, FRAMES))[:, None, None, None]
    lit = from_linear((to_linear(picture.astype(np.float32) / 255, "srgb") * gain).astype(np.float32), "srgb")
    plate = np.broadcast_to(np.uint8([70, 80, 110]), picture.shape)
    alpha = mask[..., None] / 255
    shown = bits(np.clip(alpha * lit.clip(0, 1) + (1 - alpha) * plate / 255, 0, 1))
    info = replace(clip.info, name=name, frames=FRAMES, source=clip.info.name, start=start)
    return shards.Shard(info, shown, mask, plate.copy(), clip.overview[: -(-FRAMES // 4)])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    for part in ("pairs", "footage"):
        (folder / part / "train").mkdir(parents=True)
    config.save(MANIFEST, folder / "pairs" / "manifest.json")
    for n, name in enumerate(("ann", "bob", "cid")):
        clip = shard(name, 14, (96, 88), seed=n, colour=(0.5, 0.4, 0.3))
        # Texture that is not the background's, on which the person can be told from another.
        grain = np.random.default_rng(n).normal(0, 9, (1, 96, 88, 1))
        clip = replace(clip, picture=np.clip(clip.picture + grain, 0, 255).astype(np.uint8))
        shards.write(folder / "footage" / "train" / f"{name}.zip", clip)
        shards.write(folder / "pairs" / "train" / f"pair-{n:06d}.zip", relit(clip, f"pair-{n:06d}", n))
    card.keep(folder / "pairs", "train", "pair-000000", Made("pair-000000", "train", "ann", "person-0", FRAMES,
                                                              kind="clip", licence="CC0"))
    return folder


@pytest.fixture(scope="module")
def refined(made: Path) -> tuple[Path, Refining]:
    out = made / "refined"
    return out, refine_pairs(made / "pairs", out, Steady(), footage=made / "footage")


def test_flicker_goes_and_light_and_person_stay(made: Path, refined: tuple[Path, Refining]) -> None:
    out, told = refined
    assert (told.done, told.before, len(told.kept), told.dropped) == (3, 0, 3, {})
    assert told.mean("jitter_before") > 0.1 and told.mean("jitter") < 0.25 * told.mean("jitter_before")
    assert told.mean("correlation") > 0.97 and told.mean("amplitude") == pytest.approx(1, abs=0.1)
    for path in sorted((out / "train").iterdir()):
        pair, found = shards.read(made / "pairs" / "train" / path.name), shards.read(path)
        assert found.info == pair.info and np.array_equal(found.mask, pair.mask)  # read as a pair is
        far = cv2.dilate((pair.mask.max(0) > 0).astype(np.uint8), np.ones((17, 17))) == 0
        assert np.abs(found.picture[:, far].astype(int) - pair.picture[:, far]).max() <= 6  # JPEG
        lit = [one.picture[one.mask > 250].mean() for one in (found, pair)]
        assert lit[0] == pytest.approx(lit[1], rel=0.1)
    assert all(one.figures and one.figures.texture > 0.97 for one in told.kept)  # it is the clip's own


def test_texture_is_the_clips_whatever_the_pair_has(made: Path, tmp_path: Path) -> None:
    pair = shards.read(made / "pairs" / "train" / "pair-000000.zip")
    clip = shards.read(made / "footage" / "train" / "ann.zip")
    noise = np.random.default_rng(5).normal(0, 12, pair.picture.shape) * (pair.mask[..., None] > 250)
    noisy = replace(pair, picture=np.clip(pair.picture + noise, 0, 255).astype(np.uint8))
    source = clip.picture[pair.info.start : pair.info.start + FRAMES]
    before, after = (texture(shown, source, pair.mask) for shown in (
        noisy.picture, refine(noisy, source, Steady(), 0).picture))
    assert after > 0.9 > 0.8 > before


def test_report_manifest_sheets_and_card_say_it(made: Path, refined: tuple[Path, Refining]) -> None:
    out, _ = refined
    rows = [json.loads(line) for line in (out / "report.jsonl").read_text().splitlines()]
    assert [row["name"] for row in rows] == ["pair-000000", "pair-000001", "pair-000002"]
    assert all(row["kept"] and row["reason"] == "" and row["jitter"] < row["jitter_before"] for row in rows)
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["model"], manifest["weights"], manifest["pairs"]["model"]) == ("steady", "", "fake")
    assert manifest["gates"]["amplitude"] == [0.8, 1.2]
    sheet = cv2.imread(str(out / "sheets" / "train" / "pair-000000.jpg"))
    assert sheet.shape == (3 * 160, 8 * 160, 3)
    text = (out / "README.md").read_text()
    assert "| train | 3 | 27 | 3 | 3 |" in text and "| CC0 | 1 |" in text and "| not known | 2 |" in text
    assert "| gates | correlation 0.9, amplitude (0.8, 1.2), " in text


@pytest.mark.parametrize(("harmonizer", "gates", "reason"), [
    (Steady(0.0), Gates(), "flicker is left"), (Steady(), Gates(texture=1.01), "texture is lost"),
    (Steady(), Gates(amplitude=(1.2, 1.5)), "light is weaker")])
def test_what_fails_is_dropped_and_said(made: Path, tmp_path: Path, harmonizer: Steady, gates: Gates,
                                        reason: str) -> None:
    told = refine_pairs(made / "pairs", tmp_path, harmonizer, footage=made / "footage", keep=gates, part=(1, 3))
    assert told.dropped == {reason: 1} and not told.kept and not list(tmp_path.glob("train/*.zip"))
    assert json.loads((tmp_path / "report.jsonl").read_text())["reason"] == reason
    assert f"| {reason} | 1 |" in (tmp_path / "README.md").read_text()
    again = refine_pairs(made / "pairs", tmp_path, harmonizer, footage=made / "footage", keep=gates, part=(1, 3))
    assert (again.done, again.before) == (0, 1)  # what was dropped is not tried again


def test_parts_and_a_stopped_run_come_to_the_same_files(made: Path, refined: tuple[Path, Refining],
                                                        tmp_path: Path) -> None:
    refine_pairs(made / "pairs", tmp_path, Steady(), footage=made / "footage", part=(1, 2))
    there = tmp_path / "train" / "pair-000001.zip"
    there.unlink()  # as if stopped before it was whole
    steps: list[tuple[str, int, int]] = []
    told = refine_pairs(made / "pairs", tmp_path, Steady(), footage=made / "footage",
                        progress=lambda *step: steps.append(step))
    assert (told.done, told.before) == (3, 0) and steps[-1] == ("refine", 3, 3)
    files = [path.relative_to(refined[0]) for path in sorted(refined[0].rglob("*")) if path.is_file()]
    assert [path.relative_to(tmp_path) for path in sorted(tmp_path.rglob("*")) if path.is_file()] == files
    assert all((tmp_path / file).read_bytes() == (refined[0] / file).read_bytes() for file in files)


def test_a_network_refines_and_its_weights_are_told(made: Path, tmp_path: Path) -> None:
    network = NetworkHarmonizer(tiny(), 1)
    told = refine_pairs(made / "pairs", tmp_path, network, footage=made / "footage", part=(0, 3))
    assert told.told[0].figures is not None
    assert config.load(Manifest, tmp_path / "manifest.json").weights == weights(network)
    assert card.records(Refined, tmp_path) == list(told.told)
    with pytest.raises(OutputError, match="made with other model, weights"):
        refine_pairs(made / "pairs", tmp_path, Steady(), footage=made / "footage")
    before = json.loads((tmp_path / "manifest.json").read_text())
    del before["version"]  # as it was before the picture was the clip's own
    (tmp_path / "manifest.json").write_text(json.dumps(before))
    with pytest.raises(OutputError, match="made with other version"):
        refine_pairs(made / "pairs", tmp_path, network, footage=made / "footage")


def test_what_cannot_be_refined(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="holds no pseudo-pairs"):
        refine_pairs(made / "footage", out, Steady())
    with pytest.raises(InputError, match=r"ann\.zip, the clip that pair-000000 is of, is not there; pass --footage"):
        refine_pairs(made / "pairs", out, Steady())
    with pytest.raises(OptionError, match="--part is i/n"):
        refine_pairs(made / "pairs", out, Steady(), part=(3, 3))
    assert not out.exists()
    with pytest.raises(OutputError, match="pairs of another kind"):
        refine_pairs(made / "pairs", made / "pairs", Steady(), footage=made / "footage")
