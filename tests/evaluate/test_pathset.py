"""The path-traced set: its layout, what stands for what, and where its light comes from."""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from harmovid.errors import InputError, OptionError, OutputError
from harmovid.evaluate import pathset, run
from harmovid.evaluate.methods import method
from harmovid.evaluate.testsets import read_set
from harmovid.light import environment
from harmovid.lightstage import pathtrace
from harmovid.lightstage.scene import Camera, Performance
from harmovid.video.color import luminance
from tests import figures

SIZE = 48, 64
KEPT = {"limit": 2, "rotations": 4, "frames": 2, "size": SIZE, "samples": 4}


def perform(seed, frames, take):
    """Nobody, before a camera that looks along −z."""
    return Performance((), Camera(np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1)), 0.5), Fraction(24))


@pytest.fixture
def hdri(tmp_path):
    """Maps of one lamp each: of test at −z, at +x, and behind the camera, of which one is warm; and of validation."""
    folder = tmp_path / "hdri"
    folder.mkdir()
    names = *pathtrace.HELD_OUT_MAPS, *pathtrace.VALIDATION_MAPS
    colours = (1, 1, 1), (2, 1, 0.5), (1, 1, 1), *4 * [(1, 1, 1)]
    for name, column, colour in zip(names, (16, 24, 0, 4, 12, 20, 28), colours, strict=True):
        light = np.full((16, 32, 3), 0.2, np.float32)
        light[7:9, [column - 1, column]] = 40 * np.array(colour)
        cv2.imwrite(str(folder / f"{name}.hdr"), light[..., ::-1])
    return folder


