import os

import pytest

from harmovid.data.workers import each
from harmovid.errors import OptionError


def square(number: int) -> int:
    return number * number


def process(number: int) -> int:
    return os.getpid()


def die(number: int) -> None:
    os._exit(1)


@pytest.mark.parametrize("processes", [1, 2])
def test_every_job_comes_back_with_its_result(processes):
    assert sorted(each(square, [3, 1, 2], processes)) == [(1, 1), (2, 4), (3, 9)]


def test_one_process_is_this_one_and_more_are_others():
    assert dict(each(process, [0], 1))[0] == os.getpid()
    assert os.getpid() not in dict(each(process, [0, 1], 2)).values()


def test_a_process_that_was_killed_is_told():
    with pytest.raises(OptionError, match="--processes 2 was killed"):
        list(each(die, [0], 2))
