"""One self-contained page: tables, scatter plots, pictures with regions and attention."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import jinja2
import pyarrow.compute as pc

from rsfiqa import results
from rsfiqa.files import atomic
from rsfiqa.report import gallery, plots, record, tables
from rsfiqa.report.gallery import Picture
from rsfiqa.report.plots import Scatter
from rsfiqa.report.tables import Pair, Row
from rsfiqa.shards import SUFFIX

log = logging.getLogger("rsfiqa")
SHOWN_FAILURES = 500  # rows of the page's table; the product has them all
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
    failures = record.read_failures(root)
    page = (
        _environment()
        .get_template("page.html.jinja")
        .render(
            title=title,
            within=within,
            across=[pair for pair in pairs if not pair.within],
            ablations=[(pair, found) for pair in within if (found := tables.ablation(rows, pair))],
            scatters=_scatters(root, pairs, rows),
            pictures=_pictures(root, within, rows, images),
            failures=failures[:SHOWN_FAILURES],
            failed=len(failures),
            experiments=experiments,
            settings=record.read_settings(experiments),
            times=record.read_times(root),
            written=datetime.now(UTC),
        )
    )
    headline = tables.headline(pairs)
    for name, text in (("index.html", page), ("headline.txt", headline)):
        with atomic(root / "report" / name) as partial:
            partial.write_text(text, "utf-8")
    return headline


def _scatters(root: Path, pairs: Sequence[Pair], rows: Sequence[Row]) -> list[Scatter]:
    """A plot of the full model for each pair that it was tested on."""
    found = []
    for pair in pairs:
        chosen = _rows_of(rows, pair, FULL)
        if chosen:
            found.append(plots.scatter(pair, chosen, _results_path(root, pair)))
    return found


def _pictures(root: Path, within: Sequence[Pair], rows: Sequence[Row], count: int) -> list[Picture]:
    """Pictures of each data set from the test part of the first split, if all it needs exists."""
    sources = {}
    for pair in within:
        for row in _rows_of(rows, pair, FULL)[:1]:
            checkpoint = root / "train" / f"{pair.train.name}.{FULL}" / row["split"]
            products = [root / pair.train.name / stage for stage in SUFFIX]
            there = (checkpoint / "card.json").is_file() and pair.train.images is not None
            if there and all(folder.is_dir() for folder in products):
                sources[pair.train.name] = (pair, row["split"], checkpoint)
    found = []
    for name, share in gallery.share_out(count, list(sources)).items():
        pair, split, checkpoint = sources[name]
        if share:
            table = results.read_predictions(_results_path(root, pair))
            found += gallery.pictures(
                root / name,
                checkpoint,
                pair.train,
                table.filter(pc.equal(table["split"], split)),
                count=share,
                size=gallery.BUDGET // count,
            )
    return found


def _rows_of(rows: Sequence[Row], pair: Pair, variant: str) -> list[Row]:
    wanted = (pair.train.name, pair.test.name, variant)
    return [row for row in rows if (row["train"], row["test"], row["variant"]) == wanted]


def _results_path(root: Path, pair: Pair) -> Path:
    return root / "benchmark" / f"{pair.train.name}.{pair.test.name}.{FULL}.parquet"


def _environment() -> jinja2.Environment:
    """Templates that escape everything: captions and file names come from outside."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": tables.number,
        "interval": tables.interval,
        "range": tables.number_range,
        "signed": tables.signed,
        "p": tables.p_value,
    }
    return environment
