"""Images read ahead by other processes while a model is busy."""

import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from segment_anything.utils.transforms import ResizeLongestSide
from torch.utils.data import DataLoader, Dataset

from rsfiqa.errors import ImageError
from rsfiqa.images import load, resize


@dataclass(frozen=True)
class Decoded:
    """One image as a model wants it, or why there is none.

    Attributes:
        image_id: of the manifest.
        pixels: uint8 (h, w, 3), its long side as the model wants it; empty if it could not be read.
        shape: height and width of its label map.
        reason: why it could not be read; empty if it could.
    """

    image_id: str
    pixels: np.ndarray
    shape: tuple[int, int]
    reason: str = ""


class _Images(Dataset[Decoded]):
    def __init__(self, rows: Sequence[dict[str, Any]], side: int, long_side: int) -> None:
        self.rows, self.side, self.long_side = rows, side, long_side

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Decoded:
        row = self.rows[index]
        try:
            image = load.load_rgb(Path(row["path"]))
        except ImageError as error:
            return Decoded(row["image_id"], np.zeros((0, 0, 3), np.uint8), (0, 0), str(error))
        return decoded(row["image_id"], image, self.side, self.long_side)


def decoded(image_id: str, image: np.ndarray, side: int, long_side: int) -> Decoded:
    """An image uint8 (H, W, 3) brought to the model's size as segment-anything does it.

    Args:
        image_id: of the manifest.
        image: upright, sRGB.
        side: of the model's input, pixels; smaller images are enlarged to it.
        long_side: of label maps at most, pixels.
    """
    shape = resize.reduced_shape(image.shape[:2], long_side)
    if min(ResizeLongestSide.get_preprocess_shape(*image.shape[:2], side)) < 1:
        image = image[:1, :1]  # too thin for the model; it will be one region
    return Decoded(image_id, ResizeLongestSide(side).apply_image(image), shape)


def read_ahead(
    rows: Sequence[dict[str, Any]], *, side: int, long_side: int, batch: int, workers: int
) -> Iterator[list[Decoded]]:
    """The images of a manifest's rows in their order, `batch` at a time.

    Args:
        rows: of the manifest: image_id, path.
        side: see `decoded`.
        long_side: see `decoded`.
        batch: images in a list; fewer in the last.
        workers: processes that read, two batches ahead each; 0 to read in this one.
    """
    context = None
    if workers:  # a fork would copy the threads' locks of a model that is running
        context = multiprocessing.get_context("forkserver")
        # torch is imported once, not by each process of each shard
        context.set_forkserver_preload([__name__])
    yield from DataLoader(
        _Images(rows, side, long_side),
        batch_size=batch,
        collate_fn=list,
        num_workers=workers,
        multiprocessing_context=context,
    )
