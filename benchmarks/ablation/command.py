"""The command line: which parts run, and where units, tables and figures go."""

import argparse
import shlex
import sys
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import benchmarks.ablation
from benchmarks.ablation import export, products, summary, units
from benchmarks.ablation.conditions import (
    CURVE,
    LARGE,
    LIVEC,
    SEED,
    TEST_FRACTION,
    Condition,
    conditions,
)
from benchmarks.ablation.training import Bench, options_for, run_unit, training_mask
from benchmarks.figures import FOLDER, RELEASES, add_data, parser, positive, write
from benchmarks.finetune import map_in_processes
from rsfiqa.errors import InputError, first_line
from rsfiqa.io.json_files import read_json
from rsfiqa.io.provenance import Provenance
from rsfiqa.products.versions import VERSIONS

WORK = FOLDER / "ablation"
PARTS = "abcdef"
REPORT = FOLDER.parent / "report"


def main(arguments: Sequence[str]) -> None:
    """Run what is missing; write tables and figures of the units that there are."""
    options = _options()
    given = options.parse_args(arguments)
    if given.data is None and not given.summary:
        options.error("--data must be a folder of data sets, found none; or give --summary")
    known = conditions(given.n or CURVE, given.large)
    try:
        if not given.summary:
            for condition in _chosen(known, given.part or PARTS):
                run(given, condition)
        found = summary.summarize(given.units, known, _figures(given.earlier))
    except InputError as error:
        sys.exit(f"ablation: {error}")
    print("\n".join(summary.lines(found)))
    export.write_all(found, given.report)
    write("bench-ablation", summary.figures(found), recorded_command(given))


def recorded_command(given: argparse.Namespace) -> str:
    """The command that the figures record: the given options that shape them.

    Folders of products and the number of processes change no figure and are left out.
    """
    counts = ["--n", *map(str, given.n)] if given.n else []
    large = ["--large", str(given.large)] if given.large != LARGE else []
    part = ["--part", *given.part] if given.part else []
    earlier = ["--earlier", str(given.earlier)] if given.earlier else []
    words = [*part, *counts, *large, *["--summary"] * given.summary, *earlier]
    if not words:
        return "make bench-ablation DATA=DIR"
    data = ["--data", "DIR"] if given.data else []
    return shlex.join(["python", "-m", "benchmarks", "ablation", *data, *words])


def _options() -> argparse.ArgumentParser:
    options = parser(benchmarks.ablation.__name__, benchmarks.ablation.__doc__)
    add_data(options, required=False)
    options.add_argument(
        "--part",
        nargs="+",
        metavar="PART",
        help="run these parts (a to f; d is of models of a and c) or conditions (a.livec) alone",
    )
    options.add_argument("--run", type=Path, default=WORK / "run", help="folder of the products")
    options.add_argument("--units", type=Path, default=WORK, help="folder of the finished units")
    options.add_argument("--report", type=Path, default=REPORT, help="folder of tables and figures")
    options.add_argument(
        "--earlier",
        type=Path,
        help="figures of a run on another machine, such as docs/figures/bench-ablation.json, from"
        " which a condition is taken that has no unit here",
    )
    options.add_argument("--parallel", type=positive, default=1, help="units at a time")
    options.add_argument(
        "--n", nargs="+", type=positive, help=f"training images of the curve on {LIVEC}"
    )
    options.add_argument(
        "--large", type=positive, default=LARGE, help="training images of b on BIQ2021"
    )
    options.add_argument(
        "--summary", action="store_true", help="run nothing; tables of the units that there are"
    )
    return options


def _figures(path: Path | None) -> dict[str, Any]:
    """The figures of an earlier run; none without a path.

    Raises:
        InputError: the file cannot be read, or does not hold figures of this benchmark.
    """
    if path is None:
        return {}
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read ({first_line(error)}); give the bench-ablation.json of an"
            " earlier run"
        ) from error
    if not isinstance(content, dict) or "units_missing" not in content:
        raise InputError(
            f"{path}: must hold figures of the ablation, found none; give the bench-ablation.json"
            " of an earlier run"
        )
    return content


def _chosen(known: Sequence[Condition], parts: Collection[str]) -> list[Condition]:
    """The conditions of these parts, each a letter or the name of a condition.

    Raises:
        InputError: there is no such part.
    """
    allowed = [*PARTS, *(condition.name for condition in known)]
    for part in parts:
        if part not in allowed:
            raise InputError(
                f"--part: must be among {', '.join(allowed)}, found {part}; name one of these"
            )
    chosen = {*parts, *("ac" if "d" in parts else "")}  # whose models are tested by part d
    return [one for one in known if chosen & {one.part, one.name}]


def run(given: argparse.Namespace, condition: Condition) -> None:
    """Make the products of a condition and run its units that are missing.

    Raises:
        InputError: a set cannot be used, or does not have as many images as the condition needs.
    """
    root = products.make(given.data, given.run, condition.sets, cores=given.parallel)
    run_units(
        Bench(root, given.data / RELEASES["kodak"]),
        condition,
        given.units,
        parallel=given.parallel,
    )


def run_units(bench: Bench, condition: Condition, folder: Path, *, parallel: int = 1) -> None:
    """Run the units of a condition that are missing or were made in another way.

    Args:
        bench: where the products lie.
        condition: whose units are run.
        folder: of all units.
        parallel: units at a time.

    Raises:
        InputError: see `check_condition`.
    """
    inputs = {name: products.digest(bench.root / name) for name in condition.sets}
    pending = [
        (split, provenance)
        for split in condition.splits
        if not units.is_done(
            units.unit_path(folder, condition.name, split),
            provenance := units.provenance_of(condition, split, inputs, training_options()),
        )
    ]
    if not pending:
        return
    check_condition(bench, condition)
    map_in_processes(partial(_run_one, bench, condition, folder), pending, parallel)


def training_options() -> dict[str, Any]:
    """What shapes all units: seed, test fraction, the rule of epochs by examples, the stage."""
    epochs = {str(n): options_for(n).epochs for n in (*CURVE, LARGE)}
    return {
        "seed": SEED,
        "test_fraction": TEST_FRACTION,
        "epochs": epochs,
        "train": options_for(CURVE[-1]).recorded(),
        "train_version": VERSIONS["train"],
    }


def check_condition(bench: Bench, condition: Condition) -> None:
    """Refuse a condition that needs more training images than one of its units has."""
    if condition.n is None:
        return
    data = bench.training_set(condition.train[0])
    for split in condition.splits:
        training_mask(data, condition, split)


def _run_one(
    bench: Bench, condition: Condition, folder: Path, item: tuple[str, Provenance]
) -> None:
    split, provenance = item
    rows = run_unit(bench, condition, split)
    units.write(units.unit_path(folder, condition.name, split), rows, provenance)
    print(f"{condition.name} {split}: done, {len(rows)} rows", file=sys.stderr, flush=True)
