"""Text on a terminal, or in the file that stands for one."""

import io
import sys


def counted(number: int, noun: str) -> str:
    """A number and what it counts: `1 picture`, `2 pictures`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def escape_unencodable() -> None:
    """Print what a stream cannot encode as escapes, such as an arrow on a Latin-1 terminal.

    Python would raise an error, and a finished command would seem to have failed.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
