"""Rows of the table of scores: one per image, also for an image that cannot be scored."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from rsfiqa.errors import ImageError, first_line
from rsfiqa.images import convert, load
from rsfiqa.images.border import Box
from rsfiqa.images.flags import flags_of
from rsfiqa.images.load import LoadedImage
from rsfiqa.images.location import display_path, file_state
from rsfiqa.products.region_scores import RegionRow
from rsfiqa.products.scores import IMAGE_RATINGS, FileState, Row, failed_row
from rsfiqa.runtime.processes import WorkerError, run_apart
from rsfiqa.scale import MosScale
from rsfiqa.score.inside import Inside
from rsfiqa.score.result import Region, Score, known_ratings

if TYPE_CHECKING:  # importing torch takes seconds, for which a wrong argument need not wait
    from rsfiqa.score.assembly import ImageScorer
    from rsfiqa.score.pipeline import CaptionedRegions

LARGEST_IN_PROCESS = 4 * convert.HUGE  # pixels of 4 bytes
# What libraries say where memory cannot be had: PyTorch on a CPU and on a GPU, oneDNN below it,
# cuBLAS and cuDNN. NumPy and OpenCV have errors of their own.
OUT_OF_MEMORY = (
    "can't allocate memory",
    "out of memory",
    "could not create a primitive",
    "status_alloc_failed",
)
# What an image can raise. Not every RuntimeError concerns it alone; `reason_of` knows.
IMAGE_ERRORS = (ImageError, OSError, MemoryError, RuntimeError, cv2.error)

Scored = tuple[Row, list[Region]]


@dataclass(frozen=True)
class Opened:
    """An image that was read and captioned in advance, and the state of its file before that."""

    state: FileState
    image: LoadedImage
    captioned: "CaptionedRegions"


def score_file(
    path: str,
    scorer: "ImageScorer",
    label: str,
    opened: Opened | None = None,
    inside: Inside | None = None,
) -> tuple[Row, tuple[Score, np.ndarray] | None]:
    """The row of one image file, its score and its pixels; None if it cannot be scored.

    Args:
        path: of the image.
        scorer: scores it.
        label: of the checkpoint.
        opened: the image, if it has been read; it is not read again.
        inside: region to score instead of the whole image.
    """
    # the state before the file is read: if the file changes meanwhile, the next run sees another
    state = opened.state if opened else file_state(path)
    failed = failed_file_row(path, state, scorer.scale, label, inside)
    try:
        image = opened.image if opened else load_image(Path(path))
        mask = None if inside is None else inside.mask(path, image.size)
        score = scorer.score_loaded(image, opened.captioned if opened else None, mask)
    except IMAGE_ERRORS as error:
        if (reason := reason_of(error)) is None:
            raise
        return {**failed, "reason": reason}, None
    flags = flags_around(image, score.content, image.size)
    row = scored_row(failed, score, flags, image.damage)
    return row, (score, image.pixels)


def failed_file_row(
    path: str, state: FileState, scale: MosScale, label: str, inside: Inside | None
) -> Row:
    """The row of an image file that failed; that of one that is scored is made of it.

    Args:
        path: of the image.
        state: of the file.
        scale: of the checkpoint.
        label: of the checkpoint.
        inside: region to score instead of the whole image.
    """
    row = failed_row(display_path(path), state, scale, label)
    row["inside"] = None if inside is None else inside.key(path)
    return row


def flags_around(image: LoadedImage, content: Box, size: tuple[int, int]) -> list[str]:
    """The flags of an image; see `flags_of`.

    Args:
        image: loaded image.
        content: its part within the border.
        size: width and height of the image, in the pixels of `content`.
    """
    return flags_of(image, bordered=content != (0, 0, *size))


def reason_of(error: Exception) -> str | None:
    """Why an image could not be scored, by an error that concerns it alone; None for others."""
    if isinstance(error, ImageError | OSError | WorkerError):
        return first_line(error)
    if is_out_of_memory(error):
        return "not enough memory"
    return None


def scored_row(failed: Row, score: Score, flags: list[str], damage: str | None) -> Row:
    """The row of an image that was scored.

    Args:
        failed: its row, had it failed.
        score: of the image.
        flags: of the image; see `flags_of`.
        damage: see `LoadedImage`.
    """
    # of a given region alone, it is the one to blame too
    worst = score.inside or score.worst
    scored = score.inside or score
    return {
        **failed,
        "score": scored.score,
        "quality": scored.quality,
        "word": scored.word,
        "reason": scored.reason,
        **known_ratings({name: scored.ratings[name] for name in IMAGE_RATINGS}),  # type: ignore[typeddict-item]
        "worst_box": list(worst.box),
        "worst_caption": worst.text,
        **{f"worst_{name}": rating for name, rating in known_ratings(worst.ratings).items()},
        "worst_score": worst.score,
        "worst_weight": worst.weight,
        "worst_cost": worst.cost,
        "flags": flags,
        "status": "ok",
        "damage": damage,
    }


def region_rows(row: Row, regions: Sequence[Region]) -> list[RegionRow]:
    """The rows of the regions of an image.

    Args:
        row: of the image.
        regions: of the image.
    """
    return [
        RegionRow(
            path=row["path"],
            region=number,
            **dict(zip(("x0", "y0", "x1", "y1"), region.box, strict=True)),  # type: ignore[typeddict-item]
            area=region.area,
            weight=region.weight,
            quality=region.quality,
            score=region.score,
            cost=region.cost,
            **known_ratings(region.ratings),
            families=[family for family, _ in region.distortions],
            severities=[severity for _, severity in region.distortions],
            caption=region.text,
            location=row["location"],
        )
        for number, region in enumerate(regions, 1)
    ]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of any library means that memory ran out."""
    if isinstance(error, cv2.error):
        return bool(error.code == cv2.Error.StsNoMem)
    return isinstance(error, MemoryError) or any(
        words in str(error).lower() for words in OUT_OF_MEMORY
    )


def load_image(path: Path) -> LoadedImage:
    """Load an image; one that takes much memory is decoded in a process of its own.

    Raises:
        ImageError: the image cannot be read.
    """
    if load.decoded_pixels(path) <= LARGEST_IN_PROCESS:
        return load.load_image(path)
    try:
        image: LoadedImage = run_apart(load.load_image, path)
    except WorkerError as error:
        raise ImageError(str(error)) from error
    return image
