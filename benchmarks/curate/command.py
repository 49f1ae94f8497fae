"""The command line: which parts are measured, and where their figures go.

The figures of a part are kept when it ends, so that a run that was interrupted goes on with the
next part, and parts can be measured one by one.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import benchmarks.curate
from benchmarks.curate import best, groups, page, service
from benchmarks.curate.work import Work
from benchmarks.figures import FOLDER, RELEASES, add_data, commit, parser, write
from rsfiqa.io.json_files import read_json, write_json

TARGET = "bench-curate"


@dataclass(frozen=True)
class Part:
    """A part of the bench.

    Attributes:
        measure: its figures.
        layouts: data sets that it needs, of `RELEASES`.
    """

    measure: Callable[[Work], Mapping[str, float]]
    layouts: tuple[str, ...] = ()

    def missing(self, data: Path | None) -> list[str]:
        """Folders of data sets that are not there."""
        names = [RELEASES[layout] for layout in self.layouts]
        return [name for name in names if data is None or not (data / name).is_dir()]


PARTS = {
    "groups": Part(groups.measure),
    "best": Part(best.measure, ("biq2021",)),
    "page": Part(page.measure),
    "service": Part(service.measure, ("livec",)),
}


def main(arguments: Sequence[str]) -> None:
    """Measure the parts that are not measured yet; write the figures once all are known."""
    given = _options().parse_args(arguments)
    work = Work(given.data, FOLDER / "curate", given.checkpoint)
    for name in given.part or PARTS:
        if missing := PARTS[name].missing(given.data):
            print(f"{name}: skipped, needs {', '.join(missing)} in --data", file=sys.stderr)
        elif given.part or kept(work, name) is None:
            keep(work, name, PARTS[name].measure(work))
        print(f"{name}: {kept(work, name)}", file=sys.stderr, flush=True)
    found = {name: kept(work, name) for name in PARTS}
    if pending := [name for name, figures in found.items() if figures is None]:
        print(f"{TARGET}: not written, {', '.join(pending)} to be measured", file=sys.stderr)
        return
    figures = {key: value for part in found.values() for key, value in (part or {}).items()}
    write(TARGET, figures, "python -m benchmarks curate --data DIR")


def kept(work: Work, part: str) -> dict[str, float] | None:
    """The figures of a part, measured on this commit and checkpoint; None if there are none."""
    try:
        content = read_json(_file(work, part))
    except (OSError, ValueError):
        return None
    figures: dict[str, float] = content["figures"]
    return figures if content["of"] == _measured(work) else None


def keep(work: Work, part: str, figures: Mapping[str, float]) -> None:
    """Keep the figures of a part for `kept`; none where the part could not be measured."""
    if figures:
        work.folder.mkdir(parents=True, exist_ok=True)
        values = {name: float(value) for name, value in figures.items()}
        write_json(_file(work, part), {"of": _measured(work), "figures": values})


def _file(work: Work, part: str) -> Path:
    return work.folder / f"{part}.json"


def _measured(work: Work) -> str:
    """What figures are of: the commit and the checkpoint."""
    return f"{commit()} {work.checkpoint.resolve() if work.checkpoint else 'packaged'}"


def _options() -> argparse.ArgumentParser:
    options = parser(benchmarks.curate.__name__, benchmarks.curate.__doc__)
    add_data(options, required=False)
    options.add_argument("--part", nargs="+", choices=PARTS, help="measure these parts, again")
    options.add_argument("--checkpoint", type=Path, help="folder; by default the packaged one")
    return options
