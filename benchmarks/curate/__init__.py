"""What curating a folder takes: grouping ten thousand pictures, choosing the best of a burst.

Each part reads the data sets that it needs from DIR; a part whose data are missing is skipped.
docs/protocol.md says how each figure is measured.
"""

from collections.abc import Sequence


def main(arguments: Sequence[str]) -> None:
    """Measure and write the figures; torch is imported now."""
    from benchmarks.curate import command

    command.main(arguments)
