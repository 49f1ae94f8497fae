"""The segment stage: images to regions."""

from functools import cache
from pathlib import Path

from rsfiqa import segmenters
from rsfiqa.io.checksum import sha256_of
from rsfiqa.products import regions
from rsfiqa.products.regions import ImageRegions
from rsfiqa.runtime import shards
from rsfiqa.runtime.shards import Shard
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.segmenters.base import Segmenter


def run(
    folder: Path,
    options: SegmentOptions,
    *,
    max_failed_fraction: float,
    only: tuple[str, ...] = (),
    replace: bool = True,
) -> None:
    """Write the regions of all shards of a data set.

    Args:
        folder: folder of the data set.
        options: of the stage.
        max_failed_fraction: see `failures.check_failed_fraction`.
        only: names of the shards to process; empty for all.
        replace: see `shards.run`.

    Raises:
        InputError: a checkpoint that is missing or wrong; and as `shards.run`.
    """
    checkpoint = segmenters.checkpoint_of(options)

    @cache  # loaded once, and only if a shard is not finished
    def segmenter() -> Segmenter:
        return segmenters.load(options)

    def make(shard: Shard) -> list[ImageRegions]:
        return segmenter().segment_shard(shard)

    shards.run(
        "segment",
        folder,
        schema=regions.VERSION,
        options=options.recorded(),
        make=make,
        write=regions.write,
        models={} if checkpoint is None else {checkpoint.name: sha256_of(checkpoint)},
        shards=only,
        max_failed_fraction=max_failed_fraction,
        replace=replace,
    )
