"""Processes that score images: rows, regions and heat maps, in the order of the paths."""

import os
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
from threadpoolctl import threadpool_limits

from rsfiqa import checkpoints
from rsfiqa.checkpoints import Card, label_of
from rsfiqa.errors import ImageError, InputError, first_line
from rsfiqa.images import load
from rsfiqa.images.location import file_state
from rsfiqa.runtime import gpus
from rsfiqa.runtime.memory import tune_malloc
from rsfiqa.runtime.processes import Method, Worker, WorkerError
from rsfiqa.score import array_scorer, device_rows, heatmap, loading, pipeline
from rsfiqa.score.inside import Inside
from rsfiqa.score.options import ScoreOptions
from rsfiqa.score.pipeline import RegionPipeline
from rsfiqa.score.rows import (
    LARGEST_IN_PROCESS,
    Opened,
    Scored,
    failed_file_row,
    reason_of,
    score_file,
)

if TYPE_CHECKING:  # importing torch takes seconds, for which a wrong argument need not wait
    from rsfiqa.score.loading import CommandScorer
    from rsfiqa.score.scorer import Scorer

MAX_FAILED_STARTS = 3  # processes that may die in a row while they load the models
AHEAD = 4  # images, for each process, that may be finished before an earlier one

ScoreOne = Callable[..., Scored]


@dataclass(frozen=True)
class Setup:
    """What a process needs to score images.

    Attributes:
        folder: of the checkpoint.
        options: of the scorer.
        heatmaps: folder for heat maps; None for none.
        inside: region to score instead of whole images; None for none.
    """

    folder: Path
    options: ScoreOptions
    heatmaps: Path | None
    inside: Inside | None = None


@dataclass(frozen=True)
class _Ready:
    scorer: "CommandScorer"
    label: str
    setup: Setup


_ready: list[_Ready] = []  # in this process


def start(setup: Setup) -> None:
    """Prepare this process for `score_one`."""
    cv2.setNumThreads(1)  # parallel work is divided by images
    threadpool_limits(1)  # of NumPy
    tune_malloc()
    scorer = loading.load(setup.folder, setup.options)
    _ready[:] = [_Ready(scorer, label_of(scorer.card, scorer.digest), setup)]


def loaded() -> tuple["CommandScorer", str]:
    """The scorer of this process, which `start` has prepared, and the label of its checkpoint."""
    (ready,) = _ready
    return ready.scorer, ready.label


def score_one(path: str, opened: Opened | None = None) -> Scored:
    """Row and regions of an image; writes its heat map if there is a folder for it.

    Args:
        path: of the image.
        opened: the image, if it has been read.
    """
    (ready,) = _ready
    row, scored = score_file(path, ready.scorer, ready.label, opened, ready.setup.inside)
    if scored is None:
        return row, []
    score, pixels = scored
    if (folder := ready.setup.heatmaps) is not None:
        target = heatmap.heatmap_path(folder, path)
        heatmap.check_target(target, path)  # it may be new
        text = heatmap.record(row, ready.label)
        heatmap.write(target, heatmap.heatmap(pixels, score, ready.scorer.scale), text)
    return row, score.regions


