"""Training images for fine-tuning: random crops and flips of images with their label maps."""

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
from rsfiqa.train.distorted import choose_region


@dataclass(frozen=True)
class Crop:
    """A part of an image, and the parts of its R regions in it.

    All are arrays: a tensor would take a file descriptor on its way from a worker process.

    Attributes:
        pixels: uint8 (3, h, w), sRGB.
        coverage: float32 (R, G * G), fraction of each grid cell that each region covers.
        geometry: float32 (R, 7), as in `Batch`, relative to the crop.
        present: bool (R,), whether the region has a pixel in the crop.
        distorted: uint8 (3, h, w), the crop with one region distorted; None in most crops.
        region: index of that region; -1 without one.
    """

    pixels: np.ndarray
    coverage: np.ndarray
    geometry: np.ndarray
    present: np.ndarray
    distorted: np.ndarray | None
    region: int


def random_crop(
    image: np.ndarray,
    labels: np.ndarray,
    *,
    max_regions: int,
    side: int,
    grid: int,
    seed: int,
    distorted_fraction: float = 0,
) -> Crop:
    """Cut a random square from an image and its label map, mirrored with probability 1/2.

    Args:
        image: uint8 (H, W, 3).
        labels: uint16 (h, w), label map of the image, of any size.
        max_regions: R, at least the number of regions in the label map.
        side: side of the square, pixels; a shorter side of the image is kept whole.
        grid: number G of grid cells per side.
        seed: seed of position, mirroring and distortion.
        distorted_fraction: probability of a view with one distorted region, in [0, 1].
    """
    random = np.random.default_rng(seed)
    labels = resize.fit_labels(labels, image.shape[:2])
    height, width = (min(side, length) for length in image.shape[:2])
    y = int(random.integers(image.shape[0] - height + 1))
    x = int(random.integers(image.shape[1] - width + 1))
    image, labels = image[y : y + height, x : x + width], labels[y : y + height, x : x + width]
    if random.random() < 0.5:
        image, labels = image[:, ::-1], labels[:, ::-1]
    kept, dense = np.unique(labels, return_inverse=True)
    dense = dense.reshape(labels.shape).astype(np.uint16)  # labels 0 .. len(kept) - 1
    table = regions.region_table(dense)
    layout = region_layout(dense, table, grid).placed(kept, max_regions)
    distorted, region = None, -1
    if random.random() < distorted_fraction:
        chosen = choose_region(table["area"] / dense.size, random)
        family, severity = distort.draw_distortion(random)
        view = distort.distort_region(image, dense == chosen, family, severity, random)
        distorted, region = _channels_first(view), int(kept[chosen])
    return Crop(
        _channels_first(image), layout.coverage, layout.geometry, layout.present, distorted, region
    )


def _channels_first(image: np.ndarray) -> np.ndarray:
    """Return an image (h, w, 3) as (3, h, w)."""
    return np.ascontiguousarray(image.transpose(2, 0, 1))


class CropDataset(Dataset[tuple[int, Crop | InputError]]):
    """Random crops of the training images; the key `(epoch, i)` gives a crop of image i.

    A crop depends on its key alone, not on the process that makes it. If the image cannot be read
    any more, the item is an `InputError`: raised in a worker process, it would come back with a
    traceback as its message.

    Args:
        data: the training images.
        folder: folder of the data set, which holds the label maps.
        side: side of the crops, pixels.
        long_side: images with a longer side are first reduced to it, pixels.
        seed: seed of all crops.
        distorted_fraction: see `random_crop`.
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
        self.image_ids = data.image_ids
        self.paths: list[str] = data.rows["path"].to_pylist()
        self.shards: list[int] = data.rows["shard"].to_pylist()
        self.readers = {
            shard: regions.Reader(product_path(folder, "segment", shard_name(shard)))
            for shard in sorted(set(self.shards))
        }
        self.grid = data.batch.grid_features.shape[-1]
        self.max_regions = data.batch.present.shape[1]
        self.side, self.long_side, self.seed = side, long_side, seed
        self.distorted_fraction = distorted_fraction

    def __len__(self) -> int:
        return len(self.image_ids)

    def __getitem__(self, key: tuple[int, int]) -> tuple[int, Crop | InputError]:
        epoch, index = key
        image_id = self.image_ids[index]
        try:
            labels = self.readers[self.shards[index]][image_id].labels
            image = resize.reduce(load.reload_rgb(self.paths[index]), self.long_side)
        except InputError as error:
            return index, error
        crop = random_crop(
            image,
            labels,
            max_regions=self.max_regions,
            side=self.side,
            grid=self.grid,
            seed=seed_of(self.seed, epoch, image_id),
            distorted_fraction=self.distorted_fraction,
        )
        return index, crop
