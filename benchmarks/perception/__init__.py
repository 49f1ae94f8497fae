"""Whether the reason agrees with the score, and with people: what `rsfiqa score` says is wrong.

Each part reads the data sets that it needs from DIR; a part whose data are missing is skipped. The
figures of a finished part are kept and not measured again, unless the package, the data or the
checkpoint has changed, so an interrupted run is resumed. About 15 minutes on two cores.
docs/experiments/perception.md says how each figure is measured.
"""

from collections.abc import Sequence


def main(arguments: Sequence[str]) -> None:
    """Measure and write the figures; torch is imported now."""
    from benchmarks.perception import command

    command.main(arguments)
