"""The subcommand of the segment stage."""

from rsfiqa.command import ShardCommand
from rsfiqa.segment.options import SegmentOptions


class Segment(ShardCommand, SegmentOptions):
    """Cut images into regions.

    Reads FOLDER/manifest.parquet and the images. Writes FOLDER/segment/<shard>.h5 (label maps and
    region tables), <shard>.failures.parquet and <shard>.stats.json. By default processes all
    shards, with superpixels; finished shards are skipped.
    """

    def run(self) -> None:
        """Run the stage."""
        from rsfiqa.segment import stage

        stage.run(self.folder, self.stage_options(SegmentOptions), **self.shard_arguments)
