import json
import math
import os
import tracemalloc

import cv2
import numpy as np
import pytest
import torch

from harmovid.errors import InputError, OptionError, OutputError
from harmovid.evaluate import shots
from harmovid.evaluate.fidelity import psnr, rmse, texture
from harmovid.evaluate.measures import COLUMNS, NOTHING, PSNR_CEILING, Measures, Step, Tools
from harmovid.evaluate.motion import Dis
from harmovid.evaluate.perceptual import LpipsNetwork
from harmovid.evaluate.rows import read_rows, summary, table
from harmovid.evaluate.score import find_clips, score_folder, score_folders
from harmovid.evaluate.temporal import luminance_jitter

FRAMES, HEIGHT, WIDTH = 4, 32, 40
MOVEMENT = {"movement_correlation", "movement_slope", "nothing_movement_correlation", "nothing_movement_slope"}
WITHOUT_LIGHT = {"step_response", "nothing_step_response", "step_size", "nothing_step_size", *MOVEMENT}
WITH_TOOLS = {"frame_lpips", "foreground_lpips", "identity", "steadiness", "nothing_steadiness", "frame_motion",
              "foreground_motion", "nothing_foreground_motion", "foreground_warping", "nothing_foreground_warping"}


def picture(seed, frames=FRAMES, height=HEIGHT, width=WIDTH):
    """(T, H, W, 3) 8-bit codes with texture."""
    rng = np.random.default_rng(seed)
    return np.stack([cv2.GaussianBlur(rng.integers(20, 236, (height, width, 3)).astype(np.uint8), (0, 0), 0.8)
                     for _ in range(frames)])


def write(folder, codes):
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(codes):
        cv2.imwrite(str(folder / f"{number:04d}.png"), frame[..., ::-1] if frame.ndim == 3 else frame)


def matte():
    codes = np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
    codes[:, :, 8:] = 255
    return codes


class Colours:
    """An embedder: the frame's mean colour."""

    name = "mean colour"

    def embed(self, frames):
        return frames.mean((1, 2))


@pytest.fixture
def bench(tmp_path):
    """Three clips a, b, c as folders of PNG, with all references; b is far off, c is the truth itself."""
    for number, name in enumerate("abc"):
        truth, background = picture(number), picture(number + 50)
        mask = matte()[..., None] / 255
        truth = np.rint(truth * mask + background * (1 - mask)).astype(np.uint8)
        source = np.rint(truth * 0.7).astype(np.uint8)
        result = {"a": np.rint(truth * 0.97), "b": np.rint(truth * 0.5), "c": truth}[name].astype(np.uint8)
        result = np.where(mask > 0, result, background)
        for role, codes in (("truth", truth), ("source", source), ("background", background),
                            ("masks", matte()), ("results", result)):
            write(tmp_path / role / name, codes)
    return tmp_path


def folders(bench, *roles):
    return {role: bench / role for role in roles or ("truth", "masks", "source", "background")}


def run(bench, *roles, out="r.jsonl", **options):
    return score_folder(bench / "results", bench / out, **folders(bench, *roles), **options)


def lines(report):
    return [json.loads(line) for line in report.read_text().splitlines()]


def load(folder):
    codes = np.stack([cv2.imread(str(path))[..., ::-1] for path in sorted(folder.iterdir())])
    return codes.astype(np.float32) / 255


