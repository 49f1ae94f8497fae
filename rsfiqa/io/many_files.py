"""What is asked of each of many files, in threads where a file takes long.

It does on the file system of another machine. On one's own disk threads are slower than none.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from multiprocessing.pool import ThreadPool
from typing import TypeVar

THREADS = 16
CHUNK = 1000  # files
SLOW_S = 1e-4  # of a file

File = TypeVar("File")
Answer = TypeVar("Answer")


def ask_each(
    ask: Callable[[File], Answer], files: Iterable[File], *, slow_s: float = SLOW_S
) -> Iterator[Answer]:
    """The answer for each file, in their order; files are taken by `CHUNK`.

    Args:
        ask: may be called in threads.
        files: paths, or whatever `ask` takes.
        slow_s: seconds for a file above which further files are asked in threads.
    """
    rest = iter(files)
    with ExitStack() as stack:
        pool: ThreadPool | None = None
        while chunk := list(islice(rest, CHUNK)):
            if pool is not None:
                yield from pool.map(ask, chunk)
                continue
            began = time.monotonic()
            answers = [ask(file) for file in chunk]
            if time.monotonic() - began > slow_s * len(chunk):
                pool = stack.enter_context(ThreadPool(THREADS))
            yield from answers
