"""Work shared out to processes of one thread each, which Ctrl-C lets finish what they began."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import cv2

from harmovid.errors import OptionError

Job = TypeVar("Job")
Result = TypeVar("Result")


def each(work: Callable[[Job], Result], jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, Result]]:
    """Every job with what `work` made of it, as they are done; in this process where `processes` is 1.

    Args:
        work, jobs: such as can be sent to another process.

    Raises:
        OptionError: a process was killed.
        Whatever `work` raises; what has not begun by then is dropped.
    """
    if processes == 1:
        yield from ((job, work(job)) for job in jobs)
        return
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_one_of_many) as pool:
        try:
            begun = {pool.submit(work, job): job for job in jobs}
            for done in as_completed(begun):
                yield begun[done], done.result()
        except BrokenProcessPool as error:
            raise OptionError(f"one of --processes {processes} was killed, for want of memory perhaps; start again "
                              "with fewer: what is made is kept") from error
        finally:
            pool.shutdown(cancel_futures=True)


def _one_of_many() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all: what is begun is finished
    cv2.setNumThreads(1)