@pytest.fixture
def tracer(monkeypatch):
    """In place of Mitsuba: a grey disc, brighter where the light is brighter on its side."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    alpha = np.clip(16 - np.hypot(y - 23.5, x - 31.5), 0, 1)

    def relit(performance, frame, environments, size, **kept):
        for light in environments:
            left, right = light[:, : light.shape[1] // 2].mean((0, 1)), light[:, light.shape[1] // 2 :].mean((0, 1))
            share = (x / SIZE[1])[..., None]
            colour = 0.5 * (left * (1 - share) + right * share)
            yield np.concatenate([colour * alpha[..., None], alpha[..., None]], -1).astype(np.float32)

    monkeypatch.setattr(pathtrace, "relit", relit)


def read(folder, role, item):
    return figures.read(folder / role / f"{item.name}.mkv")[0]


def test_a_person_in_every_light_and_filmed_in_one_of_another_place(tmp_path, hdri, tracer):
    out = tmp_path / "set"
    made = pathset.path_set(hdri, out, perform=perform, **KEPT)
    assert read_set(out) == made and made.kind == "pathtraced"
    assert len(made.items) == 2 * 3 * 4 and len(made.clips) == 2
    by_name = {item.name: item for item in made.items}
    assert {item.settings["rotation"] for item in made.items} == {0, 90, 180, 270}
    for item in made.items:
        source = by_name[item.settings["source"]]
        assert source.variant != item.variant and source.clip == item.clip
        assert figures.same(read(out, "foreground", item), read(out, "truth", source)).all()
        truth, behind, mask = (read(out, role, item) for role in ("truth", "background", "mask"))
        assert truth.shape == (2, *SIZE, 3)
        away = mask[..., :1].repeat(3, -1) == 0 if mask.ndim == 4 else (mask == 0)[..., None].repeat(3, -1)
        assert np.array_equal(truth[away], behind[away]) and 0.4 < away.mean() < 0.9
    sources = {(item.clip, item.variant): item.settings["source"] for item in made.items}
    assert all(item.settings["source"] == sources[item.clip, item.variant] for item in made.items)


def test_what_is_whole_is_left_and_other_options_are_refused(tmp_path, hdri, tracer):
    out = tmp_path / "set"
    made = pathset.path_set(hdri, out, perform=perform, **KEPT)
    (out / "foreground" / f"{made.items[5].name}.mkv").unlink()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix in (".mkv", ".npz")}
    assert pathset.path_set(hdri, out, perform=perform, **KEPT) == made
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix in (".mkv", ".npz")}
    assert len(after) == len(before) + 1
    assert all(after[path] == time for path, time in before.items() if path.stem != made.items[5].name)
    with pytest.raises(OutputError, match="another folder"):
        pathset.path_set(hdri, out, perform=perform, **{**KEPT, "samples": 8})


def test_it_is_run_and_scored(tmp_path, hdri, tracer):
    out = tmp_path / "set"
    made = pathset.path_set(hdri, out, perform=perform, **{**KEPT, "limit": 1, "rotations": 1})
    results = out / "results" / "untouched"
    assert run.run_methods(out, [method("untouched")]) == {"untouched": {}}
    rows = {row["clip"]: row for row in run.score_set(out, [results])[0]}
    assert len({item.psnr for item in made.items}) > 1
    for item in made.items:
        assert rows[item.name]["foreground_psnr"] == pytest.approx(item.psnr, abs=0.3)  # the edge is unmixed first
        assert rows[item.name]["background_exact"] > 0.99


def test_the_dominant_light_of_one_lamp_is_its_direction_and_turns_with_it():
    light = np.zeros((32, 64, 3), np.float32)
    light[10, 40] = 3, 2, 1
    vector, share = pathset.dominant_light(light)
    np.testing.assert_allclose(vector, environment.directions(32)[10, 40], atol=1e-6)
    assert share == pytest.approx(1, abs=1e-6)
    x, y, z = vector
    turned, _ = pathset.dominant_light(pathtrace.rotated(light, 0.25))  # −z goes to +x, so x to +z
    np.testing.assert_allclose(turned, [-z, y, x], atol=1e-6)
    assert pathset.dominant_light(np.ones((32, 64, 3), np.float32))[1] == pytest.approx(0, abs=1e-6)
    # As much light from everywhere as from the lamp: half of it is directed.
    power = (luminance(light) * environment.solid_angles(32)).sum()
    mixed, half = pathset.dominant_light(light + power / (4 * np.pi))
    np.testing.assert_allclose(mixed, vector, atol=1e-5)
    assert half == pytest.approx(0.5, abs=1e-5)


def test_light_is_told_in_the_frame_of_the_camera(tmp_path, hdri, tracer):
    made = pathset.path_set(hdri, tmp_path / "set", perform=perform, **{**KEPT, "limit": 1})
    told = {(item.variant, item.settings["rotation"]): item.settings for item in made.items}
    behind, right, front = pathtrace.HELD_OUT_MAPS
    assert told[behind, 0]["off_axis"] < 8 and told[front, 0]["off_axis"] > 172
    assert told[right, 0]["off_axis"] == pytest.approx(90, abs=8) and told[right, 0]["light"][0] > 0.99
    assert told[behind, 90]["light"][0] > 0.99 and told[behind, 270]["light"][0] < -0.99
    assert told[front, 180]["off_axis"] < 8 and told[behind, 0]["directed"] > 0.3


def test_validation_has_people_and_maps_of_its_own(tmp_path, hdri, tracer):
    test, validation = (pathset.path_set(hdri, tmp_path / name, split=name, perform=perform,
                                         **{**KEPT, "rotations": 1}) for name in ("test", "validation"))
    assert validation.split == "validation" and len(validation.items) == 2 * 4 and len(validation.clips) == 2
    assert not {item.variant for item in test.items} & {item.variant for item in validation.items}
    assert not set(test.clips) & set(validation.clips)
    with pytest.raises(OptionError, match="test or validation, got 'train'"):
        pathset.path_set(hdri, tmp_path / "other", split="train")
    with pytest.raises(OutputError):
        pathset.path_set(hdri, tmp_path / "test", split="validation", perform=perform, **{**KEPT, "rotations": 1})


def test_what_is_missing_is_said(tmp_path, hdri):
    with pytest.raises(OptionError, match="1 person or more, got 0"):
        pathset.path_set(hdri, tmp_path / "set", 0)
    (hdri / "studio_small_03.hdr").unlink()
    with pytest.raises(InputError, match=r"lacks studio_small_03\.hdr"):
        pathset.path_set(hdri, tmp_path / "set")
    assert not (tmp_path / "set").exists()


@pytest.mark.slow
def test_made_people_are_path_traced(tmp_path, hdri):
    pytest.importorskip("anny", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")
    pytest.importorskip("mitsuba_oidn", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")
    made = pathset.path_set(hdri, tmp_path / "set", 1, rotations=1, frames=1, size=(32, 32), samples=4)
    assert len(made.items) == 3 and all(5 < item.psnr < 40 for item in made.items)


MOVING = {**KEPT, "limit": 1, "rotations": 2, "frames": 6}


def test_in_moving_light_the_place_turns_while_the_source_stands_still(tmp_path, hdri, tracer):
    out = tmp_path / "set"
    made = pathset.path_set(hdri, out, moving=True, perform=perform, **MOVING)
    assert read_set(out) == made and len(made.items) == 3 * 2 and made.kind == "moving"
    assert {item.settings["begins"] for item in made.items} == {0, 180}
    shown = []
    for item in made.items:
        assert item.settings["passing"] == [0, 6] and "rotation" not in item.settings
        truth, behind, front = (read(out, role, item).astype(float) for role in ("truth", "background", "foreground"))
        moved, seen, still = (np.abs(np.diff(pictures, axis=0)).mean() for pictures in (truth, behind, front))
        assert moved > 0 and still == 0
        shown.append(seen)
    assert sum(seen > 0 for seen in shown) >= 3  # where the lamp passes behind the person
    # The first frame is that of the place as it stands, the last that of half a turn.
    stood = pathset.path_set(hdri, tmp_path / "still", perform=perform, **MOVING)
    for first, half in zip(stood.items[::2], stood.items[1::2], strict=True):
        turning, whole, turned = (np.load(folder / "clips" / f"{name}.npz")["rgba"] for folder, name in (
            (out, first.name), (tmp_path / "still", first.name), (tmp_path / "still", half.name)))
        assert np.array_equal(turning[0], whole[0]) and np.array_equal(turning[-1], turned[-1])
        assert not np.array_equal(turning[1:], whole[1:])
    with pytest.raises(OutputError, match="another"):
        pathset.path_set(hdri, out, perform=perform, **MOVING)


def test_moving_light_is_scored_by_how_it_is_followed(tmp_path, hdri, tracer, monkeypatch):
    def lit_from_before(performance, frame, environments, size, **kept):
        y, x = np.mgrid[: SIZE[0], : SIZE[1]]
        alpha = (np.hypot(y - 23.5, x - 31.5) < 16).astype(np.float32)[..., None]
        for light in environments:
            colour = 0.1 + light[:, 8:24].mean((0, 1)) * (0.2 + 0.1 * np.sin(x / 3))[..., None]
            yield np.concatenate([colour * alpha, alpha], -1).astype(np.float32)

    monkeypatch.setattr(pathtrace, "relit", lit_from_before)
    out = tmp_path / "set"
    made = pathset.path_set(hdri, out, moving=True, perform=perform, **MOVING)
    assert run.run_methods(out, [method("untouched")]) == {"untouched": {}}
    nothing, exact = ({row["clip"]: row for row in rows}
                      for rows in run.score_set(out, [out / "results" / "untouched", out / "truth"]))
    assert len(exact) == len(made.items)
    for name, row in exact.items():
        assert row["movement_correlation"] == pytest.approx(1) and row["movement_slope"] == pytest.approx(1)
        assert abs(nothing[name]["movement_slope"]) < 0.2
