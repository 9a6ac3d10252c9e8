"""Working on many images in several processes."""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Iterator

import cv2


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Let OpenCV use one thread: processes are many already."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


@contextmanager
def worker_pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Open a pool of processes that each use OpenCV with one thread.

    OpenCV's threads are stopped before processes are forked: one that
    inherits threads that it does not have hangs or crashes when it changes
    their number.

    Args:
        jobs (int): Number of processes.

    Yields:
        ProcessPoolExecutor: The pool.
    """
    with one_opencv_thread(), ProcessPoolExecutor(
            jobs, initializer=_start_worker) as pool:
        yield pool


def _start_worker() -> None:
    """Let a worker end when its parent does, and not before.

    Workers of a pool wait for work for ever otherwise. Ctrl-C in a terminal
    reaches them, too; a pool that loses one while it is told to stop may wait
    for ever.
    """
    cv2.setNumThreads(1)  # of a process that was not forked
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
