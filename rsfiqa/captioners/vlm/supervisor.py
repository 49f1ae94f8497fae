"""Runs a command that must not outlive the process which started it.

`python guard.py COMMAND...`: the command gets a process group of its own. The group is ended when
standard input closes, which happens however the other process ends, by SIGKILL too; and what is
left of it when the command ends by itself. Needs the standard library only.
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


BY_SIGNAL = 128  # plus its number: exit status where a signal ended the command, as in a shell


def main(command: list[str]) -> int:
    """Run the command; its exit status."""
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: over.set())
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_end_with_parent
    )
    waits: list[Callable[[], object]] = [_wait_for_input_to_close, child.wait]
    for wait in waits:
        threading.Thread(target=_then, args=(wait, over), daemon=True).start()
    over.wait()
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(GRACE_S)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)  # also children whose parent is gone
    status = child.wait()
    return status if status >= 0 else BY_SIGNAL - status


def _end_with_parent() -> None:
    """Have the kernel end this process when the guard is killed (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_for_input_to_close() -> None:
    # not sys.stdin: a thread that reads it holds its lock, which the interpreter's end minds
    while os.read(0, 1):
        pass


def _then(wait: Callable[[], object], over: threading.Event) -> None:
    wait()
    over.set()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
