"""Sets whose light jumps: how far, about what, and the same again."""

import numpy as np
import pytest

from harmovid.errors import InputError, OptionError
from harmovid.evaluate import jitterset
from harmovid.evaluate.testsets import read_set
from harmovid.light import lut
from tests import figures
from tests.evaluate import recoloured


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jitter")
    with pytest.MonkeyPatch.context() as patch:
        data = recoloured.footage(folder / "data", patch)
        return folder, jitterset.jitter_set(data, folder / "set", recoloured.luts(folder / "luts"))


def frames(folder, role, item):
    return figures.read(folder / "set" / role / f"{item.name}.mkv")[0]


def test_variants_in_turn_and_of_growing_amount(made):
    folder, manifest = made
    assert read_set(folder / "set") == manifest and manifest.kind == "jitter"
    assert [item.variant for item in manifest.items[:4]] == ["global 0.5", "local 0.5", "global 1", "local 1"]
    weak, strong = ([item.psnr for item in manifest.items if item.strength == amount] for amount in (0.5, 1.0))
    assert np.mean(weak) > np.mean(strong) + 3


def test_global_jumps_are_those_of_the_manifest_and_have_no_mean(made):
    folder, manifest = made
    for item in manifest.items:
        if item.settings:
            truth, found = frames(folder, "truth", item), frames(folder, "foreground", item)
            worn, strengths = item.settings["tables"], item.settings["strengths"]
            for t, rgb in enumerate(truth):
                table = lut.read_cube(folder / "luts" / f"{worn[t]}.cube")
                expected = np.clip(lut.apply(table, rgb, strengths[t]), 0, 1)
                assert np.abs(found[t] - expected).max() <= 0.5001 / 255
            assert len(set(strengths)) == len(truth) and min(strengths) < 0 < max(strengths)


def test_local_jumps_are_smooth_in_space_and_not_in_time(made):
    folder, manifest = made
    item = next(item for item in manifest.items if item.variant == "local 1")
    truth, found = frames(folder, "truth", item), frames(folder, "foreground", item)
    gain = np.log2((found + 0.02) / (truth + 0.02)).mean(-1)[:, 8:40, 16:48]  # within the person's box
    across = np.abs(np.diff(gain, axis=2)).mean()
    in_time = np.abs(np.diff(gain, axis=0)).mean()
    assert in_time > 3 * across and gain.std(axis=(1, 2)).mean() > 0.05


def test_the_same_again_and_only_what_is_missing(made, tmp_path, monkeypatch):
    folder, manifest = made
    data = recoloured.footage(tmp_path / "data", monkeypatch)
    luts = recoloured.luts(tmp_path / "luts")
    again = jitterset.jitter_set(data, tmp_path / "set", luts)
    assert again == manifest
    for item in manifest.items:
        assert np.array_equal(frames(folder, "foreground", item), frames(tmp_path, "foreground", item))
    lost, kept = (tmp_path / "set" / "foreground" / f"{item.name}.mkv" for item in manifest.items[:2])
    before, time = lost.read_bytes(), kept.stat().st_mtime_ns
    lost.unlink()
    assert jitterset.jitter_set(data, tmp_path / "set", luts) == manifest
    assert lost.read_bytes() == before and kept.stat().st_mtime_ns == time


def test_too_few_tables_or_items(tmp_path, monkeypatch):
    data = recoloured.footage(tmp_path / "data", monkeypatch)
    with pytest.raises(InputError, match="expected 3 or more"):
        jitterset.jitter_set(data, tmp_path / "set", recoloured.luts(tmp_path / "luts")[:2])
    with pytest.raises(OptionError, match="1 item or more"):
        jitterset.jitter_set(data, tmp_path / "set", recoloured.luts(tmp_path / "luts"), per_clip=0)