class TestFigures:
    def test_rows_are_those_of_the_pure_functions(self, bench):
        rows = run(bench)
        assert [row["clip"] for row in rows] == ["a", "b", "c"]
        for row in rows[:2]:
            result, truth, source = (load(bench / role / row["clip"])
                                     for role in ("results", "truth", "source"))
            alpha = matte().astype(np.float32) / 255
            assert row["frame_psnr"] == pytest.approx(psnr(result, truth), abs=1e-4)
            assert row["foreground_psnr"] == pytest.approx(psnr(result, truth, alpha), abs=1e-4)
            assert row["foreground_rmse"] == pytest.approx(rmse(result, truth, alpha), rel=1e-5)
            assert row["texture"] == pytest.approx(texture(result, source, alpha), abs=1e-5)
            assert row["luminance_jitter"] == pytest.approx(luminance_jitter(result, truth, alpha), abs=1e-6)
            assert row["nothing_foreground_psnr"] == pytest.approx(psnr(source, truth, alpha), abs=1e-4)
            nothing = luminance_jitter(source, truth, alpha)
            assert row["nothing_luminance_jitter"] == pytest.approx(nothing, abs=1e-6)
            assert row["background_exact"] == 1 and row["background_difference"] == 0
            assert (row["frames"], row["width"], row["height"]) == (FRAMES, WIDTH, HEIGHT)

    def test_equal_pictures_have_the_ceiling_not_infinity(self, bench):
        row = run(bench)[2]
        assert row["frame_psnr"] == row["foreground_psnr"] == PSNR_CEILING
        assert row["frame_rmse"] == 0 and row["luminance_jitter"] == 0
        assert "Infinity" not in (bench / "r.jsonl").read_text()

    @pytest.mark.parametrize("roles, there", [
        (("truth",), {"frame_psnr", "frame_rmse", "frame_ssim"}),
        (("truth", "masks"), {"frame_psnr", "frame_rmse", "frame_ssim", "foreground_psnr", "foreground_rmse",
                              "foreground_ssim", "boundary_laplacian", "boundary_tenengrad", "luminance_jitter"}),
        (("masks", "source"), {"luminance_jitter", "texture"}),
        (("masks", "background"), {"background_exact", "background_difference"}),
        (("truth", "masks", "source", "background"), {*COLUMNS, *NOTHING} - WITH_TOOLS - WITHOUT_LIGHT),
    ])
    def test_what_was_not_given_is_null(self, bench, roles, there):
        for row in run(bench, *roles):
            assert {name for name in (*COLUMNS, *NOTHING) if row[name] is not None} == there
            assert {*COLUMNS, *NOTHING} <= row.keys()

    def test_other_tools_score_again_and_are_named(self, bench):
        run(bench)
        row = run(bench, tools=Tools(flow=Dis("fast")))[0]
        assert row["foreground_motion"] >= 0 and row["tools"] == {"motion and warping": "DIS fast"}
        assert len(lines(bench / "r.jsonl")) == 6
        assert "motion and warping: DIS fast" in table([row]).splitlines()

    def test_jitter_names_its_reference(self, bench):
        def reference(*roles):
            return run(bench, *roles)[0]["jitter_reference"]

        assert reference("truth", "masks", "source") == "truth"
        assert reference("masks", "source") == "source"
        assert reference("truth") is None

    def test_workers_threads_and_company_do_not_show(self, bench):
        torch.manual_seed(0)
        tools = Tools(LpipsNetwork(), Colours(), Colours(), Dis())  # particular, untrained as it is
        other = bench / "other"
        for name in "abc":
            write(other / name, np.rint(load(bench / "truth" / name) * 200).astype(np.uint8))
        found, lights = [], dict.fromkeys("abc", Step(2, -0.5))
        for workers, threads in ((1, 1), (1, 4), (3, 1), (2, 4)):
            before = cv2.getNumThreads(), torch.get_num_threads()
            cv2.setNumThreads(threads)
            torch.set_num_threads(threads)
            try:
                runs = [(folder, bench / f"{workers}{threads}{folder.name}.jsonl")
                        for folder in (bench / "results", other)]
                found += [score_folders(runs, **folders(bench), tools=tools, workers=workers, lights=lights)]
                assert (cv2.getNumThreads(), torch.get_num_threads()) == (threads, threads)
                assert read_rows(runs[1][1]) == found[-1][1]
            finally:
                cv2.setNumThreads(before[0])
                torch.set_num_threads(before[1])
        found += [[run(bench, out="alone.jsonl", tools=tools, lights=lights),
                   score_folder(other, bench / "other.jsonl", **folders(bench), tools=tools, lights=lights)]]
        figures = [[[row[name] for name in (*COLUMNS, *NOTHING) if name not in MOVEMENT]
                    for rows in both for row in rows] for both in found]
        assert None not in figures[0][0] and len(figures[0]) == 6
        for again in figures[1:]:
            np.testing.assert_allclose(np.array(again, float), np.array(figures[0], float), rtol=0, atol=1e-5)
        assert not np.allclose(figures[0][0], figures[0][3], rtol=0, atol=1e-3)

    def test_what_doing_nothing_scores_is_taken_from_another_report_of_the_same_references(self, bench, monkeypatch):
        first = run(bench)
        monkeypatch.setattr(Measures, "_of_nothing", lambda self: iter([]))
        runs = [(bench / "results", bench / "r.jsonl"), (bench / "truth", bench / "other.jsonl")]
        again, other = score_folders(runs, **folders(bench))
        assert again == first and [row[name] for row in other for name in NOTHING] == [
            row[name] for row in first for name in NOTHING]
        write(bench / "source" / "a", picture(77))
        assert {row["nothing_foreground_psnr"] is None for row in score_folders(runs, **folders(bench))[1]} == {
            True, False}

    def test_a_result_that_fails_leaves_its_company_alone(self, bench):
        for name in "abc":
            write(bench / "other" / name, np.rint(load(bench / "truth" / name) * 200).astype(np.uint8))
        (bench / "other" / "a" / "0002.png").write_bytes(b"")
        runs = [(bench / "results", bench / "1.jsonl"), (bench / "other", bench / "2.jsonl")]
        told = []
        one, other = score_folders(runs, **folders(bench), on_clip=lambda *call: told.append(call[1:]))
        assert one == run(bench) and told == [(done, 6) for done in range(1, 7)]
        assert "0002.png" in other[0]["error"] and [row["clip"] for row in other if "error" not in row] == ["b", "c"]

    def test_touched_background_shows(self, bench):
        codes = np.rint(load(bench / "results" / "a") * 255).astype(np.uint8)
        codes[0, 0, 0] ^= 4
        write(bench / "results" / "a", codes)
        row = run(bench)[0]
        assert row["background_exact"] == pytest.approx(1 - 1 / (FRAMES * HEIGHT * 8))
        assert row["background_difference"] == pytest.approx(4 / 255)

    def test_stills_and_longer_backgrounds_serve(self, bench):
        for role in ("masks", "background"):
            for path in (bench / role / "a").iterdir():
                path.unlink()
            (bench / role / "a").rmdir()
        cv2.imwrite(str(bench / "masks" / "a.png"), matte()[0])
        write(bench / "background" / "a", np.concatenate([picture(50), picture(9)]))
        row = run(bench)[0]
        assert "error" not in row and row["background_exact"] == 1

    def test_long_clips_take_no_more_memory(self, tmp_path):
        def peak(frames):
            base = tmp_path / str(frames)
            for role in ("results", "truth", "masks"):
                write(base / role / "a", picture(1, frames))
            tracemalloc.start()
            row, = run(base, "truth", "masks")
            _, top = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert row["frames"] == frames and "error" not in row
            return top

        frame = HEIGHT * WIDTH * 3 * 4
        peak(4)
        assert peak(60) < peak(6) + 8 * frame


