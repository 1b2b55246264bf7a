import math
from pathlib import Path

import numpy as np
import pytest

from harmovid.errors import InputError
from harmovid.evaluate import measures
from harmovid.evaluate.boundary import boundary_sharpness
from harmovid.evaluate.measures import COLUMNS, NOTHING, Light, Measures, Passing, Step, Tools, load_tools
from harmovid.evaluate.motion import Dis, motion_preservation, warping_error
from harmovid.evaluate.movement import foreground_light, movement
from harmovid.evaluate.relight import relight_amplitude
from harmovid.evaluate.shots import Shot
from harmovid.evaluate.similarity import ssim
from harmovid.video.color import from_linear, to_linear
from tests import figures

SIZE = (96, 64)
ROLES = ("truth", "source", "mask", "background")
MOVEMENT = {"movement_correlation", "movement_slope", "nothing_movement_correlation", "nothing_movement_slope"}


class Colours:
    """An embedder: the frame's mean colour."""

    name = "mean colour"

    def embed(self, frames: np.ndarray) -> np.ndarray:
        return frames.mean((1, 2))


@pytest.fixture(scope="module")
def clip() -> dict[str, np.ndarray]:
    """A drawn person on their own scene (truth), in too warm a light (source), and half mended (result)."""
    film = figures.film(SIZE, 4, step=(2, 0))

    def lit(strength: float) -> np.ndarray:
        light = to_linear(film.own, "srgb") * np.float32([1.5, 1.0, 0.7]) ** np.float32(strength)
        return np.stack([np.clip(figures.over(*parts), 0, 1)
                         for parts in zip(from_linear(light, "srgb"), film.behind, film.alpha, strict=True)])

    return {"result": lit(0.5), "truth": lit(0.0), "source": lit(1.0), "background": film.behind,
            "alpha": film.alpha}


def take(clip: dict[str, np.ndarray], given: tuple[str, ...], tools: Tools, bits: int | None = 8,
         size: tuple[int, int] = SIZE, light: Light | None = None) -> dict[str, float]:
    roles = [role for role in given if role != "mask"]
    measures = Measures(given, size, tools, light)
    taken = list(measures.of_result(bits))
    for t, alpha in enumerate(clip["alpha"]):
        shown = {role: clip[role][t] for role in roles}
        scene = Shot(shown, shown, alpha)
        for measure in measures.of_nothing:
            measure.add(scene)
        for measure in taken:
            measure.add(scene.of(clip["result"][t]))
    found: dict[str, float] = {}
    for measure in (*measures.of_nothing, *taken):
        more = measure.figures()
        assert not found.keys() & more.keys(), "two measures of one name"
        found |= more
    return found


def test_every_figure_has_its_column_and_is_that_of_the_pure_function(clip: dict[str, np.ndarray]) -> None:
    found = take(clip, ROLES, Tools(embedder=Colours(), face=Colours(), flow=Dis()), light=Step(2, -0.5))
    assert found.keys() == {*COLUMNS, *NOTHING} - {"frame_lpips", "foreground_lpips"} - MOVEMENT
    result, truth, source, alpha = (clip[role] for role in ("result", "truth", "source", "alpha"))
    assert found["frame_ssim"] == pytest.approx(ssim(result, truth))
    assert found["nothing_foreground_ssim"] == pytest.approx(ssim(source, truth, alpha))
    assert found["foreground_motion"] == pytest.approx(motion_preservation(result, truth, alpha).foreground)
    assert found["nothing_foreground_motion"] == pytest.approx(motion_preservation(source, truth, alpha).foreground)
    assert found["nothing_foreground_warping"] == pytest.approx(warping_error(source, truth, alpha).foreground)
    assert found["amplitude"] == pytest.approx(relight_amplitude(result, source, truth, alpha).slope)
    assert 0.4 < found["amplitude"] < 0.6
    assert found["boundary_tenengrad"] == pytest.approx(boundary_sharpness(result, truth, alpha).tenengrad_ratio)
    assert found["nothing_foreground_psnr"] < found["foreground_psnr"]
    assert found["step_response"] == found["nothing_step_response"] == 0  # the truth stands in for what steps
    assert 0.99 < found["steadiness"] <= 1 and 0.9 < found["identity"] < 1


