from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import pytest

from harmovid.baselines.classical import MongeKantorovich
from harmovid.composite import matte
from harmovid.composite.place import place
from harmovid.errors import InputError, OptionError
from harmovid.evaluate.fidelity import background_exactness, psnr, texture
from harmovid.evaluate.temporal import luminance_jitter
from harmovid.infer import framing, pipeline
from harmovid.infer.compare import Comparison
from harmovid.infer.pipeline import Summary
from harmovid.infer.plan import Options, plan
from harmovid.infer.transfer import TransferConfig
from harmovid.infer.views import Harmonized, Harmonizer, ViewClip
from harmovid.video import io
from harmovid.video.color import SCENE_LINEAR, SRGB, ColorTags, convert, from_linear, luminance, to_linear
from tests import figures
from tests.figures import Lamp

SIZE, FRAMES = (96, 64), 6
HD = (1920, 1080)
HLG = ColorTags("bt2020", "hlg")
CODE = 1 / 255


@dataclass(frozen=True)
class Shoot:
    """One clip in every kind of file, and what is in them after 8 bits."""

    folder: Path
    own: np.ndarray
    alpha: np.ndarray
    behind: np.ndarray  # in the street

    def __getattr__(self, name: str) -> Path:
        return self.folder / f"{name}.mkv"


@pytest.fixture(scope="module")
def shoot(tmp_path_factory: pytest.TempPathFactory) -> Shoot:
    """cut: the person with alpha. filmed: before the plate. mask, hard: of both. street: the new background."""
    folder = tmp_path_factory.mktemp("shoot")
    film = figures.film(SIZE, FRAMES, step=(2, 0), start=(-6, 0))
    street = np.stack([np.roll(figures.scenery(SIZE, 5, 0.6), 3 * t, axis=1) for t in range(FRAMES)])
    figures.write(folder / "cut.mkv", film.own, film.alpha)
    figures.write(folder / "filmed.mkv", film.frames)
    figures.write(folder / "mask.mkv", film.alpha)
    figures.write(folder / "hard.mkv", (film.alpha >= 0.5).astype(np.float32))
    figures.write(folder / "plate.mkv", film.behind)
    figures.write(folder / "street.mkv", street)
    return Shoot(folder, *(figures.codes(x) for x in (film.own, film.alpha, street)))


def run(foreground: Path, background: Path, out: Path, harmonizer: Harmonizer | None = None, mask: Path | None = None,
        compare: Comparison | None = None, rate: Fraction | None = None, **options: Any) -> Summary:
    clips = [io.open_clip(path, rate) if path else None for path in (foreground, background, mask)]
    assert clips[0] and clips[1]
    work = plan(clips[0], clips[1], clips[2], out, Options(**options))
    return pipeline.harmonize(work, harmonizer or Lamp(), compare=compare)


def over(own: np.ndarray, behind: np.ndarray, alpha: np.ndarray, gain: Any = 1.0) -> np.ndarray:
    """What should come out: the person's own colour in the new light over the background."""
    lit = from_linear(to_linear(own, "srgb") * np.float32(gain), "srgb")
    return np.stack([figures.over(*parts) for parts in zip(lit, behind, alpha, strict=True)])


def rise(t: int, x: np.ndarray) -> np.ndarray:
    """The light comes from the right."""
    return 0.3 + 0.6 * x


def rise_at(alpha: np.ndarray, size: tuple[int, int], view: Any = Lamp.view) -> np.ndarray:
    """`rise` at full size: (T, 1, W, 1)."""
    boxes = framing.frame([framing.find(a) for a in alpha], size, view).boxes
    x = (np.arange(size[0]) + 0.5 - boxes[:, :1]) / (boxes[:, 2:3] - boxes[:, :1])
    return rise(0, np.clip(x, 0, 1))[:, None, :, None]


# --- what goes in comes out

def test_the_same_light_gives_the_plain_composite(shoot: Shoot, tmp_path: Path) -> None:
    summary = run(shoot.cut, shoot.street, tmp_path / "out.mkv")
    got, _ = figures.read(tmp_path / "out.mkv")
    assert np.abs(got - over(shoot.own, shoot.behind, shoot.alpha)).max() <= 1.01 * CODE
    assert figures.same(got, shoot.behind)[shoot.alpha == 0].all()
    assert (summary.frames, summary.size, summary.rate, summary.harmonizer) == (FRAMES, SIZE, "25/1", "lamp")
    assert {"read", "look", "harmonize", "fit", "transfer", "write"} <= summary.seconds.keys()
    assert summary.peak_bytes > 10e6 and summary.notes == ()


@pytest.mark.parametrize("gain", [0.5, (0.9, 0.6, 0.3)], ids=["dim", "warm"])
def test_a_global_change_of_light_is_carried_over(shoot: Shoot, tmp_path: Path, gain: Any) -> None:
    run(shoot.cut, shoot.street, tmp_path / "out.mkv", Lamp(gain))
    got, _ = figures.read(tmp_path / "out.mkv")
    assert np.abs(got - over(shoot.own, shoot.behind, shoot.alpha, gain)).max() <= 1.51 * CODE


def test_light_from_the_side_is_carried_over(shoot: Shoot, tmp_path: Path) -> None:
    run(shoot.cut, shoot.street, tmp_path / "out.mkv", Lamp(rise))
    got, _ = figures.read(tmp_path / "out.mkv")
    truth = over(shoot.own, shoot.behind, shoot.alpha, rise_at(shoot.alpha, SIZE))
    assert psnr(got, truth, shoot.alpha) > 45


class Mirror(Lamp):
    """As bright as the background of its first frame: what it is shown of a shot is all it knows."""

    def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
        self.gain = float(clip.window(0, 1).overview.mean())
        return super().harmonize(clip, seed)


def test_a_cut_parts_the_light_of_two_shots(tmp_path: Path) -> None:
    film = figures.film(SIZE, 16, step=(0, 0))
    rooms = [figures.scenery(SIZE, 5, 0.6)] * 9 + [figures.scenery(SIZE, 8, 0.25)[::-1]] * 7
    figures.write(tmp_path / "cut.mkv", film.own, film.alpha)
    figures.write(tmp_path / "rooms.mkv", rooms)
    mirror = Mirror(chunk=16)
    summary = run(tmp_path / "cut.mkv", tmp_path / "rooms.mkv", tmp_path / "out.mkv", mirror)
    assert summary.notes == ("2 shots, cut at frame 9: each has a light of its own",)
    assert [views.mask.shape[1] for views in mirror.seen] == [9, 7]
    gains = np.repeat([float(mirror.seen[n].overview.mean()) for n in (0, 1)], (9, 7))
    assert gains[0] > 1.8 * gains[-1]
    got, _ = figures.read(tmp_path / "out.mkv")
    truth = over(figures.codes(film.own), figures.codes(np.stack(rooms)), figures.codes(film.alpha),
                 gains[:, None, None, None])
    assert np.abs(got - truth).max() <= 2 * CODE  # the frames beside the cut, too


