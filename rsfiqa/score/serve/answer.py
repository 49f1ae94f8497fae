"""The answer about one picture, made in a process that has loaded a scorer."""

import base64
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from rsfiqa.errors import ImageError
from rsfiqa.images import resize
from rsfiqa.images.capture_time import capture_time
from rsfiqa.images.near_duplicates import difference_hash
from rsfiqa.images.opening import opened
from rsfiqa.images.outlines import outlines
from rsfiqa.products.scores import Row
from rsfiqa.score import workers
from rsfiqa.score.result import Region, Score, known_ratings
from rsfiqa.score.rows import score_file
from rsfiqa.score.serve.results import Distortion, Failed, RegionResult, Scored

NO_PICTURE, TOO_LARGE = 422, 413  # HTTP statuses
JPEG_QUALITY = 85


@dataclass(frozen=True)
class AnswerOptions:
    """How a picture is answered.

    Attributes:
        pixels: largest number that is accepted.
        preview: long side of a preview in pixels, 0 for none.
    """

    pixels: int
    preview: int = 0


def answer(path: str, options: AnswerOptions) -> Scored | Failed:
    """Score an uploaded picture.

    Args:
        path: of its file.
        options: how it is answered.
    """
    try:
        with opened(Path(path)) as file:
            width, height = file.size
            taken = capture_time(file.image)
    except ImageError as error:
        return Failed(code=NO_PICTURE, detail=f"picture: {error}")
    if width * height > options.pixels:
        return Failed(
            code=TOO_LARGE,
            detail=f"picture: must have at most {options.pixels / 1e6:g} megapixels, found"
            f" {width} x {height}; reduce it",
        )
    scorer, label = workers.loaded()
    row, found = score_file(path, scorer, label)
    if found is None:
        return Failed(code=NO_PICTURE, detail=f"picture: {row['reason']}")
    score, pixels = found
    return _scored(
        row,
        score,
        pixels,
        taken=taken.isoformat() if taken else None,
        worst=score.worst,
        preview=_preview(pixels, options.preview) if options.preview else None,
    )


def _scored(
    row: Row,
    score: Score,
    pixels: np.ndarray,
    *,
    taken: str | None,
    worst: Region,
    preview: str | None,
) -> Scored:
    borders = outlines(score.scored_labels, len(score.regions))
    return Scored(
        score=score.score,
        quality=score.quality,
        word=score.word,
        direction=row["direction"],
        low=row["low"],
        high=row["high"],
        checkpoint=row["checkpoint"],
        reason=score.reason,
        worst_caption=worst.text,
        worst_cost=worst.cost,
        worst=next(r for r, region in enumerate(score.regions) if region is worst),
        regions=[
            _region(region, border) for region, border in zip(score.regions, borders, strict=True)
        ],
        width=score.size[0],
        height=score.size[1],
        map_width=score.labels.shape[1],
        map_height=score.labels.shape[0],
        flags=row["flags"],
        damage=row["damage"],
        taken=taken,
        fingerprint=np.packbits(difference_hash(pixels)).tobytes().hex(),
        preview=preview,
    )


def _region(region: Region, border: str) -> RegionResult:
    return RegionResult(
        box=region.box,
        outline=border,
        text=region.text,
        ratings=known_ratings(region.ratings),
        distortions=[Distortion(family=name, severity=n) for name, n in region.distortions],
        score=region.score,
        weight=region.weight,
        cost=region.cost,
    )


def _preview(pixels: np.ndarray, long_side: int) -> str:
    """A picture uint8 (H, W, 3) as a JPEG that every browser shows."""
    small = resize.reduce(pixels, long_side)[..., ::-1]
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode('ascii')}"
