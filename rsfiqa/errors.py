"""The errors that a user can mend."""

import zlib

# what libraries raise of a file that is damaged, beside errors of their own
DAMAGED = (OSError, ValueError, TypeError, LookupError, NotImplementedError, zlib.error)


class InputError(ValueError):
    """One line: subject, rule, value found, way out. The command line prints it without a trace."""


class ImageError(Exception):
    """Why one image cannot be used; it becomes a row of the failures table and the run goes on."""