def test_frames_of_a_preview_are_looked_at_one_by_one(shoot: Shoot, tmp_path: Path) -> None:
    run(shoot.cut, shoot.street, tmp_path / "out.mkv", lamp := Lamp(0.5), preview=3)
    assert [views.mask.shape[1] for views in lamp.seen] == [1, 1, 1]


class Thinner(Lamp):
    """Draws the person two pixels of the view thinner all round, in the same light."""

    def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
        views = clip.window(0, len(clip))
        left = np.stack([cv2.erode(mask, np.ones((5, 5), np.uint8)) for mask in views.mask[0]])
        near, behind = to_linear(views.composite, "srgb"), to_linear(views.background, "srgb")
        yield Harmonized(views.composite, from_linear(near * left + behind * (1 - left), "srgb"))


def test_the_edge_that_was_drawn_is_composited_with_where_it_is_asked_for(shoot: Shoot, tmp_path: Path) -> None:
    shown = {}
    for name, harmonizer, asked in (("plain", Lamp(), False), ("same", Lamp(), True), ("kept", Thinner(), False),
                                    ("drawn", Thinner(), True)):
        run(shoot.filmed, shoot.street, tmp_path / f"{name}.mkv", harmonizer, shoot.mask, recover=asked)
        shown[name] = figures.read(tmp_path / f"{name}.mkv")[0]
    assert np.array_equal(shown["same"], shown["plain"])  # nothing was moved
    beyond = np.stack([cv2.dilate(a, np.ones((7, 7), np.uint8)) for a in shoot.alpha]) == 0  # of the edge's reach
    assert figures.same(shown["drawn"], shoot.behind)[beyond].all()
    assert np.abs(shown["drawn"] - shoot.behind)[shoot.alpha == 0].max() <= 2.01 * CODE  # nothing grew
    rim = np.stack([(a > 0.5) & (cv2.erode(a, np.ones((3, 3), np.uint8)) < 0.5) for a in shoot.alpha])
    rim &= np.abs(shown["plain"] - shoot.behind).max(-1) > 0.2
    left = {name: np.abs(shown[name] - shoot.behind)[rim].mean() for name in ("plain", "kept", "drawn")}
    # Read as light alone, a rim that is gone takes on the street's colours, and only so nearly.
    assert rim.sum() > 50 and left["drawn"] < 0.6 * left["kept"] and left["drawn"] < 0.2 * left["plain"]
    core = np.stack([cv2.erode(a, np.ones((15, 15), np.uint8)) for a in shoot.alpha]) == 1
    assert np.array_equal(shown["drawn"][core], shown["kept"][core])


@pytest.mark.slow
def test_light_from_the_side_of_a_small_view_comes_back_at_1080p(tmp_path: Path) -> None:
    film = figures.film(HD, 2, step=(12, 0))
    cut = figures.write(tmp_path / "cut.mkv", film.own, film.alpha)
    street = figures.write(tmp_path / "street.png", [figures.scenery(HD, 5, 0.6)])
    lamp = Lamp(rise)
    lamp.view = type(lamp.view)()  # the default, about 128 × 128
    run(cut, street, tmp_path / "out.mkv", lamp)
    got, _ = figures.read(tmp_path / "out.mkv")
    alpha, behind = figures.codes(film.alpha), np.repeat(figures.read(street)[0], 2, axis=0)
    truth = over(figures.codes(film.own), behind, alpha, rise_at(alpha, HD, lamp.view))
    assert psnr(got, truth, alpha) > 38
    assert texture(got, film.own, alpha) >= 0.97
    assert background_exactness(got, behind, alpha).fraction == 1


@pytest.mark.slow
@pytest.mark.parametrize("harmonizer", [Lamp((0.9, 0.6, 0.35)), MongeKantorovich()], ids=["lamp", "classical"])
def test_texture_is_kept_at_1080p(tmp_path: Path, harmonizer: Harmonizer) -> None:
    film = figures.film(HD, 2, step=(12, 0))
    filmed = figures.write(tmp_path / "filmed.mkv", film.frames)
    mask = figures.write(tmp_path / "mask.mkv", film.alpha)
    street = figures.write(tmp_path / "street.png", [figures.scenery(HD, 5, 0.6)])
    run(filmed, street, tmp_path / "out.mkv", harmonizer, mask)
    got, _ = figures.read(tmp_path / "out.mkv")
    assert texture(got, figures.codes(film.frames), figures.codes(film.alpha)) >= 0.97


def test_strength_zero_is_the_plain_composite_whatever_the_harmonizer(shoot: Shoot, tmp_path: Path) -> None:
    plain = over(shoot.own, shoot.behind, shoot.alpha)
    for name, harmonizer in (("classical", MongeKantorovich()), ("lamp", Lamp(0.2))):
        run(shoot.cut, shoot.street, tmp_path / f"{name}.mkv", harmonizer, strength=0.0)
        got, _ = figures.read(tmp_path / f"{name}.mkv")
        assert np.abs(got - plain).max() <= 0.51 * CODE
    assert (tmp_path / "classical.mkv").read_bytes() == (tmp_path / "lamp.mkv").read_bytes()


def test_half_the_strength_is_half_the_stops(shoot: Shoot, tmp_path: Path) -> None:
    run(shoot.cut, shoot.street, tmp_path / "out.mkv", Lamp(0.25), strength=0.5)
    got, _ = figures.read(tmp_path / "out.mkv")
    truth = over(shoot.own, shoot.behind, shoot.alpha, 0.5)
    bright = (shoot.own.min(axis=3) > 0.3) & (shoot.alpha > 0.5)
    assert np.abs(got - truth)[bright].max() < 3 * CODE


def test_a_clip_on_its_own_background_comes_back(tmp_path: Path) -> None:
    film = figures.film((320, 180), 2, step=(4, 0))
    filmed = figures.write(tmp_path / "filmed.mkv", film.frames)
    plate = figures.write(tmp_path / "plate.mkv", film.behind)
    mask = figures.write(tmp_path / "mask.mkv", film.alpha)
    run(filmed, plate, tmp_path / "out.mkv", Lamp(0.5), mask, strength=0.0, edge=0.0)
    got, _ = figures.read(tmp_path / "out.mkv")
    source, alpha = figures.codes(film.frames), figures.codes(film.alpha)
    assert psnr(got, source, alpha) >= 45
    assert figures.same(got, source)[alpha == 0].all() and figures.same(got, source)[alpha == 1].all()


def test_a_clip_before_itself_is_the_very_clip(tmp_path: Path) -> None:
    """Light changed in place: the soft edge of a hard mask takes nothing out of what is filmed there."""
    film = figures.film((320, 180), 3, step=(4, 0))
    filmed = figures.write(tmp_path / "filmed.mkv", film.frames)
    mask = figures.write(tmp_path / "mask.mkv", (film.alpha >= 0.5).astype(np.float32))
    run(filmed, filmed, tmp_path / "out.mkv", Lamp(0.5), mask, strength=0.0)
    run(filmed, filmed, tmp_path / "lit.mkv", Lamp(0.5), mask)
    got, lit = (figures.read(tmp_path / name)[0] for name in ("out.mkv", "lit.mkv"))
    assert figures.same(got, figures.codes(film.frames)).all()
    assert luminance(to_linear(lit, "srgb"))[film.alpha == 1].mean() < 0.55 * luminance(
        to_linear(got, "srgb"))[film.alpha == 1].mean()


