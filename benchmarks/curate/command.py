"""The command line: which parts are measured, and where their figures go."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import benchmarks.curate
from benchmarks.curate import best, groups, page, service
from benchmarks.curate.work import Work
from benchmarks.figures import FOLDER, add_data, parser, write

TARGET = "bench-curate"


@dataclass(frozen=True)
class Part:
    """A part of the bench.

    Attributes:
        measure: its figures.
        folders: data sets in DIR that it needs.
    """

    measure: Callable[[Work], Mapping[str, float]]
    folders: tuple[str, ...] = ()

    def missing(self, data: Path | None) -> list[str]:
        """Names of data sets that are not there."""
        return [name for name in self.folders if data is None or not (data / name).is_dir()]


PARTS = {
    "groups": Part(groups.measure),
    "best": Part(best.measure, ("BIQ2021",)),
    "page": Part(page.measure),
    "service": Part(service.measure, ("ChallengeDB_release",)),
}


def main(arguments: Sequence[str]) -> None:
    """Measure; write the figures of a run of all parts."""
    given = _options().parse_args(arguments)
    work = Work(given.data, FOLDER / "curate", given.checkpoint)
    figures: dict[str, float] = {}
    for name in given.part or PARTS:
        if missing := PARTS[name].missing(given.data):
            print(f"{name}: skipped, needs {', '.join(missing)} in --data", file=sys.stderr)
            continue
        found = {key: float(value) for key, value in PARTS[name].measure(work).items()}
        print(f"{name}: {found}", file=sys.stderr, flush=True)
        figures |= found
    if not given.part:
        write(TARGET, figures, "python -m benchmarks curate --data DIR")


def _options() -> argparse.ArgumentParser:
    options = parser(benchmarks.curate.__name__, benchmarks.curate.__doc__)
    add_data(options, required=False)
    options.add_argument("--part", nargs="+", choices=PARTS, help="measure these parts alone")
    options.add_argument("--checkpoint", type=Path, help="folder; by default the packaged one")
    return options