class Workers:
    """Scores images in this process or in several.

    A process that dies, such as one that is killed because memory runs out, costs the image that it
    worked on; another one takes its place.

    Args:
        setup: of each process.
        processes: number of processes that score, or that read images for a GPU; 0 for one per
            core, or one where a GPU scores images one at a time.
        score_one: scores an image in a process that is set up.
    """

    def __init__(self, setup: Setup, processes: int, score_one: ScoreOne = score_one) -> None:
        self.setup, self.processes, self.score_one = setup, processes, score_one
        self.card, digest = checkpoints.read_card(setup.folder)
        self.label = label_of(self.card, digest)

    def inside_of(self, path: str) -> str | None:
        """What the row of an image records of the given region."""
        return None if self.setup.inside is None else self.setup.inside.key(path)

    def has_heatmap(self, path: str) -> bool:
        """Whether the heat map of an image is up to date, or cannot or is not to be made."""
        state = file_state(path)
        if self.setup.heatmaps is None or state["size"] is None:
            return True
        expected = heatmap.record(state, self.label)
        return heatmap.is_current(heatmap.heatmap_path(self.setup.heatmaps, path), expected)

    def rows(self, paths: Sequence[str]) -> Generator[Scored, None, None]:
        """Row and regions of each image, in the order of the paths.

        To be closed, so that no process outlives an error.
        """
        if len(paths) > 1 and self._uses_device():
            yield from self._rows_on_device(paths)
        elif len(paths) > 1:  # one that dies must not end the run
            yield from self._rows_apart(paths)
        elif paths:
            try:
                result = self._row_here(paths[0])
            except InputError:
                raise
            except Exception as error:
                result = self.failed(paths[0], error)
            yield result

    def _uses_device(self) -> bool:
        """Whether a device other than the CPU scores images, in batches.

        Heat maps are drawn over the pixels, which only the processes have.
        """
        device = self.setup.options.device
        if not gpus.may_be_used(device):
            return False
        if self.setup.heatmaps is not None or self.score_one is not score_one:
            return False
        if not device_rows.is_suited(self.card):
            return False
        from rsfiqa.runtime.devices import device_of

        return device_of(device, "--device").type != "cpu"

    def _rows_on_device(self, paths: Sequence[str]) -> Iterator[Scored]:
        """Images are read and divided in processes, and scored in batches in this one."""
        from rsfiqa.score.scorer import Scorer

        yield from self.rows_in_batches(paths, Scorer(self.setup.folder, self.setup.options))

    def rows_in_batches(self, paths: Sequence[str], scorer: "Scorer") -> Iterator[Scored]:
        """As `rows`, scored in batches by a scorer of this process.

        Args:
            paths: of the images.
            scorer: of the same checkpoint, on any device.
        """
        count = min(self.processes or os.cpu_count() or 1, len(paths))
        with closing(_Pool(self.setup, device_rows.prepare_one, count, device_rows.start)) as pool:
            score = scorer.score_inputs
            yield from device_rows.rows_in_batches(paths, pool, score, self.failed)

    def _rows_apart(self, paths: Sequence[str]) -> Iterator[Scored]:
        """In processes, each of which has one image at a time."""
        count = min(count_processes(self.processes, self.setup.options), len(paths))
        done: dict[int, Scored] = {}
        begun = given = 0
        with closing(_Pool(self.setup, self.score_one, count)) as pool:
            while given < len(paths):
                for index, result in pool.collect():
                    died = isinstance(result, Exception)
                    done[index] = self.failed(paths[index], result) if died else result
                first = given
                while given in done:
                    given += 1
                # after `given` has moved: else no process is busy where one image took longer than
                # all that may be ahead of it, and the next `collect` waits for ever
                while pool.idle and begun < min(len(paths), given + AHEAD * count):
                    pool.submit(begun, paths[begun])
                    begun += 1
                for index in range(first, given):
                    yield done.pop(index)

    def failed(self, path: str, error: Exception) -> Scored:
        """The row of an image by its error, also by one that nobody foresaw."""
        row = failed_file_row(
            path, file_state(path), self.card.scale, self.label, self.setup.inside
        )
        reason = reason_of(error) or f"unexpected {type(error).__name__}: {first_line(error)}"
        return {**row, "reason": reason}, []

    def _row_here(self, path: str) -> Scored:
        """In this process; another one captions its regions while this one imports torch."""
        if (
            "torch" in sys.modules
            or array_scorer.is_suited(self.card, self.setup.options)
            or pipeline.needs_one_process(self.card)
            or threading.active_count() > 1
        ):
            start(self.setup)
            return self.score_one(path)
        worker = Worker("fork")  # takes no time and is safe: no threads run
        try:
            worker.submit(open_and_caption, path, self.card, self.setup.options)
            start(self.setup)
            opened = worker.result()
        except WorkerError:
            opened = None  # the image is read again, and its row says what is wrong
        finally:
            worker.stop()
        return self.score_one(path, opened)


