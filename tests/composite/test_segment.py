"""Making a mask: the real network on a drawn figure, and the parts around it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmovid.composite import segment
from harmovid.errors import InputError, MissingExtra, OptionError


def _figure(height: int, width: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A head-and-shoulders figure before a wall, and its mask; sizes by the height, as seen in a frame."""
    unit, middle = height / 100.0, width / 2 + shift
    rgb = np.empty((height, width, 3), np.float32)
    rgb[:] = np.linspace(0.62, 0.78, width, dtype=np.float32)[None, :, None] * np.array([0.9, 1.0, 1.05], np.float32)
    mask = np.zeros((height, width), np.uint8)

    def blob(x: float, y: float, a: float, b: float, colour: tuple[float, float, float], body: bool = True) -> None:
        place = (round((middle + x * unit) * 16), round(y * unit * 16))
        size = (round(a * unit * 16), round(b * unit * 16))
        for picture, value in ((rgb, colour), (mask, 1)):
            if picture is rgb or body:
                cv2.ellipse(picture, place, size, 0, 0, 360, value, -1, cv2.LINE_8, 4)

    skin, hair, shirt, dark = (0.85, 0.64, 0.52), (0.2, 0.13, 0.1), (0.16, 0.24, 0.42), (0.12, 0.07, 0.06)
    blob(0, 36, 17, 22, hair)
    blob(0, 104, 36, 36, shirt)
    blob(0, 66, 8, 14, (0.78, 0.57, 0.46))
    blob(0, 42, 13.5, 18, skin)
    for side in (-1, 1):
        blob(side * 5.5, 39, 2.4, 1.3, (0.95, 0.95, 0.95), body=False)
        blob(side * 5.5, 39, 1.1, 1.2, dark, body=False)
        blob(side * 5.5, 35, 3.4, 0.7, hair, body=False)
    blob(0, 46, 1.6, 3.2, (0.78, 0.55, 0.45), body=False)
    blob(0, 52.5, 4.2, 1.4, (0.65, 0.3, 0.3), body=False)
    grain = np.random.default_rng(1).normal(0, 0.012, rgb.shape).astype(np.float32)
    return np.clip(cv2.GaussianBlur(rgb, (0, 0), max(0.5, 0.4 * unit)) + grain, 0, 1), mask.astype(np.float32)


def _overlap(alpha: np.ndarray, mask: np.ndarray) -> float:
    a, b = alpha >= 0.5, mask >= 0.5
    return float((a & b).sum() / max((a | b).sum(), 1))


@pytest.fixture(scope="module")
def people() -> segment.PersonSegmenter:
    pytest.importorskip("ai_edge_litert.interpreter")
    return segment.PersonSegmenter()


class TestPersonSegmenter:
    @pytest.mark.parametrize(
        ("height", "width"), [(360, 640), (640, 360), (256, 256), (300, 1000), (720, 1280), (1100, 1000)]
    )
    def test_finds_a_figure(self, people: segment.PersonSegmenter, height: int, width: int) -> None:
        rgb, mask = _figure(height, width)
        alpha = people(rgb)
        assert alpha.shape == (height, width) and alpha.dtype == np.float32
        assert alpha.min() >= 0 and alpha.max() <= 1
        assert _overlap(alpha, mask) > 0.6
        # solid in the heart of head and chest, clean in the upper corners
        unit, middle = height / 100, width // 2
        assert alpha[round(42 * unit), middle] > 0.99
        assert alpha[: round(8 * unit), : round(8 * unit)].max() < 0.01

    def test_finds_a_small_figure_off_the_middle(self, people: segment.PersonSegmenter) -> None:
        small, part = _figure(240, 320)
        rgb = np.empty((720, 1280, 3), np.float32)
        rgb[:] = small[:8].mean((0, 1))
        rgb[480:, 900:1220], mask = small, np.zeros((720, 1280), np.float32)
        mask[480:, 900:1220] = part
        assert _overlap(people(rgb), mask) > 0.6

    @pytest.mark.parametrize(("height", "width"), [(480, 17), (17, 480), (1, 1), (2, 300), (33, 31)])
    def test_bears_odd_sizes(self, people: segment.PersonSegmenter, height: int, width: int) -> None:
        rgb = np.random.default_rng(0).random((height, width, 3), dtype=np.float32)
        alpha = people(rgb)
        assert alpha.shape == (height, width) and alpha.dtype == np.float32
        assert np.isfinite(alpha).all() and alpha.min() >= 0 and alpha.max() <= 1

    def test_an_empty_room_is_empty(self, people: segment.PersonSegmenter) -> None:
        assert people(np.full((180, 320, 3), 0.5, np.float32)).max() == 0

    def test_the_same_picture_gives_the_same_mask(self, people: segment.PersonSegmenter) -> None:
        rgb, _ = _figure(360, 640)
        first = people(rgb)
        people(_figure(256, 256)[0])
        assert np.array_equal(people(rgb.astype(np.float64)), first)

    def test_refuses_what_is_no_picture(self, people: segment.PersonSegmenter) -> None:
        with pytest.raises(InputError, match="height, width, 3"):
            people(np.zeros((5, 5), np.float32))

    def test_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
        monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
        with pytest.raises(MissingExtra, match=r"harmovid\[matte\]"):
            segment.PersonSegmenter()


