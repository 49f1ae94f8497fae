"""Atomic writing."""

import os
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"


_UMASK = os.umask(0)


os.umask(_UMASK)


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`, which takes its place once the block has succeeded.

    Readers see the old file or the whole new one; the name differs per process, so that two
    writers cannot mix. Folders are made; nothing is left behind on an error, and what a process of
    this machine has left that was killed is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_behind(path)
    partial = path.with_name(f".{path.name}.{HOST}-{os.getpid()}.partial")
    try:
        yield partial
        partial.chmod(0o666 & ~_UMASK)  # some libraries write files that only their owner reads
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk's error names no file
        raise
    finally:
        partial.unlink(missing_ok=True)


def _remove_left_behind(path: Path) -> None:
    """Remove temporary siblings of `path` whose process has ended."""
    start = f".{path.name}.{HOST}-"
    with os.scandir(path.parent) as entries:
        names = [e.name for e in entries if e.name.startswith(start)]
    for name in names:
        process = name.removeprefix(start).removesuffix(".partial")
        if process.isdecimal() and not _runs(int(process)):
            path.with_name(name).unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is somebody else's
        return True
    return True


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a file, atomically.

    What a library makes in memory, rather than in a file of its own, fails as the disk says.
    """
    with atomic(path) as partial:
        partial.write_bytes(content)