def test_the_edge_of_the_person_is_free_of_the_old_background(tmp_path: Path) -> None:
    """Before a white wall, onto a black one: what is left of the white is a halo."""
    film = figures.film((320, 180), 1)
    white = figures.Filmed(film.own, film.alpha, np.ones_like(film.behind))
    filmed = figures.write(tmp_path / "filmed.png", white.frames)
    mask = figures.write(tmp_path / "mask.png", film.alpha)
    black = figures.write(tmp_path / "black.png", [np.zeros((180, 320, 3), np.float32)])
    run(filmed, black, tmp_path / "out.png", mask=mask, edge=0.0)
    got, _ = figures.read(tmp_path / "out.png")
    band = (film.alpha > 0.05) & (film.alpha < 0.95)
    truth = over(film.own, np.zeros_like(film.own), film.alpha)
    kept = over(white.frames, np.zeros_like(film.own), film.alpha)  # had nothing been done
    halo, untouched = ((to_linear(x, "srgb") - to_linear(truth, "srgb"))[band].mean() for x in (got, kept))
    assert 0 < untouched and abs(halo) < 0.25 * untouched


# --- the background

@pytest.mark.parametrize(("bits", "size", "harmonizer"), [
    (8, SIZE, Lamp((0.3, 0.9, 0.5))), (16, SIZE, Lamp((0.3, 0.9, 0.5))), (8, SIZE, MongeKantorovich()),
    (8, (144, 81), MongeKantorovich()), (16, (144, 81), Lamp(rise)), (16, (50, 120), MongeKantorovich()),
], ids=["8", "16", "8 classical", "8 larger", "16 larger", "16 portrait"])
def test_outside_the_alpha_the_placed_background_is_exact(shoot: Shoot, tmp_path: Path, bits: int, size: Any,
                                                          harmonizer: Harmonizer) -> None:
    street = np.stack([np.roll(figures.scenery(size, 5, 0.6), 3 * t, axis=1) for t in range(FRAMES)])
    path = figures.write(tmp_path / "street.mkv", street, bits=bits)
    run(shoot.filmed, path, tmp_path / "out.mkv", harmonizer, shoot.hard, edge=0.05, position=(0.3, 0.7))
    got, _ = figures.read(tmp_path / "out.mkv")
    assert io.open_clip(tmp_path / "out.mkv").bits == bits
    placement = place(size, SIZE, "cover", 1.0, (0.3, 0.7))
    placed = figures.codes(np.stack([placement.place(frame) for frame in figures.read(path)[0]]), bits)
    reach = np.ones((5, 5), np.uint8)  # the soft edge of 0.05 × 64 pixels lies half outside
    near = np.stack([cv2.dilate(a, reach) for a in (shoot.alpha >= 0.5).astype(np.float32)])
    exact = background_exactness(got, placed, near, bits)
    assert exact.fraction == 1 and exact.max_difference == 0 and exact.pixels > 1000


def test_where_the_person_is_solid_the_background_has_no_say(shoot: Shoot, tmp_path: Path) -> None:
    for name, tone in (("black", 0.0), ("white", 1.0)):
        wall = figures.write(tmp_path / f"{name}.png", [np.full((64, 96, 3), tone, np.float32)])
        run(shoot.filmed, wall, tmp_path / f"{name}.mkv", Lamp(0.6), shoot.mask, edge=0.0)
    black, white = (figures.read(tmp_path / f"{name}.mkv")[0] for name in ("black", "white"))
    assert figures.same(black, white)[shoot.alpha == 1].all()


@pytest.mark.parametrize(("gain", "out"), [(0.6, "%s.%%03d.png"), ((0.9, 0.6, 0.3), "%s.mov"), (rise, "%s.%%03d.png"),
                                           (rise, "%s.%%03d.exr")], ids=["dim", "warm", "side", "side exr"])
def test_black_hair_before_black_and_before_white_is_the_same_foreground(tmp_path: Path, gain: Any, out: str) -> None:
    film = figures.film((160, 96), 2, hair=(0.01, 0.01, 0.012))
    cut = figures.write(tmp_path / "cut.mkv", film.own, film.alpha)
    results = []
    for name, tone in (("black", 0.0), ("white", 1.0)):
        wall = figures.write(tmp_path / f"{name}.png", [np.full((96, 160, 3), tone, np.float32)])
        (tmp_path / name).mkdir()
        run(cut, wall, tmp_path / name / (out % name), Lamp(gain), output="foreground")
        results.append(figures.read(tmp_path / name / (out % name)))
    (black, black_alpha), (white, white_alpha) = results
    assert (black_alpha == white_alpha).all()
    # What is seen is colour times alpha: the colour of a pixel that hardly counts is not written finely.
    assert np.abs((black - white) * white_alpha[..., None]).max() <= 1.01 * CODE


# --- time

@pytest.mark.parametrize("config", [TransferConfig(temporal_sigma=0), TransferConfig()], ids=["unsmoothed", "default"])
@pytest.mark.parametrize("trembles", [0.15, 0.0], ids=["trembling", "steady"])
def test_no_flicker_is_added(tmp_path: Path, config: TransferConfig, trembles: float) -> None:
    film = figures.film((128, 80), 14, step=(3, 0), start=(-20, 0), scale=0.95)
    light = 0.6 * np.exp(trembles * np.random.default_rng(1).normal(size=14))
    cut = figures.write(tmp_path / "cut.mkv", film.own, film.alpha, bits=16)
    wall = figures.write(tmp_path / "wall.png", [figures.scenery((128, 80), 5)])
    run(cut, wall, tmp_path / "out.mkv", Lamp(lambda t, x: light[t]), output="foreground", transfer=config)
    got, _ = figures.read(tmp_path / "out.mkv")
    assert got.shape[0] == 14
    truth = film.lit(light.reshape(-1, 1, 1, 1))
    jitter, given = (luminance_jitter(x, film.own, film.alpha) for x in (got, truth))
    assert jitter <= 1.05 * given + 5e-4  # an eighth of a code of 8 bits


# --- what is written

@pytest.mark.parametrize("out", ["out.mov", "out.mkv", "out"])
def test_foreground_has_straight_colour_and_alpha(shoot: Shoot, tmp_path: Path, out: str) -> None:
    run(shoot.cut, shoot.street, tmp_path / out, Lamp(0.5), output="foreground")
    got, alpha = figures.read(tmp_path / out)
    assert alpha is not None and np.abs(alpha - shoot.alpha).max() < 1e-3
    truth = from_linear(to_linear(shoot.own, "srgb") * np.float32(0.5), "srgb")
    solid = shoot.alpha == 1
    assert np.abs(got - truth)[solid].max() <= 12 * CODE and psnr(got, truth, solid.astype(np.float32)) > 45
    if out != "out.mov":  # 4:4:4 but lossy
        assert np.abs(got - truth)[shoot.alpha > 0].max() <= 1.51 * CODE, "straight: not darkened by alpha"
        assert (got[shoot.alpha == 0] == 0).all()


