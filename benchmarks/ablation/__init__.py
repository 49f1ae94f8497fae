"""When MHF, captions and RSA help: the comparisons of docs/experiments/ablation.md.

Six hours of one core; an interrupted run is resumed by (condition, split). The tables are written
from the units that there are, and say which are missing.
"""

from collections.abc import Sequence


def main(arguments: Sequence[str]) -> None:
    """Measure and write the figures; torch is imported now."""
    from benchmarks.ablation import command

    command.main(arguments)