class TestResume:
    def test_scored_clips_are_not_read_again(self, bench, monkeypatch):
        first = run(bench)
        text = (bench / "r.jsonl").read_text()
        monkeypatch.setattr(shots, "read", lambda *_: pytest.fail("read again"))
        monkeypatch.setattr(shots, "open_clip", lambda *_: pytest.fail("opened again"))
        seen = []
        again = run(bench, on_clip=lambda *call: seen.append(call))
        assert again == first and (bench / "r.jsonl").read_text() == text
        assert seen == [("a", 1, 3), ("b", 2, 3), ("c", 3, 3)]

    @pytest.mark.parametrize("role", ["results", "truth", "masks", "source", "background"])
    def test_a_changed_file_is_scored_again(self, bench, role):
        run(bench)
        os.utime(bench / role / "b" / "0002.png", ns=(1, 1))
        rows = run(bench)
        assert [row["clip"] for row in lines(bench / "r.jsonl")] == ["a", "b", "c", "b"]
        assert read_rows(bench / "r.jsonl") == rows

    def test_other_options_and_references_score_again(self, bench):
        run(bench, "truth")
        run(bench, "truth", "masks")
        rows = run(bench, "truth", "masks", resize=True)
        assert len(lines(bench / "r.jsonl")) == 9
        assert read_rows(bench / "r.jsonl") == rows and rows[0]["foreground_psnr"] is not None

    @pytest.mark.parametrize("cut", [1, 5, 60])
    def test_a_line_torn_by_a_crash_is_mended(self, bench, cut):
        first = run(bench)
        whole = (bench / "r.jsonl").read_bytes()
        (bench / "r.jsonl").write_bytes(whole[:whole.rindex(b'{"clip"') + cut])
        assert run(bench) == first
        assert (bench / "r.jsonl").read_bytes() == whole

    def test_a_missing_last_newline_is_mended(self, bench):
        run(bench)
        whole = (bench / "r.jsonl").read_bytes()
        (bench / "r.jsonl").write_bytes(whole[:-1])
        run(bench)
        assert (bench / "r.jsonl").read_bytes() == whole

    def test_interrupted_between_clips_keeps_what_is_done(self, bench):
        def stop(name, done, total):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(bench, on_clip=stop)
        assert len(lines(bench / "r.jsonl")) == 1
        assert len(run(bench)) == 3
        assert sorted(row["clip"] for row in lines(bench / "r.jsonl")) == ["a", "b", "c"]

    @pytest.mark.parametrize("content", [b"\x00\x01 a film", b'{"other": 1}\n', b"[]\n",
                                         b'{"clip": "a"}\nnotes\n'])
    def test_some_other_file_is_left_alone(self, bench, content):
        (bench / "r.jsonl").write_bytes(content)
        with pytest.raises(InputError, match="no row of a score; name another file"):
            run(bench)
        assert (bench / "r.jsonl").read_bytes() == content

    def test_a_report_that_cannot_be_written(self, bench):
        with pytest.raises(OutputError, match="name another file"):
            score_folder(bench / "results", bench / "truth", **folders(bench))

    def test_reading_a_report_that_is_not_there(self, tmp_path):
        with pytest.raises(InputError, match="harmovid evaluate score"):
            read_rows(tmp_path / "none.jsonl")


