"""The same items in the same order; errors and endings arrive; nothing is left running."""

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmovid.video.prefetch import prefetch


def running() -> int:
    return sum(thread.name == "harmovid-prefetch" for thread in threading.enumerate())


@given(st.lists(st.integers() | st.none()), st.integers(1, 4))
def test_the_same_items_in_the_same_order(items: list[int | None], depth: int) -> None:
    assert list(prefetch(iter(items), depth)) == items
    assert running() == 0


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("third")

    got = prefetch(items())
    assert [next(got), next(got)] == [1, 2]
    with pytest.raises(ValueError, match="third"):
        next(got)
    assert running() == 0


def test_stopping_early_closes_the_iterator_and_ends_the_thread() -> None:
    closed = []

    def items() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.append(threading.current_thread().name)

    got = prefetch(items())
    assert next(got) == 0
    got.close()  # type: ignore[attr-defined]
    assert closed == ["harmovid-prefetch"] and running() == 0


def test_no_more_is_made_than_waits() -> None:
    made = []

    def items() -> Iterator[int]:
        for i in range(100):
            made.append(i)
            yield i

    got = prefetch(items(), depth=2)
    next(got)
    time.sleep(0.2)
    assert len(made) <= 4, "one taken, two waiting, one in hand"
    got.close()  # type: ignore[attr-defined]
