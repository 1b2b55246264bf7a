"""References in a view's own frame: exactly where the straight path has its results."""

import numpy as np
import pytest

from harmovid.evaluate import inview, run
from harmovid.evaluate.fidelity import psnr
from harmovid.evaluate.methods import method
from harmovid.evaluate.testsets import read_set
from harmovid.infer.views import ViewSize
from tests import figures
from tests.evaluate import recoloured

VIEW = ViewSize(area=32 * 32)
UNTOUCHED = method("untouched", "network")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inview")
    with pytest.MonkeyPatch.context() as patch:
        recoloured.make(folder, patch)
    return folder / "set"


def test_the_untouched_composite_lies_over_its_references(made):
    assert run.run_methods(made, [UNTOUCHED], views={UNTOUCHED.name: VIEW}) == {UNTOUCHED.name: {}}
    items = list(read_set(made).items)
    place = inview.references(made, items, VIEW)
    for item in items:
        name = f"{item.name}.mkv"
        result = figures.read(made / "results" / "untouched__network" / name)[0]
        source, truth, mask = (figures.read(place / role / name)[0] for role in ("foreground", "truth", "mask"))
        assert result.shape == source.shape == truth.shape and mask.shape[:3] == result.shape[:3]
        inside = (mask[..., 0] == 1).astype(np.float32)
        assert psnr(result, source, inside) > 45 > psnr(result, truth, inside)


def test_rows_are_of_the_small_pictures_and_what_is_there_stays(made):
    out = made / "results" / "untouched__network"
    run.run_methods(made, [UNTOUCHED], views={UNTOUCHED.name: VIEW})
    rows = run.score_set(made, [out], view=VIEW)[0]
    width, height = rows[0]["width"], rows[0]["height"]
    assert width * height == pytest.approx(32 * 32, rel=0.3) and width % 16 == height % 16 == 0
    for row in rows:
        assert row["foreground_psnr"] == pytest.approx(row["nothing_foreground_psnr"], abs=0.3)
        assert row["background_exact"] is None
    items = list(read_set(made).items)
    before = {path: path.stat().st_mtime_ns for path in (made / "views").rglob("*.mkv")}
    told = []
    inview.references(made, items, VIEW, progress=lambda *step: told.append(step))
    assert before == {path: path.stat().st_mtime_ns for path in before} and told[-1][1:] == (4, 4)


def test_a_beginning_has_references_of_its_own(made):
    items = list(read_set(made).items)[:1]
    place = inview.references(made, items, VIEW, end=1)
    assert len(figures.read(place / "truth" / f"{items[0].name}.mkv")[0]) == 1
    assert place != inview.references(made, items, VIEW)


def test_items_of_one_clip_share_its_references_and_no_others(made):
    items = list(read_set(made).items)
    place = inview.references(made, items, ViewSize(area=48 * 48))
    clips: dict[str, list[str]] = {}
    for item in items:
        clips.setdefault(item.clip, []).append(item.name)
    assert len(clips) > 1 and any(len(names) > 1 for names in clips.values())
    for role, files in (("truth", len(clips)), ("mask", len(clips)), ("foreground", len(items))):
        assert len({(place / role / f"{item.name}.mkv").stat().st_ino for item in items}) == files
    for names in clips.values():
        assert len({(place / "truth" / f"{name}.mkv").stat().st_ino for name in names}) == 1
