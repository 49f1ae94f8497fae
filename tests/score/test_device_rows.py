"""Rows of images that are prepared by processes and scored in batches."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rsfiqa import checkpoints
from rsfiqa.datasets import demo
from rsfiqa.errors import InputError
from rsfiqa.products.scores import FileState, failed_row
from rsfiqa.runtime.processes import WorkerError
from rsfiqa.score import device_rows
from rsfiqa.score.device_rows import PreparedRow, rows_in_batches
from rsfiqa.score.options import ScoreOptions
from rsfiqa.score.result import Region, Score
from rsfiqa.score.rows import Scored
from rsfiqa.score.workers import Setup, Workers
from rsfiqa.vocabulary import RATINGS

PATHS = [f"{i:02}.png" for i in range(20)]
STATE = FileState(location="", size=1, modified=None)


class FakePool:
    """Processes that describe images, in the order in which a function chooses among them.

    Args:
        errors: what happens to the process that describes an image with that path.
        choose: takes numbers of images that processes have; gives that of the next one done.
        sides: of the square images by path; 2 pixels else.
        count: number of processes.
    """

    def __init__(
        self,
        errors: dict[str, Exception] | None = None,
        choose: Callable[[Sequence[int]], int] = min,
        sides: dict[str, int] | None = None,
        count: int = 3,
    ) -> None:
        self.errors, self.choose, self.sides = errors or {}, choose, sides or {}
        self.idle: list[object] = [object()] * count
        self.busy: dict[int, str] = {}
        self.begun: list[int] = []

    def submit(self, index: int, path: str) -> None:
        """Let one of them describe an image."""
        self.idle.pop()
        self.busy[index] = path
        self.begun.append(index)

    def collect(
        self, *, wait_for_one: bool = True
    ) -> Iterator[tuple[int, PreparedRow | Exception]]:
        """One image; none where nobody waits for it."""
        if self.busy and wait_for_one:
            index = self.choose(list(self.busy))
            path = self.busy.pop(index)
            self.idle.append(object())
            yield index, self.errors.get(path) or prepared_row(path, self.sides.get(path, 2))


def prepared_row(path: str, side: int) -> PreparedRow:
    """What a process knows of an image; of one without pixels that it failed."""
    pixels: Any = SimpleNamespace(path=path, pixels=np.zeros((side, side, 3)))
    row = failed_row(path, STATE, checkpoints.read_card(checkpoints.PACKAGED)[0].scale, "label")
    return PreparedRow(row, pixels if side else None, [], None)


class FakeScorer:
    """Scores images by the numbers of their names, and records which it gets together.

    Args:
        errors: what it raises of an image with that path.
    """

    def __init__(self, errors: dict[str, Exception] | None = None) -> None:
        self.errors = errors or {}
        self.batches: list[list[str]] = []

    def __call__(self, images: Sequence[Any]) -> list[Score]:
        """A score of each image."""
        paths = [image.path for image in images]
        self.batches.append(paths)
        for path in paths:
            if path in self.errors:
                raise self.errors[path]
        return [score_of(int(path[:2])) for path in paths]


def score_of(number: float) -> Score:
    """The score of an image of one region."""
    ratings = dict.fromkeys(RATINGS, 3.0)
    region = Region((0, 0, 2, 2), "", "fair", ratings, [], 1.0, number, 0.5, 1.0, 0.0)
    grid = np.zeros((1, 1), np.float32)
    labels = np.zeros((2, 2), np.uint16)
    return Score(number, 0.5, [region], labels, grid, grid, (2, 2), (0, 0, 2, 2), "")


@pytest.fixture
def workers() -> Workers:
    return Workers(Setup(checkpoints.PACKAGED, ScoreOptions(), None), 2)


@pytest.fixture
def failed(workers) -> Callable[[str, Exception], Scored]:
    return workers.failed


def statuses(rows: Sequence[Scored]) -> dict[str, str]:
    """Reasons of the images that failed."""
    return {row["path"]: str(row["reason"]) for row, _ in rows if row["status"] == "failed"}


def test_rows_come_in_the_order_of_the_paths(failed):
    rows = list(rows_in_batches(PATHS, FakePool(choose=max), FakeScorer(), failed, 4))
    assert [row["score"] for row, _ in rows] == list(range(20))
    assert [len(regions) for _, regions in rows] == [1] * 20


def test_batches_do_not_depend_on_the_timing_of_processes(failed):
    sides = {path: 2 + int(path[:2]) % 3 for path in PATHS} | {"07.png": 0}
    found = []
    for count, choose in ((1, min), (3, max), (5, min), (7, lambda busy: busy[len(busy) // 2])):
        scorer = FakeScorer()
        pool = FakePool(choose=choose, sides=sides, count=count)
        list(rows_in_batches(PATHS, pool, scorer, failed, 2))
        found.append(scorer.batches)
    assert found[0][:3] == [["00.png", "03.png"], ["01.png", "04.png"], ["02.png", "05.png"]]
    assert all(batches == found[0] for batches in found)


def test_processes_are_at_most_a_window_ahead(failed):
    paths = [f"{i:02}.png" for i in range(40)]
    pool = FakePool(choose=max, count=50)
    rows = rows_in_batches(paths, pool, FakeScorer(), failed, 1)
    next(rows)
    assert len(pool.begun) == device_rows.WINDOW


def test_a_process_that_dies_costs_one_image(failed):
    pool = FakePool({"05.png": WorkerError("its process was killed (SIGKILL)")})
    rows = list(rows_in_batches(PATHS, pool, FakeScorer(), failed, 4))
    assert statuses(rows) == {"05.png": "its process was killed (SIGKILL)"}
    assert len(rows) == 20


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "not enough memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), "not enough memory"),
        (RuntimeError("CUDA error: an illegal address"), "unexpected RuntimeError: CUDA error: an"),
        (ValueError("shapes"), "unexpected ValueError: shapes"),
    ],
)
def test_an_image_that_cannot_be_scored_costs_itself_alone(failed, error, reason):
    rows = list(rows_in_batches(PATHS, FakePool(), FakeScorer({"06.png": error}), failed, 8))
    (path, found), *others = statuses(rows).items()
    assert (path, others) == ("06.png", [])
    assert found.startswith(reason)


def test_an_error_of_all_images_ends_the_run(failed):
    wrong = FakeScorer({"06.png": InputError("another checkpoint")})
    with pytest.raises(InputError, match="another checkpoint"):
        list(rows_in_batches(PATHS, FakePool(), wrong, failed, 8))


def test_a_segmenter_that_needs_torch_is_not_loaded_by_each_process():
    card, _ = checkpoints.read_card(checkpoints.PACKAGED)
    assert device_rows.is_suited(card)
    assert not device_rows.is_suited(replace(card, segment={**card.segment, "backend": "sam"}))


def test_processes_that_prepare_pictures_import_no_torch(tmp_path):
    Image.fromarray(demo.photograph("skimage/data/coffee.png")).save(tmp_path / "a.png")
    code = (
        "import sys; from rsfiqa import checkpoints; from rsfiqa.score import device_rows\n"
        "from rsfiqa.score.options import ScoreOptions; from rsfiqa.score.workers import Setup\n"
        "device_rows.start(Setup(checkpoints.PACKAGED, ScoreOptions(), None))\n"
        "assert device_rows.prepare_one(sys.argv[1]).inputs is not None\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "a.png"], check=True)
