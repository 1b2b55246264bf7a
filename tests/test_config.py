"""Dataclasses through JSON and overrides: what goes out comes back, and what does not fit is refused."""

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmovid.config import from_dict, load, override, save, to_dict, write_whole
from harmovid.errors import InputError, OptionError


@dataclass(frozen=True)
class Optimizer:
    rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    name: Literal["adam", "sgd"] = "adam"
    warmup: int | None = None


@dataclass(frozen=True)
class Job:
    steps: int
    title: str = "run"
    resume: bool = False
    folder: Path = Path("out")
    sizes: tuple[int, ...] = (1, 2)
    seed: int | str = 0
    bits: Literal[8, 16] = 8
    cache: Path | None = None
    optimizer: Optimizer = field(default_factory=Optimizer)
    second: Optimizer | None = None


BASE = Job(10)


def test_round_trip_of_a_tree():
    job = Job(7, "ä", True, Path("/a/b"), (), "x", 16, Path("c"),
              Optimizer(2.0, (0.1, 0.2), "sgd", 5), Optimizer())
    plain = to_dict(job)
    assert json.loads(json.dumps(plain)) == plain
    assert plain["folder"] == "/a/b" and plain["optimizer"]["betas"] == [0.1, 0.2]
    back = from_dict(Job, plain)
    assert back == job
    assert isinstance(back.folder, Path) and isinstance(back.optimizer.betas, tuple)


jobs = st.builds(
    Job, steps=st.integers(), title=st.text(), resume=st.booleans(),
    folder=st.sampled_from([Path("a"), Path("/b/c.d")]), sizes=st.lists(st.integers()).map(tuple),
    seed=st.integers() | st.text(), bits=st.sampled_from([8, 16]), cache=st.none() | st.just(Path("x")),
    optimizer=st.builds(Optimizer, rate=st.floats(allow_nan=False), warmup=st.none() | st.integers()),
    second=st.none() | st.just(Optimizer()))


@settings(max_examples=25)
@given(jobs)
def test_round_trip_of_any_tree(job):
    assert from_dict(Job, json.loads(json.dumps(to_dict(job)))) == job


def test_save_and_load(tmp_path):
    path = tmp_path / "config.json"
    save(BASE, path)
    assert load(Job, path) == BASE
    assert [p.name for p in tmp_path.iterdir()] == ["config.json"]
    save(dataclasses.replace(BASE, steps=11), path)
    assert load(Job, path).steps == 11


def test_what_cannot_be_loaded_is_the_users_to_mend(tmp_path):
    path = tmp_path / "config.json"
    with pytest.raises(InputError, match=r"config\.json"):
        load(Job, path)
    for text in ('{"steps": 3', "[1, 2]", "7", ""):
        path.write_text(text)
        with pytest.raises(InputError, match=r"config\.json"):
            load(Job, path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"config\.json"):
        load(Job, path)


def test_absent_settings_keep_their_default():
    assert from_dict(Job, {"steps": 10}) == BASE
    assert from_dict(Job, {"steps": 10, "optimizer": {"rate": 1}}).optimizer == Optimizer(rate=1.0)
    with pytest.raises(OptionError, match="Job lacks 'steps'"):
        from_dict(Job, {})


def test_unknown_names_are_refused_with_those_that_exist():
    with pytest.raises(OptionError, match="'colour', 'speed'; it has steps, title"):
        from_dict(Job, {"steps": 1, "speed": 2, "colour": 3})
    with pytest.raises(OptionError, match="Optimizer has no setting 'momentum'"):
        from_dict(Job, {"steps": 1, "optimizer": {"momentum": 1}})


@pytest.mark.parametrize(("name", "value", "said"), [
    ("steps", 1.5, "steps takes int, got 1.5"),
    ("steps", True, "steps takes int"),
    ("steps", "3", "steps takes int"),
    ("steps", None, "steps takes int"),
    ("title", 3, "title takes str"),
    ("resume", 1, "resume takes bool"),
    ("resume", "True", "resume takes bool"),
    ("folder", 3, "folder takes Path"),
    ("sizes", 3, r"sizes takes tuple\[int, \.\.\.\]"),
    ("sizes", [1, "b"], "sizes takes int, got 'b'"),
    ("seed", 1.5, "seed takes str"),
    ("bits", 12, "bits is one of 8, 16; got 12"),
    ("bits", 8.0, "bits is one of 8, 16"),
    ("bits", [8], "bits is one of 8, 16"),
    ("cache", 4, "cache takes Path"),
    ("optimizer", 3, "optimizer takes Optimizer"),
    ("optimizer", None, "optimizer takes Optimizer"),
    ("optimizer", {"rate": "fast"}, "rate takes float"),
    ("optimizer", {"rate": True}, "rate takes float"),
    ("optimizer", {"betas": [0.9]}, r"betas takes tuple\[float, float\]"),
    ("optimizer", {"name": "lion"}, "name is one of adam, sgd"),
])
def test_values_of_another_type_are_refused(name, value, said):
    with pytest.raises(OptionError, match=said):
        from_dict(Job, {"steps": 1, name: value})


