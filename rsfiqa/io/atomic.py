"""Atomic writes: a reader sees the old file or the whole new one."""

import hashlib
import os
import socket
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"  # in the names of temporary files
SUFFIX = ".partial"
LONG_NAME = 200  # bytes; file systems allow 255, and a temporary name has up to 30 more

_UMASK = os.umask(0)
os.umask(_UMASK)


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path` that replaces it when the block succeeds.

    A file that is there keeps its permissions. The temporary name contains the host and the
    process, so that two writers never mix. Parent folders are created. The temporary file is
    removed on an error; those of killed processes of this host are removed by the next write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    partial = path.with_name(f"{_prefix(path)}{os.getpid()}{SUFFIX}")
    try:
        yield partial
        partial.chmod(_mode(path))  # some libraries create files that only the owner can read
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # the error of a full disk names no file
        raise
    finally:
        partial.unlink(missing_ok=True)


def _mode(path: Path) -> int:
    """The permissions of a file, or of a new one."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0o666 & ~_UMASK


def _prefix(path: Path) -> str:
    """How the names of temporary siblings of `path` begin; a checksum stands for a long name."""
    name = path.name
    if len(os.fsencode(name)) > LONG_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return f".{name}.{HOST}-"


def is_partial(name: str, path: Path) -> bool:
    """Whether a name is that of a temporary sibling of `path`, of any host and process."""
    return name.startswith(f".{path.name}.") and name.endswith(SUFFIX)


def _remove_abandoned(path: Path) -> None:
    """Remove temporary siblings of `path` whose process has ended."""
    prefix = _prefix(path)
    with os.scandir(path.parent) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(prefix)]
    for name in names:
        pid = name.removeprefix(prefix).removesuffix(SUFFIX)
        if pid.isdecimal() and not _is_running(int(pid)):
            path.with_name(name).unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # the process of another user
        return True
    return True


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a file atomically.

    Prefer it to letting a library write the file: some libraries hide the error of a full disk.
    """
    with atomic(path) as partial:
        partial.write_bytes(content)
