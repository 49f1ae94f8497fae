"""The errors that a user can mend."""

import re
import zlib
from collections.abc import Sequence

# what libraries raise of a file that is damaged, beside errors of their own
DAMAGED = (OSError, ValueError, TypeError, LookupError, NotImplementedError, zlib.error)


# Control characters, line and paragraph separators, halves of surrogates, and what turns the
# direction of the text that follows.
UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """A text that cannot steer a terminal: line breaks and the like, as in a name, as escapes."""
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class InputError(ValueError):
    """One line: subject, rule, value found, way out. The command line prints it without a trace.

    Line breaks and other control characters in the value are shown as escapes.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


class ImageError(Exception):
    """Why one image cannot be used; it becomes a row of the failures table and the run goes on."""


def first_names(names: Sequence[str], count: int = 3) -> str:
    """The first of several names and the number of the others, for a message."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return f"{', '.join(names[:count])}{more}"


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
