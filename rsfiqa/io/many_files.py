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

    Threads are tried after two chunks that were slow, and kept as long as they are faster: a busy
    machine is slow, too, but not faster with them.

    Args:
        ask: may be called in threads.
        files: paths, or whatever `ask` takes.
        slow_s: seconds of a file from which threads are tried.
    """
    rest = iter(files)
    with ExitStack() as stack:
        pool: ThreadPool | None = None
        alone_s, together_s = [0.0, 0.0], 0.0  # of a file, in the last chunks of each kind
        while chunk := list(islice(rest, CHUNK)):
            began = time.monotonic()
            if min(alone_s) > slow_s and together_s <= min(alone_s):
                pool = pool or stack.enter_context(ThreadPool(THREADS))
                answers = pool.map(ask, chunk)
                together_s = (time.monotonic() - began) / len(chunk)
            else:
                answers = [ask(file) for file in chunk]
                alone_s = [alone_s[1], (time.monotonic() - began) / len(chunk)]
            yield from answers
