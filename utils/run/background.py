"""Work beside the caller's: functions that spend their time outside Python (drawing, encoders), on the other cores."""

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import cv2


@contextlib.contextmanager
def background(workers: int = 0) -> Iterator[Callable[..., None]]:
    """Yield a function that has `function(*arguments)` run by one of `workers` threads (0: one a core, at most 8).

    Leaving waits for all of them and raises the first error. Where the block itself fails, what has not begun is
    dropped and what runs is waited for. Meanwhile OpenCV makes no threads of its own: pictures are small, and the cores
    have work.
    """
    pool, running = ThreadPoolExecutor(workers or min(os.cpu_count() or 1, 8)), list[Future]()
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)

    def run(function: Callable[..., Any], *arguments: Any) -> None:
        for done in [work for work in running if work.done()]:
            done.result()
            running.remove(done)
        running.append(pool.submit(function, *arguments))

    try:
        yield run
        for work in running:
            work.result()
    finally:
        pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(threads)
