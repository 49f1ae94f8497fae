"""Images to label maps."""

from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from rsfiqa.errors import ImageError
from rsfiqa.images import load
from rsfiqa.io.checksum import sha256_of
from rsfiqa.products import regions
from rsfiqa.products.regions import ImageRegions
from rsfiqa.runtime import shards
from rsfiqa.runtime.shards import Shard
from rsfiqa.segment.options import SegmentOptions

if TYPE_CHECKING:
    from rsfiqa.segmenters.sam.generator import MaskGenerator
from rsfiqa.segmenters.sam.generator import load_generator
from rsfiqa.segmenters.superpixel import segment_image


def run(
    folder: Path, options: SegmentOptions, *, max_failed_fraction: float, only: tuple[str, ...] = ()
) -> None:
    """Write the label maps of all shards of a data set's folder, or of those named.

    Raises:
        InputError: a checkpoint that is missing or wrong; and as `shards.run`.
    """
    models: dict[str, str] = {}
    loaded: list[MaskGenerator] = []  # once, and only if a shard is to be done
    if options.backend == "sam":
        from rsfiqa.segmenters.sam import (
            checkpoint as sam_checkpoint,  # heavy: torch and the model's package
        )

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
        max_failed_fraction=max_failed_fraction,
    )


def segment_shard(shard: Shard, options: SegmentOptions) -> list[ImageRegions]:
    """The partitions of a shard's images; an image that cannot be read becomes a failure."""
    cv2.setNumThreads(1)  # shards are the unit of parallel work
    found = []
    for row in shard.progress(shard.images):
        with shard.record_failure(row["image_id"]):
            labels = segment_image(load.read_rgb(Path(row["path"])), options)
            found.append(ImageRegions(row["image_id"], labels, regions.region_table(labels)))
    shard.counts["regions"] = sum(len(image.table) for image in found)
    return found


def segment_shard_by_sam(shard: Shard, generator: "MaskGenerator") -> list[ImageRegions]:
    """As `segment_shard`, while other processes read the next images."""
    from rsfiqa.segmenters.sam.reading import read_ahead

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
        with shard.record_failure(image.image_id):
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
