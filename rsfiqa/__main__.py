"""The command `rsfiqa`, also as `python -m rsfiqa`."""

import signal
import sys

INTERRUPTED = 130  # exit status


def main() -> int:
    """Run the command line; Ctrl-C is one line from the first import on.

    It is held back for the half second of the imports: extension modules turn an interrupt while
    they are loaded into errors of their own.
    """
    try:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            from rsfiqa import cli
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return cli.main()
    except KeyboardInterrupt:
        print("rsfiqa: interrupted", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