class TestFailures:
    def scored(self, bench, *roles, **options):
        rows = run(bench, *roles, **options)
        assert [row["clip"] for row in rows if "error" not in row] == ["b", "c"]
        return rows[0]["error"]

    def test_a_damaged_clip_loses_no_other_and_is_tried_again(self, bench):
        kept = (bench / "results" / "a" / "0001.png").read_bytes()
        (bench / "results" / "a" / "0001.png").write_bytes(b"")
        error = self.scored(bench)
        assert "0001.png" in error and self.scored(bench) == error
        assert len(lines(bench / "r.jsonl")) == 3  # the same failure is not told twice
        (bench / "results" / "a" / "0001.png").write_bytes(kept)
        assert all("error" not in row for row in run(bench))

    def test_even_a_bug_loses_no_other(self, bench, monkeypatch):
        def faulty(clip, *indices):
            if clip.path == bench / "truth" / "a":
                raise RuntimeError("boom")
            return original(clip, *indices)

        original = shots.read
        monkeypatch.setattr(shots, "read", faulty)
        assert self.scored(bench) == "RuntimeError: boom"

    def test_a_stream_that_ends_early(self, bench, monkeypatch):
        def short(clip, *indices):
            frames = list(original(clip, *indices))
            return iter(frames[:2] if clip.path == bench / "masks" / "a" else frames)

        original = shots.read
        monkeypatch.setattr(shots, "read", short)
        assert "the mask of clip a ends at frame 2 of 4" in self.scored(bench)

    def test_one_frame_apart_is_said(self, bench):
        write(bench / "truth" / "a", picture(0, FRAMES + 1))
        assert ("clip a has 4 frames, its truth 5: they are one frame apart" in
                self.scored(bench, "truth"))

    def test_other_lengths(self, bench):
        write(bench / "masks" / "a", picture(0, FRAMES + 3))
        error = self.scored(bench)
        assert "clip a has 4 frames, its mask 7: they are 3 frames apart" in error
        assert "cut both to 4" in error

    def test_a_shorter_background_is_an_error(self, bench):
        for number in (2, 3):
            (bench / "background" / "a" / f"000{number}.png").unlink()
        assert "its background 2" in self.scored(bench)

    def test_another_size_needs_resize(self, bench):
        write(bench / "results" / "a", picture(0, height=16, width=20))
        error = self.scored(bench)
        assert "20×16" in error and "40×32" in error and "--resize" in error

    def test_references_of_two_sizes(self, bench):
        write(bench / "masks" / "a", np.zeros((FRAMES, 16, 20), np.uint8))
        assert "the mask of clip a is 20×16, its truth 40×32" in self.scored(bench, resize=True)

    def test_without_a_truth(self, bench):
        (bench / "truth" / "a").rename(bench / "truth" / "a_gt")
        rows = run(bench)
        assert "clip a has no truth" in rows[0]["error"] and "a_gt" in rows[0]["error"]
        assert rows[1]["clip"] == "a_gt" and "no result a_gt" in rows[1]["error"]
        assert summary(rows)["clips"] == 2 and summary(rows)["failed"] == 2

    def test_two_of_one_name(self, bench):
        (bench / "truth" / "a.mkv").touch()
        assert "2 clips named a: a, a.mkv" in self.scored(bench)

    def test_a_transparent_result(self, bench):
        codes = np.zeros((FRAMES, HEIGHT, WIDTH, 4), np.uint8)
        for number, frame in enumerate(codes):  # `write` turns the channels, which hides the alpha
            cv2.imwrite(str(bench / "results" / "a" / f"{number:04d}.png"), frame)
        assert "--output comp" in self.scored(bench)

    def test_a_dead_link(self, bench):
        (bench / "results" / "z.mp4").symlink_to(bench / "gone.mp4")
        rows = run(bench, "truth")
        assert [row["clip"] for row in rows if "error" in row] == ["z"]

    def test_nothing_to_compare_with(self, bench):
        for roles in ({}, folders(bench, "masks"), folders(bench, "source"), folders(bench, "background")):
            with pytest.raises(OptionError, match="give --truth"):
                score_folder(bench / "results", bench / "r.jsonl", **roles)

    def test_folders_without_clips(self, bench):
        with pytest.raises(InputError, match="there is no folder"):
            score_folder(bench / "nowhere", bench / "r.jsonl", **folders(bench))
        with pytest.raises(InputError, match="pictures into its own"):
            score_folder(bench / "results" / "a", bench / "r.jsonl", **folders(bench))
        assert not (bench / "r.jsonl").exists()


