"""The command line: which parts are measured, and where their figures go."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import benchmarks.perception
from benchmarks.figures import FOLDER, RELEASES, add_data, parser, positive, write
from benchmarks.perception import (
    kodak,
    ladders,
    mmp2k,
    objects,
    pristine,
    realistic,
    resume,
    sets,
    speed,
    stability,
    stored,
)
from benchmarks.perception.models import Processes
from benchmarks.perception.photographs import Bench
from rsfiqa.errors import InputError

WORK = FOLDER / "perception"


@dataclass(frozen=True)
class Part:
    """A part of the bench.

    Attributes:
        measure: its figures.
        layouts: data sets that it needs, of `RELEASES`.
    """

    measure: Callable[[Bench], dict[str, float]]
    layouts: tuple[str, ...]

    def folders(self, data: Path) -> list[Path]:
        """The folders of its data sets."""
        return [data / RELEASES[layout] for layout in self.layouts]


PARTS = {
    "mmp2k": Part(mmp2k.measure, ("mmp2k",)),
    "sets": Part(sets.measure, ("kodak", "livec", "biq2021")),
    "agiqa3k": Part(sets.measure_generated, ("agiqa3k",)),
    "stability": Part(stability.measure, ("kodak", "biq2021")),
    "kodak": Part(kodak.measure, ("kodak",)),
    "realistic": Part(realistic.measure, ("biq2021",)),
    "stored": Part(stored.measure, ("biq2021",)),
    "ladders": Part(ladders.measure, ("kodak", "biq2021")),
    "objects": Part(objects.measure, ("biq2021",)),
    "false_alarms": Part(pristine.false_alarms, ("kodak", "biq2021")),
    "sanity": Part(pristine.sanity, ("kodak", "biq2021")),
    "word": Part(pristine.word, ("kodak", "biq2021")),
    "speed": Part(speed.measure, ("livec",)),
}


def main(arguments: Sequence[str]) -> None:
    """Measure; write the figures of a run of all parts on all photographs."""
    given = _options().parse_args(arguments)
    names = possible(given.part or list(PARTS), given.data)
    if not names:
        sys.exit(
            f"perception: {given.data} must hold the data sets of one part, found none; give the"
            " folder above them as --data"
        )
    figures: dict[str, float] = {}
    with Processes(given.processes, given.checkpoint) as processes:
        bench = Bench(
            given.data,
            WORK,
            processes,
            given.images,
            given.checkpoint,
            given.before,
            given.held_out,
        )
        try:
            code = resume.code_digest()
            for name in names:
                figures |= _part(name, bench, code)
        except InputError as error:
            sys.exit(f"perception: {error}")
    if given.images is not None:
        print(f"at most {given.images} photographs of each set: a quick look, not written")
    elif given.held_out:
        print("photographs that the recipes hold out: for choices, not written")
    elif not given.part:
        write("bench-perception", figures, "python -m benchmarks perception --data DIR")


def _options() -> argparse.ArgumentParser:
    options = parser(benchmarks.perception.__name__, benchmarks.perception.__doc__)
    add_data(options)
    options.add_argument("--part", nargs="+", choices=PARTS, help="measure these parts alone")
    options.add_argument("--checkpoint", type=Path, help="folder; by default the packaged one")
    options.add_argument(
        "--before", type=Path, help="previous release, for speed: its source, or a checkpoint"
    )
    options.add_argument(
        "--images", type=positive, help="most photographs of each set, for a quick look"
    )
    options.add_argument(
        "--held-out",
        action="store_true",
        help="photographs that the recipes hold out of training instead of test parts, for choices",
    )
    options.add_argument(
        "--processes", type=positive, default=2, help="pictures measured at a time"
    )
    return options


def possible(names: Sequence[str], data: Path) -> list[str]:
    """The parts whose data are there; the others are named on stderr."""
    possible = []
    for name in names:
        missing = [path.name for path in PARTS[name].folders(data) if not path.is_dir()]
        if missing:
            print(f"{name}: skipped, {data} has no {', '.join(missing)}", file=sys.stderr)
        else:
            possible.append(name)
    return possible


def _part(name: str, bench: Bench, code: str) -> dict[str, float]:
    """The figures of one part, which are kept, and printed."""
    part = PARTS[name]
    inputs: dict[str, Any] = {
        "code": code,
        "data": resume.listing_digest(part.folders(bench.data)),
        "checkpoint": resume.folder_digest(bench.checkpoint),
        "images": bench.limit,
        "chooses": bench.chooses,
    }
    if name == "speed":
        inputs["before"] = str(bench.before.resolve()) if bench.before else None
    suffix = f"-{bench.limit}" * bool(bench.limit) + "-held-out" * bench.chooses
    kept = bench.folder / "figures" / f"{name}{suffix}.json"
    figures = resume.figures_of(kept, inputs, partial(part.measure, bench))
    print("\n".join([f"{name}:", *lines_of(figures)]), file=sys.stderr, flush=True)
    return figures


def lines_of(figures: Mapping[str, float]) -> Iterator[str]:
    """A line for each figure: its value, interval and number of samples."""
    for name, value in figures.items():
        if f"{name}_n" in figures:
            low, high = (figures.get(f"{name}_{end}", value) for end in ("low", "high"))
            yield f"  {name} {value:.3f} [{low:.3f}, {high:.3f}], n {figures[f'{name}_n']:.0f}"
