"""The protocol of segmenters."""

from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from rsfiqa.images import load
from rsfiqa.products.regions import ImageRegions
from rsfiqa.runtime.shards import Shard

MIN_SIDE = 16  # pixels; a label map with a shorter side is one region, whatever the segmenter


class Segmenter(Protocol):
    """Divides images into regions.

    A class that derives from it needs `segment` only.
    """

    def segment(self, image: np.ndarray, image_id: str = "") -> ImageRegions:
        """Divide one image.

        Args:
            image: uint8 (H, W, 3), upright sRGB.
            image_id: recorded in the result.

        Returns:
            A label map uint16 (h, w) in which every pixel belongs to one region, and the table of
            regions. The image is reduced to `SegmentOptions.long_side` first.
        """
        ...

    def segment_shard(self, shard: Shard) -> list[ImageRegions]:
        """Divide the images of a shard; an image that cannot be loaded becomes a failure."""
        cv2.setNumThreads(1)  # parallel work is divided by shards
        results = []
        for row in shard.progress(shard.images):
            with shard.record_failure(row["image_id"]):
                image = load.load_rgb(Path(row["path"]))
                results.append(self.segment(image, row["image_id"]))
        shard.counts["regions"] = sum(len(image.table) for image in results)
        return results
