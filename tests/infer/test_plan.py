from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harmovid.errors import HarmoVidError, InputError, OptionError, OutputError
from harmovid.infer.plan import Options, Plan, plan
from harmovid.infer.transfer import TransferConfig
from harmovid.video.clip import Clip
from harmovid.video.color import SCENE_LINEAR, SRGB, ColorTags

HLG = ColorTags("bt2020", "hlg")
NTSC = Fraction(30000, 1001)


def clip(name: str = "clip.mkv", frames: int = 10, size: tuple[int, int] = (64, 48), rate: Fraction = Fraction(25),
         **fields: Any) -> Clip:
    """A clip as a probe gives it; there is no file behind."""
    return Clip(Path("in") / name, *size, frames, rate, np.arange(frames), **fields)


def still(name: str = "still.png", **fields: Any) -> Clip:
    return clip(name, 1, files=(Path("in") / name,), **fields)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def made(foreground: Clip | None = None, background: Clip | None = None, mask: Clip | None = None,
         output: str = "out.mkv", **options: Any) -> Plan:
    foreground = foreground or clip("fg.mkv", alpha=mask is None)
    return plan(foreground, background or clip("bg.mkv"), mask, output, Options(**options))


# --- what is shown when

def test_the_plainest_run_shows_each_frame_once() -> None:
    work = made()
    for index in (work.foreground_index, work.mask_index, work.background_index):
        assert index.tolist() == list(range(10))
    assert len(work) == 10 and work.notes == () and work.size == (64, 48) and work.rate == 25
    assert work.foreground_place.trivial and work.background_place.trivial and work.mask_place.trivial


@pytest.mark.parametrize(("fit", "shown", "word"), [
    (None, [0, 1, 2, 3, 2, 1, 0, 1, 2, 3], "back and forth"),
    ("pingpong", [0, 1, 2, 3, 2, 1, 0, 1, 2, 3], "back and forth"),
    ("loop", [0, 1, 2, 3, 0, 1, 2, 3, 0, 1], "starts again"), ("trim", [0, 1, 2, 3], "cut"),
])
def test_a_shorter_background(fit: Any, shown: list[int], word: str) -> None:
    work = made(background=clip("bg.mkv", 4), fit=fit)
    assert work.background_index.tolist() == shown and len(work) == len(work.mask_index) == len(shown)
    assert len(work.notes) == 1 and word in work.notes[0] and ("--fit" in work.notes[0]) == (fit is None)


def test_rates_are_matched_by_time_and_the_foreground_keeps_its_own() -> None:
    work = made(clip("fg.mkv", 9, rate=Fraction(24), alpha=True), clip("bg.mkv", 12, rate=NTSC))
    assert work.rate == 24 and work.background_index.tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9] and work.notes == ()


def test_pictures_without_a_rate_are_shown_frame_by_frame() -> None:
    pictures = {"rate": Fraction(24), "rate_known": False}
    work = made(clip("fg.mkv", alpha=True), clip("bg", **pictures))
    assert work.rate == 25 and work.background_index.tolist() == list(range(10)) and "at the other" in work.notes[0]
    work = made(clip("fg", alpha=True, **pictures), clip("bg.mkv"))
    assert work.rate == 25 and work.background_index.tolist() == list(range(10)) and "foreground: " in work.notes[0]
    work = made(clip("fg", alpha=True, **pictures), clip("bg", **pictures))
    assert work.rate == 24 and work.notes == ()
    assert made(clip("fg", alpha=True, rate=Fraction(24)), clip("bg.mkv")).rate == 24


def test_a_still_background_lasts_for_ever() -> None:
    work = made(background=still())
    assert work.background_index.tolist() == [0] * 10 and work.notes == ()


def test_a_still_foreground_is_one_frame() -> None:
    work = made(still("fg.png", alpha=True), output="out.png")
    assert len(work) == 1 and work.background_index.tolist() == [0] and work.target.kind == "still"


def test_start_and_end_take_a_stretch_before_the_background_from_its_beginning() -> None:
    work = made(start=3, end=7)
    assert work.foreground_index.tolist() == work.mask_index.tolist() == [3, 4, 5, 6]
    assert work.background_index.tolist() == [0, 1, 2, 3]
    assert made(start=3, end=7, background_start=3).background_index.tolist() == [3, 4, 5, 6]
    short = clip("bg.mkv", 5)
    assert made(background=short, start=6, background_start=3).background_index.tolist() == [3, 4, 3, 2]
    assert made(background=short, start=6, background_start=3, fit="loop").background_index.tolist() == [3, 4, 0, 1]
    trimmed = made(background=short, start=6, background_start=3, fit="trim")
    assert trimmed.background_index.tolist() == [3, 4] and "lasts 0.08 s of 0.16 s" in trimmed.notes[0]
    with pytest.raises(OptionError, match="--background-start 5 lies outside the background, which has 5 frames"):
        made(background=short, background_start=5)
    assert made(end=100).foreground_index[-1] == 9


