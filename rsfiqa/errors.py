"""The errors that a user can mend."""


class InputError(ValueError):
    """One line: subject, rule, value found, way out. The command line prints it without a trace."""


class ImageError(Exception):
    """Why one image cannot be used; it becomes a row of the failures table and the run goes on."""
