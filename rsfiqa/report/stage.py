"""One self-contained page: tables, plots, pictures with regions and attention."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from rsfiqa.io.atomic import atomic
from rsfiqa.products import results
from rsfiqa.products.paths import (
    SUFFIX,
    card_path,
    checkpoint_folder,
    headline_path,
    report_path,
    results_path,
)
from rsfiqa.report import gallery, page, plots, record, tables
from rsfiqa.report.gallery import Picture
from rsfiqa.report.plots import Curves, Scatter
from rsfiqa.report.record import DataSet, Experiment
from rsfiqa.report.tables import Pair, Row

DOTS = 20_000  # of all scatter plots together that are not drawn as bitmaps


FULL = "full"


def run(root: Path, *, images: int, title: str) -> str:
    """Write report/index.html and report/headline.txt; returns the headline.

    Shows what there is: tables need results only, pictures also checkpoints and products.

    Args:
        root: the folder of all results.
        images: shown with regions and attention, shared among the data sets.
        title: of the page.

    Raises:
        InputError: no results; a damaged product.
    """
    rows = tables.read(root)
    experiments = record.read_experiments(root)
    dataset = cache(lambda name: record.read_dataset(root, name))
    backend = cache(lambda name: record.caption_backend(root, name, experiments))
    pairs = tables.pairs(rows, dataset, backend)
    within = [pair for pair in pairs if pair.within]
    page.write(
        report_path(root),
        "results.html.jinja",
        title=title,
        grouped="Data set",
        within=within,
        across=[pair for pair in pairs if not pair.within],
        matrix=tables.matrix(pairs),
        ablations=[(pair, found) for pair in within if (found := tables.ablation(rows, pair))],
        scatters=_scatters(root, pairs, rows),
        calibrations=[
            plots.calibrate(pair, chosen, _results_path(root, pair))
            for pair in within
            if (chosen := _rows_of(rows, pair, FULL))
        ],
        curves=_curves(experiments, dataset, backend),
        pictures=_pictures(root, within, rows, images),
        failures=record.read_failures(root),
        experiments=experiments,
        settings=record.read_settings(experiments),
        times=record.read_times(root),
    )
    headline = tables.headline(pairs)
    with atomic(headline_path(root)) as partial:
        partial.write_text(headline, "utf-8")
    return headline


def _scatters(root: Path, pairs: Sequence[Pair], rows: Sequence[Row]) -> list[Scatter]:
    """A plot of the full model for each pair that it was tested on."""
    tested = [(pair, chosen) for pair in pairs if (chosen := _rows_of(rows, pair, FULL))]
    many = min(plots.MANY, DOTS // max(len(tested), 1))
    return [plots.scatter(pair, chosen, _results_path(root, pair), many) for pair, chosen in tested]


def _curves(
    experiments: Sequence[Experiment],
    dataset: Callable[[str], DataSet],
    backend: Callable[[str], str],
) -> list[Curves]:
    """The losses of all variants on the random splits of each data set."""
    losses: dict[str, dict[str, list[list[float]]]] = defaultdict(dict)
    for experiment in sorted(experiments, key=lambda e: tables.order(e.variant)):
        runs = [card.losses for card in experiment.cards.values() if card.losses]
        if runs:
            name = experiment.dataset
            losses[name][tables.label(experiment.variant, backend(name))] = runs
    return [plots.curves(dataset(name), losses[name]) for name in sorted(losses)]


def _pictures(root: Path, within: Sequence[Pair], rows: Sequence[Row], count: int) -> list[Picture]:
    """Pictures of each data set from the test part of the first split, if all it needs exists."""
    sources = {}
    for pair in within:
        for row in _rows_of(rows, pair, FULL)[:1]:
            checkpoint = checkpoint_folder(root, pair.train.name, FULL, row["split"])
            products = [root / pair.train.name / stage for stage in SUFFIX]
            there = card_path(checkpoint).is_file() and pair.train.images is not None
            if there and all(folder.is_dir() for folder in products):
                sources[pair.train.name] = (pair, row["split"], checkpoint)
    found = []
    for name, fraction in gallery.allocate(count, list(sources)).items():
        pair, split, checkpoint = sources[name]
        if fraction:
            found += gallery.pictures(
                root / name,
                checkpoint,
                pair.train,
                results.read_predictions(_results_path(root, pair), split),
                count=fraction,
                size=gallery.BUDGET // count,
            )
    return found


def _rows_of(rows: Sequence[Row], pair: Pair, variant: str) -> list[Row]:
    wanted = (pair.train.name, pair.test.name, variant)
    return [row for row in rows if (row["train"], row["test"], row["variant"]) == wanted]


def _results_path(root: Path, pair: Pair) -> Path:
    return results_path(root, pair.train.name, pair.test.name, FULL)