@pytest.mark.parametrize("options", [{"start": 10}, {"start": -1}, {"start": 5, "end": 5}, {"end": 0}])
def test_an_empty_stretch_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(OptionError, match=r"--start|--end"):
        made(**options)


@pytest.mark.parametrize(("preview", "shown"), [(1, [0]), (2, [0, 9]), (4, [0, 3, 6, 9]), (10, list(range(10))),
                                                (99, list(range(10)))])
def test_a_preview_is_spread_over_the_clip(preview: int, shown: list[int]) -> None:
    work = made(clip("fg.mkv"), clip("bg.mkv", 5), clip("mask.mkv"), preview=preview, fit="loop")
    assert work.foreground_index.tolist() == work.mask_index.tolist() == shown
    assert work.background_index.tolist() == [i % 5 for i in shown]


def test_a_preview_does_not_go_among_other_pictures(tmp_path: Path) -> None:
    (tmp_path / "f.0003.png").touch()
    with pytest.raises(OutputError, match=r"f\.%04d\.png has 1 pictures, and a preview's frames"):
        plan(clip("fg.mkv", alpha=True), clip("bg.mkv"), None, "f.%04d.png", Options(preview=2), overwrite=True)
    assert len(made(output="g.%04d.png", preview=2)) == 2


def test_frames_of_a_preview_are_no_neighbours() -> None:
    work = made(preview=3, steady=2)
    assert work.options.transfer.temporal_sigma == 0 and work.options.steady == 0


# --- the mask

def test_a_mask_of_another_length_is_refused_with_both_lengths() -> None:
    with pytest.raises(InputError, match=r"8 frames.*10.*--fit trim"):
        made(clip("fg.mkv"), mask=clip("mask.mkv", 8))
    with pytest.raises(InputError, match="12 frames"):
        made(clip("fg.mkv"), mask=clip("mask.mkv", 12))


def test_trim_cuts_to_the_shorter_mask_and_passes_over_a_longer_one() -> None:
    work = made(clip("fg.mkv"), mask=clip("mask.mkv", 8), fit="trim")
    assert len(work) == 8 and "8" in work.notes[0]
    work = made(clip("fg.mkv"), mask=clip("mask.mkv", 12), fit="trim")
    assert work.mask_index.tolist() == list(range(10))


def test_a_still_mask_is_held() -> None:
    work = made(clip("fg.mkv"), mask=still("mask.png"), start=2)
    assert work.mask_index.tolist() == [0] * 8 and "every frame" in work.notes[0]


def test_a_mask_made_of_the_stretch_alone() -> None:
    work = made(clip("fg.mkv"), mask=clip("mask.mkv", 4), start=3, end=7)
    assert work.foreground_index.tolist() == [3, 4, 5, 6] and work.mask_index.tolist() == [0, 1, 2, 3]


def test_a_mask_made_of_the_preview_alone() -> None:
    work = made(clip("fg.mkv"), mask=clip("mask.mkv", 3), preview=3)
    assert work.foreground_index.tolist() == [0, 4, 9] and work.mask_index.tolist() == [0, 1, 2]


def test_a_mask_of_the_stored_frames_of_a_clip_of_variable_rate() -> None:
    source = np.array([0, 0, 1, 2, 2, 2, 3, 4, 4, 5])
    foreground = replace(clip("fg.mkv"), source_index=source, timestamps=np.arange(6))
    work = made(foreground, mask=clip("mask.mkv", 6))
    assert work.mask_index.tolist() == source.tolist() and "6" in work.notes[0]


@pytest.mark.parametrize("reading", ["stretch", "preview", "stored"])
def test_trim_leaves_a_mask_that_fits_as_it_is(reading: str) -> None:
    foreground, background = clip("fg.mkv"), clip("bg.mkv", 5)
    if reading == "stretch":
        work = made(foreground, background, clip("mask.mkv", 6), fit="trim", start=4)
        assert work.foreground_index.tolist() == [4, 5, 6, 7, 8] and work.mask_index.tolist() == [0, 1, 2, 3, 4]
    elif reading == "preview":
        work = made(foreground, background, clip("mask.mkv", 3), fit="trim", preview=3)
        assert work.foreground_index.tolist() == [0, 2, 4] and work.mask_index.tolist() == [0, 1, 2]
    else:
        source = np.array([0, 0, 1, 2, 2, 2, 3, 4, 4, 5])
        foreground = replace(foreground, source_index=source, timestamps=np.arange(6))
        assert made(foreground, background, clip("mask.mkv", 6), fit="trim").mask_index.tolist() == [0, 0, 1, 2, 2]


