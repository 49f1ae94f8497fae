"""Runs a command that must not outlive the process that starts it.

`python supervisor.py COMMAND...` runs the command in a process group of its own. It ends the group
when standard input closes, which happens however the starting process ends, also by SIGKILL; and
what is left of the group when the command ends. Needs the standard library only.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

GRACE_S = 15  # between SIGTERM and SIGKILL
PR_SET_PDEATHSIG = 1  # of linux/prctl.h
SIGNAL_STATUS = 128  # exit status of a command that a signal ended, less its number, as in a shell


def main(command: list[str], grace: float = GRACE_S) -> int:
    """Run a command.

    Args:
        command: the command line.
        grace: time between SIGTERM and SIGKILL, seconds.

    Returns:
        The exit status of the command.
    """
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: over.set())
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_end_with_parent,  # noqa: PLW1509 - no thread runs yet
    )
    waits: list[Callable[[], object]] = [_wait_for_input_to_close, child.wait]
    for wait in waits:
        threading.Thread(target=_set_after, args=(over, wait), daemon=True).start()
    over.wait()
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(grace)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)  # also children whose parent has ended
    status = child.wait()
    return status if status >= 0 else SIGNAL_STATUS - status


def _end_with_parent() -> None:
    """Have the kernel end this process when the supervisor is killed (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_for_input_to_close() -> None:
    # not sys.stdin: a thread that reads it holds its lock, for which the interpreter waits at exit
    while os.read(0, 1):
        pass


def _set_after(event: threading.Event, wait: Callable[[], object]) -> None:
    wait()
    event.set()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
