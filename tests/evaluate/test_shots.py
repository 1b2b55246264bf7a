"""What is compared side by side; damaged, missing and unequal clips are tried in test_score."""

import numpy as np
import pytest

from harmovid.errors import InputError
from harmovid.evaluate.shots import Shot, agree, clipped, pictures, scenes
from harmovid.video.io import open_clip
from tests import figures


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    folder = tmp_path_factory.mktemp("film")
    found = figures.film((48, 32), 3, step=(2, 0))
    for name, frames in (("truth", found.frames), ("mask", found.alpha), ("small", found.frames[:, ::2, ::2])):
        figures.write(folder / f"{name}.mkv", frames)
    return found, {path.stem: open_clip(path) for path in folder.iterdir()}


def test_references_and_results_come_side_by_side(film):
    drawn, clips = film
    references = {role: clips[role] for role in ("truth", "mask")}
    found = list(scenes("a", references, (48, 32), 3))
    for scene, result, frame, alpha in zip(found, pictures("a", clips["truth"], (48, 32), 3), drawn.frames, drawn.alpha,
                                           strict=True):
        assert np.abs(scene.light["truth"] - frame).max() <= 0.5 / 255 + 1e-6
        assert np.abs(scene.alpha - alpha).max() <= 0.5 / 255 + 1e-6
        assert np.array_equal(scene.of(result).shown["result"], scene.shown["truth"])
        assert "result" not in scene.light


def test_what_is_found_once_is_known_to_all_results_of_a_time_step_alone():
    scene, other = (Shot({}, {}, np.zeros((1, 1), np.float32)) for _ in range(2))
    asked = []

    def find():
        asked.append(1)
        return len(asked)

    results = [scene.of(np.zeros((1, 1, 3), np.float32)) for _ in range(2)]
    assert [shot.once("x", find) for shot in (*results, scene)] == [1, 1, 1] and other.once("x", find) == 2


def test_clipping_copies_only_what_needs_it():
    inside, beyond = np.float32([0, 1]), np.float32([-0.5, 1.5])
    assert clipped(inside) is inside and clipped(beyond).tolist() == [0, 1] and beyond.tolist() == [-0.5, 1.5]


def test_another_size_is_an_error_or_brought_to_it(film):
    _, clips = film
    both = {"truth": clips["truth"], "result": clips["small"]}
    with pytest.raises(InputError, match="24×16, its truth 48×32"):
        agree("a", both, resize=False, length=None)
    assert agree("a", both, resize=True, length=None) == (48, 32)
    assert next(pictures("a", clips["small"], (48, 32), 3)).shape == (32, 48, 3)
