"""The subcommand `rsfiqa plan`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import CliPositionalArg

from rsfiqa.command import Command


class PlanScores(Command):
    """List pictures once and divide them into shards for `rsfiqa score`, without decoding them.

    PATHS are those of `rsfiqa score`. Writes FOLDER/plan/<shard>.parquet with the pictures of each
    shard, and plan.json. Run again, keeps pictures in their shards and adds new ones at the end.
    `snakemake score` plans and scores; to do it by hand, score each list with --as-shard.
    """

    folder: CliPositionalArg[Path] = Field(description="Folder of the run, such as results/mine.")
    paths: CliPositionalArg[tuple[str, ...]] = Field(min_length=1, description="Images to list.")
    shard_size: int = Field(10_000, ge=1, description="Number of images in a shard.")

    def run(self) -> None:
        """Plan."""
        from rsfiqa.score.plan import stage

        stage.run(self.folder, self.paths, shard_size=self.shard_size)
