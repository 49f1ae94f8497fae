"""Images loaded ahead by other processes while the model is busy."""

import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from segment_anything.utils.transforms import ResizeLongestSide
from torch.utils.data import DataLoader, Dataset

from rsfiqa.errors import ImageError
from rsfiqa.images import load, resize
from rsfiqa.products.manifest import ManifestRow


@dataclass(frozen=True)
class SamImage:
    """An image as input of SAM, or the reason why it could not be loaded.

    Attributes:
        image_id: of the manifest.
        pixels: uint8 (h, w, 3), the longest side that of the model's input; (0, 0, 3) after a
            failure.
        shape: height and width of the label map, pixels.
        reason: why the image could not be loaded; empty if it was.
    """

    image_id: str
    pixels: np.ndarray
    shape: tuple[int, int]
    reason: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the model's input without padding, pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]


class _Images(Dataset[SamImage]):
    def __init__(self, rows: Sequence[ManifestRow], side: int, long_side: int) -> None:
        self.rows, self.side, self.long_side = rows, side, long_side

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> SamImage:
        row = self.rows[index]
        try:
            image = load.load_rgb(Path(row["path"]))
        except ImageError as error:
            return SamImage(row["image_id"], np.zeros((0, 0, 3), np.uint8), (0, 0), str(error))
        return resize_for_sam(row["image_id"], image, self.side, self.long_side)


def resize_for_sam(image_id: str, image: np.ndarray, side: int, long_side: int) -> SamImage:
    """An image resized as segment-anything does it.

    Args:
        image_id: of the manifest.
        image: uint8 (H, W, 3), upright sRGB.
        side: longest side of the model's input, pixels; smaller images are enlarged to it.
        long_side: longest side of label maps, pixels; smaller images keep their size.
    """
    shape = resize.reduced_shape(image.shape[:2], long_side)
    if min(ResizeLongestSide.get_preprocess_shape(*image.shape[:2], side)) < 1:
        image = image[:1, :1]  # too thin for the model; the label map will be one region
    return SamImage(image_id, ResizeLongestSide(side).apply_image(image), shape)


def prefetch(
    rows: Sequence[ManifestRow], *, side: int, long_side: int, batch: int, workers: int
) -> Iterator[list[SamImage]]:
    """Batches of the images of a manifest's rows, in order.

    Args:
        rows: of the manifest.
        side: see `resize_for_sam`.
        long_side: see `resize_for_sam`.
        batch: images in a batch; the last one can have fewer.
        workers: processes that load images, each two batches ahead; 0 to load in this process.
    """
    context = None
    if workers:  # a fork would copy locks that threads of the running model hold
        context = multiprocessing.get_context("forkserver")
        # imports torch once, not in every process of every shard
        context.set_forkserver_preload([__name__])
    yield from DataLoader(
        _Images(rows, side, long_side),
        batch_size=batch,
        collate_fn=list,
        num_workers=workers,
        multiprocessing_context=context,
    )