def test_a_mask_made_of_frames_that_are_told() -> None:
    frames = [3, 5, 7, 9]
    work = plan(clip("fg.mkv"), clip("bg.mkv", 7), clip("mask.mkv", 4), "out.mkv",
                Options(fit="trim", start=3, preview=4), mask_frames=frames)
    assert work.foreground_index.tolist() == frames and work.mask_index.tolist() == [0, 1, 2, 3] and len(work) == 4


def test_no_mask_and_no_alpha_is_refused_with_the_way_out() -> None:
    with pytest.raises(InputError, match=r"--mask.*harmovid matte"):
        plan(clip("fg.mkv"), clip("bg.mkv"), None, "out.mkv", Options())


@pytest.mark.parametrize("size", [(32, 24), (128, 96), (65, 48), (22, 16), (640, 480)])
def test_a_mask_of_the_same_framing_is_scaled(size: tuple[int, int]) -> None:
    work = made(clip("fg.mkv"), mask=clip("mask.mkv", size=size))
    assert work.mask_place.source == size and work.mask_place.rect == (0, 0, 64, 48)
    assert work.mask_place.place(np.ones(size[::-1], np.float32)).shape == (48, 64)


@pytest.mark.parametrize("size", [(48, 64), (64, 64), (128, 72)])
def test_a_mask_of_another_framing_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=f"{size[0]}×{size[1]}"):
        made(clip("fg.mkv"), mask=clip("mask.mkv", size=size))


def test_the_mask_goes_where_the_foreground_goes() -> None:
    work = made(clip("fg.mkv"), clip("bg.mkv", size=(200, 100)), clip("mask.mkv", size=(32, 24)), canvas="background",
                scale=0.5, position=(0, 1))
    assert work.size == (200, 100) and work.foreground_place.rect == work.mask_place.rect == (0, 50, 67, 50)
    assert work.background_place.trivial


# --- the frame

def test_the_background_covers_and_the_foreground_is_contained() -> None:
    portrait, landscape = clip("fg.mkv", size=(54, 96), alpha=True), clip("bg.mkv", size=(96, 54))
    work = made(portrait, landscape)
    assert work.size == (54, 96) and work.background_place.rect == (-58, 0, 171, 96)
    work = made(portrait, landscape, canvas="background")
    assert work.size == (96, 54) and work.foreground_place.rect == (33, 0, 30, 54)


@pytest.mark.parametrize("options", [{"place": "contain"}, {"scale": 0.5}, {"position": (1.5, 0.5)}])
def test_a_background_that_leaves_a_part_bare_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="bare"):
        made(background=clip("bg.mkv", size=(96, 48)), **options)


def test_a_place_outside_of_the_picture_is_named_and_not_the_mask() -> None:
    with pytest.raises(OptionError, match="bare; keep both numbers of --position between 0 and 1"):
        made(background=clip("bg.mkv", size=(96, 48)), position=(1.5, 0.5))
    with pytest.raises(OptionError, match=r"with --position 3,0\.5 the foreground lies outside of the picture"):
        made(clip("fg.mkv"), clip("bg.mkv", size=(200, 100)), clip("mask.mkv"), canvas="background", scale=0.5,
             position=(3, 0.5))
    made(clip("fg.mkv"), clip("bg.mkv", size=(200, 100)), clip("mask.mkv"), canvas="background", position=(1.1, 0.5))


SIZES = st.tuples(st.integers(2, 300), st.integers(2, 300))
CANVASES = st.sampled_from(["foreground", "background"])
MODES = st.sampled_from([None, "cover", "contain", "stretch"])


@settings(deadline=None, max_examples=80)
@given(SIZES, SIZES, CANVASES, MODES, st.floats(0.2, 2), st.floats(0, 1), st.integers(1, 30), st.integers(1, 30),
       st.sampled_from([None, "trim", "loop"]), st.none() | st.integers(1, 12))
def test_any_plan_that_is_made_can_be_followed(front: Any, behind: Any, canvas: Any, mode: Any, scale: float, at: float,
                                               frames: int, others: int, fit: Any, preview: Any) -> None:
    try:
        work = made(clip("fg.mkv", frames, front, alpha=True), clip("bg.mkv", others, behind), canvas=canvas,
                    place=mode, scale=scale, position=(at, at), fit=fit, preview=preview)
    except OptionError:
        assume(False)
    assert work.size == (front if canvas == "foreground" else behind)
    assert len(work.foreground_index) == len(work.mask_index) == len(work.background_index) == len(work) > 0
    assert work.foreground_index.max() < frames and work.background_index.max() < others
    for placement in (work.foreground_place, work.background_place, work.mask_place):
        assert placement.canvas == work.size
    x, y, width, height = work.background_place.rect
    assert x <= 0 and y <= 0 and x + width >= work.size[0] and y + height >= work.size[1]


