"""Near-duplicates among the images of a manifest."""

from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
from tqdm import tqdm

from rsfiqa.errors import ImageError
from rsfiqa.images.load import load_rgb
from rsfiqa.images.near_duplicates import BITS, difference_hash, near_duplicates
from rsfiqa.products.manifest import ManifestRow

THREADS = 8  # decoding releases the GIL


def find_near_duplicates(rows: Sequence[ManifestRow]) -> np.ndarray:
    """The pairs of rows whose images are near-duplicates: int (P, 2).

    Every image is decoded. One that cannot be has no near-duplicate; the stages that use its
    pixels report it.
    """
    with ThreadPool(THREADS) as pool:
        hashes = pool.imap(_hash, [Path(row["path"]) for row in rows], chunksize=16)
        bar = tqdm(hashes, "compare", len(rows), unit="image", disable=None, mininterval=0.5)
        return near_duplicates(np.array(list(bar)))


def _hash(path: Path) -> np.ndarray:
    """The difference hash of an image; of one that cannot be decoded, that of a flat image."""
    try:
        return difference_hash(load_rgb(path))
    except (ImageError, OSError):
        return np.zeros(BITS, bool)
