"""Files that one process at a time writes."""

import fcntl
import os
from pathlib import Path
from typing import IO

from rsfiqa.errors import InputError


def open_locked(path: Path, subject: Path, *, wait: bool = False) -> IO[bytes]:
    """Open a file to read it and to append to it, locked until it is closed or the process ends.

    Args:
        path: of the file, which is made if there is none.
        subject: what the message names.
        wait: wait until no other process has it open.

    Raises:
        InputError: another process has it open.
    """
    while True:
        file = path.open("ab+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            file.close()
            raise InputError(
                f"{subject}: must be written by one run at a time, found another; wait for it"
            ) from error
        if _is(path, file):
            return file
        file.close()  # a process that ended in between has removed it


def _is(path: Path, file: IO[bytes]) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
