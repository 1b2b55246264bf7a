"""Does light follow an environment that turns, on drawn people lit from a known side."""

import math
from pathlib import Path

import numpy as np
import pytest

from harmovid import config
from harmovid.evaluate import bench, turning
from harmovid.evaluate.bench import Outcome
from harmovid.evaluate.testsets import MANIFEST, VERSION, Item, Manifest, write
from harmovid.video import io
from harmovid.video.color import from_linear, to_linear
from tests import figures

SIZE, ROTATIONS = (96, 64), 8


def item(clip: str, turn: int, where: str = "hall") -> Item:
    angle = 360 * turn / ROTATIONS
    return Item(f"{clip}_{where}_{turn}", clip, psnr=20.0, variant=where,
                settings={"rotation": angle, "off_axis": abs((angle + 180) % 360 - 180)})


def test_whole_turns_are_found_in_the_order_of_their_rotations() -> None:
    items = [item(clip, turn) for clip in ("ann", "bob") for turn in reversed(range(ROTATIONS))]
    ann = tuple(f"ann_hall_{turn}" for turn in range(ROTATIONS))
    names = {one.name for one in items}
    assert turning.turns(items, names) == [ann, tuple(name.replace("ann", "bob") for name in ann)]
    assert turning.turns(items, names - {"bob_hall_3"}) == [ann]
    assert turning.turns([Item("still", "ann")], ["still"]) == []
    assert turning.turns(items[:7], names) == []  # fewer than eight tell nothing
    assert turning.in_view(items) == {f"{clip}_hall_{turn}" for clip in ("ann", "bob") for turn in (0, 1, 7)}
    assert turning.in_view([Item("still", "ann")]) == set()


def test_a_turn_without_a_vector_is_left_out() -> None:
    angles = np.arange(ROTATIONS) * math.tau / ROTATIONS
    truth = np.stack([np.sin(angles), np.cos(angles)], 1)
    lost = np.full_like(truth, np.nan)
    found = turning.direction([truth / 2, lost], [truth, truth])
    assert (found.correlation, found.slope) == pytest.approx((1, 0.5))
    assert math.isnan(turning.direction([lost], [truth]).correlation)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A person lit from eight sides in turn, in full (truth, results/whole), by half as much (results/half), and not at
    all (foreground, results/untouched).
    """
    film = figures.film(SIZE, 2, step=(2, 0))
    clip = tmp_path / "film.mkv"
    figures.write(clip, film.frames)
    items = [item("ann", turn) for turn in range(ROTATIONS)]
    config.save(Manifest(VERSION, clips=("ann",), items=tuple(items), kind="pathtraced"), tmp_path / MANIFEST)
    across = np.linspace(-1, 1, SIZE[0], dtype=np.float32)[None, :, None]
    shares = {"truth": 1.0, "foreground": 0.0, "results/untouched": 0.0, "results/whole": 1.0, "results/half": 0.5}
    for folder in (*shares, "mask", "background"):
        (tmp_path / folder).mkdir(parents=True)
    for number, one in enumerate(items):
        side = math.sin(math.tau * number / ROTATIONS)
        for folder, share in shares.items():
            light = np.exp(np.float32(0.5 * share * side) * across)
            write(tmp_path / folder / f"{one.name}.mkv",
                  from_linear(to_linear(film.frames, "srgb") * light * np.float32(0.5), "srgb"), io.open_clip(clip))
        write(tmp_path / "mask" / f"{one.name}.mkv", film.alpha, io.open_clip(clip))
        write(tmp_path / "background" / f"{one.name}.mkv", film.behind, io.open_clip(clip))
    return tmp_path


def test_the_table_tells_who_follows_and_by_how_much(made: Path) -> None:
    names = [one.name for one in config.load(Manifest, made / MANIFEST).items]

    def outcome(method: str, psnr: float) -> Outcome:
        rows = tuple({"clip": name, "foreground_psnr": psnr + (name[-1] in "017"),
                      "amplitude": (psnr - 20) / 4 * (name[-1] in "017")} for name in names)
        return Outcome(method, rows, {}, 0.1, made)

    lines = bench.turn_table(made, [outcome("untouched", 20), outcome("whole", 24), outcome("half", 22)]).splitlines()
    assert "(3)" in lines[0] and "(5)" in lines[0]
    assert lines[2] == "| untouched (do nothing) | 0.00 | 0.00 | +0.00 | +0.00 | 0.00 |"
    whole, half = ([float(cell) for cell in line.split("|")[2:7]] for line in lines[3:])
    assert whole == pytest.approx([1, 1, 4, 4, 1], abs=0.02) and half == pytest.approx([1, 0.5, 2, 2, 0.5], abs=0.02)
    assert bench.turn_table(made, [Outcome("untouched", outcome("", 20).rows[:7], {}, 0.1, made)]) == ""


def test_a_few_items_are_whole_turns(made: Path) -> None:
    everything = bench.spread(made, 100)
    assert len(everything) == ROTATIONS and bench.spread(made, 3) == everything
