"""The score command: image files and folders in, one resumable table out."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from rsfiqa import checkpoints
from rsfiqa.checkpoints import label_of
from rsfiqa.errors import InputError
from rsfiqa.images.listing import display_path, expand_paths
from rsfiqa.products import scores
from rsfiqa.products.scores import Row
from rsfiqa.score.journal import Journal
from rsfiqa.score.options import ScoreOptions
from rsfiqa.score.result import Region
from rsfiqa.score.workers import ScoreOne, Setup, Workers, score_one

log = logging.getLogger("rsfiqa")


def run(
    arguments: Sequence[str],
    options: ScoreOptions,
    *,
    checkpoint: Path | None,
    output: Path | None,
    heatmaps: Path | None,
    explain: bool,
    workers: int,
    score_one: ScoreOne = score_one,
) -> bool:
    """Score images; returns whether all could be scored.

    With an output, finished rows are kept in a journal beside it, so that the same call resumes
    after an interruption; failed images are tried again. Without an output, rows are printed.

    Args:
        arguments: see `expand_paths`.
        options: of the scorer.
        checkpoint: folder of the checkpoint; None for the one that comes with the package.
        output: table to write.
        heatmaps: folder for heat maps.
        explain: also print each region.
        workers: number of processes; 0 for one per core, or one if there is a GPU.
        score_one: scores an image in a worker process.

    Raises:
        InputError: a wrong path, checkpoint or output.
    """
    if output is not None:
        scores.check(output)
    paths = expand_paths(arguments)
    if not paths:
        raise InputError("paths: must name pictures, found none; give files or a folder of some")
    folder = checkpoints.folder_or_packaged(checkpoint)
    label = label_of(*checkpoints.read_card(folder))
    started = time.monotonic()
    pool = Workers(Setup(folder, options, heatmaps), workers, score_one)
    if output is None:
        failed = sum(_print_row(row, regions, explain) for row, regions in pool.rows(paths))
        done = len(paths)
    else:
        done, failed = _write_table(paths, pool, Journal(output, label), explain)
    seconds = max(time.monotonic() - started, 1e-9)
    log.info("score: %d images, %d failed, %.1f images/s", done, failed, done / seconds)
    return not failed


def _write_table(
    paths: Sequence[str], pool: Workers, journal: Journal, explain: bool
) -> tuple[int, int]:
    """Number of images scored in this run, and number of failed ones among all."""
    with journal:
        pending = [p for p in paths if display_path(p) not in journal or not pool.has_heatmap(p)]
        if len(pending) < len(paths):
            log.info("%d of %d are done already", len(paths) - len(pending), len(paths))
        disable = True if explain else None  # None: if stderr is no terminal
        bar = tqdm(pool.rows(pending), "score", len(pending), unit="image", disable=disable)
        for row, regions in bar:
            journal.add(row)
            if explain:
                _print_row(row, regions, explain)
        names = [display_path(path) for path in paths]
        journal.publish(names)
        return len(pending), len(journal.failed.intersection(names))


def _print_row(row: Row, regions: Sequence[Region], explain: bool) -> bool:
    """Print a row, with its regions if `explain`; returns whether the image failed."""
    if row["status"] == "failed":
        print(f"{'failed':>8}  {row['path']}: {row['reason']}", flush=True)
        return True
    print(f"{row['score']:8.2f}  {row['path']}  (worst region: {row['worst_caption']})", flush=True)
    for region in regions if explain else ():
        ratings = ", ".join(f"{name} {value:.1f}" for name, value in region.ratings.items())
        print(f"          {region.weight:4.0%} {region.score:8.2f}  {region.text} [{ratings}]")
    return False