class TestSegmentClip:
    def test_follows_a_moving_figure_without_delay(self, people: segment.PersonSegmenter) -> None:
        clip = [_figure(180, 320, shift=4.0 * number) for number in range(7)]
        alphas = list(segment.segment_clip((rgb for rgb, _ in clip), people))
        assert len(alphas) == len(clip)
        for alpha, (_, mask) in zip(alphas, clip, strict=True):
            assert _overlap(alpha, mask) > 0.6
        centres = [float((alpha.sum(0) * np.arange(320)).sum() / alpha.sum()) for alpha in alphas]
        np.testing.assert_allclose(np.diff(centres), 4.0, atol=3.0)
        assert abs(centres[-1] - centres[0] - 24) < 4

    def test_holds_still_under_grain(self, people: segment.PersonSegmenter) -> None:
        rgb, _ = _figure(180, 320)
        rng = np.random.default_rng(5)
        clip = [np.clip(rgb + rng.normal(0, 0.02, rgb.shape), 0, 1).astype(np.float32) for _ in range(8)]

        def wobble(alphas: list[np.ndarray]) -> float:
            return float(np.mean([np.abs(b - a).mean() for a, b in pairwise(alphas[2:])]))

        steadied = wobble(list(segment.segment_clip(clip, people)))
        assert steadied < 0.6 * wobble([people(frame) for frame in clip])

    def test_finds_the_person_again_after_a_cut(self, people: segment.PersonSegmenter) -> None:
        left, left_mask = _figure(180, 420, shift=-120)
        right, right_mask = _figure(180, 420, shift=120)
        alphas = list(segment.segment_clip([left, left, left, right, right, right], people))
        assert _overlap(alphas[1], left_mask) > 0.6 and _overlap(alphas[4], right_mask) > 0.6
        assert _overlap(alphas[3], left_mask) < 0.05

    def test_any_callable_serves_and_frames_stream(self) -> None:
        taken: list[int] = []

        def frames() -> Iterator[np.ndarray]:
            for number in range(20):
                taken.append(number)
                yield np.full((12, 16, 3), 0.5 * (number // 10), np.float32)

        def luma(rgb: np.ndarray) -> np.ndarray:
            return rgb.mean(2)

        stream = segment.segment_clip(frames(), luma, steady_radius=2)
        next(stream)
        assert len(taken) <= 3
        rest = list(stream)
        assert len(rest) == 19 and rest[-1].shape == (12, 16)
        # the picture jumped at frame 10: the past is let go at once
        np.testing.assert_allclose(rest[8], 0, atol=1e-6)
        np.testing.assert_allclose(rest[9], 0.5, atol=1e-6)

    def test_no_frames_no_masks(self) -> None:
        assert list(segment.segment_clip([], lambda rgb: rgb[..., 0])) == []


class TestParts:
    def test_the_weights_are_those_of_the_readme(self) -> None:
        folder = Path(segment.__file__).parent / "weights"
        readme = (folder / "README.md").read_text()
        files = sorted(folder.glob("*.tflite"))
        assert len(files) == 2
        for file in files:
            assert file.name in readme and hashlib.sha256(file.read_bytes()).hexdigest() in readme

    @settings(max_examples=200, deadline=None)
    @given(
        st.tuples(*[st.floats(0, 1)] * 4),
        st.integers(1, 3000),
        st.integers(1, 3000),
        st.sampled_from([1.0, 256 / 144]),
        st.floats(0, 0.5),
    )
    def test_a_window_holds_its_box(
        self, corners: tuple[float, ...], height: int, width: int, aspect: float, margin: float
    ) -> None:
        (x0, x1), (y0, y1) = sorted(corners[:2]), sorted(corners[2:])
        left, top, right, bottom = segment._view((x0, y0, x1, y1), (height, width, 3), aspect, margin)
        assert left <= x0 * width + 1 and right >= x1 * width - 1
        assert top <= y0 * height + 1 and bottom >= y1 * height - 1
        assert right > left and bottom > top
        assert abs((right - left) - aspect * (bottom - top)) <= 2
        if right - left <= width:
            assert left >= -1 and right <= width + 1

    @settings(max_examples=100, deadline=None)
    @given(st.tuples(*[st.floats(0, 0.1)] * 4), st.tuples(*[st.floats(0, 0.1)] * 4))
    def test_framing_keeps_within_its_slack(self, a: tuple[float, ...], b: tuple[float, ...]) -> None:
        old, new = ((v[0], v[1], 0.9 + v[2], 0.9 + v[3]) for v in (a, b))
        followed = segment._followed(segment.Framing(old, old), segment.Framing(new, new))
        assert followed is not None
        for now, then, wanted in zip(followed.body, old, new, strict=True):
            assert abs(now - wanted) <= 0.0401 * 1.0 + 1e-9
            assert min(then, wanted) - 1e-9 <= now <= max(then, wanted) + 1e-9

    def test_holes_are_filled_where_the_network_doubts_and_gaps_stay(self) -> None:
        probability = np.zeros((200, 300), np.float32)
        probability[20:, 80:220] = 0.98
        probability[100:112, 140:152] = 0.35  # dark cloth
        probability[150:164, 100:114] = 0.02  # between arm and body
        probability[10:14, 10:14] = 0.9  # speck
        solid = segment._solid(probability)
        assert solid[100:112, 140:152].min() == 1 and solid[152:162, 102:112].max() == 0
        assert solid[:18, :60].max() == 0

    def test_stillness_lets_go_of_what_moves(self) -> None:
        before = np.full((40, 60, 3), 0.4, np.float32)
        now = before.copy()
        now[10:20, 10:20] += 0.2
        keep = segment._still(before, now)
        assert keep[10:20, 10:20].max() < 1e-6 and keep[30:, 40:].min() > 0.7


class TestRembg:
    def _module(self, monkeypatch: pytest.MonkeyPatch, **members: object) -> None:
        module = ModuleType("rembg")
        for name, member in members.items():
            setattr(module, name, member)
        monkeypatch.setitem(sys.modules, "rembg", module)

    def test_asks_for_the_mask_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: dict[str, object] = {}

        def remove(picture: np.ndarray, session: object, only_mask: bool) -> np.ndarray:
            seen.update(dtype=picture.dtype, session=session, only_mask=only_mask)
            return picture[..., 1]

        self._module(monkeypatch, remove=remove, new_session=lambda model: SimpleNamespace(name=model))
        rgb = np.random.default_rng(0).random((20, 30, 3), dtype=np.float32)
        alpha = segment.RembgSegmenter()(rgb)
        np.testing.assert_allclose(alpha, rgb[..., 1], atol=0.5 / 255 + 1e-6)
        assert alpha.dtype == np.float32 and seen["dtype"] == np.uint8 and seen["only_mask"] is True
        assert getattr(seen["session"], "name", None) == "u2net_human_seg"

    def test_says_what_is_wrong(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(model: str) -> None:
            raise ValueError(model)

        def offline(model: str) -> None:
            raise ConnectionError("no route")

        self._module(monkeypatch, remove=None, new_session=unknown)
        with pytest.raises(OptionError, match="nonsense"):
            segment.RembgSegmenter("nonsense")
        self._module(monkeypatch, remove=None, new_session=offline)
        with pytest.raises(InputError, match="could not be fetched"):
            segment.RembgSegmenter()
        monkeypatch.setitem(sys.modules, "rembg", None)
        with pytest.raises(MissingExtra, match=r"harmovid\[rembg\]"):
            segment.RembgSegmenter()
