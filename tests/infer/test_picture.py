"""One frame at full size, relit and composited."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harmovid.infer.picture import FullPicture, is_cut_out, is_in_place
from harmovid.infer.plan import Options, Plan, plan
from harmovid.video import io
from harmovid.video.color import from_linear, to_linear
from tests import figures

SIZE = (48, 32)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("picture")
    film = figures.film(SIZE, 2)
    for name, frames in (("filmed", film.frames), ("street", film.behind), ("mask", film.alpha)):
        figures.write(folder / f"{name}.mkv", frames)
    clips = [io.open_clip(folder / f"{name}.mkv") for name in ("filmed", "street", "mask")]
    return plan(*clips, Path(folder / "out.mkv"), Options())


def _frame() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Code values of a person and of a background, and a half solid, half soft alpha."""
    rgb, background = (np.full((SIZE[1], SIZE[0], 3), value, np.float32) for value in (0.5, 0.2))
    alpha = np.zeros((SIZE[1], SIZE[0]), np.float32)
    alpha[8:24, 10:30], alpha[8:24, 30:36] = 1, 0.5
    return rgb, background, alpha


class Twice:
    """A light that doubles."""

    def apply(self, linear: np.ndarray, box: tuple[float, ...], strength: float) -> np.ndarray:
        return linear * np.float32(2) ** strength


def test_a_person_in_twice_the_light_over_their_background(work: Plan) -> None:
    rgb, background, alpha = _frame()
    picture = FullPicture(work, rgb, alpha, background)
    picture.relight(Twice(), np.array([0, 0, *SIZE]))  # type: ignore[arg-type]
    found = picture.composite()
    np.testing.assert_array_equal(found[alpha == 0], background[alpha == 0])
    np.testing.assert_allclose(to_linear(found[alpha == 1], "srgb"), 2 * to_linear(rgb[alpha == 1], "srgb"), rtol=0.01)
    np.testing.assert_allclose(picture.gain()[alpha == 1], 0.5 + 1 / 8, atol=0.01)
    assert (picture.cut_out()[alpha == 0] == 0).all()
    plain = picture.panels()[1]
    np.testing.assert_allclose(plain[alpha == 1], rgb[alpha == 1], atol=0.01)


def test_soft_edges_are_mixed_in_linear_light(work: Plan) -> None:
    rgb, background, alpha = _frame()
    found = FullPicture(work, rgb, alpha, background).composite()
    mean = (to_linear(rgb, "srgb") + to_linear(background, "srgb")) / 2
    own = from_linear(mean, "srgb")[alpha == 0.5]
    # What shows through the edge of a filmed person is taken out of their colour first, so the mix may lie above.
    assert (found[alpha == 0.5] >= own - 0.01).all() and (found[alpha == 0.5] <= 0.5).all()


def test_an_empty_alpha_leaves_the_background(work: Plan) -> None:
    rgb, background, alpha = _frame()
    picture = FullPicture(work, rgb, 0 * alpha, background)
    picture.relight(Twice(), np.array([0, 0, *SIZE]))  # type: ignore[arg-type]
    np.testing.assert_array_equal(picture.composite(), background)


def test_in_place_and_cut_out(work: Plan) -> None:
    rgb, background, _ = _frame()
    assert is_in_place(work, rgb, rgb) and not is_in_place(work, rgb, background) and not is_cut_out(work)
