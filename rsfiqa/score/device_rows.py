"""Rows of images that a device scores in batches, while other processes read and divide them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import cv2
from threadpoolctl import threadpool_limits

from rsfiqa import checkpoints
from rsfiqa.checkpoints import Card, label_of
from rsfiqa.errors import ImageError
from rsfiqa.images.flags import flags_of
from rsfiqa.images.location import display_path, file_state
from rsfiqa.products.scores import Row, failed_row
from rsfiqa.score.assembly import prepare
from rsfiqa.score.describing import DescribedPixels, describe_pixels
from rsfiqa.score.inside import Inside
from rsfiqa.score.pipeline import RegionPipeline
from rsfiqa.score.result import Region
from rsfiqa.score.rows import is_out_of_memory, load_image, reason_of, scored_row

if TYPE_CHECKING:
    from rsfiqa.score.scorer import Scorer
    from rsfiqa.score.workers import Setup

BATCH_SIZE = 16  # images of equal size
WINDOW = 8  # batches of images that may be described before an earlier one is scored

Scored = tuple[Row, list[Region]]


@dataclass(frozen=True, eq=False)
class Described:
    """What a process without a device knows of an image.

    Attributes:
        row: of an image that failed; that of one that is scored is made of it.
        pixels: what a device takes; None if the image failed.
        flags: see `flags_of`.
        damage: see `LoadedImage`.
    """

    row: Row
    pixels: DescribedPixels | None
    flags: list[str]
    damage: str | None


@dataclass(frozen=True)
class _Ready:
    card: Card
    label: str
    regions: RegionPipeline
    inside: Inside | None


class Pool(Protocol):
    """Processes that describe images; see `workers`."""

    @property
    def idle(self) -> Sequence[object]:
        """Those that wait for an image."""

    def submit(self, index: int, path: str) -> None:
        """Let one of them describe an image."""

    def collect(self) -> Iterator[tuple[int, Described | Exception]]:
        """Images that have been described since."""


_ready: list[_Ready] = []  # in this process


def start(setup: "Setup") -> None:
    """Prepare this process for `describe_one`."""
    cv2.setNumThreads(1)
    threadpool_limits(1)
    card, digest = checkpoints.read_card(setup.folder)
    options = setup.options.model_copy(update={"device": "cpu"})
    label = label_of(card, digest)
    _ready[:] = [_Ready(card, label, RegionPipeline(card, options), setup.inside)]


def describe_one(path: str) -> Described:
    """An image as a device takes it.

    Args:
        path: of the image.
    """
    (ready,) = _ready
    failed = failed_row(display_path(path), file_state(path), ready.card.scale, ready.label)
    failed["inside"] = None if ready.inside is None else ready.inside.key(path)
    try:
        image = load_image(Path(path))
        mask = None if ready.inside is None else ready.inside.mask(path, image.size)
        prepared = prepare(image, ready.regions.segment, mask=mask)
        pixels = describe_pixels(prepared, ready.regions, ready.card.backbone["long_side"])
    except (ImageError, OSError, MemoryError, RuntimeError, cv2.error) as error:
        return Described({**failed, "reason": reason_of(error)}, None, [], None)
    bordered = prepared.box != (0, 0, *prepared.loaded_size)
    return Described(failed, pixels, flags_of(image, bordered=bordered), image.damage)


def rows_in_batches(
    paths: Sequence[str],
    pool: Pool,
    scorer: "Scorer",
    failed: Callable[[str, Exception], Scored],
    batch_size: int = BATCH_SIZE,
) -> Iterator[Scored]:
    """Row and regions of each image, in the order of the paths.

    Args:
        paths: of the images.
        pool: processes that run `describe_one`.
        scorer: a scorer that `batches.can_batch`.
        failed: the row of an image whose process has died.
        batch_size: largest number of images that are scored together.
    """
    waiting: dict[int, Described] = {}  # described, by number
    done: dict[int, Scored] = {}
    begun = given = finished = 0
    while given < len(paths):
        most = min(len(paths), given + WINDOW * batch_size)
        while pool.idle and begun < most:
            pool.submit(begun, paths[begun])
            begun += 1
        if finished < most:
            for index, found in pool.collect():
                finished += 1
                if isinstance(found, Exception):
                    done[index] = failed(paths[index], found)
                elif found.pixels is None:
                    done[index] = found.row, []
                else:
                    waiting[index] = found
        is_last = finished == most  # no image can come before one of those is scored
        while len(waiting) >= batch_size or (waiting and is_last):
            numbers = _next_batch(waiting, batch_size)
            batch = [waiting.pop(number) for number in numbers]
            done |= dict(zip(numbers, _score(batch, scorer), strict=True))
        while given in done:
            yield done.pop(given)
            given += 1


def _next_batch(waiting: dict[int, Described], size: int) -> list[int]:
    """The first image that waits, with others of its size."""
    shapes = {
        number: found.pixels.pixels.shape
        for number, found in sorted(waiting.items())
        if found.pixels is not None
    }
    first = next(iter(shapes.values()))
    return [number for number, shape in shapes.items() if shape == first][:size]


def _score(batch: Sequence[Described], scorer: "Scorer") -> list[Scored]:
    """Rows and regions of a batch; one for which memory is too small is halved."""
    try:
        scores = scorer.score_described([each.pixels for each in batch if each.pixels is not None])
    except (ImageError, MemoryError, RuntimeError) as error:
        if len(batch) == 1:
            return [({**batch[0].row, "reason": reason_of(error)}, [])]
        if not (isinstance(error, ImageError) or is_out_of_memory(error)):
            raise
        half = len(batch) // 2
        return _score(batch[:half], scorer) + _score(batch[half:], scorer)
    return [
        (
            scored_row(each.row, score, each.flags, each.damage),
            score.regions,
        )
        for each, score in zip(batch, scores, strict=True)
    ]
