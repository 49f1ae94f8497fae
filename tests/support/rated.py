"""Small photographs with opinions, as BIQ2021 names its own."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from rsfiqa.datasets.entry import Entry


def rated_photographs(
    folder: Path,
    opinions: Iterable[tuple[str, float]],
    *,
    coarse: tuple[int, int],
    size: tuple[int, int],
) -> list[Entry]:
    """Smooth random photographs.

    Args:
        folder: of the files.
        opinions: name and MOS of each.
        coarse: height and width of the random pixels, which are interpolated.
        size: width and height of the photographs.
    """
    random = np.random.default_rng(0)
    entries = []
    for name, mos in opinions:
        path = folder / name
        pixels = Image.fromarray(random.integers(0, 256, (*coarse, 3), np.uint8))
        pixels.resize(size, Image.Resampling.BICUBIC).save(path)
        entries.append(Entry(image_id=name, path=path, group=name, location="", mos=mos))
    return entries
