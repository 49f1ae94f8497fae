"""Images to label maps."""

from pathlib import Path

import cv2
import numpy as np

from rsfiqa import images, regions, shards
from rsfiqa.segment.partition import settle
from rsfiqa.segment.superpixel import superpixel_regions
from rsfiqa.shards import Shard
from rsfiqa.stages import SegmentOptions


def run(
    folder: Path, options: SegmentOptions, *, max_failed_share: float, only: tuple[str, ...] = ()
) -> None:
    """Write the label maps of all shards of a data set's folder, or of those named."""
    shards.run(
        "segment",
        folder,
        schema=regions.VERSION,
        options=options.model_dump(),
        make=lambda shard: segment_shard(shard, options),
        write=regions.write,
        shards=only,
        max_failed_share=max_failed_share,
    )


def segment_shard(shard: Shard, options: SegmentOptions) -> list[regions.ImageRegions]:
    """The partitions of a shard's images; an image that cannot be read becomes a failure."""
    cv2.setNumThreads(1)  # shards are the unit of parallel work
    found = []
    for row in shard.progress(shard.images):
        with shard.guarded(row["image_id"]):
            labels = segment_image(images.read_rgb(Path(row["path"])), options)
            table = regions.region_table(labels)
            found.append(regions.ImageRegions(row["image_id"], labels, table))
    shard.counts["regions"] = sum(len(image.table) for image in found)
    return found


def segment_image(image: np.ndarray, options: SegmentOptions) -> np.ndarray:
    """The partition of one image uint8 (H, W, 3): uint16 label map, long side bounded."""
    small = images.reduce(image, options.long_side)
    labels = superpixel_regions(small, superpixels=options.superpixels, regions=options.max_regions)
    return settle(labels, max_regions=options.max_regions, min_area_share=options.min_area_share)
