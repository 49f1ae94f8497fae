"""The score command: image files and folders in, one resumable table out."""

import logging
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from tqdm import tqdm

from rsfiqa import checkpoints
from rsfiqa.errors import InputError, printable
from rsfiqa.images.listing import Listing, expand_paths
from rsfiqa.images.location import display_path, locate, shown_path
from rsfiqa.io.terminal import counted
from rsfiqa.products import scores
from rsfiqa.products.region_scores import regions_path
from rsfiqa.products.scores import Row
from rsfiqa.score import array_scorer, heatmap, needs
from rsfiqa.score.inside import Inside
from rsfiqa.score.journal import Journal, journal_path
from rsfiqa.score.lines import failed_line, picture_line, region_lines
from rsfiqa.score.options import ScoreOptions
from rsfiqa.score.result import Region
from rsfiqa.score.rows import Scored, region_rows
from rsfiqa.score.shard import Shard
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
    verbose: bool = False,
    inside: Inside | None = None,
    shard: Shard | None = None,
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
        workers: number of processes that score, or that read pictures for a GPU; 0 for one per
            core, or one where a GPU scores pictures one at a time.
        verbose: name each file that is skipped.
        inside: region to score instead of whole images.
        shard: how to record the table as a part of a larger run.
        score_one: scores an image in a worker process.

    Raises:
        InputError: a wrong path, checkpoint or output; too many failures in a shard.
    """
    output = None if output is None else _resolve(output)
    listing = expand_paths(arguments)
    if output is not None:  # it may lie among the pictures
        tables = (output, journal_path(output), regions_path(output) or output)
        own = {locate(str(path)) for path in tables}
        listing.skipped = [found for found in listing.skipped if locate(found.path) not in own]
    paths = listing.paths
    if shard is None:  # all of a shard's may have been removed
        listing.check_any(arguments)
    if heatmaps is not None and inside is not None:
        raise InputError(
            "--heatmaps: must be left out with --box and --mask, found one of them; run them apart"
        )
    if heatmaps is not None:
        heatmap.check_paths(heatmaps, paths)
    folder = checkpoints.folder_or_packaged(checkpoint)
    card, _ = checkpoints.read_card(folder)
    needs.check(folder, card, options)
    started = time.monotonic()
    if options.runtime == "auto" and len(paths) == 1 and not array_scorer.is_suited(card, options):
        options = options.model_copy(update={"runtime": "torch"})  # at hand a second earlier
    pool = Workers(Setup(folder, options, heatmaps, inside), workers, score_one)
    if output is None:
        done, failed = len(paths), _print_rows(paths, pool, explain)
    elif shard is not None:
        done, failed = _write_shard(paths, pool, shard, output)
    else:
        done, failed = _write_table(
            paths, pool, Journal(output, pool.label, pool.inside_of), explain
        )
    seconds = max(time.monotonic() - started, 1e-9)
    _log_skipped(listing, verbose)
    if done or not paths:  # that all are done already has been said
        images, speed = counted(done, "image"), done / seconds
        log.info("score: %s, %d failed, %.1f images/s", images, len(failed), speed)
    are_shown = (output is None or explain) and sys.stdout.isatty()  # by their rows
    if failed and not are_shown:  # last, where it is read
        table = None if output is None else shown_path(str(output))
        log.info("%s", failed_line(failed, all_named=verbose, table=table))
    return not failed


def _resolve(output: Path) -> Path:
    """The file of a table; of a link the file that it leads to, so that the link stays.

    Raises:
        InputError: see `scores.check`.
    """
    scores.check(output)
    if output.is_symlink():
        output = output.resolve()
        scores.check(output)
    return output


def _log_skipped(listing: Listing, verbose: bool) -> None:
    """Say what was left out, at the end where it is read."""
    if not listing.skipped:
        return
    if verbose:
        for found in listing.skipped:
            log.info("skipped: %s (%s)", shown_path(found.path), printable(found.reason or ""))
    hint = "" if verbose else "; --verbose names them"
    log.info("skipped: %s%s", listing.summary(), hint)


def _print_rows(paths: Sequence[str], pool: Workers, explain: bool) -> list[Row]:
    """The rows of the images that failed."""
    failed = []
    with closing(pool.rows(paths)) as rows:
        for row, regions in rows:
            _print_row(row, regions, explain)
            if row["status"] == "failed":
                failed.append(row)
    return failed


def _write_shard(
    paths: Sequence[str], pool: Workers, shard: Shard, output: Path
) -> tuple[int, list[Row]]:
    """As `_write_table`, with the records of a shard beside the table."""
    started = time.time()
    prepare = partial(shard.prepare, output, paths, pool.label)
    journal = Journal(output, pool.label, shard=True, prepare=prepare)
    check = partial(shard.check_failed, output, len(paths))
    done, failed = _write_table(paths, pool, journal, explain=False, check=check)
    shard.finish(output, pool.label, scored=done, started=started)
    return done, failed


def _write_table(
    paths: Sequence[str],
    pool: Workers,
    journal: Journal,
    explain: bool,
    check: Callable[[Sequence[Row]], None] = lambda _: None,
) -> tuple[int, list[Row]]:
    """Number of images scored in this run, and the rows of failed ones: all were tried again.

    Args:
        paths: of the images.
        pool: scores them.
        journal: keeps finished rows.
        explain: also print each region.
        check: raises if too many failed, before the table is written.
    """
    failed = []
    with _resumable(), journal:
        pending = _pending(paths, pool, journal)
        if len(pending) < len(paths):
            hint = "; --explain is about the others" if explain else ""
            log.info("%d of %d are done already%s", len(paths) - len(pending), len(paths), hint)
        with closing(pool.rows(pending)) as rows:
            for row, regions in _with_progress(rows, len(pending), explain):
                journal.add(row, region_rows(row, regions))
                if row["status"] == "failed":
                    failed.append(row)
                if explain:
                    _print_row(row, regions, explain)
        check(failed)
        locations = [display_path(locate(path)) for path in paths]
        journal.publish(locations)
        return len(pending), failed


@contextmanager
def _resumable() -> Iterator[None]:
    """Say of an interruption what is kept."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("finished rows are kept, the same command resumes") from error


def _with_progress(rows: Iterable[Scored], count: int, explain: bool) -> Iterable[Scored]:
    """The rows, with a bar on a terminal, which lines that are printed would tear."""
    if explain or count < 2:
        return rows
    bar: Iterable[Scored] = _Bar(rows, "score", count, unit="image", disable=None, miniters=1)
    return bar


class _Bar(tqdm):  # type: ignore[misc]  # it has no types
    """A bar without the thread that watches others, so that processes can be forked."""

    monitor_interval = 0


def _pending(paths: Sequence[str], pool: Workers, journal: Journal) -> list[str]:
    """Those of the images that have no row or no heat map as they are now."""
    unknown = [path for path in paths if not journal.is_done(path)]
    if unknown:
        journal.adopt_moved(unknown)
    return [p for p in paths if not journal.is_done(p) or not pool.has_heatmap(p)]


def _print_row(row: Row, regions: Sequence[Region], explain: bool) -> None:
    """Print a row, with its regions if `explain`; wrapped where it is a terminal."""
    print(picture_line(row), flush=True)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    if explain:
        given = row["worst_box"] if row.get("inside") else None
        for line in region_lines(regions, width, scores.scale_of(row), given):
            print(line)
