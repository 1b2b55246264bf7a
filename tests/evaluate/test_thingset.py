"""Sets of things: padded for networks, and scored without the padding."""

import numpy as np

from harmovid.evaluate import run, thingset
from harmovid.evaluate.methods import method
from harmovid.evaluate.testsets import ROLES, read_set
from tests import figures
from tests.evaluate import recoloured


def test_the_padding_repeats_the_last_frame_and_is_not_scored(tmp_path, monkeypatch):
    data = recoloured.footage(tmp_path / "data", monkeypatch)
    out = tmp_path / "set"
    made = thingset.thing_set(data, out, recoloured.luts(tmp_path / "luts"), per_clip=2, mean=16.0)
    assert read_set(out) == made and made.kind == "things" and made.clips == ("objects_video/cat.mp4",)
    for item in made.items:
        assert item.frames == 6
        for role in ROLES:
            frames = figures.read(out / role / f"{item.name}.mkv")[0]
            assert len(frames) == 9 and (frames[6:] == frames[5]).all()
    assert run.run_methods(out, [method("untouched")]) == {"untouched": {}}
    rows = run.score_set(out, [out / "results" / "untouched"])[0]
    assert [row["frames"] for row in rows] == [6, 6]
    # What stands in the padding is of no consequence.
    result = out / "results" / "untouched" / f"{made.items[0].name}.mkv"
    frames = figures.read(result)[0]
    frames[6:] = 0
    result.unlink()
    figures.write(result, frames)
    again = run.score_set(out, [out / "results" / "untouched"])[0]
    assert np.isclose(rows[0]["foreground_psnr"], again[0]["foreground_psnr"])