def start_method(setup: Setup) -> Method:
    """How processes are started: a fork, which has the modules of this one, where it is safe.

    It is not where threads may run: those of Python, of torch or of ONNX Runtime. NumPy's are
    adapted to a fork by OpenBLAS.
    """
    card, _ = checkpoints.read_card(setup.folder)
    is_safe = sys.platform == "linux" and threading.active_count() == 1
    has_threads = not {"torch", "onnxruntime"}.isdisjoint(sys.modules)
    suited = array_scorer.is_suited(card, setup.options)
    return "fork" if is_safe and suited and not has_threads else "spawn"


def count_processes(processes: int, options: ScoreOptions) -> int:
    """The number of processes that score images one at a time each.

    Args:
        processes: number that is asked for; 0 for one per core, or one if there is a GPU.
        options: of the scorer.
    """
    if processes:
        return processes
    if gpus.may_be_used(options.device):
        from rsfiqa.runtime.devices import device_of

        if device_of(options.device, "--device").type != "cpu":
            return 1  # it keeps the GPU busy
    return os.cpu_count() or 1


class _Pool:
    """Processes that score one image at a time each, replaced when they die.

    Args:
        setup: of each process.
        score_one: scores an image in a process that is set up, or does something else with it.
        count: number of processes.
        start: sets a process up.

    Attributes:
        idle: those that wait for an image.
    """

    def __init__(
        self,
        setup: Setup,
        score_one: Callable[..., Any],
        count: int,
        start: Callable[[Setup], None] = start,
    ) -> None:
        self.setup, self.score_one, self.start = setup, score_one, start
        self.idle: list[Worker] = []
        self._busy: dict[Worker, int | None] = {}  # number of the image; None while it starts
        self._failed_starts = 0
        method = start_method(setup)
        for _ in range(count):
            self._start(method)

    def _start(self, method: Method = "spawn") -> None:
        worker = Worker(method)
        self._busy[worker] = None
        worker.submit(self.start, self.setup)

    def submit(self, index: int, path: str) -> None:
        """Let an idle process score an image.

        Args:
            index: number of the image.
            path: of the image.
        """
        worker = self.idle.pop()
        self._busy[worker] = index
        worker.submit(self.score_one, path)

    def collect(self, *, wait_for_one: bool = True) -> Iterator[tuple[int, Any]]:
        """Number and result of images that are done; or the error.

        Args:
            wait_for_one: wait until a process has something to say.

        Raises:
            InputError: the models cannot be loaded, or something that concerns all images.
        """
        by_connection = {worker.connection: worker for worker in self._busy}
        for connection in wait(list(by_connection), None if wait_for_one else 0):
            worker = by_connection[cast(Connection, connection)]
            index = self._busy[worker]
            try:
                result = worker.result()
            except InputError:
                raise
            except Exception as error:  # the process is gone, or its state unknown
                del self._busy[worker]
                worker.stop()
                self._check_start(index, error)
                self._start()
                result = error
            else:
                del self._busy[worker]
                self.idle.append(worker)
            if index is not None:
                self._failed_starts = 0
                yield index, result

    def _check_start(self, index: int | None, error: Exception) -> None:
        """Count a process that ended before it had an image.

        Raises:
            InputError: several have, one after the other.
        """
        self._failed_starts += index is None
        if self._failed_starts > MAX_FAILED_STARTS:
            raise InputError(
                f"--workers: processes must load the models, found {first_line(error)}; use fewer"
            ) from error

    def close(self) -> None:
        """End all processes at once."""
        for worker in (*self.idle, *self._busy):
            worker.stop()


def open_and_caption(path: str, card: Card, options: ScoreOptions) -> Opened | None:
    """An image with its regions and captions; None if it cannot be read here."""
    state = file_state(path)
    try:
        if load.decoded_pixels(Path(path)) > LARGEST_IN_PROCESS:
            return None
        image = load.load_image(Path(path))
        return Opened(state, image, RegionPipeline(card, options).caption_regions(image.pixels))
    except (ImageError, OSError, MemoryError):
        return None
