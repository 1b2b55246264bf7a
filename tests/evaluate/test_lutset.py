"""Test sets of recoloured clips: what is chosen, what lies in the folders, and what a second run does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmovid.composite import matte
from harmovid.errors import InputError, OutputError
from harmovid.evaluate import lutset, score, testsets
from harmovid.evaluate.fidelity import psnr
from harmovid.evaluate.lutset import choose
from harmovid.evaluate.testsets import ROLES, read_set
from harmovid.light import lut
from tests import figures
from tests.evaluate import recoloured


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lut_set")
    with pytest.MonkeyPatch.context() as patch:
        return folder, recoloured.make(folder, patch)


def frames(path):
    return figures.read(path)[0]


def test_every_folder_has_every_name_and_the_real_clip_is_the_truth(made):
    folder, manifest = made
    names = {f"{item.name}.mkv" for item in manifest.items}
    assert len(names) == 4
    for role in ROLES:
        assert {path.name for path in (folder / "set" / role).iterdir()} == names
    for item in manifest.items:
        source = frames(folder / "data" / item.clip)
        assert figures.same(frames(folder / "set" / "truth" / f"{item.name}.mkv"), source).all()


def test_the_foreground_is_the_whole_clip_under_its_table(made):
    folder, manifest = made
    for item in manifest.items:
        truth = frames(folder / "set" / "truth" / f"{item.name}.mkv")
        table = lut.read_cube(folder / "luts" / f"{item.lut}.cube")
        expected = lut.apply(table, truth, item.strength)
        found = frames(folder / "set" / "foreground" / f"{item.name}.mkv")
        assert 0 < item.strength <= 1
        assert np.abs(found - expected).max() <= 0.5001 / 255


def test_the_background_is_the_clips_own_without_the_person(made):
    folder, manifest = made
    for item in manifest.items:
        name = f"{item.name}.mkv"
        truth, behind = (frames(folder / "set" / role / name) for role in ("truth", "background"))
        mask = frames(folder / "set" / "mask" / name)[..., 0]
        far = np.stack([matte.pseudo_alpha(m, 16) == 0 for m in mask])
        assert figures.same(behind, truth)[far].all()
        assert psnr(behind, truth, (mask >= 0.5).astype(np.float32)) < 30


def test_manifest_tells_the_psnr_of_the_composite(made):
    folder, manifest = made
    assert read_set(folder / "set") == manifest
    assert abs(np.mean([item.psnr for item in manifest.items]) - 16) < 1
    for item in manifest.items:
        name = f"{item.name}.mkv"
        own, behind, truth, mask = (frames(folder / "set" / role / name)
                                    for role in ("foreground", "background", "truth", "mask"))
        alpha = np.stack(list(testsets.alphas(folder / "set", item.name)))
        composite = np.stack([figures.over(*parts) for parts in zip(own, behind, alpha, strict=True)])
        expected = psnr(composite, truth, (mask[..., 0] >= 0.5).astype(np.float32))
        assert item.psnr == pytest.approx(expected, abs=0.05)
        assert 12 <= item.psnr <= 28


def test_score_finds_its_clips_by_name(made, tmp_path):
    folder, manifest = made
    rows = score.score_folder(folder / "set" / "foreground", tmp_path / "rows.jsonl", truth=folder / "set" / "truth",
                              masks=folder / "set" / "mask", background=folder / "set" / "background")
    assert [row["clip"] for row in rows] == sorted(item.name for item in manifest.items)
    assert all("error" not in row for row in rows)


def test_a_second_run_makes_what_is_missing_and_the_same_again(made, tmp_path, monkeypatch):
    folder, manifest = made
    lost, kept = (folder / "set" / "foreground" / f"{item.name}.mkv" for item in manifest.items[:2])
    before, other = lost.read_bytes(), kept.stat().st_mtime_ns
    lost.unlink()
    assert recoloured.make(folder, monkeypatch) == manifest
    assert lost.read_bytes() == before and kept.stat().st_mtime_ns == other
    again = recoloured.make(tmp_path, monkeypatch)
    assert again == manifest
    assert (tmp_path / "set" / "foreground" / lost.name).read_bytes() == before


def test_another_set_is_not_written_over(made, monkeypatch):
    folder, _ = made
    with pytest.raises(OutputError, match="other clips, tables or options"):
        recoloured.make(folder, monkeypatch, mean=17.0)


def test_bad_tables_and_unfinished_sets(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="expected 2 or more"):
        lutset.lut_set(tmp_path, tmp_path / "out", recoloured.luts(tmp_path / "luts")[:1], per_clip=2)
    with pytest.raises(InputError, match="is no test set: it holds no manifest"):
        read_set(tmp_path)
    folder = recoloured.data(tmp_path / "data")
    mask = folder / "portraits_video" / "bob_mask.mp4"
    mask.unlink()
    figures.write(mask, np.zeros((1, 48, 64), np.float32))
    with pytest.raises(InputError, match=r"bob_mask.mp4 is 1 frames"):
        recoloured.make(tmp_path, monkeypatch)
    with pytest.raises(InputError, match="is no test set"):
        read_set(tmp_path / "set")


@given(st.integers(2, 40), st.integers(1, 4), st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_choice_has_the_mean_and_spread_asked_for(clips, per_clip, seed):
    alone = np.random.default_rng(seed).uniform(12.5, 26, (clips, 30))
    alone[:, 0] = 12.3  # one table that is strong on everybody
    chosen = choose(alone, per_clip, 18.0)
    reached = [alone[i, number] - 20 * np.log10(strength)
               for i, pairs in enumerate(chosen) for number, strength in pairs]
    assert len(reached) == clips * per_clip
    assert abs(np.mean(reached) - 18) <= 1.001
    assert min(reached) > 12 and max(reached) < 28
    for pairs in chosen:
        assert len({number for number, _ in pairs}) == per_clip
        assert all(0 < strength <= 1 for _, strength in pairs)


def test_choice_spreads_over_the_tables_and_refuses_weak_ones():
    alone = np.full((24, 24), 12.2)
    counts = np.bincount([number for pairs in choose(alone, 2, 14.0) for number, _ in pairs], minlength=24)
    assert set(counts) == {2}
    with pytest.raises(InputError, match="stronger ones"):
        choose(np.full((4, 8), 27.0), 2, 18.0)


def test_footage_whose_list_names_no_clip_of_the_split_makes_no_set(tmp_path):
    (tmp_path / "split.csv").write_text("file,person,split,note\nportraits_video/a.mp4,anna,train,\n")
    with pytest.raises(InputError, match="split list names no clip of test for this set"):
        lutset.lut_set(tmp_path, tmp_path / "set", recoloured.luts(tmp_path / "luts"), "test", 2)
    assert not (tmp_path / "set").exists()