def test_foreground_is_premultiplied_in_exr(shoot: Shoot, tmp_path: Path) -> None:
    import OpenEXR

    run(shoot.cut, shoot.street, tmp_path / "out.%03d.exr", Lamp(0.5), output="foreground")
    with OpenEXR.File(str(tmp_path / "out.002.exr"), separate_channels=True) as file:
        planes = {name: np.array(channel.pixels) for name, channel in file.channels().items()}
    assert {plane.dtype for plane in planes.values()} == {np.dtype(np.float16)}
    np.testing.assert_allclose(planes["A"], shoot.alpha[2], atol=1e-3)
    light = 0.5 * to_linear(shoot.own[2], "srgb") * shoot.alpha[2][..., None]
    np.testing.assert_allclose(np.dstack([planes[name] for name in "RGB"]), light, atol=2e-3)


def test_gain_is_itself_in_exr_and_grey_means_none_elsewhere(shoot: Shoot, tmp_path: Path) -> None:
    run(shoot.cut, shoot.street, tmp_path / "gain.%03d.exr", Lamp((0.5, 0.25, 1.0)), output="gain")
    gain, _ = figures.read(tmp_path / "gain.%03d.exr")
    bright = (shoot.own.min(axis=3) > 0.4) & (shoot.alpha > 0)
    np.testing.assert_allclose(gain[bright].mean(axis=0), [0.5, 0.25, 1.0], rtol=0.06)
    assert (gain[shoot.alpha == 0] == 1).all()
    run(shoot.cut, shoot.street, tmp_path / "gain.mkv", Lamp((0.5, 0.25, 1.0)), output="gain")
    grey, _ = figures.read(tmp_path / "gain.mkv")
    np.testing.assert_allclose(8 * (grey - 0.5), np.log2(gain), atol=0.02 + 4 * CODE)
    assert (np.rint(grey[shoot.alpha == 0] * 255) == 128).all()


@pytest.mark.parametrize("out", ["out.mkv", "out.mp4"])
def test_network_detail_is_the_harmonizers_own_picture(shoot: Shoot, tmp_path: Path, out: str) -> None:
    lamp = Lamp(0.5)
    run(shoot.cut, shoot.street, tmp_path / out, lamp, detail="network")
    got, _ = figures.read(tmp_path / out)
    seen = np.concatenate([views.composite for views in lamp.seen], axis=1)
    alpha = np.concatenate([views.mask for views in lamp.seen], axis=1)[0]
    assert got.shape == (FRAMES, *seen.shape[2:], 3)
    truth = from_linear(to_linear(seen, "srgb") * (1 - 0.5 * alpha), "srgb").transpose(1, 2, 3, 0)
    assert psnr(got, truth) > (55 if out == "out.mkv" else 30)


def test_the_harmonizer_is_told_what_is_asked_of_the_mask(shoot: Shoot, tmp_path: Path) -> None:
    def told(name: str, **options: Any) -> np.ndarray:
        lamp = Lamp()
        run(shoot.filmed, shoot.street, tmp_path / f"{name}.mkv", lamp, shoot.hard, **options)
        return np.concatenate([views.mask for views in lamp.seen], axis=1)

    def edge(mask: np.ndarray) -> int:
        return int(((mask > 0.02) & (mask < 0.98)).sum())

    hard = told("hard")
    np.testing.assert_array_equal(told("wide", edge=0.04), hard)  # the edge is of the picture at full size
    assert told("less", refine=matte.Refine(shrink=3)).mean() < 0.9 * hard.mean()
    assert edge(told("soft", refine=matte.Refine(soften=3))) > 1.5 * edge(hard)


class Blurred(Lamp):
    """A lamp behind a codec that blurs."""

    def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
        for made in super().harmonize(clip, seed):
            yield Harmonized(*(np.stack([[cv2.blur(plane, (5, 5)) for plane in channel] for channel in picture])
                               for picture in (made.reference, made.result)))


