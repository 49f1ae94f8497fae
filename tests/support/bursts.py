"""Pictures that show the same, and tables of their scores."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from rsfiqa.images.location import file_state
from rsfiqa.products import score_tables
from rsfiqa.products.scores import SCHEMA, Row

LABEL = "toy 00000000"


def taken_at(moment: datetime | None) -> Image.Exif:
    """EXIF data of a picture that was taken at a time; none without one."""
    exif = Image.Exif()
    if moment is not None:
        exif[0x8769] = {0x9003: f"{moment:%Y:%m:%d %H:%M:%S}", 0x9291: f"{moment:%f}"}
    return exif


def save(path: Path, image: np.ndarray, taken: datetime | None = None) -> Path:
    """Write an image uint8 (H, W, 3), with the time at which it was taken."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {"quality": 95} if path.suffix == ".jpg" else {}
    Image.fromarray(image).save(path, exif=taken_at(taken), **options)
    return path


def write_scores(output: Path, scores: Mapping[Path, float], **columns: Any) -> Path:
    """Write a table of scores of pictures on a scale from 0 to 100."""
    rows = []
    for path, score in scores.items():
        known = {
            "path": str(path),
            "score": score,
            "quality": min(max(score / 100, 0), 1),
            "direction": "higher",
            "low": 0.0,
            "high": 100.0,
            "checkpoint": LABEL,
            "worst_box": [0, 0, 8, 8],
            "flags": [],
            "status": "ok",
            **file_state(str(path)),
        }
        rows.append(cast(Row, dict.fromkeys(SCHEMA.names) | known | columns))
    score_tables.write(output, rows, LABEL)
    return output
