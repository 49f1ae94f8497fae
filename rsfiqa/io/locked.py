"""Files that one process at a time writes."""

import fcntl
from pathlib import Path
from typing import IO

from rsfiqa.errors import InputError


def open_locked(path: Path, subject: Path) -> IO[bytes]:
    """Open a file to read it and to append to it, locked until it is closed or the process ends.

    Args:
        path: of the file, which is made if there is none.
        subject: what the message names.

    Raises:
        InputError: another process has it open.
    """
    file = path.open("ab+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise InputError(
            f"{subject}: must be written by one run at a time, found another; wait for it"
        ) from error
    return file
