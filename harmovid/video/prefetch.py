"""Decoding ahead: an iterator run in a thread of its own, a few items before they are asked for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any, TypeVar

T = TypeVar("T")

_END = object()


def prefetch(items: Iterator[T], depth: int = 1) -> Iterator[T]:
    """The same items, made in another thread while the caller works on those before.

    What the iterator raises is raised here, after the items before it. When the caller stops early, so does the
    thread, and the iterator is closed, before this returns.

    Args:
        items: used in the other thread alone from now on.
        depth: items that wait at most; one more is being made.
    """
    waiting: queue.Queue[Any] = queue.Queue(depth)
    stop = threading.Event()

    def hand_over(item: Any) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.05)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not hand_over((item, None)):
                    break
            else:
                hand_over((_END, None))
        except BaseException as error:  # the caller's to deal with, whatever it is
            hand_over((_END, error))
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=work, name="harmovid-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stop.set()
        thread.join()
