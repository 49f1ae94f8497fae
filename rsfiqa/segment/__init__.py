"""Images to label maps."""

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from rsfiqa import images, regions, shards
from rsfiqa.errors import ImageError
from rsfiqa.files import sha256_of
from rsfiqa.regions import ImageRegions
from rsfiqa.segment.partition import SMALLEST, settle
from rsfiqa.segment.superpixel import superpixel_regions
from rsfiqa.shards import Shard
from rsfiqa.stages import SegmentOptions

if TYPE_CHECKING:
    from rsfiqa.segment.sam import MaskGenerator


def run(
    folder: Path, options: SegmentOptions, *, max_failed_share: float, only: tuple[str, ...] = ()
) -> None:
    """Write the label maps of all shards of a data set's folder, or of those named.

    Raises:
        InputError: a checkpoint that is missing or wrong; and as `shards.run`.
    """
    models: dict[str, str] = {}
    loaded: list[MaskGenerator] = []  # once, and only if a shard is to be done
    if options.backend == "sam":
        from rsfiqa.segment import sam_checkpoint  # heavy: torch and the model's package

        checkpoint = sam_checkpoint.check(options)
        models[checkpoint.name] = sha256_of(checkpoint)

    def make(shard: Shard) -> list[ImageRegions]:
        if options.backend == "superpixel":
            return segment_shard(shard, options)
        if not loaded:
            loaded.append(load_generator(checkpoint, options))
        return segment_shard_by_sam(shard, loaded[0])

    shards.run(
        "segment",
        folder,
        schema=regions.VERSION,
        options=options.recorded(),
        make=make,
        write=regions.write,
        models=models,
        shards=only,
        max_failed_share=max_failed_share,
    )


def segment_shard(shard: Shard, options: SegmentOptions) -> list[ImageRegions]:
    """The partitions of a shard's images; an image that cannot be read becomes a failure."""
    cv2.setNumThreads(1)  # shards are the unit of parallel work
    found = []
    for row in shard.progress(shard.images):
        with shard.guarded(row["image_id"]):
            labels = segment_image(images.read_rgb(Path(row["path"])), options)
            found.append(ImageRegions(row["image_id"], labels, regions.region_table(labels)))
    shard.counts["regions"] = sum(len(image.table) for image in found)
    return found


def segment_image(image: np.ndarray, options: SegmentOptions) -> np.ndarray:
    """The partition of one image uint8 (H, W, 3) by superpixels: uint16, long side bounded."""
    small = images.reduce(image, options.long_side)
    if min(small.shape[:2]) < SMALLEST:
        return np.zeros(small.shape[:2], np.uint16)
    labels = superpixel_regions(small, superpixels=options.superpixels, regions=options.max_regions)
    return settle(labels, max_regions=options.max_regions, min_area_share=options.min_area_share)


def load_generator(checkpoint: Path, options: SegmentOptions) -> "MaskGenerator":
    """The mask generator of a checkpoint on the device that the options name.

    Raises:
        InputError: a GPU is asked for and there is none.
    """
    from rsfiqa.devices import device_of
    from rsfiqa.segment import sam, sam_checkpoint

    model = sam_checkpoint.load(checkpoint, device_of(options.device, "segment.device"))
    if options.compile:
        model.image_encoder.compile()
    return sam.MaskGenerator(model, options)


def segment_shard_by_sam(shard: Shard, generator: "MaskGenerator") -> list[ImageRegions]:
    """As `segment_shard`, while other processes read the next images."""
    from rsfiqa.segment.reading import read_ahead

    options = generator.options
    batches = read_ahead(
        shard.images,
        side=generator.side,
        long_side=options.long_side,
        batch=options.images_per_batch,
        workers=min(options.workers, len(shard.images) // options.images_per_batch),
    )
    found = []
    for image, embedding in shard.progress(generator.embedded(batches), len(shard.images)):
        with shard.guarded(image.image_id):
            if image.reason:
                raise ImageError(image.reason)
            cut = generator.partition(embedding, image.pixels.shape[:2], image.shape)
            table = regions.region_table(cut.labels, cut.predicted_iou, cut.stability)
            found.append(ImageRegions(image.image_id, cut.labels, table))
    shard.counts |= {
        "regions": sum(len(image.table) for image in found),
        "out_of_memory": generator.out_of_memory,
        "points_per_batch": generator.points_per_batch,
        "images_per_batch": generator.images_per_batch,
    }
    return found