def test_a_picture_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(InputError, match="16384"):
        made(clip("fg.mkv", size=(20000, 8), alpha=True))


# --- what is written

@pytest.mark.parametrize(("output", "tags", "bits"), [
    ("out.mkv", HLG, 10), ("out.mov", HLG, 10), ("out.mp4", SRGB, 10), ("out", SRGB, 10),
    ("out.%04d.exr", SCENE_LINEAR, 10),
])
def test_the_result_has_the_backgrounds_colour_where_the_file_can(output: str, tags: ColorTags, bits: int) -> None:
    work = made(background=clip("bg.mkv", tags=HLG, bits=10), output=output)
    assert work.tags == tags and work.bits == bits
    assert any("cut off" in note for note in work.notes) == (tags == SRGB)


def test_a_scene_linear_background_is_encoded_for_display() -> None:
    work = made(background=clip("bg.exr", tags=SCENE_LINEAR, bits=32), output="out.mp4")
    assert work.tags == SRGB and "cut off" in work.notes[0]


def test_timecode_and_numbers_start_where_the_stretch_does() -> None:
    work = made(clip("fg.mkv", alpha=True, timecode="01:00:00:23"), start=3)
    assert work.timecode == "01:00:01:01"
    work = made(clip("fg.%04d.exr", alpha=True, start_number=1001), start=3, output="out.%04d.exr")
    assert work.start_number == 1004
    assert made().timecode is None and made().start_number == 0
    assert made(start=3).start_number == 3  # a stretch of a video goes over the same frames of a whole run


def test_a_timecode_that_cannot_be_read_is_left_out_with_a_note() -> None:
    work = made(clip("fg.mkv", alpha=True, timecode="noon"))
    assert work.timecode is None and "noon" in work.notes[0]


def test_odd_sides_are_noted_for_mp4_alone() -> None:
    odd = clip("fg.mkv", size=(63, 47), alpha=True)
    assert any("even" in note for note in made(odd, output="out.mp4").notes)
    assert not made(odd, output="out.mkv").notes


def test_notes_of_the_inputs_are_passed_on_by_name() -> None:
    work = made(clip("fg.mkv"), clip("bg.mkv", notes=("wobbly",)), clip("mask.mkv", notes=("torn",)))
    assert work.notes == ("background: wobbly", "mask: torn")


@pytest.mark.parametrize("options", [
    {"output": "gain", "detail": "network"}, {"output": "foreground", "detail": "network"},
])
def test_what_does_not_go_together_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="--detail network"):
        plan(clip("fg.mkv", alpha=True), clip("bg.mkv"), None, "out.mkv", Options(**options))


def test_alpha_needs_a_file_that_holds_it() -> None:
    with pytest.raises(OutputError, match="alpha"):
        plan(clip("fg.mkv", alpha=True), clip("bg.mkv"), None, "out.mp4", Options(output="foreground"))


@pytest.mark.parametrize("name", ["fg.mkv", "bg.mkv", "mask.mkv"])
def test_no_input_is_written_over(name: str) -> None:
    with pytest.raises(OutputError, match=name):
        plan(clip("fg.mkv"), clip("bg.mkv"), clip("mask.mkv"), f"in/{name}", Options(), overwrite=True)
    with pytest.raises(OutputError, match="compare"):
        plan(clip("fg.mkv"), clip("bg.mkv"), clip("mask.mkv"), "compare.mp4", Options(),
             also_inputs=(Path("compare.mp4"),))


def test_planning_touches_no_file(tmp_path: Path) -> None:
    made()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [
    {"strength": -0.1}, {"strength": 2.1}, {"strength": float("nan")}, {"edge": -1}, {"edge": 0.2}, {"preview": 0},
    {"steady": -1}, {"overlap": -0.1}, {"overlap": 1.0},
    {"transfer": TransferConfig(cell=0)}, {"transfer": TransferConfig(bins=1)},
    {"transfer": TransferConfig(temporal_sigma=-1)}, {"transfer": TransferConfig(detail=float("nan"))},
])
def test_options_without_a_meaning_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError) as caught:
        Options(**options)
    assert isinstance(caught.value, HarmoVidError) and "got" in str(caught.value)


def test_a_photo_before_a_video_lasts_as_long_as_the_video() -> None:
    work = made(still("photo.png", alpha=True), clip("street.mp4", 30, rate=NTSC))
    assert len(work) == 30 and work.rate == NTSC
    assert (work.foreground.source_index[work.foreground_index] == 0).all()
    assert work.background_index.tolist() == list(range(30))
    assert len(made(still("photo.png", alpha=True), clip("street.mp4", 30, rate=NTSC), output="out.png")) == 1