def test_under_a_lamp_that_passes_movement_is_measured_of_the_result_and_of_the_source() -> None:
    film, far = figures.film(SIZE, 8), np.sin(np.linspace(0, np.pi, 8))[:, None, None, None]
    lit = {role: film.lit(np.exp2(share * far - 1)) for role, share in (("truth", 1), ("result", 0.5), ("source", 0))}
    clip = {**lit, "background": film.behind, "alpha": film.alpha}
    found = take(clip, ROLES, Tools(), light=Passing(2, 6))
    assert found.keys() == take(clip, ROLES, Tools()).keys() | MOVEMENT
    own, wanted = (np.array([foreground_light(*frame) for frame in zip(lit[role], film.alpha, strict=True)])
                   for role in ("result", "truth"))
    assert (found["movement_correlation"], found["movement_slope"]) == pytest.approx(movement(own, wanted))
    assert 0.4 < found["movement_slope"] < 0.6 and abs(found["nothing_movement_slope"]) < 0.1
    cut = take(clip, ROLES, Tools(), light=Passing(2, 9))
    assert all(math.isnan(cut[name]) for name in MOVEMENT)


def test_the_person_is_looked_at_in_every_eleventh_frame() -> None:
    class Seen(Colours):
        count = 0

        def embed(self, frames: np.ndarray) -> np.ndarray:
            self.count += len(frames)
            return super().embed(frames)

    face, planes = Seen(), np.full((23, 16, 16, 3), 0.4, np.float32)
    planes[[0, 11, 22]] = [0.8, 0.2, 0.1]  # in these the result has another colour than the source, and only in these
    clip = {"source": np.full_like(planes, 0.4), "result": planes, "alpha": np.ones((23, 16, 16), np.float32)}
    found = take(clip, ("source", "mask"), Tools(face=face), size=(16, 16))
    assert face.count == 6  # three frames of the result, three of the source
    assert found["identity"] == pytest.approx(1.1 / math.sqrt(3 * 0.69), abs=1e-5)


def test_the_stand_in_is_shown_pairs_from_within_a_latent_and_from_across_two() -> None:
    shown = range(0, 48, measures._STAND_IN_EVERY)
    assert {first % 4 for first in shown} == {0, 1, 2, 3}  # frame 0 alone, then four to a latent


def test_what_is_not_given_is_not_measured(clip: dict[str, np.ndarray]) -> None:
    tools = Tools(embedder=Colours(), face=Colours(), flow=Dis())
    assert take(clip, (), tools).keys() == {"steadiness"}
    only_source = take(clip, ("source", "mask"), tools)
    assert "frame_motion" not in only_source and only_source["nothing_foreground_motion"] == 0
    assert "amplitude" not in only_source and only_source["foreground_motion"] > 0
    assert "background_exact" not in take(clip, ROLES, tools, bits=None)
    assert take(clip, ROLES, Tools()).keys() < take(clip, ROLES, tools).keys()


def test_pictures_too_small_for_a_window_have_no_such_figure(clip: dict[str, np.ndarray]) -> None:
    small = {role: planes[:, :10, :10] for role, planes in clip.items()}
    found = take(small, ROLES, Tools(), size=(10, 10))
    assert "frame_ssim" not in found and "frame_psnr" in found


def test_figures_of_some_pairs_are_named_after_it() -> None:
    names = [Tools(embedder=Colours(), every=every).names["likeness of frames"] for every in (1, 4)]
    assert names == [Colours.name, f"{Colours.name}, one pair in 4"]


def test_tools_that_are_missing_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARMOVID_CACHE", str(tmp_path))
    tools, missing = load_tools()
    assert tools.names == {"motion and warping": "DIS medium"}
    assert len(missing) == 2 and all("fetch" in sentence for sentence in missing)
    with pytest.raises(InputError):
        load_tools(clip=tmp_path / "nothing")