class TestResize:
    def test_a_smaller_result_is_brought_to_the_truth(self, bench):
        write(bench / "results" / "a", np.stack([cv2.resize(f, (20, 16), interpolation=cv2.INTER_AREA)
                                                 for f in picture(0)]))
        row = run(bench, resize=True)[0]
        result = np.stack([cv2.resize(f, (40, 32), interpolation=cv2.INTER_CUBIC)
                           for f in load(bench / "results" / "a")])
        expected = psnr(np.clip(result, 0, 1), load(bench / "truth" / "a"))
        assert row["frame_psnr"] == pytest.approx(expected, abs=1e-3)
        assert row["resized_from"] == [20, 16] and row["background_exact"] is None

    def test_a_larger_result_is_averaged(self, bench):
        big = np.rint(load(bench / "truth" / "a") * 255).astype(np.uint8).repeat(2, 1).repeat(2, 2)
        write(bench / "results" / "a", big)
        row = run(bench, resize=True)[0]
        assert row["frame_psnr"] == PSNR_CEILING


class TestFindClips:
    def test_videos_and_folders_but_not_what_lies_beside(self, tmp_path):
        write(tmp_path / "shot.v2", picture(0, 1))
        (tmp_path / "logs").mkdir()
        for name in ("b.MP4", "b.jpg", "take.3.mov", ".hidden.mp4", "report.jsonl", "still.png"):
            (tmp_path / name).touch()
        assert list(find_clips(tmp_path)) == ["b", "shot.v2", "take.3"]
        assert list(find_clips(tmp_path, stills=True)) == ["b", "shot.v2", "still", "take.3"]
        assert [path.name for path in find_clips(tmp_path, stills=True)["b"]] == ["b.MP4"]

    def test_names_of_two_file_systems_agree(self, tmp_path):
        (tmp_path / "Jose\u0301.mp4").touch()
        assert list(find_clips(tmp_path)) == ["Jos\u00e9"]


class TestTable:
    def test_a_whole_run(self, bench):
        rows = score_folder(bench / "results", bench / "deep" / "r.jsonl", **folders(bench))
        text = table(rows).splitlines()
        assert [line.split(" | ")[0] for line in text[2:]] == [
            "| b", "| a", "| c", "| **mean of 3**", "| do nothing (source)"]
        assert len({line.count("|") for line in text}) == 1
        assert math.isclose(summary(rows)["mean"]["texture"], sum(row["texture"] for row in rows) / 3)

    def test_library_calls_never_print(self, bench, capfd):
        table(run(bench))
        assert capfd.readouterr() == ("", "")
