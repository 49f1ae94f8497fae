"""Pictures that show the same."""

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


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
