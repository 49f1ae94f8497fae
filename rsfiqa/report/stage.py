"""The report of all results: tables, plots, pictures with regions and attention, on one page."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from rsfiqa.io.atomic import atomic
from rsfiqa.io.json_files import write_json
from rsfiqa.io.provenance import Provenance
from rsfiqa.products import results
from rsfiqa.products.paths import (
    SUFFIX,
    card_path,
    checkpoint_folder,
    headline_path,
    report_path,
    results_path,
    stats_path,
)
from rsfiqa.products.results import ResultRow
from rsfiqa.products.versions import VERSIONS
from rsfiqa.report import exported, page, pictures, record, tables
from rsfiqa.report.dataset import DataSet, read_dataset
from rsfiqa.report.headline import headline
from rsfiqa.report.labels import FULL, method_label, method_order
from rsfiqa.report.options import recorded_options
from rsfiqa.report.pictures import Picture
from rsfiqa.report.record import Experiment, Scope
from rsfiqa.report.tables import DatasetPair

if TYPE_CHECKING:  # matplotlib takes half a second to import
    from rsfiqa.report.plots import Calibration, Curves, Scatter

MAX_DOTS = 20_000  # of all scatter plots together; more are drawn as bitmaps


def run(root: Path, *, images: int, title: str, names: Sequence[str] = ()) -> str:
    """Write report/index.html, headline.txt, tables and figures; returns the headline.

    The page shows what there is: tables need only results; pictures also need checkpoints and
    the products of the data sets.

    Args:
        root: folder of all results.
        images: number of images to show with regions and attention, divided among the data sets.
        title: of the page.
        names: of the tables of results to show, `<train>.<test>.<method>`; empty for all.

    Raises:
        InputError: no results, results that cannot stand beside each other, or a damaged product.
    """
    started = time.time()
    rows = tables.read(root, names)
    scope = Scope.of(root, rows)
    experiments = record.read_experiments(root, scope)
    stats_path(report_path(root)).unlink(missing_ok=True)  # its presence marks a finished report
    dataset = cache(lambda name: read_dataset(root, name))
    backend = cache(lambda name: record.caption_backend(root, name, experiments))
    pairs = tables.dataset_pairs(rows, dataset, backend)
    within = [pair for pair in pairs if pair.within]
    differences = [(pair, tables.ablation(rows, pair)) for pair in within]
    matrix = tables.matrix(pairs)
    scatters = _scatters(root, pairs, rows)
    calibrations = _calibrations(root, within, rows)
    curves = _curves(experiments, dataset, backend)
    page.write(
        report_path(root),
        "results.html.jinja",
        title=title,
        grouped="Data set",
        kinds=pictures.KINDS,
        within=within,
        across=[pair for pair in pairs if not pair.within],
        matrix=matrix,
        ablations=[(pair, rows) for pair, rows in differences if rows],
        scatters=scatters,
        calibrations=calibrations,
        curves=curves,
        pictures=_pictures(root, within, rows, images),
        failures=record.read_failures(root, scope),
        experiments=experiments,
        settings=record.read_settings(experiments),
        times=record.read_times(root, scope),
    )
    plots = {one.name: one.svg for one in scatters}
    plots |= {one.name: one.svg for one in curves}
    plots |= {f"calibration-{one.dataset.name}": one.svg for one in calibrations}
    exported.write_all(report_path(root).parent, pairs, differences, matrix, plots)
    text = headline(pairs)
    with atomic(headline_path(root)) as partial:
        partial.write_text(text, "utf-8")
    options = recorded_options(scope.tables, images=images, title=title)
    provenance = Provenance("report", 1, "report", VERSIONS["report"], options=options)
    stats = {"provenance": provenance.to_json(), "started": started, "ended": time.time()}
    write_json(stats_path(report_path(root)), stats | {"images": images})
    return text


def _scatters(
    root: Path, pairs: Sequence[DatasetPair], rows: Sequence[ResultRow]
) -> "list[Scatter]":
    """Scatter plots of the full model, one for each pair that it was tested on."""
    tested = [pair for pair in pairs if tables.rows_of(rows, pair, FULL)]
    if not tested:
        return []
    from rsfiqa.report import plots

    max_dots = min(plots.MAX_DOTS, MAX_DOTS // len(tested))
    return [
        plots.scatter(pair, tables.rows_of(rows, pair, FULL), _full_results(root, pair), max_dots)
        for pair in tested
    ]


def _calibrations(
    root: Path, within: Sequence[DatasetPair], rows: Sequence[ResultRow]
) -> "list[Calibration]":
    """Calibration plots of the full model, one for each data set."""
    tested = [pair for pair in within if tables.rows_of(rows, pair, FULL)]
    if not tested:
        return []
    from rsfiqa.report import plots

    return [
        plots.calibrate(pair.test, tables.rows_of(rows, pair, FULL), _full_results(root, pair))
        for pair in tested
    ]


def _curves(
    experiments: Sequence[Experiment],
    dataset: Callable[[str], DataSet],
    backend: Callable[[str], str],
) -> "list[Curves]":
    """Learning curves of all variants, one plot for each data set."""
    losses: dict[str, dict[str, list[list[float]]]] = defaultdict(dict)
    for experiment in sorted(experiments, key=lambda e: method_order(e.variant)):
        runs = [card.losses for card in experiment.cards.values() if card.losses]
        if runs:
            name = experiment.dataset
            losses[name][method_label(experiment.variant, backend(name))] = runs
    if not losses:
        return []
    from rsfiqa.report import plots

    return [plots.curves(dataset(name), losses[name]) for name in sorted(losses)]


@dataclass(frozen=True)
class _Source:
    """Where pictures of a data set come from: a split of its full model."""

    pair: DatasetPair
    split: str
    checkpoint: Path


def _pictures(
    root: Path, within: Sequence[DatasetPair], rows: Sequence[ResultRow], count: int
) -> list[Picture]:
    """Pictures from the test part of the first split of each data set that has all products."""
    sources = {pair.test.name: _source(root, pair, rows) for pair in within}
    complete = {name: source for name, source in sources.items() if source}
    if not complete or not count:
        return []
    from rsfiqa.report import gallery  # imports torch, which takes a second

    gathered: list[Picture] = []
    for name, number in pictures.allocate(count, list(complete)).items():
        source = complete[name]
        if number:
            gathered += gallery.pictures(
                root / name,
                source.checkpoint,
                source.pair.test,
                results.read_predictions(_full_results(root, source.pair), source.split),
                count=number,
                size=pictures.BUDGET // count,
            )
    return gathered


def _source(root: Path, pair: DatasetPair, rows: Sequence[ResultRow]) -> _Source | None:
    """The first split of the full model on a data set; None if something is missing."""
    full = tables.rows_of(rows, pair, FULL)
    if not full or pair.test.images is None:
        return None
    checkpoint = checkpoint_folder(root, pair.train.name, FULL, full[0].split)
    folders = [root / pair.train.name / stage for stage in SUFFIX]
    if not card_path(checkpoint).is_file() or not all(folder.is_dir() for folder in folders):
        return None
    return _Source(pair, full[0].split, checkpoint)


def _full_results(root: Path, pair: DatasetPair) -> Path:
    """The table of results of the full model."""
    return results_path(root, pair.train.name, pair.test.name, FULL)
