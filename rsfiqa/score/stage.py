"""Scores of anybody's pictures: files and folders in, one table out, resumable."""

import logging
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from tqdm import tqdm

from rsfiqa.errors import ImageError, InputError, first_line
from rsfiqa.images import load
from rsfiqa.images.flags import flags_of
from rsfiqa.images.listing import display_path, expand_paths
from rsfiqa.images.load import LoadedImage
from rsfiqa.io.atomic import atomic
from rsfiqa.products import checkpoints, scores
from rsfiqa.products.scores import Row
from rsfiqa.runtime.memory import tune_malloc
from rsfiqa.score import pipeline
from rsfiqa.score.options import ScoreOptions
from rsfiqa.score.pipeline import Rows

if TYPE_CHECKING:  # torch takes long to import, which a wrong argument need not wait for
    from rsfiqa.score.scorer import Region, Score, Scorer
from rsfiqa.products.checkpoints import label_of
from rsfiqa.score.heatmap import heatmap, heatmap_path

log = logging.getLogger("rsfiqa")


MUCH = 2 * load.HUGE  # pixels


AHEAD = 4  # pictures handed out to each process


Look = tuple[np.ndarray | None, Rows | None]


def run(
    arguments: Sequence[str],
    options: ScoreOptions,
    *,
    checkpoint: Path | None,
    output: Path | None,
    heatmaps: Path | None,
    explain: bool,
    workers: int,
) -> bool:
    """Score pictures; whether all could be scored.

    With an output, finished rows are kept in a journal beside it and not computed again, failures
    are tried again; without one, lines are printed as they come.

    Args:
        arguments: see `listed`.
        options: of the scorer.
        checkpoint: its folder; None for the one that comes with the package.
        output: the table.
        heatmaps: folder for heat maps.
        explain: also print each region.
        workers: processes; 0 for one per core, or one where there is a GPU.

    Raises:
        InputError: a wrong path, checkpoint or output.
    """
    if output is not None:
        scores.check(output)
    paths = expand_paths(arguments)
    if not paths:
        raise InputError("paths: must name pictures, found none; give files or a folder of some")
    folder = checkpoints.located(checkpoint)
    label = label_of(*checkpoints.read_card(folder))
    started = time.monotonic()
    work = _Work(folder, options, heatmaps, workers)
    if output is None:
        failed = sum(_printed(row, regions, explain) for row, regions in work.rows(paths))
        done = len(paths)
    else:
        done, failed = _written(paths, work, scores.Journal(output, label), explain)
    spent = max(time.monotonic() - started, 1e-9)
    log.info("score: %d images, %d failed, %.1f images/s", done, failed, done / spent)
    return not failed


def _written(
    paths: Sequence[str], work: "_Work", journal: scores.Journal, explain: bool
) -> tuple[int, int]:
    """How many pictures were scored now for a table, and how many of all failed."""
    with journal:
        wanted = [p for p in paths if display_path(p) not in journal or not work.has_map(p)]
        if len(wanted) < len(paths):
            log.info("%d of %d are done already", len(paths) - len(wanted), len(paths))
        hidden = True if explain else None  # None: where stderr is no terminal
        rows = work.rows(wanted)
        for row, regions in tqdm(rows, "score", len(wanted), unit="image", disable=hidden):
            journal.add(row)
            if explain:
                _printed(row, regions, explain)
        names = [display_path(path) for path in paths]
        journal.publish(names)
        return len(wanted), len(journal.failed.intersection(names))


def row_of(
    path: str, scorer: "Scorer", label: str, look: Look = (None, None)
) -> tuple[Row, tuple["Score", np.ndarray] | None]:
    """A row of the table for one picture, whatever becomes of it; its score and its pixels."""
    low, high = scorer.score_range
    row: Row = dict.fromkeys(scores.SCHEMA.names)
    row |= {"path": display_path(path), "low": low, "high": high, "checkpoint": label, "flags": []}
    row["direction"] = scorer.card.scale.direction
    try:
        picture = read(Path(path))
        found = scorer.judge(picture, *look)
    except (ImageError, OSError) as error:
        return row | {"status": "failed", "reason": first_line(error)}, None
    worst = worst_region(found, scorer.lower_better)
    return row | {
        "score": found.score,
        "quality": found.quality,
        "worst_box": list(worst.box),
        "worst_caption": worst.text,
        **{f"worst_{k}": None if math.isnan(v) else v for k, v in worst.ratings.items()},
        "worst_quality": worst.quality,
        "worst_weight": worst.weight,
        "flags": flags_of(picture),
        "status": "ok",
    }, (found, picture.pixels)


def read(path: Path) -> LoadedImage:
    """A picture; one that takes much memory is decoded by a process that ends with it.

    Raises:
        ImageError: as `images.read`.
    """
    if load.decoded_pixels(path) <= MUCH:
        return load.load_image(path)
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(load.load_image, path).result()


