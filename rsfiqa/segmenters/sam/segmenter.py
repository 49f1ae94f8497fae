"""SAM as a segmenter of single images and of shards."""

import numpy as np

from rsfiqa.errors import ImageError
from rsfiqa.products.regions import ImageRegions, region_table
from rsfiqa.runtime.devices import device_of
from rsfiqa.runtime.shards import Shard
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.segmenters.base import Segmenter
from rsfiqa.segmenters.sam import checkpoint
from rsfiqa.segmenters.sam.generator import MaskGenerator, Partition
from rsfiqa.segmenters.sam.prefetch import prefetch, resize_for_sam


def load(options: SegmentOptions) -> "SamSegmenter":
    """The segmenter with the checkpoint and on the device that the options name.

    Raises:
        InputError: no such checkpoint or device.
    """
    device = device_of(options.device, "segment.device")
    model = checkpoint.load(checkpoint.check(options), device)
    if options.compile:
        model.image_encoder.compile()
    return SamSegmenter(MaskGenerator(model, options))


class SamSegmenter(Segmenter):
    """Regions from the masks of SAM.

    Args:
        generator: computes the masks.
    """

    def __init__(self, generator: MaskGenerator) -> None:
        self.generator = generator

    def segment(self, image: np.ndarray, image_id: str = "") -> ImageRegions:
        """See `Segmenter`."""
        long_side = self.generator.options.long_side
        resized = resize_for_sam(image_id, image, self.generator.side, long_side)
        ((_, embedding),) = self.generator.embed([[resized]])
        return _regions(image_id, self.generator.partition(embedding, resized.size, resized.shape))

    def segment_shard(self, shard: Shard) -> list[ImageRegions]:
        """See `Segmenter`; other processes load the next images."""
        generator, options = self.generator, self.generator.options
        batches = prefetch(
            shard.images,
            side=generator.side,
            long_side=options.long_side,
            batch=options.images_per_batch,
            workers=min(options.workers, len(shard.images) // options.images_per_batch),
        )
        results = []
        for image, embedding in shard.progress(generator.embed(batches), len(shard.images)):
            with shard.record_failure(image.image_id):
                if image.reason:
                    raise ImageError(image.reason)
                partition = generator.partition(embedding, image.size, image.shape)
                results.append(_regions(image.image_id, partition))
        shard.counts |= {
            "regions": sum(len(image.table) for image in results),
            "out_of_memory": generator.out_of_memory,
            "points_per_batch": generator.points_per_batch,
            "images_per_batch": generator.images_per_batch,
        }
        return results


def _regions(image_id: str, partition: Partition) -> ImageRegions:
    table = region_table(partition.labels, partition.predicted_iou, partition.stability)
    return ImageRegions(image_id, partition.labels, table)
