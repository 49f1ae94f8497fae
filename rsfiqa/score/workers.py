"""Processes that score images: rows, regions and heat maps, in the order of the paths."""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from rsfiqa import checkpoints
from rsfiqa.checkpoints import label_of
from rsfiqa.errors import ImageError
from rsfiqa.images import load
from rsfiqa.io.atomic import atomic
from rsfiqa.products import scores
from rsfiqa.products.scores import Row
from rsfiqa.runtime.memory import tune_malloc
from rsfiqa.score import pipeline
from rsfiqa.score.heatmap import heatmap, heatmap_path
from rsfiqa.score.options import ScoreOptions
from rsfiqa.score.pipeline import DescribedRegions, RegionPipeline
from rsfiqa.score.result import Region
from rsfiqa.score.rows import score_file

if TYPE_CHECKING:  # importing torch takes seconds, for which a wrong argument need not wait
    from rsfiqa.score.scorer import Scorer

QUEUED = 4  # images submitted ahead to each process

ScoreOne = Callable[..., tuple[Row, list[Region]]]


@dataclass(frozen=True)
class Setup:
    """What a process needs to score images.

    Attributes:
        folder: of the checkpoint.
        options: of the scorer.
        heatmaps: folder for heat maps; None for none.
    """

    folder: Path
    options: ScoreOptions
    heatmaps: Path | None


@dataclass(frozen=True)
class _Worker:
    scorer: "Scorer"
    label: str
    heatmaps: Path | None


_worker: list[_Worker] = []  # of this process


def start(setup: Setup) -> None:
    """Prepare this process for `score_one`."""
    import torch

    torch.set_num_threads(1)  # parallel work is divided by images
    cv2.setNumThreads(1)
    tune_malloc()
    from rsfiqa.score.scorer import Scorer

    scorer = Scorer(setup.folder, setup.options)
    _worker[:] = [_Worker(scorer, label_of(scorer.card, scorer.digest), setup.heatmaps)]


def score_one(path: str, described: DescribedRegions | None = None) -> tuple[Row, list[Region]]:
    """Row and regions of an image; writes its heat map if there is a folder for it.

    Args:
        path: of the image.
        described: its regions and captions, if they are known.
    """
    (worker,) = _worker
    row, scored = score_file(path, worker.scorer, worker.label, described)
    if scored is None:
        return row, []
    score, pixels = scored
    if worker.heatmaps is not None:
        with (
            scores.as_input_error(worker.heatmaps),
            atomic(heatmap_path(worker.heatmaps, path)) as partial,
        ):
            heatmap(pixels, score.attention_grid).save(partial, format="PNG")
    return row, score.regions


class Workers:
    """Scores images in this process or in several.

    Args:
        setup: of each process.
        processes: number of processes; 0 for one per core, or one if there is a GPU.
        score_one: scores an image in a process that is set up.
    """

    def __init__(self, setup: Setup, processes: int, score_one: ScoreOne = score_one) -> None:
        self.setup, self.processes, self.score_one = setup, processes, score_one

    def has_heatmap(self, path: str) -> bool:
        """Whether the heat map of an image exists or is not to be made."""
        heatmaps = self.setup.heatmaps
        return heatmaps is None or heatmap_path(heatmaps, path).is_file()

    def rows(self, paths: Sequence[str]) -> Iterator[tuple[Row, list[Region]]]:
        """Row and regions of each image, in the order of the paths."""
        processes = min(self._count_processes(len(paths)), len(paths))
        if processes > 1:
            yield from self._rows_in_pool(paths, processes)
        elif paths:
            yield from self._rows_here(paths)

    def _rows_in_pool(
        self, paths: Sequence[str], processes: int
    ) -> Iterator[tuple[Row, list[Region]]]:
        pool = ProcessPoolExecutor(
            processes,
            mp_context=multiprocessing.get_context("forkserver"),
            initializer=_start_in_pool,
            initargs=(self.setup,),
        )
        try:
            pending: deque[Future[tuple[Row, list[Region]]]] = deque()
            for path in paths:  # not all at once: a million would fill the memory
                pending.append(pool.submit(self.score_one, path))
                if len(pending) >= QUEUED * processes:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _rows_here(self, paths: Sequence[str]) -> Iterator[tuple[Row, list[Region]]]:
        """In this process; another one describes the first image while this one imports torch."""
        card, _ = checkpoints.read_card(self.setup.folder)
        if "torch" in sys.modules or pipeline.needs_torch(card):
            start(self.setup)
            yield from map(self.score_one, paths)
            return
        # a fork takes no time and is safe: no threads run yet
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            described = pool.submit(_describe, paths[0], card, self.setup.options)
            start(self.setup)
            yield self.score_one(paths[0], described.result())
        yield from map(self.score_one, paths[1:])

    def _count_processes(self, images: int) -> int:
        if self.processes or images < 2:
            return self.processes or 1
        if self.setup.options.device != "cpu":
            from rsfiqa.runtime.devices import device_of

            if device_of(self.setup.options.device, "--device").type == "cuda":
                return 1  # it keeps the GPU busy
        return os.cpu_count() or 1


def _start_in_pool(setup: Setup) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    start(setup)


def _exit_with_parent() -> None:
    """End this process when its parent has ended, for whatever reason."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def _describe(path: str, card: checkpoints.Card, options: ScoreOptions) -> DescribedRegions | None:
    """Regions and captions of an image; None if it cannot be read."""
    try:
        return RegionPipeline(card, options).describe(load.load_rgb(Path(path)))
    except (ImageError, OSError):
        return None