def worst_region(found: "Score", lower_better: bool) -> "Region":
    """The region that costs the image most: its weight times how far it lies below the mean."""
    sign = -1 if lower_better else 1
    mean = sum(region.weight * region.quality for region in found.regions)
    return min(found.regions, key=lambda region: sign * region.weight * (region.quality - mean))


class _Work:
    """Rows of pictures, and their heat maps.

    Args:
        folder: of the checkpoint.
        options: of the scorer.
        heatmaps: folder for heat maps; None for none.
        workers: see `run`.
    """

    def __init__(
        self, folder: Path, options: ScoreOptions, heatmaps: Path | None, workers: int
    ) -> None:
        self.folder, self.options, self.heatmaps = folder, options, heatmaps
        self.workers = workers

    def has_map(self, path: str) -> bool:
        """Whether nothing is left to be done for the heat map of a picture."""
        return self.heatmaps is None or heatmap_path(self.heatmaps, path).is_file()

    def rows(self, paths: Sequence[str]) -> Iterator[tuple[Row, list["Region"]]]:
        """Row and regions of each picture in their order, by several processes if it pays."""
        if not paths:
            return
        workers = min(self._processes(len(paths)), len(paths))
        arguments = (self.folder, self.options, self.heatmaps)
        if workers <= 1:
            yield from self._rows_here(paths)
            return
        context = multiprocessing.get_context("forkserver")
        pool = ProcessPoolExecutor(
            workers, mp_context=context, initializer=_start_worker, initargs=arguments
        )
        try:
            waiting: deque[Future] = deque()  # a million at once would fill the memory
            for path in paths:
                waiting.append(pool.submit(score_one, path))
                if len(waiting) >= AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _rows_here(self, paths: Sequence[str]) -> Iterator[tuple[Row, list["Region"]]]:
        """As `rows`, in this process; another looks at the first picture until torch is there."""
        arguments = (self.folder, self.options, self.heatmaps)
        card, _ = checkpoints.read_card(self.folder)
        if "torch" in sys.modules or not pipeline.is_light(card):
            start(*arguments)
            yield from map(score_one, paths)
            return
        # a fork is safe and takes no time: nothing runs yet that keeps threads
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            look = pool.submit(_look, paths[0], card)
            start(*arguments)
            yield score_one(paths[0], look.result())
        yield from map(score_one, paths[1:])

    def _processes(self, pictures: int) -> int:
        if self.workers or pictures < 2:
            return self.workers or 1
        if self.options.device != "cpu":
            from rsfiqa.runtime.devices import device_of

            if device_of(self.options.device, "device").type == "cuda":
                return 1  # which the model fills
        return os.cpu_count() or 1


_worker: list[tuple["Scorer", str, Path | None]] = []  # of this process


def start(folder: Path, options: ScoreOptions, heatmaps: Path | None) -> None:
    """Make this process ready for `score_one`."""
    import torch

    torch.set_num_threads(1)  # images are the unit of parallel work
    cv2.setNumThreads(1)
    tune_malloc()
    from rsfiqa.score.scorer import Scorer

    scorer = Scorer(folder, options)
    _worker[:] = [(scorer, label_of(scorer.card, scorer.digest), heatmaps)]


def _start_worker(*arguments: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that collects
    threading.Thread(target=_end_with_parent, daemon=True).start()
    start(*arguments)


def _end_with_parent() -> None:
    """End this process when the one that collects is gone, however it ended."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def _look(path: str, card: checkpoints.Card) -> Look:
    """What `inprocess.look` sees; nothing of a picture that cannot be read."""
    try:
        return pipeline.look(Path(path), card)
    except (ImageError, OSError):
        return None, None


def score_one(path: str, look: Look = (None, None)) -> tuple[Row, list["Region"]]:
    """Row and regions of a picture; its heat map, if such are wanted, is written.

    Args:
        path: of the picture.
        look: its label map and captions, if they are known.
    """
    ((scorer, label, heatmaps),) = _worker
    row, seen = row_of(path, scorer, label, look)
    if seen is None:
        return row, []
    found, pixels = seen
    if heatmaps is not None:
        with (
            scores.guarded(heatmaps),
            atomic(heatmap_path(heatmaps, path)) as partial,
        ):
            heatmap(pixels, found.grid_features).save(partial, format="PNG")
    return row, found.regions


def _printed(row: Row, regions: Sequence["Region"], explain: bool) -> bool:
    """Print a line, or several; whether the picture failed."""
    if row["status"] == "failed":
        print(f"{'failed':>8}  {row['path']}: {row['reason']}", flush=True)
        return True
    print(f"{row['score']:8.2f}  {row['path']}  (worst region: {row['worst_caption']})", flush=True)
    for region in regions if explain else ():
        words = ", ".join(f"{name} {value:.1f}" for name, value in region.ratings.items())
        print(f"          {region.weight:4.0%} {region.quality:8.2f}  {region.text} [{words}]")
    return False