def test_whole_numbers_serve_as_float():
    rate = from_dict(Optimizer, {"rate": 1}).rate
    assert rate == 1.0 and isinstance(rate, float)


def test_optional_and_union():
    assert from_dict(Optimizer, {"warmup": None}).warmup is None
    assert from_dict(Optimizer, {"warmup": 3}).warmup == 3
    assert from_dict(Job, {"steps": 1, "seed": "a"}).seed == "a"
    assert from_dict(Job, {"steps": 1, "second": {"rate": 2}}).second == Optimizer(rate=2.0)


@pytest.mark.parametrize(("assignment", "expected"), [
    ("steps=12", dataclasses.replace(BASE, steps=12)),
    ("title=night shoot", dataclasses.replace(BASE, title="night shoot")),
    ("title=2024", dataclasses.replace(BASE, title="2024")),
    ("title=true", dataclasses.replace(BASE, title="true")),
    ('title="2024"', dataclasses.replace(BASE, title="2024")),
    ("title=a=b", dataclasses.replace(BASE, title="a=b")),
    ("title=", dataclasses.replace(BASE, title="")),
    ("resume=true", dataclasses.replace(BASE, resume=True)),
    ("folder=2024", dataclasses.replace(BASE, folder=Path("2024"))),
    ("sizes=[3, 4, 5]", dataclasses.replace(BASE, sizes=(3, 4, 5))),
    ("seed=7", dataclasses.replace(BASE, seed=7)),
    ("cache=null", BASE),
    ("cache=x", dataclasses.replace(BASE, cache=Path("x"))),
    ("optimizer.rate=1e-4", dataclasses.replace(BASE, optimizer=Optimizer(rate=1e-4))),
    (" optimizer.warmup =3", dataclasses.replace(BASE, optimizer=Optimizer(warmup=3))),
    ('second={"rate": 2}', dataclasses.replace(BASE, second=Optimizer(rate=2.0))),
])
def test_override(assignment, expected):
    assert override(BASE, [assignment]) == expected


def test_overrides_add_up_and_leave_the_original():
    changed = override(BASE, ["steps=1", "optimizer.rate=1", "optimizer.name=sgd", "steps=2"])
    assert changed == Job(2, optimizer=Optimizer(rate=1.0, name="sgd"))
    assert BASE == Job(10)
    assert override(BASE, []) == BASE


@dataclass(frozen=True)
class Jobs:
    all: tuple[Optimizer, ...] = ()


def test_a_dataclass_may_be_a_list_of_its_fields():
    assert override(Jobs(), ['all=[[1, [0, 0.5]], {"warmup": 3}, []]']) == Jobs((
        Optimizer(1.0, (0.0, 0.5)), Optimizer(warmup=3), Optimizer()))
    assert override(BASE, ["second=[2]"]).second == Optimizer(2.0)
    with pytest.raises(OptionError, match="Optimizer has 4 settings, rate, betas, name, warmup; got 5 values"):
        override(Jobs(), ["all=[[1, 2, 3, 4, 5]]"])


@pytest.mark.parametrize(("assignment", "said"), [
    ("steps", "takes name=value, got 'steps'"),
    ("speed=1", "no setting 'speed'; settings here: steps"),
    ("optimizer.speed=1", "no setting 'speed'; settings here: rate"),
    ("model.rate=1", "no group 'model'"),
    ("steps.rate=1", "no group 'steps'"),
    ("second.rate=1", "no group 'second'"),
    ("steps=many", "steps takes int, got 'many'"),
    ("steps=1.5", "steps takes int, got 1.5"),
    ("optimizer.name=lion", "one of adam, sgd"),
])
def test_impossible_overrides_are_refused(assignment, said):
    with pytest.raises(OptionError, match=said):
        override(BASE, [assignment])


@dataclass(frozen=True)
class Windows:
    length: int = 10
    overlap: int = 5

    def __post_init__(self):
        if self.overlap >= self.length:
            raise OptionError("overlap too large")


def test_an_owner_checks_only_the_finished_whole():
    assert override(Windows(), ["length=4", "overlap=2"]) == Windows(4, 2)


def test_many_may_write_one_file_at_once(tmp_path):
    path, texts = tmp_path / "list.txt", [str(n) * 5000 for n in range(10)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write_whole, [path] * 200, texts * 20))
    assert path.read_text() in texts and list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError):
        write_whole(tmp_path / "taken", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
