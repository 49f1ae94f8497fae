"""Rows of the table of scores: one per image, also for an image that cannot be scored."""

import math
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsfiqa.errors import ImageError, first_line
from rsfiqa.images import convert, load
from rsfiqa.images.flags import flags_of
from rsfiqa.images.listing import display_path
from rsfiqa.images.load import LoadedImage
from rsfiqa.products.scores import Row, failed_row
from rsfiqa.score.result import Score, worst_region
from rsfiqa.vocabulary import RATINGS

if TYPE_CHECKING:  # importing torch takes seconds, for which a wrong argument need not wait
    from rsfiqa.score.pipeline import DescribedRegions
    from rsfiqa.score.scorer import Scorer

LARGEST_IN_PROCESS = 4 * convert.HUGE  # pixels of 4 bytes


def score_file(
    path: str, scorer: "Scorer", label: str, described: "DescribedRegions | None" = None
) -> tuple[Row, tuple[Score, np.ndarray] | None]:
    """The row of one image file, its score and its pixels; None if it cannot be scored.

    Args:
        path: of the image.
        scorer: scores it.
        label: of the checkpoint.
        described: regions and captions of the image, if they are known.
    """
    failed = failed_row(display_path(path), scorer.scale, label)
    try:
        image = load_image(Path(path))
        score = scorer.score_loaded(image, described)
    except (ImageError, OSError) as error:
        return {**failed, "reason": first_line(error)}, None
    worst = worst_region(score, lower_better=scorer.lower_better)
    row: Row = {
        **failed,
        "score": score.score,
        "quality": score.quality,
        "worst_box": list(worst.box),
        "worst_caption": worst.text,
        **{f"worst_{name}": _or_none(worst.ratings[name]) for name in RATINGS},  # type: ignore[typeddict-item]
        "worst_score": worst.score,
        "worst_weight": worst.weight,
        "flags": flags_of(image),
        "status": "ok",
        "reason": image.damage,
    }
    return row, (score, image.pixels)


def _or_none(rating: float) -> float | None:
    return None if math.isnan(rating) else rating


def load_image(path: Path) -> LoadedImage:
    """Load an image; one that takes much memory is decoded in a process of its own.

    Raises:
        ImageError: the image cannot be read.
    """
    if load.decoded_pixels(path) <= LARGEST_IN_PROCESS:
        return load.load_image(path)
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(load.load_image, path).result()