def test_network_detail_puts_back_what_the_codec_lost(shoot: Shoot, tmp_path: Path) -> None:
    lamp = Blurred(0.5)
    run(shoot.cut, shoot.street, tmp_path / "out.mkv", lamp, detail="network")
    run(shoot.cut, shoot.street, tmp_path / "raw.mkv", lamp, detail="network", restore=False)
    seen = np.concatenate([views.composite for views in lamp.seen[: len(lamp.seen) // 2]], axis=1)
    alpha = np.concatenate([views.mask for views in lamp.seen[: len(lamp.seen) // 2]], axis=1)[0]
    truth = from_linear(to_linear(seen, "srgb") * (1 - 0.5 * alpha), "srgb").transpose(1, 2, 3, 0)
    sharp, blurred = (figures.read(tmp_path / name)[0] for name in ("out.mkv", "raw.mkv"))
    inside = np.stack([cv2.erode(plane, np.ones((7, 7))) for plane in alpha]) == 1
    assert psnr(sharp[inside][None], truth[inside][None]) > psnr(blurred[inside][None], truth[inside][None]) + 10


@pytest.mark.parametrize(("out", "frames"), [("c.mp4", FRAMES), ("c.mkv", FRAMES), ("c.png", 1)])
def test_compare_shows_source_composite_and_result(shoot: Shoot, tmp_path: Path, out: str, frames: int) -> None:
    run(shoot.filmed, shoot.street, tmp_path / "out.mkv", Lamp(0.3), shoot.mask, edge=0.0,
        compare=Comparison(tmp_path / out, FRAMES, figures.RATE))
    shown, _ = figures.read(tmp_path / out)
    result, source = figures.read(tmp_path / "out.mkv")[0], figures.read(shoot.filmed)[0]
    rows = 4 if out == "c.png" else 1
    assert shown.shape == (frames, rows * 64, 3 * 96, 3)
    last = np.split(shown[-1][-64:], 3, axis=1)
    for panel, truth in zip(last, (source, None, result), strict=True):
        if truth is not None:
            assert psnr(panel, truth[-1]) > (30 if out == "c.mp4" else 50)
    person = shoot.alpha[-1] == 1
    assert np.abs(last[1] - last[0])[person].mean() < 0.02 < np.abs(last[2] - last[1])[person].mean()


def test_compare_of_the_network_detail_is_refused(shoot: Shoot, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--compare"):
        run(shoot.cut, shoot.street, tmp_path / "out.mkv", Lamp(0.3), detail="network",
            compare=Comparison(tmp_path / "c.png", FRAMES, figures.RATE))
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.parametrize("out", ["out.mkv", "out.mov", "out.mp4", "out.%03d.png", "out.%03d.exr"])
def test_the_same_seed_gives_the_same_bytes(shoot: Shoot, tmp_path: Path, out: str) -> None:
    lamp = Lamp(rise)
    for name in ("one", "two"):
        run(shoot.filmed, shoot.street, tmp_path / name / out, lamp, shoot.mask, seed=7)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files and lamp.seeds == [7, 7]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_failure_in_the_middle_leaves_nothing(shoot: Shoot, tmp_path: Path) -> None:
    def dies(t: int, x: np.ndarray) -> float:
        if t == 4:
            raise RuntimeError("out of memory")
        return 0.5

    with pytest.raises(RuntimeError):
        run(shoot.cut, shoot.street, tmp_path / "a" / "out.mkv", Lamp(dies, chunk=1),
            compare=Comparison(tmp_path / "c.mp4", FRAMES, figures.RATE))
    assert not list(tmp_path.iterdir())


def test_progress_is_told_of_every_frame_of_every_stage(shoot: Shoot, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    work = plan(io.open_clip(shoot.cut), io.open_clip(shoot.street), None, tmp_path / "out.mkv", Options())
    pipeline.harmonize(work, Lamp(), progress=lambda *step: told.append(step))
    for stage in ("scan", "look", "finish"):
        assert [step for step in told if step[0] == stage] == [(stage, i + 1, FRAMES) for i in range(FRAMES)]


# --- which frames

def test_start_end_and_preview_show_the_frames_that_the_whole_run_has(shoot: Shoot, tmp_path: Path) -> None:
    run(shoot.cut, shoot.plate, tmp_path / "all.mkv", Lamp(0.5))
    run(shoot.cut, shoot.plate, tmp_path / "part.mkv", Lamp(0.5), start=2, end=5)
    run(shoot.cut, shoot.plate, tmp_path / "few.mkv", Lamp(0.5), preview=3)
    run(shoot.cut, shoot.plate, tmp_path / "one.png", Lamp(0.5), preview=1)
    whole, part, few, one = (figures.read(tmp_path / name)[0] for name in ("all.mkv", "part.mkv", "few.mkv", "one.png"))
    assert len(part) == 3 and len(few) == 3 and len(one) == 1
    assert np.abs(part - whole[2:5]).max() <= 1.01 * CODE
    assert np.abs(few - whole[[0, 2, 5]]).max() <= 1.01 * CODE
    assert np.abs(one - whole[:1]).max() <= 1.01 * CODE


def test_rate_timecode_and_numbers_go_along(shoot: Shoot, tmp_path: Path) -> None:
    cut = figures.write(tmp_path / "in" / "cut.%04d.exr", to_linear(shoot.own, "srgb"), shoot.alpha,
                        rate=Fraction(24000, 1001), start_number=1001, timecode="10:00:00:00")
    run(cut, shoot.plate, tmp_path / "out" / "shot.%04d.exr", start=2)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"shot.{number}.exr" for number in (1003, 1004, 1005, 1006)]
    clip = io.open_clip(tmp_path / "out" / "shot.%04d.exr")
    assert clip.rate == Fraction(24000, 1001) and clip.timecode == "10:00:00:02"


@pytest.mark.parametrize(("fit", "shown"), [("trim", [0, 1, 2]), ("loop", [0, 1, 2, 0, 1, 2]),
                                            ("pingpong", [0, 1, 2, 1, 0, 1]), (None, [0, 1, 2, 1, 0, 1])])
def test_a_shorter_background_is_fitted(shoot: Shoot, tmp_path: Path, fit: Any, shown: list[int]) -> None:
    tones = [np.full((64, 96, 3), 0.2 * (t + 1), np.float32) for t in range(3)]
    short = figures.write(tmp_path / "short.mkv", tones)
    run(shoot.cut, short, tmp_path / "out.mkv", Lamp(0.7), fit=fit)
    got, _ = figures.read(tmp_path / "out.mkv")
    assert [round(float(frame[0, 0, 0]) * 5) - 1 for frame in got] == shown


def test_a_still_foreground_on_a_video_is_one_frame(shoot: Shoot, tmp_path: Path) -> None:
    still = figures.write(tmp_path / "still.png", shoot.own[:1], shoot.alpha[:1])
    run(still, shoot.street, tmp_path / "out.png", Lamp(0.5))
    got, _ = figures.read(tmp_path / "out.png")
    assert np.abs(got - over(shoot.own[:1], shoot.behind[:1], shoot.alpha[:1], 0.5)).max() <= 1.51 * CODE


def test_one_frame(shoot: Shoot, tmp_path: Path) -> None:
    for name in ("cut", "mask"):
        pictures, alpha = figures.read(shoot.folder / f"{name}.mkv")
        figures.write(tmp_path / f"{name}.mkv", pictures[:1], None if alpha is None else alpha[:1])
    run(tmp_path / "cut.mkv", shoot.street, tmp_path / "out.mkv", Lamp(0.5))
    got, _ = figures.read(tmp_path / "out.mkv")
    assert len(got) == 1 and np.abs(got - over(shoot.own[:1], shoot.behind[:1], shoot.alpha[:1], 0.5)).max() < 2 * CODE


# --- masks

def test_a_mask_of_another_size_is_scaled(shoot: Shoot, tmp_path: Path) -> None:
    small = figures.write(tmp_path / "small.mkv", [cv2.resize(a, (48, 32), interpolation=cv2.INTER_AREA)
                                                   for a in shoot.alpha])
    run(shoot.filmed, shoot.street, tmp_path / "small_out.mkv", Lamp(0.5), small)
    run(shoot.filmed, shoot.street, tmp_path / "out.mkv", Lamp(0.5), shoot.mask)
    small_result, result = (figures.read(tmp_path / name)[0] for name in ("small_out.mkv", "out.mkv"))
    sure = np.stack([cv2.erode(a, np.ones((5, 5), np.uint8)) for a in shoot.alpha]) == 1
    assert np.abs(small_result - result)[sure].max() < 2.5 * CODE
    far = np.stack([cv2.dilate(a, np.ones((7, 7), np.uint8)) for a in shoot.alpha]) == 0
    assert figures.same(small_result, shoot.behind)[far].all()


def test_a_still_mask_is_used_for_every_frame(shoot: Shoot, tmp_path: Path) -> None:
    mask = figures.write(tmp_path / "mask.png", shoot.alpha[:1])
    summary = run(shoot.filmed, shoot.street, tmp_path / "out.mkv", Lamp(0.5), mask, edge=0.0)
    got, _ = figures.read(tmp_path / "out.mkv")
    assert len(got) == FRAMES and "every frame" in summary.notes[0]
    assert figures.same(got, shoot.behind)[:, shoot.alpha[0] == 0].all()
    assert figures.same(got, shoot.behind)[:, shoot.alpha[0] == 1].mean() < 0.1


def test_frames_without_a_person_are_the_background(shoot: Shoot, tmp_path: Path) -> None:
    there = np.array([1, 1, 0, 0, 1, 1], np.float32)[:, None, None]
    mask = figures.write(tmp_path / "mask.mkv", shoot.alpha * there)
    run(shoot.filmed, shoot.street, tmp_path / "out.mkv", Lamp(0.5), mask, edge=0.0)
    got, _ = figures.read(tmp_path / "out.mkv")
    assert figures.same(got[2:4], shoot.behind[2:4]).all()
    run(shoot.filmed, shoot.street, tmp_path / "whole.mkv", Lamp(0.5), shoot.mask, edge=0.0)
    whole, _ = figures.read(tmp_path / "whole.mkv")
    assert np.abs(got - whole)[[0, 1, 4, 5]].max() < 2.5 * CODE, "the gap does not reach the frames around it"


@pytest.mark.parametrize("tone", [0.0, 0.03])
def test_a_mask_that_is_empty_from_end_to_end_is_refused(shoot: Shoot, tmp_path: Path, tone: float) -> None:
    mask = figures.write(tmp_path / "mask.mkv", [np.full((64, 96), tone, np.float32)] * FRAMES)
    with pytest.raises(InputError, match=r"mask\.mkv is empty.*white where the person is"):
        run(shoot.filmed, shoot.street, tmp_path / "out.mkv", mask=mask)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mask.mkv"]


def test_a_mask_that_is_full_shows_the_person_everywhere(shoot: Shoot, tmp_path: Path) -> None:
    mask = figures.write(tmp_path / "mask.mkv", [np.ones((64, 96), np.float32)] * FRAMES)
    run(shoot.filmed, shoot.street, tmp_path / "out.mkv", Lamp(0.5), mask)
    got, _ = figures.read(tmp_path / "out.mkv")
    source, _ = figures.read(shoot.filmed)
    truth = from_linear(to_linear(source, "srgb") * np.float32(0.5), "srgb")
    assert np.abs(got - truth).max() < 1.51 * CODE


def test_the_alpha_of_a_mask_with_pictures_in_it_serves_in_every_frame(shoot: Shoot, tmp_path: Path) -> None:
    """A cut-out given as mask, in one frame of which the person fills the picture: not its colours."""
    alpha = shoot.alpha.copy()
    alpha[3] = 1
    mask = figures.write(tmp_path / "mask.mkv", 0.6 * shoot.own, alpha)
    run(shoot.filmed, shoot.street, tmp_path / "out.mkv", Lamp(0.5), mask, edge=0.0)
    got, _ = figures.read(tmp_path / "out.mkv")
    source, _ = figures.read(shoot.filmed)
    assert np.abs(got[3] - from_linear(to_linear(source[3], "srgb") * np.float32(0.5), "srgb")).max() < 3 * CODE


def test_a_person_enters_and_leaves(tmp_path: Path) -> None:
    film = figures.film(SIZE, 16, step=(12, 0), start=(-96, 0), scale=0.8)
    assert not film.alpha[0].any() and not film.alpha[-1].any() and film.alpha[8].mean() > 0.1
    cut = figures.write(tmp_path / "cut.mkv", film.own, film.alpha)
    wall = figures.scenery(SIZE, 5, 0.6)
    run(cut, figures.write(tmp_path / "wall.png", [wall]), tmp_path / "out.mkv", Lamp(0.5))
    got, _ = figures.read(tmp_path / "out.mkv")
    own, alpha, behind = (figures.codes(x) for x in (film.own, film.alpha, np.stack([wall] * 16)))
    assert figures.same(got, behind)[alpha == 0].all()
    assert np.abs(got - over(own, behind, alpha, 0.5)).max() < 3 * CODE


def test_a_hard_mask_gets_a_soft_edge_and_a_soft_one_keeps_its_own(tmp_path: Path) -> None:
    film = figures.film((160, 120), 1)
    filmed = figures.write(tmp_path / "filmed.png", film.frames)
    wall = figures.write(tmp_path / "wall.png", [np.zeros((120, 160, 3), np.float32)])
    hard = (film.alpha >= 0.5).astype(np.float32)
    soft = np.stack([cv2.GaussianBlur(a, (0, 0), 4) for a in hard])
    for name, mask in (("hard", hard), ("soft", soft)):
        path = figures.write(tmp_path / f"{name}.png", mask)
        run(filmed, wall, tmp_path / f"{name}_out.png", mask=path, output="foreground", edge=0.03)
    alphas = [figures.read(tmp_path / f"{name}_out.png")[1] for name in ("hard", "soft")]
    assert alphas[0] is not None and alphas[1] is not None
    assert ((alphas[0] > 0) & (alphas[0] < 1)).sum() > 200 and ((alphas[0] >= 0.5) == (hard >= 0.5)).all()
    assert np.abs(alphas[1] - soft).max() <= 0.51 * CODE


@pytest.mark.parametrize("empty", [1, 11])
def test_the_edge_of_somebody_who_walks_in_is_kept_too(tmp_path: Path, empty: int) -> None:
    film = figures.film((160, 120), 13)
    soft = np.stack([cv2.GaussianBlur(a, (0, 0), 4) for a in film.alpha])
    soft[:empty] = 0
    filmed, mask = figures.write(tmp_path / "f.mkv", film.frames), figures.write(tmp_path / "m.mkv", soft)
    wall = figures.write(tmp_path / "wall.png", [np.zeros((120, 160, 3), np.float32)])
    run(filmed, wall, tmp_path / "out.mkv", mask=mask, output="foreground", edge=0.03)
    alpha = figures.read(tmp_path / "out.mkv")[1]
    assert alpha is not None and np.abs(alpha - soft).max() <= 0.51 * CODE


def refined(tmp_path: Path, mask: np.ndarray, **options: Any) -> np.ndarray:
    """The alpha, (T, H, W), that a mask of these options becomes."""
    with TemporaryDirectory(dir=tmp_path) as folder:
        given, out = figures.write(Path(folder) / "mask.mkv", mask), Path(folder) / "out.mkv"
        picture = figures.write(Path(folder) / "picture.mkv", np.full((*mask.shape, 3), 0.5, np.float32))
        run(picture, picture, out, mask=given, output="foreground", **options)
        alpha = figures.read(out)[1]
    assert alpha is not None
    return alpha


def test_what_is_asked_of_the_mask_is_done_to_a_hard_one(tmp_path: Path) -> None:
    mask = np.zeros((5, 120, 160), np.float32)
    mask[:, 30:90, 40:120] = 1
    mask[:, 5:8, 5:8] = 1  # a speck
    mask[2, 30:90, 40:44] = 0  # a tremble
    plain = refined(tmp_path, mask)
    smaller = refined(tmp_path, mask, refine=matte.Refine(shrink=4))
    assert (plain[0, 60] >= 0.5).sum() - (smaller[0, 60] >= 0.5).sum() == pytest.approx(8, abs=1)
    softer = refined(tmp_path, mask, refine=matte.Refine(soften=5))
    assert ((softer[0, 60] > 0.02) & (softer[0, 60] < 0.98)).sum() > 30  # both edges, four deviations each
    assert ((plain[0, 60] > 0.02) & (plain[0, 60] < 0.98)).sum() < 10
    clean = refined(tmp_path, mask, refine=matte.Refine(despeckle=0.05))
    assert plain[0, 6, 6] > 0.5 and clean[:, :20].max() == 0 and clean[0, 60, 80] == 1
    steady = refined(tmp_path, mask, steady=2)
    assert plain[2, 60, 42] < 0.5 <= steady[2, 60, 42]


def test_the_foregrounds_own_hard_alpha_is_kept_so_that_no_undefined_colour_shows(tmp_path: Path) -> None:
    film = figures.film((160, 120), 1)
    hard = (film.alpha >= 0.5).astype(np.float32)
    cut = figures.write(tmp_path / "cut.png", film.own * hard[..., None], hard)  # black outside
    white = figures.write(tmp_path / "white.png", [np.ones((120, 160, 3), np.float32)])
    run(cut, white, tmp_path / "out.png", edge=0.03)
    got, _ = figures.read(tmp_path / "out.png")
    assert (got[hard == 0] == 1).all() and np.abs(got - film.own)[hard == 1].max() <= 1.01 * CODE


# --- sizes and places

@pytest.mark.parametrize("size", [(17, 30), (30, 17), (16, 16), (33, 65), (200, 20)])
def test_small_and_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    film = figures.film(size, 3, step=(1, 0))
    cut = figures.write(tmp_path / "cut.mkv", film.own, film.alpha)
    wall = figures.write(tmp_path / "wall.mkv", [figures.scenery(size, 5)] * 3)
    run(cut, wall, tmp_path / "out.mkv", Lamp(0.5))
    got, _ = figures.read(tmp_path / "out.mkv")
    own, alpha, behind = (figures.codes(x) for x in (film.own, film.alpha, np.stack([figures.scenery(size, 5)] * 3)))
    assert psnr(got, over(own, behind, alpha, 0.5)) > 45 and figures.same(got, behind)[alpha == 0].all()
    run(cut, wall, tmp_path / "out.mp4", Lamp(0.5))
    assert figures.read(tmp_path / "out.mp4")[0].shape[1:3] == tuple(side + side % 2 for side in size[::-1])


def test_portrait_on_landscape_in_the_frame_of_either(tmp_path: Path) -> None:
    film = figures.film((54, 96), 2)
    cut = figures.write(tmp_path / "cut.mkv", film.own, film.alpha)
    wide = figures.codes(figures.scenery((96, 54), 5))
    wall = figures.write(tmp_path / "wall.png", [wide])
    run(cut, wall, tmp_path / "tall.mkv", Lamp(0.5))
    tall, _ = figures.read(tmp_path / "tall.mkv")
    assert tall.shape[1:] == (96, 54, 3)
    placed = place((96, 54), (54, 96), "cover").place(wide)
    assert background_exactness(tall, np.stack([placed] * 2), film.alpha).fraction == 1
    run(cut, wall, tmp_path / "wide.mkv", Lamp(0.5), canvas="background", position=(1, 1))
    got, _ = figures.read(tmp_path / "wide.mkv")
    assert got.shape[1:] == (54, 96, 3) and figures.same(got[:, :, :60], wide[:, :60]).all()
    assert (got[:, 27:, 70:90] != wide[27:, 70:90]).any(axis=3).mean() > 0.7


@pytest.mark.parametrize("scale", [0.6, 1.0, 1.7])
@pytest.mark.parametrize("out", ["png", "exr"])
def test_colour_under_no_alpha_never_shows(tmp_path: Path, scale: float, out: str) -> None:
    """A grey person, with magenta where alpha is 0, before a grey wall: all must stay grey."""
    film = figures.film((60, 60), 1)
    magenta = np.where((film.alpha > 0)[..., None], np.float32(0.5), np.float32([1, 0, 1]))
    colour = magenta if out == "png" else to_linear(magenta, "srgb")
    cut = figures.write(tmp_path / f"cut.%03d.{out}", colour, film.alpha)
    wall = figures.write(tmp_path / "wall.png", [np.full((64, 96, 3), 0.25, np.float32)])
    lamp = Lamp(0.9)
    run(cut, wall, tmp_path / "out.mkv", lamp, canvas="background", scale=scale)
    got, _ = figures.read(tmp_path / "out.mkv")
    assert np.ptp(got, axis=3).max() <= 2.5 * CODE
    lit = float(from_linear(np.float32([0.9]) * to_linear(np.float32([0.5]), "srgb"), "srgb")[0])
    assert got.min() >= 0.25 - 2 * CODE and got.max() <= lit + 3 * CODE


def test_a_ragged_cut_out_that_is_enlarged_gets_no_bright_dots(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    film = figures.film((60, 60), 1)
    alpha = film.alpha * rng.uniform(0, 1, film.alpha.shape).astype(np.float32)
    own = rng.uniform(0.3, 0.6, film.own.shape).astype(np.float32) * (alpha[..., None] > 0)
    cut = figures.write(tmp_path / "cut.png", own, alpha)
    wall = figures.write(tmp_path / "wall.png", [np.full((64, 96, 3), 0.3, np.float32)])
    run(cut, wall, tmp_path / "out.png", canvas="background", scale=1.7)
    got, _ = figures.read(tmp_path / "out.png")
    assert got.max() <= 0.6 + CODE and got.min() > 0.2


def test_colour_under_no_alpha_is_not_seen_by_the_harmonizer(tmp_path: Path) -> None:
    film = figures.film((240, 160), 1)
    magenta = np.where((film.alpha > 0)[..., None], np.float32(0.5), np.float32([1, 0, 1]))
    cut = figures.write(tmp_path / "cut.png", magenta, film.alpha)
    wall = figures.write(tmp_path / "wall.png", [np.full((160, 240, 3), 0.25, np.float32)])
    lamp = Lamp()
    run(cut, wall, tmp_path / "out.png", lamp)
    assert np.ptp(lamp.seen[0].composite, axis=0).max() < 3 * CODE


# --- colour

def test_scene_linear_light_above_white_passes(tmp_path: Path) -> None:
    film = figures.film(SIZE, 2)
    own = to_linear(film.own, "srgb")
    own[:, 40:44, 46:50] = 6.0  # a lamp on the chest
    own[:, 50:52, 46:48] = -0.01
    wall = to_linear(np.stack([figures.scenery(SIZE, 5)] * 2), "srgb")
    wall[:, :6, :6] = 12.0
    cut = figures.write(tmp_path / "in" / "cut.%03d.exr", own, film.alpha)
    street = figures.write(tmp_path / "street" / "wall.%03d.exr", wall)
    for name, gain in (("same", 1.0), ("dim", 0.5)):
        run(cut, street, tmp_path / name / "out.%03d.exr", Lamp(gain))
        clip = io.open_clip(tmp_path / name / "out.%03d.exr")
        assert clip.tags == SCENE_LINEAR
        got, _ = figures.read(tmp_path / name / "out.%03d.exr")
        alpha = film.alpha[..., None].astype(np.float16).astype(np.float32)
        truth = alpha * own * gain + (1 - alpha) * wall
        np.testing.assert_allclose(got, truth, rtol=0.01, atol=2e-3)
        assert got[:, 41, 47] == pytest.approx(6.0 * gain, rel=0.01) and (got[:, :6, :6] == 12.0).all()
        assert (got[:, 50, 46] < 0).all()
        outside = film.alpha == 0
        assert (got[outside] == wall.astype(np.float16)[outside]).all()


@pytest.mark.parametrize(("front", "behind"), [(SRGB, HLG), (HLG, SRGB), (HLG, HLG)])
def test_clips_of_two_kinds_of_colour(shoot: Shoot, tmp_path: Path, front: ColorTags, behind: ColorTags) -> None:
    cut = figures.write(tmp_path / "cut.mkv", convert(shoot.own, SRGB, front), shoot.alpha, bits=16, tags=front)
    street = figures.write(tmp_path / "street.mkv", convert(shoot.behind, SRGB, behind), bits=16, tags=behind)
    run(cut, street, tmp_path / "out.mkv", Lamp(0.5))
    clip = io.open_clip(tmp_path / "out.mkv")
    assert clip.tags == behind and clip.bits == 16
    got, _ = figures.read(tmp_path / "out.mkv")
    assert (got == figures.read(street)[0])[shoot.alpha == 0].all()
    seen = convert(got, behind, SRGB)
    assert np.abs(seen - over(shoot.own, shoot.behind, shoot.alpha, 0.5)).max() < 2 * CODE


def test_log_footage_is_read_by_its_declared_curve(shoot: Shoot, tmp_path: Path) -> None:
    log = ColorTags(transfer="slog3")
    cut = figures.write(tmp_path / "cut.mkv", convert(shoot.own, SRGB, log), shoot.alpha, bits=16)
    clip = replace(io.open_clip(cut), tags=log)
    work = plan(clip, io.open_clip(shoot.street), None, tmp_path / "out.mkv", Options())
    pipeline.harmonize(work, Lamp(0.5))
    got, _ = figures.read(tmp_path / "out.mkv")
    assert np.abs(got - over(shoot.own, shoot.behind, shoot.alpha, 0.5)).max() < 2.5 * CODE


def test_a_premultiplied_exr_over_video(shoot: Shoot, tmp_path: Path) -> None:
    cut = figures.write(tmp_path / "cut.%03d.exr", to_linear(shoot.own, "srgb"), shoot.alpha)
    run(cut, shoot.street, tmp_path / "out.mkv", Lamp(0.5))
    got, _ = figures.read(tmp_path / "out.mkv")
    assert np.abs(got - over(shoot.own, shoot.behind, shoot.alpha, 0.5)).max() < 2.5 * CODE


def test_an_exr_plate_keeps_what_stands_in_the_file_whatever_its_alpha_says(shoot: Shoot, tmp_path: Path) -> None:
    plate = to_linear(shoot.behind, "srgb")
    veil = np.linspace(0, 1, SIZE[0], dtype=np.float32)[None, None, :] * np.ones((FRAMES, SIZE[1], 1), np.float32)
    # What the encoder is given is straight; the file then holds the plate itself.
    straight = np.where(veil[..., None] > 0, plate / np.maximum(veil, 1e-6)[..., None], 0)
    figures.write(tmp_path / "plate.%03d.exr", straight, veil)
    run(shoot.filmed, tmp_path / "plate.%03d.exr", tmp_path / "out.%03d.exr", Lamp(0.5), shoot.mask, rate=figures.RATE)
    got, _ = figures.read(tmp_path / "out.%03d.exr")
    outside = (shoot.alpha == 0) & (veil > 0.01)
    assert outside.sum() > 1000 and np.abs(got - plate)[outside].max() < 2e-3


def test_pictures_on_twos_keep_their_numbers(shoot: Shoot, tmp_path: Path) -> None:
    for n, frame in enumerate(shoot.own):
        figures.write(tmp_path / f"in.{1001 + 2 * n}.png", [frame])
    run(tmp_path / "in.%04d.png", shoot.street, tmp_path / "out.%04d.png", Lamp(), shoot.mask, start=1, end=4)
    assert sorted(path.name for path in tmp_path.glob("out.*")) == [f"out.{n}.png" for n in (1003, 1005, 1007)]


def test_a_foreground_that_was_written_comes_back_as_the_same_composite(shoot: Shoot, tmp_path: Path) -> None:
    """foreground out, then over the same background by strength 0, is what comp would have been."""
    run(shoot.cut, shoot.street, tmp_path / "comp.mkv", Lamp(rise))
    comp, _ = figures.read(tmp_path / "comp.mkv")
    for name in ("f.%03d.exr", "f.mkv"):
        run(shoot.cut, shoot.street, tmp_path / name, Lamp(rise), output="foreground")
        run(tmp_path / name, shoot.street, tmp_path / f"{name[2:5]}.mkv", strength=0.0, rate=figures.RATE)
        again, _ = figures.read(tmp_path / f"{name[2:5]}.mkv")
        assert np.abs(again - comp).max() <= 2.01 * CODE


# --- memory

PEAK = """
import json, sys
from pathlib import Path
from harmovid.infer import pipeline
from harmovid.infer.plan import Options, plan
from harmovid.video import io
from tests.figures import Lamp
class Forgetful(Lamp):
    def harmonize(self, clip, seed=0):
        for chunk in super().harmonize(clip, seed):
            self.seen.clear()
            yield chunk
cut, street, out, end = sys.argv[1:]
work = plan(io.open_clip(cut), io.open_clip(street), None, out, Options(end=20))
pipeline.harmonize(work, Forgetful(0.5))  # everything that is loaded once is loaded now
before = pipeline.peak_memory()
work = plan(io.open_clip(cut), io.open_clip(street), None, Path(out).with_name(end + ".mkv"), Options(end=int(end)))
pipeline.harmonize(work, Forgetful(0.5))
print(json.dumps(pipeline.peak_memory() - before))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    film = figures.film((64, 48), 30, step=(1, 0), start=(-15, 0))
    there_and_back = [*range(30), *range(29, -1, -1)] * 10
    cut = figures.write(tmp_path / "cut.mkv", film.own[there_and_back], film.alpha[there_and_back])
    street = figures.write(tmp_path / "street.mkv", [figures.scenery((64, 48), 5)] * 600)
    grown = []
    for frames in (100, 600):
        done = subprocess.run([sys.executable, "-c", PEAK, cut, street, tmp_path / f"out{frames}.mkv", str(frames)],
                              capture_output=True, text=True, timeout=300, cwd=Path(__file__).parents[2])
        assert done.returncode == 0, done.stderr
        grown.append(json.loads(done.stdout) / 2**20)
    # 500 more frames are 18 MB as pictures, 29 MB as views: none of it may stay.
    assert grown[1] - grown[0] < 6, grown
