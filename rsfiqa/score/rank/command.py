"""The subcommand `rsfiqa rank`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import CliPositionalArg

from rsfiqa.command import Command


class Rank(Command):
    """Fill in the percentiles of a folder of tables of scores, each among the pictures of all.

    Reads and rewrites FOLDER/<shard>.parquet as written by `rsfiqa score --as-shard`, and writes
    FOLDER/summary.json: number of pictures, of failed ones, and quantiles of the scores.
    """

    folder: CliPositionalArg[Path] = Field(
        description="Folder of the tables, such as results/mine/score."
    )

    def run(self) -> None:
        """Rank."""
        from rsfiqa.score.rank import stage

        stage.run(self.folder)
