"""Rows of images that a device scores in batches, while other processes read and divide them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import cv2
from threadpoolctl import threadpool_limits

from rsfiqa import checkpoints
from rsfiqa.checkpoints import Card, label_of
from rsfiqa.images.location import file_state
from rsfiqa.products.scores import Row
from rsfiqa.score import pipeline
from rsfiqa.score.assembly import prepare
from rsfiqa.score.batching import BATCH_SIZE, can_batch, score_in_batches
from rsfiqa.score.inputs import ModelInputs, make_inputs
from rsfiqa.score.inside import Inside
from rsfiqa.score.pipeline import RegionPipeline
from rsfiqa.score.result import Score
from rsfiqa.score.rows import (
    IMAGE_ERRORS,
    Scored,
    failed_file_row,
    flags_around,
    load_image,
    reason_of,
    scored_row,
)

if TYPE_CHECKING:
    from rsfiqa.score.workers import Setup

WINDOW = 8  # batches of images of which those of equal size are scored together


@dataclass(frozen=True, eq=False)
class PreparedRow:
    """What a process without a device knows of an image.

    Attributes:
        row: of an image that failed; that of one that is scored is made of it.
        inputs: what a device takes; None if the image failed.
        flags: see `flags_of`.
        damage: see `LoadedImage`.
    """

    row: Row
    inputs: ModelInputs | None
    flags: list[str]
    damage: str | None


@dataclass(frozen=True)
class _Ready:
    card: Card
    label: str
    regions: RegionPipeline
    inside: Inside | None


class Pool(Protocol):
    """Processes that prepare images; see `workers`."""

    @property
    def idle(self) -> Sequence[object]:
        """Those that wait for an image."""

    def submit(self, index: int, path: str) -> None:
        """Let one of them prepare an image."""

    def collect(
        self, *, wait_for_one: bool = True
    ) -> Iterator[tuple[int, PreparedRow | Exception]]:
        """Number and description of images that are done since; or the error."""


_ready: list[_Ready] = []  # in this process


def is_suited(card: Card) -> bool:
    """Whether processes without a device can prepare the images of a checkpoint.

    Not where the segmenter needs torch: each process would load the model on the CPU.
    """
    return can_batch(card) and not pipeline.needs_one_process(card)


def start(setup: "Setup") -> None:
    """Prepare this process for `prepare_one`.

    It imports no torch, whose threads would have to be limited too.
    """
    cv2.setNumThreads(1)
    threadpool_limits(1)
    card, digest = checkpoints.read_card(setup.folder)
    options = setup.options.model_copy(update={"device": "cpu"})
    label = label_of(card, digest)
    _ready[:] = [_Ready(card, label, RegionPipeline(card, options), setup.inside)]


def prepare_one(path: str) -> PreparedRow:
    """An image as a device takes it.

    Args:
        path: of the image.
    """
    (ready,) = _ready
    state = file_state(path)
    failed = failed_file_row(path, state, ready.card.scale, ready.label, ready.inside)
    try:
        image = load_image(Path(path))
        mask = None if ready.inside is None else ready.inside.mask(path, image.size)
        prepared = prepare(image, ready.regions.segment, mask=mask)
        inputs = make_inputs(prepared, ready.regions, ready.card.backbone["long_side"])
    except IMAGE_ERRORS as error:
        if (reason := reason_of(error)) is None:
            raise
        return PreparedRow({**failed, "reason": reason}, None, [], None)
    flags = flags_around(image, prepared.box, prepared.loaded_size)
    return PreparedRow(failed, inputs, flags, image.damage)


def rows_in_batches(
    paths: Sequence[str],
    pool: Pool,
    score: Callable[[Sequence[ModelInputs]], Sequence[Score]],
    failed: Callable[[str, Exception], Scored],
    batch_size: int = BATCH_SIZE,
) -> Iterator[Scored]:
    """Row and regions of each image, in the order of the paths.

    Args:
        paths: of the images.
        pool: processes that run `prepare_one`.
        score: scores images of equal size, as `Scorer.score_inputs`.
        failed: the row of an image by its error.
        batch_size: largest number of images that are scored together.

    Raises:
        InputError: something that concerns all images.
    """
    window = WINDOW * batch_size
    prepared = zip(paths, _in_order(paths, pool, window), strict=True)
    images = ((one, None if isinstance(one[1], Exception) else one[1].inputs) for one in prepared)
    for (path, found), result in score_in_batches(images, score, size=batch_size, window=window):
        if isinstance(found, Exception):
            yield failed(path, found)
        elif isinstance(result, Exception):
            yield failed(path, result)
        elif result is None:
            yield found.row, []
        else:
            yield scored_row(found.row, result, found.flags, found.damage), result.regions


def _in_order(paths: Sequence[str], pool: Pool, ahead: int) -> Iterator[PreparedRow | Exception]:
    """What the processes know of each image, in the order of the paths.

    Args:
        paths: of the images.
        pool: processes that run `prepare_one`.
        ahead: number of images that may be prepared from the one that is given next.
    """
    done: dict[int, PreparedRow | Exception] = {}
    begun = 0
    for given in range(len(paths)):
        is_first = True
        while is_first or given not in done:
            # also where the image is there: processes get the next one while a batch is scored
            done |= dict(pool.collect(wait_for_one=given not in done))
            while pool.idle and begun < min(len(paths), given + ahead):
                pool.submit(begun, paths[begun])
                begun += 1
            is_first = False
        yield done.pop(given)
