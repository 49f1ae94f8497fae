"""The command `rsfiqa`, also as `python -m rsfiqa`."""

import sys

INTERRUPTED = 130  # exit status


def main() -> int:
    """Run the command line; Ctrl-C is one line from the first import on."""
    try:
        from rsfiqa import cli

        return cli.main()
    except KeyboardInterrupt:
        print("rsfiqa: interrupted", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
