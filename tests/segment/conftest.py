"""A small random model of segment-anything, and its checkpoint."""

from tests.support.sam import checkpoint  # noqa: F401
