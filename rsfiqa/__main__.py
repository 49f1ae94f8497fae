"""The command `rsfiqa`, also as `python -m rsfiqa`."""

import os
import signal
import sys
from collections import namedtuple
from types import FrameType

INTERRUPTED = 130  # exit status


def main() -> int:
    """Run the command line; Ctrl-C is one line from the first import to the end.

    During the imports it ends the process at once, since extension modules turn an exception while
    they are loaded into errors of their own. When the command has finished it is ignored, so that
    the exit of the interpreter keeps the status; CPython would else end by the signal where the
    interrupt came while it executed a string. A module that is loaded later may turn it into an
    error, too: a command that fails after it was interrupted is told as interrupted.
    """
    os.environ["MPLBACKEND"] = "agg"  # a notebook hands on its own, which may be missing
    before = signal.getsignal(signal.SIGINT)
    interrupts: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        interrupts.append(number)
        signal.default_int_handler(number, frame)

    try:
        if before is not signal.SIG_IGN:  # as in the background of a script
            signal.signal(signal.SIGINT, _exit_at_once)
        from rsfiqa import cli

        signal.signal(signal.SIGINT, before if before is signal.SIG_IGN else interrupt)
        status = cli.main()
        if not interrupts or status in (0, INTERRUPTED):
            return status
    except KeyboardInterrupt:
        pass
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        namedtuple("Executed", ())  # as text, which forgets an interrupt of an earlier execution
    _report_interrupt()
    return INTERRUPTED


def _exit_at_once(*_: object) -> None:
    _report_interrupt()
    os._exit(INTERRUPTED)


def _report_interrupt() -> None:
    print("rsfiqa: interrupted", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
