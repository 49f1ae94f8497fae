"""Training pictures for fine-tuning: random crops and flips of images with their label maps."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from rsfiqa.errors import InputError
from rsfiqa.images import distort, load, resize
from rsfiqa.model import region_layout
from rsfiqa.products import regions
from rsfiqa.products.paths import product_path, shard_name
from rsfiqa.samples import Samples
from rsfiqa.splits import seed_of
from rsfiqa.train.distorted import draw_region


@dataclass(frozen=True)
class Crop:
    """A part of an image, and what is left of its R regions there.

    Attributes:
        pixels: uint8 (3, h, w), sRGB. All are arrays, not tensors, which would take a file
            descriptor each on their way from another process.
        coverage: float32 (R, G * G), share of each cell that each region covers.
        geometry: float32 (R, 7), as in `Batch`, within the crop.
        present: bool (R,), which regions have a pixel in it.
        spoilt: uint8 (3, h, w), the same with one region distorted; None in most crops.
        region: which region that is; -1 where there is none.
    """

    pixels: np.ndarray
    coverage: np.ndarray
    geometry: np.ndarray
    present: np.ndarray
    distorted: np.ndarray | None
    region: int


def crop_of(
    image: np.ndarray,
    labels: np.ndarray,
    *,
    rows: int,
    side: int,
    grid: int,
    seed: int,
    distorted_fraction: float = 0,
) -> Crop:
    """A random square of an image, perhaps mirrored; image and label map stay together.

    Args:
        image: uint8 (H, W, 3).
        labels: uint16 (h, w), its label map, of any size.
        rows: R, at least as many as the label map has regions.
        side: of the square in pixels; along a shorter side all of the image is taken.
        grid: G, cells on each side.
        seed: of place and mirroring, and of what is spoilt.
        distorted_fraction: chance that a region of the crop is also spoilt, in [0, 1].
    """
    random = np.random.default_rng(seed)
    labels = resize.fit_labels(labels, image.shape[:2])
    height, width = (min(side, length) for length in image.shape[:2])
    y = int(random.integers(image.shape[0] - height + 1))
    x = int(random.integers(image.shape[1] - width + 1))
    image, labels = image[y : y + height, x : x + width], labels[y : y + height, x : x + width]
    if random.random() < 0.5:
        image, labels = image[:, ::-1], labels[:, ::-1]
    found, dense = np.unique(labels, return_inverse=True)  # the regions that are left
    dense = dense.reshape(labels.shape).astype(np.uint16)
    part = regions.ImageRegions("", dense, regions.region_table(dense))
    layout = region_layout(part.labels, part.table, grid).placed(found, rows)
    distorted, region = None, -1
    if random.random() < distorted_fraction:
        chosen = draw_region(part.table["area"] / dense.size, random)
        family, severity = distort.draw_distortion(random)
        distorted_image = distort.distort_region(image, dense == chosen, family, severity, random)
        distorted, region = _planar(distorted_image), int(found[chosen])
    return Crop(_planar(image), layout.coverage, layout.geometry, layout.present, distorted, region)


def _planar(image: np.ndarray) -> np.ndarray:
    """An image (h, w, 3) as (3, h, w)."""
    return np.ascontiguousarray(image.transpose(2, 0, 1))


class Crops(Dataset):
    """A crop of image i for `(epoch, i)`, whatever process makes it.

    An `InputError` takes its place where that image cannot be read any more: raised in another
    process it would come back as a trace.

    Args:
        data: the training images.
        folder: of the data set, which has their label maps.
        side: of the crops in pixels.
        long_side: larger images are reduced to it first.
        seed: of all crops.
        distorted_fraction: see `crop_of`.
    """

    def __init__(
        self,
        data: Samples,
        folder: Path,
        *,
        side: int,
        long_side: int,
        seed: int,
        distorted_fraction: float = 0,
    ) -> None:
        self.rows = data.rows.select(["image_id", "path", "shard"]).to_pylist()
        self.grid = data.batch.grid_features.shape[-1]
        self.most = data.batch.present.shape[1]
        self.readers = {
            shard: regions.Reader(product_path(folder, "segment", shard_name(shard)))
            for shard in sorted({row["shard"] for row in self.rows})
        }
        self.side, self.long_side, self.seed = side, long_side, seed
        self.distorted_fraction = distorted_fraction

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: tuple[int, int]) -> tuple[int, Crop | InputError]:
        epoch, index = key
        row = self.rows[index]
        try:
            labels = self.readers[row["shard"]][row["image_id"]].labels
            image = resize.reduce(load.reload_rgb(row["path"]), self.long_side)
        except InputError as error:
            return index, error
        crop = crop_of(
            image,
            labels,
            rows=self.most,
            side=self.side,
            grid=self.grid,
            seed=seed_of(self.seed, epoch, row["image_id"]),
            distorted_fraction=self.distorted_fraction,
        )
        return index, crop
