"""The subcommand of the embed stage."""

from rsfiqa.command import ShardCommand
from rsfiqa.embed.options import EmbedOptions


class Embed(ShardCommand, EmbedOptions):
    """Turn captions into vectors.

    Reads FOLDER/manifest.parquet and FOLDER/caption. Writes FOLDER/embed/<shard>.safetensors,
    <shard>.failures.parquet and <shard>.stats.json. By default processes all shards, without a text
    encoder: vectors are empty, and the model gets the ratings alone. Finished shards are skipped.
    """

    def run(self) -> None:
        """Run the stage."""
        from rsfiqa.embed import stage

        stage.run(self.folder, self.stage_options(EmbedOptions), **self.shard_arguments)
