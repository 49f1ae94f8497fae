"""The subcommand of the extract stage."""

from rsfiqa.command import ShardCommand
from rsfiqa.extract.options import ExtractOptions


class Extract(ShardCommand, ExtractOptions):
    """Compute the features of the frozen backbone, once for all trainings.

    Reads FOLDER/manifest.parquet and the images. Writes FOLDER/extract/<shard>.safetensors,
    <shard>.failures.parquet and <shard>.stats.json. By default processes all shards, with the
    packaged EfficientNet-Lite0; finished shards are skipped.
    """

    def run(self) -> None:
        """Run the stage."""
        from rsfiqa.extract import stage

        stage.run(self.folder, self.stage_options(ExtractOptions), **self.shard_arguments)
